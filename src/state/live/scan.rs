//! Looking at every task once: which ones a filter selects, and in what order.

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::Filter;
use crate::state::intern::Sym;
use crate::state::matcher::Matcher;
use crate::state::model::Model;
use crate::state::task::Task;
use crate::state::tasks::Slot;

/// What a list is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// When it was first heard of.
    Received,
    Sent,
    Started,
    Finished,
    State,
    Name,
    Worker,
    Queue,
    Runtime,
    Wait,
    Retries,
    Exception,
}

/// Order of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sort {
    pub column: Column,
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { column: Column::Received, descending: true }
    }
}

impl Sort {
    /// Whether the order depends on the alphabetical place of interned names.
    pub(super) fn is_by_name(self) -> bool {
        matches!(self.column, Column::Name | Column::Worker | Column::Queue | Column::Exception)
    }
}

/// Sort key and slot. The key is never zero.
pub(super) type Entry = (u64, Slot);

pub(super) fn key(task: &Task<'_>, sort: Sort, ranks: &[u32]) -> u64 {
    let micros = |at: Option<Stamp>| at.map_or(0, |s| s.micros().max(0) as u64);
    let seen = micros(task.seen());
    let rank = |sym: Option<Sym>| match sym.and_then(|s| ranks.get(s.index())) {
        Some(rank) => u64::from(*rank) + 1,
        None => 0,
    };
    let length = |secs: Option<f64>| ((secs.unwrap_or(-1.0) + 1.0).max(0.0) * 1e5).min(f64::from(u32::MAX)) as u64;
    let first = match sort.column {
        Column::Received => return seen + 1,
        Column::Sent => return micros(task.sent()) + 1,
        Column::Started => return micros(task.started()) + 1,
        Column::Finished => return micros(task.finished()) + 1,
        Column::State => task.hot.state as u64,
        Column::Name => rank(task.hot.name),
        Column::Worker => rank(task.hot.worker),
        Column::Queue => rank(task.hot.queue),
        Column::Exception => rank(task.hot.exception),
        Column::Runtime => length(task.runtime().or_else(|| task.running(task.model.now()))),
        Column::Wait => length(task.wait().map(|(secs, _)| secs)),
        Column::Retries => task.retries().map_or(0, |n| u64::from(n) + 1),
    };
    // The later one first among equals: seconds are fine enough for that.
    (first << 32 | (seen / 1_000_000) & 0xffff_ffff) + 1
}

/// What to look for, handed to whoever does the looking.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    pub filter: Filter,
    pub sort: Sort,
    /// Which of its list's questions it is.
    pub(super) generation: u64,
}

impl ScanRequest {
    /// A look that no list waits for.
    pub fn once(filter: &Filter, sort: Sort) -> Self {
        Self { filter: filter.clone(), sort, generation: 0 }
    }
}

/// A look at every task, in slices.
pub struct Scan {
    pub(super) request: ScanRequest,
    pub(super) matcher: Matcher,
    pub(super) ranks: Vec<u32>,
    pub(super) names_version: u64,
    /// Up to where of the journal of changes it has seen all.
    pub(super) place: u64,
    pub(super) at: Stamp,
    next: Slot,
    pub(super) entries: Vec<Entry>,
}

/// Tasks looked at without a break.
const SLICE: Slot = 50_000;

impl Scan {
    pub(in crate::state) fn begin(request: &ScanRequest, model: &Model) -> Self {
        Self {
            matcher: Matcher::new(&request.filter, model),
            ranks: if request.sort.is_by_name() { model.names.ranks() } else { Vec::new() },
            names_version: model.names.version(),
            place: model.journal.end(),
            at: model.now(),
            request: request.clone(),
            next: 0,
            entries: Vec::new(),
        }
    }

    /// Looks at one slice; true when it was the last.
    pub(in crate::state) fn step(&mut self, model: &Model) -> bool {
        let end = (model.tasks.hot.len() as Slot).min(self.next.saturating_add(SLICE));
        for slot in self.next..end {
            if !model.tasks.is_live(slot) {
                continue;
            }
            let task = model.at(slot);
            if self.matcher.matches(&task) {
                self.entries.push((key(&task, self.request.sort, &self.ranks), slot));
            }
        }
        self.next = end;
        end == model.tasks.hot.len() as Slot
    }

    /// Adds the ids of what was found to a list, in order and a slice at a time; `taken` counts on. False when there are
    /// no more. What had to make room since is left out.
    pub(in crate::state) fn ids(&self, model: &Model, taken: &mut usize, ids: &mut Vec<TaskId>) -> bool {
        let next = |i: usize| match self.request.sort.descending {
            true => self.entries.len().checked_sub(i + 1).and_then(|i| self.entries.get(i)),
            false => self.entries.get(i),
        };
        let slice: Vec<Slot> = (*taken..).map_while(next).take(SLICE as usize).map(|(_, slot)| *slot).collect();
        *taken += slice.len();
        let live = slice.iter().filter(|slot| model.tasks.is_live(**slot)).map(|slot| model.at(*slot));
        ids.extend(live.filter(|task| self.matcher.matches(task)).map(|task| task.id().clone()));
        !slice.is_empty()
    }

    /// Puts what was found in order.
    pub(in crate::state) fn finish(mut self) -> Self {
        self.entries.sort_unstable();
        self
    }
}

impl Model {
    /// The tasks a filter selects, sorted, at most `limit`: for callers that look once.
    pub fn select(&self, filter: &Filter, sort: Sort, limit: usize) -> Vec<Task<'_>> {
        let request = ScanRequest::once(filter, sort);
        let mut scan = Scan::begin(&request, self);
        while !scan.step(self) {}
        let mut entries = scan.finish().entries;
        if sort.descending {
            entries.reverse();
        }
        entries.into_iter().take(limit).map(|(_, slot)| self.at(slot)).collect()
    }
}
