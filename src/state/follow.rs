//! Tasks alone, one event at a time: for who writes down what became of them. The rules are the model's own; figures,
//! failure groups and workers are left out.

use crate::celery::TaskId;
use crate::celery::event::{Batch, TaskEvent};

use super::model::{Limits, Model};
use super::task::Task;
use super::tasks::Slot;

/// See the module.
pub struct Follower {
    model: Model,
}

/// Names a task as long as it is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle(Slot);

impl Handle {
    /// Its place, for tables beside the follower. Places of forgotten tasks are used again.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for Follower {
    fn default() -> Self {
        let limits = Limits { tasks: usize::MAX, bytes: usize::MAX, workers: 0 };
        let mut model = Model::new(limits, jiff::tz::TimeZone::UTC);
        (model.figures, model.recalling) = (false, true);
        Self { model }
    }
}

impl Follower {
    /// A task that is followed already.
    pub fn find(&self, id: &TaskId) -> Option<Handle> {
        self.model.tasks.find(id).map(Handle)
    }

    /// Applies an event of a task, which is followed from now on.
    pub fn apply(&mut self, batch: &Batch, event: &TaskEvent) -> Handle {
        self.model.task_event(batch, event);
        self.model.sweep_when_full();
        // It was found or made just now, and nothing is forgotten by itself.
        Handle(self.model.tasks.find(&event.id).unwrap_or_default())
    }

    /// What is known of a task.
    pub fn task(&self, handle: Handle) -> Task<'_> {
        self.model.at(handle.0)
    }

    /// How many tasks are followed.
    pub fn len(&self) -> usize {
        self.model.task_count()
    }

    /// Whether no task is followed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a task if there are more than so many, or more bytes of them; which one is the model's own choice:
    /// successes first.
    pub fn forget_one(&mut self, tasks: usize, bytes: usize) -> Option<Handle> {
        self.model.evict_one(tasks, bytes).map(Handle)
    }
}
