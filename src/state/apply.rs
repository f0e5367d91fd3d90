//! How the model changes. The rules for tasks and workers are those of `celery.events.state` (Celery 5.7.0), step by
//! step as `protocol/README.md`, section 2.4 has them; the letters T and W below refer to its list.

mod fields;
mod workers;

use std::ops::Range;

use crate::celery::TaskId;
use crate::celery::event::{Batch, Event, TaskEvent, TaskEventKind};
use crate::clock::Stamp;
use crate::schedule::learn::Arrival;

use super::Update;
use super::intern::Sym;
use super::measure::Step;
use super::model::Model;
use super::queue::Queue;
use super::task::{Attempt, Rare, State, flag};
use super::tasks::{Slot, text_size};

/// Names beyond which the interner is swept.
pub(super) const SWEEP_AT: usize = 65_536;
/// Messages that could not be read and are kept to be shown.
const KEPT_UNDECODABLE: usize = 16;
/// Tasks of our own that no event was seen of yet.
const KEPT_SENT: usize = 10_000;

impl Model {
    pub(super) fn apply(&mut self, update: &Update) {
        match update {
            Update::Events(batch) => self.apply_events(batch, 0..batch.events.len()),
            Update::Recalled(batch) => self.recall(batch),
            Update::Past(batch) => self.apply_past(batch),
            Update::PastMarks(marks) => marks.iter().for_each(|(at, text)| self.marks.set_past(*at, text.clone())),
            Update::PastEnds(at) => self.outages.past(*at),
            Update::Missed(at, n) => {
                self.counters.missed += n;
                self.last_missed = Some(*at);
            }
            Update::Queues(at, depths) => {
                for depth in depths {
                    let name = self.names.intern(&depth.name);
                    self.queues.entry(name).or_insert_with(Queue::new).set(depth.clone(), *at);
                }
            }
            Update::Inspected(at, method, replies) => {
                for reply in replies {
                    let name = self.names.intern(&reply.worker);
                    let worker = self.worker_mut(name, *at);
                    worker.last_seen = *at;
                    if let Some(what) = worker.inspected(method, &reply.value, *at) {
                        self.marks.worker_changed(*at, &reply.worker, &what);
                    }
                }
            }
            Update::Silent(at, method, names) => {
                for name in names {
                    if let Some(worker) = self.names.find(name).and_then(|name| self.workers.get_mut(&name)) {
                        worker.was_silent(method, *at);
                    }
                }
            }
            Update::Peeked(peeked) => {
                for (id, canvas) in &peeked.canvases {
                    self.canvases.put(id, canvas);
                }
                self.peeks.put(peeked.clone());
            }
            Update::Results { found, keep } => self.found(found, *keep),
            Update::Unacked(held, whole) => self.unacked(held, *whole),
            Update::NoResults(why) => self.results_missing = Some(why.clone()),
            Update::Tick(at) => {
                self.tick(*at);
                self.notice_silence(*at);
                self.forget_ended(*at);
            }
            Update::Alarm(at, on) => self.unheard(*at, |unheard| unheard.alarm = *on),
            Update::Link(at, live) => {
                self.unheard(*at, |unheard| unheard.link = !*live);
                if let Some(down) = self.outages.link(*live, *at) {
                    let text = format!("our link was down for {}", crate::human::span(down.as_secs()));
                    self.marks.set(*at, text);
                }
            }
            Update::Schedule(at, read) => self.beat.read = Some((*at, read.clone())),
            Update::Forget => self.forget(),
            Update::Mark(at, text) => self.marks.set(*at, text.clone()),
            Update::Held(queue, workers) if workers.is_empty() => _ = self.held.remove(queue),
            Update::Held(queue, workers) => _ = self.held.insert(queue.clone(), workers.clone()),
            Update::Requeued(ids) => self.requeued(ids),
            Update::Deeds(deeds) => deeds.iter().for_each(|deed| self.deed(deed)),
            Update::RevokeAsked(at, ids) => self.revoke_asked(*at, ids),
            Update::Linked(links) => links.iter().for_each(|(old, new)| self.sent_again(old, new)),
            Update::Retried(old, new, queue) => {
                self.published(new, queue);
                self.retried(old, new);
            }
        }
        self.version += 1;
    }

    /// Events of the past are none that were seen just now, and workers in them may be gone.
    fn apply_past(&mut self, batch: &Batch) {
        let before = (self.counters, self.first_event);
        self.recalling = true;
        self.apply_events(batch, 0..batch.events.len());
        self.recalling = false;
        self.counters = before.0;
        let first = batch.events.iter().filter_map(|event| match event {
            Event::Task(event) => Some(event.received),
            _ => None,
        });
        self.first_event = before.1.into_iter().chain(first).min();
    }

    pub(super) fn apply_events(&mut self, batch: &Batch, range: Range<usize>) {
        if range.start == 0 {
            self.counters.seen += batch.undecodable.len() as u64;
            self.counters.undecodable += batch.undecodable.len() as u64;
            for bad in batch.undecodable.iter().rev().take(KEPT_UNDECODABLE).rev() {
                self.undecodable.push_back(bad.clone());
                if self.undecodable.len() > KEPT_UNDECODABLE {
                    self.undecodable.pop_front();
                }
            }
        }
        for event in batch.events.get(range).unwrap_or_default() {
            self.counters.seen += 1;
            match event {
                Event::Task(event) => self.task_event(batch, event),
                Event::Worker(event) => self.worker_event(batch, event),
                Event::Other => {}
            }
        }
        self.sweep_when_full();
        self.version += 1;
    }

    pub(super) fn sweep_when_full(&mut self) {
        if self.names.live() > self.sweep_at {
            self.sweep();
            self.sweep_at = SWEEP_AT.max(self.names.live() * 2);
        }
    }

    /// We sent a task: no event of a worker says which queue it came from.
    fn published(&mut self, id: &TaskId, queue: &str) {
        match self.tasks.find(id) {
            Some(slot) if self.tasks.hot[slot as usize].queue.is_none() => {
                self.tasks.hot[slot as usize].queue = Some(self.names.intern(queue));
                self.journal.push(slot);
            }
            Some(_) => {}
            None if self.sent_here.len() < KEPT_SENT => {
                self.sent_here.insert(id.clone(), queue.to_owned());
            }
            None => {}
        }
    }

    /// Workers were asked to revoke these. What has ended already is not waited for.
    fn revoke_asked(&mut self, at: Stamp, ids: &[TaskId]) {
        for id in ids {
            let Some(slot) = self.tasks.find(id) else { continue };
            if !self.tasks.hot[slot as usize].state.is_ready() && self.revoke_asked.len() < KEPT_SENT {
                self.revoke_asked.insert(id.clone(), at);
                self.journal.push(slot);
            }
        }
    }

    /// A person sent `new` in place of `old`.
    pub(super) fn retried(&mut self, old: &TaskId, new: &TaskId) {
        self.deeds.note_sent_again(old, new);
        if self.retry_of.len() < KEPT_SENT {
            self.retry_of.insert(new.clone(), old.clone());
        }
        let Some(slot) = self.tasks.find(old) else { return };
        let i = slot as usize;
        let before = text_size(&self.tasks.cold[i]);
        let rare = self.rare(i);
        let first = rare.retried_as.replace(new.clone()).is_none();
        let group = rare.group;
        if first && self.tasks.hot[i].state == State::Failure {
            group.into_iter().for_each(|group| self.failures.close(group));
        }
        self.tasks.account(before, text_size(&self.tasks.cold[i]));
        self.journal.push(slot);
    }

    pub(super) fn task_event(&mut self, batch: &Batch, event: &TaskEvent) {
        self.counters.task_events += 1;
        self.first_event.get_or_insert(event.received);
        self.now = self.now.max(event.received);
        let (slot, new) = self.tasks.find_or_insert(&event.id); // T1
        let i = slot as usize;
        if new && self.recalling {
            self.tasks.hot[i].flags |= flag::RECALLED;
        }
        if new
            && !self.sent_here.is_empty()
            && let Some(queue) = self.sent_here.remove(&event.id)
        {
            self.tasks.hot[i].queue = Some(self.names.intern(&queue));
        }
        if new && self.figures {
            self.note_arrival(batch, event);
        }
        let before = text_size(&self.tasks.cold[i]);
        if new && let Some(newer) = self.deeds.sent_again(&event.id).cloned() {
            self.rare(i).retried_as = Some(newer);
        }
        let holder = self.holder(i);
        self.no_longer_lost(slot);
        if event.kind != TaskEventKind::Sent {
            self.touch_worker(batch, event, i); // T2
        }
        let (new, custom) = self.new_state(batch, event);
        let old = self.tasks.hot[i].state;
        let (nameless, placeless) = (self.tasks.hot[i].name.is_none(), self.tasks.hot[i].queue.is_none());
        let retry = new == State::Retry || old == State::Retry;
        let late = !retry && new.precedence() > old.precedence(); // T7
        self.set_stamp(event, i, new, late); // T5
        if late && event.kind == TaskEventKind::Received {
            self.apply_identity(batch, event, i);
        } else {
            self.apply_identity(batch, event, i);
            self.apply_rest(batch, event, i);
        }
        if !late {
            self.tasks.hot[i].state = new; // T8
            if let Some(custom) = custom {
                self.rare(i).custom = Some(custom);
            }
        }
        if !self.revoke_asked.is_empty() && self.tasks.hot[i].state.is_ready() {
            self.revoke_asked.remove(&event.id);
        }
        self.tasks.account(before, text_size(&self.tasks.cold[i]));
        self.tasks.classify(slot);
        if self.figures {
            if nameless && self.tasks.hot[i].name.is_some() {
                self.regroup(&event.id, i);
            }
            self.measure(event, i, Step { old, new, late, placeless });
        }
        self.hand_over(slot, holder, self.holder(i));
        self.journal.push(slot);
        while let Some(evicted) = self.evict_one(self.limits.tasks, self.limits.bytes) {
            // Its record still says who held it.
            self.hand_over(evicted, self.holder(evicted as usize), None);
            self.no_longer_lost(evicted);
            let id = &self.tasks.cold[evicted as usize].id;
            // Nearly always there is nothing to look for.
            if !self.revoke_asked.is_empty() {
                self.revoke_asked.remove(id);
            }
            if !self.retry_of.is_empty() {
                self.retry_of.remove(id);
            }
            self.journal.push(evicted);
        }
    }

    /// Removes the task that is to go first when a budget is spent, if it is.
    pub(super) fn evict_one(&mut self, tasks: usize, bytes: usize) -> Option<Slot> {
        let (evicted, rare) = self.tasks.evict_one(tasks, bytes.saturating_sub(self.traces.bytes()))?;
        self.traces.give_back(rare.and_then(|rare| rare.traceback));
        Some(evicted)
    }

    /// What no task sent may have been sent by the clock.
    fn note_arrival(&mut self, batch: &Batch, event: &TaskEvent) {
        let first = matches!(event.kind, TaskEventKind::Sent | TaskEventKind::Received);
        let Some(name) = batch.text(event.name).filter(|_| first && batch.text(event.parent_id).is_none()) else {
            return;
        };
        self.beat.learner.note(&Arrival {
            name,
            args: batch.text(event.args).unwrap_or_default(),
            kwargs: batch.text(event.kwargs).unwrap_or_default(),
            queue: batch.text(event.queue),
            id: &event.id,
            at: event.received,
        });
    }

    pub(super) fn hand_over(&mut self, slot: Slot, from: Option<Sym>, to: Option<Sym>) {
        if from == to {
            return;
        }
        if let Some(worker) = from.and_then(|name| self.workers.get_mut(&name)) {
            worker.unfinished = worker.unfinished.saturating_sub(1);
        }
        if let Some(name) = to {
            self.take_in_hand(name, slot);
        }
    }

    fn touch_worker(&mut self, batch: &Batch, event: &TaskEvent, i: usize) {
        let Some(hostname) = batch.text(event.hostname) else { return };
        if self.recalling && hostname.is_empty() {
            return; // Whoever told of it did not know which worker it was.
        }
        let name = self.names.intern(hostname);
        self.tasks.hot[i].worker = Some(name);
        if self.recalling {
            return;
        }
        let worker = self.worker_mut(name, event.received);
        worker.last_seen = worker.last_seen.max(event.received);
        worker.untold = 0;
        worker.tally.spoke();
        if event.kind == TaskEventKind::Started {
            worker.tally.started();
        }
        // The event's own stamp, not the time of arrival: so does Celery.
        worker.beat(event.stamp);
    }

    fn new_state(&mut self, batch: &Batch, event: &TaskEvent) -> (State, Option<Sym>) {
        match event.kind {
            TaskEventKind::Sent => (State::Pending, None),
            TaskEventKind::Received => (State::Received, None),
            TaskEventKind::Started => (State::Started, None),
            TaskEventKind::Succeeded => (State::Success, None),
            TaskEventKind::Failed => (State::Failure, None),
            TaskEventKind::Retried => (State::Retry, None),
            TaskEventKind::Revoked => (State::Revoked, None),
            TaskEventKind::Rejected => (State::Rejected, None),
            TaskEventKind::Custom(subject) => {
                let name = batch.text(subject).unwrap_or_default().to_uppercase();
                match State::parse(&name) {
                    Some(state) => (state, None),
                    None => (State::Custom, Some(self.names.intern(&name))),
                }
            }
        }
    }

    fn rare(&mut self, i: usize) -> &mut Rare {
        self.tasks.cold[i].rare.get_or_insert_default()
    }

    fn set_stamp(&mut self, event: &TaskEvent, i: usize, new: State, late: bool) {
        let (hot, cold) = (&mut self.tasks.hot[i], &mut self.tasks.cold[i]);
        let old = hot.state;
        if !late {
            // The stamp of the outcome that is left behind is kept apart.
            if let (Some(outcome), Some(finished)) = (old.outcome_index(), cold.finished.take())
                && old != new
            {
                if old == State::Retry {
                    let rare = cold.rare.get_or_insert_default();
                    let attempt = Attempt {
                        sent: rare.sent_before.take().or(cold.sent.filter(|sent| *sent <= finished)),
                        received: hot.received,
                        started: cold.started,
                        finished,
                        worker: hot.worker,
                        exception: hot.exception,
                    };
                    rare.attempts.push(attempt);
                }
                cold.rare.get_or_insert_default().outcomes[outcome] = Some(finished);
            }
        }
        match event.kind {
            TaskEventKind::Sent => {
                // The next run of a retried task is often announced before the retry itself.
                if let (Some(sent), State::Started) = (cold.sent, old)
                    && sent < event.stamp
                {
                    cold.rare.get_or_insert_default().sent_before = Some(sent);
                }
                cold.sent = Some(event.stamp);
            }
            TaskEventKind::Received => hot.received = Some(event.stamp),
            TaskEventKind::Started => cold.started = Some(event.stamp),
            TaskEventKind::Custom(_) => {}
            _ => {
                if !late || old == new {
                    cold.finished = Some(event.stamp);
                } else if let Some(outcome) = new.outcome_index() {
                    cold.rare.get_or_insert_default().outcomes[outcome] = Some(event.stamp);
                }
            }
        }
    }
}
