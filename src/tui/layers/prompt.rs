//! A field: for the filter at the top of a list, or a question in the middle of the screen.

use ratatui::layout::Rect;

use crate::filter::Completion;
use crate::text::{Clean, clean};
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::field::Field;

/// Says what is wrong with a text, if something is.
pub type Check = fn(&str) -> Result<(), String>;
/// Says what could stand at the end of a text.
pub type Complete = Box<dyn Fn(&str) -> Completion + Send>;

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
    complete: Option<Complete>,
    completion: Completion,
    /// Which candidate stands in the field, while one steps through them.
    candidate: Option<usize>,
}

impl Prompt {
    /// A field in the first line of a list, that reports every change. What stands in it is replaced by the first
    /// character typed.
    pub fn line(label: &'static str, text: &str, check: Check, history: Vec<String>) -> Self {
        let place = history.len();
        let (label, help) = (Clean::own(label), Clean::default());
        Self {
            label,
            field: Field::new(text),
            check,
            framed: false,
            help,
            history,
            place,
            fresh: true,
            complete: None,
            completion: Completion::default(),
            candidate: None,
        }
    }

    /// Offers completions while it is typed into. More words are added to those that stand in it.
    pub fn completing(mut self, complete: Complete) -> Self {
        self.fresh = false;
        self.complete = Some(complete);
        self.offer();
        self
    }

    /// A field in a frame. What stands in it is replaced by the first character typed.
    pub fn framed(label: &str, text: &str, help: &str, check: Check) -> Self {
        let line = Self::line("", text, check, Vec::new());
        Self { label: clean(label), help: clean(help), framed: true, fresh: true, ..line }
    }

    fn offer(&mut self) {
        self.candidate = None;
        self.completion = self.complete.as_ref().map(|complete| complete(self.field.text())).unwrap_or_default();
    }

    /// Puts the first candidate into the field, or the one after the present one.
    fn complete_on(&mut self) -> Outcome {
        if self.completion.candidates.is_empty() {
            return Outcome::Done;
        }
        let next = self.candidate.map_or(0, |at| (at + 1) % self.completion.candidates.len());
        let (Some((text, _)), Some(kept)) =
            (self.completion.candidates.get(next), self.field.text().get(..self.completion.from))
        else {
            return Outcome::Done;
        };
        let line = format!("{kept}{text}");
        let lone = self.completion.candidates.len() == 1;
        self.field = Field::new(&line);
        self.candidate = Some(next);
        // A key is complete with its colon: what comes next are its values.
        if lone || text.ends_with(':') {
            self.offer();
        }
        self.changed()
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
        self.offer();
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
            Action::FieldComplete => self.complete_on(),
            _ => Outcome::Ignored,
        }
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        if std::mem::take(&mut self.fresh) && key.character().is_some() {
            self.field = Field::default();
        }
        // Not every link lets Tab through: at the end, the way to the right goes on into what is offered.
        if key.name() == "Right" && self.field.is_at_end() {
            return self.complete_on();
        }
        if !self.field.type_key(key) {
            return Outcome::Ignored;
        }
        self.offer();
        self.changed()
    }

    fn paste(&mut self, text: &str) -> Outcome {
        if std::mem::take(&mut self.fresh) {
            self.field = Field::default();
        }
        self.field.paste(text);
        self.offer();
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
            if !self.completion.candidates.is_empty() {
                self.draw_candidates(page, area, area.x + 1 + label);
            } else if let Some(why) = wrong {
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

/// Candidates shown at once.
const OFFERED: usize = 8;

impl Prompt {
    /// What could stand at the end of the line, below it.
    fn draw_candidates(&self, page: &mut Page<'_>, area: Rect, x: u16) {
        let all = &self.completion.candidates;
        let first = self.candidate.map_or(0, |at| (at + 1).saturating_sub(OFFERED));
        let rows = OFFERED.min(all.len() - first).min(usize::from(area.height.saturating_sub(2)));
        let widest = all.iter().skip(first).take(rows).map(|(text, _)| clean(text).width()).max().unwrap_or(0);
        let column = (widest as u16 + 2).min(area.width / 2);
        for (row, (text, help)) in all.iter().skip(first).take(rows).enumerate() {
            let y = area.y + 1 + row as u16;
            let line = Rect { x: area.x, y, width: area.width, height: 1 };
            page.put(area.x, y, area.width, Clean::repeated(' ', usize::from(area.width)), Role::Text);
            if self.candidate == Some(first + row) {
                page.select(line);
            }
            page.put_name(x, y, column, &clean(text), Role::Accent);
            page.put(x + column, y, (area.x + area.width).saturating_sub(x + column + 1), clean(help), Role::Muted);
        }
        if all.len() > first + rows && rows > 0 {
            let more = crate::clean!(" {} more, Tab steps through ", all.len() - first - rows);
            page.put_right(area.x, area.y + rows as u16, area.width.saturating_sub(1), &more, Role::Faint);
        }
    }
}
