//! Tab 2: every worker, what it does, and the chosen one's pool below.

use ratatui::layout::Rect;

use crate::feed::Interest;
use crate::human;
use crate::ops::{Command, PoolChange, command::plural};
use crate::state::Model;
use crate::state::worker::Worker;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::{Choose, Prompt};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::list::Cursor;
use super::task::Line;

#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Grow,
    Shrink,
    Events,
}

/// See the module.
#[derive(Default)]
pub struct Workers {
    cursor: Cursor<String>,
    names: Vec<String>,
    table: Table,
    filter: String,
    status: Line,
    details: Option<(Line, Vec<Line>)>,
    asking: Asking,
    height: usize,
    empty: Vec<Line>,
}

const DETAILS: u16 = 9;
const TALL: u16 = 24;

fn columns(width: u16) -> Vec<Column> {
    let (name, active) = (Column::left("WORKER", 0), Column::right("ACTIVE", 7));
    let (sign, busy) = (Column::left("", 1), Column::left("BUSY", 8));
    let (reserved, fail) = (Column::right("RESERVED", 8), Column::right("FAIL", 6));
    let (load, done) = (Column::left("LOADAVG", 16), Column::right("DONE", 9));
    let (status, pool) = (Column::left("STATUS", 14), Column::left("POOL", 8));
    let (rate, up) = (Column::right("RATE/s", 6), Column::right("UP", 8));
    match width {
        0..60 => vec![sign, name, active],
        60..100 => vec![sign, name, active, busy, reserved, fail, load],
        100..140 => vec![sign, name, status, pool, active, busy, reserved, done, fail, rate, load],
        _ => vec![
            sign,
            name,
            status,
            pool,
            active,
            busy,
            reserved,
            done,
            fail,
            rate,
            load,
            Column::right("PREFETCH", 8),
            Column::right("PEAK main", 9),
            Column::left("CELERY", 8),
            up,
        ],
    }
}

impl Workers {
    fn commanded(&self) -> Vec<String> {
        self.cursor.chosen()
    }

    fn row(&self, name: &str, worker: &Worker, cx: &Cx<'_>) -> Row {
        let online = worker.is_online(cx.now);
        let cells = self.table.columns.iter().map(|c| cell(c, name, worker, online, cx)).collect();
        Row {
            cells,
            marked: self.cursor.marks.contains(name),
            role: Some(if online { Role::Text } else { Role::Faint }),
        }
    }
}

fn cell(column: &Column, name: &str, worker: &Worker, online: bool, cx: &Cx<'_>) -> Cell {
    let text = |t: String| Cell::plain(clean(&t));
    let muted = |t: String| Cell::new(clean(&t), Role::Muted);
    let stats = worker.inspected.stats.as_ref();
    let blank = Cell::new(Clean::own("-"), Role::Faint);
    match column.title {
        "" => match online {
            true => Cell::new(Clean::own("●"), Role::Ok),
            false => Cell::new(Clean::own("○"), Role::Faint),
        },
        "WORKER" => text(name.to_owned()),
        "STATUS" if online => muted("online".into()),
        "STATUS" if worker.said_offline => muted(format!("ended {}", ago(worker, cx))),
        "STATUS" => Cell::new(crate::clean!("silent {}", ago(worker, cx)), Role::Warn),
        "POOL" => stats.map_or(blank, |s| muted(s.pool.kind.clone())),
        _ if !online && column.title != "DONE" && column.title != "FAIL" => blank,
        "ACTIVE" => active(worker),
        "BUSY" => busy(worker),
        "RESERVED" => worker.inspected.reserved.as_ref().map_or(blank, |r| text(human::count(r.len() as u64))),
        "DONE" => match worker.processed {
            Some(n) => text(human::thousands(n.max(0) as u64)),
            None => blank,
        },
        "FAIL" => match worker.succeeded + worker.failed {
            0 => blank,
            n => {
                let share = worker.failed as f64 / n as f64;
                let role = if share > 0.05 { Role::Fail } else { Role::Muted };
                Cell::new(clean(&format!("{:.1}%", share * 100.0)), role)
            }
        },
        "RATE/s" => muted(human::rate(f64::from(worker.done.last(6, cx.now).sum::<u32>()) / 60.0)),
        "LOADAVG" => worker.loadavg.map_or(blank, |l| muted(l.map(|v| format!("{v:>4.1}")).join(" "))),
        "PREFETCH" => stats.and_then(|s| s.prefetch).map_or(blank, |n| muted(n.to_string())),
        "PEAK main" => stats.and_then(|s| s.peak_main).map_or(blank, |n| muted(human::bytes(n))),
        "CELERY" => worker.sw_ver.clone().map_or(blank, muted),
        _ => stats.and_then(|s| s.uptime).map_or(blank, |s| muted(human::span(s))),
    }
}

fn ago(worker: &Worker, cx: &Cx<'_>) -> String {
    human::span(cx.now.since(worker.last_seen).as_secs())
}

/// Running tasks and places in the pool.
fn running(worker: &Worker) -> Option<(u64, Option<u64>)> {
    Some((worker.running()?, worker.pool_size().filter(|size| *size > 0)))
}

/// `7/8`.
fn active(worker: &Worker) -> Cell {
    match running(worker) {
        Some((running, Some(size))) => Cell::plain(crate::clean!("{running}/{size}")),
        Some((running, None)) => Cell::plain(crate::clean!("{running}")),
        None => Cell::new(Clean::own("-"), Role::Faint),
    }
}

/// `▇▇▇▇▇▇▇▁`.
fn busy(worker: &Worker) -> Cell {
    let Some((running, Some(size))) = running(worker) else { return Cell::default() };
    let (on, off) = spark::gauge(running as f64 / size as f64, 8);
    Cell::new(crate::clean!("{on}{off}"), if running >= size { Role::Warn } else { Role::Running })
}

/// The chosen worker: pool, processes, queues, software.
fn details(name: &str, worker: &Worker, cx: &Cx<'_>, width: usize) -> (Line, Vec<Line>) {
    let title = vec![(clean(name), Role::Text)];
    let mut lines: Vec<Line> = Vec::new();
    let mut facts: Vec<String> = Vec::new();
    if let Some(pid) = worker.pid {
        facts.push(format!("pid {pid}"));
    }
    if let Some(stats) = &worker.inspected.stats {
        let size = stats.pool.size().map_or(String::new(), |n| format!(" ×{n}"));
        facts.push(format!("{}{size}", stats.pool.kind));
        facts.push(match stats.pool.autoscale {
            Some((max, min)) => format!("autoscale {max},{min}"),
            None => "autoscale off".into(),
        });
        facts.extend(stats.prefetch.map(|n| format!("prefetch {n}")));
        facts.extend(stats.uptime.map(|s| format!("up {}", human::span(s))));
        facts.extend(stats.cpu_main.map(|s| format!("CPU main {}", human::seconds(s))));
        facts.extend(stats.peak_main.map(|n| format!("PEAK main {}", human::bytes(n))));
        facts.push(format!("broker {}", stats.broker));
    }
    facts.extend(worker.sw_ver.as_ref().map(|v| format!("celery {v}")));
    lines.push(vec![(clean(&facts.join("  ")), Role::Muted)]);
    if let Some(queues) = &worker.inspected.queues {
        lines.push(vec![(Clean::own("queues     "), Role::Muted), (clean(&queues.join("  ")), Role::Text)]);
    }
    match &worker.inspected.active {
        None => lines.push(vec![(Clean::own("what it runs is not known yet: it has not answered"), Role::Faint)]),
        Some(active) if active.is_empty() => lines.push(vec![(Clean::own("running    nothing"), Role::Faint)]),
        Some(active) => {
            for (i, held) in active.iter().enumerate() {
                let ran = held.started.map_or(String::new(), |s| human::span(cx.now.since(s).as_secs()));
                let name_width = (width / 3).clamp(16, 48);
                let name = crate::text::cut_middle(clean(&held.name).as_str(), name_width).into_owned();
                lines.push(vec![
                    (Clean::own(if i == 0 { "running    " } else { "           " }), Role::Muted),
                    (Clean::own("● "), Role::Running),
                    (crate::clean!("{:<7}", held.pid.map_or(String::new(), |p| p.to_string())), Role::Faint),
                    (crate::clean!("{name:<name_width$}  "), Role::Text),
                    (crate::clean!("{ran:>8}  "), Role::Running),
                    (clean(&held.args), Role::Muted),
                ]);
            }
        }
    }
    if let Some(at) = worker.inspected.at {
        let age = crate::clean!("   asked {} ago", human::span(cx.now.since(at).as_secs() / 10 * 10));
        if let Some(first) = lines.first_mut() {
            first.push((age, Role::Faint));
        }
    }
    (title, lines)
}

fn check_number(text: &str) -> Result<(), String> {
    match text.trim().parse::<u32>() {
        Ok(1..=999) => Ok(()),
        _ => Err("a number from 1 to 999".into()),
    }
}

impl View for Workers {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::Workers, Scope::Marks, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.names, self.height) {
            return Outcome::Done;
        }
        let workers = self.commanded();
        let form = |title: &str, help: &str| {
            let title = format!("{title} the pool of {} by", plural(workers.len(), "worker"));
            Outcome::Effect(Effect::Open(Box::new(Prompt::framed(&title, "1", help, check_number))))
        };
        match action {
            Action::Filter => {
                self.asking = Asking::Filter;
                let prompt = Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new());
                Outcome::Effect(Effect::Open(Box::new(prompt)))
            }
            Action::PoolGrow => {
                self.asking = Asking::Grow;
                form("Grow", "so many processes more, on each; ⏎ goes on to a question")
            }
            Action::PoolShrink => {
                self.asking = Asking::Shrink;
                form("Shrink", "so many processes less, on each; one always stays")
            }
            Action::WorkerPing => Outcome::Effect(Effect::Run(Command::Ping { workers })),
            Action::WorkerQuit => Outcome::Effect(Effect::Ask(Command::Shutdown { workers })),
            Action::WorkerEvents => {
                self.asking = Asking::Events;
                let title = format!("task events of {}", plural(workers.len(), "worker"));
                let lines = ["on   until they restart", "off  has no effect on workers started with -E"];
                Outcome::Effect(Effect::Open(Box::new(Choose::lines(&title, lines.map(str::to_owned), 0))))
            }
            Action::Open => match (&self.cursor.at, cx.model) {
                (Some(name), _) => Outcome::Effect(Effect::Open(Box::new(WorkerScreen::new(name.clone())))),
                _ => Outcome::Done,
            },
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
        refuse(action, &self.commanded(), cx)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        let workers = self.commanded();
        let pool = |text: &str, change: fn(u32) -> PoolChange| match text.trim().parse() {
            Ok(n) => Outcome::Effect(Effect::Ask(Command::Pool { workers: workers.clone(), change: change(n) })),
            Err(_) => Outcome::Done,
        };
        match (std::mem::take(&mut self.asking), answer) {
            (Asking::Filter, Answer::Text { text, done }) => {
                self.filter = text.clone();
                if !done {
                    self.asking = Asking::Filter;
                }
            }
            (Asking::Filter, _) => self.filter.clear(),
            (Asking::Grow, Answer::Text { text, done: true }) => return pool(text, PoolChange::Grow),
            (Asking::Shrink, Answer::Text { text, done: true }) => return pool(text, PoolChange::Shrink),
            (Asking::Events, Answer::Choice(i)) => {
                return Outcome::Effect(Effect::Ask(Command::Events { workers, on: *i == 0 }));
            }
            _ => {}
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
        self.names = matching(cx.model, &pattern);
        self.cursor.marks.retain(|name| cx.model.worker(name).is_some());
        let details = cx.size.height >= TALL;
        self.height = usize::from(cx.size.height.saturating_sub(2 + if details { DETAILS } else { 0 }));
        let selected = self.cursor.settle(&self.names, self.height);
        self.table.columns = columns(cx.size.width);
        self.table.selected = selected.map(|s| s - self.cursor.top);
        let shown = self.names.iter().skip(self.cursor.top).take(self.height);
        self.table.rows = shown.filter_map(|name| Some(self.row(name, cx.model.worker(name)?, cx))).collect();
        self.details = self.cursor.at.as_ref().filter(|_| details).and_then(|name| {
            Some(self::details(name, cx.model.worker(name)?, cx, usize::from(cx.size.width.saturating_sub(4))))
        });
        let (online, known) = cx.model.online(cx.now);
        let running: u64 =
            cx.model.workers().iter().filter(|(_, w)| w.is_online(cx.now)).filter_map(|(_, w)| w.running()).sum();
        self.status = vec![(crate::clean!("{online} of {known} online · {running} running"), Role::Text)];
        if !self.cursor.marks.is_empty() {
            self.status.insert(0, (crate::clean!("{} marked · ", self.cursor.marks.len()), Role::Accent));
        }
        self.empty = match (known, self.filter.is_empty()) {
            (0, _) => vec![
                vec![(
                    Clean::own("No worker has been heard of yet. Workers appear with their first heartbeat,"),
                    Role::Muted,
                )],
                vec![(Clean::own("or when they answer; ctrl-r asks them again."), Role::Muted)],
            ],
            _ if self.names.is_empty() => vec![vec![(Clean::own("No worker matches. Esc shows all."), Role::Muted)]],
            _ => Vec::new(),
        };
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let status_width: u16 = self.status.iter().map(|(t, _)| t.width() as u16).sum();
        let label = page.put(area.x + 1, area.y, area.width, Clean::own("filter  "), Role::Muted);
        let (text, role) = match self.filter.as_str() {
            "" => (Clean::own("all workers"), Role::Faint),
            text => (clean(text), Role::Text),
        };
        page.put(area.x + 1 + label, area.y, area.width.saturating_sub(label + status_width + 3), &text, role);
        page.pieces((area.x + area.width).saturating_sub(status_width + 1), area.y, status_width, &self.status);
        let below = if area.height >= TALL { DETAILS } else { 0 };
        let list = Rect { y: area.y + 1, height: area.height.saturating_sub(1 + below), ..area };
        self.table.draw(page, list);
        page.instead_of_rows(list, &self.empty);
        if let (Some((title, lines)), true) = (&self.details, below > 0) {
            let pane = Rect { y: area.y + area.height - below, height: below, ..area };
            page.pane(pane, title, lines);
        }
    }

    fn interest(&self) -> Interest {
        Interest { workers: true, consumers: true, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        500
    }
}

fn refuse(action: Action, workers: &[String], cx: &Cx<'_>) -> Option<String> {
    let commands = [Action::PoolGrow, Action::PoolShrink, Action::WorkerPing, Action::WorkerQuit, Action::WorkerEvents];
    if !commands.contains(&action) {
        return None;
    }
    if workers.is_empty() {
        return Some("no worker is chosen".into());
    }
    let pool_change = matches!(action, Action::PoolGrow | Action::PoolShrink);
    let reason = |name: &String| {
        let worker = cx.model.worker(name)?;
        let pool = worker.inspected.stats.as_ref().map(|s| &s.pool)?;
        if pool_change && pool.autoscale.is_some() {
            return Some(format!("{name} scales by itself"));
        }
        (pool_change && matches!(pool.kind.as_str(), "threads" | "solo"))
            .then(|| format!("a {} pool can't change its size", pool.kind))
    };
    let reasons: Vec<Option<String>> = workers.iter().map(reason).collect();
    if reasons.iter().any(Option::is_none) { None } else { reasons.into_iter().flatten().next() }
}

fn matching(model: &Model, pattern: &crate::filter::Pattern) -> Vec<String> {
    model.workers().into_iter().map(|(name, _)| name).filter(|name| pattern.matches(name)).map(str::to_owned).collect()
}

/// One worker on the whole screen.
struct WorkerScreen {
    name: String,
    scroll: crate::tui::layers::scroll::Scroll,
    title: Line,
}

impl WorkerScreen {
    fn new(name: String) -> Self {
        Self { name, scroll: Default::default(), title: Vec::new() }
    }
}

impl View for WorkerScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Text, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match self.scroll.perform(action) {
            Some(outcome) => outcome,
            None if action == Action::Back => Outcome::Effect(Effect::Close),
            None => Outcome::Ignored,
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let Some(worker) = cx.model.worker(&self.name) else {
            self.scroll.lines = vec![vec![(Clean::own("This worker is not known any more."), Role::Muted)]];
            return;
        };
        let (title, mut lines) = details(&self.name, worker, cx, usize::from(cx.size.width.saturating_sub(4)));
        self.title = title;
        for (label, held) in [("reserved", &worker.inspected.reserved), ("scheduled", &worker.inspected.scheduled)] {
            let Some(held) = held.as_ref().filter(|h| !h.is_empty()) else { continue };
            lines.push(Vec::new());
            lines.push(vec![(crate::clean!("{label}  {}", held.len()), Role::Heading)]);
            lines.extend(held.iter().map(|task| {
                vec![
                    (crate::clean!("{}  ", task.id.short()), Role::Faint),
                    (crate::clean!("{}  ", task.name), Role::Text),
                    (clean(&task.args), Role::Muted),
                ]
            }));
        }
        self.scroll.lines = lines;
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        let inner = Rect {
            x: area.x + 2,
            y: area.y + 2,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
        };
        self.scroll.draw(page, inner);
    }

    fn interest(&self) -> Interest {
        Interest { workers: true, consumers: true, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
