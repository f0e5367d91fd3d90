//! What is said in the last line: what came of commands and of files, for a while.

use super::{App, LOGGED, TOAST};
use crate::broker::LinkState;
use crate::clock::Stamp;
use crate::history::audit::Logged;
use crate::human;
use crate::ops::Receipt;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::layers::{Confirm, Keep, Overrides, Shown, log};
use crate::tui::theme::Role;

/// The verb of a restart that takes one worker after the other.
const ROLLING: &str = "rolling-restart";

/// What came of something that was done beside the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Going(String),
    Done(String),
    Failed(String),
}

impl App {
    /// Shows a message in the last line for a while.
    pub fn say(&mut self, text: &str, role: Role, now: Stamp) {
        self.toast = Some((clean(text), role, now));
    }

    /// What a person wanted to edit has been edited, or can't be.
    pub fn edited(&mut self, text: Result<String, String>, now: Stamp) {
        match text {
            Ok(text) => self.focus().edited(&text),
            Err(why) => self.say(&why, Role::Fail, now),
        }
        self.unsynced = true;
    }

    /// How far the writing of a file is, or what came of it.
    pub fn exported(&mut self, told: &Told, now: Stamp) {
        if !matches!(told, Told::Going(_)) {
            self.running = self.running.saturating_sub(1);
            self.quitting = false;
            self.writing = false;
        }
        let told = match (told, self.options.keys.first(Action::Export)) {
            (Told::Going(text), Some(key)) => &Told::Going(format!("{text}   ({} stops it)", keymap::shown(key))),
            (told, _) => told,
        };
        self.told(told, now);
    }

    /// Shows what came of something that was done elsewhere.
    pub fn told(&mut self, told: &Told, now: Stamp) {
        match told {
            Told::Going(text) => self.say(text, Role::Muted, now),
            Told::Done(text) => self.say(text, Role::Text, now),
            Told::Failed(text) => self.say(text, Role::Fail, now),
        }
    }

    /// A command that is under way took a step.
    pub fn stepped(&mut self, text: String, now: Stamp) {
        // Its receipt may have overtaken its last step.
        if self.running == 0 {
            return;
        }
        let how = self.options.keys.first(Action::Palette).map_or_else(String::new, |key| {
            format!("   ({}stop halts it, {} shows all)", keymap::shown(key), self.log_key())
        });
        self.say(&format!("{text}{how}"), Role::Muted, now);
        // How many of many is no step to be remembered.
        if text.ends_with('…') {
            return;
        }
        if self.steps.len() == LOGGED {
            self.steps.remove(0);
        }
        self.steps.push((now, text));
    }

    /// Whether the overrides lie on top, which are read off the audit log.
    pub fn shows_overrides(&self) -> bool {
        self.layers.last().is_some_and(|layer| layer.scopes().contains(&Scope::Overrides))
    }

    /// Shows what the audit log tells of changes at runtime.
    pub fn overrides(&mut self, log: Result<Vec<Logged>, String>) {
        match self.layers.last_mut() {
            Some(layer) if layer.scopes().contains(&Scope::Overrides) => layer.logged(log),
            _ => self.layers.push(Box::new(Overrides::new(log))),
        }
        self.unsynced = true;
    }

    fn log_key(&self) -> String {
        self.options.keys.first(Action::Log).map_or_else(String::new, keymap::shown)
    }

    /// Shows a text that could not be put into the clipboard, to be selected by hand.
    pub fn show_text(&mut self, text: String, why: &'static str) {
        self.toast = None;
        self.layers.push(Box::new(Shown::new(text, why)));
    }

    /// The broker was reached that a person typed: it is offered to be kept.
    pub(super) fn offer(&mut self, link: &LinkState) {
        if link.is_live()
            && self.layers.is_empty()
            && let Some(offer) = self.options.offer.take()
        {
            self.layers.push(Box::new(Keep::new(&offer)));
        }
    }

    /// A command came back.
    pub fn done(&mut self, receipt: Receipt, now: Stamp) {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            self.steps.clear();
        }
        self.quitting = false;
        let text = match receipt.outcome.why() {
            Some(why) => format!("{} {}: {why}", receipt.verb, receipt.outcome.word()),
            None if receipt.verb == "retry" && receipt.again.len() > 1 => {
                format!("{} sent again", human::thousands(receipt.again.len() as u64))
            }
            None => {
                // Of all workers that were asked, the one that did it.
                let idle = |value: &serde_json::Value| value["ok"].as_str().is_some_and(|ok| ok.contains("unknown"));
                let did = receipt.replies.iter().find(|(_, value)| !idle(value)).or(receipt.replies.first());
                let first = did.map(|(who, value)| format!(": {who} {}", Receipt::reply_text(value)));
                let more = match receipt.replies.len() {
                    0 | 1 => String::new(),
                    n if receipt.verb == ROLLING => {
                        let done = receipt.replies.iter().filter(|(_, value)| value["ok"].is_string()).count();
                        format!(": {done} of {n} workers replaced")
                    }
                    n => {
                        let what = if receipt.verb == "retry" { "task" } else { "worker" };
                        let more = n as u64 - 1;
                        let (count, what) = (human::thousands(more), human::noun(more, what));
                        format!(" and {count} more {what}")
                    }
                };
                let first = first.filter(|_| receipt.verb != ROLLING || receipt.replies.len() == 1);
                format!("{} confirmed{}{more}", receipt.verb, first.unwrap_or_default())
            }
        };
        let all = self.options.keys.first(Action::Log).map(|key| format!("   ({} shows all)", keymap::shown(key)));
        self.say(&format!("{text}{}", all.unwrap_or_default()), log::role(&receipt.outcome), now);
        for view in self.tabs.iter_mut().chain(&mut self.layers) {
            view.sent_again(&receipt.again);
        }
        if let Some(next) = &receipt.next {
            self.layers.push(Box::new(Confirm::new((**next).clone())));
        }
        self.receipts.push(receipt);
        if self.receipts.len() > LOGGED {
            self.receipts.remove(0);
        }
    }

    /// Until when the message in the last line stays, if there is one.
    pub fn toast_ends(&self) -> Option<Stamp> {
        self.toast.as_ref().map(|(_, _, at)| *at + TOAST)
    }
}

/// A message in so many columns: where the rest can be read stays visible.
pub(super) fn shortened(text: &Clean, room: usize) -> Clean {
    match text.as_str().rsplit_once("   (") {
        Some((said, rest)) if text.width() > room => {
            let rest = crate::clean!("   ({rest}");
            crate::clean!("{}{rest}", crate::text::cut_end(said, room.saturating_sub(rest.width())))
        }
        _ => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_leaves_room_for_where_all_of_it_stands() {
        let text = crate::clean!("ping not sent: {}   (L shows all)", "because ".repeat(20));
        let short = shortened(&text, 40);
        assert!(short.width() <= 40 && short.as_str().ends_with("…   (L shows all)"), "{}", short.as_str());
        assert_eq!(shortened(&text, 400), text);
    }
}
