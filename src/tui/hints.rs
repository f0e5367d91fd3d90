//! The last line: the keys that make sense now. What can't be done is not offered.

use ratatui::layout::Rect;

use super::action::{Action, Row, Scope};
use super::keymap;
use super::page::{Page, Target};
use super::theme::Role;
use super::view::{self, Cx, View};
use crate::text::{Clean, clean};

/// Below this width there is room for the way to all other keys only.
const NARROW: u16 = 60;

struct Hint {
    action: Action,
    key: Clean,
    word: &'static str,
}

/// See the module.
#[derive(Default)]
pub struct Hints {
    hints: Vec<Hint>,
    /// These keep their room whatever there is before them.
    last: Vec<Hint>,
}

impl Hints {
    /// What can be done in a view now.
    pub fn new(view: &dyn View, leads_back: bool, cx: &Cx<'_>) -> Self {
        let hint = |(action, word): (Action, &'static str)| {
            let key = clean(&keymap::shown(cx.options.keys.first(action)?));
            Some(Hint { action, key, word })
        };
        let can = |row: &&'static Row| !row.hint.is_empty() && view::refusal(view, row, cx).is_none();
        let mut last: Vec<(Action, &'static str)> = Vec::new();
        if view.scopes().contains(&Scope::Global) {
            let back = (leads_back, Action::Back, "back");
            let quit = (cx.size.width >= NARROW, Action::Quit, "quit");
            let always = [back, quit, (true, Action::Help, "help")];
            last.extend(always.into_iter().filter(|(on, ..)| *on).map(|(_, action, word)| (action, word)));
        }
        // With a recording, moving in it comes first.
        let mut scopes = view::live(view, cx.options);
        scopes.sort_by_key(|scope| *scope != Scope::Replay);
        let rows = keymap::rows(&scopes).filter(can).map(|row| (row.action, row.hint));
        let rows = rows.filter(|(action, _)| !matches!(action, Action::Quit | Action::Help));
        let urged = view.urges().filter(|_| !cx.options.read_only);
        Self {
            hints: urged.into_iter().chain(rows).filter_map(hint).collect(),
            last: last.into_iter().filter_map(hint).collect(),
        }
    }

    /// Paints as many as there is room for.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let kept: u16 = self.last.iter().map(|hint| hint.width() + 2).sum();
        let right = area.x + area.width;
        let mut x = area.x + 1;
        for (i, hint) in self.hints.iter().enumerate() {
            // A key means the nearest thing it is bound to.
            let shadowed = self.hints.iter().take(i).any(|other| other.key == hint.key);
            if !shadowed && x + hint.width() + 2 + kept <= right {
                x = hint.draw(page, x, area.y);
            }
        }
        for hint in &self.last {
            x = hint.draw(page, x, area.y);
        }
    }
}

impl Hint {
    fn width(&self) -> u16 {
        (self.key.width() + 1 + self.word.chars().count()) as u16
    }

    fn draw(&self, page: &mut Page<'_>, x: u16, y: u16) -> u16 {
        // `put` cuts at the buffer's own edge.
        let room = u16::MAX - x;
        let used = page.put(x, y, room, &self.key, Role::Accent);
        let used = used + 1 + page.put(x + used + 1, y, room, Clean::own(self.word), Role::Muted);
        page.clickable(Rect { x, y, width: used, height: 1 }, Target::Action(self.action));
        x + used + 2
    }
}
