//! One worker: what it announced, and whether it is alive.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Stamp;

pub use super::inspected::{Held, Inspected, KEPT, Pool, Registered, Stats};
use super::missed::Tally;
use super::series::Ring;
use super::tasks::Slot;

/// How long an answer to `inspect` counts as a sign of life.
const ANSWERED: Duration = Duration::from_secs(30);

/// One worker, known by its node name.
#[derive(Clone)]
pub struct Worker {
    pub pid: Option<i64>,
    pub clock: i64,
    /// Seconds between heartbeats; 60 until it says otherwise.
    pub freq: f64,
    pub active: Option<i64>,
    /// When a heartbeat told that.
    pub(super) active_at: Option<Stamp>,
    pub processed: Option<i64>,
    pub loadavg: Option<[f64; 3]>,
    /// Seconds that its clock was ahead of ours at its last heartbeat; what it took to come counts as behind.
    pub ahead: Option<f64>,
    /// Heartbeats that told of new tasks since it last sent an event of a task.
    pub(super) untold: u8,
    pub sw_ident: Option<String>,
    pub sw_ver: Option<String>,
    pub sw_sys: Option<String>,
    /// The last heartbeats, at most four, ascending.
    beats: Vec<Stamp>,
    /// When it was first heard of.
    pub first_seen: Stamp,
    /// When it was last heard of in any way.
    pub last_seen: Stamp,
    /// It said goodbye.
    pub said_offline: bool,
    /// Until when its silence says nothing.
    pub(super) excused: Option<Stamp>,
    pub inspected: Inspected,
    /// Tasks it announced to have received or started, and not to have ended.
    pub unfinished: u32,
    /// Those, and some that have ended since.
    pub(super) in_hand: Vec<Slot>,
    /// It took something in hand since that was last looked at.
    pub(super) unsettled: bool,
    /// Some of its tasks are lost because it is away.
    pub(super) absent: bool,
    /// The process that went by its name before.
    pub(super) pid_before: Option<i64>,
    /// Two processes go by its name at once.
    pub(super) twins: bool,
    /// Its own count of tasks against ours.
    pub(super) tally: Tally,
    /// Tasks that are lost with it, or with an earlier process of its name.
    pub lost: u32,
    pub succeeded: u64,
    pub failed: u64,
    /// Finished tasks by ten seconds.
    pub done: Ring<u32>,
    /// How many tasks ran at once, by ten seconds.
    pub busy: Ring<Busy>,
}

impl Worker {
    pub(super) fn new(now: Stamp) -> Self {
        Self {
            pid: None,
            clock: 0,
            freq: 60.0,
            active: None,
            active_at: None,
            processed: None,
            loadavg: None,
            ahead: None,
            untold: 0,
            sw_ident: None,
            sw_ver: None,
            sw_sys: None,
            beats: Vec::new(),
            first_seen: now,
            last_seen: now,
            said_offline: false,
            excused: None,
            inspected: Inspected::default(),
            unfinished: 0,
            in_hand: Vec::new(),
            unsettled: false,
            absent: false,
            pid_before: None,
            twins: false,
            tally: Tally::default(),
            lost: 0,
            succeeded: 0,
            failed: 0,
            done: Ring::new(10, 91),
            busy: Ring::new(10, 361),
        }
    }

    /// Celery's rule: at most four are kept, the smallest goes first (`protocol/README.md`, 2.4 H).
    pub(super) fn beat(&mut self, at: Stamp) {
        self.is_heard();
        if self.beats.len() >= 4 {
            self.beats.remove(0);
        }
        let place = self.beats.partition_point(|b| *b <= at);
        self.beats.insert(place, at);
    }

    pub(super) fn clear_beats(&mut self) {
        self.beats.clear();
    }

    /// The last heartbeats, ascending.
    pub fn heartbeats(&self) -> &[Stamp] {
        &self.beats
    }

    /// The latest heartbeat.
    pub fn heartbeat(&self) -> Option<Stamp> {
        self.beats.last().copied()
    }

    /// Until when the last heartbeat counts: two of its intervals.
    pub fn expires(&self) -> Option<Stamp> {
        self.heartbeat().and_then(|last| Stamp::from_secs(last.secs() + self.freq * 2.0))
    }

    /// Whether its heart still beats. Where no heartbeats come but those it was asked for, an answer to `inspect` is a
    /// sign of life too.
    pub fn is_online(&self, now: Stamp) -> bool {
        if self.is_excused(now) || self.expires().is_some_and(|until| now < until) {
            return true;
        }
        // Only its own heartbeats tell a load (Celery 5.7.0, `worker/heartbeat.py`).
        let beats = self.loadavg.is_some() && self.heartbeat().is_some();
        !self.said_offline && !beats && self.inspected.at.is_some_and(|at| now.since(at) < ANSWERED)
    }

    /// Whether its own heartbeats have stopped, as far as we have listened. A solo pool beats only between its tasks.
    pub(super) fn fell_silent(&self, now: Stamp, listening: Stamp, patience: Duration) -> bool {
        let solo = self.inspected.stats.as_ref().is_some_and(|stats| stats.pool.kind.contains("solo"));
        let beats = self.loadavg.is_some() && !solo;
        let patience = patience.as_secs_f64().max(self.freq * 4.0);
        beats && !self.is_online(now) && now.since(self.last_seen.max(listening)).as_secs_f64() >= patience
    }

    /// Tasks running, if it told that lately.
    pub fn running_lately(&self, now: Stamp) -> Option<u64> {
        let beats = self.expires().is_some_and(|until| now < until);
        let told = self.inspected.answered("active").is_some_and(|at| now.since(at) < ANSWERED);
        let beaten = self.active.filter(|_| beats).and_then(|n| u64::try_from(n).ok());
        beaten.or_else(|| self.inspected.total("active").filter(|_| told).map(|n| n as u64))
    }

    /// Tasks running: the newer of heartbeat and inspect.
    pub fn running(&self) -> Option<u64> {
        let listed = self.inspected.total("active").map(|n| n as u64);
        let beat = self.active.and_then(|n| u64::try_from(n).ok());
        if self.inspected.answered("active") > self.active_at { listed.or(beat) } else { beat.or(listed) }
    }

    /// Whether it runs tasks and says nothing of them: its task events are off. A few heartbeats make it certain, since
    /// events may come a little after the heartbeat that counts their task.
    pub fn is_mute(&self) -> bool {
        self.untold >= 3
    }

    /// Places in its pool, where it told.
    pub fn pool_size(&self) -> Option<u64> {
        self.inspected.stats.as_ref().and_then(|s| s.pool.size())
    }

    /// Notes how many tasks ran at a time, as a heartbeat or an answer of that time told. An answer of the present says
    /// nothing of a heartbeat that is only now being caught up with.
    pub(super) fn note_busy(&mut self, running: Option<u64>, at: Stamp) {
        let Some(running) = running else { return };
        if let Some(slot) = self.busy.at(at) {
            slot.sum = slot.sum.saturating_add(u32::try_from(running).unwrap_or(u32::MAX));
            slot.told = slot.told.saturating_add(1);
        }
    }

    /// Share of the pool that was busy in each stretch of time, on the average. Without the pool's size the most that
    /// ran at once stands in for it.
    pub fn shares(&self, stretches: impl Iterator<Item = (Stamp, Stamp)>) -> Vec<Option<f64>> {
        let mean = |begin, end| {
            let told: Vec<f64> = self.busy.between(begin, end).filter_map(Busy::mean).collect();
            (!told.is_empty()).then(|| told.iter().sum::<f64>() / told.len() as f64)
        };
        // Nothing is known yet of the newest ten seconds when they have just begun: what was before them still holds.
        let running: Vec<Option<f64>> =
            stretches.map(|(begin, end)| mean(begin, end).or_else(|| mean(begin, begin))).collect();
        let most = running.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
        let size = self.pool_size().map_or(most, |size| size as f64).max(1.0);
        running.into_iter().map(|running| running.map(|r| (r / size).min(1.0))).collect()
    }

    /// Whether it is there, and if not, how it left.
    pub fn presence(&self, now: Stamp) -> Presence {
        if self.is_online(now) {
            Presence::Online
        } else if self.said_offline || !self.held_something() {
            Presence::Ended
        } else {
            Presence::Gone
        }
    }

    /// Whether it had work in hand when it was last heard of. Where it never told, it may have had.
    fn held_something(&self) -> bool {
        if self.unfinished > 0 {
            return true;
        }
        let listed = ["reserved", "scheduled"].map(|m| self.inspected.total(m));
        match self.running() {
            Some(0) => listed.into_iter().flatten().any(|n| n > 0),
            Some(_) => true,
            None => true,
        }
    }

    /// It is there and takes nothing new: it said that it consumes no queue.
    pub fn is_draining(&self, now: Stamp) -> bool {
        self.is_online(now) && self.inspected.queues.as_ref().is_some_and(Vec::is_empty)
    }

    /// It was asked for a method by name, and gave no answer in time.
    pub(super) fn was_silent(&mut self, method: &'static str, at: Stamp) {
        self.inspected.miss(method, at);
    }

    /// Takes in an answer to an inspect method. Says what is not as it was the last time, of what changes with a new
    /// version of the application only.
    pub(super) fn inspected(&mut self, method: &'static str, value: &Value, at: Stamp) -> Option<String> {
        if value.get("error").is_some() {
            return None;
        }
        let before = match method {
            "registered" | "conf" => Some((self.inspected.registered.clone(), self.inspected.conf.clone())),
            _ => None,
        };
        self.inspected.take(method, value, self.pid, at);
        let changed = before.and_then(|(registered, conf)| self.changed(method, registered, conf.as_ref()));
        if method == "stats" {
            self.pid = value["pid"].as_i64().or(self.pid);
        }
        if method == "active" {
            self.note_busy(self.inspected.total(method).map(|n| n as u64), at);
        }
        changed
    }

    fn changed(&self, method: &str, registered: Option<Vec<Registered>>, conf: Option<&Value>) -> Option<String> {
        if method == "conf" {
            return (conf.is_some() && conf != self.inspected.conf.as_ref())
                .then(|| "its configuration changed".into());
        }
        let names = |list: &[Registered]| list.iter().map(|task| task.name.clone()).collect::<BTreeSet<String>>();
        let (before, now) = (names(&registered?), names(self.inspected.registered.as_deref()?));
        let more = crate::human::plural(now.difference(&before).count(), "task");
        let fewer = crate::human::plural(before.difference(&now).count(), "task");
        match (before.is_subset(&now), now.is_subset(&before)) {
            (true, true) => None,
            (true, false) => Some(format!("registers {more} more")),
            (false, true) => Some(format!("registers {fewer} fewer")),
            (false, false) => Some(format!("registers {more} more and {fewer} fewer")),
        }
    }
}

/// How many tasks a worker ran at once, as it told in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    sum: u32,
    /// How often it told.
    told: u16,
}

impl Busy {
    /// The mean of what was told, if something was.
    fn mean(self) -> Option<f64> {
        (self.told > 0).then(|| f64::from(self.sum) / f64::from(self.told))
    }
}

/// Whether a worker is there, and if not, how it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    Online,
    /// It fell silent with work in hand.
    Gone,
    /// It said goodbye, or held nothing when it fell silent.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_heartbeats_are_kept_in_order_and_the_smallest_goes() {
        let mut worker = Worker::new(Stamp::EPOCH);
        for n in [5, 3, 9, 7, 1] {
            worker.beat(Stamp::from_micros(n));
        }
        let beats: Vec<i64> = worker.heartbeats().iter().map(|b| b.micros()).collect();
        assert_eq!(beats, [1, 5, 7, 9]);
    }

    #[test]
    fn a_worker_is_online_for_two_intervals() {
        let mut worker = Worker::new(Stamp::EPOCH);
        worker.freq = 2.0;
        worker.beat(Stamp::from_micros(10_000_000));
        assert!(worker.is_online(Stamp::from_micros(13_999_999)));
        assert!(!worker.is_online(Stamp::from_micros(14_000_000)));
    }

    #[test]
    fn an_answer_of_the_present_does_not_change_the_past() {
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let mut worker = Worker::new(at(10));
        worker.inspected("active", &serde_json::json!([]), at(100));
        worker.note_busy(Some(5), at(50));
        let noted: Vec<Option<f64>> = worker.busy.last_with_open(6, at(100)).map(Busy::mean).collect();
        assert_eq!(noted, [Some(5.0), None, None, None, None, Some(0.0)]);
    }

    #[test]
    fn the_share_of_a_busy_pool_is_the_mean_of_what_was_told() {
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let mut worker = Worker::new(at(10));
        worker.inspected("stats", &serde_json::json!({"pool": {"max-concurrency": 8}}), at(10));
        for (secs, running) in [(20, 8), (22, 0), (31, 4), (33, 4)] {
            worker.note_busy(Some(running), at(secs));
        }
        let shares = worker.shares([(at(20), at(30)), (at(30), at(40)), (at(20), at(40))].into_iter());
        assert_eq!(shares, [Some(0.5), Some(0.5), Some(0.5)]);
        worker.note_busy(Some(8), at(25));
        worker.note_busy(Some(8), at(27));
        assert_eq!(worker.shares(std::iter::once((at(20), at(30)))), [Some(0.75)]);
    }

    #[test]
    fn an_answer_is_a_sign_of_life_only_where_no_heartbeats_come() {
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let mut worker = Worker::new(at(10));
        worker.inspected("active", &serde_json::json!([]), at(10));
        assert!(worker.is_online(at(39)) && !worker.is_online(at(40)));
        assert_eq!((worker.running_lately(at(39)), worker.running_lately(at(40))), (Some(0), None));
        worker.freq = 2.0;
        worker.loadavg = Some([0.0; 3]);
        worker.beat(at(11));
        assert!(worker.is_online(at(14)) && !worker.is_online(at(15)));
    }

    #[test]
    fn a_long_list_is_counted_and_its_beginning_kept() {
        let mut worker = Worker::new(Stamp::EPOCH);
        let ids: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
        worker.inspected("revoked", &serde_json::json!(ids), Stamp::from_micros(5));
        assert_eq!(worker.inspected.total("revoked"), Some(50_000));
        assert_eq!(worker.inspected.revoked.as_ref().map(Vec::len), Some(KEPT));
        assert_eq!(worker.inspected.silent("revoked"), None);
        worker.was_silent("revoked", Stamp::from_micros(9));
        assert_eq!(worker.inspected.silent("revoked"), Some(Stamp::from_micros(9)));
    }

    #[test]
    fn what_a_new_version_of_the_application_changes_is_told_once() {
        let mut worker = Worker::new(Stamp::EPOCH);
        let mut tell = |method, value| worker.inspected(method, &value, Stamp::EPOCH);
        assert_eq!(tell("registered", serde_json::json!(["a", "b"])), None, "there was nothing to compare with");
        assert_eq!(tell("registered", serde_json::json!(["b", "a"])), None);
        let told = tell("registered", serde_json::json!(["a", "c", "d"]));
        assert_eq!(told.as_deref(), Some("registers 2 tasks more and 1 task fewer"));
        assert_eq!(tell("conf", serde_json::json!({"x": 1})), None);
        assert_eq!(tell("conf", serde_json::json!({"x": 2})).as_deref(), Some("its configuration changed"));
        assert_eq!(tell("conf", serde_json::json!({"x": 2})), None);
    }

    #[test]
    fn cpu_is_the_difference_of_two_answers_of_the_same_process() {
        let stats = |pid: i64, secs: f64| serde_json::json!({"pid": pid, "rusage": {"utime": secs, "stime": 0.0}});
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let mut worker = Worker::new(at(1));
        let share = |worker: &Worker| worker.inspected.stats.as_ref().and_then(|s| s.cpu_share);
        worker.inspected("stats", &stats(1, 100.0), at(10));
        assert_eq!(share(&worker), None);
        worker.inspected("stats", &stats(1, 105.0), at(20));
        assert_eq!(share(&worker), Some(0.5));
        worker.inspected("stats", &stats(2, 1.0), at(30));
        assert_eq!(share(&worker), None, "another process has its own clock");
    }

    #[test]
    fn who_fell_silent_with_work_in_hand_is_gone_and_others_ended() {
        let late = Stamp::from_micros(3_600_000_000);
        let mut worker = Worker::new(Stamp::EPOCH);
        worker.active = Some(1);
        assert_eq!(worker.presence(late), Presence::Gone);
        worker.active = Some(0);
        assert_eq!(worker.presence(late), Presence::Ended);
        worker.inspected("reserved", &serde_json::json!([{"id": "x", "name": "t"}]), Stamp::EPOCH);
        assert_eq!(worker.presence(late), Presence::Gone);
        worker.said_offline = true;
        assert_eq!(worker.presence(late), Presence::Ended);
    }
}
