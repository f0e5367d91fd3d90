//! Finding out what a task was sent with: asked one after the other, from what knows it best.

use std::collections::HashMap;

use super::{Known, Options, Refusal, Retry};
use crate::celery::TaskId;
use crate::celery::original::Original;
use crate::celery::result::Stored;
use crate::history::reader::Reader;
use crate::history::{self, lookup};
use crate::ops::run::Ops;
use crate::state::peek::{Found, Look};
use crate::state::{Model, Update};

impl Ops {
    /// Prepares tasks to be sent again; each with the reason where it can't be.
    pub async fn prepare(&self, ids: &[TaskId], options: &Options) -> Vec<(TaskId, Result<Retry, Refusal>)> {
        self.recall_tasks(ids);
        let mut originals: HashMap<TaskId, Original> = self.store.read(|m| peeked(m, ids));
        if let Ok(Some(audit)) = &*self.audit {
            for id in ids {
                if let Ok(Some(original)) = audit.original_of(&id.to_string()) {
                    originals.insert(id.clone(), original);
                }
            }
        }
        let unknown: Vec<TaskId> = ids.iter().filter(|id| !originals.contains_key(*id)).cloned().collect();
        let mut stored: HashMap<TaskId, Stored> = HashMap::new();
        if let Some(results) = self.results.as_ref().filter(|_| !unknown.is_empty()) {
            match results.get(&unknown).await {
                Ok(found) => stored.extend(found),
                Err(why) => tracing::warn!("the result backend was not asked for arguments: {why}"),
            }
        }
        self.store.read(|m| {
            let prepare = |id: &TaskId| {
                let result = stored.get(id).and_then(Stored::result);
                let known = Known { original: originals.get(id), result };
                (id.clone(), Retry::prepare(m, id, &known, options))
            };
            ids.iter().map(prepare).collect()
        })
    }

    /// What the history knows of tasks that the model doesn't becomes part of it.
    pub(in crate::ops) fn recall_tasks(&self, ids: &[TaskId]) {
        let unknown = |m: &Model| ids.iter().filter(|id| m.task(id).is_none()).cloned().collect();
        let unknown: Vec<TaskId> = self.store.read(unknown);
        let Some(path) = self.history.as_ref().filter(|_| !unknown.is_empty()) else { return };
        let read = Reader::open(path).and_then(|mut reader| lookup::recall(&mut reader, &unknown));
        match read {
            Ok(events) => self.store.apply(&[Update::Recalled(history::batch_in_time(events).into())]),
            Err(why) => tracing::warn!("{why}"),
        }
    }
}

/// Messages of these tasks that were seen in queues.
fn peeked(model: &Model, ids: &[TaskId]) -> HashMap<TaskId, Original> {
    let mut found = HashMap::new();
    for queue in model.queue_names() {
        let Some(Ok(Found::Waiting(waiting))) = model.peeked(&queue, Look::Waiting).map(|p| &p.found) else { continue };
        for waiting in waiting {
            if let (Ok(message), Some(original)) = (&waiting.message, waiting.original(&queue))
                && ids.contains(&message.id)
            {
                found.insert(message.id.clone(), original);
            }
        }
    }
    found
}
