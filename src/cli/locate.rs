//! What is known of a task's whereabouts: from its events, and from the workers that hold it.

use serde_json::{Value, json};

use super::env::Env;
use super::gather::Gathered;
use crate::celery::TaskId;
use crate::human;
use crate::ops::locate::Held;
use crate::state::doc::TaskDoc;
use crate::state::{State, Task};

/// Where a task is.
pub struct Found {
    pub verdict: String,
    pub evidence: Vec<String>,
    pub events: Vec<Value>,
    pub task: Option<TaskDoc>,
    pub held: Option<Held>,
}

/// Puts events and answers together.
pub fn judge(id: &TaskId, held: Vec<Held>, asked: usize, cluster: &Gathered, env: &Env) -> Found {
    let now = env.clock.now();
    cluster.store.read(|m| {
        let task = m.task(id);
        let held = held.into_iter().next();
        let mut evidence = Vec::new();
        match &held {
            Some(held) => evidence.push(format!("{} has it as {}", held.worker, held.place)),
            None => evidence.push(format!("none of the {asked} workers that were asked holds it")),
        }
        match &task {
            Some(task) => evidence.push(format!("its last event seen says {}", task.state_name())),
            None => evidence.push("no event of it came while listening".into()),
        }
        let verdict = match (&held, &task) {
            (Some(held), _) if held.place == "active" => {
                let since = held.started.map(|s| format!(" for {}", human::seconds(now.since(s).as_secs_f64())));
                format!("runs on {}{}", held.worker, since.unwrap_or_default())
            }
            (Some(held), _) if held.place == "scheduled" => format!("scheduled on {}", held.worker),
            (Some(held), _) => format!("reserved by {}", held.worker),
            (None, Some(task)) if task.state().is_ready() => format!("ended: {}", task.state_name()),
            (None, Some(task)) if task.state() == State::Pending => {
                format!("sent to {}, not yet taken by a worker", task.queue().unwrap_or("a queue"))
            }
            (None, Some(task)) => format!("last seen as {}", task.state_name()),
            (None, None) => "no trace".into(),
        };
        Found {
            verdict,
            evidence,
            events: task.map(|t| events(&t)).unwrap_or_default(),
            task: task.map(TaskDoc::from),
            held,
        }
    })
}

/// The events that left a stamp, in order of time.
fn events(task: &Task<'_>) -> Vec<Value> {
    let mut events =
        vec![("task-sent", task.sent()), ("task-received", task.received()), ("task-started", task.started())];
    for (name, state) in [
        ("task-succeeded", State::Success),
        ("task-failed", State::Failure),
        ("task-retried", State::Retry),
        ("task-revoked", State::Revoked),
        ("task-rejected", State::Rejected),
    ] {
        events.push((name, task.outcome(state)));
    }
    let mut events: Vec<_> = events.into_iter().filter_map(|(name, at)| Some((at?, name))).collect();
    events.sort();
    events.into_iter().map(|(at, name)| json!({"type": name, "timestamp": at.secs()})).collect()
}
