//! What all lists share: moments with a name between their rows, files written from them, reports, what was asked for.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::LinkState;
use flower_tui::celery::TaskId;
use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::export::What;
use flower_tui::sim::{Options, Scenario};
use flower_tui::state::deeds::Deed;
use flower_tui::state::queue::Depth;
use flower_tui::state::{Limits, Store, Update};
use flower_tui::tui::app::{Do, Told};
use flower_tui::tui::options::Offer;
use flower_tui::tui::theme::{Role, Theme};

use crate::screens::{Stage, busy};

fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(&busy(), width, height, Theme::dark());
    stage.draw();
    stage
}

/// The line that has a text.
fn line(text: &str, part: &str) -> Option<String> {
    text.lines().find(|line| line.contains(part)).map(str::to_owned)
}

#[test]
fn a_moment_with_a_name_stands_between_the_tasks_it_came_between() {
    let mut stage = stage(120, 36);
    let at = stage.now() - Duration::from_secs(4);
    stage.store.apply(&[Update::Mark(at, "deploy: 3 workers started".into())]);
    insta::assert_snapshot!("tasks-with-a-mark", stage.text());
    let tasks = |stage: &mut Stage| stage.text().lines().filter(|l| l.contains("celery@app-")).count();
    let before = tasks(&mut stage);
    let rows: Vec<String> = stage.text().lines().map(str::to_owned).collect();
    let rule = rows.iter().position(|l| l.contains("deploy: 3 workers started")).expect("the mark");
    // A click below the line chooses the task that stands there.
    stage.click_at(20, rule as u16 + 1);
    let task = |line: &str| line.split_once("S  ").map(|(_, rest)| rest.to_owned());
    assert_eq!(line(&stage.text(), "▌").and_then(|l| task(&l)), task(&rows[rule + 1]));
    // The mark is no row: the cursor goes over it, and down to the last line.
    for _ in 0..40 {
        stage.keys("k");
    }
    for _ in 0..before {
        stage.keys("j");
    }
    let text = stage.text();
    assert!(text.contains("deploy: 3") && text.contains('▌'), "{text}");
    assert_eq!(tasks(&mut stage), before);
    stage.keys("S");
    stage.keys("G");
    assert!(stage.text().contains("deploy: 3 workers started"), "the other way round: {}", stage.text());
    stage.keys("S");
    stage.keys("/since:depl<Right><Enter>");
    let text = stage.text();
    assert!(text.contains("since:\"deploy: 3 workers started\""), "{text}");
}

#[test]
fn moments_with_a_name_stand_over_the_heat_lines() {
    let mut stage = stage(120, 40);
    let at = stage.now() - Duration::from_secs(300);
    stage.store.apply(&[Update::Mark(at, "deploy v412".into())]);
    stage.keys("3");
    let heat = line(&stage.text(), "WORKERS").expect("heat lines");
    assert!(heat.contains("▾deploy v412") && heat.contains("now"), "{heat}");
}

#[test]
fn a_revoke_that_nobody_has_settled_yet_is_seen() {
    let mut stage = stage(120, 36);
    let running = |stage: &Stage| {
        stage.store.read(|m| m.all_tasks().find(|t| t.state().name() == "STARTED").map(|t| t.id().clone()))
    };
    while running(&stage).is_none() {
        stage.pass(1);
    }
    let id = running(&stage).expect("it does");
    let asked = format!("{}", stage.now().secs() as u64 % 60);
    stage.store.apply(&[Update::RevokeAsked(stage.now(), vec![id.clone()])]);
    stage.keys(&format!("/id:{id}<Enter>"));
    let text = stage.text();
    assert!(text.contains("●⊘ STARTED") && text.contains(&format!("⊘ revoke asked 14:03:{asked}")), "{text}");
    stage.keys("<Enter>");
    assert!(stage.text().contains(&format!("asked 14:03:{asked}: no event has said yet")), "{}", stage.text());
}

#[test]
fn what_was_sent_again_and_what_it_was_sent_in_place_of_name_each_other() {
    let mut stage = stage(120, 36);
    let ids: Vec<TaskId> = stage.store.read(|m| {
        let tasks = m.all_tasks().filter(|task| task.is_open() || task.state().name() == "SUCCESS");
        tasks.map(|task| task.id().clone()).take(2_000).collect()
    });
    let old = stage.store.read(|m| ids.iter().find(|id| m.task(id).is_some_and(|t| t.is_open())).cloned());
    let new = stage.store.read(|m| ids.iter().find(|id| m.task(id).is_some_and(|t| !t.is_open())).cloned());
    let (old, new) = (old.expect("a failure"), new.expect("a success"));
    stage.store.apply(&[Update::Retried(old.clone(), new.clone(), "payments".into())]);
    stage.keys(&format!("/id:{old}<Enter>"));
    assert!(stage.text().contains(&format!("sent again as {}", new.short())), "{}", stage.text());
    stage.keys(&format!("/<ctrl-u>id:{new}<Enter>"));
    assert!(stage.text().contains(&format!("in place of {}", old.short())), "{}", stage.text());
}

#[test]
fn what_somebody_sent_again_already_goes_out_once_more_only_when_it_is_asked_for() {
    let mut stage = stage(120, 36);
    let failed: Vec<TaskId> =
        stage.store.read(|m| m.all_tasks().filter(|t| t.is_open()).map(|t| t.id().clone()).take(3).collect());
    let [first, second, _] = &failed[..] else { panic!("{failed:?}") };
    let again = |id: &TaskId, new: &str| Deed::SentAgain(id.clone(), TaskId::new(new));
    stage.store.apply(&[Update::Deeds(vec![again(first, "new-1"), again(second, "new-2")])]);
    let ids = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    stage.keys(&format!("/id:{ids}<Enter>   r"));
    assert!(stage.text().contains("already sent again: 2 of 3"), "{}", stage.text());
    stage.keys("<Enter>");
    assert!(stage.text().contains("Send 1 task again?"), "{}", stage.text());
    stage.keys("<Esc>rj<Enter>");
    let text = stage.text();
    assert!(text.contains("Send 3 tasks again?") && text.contains("2 tasks were sent again already."), "{text}");
}

#[test]
fn e_asks_for_a_file_and_writes_what_is_listed() {
    let mut stage = stage(120, 36);
    stage.keys("/state:failure<Enter>e");
    insta::assert_snapshot!("export", stage.text());
    stage.keys("<Enter>");
    let [Do::Export(export)] = &stage.done[..] else { panic!("{:?}", stage.done) };
    assert_eq!(export.path, "tasks-20261124-140327.csv");
    let What::Selected(filter, _) = &export.what else { panic!("{export:?}") };
    assert_eq!(filter.to_string(), "state:failure");
    let now = stage.now();
    stage.app.exported(&Told::Done("wrote 3 rows (1.1K) to /home/me/x.csv".into()), now);
    assert!(stage.text().contains("wrote 3 rows (1.1K) to /home/me/x.csv"));
    stage.done.clear();
    stage.keys("  ex.jsonl<Enter>");
    let [Do::Export(export)] = &stage.done[..] else { panic!("{:?}", stage.done) };
    assert!(matches!(&export.what, What::Tasks(ids) if ids.len() == 2) && export.path == "x.jsonl", "{export:?}");
    for (tab, kind, rows) in [("2", "workers", 5), ("4", "queues", 4)] {
        stage.done.clear();
        stage.keys("e");
        assert_eq!(stage.done.pop(), Some(Do::StopExport), "while one is written, e stops it");
        stage.app.exported(&Told::Failed("stopped".into()), now);
        stage.keys(tab);
        stage.draw();
        stage.keys("e<Enter>");
        let [Do::Export(export)] = &stage.done[..] else { panic!("{:?}", stage.done) };
        assert!(matches!(&export.what, What::Documents(docs) if docs.len() == rows), "{export:?}");
        assert!(export.path.starts_with(kind));
    }
    stage.done.clear();
    stage.app.exported(&Told::Done("wrote 4 rows".into()), now);
    stage.keys("5");
    stage.draw();
    stage.keys("j e<Esc>");
    assert_eq!(stage.done, [], "who leaves the question writes nothing");
    stage.keys("e<Enter>");
    let [Do::Export(export)] = &stage.done[..] else { panic!("{:?}", stage.done) };
    let What::Selected(filter, _) = &export.what else { panic!("{export:?}") };
    assert!(
        filter.to_string().starts_with("group:=") && !filter.to_string().contains(','),
        "only what is marked: {filter}"
    );
}

#[test]
fn a_report_is_a_few_lines_without_arguments() {
    let mut stage = stage(120, 36);
    let mut report = |keys: &str| {
        stage.done.clear();
        stage.keys(keys);
        stage.draw();
        stage.keys("y");
        let at = stage.text().lines().filter(|l| l.contains('│')).position(|l| l.contains("report")).expect("a report");
        let first = stage.text().lines().filter(|l| l.contains('│')).position(|l| l.contains('▌')).unwrap_or(0);
        (first..at).for_each(|_| stage.keys("j"));
        stage.keys("<Enter>");
        match &stage.done[..] {
            [Do::Copy(text)] => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    let failures = report("5");
    assert!(failures.starts_with("billing.charge_card: CardDeclined: insufficient funds for card <n>\n"), "{failures}");
    assert!(failures.contains("raised at  gateway.py:88 in charge") && failures.contains("14:03:27 UTC"), "{failures}");
    assert!(failures.contains("cluster    production, redis://cache-1:6379/0"), "{failures}");
    let worker = report("2");
    assert!(worker.starts_with("celery@app-1\n  status     online\n  pool       prefork"), "{worker}");
    let queue = report("4");
    assert!(queue.starts_with("queue default\n  waiting    0"), "{queue}");
    for text in [failures, worker, queue] {
        assert!(text.lines().count() <= 12, "{text}");
    }
}

#[test]
fn one_key_leads_from_a_worker_and_a_queue_to_their_tasks() {
    let mut stage = stage(80, 24);
    stage.keys("2");
    stage.draw();
    stage.keys("j<Enter>");
    let text = stage.text();
    assert!(text.lines().last().is_some_and(|hints| hints.contains("\" t tasks")), "the first hint: {text}");
    stage.keys("t");
    let text = stage.text();
    assert!(text.contains("filter  worker:=celery@app-2") && text.contains("› Workers › celery"), "{text}");
    stage.keys("<Esc><Esc>  t");
    assert!(stage.text().contains("worker:=celery@app-2,=celery@ap"), "those that are marked: {}", stage.text());
    stage.keys("4");
    stage.draw();
    stage.keys("t");
    assert!(stage.text().contains("queue:=default"), "{}", stage.text());
}

#[test]
fn a_broker_that_was_typed_is_offered_to_be_kept() {
    let mut stage = stage(100, 24);
    let offer = Offer { url: "redis://:***@box:6379/0".into(), file: "/home/me/.config/flower-tui/config.toml".into() };
    stage.app.options.offer = Some(offer);
    insta::assert_snapshot!("keep", stage.text());
    stage.keys("a b<Enter>");
    assert!(stage.text().contains("letters, digits") && stage.done.is_empty(), "{}", stage.text());
    stage.keys("<Backspace><Backspace>box<Enter>");
    assert_eq!(stage.done, [Do::Keep("abox".into())]);
    assert!(!stage.text().contains("keep redis"), "asked once");
    stage.app.options.offer = Some(Offer { url: "redis://x".into(), file: "f".into() });
    stage.draw();
    stage.keys("<Esc>");
    assert!(!stage.text().contains("keep redis") && stage.done.len() == 1, "{}", stage.text());
}

#[test]
fn a_text_no_clipboard_takes_is_shown_to_be_selected() {
    let mut stage = stage(80, 24);
    stage.app.show_text("first line\nsecond line".into(), "the clipboard can't be reached from here");
    let text = stage.text();
    assert!(text.contains("\"first line ") && text.contains("\"second line "), "from the left edge on: {text}");
    assert!(text.contains("select it here, with Shift held down"), "{text}");
    stage.keys("<Esc>");
    assert!(!stage.text().contains("first line"));
    let now = stage.now();
    stage.app.say("x", Role::Muted, now);
}

#[test]
fn a_process_whose_task_has_ended_is_not_said_to_run_it() {
    let mut stage = stage(120, 36);
    stage.keys("2");
    stage.draw();
    // What was asked is older than what events have told since.
    stage.keys("<Enter>");
    for _ in 0..10 {
        stage.hear(2);
        let text = stage.text();
        if text.contains("ended 14:0") {
            let row = line(&text, "ended 14:0").expect("a row");
            assert!(!row.contains('●') && row.contains("after "), "{row}");
            return;
        }
        stage.pass(1);
    }
    panic!("nothing ended: {}", stage.text());
}

#[test]
fn what_cannot_be_known_yet_is_not_said_to_be_nothing() {
    let none = Options { tasks: 0, rate: 0.0, workers: 0, ..Options::default() };
    for (width, height) in [(40, 12), (80, 24), (120, 36)] {
        let mut stage = Stage::new(&none, width, height, Theme::dark());
        stage.link = LinkState::Connecting;
        for tab in ["3", "5"] {
            stage.keys(tab);
            let text = stage.text();
            assert!(text.contains("Connecting to the broker:") && text.contains("known yet."), "{text}");
        }
        let now = stage.now();
        stage.link = down(now);
        stage.keys("5");
        assert!(stage.text().contains("The broker was not reached yet:"), "{}", stage.text());
        let quiet = Options { scenario: Scenario::Quiet, ..busy() };
        let mut stage = Stage::new(&quiet, width, height, Theme::dark());
        (0..8).for_each(|_| stage.pass(2));
        stage.keys("5");
        let text = stage.text();
        assert!(text.contains("Workers send no task events:") && !text.contains("Nothing has failed"), "{text}");
    }
}

fn down(since: flower_tui::clock::Stamp) -> LinkState {
    LinkState::Down { since, why: "connection refused".into(), hint: "", retry: since + Duration::from_secs(75) }
}

#[test]
fn behind_a_broken_link_everything_stays_as_it_was_and_the_cluster_keeps_its_name() {
    for width in [40, 120] {
        let mut stage = stage(width, 40);
        stage.keys("4");
        stage.draw();
        let now = stage.now();
        stage.link = down(now);
        stage.wait(70);
        let text = stage.text();
        assert!(text.contains("production") && text.contains("○ down 1m 10s"), "{text}");
        // Also where there is room for a few words only.
        assert!(text.contains("in 5s"), "{text}");
        if width == 120 {
            assert!(text.contains("5/5 workers") && text.contains("trying again in 5s"), "{text}");
            let row = line(&text, " ● default").expect("a queue");
            assert!(row.contains("  4   1.9   1.9"), "consumers and rates as they were: {row}");
            stage.keys("3");
            let text = stage.text();
            assert!(text.contains("of 38 processes") && text.contains("celery@app-1"), "{text}");
        }
    }
}

#[test]
fn a_heat_line_opens_the_tasks_of_its_worker_in_the_time_that_is_read() {
    let mut stage = stage(120, 40);
    stage.keys("3");
    stage.draw();
    stage.keys("k");
    let selected = line(&stage.text(), "▌").expect("a line");
    assert!(selected.contains("celery@app-5"), "up from the first task: {selected}");
    stage.keys("kkkkkk");
    assert!(line(&stage.text(), "▌").is_some_and(|row| row.contains("celery@app-1")));
    stage.keys("j<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  worker:=celery@app-2 since:15m"), "{text}");
    stage.keys("<Esc>");
    assert!(line(&stage.text(), "▌").is_some_and(|row| row.contains("celery@app-2")), "back on the same line");
    stage.keys("jjjj");
    assert!(line(&stage.text(), "▌").is_some_and(|row| !row.contains("celery@")), "down to the tasks again");
    let rows: Vec<String> = stage.text().lines().map(str::to_owned).collect();
    let y = rows.iter().position(|row| row.contains("celery@app-3")).expect("a heat line");
    stage.click_at(70, y as u16);
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  worker:=celery@app-3 since:2026-11-24T13:5"), "{text}");
}

#[test]
fn a_filter_that_reaches_further_than_successes_are_kept_says_so() {
    let mut stage = stage(120, 36);
    stage.store = Store::new(Limits { tasks: 100, ..Limits::default() });
    let event = |n: usize| {
        let kind = if n.is_multiple_of(50) { "task-failed" } else { "task-succeeded" };
        let at = stage.now().secs() - 400.0 + n as f64;
        format!(r#"{{"type": "{kind}", "uuid": "t{n}", "hostname": "celery@app-1", "name": "t", "timestamp": {at}}}"#)
    };
    let body: Vec<String> = (0..300).map(event).collect();
    let mut batch = Batch::default();
    let begun = stage.now() - Duration::from_secs(400);
    batch.push_body(Format::Json, format!("[{}]", body.join(",")).as_bytes(), begun).expect("readable");
    stage.store.apply(&[Update::Events(Arc::new(batch))]);
    stage.keys("/since:10m<Enter>");
    let text = stage.text();
    assert!(text.contains("100 of 100 · before 14:00:") && text.contains(" only failures"), "{text}");
    stage.keys("/<ctrl-u>since:1m<Enter>");
    let text = stage.text();
    assert!(!text.contains("only failures") && text.contains("complete since 14:00:"), "{text}");
}

#[test]
fn a_queue_in_trouble_is_seen_by_its_dot() {
    let mut stage = stage(120, 36);
    let depth = |name: &str, ready: u64, consumers: u64| Depth {
        name: name.into(),
        ready,
        by_priority: vec![(0, ready)],
        consumers: Some(consumers),
        ..Depth::default()
    };
    for n in 0..6 {
        let depths = vec![depth("calm", 3, 2), depth("grows", 100 * (n + 1), 2), depth("nobody", 4, 0)];
        stage.store.apply(&[Update::Queues(stage.now(), depths)]);
        stage.wait(10);
    }
    stage.keys("4");
    let role = |stage: &mut Stage, queue: &str| {
        let y = stage.text().lines().position(|l| l.contains(&format!(" {queue} "))).expect("a queue") as u16;
        let terminal = stage.draw();
        let cell = terminal.backend().buffer()[(2, y)].clone();
        let theme = Theme::dark();
        let roles = [Role::Ok, Role::Warn, Role::Fail];
        (cell.symbol().to_owned(), roles.into_iter().position(|role| theme.style(role).fg == Some(cell.fg)))
    };
    assert_eq!(role(&mut stage, "calm"), ("●".into(), Some(0)));
    assert_eq!(role(&mut stage, "grows"), ("●".into(), Some(1)));
    assert_eq!(role(&mut stage, "nobody"), ("○".into(), Some(2)));
}

#[test]
fn a_failure_that_was_never_seen_before_says_so_and_takes_its_room_from_no_other_row() {
    let mut stage = stage(120, 36);
    (0..20).for_each(|_| stage.pass(60));
    let event = format!(
        r#"{{"type": "task-failed", "uuid": "odd", "hostname": "celery@app-1", "timestamp": {}, "name": "odd.task",
             "exception": "Odd('never seen')", "traceback": "  File \"/srv/odd.py\", line 7, in odd\n"}}"#,
        stage.now().secs()
    );
    let mut batch = Batch::default();
    batch.push_body(Format::Json, event.as_bytes(), stage.now()).expect("readable");
    stage.store.apply(&[Update::Events(Arc::new(batch))]);
    stage.keys("5");
    let text = stage.text();
    assert!(
        line(&text, "Odd:").is_some_and(|row| row.contains("new Odd: never seen") && row.contains("odd.py:7 in odd")),
        "{text}"
    );
    let columns = |row: String| row.find("CardDeclined").or(row.find("new Odd")).map(|at| row[..at].chars().count());
    assert_eq!(line(&text, "Odd:").and_then(columns), line(&text, "CardDeclined").and_then(columns), "{text}");
}
