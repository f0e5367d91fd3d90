//! What lists have in common: a cursor that stays with its row wherever that goes, marks, and the split between a list
//! and its details.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use super::task::Line;
use crate::broker::LinkState;
use crate::text::{Clean, clean};
use crate::tui::action::Action;
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::Cx;

/// See the module. `K` names a row.
pub struct Cursor<K> {
    pub at: Option<K>,
    /// Row of the cursor when it was last found, for when its own row is gone.
    index: usize,
    /// First row on screen.
    pub top: usize,
    pub marks: BTreeSet<K>,
    last_mark: Option<K>,
}

impl<K> Default for Cursor<K> {
    fn default() -> Self {
        Self { at: None, index: 0, top: 0, marks: BTreeSet::new(), last_mark: None }
    }
}

impl<K: Ord + Clone> Cursor<K> {
    /// Finds the cursor among the rows and keeps it on a screen of `height` rows. Returns its row.
    pub fn settle(&mut self, rows: &[K], height: usize) -> Option<usize> {
        if rows.is_empty() {
            self.top = 0;
            return None;
        }
        let found = self.at.as_ref().and_then(|at| rows.iter().position(|row| row == at));
        self.index = found.unwrap_or_else(|| self.index.min(rows.len() - 1));
        self.at = Some(rows[self.index].clone());
        self.top = self.top.min(self.index).max((self.index + 1).saturating_sub(height.max(1)));
        self.top = self.top.min(rows.len().saturating_sub(height));
        Some(self.index)
    }

    /// Takes a moving or marking action; false if it is none.
    pub fn perform(&mut self, action: Action, rows: &[K], height: usize) -> bool {
        let last = rows.len().saturating_sub(1);
        let half = (height / 2).max(1);
        let to = match action {
            Action::Down => self.index + 1,
            Action::Up => self.index.saturating_sub(1),
            Action::PageDown => self.index + half,
            Action::PageUp => self.index.saturating_sub(half),
            Action::Top => 0,
            Action::Bottom => last,
            Action::Mark => {
                if let Some(at) = self.at.clone() {
                    self.toggle(at);
                }
                self.index + 1
            }
            Action::MarkRange => {
                self.mark_range(rows);
                self.index
            }
            Action::MarkAll => {
                self.marks.extend(rows.iter().cloned());
                self.index
            }
            Action::UnmarkAll => {
                self.marks.clear();
                self.index
            }
            _ => return false,
        };
        self.go(to, rows);
        true
    }

    /// Puts the cursor on a row.
    pub fn go(&mut self, to: usize, rows: &[K]) {
        self.index = to.min(rows.len().saturating_sub(1));
        self.at = rows.get(self.index).cloned();
    }

    fn toggle(&mut self, key: K) {
        if !self.marks.remove(&key) {
            self.marks.insert(key.clone());
        }
        self.last_mark = Some(key);
    }

    fn mark_range(&mut self, rows: &[K]) {
        let from = self.last_mark.as_ref().and_then(|mark| rows.iter().position(|row| row == mark));
        let from = from.unwrap_or(self.index);
        let (low, high) = (from.min(self.index), from.max(self.index));
        self.marks.extend(rows.iter().take(high + 1).skip(low).cloned());
        self.last_mark = self.at.clone();
    }

    /// What a command is for: the marked rows, else the one under the cursor.
    pub fn chosen(&self) -> Vec<K> {
        if self.marks.is_empty() { self.at.iter().cloned().collect() } else { self.marks.iter().cloned().collect() }
    }
}

/// How a screen is shared between a list and the details below it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Split {
    /// Rows a person gave to the details.
    wanted: Option<u16>,
    /// Rows they have at the moment, the rule included; none where the screen is too low.
    below: u16,
}

impl Split {
    /// Gives the details so many rows.
    pub fn set(&mut self, rows: u16) {
        self.wanted = Some(rows.max(2));
    }

    /// Rows for the details on a screen of some height: `usual`, unless a person wished otherwise, and none on a screen
    /// lower than `tall`.
    pub fn below(&mut self, height: u16, usual: u16, tall: u16) -> u16 {
        self.below = if height < tall { 0 } else { self.wanted.unwrap_or(usual).min(height.saturating_sub(6)) };
        self.below
    }

    /// Where the list is, below one line of status, and where the details are.
    pub fn areas(&self, area: Rect) -> (Rect, Option<Rect>) {
        let list = Rect { y: area.y + 1, height: area.height.saturating_sub(1 + self.below), ..area };
        let pane = Rect { y: (area.y + area.height).saturating_sub(self.below), height: self.below, ..area };
        (list, (self.below > 0 && area.height > self.below).then_some(pane))
    }
}

/// Why a list may be empty though there would be something in it: nobody told us.
pub fn unseen(cx: &Cx<'_>) -> Option<Vec<Line>> {
    let say = |text: String| vec![(clean(&text), Role::Warn)];
    if cx.model.watching_since().is_none() && !cx.link.is_live() {
        let text = match cx.link {
            LinkState::Down { .. } => "The broker was not reached yet: nothing is known.",
            _ => "Connecting to the broker: nothing is known yet.",
        };
        return Some(vec![vec![(Clean::own(text), Role::Muted)]]);
    }
    let whose = match (cx.model.mute(cx.now), cx.model.online(cx.now).0) {
        (0, _) => return None,
        (mute, online) if mute >= online => "Workers".to_owned(),
        (mute, online) => format!("{mute} of {online} workers"),
    };
    let key = cx.options.keys.first(Action::EventsOn).map(crate::tui::keymap::shown);
    let on = key.map_or(String::new(), |key| format!(" {key} on the first tab turns them on."));
    Some(vec![say(format!("{whose} send no task events: what becomes of their tasks is not told.{on}"))])
}

/// Below this width the line above a list has no room for a word that explains it.
const NARROW: u16 = 60;

/// The line above a list: what it is filtered by, and how much of it there is. A filter in force is never left out.
pub fn head(page: &mut Page<'_>, area: Rect, all: &'static str, filter: &str, status: &Line) {
    let width = |status: &[(Clean, Role)]| status.iter().map(|(t, _)| t.width() as u16).sum::<u16>();
    // What only explains goes before anything is cut.
    let mut status = status.as_slice();
    while let [rest @ .., (_, Role::Faint)] = status
        && width(status) + 4 > area.width
    {
        status = rest;
    }
    let wanted = width(status);
    let (text, role) = if filter.is_empty() { (Clean::own(all), Role::Faint) } else { (clean(filter), Role::Text) };
    let narrow = area.width < NARROW;
    let label = Clean::own(if narrow { "" } else { "filter  " });
    let least = match (filter.is_empty(), narrow) {
        (false, _) => ((label.width() + text.width()) as u16).min(area.width / 2),
        (true, false) => label.width() as u16,
        (true, true) => 0,
    };
    let status_width = wanted.min(area.width.saturating_sub(least + 4));
    let room = area.width.saturating_sub(status_width + 4);
    let used = page.put(area.x + 1, area.y, room, &label, Role::Muted);
    // Half a word that says there is none says nothing.
    if !filter.is_empty() || room >= used + text.width() as u16 {
        page.put(area.x + 1 + used, area.y, room.saturating_sub(used), &text, role);
    }
    page.pieces((area.x + area.width).saturating_sub(status_width + 1), area.y, status_width, status);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_with_its_row() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.settle(&["a", "b", "c"], 2), Some(0));
        cursor.perform(Action::Down, &["a", "b", "c"], 2);
        assert_eq!(cursor.settle(&["new", "a", "b", "c"], 2), Some(2));
        assert_eq!((cursor.at, cursor.top), (Some("b"), 1));
        assert_eq!(cursor.settle(&["a", "c"], 2), Some(1), "its row is gone: the place is kept");
        assert_eq!(cursor.settle(&[], 2), None);
    }

    #[test]
    fn marks_are_toggled_and_ranged() {
        let rows = ["a", "b", "c", "d"];
        let mut cursor = Cursor::default();
        cursor.settle(&rows, 4);
        cursor.perform(Action::Mark, &rows, 4);
        cursor.perform(Action::Down, &rows, 4);
        cursor.perform(Action::MarkRange, &rows, 4);
        assert_eq!(cursor.chosen(), ["a", "b", "c"]);
        cursor.perform(Action::UnmarkAll, &rows, 4);
        assert_eq!(cursor.chosen(), ["c"]);
    }
}
