//! A simulated cluster behind a [`Broker`]: seeded, on virtual time, and speaking the bytes real workers speak. Demo,
//! tests and screenshots run the real program on it.

mod cluster;
pub mod load;
mod queue;
pub mod scenario;
mod wire;
mod worker;
mod workload;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::broker::change::{Sift, Sifted};
use crate::broker::{Broker, Capabilities, Error, EventStream, Health, RawMessage, Result};
use crate::celery::TaskId;
use crate::celery::message::{Message, Outgoing};
use crate::celery::original::Original;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use crate::clock::{Clock, Stamp};

use cluster::Cluster;
pub use scenario::{Options, Scenario};

/// See the module.
#[derive(Clone)]
pub struct SimBroker {
    cluster: Arc<Mutex<Cluster>>,
    clock: Clock,
    commanded: Arc<Notify>,
}

/// Virtual seconds simulated without a break while catching up.
const STRIDE: Duration = Duration::from_secs(5);

impl SimBroker {
    /// A cluster whose history ends at the clock's present time.
    pub fn new(options: &Options, clock: Clock) -> Self {
        let cluster = Cluster::new(options, clock.now());
        Self { cluster: Arc::new(Mutex::new(cluster)), clock, commanded: Arc::new(Notify::new()) }
    }

    /// Lets the cluster live until `at`, and returns what it announced meanwhile.
    pub fn advance(&self, at: Stamp) -> Vec<RawMessage> {
        self.cluster.lock().advance(at)
    }

    /// Waits until history has been made: who asks in the present wants to know of the present.
    async fn caught_up(&self) {
        let now = self.clock.now();
        while self.now() + STRIDE < now {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The present virtual time: behind the clock while history is being made.
    pub fn now(&self) -> Stamp {
        self.cluster.lock().now()
    }
}

#[async_trait]
impl Broker for SimBroker {
    fn url(&self) -> String {
        "demo: simulated".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { priorities: true, unacked: true, peek: true, peek_marks: false, delivered: true, waits: true }
    }

    async fn events(&self) -> Result<EventStream> {
        let sim = self.clone();
        let batches = futures_util::stream::unfold(sim, |sim| async move {
            loop {
                let (now, target) = (sim.clock.now(), sim.now() + STRIDE);
                let messages = sim.advance(now.min(target));
                if !messages.is_empty() {
                    return Some((messages, sim));
                }
                if sim.now() < now {
                    continue;
                }
                let next = sim.cluster.lock().next_at().map_or(Duration::from_secs(1), |at| at.since(now));
                tokio::select! {
                    () = tokio::time::sleep(next.clamp(Duration::from_millis(20), Duration::from_secs(1))) => {}
                    () = sim.commanded.notified() => {}
                }
            }
        });
        Ok(batches.boxed())
    }

    async fn control(&self, request: &Request, _expected: &[String], _wait: Duration) -> Result<Vec<Reply>> {
        self.caught_up().await;
        let replies = self.cluster.lock().control(&request.body(None));
        self.commanded.notify_one();
        Ok(replies)
    }

    async fn publish(&self, message: &Outgoing) -> Result<()> {
        // The way over the wire format keeps the encoder honest.
        if let Ok(message) = Message::decode(message.encode_redis().as_bytes()) {
            self.cluster.lock().publish(&message);
        }
        self.commanded.notify_one();
        Ok(())
    }

    async fn queues(&self, names: &[String]) -> Result<Vec<Depth>> {
        self.caught_up().await;
        Ok(self.cluster.lock().depths(names))
    }

    async fn peek(&self, queue: &str, range: Range<usize>) -> Result<Vec<Waiting>> {
        self.caught_up().await;
        Ok(self.cluster.lock().peek(queue, range))
    }

    async fn unacked(&self, most: usize) -> Result<Vec<Delivered>> {
        self.caught_up().await;
        Ok(self.cluster.lock().delivered(most))
    }

    async fn sift(&self, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted> {
        self.caught_up().await;
        let mut sifted = Sifted::default();
        let messages = self.cluster.lock().peek(queue, 0..usize::MAX);
        let chosen: Vec<&Waiting> = sift.choose(&messages).into_iter().filter_map(|i| messages.get(i)).collect();
        let originals: Vec<Original> = chosen.iter().filter_map(|waiting| waiting.original(queue)).collect();
        sift.keep(&originals).map_err(|what| Error::Unable { what })?;
        let ids: Vec<TaskId> =
            chosen.iter().filter_map(|waiting| Some(waiting.message.as_ref().ok()?.id.clone())).collect();
        let taken = self.cluster.lock().take(queue, &ids, to, sift.task());
        sifted.count(messages.len(), &taken);
        sift.taken(&taken);
        Ok(sifted)
    }

    async fn put(&self, messages: &[Original], _: &str, _: usize) -> Result<usize> {
        self.caught_up().await;
        for message in messages.iter().filter_map(|original| original.message().ok()) {
            self.cluster.lock().publish(&message);
        }
        self.commanded.notify_one();
        Ok(messages.len())
    }

    async fn rename(&self, queue: &str, to: &str) -> Result<u64> {
        self.caught_up().await;
        Ok(self.cluster.lock().rename(queue, to))
    }

    async fn rename_back(&self, from: &str, queue: &str) -> Result<u64> {
        self.caught_up().await;
        let moved = self.cluster.lock().rename(from, queue);
        self.commanded.notify_one();
        Ok(moved)
    }

    async fn health(&self) -> Result<Health> {
        let cluster = self.cluster.lock();
        Ok(Health {
            kind: "simulated".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime: Some(cluster.uptime()),
            memory_used: Some(48 << 20),
            memory_max: Some(512 << 20),
            clients: Some(cluster.worker_count() as u64 * 3 + 2),
            evicted: Some(0),
            unacked: Some(cluster.unacked()),
            rtt: 0.0004,
            commands: None,
            own_commands: None,
            backlog: Some(0),
            visibility_timeout: Some(3_600),
            ..Health::default()
        })
    }
}
