//! The tab of what runs by the clock: RedBeat's entries as they lie on Redis, and periods learnt from arrivals.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::ops::{Beat, Command};
use flower_tui::schedule::redbeat::{Document, Documents};
use flower_tui::sim::Options;
use flower_tui::state::Update;
use flower_tui::tui::app::Do;
use flower_tui::tui::theme::Theme;
use serde_json::json;

use crate::screens::Stage;

fn document(name: &str, schedule: &serde_json::Value, ago: f64, due: i64, enabled: bool) -> Document {
    let last =
        jiff::Timestamp::from_second(1_795_529_007 - ago as i64).expect("time").to_zoned(jiff::tz::TimeZone::UTC);
    let at = json!({"__type__": "datetime", "year": last.year(), "month": last.month(), "day": last.day(),
        "hour": last.hour(), "minute": last.minute(), "second": last.second(), "microsecond": 0, "timezone": "UTC"});
    let definition = json!({"name": name, "task": format!("jobs.{name}"), "args": [12, "daily"],
        "kwargs": {"tenant": "acme", "password": "hunter2"}, "options": {"queue": "reports"}, "schedule": schedule,
        "enabled": enabled});
    Document {
        key: format!("redbeat:{name}"),
        definition: definition.to_string(),
        meta: Some(json!({"last_run_at": at, "total_run_count": 4_211}).to_string()),
        due: Some(1_795_529_007 + due),
        fixed: name == "cleanup",
    }
}

fn documents() -> Documents {
    let every = |secs: f64| json!({"__type__": "interval", "every": secs, "relative": false});
    let daily = json!({"__type__": "crontab", "minute": "30", "hour": "3", "day_of_week": "*", "day_of_month": "*",
        "month_of_year": "*"});
    Documents {
        documents: vec![
            document("heartbeat", &every(30.0), 12.0, 18, true),
            document("nightly", &daily, 38_000.0, 48_393, true),
            document("sync_orders", &every(60.0), 190.0, -130, true),
            document("cleanup", &every(3_600.0), 90.0, 3_510, false),
        ],
        locked: true,
    }
}

/// The screen with RedBeat's entries, and a task that came every five minutes.
fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(&Options { tasks: 0, rate: 0.0, ..Options::default() }, width, height, Theme::dark());
    for n in (0..6).rev() {
        let at = stage.now() - Duration::from_secs(300 * n + 40);
        let event = json!({"type": "task-sent", "uuid": format!("digest-{n}"), "hostname": "gen1@web-1",
            "name": "mail.digest", "args": "('weekly',)", "kwargs": "{}", "queue": "mail", "timestamp": at.secs()});
        let mut batch = Batch::default();
        batch.push_body(Format::Json, event.to_string().as_bytes(), at).expect("an event");
        stage.store.apply(&[Update::Events(Arc::new(batch))]);
    }
    let now = stage.now();
    stage.store.apply(&[Update::Schedule(now, Ok(documents()))]);
    stage.keys("6");
    stage.draw();
    stage
}

#[test]
fn the_schedule_at_every_size() {
    for (width, height) in [(40, 12), (80, 24), (120, 36), (200, 60)] {
        let mut stage = stage(width, height);
        insta::assert_snapshot!(format!("schedule-{width}x{height}"), stage.text());
    }
}

#[test]
fn an_entry_is_run_once_and_switched_off_after_a_question() {
    let mut stage = stage(120, 36);
    stage.keys("r");
    let text = stage.text();
    assert!(
        text.contains("Run cleanup once, now?") && text.contains("What is shown as *** is sent as it was."),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    stage.pass(1);
    stage.keys("y");
    let Some(Do::Run(Command::Beat(Beat::Run { message, .. }))) = stage.done.last() else { panic!("{:?}", stage.done) };
    assert_eq!((message.name.as_str(), message.queue.as_str()), ("jobs.cleanup", "reports"));
    assert_eq!((message.args.as_str(), message.argsrepr.as_str()), (r#"[12,"daily"]"#, "(12, 'daily')"));
    assert!(message.kwargs.contains("hunter2"), "what is sent is whole");
    stage.keys("jE");
    insta::assert_snapshot!("schedule-switch", stage.text());
    stage.keys("<Esc>G");
    stage.draw();
    stage.keys("E");
    assert!(stage.text().contains("only RedBeat's entries can be switched"), "{}", stage.text());
    stage.keys("r");
    let text = stage.text();
    assert!(text.contains("Run mail.digest once, now?") && text.contains("('weekly',)"), "{text}");
}

#[test]
fn where_nothing_runs_by_the_clock_it_is_said_how_that_is_known() {
    let mut stage = Stage::new(&Options { tasks: 0, rate: 0.0, ..Options::default() }, 120, 36, Theme::dark());
    let now = stage.now();
    let why = "RedBeat keeps its entries on Redis, and not on this broker".to_owned();
    stage.store.apply(&[Update::Schedule(now, Err(why))]);
    stage.keys("6");
    insta::assert_snapshot!("schedule-empty", stage.text());
}
