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

/// What the flexible columns share.
pub fn left_over(columns: &[Column], width: u16) -> u16 {
    let gaps = GAP * (columns.len().saturating_sub(1)) as u16;
    let fixed: u16 = columns.iter().map(|c| c.width).sum();
    width.saturating_sub(GUTTER + 2 + gaps + fixed)
}

impl Table {
    /// Paints header and rows; rows and headers become clickable.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        if area.height == 0 {
            return;
        }
        let places = self.places(area);
        for (i, (column, (x, width))) in self.columns.iter().zip(&places).enumerate() {
            self.header(page, i, column, *x, area.y, *width);
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
            for ((cell, column), (x, width)) in row.cells.iter().zip(&self.columns).zip(&places) {
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

    /// Left edge and width of each column.
    fn places(&self, area: Rect) -> Vec<(u16, u16)> {
        let flexible = self.columns.iter().filter(|c| c.width == 0).count().max(1) as u16;
        let left = left_over(&self.columns, area.width);
        let mut x = area.x + GUTTER + 1;
        let right = (area.x + area.width).saturating_sub(1);
        self.columns
            .iter()
            .map(|column| {
                let width = if column.width == 0 { left / flexible } else { column.width };
                let place = (x, width.min(right.saturating_sub(x)));
                x = (x + width + GAP).min(right);
                place
            })
            .collect()
    }
}
