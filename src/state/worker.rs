//! One worker: what it announced, what it answered, and whether it is alive.

use serde_json::Value;

use crate::clock::Stamp;

use super::series::Ring;

/// What `stats` says of a pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    /// `prefork`, `threads`, `solo`, `eventlet`, `gevent`.
    pub kind: String,
    pub processes: Vec<i64>,
    pub max_concurrency: Option<u64>,
    /// Upper and lower end, where the worker autoscales.
    pub autoscale: Option<(u64, u64)>,
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
    pub args: String,
    pub started: Option<Stamp>,
    pub pid: Option<i64>,
    pub queue: Option<String>,
}

/// What a worker answered to `inspect`, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspected {
    pub stats: Option<Stats>,
    pub queues: Option<Vec<String>>,
    pub active: Option<Vec<Held>>,
    pub reserved: Option<Vec<Held>>,
    pub scheduled: Option<Vec<Held>>,
    pub registered: Option<Vec<String>>,
    pub revoked: Option<Vec<String>>,
    pub conf: Option<Value>,
    /// When the last answer came.
    pub at: Option<Stamp>,
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
    /// The main process's highest memory ever, in bytes.
    pub peak_main: Option<u64>,
}

/// One worker, known by its node name.
#[derive(Clone)]
pub struct Worker {
    pub pid: Option<i64>,
    pub clock: i64,
    /// Seconds between heartbeats; 60 until it says otherwise.
    pub freq: f64,
    pub active: Option<i64>,
    pub processed: Option<i64>,
    pub loadavg: Option<[f64; 3]>,
    pub sw_ident: Option<String>,
    pub sw_ver: Option<String>,
    pub sw_sys: Option<String>,
    /// The last heartbeats, at most four, ascending.
    beats: Vec<Stamp>,
    /// When it was first heard of.
    pub first_seen: Stamp,
    /// When it was last heard of in any way.
    pub last_seen: Stamp,
    /// It said goodbye.
    pub said_offline: bool,
    pub inspected: Inspected,
    pub succeeded: u64,
    pub failed: u64,
    /// Finished tasks by ten seconds.
    pub done: Ring<u32>,
    /// The most tasks that ran at once plus one, by ten seconds; 0 is unknown.
    pub busy: Ring<u16>,
}

impl Worker {
    pub(super) fn new(now: Stamp) -> Self {
        Self {
            pid: None,
            clock: 0,
            freq: 60.0,
            active: None,
            processed: None,
            loadavg: None,
            sw_ident: None,
            sw_ver: None,
            sw_sys: None,
            beats: Vec::new(),
            first_seen: now,
            last_seen: now,
            said_offline: false,
            inspected: Inspected::default(),
            succeeded: 0,
            failed: 0,
            done: Ring::new(10, 91),
            busy: Ring::new(10, 361),
        }
    }

    /// Celery's rule: at most four are kept, the smallest goes first (`protocol/README.md`, 2.4 H).
    pub(super) fn beat(&mut self, at: Stamp) {
        if self.beats.len() >= 4 {
            self.beats.remove(0);
        }
        let place = self.beats.partition_point(|b| *b <= at);
        self.beats.insert(place, at);
    }

    pub(super) fn clear_beats(&mut self) {
        self.beats.clear();
    }

    /// The last heartbeats, ascending.
    pub fn heartbeats(&self) -> &[Stamp] {
        &self.beats
    }

    /// The latest heartbeat.
    pub fn heartbeat(&self) -> Option<Stamp> {
        self.beats.last().copied()
    }

    /// Until when the last heartbeat counts: two of its intervals.
    pub fn expires(&self) -> Option<Stamp> {
        self.heartbeat().and_then(|last| Stamp::from_secs(last.secs() + self.freq * 2.0))
    }

    /// Whether its heart still beats. An answer to `inspect` within the same time counts as one.
    pub fn is_online(&self, now: Stamp) -> bool {
        if self.expires().is_some_and(|until| now < until) {
            return true;
        }
        !self.said_offline && self.inspected.at.is_some_and(|at| now.since(at).as_secs() < 30)
    }

    /// Tasks running: the newer of heartbeat and inspect.
    pub fn running(&self) -> Option<u64> {
        let listed = self.inspected.active.as_ref().map(|a| a.len() as u64);
        self.active.and_then(|n| u64::try_from(n).ok()).or(listed)
    }

    /// Places in its pool, where it told.
    pub fn pool_size(&self) -> Option<u64> {
        self.inspected.stats.as_ref().and_then(|s| s.pool.size())
    }

    pub(super) fn note_busy(&mut self, at: Stamp) {
        let Some(running) = self.running() else { return };
        if let Some(slot) = self.busy.at(at) {
            *slot = (*slot).max(u16::try_from(running).unwrap_or(u16::MAX - 1) + 1);
        }
    }

    /// Share of the pool that was busy at most in each stretch of time. Without the pool's size the most that ever ran
    /// at once stands in for it.
    pub fn shares(&self, stretches: impl Iterator<Item = (Stamp, Stamp)>) -> Vec<Option<f64>> {
        let busiest = |begin, end| self.busy.between(begin, end).max().filter(|running| *running > 0);
        // Nothing is known yet of the newest ten seconds when they have just begun: what was before them still holds.
        let running = stretches.map(|(begin, end)| busiest(begin, end).or(busiest(begin, begin)).unwrap_or(0));
        let running: Vec<u16> = running.collect();
        let most = running.iter().max().map_or(0, |m| u64::from(m.saturating_sub(1)));
        let size = self.pool_size().unwrap_or(most).max(1) as f64;
        running.into_iter().map(|r| (r > 0).then(|| (f64::from(r - 1) / size).min(1.0))).collect()
    }

    /// Takes in an answer to an inspect method.
    pub(super) fn inspected(&mut self, method: &str, value: &Value, at: Stamp) {
        if value.get("error").is_some() {
            return;
        }
        let found = &mut self.inspected;
        found.at = Some(at);
        match method {
            "stats" => {
                found.stats = Some(Stats::read(value));
                self.pid = value["pid"].as_i64().or(self.pid);
            }
            "active_queues" => found.queues = list(value, |q| q["name"].as_str().map(str::to_owned)),
            "active" => found.active = list(value, held),
            "reserved" => found.reserved = list(value, held),
            "scheduled" => found.scheduled = list(value, |entry| held(&entry["request"])),
            "registered" => found.registered = list(value, |name| name.as_str().map(str::to_owned)),
            "revoked" => found.revoked = list(value, |id| id.as_str().map(str::to_owned)),
            "conf" => found.conf = Some(value.clone()),
            _ => {}
        }
        self.note_busy(at);
    }
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array().map(|items| items.iter().filter_map(read).collect())
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
    })
}

impl Stats {
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
    fn four_heartbeats_are_kept_in_order_and_the_smallest_goes() {
        let mut worker = Worker::new(Stamp::EPOCH);
        for n in [5, 3, 9, 7, 1] {
            worker.beat(Stamp::from_micros(n));
        }
        let beats: Vec<i64> = worker.heartbeats().iter().map(|b| b.micros()).collect();
        assert_eq!(beats, [1, 5, 7, 9]);
    }

    #[test]
    fn a_worker_is_online_for_two_intervals() {
        let mut worker = Worker::new(Stamp::EPOCH);
        worker.freq = 2.0;
        worker.beat(Stamp::from_micros(10_000_000));
        assert!(worker.is_online(Stamp::from_micros(13_999_999)));
        assert!(!worker.is_online(Stamp::from_micros(14_000_000)));
    }
}
