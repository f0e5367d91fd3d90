//! Commands against the simulated cluster: what is refused, what is confirmed, and what is said when nobody answers.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::Broker;
use flower_tui::celery::TaskId;
use flower_tui::celery::pidbox::{Method, Request, Signal};
use flower_tui::clock::{Clock, Stamp};
use flower_tui::feed::apply_messages;
use flower_tui::history::audit::{Audit, Origin};
use flower_tui::ops::retry::{Refusal, Retry};
use flower_tui::ops::{Command, Error, Ops, Outcome, PoolChange, Risk};
use flower_tui::sim::{Options, SimBroker};
use flower_tui::state::{Limits, State, Store, Update};

/// Ops on a simulated cluster whose history has been applied.
async fn ops(audit: Result<Option<Audit>, String>) -> (Ops, SimBroker) {
    let clock = Clock::manual(Stamp::from_micros(1_795_529_007_000_000));
    let sim = SimBroker::new(&Options { tasks: 1_000, ..Options::default() }, clock.clone());
    let store = Store::new(Limits::default());
    apply_messages(&store, &sim.advance(clock.now()));
    for method in [Method::Stats, Method::ActiveQueues] {
        let name = method.name();
        let replies = sim.control(&Request::to_all(method), &[], Duration::ZERO).await.expect("replies");
        store.apply(&[Update::Inspected(clock.now(), name, replies)]);
    }
    let ops = Ops {
        broker: Arc::new(sim.clone()),
        store,
        clock,
        audit: Arc::new(audit),
        origin: Origin::default(),
        read_only: false,
        answer: Duration::from_secs(1),
        wait: Duration::from_millis(300),
    };
    (ops, sim)
}

/// One of each kind.
fn every_command(ops: &Ops) -> Vec<Command> {
    let worker = || vec!["celery@app-1".to_owned()];
    let failed = ops.store.read(|m| m.all_tasks().find(|t| t.state() == State::Failure).map(|t| t.id().clone()));
    let retry = ops.store.read(|m| Retry::prepare(m, &failed.expect("a failure"), None)).expect("literal");
    vec![
        Command::Revoke { ids: vec![TaskId::new("x")], terminate: None },
        Command::Revoke { ids: vec![TaskId::new("x")], terminate: Some(Signal::Kill) },
        Command::Retry { tasks: vec![retry], refused: vec![] },
        Command::Pool { workers: worker(), change: PoolChange::Grow(1) },
        Command::Pool { workers: worker(), change: PoolChange::Shrink(1) },
        Command::Shutdown { workers: worker() },
        Command::Ping { workers: worker() },
        Command::Events { workers: vec![], on: true },
        Command::Events { workers: worker(), on: false },
    ]
}

#[tokio::test]
async fn read_only_sends_nothing_but_what_only_looks() {
    let (mut ops, _) = ops(Ok(None)).await;
    ops.read_only = true;
    for command in every_command(&ops) {
        let outcome = ops.run(&command).await.outcome;
        if command.risk() == Risk::Looks {
            assert_eq!(outcome, Outcome::Confirmed, "{command:?}");
        } else {
            assert_eq!(outcome, Outcome::NotSent(Error::ReadOnly), "{command:?}");
        }
    }
}

#[tokio::test]
async fn what_destroys_is_not_sent_when_it_can_not_be_written_down() {
    let (ops, _) = ops(Err("can't write the audit log".into())).await;
    for command in every_command(&ops) {
        let refused = matches!(ops.run(&command).await.outcome, Outcome::NotSent(Error::Audit(_)));
        assert_eq!(refused, command.risk() == Risk::Destroys, "{command:?}");
    }
}

#[tokio::test]
async fn every_worker_s_reply_is_in_the_receipt() {
    let (ops, _) = ops(Ok(None)).await;
    let receipt = ops.run(&Command::Revoke { ids: vec![TaskId::new("x")], terminate: None }).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed);
    assert_eq!(receipt.replies.len(), 5);
    let receipt = ops.run(&Command::Revoke { ids: vec![TaskId::new("x")], terminate: Some(Signal::Term) }).await;
    assert_eq!(receipt.outcome, Outcome::Failed("no worker runs or holds it".into()));
    let receipt = ops.run(&Command::Ping { workers: vec!["nobody@nowhere".into()] }).await;
    assert_eq!(receipt.outcome, Outcome::Unconfirmed("no worker answered".into()));
    // A threads pool can't grow, and says so.
    let receipt = ops.run(&Command::Pool { workers: vec!["celery@app-4".into()], change: PoolChange::Grow(1) }).await;
    assert!(matches!(receipt.outcome, Outcome::Failed(_)), "{receipt:?}");
}

#[tokio::test]
async fn a_pool_keeps_one_process_whatever_is_asked() {
    let (ops, sim) = ops(Ok(None)).await;
    let worker = vec!["celery@app-2".to_owned()];
    let receipt = ops.run(&Command::Pool { workers: worker.clone(), change: PoolChange::Shrink(99) }).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    let stats =
        sim.control(&Request { method: Method::Stats, to: Some(worker) }, &[], Duration::ZERO).await.expect("stats");
    assert!(!stats[0].value["pool"]["processes"].as_array().expect("processes").is_empty());
}

#[tokio::test]
async fn a_retried_task_runs_again_with_the_same_arguments() {
    let (ops, sim) = ops(Ok(None)).await;
    let retry = every_command(&ops).into_iter().find_map(|c| match c {
        Command::Retry { tasks, .. } => tasks.into_iter().next(),
        _ => None,
    });
    let retry = retry.expect("a retry");
    let receipt = ops.run(&Command::Retry { tasks: vec![retry.clone()], refused: vec![] }).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed);
    let later = ops.clock.now() + Duration::from_secs(60);
    apply_messages(&ops.store, &sim.advance(later));
    ops.store.read(|m| {
        let (old, new) = (m.task(&retry.original).expect("old"), m.task(&retry.message.id).expect("new"));
        assert_eq!(
            (new.state(), new.name(), new.args(), new.kwargs()),
            (State::Success, old.name(), old.args(), old.kwargs())
        );
        assert_eq!(new.root(), old.root());
        assert_eq!(Retry::prepare(m, &TaskId::new("unknown"), None), Err(Refusal::Unknown));
    });
}
