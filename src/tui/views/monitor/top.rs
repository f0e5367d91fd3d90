//! The tasks that count most: by rate, share of process time, runtime, failures, waiting.

use crate::human;
use crate::state::stats::{NameBucket, NameStats, Percentiles};
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

/// What the table is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum By {
    Rate,
    #[default]
    Share,
    P95,
    Wait,
    Failures,
}

/// Every order, with its name in the menu and the title of its column.
pub const ORDERS: [(By, &str, &str); 5] = [
    (By::Share, "share of process time", "TIME SHARE"),
    (By::Rate, "rate", "RATE/s"),
    (By::P95, "p95 of the runtime", "P95"),
    (By::Wait, "wait", "WAIT"),
    (By::Failures, "failures", "FAIL"),
];

/// One task of the table.
struct Entry<'m> {
    name: &'m str,
    recent: NameBucket,
    runtimes: Percentiles,
    usual: Option<f32>,
    rate: Option<f64>,
}

impl Entry<'_> {
    fn key(&self, by: By) -> f64 {
        match by {
            By::Rate => self.rate.unwrap_or(0.0),
            By::Share => f64::from(self.recent.busy),
            By::P95 => f64::from(self.runtimes.p95),
            By::Wait => self.recent.mean_wait().unwrap_or(0.0),
            By::Failures => f64::from(self.recent.failed),
        }
    }
}

fn columns(width: u16) -> Vec<Column> {
    let (name, rate, fail) = (Column::left("TOP TASKS", 0), Column::right("RATE/s", 7), Column::right("FAIL", 7));
    // The bar goes before a name has to be cut, and what failed is worth more than how long it took.
    if width < 60 {
        return vec![name, rate, fail];
    }
    let mut columns = vec![name, rate, Column::left("TIME SHARE", 16)];
    if width >= 90 {
        columns.push(Column::right("P50", 7));
    }
    columns.push(Column::right("P95", 7));
    if width >= 90 {
        columns.push(Column::right("P99", 7));
    }
    if width >= 110 {
        columns.extend([Column::right("Δ P95", 6), Column::right("WAIT", 7)]);
    }
    columns.push(fail);
    columns
}

/// Every task that ended lately, in order, and the table of `rows` of them from `top` on.
pub fn sync(table: &mut Table, by: By, secs: u32, width: u16, cx: &Cx<'_>) -> Vec<String> {
    let entry = |(name, stats): (_, &NameStats)| {
        let recent = stats.recent(secs, cx.now);
        (recent.done + recent.failed + recent.retried > 0).then(|| Entry {
            name,
            recent,
            runtimes: stats.runtimes.recent.percentiles(),
            usual: stats.runtimes.usual_p95(cx.now),
            rate: stats.rate(secs, cx.model, cx.now),
        })
    };
    let mut entries: Vec<Entry<'_>> = cx.model.by_name().filter_map(entry).collect();
    let busy: f64 = entries.iter().map(|e| f64::from(e.recent.busy)).sum();
    entries.sort_by(|a, b| b.key(by).total_cmp(&a.key(by)).then(a.name.cmp(b.name)));
    table.columns = columns(width);
    let title = ORDERS.iter().find(|(order, ..)| *order == by).map_or("", |(_, _, title)| *title);
    table.sorted = table.columns.iter().position(|c| c.title == title).map(|i| (i, true));
    table.rows = entries
        .iter()
        .map(|entry| Row {
            cells: table.columns.iter().map(|c| cell(c, entry, busy)).collect(),
            marked: false,
            role: None,
        })
        .collect();
    entries.into_iter().map(|e| e.name.to_owned()).collect()
}

fn cell(column: &Column, entry: &Entry<'_>, busy: f64) -> Cell {
    let (recent, runtimes) = (&entry.recent, &entry.runtimes);
    let muted = |text: String| Cell::new(clean(&text), Role::Muted);
    let blank = Cell::new(Clean::own("-"), Role::Faint);
    let runtime = |v: f32| {
        if runtimes.samples > 0 { muted(human::seconds(f64::from(v))) } else { Cell::new(Clean::own("-"), Role::Faint) }
    };
    match column.title {
        "TOP TASKS" => Cell::plain(clean(entry.name)),
        "RATE/s" => entry.rate.map_or(blank, |rate| Cell::plain(clean(&human::rate(rate)))),
        "TIME SHARE" => {
            let share = if busy > 0.0 { f64::from(recent.busy) / busy } else { 0.0 };
            let (bar, _) = spark::gauge(share, 10);
            Cell::new(crate::clean!("{:>4.0}% {bar}", share * 100.0), Role::Muted)
        }
        "P50" => runtime(runtimes.p50),
        "P95" => runtime(runtimes.p95),
        "P99" => runtime(runtimes.p99),
        // Against its own usual, when that is known well enough to differ from it.
        "Δ P95" => match entry.usual.filter(|usual| *usual > 0.0 && runtimes.samples >= 20) {
            Some(usual) => {
                let change = f64::from(runtimes.p95 / usual - 1.0) * 100.0;
                let role = if change >= 50.0 { Role::Warn } else { Role::Faint };
                Cell::new(crate::clean!("{change:+.0}%"), role)
            }
            None => blank,
        },
        "WAIT" => recent.mean_wait().map_or(blank, |secs| muted(human::seconds(secs))),
        _ => {
            let share = f64::from(recent.failed) / f64::from((recent.done + recent.failed).max(1));
            let role = if share > 0.05 { Role::Fail } else { Role::Muted };
            Cell::new(crate::clean!("{:.1}%{}", share * 100.0, if share > 0.05 { " ▲" } else { "" }), role)
        }
    }
}
