//! Documents of Celery's result backends (Celery 5.7.0, `celery/backends/base.py`).

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Error, Result, json};
use crate::redact::Redactor;

/// What lies in the place of a task's result.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    Result(Box<TaskResult>),
    Opaque(Opaque),
}

/// Something that can't be read, such as pickled bytes, which are never run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    pub size: usize,
    pub why: String,
}

impl Opaque {
    /// Why a pickle is not read.
    pub const PICKLED: &str = "it is pickled";

    /// What can't be read for this reason.
    fn of(bytes: &[u8], why: &Error) -> Self {
        // A pickle begins with its protocol (Python's `pickletools`).
        let is_pickle = bytes.first() == Some(&0x80);
        Self { size: bytes.len(), why: if is_pickle { Self::PICKLED.into() } else { why.to_string() } }
    }

    /// A value in JSON, or why it can't be read.
    pub fn or_value(bytes: &[u8]) -> std::result::Result<Value, Self> {
        json::parse(bytes).map_err(|why| Self::of(bytes, &why))
    }
}

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, not read: {}", crate::human::bytes(self.size as u64), self.why)
    }
}

impl Stored {
    /// Reads a stored document, or says why it can't be read.
    pub fn read(bytes: &[u8]) -> Self {
        match TaskResult::decode(bytes) {
            Ok(result) => Stored::Result(Box::new(result)),
            Err(why) => Stored::Opaque(Opaque::of(bytes, &why)),
        }
    }

    /// The document, if it can be read.
    pub fn result(&self) -> Option<&TaskResult> {
        match self {
            Stored::Result(result) => Some(result),
            Stored::Opaque(_) => None,
        }
    }

    /// Bytes it takes in memory, roughly.
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_deref().map_or(0, str::len);
        match self {
            Stored::Opaque(opaque) => opaque.why.len() + 64,
            Stored::Result(r) => 512 + r.length + text(&r.traceback),
        }
    }
}

/// What the result backend keeps of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskResult {
    pub status: String,
    /// The returned value; for a failure the exception as `Type: message`.
    pub result: Value,
    /// What stands in the place of a result that can't be read, while the rest can.
    pub unread: Option<Opaque>,
    pub traceback: Option<String>,
    /// ISO 8601.
    pub date_done: Option<String>,
    pub parent_id: Option<String>,
    pub group_id: Option<String>,
    /// Only with `result_extended`.
    pub name: Option<String>,
    pub args: Option<Value>,
    pub kwargs: Option<Value>,
    /// The same as JSON to the letter, where the document is one that can be read so.
    pub raw_args: Option<String>,
    pub raw_kwargs: Option<String>,
    pub worker: Option<String>,
    pub retries: Option<i64>,
    pub queue: Option<String>,
    /// Bytes of the whole document.
    pub length: usize,
}

/// The arguments of a document, not read.
#[derive(Default, serde::Deserialize)]
struct RawArguments<'d> {
    #[serde(borrow, default)]
    args: Option<&'d RawValue>,
    #[serde(borrow, default)]
    kwargs: Option<&'d RawValue>,
}

impl TaskResult {
    /// Reads a stored document; a group's (`{"result": [...]}` without a status) is none of a task.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let Value::Object(mut map) = json::parse(bytes)? else {
            return Err(Error::Shape("result is not an object"));
        };
        let mut text = |key: &str| match map.shift_remove(key) {
            Some(Value::String(s)) => Some(s),
            _ => None,
        };
        let status = text("status").ok_or(Error::Missing("status"))?;
        let (traceback, date_done) = (text("traceback"), text("date_done"));
        let (parent_id, group_id) = (text("parent_id"), text("group_id"));
        let (name, worker, queue) = (text("name"), text("worker"), text("queue"));
        // Where Python wrote what is no JSON, numbers were changed to make it some: that is nothing to be sent again.
        let raw: RawArguments<'_> = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |raw: Option<&RawValue>, first: char| {
            raw.map(|raw| raw.get().to_owned()).filter(|text| text.starts_with(first))
        };
        let (raw_args, raw_kwargs) = (text(raw.args, '['), text(raw.kwargs, '{'));
        let mut any = |key: &str| map.shift_remove(key).filter(|v| !v.is_null());
        Ok(Self {
            status,
            traceback,
            date_done,
            parent_id,
            group_id,
            name,
            worker,
            queue,
            raw_args,
            raw_kwargs,
            args: any("args"),
            kwargs: any("kwargs"),
            retries: any("retries").and_then(|v| v.as_i64()),
            result: any("result").unwrap_or(Value::Null),
            unread: None,
            length: bytes.len(),
        })
    }

    /// Whether nothing more is expected.
    pub fn is_ready(&self) -> bool {
        matches!(self.status.as_str(), "SUCCESS" | "FAILURE" | "REVOKED")
    }

    /// The positional arguments as Python prints them, without secrets.
    pub fn args_text(&self, redactor: &Redactor) -> Option<String> {
        let args = self.args.as_ref()?;
        let printed = as_printed(args).unwrap_or_else(|| json::to_python_args(args));
        Some(redactor.text(&printed).into_owned())
    }

    /// The keyword arguments, likewise.
    pub fn kwargs_text(&self, redactor: &Redactor) -> Option<String> {
        let kwargs = self.kwargs.as_ref()?;
        let printed = as_printed(kwargs).unwrap_or_else(|| json::to_python(kwargs));
        Some(redactor.text(&printed).into_owned())
    }

    /// The returned value, likewise; of a failure there is none.
    pub fn value(&self, redactor: &Redactor) -> Option<String> {
        let read = self.status == "SUCCESS" && self.unread.is_none();
        read.then(|| redactor.text(&json::to_python(&self.result)).into_owned())
    }

    /// The traceback without secrets.
    pub fn traceback_text(&self, redactor: &Redactor) -> Option<Cow<'_, str>> {
        Some(redactor.traceback(self.traceback.as_deref()?))
    }

    /// The exception a failed task left, as `Type(arguments)`, without secrets.
    pub fn exception(&self, redactor: &Redactor) -> Option<String> {
        let kind = self.result.get("exc_type")?.as_str()?;
        let message = match self.result.get("exc_message") {
            Some(Value::Array(items)) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        Some(redactor.text(&format!("{kind}({message})")).into_owned())
    }
}

/// Arguments that a backend keeps as Python printed them: django-celery-results (2.6.0, `backends/database.py`) writes the
/// message's `argsrepr`.
fn as_printed(arguments: &Value) -> Option<String> {
    arguments.as_str().map(str::to_owned)
}

/// The key under which a task's result lies in Redis.
pub fn redis_key(id: &super::TaskId) -> String {
    format!("celery-task-meta-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_is_named_and_never_run() {
        assert_eq!(Stored::read(b"\x80\x04K\x01."), Stored::Opaque(Opaque { size: 5, why: "it is pickled".into() }));
        let read = Stored::read(br#"{"status": "SUCCESS", "result": {"a": [true, null]}}"#);
        assert_eq!(read.result().and_then(|r| r.value(&Redactor::default())).as_deref(), Some("{'a': [True, None]}"));
        assert!(matches!(Stored::read(b"plain"), Stored::Opaque(Opaque { size: 5, .. })));
    }

    #[test]
    fn arguments_are_kept_to_the_letter_where_that_can_be() {
        let raw = |args: &str| {
            let doc = format!(r#"{{"status": "FAILURE", "args": {args}, "kwargs": {{"a": 1.0}}}}"#);
            let read = TaskResult::decode(doc.as_bytes()).expect("readable");
            (read.raw_args, read.raw_kwargs)
        };
        let big = "[1e2, 123456789012345678901234567890]";
        assert_eq!(raw(big), (Some(big.to_owned()), Some(r#"{"a": 1.0}"#.to_owned())));
        assert_eq!(raw("[NaN]"), (None, None));
        assert_eq!(raw("\"('printed',)\"").0, None);
    }

    #[test]
    fn a_failure_names_its_exception() {
        let doc = br#"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["no", 3], "exc_module": "builtins"}, "traceback": "T", "task_id": "x", "retries": 2}"#;
        let result = TaskResult::decode(doc).expect("readable");
        assert_eq!(result.exception(&Redactor::default()).as_deref(), Some(r#"ValueError("no", 3)"#));
        assert_eq!((result.traceback.as_deref(), result.retries), (Some("T"), Some(2)));
    }
}
