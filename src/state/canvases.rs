//! What messages and results said of workflows that events say nothing of: what comes after a task, and with whom it
//! forms a group. The oldest is forgotten first.

use std::collections::{HashMap, VecDeque};

use crate::celery::TaskId;
use crate::celery::canvas::Canvas;

/// Canvases that are kept.
const CANVASES: usize = 10_000;
/// Tasks they may name together.
const STEPS: usize = 200_000;

/// See the module.
#[derive(Default)]
pub(super) struct Canvases {
    by_id: HashMap<TaskId, Canvas>,
    order: VecDeque<TaskId>,
    steps: usize,
    groups: HashMap<String, Vec<TaskId>>,
    version: u64,
}

impl Canvases {
    /// An empty one that is another version than this one.
    pub fn afresh(&self) -> Self {
        Self { version: self.version + 1, ..Self::default() }
    }

    /// Takes what a message said of a task.
    pub fn put(&mut self, id: &TaskId, canvas: &Canvas) {
        let before = self.by_id.get(id);
        if before == Some(canvas) {
            return;
        }
        self.version += 1;
        let group = before.and_then(|before| before.group.clone());
        self.forget_member(id, group.as_deref());
        match self.by_id.insert(id.clone(), canvas.clone()) {
            Some(before) => self.steps -= before.len(),
            None => self.order.push_back(id.clone()),
        }
        if let Some(group) = &canvas.group {
            self.groups.entry(group.clone()).or_default().push(id.clone());
        }
        self.steps += canvas.len();
        while self.by_id.len() > CANVASES || (self.steps > STEPS && self.by_id.len() > 1) {
            let Some(oldest) = self.order.pop_front() else { break };
            let Some(canvas) = self.by_id.remove(&oldest) else { continue };
            self.steps -= canvas.len();
            self.forget_member(&oldest, canvas.group.as_deref());
        }
    }

    /// Takes what a result said: which group its task was a member of.
    pub fn put_group(&mut self, id: &TaskId, group: &str) {
        let known = self.by_id.get(id).cloned().unwrap_or_default();
        self.put(id, &Canvas { group: Some(group.to_owned()), ..known });
    }

    fn forget_member(&mut self, id: &TaskId, group: Option<&str>) {
        let Some(group) = group else { return };
        if let Some(members) = self.groups.get_mut(group) {
            members.retain(|member| member != id);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    pub fn get(&self, id: &TaskId) -> Option<&Canvas> {
        self.by_id.get(id)
    }

    /// Tasks that are known to be members of a group.
    pub fn members(&self, group: &str) -> &[TaskId] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }

    /// Changes with everything that is learnt.
    pub fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> TaskId {
        TaskId::new(&n.to_string())
    }

    #[test]
    fn canvases_are_bounded_and_the_oldest_goes_first() {
        let mut canvases = Canvases::default();
        for n in 0..=CANVASES {
            canvases.put(&id(n), &Canvas { group: Some("g".into()), ..Canvas::default() });
        }
        assert!(canvases.get(&id(0)).is_none() && canvases.get(&id(CANVASES)).is_some());
        assert_eq!(canvases.members("g").len(), CANVASES);
    }

    #[test]
    fn a_result_adds_the_group_to_what_a_message_said() {
        let mut canvases = Canvases::default();
        let step = crate::celery::canvas::CanvasStep { task: "t".into(), id: None };
        canvases.put(&id(1), &Canvas { chain: vec![step], ..Canvas::default() });
        for n in [1, 2, 2] {
            canvases.put_group(&id(n), "g");
        }
        assert_eq!(canvases.members("g"), [id(1), id(2)]);
        assert_eq!(canvases.get(&id(1)).map(Canvas::len), Some(1));
        let version = canvases.version();
        canvases.put_group(&id(2), "g");
        assert_eq!(canvases.version(), version, "nothing new");
    }
}
