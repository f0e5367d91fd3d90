//! What Flower counts of events (2.2.0, `events.py`): the series of its metrics, and each worker's events by type.
//!
//! How many series there are is bounded: of too many the one that changed longest ago goes. Who sends tasks has a name of
//! its own in each process, so that without a bound there would be ever more.

use std::borrow::Cow;
use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;

use crate::celery::event::{Batch, Event, TaskEvent, TaskEventKind, WorkerEvent, WorkerEventKind};
use crate::clock::Stamp;
use crate::state::{Store, Update};

/// Series of one metric at most.
const SERIES: usize = 10_000;

/// Series of one metric, by their labels.
pub(super) struct Family<K, V> {
    series: HashMap<K, Entry<V>>,
    turn: u64,
    /// Series that had to go.
    pub dropped: u64,
}

struct Entry<V> {
    value: V,
    turn: u64,
    born: Stamp,
}

impl<K, V> Default for Family<K, V> {
    fn default() -> Self {
        Self { series: HashMap::new(), turn: 0, dropped: 0 }
    }
}

impl<K: Hash + Eq, V> Family<K, V> {
    /// Changes the value of a series. There is one for each event or more: nothing is made where the series is known.
    fn change(&mut self, labels: &impl Labels<K>, now: Stamp, new: impl FnOnce() -> V, change: impl FnOnce(&mut V)) {
        self.turn += 1;
        if let Some(entry) = self.series.get_mut(labels) {
            entry.turn = self.turn;
            return change(&mut entry.value);
        }
        if self.series.len() >= SERIES {
            // A tenth goes at once, so that this is looked for seldom.
            let mut turns: Vec<u64> = self.series.values().map(|entry| entry.turn).collect();
            let (_, oldest, _) = turns.select_nth_unstable(SERIES / 10);
            let oldest = *oldest;
            self.series.retain(|_, entry| entry.turn > oldest);
            self.dropped += (SERIES / 10) as u64;
        }
        let mut value = new();
        change(&mut value);
        self.series.insert(labels.own(), Entry { value, turn: self.turn, born: now });
    }

    /// Labels, value, and when the series was born; in order of the labels.
    pub fn rows(&self) -> Vec<(&K, &V, Stamp)>
    where
        K: Ord,
    {
        let mut rows: Vec<_> = self.series.iter().map(|(key, entry)| (key, &entry.value, entry.born)).collect();
        rows.sort_by_key(|(key, _, _)| *key);
        rows
    }

    fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.series.retain(|key, _| keep(key));
    }
}

/// Labels as they stand in an event: a series is found by them, and they are copied only for a new one.
trait Labels<K>: Hash + Equivalent<K> {
    fn own(&self) -> K;
}

/// A worker.
#[derive(Hash)]
struct One<'e>(&'e str);

impl Equivalent<String> for One<'_> {
    fn equivalent(&self, key: &String) -> bool {
        self.0 == key
    }
}

impl Labels<String> for One<'_> {
    fn own(&self) -> String {
        self.0.to_owned()
    }
}

/// A task and a worker.
#[derive(Hash, Clone, Copy)]
struct Two<'e>(&'e str, &'e str);

impl Equivalent<Of> for Two<'_> {
    fn equivalent(&self, (task, worker): &Of) -> bool {
        self.0 == task && self.1 == worker
    }
}

impl Labels<Of> for Two<'_> {
    fn own(&self) -> Of {
        (self.0.to_owned(), self.1.to_owned())
    }
}

/// A task, a type of events, and a worker.
#[derive(Hash)]
struct Three<'e>(&'e str, &'e Kind, &'e str);

impl Equivalent<(String, Kind, String)> for Three<'_> {
    fn equivalent(&self, (task, kind, worker): &(String, Kind, String)) -> bool {
        self.0 == task && self.1 == kind && self.2 == worker
    }
}

impl Labels<(String, Kind, String)> for Three<'_> {
    fn own(&self) -> (String, Kind, String) {
        (self.0.to_owned(), self.1.clone(), self.2.to_owned())
    }
}

/// An event's type, such as `task-sent`; an application may have its own.
pub(super) type Kind = Cow<'static, str>;

/// Task, worker.
pub(super) type Of = (String, String);

/// Observations below each end of the buckets, and above all.
#[derive(Clone, Default)]
pub(super) struct Histogram {
    pub counts: Vec<u64>,
    pub sum: f64,
}

/// Every series.
#[derive(Default)]
pub(super) struct Counted {
    /// Task, type, worker.
    pub events: Family<(String, Kind, String), u64>,
    pub runtime: Family<Of, Histogram>,
    pub prefetch_time: Family<Of, f64>,
    pub prefetched: Family<Of, i64>,
    pub online: Family<String, bool>,
    pub executing: Family<String, i64>,
    /// Events of each worker by type, as `/workers?json=1` shows them.
    pub by_worker: Family<String, HashMap<Kind, u64>>,
}

/// See the module.
pub(super) struct Tally {
    counted: Mutex<Counted>,
    pub buckets: Vec<f64>,
    pub born: Stamp,
}

impl Tally {
    pub fn new(buckets: &[f64], now: Stamp) -> Self {
        Self { counted: Mutex::default(), buckets: buckets.to_vec(), born: now }
    }

    /// Counts what the store has just been told.
    pub fn count(&self, update: &Update, store: &Store) {
        let Update::Events(batch) = update else { return };
        let mut counted = self.counted.lock();
        store.read(|model| {
            for event in &batch.events {
                match event {
                    Event::Task(event) => {
                        let task = model.task(&event.id);
                        let known = Known {
                            name: task.as_ref().and_then(|t| t.name()).unwrap_or_default(),
                            delayed: task.as_ref().is_some_and(|t| t.eta().is_some()),
                            received: task.as_ref().and_then(|t| t.received()),
                            started: task.as_ref().and_then(|t| t.started()),
                        };
                        self.task(&mut counted, batch, event, &known);
                    }
                    Event::Worker(event) => worker(&mut counted, batch, event),
                    Event::Other => {}
                }
            }
        });
    }

    fn task(&self, counted: &mut Counted, batch: &Batch, event: &TaskEvent, known: &Known<'_>) {
        let Some(host) = batch.text(event.hostname) else { return };
        let (kind, now) = (event.kind.name(batch), event.received);
        let name = batch.text(event.name).filter(|name| !name.is_empty()).unwrap_or(known.name);
        let of = Two(name, host);
        counted.events.change(&Three(name, &kind, host), now, || 0, |n| *n += 1);
        add(counted, host, kind, now);
        if let Some(runtime) = event.runtime.value().filter(|secs| *secs > 0.0) {
            let ends = self.buckets.len();
            let place = self.buckets.partition_point(|end| *end < runtime);
            let new = || Histogram { counts: vec![0; ends + 1], sum: 0.0 };
            counted.runtime.change(&of, now, new, |histogram| {
                histogram.counts[place] += 1;
                histogram.sum += runtime;
            });
        }
        let fewer = |n: &mut i64| *n = (*n - 1).max(0);
        let waited = known.received.zip(known.started);
        match event.kind {
            _ if known.delayed => {}
            TaskEventKind::Received => counted.prefetched.change(&of, now, || 0, |n| *n += 1),
            TaskEventKind::Started if known.received.is_some() => {
                let secs = waited.map_or(0.0, |(received, started)| started.since(received).as_secs_f64());
                counted.prefetch_time.change(&of, now, || 0.0, |was| *was = secs);
                counted.prefetched.change(&of, now, || 0, fewer);
            }
            TaskEventKind::Succeeded | TaskEventKind::Failed if waited.is_some() => {
                counted.prefetch_time.change(&of, now, || 0.0, |was| *was = 0.0);
            }
            TaskEventKind::Revoked | TaskEventKind::Rejected if known.received.is_some() && known.started.is_none() => {
                counted.prefetched.change(&of, now, || 0, fewer);
            }
            _ => {}
        }
    }

    /// Looks at the series.
    pub fn read<R>(&self, look: impl FnOnce(&Counted) -> R) -> R {
        look(&self.counted.lock())
    }

    /// Forgets everything of workers that are not to be kept.
    pub fn keep(&self, worker: impl Fn(&str) -> bool) {
        let mut counted = self.counted.lock();
        counted.events.retain(|(_, _, name)| worker(name));
        counted.runtime.retain(|(_, name)| worker(name));
        counted.prefetch_time.retain(|(_, name)| worker(name));
        counted.prefetched.retain(|(_, name)| worker(name));
        counted.online.retain(|name| worker(name));
        counted.executing.retain(|name| worker(name));
        counted.by_worker.retain(|name| worker(name));
    }
}

/// What the model knows of an event's task.
struct Known<'m> {
    name: &'m str,
    delayed: bool,
    received: Option<Stamp>,
    started: Option<Stamp>,
}

fn worker(counted: &mut Counted, batch: &Batch, event: &WorkerEvent) {
    let Some(host) = batch.text(event.hostname) else { return };
    let now = event.received;
    let (kind, online) = match event.kind {
        WorkerEventKind::Online => ("worker-online", true),
        WorkerEventKind::Heartbeat => ("worker-heartbeat", true),
        WorkerEventKind::Offline => ("worker-offline", false),
        WorkerEventKind::Other => return,
    };
    add(counted, host, kind.into(), now);
    counted.online.change(&One(host), now, || online, |was| *was = online);
    if let (WorkerEventKind::Heartbeat, Some(active)) = (event.kind, event.active.value()) {
        counted.executing.change(&One(host), now, || active, |was| *was = active);
    }
}

/// Counts an event of a worker by its type.
fn add(counted: &mut Counted, host: &str, kind: Kind, now: Stamp) {
    counted.by_worker.change(&One(host), now, HashMap::new, |counts| {
        if let Some(n) = counts.get_mut(&kind) {
            *n += 1;
        } else if counts.len() < KINDS {
            counts.insert(kind, 1);
        }
    });
}

/// Types of events that are told apart for each worker.
const KINDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_series_those_that_rest_go() {
        let mut family: Family<String, u64> = Family::default();
        for n in 0..SERIES * 3 {
            for worker in [n.to_string(), "busy".to_owned()] {
                family.change(&One(&worker), Stamp::EPOCH, || 0, |n| *n += 1);
            }
        }
        assert!(family.series.len() <= SERIES && family.dropped > 0);
        assert_eq!(family.series.get("busy").map(|e| e.value), Some(SERIES as u64 * 3), "what is busy stays");
    }
}
