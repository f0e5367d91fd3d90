//! Orders of several steps against the simulated cluster: what they say on the way, what halts them, and what is left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flower_tui::broker::Broker;
use flower_tui::celery::pidbox::{Method, Request};
use flower_tui::feed::apply_messages;
use flower_tui::history::audit::Logged;
use flower_tui::ops::{Command, Control, Course, Ops, Outcome, Receipt};
use flower_tui::sim::SimBroker;
use flower_tui::state::Update;
use flower_tui::tui::app::Do;
use flower_tui::tui::theme::Theme;

use crate::ops::ops;
use crate::screens::{Stage, busy};

type Said = Arc<Mutex<Vec<String>>>;

fn course() -> (Course, Said) {
    let said = Said::default();
    let heard = said.clone();
    (Course::telling(move |line| heard.lock().expect("lock").push(line)), said)
}

/// Runs an order while so much time passes with each turn in the simulated cluster.
async fn run(
    ops: &Ops,
    sim: &SimBroker,
    (workers, what): (&[&str], Control),
    course: &Course,
    turn: Duration,
) -> Receipt {
    let command = Command::Control { workers: workers.iter().map(|w| (*w).to_owned()).collect(), what };
    let run = ops.run_along(&command, course);
    tokio::pin!(run);
    loop {
        tokio::select! {
            receipt = &mut run => return receipt,
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                ops.clock.set(ops.clock.now() + turn);
                apply_messages(&ops.store, &sim.advance(ops.clock.now()));
                ops.store.apply(&[Update::Tick(ops.clock.now())]);
            }
        }
    }
}

async fn queues(sim: &SimBroker, worker: &str) -> usize {
    let request = Request { method: Method::ActiveQueues, to: Some(vec![worker.to_owned()]) };
    let replies = sim.control(&request, &[], Duration::ZERO).await.expect("replies");
    replies.first().and_then(|reply| reply.value.as_array().map(Vec::len)).unwrap_or_default()
}

const WORKER: &str = "celery@app-1";

/// A worker that runs something; while the clock stands still it runs it for ever.
async fn busy_worker(ops: &Ops, sim: &SimBroker) -> String {
    for _ in 0..600 {
        let replies = sim.control(&Request::to_all(Method::Active), &[], Duration::ZERO).await.expect("replies");
        let busy = replies.into_iter().find(|r| r.value.as_array().is_some_and(|tasks| !tasks.is_empty()));
        if let Some(busy) = busy {
            return busy.worker;
        }
        ops.clock.set(ops.clock.now() + Duration::from_millis(100));
        apply_messages(&ops.store, &sim.advance(ops.clock.now()));
    }
    panic!("nobody works");
}

#[tokio::test]
async fn a_worker_is_drained_before_it_is_shut_down() {
    let (ops, sim) = ops(Ok(None)).await;
    let (course, said) = course();
    let receipt = run(&ops, &sim, (&[WORKER], Control::Drain), &course, Duration::from_secs(2)).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    let steps: Vec<&str> =
        receipt.replies[0].1["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
    assert!(steps[0].starts_with("consumes ") && steps[0].ends_with(" no more"), "{steps:?}");
    assert!(steps[steps.len() - 2].starts_with("is idle after"), "{steps:?}");
    assert_eq!(steps.last(), Some(&"shut down"));
    let said = said.lock().expect("lock").join("\n");
    assert!(said.ends_with("celery@app-1: drained and gone"), "{said}");
    assert_eq!(queues(&sim, WORKER).await, 0, "it is gone");
}

#[tokio::test]
async fn one_that_is_not_idle_in_time_consumes_again_and_is_not_shut_down() {
    let (ops, sim) = ops(Ok(None)).await;
    let worker = busy_worker(&ops, &sim).await;
    let before = queues(&sim, &worker).await;
    let (mut course, _) = course();
    course.limit = Duration::from_millis(50);
    let order = (&[worker.as_str(), "celery@app-4"][..], Control::RollingRestart);
    let receipt = run(&ops, &sim, order, &course, Duration::ZERO).await;
    let Outcome::Unconfirmed(why) = &receipt.outcome else { panic!("{receipt:?}") };
    assert!(why.contains("not idle after") && why.contains("it consumes its queues again"), "{why}");
    assert_eq!(receipt.replies[1].1["left_out"], "not begun: it halted before");
    assert_eq!(queues(&sim, &worker).await, before);
}

#[tokio::test]
async fn a_person_stops_it_and_the_worker_goes_on() {
    let (ops, sim) = ops(Ok(None)).await;
    let worker = busy_worker(&ops, &sim).await;
    let before = queues(&sim, &worker).await;
    let (course, said) = course();
    let stop = course.stop.clone();
    let stopper = tokio::spawn(async move {
        while !said.lock().expect("lock").iter().any(|line| line.contains(": runs ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    });
    let receipt = run(&ops, &sim, (&[worker.as_str()], Control::Drain), &course, Duration::ZERO).await;
    stopper.abort();
    let why = format!("{worker}: stopped; it consumes its queues again");
    assert_eq!(receipt.outcome, Outcome::Failed(why));
    assert_eq!(queues(&sim, &worker).await, before);
}

#[tokio::test]
async fn without_a_replacement_a_rolling_restart_halts() {
    let (ops, sim) = ops(Ok(None)).await;
    let (mut course, _) = course();
    course.limit = Duration::from_secs(2);
    let order = (&[WORKER, "celery@app-2"][..], Control::RollingRestart);
    let receipt = run(&ops, &sim, order, &course, Duration::from_secs(2)).await;
    let Outcome::Unconfirmed(why) = &receipt.outcome else { panic!("{receipt:?}") };
    assert!(why.contains("gone, and no replacement came within 2s"), "{why}");
    assert!(queues(&sim, "celery@app-2").await > 0, "the next one was left alone");
}

#[tokio::test]
async fn a_total_is_spread_over_those_that_can_change_their_size() {
    let (ops, sim) = ops(Ok(None)).await;
    let (course, _) = course();
    let all = ["celery@app-1", "celery@app-2", "celery@app-4"];
    let receipt = run(&ops, &sim, (&all, Control::Total(30)), &course, Duration::ZERO).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    let left = receipt.replies.iter().find(|(who, _)| who == "celery@app-4").expect("told");
    assert_eq!(left.1["left_out"], "a threads pool can't change its size");
    let request = Request { method: Method::Stats, to: Some(vec![all[0].into(), all[1].into()]) };
    let replies = sim.control(&request, &[], Duration::ZERO).await.expect("replies");
    let sizes = replies.iter().filter_map(|r| r.value["pool"]["processes"].as_array().map(Vec::len));
    assert_eq!(sizes.sum::<usize>(), 30);
    let refused = run(&ops, &sim, (&all, Control::Total(1)), &course, Duration::ZERO).await;
    assert!(matches!(refused.outcome, Outcome::NotSent(_)), "{refused:?}");
}

#[test]
fn from_the_workers_tab_it_is_asked_and_its_steps_are_in_the_log() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("2");
    stage.draw();
    stage.keys(":rolling");
    stage.keys("<Enter>");
    insta::assert_snapshot!("rolling-restart-asked", stage.text());
    stage.pass(1);
    stage.keys("y");
    assert!(matches!(
        &stage.done[..],
        [Do::Run(Command::Control { workers, what: Control::RollingRestart })] if workers == &[WORKER]
    ));
    for step in ["1 of 1", "consumes default no more", "runs 3 tasks, 4 wait in it"] {
        stage.app.stepped(format!("{WORKER}: {step}"), stage.now());
    }
    assert!(stage.text().contains("celery@app-1: runs 3 tasks, 4 wait in it   (:stop halts it"), "{}", stage.text());
    stage.keys("L");
    insta::assert_snapshot!("rolling-restart-log", stage.text());
    stage.keys("<Esc>:stop the command<Enter>");
    assert_eq!(stage.done.last(), Some(&Do::StopSteps));
    stage.keys(":pools together<Enter>");
    assert!(stage.text().contains("The pools of 1 worker together"), "{}", stage.text());
}

#[test]
fn what_was_changed_at_runtime_is_listed_applied_again_and_taken_back() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    let at = |secs: u64| (stage.now() - Duration::from_secs(secs)).secs();
    let ok = |names: &[&str]| {
        let replies: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), serde_json::json!({"ok": "done"}))).collect();
        Some(serde_json::Value::Object(replies).to_string())
    };
    let row = |row, asked, command: &str, arguments: &str, replies| Logged {
        row,
        asked,
        user: "ann".into(),
        command: command.into(),
        arguments: arguments.into(),
        replies,
        ..Logged::default()
    };
    let log = vec![
        row(31, at(300), "grow", "4", ok(&[WORKER])),
        row(30, at(900), "cancel-queue", "media", ok(&[WORKER, "celery@app-2"])),
    ];
    stage.keys(":overrides<Enter>");
    assert_eq!(stage.done.last(), Some(&Do::ReadLog));
    stage.app.overrides(Ok(log));
    stage.keys("j");
    insta::assert_snapshot!("overrides", stage.text());
    stage.keys("a");
    let text = stage.text();
    assert!(text.contains("no longer consume media?"), "{text}");
    stage.keys("<Esc>kd");
    assert!(stage.text().contains("Take 4 processes from 1 worker?"), "{}", stage.text());
    stage.keys("<Esc><Esc>");
    stage.app.overrides(Ok(Vec::new()));
    assert!(stage.text().contains("Nothing is in force that a restart would forget"), "{}", stage.text());
}
