//! The list of tasks itself: columns, order, cursor, marks, and the details of the chosen one below. Which tasks there
//! are is the business of whoever shows it.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use super::{columns, rules};
use crate::celery::TaskId;
use crate::filter::Filter;
use crate::state::live::Place;
use crate::state::{LiveQuery, Sort, Task};
use crate::tui::action::Action;
use crate::tui::layers::pick::Choice;
use crate::tui::layers::{Choose, Pick};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome};
use crate::tui::views::list::Split;
use crate::tui::views::task::{self, Line};
use crate::tui::widgets::table::Table;

/// What a menu was opened for.
#[derive(Default, PartialEq, Eq)]
enum Asking {
    #[default]
    Nothing,
    Sort,
    Columns,
}

/// What a click meant.
pub enum Click {
    Ignored,
    Done,
    /// The chosen row was clicked once more.
    Open,
}

/// See the module.
pub struct TaskTable {
    pub query: LiveQuery,
    /// The cursor: its task, and its place for when the task is gone.
    cursor: Option<(TaskId, Place)>,
    /// The cursor stands on the first row and stays there.
    following: bool,
    /// The first place when following ended: what is above came since.
    left_at: Option<Place>,
    /// Row of the cursor on the screen.
    row: usize,
    /// The task of each row on the screen; none where a moment's name stands between two.
    ids: Vec<Option<TaskId>>,
    table: Table,
    pub marks: BTreeSet<TaskId>,
    last_mark: Option<TaskId>,
    asking: Asking,
    details: Option<(Line, Vec<Line>)>,
    height: usize,
    split: Split,
    /// Columns a person chose.
    chosen: Option<Vec<String>>,
    /// Columns scrolled away to the left.
    sideways: usize,
}

impl Default for TaskTable {
    fn default() -> Self {
        Self {
            query: LiveQuery::new(Filter::default(), Sort::default()),
            cursor: None,
            following: true,
            left_at: None,
            row: 0,
            ids: Vec::new(),
            table: Table::default(),
            marks: BTreeSet::new(),
            last_mark: None,
            asking: Asking::Nothing,
            details: None,
            height: 0,
            split: Split::default(),
            chosen: None,
            sideways: 0,
        }
    }
}

/// Rows of the details below the list, its rule included.
const DETAILS: u16 = 6;
/// Below this height there is no room for details: they open instead of the list.
const TALL: u16 = 26;
/// Rows above the cursor that are counted; more are not told apart.
const COUNTED: usize = 9_999;

impl TaskTable {
    /// The task under the cursor.
    pub fn current(&self) -> Option<&TaskId> {
        self.cursor.as_ref().map(|(id, _)| id)
    }

    /// The tasks a command is for: the marked ones, else the one under the cursor.
    pub fn commanded(&self) -> Vec<TaskId> {
        match self.marks.is_empty() {
            true => self.current().into_iter().cloned().collect(),
            false => self.marks.iter().cloned().collect(),
        }
    }

    /// Back to the first row, to follow what is new.
    pub fn follow(&mut self) {
        self.following = true;
        self.left_at = None;
    }

    /// How many rows came above the first one since it was left.
    pub fn new_above(&self) -> usize {
        let left_at = self.left_at.filter(|_| !self.following);
        left_at.map_or(0, |left_at| self.query.above(left_at).take(COUNTED).count())
    }

    /// How many rows there are below the cursor, as far as somebody wants to know.
    pub fn below(&self, wanted: usize) -> usize {
        self.cursor.as_ref().map_or(0, |(_, at)| self.query.from(*at).take(wanted + 1).count().saturating_sub(1))
    }

    /// Whether no row is on the screen.
    pub fn is_blank(&self) -> bool {
        self.ids.is_empty()
    }

    /// Gives the details so many rows.
    pub fn resize_details(&mut self, rows: u16) {
        self.split.set(rows);
    }

    /// Takes an action that moves, marks, sorts or shapes the list; `None` if it is none.
    pub fn perform(&mut self, action: Action, cx: &Cx<'_>) -> Option<Outcome> {
        if self.go(action, cx) || self.mark(action, cx) {
            return Some(Outcome::Done);
        }
        let open = |view| Outcome::Effect(Effect::Open(view));
        Some(match action {
            Action::Columns => {
                self.asking = Asking::Columns;
                open(Box::new(self.pick(cx)))
            }
            Action::ScrollLeft | Action::ScrollRight => {
                let most = columns::KINDS.len() - 3;
                self.sideways = match action {
                    Action::ScrollLeft => self.sideways.saturating_sub(1),
                    _ => (self.sideways + 1).min(most),
                };
                Outcome::Done
            }
            Action::Sort => {
                self.asking = Asking::Sort;
                let sort = self.query.sort();
                let at = columns::SORTS.iter().position(|(column, _)| *column == sort.column).unwrap_or(0);
                let lines = columns::SORTS.iter().map(|(_, name)| (*name).to_owned());
                open(Box::new(Choose::lines("sort by", lines, at)))
            }
            Action::Reverse => {
                let sort = self.query.sort();
                self.query.set_sort(Sort { descending: !sort.descending, ..sort });
                self.following = true;
                Outcome::Done
            }
            _ => return None,
        })
    }

    /// Takes the answer of a menu it opened; false if it opened none.
    pub fn answer(&mut self, answer: &Answer) -> bool {
        match (std::mem::take(&mut self.asking), answer) {
            (Asking::Nothing, _) => return false,
            (Asking::Sort, Answer::Choice(i)) => {
                if let Some((column, _)) = columns::SORTS.get(*i) {
                    self.query.set_sort(Sort { column: *column, descending: columns::falls(*column) });
                    self.following = true;
                }
            }
            (Asking::Columns, Answer::Picked(names)) => {
                self.chosen = (!names.is_empty()).then(|| names.clone());
                self.sideways = 0;
            }
            _ => {}
        }
        true
    }

    /// Takes a click.
    pub fn click(&mut self, target: Target, cx: &Cx<'_>) -> Click {
        match target {
            Target::Row(row) => {
                let Some(id) = self.ids.get(row).cloned().flatten() else { return Click::Done };
                if self.current() == Some(&id) {
                    return Click::Open;
                }
                let place = self.query.place_of(&id, cx.model);
                self.row = self.ids.iter().take(row).flatten().count();
                self.set_cursor(place, cx);
            }
            Target::Column(i) => {
                if let Some(column) = self.table.columns.get(i).and_then(|c| columns::sort_of(c.title)) {
                    let sort = self.query.sort();
                    let descending = if sort.column == column { !sort.descending } else { columns::falls(column) };
                    self.query.set_sort(Sort { column, descending });
                    self.following = true;
                }
            }
            _ => return Click::Ignored,
        }
        Click::Done
    }

    /// Copies a screen of rows, and the chosen one's details. `above` rows are taken by what stands over the list.
    pub fn sync(&mut self, cx: &Cx<'_>, above: u16) {
        let height = cx.size.height.saturating_sub(above);
        let below = self.split.below(height, cx.options.split.unwrap_or(DETAILS), TALL.saturating_sub(above));
        self.height = usize::from(height.saturating_sub(2 + below));
        let place = self.place(cx);
        self.set_cursor(place, cx);
        self.row = if self.following { 0 } else { self.row.min(self.height.saturating_sub(1)) };
        self.table.columns = columns::for_width(cx.size.width, self.chosen(cx), self.sideways);
        self.table.sorted = columns::sorted(&self.table.columns, self.query.sort());
        self.sync_rows(place, cx);
        self.details = self.cursor.as_ref().filter(|_| below > 0).and_then(|(id, _)| {
            let task = cx.model.task(id)?;
            Some((details_title(&task, cx), task::brief(&task, cx, usize::from(cx.size.width.saturating_sub(4)))))
        });
    }

    /// Paints the list below the first line of an area, or what is said instead of it.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect, instead: &[Line]) {
        let (list, pane) = self.split.areas(area);
        self.table.draw(page, list);
        page.instead_of_rows(list, instead);
        if let Some(pane) = pane {
            match &self.details {
                Some((title, lines)) => page.pane(pane, title, lines),
                None => page.rule(pane, &[]),
            }
            page.clickable(Rect { height: 1, ..pane }, Target::Split);
        }
    }

    /// What can be copied: the marked ids, or the texts of the chosen task.
    pub fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        if self.marks.len() > 1 {
            let ids: Vec<String> = self.marks.iter().map(ToString::to_string).collect();
            return vec![(format!("{} ids", ids.len()), ids.join("\n"))];
        }
        self.current().and_then(|id| cx.model.task(id)).map(|t| task::copies(&t)).unwrap_or_default()
    }
}

impl TaskTable {
    /// Finds the cursor again: its task, else the place where it was.
    fn place(&self, cx: &Cx<'_>) -> Option<Place> {
        let first = self.query.first();
        if self.following {
            return first;
        }
        let Some((id, place)) = &self.cursor else { return first };
        if let Some(place) = self.query.place_of(id, cx.model) {
            return Some(place);
        }
        self.query.from(*place).next().or_else(|| self.query.last())
    }

    fn set_cursor(&mut self, place: Option<Place>, cx: &Cx<'_>) {
        let task = place.and_then(|p| Some((self.query.task(p, cx.model)?.id().clone(), p)));
        self.following = place == self.query.first();
        if !self.following && self.left_at.is_none() {
            self.left_at = self.query.first();
        }
        if self.following {
            self.left_at = None;
        }
        self.cursor = task;
    }

    fn go(&mut self, action: Action, cx: &Cx<'_>) -> bool {
        let Some(at) = self.place(cx) else { return matches!(action, Action::Down | Action::Up) };
        let half = (self.height / 2).max(1);
        let down = |n: usize| self.query.from(at).take(n + 1).last();
        let up = |n: usize| self.query.above(at).take(n).last().or(Some(at));
        let (to, row) = match action {
            Action::Down => (down(1), self.row + 1),
            Action::Up => (up(1), self.row.saturating_sub(1)),
            Action::PageDown => (down(half), self.row),
            Action::PageUp => (up(half), self.row),
            Action::Top | Action::Follow => (self.query.first(), 0),
            Action::Bottom => (self.query.last(), self.height),
            _ => return false,
        };
        self.row = row.min(self.height.saturating_sub(1));
        self.set_cursor(to, cx);
        true
    }

    fn mark(&mut self, action: Action, cx: &Cx<'_>) -> bool {
        match action {
            Action::Mark => {
                if let Some((id, _)) = self.cursor.clone() {
                    if !self.marks.remove(&id) {
                        self.marks.insert(id.clone());
                    }
                    self.last_mark = Some(id);
                    self.go(Action::Down, cx);
                }
            }
            Action::MarkRange => self.mark_range(cx),
            Action::MarkAll => {
                if let Some(first) = self.query.first() {
                    let all = self.query.from(first).filter_map(|p| self.query.task(p, cx.model));
                    self.marks.extend(all.map(|t| t.id().clone()));
                }
            }
            Action::UnmarkAll => self.marks.clear(),
            _ => return false,
        }
        true
    }

    fn mark_range(&mut self, cx: &Cx<'_>) {
        let ends = self
            .cursor
            .as_ref()
            .map(|(_, p)| *p)
            .zip(self.last_mark.as_ref().and_then(|id| self.query.place_of(id, cx.model)).or(self.place(cx)));
        let Some((a, b)) = ends else { return };
        // `from` runs down the screen, whichever way the list is sorted.
        let down = self.query.sort().descending;
        let (from, to) = if (a > b) == down { (a, b) } else { (b, a) };
        let mut ids = Vec::new();
        for place in self.query.from(from) {
            ids.extend(self.query.task(place, cx.model).map(|t| t.id().clone()));
            if place == to {
                break;
            }
        }
        self.marks.extend(ids);
        self.last_mark = self.cursor.as_ref().map(|(id, _)| id.clone());
    }

    /// The columns a person chose: here, else in the config file.
    fn chosen<'a>(&'a self, cx: &'a Cx<'_>) -> Option<&'a [String]> {
        self.chosen.as_deref().or(cx.options.columns.as_deref())
    }

    /// The picker: chosen columns first, in their order, then the others.
    fn pick(&self, cx: &Cx<'_>) -> Pick {
        let shown: Vec<String> = match self.chosen(cx) {
            Some(names) => names.to_vec(),
            None => columns::usual(cx.size.width).iter().map(|name| (*name).to_owned()).collect(),
        };
        let choice = |kind: &columns::Kind, on| Choice { name: kind.name, help: kind.help, on };
        let chosen = shown.iter().filter_map(|name| columns::kind(name)).map(|kind| choice(kind, true));
        let others = columns::KINDS.iter().filter(|kind| !shown.iter().any(|name| name == kind.name));
        Pick::new("columns", chosen.chain(others.map(|kind| choice(kind, false))).collect())
    }

    /// Copies a screen of tasks, and the moments with a name that lie between them.
    fn sync_rows(&mut self, place: Option<Place>, cx: &Cx<'_>) {
        self.ids.clear();
        self.table.rows.clear();
        self.table.rules.clear();
        self.table.selected = None;
        let Some(place) = place else { return };
        let above: Vec<Place> = self.query.above(place).take(self.row).collect();
        self.row = above.len();
        let top = above.last().copied().unwrap_or(place);
        let mut places: Vec<Place> = self.query.from(top).take(self.height).collect();
        if places.len() < self.height {
            // Near the end the screen is filled from above.
            let missing: Vec<Place> = self.query.above(top).take(self.height - places.len()).collect();
            self.row += missing.len();
            places.splice(0..0, missing.into_iter().rev());
        }
        let mut tasks: Vec<_> = places.into_iter().filter_map(|p| self.query.task(p, cx.model)).collect();
        let mut rules = rules::between(&tasks, self.query.sort(), cx);
        // What stands between the rows takes rows: those furthest from the cursor go.
        let over = (self.row + 1 + rules.iter().filter(|rule| rule.before <= self.row).count())
            .saturating_sub(self.height.max(1))
            .min(self.row);
        tasks.drain(..over);
        self.row -= over;
        rules.retain(|rule| rule.before > over);
        let mut rules = rules.into_iter().peekable();
        for (i, task) in tasks.iter().enumerate() {
            while let Some(rule) = rules.next_if(|rule| rule.before == i + over) {
                self.table.rules.push((self.table.rows.len(), rule.text));
                self.table.rows.push(Default::default());
                self.ids.push(None);
            }
            if i == self.row {
                self.table.selected = Some(self.table.rows.len());
            }
            self.table.rows.push(columns::row(task, &self.table.columns, self.marks.contains(task.id()), cx));
            self.ids.push(Some(task.id().clone()));
        }
    }
}

/// What a task is, and what was asked of it from here.
fn details_title(task: &Task<'_>, cx: &Cx<'_>) -> Line {
    let mut title = task::title(task);
    if let Some(at) = task.revoke_asked() {
        title.push((crate::clean!("  ⊘ revoke asked {}", cx.time(at)), Role::Warn));
    }
    if let Some(id) = task.retried_as() {
        title.push((crate::clean!("  sent again as {}", id.short()), Role::Retry));
    }
    if let Some(id) = task.retry_of() {
        title.push((crate::clean!("  in place of {}", id.short()), Role::Retry));
    }
    title
}
