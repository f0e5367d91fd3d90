//! Many messages taken out of a queue by their ids, some at a time. Each is written down before it is taken, under the
//! command that began it, so that one `undo` puts all of them back; one that is not there any more is not taken twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Run;
use crate::celery::TaskId;
use crate::celery::original::Original;
use crate::ops::command::{Preview, plural};
use crate::ops::receipt::Outcome;
use crate::ops::{Error, QueueAction, Which};
use crate::state::Model;

/// Ids looked for at once: each time means a look through the queue.
const BATCH: usize = 1_000;

/// A message as it is written down: by its id and its queue.
pub(super) fn item(id: &TaskId, queue: &str) -> (String, String, Original) {
    (id.to_string(), String::new(), Original { queue: queue.to_owned(), priority: 0, bytes: Vec::new().into() })
}

/// What a person is asked.
pub(super) fn preview(queue: &str, ids: &BTreeSet<TaskId>, model: &Model) -> Preview {
    let mut preview = QueueAction::Delete(Which::Ids(ids.clone())).preview(queue, model);
    preview.lines.push("What is to be deleted is noted first: bulk list, resume and stop know it.".into());
    preview
}

/// What came of all batches of this run.
#[derive(Default)]
pub(super) struct Taken {
    queue: String,
    taken: u64,
    missing: usize,
}

impl Taken {
    pub(super) fn told(&self) -> (Vec<(String, Value)>, Outcome) {
        let n = |n: u64| plural(usize::try_from(n).unwrap_or(usize::MAX), "message");
        let said = format!("{} deleted", n(self.taken));
        let outcome = match self.missing {
            0 => Outcome::Confirmed,
            missing => Outcome::Failed(format!("{} did not wait there any more", plural(missing, "message"))),
        };
        (vec![(self.queue.clone(), json!({"ok": said, "messages": self.taken}))], outcome)
    }
}

impl Run<'_> {
    /// Takes the next ones out; says why it goes no further, if it doesn't.
    pub(super) async fn delete(&mut self) -> Result<Option<String>, Error> {
        let wrong = |e: crate::history::audit::Error| Error::Audit(e.to_string());
        let begun = std::time::Instant::now();
        let batch = (self.rate.ceil() as usize).clamp(1, BATCH);
        let items = self.audit.items(self.id, self.next, batch).map_err(wrong)?;
        let Some(queue) = items.first().map(|item| item.message.queue.clone()) else { return Ok(None) };
        let ids = items.iter().map(|item| TaskId::new(&item.task)).collect();
        let what = QueueAction::Delete(Which::Ids(ids));
        let mut replies = Vec::new();
        let done = Box::pin(self.ops.change_queue(&queue, &what, Some(self.row), &mut replies)).await;
        let broken = replies.iter().find_map(|(_, reply)| reply["error"].as_str());
        if let Some(why) = done.err().map(|why| why.to_string()).or(broken.map(str::to_owned)) {
            return Ok(Some(format!("stopped at {} of {}: {why}", self.next, self.all)));
        }
        if self.is_stopped() {
            // The batch may not be whole: it is looked for again.
            return Ok(None);
        }
        let taken: u64 = replies.iter().filter_map(|(_, reply)| reply["messages"].as_u64()).sum();
        self.taken.queue = queue;
        self.taken.taken += taken;
        self.taken.missing += items.len().saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX));
        self.crossed_off(items.len())?;
        self.pace(items.len(), begun).await;
        Ok(None)
    }
}
