//! The monitoring checklist on simulated clusters: a healthy one, and each way of being broken.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::{Broker, Health, Lack, Right};
use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::celery::pidbox::{Method, Request};
use flower_tui::clock::{Clock, Stamp};
use flower_tui::config::file;
use flower_tui::feed::apply_messages;
use flower_tui::history::seen::Seen;
use flower_tui::ops::check::{self, Evidence, Finding, Recorder, Status, Thresholds};
use flower_tui::sim::{Options, Scenario, SimBroker};
use flower_tui::state::{Limits, Store, Update};

/// A simulated cluster that was listened to.
struct Watched {
    store: Store,
    sim: SimBroker,
    clock: Clock,
    health: Result<Health, String>,
    thresholds: Thresholds,
    past: Vec<Seen>,
}

impl Watched {
    /// On a day of this kind, of which the last quarter of an hour was heard.
    async fn new(scenario: Scenario, tasks: u32) -> Self {
        let clock = Clock::manual(Stamp::from_micros(1_795_529_007_000_000));
        let sim = SimBroker::new(&Options { scenario, tasks, rate: 14.0, ..Options::default() }, clock.clone());
        let store = Store::new(Limits::default());
        store.apply(&[Update::Link(clock.now() - Duration::from_secs(900), true)]);
        let health = sim.health().await.map_err(|e| e.to_string());
        let watched = Self { store, sim, clock, health, thresholds: Thresholds::default(), past: Vec::new() };
        apply_messages(&watched.store, &watched.sim.advance(watched.clock.now()));
        watched.ask().await;
        watched
    }

    async fn ask(&self) {
        for method in [Method::Stats, Method::ActiveQueues, Method::Active] {
            let name = method.name();
            let replies = self.sim.control(&Request::to_all(method), &[], Duration::ZERO).await.expect("replies");
            self.store.apply(&[Update::Inspected(self.clock.now(), name, replies)]);
        }
        let depths = self.sim.queues(&[]).await.expect("depths");
        self.store.apply(&[Update::Queues(self.clock.now(), depths), Update::Tick(self.clock.now())]);
    }

    /// Time passes, and nobody is heard who is left out.
    fn pass(&self, secs: u64, silent: &str) {
        self.clock.set(self.clock.now() + Duration::from_secs(secs));
        let heard = self.sim.advance(self.clock.now());
        let heard = heard.iter().filter(|m| silent.is_empty() || !String::from_utf8_lossy(&m.data).contains(silent));
        apply_messages(&self.store, heard);
        self.store.apply(&[Update::Tick(self.clock.now())]);
    }

    fn tell(&self, events: &str) {
        let mut batch = Batch::default();
        assert!(batch.push_body(Format::Json, events.as_bytes(), self.clock.now()).is_ok());
        self.store.apply(&[Update::Events(Arc::new(batch))]);
    }

    fn findings(&self) -> Vec<Finding> {
        self.store.read(|model| {
            let health = self.health.as_ref().map_err(Clone::clone);
            let (now, recorder) = (self.clock.now(), Recorder::None);
            let evidence =
                Evidence { model, health, live: true, now, past: &self.past, recorder, own_memory: Some(20 << 20) };
            check::judge(&evidence, &self.thresholds)
        })
    }

    /// What one check said.
    fn found(&self, check: &str) -> (Status, String) {
        let findings = self.findings();
        let finding = findings.iter().find(|finding| finding.check == check).expect("a finding");
        (finding.status, finding.text.clone())
    }

    fn assert(&self, check: &str, status: Status, words: &str) {
        let (found, text) = self.found(check);
        assert!(found == status && text.contains(words), "{check} is {found:?}: {text}");
    }
}

#[tokio::test]
async fn a_healthy_cluster_is_fine_in_every_way() {
    let watched = Watched::new(Scenario::Healthy, 3_000).await;
    let findings = watched.findings();
    assert_eq!(findings.iter().map(|f| f.check).collect::<Vec<_>>(), check::NAMES);
    assert_eq!(check::worst(&findings), Status::Ok, "{findings:#?}");
    watched.assert("workers", Status::Ok, "5 workers online");
    watched.assert("success", Status::Ok, "100% of ");
}

#[tokio::test]
async fn a_long_queue_is_named_with_its_length_and_age() {
    let watched = Watched::new(Scenario::Backlog, 12_000).await;
    let queues = watched.found("queues");
    assert!(queues.0 >= Status::Warning && queues.1.starts_with("too many wait: "), "{queues:?}");
    let findings = watched.findings();
    let figure =
        findings.iter().flat_map(|f| &f.figures).find(|figure| figure.label == "queue_payments").expect("told");
    assert_eq!((figure.warning, figure.critical), (Some(100.0), Some(1_000.0)));
    let text = "[alerts]\nqueue_length = { warning = 100000 }\n";
    let mut lenient = watched;
    lenient.thresholds = file::parse(text, "c", None).expect("valid").alerts;
    assert_eq!(lenient.found("queues").0, Status::Ok);
}

#[tokio::test]
async fn a_worker_that_fell_silent_is_told_and_one_with_work_in_hand_is_critical() {
    let watched = Watched::new(Scenario::Healthy, 3_000).await;
    watched.pass(30, "celery@app-2");
    watched.assert("workers", Status::Warning, "silent without a goodbye: celery@app-2 since 3");
    let beat = r#"[{"type":"worker-heartbeat","hostname":"celery@gpu-2","freq":2.0,"active":1,"loadavg":[1,1,1],"timestamp":1}]"#;
    watched.tell(beat);
    watched.pass(30, "celery@app-2");
    watched.assert("workers", Status::Critical, "gone with work in hand: celery@gpu-2 since 30s (4 workers online)");
    let mut expecting = Watched::new(Scenario::Healthy, 3_000).await;
    expecting.pass(30, "celery@app-2");
    let last = expecting.clock.now() - Duration::from_secs(90);
    expecting.past = vec![Seen { name: "celery@old-1".into(), last, busy: true }];
    expecting.assert("workers", Status::Critical, "gone with work in hand: celery@old-1 since 1m 30s");
    expecting.past.clear();
    let text = "[alerts.workers]\n\"celery@app-*\" = 4\n\"celery@gpu-1\" = 1\n";
    expecting.thresholds = file::parse(text, "c", None).expect("valid").alerts;
    expecting.assert("workers", Status::Critical, "celery@gpu-1 is not online (4 workers online)");
    expecting.thresholds.workers.remove("celery@gpu-1");
    expecting.assert("workers", Status::Ok, "4 workers online");
}

#[tokio::test]
async fn failures_that_come_thick_and_fast_are_a_burst_and_lower_the_share_of_successes() {
    let watched = Watched::new(Scenario::Healthy, 200).await;
    watched.assert("failures", Status::Ok, "none lately");
    let at = watched.clock.now().secs();
    let failure = |n: u32| {
        format!(
            r#"{{"type":"task-received","uuid":"f{n}","name":"pay","hostname":"celery@app-1","timestamp":{at}}},
            {{"type":"task-failed","uuid":"f{n}","hostname":"celery@app-1","timestamp":{at},
              "exception":"OSError('card {n}')","traceback":"T"}}"#
        )
    };
    watched.tell(&format!("[{}]", (0..130).map(failure).collect::<Vec<_>>().join(",")));
    watched.assert("failures", Status::Critical, "OSError in pay ");
    let (status, text) = watched.found("success");
    assert!(status == Status::Critical && text.contains("% of 3"), "{text}");
}

#[tokio::test]
async fn without_events_of_tasks_it_is_not_known_how_they_fare() {
    let watched = Watched::new(Scenario::Quiet, 1_000).await;
    for check in ["success", "failures", "events"] {
        watched.assert(check, Status::Unknown, "tasks ran and no event told of them");
    }
    assert_eq!(check::worst(&watched.findings()), Status::Unknown);
}

#[tokio::test]
async fn without_permission_nothing_is_said_to_be_fine() {
    let mut watched = Watched::new(Scenario::Healthy, 100).await;
    watched.store = Store::new(Limits::default());
    let lack = |right| Lack { right, what: "PSUBSCRIBE".into(), why: "no permissions".into() };
    let rights = [Right::Events, Right::Control, Right::Queues];
    watched.health = watched.health.map(|health| Health { lacks: rights.map(lack).to_vec(), ..health });
    for check in ["workers", "success", "failures", "queues", "oldest", "events", "slow"] {
        assert_eq!(watched.found(check).0, Status::Unknown, "{check}");
    }
    watched.assert("workers", Status::Unknown, "no permission to PSUBSCRIBE");
}

#[tokio::test]
async fn under_an_alarm_the_broker_is_critical_and_nobody_is_said_to_be_gone() {
    let mut watched = Watched::new(Scenario::Healthy, 1_000).await;
    let alarms = vec!["memory alarm on rabbit@a".to_owned()];
    watched.health = watched.health.map(|health| Health { alarms, memory_used: Some(500 << 20), ..health });
    watched.pass(120, "celery@");
    watched.assert("broker", Status::Critical, "memory alarm on rabbit@a");
    watched.assert("broker-memory", Status::Critical, "500M of 512M");
    watched.assert("workers", Status::Unknown, "no worker can be heard");
    assert_eq!(check::worst(&watched.findings()), Status::Critical, "what is not known hides it not");
}

#[tokio::test]
async fn a_task_is_slow_by_its_own_p99_or_by_its_limit() {
    let mut watched = Watched::new(Scenario::Healthy, 3_000).await;
    let now = watched.clock.now();
    let runs = |name: &str, secs: u64| {
        let started = (now - Duration::from_secs(secs)).secs();
        let value = serde_json::json!([{"id": "x", "name": name, "time_start": started}]);
        let reply = flower_tui::celery::pidbox::Reply { worker: "celery@app-1".into(), value };
        watched.store.apply(&[Update::Inspected(now, "active", vec![reply])]);
    };
    runs("mail.send", 20);
    watched.assert("slow", Status::Ok, "none of ");
    runs("mail.send", 40);
    watched.assert("slow", Status::Critical, "run for too long: mail.send 40.0s (p99 ");
    runs("never.seen", 40);
    watched.assert("slow", Status::Ok, "none of ");
    runs("never.seen", 400);
    watched.assert("slow", Status::Unknown, "never.seen runs for over 5m 00s");
    let text = "[alerts.tasks.\"never.*\"]\nruntime = { warning = \"5m\" }\n";
    watched.thresholds = file::parse(text, "c", None).expect("valid").alerts;
    watched.assert("slow", Status::Warning, "never.seen 6m 40s (its limit)");
}

#[tokio::test]
async fn what_is_left_out_is_not_told_and_a_bound_without_sense_is_refused_with_its_line() {
    let mut watched = Watched::new(Scenario::Healthy, 100).await;
    watched.thresholds = file::parse("[alerts]\nskip = [\"slow\"]\n", "c", None).expect("valid").alerts;
    assert!(watched.findings().iter().all(|finding| finding.check != "slow"));
    let why = file::parse("[alerts]\noldest = { warning = \"soon\" }\n", "c.toml", None).expect_err("wrong").0;
    assert!(why.starts_with("c.toml, line 2: oldest takes times such as"), "{why}");
}
