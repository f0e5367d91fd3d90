//! Events: what workers and clients announce (Celery 5.7.0, `celery/events/dispatcher.py`, `worker/request.py`).
//!
//! A message holds one event or, as `task.multi`, a list. Decoding copies each text once, into the batch's one
//! buffer; an event refers to its texts by place, so that a batch of 512 events costs a handful of allocations.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

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
        // A batch is far from 4 GB: a message has 64 MB at most.
        let (Ok(at), Ok(size)) = (u32::try_from(self.text.len()), u32::try_from(text.len() + 2)) else {
            return Text::NULL;
        };
        self.text.push_str(text);
        Text { at, size }
    }

    fn push_fields(&mut self, fields: Fields, received: Stamp) {
        let size = fields.size;
        match fields.into_event(self, received) {
            Ok(event) => self.events.push(event),
            Err(why) => self.undecodable.push(Undecodable { size, why }),
        }
    }
}

fn read_all<'de, R: serde_json::de::Read<'de>>(
    seed: BodySeed<'_>,
    mut de: serde_json::Deserializer<R>,
) -> serde_json::Result<()> {
    seed.deserialize(&mut de)?;
    de.end()
}

/// The fields of any event, before it is known which kind it is: `type` comes last on the wire.
#[derive(Default)]
struct Fields {
    size: usize,
    kind: Text,
    uuid: Text,
    hostname: Text,
    timestamp: Field<f64>,
    pid: Field<i64>,
    clock: Field<i64>,
    name: Text,
    args: Text,
    kwargs: Text,
    result: Text,
    exception: Text,
    traceback: Text,
    queue: Text,
    exchange: Text,
    routing_key: Text,
    root_id: Text,
    parent_id: Text,
    eta: Text,
    expires: Text,
    signum: Text,
    retries: Field<i64>,
    runtime: Field<f64>,
    terminated: bool,
    expired: bool,
    freq: Field<f64>,
    active: Field<i64>,
    processed: Field<i64>,
    loadavg: Field<[f64; 3]>,
    sw_ident: Text,
    sw_ver: Text,
    sw_sys: Text,
    has_id: bool,
}

impl Fields {
    fn into_event(self, batch: &Batch, received: Stamp) -> Result<Event> {
        let kind = batch.text(self.kind).ok_or(Error::Missing("type"))?;
        let (group, subject) = kind.split_once('-').unwrap_or((kind, ""));
        match group {
            "worker" => Ok(Event::Worker(self.into_worker(subject, batch, received)?)),
            "task" => Ok(Event::Task(self.into_task(subject, batch, received)?)),
            _ => Ok(Event::Other),
        }
    }

    fn into_worker(self, subject: &str, batch: &Batch, received: Stamp) -> Result<WorkerEvent> {
        batch.text(self.hostname).ok_or(Error::Missing("hostname"))?;
        Ok(WorkerEvent {
            kind: match subject {
                "online" => WorkerEventKind::Online,
                "heartbeat" => WorkerEventKind::Heartbeat,
                "offline" => WorkerEventKind::Offline,
                _ => WorkerEventKind::Other,
            },
            hostname: self.hostname,
            stamp: Some(self.timestamp.value().and_then(Stamp::from_secs).ok_or(Error::Missing("timestamp"))?),
            received,
            pid: self.pid,
            clock: self.clock,
            freq: self.freq,
            active: self.active,
            processed: self.processed,
            loadavg: self.loadavg,
            sw_ident: self.sw_ident,
            sw_ver: self.sw_ver,
            sw_sys: self.sw_sys,
            has_id: self.has_id,
        })
    }

    fn into_task(self, subject: &str, batch: &Batch, received: Stamp) -> Result<TaskEvent> {
        let id = batch.text(self.uuid).ok_or(Error::Missing("uuid"))?;
        batch.text(self.hostname).ok_or(Error::Missing("hostname"))?;
        Ok(TaskEvent {
            kind: match subject {
                "sent" => TaskEventKind::Sent,
                "received" => TaskEventKind::Received,
                "started" => TaskEventKind::Started,
                "succeeded" => TaskEventKind::Succeeded,
                "failed" => TaskEventKind::Failed,
                "retried" => TaskEventKind::Retried,
                "revoked" => TaskEventKind::Revoked,
                "rejected" => TaskEventKind::Rejected,
                _ => TaskEventKind::Custom(self.kind.skip(5)),
            },
            id: TaskId::new(id),
            hostname: self.hostname,
            stamp: self.timestamp.value().and_then(Stamp::from_secs).ok_or(Error::Missing("timestamp"))?,
            received,
            pid: self.pid,
            clock: self.clock,
            name: self.name,
            args: self.args,
            kwargs: self.kwargs,
            result: self.result,
            exception: self.exception,
            traceback: self.traceback,
            queue: self.queue,
            exchange: self.exchange,
            routing_key: self.routing_key,
            root_id: self.root_id,
            parent_id: self.parent_id,
            eta: self.eta,
            expires: self.expires,
            signum: self.signum,
            retries: self.retries,
            runtime: self.runtime,
            terminated: self.terminated,
            expired: self.expired,
        })
    }
}

/// A body: an event or a list of them.
struct BodySeed<'b> {
    batch: &'b mut Batch,
    received: Stamp,
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> std::result::Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event or a list of events")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let start = self.batch.text.len();
        let mut fields = Fields::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            read_field(key, &mut fields, &mut map, self.batch)?;
        }
        fields.size = self.batch.text.len() - start;
        self.batch.push_fields(fields, self.received);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while seq.next_element_seed(BodySeed { batch: self.batch, received: self.received })?.is_some() {}
        Ok(())
    }
}

macro_rules! keys {
    ($($name:ident $wire:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Known { $($name,)* Unknown }
        impl Known {
            fn of(text: &str) -> Known {
                match text { $($wire => Known::$name,)* _ => Known::Unknown }
            }
        }
    };
}

keys! {
    Kind "type", Uuid "uuid", Hostname "hostname", Timestamp "timestamp", Pid "pid", Clock "clock", Name "name",
    Args "args", Kwargs "kwargs", Result "result", Exception "exception", Traceback "traceback", Queue "queue",
    Exchange "exchange", RoutingKey "routing_key", RootId "root_id", ParentId "parent_id", Eta "eta",
    Expires "expires", Signum "signum", Retries "retries", Runtime "runtime", Terminated "terminated",
    Expired "expired", Freq "freq", Active "active", Processed "processed", Loadavg "loadavg",
    SwIdent "sw_ident", SwVer "sw_ver", SwSys "sw_sys", Id "id",
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Known;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> std::result::Result<Known, D::Error> {
        de.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Known;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, text: &str) -> std::result::Result<Known, E> {
        Ok(Known::of(text))
    }
}

fn read_field<'de, A: MapAccess<'de>>(
    key: Known,
    fields: &mut Fields,
    map: &mut A,
    batch: &mut Batch,
) -> std::result::Result<(), A::Error> {
    let text = match key {
        Known::Unknown => return map.next_value::<IgnoredAny>().map(|_| ()),
        Known::Id => {
            fields.has_id = true;
            return map.next_value::<IgnoredAny>().map(|_| ());
        }
        Known::Loadavg => {
            fields.loadavg = loadavg(&map.next_value::<Value>()?);
            return Ok(());
        }
        Known::Kind => &mut fields.kind,
        Known::Uuid => &mut fields.uuid,
        Known::Hostname => &mut fields.hostname,
        Known::Name => &mut fields.name,
        Known::Args => &mut fields.args,
        Known::Kwargs => &mut fields.kwargs,
        Known::Result => &mut fields.result,
        Known::Exception => &mut fields.exception,
        Known::Traceback => &mut fields.traceback,
        Known::Queue => &mut fields.queue,
        Known::Exchange => &mut fields.exchange,
        Known::RoutingKey => &mut fields.routing_key,
        Known::RootId => &mut fields.root_id,
        Known::ParentId => &mut fields.parent_id,
        Known::Eta => &mut fields.eta,
        Known::Expires => &mut fields.expires,
        Known::Signum => &mut fields.signum,
        Known::SwIdent => &mut fields.sw_ident,
        Known::SwVer => &mut fields.sw_ver,
        Known::SwSys => &mut fields.sw_sys,
        _ => return read_number(key, fields, map.next_value_seed(ScalarSeed(batch))?),
    };
    *text = match map.next_value_seed(ScalarSeed(batch))? {
        Scalar::Null => Text::NULL,
        Scalar::Text(text) => text,
        Scalar::Bool(b) => batch.put(if b { "True" } else { "False" }),
        Scalar::Int(i) => batch.put(&i.to_string()),
        Scalar::Float(f) => batch.put(&f.to_string()),
    };
    Ok(())
}

fn read_number<E>(key: Known, fields: &mut Fields, scalar: Scalar) -> std::result::Result<(), E> {
    match key {
        Known::Timestamp => fields.timestamp = scalar.float(),
        Known::Runtime => fields.runtime = scalar.float(),
        Known::Freq => fields.freq = scalar.float(),
        Known::Pid => fields.pid = scalar.int(),
        Known::Clock => fields.clock = scalar.int(),
        Known::Retries => fields.retries = scalar.int(),
        Known::Active => fields.active = scalar.int(),
        Known::Processed => fields.processed = scalar.int(),
        Known::Terminated => fields.terminated = matches!(scalar, Scalar::Bool(true)),
        Known::Expired => fields.expired = matches!(scalar, Scalar::Bool(true)),
        _ => {}
    }
    Ok(())
}

fn loadavg(value: &Value) -> Field<[f64; 3]> {
    match value.as_array().map(Vec::as_slice) {
        Some([a, b, c]) => match (a.as_f64(), b.as_f64(), c.as_f64()) {
            (Some(a), Some(b), Some(c)) => Field::Value([a, b, c]),
            _ => Field::Null,
        },
        _ => Field::Null,
    }
}

enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
}

impl Scalar {
    fn int(self) -> Field<i64> {
        match self {
            Scalar::Int(i) => Field::Value(i),
            Scalar::Float(f) if f.is_finite() => Field::Value(f as i64),
            _ => Field::Null,
        }
    }

    fn float(self) -> Field<f64> {
        match self {
            Scalar::Int(i) => Field::Value(i as f64),
            Scalar::Float(f) => Field::Value(f),
            _ => Field::Null,
        }
    }
}

/// Reads any value: texts go to the batch's buffer, lists and maps as the JSON they are.
struct ScalarSeed<'b>(&'b mut Batch);

impl<'de> DeserializeSeed<'de> for ScalarSeed<'_> {
    type Value = Scalar;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> std::result::Result<Scalar, D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed<'_> {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Null)
    }
    fn visit_none<E>(self) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, b: bool) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Bool(b))
    }
    fn visit_i64<E>(self, i: i64) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Int(i))
    }
    fn visit_u64<E>(self, u: u64) -> std::result::Result<Scalar, E> {
        Ok(i64::try_from(u).map_or(Scalar::Float(u as f64), Scalar::Int))
    }
    fn visit_f64<E>(self, f: f64) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Float(f))
    }
    fn visit_str<E>(self, text: &str) -> std::result::Result<Scalar, E> {
        Ok(Scalar::Text(self.0.put(text)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Scalar, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Value>()? {
            items.push(item);
        }
        Ok(Scalar::Text(self.0.put(&Value::Array(items).to_string())))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Scalar, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            object.insert(key, value);
        }
        Ok(Scalar::Text(self.0.put(&Value::Object(object).to_string())))
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
