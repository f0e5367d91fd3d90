//! The workers' tab: its inner tabs, the folded table, sorting, and the forms of what workers can be told.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::{Broker, LinkState};
use flower_tui::celery::TaskId;
use flower_tui::celery::pidbox::{Method, Request};
use flower_tui::clock::Clock;
use flower_tui::feed::{Context, Feed, Interest};
use flower_tui::ops::{Command, Control};
use flower_tui::sim::{Options, SimBroker};
use flower_tui::state::{Limits, Store, Update};
use flower_tui::tui::app::Do;
use flower_tui::tui::theme::Theme;

use crate::screens::Stage;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];
const INNER: [&str; 10] =
    ["pool", "queues", "active", "reserved", "scheduled", "revoked", "registered", "limits", "config", "stats"];

/// A cluster with something in every list.
fn busy() -> Options {
    Options { tasks: 6_000, rate: 60.0, ..Options::default() }
}

/// Tells workers something past the screen.
fn tell(stage: &Stage, to: Option<&str>, method: Method) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
    let request = Request { method, to: to.map(|name| vec![name.to_owned()]) };
    runtime.block_on(stage.sim.control(&request, &[], Duration::ZERO)).expect("told");
}

#[test]
fn every_inner_tab_at_every_size() {
    for (width, height) in SIZES {
        let mut stage = Stage::new(&busy(), width, height, Theme::dark());
        let id = TaskId::new("3f9c1d2a-0000-4000-8000-000000000000");
        tell(&stage, None, Method::Revoke { ids: vec![id], terminate: None });
        tell(&stage, None, Method::RateLimit { task: "mail.send".into(), rate: "10/m".into() });
        let (soft, hard) = (Some(60.0), Some(90.0));
        tell(&stage, None, Method::TimeLimit { task: "media.transcode".into(), soft, hard });
        stage.keys("2");
        stage.draw();
        stage.keys("jj<Enter>");
        for name in INNER {
            stage.draw();
            stage.pass(2);
            // Some lists are empty mostly.
            for _ in 0..40 {
                stage.draw();
                stage.pass(1);
                if !["It holds nothing", "Nothing waits here"].iter().any(|t| stage.text().contains(t)) {
                    break;
                }
            }
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), stage.text());
            stage.keys("]");
        }
    }
}

#[test]
fn the_pane_shows_the_inner_tabs_of_the_chosen_worker() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.pass(4);
    insta::assert_snapshot!("pane-pool", stage.text());
    stage.keys("<BackTab>");
    assert!(stage.text().contains("broker.hostname"), "{}", stage.text());
    stage.click("Registered");
    stage.draw();
    stage.pass(1);
    let text = stage.text();
    assert!(text.contains("RATE LIMIT") && text.contains("billing.charge_card"), "{text}");
}

#[test]
fn many_workers_are_folded_into_groups() {
    let many = Options { workers: 60, ..busy() };
    for (width, height) in SIZES {
        let mut stage = Stage::new(&many, width, height, Theme::dark());
        stage.keys("2");
        stage.draw();
        stage.keys("j");
        insta::assert_snapshot!(format!("folded-{width}x{height}"), stage.text());
    }
    let mut stage = Stage::new(&many, 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    stage.keys("jQ");
    insta::assert_snapshot!("folded-shutdown", stage.text());
    stage.pass(1);
    stage.keys("y");
    match &stage.done[..] {
        [Do::Run(Command::Control { workers, what: Control::Shutdown })] => {
            assert!(workers.len() > 20 && workers.iter().all(|w| w.contains("@export-")), "{workers:?}");
        }
        other => panic!("{other:?}"),
    }
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("▾ export-*") && text.contains("  celery@export-7d9f8b6c5-"), "{text}");
}

#[test]
fn the_table_is_sorted_by_key_and_by_click() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    stage.click("DONE");
    let text = stage.text();
    assert!(text.contains("DONE▼"), "{text}");
    let done =
        |line: &str| line.split_whitespace().find_map(|w| w.replace(',', "").parse::<u64>().ok().filter(|n| *n > 99));
    let column: Vec<u64> = text.lines().filter(|l| l.contains("celery@app-")).take(5).filter_map(done).collect();
    assert!(column.len() == 5 && column.is_sorted_by(|a, b| a >= b), "{column:?}\n{text}");
    stage.keys("S");
    assert!(stage.text().contains("DONE▲"));
    stage.keys("s");
    stage.draw();
    stage.keys("<Enter>");
    stage.draw();
}

#[test]
fn a_form_completes_names_and_says_at_once_what_is_wrong() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    stage.keys("d");
    insta::assert_snapshot!("form-cancel-queue", stage.text());
    stage.keys("rep<Tab><Enter>");
    let text = stage.text();
    assert!(text.contains("Let 1 worker no longer consume reports?"), "{text}");
    assert!(text.contains("flower-tui worker celery@app-1 cancel-queue reports"), "{text}");
    stage.keys("<Esc>");
    stage.keys(".");
    let menu = stage.text();
    assert!(menu.contains("limit how often a task may start"), "{menu}");
    stage.keys("<Esc>");
    // The worker that scales by itself.
    stage.keys("GA");
    stage.draw();
    stage.keys("2<Tab>5<Enter>");
    let text = stage.text();
    assert!(text.contains("the most (2) is below the least (5)"), "{text}");
    stage.keys("<BackTab><Backspace>9<Enter>");
    assert!(stage.text().contains("Let 1 worker scale between 5 and 9 processes?"), "{}", stage.text());
    stage.keys("<Esc>A<Esc>ggA");
    assert!(stage.text().contains("does not scale by itself"), "{}", stage.text());
}

#[test]
fn limits_are_set_from_the_row_of_the_task() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    stage.keys("<Enter>[[[[");
    stage.draw();
    stage.pass(1);
    stage.draw();
    stage.keys(".");
    let menu = stage.text();
    let row =
        menu.lines().filter(|l| l.contains('│')).position(|l| l.contains("limit how often")).expect("in the menu");
    stage.keys(&"j".repeat(row - 1));
    stage.keys("<Enter>");
    insta::assert_snapshot!("form-rate-limit", stage.text());
    stage.keys("<Tab>fast");
    assert!(stage.text().contains("takes a rate such as"), "{}", stage.text());
    stage.keys("<ctrl-u>10/m<Enter>");
    assert!(stage.text().contains("Limit billing.charge_card to 10/m on 1 worker?"), "{}", stage.text());
    stage.keys("<Esc>j<Enter>");
    assert!(stage.text().contains("task:=billing.invoices.send_reminder"), "{}", stage.text());
    stage.keys("<Esc>");
    assert!(stage.text().contains("RATE LIMIT"), "one step back:\n{}", stage.text());
}

#[test]
fn in_a_list_of_tasks_the_keys_are_those_of_tasks() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.pass(3);
    stage.keys("2");
    stage.draw();
    stage.keys("jjj<Enter>]]");
    stage.draw();
    stage.pass(1);
    stage.draw();
    stage.keys("x");
    let text = stage.text();
    assert!(text.contains("Revoke 1 task?"), "{text}");
    stage.keys("<Esc><Enter>");
    assert!(stage.text().contains("━━"), "the task opens:\n{}", stage.text());
}

#[test]
fn who_ended_is_folded_into_one_line_and_forgotten_after_an_hour() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    tell(&stage, Some("celery@app-2"), Method::Shutdown);
    stage.pass(2);
    let text = stage.text();
    assert!(text.contains("▸ 1 ended in the last hour") && text.contains("4 of 4 online"), "{text}");
    assert!(text.contains("4/4 workers   1 stopped"), "who said goodbye is not missing: {text}");
    stage.keys("G<Enter>j");
    let text = stage.text();
    assert!(text.contains("celery@app-2") && text.contains("ended 1s"), "{text}");
    let later = stage.store.read(|m| m.now()) + Duration::from_secs(3_700);
    stage.store.apply(&[Update::Tick(later)]);
    assert!(stage.store.read(|m| m.worker("celery@app-2").is_none()));
}

#[test]
fn a_worker_that_gives_no_answer_is_said_so() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    let now = stage.store.read(|m| m.now());
    stage.store.apply(&[Update::Silent(now, "conf", vec!["celery@app-1".into()])]);
    stage.keys("<BackTab><BackTab>");
    let text = stage.text();
    assert!(text.contains("gave no answer") && text.contains("Not asked yet."), "{text}");
    stage.store.apply(&[Update::Silent(now + Duration::from_secs(1), "stats", vec!["celery@app-1".into()])]);
    stage.keys("]");
    assert!(stage.text().contains("no answer since just now"), "{}", stage.text());
}

#[test]
fn workers_do_not_end_because_we_hear_nothing() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    let since = stage.store.read(|m| m.now());
    stage.link = LinkState::Down { since, why: "connection refused".into(), hint: "", retry: since };
    stage.wait(300);
    let text = stage.text();
    assert!(text.contains("online") && !text.contains("ended in the last hour"), "{text}");
}

#[tokio::test]
async fn a_worker_is_asked_for_what_is_looked_at_and_for_nothing_else() {
    let clock = Clock::system();
    let sim = SimBroker::new(&Options { tasks: 0, rate: 0.0, ..Options::default() }, clock.clone());
    let store = Store::new(Limits::default());
    let stop = tokio_util::sync::CancellationToken::new();
    let context = Context { broker: Arc::new(sim), store: store.clone(), clock, stop: stop.clone(), results: None };
    let feed = Feed::start(&context, &tokio_util::task::TaskTracker::new());
    let inspect = Some(("celery@app-2".to_owned(), Method::Conf));
    feed.set_interest(Interest { inspect, ..Interest::default() });
    let told = |name: &str| store.read(|m| m.worker(name).is_some_and(|w| w.inspected.conf.is_some()));
    let wait = async {
        let mut seen = 0;
        while !told("celery@app-2") {
            seen = store.changed(seen).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("an answer");
    assert!(!told("celery@app-1"));
    let more = store.read(|m| m.worker("celery@app-2").is_some_and(|w| w.inspected.registered.is_some()));
    assert!(!more, "nobody looks at that");
    stop.cancel();
}
