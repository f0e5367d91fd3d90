//! What a worker answered to `inspect` (Celery 5.7.0, `worker/control.py`), and when.

use std::borrow::Cow;

use serde_json::Value;

use crate::clock::Stamp;
use crate::redact::Redactor;

/// What `stats` says of a pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    /// `prefork`, `threads`, `solo`, `eventlet`, `gevent`.
    pub kind: String,
    pub processes: Vec<i64>,
    pub max_concurrency: Option<u64>,
    /// Upper and lower end, where the worker autoscales.
    pub autoscale: Option<(u64, u64)>,
    /// Soft and hard time limit of all its tasks, in seconds; zero is none.
    pub timeouts: (f64, f64),
}

impl Pool {
    /// How many tasks it can run at once.
    pub fn size(&self) -> Option<u64> {
        match self.processes.len() as u64 {
            0 => self.max_concurrency,
            // Threads and solo list their main process only.
            _ if self.kind != "prefork" => self.max_concurrency,
            n => Some(n),
        }
    }
}

/// A task as a worker lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub id: crate::celery::TaskId,
    pub name: String,
    args: String,
    pub started: Option<Stamp>,
    pub pid: Option<i64>,
    pub queue: Option<String>,
    /// When it is to start, where a worker holds it until then.
    pub eta: Option<String>,
}

impl Held {
    /// Its positional arguments without secrets.
    pub fn args(&self, redactor: &Redactor) -> Cow<'_, str> {
        redactor.text(&self.args)
    }

    /// The same with them: for the model, never to be shown.
    pub fn raw_args(&self) -> &str {
        &self.args
    }
}

/// A task as a worker registers it, with the limits it has there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registered {
    pub name: String,
    /// As Celery writes it, such as `10/m`.
    pub rate_limit: Option<String>,
    /// Seconds.
    pub soft_limit: Option<f64>,
    pub hard_limit: Option<f64>,
}

/// What came of asking for one inspect method.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    method: &'static str,
    answered: Option<Stamp>,
    /// When it was asked by name and gave no answer.
    silent: Option<Stamp>,
    /// How long the list was, of which the first are kept.
    total: usize,
}

/// What a worker answered to `inspect`, and when. Of a long list the first [`KEPT`] are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspected {
    pub stats: Option<Stats>,
    pub queues: Option<Vec<String>>,
    pub active: Option<Vec<Held>>,
    pub reserved: Option<Vec<Held>>,
    pub scheduled: Option<Vec<Held>>,
    pub registered: Option<Vec<Registered>>,
    pub revoked: Option<Vec<String>>,
    pub conf: Option<Value>,
    /// The whole answer to `stats`, as JSON.
    pub document: Option<Box<str>>,
    /// When the last answer came.
    pub at: Option<Stamp>,
    told: Vec<Told>,
}

/// Entries kept of a list: a worker may remember 50,000 revoked ids.
pub const KEPT: usize = 1_000;
/// A longer answer to `stats` or `conf` is not kept.
const LONGEST: usize = 256 << 10;

impl Inspected {
    fn told(&self, method: &str) -> Option<&Told> {
        self.told.iter().find(|t| t.method == method)
    }

    fn told_mut(&mut self, method: &'static str) -> Option<&mut Told> {
        if self.told(method).is_none() {
            self.told.push(Told { method, answered: None, silent: None, total: 0 });
        }
        self.told.iter_mut().find(|t| t.method == method)
    }

    /// When it last answered a method.
    pub fn answered(&self, method: &str) -> Option<Stamp> {
        self.told(method)?.answered
    }

    /// Since its last answer to a method it was asked again, at this time, and gave none.
    pub fn silent(&self, method: &str) -> Option<Stamp> {
        let told = self.told(method)?;
        told.silent.filter(|at| told.answered.is_none_or(|answered| answered < *at))
    }

    /// How long the list of a method was, if it answered.
    pub fn total(&self, method: &str) -> Option<usize> {
        self.told(method).filter(|t| t.answered.is_some()).map(|t| t.total)
    }

    /// Takes in an answer of a worker that had this process id until now.
    pub(super) fn take(&mut self, method: &'static str, value: &Value, pid: Option<i64>, at: Stamp) {
        self.at = Some(at);
        let before = self.answered(method);
        if let Some(told) = self.told_mut(method) {
            told.answered = Some(at);
            told.total = value.as_array().map_or(0, Vec::len);
        }
        match method {
            "stats" => {
                let mut stats = Stats::read(value);
                let same = pid.is_none() || value["pid"].as_i64() == pid;
                stats.cpu_share =
                    self.stats.as_ref().filter(|_| same).and_then(|old| stats.share_since(old, before?, at));
                self.stats = Some(stats);
                self.document = kept(value).map(Into::into);
            }
            "active_queues" => self.queues = list(value, |q| q["name"].as_str().map(str::to_owned)),
            "active" => self.active = list(value, held),
            "reserved" => self.reserved = list(value, held),
            "scheduled" => {
                self.scheduled = list(value, |entry| {
                    Some(Held { eta: entry["eta"].as_str().map(str::to_owned), ..held(&entry["request"])? })
                });
            }
            "registered" => self.registered = list(value, |name| name.as_str().map(registered)),
            "revoked" => self.revoked = list(value, |id| id.as_str().map(str::to_owned)),
            "conf" => self.conf = kept(value).map(|_| value.clone()),
            _ => {}
        }
    }

    /// It was asked for a method by name, and gave no answer in time.
    pub(super) fn miss(&mut self, method: &'static str, at: Stamp) {
        if let Some(told) = self.told_mut(method) {
            told.silent = Some(at);
        }
    }
}

/// The parts of `stats` that are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    pub pool: Pool,
    pub prefetch: Option<u64>,
    /// Seconds.
    pub uptime: Option<u64>,
    /// Broker as the worker names it, without password.
    pub broker: String,
    /// Tasks started since the worker began, by the worker's own count.
    pub total: u64,
    /// CPU seconds of the main process, user and system.
    pub cpu_main: Option<f64>,
    /// Share of one processor the main process used between the last two answers.
    pub cpu_share: Option<f64>,
    /// The main process's highest memory ever, in bytes.
    pub peak_main: Option<u64>,
}

fn kept(value: &Value) -> Option<String> {
    Some(value.to_string()).filter(|text| text.len() <= LONGEST)
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array().map(|items| items.iter().take(KEPT).filter_map(read).collect())
}

/// Reads `name [rate_limit=10/m time_limit=300]` (Celery 5.7.0, `worker/control.py`, `registered`).
fn registered(text: &str) -> Registered {
    let Some((name, info)) = text.strip_suffix(']').and_then(|t| t.rsplit_once(" [")) else {
        return Registered { name: text.to_owned(), ..Registered::default() };
    };
    let mut task = Registered { name: name.to_owned(), ..Registered::default() };
    for (key, value) in info.split(' ').filter_map(|field| field.split_once('=')) {
        match key {
            "rate_limit" => task.rate_limit = Some(value.to_owned()).filter(|rate| rate != "0"),
            "soft_time_limit" => task.soft_limit = value.parse().ok(),
            "time_limit" => task.hard_limit = value.parse().ok(),
            _ => {}
        }
    }
    task
}

fn held(request: &Value) -> Option<Held> {
    let text = |key: &str| match &request[key] {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Some(Held {
        id: crate::celery::TaskId::new(request["id"].as_str()?),
        name: text("name"),
        args: text("args"),
        started: request["time_start"].as_f64().and_then(Stamp::from_secs),
        pid: request["worker_pid"].as_i64(),
        queue: request["delivery_info"]["routing_key"].as_str().map(str::to_owned),
        eta: None,
    })
}

impl Stats {
    /// The share of a processor used since an older answer. Answers that lie too near together say nothing new.
    fn share_since(&self, old: &Stats, then: Stamp, now: Stamp) -> Option<f64> {
        let (passed, used) = (now.since(then).as_secs_f64(), self.cpu_main? - old.cpu_main?);
        if passed < 1.0 { old.cpu_share } else { (used >= 0.0).then_some(used / passed) }
    }

    fn read(value: &Value) -> Self {
        let pool = &value["pool"];
        let kind = match pool["implementation"].as_str() {
            Some(path) => kind_of(path),
            // Before Celery 5.3 the pool did not name itself: only prefork has this key.
            None if pool.get("put-guarded-by-semaphore").is_some() => "prefork".into(),
            None => String::new(),
        };
        let autoscale = value["autoscaler"]["max"].as_u64().zip(value["autoscaler"]["min"].as_u64());
        let broker = &value["broker"];
        let rusage = &value["rusage"];
        Self {
            pool: Pool {
                kind,
                processes: list(&pool["processes"], Value::as_i64).unwrap_or_default(),
                max_concurrency: pool["max-concurrency"].as_u64(),
                autoscale,
                timeouts: (pool["timeouts"][0].as_f64().unwrap_or(0.0), pool["timeouts"][1].as_f64().unwrap_or(0.0)),
            },
            prefetch: value["prefetch_count"].as_u64(),
            uptime: value["uptime"].as_u64(),
            broker: format!(
                "{}://{}:{}/{}",
                broker["transport"].as_str().unwrap_or("?"),
                broker["hostname"].as_str().unwrap_or("?"),
                broker["port"],
                broker["virtual_host"].as_str().unwrap_or("").trim_start_matches('/')
            ),
            total: value["total"].as_object().map_or(0, |t| t.values().filter_map(Value::as_u64).sum()),
            cpu_share: None,
            cpu_main: rusage["utime"].as_f64().zip(rusage["stime"].as_f64()).map(|(u, s)| u + s),
            // Linux counts in kilobytes.
            peak_main: rusage["maxrss"].as_u64().map(|k| k * 1024),
        }
    }
}

/// `celery.concurrency.prefork:TaskPool` is a `prefork` pool, `...thread:TaskPool` a `threads` one.
fn kind_of(path: &str) -> String {
    let module = path.split(':').next().unwrap_or(path);
    match module.rsplit('.').next().unwrap_or(module) {
        "thread" => "threads".into(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_out_of_what_registered_tasks_say() {
        let limits = |text| {
            let task = registered(text);
            (task.name, task.rate_limit, task.soft_limit, task.hard_limit)
        };
        assert_eq!(limits("a.b"), ("a.b".into(), None, None, None));
        assert_eq!(
            limits("a.b [rate_limit=10/m time_limit=300 soft_time_limit=1.5]"),
            ("a.b".into(), Some("10/m".into()), Some(1.5), Some(300.0))
        );
        assert_eq!(limits("odd [name] [rate_limit=0]"), ("odd [name]".into(), None, None, None));
    }
}
