//! A list that stays filtered and sorted while the model changes.
//!
//! Filling it looks at every task, in slices; afterwards it follows the journal of changes. It refers to tasks by slot,
//! and gives out ids: no slot leaves this folder.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::Filter;

use super::intern::Sym;
use super::matcher::Matcher;
use super::model::Model;
use super::task::Task;
use super::tasks::Slot;

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
    fn is_by_name(self) -> bool {
        matches!(self.column, Column::Name | Column::Worker | Column::Queue | Column::Exception)
    }
}

/// Sort key and slot. The key is never zero.
type Entry = (u64, Slot);

fn key(task: &Task<'_>, sort: Sort, ranks: &[u32]) -> u64 {
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
    generation: u64,
}

impl ScanRequest {
    /// A look that no list waits for.
    pub fn once(filter: &Filter, sort: Sort) -> Self {
        Self { filter: filter.clone(), sort, generation: 0 }
    }
}

/// A look at every task, in slices.
pub struct Scan {
    request: ScanRequest,
    matcher: Matcher,
    ranks: Vec<u32>,
    names_version: u64,
    place: u64,
    at: Stamp,
    next: Slot,
    entries: Vec<Entry>,
}

/// Tasks looked at without a break.
const SLICE: Slot = 50_000;

impl Scan {
    pub(super) fn begin(request: &ScanRequest, model: &Model) -> Self {
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
    pub(super) fn step(&mut self, model: &Model) -> bool {
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
    pub(super) fn ids(&self, model: &Model, taken: &mut usize, ids: &mut Vec<TaskId>) -> bool {
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

    pub(super) fn finish(mut self) -> Self {
        self.entries.sort_unstable();
        self
    }
}

/// See the module.
#[derive(Default)]
pub struct LiveQuery {
    filter: Filter,
    sort: Sort,
    generation: u64,
    matcher: Option<Matcher>,
    ranks: Vec<u32>,
    names_version: u64,
    place: u64,
    set: BTreeSet<Entry>,
    /// Key by slot; zero where the slot is not in the list.
    keys: Vec<u64>,
    asked: bool,
    stale: bool,
    /// When it was last filled.
    filled: Option<Stamp>,
    version: u64,
}

/// Up to how many tasks a list is filled at once, without asking for a scan elsewhere.
const INLINE: usize = 20_000;

/// How often a list is filled anew whose filter moves along with the present.
const SLIDE: Duration = Duration::from_secs(10);

/// A place in a list: stays meaningful when the entry itself has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Entry);

impl LiveQuery {
    /// A list of all tasks that `filter` selects.
    pub fn new(filter: Filter, sort: Sort) -> Self {
        Self { filter, sort, stale: true, ..Self::default() }
    }

    pub fn filter(&self) -> &Filter {
        &self.filter
    }
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// Selects something else; the list is filled again.
    pub fn set_filter(&mut self, filter: Filter) {
        if filter != self.filter {
            self.filter = filter;
            self.restart();
        }
    }

    /// Sorts by something else; the list is filled again.
    pub fn set_sort(&mut self, sort: Sort) {
        if sort != self.sort {
            self.sort = sort;
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.stale = true;
        self.asked = false;
        self.generation += 1;
    }

    /// Takes in what changed since the last time. Small models are scanned at once.
    pub fn follow(&mut self, model: &Model) {
        if !self.stale && self.names_version != model.names.version() {
            if self.sort.is_by_name() {
                self.restart();
            } else {
                self.matcher = Some(Matcher::new(&self.filter, model));
                self.names_version = model.names.version();
            }
        }
        let behind = model.journal.since(self.place).is_none();
        let slid = self.filter.slides() && self.filled.is_some_and(|at| model.now().since(at) >= SLIDE);
        if !self.stale && (behind || slid) {
            self.restart();
        }
        if self.stale {
            if model.tasks.hot.len() > INLINE {
                return;
            }
            let mut scan = Scan::begin(&self.request(), model);
            while !scan.step(model) {}
            self.accept(scan.finish());
        }
        let Some(changes) = model.journal.since(self.place) else { return };
        for slot in changes {
            self.update(slot, model);
        }
        self.place = model.journal.end();
    }

    fn update(&mut self, slot: Slot, model: &Model) {
        let Some(matcher) = &self.matcher else { return };
        let index = slot as usize;
        if self.keys.len() <= index {
            self.keys.resize(model.tasks.hot.len().max(index + 1), 0);
        }
        let old = self.keys[index];
        let new = if model.tasks.is_live(slot) {
            let task = model.at(slot);
            if matcher.matches(&task) { key(&task, self.sort, &self.ranks) } else { 0 }
        } else {
            0
        };
        if old != 0 || new != 0 {
            self.version += 1;
        }
        if old == new {
            return;
        }
        if old != 0 {
            self.set.remove(&(old, slot));
        }
        if new != 0 {
            self.set.insert((new, slot));
        }
        self.keys[index] = new;
    }

    fn request(&self) -> ScanRequest {
        ScanRequest { filter: self.filter.clone(), sort: self.sort, generation: self.generation }
    }

    /// A scan that somebody has to do elsewhere, asked for once.
    pub fn wants_scan(&mut self) -> Option<ScanRequest> {
        (self.stale && !std::mem::replace(&mut self.asked, true)).then(|| self.request())
    }

    /// Whether the list is being filled.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Takes the answer to a scan, unless it answers an older question.
    pub fn accept(&mut self, scan: Scan) {
        let asked = &scan.request;
        if asked.generation != self.generation || asked.filter != self.filter || asked.sort != self.sort {
            return;
        }
        self.keys.clear();
        let highest = scan.entries.iter().map(|(_, slot)| *slot as usize + 1).max().unwrap_or(0);
        self.keys.resize(highest, 0);
        for &(key, slot) in &scan.entries {
            self.keys[slot as usize] = key;
        }
        self.set = scan.entries.into_iter().collect();
        self.matcher = Some(scan.matcher);
        self.ranks = scan.ranks;
        self.names_version = scan.names_version;
        self.place = scan.place;
        self.filled = Some(scan.at);
        self.version += 1;
        self.stale = false;
        self.asked = false;
    }

    /// Changes whenever a task of the list does.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many tasks it selects.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether it selects none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The place of a task, if it is in the list.
    pub fn place_of(&self, id: &TaskId, model: &Model) -> Option<Place> {
        let slot = model.tasks.find(id)?;
        match self.keys.get(slot as usize) {
            Some(&key) if key != 0 => Some(Place((key, slot))),
            _ => None,
        }
    }

    /// The first place on screen.
    pub fn first(&self) -> Option<Place> {
        if self.sort.descending { self.set.last() } else { self.set.first() }.copied().map(Place)
    }

    /// The last place on screen.
    pub fn last(&self) -> Option<Place> {
        if self.sort.descending { self.set.first() } else { self.set.last() }.copied().map(Place)
    }

    /// Entries from a place on, in the order of the screen, the place itself included if it still exists.
    pub fn from(&self, place: Place) -> Box<dyn Iterator<Item = Place> + '_> {
        if self.sort.descending {
            Box::new(self.set.range(..=place.0).rev().copied().map(Place))
        } else {
            Box::new(self.set.range(place.0..).copied().map(Place))
        }
    }

    /// Entries above a place, going up.
    pub fn above(&self, place: Place) -> Box<dyn Iterator<Item = Place> + '_> {
        if self.sort.descending {
            Box::new(self.set.range((Bound::Excluded(place.0), Bound::Unbounded)).copied().map(Place))
        } else {
            Box::new(self.set.range(..place.0).rev().copied().map(Place))
        }
    }

    /// The task at a place, if it is still there.
    pub fn task<'m>(&self, place: Place, model: &'m Model) -> Option<Task<'m>> {
        model.tasks.is_live(place.0.1).then(|| model.at(place.0.1))
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
