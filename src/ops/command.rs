//! What can be done to a cluster, as values.

use crate::celery::TaskId;
use crate::celery::message::Outgoing;
use crate::celery::pidbox::Signal;
use crate::state::Model;

use super::beat::Beat;
use super::bulk::Bulk;
use super::control::Control;
use super::queue::{QueueAction, Undoable};
use super::retry::{Retry, SENT_WHOLE, twice};

/// How much harm a command can do. Orders from harmless to harmful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Changes only what we see.
    Looks,
    /// Changes what workers do, and can be taken back.
    Changes,
    /// Makes work happen.
    Sends,
    /// Ends something for good.
    Destroys,
}

/// An effect on the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Revoke {
        ids: Vec<TaskId>,
        terminate: Option<Signal>,
    },
    /// Marks a task in the result backend as to be aborted: an `AbortableTask` looks at that.
    Abort {
        id: TaskId,
    },
    /// `refused` says which others were chosen and can't be sent again exactly, and why.
    Retry {
        tasks: Vec<Retry>,
        refused: Vec<String>,
    },
    /// A task that was never sent before.
    Send(Box<Outgoing>),
    /// Many tasks sent again or revoked, at a rate.
    Bulk(Bulk),
    /// An order to workers; no workers named is all of them.
    Control {
        workers: Vec<String>,
        what: Control,
    },
    /// Something done with the messages that wait in a queue.
    Queue {
        queue: String,
        what: QueueAction,
    },
    /// Takes back what was done with a queue: the row of the audit log, and what there is to be put back.
    Undo {
        row: i64,
        what: Undoable,
    },
    /// Something that runs by the clock.
    Beat(Beat),
}

/// What a person is shown before a command goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// A question in one line.
    pub title: String,
    /// What will be sent, to whom, and what it means.
    pub lines: Vec<String>,
}

/// Names shown before "and n more".
pub(super) const NAMED: usize = 6;

impl Command {
    /// How much harm it can do.
    pub fn risk(&self) -> Risk {
        match self {
            Command::Retry { .. } | Command::Send(_) => Risk::Sends,
            Command::Bulk(bulk) => bulk.risk(),
            Command::Revoke { .. } | Command::Abort { .. } => Risk::Destroys,
            Command::Control { what, .. } => what.risk(),
            Command::Queue { what, .. } => what.risk(),
            Command::Undo { .. } => Risk::Sends,
            Command::Beat(beat) => beat.risk(),
        }
    }

    /// The command that takes this one back, if it is that row of the audit log.
    pub(super) fn undone_by(&self, row: i64, messages: u64) -> Option<Command> {
        let (queue, what) = match self {
            Command::Queue { queue, what } => (queue, what),
            Command::Bulk(Bulk::Delete { queue, .. }) => {
                let what = Undoable::Taken { queue: queue.clone(), messages: Some(messages) };
                return Some(Command::Undo { row, what });
            }
            _ => return None,
        };
        let what = match what {
            QueueAction::Delete(_) | QueueAction::Purge | QueueAction::Dump { take: true, .. } => {
                Undoable::Taken { queue: queue.clone(), messages: Some(messages) }
            }
            QueueAction::Aside(aside) => Undoable::Aside { queue: queue.clone(), aside: aside.clone() },
            _ => return None,
        };
        Some(Command::Undo { row, what })
    }

    /// One word for logs.
    pub fn verb(&self) -> &'static str {
        match self {
            Command::Revoke { terminate: None, .. } => "revoke",
            Command::Revoke { .. } => "terminate",
            Command::Abort { .. } => "abort",
            Command::Retry { .. } => "retry",
            Command::Bulk(bulk) => bulk.verb(),
            Command::Send(_) => "send",
            Command::Control { what, .. } => what.verb(),
            Command::Queue { what, .. } => what.verb(),
            Command::Undo { .. } => "undo",
            Command::Beat(beat) => beat.verb(),
        }
    }

    /// What it is aimed at, in words for logs.
    pub fn target(&self) -> String {
        match self {
            Command::Revoke { ids, .. } => join(ids.iter().map(TaskId::to_string)),
            Command::Abort { id } => id.to_string(),
            Command::Retry { tasks, .. } => join(tasks.iter().map(|t| t.original.to_string())),
            Command::Bulk(bulk) => bulk.target(),
            Command::Send(message) => message.id.to_string(),
            Command::Control { workers, .. } if workers.is_empty() => "all workers".into(),
            Command::Control { workers, .. } => join(workers.iter().cloned()),
            Command::Queue { queue, .. } => queue.clone(),
            Command::Undo { what: Undoable::Taken { queue, .. } | Undoable::Aside { queue, .. }, .. } => queue.clone(),
            Command::Beat(beat) => beat.entry().to_owned(),
        }
    }

    /// What else was said: numbers, names, a signal, the queues tasks are sent to.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Command::Revoke { terminate, .. } => terminate.iter().map(|s| s.name().to_owned()).collect(),
            Command::Abort { .. } => Vec::new(),
            Command::Retry { tasks, .. } => {
                let queues: std::collections::BTreeSet<&String> = tasks.iter().map(|t| &t.message.queue).collect();
                queues.into_iter().cloned().collect()
            }
            Command::Bulk(bulk) => bulk.arguments(),
            // Its arguments may hold secrets.
            Command::Send(message) => vec![message.name.clone(), message.queue.clone()],
            Command::Control { what, .. } => what.arguments(),
            Command::Queue { what, .. } => what.arguments(),
            Command::Undo { row, .. } => vec![row.to_string()],
            Command::Beat(beat) => beat.arguments(),
        }
    }

    /// The same thing as a command line.
    pub fn words(&self) -> String {
        let quoted = |ids: Vec<String>| join(ids.iter().map(|w| quote(w)));
        match self {
            Command::Revoke { ids, terminate } => {
                let ids = quoted(ids.iter().map(TaskId::to_string).collect());
                let signal = terminate.map_or(String::new(), |s| format!(" --terminate --signal {}", s.name()));
                format!("flower-tui revoke {ids}{signal}")
            }
            // There is no command line for it.
            Command::Abort { id } => format!("POST /api/task/abort/{id}"),
            Command::Retry { tasks, .. } => {
                format!("flower-tui retry {}", quoted(tasks.iter().map(|t| t.original.to_string()).collect()))
            }
            Command::Bulk(bulk) => bulk.words(),
            Command::Send(message) => super::send::words(message),
            Command::Control { workers, what } => what.words(workers),
            Command::Queue { queue, what } => what.words(queue),
            Command::Undo { row, .. } => format!("flower-tui undo {row}"),
            Command::Beat(beat) => beat.words(),
        }
    }

    /// What a person is asked. Texts from the cluster in it are not cleaned yet.
    pub fn preview(&self, model: &Model) -> Preview {
        let mut lines = Vec::new();
        let title = match self {
            Command::Revoke { ids, terminate } => return revoke_preview(ids, *terminate, model),
            Command::Abort { id } => {
                lines.push(describe(model, id));
                lines.push("Only a task that looks whether it is aborted ends.".into());
                "Abort 1 task?".to_owned()
            }
            Command::Retry { tasks, refused } => {
                let redactor = model.redactor();
                for task in tasks.iter().take(if tasks.len() == 1 { 1 } else { NAMED }) {
                    lines.extend(if tasks.len() == 1 { task.lines(redactor) } else { vec![task.line(redactor)] });
                }
                if tasks.len() > 1 {
                    more(tasks.len(), &mut lines);
                    let hidden = tasks.iter().any(|task| task.has_secrets(redactor));
                    lines.extend(hidden.then(|| SENT_WHOLE.to_owned()));
                }
                if !refused.is_empty() {
                    lines.push(String::new());
                    lines.push(format!("{} can't be sent again exactly:", plural(refused.len(), "other")));
                    lines.extend(listed(refused, Clone::clone));
                }
                lines.extend(twice(tasks, model));
                format!("Send {} again?", plural(tasks.len(), "task"))
            }
            Command::Send(message) => return super::send::preview(message, model),
            Command::Bulk(bulk) => {
                let mut preview = bulk.preview(model);
                if let Bulk::New { tasks, .. } = bulk {
                    preview.lines.extend(twice(tasks, model));
                }
                return preview;
            }
            Command::Control { workers, what } => return what.preview(workers, model),
            Command::Queue { queue, what } => return what.preview(queue, model),
            Command::Undo { what, .. } => return what.preview(model),
            Command::Beat(beat) => return beat.preview(model),
        };
        Preview { title, lines }
    }
}

/// What is asked before tasks are revoked; with a signal, before they are ended.
pub(super) fn revoke_preview(ids: &[TaskId], terminate: Option<Signal>, model: &Model) -> Preview {
    let mut lines = listed(ids, |id| describe(model, id));
    lines.push(String::new());
    let title = match terminate {
        Some(signal) => {
            lines.push(format!("Sends {} to the process of each that runs, on every worker.", signal.name()));
            lines.push("What they had begun stays half done. The ids are remembered as revoked.".into());
            format!("Terminate {}?", plural(ids.len(), "task"))
        }
        None => {
            lines.push("Every worker is told to skip these ids when their turn comes.".into());
            lines.push("One that runs already runs on. Workers forget it when they all restart.".into());
            format!("Revoke {}?", plural(ids.len(), "task"))
        }
    };
    Preview { title, lines }
}

fn describe(model: &Model, id: &TaskId) -> String {
    match model.task(id) {
        Some(task) => {
            let place = task.worker().map(|w| format!("  on {w}")).unwrap_or_default();
            format!("{}  {}  {}{place}", id.short(), task.name().unwrap_or("(name not known)"), task.state_name())
        }
        None => format!("{id}  (not seen here)"),
    }
}

fn listed<T>(items: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(NAMED).map(line).collect();
    more(items.len(), &mut lines);
    lines
}

fn more(total: usize, lines: &mut Vec<String>) {
    if total > NAMED {
        lines.push(format!("and {} more", crate::human::thousands((total - NAMED) as u64)));
    }
}

pub(super) fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}

pub use crate::human::plural;

/// A word as a shell reads it back.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@.-_:/+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_the_line_that_does_the_same() {
        let revoke = Command::Revoke { ids: vec![TaskId::new("a b"), TaskId::new("c")], terminate: Some(Signal::Kill) };
        assert_eq!(revoke.words(), "flower-tui revoke 'a b' c --terminate --signal SIGKILL");
        let grow = Command::Control { workers: vec!["celery@h".into()], what: Control::Grow(2) };
        assert_eq!(grow.words(), "flower-tui worker celery@h grow 2");
        assert_eq!(
            Command::Control { workers: vec![], what: Control::Events(true) }.words(),
            "flower-tui worker --all enable-events"
        );
        assert!(revoke.risk() > grow.risk());
        assert_eq!((plural(1, "process"), plural(1_200, "process")), ("1 process".into(), "1,200 processes".into()));
    }
}
