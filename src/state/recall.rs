//! Tasks of long ago, put into the model from where they were written down: they can be looked at and acted on like the
//! others. Nothing happened just now, so rates, workers, queues and counters stay as they are.

use std::collections::HashSet;

use crate::celery::event::{Batch, Event};

use super::model::Model;

impl Model {
    /// Takes the events of tasks. One that is known well already is left alone: its retries would be counted twice.
    pub(super) fn recall(&mut self, batch: &Batch) {
        let before = (self.counters, self.first_event, self.now, self.figures, self.recalling);
        (self.figures, self.recalling) = (false, true);
        let mut taken = HashSet::new();
        for event in &batch.events {
            let Event::Task(event) = event else { continue };
            let known = self.tasks.find(&event.id).is_some_and(|slot| self.at(slot).name().is_some());
            if known && !taken.contains(&event.id) {
                continue;
            }
            taken.insert(event.id.clone());
            self.task_event(batch, event);
        }
        self.sweep_when_full();
        (self.counters, self.first_event, self.now, self.figures, self.recalling) = before;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::celery::TaskId;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::clock::Stamp;
    use crate::state::{Limits, State, Store, Update};

    fn batch(body: &str) -> Arc<Batch> {
        let mut batch = Batch::default();
        assert!(batch.push_body(Format::Json, body.as_bytes(), Stamp::from_micros(100_000_000)).is_ok());
        Arc::new(batch)
    }

    const RETRIED: &str = r#"[
        {"type":"task-received","uuid":"a","hostname":"w@h","name":"t","args":"()","timestamp":10},
        {"type":"task-started","uuid":"a","hostname":"w@h","timestamp":11},
        {"type":"task-retried","uuid":"a","hostname":"w@h","exception":"E()","timestamp":12},
        {"type":"task-started","uuid":"a","hostname":"w@h","timestamp":13},
        {"type":"task-failed","uuid":"a","hostname":"w@h","exception":"E()","timestamp":14}]"#;

    #[test]
    fn a_recalled_task_is_whole_and_nothing_else_has_happened() {
        let store = Store::new(Limits::default());
        store.apply(&[Update::Recalled(batch(RETRIED)), Update::Recalled(batch(RETRIED))]);
        store.read(|m| {
            let task = m.task(&TaskId::new("a")).unwrap();
            assert_eq!((task.state(), task.name(), task.attempts().len()), (State::Failure, Some("t"), 1));
            assert!(task.is_recalled());
            assert!(m.workers().is_empty() && m.failures().groups().is_empty() && m.by_name().next().is_none());
            assert_eq!((m.counters().seen, m.counters().task_events, m.watching_since()), (0, 0, None));
        });
    }

    #[test]
    fn what_memory_knows_stays_and_what_it_lacks_is_filled_in() {
        let store = Store::new(Limits::default());
        let live = r#"[{"type":"task-succeeded","uuid":"a","hostname":"w@h","result":"1","timestamp":20},
            {"type":"task-received","uuid":"b","hostname":"w@h","name":"other","timestamp":20}]"#;
        store.apply(&[Update::Events(batch(live))]);
        let old = r#"[{"type":"task-received","uuid":"a","hostname":"w@h","name":"t","timestamp":10},
            {"type":"task-revoked","uuid":"b","hostname":"w@h","name":"t","timestamp":10}]"#;
        store.apply(&[Update::Recalled(batch(old))]);
        store.read(|m| {
            let [a, b] = ["a", "b"].map(|id| m.task(&TaskId::new(id)).unwrap());
            assert_eq!((a.state(), a.name(), a.result().as_deref()), (State::Success, Some("t"), Some("1")));
            assert_eq!((b.state(), b.name()), (State::Received, Some("other")));
            assert!(!a.is_recalled() && !b.is_recalled());
        });
    }
}
