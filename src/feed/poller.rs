//! What doesn't come as events: queue depths, the broker's health, and workers' answers to `inspect`. Workers are asked
//! about what somebody looks at, and once when they are new.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Context, Interest};
use crate::broker::{Health, LinkState};
use crate::celery::pidbox::{Method, Request};
use crate::state::Update;

/// How often depths are read.
const DEPTHS: Duration = Duration::from_secs(2);
/// How often workers are asked about what is looked at.
const INSPECT: Duration = Duration::from_secs(10);
/// How often the broker is asked how it is.
const HEALTH: Duration = Duration::from_secs(5);
/// How long workers have to answer.
const ANSWER: Duration = Duration::from_secs(1);

pub(super) struct Poller {
    pub context: Context,
    pub link: watch::Receiver<LinkState>,
    pub health: watch::Sender<Option<Health>>,
    pub interest: watch::Receiver<Interest>,
    pub updates: mpsc::Sender<Update>,
    pub refresh: Arc<Notify>,
}

/// When what was asked last.
#[derive(Default)]
struct Asked {
    methods: HashMap<&'static str, Instant>,
    /// One worker at a time, about what is looked at.
    looked_at: HashMap<(String, &'static str), Instant>,
    health: Option<Instant>,
    greeted: bool,
}

impl Poller {
    /// Runs until the feed stops.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(DEPTHS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = Asked::default();
        loop {
            tokio::select! {
                () = self.context.stop.cancelled() => return,
                _ = tick.tick() => {}
                () = self.refresh.notified() => asked = Asked { greeted: true, ..Asked::default() },
                Ok(()) = self.interest.changed() => {}
                Ok(()) = self.link.changed() => {}
            }
            if !self.link.borrow_and_update().is_live() {
                asked.greeted = false;
                continue;
            }
            tokio::select! {
                () = self.context.stop.cancelled() => return,
                () = self.poll(&mut asked) => {}
            }
        }
    }

    async fn poll(&self, asked: &mut Asked) {
        if !asked.greeted {
            asked.greeted = true;
            asked.methods.clear();
            // Every worker shows itself at once, as Celery's own monitors make them do.
            self.control(Method::Heartbeat, &[], Duration::ZERO).await;
        }
        self.depths().await;
        if asked.health.is_none_or(|at| at.elapsed() >= HEALTH) {
            asked.health = Some(Instant::now());
            if let Ok(health) = self.context.broker.health().await {
                self.health.send_replace(Some(health));
            }
        }
        for method in self.due(asked) {
            self.inspect(method, None).await;
        }
        if let Some((worker, method)) = self.looked_at(asked) {
            self.inspect(method, Some(&[worker])).await;
        }
        self.meet_new_workers().await;
    }

    async fn depths(&self) {
        let names = self.context.store.read(|m| {
            let mut names = m.queue_names();
            for (_, worker) in m.workers() {
                names.extend(worker.inspected.queues.iter().flatten().cloned());
            }
            names
        });
        // A broker that can't answer is seen at its link; the depths just grow old.
        if let Ok(depths) = self.context.broker.queues(&names).await {
            self.send(Update::Queues(self.context.clock.now(), depths)).await;
        }
    }

    /// What somebody looks at and is old. In the beginning everything is asked for once.
    fn due(&self, asked: &mut Asked) -> Vec<Method> {
        let interest = self.interest.borrow().clone();
        let wanted = [
            (Method::Stats, interest.workers),
            (Method::ActiveQueues, interest.workers || interest.consumers),
            (Method::Active, interest.workers),
            (Method::Reserved, interest.workers),
        ];
        let mut due = Vec::new();
        for (method, looked_at) in wanted {
            let last = asked.methods.get(method.name());
            if last.is_none_or(|at| looked_at && at.elapsed() >= INSPECT) {
                asked.methods.insert(method.name(), Instant::now());
                due.push(method);
            }
        }
        due
    }

    /// The one worker and method somebody looks at, if what it said is old.
    fn looked_at(&self, asked: &mut Asked) -> Option<(String, Method)> {
        let (worker, method) = self.interest.borrow().inspect.clone()?;
        let key = (worker, method.name());
        if asked.looked_at.get(&key).is_some_and(|at| at.elapsed() < INSPECT) {
            return None;
        }
        // What was asked long ago is asked again anyhow.
        asked.looked_at.retain(|_, at| at.elapsed() < INSPECT);
        asked.looked_at.insert(key.clone(), Instant::now());
        Some((key.0, method))
    }

    /// Asks workers that came online since, which nobody knows anything of yet.
    async fn meet_new_workers(&self) {
        let now = self.context.clock.now();
        let strangers: Vec<String> = self.context.store.read(|m| {
            let strange = |w: &crate::state::worker::Worker| w.is_online(now) && w.inspected.stats.is_none();
            // One that was met and gave no answer is not asked again and again.
            m.workers()
                .into_iter()
                .filter(|(_, w)| strange(w) && now.since(w.first_seen) < Duration::from_secs(30))
                .map(|(name, _)| name.to_owned())
                .collect()
        });
        if !strangers.is_empty() {
            self.inspect(Method::Stats, Some(&strangers)).await;
            self.inspect(Method::ActiveQueues, Some(&strangers)).await;
        }
    }

    async fn inspect(&self, method: Method, to: Option<&[String]>) {
        let expected: Vec<String> = match to {
            Some(names) => names.to_vec(),
            None => {
                let now = self.context.clock.now();
                self.context.store.read(|m| {
                    m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(n, _)| n.to_owned()).collect()
                })
            }
        };
        let name = method.name();
        let request = Request { method, to: to.map(<[String]>::to_vec) };
        if let Ok(replies) = self.context.broker.control(&request, &expected, ANSWER).await {
            let silent = expected.into_iter().filter(|w| replies.iter().all(|r| r.worker != *w)).collect();
            let now = self.context.clock.now();
            self.send(Update::Inspected(now, name, replies)).await;
            self.send(Update::Silent(now, name, silent)).await;
        }
    }

    async fn control(&self, method: Method, expected: &[String], wait: Duration) {
        // Nobody waits for an answer to this.
        let _ = self.context.broker.control(&Request::to_all(method), expected, wait).await;
    }

    async fn send(&self, update: Update) {
        // Fails only when ingest has stopped, and then all stops.
        let _ = self.updates.send(update).await;
    }
}
