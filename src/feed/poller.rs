//! What doesn't come as events: queue depths, the broker's health, and workers' answers to `inspect`. Workers are asked
//! about what somebody looks at, and once when they are new.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Context;
use super::interest::Interests;
use crate::broker::{Health, LinkState};
use crate::celery::pidbox::{Method, Request};
use crate::clock::Stamp;
use crate::state::peek::Look;
use crate::state::{Model, Update};

/// How often depths are read.
const DEPTHS: Duration = Duration::from_secs(2);
/// How often workers are asked about what is looked at.
const INSPECT: Duration = Duration::from_secs(10);
/// The longest pause between two readings of the depths.
const DEPTHS_MOST: Duration = Duration::from_secs(20);
/// Up to so many workers are asked that often. More are asked more seldom, one thing at a time, so that no broker carries
/// more answers in a minute: of 5,000 the one that is looked at is asked for itself.
const CROWD: usize = 200;
/// New workers that are asked by name. A request goes to every worker, with all the names in it.
const NAMED: usize = 100;
/// The share of the broker's commands that polling may make up. The bound that holds: depths are read so seldom that all
/// we send stays below this share or below [`LIGHT`], whichever is more, but never less often than [`DEPTHS_MOST`].
const SHARE: f64 = 0.01;
/// Commands a second that burden no broker, however little else it does.
const LIGHT: f64 = 2.0;
/// How often the broker is asked how it is where somebody looks at that, and where not. One that may let nobody publish
/// is always asked soon: who is silent then is not gone.
const HEALTH: Duration = Duration::from_secs(5);
const HEALTH_UNSEEN: Duration = Duration::from_secs(30);
/// How often it is asked whether lost tasks come back, and in how many deliveries they are looked for.
const LOST: Duration = Duration::from_secs(10);
const DELIVERED: usize = 10_000;
/// How long workers have to answer.
const ANSWER: Duration = Duration::from_secs(1);

pub(super) struct Poller {
    pub context: Context,
    pub link: watch::Receiver<LinkState>,
    pub health: watch::Sender<Option<Health>>,
    pub interest: watch::Receiver<Interests>,
    pub updates: mpsc::Sender<Update>,
    pub refresh: watch::Receiver<u64>,
}

/// When what was asked last.
#[derive(Default)]
struct Asked {
    methods: HashMap<&'static str, Instant>,
    /// One worker at a time, about what is looked at.
    looked_at: HashMap<(String, &'static str), Instant>,
    health: Option<Instant>,
    schedule: Option<Instant>,
    lost: Option<Instant>,
    /// And whether the ages of messages were asked for too.
    depths: Option<(Instant, bool)>,
    greeted: bool,
}

/// Whether the broker is up for a shorter time than it was before.
fn restarted(before: Option<u64>, now: Option<u64>) -> bool {
    before.zip(now).is_some_and(|(before, now)| now < before)
}

/// The next pause: longer while we send more than our share, and back again after that.
fn stretched(pause: Duration, own: Option<f64>, all: Option<f64>) -> Duration {
    let Some(own) = own else { return DEPTHS };
    // Where the broker doesn't say what it does, we stay light.
    let allowed = (all.unwrap_or(0.0) * SHARE).max(LIGHT);
    pause.mul_f64((own / allowed).clamp(0.5, 2.0)).clamp(DEPTHS, DEPTHS_MOST)
}

impl Poller {
    /// Runs until the feed stops.
    pub async fn run(mut self) {
        let (mut pause, mut next) = (DEPTHS, Duration::ZERO);
        let mut asked = Asked::default();
        loop {
            tokio::select! {
                () = self.context.stop.cancelled() => return,
                () = tokio::time::sleep(next) => {}
                Ok(()) = self.refresh.changed() => asked = Asked { greeted: true, ..Asked::default() },
                Ok(()) = self.interest.changed() => {}
                Ok(()) = self.link.changed() => {}
            }
            next = pause;
            if !self.link.borrow_and_update().is_live() {
                asked.greeted = false;
                // Another server may be behind the next link.
                asked.health = None;
                continue;
            }
            tokio::select! {
                () = self.context.stop.cancelled() => return,
                () = self.poll(&mut asked) => {}
            }
            pause = match &*self.health.borrow() {
                Some(health) => stretched(pause, health.own_commands, health.commands),
                None => DEPTHS,
            };
            next = pause;
        }
    }

    async fn poll(&self, asked: &mut Asked) {
        if !asked.greeted {
            asked.greeted = true;
            asked.methods.clear();
            // Every worker shows itself at once, as Celery's own monitors make them do.
            self.control(Method::Heartbeat, &[], Duration::ZERO).await;
        }
        self.depths(asked).await;
        match self.context.broker.missed() {
            0 => {}
            missed => self.send(Update::Missed(self.context.clock.now(), missed)).await,
        }
        let alarming = self.health.borrow().as_ref().is_some_and(|health| health.kind == "rabbitmq");
        let every =
            if alarming || self.interest.borrow().any(|interest| interest.broker) { HEALTH } else { HEALTH_UNSEEN };
        if asked.health.is_none_or(|at| at.elapsed() >= every) {
            asked.health = Some(Instant::now());
            if let Ok(health) = self.context.broker.health().await {
                let before = self.health.borrow().as_ref().and_then(|before| before.uptime);
                if restarted(before, health.uptime) {
                    self.send(Update::Mark(self.context.clock.now(), "the broker restarted".into())).await;
                }
                let alarm = health.alarm().is_some();
                if alarm != self.health.borrow().as_ref().is_some_and(|before| before.alarm().is_some()) {
                    self.send(Update::Alarm(self.context.clock.now(), alarm)).await;
                }
                self.health.send_replace(Some(health));
            }
        }
        self.schedule(asked).await;
        self.lost(asked).await;
        let online = self.context.store.read(|m| m.online(self.context.clock.now()).0);
        for method in self.due(asked, online) {
            self.inspect(method, None).await;
        }
        for (worker, method) in self.looked_at(asked) {
            self.inspect(method, Some(&[worker])).await;
        }
        self.meet_new_workers().await;
    }

    /// What RedBeat keeps, where somebody looks at it.
    async fn schedule(&self, asked: &mut Asked) {
        if !self.interest.borrow().any(|interest| interest.schedule)
            || asked.schedule.is_some_and(|at| at.elapsed() < HEALTH)
        {
            return;
        }
        asked.schedule = Some(Instant::now());
        let read = self.context.broker.redbeat().await.map_err(|e| e.to_string());
        self.send(Update::Schedule(self.context.clock.now(), read)).await;
    }

    /// Whether what was lost with a worker comes back: asked only while somebody lost something.
    async fn lost(&self, asked: &mut Asked) {
        let can = self.context.broker.capabilities().delivered;
        if !can || asked.lost.is_some_and(|at| at.elapsed() < LOST) || !self.context.store.read(Model::lost_untold) {
            return;
        }
        asked.lost = Some(Instant::now());
        let timeout = self.health.borrow().as_ref().and_then(|health| health.visibility_timeout);
        // Who may not look there goes on not knowing.
        let Ok(held) = self.context.broker.unacked(DELIVERED).await else { return };
        let whole = held.len() < DELIVERED;
        let again = |at: Option<Stamp>| Some(at? + Duration::from_secs(timeout?));
        let held = held.into_iter().filter_map(|held| Some((held.message.ok()?.id, again(held.at)))).collect();
        self.send(Update::Unacked(held, whole)).await;
    }

    async fn depths(&self, asked: &mut Asked) {
        let ages = self.interest.borrow().any(|interest| interest.broker);
        // Going from row to row changes what is looked at, and not how much waits.
        if asked.depths.is_some_and(|(at, before)| at.elapsed() < DEPTHS / 2 && before >= ages) {
            return;
        }
        asked.depths = Some((Instant::now(), ages));
        let names = self.context.store.read(|m| {
            let mut names = m.queue_names();
            // Where a broker lists no queues, what lies aside is known by name alone.
            names.extend(m.asides().map(|aside| aside.name.clone()));
            for (_, worker) in m.workers() {
                names.extend(worker.inspected.queues.iter().flatten().cloned());
            }
            names
        });
        // A broker that can't answer is seen at its link; the depths just grow old.
        if let Ok(mut depths) = self.context.broker.queues(&names).await {
            if ages {
                // Without it their age is told by how long something was seen to wait.
                let _ = self.context.broker.next_in_line(&mut depths).await;
            }
            self.send(Update::Queues(self.context.clock.now(), depths)).await;
        }
    }

    /// What somebody looks at and is old. In the beginning everything is asked for once.
    fn due(&self, asked: &mut Asked, online: usize) -> Vec<Method> {
        let every = pause(online);
        let interest = self.interest.borrow().clone();
        // Who holds what was not acknowledged is told by all three lists.
        let unacked = interest.any(|i| i.queue.as_ref().is_some_and(|look| look.what == Look::Unacked));
        let workers = interest.any(|i| i.workers);
        let wanted = [
            (Method::Stats, workers),
            (Method::ActiveQueues, workers || interest.any(|i| i.consumers)),
            (Method::Active, workers || unacked),
            (Method::Reserved, workers || unacked),
            (Method::Scheduled, unacked),
            (Method::Registered, interest.any(|i| i.registered)),
        ];
        let mut due = Vec::new();
        for (method, looked_at) in wanted {
            let last = asked.methods.get(method.name());
            // What waits for its time, and what is known, can be much: it is asked for only where it is looked at.
            let new = last.is_none() && !matches!(method, Method::Scheduled | Method::Registered);
            if new || (looked_at && last.is_none_or(|at| at.elapsed() >= every)) {
                asked.methods.insert(method.name(), Instant::now());
                due.push(method);
                if online > CROWD {
                    break;
                }
            }
        }
        due
    }

    /// The workers and methods that somebody looks at, where what they said is old.
    fn looked_at(&self, asked: &mut Asked) -> Vec<(String, Method)> {
        // What was asked long ago is asked again anyhow.
        asked.looked_at.retain(|_, at| at.elapsed() < INSPECT);
        let mut wanted = self.interest.borrow().each(|interest| interest.inspect.clone());
        wanted.retain(|(worker, method)| !asked.looked_at.contains_key(&(worker.clone(), method.name())));
        let now = Instant::now();
        asked.looked_at.extend(wanted.iter().map(|(worker, method)| ((worker.clone(), method.name()), now)));
        wanted
    }

    /// Asks workers that came online since, which nobody knows anything of yet.
    async fn meet_new_workers(&self) {
        let now = self.context.clock.now();
        let (mut strangers, online): (Vec<String>, usize) = self.context.store.read(|m| {
            let strange = |w: &crate::state::worker::Worker| w.is_online(now) && w.inspected.stats.is_none();
            // One that was met and gave no answer is not asked again and again.
            let strangers = m
                .workers()
                .into_iter()
                .filter(|(_, w)| strange(w) && now.since(w.first_seen) < Duration::from_secs(30))
                .map(|(name, _)| name.to_owned())
                .collect();
            (strangers, m.online(now).0)
        });
        if strangers.is_empty() {
            return;
        }
        let most = strangers.len() > NAMED && strangers.len() * 2 > online;
        strangers.truncate(NAMED);
        let to = (!most).then_some(&strangers[..]);
        self.inspect(Method::Stats, to).await;
        self.inspect(Method::ActiveQueues, to).await;
    }

    /// Workers that are online.
    fn online(&self) -> Vec<String> {
        let now = self.context.clock.now();
        let all =
            |m: &Model| m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(n, _)| n.to_owned()).collect();
        self.context.store.read(all)
    }

    async fn inspect(&self, method: Method, to: Option<&[String]>) {
        let expected = to.map_or_else(|| self.online(), <[String]>::to_vec);
        let name = method.name();
        let request = Request { method, to: to.map(<[String]>::to_vec) };
        if let Ok(replies) = self.context.broker.control(&request, &expected, ANSWER).await {
            let answered: HashSet<&str> = replies.iter().map(|reply| reply.worker.as_str()).collect();
            let silent = expected.into_iter().filter(|worker| !answered.contains(worker.as_str())).collect();
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

/// How often so many workers are asked.
fn pause(workers: usize) -> Duration {
    INSPECT * u32::try_from(workers.div_ceil(CROWD).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_workers_answer_no_more_often_than_few() {
        assert_eq!((pause(0), pause(200)), (INSPECT, INSPECT));
        for workers in [1_000, 5_000] {
            let each_second = workers as f64 / pause(workers).as_secs_f64();
            assert!(each_second <= CROWD as f64 / INSPECT.as_secs_f64(), "{each_second} answers a second");
        }
    }

    #[test]
    fn a_broker_that_is_up_for_a_shorter_time_than_before_restarted() {
        assert!(restarted(Some(900), Some(3)));
        assert!(!restarted(Some(900), Some(905)) && !restarted(None, Some(3)) && !restarted(Some(9), None));
    }

    #[test]
    fn polling_slows_down_where_it_is_more_than_its_share() {
        let slow = stretched(DEPTHS, Some(100.0), Some(1_000.0));
        assert_eq!(slow, DEPTHS * 2);
        assert_eq!(stretched(DEPTHS_MOST, Some(1e6), Some(1e6)), DEPTHS_MOST, "it never stops");
        assert_eq!(stretched(slow, Some(3.0), Some(1_000.0)), DEPTHS, "and is back when it may");
        assert_eq!(stretched(DEPTHS, Some(1.5), Some(2.0)), DEPTHS, "a broker that does nothing else is not spared");
        assert_eq!(stretched(slow, None, Some(1.0)), DEPTHS);
        assert_eq!(stretched(DEPTHS, Some(9.0), None), DEPTHS * 2);
    }
}
