//! Reads results of what somebody has on screen: one task's whole result, or the groups that the tasks of a workflow
//! belong to. What nobody looks at is not asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::Context;
use super::interest::Interests;
use crate::celery::TaskId;
use crate::results::Backend;
use crate::state::Update;

/// How old what is on screen may grow, as long as more may come.
const EVERY: Duration = Duration::from_secs(5);
/// Tasks whose results are read to find the members of a group.
const NEAR: usize = 2_000;

/// Whose results are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultLook {
    Task(TaskId),
    Workflow(TaskId),
}

pub(super) struct Reader {
    pub context: Context,
    pub backend: Arc<dyn Backend>,
    pub interest: watch::Receiver<Interests>,
    pub updates: mpsc::Sender<Update>,
    pub refresh: watch::Receiver<u64>,
}

impl Reader {
    /// Runs until the feed stops.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked: Vec<(ResultLook, Instant)> = Vec::new();
        loop {
            tokio::select! {
                () = self.context.stop.cancelled() => return,
                _ = tick.tick() => {}
                Ok(()) = self.refresh.changed() => looked.clear(),
                Ok(()) = self.interest.changed() => {}
            }
            let all = self.interest.borrow_and_update().each(|interest| interest.result.clone());
            looked.retain(|(what, at)| all.contains(what) && (at.elapsed() < EVERY || self.knows(what)));
            for wanted in all {
                if looked.iter().any(|(what, _)| *what == wanted) {
                    continue;
                }
                tokio::select! {
                    () = self.context.stop.cancelled() => return,
                    () = look(&self.context, self.backend.as_ref(), &wanted, &self.updates) => {}
                }
                looked.push((wanted, Instant::now()));
            }
        }
    }

    /// Whether nothing more will come.
    fn knows(&self, what: &ResultLook) -> bool {
        match what {
            ResultLook::Task(id) => {
                self.context.store.read(|m| m.result(id)?.result().map(|result| result.is_ready())) == Some(true)
            }
            ResultLook::Workflow(_) => false,
        }
    }
}

/// Looks once.
pub async fn look(context: &Context, backend: &dyn Backend, wanted: &ResultLook, updates: &mpsc::Sender<Update>) {
    let (ids, keep) = match wanted {
        ResultLook::Task(id) => (vec![id.clone()], true),
        ResultLook::Workflow(_) if !backend.tells_groups() => return,
        ResultLook::Workflow(id) => (context.store.read(|m| m.may_be_grouped_with(id, NEAR)), false),
    };
    let update = match backend.get(&ids).await {
        Ok(found) => Update::Results { found, keep },
        Err(why) => Update::NoResults(why.to_string()),
    };
    // Fails only when ingest has stopped, and then all stops.
    let _ = updates.send(update).await;
}
