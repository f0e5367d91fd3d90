//! Events: what workers and clients announce (Celery 5.7.0, `celery/events/dispatcher.py`, `worker/request.py`).
//!
//! A message holds one event or, as `task.multi`, a list. Decoding copies each text once, into the batch's one
//! buffer; an event refers to its texts by place, so that a batch of 512 events costs a handful of allocations.
//! There are two roads to it: a short one for what Celery writes, a long one for the rest.

mod any;
mod fields;
mod quick;

use std::borrow::Cow;
use std::ops::Range;

use serde::de::DeserializeSeed;

use any::{BodySeed, read_all};
use fields::Fields;

use super::envelope::{Coding, Envelope, Format, Scratch, document, format, plain};
use super::{Error, Result, TaskId, json};
use crate::clock::Stamp;

/// Events in the order they came, with the texts they refer to.
#[derive(Debug, Default)]
pub struct Batch {
    text: String,
    pub events: Vec<Event>,
    /// Events and messages that could not be read, with the reason. Their number is exact, the texts are for showing.
    pub undecodable: Vec<Undecodable>,
    scratch: Scratch,
    order: quick::Order,
}

/// Bytes of text that a batch keeps room for.
const ROOM: usize = 1 << 20;

/// A message or event that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// Bytes on the wire.
    pub size: usize,
    pub why: Error,
}

/// A field's value, or that the sender left it out: absent fields leave what is known, null ones erase it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Field::Value(v) => Some(v),
            _ => None,
        }
    }

    /// Overwrites `slot` unless the field is absent.
    pub fn apply(self, slot: &mut Option<T>) {
        match self {
            Field::Absent => {}
            Field::Null => *slot = None,
            Field::Value(v) => *slot = Some(v),
        }
    }
}

/// A text inside a [`Batch`]: where it begins, and its length plus two; 0 there is an absent field, 1 a null one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Text {
    at: u32,
    size: u32,
}

impl Text {
    const NULL: Text = Text { at: 0, size: 1 };

    /// Whether the sender left the field out.
    pub fn is_absent(self) -> bool {
        self.size == 0
    }

    fn place(self) -> Field<Range<usize>> {
        match self.size {
            0 => Field::Absent,
            1 => Field::Null,
            size => Field::Value(self.at as usize..self.at as usize + size as usize - 2),
        }
    }

    fn skip(self, bytes: u32) -> Self {
        let bytes = bytes.min(self.size.saturating_sub(2));
        Text { at: self.at + bytes, size: self.size - bytes }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Task(TaskEvent),
    Worker(WorkerEvent),
    /// Of a group that neither Celery nor we know what to do with.
    Other,
}

/// What happened to a task. `Custom` holds the part of the type behind `task-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEventKind {
    Sent,
    Received,
    Started,
    Succeeded,
    Failed,
    Retried,
    Revoked,
    Rejected,
    Custom(Text),
}

impl TaskEventKind {
    /// Its type as it stands on the wire; the batch has the texts of those that are not Celery's own.
    pub fn name(self, batch: &Batch) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            TaskEventKind::Sent => "task-sent",
            TaskEventKind::Received => "task-received",
            TaskEventKind::Started => "task-started",
            TaskEventKind::Succeeded => "task-succeeded",
            TaskEventKind::Failed => "task-failed",
            TaskEventKind::Retried => "task-retried",
            TaskEventKind::Revoked => "task-revoked",
            TaskEventKind::Rejected => "task-rejected",
            TaskEventKind::Custom(own) => {
                return Cow::Owned(format!("task-{}", batch.text(own).unwrap_or_default()));
            }
        })
    }
}

/// An event of the group `task`. `hostname` is the worker, or the client for `task-sent`.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEvent {
    pub kind: TaskEventKind,
    pub id: TaskId,
    pub hostname: Text,
    pub stamp: Stamp,
    pub received: Stamp,
    pub pid: Field<i64>,
    pub clock: Field<i64>,
    pub name: Text,
    pub args: Text,
    pub kwargs: Text,
    pub result: Text,
    pub exception: Text,
    pub traceback: Text,
    pub queue: Text,
    pub exchange: Text,
    pub routing_key: Text,
    pub root_id: Text,
    pub parent_id: Text,
    pub eta: Text,
    pub expires: Text,
    pub signum: Text,
    pub retries: Field<i64>,
    /// Seconds.
    pub runtime: Field<f64>,
    pub terminated: bool,
    pub expired: bool,
}

/// What a worker says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEventKind {
    Online,
    Heartbeat,
    Offline,
    Other,
}

/// An event of the group `worker`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerEvent {
    pub kind: WorkerEventKind,
    pub hostname: Text,
    pub stamp: Option<Stamp>,
    pub received: Stamp,
    pub pid: Field<i64>,
    pub clock: Field<i64>,
    /// Seconds between heartbeats.
    pub freq: Field<f64>,
    pub active: Field<i64>,
    pub processed: Field<i64>,
    pub loadavg: Field<[f64; 3]>,
    pub sw_ident: Text,
    pub sw_ver: Text,
    pub sw_sys: Text,
    /// `worker-elect*` carry an `id`, on which Celery's own state stumbles (`protocol/README.md`, 2.4 W2).
    pub has_id: bool,
}

impl Batch {
    /// A text's characters; `None` where the field is null or absent.
    pub fn text(&self, text: Text) -> Option<&str> {
        self.field(text).value()
    }

    /// A text as a field, so that null and absent are told apart.
    pub fn field(&self, text: Text) -> Field<&str> {
        match text.place() {
            Field::Absent => Field::Absent,
            Field::Null => Field::Null,
            Field::Value(place) => Field::Value(self.text.get(place).unwrap_or_default()),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.undecodable.is_empty()
    }

    /// Empties it for the next messages. Its room stays, unless it grew far beyond what is usual.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(ROOM);
        self.scratch.shrink_to(ROOM);
        self.events.clear();
        self.undecodable.clear();
    }

    /// Bytes it holds, for bounding queues.
    pub fn size(&self) -> usize {
        self.text.len() + self.events.len() * size_of::<TaskEvent>() + self.undecodable.len() * 64
    }

    /// Adds what a message holds. What can't be read is added to `undecodable`; nothing is lost silently.
    pub fn push(&mut self, data: &[u8], coding: &Coding, received: Stamp) {
        match coding {
            Coding::Envelope => self.push_redis(data, received),
            Coding::Body { content_type, compression } => {
                let pushed = plain(data, compression.as_deref())
                    .and_then(|body| self.push_body(format(content_type)?, &body, received));
                if let Err(why) = pushed {
                    self.undecodable.push(Undecodable { size: data.len(), why });
                }
            }
        }
    }

    /// Adds what a Redis message holds. What can't be read is added to `undecodable`; nothing is lost silently.
    pub fn push_redis(&mut self, data: &[u8], received: Stamp) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let before = self.mark();
        let pushed = scratch.body(data).map(|(format, body)| self.push_body(format, body, received));
        self.scratch = scratch;
        if pushed.is_none_or(|pushed| pushed.is_err()) {
            self.back_to(before);
            self.push_whole(data, received);
        }
    }

    fn push_whole(&mut self, data: &[u8], received: Stamp) {
        let pushed = Envelope::parse(data).and_then(|envelope| {
            let body = envelope.body()?;
            self.push_body(format(envelope.content_type())?, &body, received)
        });
        if let Err(why) = pushed {
            self.undecodable.push(Undecodable { size: data.len(), why });
        }
    }

    /// Adds the events of a serialised body: one object or a list.
    pub fn push_body(&mut self, format: Format, body: &[u8], received: Stamp) -> Result<()> {
        let before = self.mark();
        if format == Format::Json {
            if quick::read(self, body, received).is_some() {
                return Ok(());
            }
            self.back_to(before);
        }
        match format {
            Format::Json => json::with_python_json(body, |bytes| {
                self.back_to(before);
                let seed = BodySeed { batch: self, received };
                // Checked as a whole, which costs less than each text by itself.
                match std::str::from_utf8(bytes) {
                    Ok(text) => read_all(seed, serde_json::Deserializer::from_str(text)),
                    Err(_) => read_all(seed, serde_json::Deserializer::from_slice(bytes)),
                }
            }),
            Format::Msgpack => BodySeed { batch: self, received }
                .deserialize(document(format, body)?)
                .map_err(|e| Error::Json(e.to_string())),
        }
    }

    /// How much there is.
    fn mark(&self) -> [usize; 3] {
        [self.text.len(), self.events.len(), self.undecodable.len()]
    }

    /// Takes back what came after a mark.
    fn back_to(&mut self, [text, events, undecodable]: [usize; 3]) {
        self.text.truncate(text);
        self.events.truncate(events);
        self.undecodable.truncate(undecodable);
    }

    fn put(&mut self, text: &str) -> Text {
        let start = self.text.len();
        self.text.push_str(text);
        self.since(start)
    }

    /// What was added to the texts since this place.
    fn since(&self, start: usize) -> Text {
        // A batch is far from 4 GB: a message has 64 MB at most.
        match (u32::try_from(start), u32::try_from(self.text.len() - start + 2)) {
            (Ok(at), Ok(size)) => Text { at, size },
            _ => Text::NULL,
        }
    }

    fn push_fields(&mut self, fields: Fields, received: Stamp) {
        let size = fields.size;
        match fields.into_event(self, received) {
            Ok(event) => self.events.push(event),
            Err(why) => self.undecodable.push(Undecodable { size, why }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> (Batch, Result<()>) {
        let mut batch = Batch::default();
        let done = batch.push_body(Format::Json, text.as_bytes(), Stamp::EPOCH);
        (batch, done)
    }

    #[test]
    fn an_absent_field_is_not_a_null_one() {
        let (batch, done) = body(
            r#"{"type": "task-received", "uuid": "1", "hostname": "w@h", "timestamp": 5, "name": "a.b", "args": null}"#,
        );
        done.expect("readable");
        let [Event::Task(task)] = &batch.events[..] else { panic!("{:?}", batch.events) };
        assert_eq!(batch.field(task.name), Field::Value("a.b"));
        assert_eq!(batch.field(task.args), Field::Null);
        assert_eq!(batch.field(task.kwargs), Field::Absent);
    }

    #[test]
    fn one_bad_event_in_a_list_costs_only_itself() {
        let (batch, done) = body(
            r#"[{"type": "task-started", "uuid": "1", "hostname": "w", "timestamp": 1},
                {"type": "task-started", "hostname": "w", "timestamp": 1},
                {"type": "task-started", "uuid": "2", "timestamp": 1},
                {"type": "task-started", "uuid": "2", "hostname": "w", "timestamp": "soon"},
                {"uuid": "2"}, {"type": "nonsense"}]"#,
        );
        done.expect("readable");
        assert_eq!(batch.events.len(), 2);
        let why: Vec<_> = batch.undecodable.iter().map(|u| u.why.to_string()).collect();
        assert_eq!(why, ["no uuid in it", "no hostname in it", "no timestamp in it", "no type in it"]);
    }

    #[test]
    fn wrong_typed_texts_are_kept_as_text() {
        let (batch, _) = body(
            r#"{"type": "task-succeeded", "uuid": 7, "hostname": "w", "timestamp": 1, "result": {"a": [1]}, "args": NaN, "retries": "x"}"#,
        );
        let [Event::Task(task)] = &batch.events[..] else { panic!("{batch:?}") };
        assert_eq!(task.id.to_string(), "7");
        assert_eq!(batch.text(task.result), Some(r#"{"a":[1]}"#));
        assert_eq!(batch.field(task.args), Field::Null);
        assert_eq!(task.retries, Field::Null);
    }

    #[test]
    fn what_is_no_event_is_counted_with_its_reason() {
        let mut batch = Batch::default();
        batch.push_redis(b"hello", Stamp::EPOCH);
        batch.push_redis(br#"{"body": "[1, 2]", "properties": {}}"#, Stamp::EPOCH);
        batch.push_redis(br#"{"body": "x", "content-type": "application/x-python-serialize"}"#, Stamp::EPOCH);
        assert_eq!(batch.undecodable.len(), 3);
        assert_eq!(batch.undecodable[2].why, Error::Pickle);
        assert!(batch.events.is_empty());
    }

    #[test]
    fn an_event_is_read_from_msgpack_as_from_json() {
        let mut bytes = Vec::new();
        let map = rmpv::Value::Map(vec![
            ("type".into(), "worker-heartbeat".into()),
            ("hostname".into(), "w@h".into()),
            ("timestamp".into(), rmpv::Value::F64(2.5)),
            ("active".into(), 3.into()),
        ]);
        rmpv::encode::write_value(&mut bytes, &map).expect("in memory");
        let mut batch = Batch::default();
        batch.push_body(Format::Msgpack, &bytes, Stamp::EPOCH).expect("readable");
        let [Event::Worker(worker)] = &batch.events[..] else { panic!("{batch:?}") };
        assert_eq!((worker.kind, worker.active), (WorkerEventKind::Heartbeat, Field::Value(3)));
    }
}
