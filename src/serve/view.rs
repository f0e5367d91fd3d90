//! A task as Flower's API shows it: 31 keys, always there.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::state::{Model, State, Task};

/// The object of one task. Its texts have no secrets in them.
#[derive(Serialize)]
pub(super) struct View<'m> {
    uuid: &'m TaskId,
    name: Option<&'m str>,
    state: &'m str,
    received: Option<f64>,
    sent: Option<f64>,
    started: Option<f64>,
    rejected: Option<f64>,
    succeeded: Option<f64>,
    failed: Option<f64>,
    retried: Option<f64>,
    revoked: Option<f64>,
    args: Option<Cow<'m, str>>,
    kwargs: Option<Cow<'m, str>>,
    eta: Option<&'m str>,
    expires: Option<&'m str>,
    retries: u16,
    /// In lists it is missing where no worker is known; elsewhere it is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Option<&'m str>>,
    result: Option<Cow<'m, str>>,
    exception: Option<Cow<'m, str>>,
    timestamp: Option<f64>,
    runtime: Option<f64>,
    traceback: Option<Cow<'m, str>>,
    exchange: Option<&'m str>,
    routing_key: Option<&'m str>,
    /// Celery's own count of events, which the model does not keep.
    clock: Option<u64>,
    client: Option<&'m str>,
    root: Option<TaskId>,
    root_id: Option<TaskId>,
    parent: Option<&'m TaskId>,
    parent_id: Option<&'m TaskId>,
    children: &'m [TaskId],
}

/// The tasks that each of some tasks has sent.
pub(super) struct Children(HashMap<TaskId, Vec<TaskId>>);

impl Children {
    /// Looks at every task for the children of some.
    pub fn of(model: &Model, parents: &HashSet<&TaskId>) -> Self {
        let mut children: HashMap<TaskId, Vec<(Option<Stamp>, TaskId)>> = HashMap::new();
        for task in model.all_tasks() {
            if let Some(parent) = task.parent().filter(|parent| parents.contains(parent)) {
                children.entry(parent.clone()).or_default().push((task.seen(), task.id().clone()));
            }
        }
        let in_order = |mut list: Vec<(Option<Stamp>, TaskId)>| {
            list.sort_by_key(|(seen, _)| *seen);
            list.into_iter().map(|(_, id)| id).collect()
        };
        Self(children.into_iter().map(|(parent, list)| (parent, in_order(list))).collect())
    }

    fn get(&self, id: &TaskId) -> &[TaskId] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }
}

fn secs(stamp: Option<Stamp>) -> Option<f64> {
    stamp.map(Stamp::secs)
}

/// The object of a task; `listed` is how `/api/tasks` shows it.
pub(super) fn view<'m>(task: &Task<'m>, model: &'m Model, children: &'m Children, listed: bool) -> View<'m> {
    let outcome = |state| secs(task.outcome(state));
    // Of a relative that is not in memory only its id is known.
    let known = |id: &TaskId| model.task(id).is_some();
    let (root, parent) = (task.root(), task.parent());
    View {
        uuid: task.id(),
        name: task.name(),
        state: task.state_name(),
        received: secs(task.received()),
        sent: secs(task.sent()),
        started: secs(task.started()),
        rejected: outcome(State::Rejected),
        succeeded: outcome(State::Success),
        failed: outcome(State::Failure),
        retried: outcome(State::Retry),
        revoked: outcome(State::Revoked),
        args: task.args(),
        kwargs: task.kwargs(),
        eta: task.eta(),
        expires: task.expires(),
        retries: task.retries().unwrap_or(0),
        worker: if listed { task.worker().map(Some) } else { Some(task.worker()) },
        result: task.result(),
        exception: task.exception(),
        timestamp: secs(task.stamp()),
        runtime: task.runtime(),
        traceback: task.traceback(),
        exchange: task.exchange(),
        routing_key: task.routing_key(),
        clock: None,
        client: task.client(),
        root: root.clone().filter(known),
        root_id: root,
        parent: parent.filter(|id| known(id)),
        parent_id: parent,
        children: children.get(task.id()),
    }
}
