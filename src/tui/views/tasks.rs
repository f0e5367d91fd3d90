//! Tab 1: every task, newest first, filtered and sorted, with the chosen one's details below.

pub mod act;
mod columns;
mod empty;
mod rules;

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::export::What;
use crate::filter::{self, Filter, Word};
use crate::human;
use crate::state::live::Place;
use crate::state::{LiveQuery, Scan, ScanRequest, Sort, State, Task};
use crate::text::Clean;
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::layers::pick::Choice;
use crate::tui::layers::{Choose, Pick, Prompt};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::table::Table;

use super::exporting::Exporting;
use super::list::Split;
use super::task::{self, Line};

/// What a layer was opened for.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Sort,
    Columns,
    Signal(Vec<TaskId>),
}

/// See the module.
pub struct Tasks {
    query: LiveQuery,
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
    marks: BTreeSet<TaskId>,
    last_mark: Option<TaskId>,
    filter: String,
    history: Vec<String>,
    asking: Asking,
    exporting: Exporting,
    status: Line,
    details: Option<(Line, Vec<Line>)>,
    empty: Vec<Line>,
    height: usize,
    split: Split,
    /// Columns a person chose.
    chosen: Option<Vec<String>>,
    /// Columns scrolled away to the left.
    sideways: usize,
    arrivals: f64,
    /// Workers run tasks and send no events of them.
    mute: bool,
}

impl Default for Tasks {
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
            filter: String::new(),
            history: Vec::new(),
            asking: Asking::Nothing,
            exporting: Exporting::default(),
            status: Vec::new(),
            details: None,
            empty: Vec::new(),
            height: 0,
            split: Split::default(),
            chosen: None,
            sideways: 0,
            arrivals: 0.0,
            mute: false,
        }
    }
}

/// Rows of the details below the list, its rule included.
const DETAILS: u16 = 6;
/// Below this height there is no room for details: they open instead of the list.
const TALL: u16 = 26;
/// New tasks a second above which the list moves once a second only.
const CALM: f64 = 10.0;
/// Marked tasks that are looked at to say why an action can't be taken.
const JUDGED: usize = 1_000;
/// Rows above the cursor that are counted; more are not told apart.
const COUNTED: usize = 9_999;

impl Tasks {
    fn commanded(&self) -> Vec<TaskId> {
        if self.marks.is_empty() {
            self.cursor.iter().map(|(id, _)| id.clone()).collect()
        } else {
            self.marks.iter().cloned().collect()
        }
    }

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

    fn set_filter(&mut self, text: &str) {
        if let Ok(filter) = filter::parse(text) {
            self.query.set_filter(filter);
        }
        self.filter = text.to_owned();
        self.following = true;
        self.left_at = None;
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

    fn sync_status(&mut self, cx: &Cx<'_>) {
        let total = cx.model.task_count();
        let mut line: Line = Vec::new();
        let shown = self.query.len();
        if self.query.is_stale() {
            line.push((Clean::own("searching …  "), Role::Accent));
        }
        if !self.marks.is_empty() {
            line.push((crate::clean!("{} marked · ", human::thousands(self.marks.len() as u64)), Role::Accent));
        }
        let counts = match self.query.filter().is_empty() {
            true => crate::clean!("{} tasks", human::thousands(total as u64)),
            false => crate::clean!("{} of {}", human::thousands(shown as u64), human::thousands(total as u64)),
        };
        line.push((counts, Role::Text));
        if let Some(mark) = self.query.filter().marks().find(|name| cx.model.marks().find(name).is_none()) {
            line.push((crate::clean!(" · no mark is named {mark}"), Role::Warn));
        } else if let Some((text, role)) = silence(cx).or_else(|| self.beyond(cx)).or_else(|| horizon(cx)) {
            line.push((crate::clean!(" · {text}"), role));
        }
        if let Some(left_at) = self.left_at.filter(|_| !self.following) {
            let new = self.query.above(left_at).take(COUNTED).count();
            if new > 0 {
                line.push((crate::clean!("   ▲ {} new", human::thousands(new as u64)), Role::Accent));
            }
        }
        self.status = line;
    }
}

impl Tasks {
    /// What is missing of a filter that reaches further back than memory.
    fn beyond(&self, cx: &Cx<'_>) -> Option<(String, Role)> {
        let (successes, rest) = cx.model.horizons();
        let gap = cx.model.last_gap();
        let complete = successes.max(rest).max(gap).or(cx.model.watching_since())?;
        let find = |name: &str| cx.model.marks().find(name);
        let since = self.query.filter().since()?.resolve(cx.now, cx.model.zone(), find)?;
        // A little before the first event is not a gap.
        if complete.since(since).as_secs() < 2 {
            return None;
        }
        let shown = cx.time(complete);
        Some(match (successes, rest) {
            _ if gap >= Some(complete) => (format!("before {shown} events were missed"), Role::Warn),
            (Some(_), None) => (format!("before {shown} only failures"), Role::Warn),
            (None, None) => (format!("nothing before {shown}: not watched yet"), Role::Warn),
            _ => (format!("before {shown} not all"), Role::Warn),
        })
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

/// That workers send no events of the tasks they run, and what helps.
fn silence(cx: &Cx<'_>) -> Option<(String, Role)> {
    let whose = match (cx.model.mute(cx.now), cx.model.online(cx.now).0) {
        (0, _) => return None,
        (mute, online) if mute >= online => "workers".to_owned(),
        (mute, online) => format!("{mute} of {online} workers"),
    };
    let key = cx.options.keys.first(Action::EventsOn).map(|key| format!(": {} turns them on", keymap::shown(key)));
    Some((format!("{whose} send no task events{}", key.unwrap_or_default()), Role::Warn))
}

/// Since when the list is complete.
fn horizon(cx: &Cx<'_>) -> Option<(String, Role)> {
    let (successes, rest) = cx.model.horizons();
    let begun = cx.model.first_event()?;
    let failures = rest.unwrap_or(begun);
    let complete = successes.map_or(failures, |since| since.max(failures));
    // What was missed before may have been anything, failures too.
    if let Some(gap) = cx.model.last_gap().filter(|gap| *gap > complete) {
        let missed = match cx.model.counters().missed {
            0 => "the link was down before".to_owned(),
            n => format!("{} events missed before", human::count(n)),
        };
        return Some((format!("complete since {} ({missed})", cx.time(gap)), Role::Warn));
    }
    let mut text = format!("complete since {}", cx.time(complete));
    if successes.or(rest).is_some() {
        text += &format!(" · failures since {}", cx.time(failures));
    }
    Some((text, Role::Faint))
}

/// The values a filter can be completed with, as they are known when the field opens.
fn known(cx: &Cx<'_>) -> crate::tui::layers::prompt::Complete {
    let mut tasks: Vec<(u32, String)> =
        cx.model.by_name().map(|(name, stats)| (stats.total.received, name.to_owned())).collect();
    tasks.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let tasks: Vec<String> = tasks.into_iter().map(|(_, name)| name).take(KNOWN).collect();
    let workers: Vec<String> = cx.model.workers().into_iter().map(|(n, _)| n.to_owned()).take(KNOWN).collect();
    let queues: Vec<String> = cx.model.queues().into_iter().map(|(n, _)| n.to_owned()).take(KNOWN).collect();
    let groups = cx.model.failures().groups();
    let mut exceptions: Vec<String> =
        groups.iter().filter_map(|g| cx.model.name(g.exception)).map(str::to_owned).collect();
    exceptions.sort_unstable();
    exceptions.dedup();
    let groups: Vec<String> = groups.iter().map(|g| g.id.to_string()).take(KNOWN).collect();
    let mut marks: Vec<String> = Vec::new();
    for mark in cx.model.marks().all().rev() {
        if !marks.contains(&mark.text) && marks.len() < MARKS {
            marks.push(mark.text.clone());
        }
    }
    Box::new(move |line| {
        let values = |word| match word {
            Word::State => State::NAMED.iter().map(|s| s.name().to_lowercase()).collect(),
            Word::Task => tasks.clone(),
            Word::Worker => workers.clone(),
            Word::Queue => queues.clone(),
            Word::Exception => exceptions.clone(),
            Word::Group => groups.clone(),
            _ => Vec::new(),
        };
        filter::complete(line, values, &marks)
    })
}

/// Names of a kind that are offered: a field has to open at once in a cluster of any size.
const KNOWN: usize = 2_000;
/// Names of moments that are offered, the latest first.
const MARKS: usize = 30;

impl View for Tasks {
    fn scopes(&self) -> &'static [Scope] {
        &[
            Scope::Opens,
            Scope::Filters,
            Scope::Tasks,
            Scope::List,
            Scope::Sorts,
            Scope::Marks,
            Scope::TaskList,
            Scope::Panes,
            Scope::Exports,
            Scope::Global,
        ]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.go(action, cx) || self.mark(action, cx) {
            return Outcome::Done;
        }
        match action {
            Action::Open => match &self.cursor {
                Some((id, _)) => Outcome::Effect(Effect::OpenTask(id.clone())),
                None => Outcome::Done,
            },
            Action::Filter => {
                self.asking = Asking::Filter;
                let check = |text: &str| filter::parse(text).map(|_| ()).map_err(|e| e.to_string());
                let prompt = Prompt::line("filter", &self.filter, check, self.history.clone());
                Outcome::Effect(Effect::Open(Box::new(prompt.completing(known(cx)))))
            }
            Action::NextPane | Action::PreviousPane => match &self.cursor {
                Some((id, _)) if action == Action::NextPane => Outcome::Effect(Effect::OpenTask(id.clone())),
                Some((id, _)) => Outcome::Effect(Effect::OpenWorkflow(id.clone())),
                None => Outcome::Done,
            },
            Action::Columns => {
                self.asking = Asking::Columns;
                Outcome::Effect(Effect::Open(Box::new(self.pick(cx))))
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
                Outcome::Effect(Effect::Open(Box::new(Choose::lines("sort by", lines, at))))
            }
            Action::Reverse => {
                let sort = self.query.sort();
                self.query.set_sort(Sort { descending: !sort.descending, ..sort });
                self.following = true;
                Outcome::Done
            }
            // One step back: the filter goes, then the marks.
            Action::Back if !self.filter.is_empty() => {
                self.set_filter("");
                Outcome::Done
            }
            Action::Back if !self.marks.is_empty() => {
                self.marks.clear();
                Outcome::Done
            }
            Action::Export => {
                let what = match self.marks.is_empty() {
                    true => What::Selected(self.query.filter().clone(), self.query.sort()),
                    false => What::Tasks(self.marks.iter().cloned().collect()),
                };
                self.exporting.ask("tasks", what, cx)
            }
            Action::EventsOn => {
                let what = crate::ops::Control::Events(true);
                Outcome::Effect(Effect::Ask(crate::ops::Command::Control { workers: Vec::new(), what }))
            }
            Action::TaskTerminate => {
                self.asking = Asking::Signal(self.commanded());
                Outcome::Effect(Effect::Open(Box::new(act::signals())))
            }
            _ => act::perform(action, &self.commanded(), cx.model),
        }
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        match action {
            Action::Open | Action::Mark if self.cursor.is_none() => Some("no task is chosen".into()),
            Action::Export if self.query.is_empty() => Some("nothing is listed".into()),
            // Of so many, the question says what can't be done.
            _ if !act::needs_task(action) || self.marks.len() > JUDGED => None,
            _ => act::refuse(action, &self.commanded(), cx.model),
        }
    }

    fn urges(&self) -> Option<(Action, &'static str)> {
        self.mute.then_some((Action::EventsOn, "events"))
    }

    fn subject(&self, cx: &Cx<'_>) -> Option<String> {
        act::subject(&self.commanded(), cx.model)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.exporting.answer(answer) {
            return outcome;
        }
        match (std::mem::take(&mut self.asking), answer) {
            (Asking::Filter, Answer::Text { text, done }) => {
                // What may become `task:` is not looked for as a word while it is typed: the list would flash empty.
                self.set_filter(if *done { text } else { filter::without_begun_key(text) });
                text.clone_into(&mut self.filter);
                if !done {
                    self.asking = Asking::Filter;
                } else if !text.trim().is_empty() && self.history.last() != Some(text) {
                    self.history.push(text.clone());
                }
            }
            (Asking::Filter, Answer::Cancelled) => self.set_filter(""),
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
            (Asking::Signal(ids), answer) => return act::terminate(answer, ids),
            _ => {}
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                let Some(id) = self.ids.get(row).cloned().flatten() else { return Outcome::Done };
                if self.cursor.as_ref().is_some_and(|(at, _)| *at == id) {
                    return Outcome::Effect(Effect::OpenTask(id));
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
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        if !cx.paused {
            self.query.follow(cx.model);
        }
        let below = self.split.below(cx.size.height, cx.options.split.unwrap_or(DETAILS), TALL);
        let details = below > 0;
        self.height = usize::from(cx.size.height.saturating_sub(2 + below));
        let place = self.place(cx);
        self.set_cursor(place, cx);
        self.row = if self.following { 0 } else { self.row.min(self.height.saturating_sub(1)) };
        self.table.columns = columns::for_width(cx.size.width, self.chosen(cx), self.sideways);
        self.table.sorted = columns::sorted(&self.table.columns, self.query.sort());
        self.sync_rows(place, cx);
        self.details = self.cursor.as_ref().filter(|_| details).and_then(|(id, _)| {
            let task = cx.model.task(id)?;
            Some((details_title(&task, cx), task::brief(&task, cx, usize::from(cx.size.width.saturating_sub(4)))))
        });
        self.mute = cx.model.mute(cx.now) > 0;
        self.arrivals = f64::from(cx.model.series().recent(5, cx.now).received) / 5.0;
        self.empty =
            if self.ids.is_empty() { empty::lines(cx, &self.filter, self.query.is_stale()) } else { Vec::new() };
        self.sync_status(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        super::list::head(page, area, "all tasks", &self.filter, &self.status);
        let (list, pane) = self.split.areas(area);
        self.table.draw(page, list);
        page.instead_of_rows(list, &self.empty);
        if let Some(pane) = pane {
            match &self.details {
                Some((title, lines)) => page.pane(pane, title, lines),
                None => page.rule(pane, &[]),
            }
            page.clickable(Rect { height: 1, ..pane }, Target::Split);
        }
    }

    fn filter_by(&mut self, filter: &str) {
        self.set_filter(filter);
    }

    fn filtered_by(&self) -> String {
        self.filter.clone()
    }

    fn resize_details(&mut self, rows: u16) {
        self.split.set(rows);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        if self.marks.len() > 1 {
            let ids: Vec<String> = self.marks.iter().map(ToString::to_string).collect();
            return vec![(format!("{} ids", ids.len()), ids.join("\n"))];
        }
        self.cursor.as_ref().and_then(|(id, _)| cx.model.task(id)).map(|t| task::copies(&t)).unwrap_or_default()
    }

    fn wants_scan(&mut self) -> Option<ScanRequest> {
        self.query.wants_scan()
    }

    fn scanned(&mut self, scan: Scan) {
        self.query.accept(scan);
    }

    fn pause_between(&self) -> u64 {
        if self.arrivals > CALM { 1_000 } else { 200 }
    }
}
