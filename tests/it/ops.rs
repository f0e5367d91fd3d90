//! Commands against the simulated cluster: what is refused, what is confirmed, and what is said when nobody answers.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::Broker;
use flower_tui::celery::TaskId;
use flower_tui::celery::pidbox::{Method, Request, Signal};
use flower_tui::clock::{Clock, Stamp};
use flower_tui::feed::apply_messages;
use flower_tui::history::audit::{Audit, Origin};
use flower_tui::ops::bulk::{Kind, Resume};
use flower_tui::ops::queue::Undoable;
use flower_tui::ops::retry::{Known, Options as RetryOptions, Refusal, Retry};
use flower_tui::ops::{Beat, Bulk, Command, Control, Course, Error, Ops, Outcome, QueueAction, Risk, Which};
use flower_tui::schedule::Entry;
use flower_tui::schedule::redbeat::{self, Document};
use flower_tui::sim::{Options, SimBroker};
use flower_tui::state::{Limits, State, Store, Update};

/// Ops on a simulated cluster whose history has been applied.
pub async fn ops(audit: Result<Option<Audit>, String>) -> (Ops, SimBroker) {
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
        going: Course::default(),
        results: None,
        history: None,
        broker: Arc::new(sim.clone()),
        store,
        clock,
        audit: Arc::new(audit),
        origin: Origin::default(),
        read_only: false,
        role: None,
        answer: Duration::from_secs(1),
        wait: Duration::from_millis(300),
    };
    (ops, sim)
}

/// An entry of RedBeat.
fn entry() -> Entry {
    let definition = r#"{"name": "e", "task": "t", "args": [], "options": {"queue": "q"}, "schedule": {}}"#;
    let (key, definition) = ("redbeat:e".into(), definition.into());
    redbeat::entry(&Document { key, definition, meta: None, due: None, fixed: false }).expect("readable")
}

fn beat_run() -> Beat {
    Store::new(Limits::default()).read(|m| Beat::run(&entry(), m, None)).expect("whole")
}

/// One of each kind.
fn every_command(ops: &Ops) -> Vec<Command> {
    let queue = |what| Command::Queue { queue: "media".into(), what };
    let order = |what| Command::Control { workers: vec!["celery@app-1".to_owned()], what };
    let failed = ops.store.read(|m| m.all_tasks().find(|t| t.state() == State::Failure).map(|t| t.id().clone()));
    let retry = ops
        .store
        .read(|m| Retry::prepare(m, &failed.expect("a failure"), &Known::default(), &RetryOptions::default()))
        .expect("literal");
    vec![
        Command::Revoke { ids: vec![TaskId::new("x")], terminate: None },
        Command::Revoke { ids: vec![TaskId::new("x")], terminate: Some(Signal::Kill) },
        Command::Retry { tasks: vec![retry.clone()], refused: vec![] },
        Command::Bulk(Bulk::New { tasks: vec![retry], refused: vec![], rate: 50.0, canary: 0, filter: None }),
        Command::Bulk(Bulk::Resume(Resume { id: 1, kind: Kind::Retry, left: 1, ..Resume::default() })),
        Command::Bulk(Bulk::Revoke { ids: vec![TaskId::new("x")], terminate: None, rate: 50.0 }),
        Command::Bulk(Bulk::Delete { queue: "media".into(), ids: [TaskId::new("x")].into() }),
        Command::Bulk(Bulk::Resume(Resume {
            id: 1,
            kind: Kind::Terminate(Signal::Kill),
            left: 1,
            ..Resume::default()
        })),
        Command::Undo { row: 1, what: Undoable::Taken { queue: "media".into(), messages: None } },
        queue(QueueAction::Delete(Which::All)),
        queue(QueueAction::Move(Which::All, "other".into())),
        queue(QueueAction::Rename(Which::All, "media.thumbnail".into())),
        queue(QueueAction::Aside("later".into())),
        queue(QueueAction::Purge),
        queue(QueueAction::Dump { path: "/nowhere/x".into(), take: true }),
        queue(QueueAction::Load("/nowhere/x".into())),
        queue(QueueAction::Hold),
        queue(QueueAction::Release),
        queue(QueueAction::RequeueUnacked(None)),
        order(Control::Grow(1)),
        order(Control::Shrink(1)),
        order(Control::RestartPool),
        order(Control::Autoscale { max: 9, min: 3 }),
        order(Control::AddQueue("extra".into())),
        order(Control::CancelQueue("media".into())),
        order(Control::RateLimit { task: "mail.send".into(), rate: "10/m".into() }),
        order(Control::TimeLimit { task: "mail.send".into(), soft: Some(5.0), hard: Some(9.0) }),
        order(Control::Shutdown),
        order(Control::Drain),
        order(Control::RollingRestart),
        order(Control::Total(9)),
        order(Control::Ping),
        Command::Beat(beat_run()),
        Command::Beat(Beat::switch(&entry(), false).expect("RedBeat's")),
        Command::Control { workers: vec![], what: Control::Events(true) },
        order(Control::Events(false)),
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
        // A bulk action is written down before it begins, so that it can go on.
        let written = command.risk() == Risk::Destroys || matches!(command, Command::Bulk(_) | Command::Undo { .. });
        assert_eq!(refused, written, "{command:?}");
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
    let receipt = ops.run(&Command::Control { workers: vec!["nobody@nowhere".into()], what: Control::Ping }).await;
    assert_eq!(receipt.outcome, Outcome::Unconfirmed("no answer from nobody@nowhere".into()));
    // A threads pool can't grow, and says so.
    let receipt = ops.run(&Command::Control { workers: vec!["celery@app-4".into()], what: Control::Grow(1) }).await;
    assert_eq!(receipt.outcome, Outcome::Failed("celery@app-4: a threads pool can't change its size".into()));
}

#[tokio::test]
async fn a_pool_keeps_one_process_whatever_is_asked() {
    let (ops, sim) = ops(Ok(None)).await;
    let worker = vec!["celery@app-2".to_owned()];
    let receipt = ops.run(&Command::Control { workers: worker.clone(), what: Control::Shrink(99) }).await;
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
        assert_eq!(new.queue(), Some(retry.message.queue.as_str()), "workers' events don't say it");
        assert_eq!(
            Retry::prepare(m, &TaskId::new("unknown"), &Known::default(), &RetryOptions::default()),
            Err(Refusal::Unknown)
        );
    });
}

/// What a worker answers to one method.
async fn ask(sim: &SimBroker, worker: &str, method: Method) -> serde_json::Value {
    let request = Request { method, to: Some(vec![worker.to_owned()]) };
    sim.control(&request, &[], Duration::ZERO).await.expect("replies").remove(0).value
}

#[tokio::test]
async fn orders_change_the_worker_that_took_them() {
    let (ops, sim) = ops(Ok(None)).await;
    let tell = async |worker: &str, what: Control| {
        ops.run(&Command::Control { workers: vec![worker.to_owned()], what }).await.outcome
    };
    let has = |queues: &serde_json::Value, name: &str| queues.as_array().unwrap().iter().any(|q| q["name"] == name);
    assert_eq!(tell("celery@app-1", Control::AddQueue("extra".into())).await, Outcome::Confirmed);
    assert!(has(&ask(&sim, "celery@app-1", Method::ActiveQueues).await, "extra"));
    assert_eq!(tell("celery@app-1", Control::CancelQueue("media".into())).await, Outcome::Confirmed);
    assert!(!has(&ask(&sim, "celery@app-1", Method::ActiveQueues).await, "media"));
    let limit = |task: &str| Control::RateLimit { task: task.into(), rate: "10/m".into() };
    assert_eq!(tell("celery@app-1", limit("mail.send")).await, Outcome::Confirmed);
    let times = Control::TimeLimit { task: "mail.send".into(), soft: Some(5.0), hard: Some(9.0) };
    assert_eq!(tell("celery@app-1", times).await, Outcome::Confirmed);
    let registered = ask(&sim, "celery@app-1", Method::Registered).await;
    let mail = "mail.send [rate_limit=10/m time_limit=9.0 soft_time_limit=5.0]";
    assert!(registered.as_array().unwrap().iter().any(|t| t == mail), "{registered}");
    let failed = |outcome, why: &str| assert_eq!(outcome, Outcome::Failed(why.to_owned()));
    failed(tell("celery@app-1", limit("nobody.knows")).await, "celery@app-1: unknown task");
    failed(tell("celery@app-1", Control::RestartPool).await, "celery@app-1: worker_pool_restarts is off there");
    let range = Control::Autoscale { max: 12, min: 9 };
    failed(tell("celery@app-1", range.clone()).await, "celery@app-1: it was started without --autoscale");
    assert_eq!(tell("celery@app-5", range).await, Outcome::Confirmed);
    let stats = ask(&sim, "celery@app-5", Method::Stats).await;
    assert_eq!((stats["autoscaler"]["max"].as_u64(), stats["autoscaler"]["min"].as_u64()), (Some(12), Some(9)));
    assert_eq!(stats["pool"]["processes"].as_array().map(Vec::len), Some(9));
    assert!(matches!(tell("celery@app-5", Control::Grow(1)).await, Outcome::Failed(_)));
    let before = ask(&sim, "celery@app-3", Method::Stats).await["pool"]["processes"].clone();
    assert_eq!(tell("celery@app-3", Control::RestartPool).await, Outcome::Confirmed);
    assert_ne!(ask(&sim, "celery@app-3", Method::Stats).await["pool"]["processes"], before);
}

/// Runs an order for these workers while the simulated cluster's events go on reaching the model.
async fn run_live(ops: &Ops, sim: &SimBroker, workers: &[&str], what: Control) -> flower_tui::ops::Receipt {
    let workers = workers.iter().map(|w| (*w).to_owned()).collect();
    let command = Command::Control { workers, what };
    let run = ops.run(&command);
    tokio::pin!(run);
    loop {
        tokio::select! {
            receipt = &mut run => return receipt,
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                apply_messages(&ops.store, &sim.advance(ops.clock.now()));
                ops.store.apply(&[Update::Tick(ops.clock.now())]);
            }
        }
    }
}

#[tokio::test]
async fn a_shutdown_is_confirmed_by_a_goodbye_and_not_asked_for_twice() {
    let (ops, sim) = ops(Ok(None)).await;
    let receipt = run_live(&ops, &sim, &["celery@app-1"], Control::Shutdown).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    assert!(receipt.replies[0].1["ok"].as_str().is_some_and(|t| t.starts_with("said goodbye")), "{receipt:?}");
    let again = run_live(&ops, &sim, &["celery@app-1"], Control::Shutdown).await;
    let why = "not online: celery@app-1 said goodbye already".to_owned();
    assert_eq!(again.outcome, Outcome::NotSent(Error::Refused(why)));
}

#[tokio::test]
async fn a_worker_that_was_silent_already_is_not_confirmed_by_more_silence() {
    let (ops, sim) = ops(Ok(None)).await;
    ops.clock.set(ops.clock.now() + Duration::from_secs(60));
    // Nothing of what the workers said meanwhile reached us.
    sim.advance(ops.clock.now());
    let command = Command::Control { workers: vec!["celery@app-2".to_owned()], what: Control::Shutdown };
    let receipt = ops.run(&command).await;
    let Outcome::Unconfirmed(why) = &receipt.outcome else { panic!("{receipt:?}") };
    assert!(why.contains("was silent already when it was asked"), "{why}");
    let unknown = run_live(&ops, &sim, &["nobody@nowhere"], Control::Shutdown).await;
    assert!(matches!(&unknown.outcome, Outcome::Unconfirmed(why) if why.contains("never heard of")), "{unknown:?}");
}

#[tokio::test]
async fn who_can_not_change_its_size_is_left_out_where_others_can() {
    let (ops, sim) = ops(Ok(None)).await;
    let receipt = run_live(&ops, &sim, &["celery@app-1", "celery@app-4", "celery@app-5"], Control::Grow(1)).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    let of = |name: &str| receipt.replies.iter().find(|(who, _)| who == name).map(|(_, value)| value.clone());
    assert_eq!(of("celery@app-4").expect("told")["left_out"], "a threads pool can't change its size");
    assert_eq!(of("celery@app-5").expect("told")["left_out"], "scales by itself");
    let command = Command::Control {
        workers: vec!["celery@app-1".to_owned(), "celery@app-4".to_owned()],
        what: Control::Shrink(2),
    };
    let preview = ops.store.read(|m| command.preview(m));
    assert_eq!(preview.title, "Take 2 processes from 1 worker?");
    assert!(preview.lines.contains(&"  celery@app-4  a threads pool can't change its size".to_owned()), "{preview:?}");
}

#[tokio::test]
async fn what_was_taken_is_said_where_it_is_less_than_was_asked_for() {
    let (ops, sim) = ops(Ok(None)).await;
    let receipt = run_live(&ops, &sim, &["celery@app-2"], Control::Shrink(99)).await;
    let text = flower_tui::ops::Receipt::reply_text(&receipt.replies[0].1);
    assert!(text.starts_with("asked for 99, took ") && text.contains(": "), "{text}");
}

#[tokio::test]
async fn a_worker_that_gives_no_answer_is_in_the_receipt() {
    let (ops, sim) = ops(Ok(None)).await;
    let receipt = run_live(&ops, &sim, &["celery@app-1", "nobody@nowhere"], Control::Ping).await;
    let why = "1 of 2 confirmed; no answer from nobody@nowhere".to_owned();
    assert_eq!(receipt.outcome, Outcome::Unconfirmed(why));
    assert_eq!(receipt.replies[1].1["silent"], "no answer");
}

#[tokio::test]
async fn what_a_worker_runs_is_not_claimed_where_it_did_not_tell_lately() {
    let (ops, _) = ops(Ok(None)).await;
    ops.clock.set(ops.clock.now() + Duration::from_secs(3_600));
    ops.store.apply(&[Update::Tick(ops.clock.now())]);
    let command = Command::Control { workers: vec!["celery@app-2".to_owned()], what: Control::Shutdown };
    let lines = ops.store.read(|m| command.preview(m)).lines;
    assert!(lines[0].contains("silent for") && !lines.iter().any(|l| l.contains("runs nothing")), "{lines:?}");
}

#[tokio::test]
async fn the_audit_log_has_the_words_of_a_command() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("audit.db");
    let (ops, sim) = ops(Ok(Some(Audit::open(&path).expect("opens")))).await;
    run_live(&ops, &sim, &["celery@app-1"], Control::Grow(2)).await;
    ops.run(&Command::Revoke { ids: vec![TaskId::new("x")], terminate: Some(Signal::Kill) }).await;
    let log = rusqlite::Connection::open(&path).expect("opens");
    let mut rows = log.prepare("SELECT command, target, arguments, line FROM audit ORDER BY id").expect("read");
    let rows: Vec<[String; 4]> = rows
        .query_map([], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?]))
        .and_then(Iterator::collect)
        .expect("read");
    assert_eq!(rows[0], ["grow", "celery@app-1", "2", "flower-tui worker celery@app-1 grow 2"]);
    assert_eq!(rows[1], ["terminate", "x", "SIGKILL", "flower-tui revoke x --terminate --signal SIGKILL"]);
}

/// What the first worker remembers as revoked.
async fn revoked(sim: &SimBroker) -> usize {
    ask(sim, "celery@app-1", Method::Revoked).await.as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn many_are_revoked_in_batches_and_one_that_was_stopped_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("temp");
    let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
    let (mut ops, sim) = ops(Ok(Some(audit))).await;
    let stop = Course::default().stop;
    let halt = stop.clone();
    ops.going = Course::telling(move |text| {
        if text.contains("100 of 250") {
            halt.cancel();
        }
    });
    ops.going.stop = stop;
    let ids: Vec<TaskId> = (0..250).map(|n| TaskId::new(&format!("waits-{n}"))).collect();
    let command = Command::Bulk(Bulk::Revoke { ids, terminate: None, rate: 100.0 });
    let receipt = ops.run(&command).await;
    assert_eq!(receipt.verb, "bulk revoke");
    assert_eq!(
        receipt.outcome,
        Outcome::Failed("stopped: 100 of 250 revoked; bulk resume 1 goes on".into()),
        "{receipt:?}"
    );
    assert_eq!(revoked(&sim).await, 100, "a batch a message, and none after the stop");
    let log = |ops: &Ops| match &*ops.audit {
        Ok(Some(audit)) => audit.bulks(Some(1)).expect("read").remove(0),
        _ => unreachable!("there is a log"),
    };
    let bulk = log(&ops);
    assert_eq!((bulk.verb.as_str(), bulk.sent, bulk.all, bulk.stand.word()), ("revoke", 100, 250, "stopped"));

    ops.going = Course::default();
    let other = Command::Bulk(Bulk::Resume(Resume { id: 1, kind: Kind::Retry, left: 150, ..Resume::default() }));
    assert!(matches!(ops.run(&other).await.outcome, Outcome::NotSent(Error::Refused(_))), "it is no retry");
    let receipt = ops
        .run(&Command::Bulk(Bulk::Resume(Resume { id: 1, kind: Kind::Revoke, left: 150, ..Resume::default() })))
        .await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    assert_eq!((revoked(&sim).await, log(&ops).sent, log(&ops).stand.word()), (250, 250, "done"));
}

#[tokio::test]
async fn tasks_are_terminated_in_batches_and_it_is_said_where_none_ran() {
    let folder = tempfile::tempdir().expect("temp");
    let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
    let (ops, sim) = ops(Ok(Some(audit))).await;
    let bulk = |ids| Command::Bulk(Bulk::Revoke { ids, terminate: Some(Signal::Kill), rate: 500.0 });
    let receipt = ops.run(&bulk((0..30).map(|n| TaskId::new(&format!("gone-{n}"))).collect())).await;
    assert_eq!(receipt.outcome, Outcome::Failed("no worker ran or held one of them".into()));
    let mut running: Vec<TaskId> = Vec::new();
    for step in 1..2_000 {
        apply_messages(&ops.store, &sim.advance(ops.clock.now() + Duration::from_millis(step * 200)));
        let started = |t: &flower_tui::state::Task<'_>| t.state() == State::Started;
        running = ops.store.read(|m| m.all_tasks().filter(started).map(|t| t.id().clone()).collect());
        if !running.is_empty() {
            break;
        }
    }
    assert!(!running.is_empty());
    let receipt = ops.run(&bulk(running)).await;
    assert_eq!(receipt.outcome, Outcome::Confirmed, "{receipt:?}");
    assert!(receipt.replies.iter().any(|(who, _)| who == "ended"), "{receipt:?}");
}

#[tokio::test]
async fn without_a_log_many_are_revoked_in_one_message() {
    let (ops, sim) = ops(Ok(None)).await;
    let command = Command::revoke((0..30).map(|n| TaskId::new(&format!("w-{n}"))).collect(), None);
    assert!(matches!(command, Command::Bulk(_)));
    assert_eq!(ops.run(&command).await.outcome, Outcome::Confirmed);
    assert_eq!(revoked(&sim).await, 30);
}

#[tokio::test]
async fn who_looks_at_the_same_log_learns_of_what_others_hold_and_release_while_it_runs() {
    use flower_tui::history::aftermath::Place;
    let folder = tempfile::tempdir().expect("temp");
    let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
    let (ops, _) = ops(Ok(Some(audit))).await;
    let other = Ops { store: Store::new(Limits::default()), ..ops.clone() };
    let mut place = Place::default();
    let command = |what| Command::Queue { queue: "media".into(), what };
    assert_eq!(ops.run(&command(QueueAction::Hold)).await.outcome, Outcome::Confirmed);
    other.recall(&mut place);
    let held = other.store.read(|m| m.held("media").to_vec());
    assert!(!held.is_empty());
    assert_eq!(ops.run(&command(QueueAction::Release)).await.outcome, Outcome::Confirmed);
    other.recall(&mut place);
    assert!(other.store.read(|m| m.held("media").is_empty()));
}
