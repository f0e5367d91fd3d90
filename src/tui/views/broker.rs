//! Tab 4: how the broker is, and what waits in its queues.

use ratatui::layout::Rect;

use crate::feed::Interest;
use crate::human;
use crate::state::queue::Queue;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::list::Cursor;
use super::task::Line;

/// See the module.
#[derive(Default)]
pub struct BrokerView {
    cursor: Cursor<String>,
    names: Vec<String>,
    table: Table,
    filter: String,
    health: Line,
    details: Option<(Line, Vec<Line>)>,
    height: usize,
    empty: Vec<Line>,
}

const DETAILS: u16 = 6;
const TALL: u16 = 20;
/// Ten-second buckets of the trend.
const TREND: usize = 90;

fn columns(width: u16) -> Vec<Column> {
    let (sign, name) = (Column::left("", 1), Column::left("QUEUE", 0));
    let (ready, trend) = (Column::right("READY", 7), Column::left("TREND 15m", 15));
    let (unacked, consumers) = (Column::right("UNACKED", 7), Column::right("CONSUMERS", 9));
    let (into, out) = (Column::right("IN/s", 6), Column::right("OUT/s", 6));
    let (oldest, drains) = (Column::right("OLDEST", 8), Column::right("DRAINS IN", 9));
    match width {
        0..60 => vec![sign, name, ready, unacked],
        60..100 => {
            vec![sign, name, ready, Column { width: 9, title: "TREND", ..trend }, unacked, consumers, oldest, drains]
        }
        _ => vec![
            sign,
            name,
            ready,
            trend,
            unacked,
            consumers,
            into,
            out,
            oldest,
            drains,
            Column::left("BY PRIORITY", 22),
        ],
    }
}

/// Ten or more in five minutes: growing.
fn growing(queue: &Queue, cx: &Cx<'_>) -> bool {
    queue.depth.ready > 0 && queue.slope(cx.now).is_some_and(|slope| slope * 300.0 > 10.0)
}

fn cell(column: &Column, name: &str, queue: &Queue, cx: &Cx<'_>) -> Cell {
    let muted = |t: String| Cell::new(clean(&t), Role::Muted);
    let blank = Cell::new(Clean::own("-"), Role::Faint);
    let consumers = queue.depth.consumers.or(cx.model.consumers(name, cx.now).map(|n| n as u64));
    let rates = queue.rates(cx.now);
    match column.title {
        "" if consumers == Some(0) => Cell::new(Clean::own("○"), Role::Faint),
        "" => Cell::new(Clean::own("●"), Role::Ok),
        "QUEUE" => Cell::plain(clean(name)),
        "READY" => Cell::plain(clean(&human::count(queue.depth.ready))),
        "TREND 15m" | "TREND" => {
            let values: Vec<Option<f64>> =
                queue.history.last_with_open(TREND, cx.now).map(|d| (d > 0).then(|| f64::from(d - 1))).collect();
            // A queue that holds next to nothing is drawn low, not as a range of mountains.
            let top = values.iter().flatten().fold(10.0, |a: f64, b| a.max(*b));
            Cell::new(spark::bars(&spark::squeeze(&values, usize::from(column.width)), Some(top)), Role::Series1)
        }
        "UNACKED" => queue.depth.unacked.map_or(blank, |n| muted(human::count(n))),
        "CONSUMERS" => match consumers {
            Some(0) if queue.depth.ready > 0 => Cell::new(Clean::own("0 ▲"), Role::Warn),
            Some(n) => muted(human::count(n)),
            None => blank,
        },
        "IN/s" => rates.map_or(blank, |(into, _)| muted(human::rate(into))),
        "OUT/s" => rates.map_or(blank, |(_, out)| muted(human::rate(out))),
        "OLDEST" => match cx.model.oldest(queue, cx.now).filter(|_| queue.depth.ready > 0) {
            Some((secs, least)) => muted(format!("{}{}", if least { "≥ " } else { "" }, human::span(secs as u64))),
            None => blank,
        },
        "DRAINS IN" => match (queue.depth.ready, queue.drains_in(cx.now)) {
            (0, _) => blank,
            (_, Some(secs)) => muted(human::span(secs as u64)),
            (_, None) if growing(queue, cx) => Cell::new(Clean::own("never ▲"), Role::Warn),
            _ => blank,
        },
        _ => {
            let parts: Vec<String> = queue
                .depth
                .by_priority
                .iter()
                .filter(|(_, n)| *n > 0)
                .map(|(p, n)| format!("{p}:{}", human::count(*n)))
                .collect();
            muted(parts.join(" "))
        }
    }
}

fn health(cx: &Cx<'_>) -> Line {
    let Some(health) = cx.health else { return vec![(Clean::own("the broker has not answered yet"), Role::Muted)] };
    let mut facts = vec![format!("{} {}", health.kind, health.version)];
    facts.push(format!("rtt {}", human::seconds(health.rtt)));
    if let Some(used) = health.memory_used {
        let max = health.memory_max.map_or(String::new(), |max| format!("/{}", human::bytes(max)));
        facts.push(format!("memory {}{max}", human::bytes(used)));
    }
    facts.extend(health.unacked.map(|n| format!("unacked {}", human::count(n))));
    let mut line = vec![(clean(&facts.join("   ")), Role::Text)];
    if let Some(evicted) = health.evicted.filter(|n| *n > 0) {
        line.push((crate::clean!("   evicted {}", human::count(evicted)), Role::Warn));
    }
    let counters = cx.model.counters();
    for (n, what, role) in
        [(counters.missed, "events missed", Role::Warn), (counters.undecodable, "undecodable", Role::Retry)]
    {
        let role = if n > 0 { role } else { Role::Faint };
        line.push((crate::clean!("   {what} {}", human::count(n)), role));
    }
    let mut rest = Vec::new();
    rest.extend(health.clients.map(|n| format!("clients {}", human::count(n))));
    rest.extend(health.commands.map(|n| format!("{} commands/s", human::rate(n))));
    rest.extend(health.uptime.map(|s| format!("up {}", human::span(s))));
    line.push((crate::clean!("   {}", rest.join("   ")), Role::Muted));
    line
}

fn details(name: &str, queue: &Queue, cx: &Cx<'_>) -> (Line, Vec<Line>) {
    let mut lines: Vec<Line> = Vec::new();
    let consumers: Vec<&str> = cx
        .model
        .workers()
        .into_iter()
        .filter(|(_, w)| w.is_online(cx.now))
        .filter(|(_, w)| w.inspected.queues.as_ref().is_some_and(|q| q.iter().any(|q| q == name)))
        .map(|(name, _)| name)
        .collect();
    let shown = match consumers.len() {
        0 => "no online worker says it consumes this queue".into(),
        _ => consumers.join("  "),
    };
    lines.push(vec![(Clean::own("consumers  "), Role::Muted), (clean(&shown), Role::Text)]);
    let slope = match queue.slope(cx.now) {
        Some(slope) => format!("{slope:+.2} a second over the last five minutes"),
        None => "not watched long enough".into(),
    };
    lines.push(vec![(Clean::own("change     "), Role::Muted), (clean(&slope), Role::Text)]);
    if let Some(next) = &queue.depth.next {
        let task = cx.model.task(next).and_then(|t| t.name()).unwrap_or("");
        lines.push(vec![
            (Clean::own("next       "), Role::Muted),
            (crate::clean!("{}  {task}", next.short()), Role::Text),
        ]);
    }
    if let Some(bad) = cx.model.undecodable().last() {
        lines.push(vec![
            (Clean::own("undecodable"), Role::Muted),
            (crate::clean!(" last: {} ({})", bad.why, human::bytes(bad.size as u64)), Role::Retry),
        ]);
    }
    (vec![(clean(name), Role::Text)], lines)
}

impl View for BrokerView {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Broker, Scope::Marks, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.names, self.height) {
            return Outcome::Done;
        }
        match action {
            Action::Filter => {
                Outcome::Effect(Effect::Open(Box::new(Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new()))))
            }
            Action::Back if !self.filter.is_empty() => {
                self.filter.clear();
                Outcome::Done
            }
            _ => Outcome::Ignored,
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        match answer {
            Answer::Text { text, .. } => self.filter = text.clone(),
            _ => self.filter.clear(),
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                self.cursor.go(self.cursor.top + row, &self.names);
                Outcome::Done
            }
            _ => Outcome::Ignored,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let pattern = crate::filter::Pattern::new(&self.filter);
        let mut queues: Vec<(&str, &Queue)> =
            cx.model.queues().into_iter().filter(|(name, _)| pattern.matches(name)).collect();
        queues.sort_by_key(|(name, _)| *name);
        self.names = queues.iter().map(|(name, _)| (*name).to_owned()).collect();
        let details = cx.size.height >= TALL;
        self.height = usize::from(cx.size.height.saturating_sub(3 + if details { DETAILS } else { 0 }));
        let selected = self.cursor.settle(&self.names, self.height);
        self.table.columns = columns(cx.size.width);
        self.table.selected = selected.map(|s| s - self.cursor.top);
        self.table.rows = queues
            .iter()
            .skip(self.cursor.top)
            .take(self.height)
            .map(|(name, queue)| Row {
                cells: self.table.columns.iter().map(|c| cell(c, name, queue, cx)).collect(),
                marked: self.cursor.marks.contains(*name),
                role: None,
            })
            .collect();
        self.details = self
            .cursor
            .at
            .as_ref()
            .filter(|_| details)
            .and_then(|name| Some(self::details(name, cx.model.queue(name)?, cx)));
        self.health = health(cx);
        self.empty = if !self.names.is_empty() {
            Vec::new()
        } else if self.filter.is_empty() {
            vec![vec![(
                Clean::own(
                    "No queue is known yet. A queue appears when a worker declares it or a message waits in it.",
                ),
                Role::Muted,
            )]]
        } else {
            vec![vec![(Clean::own("No queue matches. Esc shows all."), Role::Muted)]]
        };
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.health);
        let below = if area.height >= TALL { DETAILS } else { 0 };
        let list = Rect { y: area.y + 2, height: area.height.saturating_sub(2 + below), ..area };
        if !self.filter.is_empty() {
            page.put(area.x + 1, area.y + 1, area.width, crate::clean!("filter  {}", self.filter), Role::Muted);
        }
        self.table.draw(page, list);
        page.instead_of_rows(list, &self.empty);
        if let (Some((title, lines)), true) = (&self.details, below > 0) {
            let pane = Rect { y: area.y + area.height - below, height: below, ..area };
            page.pane(pane, title, lines);
        }
    }

    fn interest(&self) -> Interest {
        Interest { consumers: true, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
