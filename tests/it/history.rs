//! What is written down comes back as it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flower_tui::celery::TaskId;
use flower_tui::celery::event::Batch;
use flower_tui::clock::{Clock, Stamp};
use flower_tui::feed::apply_messages;
use flower_tui::feed::replay::Source;
use flower_tui::filter;
use flower_tui::history::prune::Keep;
use flower_tui::history::reader::{Page, Query, Reader};
use flower_tui::history::upkeep;
use flower_tui::history::writer::{self, Note, Options, Role};
use flower_tui::redact::Redactor;
use flower_tui::state::doc::TaskDoc;
use flower_tui::state::{Limits, Store, Update};
use jiff::tz::TimeZone;

use crate::fixtures::{batch, document, single_events};

fn options(path: &Path, now: Stamp) -> Options {
    Options { path: path.to_owned(), redactor: Redactor::default(), keep: Keep::default(), clock: Clock::manual(now) }
}

fn now() -> Stamp {
    single_events().last().expect("events").0
}

/// Writes batches, one writer after the other, and waits until all is in the file.
fn write(path: &Path, writers: impl IntoIterator<Item = Vec<Batch>>) {
    write_at(now(), path, writers);
}

/// The same at a time, from which on what is too old goes.
fn write_at(now: Stamp, path: &Path, writers: impl IntoIterator<Item = Vec<Batch>>) {
    for batches in writers {
        let (recorder, running) = writer::start(options(path, now)).expect("starts");
        for batch in batches {
            recorder.give(Note::Events(Arc::new(batch)));
        }
        running.finish();
    }
}

fn query(line: &str) -> Query {
    let filter = filter::parse(line).expect("a filter");
    Query { filter, now: now(), zone: TimeZone::UTC, limit: usize::MAX, before: None }
}

fn find(path: &Path, line: &str) -> Page {
    Reader::open(path).expect("opens").find(&query(line), &mut |_| true).expect("found")
}

/// All tasks of a file by id.
fn tasks(path: &Path) -> BTreeMap<String, TaskDoc> {
    let page = find(path, "");
    let count = page.tasks.len();
    let tasks: BTreeMap<_, _> = page.tasks.into_iter().map(|(_, doc)| (doc.id.clone(), doc)).collect();
    assert_eq!(tasks.len(), count, "no task has two rows");
    tasks
}

fn model(order: impl IntoIterator<Item = usize>) -> BTreeMap<String, TaskDoc> {
    let store = Store::new(Limits::default());
    store.apply(&[Update::Events(Arc::new(batch(order)))]);
    store.read(|m| m.all_tasks().map(|task| (task.id().to_string(), TaskDoc::from(task))).collect())
}

fn assert_same(ours: &BTreeMap<String, TaskDoc>, want: &BTreeMap<String, TaskDoc>, what: &str) {
    assert_eq!(ours.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{what}");
    for (id, want) in want {
        let (ours, want) = (document_of(&ours[id]), document_of(want));
        // That a task went away with its worker is found out by memory alone.
        for (key, value) in want.iter().filter(|(key, _)| !matches!(key.as_str(), "lost" | "redelivered_at")) {
            match (ours[key].as_f64(), value.as_f64()) {
                (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-5, "{what}: {key} of {id} is {a}, not {b}"),
                _ => assert_eq!(&ours[key], value, "{what}: {key} of {id}"),
            }
        }
    }
}

/// Without the stamp of the last event, which the file does not keep.
fn document_of(doc: &TaskDoc) -> serde_json::Map<String, serde_json::Value> {
    let mut map = serde_json::to_value(doc).expect("serialises").as_object().expect("an object").clone();
    map.shift_remove("timestamp");
    map
}

#[test]
fn tasks_come_back_as_the_model_has_them_in_every_order() {
    let folder = tempfile::tempdir().expect("temp");
    let count = single_events().len();
    let mut orders = vec![("in order".to_owned(), (0..count).collect::<Vec<_>>())];
    for file in ["state-shuffle-full-1.json", "state-shuffle-reversed.json", "state-shuffle-window-3.json"] {
        let plan = document(file);
        let order = plan["order"].as_array().expect("order").iter().map(|n| n.as_u64().expect("number") as usize);
        orders.push((file.to_owned(), order.collect()));
    }
    for (name, order) in orders {
        let path = folder.path().join(&name);
        write(&path, [vec![batch(order.clone())]]);
        assert_same(&tasks(&path), &model(order), &name);
    }
}

#[test]
fn a_writer_that_ended_in_the_middle_is_followed_by_one_that_goes_on() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let count = single_events().len();
    // A writer of its own for every few events: each has to find what the others began.
    write(&path, (0..count).step_by(7).map(|from| vec![batch(from..(from + 7).min(count))]));
    assert_same(&tasks(&path), &model(0..count), "in pieces");
}

#[test]
fn every_event_of_a_task_comes_back() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let count = single_events().len();
    write(&path, [vec![batch(0..count)]]);
    let mut want: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for (_, wire) in single_events() {
        let wire: serde_json::Value = serde_json::from_str(&wire).expect("json");
        let event: serde_json::Value = serde_json::from_str(wire["body"].as_str().expect("text")).expect("json");
        let kind = event["type"].as_str().expect("type").to_owned();
        if let Some(id) = event["uuid"].as_str().filter(|_| kind.starts_with("task-")) {
            let at = (event["timestamp"].as_f64().expect("time") * 1e3).floor() as i64;
            want.entry(id.to_owned()).or_default().push((kind, at));
        }
    }
    let mut reader = Reader::open(&path).expect("opens");
    for (id, mut want) in want {
        let (n, doc) = reader.task(&TaskId::new(&id)).expect("read").expect("there");
        let events = reader.events(n, &doc).expect("read");
        let mut ours: Vec<(String, i64)> = events
            .iter()
            .map(|e| {
                // To the millisecond, with what a time may lose on its way into the file.
                let at = (e["timestamp"].as_f64().expect("time") * 1e3 + 0.006).floor() as i64;
                (e["type"].as_str().expect("type").to_owned(), at)
            })
            .collect();
        ours.sort();
        want.sort();
        assert_eq!(ours, want, "events of {id}");
    }
}

#[test]
fn the_file_reads_as_the_tables_people_know() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let count = single_events().len();
    write(&path, [vec![batch(0..count)]]);
    let db = rusqlite::Connection::open(&path).expect("opens");
    let want = model(0..count);
    let mut rows =
        db.prepare("SELECT id, name, state, worker, args, exception, finished, root_id FROM tasks").expect("view");
    let mut rows = rows.query([]).expect("view");
    let mut seen = 0;
    while let Some(row) = rows.next().expect("row") {
        let id: String = row.get(0).expect("text");
        let want = &want[&id];
        let texts: Vec<Option<String>> = [1, 2, 3, 4, 5, 7].map(|i| row.get(i).expect("text")).into();
        let theirs = [&want.name, &Some(want.state.clone()), &want.worker, &want.args, &want.exception, &want.root_id];
        assert_eq!(texts, theirs.map(Clone::clone), "{id}");
        let finished: Option<f64> = row.get(6).expect("number");
        assert!(finished.zip(want.finished).is_none_or(|(a, b)| (a - b).abs() < 1e-5));
        seen += 1;
    }
    assert_eq!(seen, want.len());
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
    assert!(number("SELECT count(*) FROM celery_task_events WHERE type = 'task-retried' AND traceback <> ''") > 0);
    assert!(number("SELECT count(*) FROM celery_worker_events WHERE active >= 0 AND processed >= 0") > 0);
    assert!(number("SELECT sum(succeeded) FROM task_minutes") > 0);
}

#[test]
fn filters_select_in_the_file_what_they_select_in_memory() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let count = single_events().len();
    write(&path, [vec![batch(0..count)]]);
    let store = Store::new(Limits::default());
    store.apply(&[Update::Events(Arc::new(batch(0..count))), Update::Tick(now())]);
    let some = store.read(|m| m.all_tasks().next().expect("a task").id().to_string());
    for line in [
        "",
        "state:failure",
        "-state:success,failure",
        "task:capture.*",
        "task:add -state:success",
        "worker:w1 queue:celery",
        "exception:ValueError",
        "error:ValueError",
        "runtime:>10ms",
        "wait:<1s",
        "tries:>1",
        "args:1",
        "kwargs:x",
        "result:3",
        "Lorem",
        "-add",
        "open:yes",
        "since:1h",
        "until:20s",
        "since:20s",
        "-since:20s",
        "since:nobody-knows",
        "-since:nobody-knows",
        &format!("id:{some}"),
        &format!("id:{}", &some[..8]),
        &format!("id:{}", &some[3..7]),
        &format!("root:={some}"),
    ] {
        let filter = filter::parse(line).expect("a filter");
        let mut want: Vec<String> =
            store.select_ids(&filter, Default::default()).iter().map(ToString::to_string).collect();
        let mut ours: Vec<String> = find(&path, line).tasks.into_iter().map(|(_, doc)| doc.id).collect();
        want.sort();
        ours.sort();
        assert_eq!(ours, want, "{line}");
        let mut reader = Reader::open(&path).expect("opens");
        let totals = reader.totals(&query(line), &mut |_| true).expect("added up");
        assert_eq!(totals.count(), want.len() as u64, "{line}");
    }
}

#[test]
fn every_start_that_was_seen_is_a_run() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    write(&path, [vec![batch(0..single_events().len())]]);
    let mut reader = Reader::open(&path).expect("opens");
    for (n, doc) in find(&path, "").tasks {
        let events = reader.events(n, &doc).expect("read");
        let starts = events.iter().filter(|event| event["type"] == "task-started").count();
        let found = reader.find(&query(&format!("id:={} runs:>1", doc.id)), &mut |_| true).expect("found");
        assert_eq!(found.tasks.len(), usize::from(starts > 1), "{} ran {starts} times", doc.id);
    }
}

const DAY: f64 = 86_400.0;
const BEGIN: f64 = 1_790_000_000.0;

/// So many tasks spread over a day, every tenth of which fails.
fn day(number: u32, tasks: u32) -> Vec<Batch> {
    let task = |n: u32| {
        let at = BEGIN + f64::from(number) * DAY + f64::from(n) * DAY / f64::from(tasks);
        let (id, host) = (format!("day-{number}-{n}"), "w@h");
        let end = if n.is_multiple_of(10) { "task-failed" } else { "task-succeeded" };
        let event = |kind: &str, after: f64| {
            serde_json::json!({"type": kind, "uuid": id, "hostname": host, "timestamp": at + after, "name": "t",
                "args": format!("({n},)"), "kwargs": "{}", "exception": if kind == "task-failed" { Some("E('no')") } else { None }})
        };
        vec![event("task-received", 0.0), event("task-started", 0.1), event("task-retried", 0.2), event(end, 0.3)]
    };
    let events: Vec<serde_json::Value> = (0..tasks).flat_map(task).collect();
    events.chunks(2_000).map(|events| flower_tui::history::batch_in_time(events.to_vec())).collect()
}

fn at(day: f64) -> Stamp {
    Stamp::from_secs(BEGIN + day * DAY).expect("finite")
}

/// Tasks of a file as the day they are of, and whether they failed; checked against what must be there.
fn assert_kept(path: &Path, now: f64, tasks: u32, days: u32) {
    let page = find(path, "");
    let mut kept: Vec<String> = page.tasks.into_iter().map(|(_, doc)| doc.id).collect();
    let mut want = Vec::new();
    for number in 0..days {
        for n in 0..tasks {
            let age = now - f64::from(number) - f64::from(n) / f64::from(tasks);
            if age <= if n.is_multiple_of(10) { 90.0 } else { 30.0 } {
                want.push(format!("day-{number}-{n}"));
            }
        }
    }
    kept.sort();
    want.sort();
    assert!(kept == want, "{} are kept, {} should be", kept.len(), want.len());
}

#[test]
fn retention_leaves_exactly_what_the_rules_say_and_the_file_stays_bounded() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let (tasks, mut sizes) = (300, Vec::new());
    for week in 0..20 {
        let now = at(f64::from(week) * 5.0 + 5.0);
        write_at(now, &path, [(week * 5..week * 5 + 5).flat_map(|number| day(number, tasks)).collect()]);
        upkeep::prune(&path, &Keep::default(), now).expect("pruned");
        sizes.push(std::fs::metadata(&path).expect("there").len());
    }
    assert_kept(&path, 100.0, tasks, 100);
    let grown = sizes[19] as f64 / sizes[18] as f64;
    assert!(grown < 1.06, "the file still grows when everything is as old as it gets: {grown}");
    let db = rusqlite::Connection::open(&path).expect("opens");
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
    let from = BEGIN + 93.0 * DAY;
    assert_eq!(number(&format!("SELECT count(*) FROM celery_task_events WHERE timestamp < {from}")), 0);
    // Of seven days, with the retry that has a row of its own.
    assert_eq!(number("SELECT count(*) FROM celery_task_events"), 7 * i64::from(tasks) * 4);
    assert_eq!(upkeep::check(&path).expect("checked"), Vec::<String>::new());
}

#[test]
fn a_limit_of_size_takes_the_oldest_successes_first() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    write_at(at(4.0), &path, [(0..4).flat_map(|number| day(number, 12_000)).collect()]);
    let whole = std::fs::metadata(&path).expect("there").len();
    let keep = Keep { max_size: Some(whole * 3 / 4), ..Keep::default() };
    upkeep::prune(&path, &keep, at(4.0)).expect("pruned");
    assert!(std::fs::metadata(&path).expect("there").len() <= whole * 3 / 4 + (4 << 20));
    let failures = find(&path, "state:failure").tasks.len();
    assert_eq!(failures, 4_800, "failures stay while there are successes to go");
    assert!(find(&path, "id:=day-0-1").tasks.is_empty() && !find(&path, "id:=day-3-1").tasks.is_empty());
    assert_eq!(upkeep::check(&path).expect("checked"), Vec::<String>::new());
}

#[test]
fn two_files_of_one_cluster_become_one_and_twice_is_no_more_than_once() {
    let folder = tempfile::tempdir().expect("temp");
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let count = single_events().len();
    write(&a, [vec![batch(0..count * 2 / 3)]]);
    write(&b, [vec![batch(count / 3..count)]]);
    for _ in 0..2 {
        upkeep::merge(&a, &b, Redactor::default(), now()).expect("merged");
        assert_same(&tasks(&a), &model(0..count), "merged");
    }
    let whole = folder.path().join("whole.db");
    write(&whole, [vec![batch(0..count)]]);
    let events = |path: &Path| {
        let db = rusqlite::Connection::open(path).expect("opens");
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
        (count("SELECT count(*) FROM celery_task_events"), count("SELECT sum(succeeded) FROM task_minutes"))
    };
    assert_eq!(events(&a), events(&whole));
    assert_eq!(upkeep::check(&a).expect("checked"), Vec::<String>::new());
}

#[test]
fn the_second_recorder_reads_and_takes_over_when_the_first_ends() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let count = single_events().len();
    let (first, first_running) = writer::start(options(&path, now())).expect("starts");
    wait(|| first.status().role == Role::Writer);
    let (second, second_running) = writer::start(options(&path, now())).expect("starts");
    wait(|| second.status().role == Role::Reader);
    for recorder in [&first, &second] {
        recorder.give(Note::Events(Arc::new(batch(0..count / 2))));
    }
    first_running.finish();
    wait(|| second.status().role == Role::Writer);
    second.give(Note::Events(Arc::new(batch(count / 2..count))));
    second_running.finish();
    assert_same(&tasks(&path), &model(0..count), "one after the other");
}

fn wait(what: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !what() {
        assert!(begun.elapsed().as_secs() < 20, "it did not come about");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_file_that_can_not_be_written_is_told_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("temp");
    let told = |path: &Path| {
        let (recorder, running) = writer::start(options(path, now())).expect("starts");
        wait(|| matches!(recorder.status().role, Role::Failing(_)));
        recorder.offer(Note::Events(Arc::new(batch(0..10))));
        running.finish();
        let status = recorder.status();
        assert_eq!(status.missed, 10, "what is lost is counted");
        match status.role {
            Role::Failing(why) => why,
            role => panic!("{role:?}"),
        }
    };
    let (newer, other, garbage) =
        (folder.path().join("newer"), folder.path().join("other"), folder.path().join("garbage"));
    write(&newer, [Vec::new()]);
    let db = rusqlite::Connection::open(&newer).expect("opens");
    db.pragma_update(None, "user_version", 99).expect("set");
    assert!(told(&newer).contains("of a newer flower-tui"));
    let db = rusqlite::Connection::open(&other).expect("opens");
    db.execute_batch("CREATE TABLE mine (x)").expect("made");
    assert!(told(&other).contains("a database of something else"));
    std::fs::write(&garbage, [b'x'; 5_000]).expect("written");
    assert!(told(&garbage).contains("no history file"));
    assert!(told(Path::new("/proc/nowhere/h.db")).contains("/proc/nowhere/h.db"));
    assert_eq!(std::fs::read(&garbage).expect("there"), [b'x'; 5_000], "it is left as it was");
}

#[test]
fn a_stretch_of_the_past_is_played_again_in_the_order_of_time() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let count = single_events().len();
    write(&path, [vec![batch(0..count)]]);
    let messages = Source::history(&path, Stamp::EPOCH, now() + std::time::Duration::from_secs(60)).messages();
    let messages: Vec<_> = messages.map(|message| message.expect("readable")).collect();
    assert!(messages.is_sorted_by_key(|message| message.received));
    let store = Store::new(Limits::default());
    apply_messages(&store, &messages);
    let played =
        store.read(|m| m.all_tasks().map(|t| (t.id().to_string(), TaskDoc::from(t))).collect::<BTreeMap<_, _>>());
    let want = tasks(&path);
    assert_eq!(played.len(), want.len());
    let same = |id: &String| played[id].state == want[id].state && played[id].result == want[id].result;
    let other: Vec<_> = want.keys().filter(|id| !same(id)).collect();
    assert!(other.is_empty(), "{other:?} are not what they were");
    assert!(store.read(|m| m.workers().iter().any(|(_, w)| w.processed.is_some())), "workers come too");
}

#[tokio::test]
async fn a_moment_that_was_named_is_known_to_a_screen_that_begins_later_and_is_not_written_twice() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    flower_tui::history::marks::set(&path, now() - std::time::Duration::from_secs(60), "v412").expect("set");
    let store = Store::new(Limits::default());
    let (recorder, running) = writer::start(options(&path, now())).expect("starts");
    let (stop, tracker) = (tokio_util::sync::CancellationToken::new(), tokio_util::task::TaskTracker::new());
    flower_tui::feed::record::attach(&store, &recorder, None, &stop, &tracker);
    flower_tui::feed::warm::fill(store.clone(), path.clone(), now(), Default::default()).await.expect("filled");
    let known = store.read(|m| m.marks().find("v412")).expect("known");
    assert!((now().since(known).as_secs_f64() - 60.0).abs() < 0.001, "as exactly as the file keeps a time");
    store.apply(&[Update::Mark(now(), "a later one".into()), Update::Tick(now())]);
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    running.finish();
    let reader = Reader::open(&path).expect("opens");
    let all = reader.marks(Stamp::EPOCH, now()).expect("read");
    let texts: Vec<&str> = all.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["v412", "a later one"]);
}

#[test]
fn what_was_sent_again_by_one_is_open_for_nobody_who_looks_into_the_file_later() {
    use flower_tui::celery::original::Original;
    use flower_tui::history::audit::{Audit, Entry, Origin};
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    write(&path, [vec![batch(0..single_events().len())]]);
    let failed: Vec<String> = find(&path, "open:yes").tasks.into_iter().map(|(_, doc)| doc.id).collect();
    assert!(failed.len() >= 2, "{failed:?}");
    assert_eq!(find(&path, "retried:yes").tasks.len(), 0);

    let audit = Audit::in_history(&path).expect("opens");
    let entry = Entry { command: "bulk retry", ..Entry::default() };
    let row = audit.asked(now(), &Origin::default(), "b", &entry).expect("written");
    let message = Original { queue: "q".into(), priority: 0, bytes: Vec::new().into() };
    let items = [(failed[0].clone(), "new".to_owned(), message)];
    let bulk = audit.freeze((row, now()), "b", ("retry", 1.0), &items).expect("frozen");
    assert_eq!(find(&path, "retried:yes").tasks.len(), 0, "nothing has gone yet");
    audit.cross_off(bulk, 0, 1, now()).expect("crossed off");

    let ids = |line: &str| find(&path, line).tasks.into_iter().map(|(_, doc)| doc.id).collect::<Vec<_>>();
    assert_eq!(ids("open:yes"), failed[1..]);
    assert_eq!(ids("retried:yes"), failed[..1]);
    assert_eq!(ids("state:failure -open:yes"), failed[..1]);
    assert_eq!(ids("state:failure retried:no"), failed[1..]);
    let mut reader = Reader::open(&path).expect("opens");
    assert_eq!(reader.totals(&query("open:yes"), &mut |_| true).expect("added up").count(), failed.len() as u64 - 1);
}
