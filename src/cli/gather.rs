//! Listening for a while: how one-shot commands get to know a cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::env::Env;
use crate::broker::{Broker, Health, LinkState};
use crate::celery::pidbox::{Method, Request};
use crate::feed::{Context, Feed, Interest};
use crate::state::worker::Worker;
use crate::state::{Model, Store, Update};

/// A cluster that is being listened to.
pub struct Gathered {
    pub store: Store,
    pub broker: Arc<dyn Broker>,
    pub feed: Feed,
}

impl Gathered {
    /// How the broker is, if it said so.
    pub fn health(&self) -> Option<Health> {
        self.feed.health.borrow().clone()
    }

    /// Listens for as long as asked, and until every worker that is online has told what it holds.
    pub async fn listen(&self, env: &Env, secs: f64) {
        tokio::time::sleep(Duration::from_secs_f64(secs.min(1e6))).await;
        self.until(|w| w.inspected.reserved.is_some() && w.inspected.queues.is_some(), env).await;
    }

    /// Asks once more how much waits: where the broker lists no queues, only by now it is known from workers which there
    /// are.
    pub async fn ask_depths(&self, env: &Env) {
        let names: Vec<String> = self.store.read(|m| {
            let consumed = m.workers().into_iter().flat_map(|(_, w)| w.inspected.queues.iter().flatten().cloned());
            let asides = m.asides().map(|aside| aside.name.clone());
            m.queue_names().into_iter().chain(consumed.collect::<Vec<_>>()).chain(asides).collect()
        });
        // What can't be had is missing from the listing as it is from the screen.
        if let Ok(depths) = self.broker.queues(&names).await {
            self.store.apply(&[Update::Queues(env.clock.now(), depths)]);
        }
    }

    /// Asks once more what workers run: what began while we listened is known by it.
    pub async fn ask_running(&self, env: &Env) {
        let now = env.clock.now();
        let online = |m: &Model| {
            let workers = m.workers().into_iter().filter(|(_, w)| w.is_online(now));
            workers.map(|(name, _)| name.to_owned()).collect::<Vec<String>>()
        };
        let names = self.store.read(online);
        if let Ok(replies) = self.broker.control(&Request::to_all(Method::Active), &names, ANSWER).await {
            self.store.apply(&[Update::Inspected(env.clock.now(), Method::Active.name(), replies)]);
        }
    }

    /// Waits for a regular heartbeat of every worker, which says more than the one that answers us.
    pub async fn hear_heartbeats(&self, env: &Env) {
        self.until(|w| w.loadavg.is_some(), env).await;
    }

    /// Waits until something holds for all workers that are online, with a limit.
    async fn until(&self, told: impl Fn(&Worker) -> bool, env: &Env) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut seen = 0;
        while !self.everybody(&told, env) {
            match tokio::time::timeout_at(deadline, self.store.changed(seen)).await {
                Ok(version) => seen = version,
                Err(_) => break,
            }
        }
    }

    fn everybody(&self, told: &impl Fn(&Worker) -> bool, env: &Env) -> bool {
        let now = env.clock.now();
        self.store.read(|m| {
            let workers = m.workers();
            !workers.is_empty() && workers.iter().filter(|(_, w)| w.is_online(now)).all(|(_, w)| told(w))
        })
    }
}

/// How much longer than asked it is waited for workers that have not told everything.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long workers have to say what they run.
const ANSWER: Duration = Duration::from_secs(1);

/// Connects and begins to listen.
pub async fn begin(env: &Env) -> anyhow::Result<Gathered> {
    let broker = env.connected().await?;
    let store = env.store();
    store.apply(&[Update::Deeds(tokio::task::block_in_place(|| env.aftermath(&broker.url())))]);
    let context = Context {
        broker: broker.clone(),
        store: store.clone(),
        clock: env.clock.clone(),
        stop: env.stop.clone(),
        results: None,
    };
    let mut feed = Feed::start(&context, &TaskTracker::new());
    feed.set_interest(Interest { workers: true, consumers: true, broker: true, ..Interest::default() });
    // Nobody can listen before the subscription stands.
    let up = feed.link.wait_for(|link| !matches!(link, LinkState::Connecting));
    match tokio::time::timeout(PATIENCE, up).await {
        Ok(Ok(_)) | Ok(Err(_)) => {}
        Err(_) => tracing::warn!("the subscription did not stand in time"),
    }
    Ok(Gathered { store, broker, feed })
}
