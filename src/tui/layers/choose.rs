//! A menu: one of a few lines. Used for signals, sort orders, and everything a row can do.

use ratatui::layout::Rect;

use crate::ops::Risk;
use crate::text::{Clean, clean};
use crate::tui::Key;
use crate::tui::action::{Action, Row, Scope};
use crate::tui::keymap;
use crate::tui::options::{Cluster, Options};
use crate::tui::page::{Page, Target, centered};
use crate::tui::theme::Role;
use crate::tui::view::{self, Answer, Cx, Effect, Leave, Outcome, View};

/// A line to choose.
pub struct Item {
    /// Its key, if it has one.
    key: Option<String>,
    text: Clean,
    /// Shown greyed, and not to be chosen, for this reason.
    refused: Option<Clean>,
    role: Role,
    /// Something to know the line by.
    mark: Option<Role>,
    does: Does,
}

/// What choosing a line does.
enum Does {
    /// Gives the number of the line back to the view below.
    Answer,
    /// Lets the view below take this action.
    Take(Action),
    /// Puts a text with a name into the clipboard.
    Copy(String, String),
    Leave(Leave),
    Nothing,
}

impl Item {
    fn new(text: Clean, does: Does) -> Self {
        Self { key: None, text, refused: None, role: Role::Text, mark: None, does }
    }
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
        let items = lines.into_iter().map(|line| Item::new(clean(&line), Does::Answer)).collect();
        Self { title: clean(title), items, at }
    }

    /// What can be copied: the beginning of each text beside its name.
    pub fn copies(copies: Vec<(String, String)>) -> Self {
        let items = copies
            .into_iter()
            .map(|(what, text)| {
                let line = crate::clean!("{what:<10}  {}", crate::text::cut_end(clean(&text).as_str(), 56));
                Item::new(line, Does::Copy(what, text))
            })
            .collect();
        Self { title: Clean::own("copy"), items, at: 0 }
    }

    /// Everything the view below can do now.
    pub fn actions(title: &str, view: &dyn View, cx: &Cx<'_>) -> Self {
        let mut rows: Vec<_> = keymap::rows(view.scopes())
            .filter(|row| !row.hint.is_empty() && !matches!(row.action, Action::Menu | Action::Quit))
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.risk > Risk::Looks));
        let item = |row: &&Row| Item {
            key: cx.options.keys.first(row.action).map(str::to_owned),
            refused: view::refusal(view, row, cx),
            role: if row.risk == Risk::Destroys { Role::Fail } else { Role::Text },
            ..Item::new(Clean::own(row.help), Does::Take(row.action))
        };
        let items: Vec<Item> = rows.iter().map(item).collect();
        let at = items.iter().position(|item| item.refused.is_none()).unwrap_or(0);
        Self { title: clean(title), items, at }
    }

    /// The clusters that can be switched to, or how to make some.
    pub fn clusters(options: &Options) -> Self {
        let current = options.profile.name.as_deref();
        let item = |cluster: &Cluster| {
            let (place, refused) = match &cluster.broker {
                Ok(place) => (place.as_str(), None),
                Err(why) => ("", Some(clean(why))),
            };
            let here = if current == Some(cluster.name.as_str()) { "●" } else { " " };
            let only = if cluster.read_only { "  read-only" } else { "" };
            let name = &cluster.name;
            Item {
                refused,
                mark: Some(cluster.color.unwrap_or(Role::Faint)),
                ..Item::new(
                    crate::clean!("{here} {name:<14}  {place}{only}"),
                    Does::Leave(Leave::Profile(name.clone())),
                )
            }
        };
        let mut items: Vec<Item> = options.clusters.iter().map(item).collect();
        let at = options.clusters.iter().position(|cluster| current == Some(cluster.name.as_str())).unwrap_or(0);
        if items.is_empty() {
            let file = options.config.as_deref().unwrap_or("the config file");
            let how = [
                crate::clean!("there are no profiles in {file} yet; one is made so:"),
                Clean::own("[profiles.production]"),
                Clean::own("broker = \"redis://cache-1:6379/0\""),
                Clean::own("color = \"red\""),
                Clean::own("flower-tui config init writes a file to start from"),
            ];
            items = how.into_iter().map(|line| Item::new(line, Does::Nothing)).collect();
        }
        Self { title: Clean::own("clusters"), items, at }
    }

    fn choose(&self) -> Outcome {
        let Some(item) = self.items.get(self.at) else { return Outcome::Effect(Effect::Close) };
        Outcome::Effect(match (&item.refused, &item.does) {
            (Some(why), _) => Effect::Say(why.to_string()),
            (None, Does::Copy(what, text)) => Effect::Copy { what: what.clone(), text: text.clone() },
            (None, Does::Take(action)) => Effect::CloseAnd(*action),
            (None, Does::Answer) => Effect::Answer(Answer::Choice(self.at)),
            (None, Does::Leave(leave)) => Effect::Leave(leave.clone()),
            (None, Does::Nothing) => Effect::Close,
        })
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
        let marks = if self.items.iter().any(|i| i.mark.is_some()) { 2 } else { 0 };
        let width = |item: &Item| item.text.width() + keys + marks + item.refused.as_ref().map_or(0, |r| r.width() + 3);
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
            let (mut x, mut width) = (line.x + 2, line.width.saturating_sub(3));
            let role = if item.refused.is_some() { Role::Faint } else { item.role };
            if let Some(mark) = item.mark {
                page.put(x, y, 1, Clean::own("■"), mark);
                (x, width) = (x + 2, width.saturating_sub(2));
            }
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
