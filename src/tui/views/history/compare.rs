//! Two spans of time side by side, by task name: what got slower, what fails more. The worst change comes first.

use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::above::moment;
use super::span;
use crate::clock::Stamp;
use crate::filter::{Filter, Word};
use crate::history::lookup::{Compared, Found, Look, Request, Ticket, Waiting};
use crate::history::minutes::{self, Tally};
use crate::history::reader::Query;
use crate::human;
use crate::state::State;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Cx, Effect, Outcome, View};
use crate::tui::views::list::Cursor;
use crate::tui::views::task::Line;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

/// Fewer than so many tasks say nothing about how long they take.
const FEW: u64 = 5;
/// A change of less than this is none worth a colour.
const WORTH: f64 = 1.25;

/// See the module.
pub struct CompareScreen {
    names: Filter,
    now: (Stamp, Stamp),
    before: (Stamp, Stamp),
    words: &'static str,
    waiting: Waiting,
    request: Option<Request>,
    rows: Vec<Compared>,
    cursor: Cursor<String>,
    ids: Vec<String>,
    table: Table,
    title: Line,
    said: Vec<Line>,
    known: bool,
    height: usize,
}

/// What a name did in one span.
struct Figures {
    count: u64,
    failed: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
}

impl Figures {
    fn of(tally: &Tally) -> Self {
        let count = |state| minutes::place(state).map_or(0, |place| tally.counts[place]);
        let (done, failed) = (count(State::Success), count(State::Failure));
        let enough = tally.runtimes.len() >= FEW;
        Self {
            count: done + failed,
            failed: (done + failed > 0).then(|| failed as f64 / (done + failed) as f64),
            p50: tally.runtimes.quantile(0.5).filter(|_| enough),
            p95: tally.runtimes.quantile(0.95).filter(|_| enough),
        }
    }
}

/// How many times slower it is, by its 95th percentile.
fn slower(now: &Figures, before: &Figures) -> Option<f64> {
    let (now, before) = (now.p95?, before.p95?);
    (before > 0.0).then(|| now / before)
}

/// How bad the change is: above one for worse. Failures weigh as their share has grown, from one in a hundred on, so that
/// the first failure among thousands is not the worst of all.
fn badness(compared: &Compared) -> f64 {
    let (now, before) = (Figures::of(&compared.now), Figures::of(&compared.before));
    let share = |figures: &Figures| figures.failed.unwrap_or(0.0) + 0.01;
    let fails = if now.count.min(before.count) >= FEW { share(&now) / share(&before) } else { 1.0 };
    slower(&now, &before).unwrap_or(0.0).max(fails)
}

impl CompareScreen {
    /// Compares what tasks of the names a filter asks for did in two spans.
    pub fn new(names: Filter, now: (Stamp, Stamp), before: (Stamp, Stamp), words: &'static str) -> Self {
        Self {
            names,
            now,
            before,
            words,
            waiting: Waiting::default(),
            request: None,
            rows: Vec::new(),
            cursor: Cursor::default(),
            ids: Vec::new(),
            table: Table::default(),
            title: Vec::new(),
            said: Vec::new(),
            known: false,
            height: 0,
        }
    }

    fn query(&self, span: (Stamp, Stamp), now: Stamp, zone: &TimeZone) -> Query {
        let line = span::within(&self.names, span, zone);
        let filter = crate::filter::parse(&line).unwrap_or_default();
        Query { filter, now, zone: zone.clone(), limit: 0, before: None }
    }

    /// The tasks of the chosen name in the later span.
    fn open(&self, cx: &Cx<'_>) -> Outcome {
        let Some(name) = &self.cursor.at else { return Outcome::Done };
        let name = Filter::exactly(Word::Task, [name.as_str()]);
        Outcome::Effect(Effect::OpenHistory { filter: span::within(&name, self.now, cx.model.zone()) })
    }

    fn sync_table(&mut self, cx: &Cx<'_>) {
        let wide = cx.size.width >= 100;
        self.table.columns = match wide {
            true => vec![
                Column::left("TASK", 0),
                Column::right("COUNT", 9),
                Column::right("BEFORE", 9),
                Column::right("FAIL", 6),
                Column::right("BEFORE", 6),
                Column::right("P50", 8),
                Column::right("BEFORE", 8),
                Column::right("P95", 8),
                Column::right("BEFORE", 8),
                Column::right("CHANGE", 8),
            ],
            false => vec![
                Column::left("TASK", 0),
                Column::right("FAIL", 6),
                Column::right("BEFORE", 6),
                Column::right("P95", 8),
                Column::right("BEFORE", 8),
                Column::right("CHANGE", 8),
            ],
        };
        self.ids = self.rows.iter().map(|row| row.name.clone()).collect();
        self.height = usize::from(cx.size.height.saturating_sub(3));
        let selected = self.cursor.settle(&self.ids, self.height);
        self.table.selected = selected.map(|at| at - self.cursor.top);
        let shown = self.rows.iter().skip(self.cursor.top).take(self.height);
        self.table.rows = shown.map(|compared| row(compared, wide)).collect();
    }
}

fn row(compared: &Compared, wide: bool) -> Row {
    let (now, before) = (Figures::of(&compared.now), Figures::of(&compared.before));
    let ratio = slower(&now, &before);
    let more = now.failed.unwrap_or(0.0) > before.failed.unwrap_or(0.0) * WORTH + 0.005 && now.count >= FEW;
    let slow = ratio.is_some_and(|ratio| ratio >= WORTH);
    let number = |n: u64, role| Cell::new(clean(&human::thousands(n)), role);
    let share = |share: Option<f64>, role| Cell::new(clean(&share.map_or("-".into(), fails)), role);
    let time = |secs: Option<f64>, role| Cell::new(clean(&secs.map_or("-".into(), human::seconds)), role);
    let change = match ratio {
        Some(ratio) => Cell::new(crate::clean!("×{}", times(ratio)), if slow { Role::Warn } else { Role::Muted }),
        None if before.count == 0 => Cell::new(Clean::own("new"), Role::Accent),
        None if now.count == 0 => Cell::new(Clean::own("gone"), Role::Muted),
        None => Cell::new(Clean::own("-"), Role::Faint),
    };
    let failing = if more { Role::Fail } else { Role::Text };
    let mut cells = vec![Cell::plain(clean(&compared.name))];
    if wide {
        cells.extend([number(now.count, Role::Text), number(before.count, Role::Muted)]);
    }
    cells.extend([share(now.failed, failing), share(before.failed, Role::Muted)]);
    if wide {
        cells.extend([time(now.p50, Role::Text), time(before.p50, Role::Muted)]);
    }
    let slowed = if slow { Role::Warn } else { Role::Text };
    cells.extend([time(now.p95, slowed), time(before.p95, Role::Muted), change]);
    Row { cells, marked: false, role: None }
}

/// A share that failed. None is told apart from a few.
fn fails(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".into(),
        percent if percent < 0.1 => "<0.1%".into(),
        percent => format!("{percent:.1}%"),
    }
}

fn times(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}

impl View for CompareScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::Open => self.open(cx),
            _ if self.cursor.perform(action, &self.ids, self.height) => Outcome::Done,
            _ => Outcome::Ignored,
        }
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        let Target::Row(row) = target else { return Outcome::Ignored };
        let at = self.cursor.at.clone();
        self.cursor.go(self.cursor.top + row, &self.ids);
        if at == self.cursor.at { self.open(cx) } else { Outcome::Done }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        if !self.known && !self.waiting.is_open() {
            let (zone, now) = (cx.model.zone(), cx.now);
            let look =
                Look::Compare { now: self.query(self.now, now, zone), before: self.query(self.before, now, zone) };
            self.request = Some(self.waiting.ask(look));
        }
        let span = |(from, to): (Stamp, Stamp)| format!("{} – {}", moment(from, cx), moment(to, cx));
        self.title = vec![
            (crate::clean!("{}", span(self.now)), Role::Accent),
            (crate::clean!("   beside {}: {}", self.words, span(self.before)), Role::Muted),
        ];
        if !self.names.is_empty() {
            self.title.push((crate::clean!("   {}", self.names), Role::Text));
        }
        self.sync_table(cx);
        if self.known && self.rows.is_empty() {
            let text =
                "No task ended in either span. Figures by the minute are kept longer than tasks: try an earlier one.";
            self.said = vec![vec![(Clean::own(text), Role::Muted)]];
        } else if !self.known && self.said.is_empty() {
            self.said = vec![vec![(Clean::own("Looking through the history …"), Role::Muted)]];
        }
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.whole_pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        let below = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        self.table.draw(page, below);
        if self.rows.is_empty() {
            page.instead_of_rows(below, &self.said);
        }
    }

    fn copies(&self, _cx: &Cx<'_>) -> Vec<(String, String)> {
        self.cursor.at.iter().map(|name| ("task".to_owned(), name.clone())).collect()
    }

    fn crumb(&self) -> Option<String> {
        Some("compare".to_owned())
    }

    fn wants_lookups(&mut self) -> Vec<Request> {
        self.request.take().into_iter().collect()
    }

    fn looked_up(&mut self, ticket: &Ticket, found: Found, _cx: &mut Cx<'_>) -> Outcome {
        if !self.waiting.is_for(ticket) {
            return Outcome::Done;
        }
        match found {
            Found::Compared(mut rows) => {
                rows.retain(|row| Figures::of(&row.now).count + Figures::of(&row.before).count > 0);
                rows.sort_by(|a, b| badness(b).total_cmp(&badness(a)).then_with(|| a.name.cmp(&b.name)));
                (self.rows, self.known) = (rows, true);
            }
            Found::Failed(why) => {
                self.said = vec![vec![(clean(&why), Role::Fail)]];
            }
            _ => {}
        }
        Outcome::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(name: &str, now: (u64, u64, f64), before: (u64, u64, f64)) -> Compared {
        let tally = |(done, failed, secs): (u64, u64, f64)| {
            let mut tally = Tally::default();
            (tally.counts[3], tally.counts[4]) = (done, failed);
            (0..done).for_each(|_| tally.runtimes.add(secs));
            tally
        };
        Compared { name: name.into(), now: tally(now), before: tally(before) }
    }

    #[test]
    fn what_got_slower_or_fails_more_is_worse_than_what_stayed() {
        let same = badness(&compared("same", (100, 0, 1.0), (100, 0, 1.0)));
        let slower = badness(&compared("slower", (100, 0, 3.0), (100, 0, 1.0)));
        let failing = badness(&compared("failing", (80, 20, 1.0), (100, 0, 1.0)));
        let once = badness(&compared("once", (5_000, 1, 1.0), (5_000, 0, 1.0)));
        let faster = badness(&compared("faster", (100, 0, 0.2), (100, 0, 1.0)));
        let rare = badness(&compared("rare", (2, 2, 9.0), (2, 0, 1.0)));
        assert!(
            failing > slower && slower > once && once >= same && same >= faster,
            "{failing} {slower} {once} {same}"
        );
        assert!(rare <= same, "a few tasks say nothing: {rare}");
    }
}
