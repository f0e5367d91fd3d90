//! Sending a task again with exactly the arguments it had, or not at all.

use std::borrow::Cow;

use crate::celery::message::Outgoing;
use crate::celery::queue::behind_delay;
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
}

impl Retry {
    /// Prepares a task to be sent again. `queue` overrides what is known of its queue.
    pub fn prepare(model: &Model, id: &TaskId, queue: Option<&str>) -> Result<Self, Refusal> {
        let task = model.task(id).ok_or(Refusal::Unknown)?;
        let name = task.name().ok_or(Refusal::NoName)?;
        // As it was, with its secrets: what is shown is no literal to be sent.
        let [args, kwargs, _] = task.raw_texts();
        // What was hidden before it was stored is no literal either.
        for (text, what) in [(args, "args"), (kwargs, "kwargs")] {
            if task.is_recalled() && text.is_some_and(|text| text.contains(HIDDEN)) {
                return Err(Refusal::Hidden { what });
            }
        }
        let route = if queue.is_some() { None } else { route_of(&task) };
        let queue = match queue {
            Some(queue) => queue.to_owned(),
            None => queue_of(model, &task).ok_or(Refusal::NoQueue)?,
        };
        let message = Outgoing {
            id: TaskId::random(),
            name: name.to_owned(),
            args: literal(args, "args")?,
            kwargs: literal(kwargs, "kwargs")?,
            argsrepr: args.unwrap_or_default().to_owned(),
            kwargsrepr: kwargs.unwrap_or_default().to_owned(),
            queue,
            route,
            priority: 0,
            root_id: task.root().map(|root| root.to_string()),
            parent_id: task.parent().map(ToString::to_string),
            origin: format!("flower-tui{}@{}", std::process::id(), hostname()),
        };
        // An event doesn't say what else its message carried.
        let loses = vec!["callbacks, the rest of a chain or its chord, time limits and priority are not in its events"];
        Ok(Self { original: id.clone(), message, loses })
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
            format!("new id  {}", m.id),
            String::new(),
        ];
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

/// Reads `args` (a tuple) or `kwargs` (a dict) back, as JSON text.
fn literal(text: Option<&str>, what: &'static str) -> Result<String, Refusal> {
    let text = text.filter(|t| !t.is_empty()).ok_or(Refusal::Missing { what })?;
    let value = repr::parse(text).map_err(|why| Refusal::NotLiteral { what, why })?;
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
    fn only_whole_literals_of_the_right_kind_are_sent() {
        assert_eq!(literal(Some("(1, 'a')"), "args"), Ok("[1, \"a\"]".into()));
        assert_eq!(literal(Some("{'a': 1}"), "kwargs"), Ok("{\"a\": 1}".into()));
        assert_eq!(literal(Some(""), "args"), Err(Refusal::Missing { what: "args" }));
        assert_eq!(
            literal(Some("(1, ...)"), "args"),
            Err(Refusal::NotLiteral { what: "args", why: repr::Error::Shortened })
        );
        assert_eq!(literal(Some("5"), "args"), Err(Refusal::WrongKind { what: "args", wanted: "a tuple" }));
        assert!(matches!(literal(Some("({1},)"), "args"), Err(Refusal::NotJson { .. })));
    }
}
