//! Everything known of the cluster.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use jiff::tz::TimeZone;

use crate::celery::TaskId;
use crate::celery::canvas::Canvas;
use crate::celery::event::Undecodable;
use crate::clock::Stamp;
use crate::redact::Redactor;

use super::Version;
use super::beat::Beat;
use super::canvases::Canvases;
use super::deeds::Deeds;
use super::failure::Failures;
use super::intern::{Interner, Sym};
use super::journal::Journal;
use super::lost::Lost;
use super::marks::Marks;
use super::outage::Outages;
use super::peek::{Look, Peeked, Peeks};
use super::queue::{Flow, Queue};
use super::results::Results;
use super::series::Ring;
use super::stats::{NameStats, Series};
use super::task::{Route, RouteId, Task};
use super::tasks::{Slot, Tasks};
use super::traces::Traces;
use super::unheard::Unheard;
use super::worker::Worker;

/// What the model may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub tasks: usize,
    /// Bytes for tasks, by our own count.
    pub bytes: usize,
    pub workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tasks: 100_000, bytes: 256 << 20, workers: 5_000 }
    }
}

/// How many events came, and how many of them are of no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub seen: u64,
    /// Dropped because we could not keep up.
    pub missed: u64,
    pub undecodable: u64,
    /// Events of tasks among those seen.
    pub task_events: u64,
}

/// See the module. Read it through [`super::Store::read`].
pub struct Model {
    pub(super) limits: Limits,
    pub(super) tasks: Tasks,
    pub(super) traces: Traces,
    pub(super) names: Interner,
    pub(super) routes: Vec<Route>,
    pub(super) route_ids: HashMap<Route, RouteId>,
    pub(super) workers: HashMap<Sym, Worker>,
    /// Workers in the order they were first heard of.
    pub(super) worker_order: VecDeque<Sym>,
    pub(super) queues: HashMap<Sym, Queue>,
    pub(super) by_name: HashMap<Sym, NameStats>,
    pub(super) series: Series,
    pub(super) failures: Failures,
    pub(super) marks: Marks,
    pub(super) outages: Outages,
    pub(super) unheard: Unheard,
    pub(super) zone: TimeZone,
    pub(super) redactor: Redactor,
    pub(super) journal: Journal,
    pub(super) version: Version,
    pub(super) counters: Counters,
    pub(super) undecodable: VecDeque<Undecodable>,
    pub(super) first_event: Option<Stamp>,
    pub(super) last_missed: Option<Stamp>,
    pub(super) now: Stamp,
    /// Names at which the interner is swept next.
    pub(super) sweep_at: usize,
    /// The queues of tasks we sent ourselves, until their first event.
    pub(super) sent_here: HashMap<TaskId, String>,
    /// Tasks that were asked to be revoked from here, until an event says what became of them.
    pub(super) revoke_asked: HashMap<TaskId, Stamp>,
    /// Tasks that were sent from here, and in place of which others.
    pub(super) retry_of: HashMap<TaskId, TaskId>,
    /// Queues that are held, with the workers that consumed them.
    pub(super) held: HashMap<String, Vec<String>>,
    pub(super) deeds: Deeds,
    /// Tasks that went away with their worker.
    pub(super) lost: HashMap<TaskId, Lost>,
    pub(super) peeks: Peeks,
    pub(super) beat: Beat,
    pub(super) canvases: Canvases,
    pub(super) results: Results,
    pub(super) results_missing: Option<String>,
    /// Rates, runtimes and failure groups are kept.
    pub(super) figures: bool,
    /// What is applied happened long ago: workers named in it may be gone since.
    pub(super) recalling: bool,
}

impl Model {
    pub(super) fn new(limits: Limits, zone: TimeZone) -> Self {
        Self {
            limits,
            tasks: Tasks::default(),
            traces: Traces::default(),
            names: Interner::default(),
            routes: Vec::new(),
            route_ids: HashMap::new(),
            workers: HashMap::new(),
            worker_order: VecDeque::new(),
            queues: HashMap::new(),
            by_name: HashMap::new(),
            series: Series::new(),
            failures: Failures::default(),
            marks: Marks::default(),
            outages: Outages::default(),
            unheard: Unheard::default(),
            zone,
            redactor: Redactor::default(),
            journal: Journal::new(),
            version: 0,
            counters: Counters::default(),
            undecodable: VecDeque::new(),
            first_event: None,
            last_missed: None,
            now: Stamp::EPOCH,
            sweep_at: super::apply::SWEEP_AT,
            sent_here: HashMap::new(),
            revoke_asked: HashMap::new(),
            retry_of: HashMap::new(),
            held: HashMap::new(),
            deeds: Deeds::default(),
            lost: HashMap::new(),
            peeks: Peeks::default(),
            beat: Beat::default(),
            canvases: Canvases::default(),
            results: Results::default(),
            results_missing: None,
            figures: true,
            recalling: false,
        }
    }

    /// Begins anew. Who follows it is told to look at all of it again.
    pub(super) fn forget(&mut self) {
        let fresh = Self::new(self.limits, self.zone.clone());
        *self = Self {
            redactor: self.redactor.clone(),
            version: self.version,
            journal: self.journal.afresh(),
            names: self.names.afresh(),
            canvases: self.canvases.afresh(),
            ..fresh
        };
    }

    /// How often it has changed.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many events came.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The last messages that could not be read.
    pub fn undecodable(&self) -> impl Iterator<Item = &Undecodable> {
        self.undecodable.iter()
    }

    /// The latest time it was told.
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// When the first event came.
    pub fn first_event(&self) -> Option<Stamp> {
        self.first_event
    }

    /// When events were last missed, because we could not keep up or the link was down: nothing is complete before.
    pub fn last_gap(&self) -> Option<Stamp> {
        let counted = self.workers.values().filter_map(Worker::last_missed).max();
        self.last_missed.max(counted).max(self.outages.last_end())
    }

    /// How many tasks are in memory.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Bytes tasks take, by our own count.
    pub fn task_bytes(&self) -> usize {
        self.tasks.bytes() + self.traces.bytes()
    }

    /// Since when successes, and since when all others, are complete. `None` is since the first event.
    pub fn horizons(&self) -> (Option<Stamp>, Option<Stamp>) {
        self.tasks.horizons()
    }

    /// A task by its id.
    pub fn task(&self, id: &TaskId) -> Option<Task<'_>> {
        self.tasks.find(id).map(|slot| self.at(slot))
    }

    /// Every task, in no particular order.
    pub fn all_tasks(&self) -> impl DoubleEndedIterator<Item = Task<'_>> {
        (0..self.tasks.hot.len() as Slot).filter(|&s| self.tasks.is_live(s)).map(|slot| self.at(slot))
    }

    pub(super) fn at(&self, slot: Slot) -> Task<'_> {
        Task { model: self, hot: &self.tasks.hot[slot as usize], cold: &self.tasks.cold[slot as usize] }
    }

    pub(super) fn route(&self, id: Option<RouteId>) -> Route {
        id.and_then(|id| self.routes.get(id.0.get() as usize - 1)).copied().unwrap_or_default()
    }

    /// A worker by its node name.
    pub fn worker(&self, name: &str) -> Option<&Worker> {
        self.workers.get(&self.names.find(name)?)
    }

    /// Every worker with its node name, by name.
    pub fn workers(&self) -> Vec<(&str, &Worker)> {
        let mut workers: Vec<_> = self.workers.iter().map(|(&name, w)| (self.names.name(name), w)).collect();
        workers.sort_by_key(|(name, _)| *name);
        workers
    }

    /// How many workers are online at `now`, and how many said no goodbye.
    pub fn online(&self, now: Stamp) -> (usize, usize) {
        let there = self.workers.values().filter(|w| !w.said_offline);
        (there.clone().filter(|w| w.is_online(now)).count(), there.count())
    }

    /// How many tasks online workers run.
    pub fn running(&self, now: Stamp) -> u64 {
        self.workers.values().filter(|w| w.is_online(now)).filter_map(Worker::running).sum()
    }

    /// How many workers said goodbye, and are still remembered.
    pub fn stopped(&self) -> usize {
        self.workers.values().filter(|w| w.said_offline).count()
    }

    /// How many online workers run tasks and send no events of them.
    pub fn mute(&self, now: Stamp) -> usize {
        self.workers.values().filter(|w| w.is_mute() && w.is_online(now)).count()
    }

    /// A queue by its name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.get(&self.names.find(name)?)
    }

    /// Every queue the broker told of, by name.
    pub fn queues(&self) -> Vec<(&str, &Queue)> {
        let mut queues: Vec<_> =
            self.queues.iter().filter(|(_, q)| q.at.is_some()).map(|(&n, q)| (self.names.name(n), q)).collect();
        queues.sort_by_key(|(name, _)| *name);
        queues
    }

    /// Queues that events named, asked about or not.
    pub fn queue_names(&self) -> Vec<String> {
        self.queues.keys().map(|&n| self.names.name(n).to_owned()).collect()
    }

    /// Online workers that consume a queue; `None` while no worker has answered.
    pub fn consumers(&self, queue: &str, now: Stamp) -> Option<usize> {
        let mut known = false;
        let mut count = 0;
        for worker in self.workers.values().filter(|w| w.is_online(now)) {
            if let Some(queues) = &worker.inspected.queues {
                known = true;
                count += usize::from(queues.iter().any(|q| q == queue));
            }
        }
        known.then_some(count)
    }

    /// How many online workers consume each queue that some worker ever named.
    pub(super) fn consumers_by_queue(&self, now: Stamp) -> HashMap<Sym, usize> {
        let mut counts = HashMap::new();
        for worker in self.workers.values() {
            let online = worker.is_online(now);
            for queue in worker.inspected.queues.iter().flatten().filter_map(|name| self.names.find(name)) {
                *counts.entry(queue).or_insert(0) += usize::from(online);
            }
        }
        counts
    }

    /// Seconds the oldest message of a queue has waited, and whether it may be more. At each priority the next one is
    /// the oldest; of one that nobody announced is known only how long something has been seen to wait.
    pub fn oldest(&self, queue: &Queue, now: Stamp) -> Option<(f64, bool)> {
        let sent = |id: &TaskId| self.task(id).and_then(|task| task.sent());
        let next = &queue.depth.next;
        let first = next.iter().filter_map(sent).min();
        let all_known = !next.is_empty() && next.iter().all(|id| sent(id).is_some());
        let (since, at_least) = match (first, queue.waiting_since) {
            (Some(sent), _) if all_known => (sent, false),
            (Some(sent), Some(since)) => (sent.min(since), true),
            (sent, since) => (sent.or(since)?, true),
        };
        Some((now.since(since).as_secs_f64(), at_least))
    }

    /// The last look into a queue, if there was one lately.
    pub fn peeked(&self, queue: &str, look: Look) -> Option<&Peeked> {
        self.peeks.get(queue, look)
    }

    /// What a task's message said of its workflow, if its message was seen.
    pub fn canvas(&self, id: &TaskId) -> Option<&Canvas> {
        self.canvases.get(id)
    }

    /// Tasks that are known to be members of a group, by messages or results that were seen.
    pub fn members(&self, group: &str) -> &[TaskId] {
        self.canvases.members(group)
    }

    /// Changes with everything that is learnt of workflows beyond what events tell.
    pub fn canvas_version(&self) -> u64 {
        self.canvases.version()
    }

    /// Rates and runtimes of the whole cluster.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Rates and runtimes by task name.
    pub fn by_name(&self) -> impl Iterator<Item = (&str, &NameStats)> {
        self.by_name.iter().map(|(&name, stats)| (self.names.name(name), stats))
    }

    /// Rates and runtimes of one task.
    pub fn name_stats(&self, name: &str) -> Option<&NameStats> {
        self.by_name.get(&self.names.find(name)?)
    }

    /// Since when something could have been seen: the first subscription, else the first event.
    pub fn watching_since(&self) -> Option<Stamp> {
        match (self.outages.begun(), self.first_event) {
            (Some(begun), Some(first)) => Some(begun.min(first)),
            (begun, first) => begun.or(first),
        }
    }

    /// What happened by the second over the last `secs` seconds, as far as we were watching: who came a moment ago must
    /// not take what it did not see for nothing. `None` until that makes a figure.
    pub fn rate<T: Clone + Default>(
        &self,
        ring: &Ring<T>,
        secs: u32,
        now: Stamp,
        count: impl Fn(&T) -> f64,
    ) -> Option<f64> {
        let span = Duration::from_secs(u64::from(secs));
        let buckets = (secs / ring.step()).max(1) as usize;
        let closed = ring.begin(now);
        if self.watched(closed - span, closed) >= span.as_secs_f64() - 0.5 {
            return Some(ring.last(buckets, now).map(|b| count(&b)).sum::<f64>() / span.as_secs_f64());
        }
        let begin = closed - Duration::from_secs((buckets as u64 - 1) * u64::from(ring.step()));
        let seen = self.watched(begin, now);
        (seen >= 1.0).then(|| ring.last_with_open(buckets, now).map(|b| count(&b)).sum::<f64>() / seen)
    }

    /// Seconds of a stretch in which we were watching.
    pub fn watched(&self, from: Stamp, to: Stamp) -> f64 {
        self.watching_since().map_or(0.0, |since| self.outages.seen(from.max(since), to))
    }

    /// Messages a second into and out of a queue: as the broker counts them, else over the last minute by events; `None`
    /// if no sender announces its tasks.
    pub fn flow(&self, queue: &Queue, now: Stamp) -> Option<(f64, f64)> {
        if queue.depth.rates.is_some() {
            return queue.depth.rates;
        }
        let rate = |pick: fn(&Flow) -> u32| self.rate(&queue.flow, 60, now, |flow| f64::from(pick(flow)));
        queue.flow_known.then_some(())?;
        Some((rate(|f| f.into)?, rate(|f| f.out)?))
    }

    /// Stretches in which nothing could be seen.
    pub fn outages(&self) -> &Outages {
        &self.outages
    }

    /// What happened to the cluster as a whole.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The zone clock times in filters are meant in.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The task that was sent in the place of this one, which need not be known itself.
    pub fn sent_again_as(&self, id: &TaskId) -> Option<&TaskId> {
        self.task(id).and_then(|task| task.retried_as()).or_else(|| self.deeds.sent_again(id))
    }

    /// The task in whose place this one was sent.
    pub fn sent_in_place_of(&self, id: &TaskId) -> Option<&TaskId> {
        self.retry_of.get(id)
    }

    /// The workers that were told to consume a queue no longer; none where it is not held.
    pub fn held(&self, queue: &str) -> &[String] {
        self.held.get(queue).map_or(&[], Vec::as_slice)
    }

    /// Every queue that is held.
    pub fn held_queues(&self) -> impl Iterator<Item = &str> {
        self.held.keys().map(String::as_str)
    }

    /// What takes secrets out of texts that are shown.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Failures by what went wrong where.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// The text of a symbol from a [`super::failure::Group`] or an [`super::task::Attempt`].
    pub fn name(&self, sym: Option<Sym>) -> Option<&str> {
        sym.map(|s| self.names.name(s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::event::Batch;
    use crate::celery::queue::Depth;
    use crate::state::{Store, Update};
    use std::sync::Arc;

    fn events(store: &Store, body: &str) {
        let mut batch = Batch::default();
        let read =
            batch.push_body(crate::celery::envelope::Format::Json, body.as_bytes(), Stamp::from_micros(100_000_000));
        assert!(read.is_ok());
        store.apply(&[Update::Events(Arc::new(batch))]);
    }

    fn sent(store: &Store, id: &str, secs: u32) {
        events(
            store,
            &format!(
                r#"[{{"type":"task-sent","uuid":"{id}","hostname":"gen1@h","name":"t","queue":"q","timestamp":{secs}}}]"#
            ),
        );
    }

    #[test]
    fn the_oldest_message_is_looked_for_at_every_priority() {
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let store = Store::new(Limits::default());
        sent(&store, "urgent", 90);
        sent(&store, "patient", 30);
        let depth = |next: &[&str]| Depth {
            name: "q".into(),
            ready: 2,
            next: next.iter().map(|id| TaskId::new(id)).collect(),
            ..Depth::default()
        };
        let oldest = |store: &Store| store.read(|m| m.oldest(m.queue("q").unwrap(), at(100)));
        store.apply(&[Update::Queues(at(95), vec![depth(&["urgent", "patient"])])]);
        assert_eq!(oldest(&store), Some((70.0, false)), "what waits at the last priority has waited longest");
        store.apply(&[Update::Queues(at(96), vec![depth(&["urgent", "never announced"])])]);
        assert_eq!(oldest(&store), Some((10.0, true)), "of one that nobody announced it is not known");
        store.apply(&[Update::Queues(at(97), vec![depth(&[])])]);
        assert_eq!(oldest(&store), Some((5.0, true)), "where nobody looked, since when something waits");
    }

    #[test]
    fn what_was_asked_to_be_revoked_is_known_until_an_event_says_what_became_of_it() {
        let store = Store::new(Limits::default());
        sent(&store, "a", 90);
        let asked = |store: &Store| store.read(|m| m.task(&TaskId::new("a")).and_then(|t| t.revoke_asked()));
        let now = Stamp::from_micros(100_000_000);
        let ask = Update::RevokeAsked(now, vec![TaskId::new("a"), TaskId::new("unknown")]);
        store.apply(std::slice::from_ref(&ask));
        assert_eq!(asked(&store), Some(now));
        events(&store, r#"[{"type":"task-received","uuid":"a","hostname":"w","timestamp":91}]"#);
        assert_eq!(asked(&store), Some(now), "that it was received settles nothing");
        events(&store, r#"[{"type":"task-revoked","uuid":"a","hostname":"w","timestamp":92}]"#);
        assert_eq!(asked(&store), None);
        store.apply(&[ask]);
        assert_eq!(asked(&store), None, "what has ended is not waited for");
    }
}
