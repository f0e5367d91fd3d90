//! Events: those that a task's row tells by itself, and those that need a row of their own; and the way back, from what
//! was written to events that can be applied.

use rusqlite::{Connection, Result, params};
use serde_json::{Map, Value, json};

use super::row::{self, Pen};
use super::ticks;
use crate::celery::event::{Batch, TaskEvent, TaskEventKind};
use crate::clock::Stamp;
use crate::state::doc::TaskDoc;
use crate::state::{State, Task};

/// An event with a row of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Row of its task.
    pub task: i64,
    pub at: Stamp,
    pub kind: String,
    pub worker: Option<String>,
    pub exception: Option<String>,
    pub traceback: Option<String>,
    /// Other fields it had, as a JSON object.
    pub detail: Option<String>,
}

/// The state an event of Celery's own kinds leads to.
pub fn state_of(kind: TaskEventKind) -> Option<State> {
    Some(match kind {
        TaskEventKind::Sent => State::Pending,
        TaskEventKind::Received => State::Received,
        TaskEventKind::Started => State::Started,
        TaskEventKind::Succeeded => State::Success,
        TaskEventKind::Failed => State::Failure,
        TaskEventKind::Retried => State::Retry,
        TaskEventKind::Revoked => State::Revoked,
        TaskEventKind::Rejected => State::Rejected,
        TaskEventKind::Custom(_) => return None,
    })
}

/// Outcomes that the row of a task tells as an event.
fn is_told_by_row(state: State) -> bool {
    matches!(state, State::Success | State::Failure | State::Revoked | State::Rejected)
}

/// Whether the task's row tells this event.
pub fn is_in_row(task: &Task<'_>, event: &TaskEvent) -> bool {
    let stamp = Some(event.stamp);
    match state_of(event.kind) {
        Some(State::Pending) => task.sent() == stamp,
        Some(State::Received) => task.received() == stamp,
        Some(State::Started) => task.started() == stamp,
        Some(state) => is_told_by_row(state) && task.state() == state && task.finished() == stamp,
        None => false,
    }
}

/// The event that a task's row tells now and will not tell any more once `event` is applied.
pub fn displaced(task: &Task<'_>, event: &TaskEvent, n: i64) -> Option<Told> {
    let told = |at, kind: &str, worker: Option<&str>| Told {
        task: n,
        at,
        kind: kind.to_owned(),
        worker: worker.map(str::to_owned),
        exception: None,
        traceback: None,
        detail: None,
    };
    match event.kind {
        TaskEventKind::Sent => Some(told(task.sent()?, "task-sent", task.client())),
        TaskEventKind::Received => Some(told(task.received()?, "task-received", task.worker())),
        TaskEventKind::Started => Some(told(task.started()?, "task-started", task.worker())),
        _ => None,
    }
    .or_else(|| {
        let kind = match task.state() {
            State::Success => "task-succeeded",
            State::Failure => "task-failed",
            State::Revoked => "task-revoked",
            State::Rejected => "task-rejected",
            _ => return None,
        };
        let mut told = told(task.finished()?, kind, task.worker());
        told.exception = task.raw_exception().map(str::to_owned);
        told.traceback = task.raw_traceback().map(str::to_owned);
        let detail: Map<String, Value> = [
            task.raw_texts()[2].map(|result| ("result".to_owned(), json!(result))),
            task.runtime().map(|secs| ("runtime".to_owned(), json!(secs))),
        ]
        .into_iter()
        .flatten()
        .collect();
        told.detail = (!detail.is_empty()).then(|| Value::Object(detail).to_string());
        Some(told)
    })
}

/// Whether what [`displaced`] found is still told by the row, now that the event was applied.
pub fn is_kept(task: &Task<'_>, told: &Told) -> bool {
    let at = Some(told.at);
    match told.kind.as_str() {
        "task-sent" => task.sent() == at,
        "task-received" => task.received() == at,
        "task-started" => task.started() == at,
        _ => task.finished() == at && is_told_by_row(task.state()),
    }
}

/// The event itself, where the task's row does not tell it.
pub fn apart(task: &Task<'_>, batch: &Batch, event: &TaskEvent, n: i64) -> Option<Told> {
    if is_in_row(task, event) {
        return None;
    }
    let text = |text| batch.text(text).map(str::to_owned);
    let mut detail = Map::new();
    for (key, value) in [("result", text(event.result)), ("signum", text(event.signum)), ("eta", text(event.eta))] {
        if let Some(value) = value {
            detail.insert(key.to_owned(), value.into());
        }
    }
    if let Some(secs) = event.runtime.value() {
        detail.insert("runtime".into(), secs.into());
    }
    for (key, on) in [("terminated", event.terminated), ("expired", event.expired)] {
        if on {
            detail.insert(key.into(), true.into());
        }
    }
    Some(Told {
        task: n,
        at: event.stamp,
        kind: event.kind.name(batch).into_owned(),
        worker: text(event.hostname),
        exception: text(event.exception),
        traceback: text(event.traceback),
        detail: (!detail.is_empty()).then(|| Value::Object(detail).to_string()),
    })
}

impl Told {
    /// Writes it.
    pub fn write(&self, db: &Connection, pen: &mut Pen<'_>) -> Result<()> {
        let exception = self.exception.as_deref().map(|text| pen.redactor.text(text));
        let traceback = self.traceback.as_deref().map(|text| pen.redactor.traceback(text));
        let detail = self.detail.as_deref().map(|text| pen.redactor.text(text));
        let kind = pen.words.word(db, Some(&self.kind))?;
        let worker = pen.words.word(db, self.worker.as_deref())?;
        let exception = pen.words.text(db, exception.as_deref(), Some(self.task), pen.day)?;
        let traceback = pen.words.text(db, traceback.as_deref(), None, pen.day)?;
        let put = "INSERT INTO event (task, at, type, worker, exception, traceback, detail) VALUES (?,?,?,?,?,?,?)";
        let at = ticks::of(self.at);
        db.prepare_cached(put)?.execute(params![self.task, at, kind, worker, exception, traceback, detail])?;
        Ok(())
    }

    /// The events of a task that have rows of their own.
    pub fn read(db: &Connection, task: i64) -> Result<Vec<Self>> {
        let mut rows = db.prepare_cached(
            "SELECT e.at, t.body, w.body, e.exception, e.traceback, e.detail FROM event e JOIN word t ON t.id = e.type \
             JOIN word w ON w.id = e.worker WHERE e.task = ? ORDER BY e.at, e.id",
        )?;
        let mut rows = rows.query([task])?;
        let mut told = Vec::new();
        while let Some(row) = rows.next()? {
            told.push(Self {
                task,
                at: ticks::stamp(row.get(0)?),
                kind: row.get(1)?,
                worker: row.get(2)?,
                exception: row::text(db, row.get_ref(3)?)?,
                traceback: row::text(db, row.get_ref(4)?)?,
                detail: row.get(5)?,
            });
        }
        Ok(told)
    }

    fn event(&self, id: &str) -> Value {
        let mut event = match self.detail.as_deref().map(serde_json::from_str) {
            Some(Ok(Value::Object(fields))) => fields,
            _ => Map::new(),
        };
        event.insert("exception".into(), json!(self.exception));
        event.insert("traceback".into(), json!(self.traceback));
        let worker = self.worker.as_deref();
        Value::Object(begin(event, &self.kind, id, worker, self.at.secs()))
    }
}

fn begin(mut event: Map<String, Value>, kind: &str, id: &str, host: Option<&str>, at: f64) -> Map<String, Value> {
    event.retain(|_, value| !value.is_null());
    event.insert("type".into(), kind.into());
    event.insert("uuid".into(), id.into());
    // Without a host it would be no event.
    event.insert("hostname".into(), host.unwrap_or_default().into());
    event.insert("timestamp".into(), at.into());
    event
}

/// All events of a task as they may have come, oldest first: applied, they make the task what it was.
pub fn events(doc: &TaskDoc, told: &[Told]) -> Vec<Value> {
    let identity = json!({
        "name": doc.name, "args": doc.args, "kwargs": doc.kwargs, "root_id": doc.root_id, "parent_id": doc.parent_id,
        "retries": doc.retries, "eta": doc.eta, "expires": doc.expires,
    });
    let route = json!({"queue": doc.queue, "exchange": doc.exchange, "routing_key": doc.routing_key});
    let ended =
        json!({"result": doc.result, "exception": doc.exception, "traceback": doc.traceback, "runtime": doc.runtime});
    let (client, worker) = (doc.client.as_deref(), doc.worker.as_deref());
    let rows = [
        ("task-sent", doc.sent, client),
        ("task-received", doc.received, worker),
        ("task-started", doc.started, worker),
        ("task-succeeded", doc.succeeded, worker),
        ("task-failed", doc.failed, worker),
        ("task-revoked", doc.revoked, worker),
        ("task-rejected", doc.rejected, worker),
    ];
    let mut all: Vec<(f64, Value)> = Vec::new();
    for (kind, at, host) in rows {
        // An outcome that was followed by another state is among those told apart.
        if let Some(at) = at.filter(|at| !is_told(told, kind, *at)) {
            let ends = !matches!(kind, "task-sent" | "task-received" | "task-started");
            let fields = if ends && doc.finished == Some(at) { ended.clone() } else { json!({}) };
            all.push((at, Value::Object(begin(object(fields), kind, &doc.id, host, at))));
        }
    }
    all.extend(told.iter().map(|told| (told.at.secs(), told.event(&doc.id))));
    if all.is_empty() {
        let (kind, at) = (format!("task-{}", doc.state.to_lowercase()), doc.timestamp.unwrap_or_default());
        all.push((at, Value::Object(begin(Map::new(), &kind, &doc.id, worker, at))));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut all: Vec<Value> = all.into_iter().map(|(_, event)| event).collect();
    if let Some(Value::Object(first)) = all.first_mut() {
        first.extend(object(identity).into_iter().chain(object(route)).filter(|(_, value)| !value.is_null()));
    }
    all
}

fn is_told(told: &[Told], kind: &str, at: f64) -> bool {
    told.iter().any(|told| told.kind == kind && (told.at.secs() - at).abs() < 5e-5)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
