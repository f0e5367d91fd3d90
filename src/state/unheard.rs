//! When the broker delivers nothing, because our link is down or an alarm keeps workers from publishing: who is silent
//! then is not gone. Workers keep their state until they have had the time to come back.

use std::time::Duration;

use crate::clock::Stamp;

use super::model::Model;
use super::worker::Worker;

/// Silence is noticed before its reason: who was there so shortly before is excused too, and nothing is concluded from a
/// shorter silence.
pub(super) const DOUBT: Duration = Duration::from_secs(15);
/// The longest pause between two attempts of a worker to reach its broker again (kombu 5.7.0, `connection.py`,
/// `ensure_connection`).
const RETRY: Duration = Duration::from_secs(30);
/// While it lasts.
fn open_end() -> Stamp {
    Stamp::from_micros(i64::MAX)
}

/// Why nobody can be heard.
#[derive(Default)]
pub(super) struct Unheard {
    pub link: bool,
    pub alarm: bool,
}

impl Unheard {
    fn is_on(&self) -> bool {
        self.link || self.alarm
    }
}

impl Model {
    /// A reason for silence came or went.
    pub(super) fn unheard(&mut self, at: Stamp, note: impl FnOnce(&mut Unheard)) {
        let before = self.unheard.is_on();
        note(&mut self.unheard);
        match (before, self.unheard.is_on()) {
            (false, true) => {
                let there = at - DOUBT;
                for worker in self.workers.values_mut().filter(|w| w.is_online(there)) {
                    worker.excused = Some(open_end());
                }
            }
            (true, false) => {
                for worker in self.workers.values_mut().filter(|w| w.excused == Some(open_end())) {
                    let beats = Duration::try_from_secs_f64(worker.freq * 2.0).unwrap_or(RETRY);
                    worker.excused = Some(at + beats + RETRY);
                }
            }
            _ => {}
        }
    }
}

impl Worker {
    /// It says nothing, and that means nothing.
    pub fn is_unheard(&self, now: Stamp) -> bool {
        self.is_excused(now) && self.expires().is_none_or(|until| now >= until)
    }

    pub(super) fn is_excused(&self, now: Stamp) -> bool {
        !self.said_offline && self.excused.is_some_and(|until| now < until)
    }

    /// It was heard: from now on its silence counts again, unless the reason for it lasts.
    pub(super) fn is_heard(&mut self) {
        self.excused = self.excused.filter(|until| *until == open_end());
    }
}

#[cfg(test)]
mod tests {
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::celery::pidbox::Reply;
    use crate::celery::queue::Depth;
    use crate::clock::Stamp;
    use crate::state::{Limits, Store, Update};
    use std::sync::Arc;

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros((1_000_000 + secs) * 1_000_000)
    }

    /// A worker that consumes a queue and was heard at the time zero.
    fn store() -> Store {
        let store = Store::new(Limits::default());
        store.apply(&[Update::Link(at(-60), true)]);
        heartbeat(&store, 0);
        let value = serde_json::json!([{"name": "celery"}]);
        let depth = Depth { name: "celery".into(), ..Depth::default() };
        store.apply(&[Update::Queues(at(0), vec![depth])]);
        store.apply(&[Update::Inspected(at(0), "active_queues", vec![Reply { worker: "w@h".into(), value }])]);
        store
    }

    fn heartbeat(store: &Store, secs: i64) {
        let body = format!(
            r#"{{"type":"worker-heartbeat","hostname":"w@h","freq":2.0,"active":0,"loadavg":[1,1,1],"timestamp":{}}}"#,
            at(secs).secs()
        );
        let mut batch = Batch::default();
        let read = batch.push_body(Format::Json, body.as_bytes(), at(secs));
        assert!(read.is_ok());
        store.apply(&[Update::Events(Arc::new(batch)), Update::Tick(at(secs))]);
    }

    fn online(store: &Store, secs: i64) -> (bool, bool) {
        store.apply(&[Update::Tick(at(secs))]);
        store.read(|m| m.worker("w@h").map(|w| (w.is_online(at(secs)), w.is_unheard(at(secs))))).expect("known")
    }

    fn lost(store: &Store) -> bool {
        store.read(|m| m.marks().find("lost its last consumer").is_some())
    }

    #[test]
    fn while_the_broker_delivers_nothing_nobody_is_said_to_be_gone() {
        for link in [true, false] {
            let store = store();
            let reason = |secs, on: bool| if link { Update::Link(at(secs), !on) } else { Update::Alarm(at(secs), on) };
            // It is noticed late.
            assert_eq!(online(&store, 9), (false, false));
            store.apply(&[reason(10, true)]);
            assert_eq!(online(&store, 11), (true, true));
            assert_eq!(online(&store, 200), (true, true));
            store.apply(&[reason(201, false)]);
            assert_eq!(online(&store, 230), (true, true), "it needs time to come back");
            assert!(!lost(&store));
            heartbeat(&store, 231);
            assert_eq!(online(&store, 232), (true, false));
            assert_eq!(online(&store, 236), (false, false), "and then its silence counts again");
        }
    }

    #[test]
    fn who_does_not_come_back_is_gone_in_the_end() {
        let store = store();
        store.apply(&[Update::Link(at(3), false), Update::Alarm(at(4), true), Update::Link(at(20), true)]);
        assert_eq!(online(&store, 100), (true, true), "one reason is enough");
        store.apply(&[Update::Alarm(at(101), false)]);
        assert_eq!(online(&store, 140), (false, false));
        online(&store, 160);
        assert!(lost(&store));
    }
}
