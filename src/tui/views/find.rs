//! Find anywhere: every task with an id, an argument or a keyword that was typed, each with where it is in a word.

use ratatui::layout::Rect;

use super::list::Cursor;
use super::tasks::act;
use super::whereabouts::Whereabouts;
use crate::celery::TaskId;
use crate::history::lookup::{Ticket, Waiting};
use crate::ops::locate::find::{Hit, Spot};
use crate::ops::locate::{Answer as Found, Finding, Search, What};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

/// See the module.
#[derive(Default)]
pub struct FindScreen {
    text: String,
    waiting: Waiting,
    /// To be looked for with the next frame.
    asks: bool,
    finding: Finding,
    ids: Vec<TaskId>,
    cursor: Cursor<TaskId>,
    table: Table,
    head: Vec<(Clean, Role)>,
    /// What was looked through, and what could not be seen.
    foot: Vec<Vec<(Clean, Role)>>,
    height: usize,
    choosing_signal: bool,
}

/// Asks what to look for.
pub fn ask(text: &str) -> Prompt {
    let check = |text: &str| if text.trim().is_empty() { Err("something to look for".to_owned()) } else { Ok(()) };
    Prompt::framed("Find anywhere", text, "an id or a part of one, an argument's value, or kwarg=value", check)
}

/// Lines at the bottom at the most.
const FOOT: usize = 4;

fn role(spot: &Spot) -> Role {
    match spot {
        Spot::Waiting { .. } => Role::Waiting,
        Spot::Held { how: "runs", .. } => Role::Running,
        Spot::Held { .. } | Spot::Unacked { .. } => Role::Text,
        Spot::Memory { state, .. } | Spot::History { state, .. } => match state.as_str() {
            "FAILURE" => Role::Fail,
            "LOST" => Role::Lost,
            "RETRY" => Role::Retry,
            "STARTED" => Role::Running,
            _ => Role::Muted,
        },
    }
}

fn columns(width: u16) -> Vec<Column> {
    let (place, task) = (Column::left("WHERE", 26), Column::left("TASK", 0));
    let id = Column::left("ID", if width >= 150 { 36 } else { 8 });
    match width {
        0..100 => vec![place, task, id],
        _ => vec![place, task, id, Column::left("ARGS", width / 3)],
    }
}

impl FindScreen {
    fn row(hit: &Hit, columns: &[Column], cx: &Cx<'_>) -> Row {
        let cells = columns.iter().map(|column| match column.title {
            "WHERE" => Cell::new(clean(&hit.spot.words(cx.now, &|at| cx.time(at))), role(&hit.spot)),
            "TASK" => Cell::plain(clean(hit.name.as_deref().unwrap_or("(name not known)"))),
            "ID" if column.width > 8 => Cell::new(clean(&hit.id.to_string()), Role::Faint),
            "ID" => Cell::new(clean(&hit.id.short()), Role::Faint),
            _ => Cell::new(clean(&hit.args), Role::Muted),
        });
        Row { cells: cells.collect(), ..Row::default() }
    }

    fn chosen(&self) -> Vec<TaskId> {
        self.cursor.at.iter().cloned().collect()
    }

    fn open(&self) -> Outcome {
        match &self.cursor.at {
            Some(id) => Outcome::Effect(Effect::Open(Box::new(Whereabouts::new(id.clone())))),
            None => Outcome::Done,
        }
    }

    fn sync_foot(&mut self, width: usize) {
        self.foot.clear();
        if self.text.is_empty() {
            return;
        }
        let lines = [
            (!self.finding.looked.is_empty(), "looked through ", &self.finding.looked, Role::Faint),
            (!self.finding.unseen.is_empty(), "not seen: ", &self.finding.unseen, Role::Muted),
        ];
        for (there, label, parts, role) in lines {
            if there {
                let text = clean(&format!("{label}{}", parts.join("; ")));
                self.foot.extend(literal::wrap(&text, width).into_iter().map(|line| vec![(line, role)]));
            }
        }
        self.foot.truncate(FOOT);
    }
}

impl View for FindScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::Tasks, Scope::Filters, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.ids, self.height) {
            return Outcome::Done;
        }
        match action {
            Action::Back => Outcome::Effect(Effect::Close),
            Action::Open => self.open(),
            Action::Find | Action::Filter => Outcome::Effect(Effect::Open(Box::new(ask(&self.text)))),
            Action::Refresh => {
                self.asks = true;
                Outcome::Done
            }
            Action::TaskTerminate => {
                self.choosing_signal = true;
                Outcome::Effect(Effect::Open(Box::new(act::signals())))
            }
            _ => act::perform(action, &self.chosen(), cx.model),
        }
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        act::refuse(action, &self.chosen(), cx.model)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if std::mem::take(&mut self.choosing_signal) {
            return act::terminate(answer, self.chosen());
        }
        match answer {
            Answer::Text { text, done: true } => {
                text.trim().clone_into(&mut self.text);
                (self.asks, self.finding) = (true, Finding::default());
                Outcome::Done
            }
            // Nothing was ever looked for: there is nothing to see here.
            Answer::Cancelled if self.text.is_empty() => Outcome::Effect(Effect::Close),
            _ => Outcome::Done,
        }
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                self.cursor.go(self.cursor.top + row, &self.ids);
                Outcome::Done
            }
            _ => Outcome::Ignored,
        }
    }

    fn wants_search(&mut self) -> Option<Search> {
        std::mem::take(&mut self.asks)
            .then(|| Search { what: What::Text(self.text.clone()), ticket: self.waiting.begin() })
    }

    fn searched(&mut self, ticket: &Ticket, answer: Found) {
        if let Found::Text(finding) = answer
            && self.waiting.is_for(ticket)
        {
            self.finding = *finding;
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let width = cx.size.width;
        self.sync_foot(usize::from(width).saturating_sub(3).max(20));
        self.height = usize::from(cx.size.height).saturating_sub(3 + self.foot.len());
        self.ids = self.finding.hits.iter().map(|hit| hit.id.clone()).collect();
        let selected = self.cursor.settle(&self.ids, self.height);
        let columns = columns(width);
        let hits = self.finding.hits.iter().skip(self.cursor.top).take(self.height);
        self.table = Table {
            rows: hits.map(|hit| Self::row(hit, &columns, cx)).collect(),
            selected: selected.map(|at| at - self.cursor.top),
            columns,
            ..Table::default()
        };
        let going = if self.finding.done || self.text.is_empty() { "" } else { "   still looking …" };
        self.head = vec![
            (Clean::own("find  "), Role::Muted),
            (clean(&self.text), Role::Text),
            (crate::clean!("   {}{going}", crate::human::plural(self.ids.len(), "task")), Role::Muted),
        ];
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.head);
        let foot = self.foot.len() as u16;
        let table = Rect { y: area.y + 1, height: area.height.saturating_sub(2 + foot), ..area };
        self.table.draw(page, table);
        if self.ids.is_empty() && self.finding.done {
            let none = vec![vec![(Clean::own("Nothing was found with that in what could be seen."), Role::Muted)]];
            page.instead_of_rows(table, &none);
        }
        for (i, line) in self.foot.iter().enumerate() {
            let y = (area.y + area.height).saturating_sub(foot) + i as u16;
            page.pieces(area.x + 1, y, area.width.saturating_sub(2), line);
        }
    }

    fn copies(&self, _cx: &Cx<'_>) -> Vec<(String, String)> {
        self.chosen().iter().map(|id| ("id".to_owned(), id.to_string())).collect()
    }

    fn crumb(&self) -> Option<String> {
        Some("find".into())
    }
}
