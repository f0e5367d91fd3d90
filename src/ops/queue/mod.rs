//! What can be done with the messages that wait in a queue. Whatever is taken out is written down before, and can be put
//! back.

pub mod choose;
mod hold;
mod run;
mod taker;
mod undo;

use crate::state::Model;

use super::command::{Preview, Risk, plural, quote};
pub use choose::Which;
pub use undo::{Undoable, undoable};

/// What to do with a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueAction {
    Delete(Which),
    Move(Which, String),
    /// Let messages be calls of another task, in the queue they wait in.
    Rename(Which, String),
    /// Give all of it another name, under which no worker takes anything.
    Aside(String),
    /// All of it, for good.
    Purge,
    /// Write all of it to a file; `take` takes it out of the queue once it is there.
    Dump {
        path: String,
        take: bool,
    },
    /// Put back what a file holds.
    Load(String),
    /// No worker takes anything from it, until it is released.
    Hold,
    Release,
    /// Give out again what workers that are gone had taken; of all of them, or of one.
    RequeueUnacked(Option<String>),
}

/// The actions, as the command line says them.
pub const VERBS: [&str; 10] =
    ["purge", "delete", "move", "rename", "aside", "dump", "load", "hold", "release", "requeue-unacked"];

impl QueueAction {
    pub(super) fn risk(&self) -> Risk {
        match self {
            QueueAction::Delete(_) | QueueAction::Purge | QueueAction::Dump { take: true, .. } => Risk::Destroys,
            QueueAction::Dump { take: false, .. } => Risk::Looks,
            QueueAction::Load(_) | QueueAction::RequeueUnacked(_) => Risk::Sends,
            QueueAction::Move(..) | QueueAction::Rename(..) => Risk::Changes,
            QueueAction::Aside(_) | QueueAction::Hold | QueueAction::Release => Risk::Changes,
        }
    }

    pub(super) fn verb(&self) -> &'static str {
        match self {
            QueueAction::Purge => "purge",
            QueueAction::Delete(_) => "delete",
            QueueAction::Move(..) => "move",
            QueueAction::Rename(..) => "rename",
            QueueAction::Aside(_) => "aside",
            QueueAction::Dump { .. } => "dump",
            QueueAction::Load(_) => "load",
            QueueAction::Hold => "hold",
            QueueAction::Release => "release",
            QueueAction::RequeueUnacked(_) => "requeue-unacked",
        }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        match self {
            QueueAction::Delete(which) => which.words(),
            QueueAction::Move(which, to) | QueueAction::Rename(which, to) => {
                which.words().into_iter().chain([to.clone()]).collect()
            }
            QueueAction::Aside(to) => vec![to.clone()],
            QueueAction::Dump { path, take: true } => vec![path.clone(), "--take".into()],
            QueueAction::Dump { path, .. } | QueueAction::Load(path) => vec![path.clone()],
            QueueAction::RequeueUnacked(worker) => worker.iter().cloned().collect(),
            QueueAction::Purge | QueueAction::Hold | QueueAction::Release => Vec::new(),
        }
    }

    pub(super) fn words(&self, queue: &str) -> String {
        let arguments: String = self.arguments().iter().map(|word| format!(" {}", quote(word))).collect();
        format!("flower-tui queue {} {}{arguments}", quote(queue), self.verb())
    }

    /// What a person is asked.
    pub(super) fn preview(&self, queue: &str, model: &Model) -> Preview {
        let ready = model.queue(queue).map(|q| q.depth.ready);
        let all = match ready {
            Some(n) => {
                // Depths are read every few seconds, and workers go on meanwhile.
                format!("about {} waiting in {queue}", plural(n, "message"))
            }
            None => format!("all that waits in {queue}"),
        };
        let title = match self {
            QueueAction::Purge => format!("Destroy {all}?"),
            QueueAction::Delete(which) => format!("Delete {} from {queue}?", which.described()),
            QueueAction::Move(which, to) => format!("Move {} from {queue} to {to}?", which.described()),
            QueueAction::Rename(which, task) => {
                format!("Let {} in {queue} be calls of {task}?", which.described())
            }
            QueueAction::Aside(_) => format!("Set aside {all}?"),
            QueueAction::Dump { path, take: false } => format!("Write {all} to {path}?"),
            QueueAction::Dump { path, .. } => format!("Take {all} out, into {path}?"),
            QueueAction::Load(path) => format!("Put what {path} holds into its queue?"),
            QueueAction::Hold => format!("Hold {queue}?"),
            QueueAction::Release => format!("Release {queue}?"),
            QueueAction::RequeueUnacked(_) => match model.left_behind(queue) {
                0 => format!("Give out again what was taken from {queue} by workers that are gone?"),
                n => format!("Give out again {} taken from {queue} by workers that are gone?", plural(n, "message")),
            },
        };
        let mut lines = self.meaning(queue, model);
        if let Some(said) = out_of_reach(queue, model).filter(|_| self.empties()) {
            lines.push(said);
        }
        Preview { title, lines }
    }

    fn empties(&self) -> bool {
        matches!(self, QueueAction::Purge | QueueAction::Aside(_) | QueueAction::Dump { take: true, .. })
    }

    fn meaning(&self, queue: &str, model: &Model) -> Vec<String> {
        let kept = "Each is written down before it is taken: L can put it back, for 30 days.".to_owned();
        match self {
            QueueAction::Delete(which) => which.listed(queue, model).into_iter().chain([kept]).collect(),
            QueueAction::Purge => vec![kept],
            QueueAction::Move(which, to) => {
                let mut lines = which.listed(queue, model);
                lines.push(format!("They go behind what waits in {to}; priorities stay as they are."));
                let known = model.queue_names().contains(to);
                lines.extend((!known).then(|| format!("No queue {to} is known here: nobody takes from it.")));
                lines
            }
            QueueAction::Rename(which, task) => {
                let mut lines = which.listed(queue, model);
                lines.push(
                    "Only the name changes: id, arguments and priority stay. They go behind what waits there.".into(),
                );
                let known = model.by_name().any(|(name, _)| name == task);
                lines.extend((!known).then(|| format!("No task {task} has been seen here: a worker may not know it.")));
                lines
            }
            QueueAction::Aside(to) => vec![
                format!("It all waits in {to} then, which no worker takes from, and new messages come to {queue}."),
                "L puts it back, before what waits there by then.".into(),
            ],
            QueueAction::Dump { take: false, .. } => vec!["They stay in the queue.".into()],
            QueueAction::Dump { .. } => vec![
                "The file is on the disk before anything is taken; the messages in it are whole, secrets too.".into(),
                format!("flower-tui queue {queue} load FILE puts them back."),
            ],
            QueueAction::Load(_) => vec!["The same file is not put back twice within a day.".into()],
            QueueAction::Hold => hold::about_hold(queue, model),
            QueueAction::Release => hold::about_release(queue, model),
            QueueAction::RequeueUnacked(_) => vec![
                "Every worker is asked what it holds first: what one of them names stays with it.".into(),
                "Refused while a worker that consumes the queue gives no answer.".into(),
                "A task that had begun to run begins anew.".into(),
            ],
        }
    }
}

/// What of a queue is in workers' hands already.
fn out_of_reach(queue: &str, model: &Model) -> Option<String> {
    let unacked = model.queue(queue)?.depth.unacked.filter(|n| *n > 0)?;
    let n = crate::human::thousands(unacked);
    Some(format!("It doesn't reach {n} unacked: workers have them, and run them; they come back if their worker dies."))
}
