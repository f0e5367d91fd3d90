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
}

impl Cell {
    pub fn new(text: Clean, role: Role) -> Self {
        Self { text, role: Some(role) }
    }

    /// In the row's own colour.
    pub fn plain(text: Clean) -> Self {
        Self { text, role: None }
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
}

/// Columns of the gutter: the cursor's bar or a mark.
const GUTTER: u16 = 1;
const GAP: u16 = 2;

/// A flexible column, which holds names, is not made smaller than this: others go instead.
const LEAST: u16 = 10;

/// What the flexible columns share of those that are shown.
pub fn left_over(columns: &[Column], width: u16) -> u16 {
    fit(columns, width).1
}

/// The places of the columns there is room for, and what the flexible ones among them share. Columns go from the right,
/// the first flexible one never.
fn fit(columns: &[Column], width: u16) -> (Vec<usize>, u16) {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let flexible = |i: &usize| columns.get(*i).is_some_and(|column| column.width == 0);
    let name = shown.iter().find(|i| flexible(i)).copied();
    loop {
        let fixed: u16 = shown.iter().filter_map(|i| columns.get(*i)).map(|column| column.width).sum();
        let used = GUTTER + 2 + GAP * shown.len().saturating_sub(1) as u16 + fixed;
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
            for (i, x, width) in &places {
                let (Some(cell), Some(column)) = (row.cells.get(*i), self.columns.get(*i)) else { continue };
                let role = cell.role.or(row.role).unwrap_or(Role::Text);
                if column.right {
                    page.put_right(*x, y, *width, &cell.text, role);
                } else {
                    page.put_name(*x, y, *width, &cell.text, role);
                }
            }
        }
    }

    fn header(&self, page: &mut Page<'_>, i: usize, column: &Column, x: u16, y: u16, width: u16) {
        page.clickable(Rect { x, y, width, height: 1 }, Target::Column(i));
        let title = match self.sorted {
            Some((sorted, down)) if sorted == i => crate::clean!("{}{}", column.title, if down { "▼" } else { "▲" }),
            _ => Clean::own(column.title),
        };
        let role = if self.sorted.is_some_and(|(sorted, _)| sorted == i) { Role::Accent } else { Role::Heading };
        if column.right {
            page.put_right(x, y, width, &title, role);
        } else {
            page.put(x, y, width, &title, role);
        }
    }

    /// Which columns are shown, with the left edge and width of each.
    fn places(&self, area: Rect) -> Vec<(usize, u16, u16)> {
        let (shown, left) = fit(&self.columns, area.width);
        let columns = shown.into_iter().filter_map(|i| Some((i, self.columns.get(i)?)));
        let flexible = columns.clone().filter(|(_, c)| c.width == 0).count().max(1) as u16;
        let mut x = area.x + GUTTER + 1;
        let right = (area.x + area.width).saturating_sub(1);
        columns
            .map(|(i, column)| {
                let width = if column.width == 0 { left / flexible } else { column.width };
                let place = (i, x, width.min(right.saturating_sub(x)));
                x = (x + width + GAP).min(right);
                place
            })
            .collect()
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
        assert_eq!(fit(&columns, 60), (vec![0, 1, 2, 3, 4], 28));
        assert_eq!(fit(&columns, 50), (vec![0, 1, 2, 3], 20));
        assert_eq!(fit(&columns, 30), (vec![0, 1, 2], 12));
        assert_eq!(fit(&columns, 10), (vec![1], 7));
    }
}
