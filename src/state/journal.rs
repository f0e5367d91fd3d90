//! Which tasks changed lately, so that a list follows without looking at all of them.

use super::tasks::Slot;

/// A ring of the last changed slots.
pub(super) struct Journal {
    ring: Vec<Slot>,
    next: u64,
}

/// How many changes are remembered.
pub(super) const CAPACITY: u64 = 65_536;

impl Journal {
    pub fn new() -> Self {
        Self { ring: Vec::new(), next: 0 }
    }

    /// An empty one, in whose eyes everybody has fallen behind who read this one.
    pub fn afresh(&self) -> Self {
        Self { ring: Vec::new(), next: (self.next / CAPACITY + 2) * CAPACITY }
    }

    pub fn push(&mut self, slot: Slot) {
        if self.ring.len() < CAPACITY as usize {
            self.ring.push(slot);
        } else {
            self.ring[(self.next % CAPACITY) as usize] = slot;
        }
        self.next += 1;
    }

    fn at(&self, place: u64) -> Option<Slot> {
        self.ring.get((place % CAPACITY) as usize).copied()
    }

    /// The place behind the newest change.
    pub fn end(&self) -> u64 {
        self.next
    }

    /// The changes from a place on; `None` if some of them are forgotten already.
    pub fn since(&self, place: u64) -> Option<impl Iterator<Item = Slot> + '_> {
        (place + CAPACITY >= self.next).then(|| (place..self.next).filter_map(|p| self.at(p)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_what_changed_last_is_told_to_who_has_read_that() {
        let mut journal = Journal::new();
        journal.push(7);
        let read = journal.end();
        journal.push(7);
        assert_eq!(journal.since(read).map(Iterator::collect::<Vec<_>>), Some(vec![7]));
    }

    #[test]
    fn a_reader_that_fell_behind_is_told_so() {
        let mut journal = Journal::new();
        for slot in 0..10 {
            journal.push(slot);
        }
        assert_eq!(journal.since(7).map(Iterator::collect::<Vec<_>>), Some(vec![7, 8, 9]));
        for slot in 0..CAPACITY as u32 {
            journal.push(slot + 10);
        }
        assert!(journal.since(9).is_none());
        assert_eq!(journal.since(10).map(Iterator::count), Some(CAPACITY as usize));
        let mut fresh = journal.afresh();
        assert!(fresh.since(journal.end()).is_none());
        let begin = fresh.end();
        fresh.push(3);
        fresh.push(4);
        assert_eq!(fresh.since(begin).map(Iterator::collect::<Vec<_>>), Some(vec![3, 4]));
    }
}
