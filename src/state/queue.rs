//! One queue: how much waits in it, and how that changes.

pub use crate::celery::queue::Depth;
use crate::clock::Stamp;

use super::intern::Sym;
use super::series::Ring;

/// Messages that went in and out in a stretch of time.
#[derive(Clone, Copy, Default)]
pub struct Flow {
    pub into: u32,
    pub out: u32,
}

/// Somebody who sends into a queue.
#[derive(Clone)]
pub struct Producer {
    pub client: Sym,
    /// Tasks sent, by the minute.
    pub sent: Ring<u32>,
    pub last: Stamp,
}

/// Producers told apart in a queue; each process that sends is one.
const PRODUCERS: usize = 64;
/// Minutes over which is counted what they send.
pub const PRODUCED: usize = 15;

/// A queue as the model knows it.
#[derive(Clone)]
pub struct Queue {
    pub depth: Depth,
    /// When the broker was last asked.
    pub at: Option<Stamp>,
    /// Depth plus one by ten seconds; 0 is unknown.
    pub history: Ring<u32>,
    /// By ten seconds, from `task-sent` and `task-received`.
    pub flow: Ring<Flow>,
    /// Since when something has been waiting.
    pub waiting_since: Option<Stamp>,
    /// Whether any `task-sent` named it: without them nothing is known of what comes in.
    pub flow_known: bool,
    producers: Vec<Producer>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            depth: Depth::default(),
            at: None,
            history: Ring::new(10, 361),
            flow: Ring::new(10, 91),
            waiting_since: None,
            flow_known: false,
            producers: Vec::new(),
        }
    }

    /// Counts a task that a client announced.
    pub(super) fn sent_by(&mut self, client: Option<Sym>, at: Stamp) {
        let Some(client) = client else { return };
        let place = match self.producers.iter().position(|p| p.client == client) {
            Some(place) => place,
            None => {
                if self.producers.len() >= PRODUCERS {
                    // The one that has been silent for longest is forgotten.
                    let silent = self.producers.iter().enumerate().min_by_key(|(_, p)| p.last).map_or(0, |(i, _)| i);
                    self.producers.swap_remove(silent);
                }
                self.producers.push(Producer { client, sent: Ring::new(60, PRODUCED + 1), last: at });
                self.producers.len() - 1
            }
        };
        if let Some(producer) = self.producers.get_mut(place) {
            producer.last = producer.last.max(at);
            if let Some(sent) = producer.sent.at(at) {
                *sent += 1;
            }
        }
    }

    /// Who sent into it lately, in no particular order.
    pub fn producers(&self) -> impl Iterator<Item = &Producer> {
        self.producers.iter()
    }

    pub(super) fn set(&mut self, depth: Depth, at: Stamp) {
        self.waiting_since = match (depth.ready, self.waiting_since) {
            (0, _) => None,
            (_, since) => since.or(Some(at)),
        };
        if let Some(slot) = self.history.at(at) {
            *slot = u32::try_from(depth.ready).unwrap_or(u32::MAX - 1) + 1;
        }
        self.depth = depth;
        self.at = Some(at);
    }

    /// Change of its depth by the second over the last five minutes, from its own history.
    pub fn slope(&self, now: Stamp) -> Option<f64> {
        self.change(now).map(|(slope, _)| slope)
    }

    /// The same, and over how many seconds it was measured.
    pub fn change(&self, now: Stamp) -> Option<(f64, u64)> {
        self.change_over(30, now)
    }

    /// Whether it became longer or shorter within the last minute; zero where that is not known.
    fn turn(&self, now: Stamp) -> f64 {
        self.change_over(7, now).map_or(0.0, |(slope, _)| slope)
    }

    /// Over so many steps of ten seconds.
    fn change_over(&self, steps: usize, now: Stamp) -> Option<(f64, u64)> {
        let known: Vec<(usize, f64)> = self
            .history
            .last(steps, now)
            .enumerate()
            .filter(|&(_, depth)| depth > 0)
            .map(|(i, depth)| (i, f64::from(depth - 1)))
            .collect();
        let (first, last) = (known.first()?, known.last()?);
        let secs = (last.0 - first.0) as u64 * 10;
        (secs > 0).then(|| ((last.1 - first.1) / secs as f64, secs))
    }

    /// Ten or more in five minutes, and none fewer by the last one.
    pub fn grows(&self, now: Stamp) -> bool {
        self.depth.ready > 0 && self.slope(now).is_some_and(|slope| slope * 300.0 > 10.0) && self.turn(now) >= 0.0
    }

    /// Seconds until it is empty if all goes on as it does; `None` if it doesn't shrink, or no longer.
    pub fn drains_in(&self, now: Stamp) -> Option<f64> {
        if self.depth.ready == 0 {
            return Some(0.0);
        }
        let slope = self.slope(now)?;
        (slope < -0.001 && self.turn(now) <= 0.0).then(|| self.depth.ready as f64 / -slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_has_turned_neither_grows_nor_says_when_it_is_empty() {
        let mut queue = Queue::new();
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        for n in 0..30u64 {
            let ready = if n < 22 { 100 + n * 20 } else { 540 - (n - 22) * 15 };
            queue.set(Depth { ready, ..Depth::default() }, at(n as i64 * 10));
        }
        assert!(queue.slope(at(300)).is_some_and(|slope| slope > 0.0));
        assert_eq!((queue.grows(at(300)), queue.drains_in(at(300))), (false, None));
    }

    #[test]
    fn a_queue_that_shrinks_is_said_to_drain() {
        let mut queue = Queue::new();
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        for n in 0..10 {
            queue.set(Depth { ready: 1000 - n * 100, ..Depth::default() }, at(n as i64 * 10));
        }
        assert_eq!(queue.slope(at(100)), Some(-10.0));
        assert_eq!(queue.drains_in(at(100)), Some(10.0));
        assert_eq!(queue.waiting_since, Some(at(0)));
        queue.set(Depth::default(), at(110));
        assert_eq!((queue.waiting_since, queue.drains_in(at(111))), (None, Some(0.0)));
    }
}
