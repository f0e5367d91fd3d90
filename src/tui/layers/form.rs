//! A small form: a few labelled fields, each checked as it is typed, with names to complete from.

use ratatui::layout::Rect;

use crate::text::{Clean, clean};
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::field::Field;
use crate::tui::widgets::literal::wrap;

use super::prompt::Check;

/// One field of a form.
pub struct Entry {
    label: Clean,
    field: Field,
    help: Clean,
    check: Check,
    /// Names that can stand in it.
    candidates: Vec<String>,
    /// The first typed character replaces what stands in it.
    fresh: bool,
}

impl Entry {
    /// A field with a label, what stands in it at first, a word of help, and what it may hold.
    pub fn new(label: &'static str, text: &str, help: &'static str, check: Check) -> Self {
        let fresh = !text.is_empty();
        Self {
            label: Clean::own(label),
            field: Field::new(text),
            help: Clean::own(help),
            check,
            candidates: Vec::new(),
            fresh,
        }
    }

    /// With names to complete from.
    pub fn with(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    fn error(&self) -> Option<String> {
        (self.check)(self.field.text()).err()
    }

    /// Names that have what is typed in them; those that begin with it come first.
    fn matching(&self) -> Vec<&String> {
        let typed = if self.fresh { "" } else { self.field.text().trim() };
        let mut found: Vec<&String> = self.candidates.iter().filter(|c| c.contains(typed)).collect();
        found.sort_by_key(|c| (!c.starts_with(typed), *c));
        found
    }

    /// The name that `Tab` completes to, if what is typed is not one already.
    fn completion(&self) -> Option<String> {
        let typed = self.field.text().trim();
        let done = typed.is_empty() || self.candidates.iter().any(|c| c == typed);
        if done { None } else { self.matching().first().map(|c| (*c).clone()) }
    }
}

/// Says what is wrong with all fields together.
pub type CheckAll = fn(&[String]) -> Result<(), String>;

/// See the module.
pub struct Form {
    title: Clean,
    /// What there is to know before it is filled in.
    intro: Vec<Clean>,
    entries: Vec<Entry>,
    at: usize,
    check: CheckAll,
}

/// Candidates on the screen.
const SHOWN: usize = 5;

impl Form {
    pub fn new(title: &str, entries: Vec<Entry>, check: CheckAll) -> Self {
        Self { title: clean(title), intro: Vec::new(), entries, at: 0, check }
    }

    /// With lines above the fields.
    pub fn telling(mut self, intro: &[String]) -> Self {
        self.intro = intro.iter().map(|line| clean(line)).collect();
        self
    }

    /// Columns that all of it takes, within limits.
    fn width(&self) -> u16 {
        let helps = self.entries.iter().map(|e| e.help.width() + 6);
        let intro = self.intro.iter().map(|line| line.width() + 6);
        helps.chain(intro).max().unwrap_or(0).max(self.title.width() + 8).clamp(64, 100) as u16
    }

    /// Gives a field other names to complete from.
    pub fn offer(&mut self, entry: usize, candidates: Vec<String>) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.candidates = candidates;
        }
    }

    fn texts(&self) -> Vec<String> {
        self.entries.iter().map(|e| e.field.text().trim().to_owned()).collect()
    }

    fn next(&mut self) {
        let Some(entry) = self.entries.get_mut(self.at) else { return };
        match entry.completion() {
            Some(name) => entry.field = Field::new(&name),
            None => self.at = (self.at + 1) % self.entries.len().max(1),
        }
    }

    /// Gives the answer, or goes to the first field that is wrong.
    fn done(&mut self) -> Outcome {
        if let Some(wrong) = self.entries.iter().position(|e| e.error().is_some()) {
            self.at = wrong;
            return Outcome::Done;
        }
        let texts = self.texts();
        match (self.check)(&texts) {
            Ok(()) => Outcome::Effect(Effect::Answer(Answer::Fields(texts))),
            Err(_) => Outcome::Done,
        }
    }

    /// What is wrong, as far as it was typed already; else the help of the field.
    fn note(&self) -> (Clean, Role) {
        let Some(entry) = self.entries.get(self.at) else { return (Clean::default(), Role::Muted) };
        if let Some(why) = entry.error().filter(|_| !entry.field.text().is_empty()) {
            return (clean(&why), Role::Fail);
        }
        let complete = self.entries.iter().all(|e| e.error().is_none());
        match (self.check)(&self.texts()) {
            Err(why) if complete => (clean(&why), Role::Fail),
            _ => (entry.help.clone(), Role::Muted),
        }
    }
}

impl View for Form {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Form, Scope::Field]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::FormNext => self.next(),
            Action::FormPrevious => {
                self.at = (self.at + self.entries.len().saturating_sub(1)) % self.entries.len().max(1);
            }
            Action::FormEditor => {
                let text = self.entries.get(self.at).map(|entry| entry.field.text().to_owned());
                return Outcome::Effect(Effect::Edit(text.unwrap_or_default()));
            }
            Action::FieldDone => return self.done(),
            Action::FieldCancel => return Outcome::Effect(Effect::Answer(Answer::Cancelled)),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        let Some(entry) = self.entries.get_mut(self.at) else { return Outcome::Ignored };
        if std::mem::take(&mut entry.fresh) && key.character().is_some() {
            entry.field = Field::default();
        }
        if entry.field.type_key(key) { Outcome::Done } else { Outcome::Ignored }
    }

    fn edited(&mut self, text: &str) {
        if let Some(entry) = self.entries.get_mut(self.at) {
            entry.field = Field::new(text);
            entry.fresh = false;
        }
    }

    fn paste(&mut self, text: &str) -> Outcome {
        let Some(entry) = self.entries.get_mut(self.at) else { return Outcome::Ignored };
        if std::mem::take(&mut entry.fresh) {
            entry.field = Field::default();
        }
        entry.field.paste(text);
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        if let Target::Row(row) = target
            && row < self.entries.len()
        {
            self.at = row;
        }
        Outcome::Done
    }

    fn sync(&mut self, _cx: &Cx<'_>) {}

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let labels = self.entries.iter().map(|e| e.label.width()).max().unwrap_or(0) as u16 + 2;
        let completes = self.entries.iter().any(|e| !e.candidates.is_empty());
        let room = usize::from(self.width().min(area.width).saturating_sub(6));
        let intro: Vec<Clean> = self.intro.iter().flat_map(|line| wrap(line, room)).collect();
        let above = if intro.is_empty() { 0 } else { intro.len() as u16 + 1 };
        // As many lines as the longest help takes: the form keeps its size from field to field.
        let helps = self.entries.iter().map(|e| wrap(&e.help, room).len()).max().unwrap_or(1).max(1) as u16;
        let candidates = if completes { SHOWN as u16 + 1 } else { 0 };
        let frame = centered(area, self.width(), above + self.entries.len() as u16 + 5 + helps + candidates);
        page.frame(frame, &self.title, Role::Accent);
        let (x, width) = (frame.x + 3, frame.width.saturating_sub(6));
        let inside = frame.y + 1..(frame.y + frame.height).saturating_sub(1);
        for (line, y) in intro.iter().zip(frame.y + 2..inside.end) {
            page.put(x, y, width, line, Role::Text);
        }
        let first = frame.y + 2 + above;
        for (i, (entry, y)) in self.entries.iter().zip(first..inside.end).enumerate() {
            let here = i == self.at;
            page.clickable(Rect { x, y, width, height: 1 }, Target::Row(i));
            page.put(x, y, labels, &entry.label, if here { Role::Accent } else { Role::Muted });
            if here {
                entry.field.draw(page, x + labels, y, width.saturating_sub(labels));
            } else {
                page.put(x + labels, y, width.saturating_sub(labels), clean(entry.field.text()), Role::Text);
            }
        }
        let mut y = first + 1 + self.entries.len() as u16;
        let (note, role) = self.note();
        for (line, y) in wrap(&note, room).iter().zip(y..inside.end) {
            page.put(x, y, width, line, role);
        }
        y += 1 + helps;
        let Some(entry) = self.entries.get(self.at) else { return };
        let found = entry.matching();
        for (i, name) in found.iter().take(SHOWN).enumerate() {
            if !inside.contains(&y) {
                break;
            }
            let more = found.len().saturating_sub(SHOWN);
            if i == SHOWN - 1 && more > 0 {
                page.put(
                    x + labels,
                    y,
                    width.saturating_sub(labels),
                    crate::clean!("and {} more", more + 1),
                    Role::Faint,
                );
                break;
            }
            page.put_name(x + labels, y, width.saturating_sub(labels), &clean(name), Role::Muted);
            y += 1;
        }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
