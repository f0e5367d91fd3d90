//! The cluster of the recordings: two workers that answer what they answered, and an application with its tasks.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flower_tui::broker::change::{Sift, Sifted};
use flower_tui::broker::{Broker, Capabilities, Error, EventStream, Health, Result};
use flower_tui::celery::TaskId;
use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::celery::message::Outgoing;
use flower_tui::celery::original::Original;
use flower_tui::celery::pidbox::{Reply, Request};
use flower_tui::celery::queue::{Delivered, Depth, Waiting};
use flower_tui::celery::result::Stored;
use flower_tui::clock::Stamp;
use flower_tui::results::{Backend, Error as ResultError};
use flower_tui::state::{Store, Update};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::NOW;
use super::replay::exchanges;

/// Documents of a result backend in memory.
#[derive(Default)]
pub struct Kept {
    documents: Mutex<HashMap<String, Value>>,
    pub away: AtomicBool,
}

impl Kept {
    pub fn put(&self, id: &str, document: Value) {
        self.documents.lock().insert(id.to_owned(), document);
    }
}

#[async_trait]
impl Backend for Kept {
    fn url(&self) -> String {
        "memory".into()
    }

    async fn get(&self, ids: &[TaskId]) -> std::result::Result<Vec<(TaskId, Stored)>, ResultError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ResultError::new("it is away"));
        }
        let documents = self.documents.lock();
        let read =
            |id: &TaskId| Some((id.clone(), Stored::read(documents.get(&id.to_string())?.to_string().as_bytes())));
        Ok(ids.iter().filter_map(read).collect())
    }

    async fn abort(&self, id: &TaskId, _: Stamp) -> std::result::Result<(), ResultError> {
        // The application's task looks at the mark and returns.
        self.put(&id.to_string(), json!({"status": "SUCCESS", "result": "aborted"}));
        Ok(())
    }
}

pub const WORKERS: [&str; 2] = ["w1@vm", "w2@vm"];

/// Applies events.
fn events(store: &Store, list: &[Value]) {
    let mut batch = Batch::default();
    let body = Value::Array(list.to_vec()).to_string();
    assert!(batch.push_body(Format::Json, body.as_bytes(), Stamp::from_micros(NOW)).is_ok());
    store.apply(&[Update::Events(Arc::new(batch)), Update::Tick(Stamp::from_micros(NOW))]);
}

/// Both workers are alive.
pub fn beat(store: &Store) {
    let beat = |name: &str| {
        json!({
            "type": "worker-heartbeat", "hostname": name, "timestamp": NOW as f64 / 1e6, "freq": 2.0, "active": 0,
            "processed": 9, "loadavg": [0.9, 0.3, 0.5], "pid": 30_636, "clock": 150, "sw_ident": "py-celery",
            "sw_ver": "5.7.0", "sw_sys": "Linux",
        })
    };
    events(store, &WORKERS.map(beat));
}

/// The events that tasks of these objects come of.
pub fn tell(store: &Store, tasks: &[Value]) {
    let mut list: Vec<Value> = tasks.iter().flat_map(events_of).collect();
    list.sort_by(|a, b| a["timestamp"].as_f64().partial_cmp(&b["timestamp"].as_f64()).expect("numbers"));
    for few in list.chunks(100) {
        events(store, few);
    }
}

fn events_of(task: &Value) -> Vec<Value> {
    let kinds = [
        ("sent", "task-sent"),
        ("received", "task-received"),
        ("started", "task-started"),
        ("retried", "task-retried"),
        ("failed", "task-failed"),
        ("succeeded", "task-succeeded"),
        ("revoked", "task-revoked"),
    ];
    let one = |(stamp, kind): (&str, &str)| {
        let at = task[stamp].as_f64()?;
        let mut event = json!({"type": kind, "uuid": task["uuid"], "timestamp": at, "hostname": task["worker"]});
        let keys: &[&str] = match kind {
            "task-sent" => {
                event["hostname"] = task["client"].clone();
                event["queue"] = task["routing_key"].clone();
                &[
                    "name",
                    "args",
                    "kwargs",
                    "eta",
                    "expires",
                    "retries",
                    "root_id",
                    "parent_id",
                    "exchange",
                    "routing_key",
                ]
            }
            "task-received" => &["name", "args", "kwargs", "eta", "expires", "retries", "root_id", "parent_id"],
            "task-succeeded" => &["result", "runtime"],
            "task-failed" | "task-retried" => &["exception", "traceback"],
            _ => &[],
        };
        for key in keys {
            event[*key] = task[*key].clone();
        }
        Some(event)
    };
    kinds.into_iter().filter_map(one).collect()
}

/// See the module.
pub struct Recorded {
    store: Store,
    kept: Arc<Kept>,
    said: Value,
    processes: AtomicU64,
    gone: Mutex<Vec<String>>,
    /// Queues that were added while it ran.
    added: Mutex<Vec<String>>,
}

impl Recorded {
    pub fn new(store: Store, kept: Arc<Kept>) -> Self {
        let all = exchanges().into_iter().find(|e| e["path"] == "/api/workers?refresh=true").expect("recorded");
        kept.put("057d75cc-61b3-4cee-b3b9-2f61bdb33cfc", json!({"status": "SUCCESS", "result": 1}));
        let raised = json!({"exc_type": "ValueError", "exc_message": ["boom 4"], "exc_module": "builtins"});
        let failed = json!({"status": "FAILURE", "result": raised, "traceback": "Traceback (most recent call last):"});
        kept.put("3cf26a24-9ab1-417f-bbf0-5eff186db4ea", failed);
        Self {
            store,
            kept,
            said: all["body"].clone(),
            processes: AtomicU64::new(2),
            gone: Mutex::default(),
            added: Mutex::default(),
        }
    }

    fn reply(&self, worker: &str, method: &str, arguments: &Value) -> Value {
        let text = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
        match method {
            "stats" => {
                let mut stats = self.said[worker]["stats"].clone();
                let pids: Vec<u64> = (0..self.processes.load(Ordering::Relaxed)).map(|n| 30_000 + n).collect();
                stats["pool"]["processes"] = json!(pids);
                stats
            }
            "active_queues" => {
                let mut queues = self.said[worker][method].as_array().cloned().unwrap_or_default();
                queues.extend(self.added.lock().iter().map(|name| json!({"name": name, "routing_key": name})));
                json!(queues)
            }
            "registered" | "conf" => self.said[worker][method].clone(),
            "active" | "scheduled" | "reserved" | "revoked" => json!([]),
            "pool_grow" => {
                self.processes.fetch_add(arguments["n"].as_u64().unwrap_or(0), Ordering::Relaxed);
                json!({"ok": "pool will grow"})
            }
            "pool_shrink" => {
                self.processes.fetch_sub(arguments["n"].as_u64().unwrap_or(0), Ordering::Relaxed);
                json!({"ok": "pool will shrink"})
            }
            "pool_restart" => json!({"ok": "reload started"}),
            "autoscale" => json!({"error": "ValueError('Autoscale not enabled')"}),
            "add_consumer" => {
                self.added.lock().push(text("queue"));
                json!({"ok": format!("add consumer {}", text("queue"))})
            }
            "cancel_consumer" => {
                self.added.lock().retain(|name| *name != text("queue"));
                json!({"ok": format!("no longer consuming from {}", text("queue"))})
            }
            "time_limit" => json!({"ok": "time limits set successfully"}),
            "rate_limit" if text("rate_limit") == "bogus" => {
                json!({"error": "Invalid rate limit string: ValueError(\"could not convert string to float: 'bogus'\")"})
            }
            "rate_limit" => json!({"ok": "new rate limit set successfully"}),
            "revoke" => {
                let ids = arguments["task_id"].as_array().cloned().unwrap_or_default();
                let known = ids
                    .iter()
                    .filter(|id| self.store.read(|m| m.task(&TaskId::new(id.as_str().unwrap_or_default())).is_some()));
                let revoked = known.map(
                    |id| json!({"type": "task-revoked", "uuid": id, "hostname": worker, "timestamp": NOW as f64 / 1e6}),
                );
                events(&self.store, &revoked.collect::<Vec<_>>());
                json!({"ok": "tasks flagged as revoked"})
            }
            other => json!({"error": format!("no method {other}")}),
        }
    }
}

/// What the application's tasks return.
fn run(name: &str, args: &Value) -> Option<Value> {
    let args = args.as_array()?;
    let done = |result: Value| Some(json!({"status": "SUCCESS", "result": result}));
    let failed = |kind: &str, why: Value| {
        let raised = json!({"exc_type": kind, "exc_message": [why], "exc_module": "builtins"});
        Some(json!({"status": "FAILURE", "result": raised, "traceback": "Traceback (most recent call last):\n"}))
    };
    match (name, &args[..]) {
        ("tasks.add", [a, b]) => done(json!(a.as_i64()? + b.as_i64()?)),
        ("tasks.add", _) => failed("TypeError", json!("add() missing 1 required positional argument: 'b'")),
        ("tasks.fail", [what]) => failed("ValueError", what.clone()),
        ("tasks.sleep" | "tasks.slow_abortable", _) => Some(json!({"status": "STARTED", "result": null})),
        _ => None,
    }
}

#[async_trait]
impl Broker for Recorded {
    fn url(&self) -> String {
        "redis://recorded".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { priorities: true, unacked: false, peek: false, peek_marks: false, delivered: false, waits: true }
    }

    async fn events(&self) -> Result<EventStream> {
        Ok(Box::pin(futures_util::stream::pending()))
    }

    async fn control(&self, request: &Request, _: &[String], _: Duration) -> Result<Vec<Reply>> {
        let method = request.method.name();
        let arguments = request.method.arguments();
        let asked = |name: &&str| request.to.as_ref().is_none_or(|to| to.iter().any(|one| one == name));
        let there: Vec<&str> = WORKERS.into_iter().filter(|name| !self.gone.lock().iter().any(|g| g == name)).collect();
        let there: Vec<&str> = there.into_iter().filter(asked).collect();
        if method == "shutdown" {
            for worker in there {
                self.gone.lock().push(worker.to_owned());
                events(
                    &self.store,
                    &[json!({"type": "worker-offline", "hostname": worker, "timestamp": NOW as f64 / 1e6})],
                );
            }
            return Ok(Vec::new());
        }
        let reply = |worker: &str| Reply { worker: worker.to_owned(), value: self.reply(worker, method, &arguments) };
        Ok(there.into_iter().map(reply).collect())
    }

    async fn publish(&self, message: &Outgoing) -> Result<()> {
        let at = NOW as f64 / 1e6;
        let own = json!({
            "type": "task-sent", "uuid": message.id, "name": message.name, "args": message.argsrepr,
            "kwargs": message.kwargsrepr, "queue": message.queue, "exchange": "", "routing_key": message.queue,
            "hostname": "gen1@vm", "timestamp": at, "eta": message.eta, "expires": message.expires, "retries": 0,
            "root_id": message.id, "parent_id": null,
        });
        events(&self.store, &[own]);
        let args = serde_json::from_str(&message.args).expect("JSON");
        if let Some(document) = run(&message.name, &args) {
            self.kept.put(&message.id.to_string(), document);
            let of = |kind: &str| json!({"type": kind, "uuid": message.id, "name": message.name, "hostname": "w2@vm", "timestamp": at});
            events(&self.store, &[of("task-received"), of("task-started")]);
        }
        Ok(())
    }

    async fn queues(&self, names: &[String]) -> Result<Vec<Depth>> {
        Ok(names.iter().map(|name| Depth { name: name.clone(), ..Depth::default() }).collect())
    }

    async fn peek(&self, _: &str, _: Range<usize>) -> Result<Vec<Waiting>> {
        Ok(Vec::new())
    }

    async fn unacked(&self, _: usize) -> Result<Vec<Delivered>> {
        Ok(Vec::new())
    }

    async fn sift(&self, _: &str, _: &mut dyn Sift, _: Option<&str>) -> Result<Sifted> {
        Err(Error::Unable { what: "recorded".into() })
    }

    async fn put(&self, _: &[Original], _: &str, _: usize) -> Result<usize> {
        Err(Error::Unable { what: "recorded".into() })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::default())
    }
}
