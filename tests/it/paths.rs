//! What leads where: failures, workflows and charts open tasks, and Esc leads back; filters complete themselves, columns
//! are chosen, texts fold and are copied.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::state::Update;
use flower_tui::tui::app::Do;
use flower_tui::tui::theme::Theme;

use crate::screens::{Stage, busy};

fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(&busy(), width, height, Theme::dark());
    stage.draw();
    stage
}

/// Tasks of one workflow, each called by the one its function names.
fn workflow(stage: &Stage, n: usize, parent: impl Fn(usize) -> Option<usize>) {
    let mut batch = Batch::default();
    let at = stage.now().secs() - 100.0;
    let id = |i: usize| format!("{i:08x}-0000-4000-8000-000000000000");
    for i in 0..n {
        let (uuid, root) = (id(i), id(0));
        let parent = parent(i).map_or("null".to_owned(), |p| format!("\"{}\"", id(p)));
        let at = at + i as f64 * 0.001;
        let body = format!(
            r#"[{{"type": "task-received", "uuid": "{uuid}", "hostname": "celery@app-1", "pid": 7, "clock": 1, "timestamp": {at},
                 "name": "flow.step", "args": "()", "kwargs": "{{}}", "root_id": "{root}", "parent_id": {parent}}},
                {{"type": "task-started", "uuid": "{uuid}", "hostname": "celery@app-1", "pid": 7, "clock": 2, "timestamp": {at}}}]"#
        );
        batch.push_body(Format::Json, body.as_bytes(), stage.now()).expect("readable");
    }
    stage.store.apply(&[Update::Events(Arc::new(batch))]);
}

#[test]
fn failures_are_grouped_and_open_their_tasks() {
    for (width, height) in [(40, 12), (80, 24), (120, 36), (200, 60)] {
        let mut stage = stage(width, height);
        stage.keys("5j");
        insta::assert_snapshot!(format!("failures-{width}x{height}"), stage.text());
    }
    let mut stage = stage(120, 36);
    stage.keys("5j");
    let row = |stage: &mut Stage| stage.text().lines().find(|l| l.contains('▌')).map(str::to_owned);
    let before = row(&mut stage);
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  group:") && text.contains("› Failures › Tasks"), "{text}");
    assert!(!text.contains("SUCCESS"), "only failures: {text}");
    stage.keys("<Esc>");
    assert_eq!(row(&mut stage), before, "back on the same row");
}

#[test]
fn a_failure_sent_again_is_not_open_any_more() {
    let mut stage = stage(120, 36);
    stage.keys("/state:failure open:yes<Enter>");
    let open = |text: &str| text.lines().nth(2).map(str::to_owned);
    let before = open(&stage.text());
    let failed = stage.store.read(|m| {
        let all = m.all_tasks().find(|t| t.is_open() && t.group().is_some());
        all.map(|t| (t.id().clone(), t.group())).expect("something failed")
    });
    let count = |stage: &Stage| {
        stage.store.read(|m| failed.1.and_then(|g| m.failures().group(g)).map(|g| (g.count, g.open)).expect("a group"))
    };
    let (all, was_open) = count(&stage);
    stage.store.apply(&[Update::Retried(failed.0.clone(), flower_tui::celery::TaskId::new("new"), "payments".into())]);
    assert_eq!(count(&stage), (all, was_open - 1));
    assert_ne!(open(&stage.text()), before);
}

#[test]
fn a_workflow_is_a_tree_that_follows_live() {
    for (width, height) in [(40, 12), (80, 24), (120, 36)] {
        let mut stage = stage(width, height);
        stage.keys("/task:reports.render<Enter>");
        stage.draw();
        stage.keys("W");
        insta::assert_snapshot!(format!("workflow-{width}x{height}"), stage.text());
    }
    let mut stage = stage(120, 36);
    workflow(&stage, 3, |i| (i > 0).then_some(0));
    stage.keys("/flow.step<Enter>");
    stage.draw();
    stage.keys("W");
    let text = stage.text();
    assert!(text.contains("3 tasks") && text.contains("├─ flow.step") && text.contains("└─ flow.step"), "{text}");
    workflow(&stage, 4, |i| (i > 0).then_some(0));
    assert!(stage.text().contains("4 tasks"), "{}", stage.text());
    stage.keys("g");
    stage.keys("g");
    stage.keys(" ");
    assert!(stage.text().contains("▸ 3 more"), "{}", stage.text());
    stage.keys("<Enter>");
    assert!(stage.text().contains("› workflow › task"), "{}", stage.text());
    stage.keys("<Esc><Esc>");
    assert!(stage.text().contains("filter  flow.step"), "one step at a time");
}

#[test]
fn results_tell_who_forms_a_group_and_what_waited_for_it() {
    use flower_tui::celery::TaskId;
    use flower_tui::celery::result::Stored;
    let mut stage = stage(120, 36);
    let at = stage.now().secs() - 50.0;
    let id = |n: usize| format!("{n:08x}-1111-4000-8000-000000000000");
    let mut batch = Batch::default();
    // Three tasks that a client sent, each the root of its own; and one that the last of them led to.
    for n in 0..4 {
        let (sent, done) = (at + if n == 3 { 5.0 } else { 0.0 }, at + 4.0 + n as f64 * 0.5);
        let (root, parent) = if n == 3 { (id(2), format!("\"{}\"", id(2))) } else { (id(n), "null".into()) };
        let body = format!(
            r#"[{{"type": "task-sent", "uuid": "{0}", "hostname": "gen1@web", "clock": 1, "timestamp": {sent}, "name": "flow.part",
                 "root_id": "{root}", "parent_id": {parent}, "queue": "q"}},
                {{"type": "task-started", "uuid": "{0}", "hostname": "celery@app-1", "pid": 7, "clock": 2, "timestamp": {sent}}},
                {{"type": "task-succeeded", "uuid": "{0}", "hostname": "celery@app-1", "pid": 7, "clock": 3, "timestamp": {done},
                  "result": "1", "runtime": 1.0}}]"#,
            id(n)
        );
        batch.push_body(Format::Json, body.as_bytes(), stage.now()).expect("readable");
    }
    stage.store.apply(&[Update::Events(Arc::new(batch))]);
    stage.keys(&format!("/id:{}<Enter>", id(0)));
    stage.draw();
    stage.keys("W");
    assert!(stage.text().contains("1 task "), "events say nothing of groups: {}", stage.text());
    let near = stage.store.read(|m| m.may_be_grouped_with(&TaskId::new(&id(3)), 100));
    assert!((0..4).all(|n| near.contains(&TaskId::new(&id(n)))), "{near:?}");
    let stored = |n: usize| {
        let doc = format!(r#"{{"status": "SUCCESS", "result": 1, "group_id": "g1", "task_id": "{}"}}"#, id(n));
        (TaskId::new(&id(n)), Stored::read(doc.as_bytes()))
    };
    stage.store.apply(&[Update::Results { found: (0..3).map(stored).collect(), keep: false }]);
    stage.draw();
    let text = stage.text();
    assert!(text.contains("chord  flow.part   4 tasks"), "{text}");
    let body = text.lines().find(|line| line.contains("ran after the group")).expect("the body's row");
    assert!(body.contains(&id(3)[..8]) && !body.contains("└─"), "beside the group, not below a member: {body}");
}

#[test]
fn a_result_that_an_event_cut_short_is_shown_whole() {
    use flower_tui::celery::result::Stored;
    let mut stage = stage(120, 36);
    stage.keys("/state:success task:mail<Enter><Enter>");
    let text = stage.text();
    let id = stage.store.read(|m| {
        let mut done = m.all_tasks().map(|t| t.id().clone());
        done.find(|id| text.contains(&id.to_string())).expect("the task on the screen")
    });
    assert!(!stage.text().contains("from the result backend"), "{}", stage.text());
    let mut cut = Batch::default();
    let now = stage.now().secs();
    let body = format!(
        r#"{{"type": "task-succeeded", "uuid": "{id}", "hostname": "celery@app-1", "pid": 7, "clock": 9, "timestamp": {now},
            "result": "'the beginning...'", "runtime": 1.0}}"#
    );
    cut.push_body(Format::Json, body.as_bytes(), stage.now()).expect("readable");
    let whole = Stored::read(br#"{"status": "SUCCESS", "result": "the beginning and the end"}"#);
    stage.store.apply(&[Update::Events(Arc::new(cut)), Update::Results { found: vec![(id, whole)], keep: true }]);
    stage.draw();
    let text = stage.text();
    assert!(text.contains("from the result backend") && text.contains("'the beginning and the end'"), "{text}");
}

#[test]
fn a_result_that_cannot_be_read_says_why_on_the_screen() {
    use flower_tui::celery::TaskId;
    use flower_tui::celery::result::{Opaque, Stored, TaskResult};
    let mut stage = stage(120, 36);
    stage.keys("/state:success task:mail<Enter><Enter>");
    let missing = "can't reach db+postgresql://joe:***@db/shop: connection refused";
    stage.store.apply(&[Update::NoResults(missing.into())]);
    stage.draw();
    assert!(stage.text().contains(&format!("The result backend can't be read: {missing}.")), "{}", stage.text());
    let text = stage.text();
    let ids: Vec<TaskId> = stage.store.read(|m| m.all_tasks().map(|t| t.id().clone()).collect());
    let id = ids.into_iter().find(|id| text.contains(&id.to_string())).expect("the task on the screen");
    let unread = Some(Opaque { size: 34, why: Opaque::PICKLED.into() });
    let pickled = Stored::Result(Box::new(TaskResult { status: "SUCCESS".into(), unread, ..TaskResult::default() }));
    stage.store.apply(&[Update::Results { found: vec![(id, pickled)], keep: true }]);
    stage.draw();
    let text = stage.text();
    assert!(text.contains("holds 34B for it that can't be shown: it is pickled."), "{text}");
    assert!(!text.contains("can't be read"), "{text}");
}

#[test]
fn ten_thousand_calls_in_a_row_are_a_tree_too() {
    let mut stage = stage(120, 36);
    workflow(&stage, 10_000, |i| i.checked_sub(1));
    stage.keys("/flow.step<Enter>");
    stage.draw();
    stage.keys("W");
    let text = stage.text();
    assert!(text.contains("10,000 tasks"), "{text}");
    stage.keys("G");
    assert!(stage.text().contains("▌"));
}

#[test]
fn the_monitor_reads_values_at_a_time_and_opens_its_tasks() {
    let mut stage = stage(120, 36);
    stage.keys("3{{{{");
    let text = stage.text();
    assert!(text.contains("values at 14:02:36"), "{text}");
    insta::assert_snapshot!("monitor-cursor", text);
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("since:2026-11-24T14:02:21 until:2026-11-24T14:02:36"), "{text}");
    assert!(text.contains("› Monitor › Tasks"), "{text}");
    stage.keys("<Esc>");
    assert!(stage.text().contains("values at 14:02:36"), "the cursor is where it was");
    stage.keys("z");
    assert!(stage.text().contains("window 5m"), "{}", stage.text());
    stage.keys("<Esc><Esc>o");
    assert!(stage.text().lines().nth(2).is_some_and(|l| l.contains("media.transcode")), "{}", stage.text());
    stage.keys("o<Enter>");
    assert!(stage.text().contains("task:=media.transcode since:"), "{}", stage.text());
}

#[test]
fn a_stop_of_our_feed_is_a_hole_and_never_zero() {
    let mut stage = stage(120, 36);
    let now = stage.now();
    let at = |secs: u64| now - Duration::from_secs(secs);
    stage.store.apply(&[
        Update::Link(at(890), true),
        Update::Link(at(600), false),
        Update::Link(at(300), true),
        Update::Tick(now),
    ]);
    stage.keys("3");
    let text = stage.text();
    let holed = |line: &str| {
        let plot: String = line.chars().skip(9).take(50).collect();
        plot.starts_with('⣉') && plot.contains("               ") && plot.trim_end().ends_with(|c| c > '⠀')
    };
    assert!(text.lines().any(holed), "{text}");
    assert!(text.contains("▾our link"), "a mark says why: {text}");
}

#[test]
fn a_filter_completes_keys_and_the_values_it_knows() {
    let mut stage = stage(120, 36);
    stage.keys("/sta");
    assert!(stage.text().contains("the state, or the beginning of its name"), "{}", stage.text());
    stage.keys("<Tab>");
    let text = stage.text();
    assert!(text.contains("state:") && text.contains("failure") && text.contains("revoked"), "{text}");
    stage.keys("fa<Tab> task:charge<Tab><Enter>");
    assert!(stage.text().contains("filter  state:failure task:billing.charge_card"), "{}", stage.text());
    stage.keys("/<Esc>/runtime:>x");
    assert!(stage.text().contains("runtime takes a number"), "{}", stage.text());
}

#[test]
fn columns_are_chosen_ordered_and_reached_sideways() {
    let mut stage = stage(80, 24);
    stage.keys("ll");
    assert!(stage.text().contains("QUEUE"), "{}", stage.text());
    stage.keys("hh");
    assert!(!stage.text().contains("QUEUE"));
    stage.keys("c");
    insta::assert_snapshot!("columns", stage.text());
    stage.keys("jj <Enter>");
    let text = stage.text();
    assert!(text.contains("WORKER") && !text.contains(" ID "), "{text}");
}

#[test]
fn times_are_told_in_three_ways() {
    let mut stage = stage(120, 36);
    let received = |stage: &mut Stage| stage.text().lines().nth(4).map(|l| l[88..100].trim().to_owned());
    let clock = received(&mut stage);
    stage.keys("TT");
    let ago = received(&mut stage);
    assert_ne!(clock, ago);
    stage.keys("T");
    assert_eq!(received(&mut stage), clock);
}

#[test]
fn texts_fold_and_are_searched_and_copied() {
    let mut stage = stage(120, 48);
    stage.keys("/state:failure task:charge<Enter><Enter>");
    stage.keys("G");
    assert!(stage.text().contains("gateway.py"), "{}", stage.text());
    stage.keys("z");
    let text = stage.text();
    assert!(!text.contains("gateway.py") && text.contains("▸ traceback"), "{text}");
    stage.keys("/gateway.py<Enter>");
    assert!(stage.text().contains("gateway.py\", line 88"), "a match in a folded part is unfolded: {}", stage.text());
    stage.keys("y");
    assert!(stage.text().contains("traceback"), "{}", stage.text());
    stage.keys("<Enter>");
    let Some(Do::Copy(id)) = stage.done.pop() else { panic!("{:?}", stage.done) };
    assert_eq!(id.len(), 36, "the first thing one copies is the id");
    assert!(stage.text().contains("copied id"));
}

#[test]
fn the_edge_above_the_details_is_dragged() {
    let mut stage = stage(120, 36);
    let rule = |stage: &mut Stage| stage.text().lines().position(|l| l.starts_with("\"─")).expect("a rule");
    let before = rule(&mut stage) as u16;
    stage.click_at(60, before);
    let size = stage.size;
    stage.app.drag(0, before - 5, size);
    assert_eq!(rule(&mut stage) as u16, before - 5);
}

#[test]
fn a_filter_that_reaches_beyond_memory_says_so() {
    let mut stage = stage(120, 36);
    stage.keys("/since:6h<Enter>");
    assert!(stage.text().contains("not watched yet"), "{}", stage.text());
    stage.keys("/<ctrl-u>since:v412<Enter>");
    assert!(stage.text().contains("no mark is named v412"), "{}", stage.text());
    stage.keys("/<ctrl-u>since:deploy<Enter>");
    assert!(!stage.text().contains("no mark"), "{}", stage.text());
}

#[test]
fn one_goes_round_from_the_list_to_the_task_to_its_workflow() {
    let mut stage = stage(120, 36);
    stage.keys("/task:reports.render<Enter>");
    stage.draw();
    stage.keys("<Tab>");
    assert!(stage.text().contains("› task "), "{}", stage.text());
    stage.keys("<Tab>");
    assert!(stage.text().contains("› workflow"), "{}", stage.text());
    stage.keys("<BackTab>");
    assert!(stage.text().contains("› task "), "{}", stage.text());
    stage.keys("<Tab><Tab>");
    assert!(stage.text().contains("filter  task:reports.render"), "{}", stage.text());
}

#[test]
fn a_screen_of_no_use_says_what_it_takes() {
    let mut stage = stage(120, 36);
    stage.size = ratatui::layout::Size { width: 15, height: 4 };
    assert!(stage.text().contains("at least 16x5"), "{}", stage.text());
}
