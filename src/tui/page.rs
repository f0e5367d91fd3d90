//! What a view paints on: a frame's cells, the theme, and the list of places that can be clicked.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::action::Action;
use super::keys::Keys;
use super::theme::{Role, Theme};
use super::widgets::literal::wrap;
use crate::clock::Stamp;
use crate::text::{Clean, cut_end, cut_middle};

/// What a click on a place means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Tab(usize),
    Row(usize),
    /// A pane or inner tab.
    Pane(usize),
    Column(usize),
    Action(Action),
    /// A point of a chart: thousandths of its time.
    Share(u16),
    /// A cell of a line of heat: its row, and thousandths of its time.
    Heat(usize, u16),
    /// The edge between a list and its details.
    Split,
}

/// See the module.
pub struct Page<'a> {
    pub buffer: &'a mut Buffer,
    pub theme: Theme,
    pub now: Stamp,
    pub zone: &'a TimeZone,
    pub keys: &'a Keys,
    pub clicks: Vec<(Rect, Target)>,
    /// Where the text cursor stands, if a field is open.
    pub cursor: Option<(u16, u16)>,
}

impl Page<'_> {
    /// Writes a text, cut at `width` columns; returns the columns it took.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: impl AsRef<Clean>, role: Role) -> u16 {
        if width == 0 || !self.buffer.area.contains((x, y).into()) {
            return 0;
        }
        let text = cut_end(text.as_ref().as_str(), usize::from(width));
        let (end, _) = self.buffer.set_stringn(x, y, &text, usize::from(width), self.theme.style(role));
        end.saturating_sub(x)
    }

    /// Writes a text whose middle is cut out where it is too long: for names.
    pub fn put_name(&mut self, x: u16, y: u16, width: u16, text: &Clean, role: Role) -> u16 {
        let cut = cut_middle(text.as_str(), usize::from(width));
        if !self.buffer.area.contains((x, y).into()) {
            return 0;
        }
        let (end, _) = self.buffer.set_stringn(x, y, &cut, usize::from(width), self.theme.style(role));
        end.saturating_sub(x)
    }

    /// Writes a text so that it ends at the right edge of `width` columns.
    pub fn put_right(&mut self, x: u16, y: u16, width: u16, text: impl AsRef<Clean>, role: Role) {
        let text = text.as_ref();
        let used = (text.width() as u16).min(width);
        self.put(x + width - used, y, used, text, role);
    }

    /// Writes pieces one after the other; returns the columns they took.
    pub fn pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[(Clean, Role)]) -> u16 {
        let mut used = 0;
        for (text, role) in pieces {
            used += self.put(x + used, y, width.saturating_sub(used), text, *role);
        }
        used
    }

    /// A horizontal rule with a title in it.
    pub fn rule(&mut self, area: Rect, title: &[(Clean, Role)]) {
        if area.height == 0 || area.width < 4 {
            return;
        }
        let line = Clean::repeated('─', usize::from(area.width));
        self.put(area.x, area.y, area.width, &line, Role::Border);
        if !title.is_empty() {
            self.put(area.x + 1, area.y, 1, Clean::own(" "), Role::Text);
            let used = self.pieces(area.x + 2, area.y, area.width.saturating_sub(4), title);
            self.put(area.x + 2 + used, area.y, 1, Clean::own(" "), Role::Text);
        }
    }

    /// A pane: a rule with its title, and lines below it.
    pub fn pane(&mut self, area: Rect, title: &[(Clean, Role)], lines: &[Vec<(Clean, Role)>]) {
        self.rule(area, title);
        for (line, y) in lines.iter().zip(area.y + 1..area.y + area.height) {
            self.pieces(area.x + 2, y, area.width.saturating_sub(4), line);
        }
    }

    /// What an empty list says instead of rows. A sentence that is too long goes on in the next line.
    pub fn instead_of_rows(&mut self, list: Rect, lines: &[Vec<(Clean, Role)>]) {
        let width = list.width.saturating_sub(6);
        let wrapped = lines.iter().flat_map(|line| match line.as_slice() {
            [(text, role)] if text.width() > usize::from(width) => {
                wrap(text, usize::from(width).max(1)).into_iter().map(|text| vec![(text, *role)]).collect()
            }
            line => vec![line.to_vec()],
        });
        let wrapped: Vec<Vec<(Clean, Role)>> = wrapped.collect();
        // Where there are few lines, none of them is spent on air.
        let roomy = wrapped.len() + 2 <= usize::from(list.height);
        let first = list.y + if roomy { 2 } else { 1 };
        for (line, y) in wrapped.iter().zip(first..list.y + list.height) {
            self.pieces(list.x + 3, y, width, line);
        }
    }

    /// Writes the pieces that fit whole, from the first on.
    pub fn whole_pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[(Clean, Role)]) {
        let mut used = 0;
        let fits = |(text, _): &&(Clean, Role)| {
            // The blanks at the end of a piece only keep it from the next one.
            let blanks = text.as_str().len() - text.as_str().trim_end_matches(' ').len();
            used += text.width();
            used <= usize::from(width) + blanks
        };
        let fitting = pieces.iter().take_while(fits).count().max(1);
        self.pieces(x, y, width, pieces.get(..fitting).unwrap_or(pieces));
    }

    /// Blanks an area and draws a frame around it: for what lies on top.
    pub fn frame(&mut self, area: Rect, title: &Clean, role: Role) {
        use ratatui::widgets::{Block, Clear, Widget};
        Clear.render(area, self.buffer);
        self.buffer.set_style(area, self.theme.background());
        Block::bordered().border_style(self.theme.style(Role::Border)).render(area, self.buffer);
        if area.width > 6 {
            let used = self.put(area.x + 3, area.y, area.width - 6, title, role);
            self.put(area.x + 2, area.y, 1, Clean::own(" "), role);
            self.put(area.x + 3 + used, area.y, 1, Clean::own(" "), role);
        }
    }

    /// Lays the cursor's background over a row.
    pub fn select(&mut self, area: Rect) {
        self.buffer.set_style(area, self.theme.selection());
    }

    /// Remembers what a click on an area means.
    pub fn clickable(&mut self, area: Rect, target: Target) {
        self.clicks.push((area, target));
    }
}

/// An area of at most this size in the middle of another.
pub fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
