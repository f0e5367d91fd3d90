//! A simulated worker: its pool, what it holds, and how it answers remote control (Celery 5.7.0, `worker/control.py`).

use std::collections::VecDeque;

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
    next_pid: u32,
}

impl Worker {
    pub fn new(index: u32, queues: Vec<String>, events: bool, started_at: Stamp) -> Self {
        let pid = 700 + index * 400;
        let (pool, size) = if index % 5 == 3 { ("threads", 6) } else { ("prefork", 8) };
        Self {
            name: format!("celery@app-{}", index + 1),
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
        for _ in 0..n.min(64) {
            self.processes.push(self.next_pid);
            self.next_pid += 1;
        }
        json!({"ok": "pool will grow"})
    }

    /// Idle processes go first. Asked for all of them it breaks as the real one does: the idle ones are gone.
    pub fn shrink(&mut self, n: u64) -> Value {
        if self.pool == "threads" {
            return json!({"error": "AttributeError(\"'TaskPool' object has no attribute 'shrink'\")"});
        }
        let all = n as usize >= self.processes.len();
        for _ in 0..n {
            match self.idle_process() {
                Some(pid) => self.processes.retain(|p| *p != pid),
                None => break,
            }
        }
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
        let processes = if self.pool == "threads" { json!([self.pid]) } else { json!(self.processes) };
        json!({
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
            "rusage": {"utime": uptime as f64 * 0.02, "stime": uptime as f64 * 0.004, "maxrss": 61_000 + self.pid},
        })
    }

    pub fn active_queues(&self) -> Value {
        let queue = |name: &String| {
            json!({"name": name, "exchange": {"name": name, "type": "direct", "durable": true},
                   "routing_key": name, "durable": true, "exclusive": false, "auto_delete": false})
        };
        Value::Array(self.queues.iter().map(queue).collect())
    }
}
