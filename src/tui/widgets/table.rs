//! A table whose columns don't move: widths come from the columns, never from the rows.

use ratatui::layout::Rect;

use crate::text::Clean;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;

/// A column. Width zero takes what the others leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub title: &'static str,
    pub width: u16,
    pub right: bool,
}

impl Column {
    pub const fn left(title: &'static str, width: u16) -> Self {
        Self { title, width, right: false }
    }

    pub const fn right(title: &'static str, width: u16) -> Self {
        Self { title, width, right: true }
    }
}

/// One value.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub text: Clean,
    pub role: Option<Role>,
    /// A word in front of the text, in a colour of its own: it takes room only where it stands.
    pub badge: Option<(Clean, Role)>,
}

impl Cell {
    pub fn new(text: Clean, role: Role) -> Self {
        Self { text, role: Some(role), badge: None }
    }

    /// In the row's own colour.
    pub fn plain(text: Clean) -> Self {
        Self { text, role: None, badge: None }
    }
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub marked: bool,
    pub role: Option<Role>,
}

/// A table ready to be painted.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    pub selected: Option<usize>,
    /// Sorted by this column, downwards or not.
    pub sorted: Option<(usize, bool)>,
    /// One blank between columns instead of two, where many have to fit.
    pub tight: bool,
    /// Rows that are none, but lines between two others: moments with a name.
    pub rules: Vec<(usize, Clean)>,
}

/// Columns of the gutter: the cursor's bar or a mark.
const GUTTER: u16 = 1;

/// Blanks between two columns.
fn gap(tight: bool) -> u16 {
    if tight { 1 } else { 2 }
}

/// A flexible column, which holds names, is not made smaller than this: others go instead.
const LEAST: u16 = 10;

/// What the flexible columns share of those that are shown.
pub fn left_over(columns: &[Column], width: u16) -> u16 {
    fit(columns, width, false).1
}

/// The places of the columns there is room for, and what the flexible ones among them share. Columns go from the right,
/// the first flexible one never.
fn fit(columns: &[Column], width: u16, tight: bool) -> (Vec<usize>, u16) {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let flexible = |i: &usize| columns.get(*i).is_some_and(|column| column.width == 0);
    let name = shown.iter().find(|i| flexible(i)).copied();
    loop {
        let fixed: u16 = shown.iter().filter_map(|i| columns.get(*i)).map(|column| column.width).sum();
        let used = GUTTER + 2 + gap(tight) * shown.len().saturating_sub(1) as u16 + fixed;
        let wanted = shown.iter().filter(|i| flexible(i)).count() as u16 * LEAST;
        let last = shown.iter().rposition(|i| Some(*i) != name);
        match last {
            Some(last) if used + wanted > width => shown.remove(last),
            _ => return (shown, width.saturating_sub(used)),
        };
    }
}

impl Table {
    /// Paints header and rows; rows and headers become clickable.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        if area.height == 0 {
            return;
        }
        let places = self.places(area);
        for (i, x, width) in &places {
            if let Some(column) = self.columns.get(*i) {
                self.header(page, *i, column, *x, area.y, *width);
            }
        }
        for (i, row) in self.rows.iter().enumerate().take(usize::from(area.height - 1)) {
            let y = area.y + 1 + i as u16;
            let line = Rect { y, height: 1, ..area };
            if self.selected == Some(i) {
                page.select(line);
                page.put(area.x, y, 1, Clean::own("▌"), Role::Accent);
            } else if row.marked {
                page.put(area.x, y, 1, Clean::own("•"), Role::Accent);
            }
            if row.marked && self.selected == Some(i) {
                page.put(area.x, y, 1, Clean::own("•"), Role::Accent);
            }
            page.clickable(line, Target::Row(i));
            if let Some((_, text)) = self.rules.iter().find(|(place, _)| *place == i) {
                rule(page, line, text);
                continue;
            }
            for (i, x, width) in &places {
                let (Some(cell), Some(column)) = (row.cells.get(*i), self.columns.get(*i)) else { continue };
                let role = cell.role.or(row.role).unwrap_or(Role::Text);
                if column.right {
                    page.put_right(*x, y, *width, &cell.text, role);
                    continue;
                }
                let before = cell.badge.as_ref().map_or(0, |(word, role)| page.put(*x, y, *width, word, *role) + 1);
                page.put_name(*x + before, y, width.saturating_sub(before), &cell.text, role);
            }
        }
    }

    fn header(&self, page: &mut Page<'_>, i: usize, column: &Column, x: u16, y: u16, width: u16) {
        page.clickable(Rect { x, y, width, height: 1 }, Target::Column(i));
        let title = match self.sorted {
            Some((sorted, down)) if sorted == i => crate::clean!("{}{}", column.title, if down { "▼" } else { "▲" }),
            _ => Clean::own(column.title),
        };
        // Of a column one cell wide the rows say what it is.
        if column.width == 1 && column.title.len() > 1 {
            return;
        }
        let role = if self.sorted.is_some_and(|(sorted, _)| sorted == i) { Role::Accent } else { Role::Heading };
        if column.right {
            // The sign of the order may reach into the blank before a title that fills its column.
            let more = u16::from(title.width() > usize::from(width));
            page.put_right(x - more, y, width + more, &title, role);
        } else {
            page.put(x, y, width, &title, role);
        }
    }

    /// Which columns are shown, with the left edge and width of each.
    fn places(&self, area: Rect) -> Vec<(usize, u16, u16)> {
        let (shown, left) = fit(&self.columns, area.width, self.tight);
        let columns = shown.into_iter().filter_map(|i| Some((i, self.columns.get(i)?)));
        let flexible = columns.clone().filter(|(_, c)| c.width == 0).count().max(1) as u16;
        let mut x = area.x + GUTTER + 1;
        let right = (area.x + area.width).saturating_sub(1);
        columns
            .map(|(i, column)| {
                let width = if column.width == 0 { left / flexible } else { column.width };
                let place = (i, x, width.min(right.saturating_sub(x)));
                x = (x + width + gap(self.tight)).min(right);
                place
            })
            .collect()
    }
}

/// A line between two rows with a moment's name in it.
fn rule(page: &mut Page<'_>, line: Rect, text: &Clean) {
    let width = line.width.saturating_sub(GUTTER + 2);
    let x = line.x + GUTTER + 1;
    page.put(x, line.y, width, Clean::repeated('┄', usize::from(width)), Role::Border);
    let used = page.put(x + 2, line.y, width.saturating_sub(6), crate::clean!(" {text} "), Role::Muted);
    if used > 0 {
        page.put(x, line.y, 1, Clean::own("▾"), Role::Accent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_room_columns_go_from_the_right_and_the_name_stays() {
        let columns = [
            Column::left("", 1),
            Column::left("NAME", 0),
            Column::right("ONE", 10),
            Column::right("TWO", 10),
            Column::left("ARGS", 0),
        ];
        assert_eq!(fit(&columns, 60, false), (vec![0, 1, 2, 3, 4], 28));
        assert_eq!(fit(&columns, 50, false), (vec![0, 1, 2, 3], 20));
        assert_eq!(fit(&columns, 30, false), (vec![0, 1, 2], 12));
        assert_eq!(fit(&columns, 10, false), (vec![1], 7));
        assert_eq!(fit(&columns, 56, true), (vec![0, 1, 2, 3, 4], 28), "one blank is saved between any two");
    }
}
