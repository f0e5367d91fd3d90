//! Tab 5: failures grouped by what went wrong where, and one full traceback of each kind.

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::export::What;
use crate::filter::{self, Filter, Pattern, Word};
use crate::human;
use crate::state::common::Chosen;
use crate::state::failure::{Group, GroupId, Trend};
use crate::state::{Model, Sort};
use crate::text::{Clean, clean, clean_lines};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::{Choose, InCommon, Prompt};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::exporting::Exporting;
use super::list::{Cursor, Split};
use super::report;
use super::task::Line;
use super::tasks::act;

/// What the groups are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum By {
    #[default]
    Count,
    Open,
    Last,
    First,
    Task,
}

const ORDERS: [(By, &str, &str); 5] = [
    (By::Count, "how many", "COUNT"),
    (By::Open, "how many are open", "OPEN"),
    (By::Last, "the latest first", "LAST"),
    (By::First, "the newest kind first", "FIRST"),
    (By::Task, "task", "TASK"),
];

#[derive(Default, PartialEq)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Sort,
}

/// See the module.
#[derive(Default)]
pub struct Failures {
    cursor: Cursor<GroupId>,
    ids: Vec<GroupId>,
    table: Table,
    by: By,
    reversed: bool,
    filter: String,
    asking: Asking,
    exporting: Exporting,
    split: Split,
    status: Line,
    details: Option<(Line, Vec<Line>)>,
    empty: Vec<Line>,
    height: usize,
}

fn columns(width: u16) -> Vec<Column> {
    let (sign, count, open) = (Column::left("", 1), Column::right("COUNT", 6), Column::right("OPEN", 5));
    let (trend, last) = (Column::left("1h", if width < 160 { 8 } else { 15 }), Column::right("LAST", 5));
    let (exception, raised) = (Column::left("EXCEPTION", 0), Column::left("RAISED AT", (width / 5).clamp(23, 40)));
    // What went wrong gets the room that is left: its text is the longest.
    let task = Column::left("TASK", if width < 60 { 0 } else { (width / 6).clamp(19, 40) });
    match width {
        0..60 => vec![sign, count, task, exception],
        60..80 => vec![sign, count, last, task, exception],
        80..96 => vec![sign, count, open, last, task, exception],
        96..112 => vec![sign, count, open, trend, last, task, exception],
        _ => vec![sign, count, open, trend, last, task, exception, raised],
    }
}

/// Why a group is not retried.
const NONE_OPEN: &str = "none of its tasks is open and still in memory";

/// The tasks of a group that are still in memory and open, newest first.
fn open_tasks(model: &Model, id: GroupId) -> Vec<TaskId> {
    let filter = filter::parse(&format!("group:{id} open:yes")).unwrap_or_default();
    model.select(&filter, Sort::default(), usize::MAX).iter().map(|task| task.id().clone()).collect()
}

fn name(model: &Model, sym: Option<crate::state::intern::Sym>) -> String {
    model.name(sym).unwrap_or("(name not known)").to_owned()
}

/// `CardDeclined: insufficient funds for card <n>`.
fn exception(group: &Group, model: &Model) -> Clean {
    let kind = model.name(group.exception).unwrap_or_default();
    match (kind, &*group.message) {
        (kind, "") => clean(kind),
        ("", message) => clean(message),
        (kind, message) => crate::clean!("{kind}: {message}"),
    }
}

fn badge(group: &Group, cx: &Cx<'_>) -> Option<(&'static str, Role)> {
    let watching = cx.model.watching_since().unwrap_or(cx.now);
    Some(match group.trend(cx.now, watching)? {
        Trend::New => ("new", Role::Fail),
        Trend::Growing => ("growing", Role::Fail),
        Trend::Back => ("back", Role::Warn),
    })
}

fn cell(column: &Column, group: &Group, cx: &Cx<'_>) -> Cell {
    let muted = |t: String| Cell::new(clean(&t), Role::Muted);
    match column.title {
        "" => Cell::new(Clean::own("✖"), if group.open > 0 { Role::Fail } else { Role::Faint }),
        "COUNT" => Cell::plain(clean(&human::count(group.count))),
        "OPEN" if group.open == 0 => Cell::new(Clean::own("-"), Role::Faint),
        "OPEN" => muted(human::count(group.open)),
        "1h" => {
            let minutes: Vec<Option<f64>> =
                group.minutes.last_with_open(60, cx.now).map(|n| Some(f64::from(n))).collect();
            Cell::new(spark::bars(&spark::squeeze(&minutes, usize::from(column.width)), None), Role::Fail)
        }
        "LAST" => muted(human::age(cx.now.since(group.last).as_secs())),
        "TASK" => Cell::plain(clean(&name(cx.model, group.task))),
        "EXCEPTION" => {
            let badge = badge(group, cx).map(|(word, role)| (Clean::own(word), role));
            Cell { badge, ..Cell::new(exception(group, cx.model), Role::Text) }
        }
        _ => muted(group.raised_at.to_string()),
    }
}

fn details(group: &Group, cx: &Cx<'_>) -> (Line, Vec<Line>) {
    let mut title = vec![
        (clean(&name(cx.model, group.task)), Role::Text),
        (crate::clean!("  {}", exception(group, cx.model)), Role::Fail),
    ];
    if let Some((word, role)) = badge(group, cx) {
        title.push((crate::clean!("  {word}"), role));
    }
    let facts = format!(
        "{}, {} open   first {}   last {}   {}",
        human::plural(group.count, "failure"),
        human::thousands(group.open),
        human::date(group.first, cx.shown_zone()),
        human::clock(group.last, cx.shown_zone()),
        if group.raised_at.is_empty() { "no traceback told where" } else { &group.raised_at },
    );
    let mut lines = vec![vec![(clean(&facts), Role::Muted)]];
    if let Some(traceback) = cx.model.task(&group.example).and_then(|task| task.traceback()) {
        // The end of a traceback says most: what was raised, and where.
        lines.extend(clean_lines(traceback.trim_end()).into_iter().map(|line| {
            let role = if line.as_str().starts_with(' ') { Role::Muted } else { Role::Text };
            vec![(line, role)]
        }));
    }
    (title, lines)
}

/// A group as text to send to others. Messages have placeholders where values stood.
fn report(group: &Group, cx: &Cx<'_>) -> String {
    let minutes: Vec<Option<f64>> = group.minutes.last_with_open(60, cx.now).map(|n| Some(f64::from(n))).collect();
    let example = cx.model.task(&group.example);
    let worker = example.and_then(|task| task.worker()).map(|worker| format!(" on {worker}"));
    let queue = example.and_then(|task| task.queue()).map(|queue| format!(", queue {queue}"));
    report::text(
        &format!("{}: {}", name(cx.model, group.task), exception(group, cx.model)),
        &[
            ("failures", Some(format!("{}, {} open", human::thousands(group.count), human::thousands(group.open)))),
            ("lately", badge(group, cx).map(|(word, _)| word.to_owned())),
            ("first", Some(report::time(group.first, cx))),
            ("last", Some(report::time(group.last, cx))),
            ("raised at", Some(group.raised_at.to_string()).filter(|at| !at.is_empty())),
            ("last hour", Some(spark::bars(&spark::squeeze(&minutes, 30), None).to_string())),
            ("example", Some(format!("{}{}{}", group.example, worker.unwrap_or_default(), queue.unwrap_or_default()))),
            ("filter", Some(format!("group:{}", group.id))),
        ],
        cx,
    )
}

impl Failures {
    fn sync_rows(&mut self, cx: &Cx<'_>) {
        let pattern = Pattern::new(&self.filter);
        let text = |g: &Group| format!("{} {} {}", name(cx.model, g.task), exception(g, cx.model), g.raised_at);
        let mut groups: Vec<&Group> = cx.model.failures().groups();
        let total = groups.len();
        groups.retain(|group| self.filter.is_empty() || pattern.matches(&text(group)));
        match self.by {
            By::Count => {}
            By::Open => groups.sort_by_key(|g| std::cmp::Reverse(g.open)),
            By::Last => groups.sort_by_key(|g| std::cmp::Reverse(g.last)),
            By::First => groups.sort_by_key(|g| std::cmp::Reverse(g.first)),
            By::Task => groups.sort_by_key(|g| name(cx.model, g.task)),
        }
        if self.reversed {
            groups.reverse();
        }
        self.ids = groups.iter().map(|g| g.id).collect();
        let selected = self.cursor.settle(&self.ids, self.height);
        self.table.columns = columns(cx.size.width);
        self.table.selected = selected.map(|s| s - self.cursor.top);
        let title = ORDERS.iter().find(|(by, ..)| *by == self.by).map_or("", |(_, _, title)| *title);
        let falls = self.by != By::Task;
        self.table.sorted =
            self.table.columns.iter().position(|c| c.title == title).map(|i| (i, falls != self.reversed));
        self.table.rows = groups
            .iter()
            .skip(self.cursor.top)
            .take(self.height)
            .map(|group| Row {
                cells: self.table.columns.iter().map(|c| cell(c, group, cx)).collect(),
                marked: self.cursor.marks.contains(&group.id),
                role: Some(if group.open == 0 { Role::Muted } else { Role::Text }),
            })
            .collect();
        let failures: u64 = groups.iter().map(|g| g.count).sum();
        let since = cx.model.watching_since().map_or(String::new(), |at| format!(" since {}", cx.time(at)));
        self.status = vec![(
            crate::clean!(
                "{} of {} · {}",
                self.ids.len(),
                human::plural(total, "group"),
                human::plural(failures, "failure")
            ),
            Role::Text,
        )];
        self.status.push((clean(&since), Role::Faint));
        if !self.cursor.marks.is_empty() {
            self.status.insert(0, (crate::clean!("{} marked · ", self.cursor.marks.len()), Role::Accent));
        }
    }
}

impl View for Failures {
    fn scopes(&self) -> &'static [Scope] {
        &[
            Scope::Opens,
            Scope::Failures,
            Scope::Sorts,
            Scope::Filters,
            Scope::Marks,
            Scope::List,
            Scope::Exports,
            Scope::Compares,
            Scope::Global,
        ]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.ids, self.height) {
            return Outcome::Done;
        }
        let group = self.cursor.at.and_then(|id| cx.model.failures().group(id));
        match action {
            Action::Open => {
                let groups: Vec<String> = self.cursor.chosen().iter().map(ToString::to_string).collect();
                if !groups.is_empty() {
                    return Outcome::Effect(Effect::OpenTasks { filter: format!("group:{}", groups.join(",")) });
                }
            }
            Action::InCommon => {
                let groups: Vec<String> = self.cursor.chosen().iter().map(ToString::to_string).collect();
                let filter = format!("group:{}", groups.join(","));
                let chosen = Chosen::Filter(filter::parse(&filter).unwrap_or_default());
                let whose = match (group, groups.len()) {
                    (Some(group), 1) => format!("{}  {}", name(cx.model, group.task), exception(group, cx.model)),
                    (_, n) => human::plural(n, "group"),
                };
                return Outcome::Effect(Effect::Open(Box::new(InCommon::new(chosen, filter, &whose))));
            }
            Action::GroupRetry => {
                let ids: Vec<TaskId> =
                    self.cursor.chosen().into_iter().flat_map(|id| open_tasks(cx.model, id)).collect();
                if ids.is_empty() {
                    return Outcome::Effect(Effect::Say(NONE_OPEN.into()));
                }
                return act::perform(Action::TaskRetry, &ids, cx.model);
            }
            Action::Export => {
                // What is marked, else all that is listed.
                let chosen = if self.cursor.marks.is_empty() { self.ids.clone() } else { self.cursor.chosen() };
                let groups: Vec<String> = chosen.iter().map(ToString::to_string).collect();
                let what =
                    What::Selected(Filter::exactly(Word::Group, groups.iter().map(String::as_str)), Sort::default());
                return self.exporting.ask("failures", what, cx);
            }
            Action::GroupTrace => {
                return group.map_or(Outcome::Done, |g| Outcome::Effect(Effect::OpenTask(g.example.clone())));
            }
            Action::Sort => {
                self.asking = Asking::Sort;
                let at = ORDERS.iter().position(|(by, ..)| *by == self.by).unwrap_or(0);
                let lines = ORDERS.iter().map(|(_, name, _)| (*name).to_owned());
                return Outcome::Effect(Effect::Open(Box::new(Choose::lines("sort groups by", lines, at))));
            }
            Action::Reverse => self.reversed = !self.reversed,
            Action::Filter => {
                self.asking = Asking::Filter;
                let prompt = Prompt::line("filter", &self.filter, |_| Ok(()), Vec::new());
                return Outcome::Effect(Effect::Open(Box::new(prompt)));
            }
            Action::Back if !self.filter.is_empty() => self.filter.clear(),
            Action::Back if !self.cursor.marks.is_empty() => self.cursor.marks.clear(),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        let needs_group = matches!(
            action,
            Action::Open | Action::Mark | Action::GroupTrace | Action::GroupRetry | Action::Export | Action::InCommon
        );
        if needs_group && self.cursor.at.is_none() {
            return Some("no group is chosen".into());
        }
        if action != Action::GroupRetry {
            return None;
        }
        // Asked for each frame: which tasks they are is looked for once the key is pressed.
        let open = |id: &GroupId| cx.model.failures().group(*id).is_some_and(|group| group.open > 0);
        (!self.cursor.chosen().iter().any(open)).then(|| NONE_OPEN.into())
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
                if let Some((by, ..)) = ORDERS.get(*i) {
                    (self.by, self.reversed) = (*by, false);
                }
            }
            _ => {}
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                let before = self.cursor.at;
                self.cursor.go(self.cursor.top + row, &self.ids);
                if let (true, Some(id)) = (before == self.cursor.at, before) {
                    return Outcome::Effect(Effect::OpenTasks { filter: format!("group:{id}") });
                }
            }
            Target::Column(i) => {
                let title = self.table.columns.get(i).map(|c| c.title);
                if let Some((by, ..)) = ORDERS.iter().find(|(_, _, t)| Some(*t) == title) {
                    self.reversed = *by == self.by && !self.reversed;
                    self.by = *by;
                }
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn resize_details(&mut self, rows: u16) {
        self.split.set(rows);
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let below = self.split.below(cx.size.height, cx.options.split.unwrap_or(12), 24);
        self.height = usize::from(cx.size.height.saturating_sub(2 + below));
        self.cursor.marks.retain(|id| cx.model.failures().group(*id).is_some());
        self.sync_rows(cx);
        let group = self.cursor.at.and_then(|id| cx.model.failures().group(id));
        self.details = group.filter(|_| below > 0).map(|group| {
            let (title, mut lines) = details(group, cx);
            // The end of the traceback has to be seen, whatever has to go from its beginning.
            let room = usize::from(below.saturating_sub(1));
            if lines.len() > room && room > 1 {
                lines.drain(1..=lines.len() - room);
            }
            (title, lines)
        });
        let say = |text: &'static str| vec![(Clean::own(text), Role::Muted)];
        self.empty = match (self.ids.is_empty(), self.filter.is_empty()) {
            (true, true) => super::list::unseen(cx).unwrap_or_else(|| {
                vec![
                    say("Nothing has failed since we watch."),
                    say("Failures appear here grouped by task, exception and where it was raised."),
                ]
            }),
            (true, false) => vec![say("No group matches. Esc shows all.")],
            _ => Vec::new(),
        };
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        super::list::head(page, area, "all failures", &self.filter, &self.status);
        let (list, pane) = self.split.areas(area);
        self.table.draw(page, list);
        page.instead_of_rows(list, &self.empty);
        if let (Some(pane), Some((title, lines))) = (pane, &self.details) {
            page.pane(pane, title, lines);
            page.clickable(Rect { height: 1, ..pane }, Target::Split);
        }
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        let Some(group) = self.cursor.at.and_then(|id| cx.model.failures().group(id)) else { return Vec::new() };
        let example = cx.model.task(&group.example);
        let mut copies = vec![
            (
                "group".to_owned(),
                format!(
                    "{} × {}  {}  {}",
                    group.count,
                    name(cx.model, group.task),
                    exception(group, cx.model),
                    group.raised_at
                ),
            ),
            ("filter".to_owned(), format!("group:{}", group.id)),
            ("report".to_owned(), report(group, cx)),
        ];
        copies.extend(example.and_then(|t| t.traceback()).map(|t| ("traceback".to_owned(), t.into_owned())));
        copies
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
