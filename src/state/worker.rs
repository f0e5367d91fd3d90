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
    pub args: String,
    pub started: Option<Stamp>,
    pub pid: Option<i64>,
    pub queue: Option<String>,
    /// When it is to start, where a worker holds it until then.
    pub eta: Option<String>,
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

    /// Share of the pool that was busy in each of the last `n` ten seconds, the present one included. Without the pool's
    /// size the most that ever ran at once stands in for it.
    pub fn shares(&self, n: usize, now: Stamp) -> Vec<Option<f64>> {
        let running: Vec<u16> = self.busy.last_with_open(n, now).collect();
        let most = running.iter().max().map_or(0, |m| u64::from(m.saturating_sub(1)));
        let size = self.pool_size().unwrap_or(most).max(1) as f64;
        running.into_iter().map(|r| (r > 0).then(|| (f64::from(r - 1) / size).min(1.0))).collect()
    }

    /// Whether it is there, and if not, how it left.
    pub fn presence(&self, now: Stamp) -> Presence {
        if self.is_online(now) {
            Presence::Online
        } else if self.said_offline || !self.held_something() {
            Presence::Ended
        } else {
            Presence::Gone
        }
    }

    /// Whether it had work in hand when it was last heard of. Where it never told, it may have had.
    fn held_something(&self) -> bool {
        let listed = ["reserved", "scheduled"].map(|m| self.inspected.total(m));
        match self.running() {
            Some(0) => listed.into_iter().flatten().any(|n| n > 0),
            Some(_) => true,
            None => true,
        }
    }

    /// It is there and takes nothing new: it said that it consumes no queue.
    pub fn is_draining(&self, now: Stamp) -> bool {
        self.is_online(now) && self.inspected.queues.as_ref().is_some_and(Vec::is_empty)
    }

    /// It was asked for a method by name, and gave no answer in time.
    pub(super) fn was_silent(&mut self, method: &'static str, at: Stamp) {
        if let Some(told) = self.inspected.told_mut(method) {
            told.silent = Some(at);
        }
    }

    /// Takes in an answer to an inspect method.
    pub(super) fn inspected(&mut self, method: &'static str, value: &Value, at: Stamp) {
        if value.get("error").is_some() {
            return;
        }
        let found = &mut self.inspected;
        found.at = Some(at);
        let before = found.answered(method);
        if let Some(told) = found.told_mut(method) {
            told.answered = Some(at);
            told.total = value.as_array().map_or(0, Vec::len);
        }
        match method {
            "stats" => {
                let mut stats = Stats::read(value);
                let same = self.pid.is_none() || value["pid"].as_i64() == self.pid;
                stats.cpu_share =
                    found.stats.as_ref().filter(|_| same).and_then(|old| stats.share_since(old, before?, at));
                found.stats = Some(stats);
                found.document = kept(value).map(Into::into);
                self.pid = value["pid"].as_i64().or(self.pid);
            }
            "active_queues" => found.queues = list(value, |q| q["name"].as_str().map(str::to_owned)),
            "active" => found.active = list(value, held),
            "reserved" => found.reserved = list(value, held),
            "scheduled" => {
                found.scheduled = list(value, |entry| {
                    Some(Held { eta: entry["eta"].as_str().map(str::to_owned), ..held(&entry["request"])? })
                });
            }
            "registered" => found.registered = list(value, |name| name.as_str().map(registered)),
            "revoked" => found.revoked = list(value, |id| id.as_str().map(str::to_owned)),
            "conf" => found.conf = kept(value).map(|_| value.clone()),
            _ => {}
        }
        self.note_busy(at);
    }
}

/// Whether a worker is there, and if not, how it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    Online,
    /// It fell silent with work in hand.
    Gone,
    /// It said goodbye, or held nothing when it fell silent.
    Ended,
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

    #[test]
    fn a_long_list_is_counted_and_its_beginning_kept() {
        let mut worker = Worker::new(Stamp::EPOCH);
        let ids: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
        worker.inspected("revoked", &serde_json::json!(ids), Stamp::from_micros(5));
        assert_eq!(worker.inspected.total("revoked"), Some(50_000));
        assert_eq!(worker.inspected.revoked.as_ref().map(Vec::len), Some(KEPT));
        assert_eq!(worker.inspected.silent("revoked"), None);
        worker.was_silent("revoked", Stamp::from_micros(9));
        assert_eq!(worker.inspected.silent("revoked"), Some(Stamp::from_micros(9)));
    }

    #[test]
    fn cpu_is_the_difference_of_two_answers_of_the_same_process() {
        let stats = |pid: i64, secs: f64| serde_json::json!({"pid": pid, "rusage": {"utime": secs, "stime": 0.0}});
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let mut worker = Worker::new(at(1));
        let share = |worker: &Worker| worker.inspected.stats.as_ref().and_then(|s| s.cpu_share);
        worker.inspected("stats", &stats(1, 100.0), at(10));
        assert_eq!(share(&worker), None);
        worker.inspected("stats", &stats(1, 105.0), at(20));
        assert_eq!(share(&worker), Some(0.5));
        worker.inspected("stats", &stats(2, 1.0), at(30));
        assert_eq!(share(&worker), None, "another process has its own clock");
    }

    #[test]
    fn who_fell_silent_with_work_in_hand_is_gone_and_others_ended() {
        let late = Stamp::from_micros(3_600_000_000);
        let mut worker = Worker::new(Stamp::EPOCH);
        worker.active = Some(1);
        assert_eq!(worker.presence(late), Presence::Gone);
        worker.active = Some(0);
        assert_eq!(worker.presence(late), Presence::Ended);
        worker.inspected("reserved", &serde_json::json!([{"id": "x", "name": "t"}]), Stamp::EPOCH);
        assert_eq!(worker.presence(late), Presence::Gone);
        worker.said_offline = true;
        assert_eq!(worker.presence(late), Presence::Ended);
    }
}
