//! Tab 4: how the broker is, what waits in its queues, and a look into the chosen one.

mod health;
mod message;
mod orders;
mod panes;
mod queue;
mod rows;
mod table;

use ratatui::layout::Rect;

use crate::export::What;
use crate::feed::Interest;
use crate::filter::{Filter, Word};
use crate::human;
use crate::state::doc::QueueDoc;
use crate::state::queue::Queue;
use crate::text::Clean;
use crate::tui::action::{Action, Scope};
use crate::tui::layers::{Choose, Prompt};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::table::{Row, Table};

use super::exporting::Exporting;
use super::list::{Cursor, Split};
use super::report;
use super::task::Line;
use orders::Orders;
use panes::Panes;
use queue::QueueScreen;

/// See the module.
#[derive(Default)]
pub struct BrokerView {
    cursor: Cursor<String>,
    names: Vec<String>,
    table: Table,
    /// Title of the column it is sorted by, and whether downwards; else the longest queue comes first.
    sort: Option<(&'static str, bool)>,
    /// The menu of orders is open.
    sorting: bool,
    exporting: Exporting,
    filter: String,
    health: Line,
    note: Line,
    panes: Panes,
    orders: Orders,
    split: Split,
    /// Rows of the panes below the table; none where there is no room.
    below: u16,
    height: usize,
    empty: Vec<Line>,
}

/// Why nobody looks here who may change nothing.
const READ_ONLY: &str = "read-only: looking would mark the messages as redelivered";
/// Below this height panes open instead of the table.
const TALL: u16 = 20;
/// Lines above the table.
const ABOVE: u16 = 2;

/// Rows for the panes: what the queues leave, but at least half.
fn below(height: u16, queues: usize) -> u16 {
    let left = height.saturating_sub(ABOVE + 2 + queues.min(1_000) as u16);
    left.max(height / 2)
}

/// The tasks of some queues.
fn their_tasks<'a>(queues: impl IntoIterator<Item = &'a str>) -> Outcome {
    Outcome::Effect(Effect::OpenTasks { filter: Filter::exactly(Word::Queue, queues).to_string() })
}

/// A queue as text to send to others.
fn report(name: &str, queue: &Queue, cx: &Cx<'_>) -> String {
    let flow = cx
        .model
        .flow(queue, cx.now)
        .map(|(into, out)| format!("in {}/s, out {}/s", human::rate(into), human::rate(out)));
    let priorities = Some(table::by_priority(&queue.depth.by_priority, 80)).filter(|text| text.contains(' '));
    report::text(
        &format!("queue {name}"),
        &[
            ("waiting", Some(human::thousands(queue.depth.ready))),
            ("priorities", priorities),
            ("unacked", queue.depth.unacked.map(human::thousands)),
            ("consumers", table::consumers(name, queue, cx).map(|n| n.to_string())),
            ("flow", flow),
            ("oldest", table::oldest(queue, cx)),
            ("drains in", table::drains(name, queue, cx).map(|(time, _)| time)),
        ],
        cx,
    )
}

impl BrokerView {
    fn open(&self) -> Outcome {
        match &self.cursor.at {
            Some(name) => Outcome::Effect(Effect::Open(Box::new(QueueScreen::new(name.clone(), &self.panes)))),
            None => Outcome::Done,
        }
    }

    fn sorted<'m>(&self, cx: &Cx<'m>) -> Vec<(&'m str, &'m Queue)> {
        let pattern = crate::filter::Pattern::new(&self.filter);
        let mut queues: Vec<(&str, &Queue)> =
            cx.model.queues().into_iter().filter(|(name, _)| pattern.matches(name)).collect();
        let Some((title, down)) = self.sort else {
            table::usual(&mut queues, &self.names, |name, queue| table::is_stuck(name, queue, cx));
            return queues;
        };
        // By name they are sorted already; the sort is stable, and names break ties.
        let value = |(name, queue): &(&str, &Queue)| table::measure(title, name, queue, cx).unwrap_or(0.0);
        queues.sort_by(|a, b| value(a).total_cmp(&value(b)));
        if down {
            queues.reverse();
        }
        queues
    }

    fn sort_by(&mut self, title: &'static str) {
        self.sort = match self.sort {
            Some((sorted, true)) if sorted == title => Some((title, false)),
            Some((sorted, false)) if sorted == title => None,
            // So it stands already.
            None if title == "READY" => Some((title, false)),
            _ => Some((title, title != "QUEUE")),
        };
    }

    /// What stands above the table: the filter, what we may not do, or the last event that could not be read.
    fn sync_note(&mut self, cx: &Cx<'_>) {
        if let Some(aside) = self.cursor.at.as_deref().and_then(|name| cx.model.aside(name)) {
            let how = aside.words(&|at| cx.time(at));
            self.note = vec![(
                crate::clean!("{} messages {how}, U puts them back", human::thousands(aside.messages)),
                Role::Warn,
            )];
            return;
        }
        let lacks = cx.health.map_or(&[][..], |health| &health.lacks);
        self.note = match (self.filter.is_empty(), cx.model.undecodable().last()) {
            (false, _) => vec![(crate::clean!("filter  {}", self.filter), Role::Muted)],
            _ if !lacks.is_empty() => {
                let whats: Vec<&str> = lacks.iter().map(|lack| lack.what.as_str()).collect();
                vec![(crate::clean!("no permission to {}: {}", whats.join(", "), lacks[0].why), Role::Warn)]
            }
            (true, Some(bad)) => vec![(
                crate::clean!("an event could not be read: {} ({})", bad.why, human::bytes(bad.size as u64)),
                Role::Retry,
            )],
            (true, None) => match cx.health.and_then(|health| health.blind.as_deref()) {
                Some(why) => vec![(crate::clean!("{why}"), Role::Muted)],
                None => Vec::new(),
            },
        };
    }
}

impl View for BrokerView {
    fn scopes(&self) -> &'static [Scope] {
        &[
            Scope::Opens,
            Scope::HasTasks,
            Scope::Broker,
            Scope::Panes,
            Scope::Sorts,
            Scope::Filters,
            Scope::Marks,
            Scope::List,
            Scope::Exports,
            Scope::Global,
        ]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.names, self.height) {
            return Outcome::Done;
        }
        if self.panes.perform(action, self.cursor.at.as_deref(), cx) {
            // Without room below the table they open instead of it.
            return if self.below == 0 { self.open() } else { Outcome::Done };
        }
        if let Some(queue) = self.cursor.at.clone()
            && let Some(outcome) = self.orders.perform(action, &queue, None, cx)
        {
            return outcome;
        }
        match action {
            Action::Open => self.open(),
            Action::TheirTasks => their_tasks(self.cursor.chosen().iter().map(String::as_str)),
            Action::Export => {
                let names = if self.cursor.marks.is_empty() { self.names.clone() } else { self.cursor.chosen() };
                let doc = |name: &String| Some(QueueDoc::new(name, cx.model.queue(name)?, cx.model, cx.now));
                let docs = names.iter().filter_map(doc).filter_map(|doc| serde_json::to_value(doc).ok());
                self.exporting.ask("queues", What::Documents(docs.collect()), cx)
            }
            Action::LookInside if cx.options.read_only => Outcome::Effect(Effect::Say(READ_ONLY.into())),
            Action::LookInside => {
                if let Some(name) = &self.cursor.at {
                    self.panes.ask(name);
                }
                Outcome::Done
            }
            Action::Filter => {
                Outcome::Effect(Effect::Open(Box::new(Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new()))))
            }
            Action::Sort => {
                self.sorting = true;
                let sorted = self.sort.map_or("READY", |(title, _)| title);
                let at = table::ORDERS.iter().position(|(title, _)| *title == sorted).unwrap_or(0);
                let lines = table::ORDERS.iter().map(|(_, words)| (*words).to_owned());
                Outcome::Effect(Effect::Open(Box::new(Choose::lines("sort queues by", lines, at))))
            }
            Action::Reverse => {
                let (title, down) = self.sort.unwrap_or(("READY", true));
                self.sort = Some((title, !down));
                Outcome::Done
            }
            Action::Back if !self.filter.is_empty() => {
                self.filter.clear();
                Outcome::Done
            }
            Action::Back if !self.cursor.marks.is_empty() => {
                self.cursor.marks.clear();
                Outcome::Done
            }
            _ => Outcome::Ignored,
        }
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        if action == Action::Export && self.names.is_empty() {
            return Some("nothing is listed".into());
        }
        if let Some(why) = orders::refuse(action, self.cursor.at.as_deref(), None, cx) {
            return Some(why);
        }
        let needs_queue =
            matches!(action, Action::Open | Action::GroupBy | Action::LookInside | Action::Mark | Action::TheirTasks);
        (needs_queue && self.cursor.at.is_none()).then(|| "no queue is chosen".into())
    }

    fn urges(&self) -> Option<(Action, &'static str)> {
        (self.below > 0 && self.panes.waits_to_be_asked()).then_some((Action::LookInside, "look"))
    }

    fn answer(&mut self, answer: &Answer, cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.exporting.answer(answer).or_else(|| self.orders.answer(answer, cx)) {
            return outcome;
        }
        match (std::mem::take(&mut self.sorting), answer) {
            (true, Answer::Choice(i)) => {
                self.sort = table::ORDERS.get(*i).map(|(title, _)| (*title, *title != "QUEUE"));
            }
            (true, _) => {}
            (false, Answer::Text { text, .. }) => self.filter = text.clone(),
            (false, _) => self.filter.clear(),
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                let chosen = self.names.get(self.cursor.top + row);
                if chosen.is_some() && chosen == self.cursor.at.as_ref() {
                    return self.open();
                }
                self.cursor.go(self.cursor.top + row, &self.names);
            }
            Target::Column(i) => {
                if let Some(column) = self.table.columns.get(i) {
                    self.sort_by(column.title);
                }
            }
            Target::Pane(i) => self.panes.go(i),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        // Behind a broken link all stays as it was: nothing stops flowing because we hear nothing.
        let cx = &cx.last_heard();
        let queues = self.sorted(cx);
        self.names = queues.iter().map(|(name, _)| (*name).to_owned()).collect();
        let usual = cx.options.split.unwrap_or_else(|| below(cx.size.height, self.names.len()));
        self.below = self.split.below(cx.size.height, usual, TALL);
        self.height = usize::from(cx.size.height.saturating_sub(ABOVE + 1 + self.below));
        let selected = self.cursor.settle(&self.names, self.height);
        if self.names.is_empty() {
            self.cursor.at = None;
        }
        let typed = queues.iter().any(|(_, queue)| queue.depth.kind.is_some());
        self.table.columns = table::columns(cx.size.width, typed);
        self.table.tight = table::tight(cx.size.width);
        self.table.sorted = self.sort.or(Some(("READY", true))).and_then(|(title, down)| {
            Some((self.table.columns.iter().position(|c| c.title == title && !title.is_empty())?, down))
        });
        self.table.selected = selected.map(|s| s - self.cursor.top);
        self.table.rows = queues
            .iter()
            .skip(self.cursor.top)
            .take(self.height)
            .map(|(name, queue)| Row {
                cells: self.table.columns.iter().map(|c| table::cell(c, name, queue, cx)).collect(),
                marked: self.cursor.marks.contains(*name),
                role: None,
            })
            .collect();
        self.health = health::line(cx, usize::from(cx.size.width.saturating_sub(2)));
        self.sync_note(cx);
        if let Some(name) = self.cursor.at.as_ref().filter(|_| self.below > 0) {
            self.panes.sync(name, cx, self.below.saturating_sub(1), false);
        }
        self.empty = match (self.names.is_empty(), self.filter.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![vec![(
                Clean::own(
                    "No queue is known yet. A queue appears when a worker declares it or a message waits in it.",
                ),
                Role::Muted,
            )]],
            (true, false) => vec![vec![(Clean::own("No queue matches. Esc shows all."), Role::Muted)]],
        };
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.health);
        page.pieces(area.x + 1, area.y + 1, area.width.saturating_sub(2), &self.note);
        let below = if self.cursor.at.is_some() { self.below.min(area.height) } else { 0 };
        let list = Rect { y: area.y + ABOVE, height: area.height.saturating_sub(ABOVE + below), ..area };
        self.table.draw(page, list);
        page.instead_of_rows(list, &self.empty);
        if let (Some(name), true) = (&self.cursor.at, below > 0) {
            let pane = Rect { y: area.y + area.height - below, height: below, ..area };
            page.clickable(Rect { height: 1, ..pane }, Target::Split);
            self.panes.draw_below(page, pane, name);
        }
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        let Some(name) = &self.cursor.at else { return Vec::new() };
        let mut copies = vec![("name".to_owned(), self.cursor.chosen().join(" "))];
        copies.extend(cx.model.queue(name).map(|queue| ("report".to_owned(), report(name, queue, cx))));
        copies
    }

    fn resize_details(&mut self, rows: u16) {
        self.split.set(rows);
    }

    fn interest(&self) -> Interest {
        match self.cursor.at.as_ref().filter(|_| self.below > 0) {
            Some(name) => self.panes.interest(name),
            None => Interest { consumers: true, broker: true, ..Interest::default() },
        }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panes_take_what_the_queues_leave_and_at_least_half() {
        assert_eq!(below(21, 4), 13);
        assert_eq!(below(21, 400), 10);
        assert_eq!(below(57, 4), 49);
    }
}
