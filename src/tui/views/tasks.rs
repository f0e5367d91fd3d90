//! Tab 1: every task, newest first, filtered and sorted, with the chosen one's details below.

pub mod act;
mod columns;
mod empty;
pub mod known;
mod rules;
pub mod table;

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::export::What;
use crate::filter;
use crate::human;
use crate::state::common::Chosen;
use crate::state::{Fill, Model, ScanRequest};
use crate::text::Clean;
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::layers::InCommon;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

use super::exporting::Exporting;
use super::task::Line;
use table::{Click, TaskTable};

/// What a layer was opened for.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Signal(Vec<TaskId>),
}

/// See the module.
#[derive(Default)]
pub struct Tasks {
    list: TaskTable,
    filter: String,
    history: Vec<String>,
    asking: Asking,
    exporting: Exporting,
    status: Line,
    empty: Vec<Line>,
    arrivals: f64,
    /// Workers run tasks and send no events of them.
    mute: bool,
    /// There is a history to be asked too.
    recorded: bool,
}

/// New tasks a second above which the list moves once a second only.
const CALM: f64 = 10.0;
/// Marked tasks that are looked at to say why an action can't be taken.
pub const JUDGED: usize = 1_000;

impl Tasks {
    fn set_filter(&mut self, text: &str) {
        if let Ok(filter) = filter::parse(text) {
            self.list.query.set_filter(filter);
        }
        self.filter = text.to_owned();
        self.list.follow();
    }

    fn sync_status(&mut self, cx: &Cx<'_>) {
        let total = cx.model.task_count();
        let mut line: Line = Vec::new();
        let shown = self.list.query.len();
        if self.list.query.is_stale() {
            line.push((Clean::own("searching …  "), Role::Accent));
        }
        if !self.list.marks.is_empty() {
            line.push((crate::clean!("{} marked · ", human::thousands(self.list.marks.len() as u64)), Role::Accent));
        }
        let counts = match self.list.query.filter().is_empty() {
            true => crate::text::clean(&human::plural(total, "task")),
            false => crate::clean!("{} of {}", human::thousands(shown as u64), human::thousands(total as u64)),
        };
        line.push((counts, Role::Text));
        if let Some(mark) = self.list.query.filter().marks().find(|name| cx.model.marks().find(name).is_none()) {
            line.push((crate::clean!(" · no mark is named {mark}"), Role::Warn));
        } else if let Some((text, role)) = silence(cx).or_else(|| self.beyond(cx)).or_else(|| horizon(cx)) {
            line.push((crate::clean!(" · {text}"), role));
        }
        let new = self.list.new_above();
        if new > 0 {
            line.push((crate::clean!("   ▲ {} new", human::thousands(new as u64)), Role::Accent));
        }
        self.status = line;
    }
}

impl Tasks {
    fn open(&self, how: fn(TaskId) -> Effect) -> Outcome {
        self.list.current().cloned().map_or(Outcome::Done, |id| Outcome::Effect(how(id)))
    }

    /// What those that are marked, else all that the filter selects, have in common.
    fn in_common(&self) -> InCommon {
        if self.list.marks.is_empty() {
            let chosen = Chosen::Filter(self.list.query.filter().clone());
            return InCommon::new(chosen, self.filter.clone(), &self.filter);
        }
        let marked: Vec<TaskId> = self.list.marks.iter().cloned().collect();
        let whose = format!("{} marked", human::plural(marked.len(), "task"));
        InCommon::new(Chosen::Tasks(marked), String::new(), &whose)
    }

    /// What is missing of a filter that reaches further back than memory.
    fn beyond(&self, cx: &Cx<'_>) -> Option<(String, Role)> {
        let (successes, rest) = cx.model.horizons();
        let gap = cx.model.last_gap();
        let complete = successes.max(rest).max(gap).or(cx.model.watching_since())?;
        let find = |name: &str| cx.model.marks().find(name);
        let since = self.list.query.filter().since()?.resolve(cx.now, cx.model.zone(), find)?;
        // A little before the first event is not a gap.
        if complete.since(since).as_secs() < 2 {
            return None;
        }
        let shown = cx.time(complete);
        let asks = cx.options.keys.first(Action::AskHistory).filter(|_| self.recorded);
        let asks = asks.map(|key| format!("; {} asks the history", keymap::shown(key))).unwrap_or_default();
        Some(match (successes, rest) {
            _ if gap >= Some(complete) => (format!("before {shown} events were missed{asks}"), Role::Warn),
            (Some(_), None) => (format!("before {shown} only failures{asks}"), Role::Warn),
            (None, None) => (format!("nothing before {shown}: not watched yet{asks}"), Role::Warn),
            _ => (format!("before {shown} not all{asks}"), Role::Warn),
        })
    }
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
        let missed = match (cx.model.counters().missed, cx.model.missed_by_count()) {
            (0, 0) => "the link was down before".to_owned(),
            (0, n) => format!("~{} unseen before", human::count_of(n, "task")),
            (n, _) => format!("{} missed before", human::count_of(n, "event")),
        };
        return Some((format!("complete since {} ({missed})", cx.time(gap)), Role::Warn));
    }
    let mut text = format!("complete since {}", cx.time(complete));
    if successes.or(rest).is_some() {
        text += &format!(" · failures since {}", cx.time(failures));
    }
    Some((text, Role::Faint))
}

impl View for Tasks {
    fn scopes(&self) -> &'static [Scope] {
        const SCOPES: [Scope; 12] = [
            Scope::Opens,
            Scope::Filters,
            Scope::Tasks,
            Scope::List,
            Scope::Sorts,
            Scope::Marks,
            Scope::TaskList,
            Scope::Panes,
            Scope::Exports,
            Scope::Compares,
            Scope::Global,
            Scope::Recorded,
        ];
        // What needs a history is not there without one.
        if self.recorded { &SCOPES } else { &SCOPES[..11] }
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.list.perform(action, cx) {
            return outcome;
        }
        match action {
            Action::Open => self.open(Effect::OpenTask),
            Action::NextPane => self.open(Effect::OpenTask),
            Action::PreviousPane => self.open(Effect::OpenWorkflow),
            Action::Filter => {
                self.asking = Asking::Filter;
                Outcome::Effect(Effect::Open(Box::new(known::prompt(&self.filter, self.history.clone(), cx))))
            }
            // One step back: the filter goes, then the marks.
            Action::Back if !self.filter.is_empty() => {
                self.set_filter("");
                Outcome::Done
            }
            Action::Back if !self.list.marks.is_empty() => {
                self.list.marks.clear();
                Outcome::Done
            }
            Action::Export => {
                let what = match self.list.marks.is_empty() {
                    true => What::Selected(self.list.query.filter().clone(), self.list.query.sort()),
                    false => What::Tasks(self.list.marks.iter().cloned().collect()),
                };
                self.exporting.ask("tasks", what, cx)
            }
            Action::InCommon => Outcome::Effect(Effect::Open(Box::new(self.in_common()))),
            Action::AskHistory => Outcome::Effect(Effect::OpenHistory { filter: self.filter.clone() }),
            Action::EventsOn => act::events_on(),
            Action::TaskTerminate => {
                self.asking = Asking::Signal(self.list.commanded());
                Outcome::Effect(Effect::Open(Box::new(act::signals())))
            }
            _ => act::perform(action, &self.list.commanded(), cx.model),
        }
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        match action {
            Action::Open | Action::Mark if self.list.current().is_none() => Some("no task is chosen".into()),
            Action::InCommon if self.list.marks.is_empty() && self.list.query.filter().is_empty() => {
                Some("mark some tasks first, or filter the list".into())
            }
            Action::Export if self.list.query.is_empty() => Some("nothing is listed".into()),
            // Of so many, the question says what can't be done.
            _ if !act::needs_task(action) || self.list.marks.len() > JUDGED => None,
            _ => act::refuse(action, &self.list.commanded(), cx.model),
        }
    }

    fn urges(&self) -> Option<(Action, &'static str)> {
        self.mute.then_some((Action::EventsOn, "events"))
    }

    fn subject(&self, cx: &Cx<'_>) -> Option<String> {
        act::subject(&self.list.commanded(), cx.model)
    }

    fn sent_again(&mut self, tasks: &[TaskId]) {
        for id in tasks {
            self.list.marks.remove(id);
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.exporting.answer(answer) {
            return outcome;
        }
        if self.list.answer(answer) {
            return Outcome::Done;
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
            (Asking::Signal(ids), answer) => return act::terminate(answer, ids),
            _ => {}
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match self.list.click(target, cx) {
            Click::Open => self.open(Effect::OpenTask),
            Click::Done => Outcome::Done,
            Click::Ignored => Outcome::Ignored,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        if !cx.paused {
            self.list.query.follow(cx.model);
        }
        self.recorded = cx.options.history.is_some();
        self.list.sync(cx, 0);
        self.mute = cx.model.mute(cx.now) > 0;
        self.arrivals = f64::from(cx.model.series().recent(5, cx.now).received) / 5.0;
        self.empty = match self.list.is_blank() {
            true => empty::lines(cx, &self.filter, self.list.query.is_stale()),
            false => Vec::new(),
        };
        self.sync_status(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        super::list::head(page, area, "all tasks", &self.filter, &self.status);
        self.list.draw(page, area, &self.empty);
    }

    fn filter_by(&mut self, filter: &str) {
        self.set_filter(filter);
    }

    fn filtered_by(&self) -> String {
        self.filter.clone()
    }

    fn resize_details(&mut self, rows: u16) {
        self.list.resize_details(rows);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        self.list.copies(cx)
    }

    fn wants_scan(&mut self) -> Option<ScanRequest> {
        self.list.query.wants_scan()
    }

    fn scanned(&mut self, fill: Fill) -> Option<Fill> {
        self.list.query.accept(fill)
    }

    fn keep_up(&mut self, model: &Model) {
        self.list.query.keep_up(model);
    }

    fn pause_between(&self) -> u64 {
        if self.arrivals > CALM { 1_000 } else { 200 }
    }
}
