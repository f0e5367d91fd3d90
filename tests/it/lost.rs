//! Tasks that went away with their worker, and events that were missed, on the screens that show them.

use std::sync::Arc;

use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::sim::Options as SimOptions;
use flower_tui::state::Update;
use flower_tui::tui::theme::Theme;

use super::screens::Stage;

const LONG: &str = "5b1e22f0-0000-4000-8000-000000000001";
const SHORT: &str = "5b1e22f0-0000-4000-8000-000000000002";

/// A quiet cluster in which one more worker runs a task and holds another.
fn stage() -> Stage {
    let quiet = SimOptions { tasks: 300, rate: 0.0, ..SimOptions::default() };
    let mut stage = Stage::new(&quiet, 120, 30, Theme::dark());
    stage.pass(3);
    let now = stage.now();
    stage.store.apply(&[Update::Link(now, true)]);
    let at = now.secs();
    let events = format!(
        r#"[{{"type":"worker-heartbeat","hostname":"celery@gpu-1","pid":71,"freq":2.0,"active":1,"processed":9,
             "loadavg":[1,1,1],"timestamp":{at}}},
            {{"type":"task-received","uuid":"{LONG}","name":"reports.train","hostname":"celery@gpu-1","pid":71,
             "args":"(7,)","kwargs":"{{}}","timestamp":{at}}},
            {{"type":"task-started","uuid":"{LONG}","hostname":"celery@gpu-1","pid":71,"timestamp":{at}}},
            {{"type":"task-received","uuid":"{SHORT}","name":"reports.publish","hostname":"celery@gpu-1","pid":71,
             "args":"(8,)","kwargs":"{{}}","timestamp":{at}}}]"#
    );
    tell(&stage, &events);
    stage
}

/// Events as they come just now.
fn tell(stage: &Stage, events: &str) {
    let mut batch = Batch::default();
    assert!(batch.push_body(Format::Json, events.as_bytes(), stage.now()).is_ok());
    stage.store.apply(&[Update::Events(Arc::new(batch))]);
}

#[test]
fn what_was_lost_with_its_worker_is_seen_in_every_place_that_shows_it() {
    let mut stage = stage();
    for _ in 0..8 {
        stage.pass(2);
    }
    stage.keys("/state:lost<Enter>");
    insta::assert_snapshot!("lost_tasks", stage.draw().backend());
    stage.keys("j<Enter>");
    let id = flower_tui::celery::TaskId::new(LONG);
    let again = stage.now() + std::time::Duration::from_secs(3_600);
    stage.store.apply(&[Update::Unacked(vec![(id, Some(again))], true)]);
    insta::assert_snapshot!("lost_task", stage.draw().backend());
    stage.keys("<Esc>2");
    insta::assert_snapshot!("lost_workers", stage.draw().backend());
}

#[test]
fn a_lost_task_can_be_sent_again_and_the_question_says_whether_it_comes_back_by_itself() {
    let mut stage = stage();
    let at = stage.now().secs();
    let sent = format!(r#"[{{"type":"task-sent","uuid":"{LONG}","hostname":"web","queue":"gpu","timestamp":{at}}}]"#);
    tell(&stage, &sent);
    for _ in 0..8 {
        stage.pass(2);
    }
    stage.keys(&format!("/id:{LONG}<Enter>"));
    let text = stage.text();
    assert!(text.contains("LOST") && text.lines().last().is_some_and(|hints| hints.contains("r retry")), "{text}");
    stage.store.apply(&[Update::Unacked(Vec::new(), true)]);
    stage.keys("r");
    let text = stage.text();
    assert!(text.contains("Send 1 task again?") && !text.contains("twice"), "{text}");
    let again = stage.now() + std::time::Duration::from_secs(3_600);
    stage.store.apply(&[Update::Unacked(vec![(flower_tui::celery::TaskId::new(LONG), Some(again))], true)]);
    stage.keys("<Esc>r");
    let text = stage.text();
    assert!(text.contains("It was lost, and the broker gives it out again, from 15:"), "{text}");
    assert!(text.contains("sent now too, it runs twice"), "{text}");
}

#[test]
fn what_a_worker_counts_and_nobody_heard_of_is_said_and_figures_are_marked() {
    let mut stage = stage();
    for (processed, started) in [(9, 0), (19, 7), (29, 10), (39, 10)] {
        stage.pass(2);
        let at = stage.now().secs();
        let starts = (0..started).map(|n| {
            format!(
                r#"{{"type":"task-started","uuid":"{processed}-{n}","hostname":"celery@gpu-1","pid":71,"timestamp":{at}}},
                   {{"type":"task-succeeded","uuid":"{processed}-{n}","hostname":"celery@gpu-1","pid":71,"timestamp":{at}}},"#
            )
        });
        let starts: String = starts.collect();
        tell(
            &stage,
            &format!(
                r#"[{starts}{{"type":"worker-heartbeat","hostname":"celery@gpu-1","pid":71,"freq":2.0,"active":1,
                    "processed":{processed},"loadavg":[1,1,1],"timestamp":{at}}}]"#
            ),
        );
    }
    let text = stage.text();
    // One of those that were seen ran already when counting began.
    assert!(text.contains("~3 unseen") && text.contains("≥") && text.contains("% ok"), "{text}");
    stage.keys("2/gpu<Enter>");
    let text = stage.text();
    assert!(text.contains("~0.0%"), "{text}");
    assert!(text.contains("~3 tasks unseen: events missed"), "{text}");
}
