//! Tab 2: every worker, what it does, and the chosen one's inner tabs below.

mod columns;
mod forms;
mod pane;
mod screen;
mod table;

use ratatui::layout::Rect;

use crate::export::What;
use crate::feed::Interest;
use crate::filter::{Filter, Word};
use crate::human;
use crate::state::doc::WorkerDoc;
use crate::state::worker::Worker;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::{Choose, Prompt};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::table::{Row, Table};

use super::exporting::Exporting;
use super::list::{self, Cursor, Split};
use super::report;
use super::task::Line;

use forms::{Forms, Meant};
use pane::{Content, Inner};
use screen::{WorkerScreen, inner_tabs};
use table::{Item, List, Order};

/// What a layer was opened for, apart from forms.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Sort,
}

/// See the module.
#[derive(Default)]
pub struct Workers {
    cursor: Cursor<Item>,
    list: List,
    order: Order,
    table: Table,
    /// Rows of the table that are no worker, with their line.
    lines: Vec<(usize, Line)>,
    filter: String,
    status: Line,
    inner: Inner,
    pane: Option<Content>,
    forms: Forms,
    exporting: Exporting,
    asking: Asking,
    height: usize,
    split: Split,
    empty: Vec<Line>,
}

/// Below this height there is no room for a pane: it opens instead of the table.
const TALL: u16 = 24;

/// Rows of the pane below the table, unless a person gave it others.
fn usual_pane(height: u16) -> u16 {
    (height * 2 / 5).clamp(9, 20)
}

/// The tasks of some workers.
fn their_tasks<'a>(workers: impl IntoIterator<Item = &'a str>) -> Outcome {
    Outcome::Effect(Effect::OpenTasks { filter: Filter::exactly(Word::Worker, workers).to_string() })
}

/// A worker as text to send to others.
fn report(name: &str, worker: &Worker, cx: &Cx<'_>) -> String {
    let found = &worker.inspected;
    let stats = found.stats.as_ref();
    let size = |n: Option<u64>| n.map_or(String::new(), |n| format!(" of {n}"));
    report::text(
        name,
        &[
            ("status", Some(columns::status(worker, cx).0.to_string())),
            ("pool", stats.map(|s| s.pool.kind.clone())),
            ("running", worker.running().map(|n| format!("{n}{}", size(worker.pool_size())))),
            ("reserved", found.total("reserved").map(|n| n.to_string())),
            ("done", worker.processed.map(|n| human::thousands(n.max(0) as u64))),
            ("failed", Some(format!("{} since it was watched", human::thousands(worker.failed)))),
            ("load", worker.loadavg.map(|load| load.map(|v| format!("{v:.1}")).join(" "))),
            ("queues", found.queues.as_ref().map(|queues| queues.join(" "))),
            ("software", worker.sw_ver.as_ref().map(|version| format!("celery {version}"))),
        ],
        cx,
    )
}

impl Workers {
    fn commanded(&self) -> Vec<String> {
        self.list.workers(&self.cursor.chosen())
    }

    fn worker_at(&self) -> Option<&String> {
        match &self.cursor.at {
            Some(Item::Worker(name)) => Some(name),
            _ => None,
        }
    }

    fn open(&mut self) -> Outcome {
        match self.cursor.at.clone() {
            Some(Item::Worker(name)) => Outcome::Effect(Effect::Open(Box::new(WorkerScreen::new(name, self.inner)))),
            Some(item) => {
                self.list.toggle(&item);
                Outcome::Done
            }
            None => Outcome::Done,
        }
    }

    fn sort_by(&mut self, column: &'static str) {
        let descending = match self.order.column == column {
            true => !self.order.descending,
            false => columns::falls(column),
        };
        self.order = Order { column, descending };
    }

    fn sync_table(&mut self, cx: &Cx<'_>) {
        self.table.columns = columns::fitting(cx.size.width);
        self.table.tight = columns::tight(cx.size.width);
        let sorted = self.table.columns.iter().position(|c| c.title == self.order.column);
        self.table.sorted = sorted.map(|place| (place, self.order.descending));
        self.table.rows.clear();
        self.lines.clear();
        for item in self.list.items.iter().skip(self.cursor.top).take(self.height) {
            let mut row = Row { marked: self.cursor.marks.contains(item), ..Row::default() };
            match item {
                Item::Worker(name) => {
                    let Some(worker) = cx.model.worker(name) else { continue };
                    let label = self.list.label(name);
                    row.cells = self.table.columns.iter().map(|c| columns::cell(c, &label, worker, cx)).collect();
                    row.role = (!worker.is_online(cx.now)).then_some(Role::Faint);
                }
                item => self.lines.push((self.table.rows.len(), self.list.line(item))),
            }
            self.table.rows.push(row);
        }
    }

    fn sync_pane(&mut self, below: bool, cx: &Cx<'_>) {
        let width = usize::from(cx.size.width.saturating_sub(4));
        self.pane = self.cursor.at.as_ref().filter(|_| below).and_then(|item| match item {
            Item::Worker(name) => Some(pane::content(self.inner, cx.model.worker(name)?, cx, width)),
            Item::Group(_) => {
                let names = self.list.reached(std::slice::from_ref(item));
                let about = "⏎ shows its workers one by one; a command reaches all that are online:";
                let mut head = vec![vec![(Clean::own(about), Role::Muted)]];
                let lines = crate::text::pack(names, width);
                head.extend(lines.iter().map(|line| vec![(clean(line), Role::Text)]));
                Some(Content { head, ..Content::default() })
            }
            Item::Ended => {
                let text = "They said goodbye, or held nothing when they fell silent. ⏎ shows them.";
                Some(Content { head: vec![vec![(Clean::own(text), Role::Muted)]], ..Content::default() })
            }
        });
    }

    fn sync_status(&mut self, cx: &Cx<'_>) {
        let (online, known) = cx.model.online(cx.now);
        let running = cx.model.running(cx.now);
        self.status = vec![(crate::clean!("{online} of {known} online · {running} running"), Role::Text)];
        if cx.model.stopped() > 0 {
            self.status.push((crate::clean!(" · {} stopped", cx.model.stopped()), Role::Muted));
        }
        if !self.cursor.marks.is_empty() {
            self.status.insert(0, (crate::clean!("{} marked · ", self.cursor.marks.len()), Role::Accent));
        }
        let say = |text: &'static str| vec![(Clean::own(text), Role::Muted)];
        self.empty = match known + cx.model.stopped() {
            0 => vec![
                say("No worker has been heard of yet. Workers appear with their first heartbeat, or when they answer."),
                say("ctrl-r asks them again."),
            ],
            _ if self.list.items.is_empty() => vec![say("No worker matches. Esc shows all.")],
            _ => Vec::new(),
        };
    }

    fn draw_pane(&self, page: &mut Page<'_>, area: Rect) {
        page.clickable(Rect { height: 1, ..area }, Target::Split);
        let Some(content) = &self.pane else { return page.rule(area, &[]) };
        let title: Line = match &self.cursor.at {
            Some(Item::Worker(name) | Item::Group(name)) => vec![(clean(name), Role::Text)],
            _ => vec![(Clean::own("ended"), Role::Text)],
        };
        let lines: Vec<Line> = content.head.iter().chain(content.rows.iter().map(|(_, line)| line)).cloned().collect();
        page.pane(area, &title, &lines);
        let room = usize::from(area.height.saturating_sub(1));
        if lines.len() > room {
            let more = crate::clean!(" {} more, ⏎ shows all ", lines.len() - room);
            page.put_right(area.x, area.y + area.height - 1, area.width.saturating_sub(1), &more, Role::Faint);
        }
        if self.worker_at().is_none() {
            return;
        }
        let age: u16 = content.age.iter().map(|(t, _)| t.width() as u16).sum();
        let name: u16 = title.iter().map(|(t, _)| t.width() as u16).sum::<u16>().min(area.width / 3);
        if age > 0 {
            let x = (area.x + area.width).saturating_sub(age + 4);
            page.put(x, area.y, 1, Clean::own(" "), Role::Text);
            let used = page.pieces(x + 1, area.y, age, &content.age);
            page.put(x + 1 + used, area.y, 1, Clean::own(" "), Role::Text);
        }
        let x = area.x + name + 6;
        let tabs = Rect { x, height: 1, width: (area.x + area.width).saturating_sub(x + age + 6), ..area };
        page.put(x - 1, area.y, 1, Clean::own(" "), Role::Text);
        inner_tabs(page, tabs, self.inner);
    }
}

impl View for Workers {
    fn scopes(&self) -> &'static [Scope] {
        &[
            Scope::Opens,
            Scope::HasTasks,
            Scope::Filters,
            Scope::List,
            Scope::Workers,
            Scope::Panes,
            Scope::Marks,
            Scope::Sorts,
            Scope::Exports,
            Scope::Global,
        ]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.list.items, self.height) {
            return Outcome::Done;
        }
        match action {
            Action::Filter => {
                self.asking = Asking::Filter;
                let prompt = Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new());
                return Outcome::Effect(Effect::Open(Box::new(prompt)));
            }
            Action::Sort => {
                self.asking = Asking::Sort;
                let at = columns::SORTS.iter().position(|(column, _)| *column == self.order.column).unwrap_or(0);
                let lines = columns::SORTS.iter().map(|(_, name)| (*name).to_owned());
                return Outcome::Effect(Effect::Open(Box::new(Choose::lines("sort by", lines, at))));
            }
            Action::Reverse => self.order.descending = !self.order.descending,
            Action::NextPane => self.inner = self.inner.step(1),
            Action::PreviousPane => self.inner = self.inner.step(Inner::ALL.len() - 1),
            Action::Open => return self.open(),
            Action::TheirTasks => return their_tasks(self.commanded().iter().map(String::as_str)),
            Action::Export => {
                let names = match self.cursor.marks.is_empty() {
                    true => self.list.names().to_vec(),
                    false => self.commanded(),
                };
                let doc = |name: &String| Some(WorkerDoc::new(name, cx.model.worker(name)?, cx.now));
                let docs = names.iter().filter_map(doc).filter_map(|doc| serde_json::to_value(doc).ok());
                return self.exporting.ask("workers", What::Documents(docs.collect()), cx);
            }
            Action::Back if !self.filter.is_empty() => self.filter.clear(),
            Action::Back if !self.cursor.marks.is_empty() => self.cursor.marks.clear(),
            _ => {
                let workers = self.commanded();
                return self.forms.perform(action, workers, &Meant::default(), cx).unwrap_or(Outcome::Ignored);
            }
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        if matches!(action, Action::Open | Action::Mark) && self.cursor.at.is_none() {
            return Some("no worker is chosen".into());
        }
        if action == Action::Export {
            return self.list.names().is_empty().then(|| "nothing is listed".into());
        }
        if action == Action::TheirTasks {
            let none = self.list.reached(&self.cursor.chosen()).next().is_none();
            return none.then(|| "no worker is chosen".into());
        }
        forms::refuse(action, self.list.reached(&self.cursor.chosen()), cx)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.exporting.answer(answer) {
            return outcome;
        }
        match (std::mem::take(&mut self.asking), answer) {
            (Asking::Filter, Answer::Text { text, done }) => {
                self.filter = text.clone();
                if !done {
                    self.asking = Asking::Filter;
                }
            }
            (Asking::Filter, _) => self.filter.clear(),
            (Asking::Sort, Answer::Choice(i)) => {
                if let Some((column, _)) = columns::SORTS.get(*i) {
                    self.order = Order { column, descending: columns::falls(column) };
                }
            }
            (Asking::Sort, _) => {}
            (Asking::Nothing, answer) => return self.forms.answer(answer).unwrap_or(Outcome::Done),
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => self.cursor.go(self.cursor.top + row, &self.list.items),
            Target::Pane(place) => self.inner = Inner::at(place),
            Target::Column(column) => {
                if let Some(column) = self.table.columns.get(column).filter(|c| !c.title.is_empty()) {
                    self.sort_by(column.title);
                }
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let cx = &cx.last_heard();
        self.list.sync(&crate::filter::Pattern::new(&self.filter), self.order, cx);
        let items = &self.list.items;
        self.cursor.marks.retain(|mark| match mark {
            Item::Worker(name) => cx.model.worker(name).is_some(),
            mark => items.contains(mark),
        });
        let below = self.split.below(cx.size.height, usual_pane(cx.size.height), TALL);
        self.height = usize::from(cx.size.height.saturating_sub(2 + below));
        let selected = self.cursor.settle(&self.list.items, self.height);
        self.table.selected = selected.map(|s| s - self.cursor.top);
        self.sync_table(cx);
        self.sync_pane(below > 0, cx);
        self.sync_status(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        list::head(page, area, "all workers", &self.filter, &self.status);
        let (list, pane) = self.split.areas(area);
        self.table.draw(page, list);
        for (row, line) in &self.lines {
            let y = list.y + 1 + *row as u16;
            if y < list.y + list.height {
                page.pieces(list.x + 2, y, list.width.saturating_sub(3), line);
            }
        }
        page.instead_of_rows(list, &self.empty);
        if let Some(pane) = pane {
            self.draw_pane(page, pane);
        }
    }

    fn resize_details(&mut self, rows: u16) {
        self.split.set(rows);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        let names = self.commanded();
        let mut copies = if names.is_empty() { Vec::new() } else { vec![("name".to_owned(), names.join(" "))] };
        let about = self.worker_at().and_then(|name| Some((name, cx.model.worker(name)?)));
        copies.extend(about.map(|(name, worker)| ("report".to_owned(), report(name, worker, cx))));
        copies
    }

    fn interest(&self) -> Interest {
        let shown = self.worker_at().filter(|_| self.pane.is_some());
        let inspect = shown.cloned().zip(self.inner.asks());
        Interest { workers: true, consumers: true, inspect, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        500
    }
}
