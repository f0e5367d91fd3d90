//! A long text with a cursor, whose parts can be folded, and which can be searched.

use std::collections::HashSet;

use ratatui::layout::Rect;

use crate::text::Clean;
use crate::tui::page::Page;
use crate::tui::theme::Role;

/// One line. Lines that follow and lie deeper belong to it.
#[derive(Clone, Debug, Default)]
pub struct Item {
    pub depth: u16,
    pub pieces: Vec<(Clean, Role)>,
    /// Names it, if what lies below can be folded away.
    pub fold: Option<String>,
    /// What is shown instead while it is folded.
    pub folded: Vec<(Clean, Role)>,
    /// It ends a part: it is folded away with it, and drawn where the part began.
    pub closes: bool,
}

impl Item {
    /// How far to the right it is drawn.
    pub fn shown_depth(&self) -> u16 {
        self.depth.saturating_sub(u16::from(self.closes))
    }

    /// A line that can't be folded.
    pub fn line(depth: u16, pieces: Vec<(Clean, Role)>) -> Self {
        Self { depth, pieces, ..Self::default() }
    }
}

/// See the module.
#[derive(Default)]
pub struct Outline {
    items: Vec<Item>,
    /// Places of the lines that are not folded away.
    visible: Vec<usize>,
    folded: HashSet<String>,
    cursor: usize,
    top: usize,
    height: usize,
    search: String,
}

impl Outline {
    /// Replaces the text; cursor, folds and search stay.
    pub fn set(&mut self, items: Vec<Item>, height: usize) {
        self.items = items;
        self.height = height;
        self.refold();
    }

    fn refold(&mut self) {
        self.visible.clear();
        let mut hidden_below: Option<u16> = None;
        for (i, item) in self.items.iter().enumerate() {
            if hidden_below.is_some_and(|depth| item.depth > depth) {
                continue;
            }
            hidden_below = item.fold.as_ref().filter(|key| self.folded.contains(*key)).map(|_| item.depth);
            self.visible.push(i);
        }
        self.clamp();
    }

    fn clamp(&mut self) {
        self.cursor = self.cursor.min(self.visible.len().saturating_sub(1));
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(self.height.max(1)));
        self.top = self.top.min(self.visible.len().saturating_sub(self.height));
    }

    /// Moves the cursor by so many lines.
    pub fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by);
        self.clamp();
    }

    /// Half a screen.
    pub fn half(&self) -> isize {
        (self.height / 2).max(1) as isize
    }

    /// Puts the cursor on a line of the screen.
    pub fn go_to_row(&mut self, row: usize) {
        self.cursor = self.top + row;
        self.clamp();
    }

    /// Folds or unfolds the part the cursor is in. False if there is none.
    pub fn fold(&mut self) -> bool {
        let Some(&at) = self.visible.get(self.cursor) else { return false };
        let depth = self.items.get(at).map_or(0, |item| item.depth);
        let own = self.items.get(at).and_then(|item| item.fold.as_ref());
        // On a line within a part, the part itself is meant.
        let around = || self.items[..at].iter().rev().find(|item| item.depth < depth && item.fold.is_some());
        let Some(key) = own.or_else(|| around().and_then(|item| item.fold.as_ref())).cloned() else { return false };
        if !self.folded.remove(&key) {
            self.folded.insert(key.clone());
        }
        let place = self.items.iter().position(|item| item.fold.as_ref() == Some(&key));
        self.refold();
        if let Some(row) = place.and_then(|place| self.visible.iter().position(|&v| v == place)) {
            self.cursor = row;
        }
        self.clamp();
        true
    }

    /// Folds every part, or unfolds them if all are folded.
    pub fn fold_all(&mut self) {
        let keys: HashSet<String> = self.items.iter().filter_map(|item| item.fold.clone()).collect();
        let all = keys.iter().all(|key| self.folded.contains(key));
        self.folded = if all { HashSet::new() } else { keys };
        self.refold();
    }

    /// What is searched for.
    pub fn searching(&self) -> &str {
        &self.search
    }

    /// Searches from the cursor on, also in folded parts: those that hold a match are unfolded.
    pub fn search(&mut self, text: &str) {
        self.search = text.to_lowercase();
        let from = self.visible.get(self.cursor).copied().unwrap_or(0);
        self.find((from..self.items.len()).chain(0..from).collect());
    }

    /// The next match, or the one before.
    pub fn search_on(&mut self, forward: bool) {
        let (at, n) = (self.visible.get(self.cursor).copied().unwrap_or(0), self.items.len());
        let order: Vec<usize> = if forward {
            (at + 1..n).chain(0..at.min(n)).collect()
        } else {
            (0..at.min(n)).rev().chain((at..n).rev()).collect()
        };
        self.find(order);
    }

    fn find(&mut self, order: Vec<usize>) {
        let Some(found) = order.into_iter().find(|&i| self.items.get(i).is_some_and(|item| self.matches(item))) else {
            return;
        };
        let mut depth = self.items[found].depth;
        for item in self.items[..found].iter().rev() {
            if item.depth < depth {
                depth = item.depth;
                item.fold.as_ref().map(|key| self.folded.remove(key));
            }
        }
        self.refold();
        self.cursor = self.visible.iter().position(|&v| v == found).unwrap_or(0);
        self.clamp();
    }

    fn matches(&self, item: &Item) -> bool {
        !self.search.is_empty()
            && item
                .pieces
                .iter()
                .map(|(text, _)| text.as_str())
                .collect::<String>()
                .to_lowercase()
                .contains(&self.search)
    }

    /// Paints what can be seen, and where one is.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        for (row, &i) in self.visible.iter().skip(self.top).take(usize::from(area.height)).enumerate() {
            let (Some(item), y) = (self.items.get(i), area.y + row as u16) else { continue };
            let line = Rect { y, height: 1, ..area };
            let is_folded = item.fold.as_ref().is_some_and(|key| self.folded.contains(key));
            let pieces = if is_folded && !item.folded.is_empty() { &item.folded } else { &item.pieces };
            let indent = (item.shown_depth() * 2).min(area.width / 2);
            if self.top + row == self.cursor && self.visible.len() > usize::from(area.height) / 2 {
                page.put(area.x, y, 1, Clean::own("▌"), Role::Accent);
            }
            if item.fold.is_some() {
                page.put(area.x + 1 + indent, y, 1, Clean::own(if is_folded { "▸" } else { "▾" }), Role::Faint);
            }
            page.pieces(area.x + 3 + indent, y, area.width.saturating_sub(indent + 3), pieces);
            if self.matches(item) {
                page.select(line);
            }
            page.clickable(line, crate::tui::page::Target::Row(row));
        }
        if self.visible.len() > usize::from(area.height) && area.height > 0 {
            let share = (self.top + usize::from(area.height)) * 100 / self.visible.len();
            page.put_right(area.x, area.y + area.height - 1, area.width, crate::clean!(" {share}% "), Role::Faint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> Outline {
        let item = |depth, text: &'static str, fold: bool| Item {
            depth,
            pieces: vec![(Clean::own(text), Role::Text)],
            fold: fold.then(|| text.to_owned()),
            ..Item::default()
        };
        let mut outline = Outline::default();
        outline.set(
            vec![
                item(0, "args", true),
                item(1, "one", false),
                item(1, "list", true),
                item(2, "deep", false),
                item(0, "end", false),
            ],
            10,
        );
        outline
    }

    #[test]
    fn folding_hides_what_belongs_to_a_line_and_nothing_else() {
        let mut outline = outline();
        outline.step(1);
        assert!(outline.fold(), "within a part the part is meant");
        assert_eq!((outline.visible.clone(), outline.cursor), (vec![0, 4], 0));
        outline.step(1);
        assert!(!outline.fold());
        outline.fold_all();
        outline.fold_all();
        assert_eq!(outline.visible.len(), 5);
    }

    #[test]
    fn a_match_in_a_folded_part_is_unfolded() {
        let mut outline = outline();
        outline.fold_all();
        outline.search("deep");
        assert_eq!((outline.visible.len(), outline.cursor), (5, 3));
        outline.search_on(true);
        assert_eq!(outline.cursor, 3, "it is the only one");
    }
}
