//! A task as a row: to columns when it is written, to a document when it is read.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result, Row, params};
use uuid::Uuid;

use super::ticks;
use super::words::Words;
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::redact::Redactor;
use crate::state::doc::TaskDoc;
use crate::state::{State, Task};

/// Values of `task.flags`.
pub mod flag {
    pub const ROOT_SELF: i64 = 1;
    pub const RETRIES: i64 = 2;
    pub const MORE: i64 = 4;
    pub const EXPIRED: i64 = 8;
    pub const TERMINATED: i64 = 16;
}

/// An id in a column: a UUID as 16 bytes, any other as text.
pub struct Id<'i>(pub &'i TaskId);

impl ToSql for Id<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            TaskId::Uuid(uuid) => ValueRef::Blob(uuid.as_bytes()),
            TaskId::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// The id that stands in a column.
pub fn task_id(value: ValueRef<'_>) -> TaskId {
    match value {
        ValueRef::Blob(bytes) => Uuid::from_slice(bytes).map_or_else(|_| TaskId::new(""), TaskId::Uuid),
        other => TaskId::new(other.as_str().unwrap_or_default()),
    }
}

/// What the writer knows besides the task.
pub struct Pen<'p> {
    pub words: &'p mut Words,
    pub redactor: &'p Redactor,
    /// Days since 1970.
    pub day: i64,
}

/// What was written of a task.
pub struct Written {
    pub kind: i64,
    /// Ticks.
    pub at: i64,
    pub more: bool,
}

/// Writes a task as row `n`. `had_more` says that a row in `more` may be there from before.
pub fn write(db: &Connection, n: i64, task: &Task<'_>, had_more: bool, pen: &mut Pen<'_>) -> Result<Written> {
    let at = ticks::of(task.seen().unwrap_or(Stamp::EPOCH));
    let offset = |stamp: Option<Stamp>| stamp.map(|stamp| ticks::of(stamp) - at);
    let parts = [Some(task.state_name()), task.name(), task.worker(), task.queue(), task.exception_type()];
    let kind = pen.words.kind(db, parts)?;
    let route = pen.words.route(db, [task.client(), task.exchange(), task.routing_key()], task.pid())?;
    let root_self = task.is_own_root();
    let more = has_more(task, root_self);
    let set = |on: bool, flag: i64| if on { flag } else { 0 };
    let flags = set(root_self, flag::ROOT_SELF)
        | set(task.retries().is_some(), flag::RETRIES)
        | set(more, flag::MORE)
        | set(task.is_expired(), flag::EXPIRED)
        | set(task.is_terminated(), flag::TERMINATED);
    let texts = task.raw_texts().map(|text| text.map(|text| pen.redactor.text(text)));
    let [args, kwargs, result] = &texts;
    let args = pen.words.text(db, args.as_deref(), Some(n), pen.day)?;
    let kwargs = pen.words.text(db, kwargs.as_deref(), Some(n), pen.day)?;
    let result = pen.words.text(db, result.as_deref(), Some(n), pen.day)?;
    let runtime = task.runtime().map(|secs| (secs * ticks::SECOND as f64).round() as i64);
    db.prepare_cached("REPLACE INTO task VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")?.execute(params![
        n,
        Id(task.id()),
        kind,
        route,
        at,
        offset(task.sent()),
        offset(task.received()),
        offset(task.started()),
        offset(task.finished()),
        runtime,
        task.retries().unwrap_or(0),
        flags,
        args,
        kwargs,
        result
    ])?;
    if more {
        write_more(db, n, task, at, root_self, pen)?;
    } else if had_more {
        db.prepare_cached("DELETE FROM more WHERE n = ?")?.execute([n])?;
    }
    Ok(Written { kind, at, more })
}

/// Outcomes, as the columns of `more` are ordered.
const OUTCOMES: [State; 5] = [State::Success, State::Failure, State::Retry, State::Revoked, State::Rejected];

/// Whether there is anything that the row itself has no column for.
fn has_more(task: &Task<'_>, root_self: bool) -> bool {
    task.raw_exception().is_some()
        || task.raw_traceback().is_some()
        || task.parent().is_some()
        || task.eta().is_some()
        || task.expires().is_some()
        || task.signum().is_some()
        || (!root_self && task.root().is_some())
        || OUTCOMES.into_iter().any(|state| task.state() != state && task.outcome(state).is_some())
}

fn write_more(db: &Connection, n: i64, task: &Task<'_>, at: i64, root_self: bool, pen: &mut Pen<'_>) -> Result<()> {
    let root = task.root().filter(|_| !root_self);
    let exception = task.raw_exception().map(|text| pen.redactor.text(text));
    let traceback = task.raw_traceback().map(|text| pen.redactor.traceback(text));
    let exception = pen.words.text(db, exception.as_deref(), Some(n), pen.day)?;
    let traceback = pen.words.text(db, traceback.as_deref(), None, pen.day)?;
    let outcome = |state: State| task.outcome(state).filter(|_| task.state() != state).map(|s| ticks::of(s) - at);
    let [succeeded, failed, retried, revoked, rejected] = OUTCOMES.map(outcome);
    db.prepare_cached("REPLACE INTO more VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)")?.execute(params![
        n,
        exception,
        traceback,
        root.as_ref().map(Id),
        task.parent().map(Id),
        task.eta(),
        task.expires(),
        task.signum(),
        succeeded,
        failed,
        retried,
        revoked,
        rejected
    ])?;
    Ok(())
}

/// What a kind stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    pub state: Arc<str>,
    pub name: Arc<str>,
    pub worker: Arc<str>,
    pub queue: Arc<str>,
    pub exception: Arc<str>,
}

/// Numbers of the file and what they stand for, as a reader needs them. Read once, and again where one is missing.
#[derive(Default)]
pub struct Dictionary {
    pub kinds: HashMap<i64, Kind>,
    routes: HashMap<i64, [Option<Arc<str>>; 3]>,
}

fn or_none(text: &Arc<str>) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

impl Dictionary {
    /// Reads what is new since it was read last.
    pub fn load(&mut self, db: &Connection) -> Result<()> {
        let mut words: HashMap<i64, Arc<str>> = HashMap::new();
        let mut rows = db.prepare_cached("SELECT id, body FROM word")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            if let Ok(body) = row.get_ref(1)?.as_str() {
                words.insert(row.get(0)?, body.into());
            }
        }
        let word = |id: i64| words.get(&id).cloned().unwrap_or_default();
        let mut rows = db.prepare_cached("SELECT id, state, name, worker, queue, exception FROM kind")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let [state, name, worker, queue, exception] = [1, 2, 3, 4, 5].map(|i| row.get(i).map(word));
            let kind = Kind { state: state?, name: name?, worker: worker?, queue: queue?, exception: exception? };
            self.kinds.insert(row.get(0)?, kind);
        }
        let mut rows = db.prepare_cached("SELECT id, client, exchange, routing_key FROM route")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let [client, exchange, key] = [1, 2, 3].map(|i| row.get::<_, i64>(i).map(|id| words.get(&id).cloned()));
            self.routes.insert(row.get(0)?, [client?, exchange?, key?]);
        }
        Ok(())
    }

    /// Reads a row of [`COLUMNS`].
    pub fn doc(&mut self, db: &Connection, row: &Row<'_>) -> Result<TaskDoc> {
        let (kind, route): (i64, i64) = (row.get(2)?, row.get(3)?);
        if !self.kinds.contains_key(&kind) || !self.routes.contains_key(&route) {
            self.load(db)?;
        }
        let at: i64 = row.get(4)?;
        let time = |i: usize| -> Result<Option<f64>> { Ok(row.get::<_, Option<i64>>(i)?.map(|t| ticks::secs(at + t))) };
        let id = task_id(row.get_ref(1)?).to_string();
        let flags: i64 = row.get(11)?;
        let kind = self.kinds.get(&kind).cloned().unwrap_or_default();
        let [client, exchange, routing_key] = self.routes.get(&route).cloned().unwrap_or_default();
        let state = State::parse(&kind.state);
        let mut doc = TaskDoc {
            name: or_none(&kind.name),
            state: kind.state.to_string(),
            worker: or_none(&kind.worker),
            queue: or_none(&kind.queue),
            args: text(db, row.get_ref(12)?)?,
            kwargs: text(db, row.get_ref(13)?)?,
            result: text(db, row.get_ref(14)?)?,
            retries: (flags & flag::RETRIES != 0).then(|| row.get(10)).transpose()?,
            sent: time(5)?,
            received: time(6)?,
            started: time(7)?,
            finished: time(8)?,
            runtime: row.get::<_, Option<i64>>(9)?.map(|t| t as f64 / ticks::SECOND as f64),
            root_id: (flags & flag::ROOT_SELF != 0).then(|| id.clone()),
            client: client.map(|text| text.to_string()),
            exchange: exchange.map(|text| text.to_string()),
            routing_key: routing_key.map(|text| text.to_string()),
            id,
            ..TaskDoc::default()
        };
        if flags & flag::MORE != 0 {
            read_more(db, row.get(0)?, at, &mut doc)?;
        }
        let own = match state {
            Some(State::Success) => &mut doc.succeeded,
            Some(State::Failure) => &mut doc.failed,
            Some(State::Retry) => &mut doc.retried,
            Some(State::Revoked) => &mut doc.revoked,
            Some(State::Rejected) => &mut doc.rejected,
            _ => &mut None,
        };
        *own = doc.finished;
        let times = [doc.sent, doc.received, doc.started, doc.finished, doc.retried];
        doc.timestamp = times.into_iter().flatten().max_by(f64::total_cmp).or(Some(ticks::secs(at)));
        Ok(doc)
    }
}

/// Columns of `task` in the order [`Dictionary::doc`] reads them.
pub const COLUMNS: &str =
    "n, id, kind, route, at, sent, received, started, finished, runtime, retries, flags, args, kwargs, result";

fn read_more(db: &Connection, n: i64, at: i64, doc: &mut TaskDoc) -> Result<()> {
    let mut more = db.prepare_cached("SELECT * FROM more WHERE n = ?")?;
    let mut rows = more.query([n])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let time = |i: usize| -> Result<Option<f64>> { Ok(row.get::<_, Option<i64>>(i)?.map(|t| ticks::secs(at + t))) };
    let id = |i: usize| -> Result<Option<String>> {
        let value = row.get_ref(i)?;
        Ok((value != ValueRef::Null).then(|| task_id(value).to_string()))
    };
    doc.exception = text(db, row.get_ref(1)?)?;
    doc.traceback = text(db, row.get_ref(2)?)?;
    doc.root_id = id(3)?.or(doc.root_id.take());
    doc.parent_id = id(4)?;
    doc.eta = row.get(5)?;
    doc.expires = row.get(6)?;
    [doc.succeeded, doc.failed, doc.retried, doc.revoked, doc.rejected] =
        [time(8)?, time(9)?, time(10)?, time(11)?, time(12)?];
    Ok(())
}

/// The text of a column, which may be a reference.
pub fn text(db: &Connection, value: ValueRef<'_>) -> Result<Option<String>> {
    Ok(match value {
        ValueRef::Integer(id) => {
            let mut find = db.prepare_cached("SELECT body FROM text WHERE id = ?")?;
            let mut rows = find.query([id])?;
            match rows.next()? {
                Some(row) => Some(row.get(0)?),
                None => None,
            }
        }
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}
