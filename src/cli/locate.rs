//! What is known of a task's whereabouts: from its events, and from the workers that hold it.

use serde_json::{Value, json};

use super::env::Env;
use super::gather::Gathered;
use crate::celery::TaskId;
use crate::celery::result::Stored;
use crate::human;
use crate::ops::locate::Held;
use crate::results::ResultUrl;
use crate::state::doc::TaskDoc;
use crate::state::{State, Task};

/// Where a task is.
pub struct Found {
    pub verdict: String,
    pub evidence: Vec<String>,
    pub events: Vec<Value>,
    pub task: Option<TaskDoc>,
    pub held: Option<Held>,
    /// What the result backend has of it.
    pub stored: Option<Stored>,
}

/// What the result backend has of a task, or why it can't be asked.
pub async fn stored(id: &TaskId, env: &Env) -> Result<Option<Stored>, String> {
    let backend = env.url().and_then(|url| env.results(&url)).map_err(|e| e.to_string())?;
    let Some(backend) = backend else {
        return Err(match &env.settings.result_backend.value {
            Some(ResultUrl::Nothing(why)) => (*why).to_owned(),
            _ => "there is no result backend that could be asked".into(),
        });
    };
    let found = backend.get(std::slice::from_ref(id)).await.map_err(|e| e.to_string())?;
    Ok(found.into_iter().next().map(|(_, stored)| stored))
}

/// Puts what the result backend has into the places of a task's document that events left empty.
pub fn fill(document: &mut Value, stored: &Stored) {
    let Stored::Result(result) = stored else { return };
    let text = |text: &Option<String>| json!(text);
    let fields = [
        ("state", json!(result.status)),
        ("name", text(&result.name)),
        ("worker", text(&result.worker)),
        ("queue", text(&result.queue)),
        ("args", json!(result.args_text())),
        ("kwargs", json!(result.kwargs_text())),
        ("result", json!(result.value())),
        ("exception", json!(result.exception())),
        ("traceback", text(&result.traceback)),
        ("retries", json!(result.retries)),
        ("parent_id", text(&result.parent_id)),
    ];
    for (key, value) in fields {
        if document[key].is_null() {
            document[key] = value;
        }
    }
    document["group_id"] = text(&result.group_id);
    document["date_done"] = text(&result.date_done);
    if let Some(unread) = &result.unread {
        document["result_unread"] = json!({"bytes": unread.size, "why": unread.why});
    }
}

/// Puts events and answers together.
pub fn judge(
    id: &TaskId,
    held: Vec<Held>,
    asked: usize,
    stored: Result<Option<Stored>, String>,
    cluster: &Gathered,
    env: &Env,
) -> Found {
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
        let status = match &stored {
            Ok(Some(Stored::Result(result))) => Some(result.status.clone()),
            _ => None,
        };
        evidence.push(match &stored {
            Ok(Some(Stored::Result(result))) => format!("the result backend says {}", result.status),
            Ok(Some(Stored::Opaque(opaque))) => format!("the result backend has something for it: {opaque}"),
            Ok(None) => "the result backend knows nothing of it".into(),
            Err(why) => format!("the result backend was not asked: {why}"),
        });
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
            (None, None) => match status {
                Some(status) => format!("{status}, by the result backend"),
                None => "no trace".into(),
            },
        };
        Found {
            verdict,
            evidence,
            events: task.map(|t| events(&t)).unwrap_or_default(),
            task: task.map(TaskDoc::from),
            held,
            stored: stored.ok().flatten(),
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
