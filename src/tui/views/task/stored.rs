//! What the result backend adds to a task's events: texts that events cut short, and those they lack.

use crate::celery::result::{Opaque, Stored};
use crate::state::Task;
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::widgets::literal;
use crate::tui::widgets::outline::Item;

/// Says where a text is from.
pub const FROM: &str = "   from the result backend";

/// Texts of a task that the result backend has and its events lack.
#[derive(Default)]
pub struct Fuller<'s> {
    pub traceback: Option<&'s str>,
    args: Option<String>,
    kwargs: Option<String>,
    result: Option<String>,
}

impl<'s> Fuller<'s> {
    pub fn of(task: &Task<'_>, stored: Option<&'s Stored>) -> Self {
        let Some(stored) = stored.and_then(Stored::result) else { return Self::default() };
        let cut = |shown: Option<&str>| shown.is_none_or(|text| text.is_empty() || text.contains("..."));
        Self {
            traceback: stored.traceback.as_deref(),
            args: stored.args_text().filter(|_| cut(task.args())),
            kwargs: stored.kwargs_text().filter(|_| cut(task.kwargs())),
            result: stored.value().filter(|_| cut(task.result())),
        }
    }

    /// The text of a section, where it is fuller than what events have.
    pub fn text(&self, label: &str) -> Option<&str> {
        match label {
            "args" => self.args.as_deref(),
            "kwargs" => self.kwargs.as_deref(),
            _ => self.result.as_deref(),
        }
    }
}

/// A line for what is there and can't be read.
pub fn opaque(stored: Option<&Stored>, items: &mut Vec<Item>) {
    let unread = match stored {
        Some(Stored::Opaque(opaque)) => Some(opaque),
        Some(Stored::Result(result)) => result.unread.as_ref(),
        None => None,
    };
    if let Some(Opaque { size, why }) = unread {
        let size = crate::human::bytes(*size as u64);
        let text = crate::clean!("The result backend holds {size} for it that can't be shown: {why}.");
        items.extend([Item::default(), Item::line(0, vec![(text, Role::Muted)])]);
    }
}

/// A line for a result backend that does not answer.
pub fn missing(why: Option<&str>, width: usize, items: &mut Vec<Item>) {
    let Some(why) = why else { return };
    items.push(Item::default());
    let text = crate::clean!("The result backend can't be read: {why}.");
    items.extend(literal::wrap(&text, width).into_iter().map(|line| Item::line(0, vec![(line, Role::Muted)])));
}

/// All the result backend has of a task that no event is left of.
pub fn alone(stored: &Stored, width: usize, items: &mut Vec<Item>) {
    let Some(result) = stored.result() else { return opaque(Some(stored), items) };
    let line = |label: &str, text: &str| {
        Item::line(0, vec![(crate::clean!("{label:<10} "), Role::Muted), (clean(text), Role::Text)])
    };
    items.extend([Item::default(), Item::line(0, vec![(Clean::own("The result backend has it:"), Role::Text)])]);
    items.push(Item::default());
    let facts = [
        ("state", Some(&result.status)),
        ("task", result.name.as_ref()),
        ("worker", result.worker.as_ref()),
        ("queue", result.queue.as_ref()),
        ("done", result.date_done.as_ref()),
        ("group", result.group_id.as_ref()),
    ];
    items.extend(facts.into_iter().filter_map(|(label, text)| Some(line(label, text?))));
    items.extend(result.exception().map(|exception| line("exception", &exception)));
    items.extend(result.unread.as_ref().map(|unread| line("result", &unread.to_string())));
    let texts = [("args", result.args_text()), ("kwargs", result.kwargs_text()), ("result", result.value())];
    for (label, text) in texts {
        let Some(text) = text else { continue };
        super::section(label, "", literal::outline(&text, label, 1, width).0, items);
    }
    if let Some(traceback) = &result.traceback {
        super::section("traceback", "", super::trace(traceback, width), items);
    }
}
