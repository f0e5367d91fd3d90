//! The simulated cluster: queues, workers, and an agenda of what happens when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::broker::RawMessage;
use crate::celery::TaskId;
use crate::celery::message::Message;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use crate::clock::Stamp;

use super::queue;
use super::scenario::{Options, Scenario};
use super::wire;
use super::worker::{Call, Run, Worker};
use super::workload::{self, Kind};

/// How far back the history goes that is there from the start.
const PAST: Duration = Duration::from_secs(900);
/// Seconds between heartbeats.
pub(super) const BEAT: Duration = Duration::from_secs(2);
/// How long a failed call waits for its next try.
const PAUSE: Duration = Duration::from_secs(4);

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Happening {
    Arrival,
    Beat(usize),
    Finish(usize, TaskId),
    Again(u64),
    /// Workers look into their queues.
    Dispatch,
}

/// See the module.
pub(super) struct Cluster {
    rng: Rng,
    kinds: Vec<Kind>,
    workers: Vec<Worker>,
    queues: BTreeMap<String, VecDeque<Call>>,
    agenda: BinaryHeap<Reverse<(Stamp, u64, Happening)>>,
    /// Calls that wait for their next try, with the worker where they failed and the time.
    waiting_again: BTreeMap<u64, (usize, Stamp, Call)>,
    out: Vec<RawMessage>,
    now: Stamp,
    born: Stamp,
    seq: u64,
    /// Tasks a second before and from the start.
    rates: (f64, f64),
    start: Stamp,
    /// Runtimes are divided by this, so that any asked-for load can be worked off.
    speed: f64,
}

impl Cluster {
    pub fn new(options: &Options, start: Stamp) -> Self {
        let kinds = workload::kinds(options.scenario);
        let queues = workload::queues(&kinds);
        let born = start - PAST;
        let events = options.scenario != Scenario::Quiet;
        let workers: Vec<Worker> = (0..options.workers)
            .map(|index| {
                // The first worker takes everything, so that no queue is without a consumer.
                let mine =
                    queues.iter().enumerate().filter(|(i, _)| index == 0 || !(*i + index as usize).is_multiple_of(3));
                let started = born - Duration::from_secs(86_400 * 3 + u64::from(index) * 3_000);
                Worker::new(index, mine.map(|(_, q)| (*q).to_owned()).collect(), events, started)
            })
            .collect();
        let past_rate = f64::from(options.tasks) / PAST.as_secs_f64();
        let processes: usize = workers.iter().map(|w| w.processes.len()).sum();
        let busy = past_rate.max(options.rate) * workload::mean_runtime(&kinds);
        let most = if options.scenario == Scenario::Backlog { 1.1 } else { 0.5 };
        let speed = busy / (processes.max(1) as f64 * most);
        let mut cluster = Self {
            rng: Rng::with_seed(options.seed),
            kinds,
            queues: queues.iter().map(|q| ((*q).to_owned(), VecDeque::new())).collect(),
            agenda: BinaryHeap::new(),
            waiting_again: BTreeMap::new(),
            out: Vec::new(),
            now: born,
            born,
            seq: 0,
            rates: (past_rate, options.rate),
            start,
            speed: if options.scenario == Scenario::Backlog { speed } else { speed.max(1.0) },
            workers,
        };
        for index in 0..cluster.workers.len() {
            cluster.announce(index, "worker-online");
            let first = Duration::from_millis(300 * index as u64 % 2_000);
            cluster.plan(first, Happening::Beat(index));
        }
        cluster.plan(Duration::ZERO, Happening::Arrival);
        cluster
    }

    pub fn now(&self) -> Stamp {
        self.now
    }
    pub fn next_at(&self) -> Option<Stamp> {
        self.agenda.peek().map(|Reverse((at, _, _))| *at)
    }
    pub fn uptime(&self) -> u64 {
        self.now.since(self.born).as_secs() + 86_400
    }
    pub fn worker_count(&self) -> usize {
        self.workers.iter().filter(|w| w.online).count()
    }
    pub fn unacked(&self) -> u64 {
        self.workers.iter().map(|w| w.reserved.len() as u64).sum()
    }

    /// Lives until `at`.
    pub fn advance(&mut self, at: Stamp) -> Vec<RawMessage> {
        while self.next_at().is_some_and(|next| next <= at) {
            let Some(Reverse((when, _, what))) = self.agenda.pop() else { break };
            self.now = self.now.max(when);
            match what {
                Happening::Arrival => self.arrival(),
                Happening::Beat(worker) => self.beat(worker),
                Happening::Finish(worker, id) => self.finish(worker, &id),
                Happening::Again(key) => {
                    if let Some((_, _, call)) = self.waiting_again.remove(&key) {
                        self.send(call);
                    }
                }
                Happening::Dispatch => self.dispatch(),
            }
        }
        self.now = self.now.max(at);
        std::mem::take(&mut self.out)
    }

    fn plan(&mut self, after: Duration, what: Happening) {
        self.seq += 1;
        self.agenda.push(Reverse((self.now + after, self.seq, what)));
    }

    fn new_id(&mut self) -> TaskId {
        TaskId::Uuid(uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid())
    }

    fn arrival(&mut self) {
        let rate = if self.now < self.start { self.rates.0 } else { self.rates.1 };
        if rate > 0.0 {
            let kind = workload::pick(&self.kinds, &mut self.rng);
            let call = self.call(kind, None, None);
            self.send(call);
            let pause = -self.rng.f64().max(1e-9).ln() / rate;
            // At the start another rate begins, which a long pause must not keep waiting.
            let most = if self.now < self.start { self.start.since(self.now).as_secs_f64().max(60.0) } else { 1e9 };
            self.plan(Duration::from_secs_f64(pause.min(most)), Happening::Arrival);
        } else if self.now < self.start {
            let wait = self.start.since(self.now);
            self.plan(wait, Happening::Arrival);
        }
    }

    fn call(&mut self, kind: usize, root: Option<TaskId>, parent: Option<TaskId>) -> Call {
        let (args, kwargs) = workload::arguments(self.kinds[kind].args, &mut self.rng);
        let id = self.new_id();
        let web = self.rng.u32(1..4);
        Call {
            id,
            kind,
            args,
            kwargs,
            retries: 0,
            root,
            parent,
            client: format!("gen{}@web-{web}", 11 + web),
            charmed: false,
            taken: None,
        }
    }

    /// A person published a task.
    pub fn publish(&mut self, message: &Message) {
        let Some(kind) = self.kinds.iter().position(|k| k.name == message.name) else { return };
        let id = message.id.clone();
        let root = message.root_id.as_deref().map(TaskId::new).filter(|root| *root != id);
        let call = Call {
            kind,
            args: message.argsrepr.clone().unwrap_or_default(),
            kwargs: message.kwargsrepr.clone().unwrap_or_default(),
            retries: 0,
            root,
            parent: message.parent_id.as_deref().map(TaskId::new),
            client: message.origin.clone().unwrap_or_default(),
            charmed: true,
            taken: None,
            id,
        };
        self.send(call);
    }

    fn identity(&self, call: &Call) -> Value {
        json!({
            "uuid": call.id, "name": self.kinds[call.kind].name, "args": call.args, "kwargs": call.kwargs,
            "root_id": call.root.as_ref().unwrap_or(&call.id), "parent_id": call.parent,
            "retries": call.retries, "eta": null, "expires": null,
        })
    }

    fn send(&mut self, call: Call) {
        let kind = &self.kinds[call.kind];
        let queue = kind.queue.to_owned();
        let mut own = self.identity(&call);
        own["queue"] = json!(queue);
        own["exchange"] = json!("");
        own["routing_key"] = json!(queue);
        let client = call.client.clone();
        self.out.push(wire::event("task-sent", &client, 12, 1, self.now, own));
        self.queues.entry(queue).or_default().push_front(call);
        let way = self.rng.u64(1_500..9_000);
        self.plan(Duration::from_micros(way), Happening::Dispatch);
    }

    /// Workers take what they have room for, and start what they have a process for.
    fn dispatch(&mut self) {
        let offset = self.rng.usize(0..self.workers.len().max(1));
        for step in 0..self.workers.len() {
            let index = (step + offset) % self.workers.len();
            loop {
                if !self.workers[index].has_room() {
                    break;
                }
                let queues = self.workers[index].queues.clone();
                let kinds = &self.kinds;
                let take = |calls: &mut VecDeque<Call>| calls.remove(queue::next(calls, kinds)?);
                let Some(call) = queues.iter().find_map(|q| take(self.queues.get_mut(q)?)) else { break };
                self.receive(index, call);
                self.start(index);
            }
            while self.start(index) {}
        }
    }

    fn task_event(&mut self, worker: usize, kind: &str, own: Value) {
        let now = self.now;
        let worker = &mut self.workers[worker];
        let clock = worker.tick();
        if worker.events {
            self.out.push(wire::event(kind, &worker.name, worker.pid, clock, now, own));
        }
    }

    fn receive(&mut self, worker: usize, mut call: Call) {
        call.taken = Some(self.now);
        if self.workers[worker].revoked.contains(&call.id) {
            self.task_event(
                worker,
                "task-revoked",
                json!({"uuid": call.id, "terminated": false, "signum": null, "expired": false}),
            );
            return;
        }
        let own = self.identity(&call);
        self.task_event(worker, "task-received", own);
        self.workers[worker].reserved.push_back(call);
    }

    fn start(&mut self, index: usize) -> bool {
        let Some(pid) = self.workers[index].idle_process() else { return false };
        let Some(call) = self.workers[index].reserved.pop_front() else { return false };
        if self.workers[index].revoked.contains(&call.id) {
            self.task_event(
                index,
                "task-revoked",
                json!({"uuid": call.id, "terminated": false, "signum": null, "expired": false}),
            );
            return true;
        }
        let now = self.now;
        self.now = now + Duration::from_micros(self.rng.u64(700..2_600));
        self.task_event(index, "task-started", json!({"uuid": call.id}));
        let runtime = workload::runtime(&self.kinds[call.kind], &mut self.rng) / self.speed;
        self.plan(Duration::from_secs_f64(runtime), Happening::Finish(index, call.id.clone()));
        let started = std::mem::replace(&mut self.now, now);
        let worker = &mut self.workers[index];
        worker.processed += 1;
        worker.running.push(Run { call, started, pid });
        true
    }

    fn finish(&mut self, index: usize, id: &TaskId) {
        let Some(place) = self.workers[index].running.iter().position(|run| run.call.id == *id) else { return };
        let run = self.workers[index].running.swap_remove(place);
        self.plan(Duration::from_micros(400), Happening::Dispatch);
        let kind = self.kinds[run.call.kind].clone();
        // What failed once has a reason, and mostly fails again.
        let chance = if run.call.retries > 0 { 0.6 } else { kind.fails };
        let fails = self.rng.f64() < chance && !run.call.charmed;
        if !fails {
            let runtime = self.now.since(run.started).as_secs_f64();
            let result = json!({"uuid": id, "result": "{'ok': True}", "runtime": runtime});
            self.task_event(index, "task-succeeded", result);
            if let Some((name, n)) = kind.then {
                let root = run.call.root.clone().unwrap_or_else(|| id.clone());
                if let Some(next) = self.kinds.iter().position(|k| k.name == name) {
                    for _ in 0..n {
                        let call = self.call(next, Some(root.clone()), Some(id.clone()));
                        self.send(call);
                    }
                }
            }
            return;
        }
        let error = json!({"uuid": id, "exception": kind.exception, "traceback": traceback(&kind)});
        if run.call.retries < kind.retries {
            self.task_event(index, "task-retried", error);
            let key = self.seq;
            let again = Call { retries: run.call.retries + 1, ..run.call };
            self.waiting_again.insert(key, (index, self.now + PAUSE, again));
            self.plan(PAUSE, Happening::Again(key));
        } else {
            self.task_event(index, "task-failed", error);
        }
    }

    fn beat(&mut self, index: usize) {
        if !self.workers[index].online {
            return;
        }
        let busy = self.workers[index].running.len() as f64;
        let worker = &mut self.workers[index];
        worker.load += (busy - worker.load) * 0.05;
        self.announce(index, "worker-heartbeat");
        self.plan(BEAT, Happening::Beat(index));
    }

    fn announce(&mut self, index: usize, kind: &str) {
        let now = self.now;
        let worker = &mut self.workers[index];
        let load = |f: f64| (worker.load * f * 100.0).round() / 100.0;
        let own = json!({
            "freq": 2.0, "active": worker.running.len(), "processed": worker.processed,
            "loadavg": [load(1.0), load(0.93), load(0.81)],
            "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux",
        });
        let clock = worker.tick();
        self.out.push(wire::event(kind, &worker.name, worker.pid, clock, now, own));
    }

    pub fn depths(&self, names: &[String]) -> Vec<Depth> {
        let mut depths: Vec<Depth> = self
            .queues
            .iter()
            .map(|(name, calls)| {
                let urgent = calls.iter().filter(|c| self.kinds[c.kind].priority == 0).count() as u64;
                let ready = calls.len() as u64;
                let held = self.workers.iter().flat_map(|w| &w.reserved);
                Depth {
                    name: name.clone(),
                    ready,
                    by_priority: vec![(0, urgent), (3, ready - urgent), (6, 0), (9, 0)],
                    unacked: Some(held.filter(|c| self.kinds[c.kind].queue == name.as_str()).count() as u64),
                    consumers: None,
                    next: queue::next_at_each(calls, &self.kinds),
                    ..Depth::default()
                }
            })
            .collect();
        depths.extend(names.iter().filter(|n| !self.queues.contains_key(*n)).map(|name| Depth {
            name: name.clone(),
            by_priority: vec![(0, 0)],
            unacked: Some(0),
            ..Depth::default()
        }));
        depths
    }

    /// Waiting messages in the order they will be taken.
    pub fn peek(&self, queue: &str, range: std::ops::Range<usize>) -> Vec<Waiting> {
        self.queues.get(queue).map_or_else(Vec::new, |calls| queue::waiting(calls, &self.kinds, range))
    }

    /// Takes calls out of a queue, or gives them to another, as calls of another task maybe; says which were there.
    pub fn take(&mut self, queue: &str, ids: &[TaskId], to: Option<&str>, task: Option<&str>) -> Vec<bool> {
        let kind = task.and_then(|task| self.kinds.iter().position(|kind| kind.name == task));
        let calls = self.queues.entry(queue.to_owned()).or_default();
        let found: Vec<Option<Call>> =
            ids.iter().map(|id| calls.iter().position(|call| call.id == *id).and_then(|at| calls.remove(at))).collect();
        let taken = found.iter().map(Option::is_some).collect();
        if let Some(to) = to {
            let others = self.queues.entry(to.to_owned()).or_default();
            for call in found.into_iter().flatten() {
                others.push_front(Call { kind: kind.unwrap_or(call.kind), ..call });
            }
        }
        taken
    }

    /// Gives all that waits in a queue to another, before what waits there; says how many.
    pub fn rename(&mut self, queue: &str, to: &str) -> u64 {
        let calls = std::mem::take(self.queues.entry(queue.to_owned()).or_default());
        let n = calls.len() as u64;
        self.queues.entry(to.to_owned()).or_default().extend(calls);
        n
    }

    /// What workers hold and have not acknowledged.
    pub fn delivered(&self, most: usize) -> Vec<Delivered> {
        queue::delivered(&self.workers, &self.kinds, most)
    }

    /// Every worker a request is for answers it, as the real ones do.
    pub fn control(&mut self, body: &Value) -> Vec<Reply> {
        let Ok((method, arguments, to)) = Request::decode(body) else { return Vec::new() };
        let mut replies = Vec::new();
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if !worker.online || to.as_ref().is_some_and(|names| !names.contains(&worker.name)) {
                continue;
            }
            let name = worker.name.clone();
            if let Some(value) = self.answer(index, &method, &arguments) {
                replies.push(Reply { worker: name, value });
            }
        }
        self.dispatch();
        replies
    }

    fn answer(&mut self, index: usize, method: &str, arguments: &Value) -> Option<Value> {
        let now = self.now;
        let n = arguments["n"].as_u64().unwrap_or(1);
        Some(match method {
            "ping" => json!({"ok": "pong"}),
            "clock" => json!({"clock": self.workers[index].clock}),
            "stats" => self.workers[index].stats(now),
            "active_queues" => self.workers[index].active_queues(),
            "active" | "reserved" => self.held(index, method == "active"),
            "scheduled" => self.scheduled(index),
            "registered" => {
                let names: Vec<&str> = self.kinds.iter().map(|k| k.name).collect();
                self.workers[index].registered(&names, arguments)
            }
            "revoked" => json!(self.workers[index].revoked),
            "conf" => self.workers[index].conf(),
            "report" => json!({"ok": "software -> celery:5.7.0 (simulated)"}),
            "query_task" => self.query(index, arguments),
            "heartbeat" => {
                self.announce(index, "worker-heartbeat");
                Value::Null
            }
            "enable_events" => self.workers[index].set_events(true),
            "disable_events" => self.workers[index].set_events(false),
            "revoke" => self.revoke(index, arguments),
            "pool_grow" => self.workers[index].grow(n),
            "pool_shrink" => self.workers[index].shrink(n),
            "autoscale" => self.workers[index].set_autoscale(arguments["max"].as_u64(), arguments["min"].as_u64()),
            "pool_restart" => self.workers[index].restart_pool(),
            "rate_limit" | "time_limit" if self.kinds.iter().any(|k| arguments["task_name"] == k.name) => {
                let task = arguments["task_name"].as_str().unwrap_or_default();
                match method {
                    "rate_limit" => self.workers[index].set_rate_limit(task, &arguments["rate_limit"]),
                    _ => self.workers[index].set_time_limit(task, arguments),
                }
            }
            "rate_limit" | "time_limit" => json!({"error": "unknown task"}),
            "add_consumer" | "cancel_consumer" => self.consume(index, method == "add_consumer", arguments),
            "shutdown" => {
                self.shut_down(index);
                return None;
            }
            other => json!({"error": format!("KeyError('{other}')")}),
        })
    }

    fn held(&self, index: usize, active: bool) -> Value {
        let worker = &self.workers[index];
        let request = |call: &Call, run| {
            let kind = &self.kinds[call.kind];
            worker.request(call, kind.name, kind.queue, run)
        };
        if active {
            return worker.running.iter().map(|run| request(&run.call, Some(run))).collect();
        }
        worker.reserved.iter().map(|call| request(call, None)).collect()
    }

    /// Retries whose time has not come, at the worker where they failed.
    fn scheduled(&self, index: usize) -> Value {
        let worker = &self.workers[index];
        let mine = self.waiting_again.values().filter(|(at, _, _)| *at == index);
        mine.map(|(_, eta, call)| {
            let kind = &self.kinds[call.kind];
            let eta = crate::human::date(*eta, &jiff::tz::TimeZone::UTC).replace(' ', "T") + "+00:00";
            json!({"eta": eta, "priority": 6, "request": worker.request(call, kind.name, kind.queue, None)})
        })
        .collect()
    }

    fn query(&self, index: usize, arguments: &Value) -> Value {
        let wanted: Vec<TaskId> = ids(&arguments["ids"]);
        let mut found = serde_json::Map::new();
        for (word, active) in [("active", true), ("reserved", false)] {
            for request in self.held(index, active).as_array().into_iter().flatten() {
                if let Some(id) = request["id"].as_str().filter(|id| wanted.contains(&TaskId::new(id))) {
                    found.insert(id.to_owned(), json!([word, request]));
                }
            }
        }
        Value::Object(found)
    }

    fn revoke(&mut self, index: usize, arguments: &Value) -> Value {
        let ids = ids(&arguments["task_id"]);
        let terminate = arguments["terminate"].as_bool().unwrap_or(false);
        self.workers[index].revoked.extend(ids.iter().cloned());
        while self.workers[index].revoked.len() > 50_000 {
            self.workers[index].revoked.pop_front();
        }
        if !terminate {
            let names: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
            return json!({"ok": format!("tasks {{{}}} flagged as revoked", names.join(", "))});
        }
        let signal = arguments["signal"].as_str().unwrap_or("SIGTERM").to_owned();
        let Some(signum) = crate::celery::pidbox::Signal::parse(&signal).map(|s| s.number()) else {
            return json!({"error": format!("AttributeError(\"module 'signal' has no attribute '{signal}'\")")});
        };
        let mut ended = Vec::new();
        for id in ids {
            let running = self.workers[index].running.iter().position(|run| run.call.id == id);
            if let Some(place) = running {
                self.workers[index].running.swap_remove(place);
                self.task_event(
                    index,
                    "task-revoked",
                    json!({"uuid": id, "terminated": true, "signum": signum, "expired": false}),
                );
                ended.push(id.to_string());
            } else if self.workers[index].reserved.iter().any(|call| call.id == id) {
                ended.push(id.to_string());
            }
        }
        let found = if ended.is_empty() { "tasks unknown".to_owned() } else { ended.join(", ") };
        json!({"ok": format!("terminate: {found}")})
    }

    fn consume(&mut self, index: usize, add: bool, arguments: &Value) -> Value {
        let queue = arguments["queue"].as_str().unwrap_or_default().to_owned();
        let queues = &mut self.workers[index].queues;
        queues.retain(|q| *q != queue);
        if add {
            queues.push(queue.clone());
            return json!({"ok": format!("add consumer {queue}")});
        }
        json!({"ok": format!("no longer consuming from {queue}")})
    }

    fn shut_down(&mut self, index: usize) {
        // A warm shutdown: running tasks end (here: at once), reserved ones go back next in line.
        let running: Vec<TaskId> = self.workers[index].running.iter().map(|run| run.call.id.clone()).collect();
        for id in running {
            self.finish(index, &id);
        }
        self.announce(index, "worker-offline");
        self.workers[index].online = false;
        for call in std::mem::take(&mut self.workers[index].reserved) {
            let queue = self.kinds[call.kind].queue.to_owned();
            self.queues.entry(queue).or_default().push_back(call);
        }
    }
}

fn ids(value: &Value) -> Vec<TaskId> {
    match value {
        Value::String(id) => vec![TaskId::new(id)],
        Value::Array(ids) => ids.iter().filter_map(Value::as_str).map(TaskId::new).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn traceback(kind: &Kind) -> String {
    let (place, function) = kind.raised_at.split_once(" in ").unwrap_or((kind.raised_at, "run"));
    let (file, line) = place.split_once(':').unwrap_or((place, "1"));
    format!(
        "Traceback (most recent call last):\n  File \"/usr/lib/python3.11/site-packages/celery/app/trace.py\", line 585, in trace_task\n    R = retval = fun(*args, **kwargs)\n  File \"/srv/app/{}.py\", line 41, in {}\n    return {function}(*args)\n  File \"/srv/app/{file}\", line {line}, in {function}\n    raise {}\n{}\n",
        kind.name.split('.').next().unwrap_or("tasks"),
        kind.name.rsplit('.').next().unwrap_or("run"),
        kind.exception,
        kind.exception.replacen('(', ": ", 1).trim_end_matches(')').replace('\'', ""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::event::Batch;

    fn day(options: &Options) -> Vec<RawMessage> {
        let start = Stamp::from_micros(1_795_481_430_000_000);
        Cluster::new(options, start).advance(start)
    }

    #[test]
    fn the_same_seed_makes_the_same_day() {
        let options = Options { tasks: 500, ..Options::default() };
        let (a, b) = (day(&options), day(&options));
        assert!(a.len() > 1_000);
        assert!(a.iter().zip(&b).all(|(a, b)| a.data == b.data) && a.len() == b.len());
        assert!(day(&Options { seed: 8, ..options }).iter().zip(&a).any(|(x, y)| x.data != y.data));
    }

    #[test]
    fn every_message_can_be_read() {
        for scenario in [Scenario::Busy, Scenario::Hostile, Scenario::Backlog, Scenario::Quiet] {
            let mut batch = Batch::default();
            for message in day(&Options { scenario, tasks: 300, ..Options::default() }) {
                batch.push_redis(&message.data, message.received);
            }
            assert_eq!(batch.undecodable, []);
        }
    }

    #[test]
    fn a_pool_shrunk_by_all_of_it_breaks_as_the_real_one_does() {
        let mut worker = Worker::new(0, vec![], true, Stamp::EPOCH);
        let n = worker.processes.len() as u64;
        assert!(worker.shrink(n)["error"].as_str().is_some_and(|e| e.contains("Can't shrink")));
        assert_eq!(worker.processes.len(), 0);
    }
}
