//! The offer to keep a broker that was typed, as a profile of the settings.

use ratatui::layout::Rect;

use super::Form;
use super::form::Entry;
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::options::Offer;
use crate::tui::page::{Page, Target};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

/// See the module.
pub struct Keep(Form);

impl Keep {
    pub fn new(offer: &Offer) -> Self {
        let help = "its name; Enter keeps it, Esc doesn't. `flower-tui -P NAME` opens it";
        let entry = Entry::new("profile", "", help, name);
        Self(Form::new(&format!("keep {} in {}?", offer.url, offer.file), vec![entry], |_| Ok(())))
    }
}

fn name(text: &str) -> Result<(), String> {
    match text.trim() {
        "" => Err("a profile needs a name".into()),
        name if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) => Ok(()),
        _ => Err("letters, digits, - and _ only".into()),
    }
}

/// What the form answers is kept; it concerns no view below.
fn meant(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Effect(Effect::Answer(Answer::Fields(fields))) => match fields.into_iter().next() {
            Some(name) => Outcome::Effect(Effect::Keep(name)),
            None => Outcome::Effect(Effect::Close),
        },
        Outcome::Effect(Effect::Answer(_)) => Outcome::Effect(Effect::Close),
        outcome => outcome,
    }
}

impl View for Keep {
    fn scopes(&self) -> &'static [Scope] {
        // One field: there is no next one.
        &[Scope::Field]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        meant(self.0.perform(action, cx))
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        self.0.type_key(key)
    }

    fn paste(&mut self, text: &str) -> Outcome {
        self.0.paste(text)
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        self.0.click(target, cx)
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.0.sync(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        self.0.draw(page, area);
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
