//! Choosing some of many, and their order.

use ratatui::layout::Rect;

use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

/// One that can be chosen.
pub struct Choice {
    pub name: &'static str,
    pub help: &'static str,
    pub on: bool,
}

/// See the module.
pub struct Pick {
    title: Clean,
    choices: Vec<Choice>,
    at: usize,
    top: usize,
}

impl Pick {
    /// The chosen ones first, in their order.
    pub fn new(title: &'static str, choices: Vec<Choice>) -> Self {
        Self { title: Clean::own(title), choices, at: 0, top: 0 }
    }

    fn picked(&self) -> Vec<String> {
        self.choices.iter().filter(|c| c.on).map(|c| c.name.to_owned()).collect()
    }

    fn move_by(&mut self, down: bool) {
        let to = if down { self.at + 1 } else { self.at.wrapping_sub(1) };
        if to < self.choices.len() {
            self.choices.swap(self.at, to);
            self.at = to;
        }
    }
}

impl View for Pick {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Pick, Scope::Choose]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::ChooseDown => self.at = (self.at + 1).min(self.choices.len().saturating_sub(1)),
            Action::ChooseUp => self.at = self.at.saturating_sub(1),
            Action::ChooseTop => self.at = 0,
            Action::ChooseBottom => self.at = self.choices.len().saturating_sub(1),
            Action::PickToggle => {
                if let Some(choice) = self.choices.get_mut(self.at) {
                    choice.on = !choice.on;
                }
            }
            Action::PickDown | Action::PickUp => self.move_by(action == Action::PickDown),
            Action::ChooseThis => {
                let picked = self.picked();
                // Nothing chosen is not a table: the usual columns come back.
                return Outcome::Effect(Effect::Answer(Answer::Picked(picked)));
            }
            _ => return Outcome::Effect(Effect::Close),
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                self.at = self.top + row;
                self.perform(Action::PickToggle, cx)
            }
            _ => Outcome::Done,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let rows = usize::from(cx.size.height.saturating_sub(5)).max(1);
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(rows));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let frame = centered(area, 64, self.choices.len() as u16 + 5);
        page.frame(frame, &self.title, Role::Accent);
        let rows = usize::from(frame.height.saturating_sub(5));
        for (row, choice) in self.choices.iter().skip(self.top).take(rows).enumerate() {
            let line =
                Rect { x: frame.x + 1, y: frame.y + 2 + row as u16, width: frame.width.saturating_sub(2), height: 1 };
            if self.top + row == self.at {
                page.select(line);
                page.put(line.x, line.y, 1, Clean::own("▌"), Role::Accent);
            }
            let sign = if choice.on { "✔" } else { "·" };
            let pieces = [
                (crate::clean!("{sign} "), if choice.on { Role::Accent } else { Role::Faint }),
                (crate::clean!("{:<10} ", choice.name), if choice.on { Role::Text } else { Role::Muted }),
                (clean(choice.help), Role::Muted),
            ];
            page.pieces(line.x + 2, line.y, line.width.saturating_sub(3), &pieces);
            page.clickable(line, Target::Row(row));
        }
        let bottom = (frame.y + frame.height).saturating_sub(2);
        let keys = "space on/off   J K move   ⏎ done   Esc as it was";
        page.put(frame.x + 3, bottom, frame.width.saturating_sub(5), Clean::own(keys), Role::Faint);
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
