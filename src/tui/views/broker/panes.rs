//! The panes that look into one queue: below the table of queues, or with a cursor on a screen of their own.

use std::collections::{BTreeMap, HashMap};

use ratatui::layout::Rect;

use crate::feed::{Interest, QueueLook};
use crate::filter::Pattern;
use crate::state::peek::{By, Found, Look};
use crate::text::{Clean, clean, cut_middle};
use crate::tui::action::Action;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::list::Cursor;
use crate::tui::views::task::Line;
use crate::tui::widgets::table::{Row, Table};
use crate::tui::widgets::tabs;

use super::rows::{self, Opens, Rows};

/// Which pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    #[default]
    Waiting,
    Groups,
    Unacked,
    Consumers,
    Producers,
}

impl Pane {
    pub const ALL: [Pane; 5] = [Pane::Waiting, Pane::Groups, Pane::Unacked, Pane::Consumers, Pane::Producers];

    pub fn title(self) -> &'static str {
        match self {
            Pane::Waiting => "Waiting",
            Pane::Groups => "Groups",
            Pane::Unacked => "Unacked",
            Pane::Consumers => "Consumers",
            Pane::Producers => "Producers",
        }
    }

    /// What has to be looked at to fill it.
    pub fn look(self) -> Option<Look> {
        match self {
            // Waiting messages name their senders too.
            Pane::Waiting | Pane::Producers => Some(Look::Waiting),
            Pane::Groups => Some(Look::Groups),
            Pane::Unacked => Some(Look::Unacked),
            Pane::Consumers => None,
        }
    }
}

/// Below this width the note has a line of its own.
const WIDE: u16 = 110;

/// The note, as much of it as fits, cut at its parts.
fn fitting(note: &Line, width: u16) -> Line {
    let mut line: Line = Vec::new();
    let mut used = 0;
    for (text, role) in note.iter().filter(|(text, _)| !text.is_empty()) {
        let before = if line.is_empty() { "" } else { " · " };
        used += before.chars().count() + text.width();
        if used > usize::from(width) {
            break;
        }
        line.extend([(Clean::own(before), Role::Faint), (text.clone(), *role)]);
    }
    line
}

/// See the module.
#[derive(Default)]
pub struct Panes {
    pub pane: Pane,
    pub by: By,
    pub filter: String,
    pub cursor: Cursor<String>,
    /// How often a person asked to look into a queue.
    asked: HashMap<(String, Look), u32>,
    keys: Vec<String>,
    opens: Vec<Opens>,
    /// What marked rows lead to: they stay meant when they have left what is listed.
    marked: BTreeMap<String, Opens>,
    table: Table,
    note: Line,
    empty: Vec<Line>,
    on_request: bool,
    height: usize,
}

impl Panes {
    /// The same pane in the same order, for another screen.
    pub fn like(other: &Panes) -> Self {
        Self { pane: other.pane, by: other.by.clone(), asked: other.asked.clone(), ..Self::default() }
    }

    /// Shows a pane by its number.
    pub fn go(&mut self, number: usize) {
        if let Some(pane) = Pane::ALL.get(number).filter(|pane| **pane != self.pane) {
            *self = Self { pane: *pane, ..Self::like(self) };
        }
    }

    /// Takes an action that chooses what is seen; false if it is none.
    pub fn perform(&mut self, action: Action, queue: Option<&str>, cx: &Cx<'_>) -> bool {
        let (at, n) = (self.pane as usize, Pane::ALL.len());
        match action {
            Action::NextPane => self.go((at + 1) % n),
            Action::PreviousPane => self.go((at + n - 1) % n),
            Action::GroupBy if self.pane == Pane::Groups => {
                let found = queue.and_then(|queue| cx.model.peeked(queue, Look::Groups)).map(|peeked| &peeked.found);
                let sample = match found {
                    Some(Ok(Found::Groups(sample))) => Some(sample),
                    _ => None,
                };
                let by = self.by.next(sample);
                *self = Self { by, ..Self::like(self) };
            }
            Action::GroupBy => self.go(Pane::Groups as usize),
            _ => return false,
        }
        true
    }

    /// Asks for a look into a queue, where that is not done by itself.
    pub fn ask(&mut self, queue: &str) {
        if let Some(what) = self.pane.look() {
            *self.asked.entry((queue.to_owned(), what)).or_insert(0) += 1;
        }
    }

    /// Whether a person has to ask before anything can be seen.
    pub fn waits_to_be_asked(&self) -> bool {
        self.on_request
    }

    /// Takes an action that moves the cursor or marks.
    pub fn go_in_rows(&mut self, action: Action) -> bool {
        if !self.cursor.perform(action, &self.keys, self.height) {
            return false;
        }
        let marks = &self.cursor.marks;
        self.marked.retain(|key, _| marks.contains(key));
        let listed = self.keys.iter().zip(&self.opens).filter(|(key, _)| marks.contains(*key));
        self.marked.extend(listed.map(|(key, opens)| (key.clone(), opens.clone())));
        true
    }

    /// Puts the cursor on a row of the screen; true if it stood there already.
    pub fn click(&mut self, row: usize) -> bool {
        let to = self.cursor.top + row;
        let again = self.keys.get(to).is_some() && self.keys.get(to) == self.cursor.at.as_ref();
        self.cursor.go(to, &self.keys);
        again
    }

    /// What the row under the cursor leads to.
    pub fn chosen(&self) -> Option<&Opens> {
        let at = self.cursor.at.as_ref()?;
        self.opens.get(self.keys.iter().position(|key| key == at)?)
    }

    /// What the marked rows lead to, those included that are not listed any more; without marks, the one under the cursor.
    pub fn all_chosen(&self) -> Vec<&Opens> {
        match self.cursor.marks.is_empty() {
            true => self.chosen().into_iter().collect(),
            false => self.cursor.marks.iter().filter_map(|key| self.marked.get(key)).collect(),
        }
    }

    /// Takes all marks off.
    pub fn unmark(&mut self) {
        self.cursor.marks.clear();
        self.marked.clear();
    }

    /// How many are marked, and how many of them are not listed.
    fn marks_told(&self) -> Option<(Clean, Role)> {
        let marked = self.cursor.marks.len();
        let gone = self.cursor.marks.iter().filter(|key| !self.keys.contains(key)).count();
        let n = |n: usize| crate::human::thousands(n as u64);
        match (marked, gone) {
            (0, _) => None,
            (_, 0) => Some((crate::clean!("{} marked", n(marked)), Role::Accent)),
            _ => Some((crate::clean!("{} marked, {} of them not listed", n(marked), n(gone)), Role::Accent)),
        }
    }

    /// What has to be asked for to fill the pane.
    pub fn interest(&self, queue: &str) -> Interest {
        Interest {
            workers: self.pane == Pane::Consumers,
            consumers: true,
            broker: true,
            queue: self.pane.look().map(|what| {
                let name = queue.to_owned();
                let asked = self.asked.get(&(name.clone(), what)).copied().unwrap_or(0);
                QueueLook { name, what, asked }
            }),
            ..Interest::default()
        }
    }

    /// Copies what fits into `height` lines, its header of columns included.
    pub fn sync(&mut self, queue: &str, cx: &Cx<'_>, height: u16, with_cursor: bool) {
        let mut rows: Rows = rows::of(self.pane, &self.by, queue, cx);
        self.on_request = self.pane.look().is_some_and(|look| rows::on_request(queue, look, cx));
        if !self.filter.is_empty() {
            let pattern = Pattern::new(&self.filter);
            rows.items.retain(|item| item.cells.iter().any(|cell| pattern.matches(cell.text.as_str())));
            if rows.items.is_empty() && rows.empty.is_empty() {
                rows.empty = vec![vec![(Clean::own("No row matches. Esc shows all."), Role::Muted)]];
            }
        }
        self.height = usize::from(height.saturating_sub(if cx.size.width < WIDE { 2 } else { 1 }));
        self.keys = rows.items.iter().map(|item| item.key.clone()).collect();
        self.table.columns = rows.columns;
        self.note = self.marks_told().into_iter().chain(rows.note).collect();
        self.empty = if rows.items.is_empty() { rows.empty } else { Vec::new() };
        if with_cursor {
            let selected = self.cursor.settle(&self.keys, self.height);
            self.table.selected = selected.map(|at| at - self.cursor.top);
        }
        self.opens = Vec::with_capacity(rows.items.len());
        self.table.rows.clear();
        let shown = self.cursor.top..self.cursor.top + self.height;
        for (i, item) in rows.items.into_iter().enumerate() {
            if shown.contains(&i) {
                let marked = self.cursor.marks.contains(&item.key);
                self.table.rows.push(Row { cells: item.cells, marked, role: item.role });
            }
            self.opens.push(item.opens);
        }
    }

    /// Paints the panes below the table of queues. A click on a row opens them.
    pub fn draw_below(&self, page: &mut Page<'_>, area: Rect, queue: &str) {
        let title = vec![(clean(&cut_middle(clean(queue).as_str(), usize::from(area.width / 4).max(8))), Role::Text)];
        self.draw_titles(page, area, &title);
        let rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let clicks = page.clicks.len();
        self.draw_rows(page, rows);
        page.clicks.truncate(clicks);
        page.clickable(rows, Target::Action(Action::Open));
    }

    /// A rule with the name of the queue, the panes there are, and how what is shown was come by.
    pub fn draw_titles(&self, page: &mut Page<'_>, area: Rect, name: &Line) {
        page.rule(area, name);
        let named: u16 = name.iter().map(|(text, _)| text.width() as u16).sum();
        let x = area.x + if named > 0 { named + 6 } else { 2 };
        let end = area.x + area.width;
        let room = Rect { x, width: end.saturating_sub(x + 2), ..area };
        let titles = Pane::ALL.map(Pane::title);
        page.put(x.saturating_sub(1), area.y, 1, Clean::own(" "), Role::Text);
        let used = tabs::draw(page, room, &titles, Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0));
        let x = x + used;
        let note = if area.width < WIDE { Vec::new() } else { fitting(&self.note, end.saturating_sub(x + 6)) };
        if !note.is_empty() {
            page.put(x + 2, area.y, 1, Clean::own(" "), Role::Text);
            let used = page.pieces(x + 3, area.y, end.saturating_sub(x + 5), &note);
            page.put(x + 3 + used, area.y, 1, Clean::own(" "), Role::Text);
        }
    }

    /// Paints the rows, or what is said instead of them.
    pub fn draw_rows(&self, page: &mut Page<'_>, mut area: Rect) {
        if area.width < WIDE && area.height > 0 {
            let note = fitting(&self.note, area.width.saturating_sub(4));
            page.pieces(area.x + 2, area.y, area.width.saturating_sub(4), &note);
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        if self.empty.is_empty() {
            self.table.draw(page, area);
        } else {
            let lifted = Rect { y: area.y.saturating_sub(1), height: area.height + 1, ..area };
            page.instead_of_rows(lifted, &self.empty);
        }
    }
}
