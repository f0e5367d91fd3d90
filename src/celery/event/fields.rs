//! The fields of an event as both roads find them, and what event they make. What is known of a field and which type it
//! should have is said here alone.

use super::{Batch, Event, Field, TaskEvent, TaskEventKind, Text, WorkerEvent, WorkerEventKind};
use crate::celery::{Error, Result, TaskId};
use crate::clock::Stamp;

macro_rules! keys {
    ($($name:ident $wire:literal),* $(,)?) => {
        /// A field's name.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(super) enum Known { $($name,)* Unknown }

        /// How many names there are.
        pub(super) const NAMES: usize = [$($wire),*].len();

        impl Known {
            /// How Python's encoder writes it, with all that stands before the value.
            pub fn written(self) -> &'static str {
                match self { $(Known::$name => concat!("\"", $wire, "\": "),)* Known::Unknown => "" }
            }

            pub fn of(text: &str) -> Known {
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
    SwIdent "sw_ident", SwVer "sw_ver", SwSys "sw_sys", Id "id", Utcoffset "utcoffset",
}

/// The fields of any event, before it is known which kind it is: `type` comes last on the wire.
#[derive(Default)]
pub(super) struct Fields {
    pub size: usize,
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
    pub loadavg: Field<[f64; 3]>,
    sw_ident: Text,
    sw_ver: Text,
    sw_sys: Text,
    pub has_id: bool,
}

impl Fields {
    /// Takes in what a field holds.
    pub fn set(&mut self, key: Known, scalar: Scalar, batch: &mut Batch) {
        let text = match key {
            Known::Kind => &mut self.kind,
            Known::Uuid => &mut self.uuid,
            Known::Hostname => &mut self.hostname,
            Known::Name => &mut self.name,
            Known::Args => &mut self.args,
            Known::Kwargs => &mut self.kwargs,
            Known::Result => &mut self.result,
            Known::Exception => &mut self.exception,
            Known::Traceback => &mut self.traceback,
            Known::Queue => &mut self.queue,
            Known::Exchange => &mut self.exchange,
            Known::RoutingKey => &mut self.routing_key,
            Known::RootId => &mut self.root_id,
            Known::ParentId => &mut self.parent_id,
            Known::Eta => &mut self.eta,
            Known::Expires => &mut self.expires,
            Known::Signum => &mut self.signum,
            Known::SwIdent => &mut self.sw_ident,
            Known::SwVer => &mut self.sw_ver,
            Known::SwSys => &mut self.sw_sys,
            _ => return self.set_number(key, scalar),
        };
        *text = match scalar {
            Scalar::Null => Text::NULL,
            Scalar::Text(text) => text,
            Scalar::Bool(b) => batch.put(if b { "True" } else { "False" }),
            Scalar::Int(i) => batch.put(&i.to_string()),
            Scalar::Float(f) => batch.put(&f.to_string()),
        };
    }

    fn set_number(&mut self, key: Known, scalar: Scalar) {
        match key {
            Known::Timestamp => self.timestamp = scalar.float(),
            Known::Runtime => self.runtime = scalar.float(),
            Known::Freq => self.freq = scalar.float(),
            Known::Pid => self.pid = scalar.int(),
            Known::Clock => self.clock = scalar.int(),
            Known::Retries => self.retries = scalar.int(),
            Known::Active => self.active = scalar.int(),
            Known::Processed => self.processed = scalar.int(),
            Known::Terminated => self.terminated = matches!(scalar, Scalar::Bool(true)),
            Known::Expired => self.expired = matches!(scalar, Scalar::Bool(true)),
            _ => {}
        }
    }

    pub fn into_event(self, batch: &Batch, received: Stamp) -> Result<Event> {
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

/// A field's value. What is a list or an object is the text that it is written as.
pub(super) enum Scalar {
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
