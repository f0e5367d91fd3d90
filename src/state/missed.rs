//! Events that were missed, as the workers' own counts tell. A heartbeat says how many tasks its worker has accepted; each
//! of them announces its start, where task events are on. What is short of that for longer than one heartbeat was missed:
//! sent into a broken link, or dropped on the way.

use crate::clock::Stamp;

use super::model::Model;
use super::worker::Worker;

/// One worker's count against ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// What it had accepted when counting began.
    base: Option<i64>,
    /// Starts we have seen since then, and those that are given up.
    seen: i64,
    /// How many were short at the heartbeat before: their events may have been on the way.
    short: i64,
    missed: u64,
    /// When that last grew.
    last: Option<Stamp>,
    /// A task event came since the last heartbeat.
    spoke: bool,
}

impl Tally {
    /// A task's start was announced.
    pub fn started(&mut self) {
        self.seen += 1;
    }

    /// It sent an event of a task.
    pub fn spoke(&mut self) {
        self.spoke = true;
    }

    /// A heartbeat came that tells how many tasks were accepted. `mute` is a worker that sends no task events.
    pub fn beat(&mut self, processed: i64, mute: bool, at: Stamp) {
        let Some(base) = self.base.filter(|base| !mute && processed >= *base) else {
            // It is another process, or tells us nothing: counting begins anew.
            *self = Self { base: Some(processed), missed: self.missed, last: self.last, ..Self::default() };
            return;
        };
        let mut short = processed - base - self.seen;
        if short < 0 {
            // What was accepted before counting began announced itself after.
            self.seen += short;
            short = 0;
        }
        let gone = self.short.min(short);
        if gone > 0 && std::mem::take(&mut self.spoke) {
            self.missed += gone.unsigned_abs();
            self.seen += gone;
            short -= gone;
            self.last = Some(at);
        }
        self.short = short;
    }
}

impl Worker {
    /// Tasks whose events were missed, by its own count; `None` where it does not count, or sends no task events.
    pub fn missed(&self) -> Option<u64> {
        (self.tally.base.is_some() && !self.is_mute()).then_some(self.tally.missed)
    }

    /// When an event of it was last missed, by its own count.
    pub fn last_missed(&self) -> Option<Stamp> {
        self.tally.last
    }
}

impl Model {
    /// Tasks whose events were missed, by the workers' own counts.
    pub fn missed_by_count(&self) -> u64 {
        self.workers.values().map(|worker| worker.tally.missed).sum()
    }

    /// Whether events were missed since then, dropped here or by the workers' own counts: figures of that time are too low.
    pub fn missed_since(&self, since: Stamp) -> bool {
        let missed = self.workers.values().filter_map(|worker| worker.tally.last).chain(self.last_missed);
        missed.max().is_some_and(|last| last >= since)
    }

    /// Whether workers ran tasks since we listen, by what they run or by their own count, and none of them told of a start:
    /// their task events are off.
    pub fn ran_unannounced(&self) -> bool {
        let Some(begun) = self.outages.begun() else { return false };
        let began = |worker: &Worker| {
            let mut running = worker.inspected.active.iter().flatten();
            running.any(|task| task.started.is_some_and(|at| at > begun))
        };
        let mut workers = self.workers.values();
        workers.clone().any(|worker| worker.untold > 0 || began(worker)) && !workers.any(|w| w.tally.seen > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::pidbox::Reply;
    use crate::state::{Limits, Store, Update};

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros(secs * 1_000_000)
    }

    /// Heartbeats: what each tells, and how many starts were seen before it.
    fn missed(beats: &[(i64, i64)]) -> u64 {
        let mut tally = Tally::default();
        for (n, (processed, seen)) in beats.iter().enumerate() {
            for _ in 0..*seen {
                tally.started();
                tally.spoke();
            }
            tally.beat(*processed, false, at(n as i64));
        }
        tally.missed
    }

    #[test]
    fn what_was_accepted_and_never_announced_was_missed() {
        assert_eq!(missed(&[(100, 0), (110, 10), (120, 10), (130, 10)]), 0);
        assert_eq!(missed(&[(100, 0), (110, 7), (120, 10), (130, 10)]), 3);
        assert_eq!(missed(&[(100, 0), (110, 7), (120, 7), (130, 7), (140, 10)]), 9);
    }

    #[test]
    fn an_event_may_come_one_heartbeat_late() {
        assert_eq!(missed(&[(100, 0), (110, 7), (120, 13), (130, 10)]), 0);
        assert_eq!(missed(&[(100, 0), (110, 12), (120, 10), (130, 10)]), 0, "two are of the time before");
    }

    #[test]
    fn a_restart_and_a_time_without_task_events_are_no_misses() {
        assert_eq!(missed(&[(100, 0), (110, 10), (3, 3), (9, 6), (12, 3)]), 0);
        let mut tally = Tally::default();
        tally.beat(100, false, at(0));
        for (n, processed) in [(1, 110), (2, 120), (3, 130), (4, 140)] {
            tally.beat(processed, n >= 3, at(n));
        }
        tally.started();
        tally.spoke();
        tally.beat(141, false, at(5));
        tally.beat(141, false, at(6));
        assert_eq!((tally.missed, tally.last), (0, None));
    }

    #[test]
    fn only_a_task_that_began_while_we_listened_shows_that_events_are_off() {
        let store = Store::new(Limits::default());
        let runs = |started: f64| {
            let value = serde_json::json!([{"id": "x", "name": "t", "time_start": started}]);
            store.apply(&[Update::Inspected(at(12), "active", vec![Reply { worker: "w@h".into(), value }])]);
            store.read(Model::ran_unannounced)
        };
        assert!(!runs(11.0), "nobody listened");
        store.apply(&[Update::Link(at(10), true)]);
        assert!(!runs(9.0) && runs(11.0));
    }
}
