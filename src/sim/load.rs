//! A load: the events of many tasks, made as fast as they can be written down. Unlike the cluster nothing is simulated
//! here, each task only goes its way; the tasks are the same.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use fastrand::Rng;
use serde::Serialize;

use super::cluster::{self, BEAT};
use super::scenario::Scenario;
use super::workload::{self, Kind};
use crate::broker::flood::Message;
use crate::clock::Stamp;

/// Events in the lists of one worker, in turn: 3.3 in the mean, which busy prefork workers on Redis were seen to send.
const SIZES: [usize; 6] = [1, 2, 3, 4, 6, 4];
/// How many events happen between two of the same task, at most.
const GAP: u64 = 64;
/// Clients that send the tasks.
const CLIENTS: usize = 3;

/// What is made.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// How many tasks; else as many as events are asked for.
    pub tasks: Option<u64>,
    pub workers: usize,
    /// Bytes that each task's arguments have at least.
    pub payload: usize,
    /// Whether events of tasks go out in lists, as workers with an event loop send them: `task-sent` and what they tell
    /// of themselves always goes out one by one (Celery 5.7.0, `events/dispatcher.py`).
    pub lists: bool,
}

/// See the module.
pub struct Load {
    options: Options,
    rng: Rng,
    kinds: Vec<Kind>,
    tracebacks: Vec<String>,
    workers: Vec<Worker>,
    clients: Vec<String>,
    /// When which worker beats next; the first time it says that it is there.
    beats: VecDeque<(Stamp, usize)>,
    agenda: BinaryHeap<Reverse<(u64, usize)>>,
    tasks: Vec<Task>,
    free: Vec<usize>,
    begun: u64,
    made: u64,
    messages: Vec<Message>,
}

struct Worker {
    name: String,
    pid: u32,
    active: u64,
    processed: u64,
    online: bool,
    /// Events that go out together, and how often that was done.
    pending: Vec<u8>,
    waiting: usize,
    lists: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Sent,
    Received,
    Started,
    Ended,
}

struct Task {
    id: String,
    kind: usize,
    args: String,
    kwargs: String,
    retries: u32,
    worker: usize,
    next: Step,
}

impl Load {
    /// A load whose first event happens at `start`.
    pub fn new(options: Options, start: Stamp) -> Self {
        let kinds = workload::kinds(Scenario::Busy);
        let worker = |index| Worker {
            name: format!("celery@app-{}", index + 1),
            pid: 700 + index as u32,
            active: 0,
            processed: 0,
            online: false,
            pending: Vec::new(),
            waiting: 0,
            lists: 0,
        };
        let workers: Vec<Worker> = (0..options.workers.max(1)).map(worker).collect();
        Self {
            rng: Rng::with_seed(options.seed),
            tracebacks: kinds.iter().map(cluster::traceback).collect(),
            kinds,
            clients: (1..=CLIENTS).map(|n| format!("gen{}@web-{n}", 11 + n)).collect(),
            beats: (0..workers.len()).map(|index| (start, index)).collect(),
            workers,
            agenda: BinaryHeap::new(),
            tasks: Vec::new(),
            free: Vec::new(),
            begun: 0,
            made: 0,
            messages: Vec::new(),
            options,
        }
    }

    /// The next so many events, stamped by their number; fewer where no more tasks are to be made.
    pub fn take(&mut self, events: usize, stamp: impl Fn(usize) -> Stamp) -> Vec<Message> {
        for n in 0..events {
            if !self.step(stamp(n)) {
                break;
            }
        }
        for index in 0..self.workers.len() {
            self.flush(index);
        }
        std::mem::take(&mut self.messages)
    }

    /// Lets one event happen; false when all tasks are done.
    fn step(&mut self, at: Stamp) -> bool {
        self.made += 1;
        let more = self.options.tasks.is_none_or(|tasks| self.begun < tasks);
        if !more && self.agenda.is_empty() {
            return false;
        }
        if let Some(&(due, index)) = self.beats.front()
            && due <= at
        {
            self.beats.rotate_left(1);
            self.beat(index, at);
            return true;
        }
        let made = self.made;
        let slot = match self.agenda.peek() {
            Some(Reverse((due, slot))) if *due <= made || !more => {
                let slot = *slot;
                self.agenda.pop();
                slot
            }
            _ => self.begin(),
        };
        self.advance(slot, at);
        true
    }

    fn begin(&mut self) -> usize {
        self.begun += 1;
        let kind = workload::pick(&self.kinds, &mut self.rng);
        let (mut args, kwargs) = workload::arguments(self.kinds[kind].args, &mut self.rng);
        if args.len() < self.options.payload {
            let room = self.options.payload.saturating_sub("('',)".len());
            let filling: String = (0..room).map(|_| self.rng.alphanumeric()).collect();
            args = format!("('{filling}',)");
        }
        let id = uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string();
        let worker = self.rng.usize(0..self.workers.len());
        let task = Task { id, kind, args, kwargs, retries: 0, worker, next: Step::Sent };
        match self.free.pop() {
            Some(slot) => {
                self.tasks[slot] = task;
                slot
            }
            None => {
                self.tasks.push(task);
                self.tasks.len() - 1
            }
        }
    }

    fn advance(&mut self, slot: usize, at: Stamp) {
        let task = &mut self.tasks[slot];
        let (kind, worker) = (&self.kinds[task.kind], &mut self.workers[task.worker]);
        let (event, next) = match task.next {
            Step::Sent => (Event::call("task-sent", task, kind), Some(Step::Received)),
            Step::Received => (Event::call("task-received", task, kind), Some(Step::Started)),
            Step::Started => {
                worker.active += 1;
                (Event::Started { uuid: &task.id }, Some(Step::Ended))
            }
            Step::Ended => {
                worker.active -= 1;
                worker.processed += 1;
                let fails = self.rng.f64() < if task.retries > 0 { 0.6 } else { kind.fails };
                match fails {
                    false => {
                        let runtime = workload::runtime(kind, &mut self.rng);
                        (Event::Succeeded { uuid: &task.id, result: "{'ok': True}", runtime }, None)
                    }
                    true => {
                        let again = task.retries < kind.retries;
                        let name = if again { "task-retried" } else { "task-failed" };
                        let (exception, traceback) = (kind.exception, &self.tracebacks[task.kind][..]);
                        (Event::Failed { name, uuid: &task.id, exception, traceback }, again.then_some(Step::Sent))
                    }
                }
            }
        };
        let is_sent = task.next == Step::Sent;
        let (hostname, pid) = match is_sent {
            true => (&self.clients[task.kind % CLIENTS], 12),
            false => (&worker.name, worker.pid),
        };
        let name = event.name();
        let body = event.body(hostname, pid, self.made, at);
        if is_sent || !self.options.lists {
            let (routing_key, hostname) = (routing_key(name), hostname.clone());
            self.messages.push(Message { routing_key, hostname, body, events: 1 });
        } else {
            worker.pending.extend(if worker.waiting == 0 { &b"["[..] } else { b", " });
            worker.pending.extend(body);
            worker.waiting += 1;
            if worker.waiting >= SIZES[worker.lists % SIZES.len()] {
                let index = task.worker;
                self.flush(index);
            }
        }
        self.plan(slot, next);
    }

    /// What a task does next. Tried again it comes to another worker.
    fn plan(&mut self, slot: usize, next: Option<Step>) {
        let Some(next) = next else { return self.free.push(slot) };
        if next == Step::Sent {
            self.tasks[slot].retries += 1;
            self.tasks[slot].worker = self.rng.usize(0..self.workers.len());
        }
        self.tasks[slot].next = next;
        self.agenda.push(Reverse((self.made + self.rng.u64(1..=GAP), slot)));
    }

    fn flush(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.waiting == 0 {
            return;
        }
        let mut body = std::mem::take(&mut worker.pending);
        body.push(b']');
        let (events, hostname) = (std::mem::take(&mut worker.waiting), worker.name.clone());
        worker.lists += 1;
        self.messages.push(Message { routing_key: "task.multi", hostname, body, events });
    }

    fn beat(&mut self, index: usize, at: Stamp) {
        if let Some(last) = self.beats.back_mut() {
            *last = (at + BEAT, index);
        }
        let worker = &mut self.workers[index];
        let name = if std::mem::replace(&mut worker.online, true) { "worker-heartbeat" } else { "worker-online" };
        let event = Event::Alive {
            name,
            freq: 2.0,
            active: worker.active,
            processed: worker.processed,
            loadavg: [0.31, 0.27, 0.24],
            sw_ident: "py-celery",
            sw_ver: "5.7.0",
            sw_sys: "Linux",
        };
        let body = event.body(&worker.name, worker.pid, self.made, at);
        let hostname = worker.name.clone();
        self.messages.push(Message { routing_key: routing_key(name), hostname, body, events: 1 });
    }
}

/// What happened, with the fields that Celery gives to it.
#[derive(Serialize)]
#[serde(untagged)]
enum Event<'a> {
    Call {
        #[serde(skip)]
        name: &'static str,
        uuid: &'a str,
        #[serde(rename = "name")]
        task: &'a str,
        args: &'a str,
        kwargs: &'a str,
        root_id: &'a str,
        parent_id: Option<&'a str>,
        retries: u32,
        eta: Option<&'a str>,
        expires: Option<&'a str>,
        #[serde(flatten)]
        way: Option<Way<'a>>,
    },
    Started {
        uuid: &'a str,
    },
    Succeeded {
        uuid: &'a str,
        result: &'a str,
        runtime: f64,
    },
    Failed {
        #[serde(skip)]
        name: &'static str,
        uuid: &'a str,
        exception: &'a str,
        traceback: &'a str,
    },
    Alive {
        #[serde(skip)]
        name: &'static str,
        freq: f64,
        active: u64,
        processed: u64,
        loadavg: [f64; 3],
        sw_ident: &'a str,
        sw_ver: &'a str,
        sw_sys: &'a str,
    },
}

/// Where a call was sent.
#[derive(Serialize)]
struct Way<'a> {
    queue: &'a str,
    exchange: &'a str,
    routing_key: &'a str,
}

impl<'a> Event<'a> {
    fn call(name: &'static str, task: &'a Task, kind: &Kind) -> Self {
        let way = Way { queue: kind.queue, exchange: "", routing_key: kind.queue };
        Event::Call {
            name,
            uuid: &task.id,
            task: kind.name,
            args: &task.args,
            kwargs: &task.kwargs,
            root_id: &task.id,
            parent_id: None,
            retries: task.retries,
            eta: None,
            expires: None,
            way: (name == "task-sent").then_some(way),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Event::Call { name, .. } | Event::Failed { name, .. } | Event::Alive { name, .. } => name,
            Event::Started { .. } => "task-started",
            Event::Succeeded { .. } => "task-succeeded",
        }
    }

    fn body(&self, hostname: &str, pid: u32, clock: u64, at: Stamp) -> Vec<u8> {
        let name = self.name();
        let whole = Told { hostname, utcoffset: 0.0, pid, clock, event: self, timestamp: at.secs(), name };
        serde_json::to_vec(&whole).unwrap_or_default()
    }
}

/// An event with what stands in every one.
#[derive(Serialize)]
struct Told<'a> {
    hostname: &'a str,
    utcoffset: f64,
    pid: u32,
    clock: u64,
    #[serde(flatten)]
    event: &'a Event<'a>,
    timestamp: f64,
    #[serde(rename = "type")]
    name: &'a str,
}

fn routing_key(name: &str) -> &'static str {
    match name {
        "task-sent" => "task.sent",
        "task-received" => "task.received",
        "task-started" => "task.started",
        "task-succeeded" => "task.succeeded",
        "task-failed" => "task.failed",
        "task-retried" => "task.retried",
        "worker-online" => "worker.online",
        _ => "worker.heartbeat",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::state::{Limits, State, Store, Update};

    fn start() -> Stamp {
        Stamp::from_micros(1_795_529_007_000_000)
    }

    fn options() -> Options {
        Options { seed: 7, tasks: None, workers: 4, payload: 0, lists: true }
    }

    fn made(options: Options, events: usize) -> Vec<Message> {
        Load::new(options, start()).take(events, |n| start() + Duration::from_millis(n as u64))
    }

    fn bodies(messages: &[Message]) -> Vec<&[u8]> {
        messages.iter().map(|message| &message.body[..]).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_events() {
        let other = made(Options { seed: 8, ..options() }, 5_000);
        let [first, second] = [made(options(), 5_000), made(options(), 5_000)];
        assert!(bodies(&first) == bodies(&second));
        assert!(bodies(&first) != bodies(&other));
    }

    #[test]
    fn as_many_events_as_were_asked_for_are_told_in_lists_and_one_by_one() {
        let messages = made(options(), 5_000);
        assert_eq!(messages.iter().map(|message| message.events).sum::<usize>(), 5_000);
        let mut longest = 0;
        for message in &messages {
            let body: Value = serde_json::from_slice(&message.body).unwrap();
            let told = body.as_array().map_or(1, Vec::len);
            assert_eq!(told, message.events);
            assert_eq!(body.is_array(), message.routing_key == "task.multi");
            longest = longest.max(told);
        }
        assert_eq!(longest, 6);
        let single = made(Options { lists: false, ..options() }, 5_000);
        assert_eq!(single.len(), 5_000);
        assert!(single.iter().all(|message| message.routing_key != "task.multi"));
    }

    #[test]
    fn each_task_goes_its_way_to_the_end_and_the_model_understands_all_of_it() {
        let messages = made(Options { tasks: Some(2_000), ..options() }, usize::MAX);
        let mut batch = Batch::default();
        for message in &messages {
            batch.push_body(Format::Json, &message.body, start()).unwrap();
        }
        let store = Store::new(Limits::default());
        store.apply(&[Update::Events(Arc::new(batch))]);
        store.read(|model| {
            assert_eq!(model.counters().undecodable, 0);
            assert_eq!(model.workers().len(), 4);
            let tasks: Vec<_> = model.all_tasks().collect();
            assert_eq!(tasks.len(), 2_000);
            let of = |state: State| tasks.iter().filter(|task| task.state() == state).count();
            let (succeeded, failed) = (of(State::Success), of(State::Failure));
            assert_eq!(succeeded + failed, 2_000);
            assert!((1..100).contains(&failed), "{failed}");
            assert!(tasks.iter().any(|task| task.retries() > Some(0)));
        });
    }

    #[test]
    fn arguments_are_as_long_as_was_asked_for() {
        let messages = made(Options { payload: 2_000, lists: false, ..options() }, 500);
        let sent = messages.iter().find(|message| message.routing_key == "task.sent").unwrap();
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["args"].as_str().unwrap().len(), 2_000);
    }
}
