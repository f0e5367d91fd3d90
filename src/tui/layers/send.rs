//! The form of a task that is sent by hand: `:send`. What it makes of the fields is what `flower-tui send` makes of its
//! options; the question that follows shows the message as it goes.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use crate::feed::Interest;
use crate::ops::Command;
use crate::ops::retry::read_typed;
use crate::ops::send::{self, Wish};
use crate::state::Model;
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

use super::Form;
use super::form::Entry;

/// See the module.
pub struct Send {
    form: Form,
}

impl Send {
    /// An empty one.
    pub fn new(model: &Model) -> Self {
        let mut queues: BTreeSet<String> = model.queue_names().into_iter().collect();
        queues.insert(USUAL.into());
        let entries = vec![
            Entry::new("task", "", "its name; those that workers registered are completed", named).with(names(model)),
            Entry::new("args", "()", "JSON or Python literals, such as (1, 'a')", |text| literals(text, "args")),
            Entry::new("kwargs", "{}", "JSON or Python literals, such as {'a': 1}", |text| literals(text, "kwargs")),
            Entry::new("queue", USUAL, "where it goes", named).with(queues.into_iter().collect()),
            Entry::new("priority", "0", "0 to 9", |text| priority(text).map(|_| ())),
            Entry::new("start", "", "such as 30s or 2026-11-25T14:00:00Z; empty is at once", check_time),
            Entry::new("expires", "", "it is not begun later than this; empty is never", check_time),
        ];
        Self { form: Form::new("send a task", entries, |_| Ok(())) }
    }

    fn filled(fields: &[String], cx: &Cx<'_>) -> Outcome {
        let field = |i: usize| fields.get(i).map(String::as_str).unwrap_or_default();
        let made = (|| {
            let wish = Wish {
                task: field(0).to_owned(),
                args: field(1).to_owned(),
                kwargs: field(2).to_owned(),
                queue: field(3).to_owned(),
                priority: priority(field(4))?,
                eta: send::time(field(5), cx.now)?,
                expires: send::time(field(6), cx.now)?,
            };
            send::message(&wish).map_err(|why| why.to_string())
        })();
        Outcome::Effect(match made {
            Ok(message) => Effect::CloseThen(Box::new(Effect::Ask(Command::Send(Box::new(message))))),
            Err(why) => Effect::Say(why),
        })
    }
}

/// The queue of an application that names none.
const USUAL: &str = "celery";

/// Tasks that workers registered, and those that were seen.
fn names(model: &Model) -> Vec<String> {
    let seen = model.by_name().map(|(name, _)| name.to_owned());
    send::registered(model).chain(seen).collect::<BTreeSet<_>>().into_iter().collect()
}

fn named(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("a name".into()) } else { Ok(()) }
}

fn literals(text: &str, what: &'static str) -> Result<(), String> {
    read_typed(text, what).map(|_| ()).map_err(|why| why.to_string())
}

fn priority(text: &str) -> Result<u8, String> {
    text.trim().parse().ok().filter(|n| *n < 10).ok_or_else(|| "a number from 0 to 9".into())
}

fn check_time(text: &str) -> Result<(), String> {
    send::time(text, crate::clock::Stamp::EPOCH).map(|_| ())
}

impl View for Send {
    fn scopes(&self) -> &'static [Scope] {
        self.form.scopes()
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        match self.form.perform(action, cx) {
            Outcome::Effect(Effect::Answer(Answer::Fields(fields))) => Self::filled(&fields, cx),
            Outcome::Effect(Effect::Answer(_)) => Outcome::Effect(Effect::Close),
            other => other,
        }
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        self.form.type_key(key)
    }

    fn edited(&mut self, text: &str) {
        self.form.edited(text);
    }

    fn paste(&mut self, text: &str) -> Outcome {
        self.form.paste(text)
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        self.form.click(target, cx)
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        // Workers may have told of their tasks since.
        self.form.offer(0, names(cx.model));
        self.form.sync(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        self.form.draw(page, area);
    }

    fn interest(&self) -> Interest {
        Interest { registered: true, ..Interest::default() }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
