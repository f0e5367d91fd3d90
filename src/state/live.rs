//! A list that stays filtered and sorted while the model changes.
//!
//! Filling it looks at every task, elsewhere where there are many; afterwards it follows the journal of changes. It refers
//! to tasks by slot, and gives out ids: no slot leaves this folder.

mod fill;
mod scan;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use crate::celery::TaskId;
use crate::filter::Filter;

use super::model::Model;
use super::task::Task;

pub use fill::Fill;
pub use scan::{Column, Scan, ScanRequest, Sort};

use scan::Entry;

/// See the module.
#[derive(Default)]
pub struct LiveQuery {
    filter: Filter,
    sort: Sort,
    generation: u64,
    fill: Option<Fill>,
    asked: bool,
    stale: bool,
    /// Of what it held before the present filling.
    version: u64,
}

/// Up to how many tasks a list is filled at once, without asking for a scan elsewhere.
const INLINE: usize = 20_000;

/// Changes taken in at once: a few milliseconds.
const MOST: u64 = 8_192;

/// How often a list is filled anew whose filter moves along with the present.
const SLIDE: Duration = Duration::from_secs(10);

/// A place in a list: stays meaningful when the entry itself has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Entry);

static NOTHING: BTreeSet<Entry> = BTreeSet::new();

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

    /// Takes in what changed since the last time, or a share of it where that is much. Small models are scanned at once.
    pub fn follow(&mut self, model: &Model) {
        if !self.stale
            && let Some(fill) = &mut self.fill
        {
            let slid = self.filter.slides() && model.now().since(fill.at) >= SLIDE;
            if slid || !fill.follow(model, MOST) {
                self.restart();
            }
        }
        if self.stale && model.tasks.hot.len() <= INLINE {
            let mut scan = Scan::begin(&self.request(), model);
            while !scan.step(model) {}
            self.accept(Fill::new(scan.finish()));
        }
    }

    /// Takes in what changed where that has become much: between two looks, so that the next one does not take long.
    pub fn keep_up(&mut self, model: &Model) {
        if !self.stale && self.fill.as_ref().is_some_and(|fill| fill.behind(model) >= MOST / 2) {
            self.follow(model);
        }
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

    /// Takes over the answer to a scan, unless it answers an older question. What is not needed any more is given back:
    /// of a million tasks, letting go of it takes long.
    pub fn accept(&mut self, fill: Fill) -> Option<Fill> {
        let asked = &fill.request;
        if asked.generation != self.generation || asked.filter != self.filter || asked.sort != self.sort {
            return Some(fill);
        }
        let before = self.fill.replace(fill);
        self.version += before.as_ref().map_or(0, |before| before.changes) + 1;
        self.stale = false;
        self.asked = false;
        before
    }

    fn set(&self) -> &BTreeSet<Entry> {
        self.fill.as_ref().map_or(&NOTHING, |fill| &fill.set)
    }

    /// Changes whenever a task of the list does.
    pub fn version(&self) -> u64 {
        self.version + self.fill.as_ref().map_or(0, |fill| fill.changes)
    }

    /// How many tasks it selects.
    pub fn len(&self) -> usize {
        self.set().len()
    }

    /// Whether it selects none.
    pub fn is_empty(&self) -> bool {
        self.set().is_empty()
    }

    /// The place of a task, if it is in the list.
    pub fn place_of(&self, id: &TaskId, model: &Model) -> Option<Place> {
        let slot = model.tasks.find(id)?;
        self.fill.as_ref()?.key_of(slot).map(|key| Place((key, slot)))
    }

    /// The first place on screen.
    pub fn first(&self) -> Option<Place> {
        if self.sort.descending { self.set().last() } else { self.set().first() }.copied().map(Place)
    }

    /// The last place on screen.
    pub fn last(&self) -> Option<Place> {
        if self.sort.descending { self.set().first() } else { self.set().last() }.copied().map(Place)
    }

    /// Entries from a place on, in the order of the screen, the place itself included if it still exists.
    pub fn from(&self, place: Place) -> Box<dyn Iterator<Item = Place> + '_> {
        if self.sort.descending {
            Box::new(self.set().range(..=place.0).rev().copied().map(Place))
        } else {
            Box::new(self.set().range(place.0..).copied().map(Place))
        }
    }

    /// Entries above a place, going up.
    pub fn above(&self, place: Place) -> Box<dyn Iterator<Item = Place> + '_> {
        if self.sort.descending {
            Box::new(self.set().range((Bound::Excluded(place.0), Bound::Unbounded)).copied().map(Place))
        } else {
            Box::new(self.set().range(..place.0).rev().copied().map(Place))
        }
    }

    /// The task at a place, if it is still there.
    pub fn task<'m>(&self, place: Place, model: &'m Model) -> Option<Task<'m>> {
        model.tasks.is_live(place.0.1).then(|| model.at(place.0.1))
    }
}
