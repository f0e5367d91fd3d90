//! Looking things up for a screen: told bit by bit, and given up as soon as nobody waits for it.
//!
//! Whoever wants something keeps a [`Waiting`] and hands the [`Request`] to somebody who may block, who calls [`run`].
//! A newer question of the same kind ends the older one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::minutes::{self, Runtimes, Tally};
use super::reader::{Progress, Query, Reader, Totals};
use super::{Error, audit, links};
use crate::celery::TaskId;
use crate::celery::event::Batch;
use crate::clock::Stamp;
use crate::filter::{Filter, Term, Test, Word};
use crate::redact::Redactor;
use crate::state::State;
use crate::state::common::{Chosen, Common};

/// What is to be looked up.
#[derive(Clone, Debug)]
pub enum Look {
    /// Tasks, the newest first, as many as the query's limit.
    Tasks(Query),
    /// What a filter selects, added up, and what happened in that time, for a chart of so many points at the most.
    Sums { query: Query, points: u32 },
    /// What each task name did in two stretches of time.
    Compare { now: Query, before: Query },
    /// These tasks with every event, as of a time.
    Recall(Vec<TaskId>, Stamp),
    /// What these tasks have in common, and others of their names and time not; the query says as of when.
    Common { chosen: Chosen, query: Query, redactor: Redactor },
    /// Commands that were sent, the latest first, from a row on.
    Audit { limit: usize, before: Option<i64> },
}

/// Tells one question from all others.
#[derive(Clone, Debug, Default)]
pub struct Ticket(Arc<AtomicBool>);

impl Ticket {
    /// Whether nobody waits for the answer any more.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A question with its ticket.
#[derive(Clone, Debug)]
pub struct Request {
    pub look: Look,
    pub ticket: Ticket,
}

/// The side that waits. When it asks anew or goes away, the look that is under way ends.
#[derive(Debug, Default)]
pub struct Waiting(Option<Ticket>);

impl Waiting {
    /// Asks, and waits no longer for what was asked before.
    pub fn ask(&mut self, look: Look) -> Request {
        Request { look, ticket: self.begin() }
    }

    /// Begins to wait, and waits no longer for what was asked before.
    pub fn begin(&mut self) -> Ticket {
        self.end();
        let ticket = Ticket::default();
        self.0 = Some(ticket.clone());
        ticket
    }

    /// Waits no longer.
    pub fn end(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether an answer is to the question that was asked last.
    pub fn is_for(&self, ticket: &Ticket) -> bool {
        self.0.as_ref().is_some_and(|waited| Arc::ptr_eq(&waited.0, &ticket.0))
    }

    /// Whether something is waited for.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tasks that were found since the last time.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Every event of theirs.
    pub batch: Arc<Batch>,
    /// Which of them were sent again, and as what.
    pub again: Vec<(TaskId, TaskId)>,
    /// How far the whole look is.
    pub progress: Progress,
    /// Where to go on; `None` where everything was looked at.
    pub next: Option<i64>,
    /// The look has ended.
    pub done: bool,
}

/// What a filter selects, added up, as far as it is known yet.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// When the oldest task was heard of that the file keeps.
    pub oldest: Option<Stamp>,
    /// A mark the filter names that nobody has set.
    pub unknown: Option<String>,
    /// The stretch of time the filter asks for, as far as the file knows of it.
    pub span: Option<(Stamp, Stamp)>,
    pub progress: Progress,
    pub totals: Option<Totals>,
    pub chart: Option<Chart>,
    pub done: bool,
}

/// What happened by steps of time.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Minutes of a step.
    pub step: u32,
    /// Minute since 1970 at which the first one begins.
    pub begin: i64,
    /// Done and failed, by step.
    pub points: Vec<(u64, u64)>,
    /// What it shows: what of the filter is about names. Minutes know nothing else of a task.
    pub names: Filter,
    /// The filter asks for more than that, and for times.
    pub wider: bool,
    pub runtimes: Runtimes,
    /// Moments with a name, the latest of them.
    pub marks: Vec<(Stamp, String)>,
}

/// What a task name did in two stretches of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    pub name: String,
    pub now: Tally,
    pub before: Tally,
}

/// An answer, or a part of one.
#[derive(Clone, Debug)]
pub enum Found {
    Tasks(Part),
    Sums(Sums),
    Compared(Vec<Compared>),
    /// Events of tasks, both ready to be applied and as they were written down.
    Recalled(Arc<Batch>, Vec<Value>),
    /// Tasks, and those that were sent in their place.
    Linked(Vec<links::Link>),
    Audit(Vec<audit::Logged>),
    Common(Common),
    Failed(String),
}

/// Takes an answer; says whether anybody waits for more.
pub type Tell<'t> = &'t mut dyn FnMut(Found) -> bool;

/// Tasks of the first part: more than a screen has rows.
const FIRST: usize = 100;
/// Tasks of each part after it.
const NEXT: usize = 500;
/// How often something is told of a long look.
const OFTEN: Duration = Duration::from_millis(150);
/// Minutes a step of a chart may have; beyond, whole weeks.
const STEPS: [u32; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1_440, 2_880, 10_080];

/// Looks up what was asked for. May take long: not for the main thread.
pub fn run(path: &Path, request: &Request, tell: Tell<'_>) {
    let over = || request.ticket.is_over();
    if over() {
        return;
    }
    let looked = Reader::open(path).and_then(|mut reader| match &request.look {
        Look::Tasks(query) => tasks(&mut reader, query, &over, tell),
        Look::Sums { query, points } => sums(&mut reader, query, *points, &over, tell),
        Look::Compare { now, before } => {
            let compared = compare(&mut reader, now, before, &over)?;
            tell(Found::Compared(compared));
            Ok(())
        }
        Look::Recall(ids, at) => {
            let links = ids.iter().map(|id| reader.links(id)).collect::<Result<Vec<_>, _>>()?.concat();
            if !links.is_empty() {
                tell(Found::Linked(links));
            }
            let events = recall(&mut reader, ids)?;
            tell(Found::Recalled(Arc::new(super::batch(events.clone(), *at)), events));
            Ok(())
        }
        Look::Common { chosen, query, redactor } => {
            let found = super::common::common(&mut reader, chosen, query, redactor, &over)?;
            tell(Found::Common(found));
            Ok(())
        }
        Look::Audit { limit, before } => {
            tell(Found::Audit(reader.audit(*limit, *before)?));
            Ok(())
        }
    });
    if let Err(error) = looked
        && !over()
    {
        tell(Found::Failed(error.to_string()));
    }
}

fn tasks(reader: &mut Reader, query: &Query, over: &dyn Fn() -> bool, tell: Tell<'_>) -> Result<(), Error> {
    let mut query = query.clone();
    let wanted = std::mem::replace(&mut query.limit, FIRST);
    let (mut looked, mut found) = (0, 0);
    let sent_again = reader.sent_again()?;
    loop {
        query.limit = query.limit.min(wanted - found);
        let (mut said, mut last) = (Instant::now(), Progress::default());
        let page = reader.find(&query, &mut |progress| {
            last = progress;
            if over() {
                return false;
            }
            if said.elapsed() < OFTEN {
                return true;
            }
            said = Instant::now();
            // What was found is shown before the look goes on.
            let progress = Progress { looked: looked + progress.looked, ..progress };
            progress.found == 0 && tell(Found::Tasks(Part { progress, ..Part::default() }))
        })?;
        if over() {
            return Ok(());
        }
        looked += last.looked;
        found += page.tasks.len();
        let (mut events, mut again) = (Vec::new(), Vec::new());
        for (n, doc) in &page.tasks {
            let id = TaskId::new(&doc.id);
            again.extend(sent_again.get(&id).map(|new| (id, new.clone())));
            events.extend(reader.events(*n, doc)?);
        }
        let of = if last.of > 0 { last.of } else { reader.tasks()? };
        let looked_at = if page.next.is_none() { of } else { looked.min(of) };
        let done = page.next.is_none() || found >= wanted;
        let part = Part {
            batch: Arc::new(super::batch(events, query.now)),
            again,
            progress: Progress { looked: looked_at, of, found: found as u64 },
            next: page.next,
            done,
        };
        if !tell(Found::Tasks(part)) || done {
            return Ok(());
        }
        (query.before, query.limit) = (page.next, NEXT);
    }
}

/// Of a filter what is known minute by minute: names, and the span of time.
pub fn of_minutes(filter: &Filter) -> Filter {
    let known = |term: &&Term| match &term.test {
        Test::Text(Word::Task, _) => true,
        Test::Time(..) => !term.negated,
        _ => false,
    };
    Filter { terms: filter.terms.iter().filter(known).cloned().collect() }
}

fn sums(reader: &mut Reader, query: &Query, points: u32, over: &dyn Fn() -> bool, tell: Tell<'_>) -> Result<(), Error> {
    let of = reader.tasks()?;
    let mut sums = Sums {
        oldest: reader.span()?.map(|(oldest, _)| oldest),
        unknown: query.filter.marks().find(|name| reader.mark(name).is_none()).map(str::to_owned),
        span: reader.bounds(query)?,
        progress: Progress { of, ..Progress::default() },
        ..Sums::default()
    };
    if let Some(span) = sums.span {
        sums.chart = Some(chart(reader, query, span, points, over)?);
    }
    if over() || !tell(Found::Sums(sums.clone())) {
        return Ok(());
    }
    let mut said = Instant::now();
    let totals = reader.totals(query, &mut |progress| {
        if over() {
            return false;
        }
        if said.elapsed() < OFTEN {
            return true;
        }
        said = Instant::now();
        sums.progress = progress;
        tell(Found::Sums(sums.clone()))
    })?;
    if !over() && totals.complete {
        sums.progress = Progress { looked: of, of, found: totals.count() };
        (sums.totals, sums.done) = (Some(totals), true);
        if tell(Found::Sums(sums.clone())) {
            return runtimes(reader, query, sums, over, tell);
        }
    }
    Ok(())
}

/// How long those ran that a filter selects, where neither summaries nor minutes tell it.
fn runtimes(
    reader: &mut Reader,
    query: &Query,
    mut sums: Sums,
    over: &dyn Fn() -> bool,
    tell: Tell<'_>,
) -> Result<(), Error> {
    let succeeded = sums.totals.as_ref().and_then(|totals| totals.states.get(State::Success.name())).is_some();
    let by_minutes = sums.chart.as_ref().is_none_or(|chart| !chart.wider);
    let known = by_minutes || sums.totals.as_ref().is_some_and(|totals| totals.runtimes.is_some());
    if known || !succeeded {
        return Ok(());
    }
    let totals = reader.totals_of_each(query, &mut |_| !over())?;
    if !over() && totals.complete {
        sums.totals = Some(totals);
        tell(Found::Sums(sums));
    }
    Ok(())
}

fn chart(
    reader: &mut Reader,
    query: &Query,
    (from, to): (Stamp, Stamp),
    points: u32,
    over: &dyn Fn() -> bool,
) -> Result<Chart, Error> {
    let minutes = (to.since(from).as_secs() / 60).max(1);
    let fits = |step: &u32| minutes / u64::from(*step) < u64::from(points.max(1));
    let step = STEPS.into_iter().find(|step| fits(step)).unwrap_or(10_080);
    let at = |stamp: Stamp| stamp.micros().div_euclid(60_000_000) / i64::from(step) * i64::from(step);
    let (begin, end) = (at(from), at(to));
    let known = of_minutes(&query.filter);
    let wider = known != query.filter;
    let names = known.terms.iter().filter(|term| !matches!(term.test, Test::Time(..))).cloned().collect();
    let mut chart = Chart { step, begin, names: Filter { terms: names }, wider, ..Chart::default() };
    chart.points = vec![(0, 0); ((end - begin) / i64::from(step) + 1).clamp(1, 10_000) as usize];
    let count = |tally: &Tally, state: State| minutes::place(state).map_or(0, |place| tally.counts[place]);
    for bucket in reader.minutes_until(&Query { filter: known, ..query.clone() }, step, over)? {
        let sum = bucket.sum();
        let place = usize::try_from((bucket.minute - begin) / i64::from(step)).ok();
        if let Some(point) = place.and_then(|place| chart.points.get_mut(place)) {
            point.0 += count(&sum, State::Success);
            point.1 += count(&sum, State::Failure);
        }
        chart.runtimes.add_all(&sum.runtimes);
    }
    chart.marks = reader.marks(from, to)?;
    Ok(chart)
}

fn compare(reader: &mut Reader, now: &Query, before: &Query, over: &dyn Fn() -> bool) -> Result<Vec<Compared>, Error> {
    let mut by_name: std::collections::BTreeMap<String, Compared> = std::collections::BTreeMap::new();
    for (query, is_now) in [(now, true), (before, false)] {
        for bucket in reader.minutes_until(query, 60, over)? {
            for (name, tally) in bucket.names {
                let compared = by_name.entry(name.clone()).or_insert_with(|| Compared { name, ..Compared::default() });
                if is_now { &mut compared.now } else { &mut compared.before }.add(&tally);
            }
        }
    }
    Ok(by_name.into_values().collect())
}

/// Every stored event of these tasks, one task after the other; of those it knows nothing of there are none.
pub fn recall(reader: &mut Reader, ids: &[TaskId]) -> Result<Vec<Value>, Error> {
    let mut events = Vec::new();
    for id in ids {
        if let Some((n, doc)) = reader.task(id)? {
            events.extend(reader.events(n, &doc)?);
        }
    }
    Ok(events)
}
