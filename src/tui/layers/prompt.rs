//! A field: for the filter at the top of a list, or a question in the middle of the screen.

use ratatui::layout::Rect;

use crate::text::{Clean, clean};
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::field::Field;

/// Says what is wrong with a text, if something is.
pub type Check = fn(&str) -> Result<(), String>;

/// See the module.
pub struct Prompt {
    label: Clean,
    field: Field,
    check: Check,
    /// In the middle, with a frame; else in the first line.
    framed: bool,
    help: Clean,
    history: Vec<String>,
    /// Place in the history; its length is the text being typed.
    place: usize,
    /// What the first pasted or typed character replaces.
    fresh: bool,
}

impl Prompt {
    /// A field in the first line of a list, that reports every change.
    pub fn line(label: &'static str, text: &str, check: Check, history: Vec<String>) -> Self {
        let place = history.len();
        let (label, help) = (Clean::own(label), Clean::default());
        Self { label, field: Field::new(text), check, framed: false, help, history, place, fresh: false }
    }

    /// A field in a frame. What stands in it is replaced by the first character typed.
    pub fn framed(label: &str, text: &str, help: &str, check: Check) -> Self {
        let (label, help) = (clean(label), clean(help));
        Self { label, field: Field::new(text), check, framed: true, help, history: Vec::new(), place: 0, fresh: true }
    }

    fn changed(&self) -> Outcome {
        if self.framed {
            return Outcome::Done;
        }
        let text = self.field.text().to_owned();
        Outcome::Effect(Effect::Answer(Answer::Text { text, done: false }))
    }

    fn recall(&mut self, place: usize) -> Outcome {
        self.place = place.min(self.history.len());
        self.field = Field::new(self.history.get(self.place).map_or("", String::as_str));
        self.changed()
    }
}

impl View for Prompt {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Field]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::FieldDone => match (self.check)(self.field.text()) {
                Ok(()) => {
                    let text = self.field.text().to_owned();
                    Outcome::Effect(Effect::Answer(Answer::Text { text, done: true }))
                }
                Err(_) => Outcome::Done,
            },
            Action::FieldCancel => Outcome::Effect(Effect::Answer(Answer::Cancelled)),
            Action::FieldOlder => self.recall(self.place.saturating_sub(1)),
            Action::FieldNewer => self.recall(self.place + 1),
            _ => Outcome::Ignored,
        }
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        if std::mem::take(&mut self.fresh) && key.character().is_some() {
            self.field = Field::default();
        }
        if self.field.type_key(key) { self.changed() } else { Outcome::Ignored }
    }

    fn paste(&mut self, text: &str) -> Outcome {
        if std::mem::take(&mut self.fresh) {
            self.field = Field::default();
        }
        self.field.paste(text);
        self.changed()
    }

    fn sync(&mut self, _cx: &Cx<'_>) {}

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let wrong = (self.check)(self.field.text()).err().map(|why| clean(&why));
        let label = self.label.width() as u16 + 1;
        if !self.framed {
            let line = Rect { height: 1, ..area };
            page.put(area.x, area.y, area.width, Clean::repeated(' ', usize::from(area.width)), Role::Text);
            page.put(area.x + 1, area.y, label, &self.label, Role::Accent);
            self.field.draw(page, area.x + 1 + label, area.y, line.width.saturating_sub(label + 2));
            if let Some(why) = wrong {
                page.put(area.x, area.y + 1, area.width, Clean::repeated(' ', usize::from(area.width)), Role::Text);
                page.put(area.x + 1 + label, area.y + 1, area.width.saturating_sub(label + 2), &why, Role::Fail);
            }
            return;
        }
        let wanted = self.help.width().max(self.label.width() + 30) + 6;
        let frame = centered(area, wanted.clamp(40, 100) as u16, 7);
        page.frame(frame, &self.label, Role::Accent);
        let (x, width) = (frame.x + 3, frame.width.saturating_sub(6));
        self.field.draw(page, x, frame.y + 2, width);
        match wrong {
            Some(why) if !self.field.text().is_empty() => page.put(x, frame.y + 4, width, &why, Role::Fail),
            _ => page.put(x, frame.y + 4, width, &self.help, Role::Muted),
        };
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
