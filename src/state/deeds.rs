//! What the log of commands tells that no event does: which tasks a person sent again, which queues lie aside under
//! another name, and which commands were taken back. It holds for whoever looks, and not only for who did it.

use std::collections::{HashMap, HashSet};

use crate::celery::TaskId;
use crate::clock::Stamp;

use super::model::Model;

/// Tasks sent again that are remembered.
const KEPT: usize = 200_000;

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// The second task was sent in place of the first.
    SentAgain(TaskId, TaskId),
    Aside(Aside),
    /// The command of this row of the log was taken back, or nothing of it is left that could be.
    Undone(i64),
}

/// A queue that was set aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Aside {
    /// The command's row in the log.
    pub row: i64,
    pub queue: String,
    /// Under which it waits now.
    pub name: String,
    pub at: Stamp,
    pub by: String,
    pub messages: u64,
}

impl Aside {
    /// `set aside from legacy by bob 02:52`; `time` says a time as the reader wants it.
    pub fn words(&self, time: &dyn Fn(Stamp) -> String) -> String {
        let by = if self.by.is_empty() { String::new() } else { format!(" by {}", self.by) };
        format!("set aside from {}{by} {}", self.queue, time(self.at))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Deeds {
    again: HashMap<TaskId, TaskId>,
    /// By the name under which they wait.
    asides: HashMap<String, Aside>,
    undone: HashSet<i64>,
}

impl Deeds {
    /// The task that was sent in place of one.
    pub fn sent_again(&self, id: &TaskId) -> Option<&TaskId> {
        self.again.get(id)
    }

    pub fn note_sent_again(&mut self, old: &TaskId, new: &TaskId) {
        if self.again.len() < KEPT || self.again.contains_key(old) {
            self.again.insert(old.clone(), new.clone());
        }
    }
}

impl Model {
    pub(super) fn deed(&mut self, deed: &Deed) {
        match deed {
            Deed::SentAgain(old, new) => self.sent_again(old, new),
            Deed::Aside(aside) if self.deeds.undone.contains(&aside.row) => {}
            Deed::Aside(aside) => _ = self.deeds.asides.insert(aside.name.clone(), aside.clone()),
            Deed::Undone(row) => {
                self.deeds.undone.insert(*row);
                let back: Vec<String> =
                    self.deeds.asides.values().filter(|a| a.row == *row).map(|a| a.name.clone()).collect();
                for name in back {
                    self.deeds.asides.remove(&name);
                    // There is no such queue any more.
                    let name = self.names.intern(&name);
                    self.queues.remove(&name);
                }
            }
        }
    }

    /// `new` was sent in place of `old`, which may become known only later.
    pub(super) fn sent_again(&mut self, old: &TaskId, new: &TaskId) {
        if self.deeds.sent_again(old) != Some(new) {
            self.retried(old, new);
        }
    }

    /// How a queue of this name was set aside, if it was.
    pub fn aside(&self, name: &str) -> Option<&Aside> {
        self.deeds.asides.get(name)
    }

    /// Every queue that lies aside.
    pub fn asides(&self) -> impl Iterator<Item = &Aside> {
        self.deeds.asides.values()
    }

    /// Whether a command, by its row in the log, was taken back.
    pub fn is_undone(&self, row: i64) -> bool {
        self.deeds.undone.contains(&row)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::state::queue::Depth;
    use crate::state::{Limits, Store, Update};

    fn failures(ids: &[&str]) -> Arc<Batch> {
        let mut batch = Batch::default();
        for id in ids {
            let event = format!(
                r#"[{{"type":"task-failed","uuid":"{id}","hostname":"w@h","name":"t","exception":"E()","timestamp":10}}]"#
            );
            batch.push_body(Format::Json, event.as_bytes(), Stamp::from_micros(10_000_000)).expect("readable");
        }
        Arc::new(batch)
    }

    #[test]
    fn what_was_sent_again_before_we_came_is_no_open_failure_whenever_it_is_heard_of() {
        let store = Store::new(Limits::default());
        let again = |old: &str| Deed::SentAgain(TaskId::new(old), TaskId::new("new"));
        store.apply(&[Update::Deeds(vec![again("a")]), Update::Past(failures(&["a", "b", "c"]))]);
        store.apply(&[Update::Deeds(vec![again("a"), again("b"), again("gone")])]);
        store.read(|m| {
            let open: Vec<bool> = ["a", "b", "c"].map(|id| m.task(&TaskId::new(id)).expect("known").is_open()).into();
            assert_eq!(open, [false, false, true]);
            let group = m.failures().groups()[0];
            assert_eq!((group.count, group.open), (3, 1));
        });
        store.apply(&[Update::Recalled(failures(&["gone"]))]);
        assert!(store.read(|m| !m.task(&TaskId::new("gone")).expect("known").is_open()));
    }

    #[test]
    fn what_lies_aside_is_a_queue_until_it_is_put_back() {
        let store = Store::new(Limits::default());
        let aside = Aside {
            row: 7,
            queue: "q".into(),
            name: "q.aside-1".into(),
            at: Stamp::EPOCH,
            by: "bob".into(),
            messages: 24,
        };
        let depth = Depth { name: "q.aside-1".into(), ready: 24, ..Depth::default() };
        store.apply(&[Update::Deeds(vec![Deed::Aside(aside.clone())]), Update::Queues(Stamp::EPOCH, vec![depth])]);
        assert_eq!(store.read(|m| m.aside("q.aside-1").cloned()), Some(aside.clone()));
        assert_eq!(aside.words(&|_| "02:52".into()), "set aside from q by bob 02:52");
        store.apply(&[Update::Deeds(vec![Deed::Undone(7), Deed::Aside(aside)])]);
        store.read(|m| {
            assert!(m.is_undone(7) && m.aside("q.aside-1").is_none() && m.queue("q.aside-1").is_none());
        });
    }
}
