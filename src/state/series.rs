//! Rings of time: a fixed number of buckets, each a fixed time long, the oldest overwritten by the newest.

use crate::clock::Stamp;

/// `len` buckets of `step` seconds.
#[derive(Clone)]
pub struct Ring<T> {
    step: i64,
    buckets: Box<[T]>,
    /// Number of the newest bucket since the epoch; zero before the first.
    newest: i64,
    /// Where it is, and when it begins, in microseconds: nearly everything is about it.
    head: usize,
    begins: i64,
}

impl<T: Clone + Default> Ring<T> {
    /// An empty ring.
    pub fn new(step_secs: u32, len: usize) -> Self {
        let buckets = vec![T::default(); len.max(1)].into();
        Self { step: i64::from(step_secs) * 1_000_000, buckets, newest: 0, head: 0, begins: 0 }
    }

    /// Seconds a bucket is long.
    pub fn step(&self) -> u32 {
        (self.step / 1_000_000) as u32
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Never: a ring has at least one bucket.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn number(&self, at: Stamp) -> i64 {
        at.micros().div_euclid(self.step)
    }

    fn place(&self, number: i64) -> usize {
        number.rem_euclid(self.buckets.len() as i64) as usize
    }

    /// Whether two times fall into the same bucket.
    pub fn same_bucket(&self, a: Stamp, b: Stamp) -> bool {
        self.number(a) == self.number(b)
    }

    /// Moves on to `at`, emptying the buckets in between.
    pub fn advance(&mut self, at: Stamp) {
        let number = self.number(at);
        if number <= self.newest {
            return;
        }
        let from =
            if self.newest == 0 { number } else { (self.newest + 1).max(number - self.buckets.len() as i64 + 1) };
        for n in from..=number {
            let place = self.place(n);
            self.buckets[place] = T::default();
        }
        self.newest = number;
        (self.head, self.begins) = (self.place(number), number * self.step);
    }

    /// The bucket of a time; `None` if it is too long ago.
    pub fn at(&mut self, at: Stamp) -> Option<&mut T> {
        if self.newest != 0 && (0..self.step).contains(&(at.micros() - self.begins)) {
            return self.buckets.get_mut(self.head);
        }
        self.advance(at);
        let number = self.number(at);
        if number <= self.newest - self.buckets.len() as i64 {
            return None;
        }
        let place = self.place(number);
        Some(&mut self.buckets[place])
    }

    /// When the bucket of a time begins.
    pub fn begin(&self, at: Stamp) -> Stamp {
        Stamp::from_micros(self.number(at) * self.step)
    }

    /// The last `n` buckets up to and without the one of `now`, oldest first; what was never filled is the default.
    pub fn last(&self, n: usize, now: Stamp) -> impl Iterator<Item = T> + '_ {
        self.span(n, self.number(now) - 1)
    }

    /// The last `n` buckets including the one of `now`, which is not full yet.
    pub fn last_with_open(&self, n: usize, now: Stamp) -> impl Iterator<Item = T> + '_ {
        self.span(n, self.number(now))
    }

    /// The buckets that begin within a stretch of time, else the one it lies in; oldest first. So the same stretch is
    /// always made of the same buckets, wherever it stands on a chart.
    pub fn between(&self, begin: Stamp, end: Stamp) -> impl Iterator<Item = T> + '_ {
        let after = |at: Stamp| -(-at.micros()).div_euclid(self.step);
        let (from, to) = (after(begin), after(end));
        if from < to { self.span((to - from) as usize, to - 1) } else { self.span(1, self.number(begin)) }
    }

    fn span(&self, n: usize, end: i64) -> impl Iterator<Item = T> + '_ {
        let oldest = self.newest - self.buckets.len() as i64;
        (end - n as i64 + 1..=end).map(move |number| {
            if number > oldest && number <= self.newest && self.newest != 0 {
                self.buckets[self.place(number)].clone()
            } else {
                T::default()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sec(s: i64) -> Stamp {
        Stamp::from_micros(1_000_000_000_000 + s * 1_000_000)
    }

    #[test]
    fn a_stretch_is_made_of_the_buckets_that_begin_in_it() {
        let mut ring: Ring<u32> = Ring::new(10, 8);
        for n in 0..6 {
            *ring.at(sec(n * 10)).expect("new") = n as u32;
        }
        let between = |a, b| ring.between(sec(a), sec(b)).collect::<Vec<_>>();
        assert_eq!(between(10, 30), [1, 2]);
        assert_eq!(between(11, 31), [2, 3]);
        assert_eq!(between(12, 14), [1], "shorter than a bucket");
        assert_eq!(between(55, 75), [0, 0], "nothing yet");
    }

    #[test]
    fn a_pause_leaves_empty_buckets_and_old_ones_are_overwritten() {
        let mut ring: Ring<u32> = Ring::new(1, 4);
        *ring.at(sec(0)).expect("new") = 1;
        *ring.at(sec(1)).expect("new") = 2;
        *ring.at(sec(3)).expect("new") = 4;
        assert_eq!(ring.last(4, sec(4)).collect::<Vec<_>>(), [1, 2, 0, 4]);
        assert_eq!(ring.last_with_open(2, sec(3)).collect::<Vec<_>>(), [0, 4]);
        *ring.at(sec(5)).expect("new") = 6;
        assert_eq!(ring.last(6, sec(6)).collect::<Vec<_>>(), [0, 0, 0, 4, 0, 6]);
        assert!(ring.at(sec(1)).is_none(), "too late");
        assert_eq!(ring.at(sec(3)).copied(), Some(4), "late, but still there");
        ring.advance(sec(1000));
        assert_eq!(ring.last(4, sec(1001)).collect::<Vec<_>>(), [0, 0, 0, 0]);
    }
}
