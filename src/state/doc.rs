//! Tasks, workers and queues as the documents that scripts rely on (`--json`, and later the API).

use std::borrow::Cow;

use serde::Serialize;

use crate::celery::queue::Waiting;
use crate::clock::Stamp;
use crate::redact::Redactor;

use super::model::Model;
use super::queue::Queue;
use super::task::{State, Task};
use super::worker::Worker;

fn secs(stamp: Option<Stamp>) -> Option<f64> {
    stamp.map(Stamp::secs)
}

/// A task. Times are epoch seconds; texts have no secrets in them.
#[derive(Serialize, Debug, Clone, Default, PartialEq)]
pub struct TaskDoc {
    pub id: String,
    pub name: Option<String>,
    pub state: String,
    pub worker: Option<String>,
    pub queue: Option<String>,
    pub args: Option<String>,
    pub kwargs: Option<String>,
    pub result: Option<String>,
    pub exception: Option<String>,
    pub traceback: Option<String>,
    pub retries: Option<u16>,
    pub sent: Option<f64>,
    pub received: Option<f64>,
    pub started: Option<f64>,
    pub finished: Option<f64>,
    pub succeeded: Option<f64>,
    pub failed: Option<f64>,
    pub retried: Option<f64>,
    pub revoked: Option<f64>,
    pub rejected: Option<f64>,
    pub timestamp: Option<f64>,
    /// Seconds.
    pub runtime: Option<f64>,
    pub root_id: Option<String>,
    pub parent_id: Option<String>,
    pub eta: Option<String>,
    pub expires: Option<String>,
    pub client: Option<String>,
    pub exchange: Option<String>,
    pub routing_key: Option<String>,
    /// Why it counts as lost with its worker, beside Celery's `state`.
    pub lost: Option<String>,
    /// When the broker gives a lost task out again, if it does.
    pub redelivered_at: Option<f64>,
}

impl From<Task<'_>> for TaskDoc {
    fn from(task: Task<'_>) -> Self {
        let text = |t: Option<&str>| t.map(str::to_owned);
        let shown = |t: Option<Cow<'_, str>>| t.map(Cow::into_owned);
        let outcome = |state| secs(task.outcome(state));
        Self {
            id: task.id().to_string(),
            name: text(task.name()),
            state: task.state_name().to_owned(),
            worker: text(task.worker()),
            queue: text(task.queue()),
            args: shown(task.args()),
            kwargs: shown(task.kwargs()),
            result: shown(task.result()),
            exception: shown(task.exception()),
            traceback: shown(task.traceback()),
            retries: task.retries(),
            sent: secs(task.sent()),
            received: secs(task.received()),
            started: secs(task.started()),
            finished: secs(task.finished()),
            succeeded: outcome(State::Success),
            failed: outcome(State::Failure),
            retried: outcome(State::Retry),
            revoked: outcome(State::Revoked),
            rejected: outcome(State::Rejected),
            timestamp: secs(task.stamp()),
            runtime: task.runtime(),
            root_id: task.root().map(|id| id.to_string()),
            parent_id: task.parent().map(|id| id.to_string()),
            eta: text(task.eta()),
            expires: text(task.expires()),
            client: text(task.client()),
            exchange: text(task.exchange()),
            routing_key: text(task.routing_key()),
            lost: task.lost_reason(),
            redelivered_at: secs(task.lost().and_then(|lost| lost.again.at())),
        }
    }
}

impl TaskDoc {
    /// Seconds from when it could have run, as far as that is known, to when it did.
    pub fn wait(&self) -> Option<f64> {
        let eta = self.eta.as_deref().and_then(super::task::parse_iso).map(Stamp::secs);
        let from = eta.or(self.sent).or(self.received)?;
        Some(self.started? - from).filter(|secs| *secs >= 0.0)
    }
}

/// A worker. What it has not told is null.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub struct WorkerDoc {
    pub name: String,
    pub online: bool,
    pub pid: Option<i64>,
    pub pool: Option<String>,
    pub processes: Option<u64>,
    pub active: Option<u64>,
    pub reserved: Option<u64>,
    pub scheduled: Option<u64>,
    pub processed: Option<i64>,
    /// Tasks that are lost with it, or with an earlier process of its name.
    pub lost: u32,
    /// Tasks whose events were missed, by its own count; null where it does not count.
    pub events_missed: Option<u64>,
    pub prefetch: Option<u64>,
    pub queues: Option<Vec<String>>,
    pub loadavg: Option<[f64; 3]>,
    /// When it was last heard of by heartbeat.
    pub heartbeat: Option<f64>,
    pub freq: f64,
    pub uptime: Option<u64>,
    pub sw_ident: Option<String>,
    pub sw_ver: Option<String>,
    pub sw_sys: Option<String>,
}

impl WorkerDoc {
    /// The worker as it is at `now`.
    pub fn new(name: &str, worker: &Worker, now: Stamp) -> Self {
        let found = &worker.inspected;
        let stats = found.stats.as_ref();
        Self {
            name: name.to_owned(),
            online: worker.is_online(now),
            pid: worker.pid,
            pool: stats.map(|s| s.pool.kind.clone()).filter(|k| !k.is_empty()),
            processes: worker.pool_size(),
            active: found.total("active").map(|n| n as u64).or(worker.running()),
            reserved: found.total("reserved").map(|n| n as u64),
            scheduled: found.total("scheduled").map(|n| n as u64),
            processed: worker.processed.or(stats.map(|s| s.total as i64)),
            lost: worker.lost,
            events_missed: worker.missed(),
            prefetch: stats.and_then(|s| s.prefetch),
            queues: found.queues.clone(),
            loadavg: worker.loadavg,
            heartbeat: secs(worker.heartbeat()),
            freq: worker.freq,
            uptime: stats.and_then(|s| s.uptime),
            sw_ident: worker.sw_ident.clone(),
            sw_ver: worker.sw_ver.clone(),
            sw_sys: worker.sw_sys.clone(),
        }
    }
}

/// A queue. `unacked` is null where the broker can't tell.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub struct QueueDoc {
    pub name: String,
    pub ready: u64,
    pub unacked: Option<u64>,
    pub consumers: Option<u64>,
    pub by_priority: serde_json::Map<String, serde_json::Value>,
    /// Seconds the next message has waited at least.
    pub oldest: Option<f64>,
    /// RabbitMQ's: classic, quorum, stream.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub policy: Option<String>,
    /// Bytes in the broker.
    pub memory: Option<u64>,
    /// Messages a second, as the broker counts them or by events.
    pub rate_in: Option<f64>,
    pub rate_out: Option<f64>,
    /// Where it lies aside: from which queue, by whom and when, and the row of the log by which that is undone.
    pub aside: Option<AsideDoc>,
}

/// How a queue was set aside.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub struct AsideDoc {
    pub from: String,
    pub by: String,
    pub at: f64,
    pub row: i64,
}

impl QueueDoc {
    /// The queue as it is at `now`.
    pub fn new(name: &str, queue: &Queue, model: &Model, now: Stamp) -> Self {
        Self {
            name: name.to_owned(),
            ready: queue.depth.ready,
            unacked: queue.depth.unacked,
            consumers: queue.depth.consumers.or(model.consumers(name, now).map(|n| n as u64)),
            by_priority: queue.depth.by_priority.iter().map(|(p, n)| (p.to_string(), (*n).into())).collect(),
            oldest: model.oldest(queue, now).map(|(secs, _)| secs),
            kind: queue.depth.kind.clone(),
            policy: queue.depth.policy.clone(),
            memory: queue.depth.memory,
            rate_in: model.flow(queue, now).map(|(into, _)| into),
            rate_out: model.flow(queue, now).map(|(_, out)| out),
            aside: model.aside(name).map(|aside| AsideDoc {
                from: aside.queue.clone(),
                by: aside.by.clone(),
                at: aside.at.secs(),
                row: aside.row,
            }),
        }
    }
}

/// A message that waits in a queue. What could not be read has only its place, size and `error`.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub struct WaitingDoc {
    /// In the order they will be taken, from one.
    pub place: usize,
    pub id: Option<String>,
    pub name: Option<String>,
    pub args: Option<String>,
    pub kwargs: Option<String>,
    pub priority: i64,
    pub eta: Option<String>,
    pub expires: Option<String>,
    pub retries: Option<i64>,
    pub client: Option<String>,
    pub root_id: Option<String>,
    pub parent_id: Option<String>,
    pub group: Option<String>,
    pub redelivered: bool,
    /// Bytes.
    pub size: usize,
    pub error: Option<String>,
}

impl WaitingDoc {
    /// The message without its secrets.
    pub fn new(waiting: &Waiting, redactor: &Redactor) -> Self {
        let message = waiting.message.as_ref().ok();
        let text = |pick: fn(&crate::celery::message::Message) -> Option<String>| message.and_then(pick);
        Self {
            place: waiting.place + 1,
            id: text(|m| Some(m.id.to_string())),
            name: text(|m| Some(m.name.clone())),
            args: message.and_then(|m| m.args_text(redactor)),
            kwargs: message.and_then(|m| m.kwargs_text(redactor)),
            priority: message.and_then(|m| m.priority).unwrap_or(i64::from(waiting.priority)),
            eta: text(|m| m.eta.clone()),
            expires: text(|m| m.expires.clone()),
            retries: message.map(|m| m.retries),
            client: text(|m| m.origin.clone()),
            root_id: text(|m| m.root_id.clone()),
            parent_id: text(|m| m.parent_id.clone()),
            group: text(|m| m.group.clone()),
            redelivered: message.is_some_and(|m| m.redelivered),
            size: waiting.size(),
            error: match &waiting.message {
                Ok(message) => match &message.body {
                    crate::celery::message::Body::Opaque(why) => Some(why.to_string()),
                    crate::celery::message::Body::Known { .. } => None,
                },
                Err(bad) => Some(bad.why.to_string()),
            },
        }
    }
}
