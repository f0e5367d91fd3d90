//! What a list holds, and how that follows what changes. It is made from a scan on another thread than the screen's, and
//! follows there already what changed meanwhile: taking it over costs nothing.

use std::collections::BTreeSet;

use super::scan::{Entry, Scan, ScanRequest, key};
use crate::clock::Stamp;
use crate::state::matcher::Matcher;
use crate::state::model::Model;
use crate::state::tasks::Slot;

/// Changes that are left to whoever takes it over.
const CLOSE: u64 = 1_000;

/// See the module.
pub struct Fill {
    pub(super) request: ScanRequest,
    /// When it was scanned.
    pub(super) at: Stamp,
    matcher: Matcher,
    ranks: Vec<u32>,
    names_version: u64,
    place: u64,
    pub(super) set: BTreeSet<Entry>,
    /// Key by slot; zero where the slot is not in the list.
    keys: Vec<u64>,
    /// How many changes there were of tasks in it.
    pub(super) changes: u64,
}

impl Fill {
    pub(in crate::state) fn new(scan: Scan) -> Self {
        let highest = scan.entries.iter().map(|(_, slot)| *slot as usize + 1).max().unwrap_or(0);
        let mut keys = vec![0; highest];
        for &(key, slot) in &scan.entries {
            keys[slot as usize] = key;
        }
        Self {
            request: scan.request,
            at: scan.at,
            matcher: scan.matcher,
            ranks: scan.ranks,
            names_version: scan.names_version,
            place: scan.place,
            set: scan.entries.into_iter().collect(),
            keys,
            changes: 0,
        }
    }

    /// How many changes it has not taken in yet.
    pub(super) fn behind(&self, model: &Model) -> u64 {
        model.journal.end().saturating_sub(self.place)
    }

    /// Takes in changes, so many at most. False where it can't: they are forgotten, or the order is another one now.
    pub(super) fn follow(&mut self, model: &Model, most: u64) -> bool {
        if self.names_version != model.names.version() {
            if self.request.sort.is_by_name() {
                return false;
            }
            self.matcher = Matcher::new(&self.request.filter, model);
            self.names_version = model.names.version();
        }
        let Some(changes) = model.journal.since(self.place) else { return false };
        for slot in changes.take(most as usize) {
            self.update(slot, model);
        }
        self.place += self.behind(model).min(most);
        true
    }

    /// Takes in a share of what changed; true when what is left is little, or can't be taken in.
    pub(in crate::state) fn catch_up(&mut self, model: &Model) -> bool {
        self.behind(model) <= CLOSE || !self.follow(model, CLOSE * 4)
    }

    pub(super) fn key_of(&self, slot: Slot) -> Option<u64> {
        self.keys.get(slot as usize).copied().filter(|key| *key != 0)
    }

    fn update(&mut self, slot: Slot, model: &Model) {
        let index = slot as usize;
        if self.keys.len() <= index {
            self.keys.resize(model.tasks.hot.len().max(index + 1), 0);
        }
        let old = self.keys[index];
        let new = if model.tasks.is_live(slot) {
            let task = model.at(slot);
            if self.matcher.matches(&task) { key(&task, self.request.sort, &self.ranks) } else { 0 }
        } else {
            0
        };
        if old != 0 || new != 0 {
            self.changes += 1;
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
}
