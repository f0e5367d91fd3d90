//! What can be done with the messages of a queue from the screen: a menu or a field where something has to be said, then
//! the question.

use crate::human;
use crate::ops::queue::Undoable;
use crate::ops::{Command, QueueAction, Which};
use crate::state::deeds::Aside;
use crate::state::peek::By;
use crate::tui::action::Action;
use crate::tui::layers::form::Entry;
use crate::tui::layers::{Choose, Form, Prompt};
use crate::tui::view::{Answer, Cx, Effect, Outcome};

use super::rows::Opens;

/// What a layer was opened for.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Move(Which),
    Rename(Which),
    /// In which way a queue is emptied.
    Purge,
    File,
    Destroy,
    /// It is held, and somebody consumes it.
    Held,
}

/// The layer that is open, and the queue it is for.
#[derive(Default)]
pub struct Orders {
    asking: Asking,
    queue: String,
}

const ACTIONS: [Action; 6] = [
    Action::MessageDelete,
    Action::MessageMove,
    Action::MessageRename,
    Action::QueuePurge,
    Action::QueueHold,
    Action::UnackedBack,
];

/// The ways to empty a queue, the gentlest first.
const WAYS: [&str; 3] = [
    "set aside   give it all another name, which no worker takes from; L puts it back",
    "to a file   written and synced before anything is taken out; `queue NAME load` puts it back",
    "destroy     type the queue's name; L can put it back for 30 days",
];

/// What rows of a queue's panes stand for, if messages can be taken by it.
pub fn which(rows: &[&Opens]) -> Result<Which, &'static str> {
    match rows {
        [] => Err("no message is chosen"),
        [Opens::Group(By::Age, _)] => Err("by age no message can be told from others for sure: filter by until:"),
        [Opens::Group(by, key)] => Ok(Which::Group(by.clone(), key.clone())),
        [Opens::Unreadable(_)] => Err("it has no id to be known by: purge or move the whole queue"),
        rows => {
            let ids = rows.iter().filter_map(|row| if let Opens::Message(id) = row { Some(id.clone()) } else { None });
            let ids: std::collections::BTreeSet<_> = ids.collect();
            if ids.is_empty() { Err("no message is chosen") } else { Ok(Which::Ids(ids)) }
        }
    }
}

/// Why an order can't be given for this queue, if it can't. `which` is what of it is meant.
pub fn refuse(
    action: Action,
    queue: Option<&str>,
    which: Option<Result<&Which, &'static str>>,
    cx: &Cx<'_>,
) -> Option<String> {
    if !ACTIONS.contains(&action) {
        return None;
    }
    let Some(queue) = queue else { return Some("no queue is chosen".into()) };
    let ready = cx.model.queue(queue).map_or(0, |q| q.depth.ready);
    match (action, which) {
        (Action::UnackedBack, _) if cx.model.aside(queue).is_some() => None,
        (Action::MessageDelete | Action::MessageMove | Action::MessageRename, None) => {
            Some("open the queue, and choose messages".into())
        }
        (Action::MessageDelete | Action::MessageMove | Action::MessageRename, Some(Err(why))) => Some(why.into()),
        (Action::QueuePurge, _) if ready == 0 => Some(format!("nothing waits in {queue}")),
        (Action::UnackedBack, _) if cx.health.is_some_and(|health| health.visibility_timeout.is_none()) => {
            Some("this broker gives messages out again by itself, when their worker is gone".into())
        }
        (Action::UnackedBack, _) if cx.model.queue(queue).and_then(|q| q.depth.unacked) == Some(0) => {
            Some(format!("nothing taken from {queue} is unacked"))
        }
        _ => None,
    }
}

impl Orders {
    /// Takes an action for this queue; `None` if it is none of these.
    pub fn perform(&mut self, action: Action, queue: &str, which: Option<Which>, cx: &Cx<'_>) -> Option<Outcome> {
        self.queue = queue.to_owned();
        let ask = |what: QueueAction| Some(ask(queue, what));
        let (asking, view): (_, Box<dyn crate::tui::view::View>) = match action {
            Action::MessageDelete => {
                return Some(Outcome::Effect(Effect::Ask(Command::delete(queue.to_owned(), which?))));
            }
            Action::MessageMove => {
                let entry = Entry::new("to", "", "a queue; they go behind what waits there", named);
                let others = cx.model.queue_names().into_iter().filter(|name| name != queue).collect();
                let form = Form::new(&format!("Move messages of {queue}"), vec![entry.with(others)], |_| Ok(()));
                (Asking::Move(which?), Box::new(form))
            }
            Action::MessageRename => {
                let entry = Entry::new("task", "", "its name; id and arguments stay as they are", named);
                let mut tasks: Vec<String> = cx.model.by_name().map(|(name, _)| name.to_owned()).collect();
                tasks.sort_unstable();
                let form =
                    Form::new(&format!("Other task for messages of {queue}"), vec![entry.with(tasks)], |_| Ok(()));
                (Asking::Rename(which?), Box::new(form))
            }
            Action::QueuePurge => {
                let ways = WAYS.iter().map(|line| (*line).to_owned());
                (Asking::Purge, Box::new(Choose::lines(&format!("empty {queue}"), ways, 0)))
            }
            Action::QueueHold if cx.model.held(queue).is_empty() => return ask(QueueAction::Hold),
            // Who was started since, or has forgotten it, consumes it all the same.
            Action::QueueHold if cx.model.consumers(queue, cx.now).is_some_and(|n| n > 0) => {
                let n = human::plural(cx.model.consumers(queue, cx.now).unwrap_or(0), "worker");
                let ways = ["release it".to_owned(), format!("hold it again: {n} consume it")];
                (Asking::Held, Box::new(Choose::lines(&format!("{queue} is held"), ways, 0)))
            }
            Action::QueueHold => return ask(QueueAction::Release),
            Action::UnackedBack => match cx.model.aside(queue) {
                Some(aside) => return Some(Outcome::Effect(Effect::Ask(back(aside)))),
                None => return ask(QueueAction::RequeueUnacked(None)),
            },
            _ => return None,
        };
        self.asking = asking;
        Some(Outcome::Effect(Effect::Open(view)))
    }

    /// Takes what was said; `None` if nothing was asked.
    pub fn answer(&mut self, answer: &Answer, cx: &Cx<'_>) -> Option<Outcome> {
        let queue = self.queue.clone();
        Some(match (std::mem::take(&mut self.asking), answer) {
            (Asking::Nothing, _) => return None,
            (Asking::Move(which), Answer::Fields(fields)) => match fields.first() {
                Some(to) => ask(&queue, QueueAction::Move(which, to.trim().to_owned())),
                None => Outcome::Done,
            },
            (Asking::Rename(which), Answer::Fields(fields)) => match fields.first() {
                Some(task) => ask(&queue, QueueAction::Rename(which, task.trim().to_owned())),
                None => Outcome::Done,
            },
            (Asking::Purge, Answer::Choice(way)) => self.empty(*way, cx),
            (Asking::Held, Answer::Choice(0)) => ask(&queue, QueueAction::Release),
            (Asking::Held, Answer::Choice(_)) => ask(&queue, QueueAction::Hold),
            (Asking::File, Answer::Text { text, done: true }) => {
                ask(&queue, QueueAction::Dump { path: text.trim().to_owned(), take: true })
            }
            (Asking::Destroy, Answer::Text { text, done: true }) if text.trim() == queue => {
                Outcome::Effect(Effect::Run(Command::Queue { queue, what: QueueAction::Purge }))
            }
            (Asking::Destroy, Answer::Text { done: true, .. }) => {
                Outcome::Effect(Effect::Say(format!("that is not the name of {queue}: nothing was destroyed")))
            }
            _ => Outcome::Done,
        })
    }

    fn empty(&mut self, way: usize, cx: &Cx<'_>) -> Outcome {
        let now = human::in_a_name(cx.now, cx.shown_zone());
        let queue = self.queue.clone();
        match way {
            0 => ask(&queue, QueueAction::Aside(format!("{queue}.aside-{now}"))),
            1 => {
                self.asking = Asking::File;
                let help = "JSON lines, messages whole with their secrets; a file that exists is left alone";
                let name = format!("{}-{now}.jsonl", queue.replace('/', "_"));
                let prompt = Prompt::framed(&format!("write all of {queue} to"), &name, help, named);
                Outcome::Effect(Effect::Open(Box::new(prompt)))
            }
            _ => {
                self.asking = Asking::Destroy;
                let known = cx.model.queue(&queue);
                let n = known.map_or_else(|| "all".into(), |q| human::thousands(q.depth.ready));
                let unacked = known.and_then(|q| q.depth.unacked).filter(|n| *n > 0);
                let beyond = unacked.map_or_else(String::new, |n| format!("; {n} unacked stay with their workers"));
                let help = format!("its name destroys them, Esc doesn't; L can put them back{beyond}");
                let title = format!("destroy {n} messages of {queue}: type its name");
                Outcome::Effect(Effect::Open(Box::new(Prompt::framed(&title, "", &help, named))))
            }
        }
    }
}

/// The command that puts back what lies aside.
fn back(aside: &Aside) -> Command {
    let what = Undoable::Aside { queue: aside.queue.clone(), aside: aside.name.clone() };
    Command::Undo { row: aside.row, what }
}

fn ask(queue: &str, what: QueueAction) -> Outcome {
    Outcome::Effect(Effect::Ask(Command::Queue { queue: queue.to_owned(), what }))
}

fn named(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("a name".into()) } else { Ok(()) }
}
