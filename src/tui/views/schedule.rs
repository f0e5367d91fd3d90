//! Tab Schedule: what runs by the clock, when next, and what is late.

use ratatui::layout::Rect;

use crate::feed::Interest;
use crate::filter::{Filter, Pattern, Word};
use crate::human;
use crate::ops::{Beat, Command};
use crate::schedule::learn::Sure;
use crate::schedule::{Entry, Source};
use crate::state::beat::{self, Schedule as Known};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::list::{self, Cursor, Split};
use super::task::Line;

/// What an entry is known by while others come and go: its name alone may be that of several.
type Key = (String, String, String);

/// See the module.
#[derive(Default)]
pub struct Schedule {
    cursor: Cursor<Key>,
    keys: Vec<Key>,
    table: Table,
    filter: String,
    status: Line,
    details: Option<(Line, Vec<Line>)>,
    empty: Vec<Line>,
    split: Split,
    height: usize,
}

fn key(entry: &Entry) -> Key {
    (entry.name.clone(), entry.args.clone(), entry.kwargs.clone())
}

fn columns(width: u16) -> Vec<Column> {
    let (sign, name, task) = (Column::left("", 1), Column::left("NAME", 0), Column::left("TASK", (width / 6).max(18)));
    let when = Column::left("WHEN", (width / 6).clamp(18, 30));
    let (last, next) = (Column::right("LAST", 8), Column::right("NEXT", 8));
    let (runs, late) = (Column::right("RUNS", 7), Column::left("LATE", 16));
    match width {
        0..60 => vec![sign, name, next],
        60..100 => vec![sign, name, when, last, next, late],
        100..140 => vec![sign, name, task, when, last, next, late, Column::left("KNOWN FROM", 15)],
        _ => vec![sign, name, task, when, last, next, runs, late, Column::left("KNOWN FROM", 30)],
    }
}

/// `12s, 3 missed`.
fn lateness(entry: &Entry, cx: &Cx<'_>) -> Option<String> {
    let late = entry.late(cx.now)?;
    let missed = if late.missed > 1 { format!(", {} missed", human::count(late.missed)) } else { String::new() };
    Some(format!("{}{missed}", human::age(late.secs as u64)))
}

fn cell(column: &Column, entry: &Entry, cx: &Cx<'_>) -> Cell {
    let muted = |text: String| Cell::new(clean(&text), Role::Muted);
    let late = entry.late(cx.now).is_some();
    match column.title {
        "" if !entry.enabled => Cell::new(Clean::own("⊘"), Role::Faint),
        "" if late => Cell::new(Clean::own("▲"), Role::Warn),
        "" => Cell::new(Clean::own("●"), Role::Muted),
        "NAME" => Cell::plain(clean(&entry.name)),
        "TASK" => muted(entry.task.clone()),
        "WHEN" => Cell::plain(clean(&entry.when)),
        "LAST" => muted(entry.last.map_or_else(|| "-".into(), |at| cx.time(at))),
        "NEXT" if !entry.enabled => Cell::new(Clean::own("off"), Role::Muted),
        "NEXT" => Cell::plain(clean(&entry.next.map_or_else(|| "-".into(), |at| cx.time(at)))),
        "RUNS" => muted(entry.runs.map_or_else(|| "-".into(), human::count)),
        "LATE" => lateness(entry, cx).map_or_else(Cell::default, |text| Cell::new(clean(&text), Role::Warn)),
        _ if column.width > 20 => Cell::new(clean(&beat::source(entry)), Role::Faint),
        _ => Cell::new(Clean::own(brief(entry)), Role::Faint),
    }
}

fn brief(entry: &Entry) -> &'static str {
    match &entry.source {
        Source::RedBeat { .. } => "RedBeat",
        Source::Learnt { sure: Sure::Sure, .. } => "learnt, sure",
        Source::Learnt { sure: Sure::Likely, .. } => "learnt, likely",
        Source::Learnt { sure: Sure::Perhaps, .. } => "learnt, perhaps",
    }
}

fn details(entry: &Entry, cx: &Cx<'_>) -> (Line, Vec<Line>) {
    let redactor = cx.model.redactor();
    let title = vec![(clean(&entry.name), Role::Text), (crate::clean!("  {}", beat::source(entry)), Role::Muted)];
    let at = |at: Option<crate::clock::Stamp>| at.map_or_else(|| "-".into(), |at| cx.time(at));
    let runs = entry.runs.map_or_else(String::new, |n| format!("   {} in all", human::plural(n, "run")));
    let next = if entry.enabled { at(entry.next) } else { "switched off".into() };
    let mut rows = vec![
        ("task", entry.task.clone()),
        ("when", entry.when.clone()),
        ("last", format!("{}{runs}", at(entry.last))),
        ("next", next),
        ("queue", entry.queue.clone().unwrap_or_else(|| "as the application routes it".into())),
        ("args", redactor.text(&entry.args).into_owned()),
        ("kwargs", redactor.text(&entry.kwargs).into_owned()),
    ];
    if let Some(late) = lateness(entry, cx) {
        rows.insert(4, ("late", late));
    }
    if let Source::Learnt { missed: n @ 1.., .. } = entry.source {
        rows.insert(4, ("missed", format!("{} between the arrivals seen", human::plural(n, "run"))));
    }
    let width = usize::from(cx.size.width.saturating_sub(16));
    let lines = rows.into_iter().flat_map(|(name, text)| {
        let role = if matches!(name, "late" | "missed") { Role::Warn } else { Role::Text };
        let wrapped = literal::wrap(&clean(&text), width.max(10)).into_iter().take(3).enumerate();
        wrapped.map(move |(i, text)| {
            let name = if i == 0 { crate::clean!("{name:<9}") } else { Clean::repeated(' ', 9) };
            vec![(name, Role::Muted), (text, role)]
        })
    });
    (title, lines.collect())
}

impl Schedule {
    fn at<'a>(&self, known: &'a Known) -> Option<&'a Entry> {
        known.entries.iter().find(|entry| Some(key(entry)) == self.cursor.at)
    }

    fn sync_empty(&mut self, known: &Known) {
        let say = |text: &str, role| vec![(clean(text), role)];
        self.empty = match (self.keys.is_empty(), self.filter.is_empty()) {
            (false, _) => Vec::new(),
            (true, false) => vec![say("Nothing matches. Esc shows all.", Role::Muted)],
            (true, true) => {
                let mut lines = vec![
                    say("Nothing is known that runs by the clock.", Role::Text),
                    say(
                        "RedBeat's entries are read from Redis. Of other schedulers periods are learnt from arrivals:",
                        Role::Muted,
                    ),
                    say("a task that came four times at regular intervals appears here.", Role::Muted),
                ];
                lines.extend(known.trouble.iter().take(3).map(|why| say(why, Role::Muted)));
                lines
            }
        };
    }
}

impl View for Schedule {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::Schedule, Scope::Filters, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.keys, self.height) {
            return Outcome::Done;
        }
        let known = cx.model.schedule(cx.now);
        match (action, self.at(&known)) {
            (Action::Filter, _) => {
                let prompt = Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new());
                return Outcome::Effect(Effect::Open(Box::new(prompt)));
            }
            (Action::Back, _) if !self.filter.is_empty() => self.filter.clear(),
            (Action::Open, Some(entry)) => {
                let filter = Filter::exactly(Word::Task, [entry.task.as_str()]).to_string();
                return Outcome::Effect(Effect::OpenTasks { filter });
            }
            (Action::EntryRun, Some(entry)) => {
                return match Beat::run(entry, cx.model, None) {
                    Ok(beat) => Outcome::Effect(Effect::Ask(Command::Beat(beat))),
                    Err(why) => Outcome::Effect(Effect::Say(why)),
                };
            }
            (Action::EntrySwitch, Some(entry)) => {
                return match Beat::switch(entry, !entry.enabled) {
                    Ok(beat) => Outcome::Effect(Effect::Ask(Command::Beat(beat))),
                    Err(why) => Outcome::Effect(Effect::Say(why)),
                };
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        if !matches!(action, Action::Open | Action::EntryRun | Action::EntrySwitch) {
            return None;
        }
        let known = cx.model.schedule(cx.now);
        let Some(entry) = self.at(&known) else { return Some("no entry is chosen".into()) };
        match action {
            Action::EntryRun => Beat::run(entry, cx.model, None).err(),
            Action::EntrySwitch => Beat::switch(entry, !entry.enabled).err(),
            _ => None,
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
            Target::Row(row) => self.cursor.go(self.cursor.top + row, &self.keys),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let mut known = cx.model.schedule(cx.now);
        let total = known.entries.len();
        let pattern = Pattern::new(&self.filter);
        let matches = |e: &Entry| pattern.matches(&e.name) || pattern.matches(&e.task) || pattern.matches(&e.when);
        known.entries.retain(|entry| self.filter.is_empty() || matches(entry));
        self.keys = known.entries.iter().map(key).collect();
        let below = self.split.below(cx.size.height, cx.options.split.unwrap_or(11), 22);
        self.height = usize::from(cx.size.height.saturating_sub(2 + below));
        let selected = self.cursor.settle(&self.keys, self.height);
        self.table.columns = columns(cx.size.width);
        self.table.selected = selected.map(|s| s - self.cursor.top);
        let row = |entry: &Entry| Row {
            cells: self.table.columns.iter().map(|c| cell(c, entry, cx)).collect(),
            role: (!entry.enabled).then_some(Role::Faint),
            ..Row::default()
        };
        self.table.rows = known.entries.iter().skip(self.cursor.top).take(self.height).map(row).collect();
        let late = known.entries.iter().filter(|entry| entry.late(cx.now).is_some()).count();
        self.status = vec![(crate::clean!("{} of {total}", self.keys.len()), Role::Text)];
        if late > 0 {
            self.status.push((crate::clean!(" · {late} late"), Role::Warn));
        }
        let redbeat = known.entries.iter().any(|entry| matches!(entry.source, Source::RedBeat { .. }));
        match (redbeat, known.locked) {
            (true, true) => self.status.push((Clean::own(" · RedBeat's beat runs"), Role::Muted)),
            (true, false) => self.status.push((Clean::own(" · no beat holds RedBeat's lock"), Role::Warn)),
            (false, _) => {}
        }
        if redbeat && let Some(why) = known.trouble.first() {
            self.status.push((crate::clean!(" · can't be read: {why}"), Role::Warn));
        }
        self.details = self.at(&known).filter(|_| below > 0).map(|entry| details(entry, cx));
        self.sync_empty(&known);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        list::head(page, area, "all that runs by the clock", &self.filter, &self.status);
        let (list, pane) = self.split.areas(area);
        self.table.draw(page, list);
        page.instead_of_rows(list, &self.empty);
        if let (Some(pane), Some((title, lines))) = (pane, &self.details) {
            page.pane(pane, title, lines);
            page.clickable(Rect { height: 1, ..pane }, Target::Split);
        }
    }

    fn resize_details(&mut self, rows: u16) {
        self.split.set(rows);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        let known = cx.model.schedule(cx.now);
        let Some(entry) = self.at(&known) else { return Vec::new() };
        vec![("name".to_owned(), entry.name.clone()), ("task".to_owned(), entry.task.clone())]
    }

    fn interest(&self) -> Interest {
        Interest { schedule: true, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
