//! Tab 6: what was written down. The list of tasks and its filter as on the first tab, over all that the history file
//! keeps; what a filter selects added up, and a chart of its span of time.
//!
//! Nothing is read here: the tab says what it wants looked up, and is told bit by bit.

mod above;
mod audit;
mod compare;
mod line;
mod rows;
mod span;

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::export::What;
use crate::filter::{self, Filter};
use crate::history::lookup::{self, Found, Look, Request, Sums, Ticket, Waiting};
use crate::history::reader::Query;
use crate::human;
use crate::state::common::Chosen;
use crate::tui::action::{Action, Scope};
use crate::tui::layers::{Choose, InCommon};
use crate::tui::page::{Page, Target};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

use super::exporting::Exporting;
use super::list;
use super::task::{Line, TaskScreen};
use super::tasks::table::{Click, TaskTable};
use super::tasks::{JUDGED, act, known};
use above::Above;
use rows::{Changed, Rows};
use span::Span;

/// What a layer was opened for.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Filter,
    Signal(Vec<TaskId>),
    /// With what to compare this stretch of time.
    Compare(Stamp, Stamp),
}

/// What is done with tasks once they are in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Open,
    Act(Action),
}

/// See the module.
#[derive(Default)]
pub struct History {
    list: TaskTable,
    rows: Rows,
    sums: Sums,
    summing: Waiting,
    /// Tasks that are being put into memory, and what for.
    recalling: Waiting,
    recalled: Option<(Then, Vec<TaskId>)>,
    requests: Vec<Request>,
    filter: String,
    selected: Filter,
    /// The filter has changed since it was last asked for, or it is to be asked again.
    unasked: Asked,
    /// Filters typed before.
    typed: Vec<String>,
    /// Filters from before a span of time was taken into them.
    wider: Vec<String>,
    asking: Asking,
    exporting: Exporting,
    span: Span,
    above: Above,
    trouble: Option<String>,
    status: Line,
    empty: Vec<Line>,
}

/// Whether the filter was asked for.
#[derive(Default, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    Yes,
}

/// What a stretch of time can be compared with, by how many seconds before it that begins; zero is its own length.
const BEFORE: [(&str, u64); 3] =
    [("the same span before", 0), ("the same hours yesterday", 86_400), ("the same hours a week ago", 604_800)];
/// How long until a file that can't be read is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);
/// What is compared where the filter names no time.
const USUAL: std::time::Duration = std::time::Duration::from_secs(3_600);

impl History {
    fn set_filter(&mut self, text: &str) {
        if let Ok(filter) = filter::parse(text) {
            if filter != self.selected {
                self.unasked = Asked::No;
                self.rows.outdate();
                self.span.clear();
            }
            self.selected = filter;
        }
        self.filter = text.to_owned();
        self.list.follow();
    }

    /// Says what has to be looked up for what is on the screen.
    fn ask(&mut self, cx: &Cx<'_>) {
        let asked = self.rows.query().map(|query| query.now);
        if self.trouble.is_some() && asked.is_some_and(|asked| cx.now.since(asked) >= AGAIN) {
            self.unasked = Asked::No;
        }
        if self.unasked == Asked::Yes {
            if self.list.below(rows::NEAR) < rows::NEAR {
                self.requests.extend(self.rows.more());
            }
            return;
        }
        self.unasked = Asked::Yes;
        let (filter, now, zone) = (self.selected.clone(), cx.now, cx.model.zone().clone());
        let query = Query { filter, now, zone, limit: 0, before: None };
        self.requests.push(self.rows.ask(query.clone(), cx.model.redactor()));
        self.requests.push(self.summing.ask(Look::Sums { query, points: above::points(cx.size.width) }));
    }

    fn points(&self) -> usize {
        self.sums.chart.as_ref().map_or(0, |chart| chart.points.len())
    }

    /// The chosen span becomes the filter's.
    fn take_span(&mut self, cx: &Cx<'_>) -> bool {
        let Some(times) = self.sums.chart.as_ref().and_then(|chart| self.span.times(chart)) else { return false };
        let line = span::within(&self.selected, (times.0, times.1.min(cx.now)), cx.model.zone());
        self.wider.push(std::mem::take(&mut self.filter));
        self.set_filter(&line);
        self.span.clear();
        true
    }

    /// One step back: the chosen span, the filter of before a span was taken, the filter, the marks.
    fn back(&mut self) -> Outcome {
        if self.span.clear() {
            return Outcome::Done;
        }
        if let Some(wider) = self.wider.pop() {
            self.set_filter(&wider);
        } else if !self.filter.is_empty() {
            self.set_filter("");
        } else if !self.list.marks.is_empty() {
            self.list.marks.clear();
        } else {
            return Outcome::Ignored;
        }
        Outcome::Done
    }

    /// Tasks are acted on in memory: those that are not there, or not whole, come there first.
    fn with_tasks(&mut self, then: Then, cx: &mut Cx<'_>) -> Outcome {
        let ids = match then {
            Then::Open => self.list.current().cloned().into_iter().collect(),
            Then::Act(_) => self.list.commanded(),
        };
        let known = |id: &TaskId| cx.model.task(id).is_some_and(|task| task.name().is_some());
        if ids.is_empty() || (then != Then::Open && ids.iter().all(known)) {
            return self.go_on(then, ids, Vec::new(), cx);
        }
        self.requests.push(self.recalling.ask(Look::Recall(ids.clone(), cx.now)));
        self.recalled = Some((then, ids));
        Outcome::Done
    }

    fn go_on(&mut self, then: Then, ids: Vec<TaskId>, events: Vec<serde_json::Value>, cx: &Cx<'_>) -> Outcome {
        match then {
            Then::Open => match ids.into_iter().next() {
                Some(id) => Outcome::Effect(Effect::Open(Box::new(TaskScreen::recorded(id, events)))),
                None => Outcome::Done,
            },
            Then::Act(Action::TaskTerminate) => {
                self.asking = Asking::Signal(ids);
                Outcome::Effect(Effect::Open(Box::new(act::signals())))
            }
            Then::Act(action) => act::perform(action, &ids, cx.model),
        }
    }

    /// The stretch of time that is chosen, else the one the filter names, else the last hour.
    fn stretch(&self, cx: &Cx<'_>) -> (Stamp, Stamp) {
        let chosen = self.sums.chart.as_ref().and_then(|chart| self.span.times(chart));
        let named = self.sums.span.filter(|_| span::timeless(&self.selected) != self.selected);
        chosen.or(named).map_or((cx.now - USUAL, cx.now), |(from, to)| (from, to.min(cx.now)))
    }

    fn ask_compare(&mut self, cx: &Cx<'_>) -> Outcome {
        let (from, to) = self.stretch(cx);
        self.asking = Asking::Compare(from, to);
        let title = format!("compare {} – {} with", above::moment(from, cx), above::moment(to, cx));
        let lines = BEFORE.iter().map(|(line, _)| (*line).to_owned());
        Outcome::Effect(Effect::Open(Box::new(Choose::lines(&title, lines, 0))))
    }

    fn compare(&self, (from, to): (Stamp, Stamp), choice: usize) -> Outcome {
        let Some((words, secs)) = BEFORE.get(choice) else { return Outcome::Done };
        let length = to.since(from);
        let earlier = if *secs == 0 { length } else { std::time::Duration::from_secs(*secs) };
        let before = (from - earlier, to - earlier);
        let names = span::timeless(&lookup::of_minutes(&self.selected));
        let screen = compare::CompareScreen::new(names, (from, to), before, words);
        Outcome::Effect(Effect::Open(Box::new(screen)))
    }

    /// What those that are marked, else all that the filter selects, have in common.
    fn in_common(&self, cx: &Cx<'_>) -> Outcome {
        let Some(query) = self.rows.query().cloned() else { return Outcome::Done };
        let (chosen, filter, whose) = match self.list.marks.len() {
            0 => (Chosen::Filter(self.selected.clone()), self.filter.clone(), self.filter.clone()),
            n => {
                let marked = self.list.marks.iter().cloned().collect();
                (Chosen::Tasks(marked), String::new(), format!("{} marked", human::plural(n, "task")))
            }
        };
        let layer = InCommon::recorded(chosen, query, cx.model.redactor().clone(), filter, &whose);
        Outcome::Effect(Effect::Open(Box::new(layer)))
    }

    fn export(&mut self, cx: &Cx<'_>) -> Outcome {
        let Some((path, query)) = cx.options.history.clone().zip(self.rows.query().cloned()) else {
            return Outcome::Done;
        };
        let what = match self.list.marks.is_empty() {
            true => What::Recorded(path, Query { limit: usize::MAX, before: None, ..query }),
            false => What::Documents(self.rows.documents(self.list.marks.iter())),
        };
        self.exporting.ask("history", what, cx)
    }
}

impl View for History {
    fn scopes(&self) -> &'static [Scope] {
        &[
            Scope::Opens,
            Scope::Filters,
            Scope::History,
            Scope::Compares,
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
        let list = &mut self.list;
        if let Some(outcome) = self.rows.read(|model| list.perform(action, &Cx { model, ..*cx })) {
            return outcome;
        }
        let points = self.points();
        match action {
            Action::Open if self.take_span(cx) => {}
            Action::Open | Action::NextPane => return self.with_tasks(Then::Open, cx),
            Action::PreviousPane => return self.with_tasks(Then::Act(Action::Workflow), cx),
            Action::SpanEarlier | Action::SpanLater => self.span.walk(action == Action::SpanLater, points),
            Action::SpanShorter | Action::SpanLonger => self.span.stretch(action == Action::SpanLonger, points),
            Action::Compare => return self.ask_compare(cx),
            Action::InCommon => return self.in_common(cx),
            Action::Filter => {
                self.asking = Asking::Filter;
                let prompt = known::prompt(&self.filter, self.typed.clone(), cx);
                return Outcome::Effect(Effect::Open(Box::new(prompt)));
            }
            Action::Export => return self.export(cx),
            Action::EventsOn => return act::events_on(),
            Action::Log => return Outcome::Effect(Effect::Open(Box::<audit::AuditScreen>::default())),
            Action::Back => return self.back(),
            Action::Refresh => {
                // The broker is asked again as well.
                self.unasked = Asked::No;
                return Outcome::Ignored;
            }
            _ if act::needs_task(action) => return self.with_tasks(Then::Act(action), cx),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, _cx: &Cx<'_>) -> Option<String> {
        let no_span = || "no span is chosen: { chooses one".to_owned();
        let on_rows = matches!(action, Action::Open | Action::Mark | Action::MarkRange | Action::MarkAll);
        match action {
            _ if self.rows.is_stale() && (on_rows || act::needs_task(action)) => {
                Some("the history is still being looked through".into())
            }
            Action::SpanShorter | Action::SpanLonger => self.span.chosen(self.points()).is_none().then(no_span),
            Action::SpanEarlier | Action::SpanLater => (self.points() == 0).then(|| "there is no chart".into()),
            Action::InCommon if self.list.marks.is_empty() && self.selected.is_empty() => {
                Some("mark some tasks first, or filter the list".into())
            }
            Action::Compare if self.sums.oldest.is_none() => Some("nothing is recorded".into()),
            Action::Open if self.span.chosen(self.points()).is_some() => None,
            Action::Open | Action::Mark if self.list.current().is_none() => Some("no task is chosen".into()),
            Action::Export if self.rows.len() == 0 => Some("nothing is listed".into()),
            _ if !act::needs_task(action) || self.list.marks.len() > JUDGED => None,
            _ => self.rows.read(|m| act::refuse(action, &self.list.commanded(), m)),
        }
    }

    fn urges(&self) -> Option<(Action, &'static str)> {
        self.span.chosen(self.points()).map(|_| (Action::Open, "only this span"))
    }

    fn subject(&self, _cx: &Cx<'_>) -> Option<String> {
        self.rows.read(|m| act::subject(&self.list.commanded(), m))
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
                // What may become `task:` is not looked for as a word while it is typed.
                self.set_filter(if *done { text } else { filter::without_begun_key(text) });
                text.clone_into(&mut self.filter);
                self.wider.clear();
                if !done {
                    self.asking = Asking::Filter;
                } else if !text.trim().is_empty() && self.typed.last() != Some(text) {
                    self.typed.push(text.clone());
                }
            }
            (Asking::Filter, Answer::Cancelled) => self.set_filter(""),
            (Asking::Signal(ids), answer) => return act::terminate(answer, ids),
            (Asking::Compare(from, to), Answer::Choice(choice)) => return self.compare((from, to), *choice),
            _ => {}
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        if let Target::Share(share) = target {
            let points = self.points();
            self.span.press(share, points);
            return Outcome::Done;
        }
        let list = &mut self.list;
        match self.rows.read(|model| list.click(target, &Cx { model, ..*cx })) {
            Click::Open => self.with_tasks(Then::Open, cx),
            Click::Done => Outcome::Done,
            Click::Ignored => Outcome::Ignored,
        }
    }

    fn drag(&mut self, target: Target) {
        if let Target::Share(share) = target {
            let points = self.points();
            self.span.drag(share, points);
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.ask(cx);
        self.above.sync(&self.sums, &self.span, cx);
        // What ran then is shown as it was then: nobody has looked since.
        let as_of = self.rows.query().map(|query| query.now);
        let (list, above) = (&mut self.list, self.above.rows);
        self.rows.read(|model| {
            list.query.follow(model);
            list.sync(&Cx { model, as_of, ..*cx }, above);
        });
        self.empty = if self.list.is_blank() { self.instead(cx) } else { Vec::new() };
        self.status = self.line(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        list::head(page, area, "all that is recorded", &self.filter, &self.status);
        let above = self.above.rows.min(area.height.saturating_sub(1));
        self.above.draw(page, Rect { y: area.y + 1, height: above, ..area });
        let below = Rect { y: area.y + above, height: area.height - above, ..area };
        self.list.draw(page, below, &self.empty);
    }

    fn filter_by(&mut self, filter: &str) {
        self.wider.clear();
        self.set_filter(filter);
    }

    fn filtered_by(&self) -> String {
        self.filter.clone()
    }

    fn resize_details(&mut self, rows: u16) {
        self.list.resize_details(rows);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        self.rows.read(|model| self.list.copies(&Cx { model, ..*cx }))
    }

    fn wants_lookups(&mut self) -> Vec<Request> {
        let mut requests = std::mem::take(&mut self.requests);
        // Keys that came before this frame may have asked for something else since.
        requests.retain(|request| !request.ticket.is_over());
        requests
    }

    fn looked_up(&mut self, ticket: &Ticket, found: Found, cx: &mut Cx<'_>) -> Outcome {
        match found {
            Found::Tasks(part) => match self.rows.take(ticket, &part) {
                Changed::Nothing => {}
                Changed::More => self.trouble = None,
                Changed::Anew => {
                    self.trouble = None;
                    let sort = self.list.query.sort();
                    self.list.query = crate::state::LiveQuery::new(Filter::default(), sort);
                }
            },
            Found::Sums(sums) if self.summing.is_for(ticket) => self.sums = sums,
            Found::Recalled(_, events) if self.recalling.is_for(ticket) => {
                self.recalling.end();
                if let Some((then, ids)) = self.recalled.take() {
                    return self.go_on(then, ids, events, cx);
                }
            }
            Found::Failed(why) if self.recalling.is_for(ticket) => return Outcome::Effect(Effect::Say(why)),
            Found::Failed(why) if self.rows.waits_for(ticket) || self.summing.is_for(ticket) => {
                if self.rows.waits_for(ticket) {
                    self.rows.fail();
                    self.list.query = crate::state::LiveQuery::new(Filter::default(), self.list.query.sort());
                    self.sums = Sums::default();
                }
                self.trouble = Some(why);
            }
            _ => {}
        }
        Outcome::Done
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
