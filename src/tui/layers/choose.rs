//! A menu: one of a few lines. Used for signals, sort orders, and everything a row can do.

use ratatui::layout::Rect;

use crate::ops::Risk;
use crate::text::{Clean, clean};
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::page::{Page, Target, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

/// A line to choose.
pub struct Item {
    /// Its key, if it has one.
    pub key: Option<String>,
    pub text: Clean,
    /// Shown greyed, and not to be chosen, for this reason.
    pub refused: Option<Clean>,
    pub risk: Risk,
    /// Taken by the view below, when chosen; else the number of the line is given back.
    pub action: Option<Action>,
    /// Put into the clipboard, when chosen.
    pub copy: Option<(String, String)>,
}

/// See the module.
pub struct Choose {
    title: Clean,
    items: Vec<Item>,
    at: usize,
}

impl Choose {
    /// A menu of plain lines.
    pub fn lines(title: &str, lines: impl IntoIterator<Item = String>, at: usize) -> Self {
        let items = lines
            .into_iter()
            .map(|line| Item {
                key: None,
                text: clean(&line),
                refused: None,
                risk: Risk::Looks,
                action: None,
                copy: None,
            })
            .collect();
        Self { title: clean(title), items, at }
    }

    /// What can be copied: the beginning of each text beside its name.
    pub fn copies(copies: Vec<(String, String)>) -> Self {
        let items = copies
            .into_iter()
            .map(|(what, text)| Item {
                key: None,
                text: crate::clean!("{what:<10}  {}", crate::text::cut_end(clean(&text).as_str(), 56)),
                refused: None,
                risk: Risk::Looks,
                action: None,
                copy: Some((what, text)),
            })
            .collect();
        Self { title: Clean::own("copy"), items, at: 0 }
    }

    /// Everything the view below can do now.
    pub fn actions(title: &str, view: &dyn View, cx: &Cx<'_>) -> Self {
        let mut items: Vec<Item> = keymap::rows(view.scopes())
            .filter(|row| !row.hint.is_empty() && !matches!(row.action, Action::Menu | Action::Quit))
            .map(|row| Item {
                key: cx.options.keys.first(row.action).map(str::to_owned),
                text: Clean::own(row.help),
                refused: view.refuse(row.action, cx).map(|why| clean(&why)),
                risk: row.risk,
                action: Some(row.action),
                copy: None,
            })
            .collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.risk > Risk::Looks));
        let at = items.iter().position(|item| item.refused.is_none()).unwrap_or(0);
        Self { title: clean(title), items, at }
    }

    fn choose(&self) -> Outcome {
        match self.items.get(self.at) {
            Some(Item { refused: Some(why), .. }) => Outcome::Effect(Effect::Say(why.to_string())),
            Some(Item { copy: Some((what, text)), .. }) => {
                Outcome::Effect(Effect::Copy { what: what.clone(), text: text.clone() })
            }
            Some(Item { action: Some(action), .. }) => Outcome::Effect(Effect::CloseAnd(*action)),
            Some(_) => Outcome::Effect(Effect::Answer(Answer::Choice(self.at))),
            None => Outcome::Effect(Effect::Close),
        }
    }
}

impl View for Choose {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Choose]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::ChooseDown => self.at = (self.at + 1).min(self.items.len().saturating_sub(1)),
            Action::ChooseUp => self.at = self.at.saturating_sub(1),
            Action::ChooseTop => self.at = 0,
            Action::ChooseBottom => self.at = self.items.len().saturating_sub(1),
            Action::ChooseThis => return self.choose(),
            _ => return Outcome::Effect(Effect::Close),
        }
        Outcome::Done
    }

    /// The key of a line chooses it.
    fn type_key(&mut self, key: &Key) -> Outcome {
        match self.items.iter().position(|item| item.key.as_deref() == Some(key.name())) {
            Some(at) => {
                self.at = at;
                self.choose()
            }
            None => Outcome::Ignored,
        }
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                self.at = row;
                self.choose()
            }
            _ => Outcome::Done,
        }
    }

    fn sync(&mut self, _cx: &Cx<'_>) {}

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let keys = if self.items.iter().any(|i| i.key.is_some()) { 6 } else { 0 };
        let width = |item: &Item| item.text.width() + keys + item.refused.as_ref().map_or(0, |r| r.width() + 3);
        let wanted = self.items.iter().map(width).max().unwrap_or(0).max(self.title.width()) + 8;
        let frame = centered(area, wanted.clamp(30, 100) as u16, self.items.len() as u16 + 4);
        page.frame(frame, &self.title, Role::Accent);
        let rows = usize::from(frame.height.saturating_sub(4));
        let top = (self.at + 1).saturating_sub(rows);
        for (i, item) in self.items.iter().enumerate().skip(top).take(rows) {
            let y = frame.y + 2 + (i - top) as u16;
            let line = Rect { x: frame.x + 1, y, width: frame.width - 2, height: 1 };
            if i == self.at {
                page.select(line);
                page.put(line.x, y, 1, Clean::own("▌"), Role::Accent);
            }
            page.clickable(line, Target::Row(i));
            let (x, width) = (line.x + 2, line.width.saturating_sub(3));
            let role = match (&item.refused, item.risk) {
                (Some(_), _) => Role::Faint,
                (None, Risk::Destroys) => Role::Fail,
                _ => Role::Text,
            };
            if let Some(key) = &item.key {
                page.put(
                    x,
                    y,
                    6,
                    clean(&keymap::shown(key)),
                    if item.refused.is_some() { Role::Faint } else { Role::Accent },
                );
            }
            let used = page.put(x + keys as u16, y, width.saturating_sub(keys as u16), &item.text, role);
            if let Some(why) = &item.refused {
                let left = width.saturating_sub(keys as u16 + used + 2);
                page.put(x + keys as u16 + used + 2, y, left, crate::clean!("({why})"), Role::Faint);
            }
        }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
