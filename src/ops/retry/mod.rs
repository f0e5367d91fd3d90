//! Sending a task again with exactly the arguments it had, or not at all. They are taken from the first source that has
//! them whole: the message itself, where it was kept or seen in its queue; the result backend, with `result_extended`;
//! what its event printed, read as Python literals.

mod gather;
pub(super) mod repeat;
mod twice;

use std::borrow::Cow;

pub(super) use twice::twice;

use crate::celery::json as python;
use crate::celery::message::Outgoing;
use crate::celery::original::Original;
use crate::celery::queue::behind_delay;
use crate::celery::result::TaskResult;
use crate::celery::{TaskId, repr};

use crate::redact::{HIDDEN, Redactor};
use crate::state::{Model, Task};
use crate::text::cut_end;

/// Columns for the arguments of one of several tasks.
const SHOWN: usize = 24;

/// What is said where secrets are not shown.
pub(super) const SENT_WHOLE: &str = "What is shown as *** is sent as it was.";

/// A task ready to be sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub original: TaskId,
    pub message: Outgoing,
    /// What the new task does not have of the old one.
    pub loses: Vec<&'static str>,
    pub source: Source,
}

/// Where arguments come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Original,
    Results,
    Events,
    /// Typed by a person.
    Person,
}

impl Source {
    /// In a few words.
    pub fn word(self) -> &'static str {
        match self {
            Source::Original => "its own message, to the letter",
            Source::Results => "the result backend",
            Source::Events => "its event, read as Python literals",
            Source::Person => "what you typed",
        }
    }
}

/// How a task is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// In place of the queue it came from.
    pub queue: Option<String>,
    /// When it may start: ISO 8601.
    pub eta: Option<String>,
    /// Under the id it had.
    pub same_id: bool,
    /// Python literals or JSON in place of what is known.
    pub args: Option<String>,
    pub kwargs: Option<String>,
}

/// What is known of a task besides its events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    pub original: Option<&'k Original>,
    pub result: Option<&'k TaskResult>,
}

/// Why a task can't be sent again exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("nothing is known of it here")]
    Unknown,
    #[error("its name is not known")]
    NoName,
    #[error("its {what} are not known: no event had them")]
    Missing { what: &'static str },
    #[error("its {what} can't be read back: {why}")]
    NotLiteral { what: &'static str, why: repr::Error },
    #[error("its {what} can't be sent as JSON: {why}")]
    NotJson { what: &'static str, why: repr::NotJson },
    #[error("its {what} are not {wanted}")]
    WrongKind { what: &'static str, wanted: &'static str },
    #[error("its {what} had secrets, which the history does not keep")]
    Hidden { what: &'static str },
    #[error("the queue it was sent to is not known (say which with --queue)")]
    NoQueue,
    #[error("its message can't be sent again: {0}")]
    Unreadable(String),
}

impl Refusal {
    /// Whether it can be sent once a person has said what its arguments were.
    pub fn wants_arguments(&self) -> bool {
        matches!(
            self,
            Refusal::Missing { .. } | Refusal::NotLiteral { .. } | Refusal::NotJson { .. } | Refusal::Hidden { .. }
        )
    }
}

impl Retry {
    /// Prepares a task to be sent again, by what is known of it.
    pub fn prepare(model: &Model, id: &TaskId, known: &Known<'_>, options: &Options) -> Result<Self, Refusal> {
        let typed = options.args.is_some() || options.kwargs.is_some();
        if let Some(original) = known.original.filter(|_| !typed) {
            return repeat::repeat(id, original, options);
        }
        let task = model.task(id);
        let result = known.result;
        let name = task.as_ref().and_then(|t| t.name().map(str::to_owned)).or_else(|| result?.name.clone());
        let name = name.ok_or(if task.is_none() { Refusal::Unknown } else { Refusal::NoName })?;
        let stored = result.and_then(|r| Some((r.raw_args.clone()?, r.raw_kwargs.clone()?)));
        let (args, kwargs, source) = match (stored, &task) {
            _ if typed => (
                typed_or_known(options.args.as_deref(), task.as_ref(), 0)?,
                typed_or_known(options.kwargs.as_deref(), task.as_ref(), 1)?,
                Source::Person,
            ),
            (Some((args, kwargs)), _) => (Argument::json(args), Argument::json(kwargs), Source::Results),
            (None, Some(task)) => (printed(task, 0)?, printed(task, 1)?, Source::Events),
            (None, None) => return Err(Refusal::Unknown),
        };
        let route = if options.queue.is_some() { None } else { task.as_ref().and_then(route_of) };
        let from_task = || task.as_ref().and_then(|task| queue_of(model, task)).or_else(|| result?.queue.clone());
        let queue = options.queue.clone().or_else(from_task).ok_or(Refusal::NoQueue)?;
        let root = task.as_ref().and_then(|task| task.root().map(|root| root.to_string()));
        let parent = task.as_ref().and_then(|task| task.parent().map(ToString::to_string));
        let message = Outgoing {
            id: id_of(id, options),
            name,
            args: args.json,
            kwargs: kwargs.json,
            argsrepr: args.printed,
            kwargsrepr: kwargs.printed,
            queue,
            route,
            priority: 0,
            root_id: root,
            parent_id: parent.or_else(|| result?.parent_id.clone()),
            origin: origin(),
            eta: options.eta.clone(),
            expires: None,
            like: None,
        };
        // Neither an event nor a result says what else its message carried.
        let loses =
            vec!["callbacks, the rest of a chain or its chord, time limits and priority: only its message has them"];
        Ok(Self { original: id.clone(), message, loses, source })
    }

    /// The whole message, for a confirmation; secrets are not shown, and said to be sent.
    pub fn lines(&self, redactor: &Redactor) -> Vec<String> {
        let m = &self.message;
        let (args, kwargs) = (redactor.text(&m.argsrepr), redactor.text(&m.kwargsrepr));
        let mut lines = vec![
            format!("task    {}", m.name),
            format!("args    {args}"),
            format!("kwargs  {kwargs}"),
            format!("queue   {}   priority {}", m.queue, m.priority),
            match m.id == self.original {
                true => format!("id      {}, the one it had", m.id),
                false => format!("new id  {}", m.id),
            },
        ];
        lines.extend(m.eta.as_ref().map(|eta| format!("eta     {eta}")));
        lines.push(format!("known   from {}", self.source.word()));
        lines.push(String::new());
        lines.extend(self.has_secrets(redactor).then(|| SENT_WHOLE.to_owned()));
        lines.extend(self.loses.iter().map(|l| format!("Not kept: {l}.")));
        lines
    }

    /// Whether it holds secrets, which are not shown.
    pub fn has_secrets(&self, redactor: &Redactor) -> bool {
        let m = &self.message;
        [&m.argsrepr, &m.kwargsrepr].iter().any(|text| matches!(redactor.text(text), Cow::Owned(_)))
    }

    /// The message in one line: long arguments are shortened, none is left away.
    pub fn line(&self, redactor: &Redactor) -> String {
        let m = &self.message;
        let (args, kwargs) = (redactor.text(&m.argsrepr), redactor.text(&m.kwargsrepr));
        let (args, kwargs) = (cut_end(&args, SHOWN), cut_end(&kwargs, SHOWN));
        format!("{}  {}  {args}  {kwargs}  to {}", self.original.short(), m.name, m.queue)
    }
}

/// The id that the new task has.
fn id_of(id: &TaskId, options: &Options) -> TaskId {
    if options.same_id { id.clone() } else { TaskId::random() }
}

/// Who sends it.
pub(super) fn origin() -> String {
    format!("flower-tui{}@{}", std::process::id(), hostname())
}

const NAMES: [&str; 2] = ["args", "kwargs"];

/// One of `args` and `kwargs`: as it is sent, and as a person reads it.
struct Argument {
    json: String,
    printed: String,
}

impl Argument {
    /// Of JSON to the letter.
    fn json(json: String) -> Self {
        let value = crate::celery::json::parse(json.as_bytes()).unwrap_or_default();
        let list = value.is_array();
        let printed = if list { python::to_python_args(&value) } else { python::to_python(&value) };
        Self { json, printed }
    }
}

/// What the event printed, with its secrets: what is shown is no literal to be sent.
fn printed(task: &Task<'_>, which: usize) -> Result<Argument, Refusal> {
    let text = task.raw_texts()[which];
    let what = NAMES[which];
    // What was hidden before it was stored is no literal either.
    if task.is_recalled() && text.is_some_and(|text| text.contains(HIDDEN)) {
        return Err(Refusal::Hidden { what });
    }
    Ok(Argument { json: literal(text, what, repr::parse_printed)?, printed: text.unwrap_or_default().to_owned() })
}

/// What a person typed; what was left out is as the event printed it.
fn typed_or_known(typed: Option<&str>, task: Option<&Task<'_>>, which: usize) -> Result<Argument, Refusal> {
    match (typed, task) {
        (Some(text), _) => read_typed(text, NAMES[which]).map(|json| Argument { json, printed: text.to_owned() }),
        (None, Some(task)) => printed(task, which),
        (None, None) => Err(Refusal::Missing { what: NAMES[which] }),
    }
}

/// Reads what a person typed as `args` or `kwargs`: JSON, or Python literals. Returns JSON.
pub fn read_typed(text: &str, what: &'static str) -> Result<String, Refusal> {
    match crate::celery::message::is_json(text, what == "args") {
        true => Ok(text.trim().to_owned()),
        false => literal(Some(text.trim()), what, repr::parse),
    }
}

/// Reads `args` (a tuple) or `kwargs` (a dict) back, as JSON text.
fn literal(
    text: Option<&str>,
    what: &'static str,
    parse: fn(&str) -> Result<repr::Py, repr::Error>,
) -> Result<String, Refusal> {
    let text = text.filter(|t| !t.is_empty()).ok_or(Refusal::Missing { what })?;
    let value = parse(text).map_err(|why| Refusal::NotLiteral { what, why })?;
    match (&value, what) {
        (repr::Py::Tuple(_) | repr::Py::List(_), "args") | (repr::Py::Dict(_), "kwargs") => {}
        (_, "args") => return Err(Refusal::WrongKind { what, wanted: "a tuple" }),
        _ => return Err(Refusal::WrongKind { what, wanted: "a dict" }),
    }
    value.to_json().map_err(|why| Refusal::NotJson { what, why })
}

/// The queue its event named; else the only one its worker consumes.
fn queue_of(model: &Model, task: &Task<'_>) -> Option<String> {
    if let Some(queue) = task.queue() {
        return Some(queue.to_owned());
    }
    match model.worker(task.worker()?)?.inspected.queues.as_deref() {
        Some([only]) => Some(only.clone()),
        _ => None,
    }
}

/// Exchange and routing key that its event named.
fn route_of(task: &Task<'_>) -> Option<(String, String)> {
    let (exchange, routing_key) = (task.exchange()?, task.routing_key()?);
    Some(behind_delay(exchange, routing_key).unwrap_or_else(|| (exchange.to_owned(), routing_key.to_owned())))
}

pub(super) fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "localhost".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_is_json_or_python() {
        assert_eq!(read_typed("[1, null]", "args"), Ok("[1, null]".into()));
        assert_eq!(read_typed("(1, None)", "args"), Ok("[1, null]".into()));
        assert_eq!(read_typed("{'a': True}", "kwargs"), Ok("{\"a\": true}".into()));
        assert!(read_typed("{\"a\": 1}", "args").is_err());
        assert!(read_typed("[1]", "kwargs").is_err() && read_typed("x", "args").is_err());
    }

    #[test]
    fn only_whole_literals_of_the_right_kind_are_sent() {
        assert_eq!(literal(Some("(1, 'a')"), "args", repr::parse), Ok("[1, \"a\"]".into()));
        assert_eq!(literal(Some("{'a': 1}"), "kwargs", repr::parse), Ok("{\"a\": 1}".into()));
        assert_eq!(literal(Some(""), "args", repr::parse), Err(Refusal::Missing { what: "args" }));
        assert_eq!(
            literal(Some("(1, ...)"), "args", repr::parse),
            Err(Refusal::NotLiteral { what: "args", why: repr::Error::Shortened })
        );
        assert_eq!(
            literal(Some("5"), "args", repr::parse),
            Err(Refusal::WrongKind { what: "args", wanted: "a tuple" })
        );
        assert!(matches!(literal(Some("({1},)"), "args", repr::parse), Err(Refusal::NotJson { .. })));
    }
}
