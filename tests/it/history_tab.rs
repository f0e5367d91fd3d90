//! The tab that shows what was written down: found, added up, compared, opened and exported, with nothing read by the
//! screen itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flower_tui::celery::event::Batch;
use flower_tui::clock::{Clock, Stamp};
use flower_tui::export;
use flower_tui::history::audit::{Audit, Entry, Origin};
use flower_tui::history::lookup::{self, Found, Part, Request, Sums};
use flower_tui::history::prune::Keep;
use flower_tui::history::reader::Progress;
use flower_tui::history::writer::{self, Note, Role as Writing, Status};
use flower_tui::redact::Redactor;
use flower_tui::sim::{Options as SimOptions, Scenario, SimBroker};
use flower_tui::state::Update;
use flower_tui::tui::app::{App, Do, Options, World};
use flower_tui::tui::theme::Theme;
use ratatui::layout::Size;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::screens::{Stage, busy};

/// 2026-11-24 14:03:27 UTC, as on the stage.
const NOON: i64 = 1_795_529_007_000_000;

fn ago(secs: u64) -> Stamp {
    Stamp::from_micros(NOON) - Duration::from_secs(secs)
}

/// A file that was written from batches, and closed.
fn file(batches: impl IntoIterator<Item = Batch>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("history.db");
    let options = writer::Options {
        path: path.clone(),
        redactor: Redactor::default(),
        keep: Keep::default(),
        clock: Clock::manual(Stamp::from_micros(NOON)),
    };
    let (recorder, running) = writer::start(options).expect("starts");
    for batch in batches {
        recorder.give(Note::Events(Arc::new(batch)));
    }
    running.finish();
    (folder, path)
}

/// Two hours of the simulated cluster.
fn simulated() -> (TempDir, PathBuf) {
    let options = SimOptions { tasks: 0, rate: 0.5, ..SimOptions::default() };
    let clock = Clock::manual(ago(7_200));
    let sim = SimBroker::new(&options, clock);
    let mut batches = Vec::new();
    for minute in (0..120).rev() {
        let mut batch = Batch::default();
        for message in sim.advance(ago(minute * 60)) {
            batch.push(&message.data, &message.coding, message.received);
        }
        batches.push(batch);
    }
    file(batches)
}

/// Events of one task that was received so many seconds ago, and ran so long.
fn task(id: &str, name: &str, at: Stamp, runtime: f64, fails: bool) -> Batch {
    let event = |kind: &str, after: f64, more: Value| {
        let mut event = json!({"type": kind, "uuid": id, "hostname": "celery@app-1", "timestamp": at.secs() + after});
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        event
    };
    let end = match fails {
        true => event("task-failed", runtime + 0.1, json!({"exception": "KeyError('x')", "traceback": "Traceback"})),
        false => event("task-succeeded", runtime + 0.1, json!({"result": "1", "runtime": runtime})),
    };
    let received = json!({"name": name, "args": "(1,)", "kwargs": "{}", "queue": "default"});
    flower_tui::history::batch(
        vec![event("task-received", 0.0, received), event("task-started", 0.1, json!({})), end],
        at,
    )
}

fn id(n: usize) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// So many tasks, one a second, the last one a minute ago.
fn plain(tasks: usize) -> (TempDir, PathBuf) {
    file((0..tasks).map(|n| task(&id(n), "shop.pay", ago(60 + (tasks - n) as u64), 0.5, n % 10 == 0)))
}

/// A stage on which a history is kept.
fn stage(path: &Path, width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(&busy(), width, height, Theme::dark());
    let options = Options { history: Some(path.to_owned()), ..stage.app.options.clone() };
    stage.app = App::new(options);
    stage.app.set_recording(Some(Status { role: Writing::Writer, ..Status::default() }));
    stage
}

/// What the tab wants looked up now.
fn wanted(stage: &mut Stage) -> Vec<(usize, Request)> {
    stage.draw();
    stage.app.wanted_lookups()
}

/// Gives an answer, as the session does.
fn answer(stage: &mut Stage, (place, request): &(usize, Request), found: Found) {
    match &found {
        Found::Recalled(batch, _) => stage.store.apply(&[Update::Recalled(batch.clone())]),
        Found::Linked(links) => stage.store.apply(&[Update::Linked(links.clone())]),
        _ => {}
    }
    let store = stage.store.clone();
    let world = World { now: stage.now(), link: &stage.link, health: stage.health.as_ref(), size: stage.size };
    let done = store.read(|m| stage.app.looked_up((*place, &request.ticket), found, m, &world));
    stage.take(done);
}

/// Looks up whatever is wanted, until nothing is.
fn settle(stage: &mut Stage, path: &Path) {
    loop {
        let requests = wanted(stage);
        if requests.is_empty() {
            return;
        }
        for request in requests {
            lookup::run(path, &request.1, &mut |found| {
                answer(stage, &request, found);
                true
            });
        }
    }
}

fn opened(path: &Path, width: u16, height: u16, keys: &str) -> Stage {
    let mut stage = stage(path, width, height);
    stage.keys("6");
    settle(&mut stage, path);
    stage.keys(keys);
    settle(&mut stage, path);
    stage
}

/// The row under the cursor.
fn row(stage: &mut Stage) -> String {
    let text = stage.text();
    let row = text.lines().find(|line| line.contains('▌')).unwrap_or_default();
    row.trim_matches('"').trim_start_matches('▌').trim().to_owned()
}

/// The first number that stands before a word.
fn count(text: &str, word: &str) -> usize {
    let at = text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
    let digits: String = text[..at].chars().rev().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    digits.chars().rev().filter(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

#[test]
fn the_tab_is_there_only_with_a_history() {
    let (_folder, path) = plain(3);
    let mut without = Stage::new(&busy(), 120, 36, Theme::dark());
    without.keys("6");
    let text = without.text();
    assert!(!text.contains("History") && text.contains("6 Schedule"), "{text}");
    without.keys("1?");
    assert!(!without.text().contains("history"));
    let mut with = opened(&path, 120, 36, "");
    let text = with.text();
    assert!(text.contains("5 Failures   6 History") && text.contains("3 tasks"), "{text}");
}

#[test]
fn what_was_recorded_at_every_size() {
    let (_folder, path) = simulated();
    for (width, height) in [(40, 12), (80, 24), (120, 36), (200, 60)] {
        let mut stage = opened(&path, width, height, "jj");
        insta::assert_snapshot!(format!("history-{width}x{height}"), stage.text());
    }
    let mut stage = opened(&path, 120, 36, "/state:failure task:charge<Enter>");
    insta::assert_snapshot!("history-filtered", stage.text());
    stage.keys("{{{");
    insta::assert_snapshot!("history-span", stage.text());
}

#[test]
fn an_empty_file_and_a_filter_that_finds_nothing_say_so() {
    let (_folder, path) = file([]);
    insta::assert_snapshot!("history-empty", opened(&path, 100, 24, "").text());
    let (_folder, path) = plain(30);
    insta::assert_snapshot!("history-nothing", opened(&path, 100, 24, "/task:nobody<Enter>").text());
    assert!(opened(&path, 100, 24, "/since:v412<Enter>").text().contains("no mark is named v412"));
}

#[test]
fn a_file_that_can_not_be_read_is_told_and_read_again() {
    let (folder, path) = plain(30);
    let moved = folder.path().join("moved.db");
    let mut stage = opened(&path, 100, 24, "");
    assert!(stage.text().contains("30 tasks"));
    std::fs::rename(&path, &moved).expect("moved");
    stage.keys("<ctrl-r>");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("there is no such file") && text.contains("can't be read"), "{text}");
    std::fs::rename(&moved, &path).expect("moved");
    stage.keys("<ctrl-r>");
    settle(&mut stage, &path);
    assert!(stage.text().contains("30 tasks"), "{}", stage.text());

    let db = rusqlite::Connection::open(&path).expect("opens");
    db.pragma_update(None, "user_version", 99).expect("written");
    stage.keys("<ctrl-r>");
    settle(&mut stage, &path);
    assert!(stage.text().contains("of a newer flower-tui"), "{}", stage.text());
    db.pragma_update(None, "user_version", 1).expect("written");

    db.pragma_update(None, "journal_mode", "DELETE").expect("changed");
    db.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    stage.keys("<ctrl-r>");
    settle(&mut stage, &path);
    assert!(stage.text().contains("another program holds it locked"), "{}", stage.text());
}

#[test]
fn who_writes_and_what_was_missed_stand_in_the_line() {
    let (_folder, path) = plain(3);
    let mut stage = opened(&path, 160, 24, "");
    let says = |stage: &mut Stage, role, missed| {
        stage.app.set_recording(Some(Status { role, missed, ..Status::default() }));
        stage.text()
    };
    assert!(says(&mut stage, Writing::Writer, 0).contains("· recording"));
    assert!(says(&mut stage, Writing::Reader, 0).contains("recorded by another process"));
    let text = says(&mut stage, Writing::Failing("history file h.db: the disk is full".into()), 1_234);
    assert!(text.contains("NOT RECORDING: history file h.db: the disk is full · 1,234 events not written"), "{text}");
}

#[test]
fn a_newer_filter_ends_the_older_look_and_late_answers_change_nothing() {
    let (_folder, path) = plain(40);
    let mut stage = stage(&path, 120, 36);
    stage.keys("6");
    let old = wanted(&mut stage);
    assert_eq!(old.len(), 2, "the list and the sums");
    stage.keys("/state:failure");
    let new = wanted(&mut stage);
    assert!(!new.is_empty());
    for request in &old {
        lookup::run(&path, &request.1, &mut |_| panic!("nobody waits for it"));
    }
    let mut late = Vec::new();
    let again = lookup::Waiting::default().ask(old[0].1.look.clone());
    drop(again);
    // An answer that was already on its way.
    let mut waiting = lookup::Waiting::default();
    let same = waiting.ask(old[0].1.look.clone());
    lookup::run(&path, &same, &mut |found| {
        late.push(found);
        true
    });
    for found in late {
        answer(&mut stage, &old[0], found);
    }
    for request in &new {
        lookup::run(&path, &request.1, &mut |found| {
            answer(&mut stage, request, found);
            true
        });
    }
    stage.keys("<Enter>");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("4 of 40") && !text.contains("SUCCESS"), "{text}");
}

#[test]
fn a_look_that_is_not_wanted_any_more_ends_in_its_middle() {
    let (_folder, path) = plain(1_500);
    let mut stage = stage(&path, 120, 36);
    stage.keys("6");
    let requests = wanted(&mut stage);
    let mut parts = 0;
    lookup::run(&path, &requests[0].1, &mut |_| {
        parts += 1;
        if parts == 1 {
            stage.keys("<ctrl-r>");
            stage.draw();
        }
        true
    });
    assert_eq!(parts, 1, "the first hundred tasks, and no more");
}

#[test]
fn more_comes_as_the_cursor_nears_the_end_and_the_cursor_stays_with_its_task() {
    let (_folder, path) = plain(2_600);
    let mut stage = opened(&path, 120, 36, "jjjjj");
    let before = row(&mut stage);
    assert!(before.contains(&id(2_594)[..8]), "{before}");
    assert!(wanted(&mut stage).is_empty(), "enough is listed");
    stage.keys("G");
    let requests = wanted(&mut stage);
    assert_eq!(requests.len(), 1, "more is asked for");
    let last = row(&mut stage);
    for request in requests {
        lookup::run(&path, &request.1, &mut |found| {
            answer(&mut stage, &request, found);
            assert_eq!(row(&mut stage), last, "while more streams in");
            true
        });
    }
    for _ in 0..3 {
        stage.keys("G");
        settle(&mut stage, &path);
    }
    assert!(row(&mut stage).contains(&id(0)[..8]), "{}", row(&mut stage));
}

#[test]
fn a_task_opens_with_every_event_and_leads_back_to_the_same_row() {
    let (_folder, path) = simulated();
    let mut stage = opened(&path, 120, 48, "/state:failure tries:>1<Enter>j");
    let before = row(&mut stage);
    stage.keys("<Enter>");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("from history") && text.contains("as recorded") && text.contains("retried"), "{text}");
    stage.keys("r");
    assert!(stage.text().contains("Send 1 task again?"), "{}", stage.text());
    stage.keys("n<Esc>");
    settle(&mut stage, &path);
    assert_eq!(row(&mut stage), before);
}

#[test]
fn marked_tasks_of_long_ago_are_retried_like_any_other() {
    let (_folder, path) = plain(30);
    let mut stage = opened(&path, 120, 36, "");
    stage.keys("/state:failure<Enter>*");
    let text = stage.text();
    assert!(text.contains("still being looked through") && !text.contains("marked"), "rows of before: {text}");
    settle(&mut stage, &path);
    stage.keys("*");
    assert!(stage.text().contains("3 marked"), "{}", stage.text());
    stage.keys("r");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("Send 3 tasks again?") && text.contains("shop.pay"), "{text}");
    stage.keys("n1");
    assert!(!stage.text().contains("shop.pay"), "a task of long ago is not among the latest");
}

#[test]
fn a_span_is_chosen_by_keys_or_mouse_taken_and_given_back() {
    let (_folder, path) = plain(3_000);
    let mut stage = opened(&path, 120, 36, "");
    let all = count(&stage.text(), " tasks");
    stage.keys("{{{");
    assert!(stage.text().contains("only this span"), "{}", stage.text());
    stage.keys("<Enter>");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("filter  since:2026-11-24T") && text.contains(" until:2026-11-24T"), "{text}");
    let within = count(&text, " of 3,000");
    assert!(within > 0 && within < all, "{within} of {all}");
    stage.keys("<Esc>");
    settle(&mut stage, &path);
    assert!(stage.text().contains("3,000 tasks"), "{}", stage.text());
    // Somewhere in the plot.
    stage.click_at(40, 7);
    let size = stage.size;
    stage.app.drag(60, 8, size);
    let text = stage.text();
    let title = text.lines().find(|line| line.contains(" – ")).expect("a span");
    assert!(title.contains("done"), "{title}");
    stage.keys("<Esc>");
    assert!(!stage.text().contains(" – "));
}

#[test]
fn a_comparison_puts_the_slower_task_first() {
    let mut batches = Vec::new();
    for n in 0..20 {
        for (span, slow) in [(1_800, 3.0), (5_400, 0.5)] {
            let at = ago(span + n);
            batches.push(task(&id((span + n) as usize * 10), "shop.steady", at, 1.0, false));
            batches.push(task(&id((span + n) as usize * 10 + 1), "shop.slower", at, slow, false));
            batches.push(task(&id((span + n) as usize * 10 + 2), "shop.quick", at, 0.1, false));
        }
    }
    let (_folder, path) = file(batches);
    let mut stage = opened(&path, 120, 36, "=");
    assert!(stage.text().contains("the same hours yesterday"), "{}", stage.text());
    stage.keys("<Enter>");
    settle(&mut stage, &path);
    insta::assert_snapshot!("history-compare", stage.text());
    assert!(row(&mut stage).starts_with("shop.slower"), "{}", row(&mut stage));
    stage.keys("<Enter>");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("task:=shop.slower since:") && text.contains("20 of 120"), "{text}");
    stage.keys("<Esc>");
    assert!(row(&mut stage).starts_with("shop.slower"), "back in the comparison: {}", stage.text());
}

#[test]
fn an_export_holds_what_the_filter_selects_in_the_file() {
    let (folder, path) = plain(2_500);
    let mut stage = opened(&path, 120, 36, "/state:failure<Enter>e");
    stage.draw();
    let out = folder.path().join("out.jsonl");
    stage.keys(&out.display().to_string());
    stage.keys("<Enter>");
    let Some(Do::Export(order)) = stage.done.pop() else { panic!("{:?}", stage.done) };
    let mut told = Vec::new();
    let written = export::run(&stage.store, &order, |going| {
        told.push(going);
        true
    });
    assert_eq!(written.expect("written").rows, 250);
    assert!(told.last().is_some_and(|last| (last.rows, last.share) == (250, 1.0)), "{told:?}");
    let text = std::fs::read_to_string(&out).expect("text");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert!(rows.iter().all(|row| row["state"] == "FAILURE" && row["name"] == "shop.pay"));
    assert_eq!(rows[0]["id"], id(2_490), "the latest first");
    stage.keys("e");
    assert_eq!(stage.done.pop(), Some(Do::StopExport), "once more stops it");
    std::fs::remove_file(&out).expect("there");
    let why = export::run(&stage.store, &order, |_| false).expect_err("stopped");
    assert!(why.starts_with("stopped: ") && !out.exists(), "{why}");
}

#[test]
fn marked_rows_are_exported_alone() {
    let (_folder, path) = plain(30);
    let mut stage = opened(&path, 120, 36, "  e");
    stage.draw();
    stage.keys("x.csv<Enter>");
    let Some(Do::Export(order)) = stage.done.pop() else { panic!("{:?}", stage.done) };
    let export::What::Documents(rows) = order.what else { panic!("rows") };
    let mut ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [id(28), id(29)]);
}

#[test]
fn the_audit_log_is_shown_as_it_is_stored() {
    let (_folder, path) = plain(3);
    let mut stage = opened(&path, 120, 30, "L");
    assert!(stage.text().contains("No command is in this file's audit log"), "{}", stage.text());
    stage.keys("<Esc>");
    let audit = Audit::open(&path).expect("opens");
    let from = Origin { user: "root".into(), ssh: "10.1.2.3".into(), sudo_user: "ann".into(), via: "ui" };
    let line = "flower-tui worker w@h grow 2".to_owned();
    let entry = Entry { command: "grow", target: "w@h".into(), arguments: "2".into(), line };
    let row = audit.asked(ago(120), &from, "redis://cache-1:6379/0", &entry).expect("written");
    audit.answered(row, ago(119), "confirmed", r#"{"w@h": {"ok": "pool will grow"}}"#).expect("written");
    let lost = Entry { command: "revoke", target: "\u{1b}[31mevil".into(), ..Entry::default() };
    audit.asked(ago(60), &Origin { user: "bob".into(), via: "cli", ..Origin::default() }, "b", &lost).expect("written");
    stage.keys("L");
    settle(&mut stage, &path);
    insta::assert_snapshot!("history-audit", stage.text());
}

#[test]
fn the_list_of_tasks_says_when_the_history_reaches_further() {
    let (_folder, path) = plain(30);
    let mut stage = stage(&path, 140, 36);
    stage.keys("1/since:3h task:shop<Enter>");
    let text = stage.text();
    assert!(text.contains("g h asks the history"), "{text}");
    stage.keys("gh");
    settle(&mut stage, &path);
    let text = stage.text();
    assert!(text.contains("filter  since:3h task:shop") && text.contains("30 of 30"), "{text}");
    stage.keys("<Esc>");
    assert!(stage.text().contains("g h asks the history"), "back on the list: {}", stage.text());
    let mut without = Stage::new(&busy(), 140, 36, Theme::dark());
    without.keys("/since:3h<Enter>");
    assert!(!without.text().contains("asks the history"), "{}", without.text());
}

#[test]
fn a_file_that_comes_back_is_found_without_a_key() {
    let (folder, path) = plain(30);
    let moved = folder.path().join("moved.db");
    std::fs::rename(&path, &moved).expect("moved");
    let mut stage = opened(&path, 100, 24, "");
    assert!(stage.text().contains("there is no such file"));
    std::fs::rename(&moved, &path).expect("moved");
    stage.wait(2);
    assert!(wanted(&mut stage).is_empty(), "not all the time");
    stage.wait(4);
    settle(&mut stage, &path);
    assert!(stage.text().contains("30 tasks"), "{}", stage.text());
}

#[test]
fn how_far_the_look_is_stands_in_the_line() {
    let (_folder, path) = plain(30);
    let mut stage = stage(&path, 120, 36);
    stage.keys("6/late");
    let requests = wanted(&mut stage);
    let progress = Progress { looked: 1_204_000, of: 9_841_223, found: 214 };
    answer(&mut stage, &requests[0], Found::Tasks(Part { progress, ..Part::default() }));
    answer(&mut stage, &requests[1], Found::Sums(Sums { progress, ..Sums::default() }));
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  late") && text.contains("214 of 9,841,223 · looked at 12 %"), "{text}");
    assert!(text.contains("Looking through the history"), "{text}");
}

#[test]
fn how_long_they_ran_is_told_of_any_selection() {
    let (_folder, path) = plain(30);
    for filter in ["", "worker:app-1", "state:success args:1"] {
        let mut stage = opened(&path, 120, 36, &format!("/{filter}<Enter>"));
        let text = stage.text();
        assert!(text.contains("27 success   runtime  p50 5"), "{filter}: {text}");
    }
}

#[test]
fn random_keys_and_hostile_texts_harm_nothing() {
    let hostile = SimOptions { scenario: Scenario::Hostile, tasks: 300, ..SimOptions::default() };
    let sim = SimBroker::new(&hostile, Clock::manual(Stamp::from_micros(NOON)));
    let mut batch = Batch::default();
    for message in sim.advance(Stamp::from_micros(NOON)) {
        batch.push(&message.data, &message.coding, message.received);
    }
    let (_folder, path) = file([batch]);
    let keys =
        ["j", "k", "G", "{", "}", "<", ">", "=", "Enter", "Esc", "Space", "*", "u", "v", "/", "e", "L", "s", "S"];
    let mut rng = fastrand::Rng::with_seed(7);
    let mut stage = opened(&path, 120, 36, "");
    for step in 0..1_500 {
        match rng.u32(0..30) {
            0 => stage.size = Size { width: rng.u16(1..210), height: rng.u16(1..70) },
            1 => stage.keys("6"),
            2 => stage.click_at(rng.u16(0..stage.size.width), rng.u16(0..stage.size.height)),
            3 => stage.app.drag(rng.u16(0..200), rng.u16(0..60), stage.size),
            _ => stage.key(keys[rng.usize(0..keys.len())]),
        }
        settle(&mut stage, &path);
        for cell in stage.draw().backend().buffer().content() {
            assert!(!cell.symbol().chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{step}");
        }
        assert!(!stage.done.drain(..).any(|what| matches!(what, Do::Run(_))), "{step}: nothing is sent unasked");
    }
}

#[test]
fn a_mark_that_was_written_down_stands_in_the_chart() {
    let (_folder, path) = simulated();
    flower_tui::history::marks::set(&path, ago(3_600), "v412").expect("set");
    let text = opened(&path, 120, 36, "").text();
    assert!(text.contains("▾v412"), "{text}");
}

#[test]
fn ages_are_counted_to_now_and_what_ran_then_is_shown_as_it_was_then() {
    let (_folder, path) = plain(3);
    let mut stage = opened(&path, 80, 24, "");
    assert!(row(&mut stage).contains("1m"), "the last came a minute ago: {}", stage.text());
    stage.wait(600);
    let text = stage.text();
    assert!(row(&mut stage).contains("11m") && text.contains("as of 14:03:27"), "{text}");
}

#[test]
fn what_recorded_tasks_have_in_common_is_asked_of_the_file() {
    let charge = |n: usize| {
        let tenant = ["acme", "globex", "initech"][n % 3];
        let fails = tenant == "acme";
        let at = ago(3_000 - n as u64);
        let event = |kind: &str, after: f64, more: Value| {
            let mut event =
                json!({"type": kind, "uuid": id(n), "hostname": "celery@app-1", "timestamp": at.secs() + after});
            event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            event
        };
        let kwargs = format!("{{'tenant': '{tenant}'}}");
        let received = json!({"name": "shop.pay", "args": "()", "kwargs": kwargs, "queue": "default"});
        let end = match fails {
            true => event("task-failed", 0.3, json!({"exception": "KeyError('x')"})),
            false => event("task-succeeded", 0.3, json!({"result": "1", "runtime": 0.1})),
        };
        flower_tui::history::batch(
            vec![event("task-received", 0.0, received), event("task-started", 0.1, json!({})), end],
            at,
        )
    };
    let (_folder, path) = file((0..300).map(charge));
    let mut stage = opened(&path, 120, 36, "%");
    assert!(stage.text().contains("mark some tasks first, or filter the list"), "{}", stage.text());
    stage.keys("/state:failure<Enter>");
    settle(&mut stage, &path);
    stage.keys("%");
    stage.draw();
    assert!(stage.text().contains("looking …"), "{}", stage.text());
    settle(&mut stage, &path);
    stage.draw();
    let text = stage.text();
    assert!(text.contains("100 chosen, compared with 200 others of the same name and time"), "{text}");
    assert!(text.contains("kwargs.tenant = 'acme'") && text.contains("100 of 100"), "{text}");
    stage.keys("<Enter>");
    settle(&mut stage, &path);
    stage.draw();
    let text = stage.text();
    assert!(text.contains("› in common › History") && text.contains("filter  state:failure kwargs:"), "{text}");
    // Of marked ones it is asked as well.
    stage.keys("<Esc><Esc>");
    settle(&mut stage, &path);
    stage.keys("  %");
    settle(&mut stage, &path);
    stage.draw();
    assert!(stage.text().contains("2 tasks marked") && stage.text().contains("2 chosen"), "{}", stage.text());
}

#[test]
fn a_task_sent_again_in_an_earlier_session_shows_as_which() {
    let (_folder, path) = plain(20);
    let audit = Audit::in_history(&path).expect("opens");
    let entry = Entry { command: "retry", ..Entry::default() };
    let row = audit.asked(ago(10), &Origin::default(), "b", &entry).expect("written");
    let replies = json!({id(10): {"ok": "sent", "id": id(11)}}).to_string();
    audit.answered(row, ago(9), "confirmed", &replies).expect("written");
    drop(audit);
    for (which, says) in [(10, format!("as {}", id(11))), (11, id(10))] {
        let mut stage = opened(&path, 120, 36, &format!("/id:{}<Enter>", id(which)));
        settle(&mut stage, &path);
        stage.keys("<Enter>");
        settle(&mut stage, &path);
        stage.draw();
        assert!(stage.text().contains(&says), "{}", stage.text());
    }
}
