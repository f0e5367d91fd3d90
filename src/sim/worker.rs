//! A simulated worker: its pool, what it holds, and how it answers remote control (Celery 5.7.0, `worker/control.py`).

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::celery::TaskId;
use crate::clock::Stamp;

/// A call of a task on its way through the cluster.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: TaskId,
    pub kind: usize,
    pub args: String,
    pub kwargs: String,
    pub retries: u32,
    pub root: Option<TaskId>,
    pub parent: Option<TaskId>,
    pub client: String,
    /// Succeeds whatever its kind says: a call that a person sent again.
    pub charmed: bool,
    /// When a worker took it out of its queue.
    pub taken: Option<Stamp>,
}

/// A call in a pool process.
#[derive(Clone, Debug)]
pub struct Run {
    pub call: Call,
    pub started: Stamp,
    pub pid: u32,
}

/// See the module.
pub struct Worker {
    pub name: String,
    pub pid: u32,
    pub pool: &'static str,
    pub processes: Vec<u32>,
    pub queues: Vec<String>,
    pub running: Vec<Run>,
    pub reserved: VecDeque<Call>,
    pub processed: u64,
    pub online: bool,
    pub events: bool,
    /// Started with `-E`: then `disable_events` has no effect.
    pub started_with_events: bool,
    pub clock: i64,
    pub started_at: Stamp,
    pub revoked: VecDeque<TaskId>,
    pub load: f64,
    /// The most and the fewest processes, where it scales by itself.
    pub autoscale: Option<(u64, u64)>,
    /// Started with `worker_pool_restarts`.
    pub pool_restarts: bool,
    rate_limits: BTreeMap<String, String>,
    /// Soft and hard, as Python prints them.
    time_limits: BTreeMap<String, [Option<String>; 2]>,
    next_pid: u32,
}

impl Worker {
    pub fn new(index: u32, queues: Vec<String>, events: bool, started_at: Stamp) -> Self {
        let pid = 700 + index * 400;
        let (pool, size) = if index % 5 == 3 { ("threads", 6) } else { ("prefork", 8) };
        Self {
            name: node_name(index),
            pid,
            pool,
            processes: if pool == "prefork" { (1..=size).map(|n| pid + n).collect() } else { vec![pid; size as usize] },
            queues,
            running: Vec::new(),
            reserved: VecDeque::new(),
            processed: 0,
            online: true,
            events,
            started_with_events: events,
            clock: 1,
            started_at,
            revoked: VecDeque::new(),
            load: 0.3,
            autoscale: (index % 5 == 4).then_some((12, 4)),
            pool_restarts: index % 5 == 2,
            rate_limits: BTreeMap::new(),
            time_limits: BTreeMap::new(),
            next_pid: pid + size + 1,
        }
    }

    pub fn tick(&mut self) -> i64 {
        self.clock += 1;
        self.clock
    }

    pub fn has_room(&self) -> bool {
        self.online && self.reserved.len() < self.processes.len() * 3 && !self.processes.is_empty()
    }

    /// A process that does nothing at the moment.
    pub fn idle_process(&self) -> Option<u32> {
        if self.pool == "threads" {
            return (self.running.len() < self.processes.len()).then_some(self.pid);
        }
        self.processes.iter().copied().find(|pid| self.running.iter().all(|run| run.pid != *pid))
    }

    pub fn grow(&mut self, n: u64) -> Value {
        if self.pool == "threads" {
            return json!({"error": "AttributeError(\"'TaskPool' object has no attribute 'grow'\")"});
        }
        if self.autoscale.is_some() {
            return scales_by_itself("grow");
        }
        self.add_processes(n);
        json!({"ok": "pool will grow"})
    }

    fn add_processes(&mut self, n: u64) {
        for _ in 0..n.min(64) {
            self.processes.push(self.next_pid);
            self.next_pid += 1;
        }
    }

    fn remove_idle(&mut self, n: u64) {
        for _ in 0..n {
            match self.idle_process() {
                Some(pid) => self.processes.retain(|p| *p != pid),
                None => break,
            }
        }
    }

    /// Takes a new range and keeps to it at once, as far as processes are idle.
    pub fn set_autoscale(&mut self, max: Option<u64>, min: Option<u64>) -> Value {
        let Some((old_max, old_min)) = self.autoscale else {
            return json!({"error": "ValueError('Autoscale not enabled')"});
        };
        let (max, min) = (max.unwrap_or(old_max), min.unwrap_or(old_min));
        self.autoscale = Some((max, min));
        let size = self.processes.len() as u64;
        self.remove_idle(size.saturating_sub(max));
        self.add_processes(min.saturating_sub(size));
        json!({"ok": format!("autoscale now max={max} min={min}")})
    }

    /// Idle processes are replaced; those that run a task stay in this simulation.
    pub fn restart_pool(&mut self) -> Value {
        if !self.pool_restarts {
            return json!({"error": "ValueError('Pool restarts not enabled')"});
        }
        if self.pool == "prefork" {
            let before = self.processes.len();
            let running = &self.running;
            self.processes.retain(|pid| running.iter().any(|run| run.pid == *pid));
            self.add_processes((before - self.processes.len()) as u64);
        }
        json!({"ok": "reload started"})
    }

    pub fn set_rate_limit(&mut self, task: &str, limit: &Value) -> Value {
        let text = match limit {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let number = text.split('/').next().unwrap_or_default();
        if !limit.is_null() && number.parse::<f64>().is_err() {
            let why = format!("ValueError(\"could not convert string to float: '{number}'\")");
            return json!({"error": format!("Invalid rate limit string: {why}")});
        }
        if limit.is_null() || limit.as_f64() == Some(0.0) {
            self.rate_limits.remove(task);
            return json!({"ok": "rate limit disabled successfully"});
        }
        self.rate_limits.insert(task.to_owned(), text);
        json!({"ok": "new rate limit set successfully"})
    }

    pub fn set_time_limit(&mut self, task: &str, arguments: &Value) -> Value {
        let limit = |key: &str| arguments[key].as_f64().map(|secs| format!("{secs:?}"));
        self.time_limits.insert(task.to_owned(), [limit("soft"), limit("hard")]);
        json!({"ok": "time limits set successfully"})
    }

    /// Names of tasks, with those of the asked-for items that are set.
    pub fn registered(&self, names: &[&str], arguments: &Value) -> Value {
        let asked: Vec<&str> = match arguments["taskinfoitems"].as_array() {
            Some(items) => items.iter().filter_map(Value::as_str).collect(),
            None => vec!["rate_limit"],
        };
        let info = |name: &str| {
            let [soft, hard] = self.time_limits.get(name).cloned().unwrap_or_default();
            let fields = asked.iter().filter_map(|item| {
                let value = match *item {
                    "rate_limit" => self.rate_limits.get(name).cloned(),
                    "soft_time_limit" => soft.clone(),
                    "time_limit" => hard.clone(),
                    _ => None,
                };
                Some(format!("{item}={}", value?))
            });
            let fields = fields.collect::<Vec<_>>().join(" ");
            if fields.is_empty() { name.to_owned() } else { format!("{name} [{fields}]") }
        };
        let mut names = names.to_vec();
        names.sort_unstable();
        names.into_iter().map(info).collect()
    }

    pub fn conf(&self) -> Value {
        let mut conf = json!({
            "accept_content": ["json"], "broker_url": "redis://cache-1:6379/0",
            "broker_transport_options": {"visibility_timeout": 3600}, "result_backend": "redis://cache-1:6379/1",
            "task_default_queue": "default", "task_acks_late": false, "task_time_limit": null,
            "timezone": "UTC", "worker_concurrency": self.processes.len(), "worker_prefetch_multiplier": 4,
            "worker_send_task_events": self.started_with_events,
        });
        if self.pool_restarts {
            conf["worker_pool_restarts"] = json!(true);
        }
        conf
    }

    /// Idle processes go first. Asked for all of them it breaks as the real one does: the idle ones are gone.
    pub fn shrink(&mut self, n: u64) -> Value {
        if self.pool == "threads" {
            return json!({"error": "AttributeError(\"'TaskPool' object has no attribute 'shrink'\")"});
        }
        if self.autoscale.is_some() {
            return scales_by_itself("shrink");
        }
        let all = n as usize >= self.processes.len();
        self.remove_idle(n);
        if all {
            return json!({"error": "ValueError(\"Can't shrink pool. All processes busy!\")"});
        }
        json!({"ok": "pool will shrink"})
    }

    pub fn set_events(&mut self, on: bool) -> Value {
        let word = if on { "enabled" } else { "disabled" };
        if self.events == on || (!on && self.started_with_events) {
            return json!({"ok": format!("task events already {word}")});
        }
        self.events = on;
        json!({"ok": format!("task events {word}")})
    }

    pub fn request(&self, call: &Call, name: &str, queue: &str, run: Option<&Run>) -> Value {
        json!({
            "id": call.id, "name": name, "args": call.args, "kwargs": call.kwargs, "type": name,
            "hostname": self.name, "time_start": run.map(|r| r.started.secs()), "acknowledged": run.is_some(),
            "delivery_info": {"exchange": "", "routing_key": queue, "priority": 0, "redelivered": false},
            "worker_pid": run.map(|r| r.pid),
        })
    }

    pub fn stats(&self, now: Stamp) -> Value {
        let implementation = match self.pool {
            "threads" => "celery.concurrency.thread:TaskPool",
            _ => "celery.concurrency.prefork:TaskPool",
        };
        let uptime = now.since(self.started_at).as_secs();
        let worked = now.since(self.started_at).as_secs_f64() * 0.004 + self.processed as f64 * 0.004;
        let processes = if self.pool == "threads" { json!([self.pid]) } else { json!(self.processes) };
        let mut stats = json!({
            "total": {"all": self.processed}, "pid": self.pid, "clock": self.clock.to_string(), "uptime": uptime,
            "pool": {
                "implementation": implementation, "max-concurrency": self.processes.len(),
                "processes": processes, "max-tasks-per-child": "N/A", "timeouts": [0, 0],
            },
            "broker": {
                "hostname": "cache-1", "userid": null, "virtual_host": "0", "port": 6379, "transport": "redis",
                "ssl": false, "alternates": [],
            },
            "prefetch_count": self.processes.len() * 4,
            "rusage": {"utime": worked * 0.8, "stime": worked * 0.2, "maxrss": 61_000 + self.pid},
        });
        if let Some((max, min)) = self.autoscale {
            stats["autoscaler"] = json!({"max": max, "min": min, "current": self.processes.len(), "qty": 0});
        }
        stats
    }

    pub fn active_queues(&self) -> Value {
        let queue = |name: &String| {
            json!({"name": name, "exchange": {"name": name, "type": "direct", "durable": true},
                   "routing_key": name, "durable": true, "exclusive": false, "auto_delete": false})
        };
        Value::Array(self.queues.iter().map(queue).collect())
    }
}

/// The first ten are numbered, as in a StatefulSet; further ones are pods of two Deployments.
fn node_name(index: u32) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    if index < 10 {
        return format!("celery@app-{}", index + 1);
    }
    let mut rest = index.wrapping_mul(7_919);
    let suffix: String = (0..5)
        .map(|_| {
            let letter = char::from(LETTERS[rest as usize % LETTERS.len()]);
            rest = rest / 27 + index * 31;
            letter
        })
        .collect();
    let deployment = if index.is_multiple_of(3) { "mailer-5fb96d7c4" } else { "export-7d9f8b6c5" };
    format!("celery@{deployment}-{suffix}")
}

fn scales_by_itself(verb: &str) -> Value {
    json!({"error": format!("pool_{verb} is not supported with autoscale. Adjust autoscale range instead.")})
}
