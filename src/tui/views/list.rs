//! Cursor and marks of a list whose rows have names: the cursor stays with its row, wherever that goes.

use std::collections::BTreeSet;

use crate::tui::action::Action;

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
