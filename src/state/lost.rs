//! Tasks that went away with their worker: received or started there, and the worker is gone or began anew. Celery's own
//! states know nothing of it, so it stands beside them, until an event of the task, the result backend, or the worker
//! itself says otherwise.
//!
//! Found out worker by worker: of one that is found gone only the tasks it had in hand are walked.

use std::collections::HashMap;
use std::time::Duration;

use crate::celery::TaskId;
use crate::celery::event::{WorkerEvent, WorkerEventKind};
use crate::clock::Stamp;

use super::intern::Sym;
use super::model::Model;
use super::task::{State, Task, flag};
use super::tasks::Slot;
use super::worker::Worker;

/// The state's name on screen and in filters.
pub const LOST: &str = "LOST";
/// How long a worker has to be silent at least: a busy host misses a heartbeat or two.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tasks in hand that are listed before ended ones are dropped from the list.
const SLACK: usize = 64;

/// How a worker left its tasks behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It said goodbye.
    Offline,
    /// Its heartbeats stopped with work in hand.
    Silent,
    /// Another process goes by its name.
    Restarted,
}

/// Whether a lost task's message comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nobody could tell so far.
    Unknown,
    /// The broker holds it as not acknowledged, and gives it out again then, where that is known.
    Held(Option<Stamp>),
    /// The broker does not hold it as unacknowledged: it was acknowledged, or lies in its queue again.
    NotHeld,
}

impl Again {
    /// When it comes back, where that is known.
    pub fn at(self) -> Option<Stamp> {
        match self {
            Again::Held(at) => at,
            Again::Unknown | Again::NotHeld => None,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    worker: Sym,
    pub why: Why,
    /// When that was found out.
    pub at: Stamp,
    pub again: Again,
}

impl Task<'_> {
    /// How it was lost with its worker, if it was.
    pub fn lost(&self) -> Option<Lost> {
        if self.hot.flags & flag::LOST == 0 {
            return None;
        }
        self.model.lost.get(&self.cold.id).copied()
    }

    /// Why it counts as lost, in words.
    pub fn lost_reason(&self) -> Option<String> {
        let lost = self.lost()?;
        let worker = self.model.names.name(lost.worker);
        Some(match lost.why {
            Why::Offline => format!("{worker} went offline"),
            Why::Silent => format!("{worker} fell silent"),
            Why::Restarted => format!("{worker} restarted"),
        })
    }

    /// The state a person is shown: Celery's, or that it is lost.
    pub fn shown_state(&self) -> &str {
        if self.hot.flags & flag::LOST != 0 { LOST } else { self.state_name() }
    }
}

/// What was known of a worker before its event came.
pub(super) struct Before {
    pid: Option<i64>,
    processed: Option<i64>,
    beat: Option<Stamp>,
}

impl Before {
    pub fn of(worker: &Worker) -> Self {
        Self { pid: worker.pid, processed: worker.processed, beat: worker.active_at }
    }
}

impl Model {
    /// How many tasks are lost.
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// Lost tasks of which nobody knows yet whether they come back.
    pub fn lost_untold(&self) -> bool {
        self.lost.values().any(|lost| lost.again == Again::Unknown)
    }

    /// A worker takes a task in hand.
    pub(super) fn take_in_hand(&mut self, name: Sym, slot: Slot) {
        let Some(worker) = self.workers.get_mut(&name) else { return };
        worker.unfinished += 1;
        worker.unsettled = true;
        worker.in_hand.push(slot);
        if worker.in_hand.len() > 2 * worker.unfinished as usize + SLACK {
            let mut open = std::mem::take(&mut worker.in_hand);
            open.sort_unstable();
            open.dedup();
            open.retain(|&slot| self.holder(slot as usize) == Some(name));
            if let Some(worker) = self.workers.get_mut(&name) {
                worker.in_hand = open;
            }
        }
    }

    /// Draws what follows from an event of a worker.
    pub(super) fn heard_of(&mut self, name: Sym, before: &Before, event: &WorkerEvent) {
        let Some(worker) = self.workers.get_mut(&name) else { return };
        let changed = before.pid.zip(worker.pid).is_some_and(|(before, now)| before != now);
        let fell = before.processed.zip(worker.processed).is_some_and(|(before, now)| now < before);
        // Two that go by one name take turns: neither has restarted.
        worker.twins |= changed && worker.pid == worker.pid_before;
        if changed {
            worker.pid_before = before.pid;
        }
        let (pid, twins, absent) = (worker.pid, worker.twins, worker.absent);
        if event.kind == WorkerEventKind::Offline {
            return self.lose(name, Why::Offline, event.received, |_| true);
        }
        if twins {
            if changed {
                self.find_again(name, |_| true);
            }
            return;
        }
        if changed || fell {
            let began = event.kind == WorkerEventKind::Online;
            let last = before.beat;
            self.lose(name, Why::Restarted, event.received, |task| match changed {
                true => task.pid().map(i64::from) != pid,
                // Where every process has the same number, what came since the last heartbeat may be the new one's.
                false => began || task.stamp() <= last,
            });
        } else if absent {
            self.find_again(name, |why| why != Why::Restarted);
        }
    }

    /// A second has passed: who is silent now?
    pub(super) fn notice_silence(&mut self, now: Stamp) {
        let Some(heard) = self.outages.listening_since() else { return };
        let busy = self.workers.iter().filter(|(_, worker)| worker.unsettled && worker.unfinished > 0);
        let gone: Vec<(Sym, Why)> = busy
            .filter_map(|(&name, worker)| match worker.said_offline {
                true => Some((name, Why::Offline)),
                false => worker.fell_silent(now, heard, PATIENCE).then_some((name, Why::Silent)),
            })
            .collect();
        if gone.is_empty() {
            return;
        }
        // Where everybody is silent, it is more likely that we hear nothing.
        let several = self.workers.values().filter(|worker| !worker.said_offline).count() > 1;
        let deaf = several && !self.workers.values().any(|worker| worker.is_online(now));
        for (name, why) in gone.into_iter().filter(|(_, why)| !deaf || *why == Why::Offline) {
            self.lose(name, why, now, |_| true);
        }
    }

    fn lose(&mut self, name: Sym, why: Why, at: Stamp, is_its: impl Fn(&Task<'_>) -> bool) {
        let Some(worker) = self.workers.get_mut(&name) else { return };
        worker.unsettled = false;
        worker.absent |= why != Why::Restarted;
        let open = std::mem::take(&mut worker.in_hand);
        let mut kept = Vec::new();
        for slot in open {
            let i = slot as usize;
            if self.holder(i) != Some(name) {
                continue;
            }
            let known = self.tasks.hot[i].flags & flag::LOST != 0;
            if is_its(&self.at(slot)) {
                let id = self.tasks.cold[i].id.clone();
                self.tasks.hot[i].flags |= flag::LOST;
                self.lost.insert(id, Lost { worker: name, why, at, again: Again::Unknown });
                if !known && let Some(worker) = self.workers.get_mut(&name) {
                    worker.lost += 1;
                }
                self.journal.push(slot);
                // What died with an earlier process is not in this one's hands.
                if why == Why::Restarted {
                    if let Some(worker) = self.workers.get_mut(&name) {
                        worker.unfinished = worker.unfinished.saturating_sub(1);
                    }
                    continue;
                }
            }
            kept.push(slot);
        }
        kept.sort_unstable();
        kept.dedup();
        if let Some(worker) = self.workers.get_mut(&name) {
            worker.in_hand = kept;
        }
    }

    /// The worker is there after all.
    fn find_again(&mut self, name: Sym, which: impl Fn(Why) -> bool) {
        if let Some(worker) = self.workers.get_mut(&name) {
            worker.absent = false;
            worker.unsettled = true;
        }
        let ids: Vec<TaskId> =
            self.lost.iter().filter(|(_, l)| l.worker == name && which(l.why)).map(|(id, _)| id.clone()).collect();
        for slot in ids.iter().filter_map(|id| self.tasks.find(id)).collect::<Vec<_>>() {
            let held = self.holder(slot as usize);
            self.no_longer_lost(slot);
            self.hand_over(slot, held, self.holder(slot as usize));
        }
    }

    /// Something says what became of a task that counted as lost. Whoever calls hands it over.
    pub(super) fn no_longer_lost(&mut self, slot: Slot) {
        let i = slot as usize;
        if self.tasks.hot[i].flags & flag::LOST == 0 {
            return;
        }
        self.tasks.hot[i].flags &= !flag::LOST;
        let lost = self.lost.remove(&self.tasks.cold[i].id);
        if let Some(worker) = lost.and_then(|lost| self.workers.get_mut(&lost.worker)) {
            worker.lost = worker.lost.saturating_sub(1);
        }
        self.journal.push(slot);
    }

    /// These wait in their queues again, in nobody's hands.
    pub(super) fn requeued(&mut self, ids: &[TaskId]) {
        for slot in ids.iter().filter_map(|id| self.tasks.find(id)).collect::<Vec<_>>() {
            let held = self.holder(slot as usize);
            self.no_longer_lost(slot);
            let hot = &mut self.tasks.hot[slot as usize];
            if matches!(hot.state, State::Received | State::Started) {
                hot.state = State::Pending;
            }
            self.hand_over(slot, held, None);
            self.journal.push(slot);
        }
    }

    /// Lost tasks of a queue whose messages the broker still holds.
    pub fn left_behind(&self, queue: &str) -> usize {
        let held = self.lost.iter().filter(|(_, lost)| matches!(lost.again, Again::Held(_)));
        held.filter_map(|(id, _)| self.task(id)).filter(|task| task.queue() == Some(queue)).count()
    }

    /// The result backend knows how a task ended.
    pub(super) fn has_result(&mut self, id: &TaskId) {
        if !self.lost.contains_key(id) {
            return;
        }
        if let Some(slot) = self.tasks.find(id) {
            self.no_longer_lost(slot);
        }
    }

    /// What the broker holds as delivered and not acknowledged, and when each comes back. `whole` is all of it.
    pub(super) fn unacked(&mut self, held: &[(TaskId, Option<Stamp>)], whole: bool) {
        let held: HashMap<&TaskId, Option<Stamp>> = held.iter().map(|(id, at)| (id, *at)).collect();
        for (id, lost) in &mut self.lost {
            match held.get(id) {
                Some(at) => lost.again = Again::Held(*at),
                None if whole => lost.again = Again::NotHeld,
                None => continue,
            }
            if let Some(slot) = self.tasks.find(id) {
                self.journal.push(slot);
            }
        }
    }

    /// The worker that has a task in hand, if one has.
    pub(super) fn holder(&self, i: usize) -> Option<Sym> {
        let hot = &self.tasks.hot[i];
        let held = hot.worker.filter(|_| matches!(hot.state, State::Received | State::Started))?;
        let lost = (hot.flags & flag::LOST != 0).then(|| self.lost.get(&self.tasks.cold[i].id)).flatten();
        lost.is_none_or(|lost| lost.why != Why::Restarted).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::celery::result::{Stored, TaskResult};
    use crate::state::{Limits, Store, Update};

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros(secs * 1_000_000)
    }

    /// Events as they come at a second.
    fn tell(store: &Store, secs: i64, body: &str) {
        let mut batch = Batch::default();
        assert!(batch.push_body(Format::Json, body.as_bytes(), at(secs)).is_ok());
        store.apply(&[Update::Events(Arc::new(batch)), Update::Tick(at(secs))]);
    }

    fn beat(store: &Store, secs: i64, kind: &str, worker: &str, pid: u32, processed: u32) {
        tell(
            store,
            secs,
            &format!(
                r#"[{{"type":"worker-{kind}","hostname":"{worker}","pid":{pid},"freq":2.0,"timestamp":{secs},
                    "loadavg":[0,0,0],"active":1,"processed":{processed},"clock":{secs}}}]"#
            ),
        );
    }

    fn task(store: &Store, secs: i64, kind: &str, id: &str, pid: u32) {
        tell(
            store,
            secs,
            &format!(
                r#"[{{"type":"task-{kind}","uuid":"{id}","hostname":"w@h","pid":{pid},"timestamp":{secs},"name":"t"}}]"#
            ),
        );
    }

    fn why(store: &Store, id: &str) -> Option<Why> {
        store.read(|m| m.task(&TaskId::new(id)).unwrap().lost().map(|lost| lost.why))
    }

    /// A worker with one task received and one started, another that stays, and one that is done.
    fn busy() -> Store {
        let store = Store::new(Limits::default());
        store.apply(&[Update::Link(at(1), true)]);
        beat(&store, 10, "online", "other@h", 9, 0);
        beat(&store, 10, "online", "w@h", 5, 0);
        for (kind, id) in [("received", "a"), ("received", "b"), ("started", "b"), ("succeeded", "c")] {
            task(&store, 11, kind, id, 5);
        }
        store
    }

    #[test]
    fn what_a_worker_had_in_hand_is_lost_when_it_falls_silent_and_found_again_when_it_is_heard() {
        let store = busy();
        for secs in 12..20 {
            beat(&store, secs, "heartbeat", "other@h", 9, 0);
        }
        assert_eq!(why(&store, "b"), None, "a missed heartbeat or two is no death");
        beat(&store, 24, "heartbeat", "other@h", 9, 0);
        assert_eq!(["a", "b", "c"].map(|id| why(&store, id)), [Some(Why::Silent), Some(Why::Silent), None]);
        store.read(|m| {
            let task = m.task(&TaskId::new("b")).unwrap();
            assert_eq!((task.state(), task.shown_state(), task.running(at(30))), (State::Started, LOST, None));
            assert_eq!(task.lost_reason().as_deref(), Some("w@h fell silent"));
            assert_eq!((m.lost(), m.worker("w@h").unwrap().lost), (2, 2));
        });
        beat(&store, 25, "heartbeat", "w@h", 5, 1);
        assert_eq!((why(&store, "b"), store.read(Model::lost)), (None, 0));
        beat(&store, 40, "heartbeat", "other@h", 9, 0);
        assert_eq!(why(&store, "b"), Some(Why::Silent), "and lost again when it falls silent again");
    }

    #[test]
    fn nobody_is_lost_while_we_hear_nothing_of_anybody() {
        let store = busy();
        store.apply(&[Update::Tick(at(60))]);
        assert_eq!(why(&store, "b"), None, "everybody is silent");
        store.apply(&[Update::Link(at(61), false), Update::Tick(at(90)), Update::Link(at(91), true)]);
        beat(&store, 92, "heartbeat", "other@h", 9, 0);
        assert_eq!(why(&store, "b"), None, "our link has stood for a second only");
        beat(&store, 110, "heartbeat", "other@h", 9, 0);
        assert_eq!(why(&store, "b"), Some(Why::Silent));
    }

    #[test]
    fn a_goodbye_with_work_in_hand_loses_it_and_another_event_finds_it() {
        let store = busy();
        beat(&store, 12, "offline", "w@h", 5, 1);
        assert_eq!((why(&store, "a"), why(&store, "b")), (Some(Why::Offline), Some(Why::Offline)));
        tell(&store, 13, r#"[{"type":"task-received","uuid":"a","hostname":"other@h","timestamp":13}]"#);
        assert_eq!((why(&store, "a"), store.read(Model::lost)), (None, 1));
        store.read(|m| assert_eq!(m.worker("other@h").unwrap().unfinished, 1));
    }

    #[test]
    fn a_worker_with_another_pid_has_lost_what_the_first_had_and_not_what_is_its_own() {
        let store = busy();
        task(&store, 12, "received", "new", 6);
        beat(&store, 12, "online", "w@h", 6, 0);
        assert_eq!(["a", "b", "new"].map(|id| why(&store, id)), [Some(Why::Restarted), Some(Why::Restarted), None]);
        beat(&store, 14, "heartbeat", "w@h", 6, 1);
        assert_eq!(why(&store, "a"), Some(Why::Restarted), "its heartbeat says nothing of the earlier process");
        store.read(|m| assert_eq!((m.worker("w@h").unwrap().unfinished, m.worker("w@h").unwrap().lost), (1, 2)));
        task(&store, 15, "succeeded", "a", 6);
        store.read(|m| assert_eq!((m.lost(), m.worker("w@h").unwrap().unfinished), (1, 1)));
    }

    #[test]
    fn in_a_container_every_process_has_one_number_and_the_count_tells_of_the_restart() {
        let store = busy();
        beat(&store, 12, "heartbeat", "w@h", 5, 7);
        beat(&store, 14, "online", "w@h", 5, 0);
        assert_eq!(why(&store, "b"), Some(Why::Restarted));
        let store = busy();
        beat(&store, 12, "heartbeat", "w@h", 5, 7);
        task(&store, 13, "received", "new", 5);
        beat(&store, 14, "heartbeat", "w@h", 5, 1);
        assert_eq!((why(&store, "b"), why(&store, "new")), (Some(Why::Restarted), None));
    }

    #[test]
    fn what_is_put_back_into_its_queue_is_lost_no_more_and_waits_until_it_is_taken() {
        let store = busy();
        beat(&store, 12, "offline", "w@h", 5, 1);
        store.apply(&[Update::Requeued(vec![TaskId::new("a"), TaskId::new("b")])]);
        store.read(|m| {
            let states = ["a", "b"].map(|id| m.task(&TaskId::new(id)).unwrap().shown_state().to_owned());
            assert_eq!((m.lost(), states), (0, ["PENDING".to_owned(), "PENDING".to_owned()]));
            assert_eq!(m.worker("w@h").unwrap().unfinished, 0);
        });
        beat(&store, 30, "heartbeat", "other@h", 9, 0);
        assert_eq!(store.read(Model::lost), 0, "nor is it lost once more");
        tell(&store, 31, r#"[{"type":"task-started","uuid":"b","hostname":"other@h","timestamp":31}]"#);
        store.read(|m| assert_eq!(m.task(&TaskId::new("b")).unwrap().shown_state(), "STARTED"));
    }

    #[test]
    fn two_workers_of_one_name_lose_nothing() {
        let store = busy();
        for secs in 12..20 {
            beat(&store, secs, "heartbeat", "w@h", if secs % 2 == 0 { 6 } else { 5 }, 3);
        }
        assert_eq!((why(&store, "a"), why(&store, "b")), (None, None));
    }

    #[test]
    fn the_broker_tells_what_comes_back_and_the_result_backend_what_has_ended() {
        let store = busy();
        beat(&store, 12, "offline", "w@h", 5, 1);
        assert!(store.read(Model::lost_untold));
        store.apply(&[Update::Unacked(vec![(TaskId::new("b"), Some(at(3_600)))], true)]);
        let again = |id: &str| store.read(|m| m.task(&TaskId::new(id)).unwrap().lost().map(|lost| lost.again));
        assert_eq!((again("a"), again("b")), (Some(Again::NotHeld), Some(Again::Held(Some(at(3_600))))));
        let result = TaskResult { status: "SUCCESS".into(), ..TaskResult::default() };
        store.apply(&[Update::Results {
            found: vec![(TaskId::new("b"), Stored::Result(Box::new(result)))],
            keep: true,
        }]);
        assert_eq!(store.read(Model::lost), 1);
    }

    #[test]
    fn the_list_of_what_is_in_hand_does_not_grow_with_what_has_ended() {
        let store = busy();
        for n in 0..1_000 {
            task(&store, 12, "received", &n.to_string(), 5);
            task(&store, 12, "succeeded", &n.to_string(), 5);
        }
        store.read(|m| assert!(m.worker("w@h").unwrap().in_hand.len() <= 2 * 3 + SLACK + 1));
    }
}
