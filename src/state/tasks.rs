//! Where tasks lie: slots, the index by id, and who has to go when the budget is spent.
//!
//! Two classes share the budget. Successes are plenty and go first; what failed, was retried or revoked, or is not
//! finished, keeps up to 40 % of it.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::celery::TaskId;
use crate::clock::Stamp;

use super::task::{Cold, Hot, NO_RUNTIME, Rare, State, flag};

pub(super) type Slot = u32;

/// Bytes a task takes beyond its texts: both records, the index, its place in a class, the allocator's share.
const FIXED: usize = size_of::<Hot>() + size_of::<Cold>() + 24;

/// Share of the budget kept for what is not a success.
const REST_SHARE: usize = 40;

#[derive(Default)]
pub(super) struct Tasks {
    pub hot: Vec<Hot>,
    pub cold: Vec<Cold>,
    free: Vec<Slot>,
    live: usize,
    by_id: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    classes: [Class; 2],
    /// Bytes of texts and rare parts.
    bytes: usize,
    seq: u32,
}

/// One eviction class: its members in the order they came, with stale entries among them.
#[derive(Default)]
struct Class {
    queue: VecDeque<(Slot, u32)>,
    live: usize,
    /// Stamp of the newest member that had to go.
    horizon: Option<Stamp>,
}

const SUCCESS: usize = 0;
const REST: usize = 1;

impl Tasks {
    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Bytes in use, by our own count.
    pub fn bytes(&self) -> usize {
        self.bytes + self.live * FIXED
    }

    /// Since when successes, and since when all others, are complete; `None` is since the beginning.
    pub fn horizons(&self) -> (Option<Stamp>, Option<Stamp>) {
        (self.classes[SUCCESS].horizon, self.classes[REST].horizon)
    }

    pub fn is_live(&self, slot: Slot) -> bool {
        self.cold.get(slot as usize).is_some_and(|cold| cold.seq != 0)
    }

    pub fn find(&self, id: &TaskId) -> Option<Slot> {
        self.by_id.find(self.hasher.hash_one(id), |&s| self.cold[s as usize].id == *id).copied()
    }

    /// The slot of a task, and whether it is new.
    pub fn find_or_insert(&mut self, id: &TaskId) -> (Slot, bool) {
        let hash = self.hasher.hash_one(id);
        if let Some(&slot) = self.by_id.find(hash, |&s| self.cold[s as usize].id == *id) {
            return (slot, false);
        }
        let hot = Hot {
            name: None,
            worker: None,
            queue: None,
            exception: None,
            received: None,
            runtime: NO_RUNTIME,
            state: State::Pending,
            flags: flag::REST,
            retries: 0,
        };
        let seq = self.next_seq();
        let cold = Cold {
            id: id.clone(),
            sent: None,
            started: None,
            finished: None,
            stamp: None,
            text: None,
            rare: None,
            route: None,
            seq,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.hot[slot as usize] = hot;
                self.cold[slot as usize] = cold;
                slot
            }
            None => {
                self.hot.push(hot);
                self.cold.push(cold);
                self.hot.len() as Slot - 1
            }
        };
        let (cold, hasher) = (&self.cold, &self.hasher);
        self.by_id.insert_unique(hash, slot, |&s| hasher.hash_one(&cold[s as usize].id));
        self.live += 1;
        self.classes[REST].queue.push_back((slot, seq));
        self.classes[REST].live += 1;
        (slot, true)
    }

    fn next_seq(&mut self) -> u32 {
        // Zero marks a free slot.
        self.seq = self.seq.wrapping_add(1).max(1);
        self.seq
    }

    /// Puts a task into the class its state asks for.
    pub fn classify(&mut self, slot: Slot) {
        let hot = &mut self.hot[slot as usize];
        let (was, is) = (usize::from(hot.flags & flag::REST != 0), usize::from(hot.state != State::Success));
        if was == is {
            return;
        }
        hot.flags ^= flag::REST;
        let seq = self.next_seq();
        self.cold[slot as usize].seq = seq;
        self.classes[was].live -= 1;
        self.classes[is].live += 1;
        self.classes[is].queue.push_back((slot, seq));
        self.trim(was);
    }

    /// Drops stale entries, at a cost that evens out.
    fn trim(&mut self, class: usize) {
        let cold = &self.cold;
        let class = &mut self.classes[class];
        while class.queue.front().is_some_and(|&(slot, seq)| cold[slot as usize].seq != seq) {
            class.queue.pop_front();
        }
        if class.queue.len() > 2 * class.live + 1024 {
            class.queue.retain(|&(slot, seq)| cold[slot as usize].seq == seq);
        }
    }

    /// Tells how the bytes of a task's texts have changed.
    pub fn account(&mut self, before: usize, after: usize) {
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    /// Removes the task that is to go first when a budget is spent, if it is, and hands out the part of it that few have.
    pub fn evict_one(&mut self, max_tasks: usize, max_bytes: usize) -> Option<(Slot, Option<Box<Rare>>)> {
        if self.live <= max_tasks && self.bytes() <= max_bytes {
            return None;
        }
        let rest_over = self.classes[REST].live * 100 > max_tasks.min(self.live) * REST_SHARE;
        let class = if rest_over || self.classes[SUCCESS].live == 0 { REST } else { SUCCESS };
        self.trim(class);
        let (slot, _) = self.classes[class].queue.pop_front()?;
        let stamp = self.cold[slot as usize].stamp;
        self.classes[class].horizon = self.classes[class].horizon.max(stamp);
        self.classes[class].live -= 1;
        Some((slot, self.remove(slot)))
    }

    fn remove(&mut self, slot: Slot) -> Option<Box<Rare>> {
        let hash = self.hasher.hash_one(&self.cold[slot as usize].id);
        if let Ok(entry) = self.by_id.find_entry(hash, |&s| s == slot) {
            entry.remove();
        }
        let cold = &mut self.cold[slot as usize];
        self.bytes = self.bytes.saturating_sub(text_size(cold));
        cold.seq = 0;
        cold.text = None;
        let rare = cold.rare.take();
        self.live -= 1;
        self.free.push(slot);
        rare
    }
}

/// Bytes of a task's texts and rare parts.
pub(super) fn text_size(cold: &Cold) -> usize {
    cold.text.as_ref().map_or(0, |t| t.len()) + cold.rare.as_ref().map_or(0, |r| r.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(tasks: &mut Tasks, n: usize, state: State) -> Slot {
        let (slot, _) = tasks.find_or_insert(&TaskId::new(&n.to_string()));
        tasks.hot[slot as usize].state = state;
        tasks.cold[slot as usize].stamp = Some(Stamp::from_micros(n as i64 + 1));
        tasks.classify(slot);
        while tasks.evict_one(10, usize::MAX).is_some() {}
        slot
    }

    #[test]
    fn successes_go_before_failures_and_each_horizon_is_known() {
        let mut tasks = Tasks::default();
        for n in 0..4 {
            put(&mut tasks, n, State::Failure);
        }
        for n in 4..30 {
            put(&mut tasks, n, State::Success);
        }
        assert_eq!(tasks.len(), 10);
        for n in 0..4 {
            assert!(tasks.find(&TaskId::new(&n.to_string())).is_some(), "failure {n} was kept");
        }
        assert_eq!(tasks.horizons(), (Some(Stamp::from_micros(24)), None));
    }

    #[test]
    fn failures_keep_no_more_than_their_share() {
        let mut tasks = Tasks::default();
        for n in 0..100 {
            put(&mut tasks, n, if n % 2 == 0 { State::Failure } else { State::Success });
        }
        assert_eq!((tasks.classes[REST].live, tasks.len()), (4, 10));
    }

    #[test]
    fn a_byte_budget_evicts_too() {
        let mut tasks = Tasks::default();
        for n in 0..10 {
            tasks.find_or_insert(&TaskId::new(&n.to_string()));
        }
        assert!(tasks.evict_one(100, FIXED * 9).is_some());
        assert!(tasks.evict_one(100, FIXED * 9).is_none());
    }
}
