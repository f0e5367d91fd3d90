//! Documents of the result backend that somebody looks at, bounded in number and bytes; the oldest makes room.

use std::collections::VecDeque;

use crate::celery::TaskId;
use crate::celery::result::Stored;

use super::model::Model;
use super::task::Task;

/// Documents that are kept, and the bytes they may take together.
const KEPT: usize = 64;
const BYTES: usize = 8 << 20;
/// How far apart members of one group are sent at most, in seconds.
const NEAR: f64 = 30.0;

/// See the module.
#[derive(Default)]
pub(super) struct Results {
    kept: VecDeque<(TaskId, Stored)>,
    bytes: usize,
}

impl Results {
    pub fn put(&mut self, id: &TaskId, stored: Stored) {
        if let Some(place) = self.kept.iter().position(|(known, _)| known == id)
            && let Some((_, before)) = self.kept.remove(place)
        {
            self.bytes -= before.size();
        }
        self.bytes += stored.size();
        self.kept.push_back((id.clone(), stored));
        while self.kept.len() > KEPT || (self.bytes > BYTES && self.kept.len() > 1) {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    pub fn get(&self, id: &TaskId) -> Option<&Stored> {
        self.kept.iter().find(|(known, _)| known == id).map(|(_, stored)| stored)
    }
}

impl Model {
    /// What the result backend keeps of a task, if somebody has looked at that lately.
    pub fn result(&self, id: &TaskId) -> Option<&Stored> {
        self.results.get(id)
    }

    /// Why results can't be read, if that was tried in vain.
    pub fn results_missing(&self) -> Option<&str> {
        self.results_missing.as_deref()
    }

    pub(super) fn found(&mut self, found: &[(TaskId, Stored)], keep: bool) {
        self.results_missing = None;
        for (id, stored) in found {
            if let Some(group) = stored.result().and_then(|result| result.group_id.as_deref()) {
                self.canvases.put_group(id, group);
            }
            if stored.result().is_some_and(|result| result.is_ready()) {
                self.has_result(id);
            }
            if keep {
                self.results.put(id, stored.clone());
            }
        }
    }

    /// Tasks that may form a group with the beginning of one's workflow: their sender is the same, and they were sent
    /// about then. Events say nothing of groups; their results do. Nearest first.
    pub fn may_be_grouped_with(&self, id: &TaskId, most: usize) -> Vec<TaskId> {
        // What a worker sent in the name of a workflow has another sender than its beginning.
        let root = self.task(id).and_then(|task| task.root());
        let Some(task) = root.and_then(|root| self.task(&root)).or(self.task(id)) else { return Vec::new() };
        let when = |task: &Task<'_>| task.sent().or(task.received());
        let (Some(at), sender) = (when(&task), task.client()) else { return vec![id.clone()] };
        let mut near: Vec<(f64, TaskId)> = self
            .all_tasks()
            .filter_map(|other| {
                let apart = (when(&other)?.secs() - at.secs()).abs();
                (apart <= NEAR && other.client() == sender).then(|| (apart, other.id().clone()))
            })
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.into_iter().take(most).map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::result::Opaque;

    #[test]
    fn what_was_looked_at_long_ago_makes_room() {
        let mut results = Results::default();
        let id = |n: usize| TaskId::new(&n.to_string());
        let opaque = |size| Stored::Opaque(Opaque { size, why: String::new() });
        for n in 0..=KEPT {
            results.put(&id(n), opaque(n));
        }
        results.put(&id(5), opaque(99));
        assert_eq!((results.get(&id(0)), results.get(&id(5))), (None, Some(&opaque(99))));
        assert_eq!((results.kept.len(), results.bytes), (KEPT, KEPT * 64));
    }
}
