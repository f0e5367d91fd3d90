//! The rows of the workers' table: workers in their order, folded into groups where there are many.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex_lite::Regex;

use crate::filter::Pattern;
use crate::human;
use crate::state::worker::{Presence, Worker};
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;

use super::columns;
use crate::state::groups::group;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Worker(String),
    Group(String),
    /// Those that ended within the last hour.
    Ended,
}

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub column: &'static str,
    pub descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self { column: "WORKER", descending: false }
    }
}

/// More workers than this are folded into groups.
const FOLDED: usize = 30;
/// Names whose group is remembered.
const MEMORY: usize = 20_000;

/// A group in one line.
#[derive(Default)]
struct Summary {
    on: usize,
    draining: usize,
    gone: usize,
    running: u64,
    places: u64,
    versions: BTreeSet<String>,
}

impl Summary {
    fn add(&mut self, worker: &Worker, cx: &Cx<'_>) {
        if worker.presence(cx.now) == Presence::Gone {
            self.gone += 1;
            return;
        }
        *(if worker.is_draining(cx.now) { &mut self.draining } else { &mut self.on }) += 1;
        self.running += worker.running().unwrap_or(0);
        self.places += worker.pool_size().unwrap_or(0);
        if let Some(version) = worker.sw_ver.as_ref().filter(|version| !self.versions.contains(*version)) {
            self.versions.insert(version.clone());
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct List {
    pub items: Vec<Item>,
    /// All workers that match, folded or not.
    names: Vec<String>,
    /// The online workers of each group: whom a command on it reaches.
    members: BTreeMap<String, Vec<String>>,
    summaries: BTreeMap<String, Summary>,
    ended: usize,
    /// Groups that are shown worker by worker.
    unfolded: BTreeSet<String>,
    ended_unfolded: bool,
    /// What a person calls the changing part of a name.
    rules: Vec<Regex>,
    /// Names cut into groups once.
    known: HashMap<String, String>,
}

impl List {
    /// Lists the workers whose name matches.
    pub fn sync(&mut self, pattern: &Pattern, order: Order, cx: &Cx<'_>) {
        if self.rules.len() != cx.options.worker_groups.len() {
            self.rules.clone_from(&cx.options.worker_groups);
        }
        let matching = cx.model.workers().into_iter().filter(|(name, _)| pattern.matches(name));
        let (mut ended, mut rest): (Vec<_>, Vec<_>) =
            matching.partition(|(_, w)| w.presence(cx.now) == Presence::Ended);
        for workers in [&mut rest, &mut ended] {
            workers.sort_by(|a, b| columns::compare(order.column, order.descending, *a, *b, cx));
        }
        self.items.clear();
        self.members.clear();
        self.summaries.clear();
        self.ended = ended.len();
        self.names = rest.iter().chain(&ended).map(|(name, _)| (*name).to_owned()).collect();
        if rest.len() > FOLDED {
            self.fold(&rest, cx);
        } else {
            self.items.extend(rest.into_iter().map(|(name, _)| Item::Worker(name.to_owned())));
        }
        if !ended.is_empty() {
            self.items.push(Item::Ended);
            if self.ended_unfolded {
                self.items.extend(ended.into_iter().map(|(name, _)| Item::Worker(name.to_owned())));
            }
        }
    }

    fn fold(&mut self, workers: &[(&str, &Worker)], cx: &Cx<'_>) {
        if self.known.len() > MEMORY {
            self.known.clear();
        }
        let mut groups: BTreeMap<&str, Vec<(&str, &Worker)>> = BTreeMap::new();
        for &(name, _) in workers {
            if !self.known.contains_key(name) {
                self.known.insert(name.to_owned(), group(name, &self.rules));
            }
        }
        for &(name, worker) in workers {
            let group = self.known.get(name).map(String::as_str).unwrap_or_default();
            groups.entry(group).or_default().push((name, worker));
        }
        for (group, workers) in groups {
            if let [(name, _)] = workers[..] {
                self.items.push(Item::Worker(name.to_owned()));
                continue;
            }
            self.items.push(Item::Group(group.to_owned()));
            if self.unfolded.contains(group) {
                self.items.extend(workers.iter().map(|(name, _)| Item::Worker((*name).to_owned())));
            }
            let online = workers.iter().filter(|(_, w)| w.is_online(cx.now)).map(|(name, _)| (*name).to_owned());
            self.members.insert(group.to_owned(), online.collect());
            let summary = self.summaries.entry(group.to_owned()).or_default();
            workers.iter().for_each(|(_, worker)| summary.add(worker, cx));
        }
    }

    /// All workers that match, folded or not.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Shows a group or what ended worker by worker, or no longer; false if the row is a worker.
    pub fn toggle(&mut self, item: &Item) -> bool {
        match item {
            Item::Worker(_) => return false,
            Item::Group(group) => {
                if !self.unfolded.remove(group) {
                    self.unfolded.insert(group.clone());
                }
            }
            Item::Ended => self.ended_unfolded = !self.ended_unfolded,
        }
        true
    }

    /// The workers that rows stand for; one that stands below its group comes twice where both are meant.
    pub fn reached<'a>(&'a self, items: &'a [Item]) -> impl Iterator<Item = &'a str> {
        let of = |item: &'a Item| match item {
            Item::Worker(name) => std::slice::from_ref(name),
            Item::Group(group) => self.members.get(group).map_or(&[][..], Vec::as_slice),
            Item::Ended => &[],
        };
        items.iter().flat_map(of).map(String::as_str)
    }

    /// The same by name, each once.
    pub fn workers(&self, items: &[Item]) -> Vec<String> {
        let mut names: Vec<String> = self.reached(items).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// How a worker's name stands in the table: below its group it is indented.
    pub fn label(&self, name: &str) -> String {
        let below = self.known.get(name).is_some_and(|group| self.members.contains_key(group));
        if below { format!("  {name}") } else { name.to_owned() }
    }

    /// The line of a row that is no worker, with its counts below each other.
    pub fn line(&self, item: &Item) -> Line {
        match item {
            Item::Group(group) => self.group_line(group),
            Item::Ended => {
                let sign = if self.ended_unfolded { "▾" } else { "▸" };
                vec![(crate::clean!("{sign} {} ended in the last hour", self.ended), Role::Muted)]
            }
            Item::Worker(_) => Vec::new(),
        }
    }

    fn group_line(&self, group: &str) -> Line {
        let Some(s) = self.summaries.get(group) else { return Vec::new() };
        let wide = self.summaries.keys().map(|name| clean(name).width()).max().unwrap_or(0).clamp(8, 32);
        let name = crate::text::cut_middle(clean(group).as_str(), wide).into_owned();
        let sign = if self.unfolded.contains(group) { "▾" } else { "▸" };
        let count = |n: usize, word: &'static str, role: Role| {
            let role = if n == 0 { Role::Faint } else { role };
            (crate::clean!("{:>4} {word}", human::thousands(n as u64)), role)
        };
        let active = format!("{}/{}", human::count(s.running), human::count(s.places));
        let versions: Vec<&str> = s.versions.iter().map(String::as_str).collect();
        vec![
            (crate::clean!("{sign} "), Role::Accent),
            (crate::clean!("{name:<wide$}"), Role::Text),
            count(s.on, "on", Role::Text),
            count(s.draining, "draining", Role::Waiting),
            count(s.gone, "gone", Role::Warn),
            (Clean::own("  active "), Role::Muted),
            (crate::clean!("{active:>8}"), Role::Text),
            (Clean::own("  versions "), Role::Muted),
            (clean(&versions.join(" ")), if versions.len() > 1 { Role::Warn } else { Role::Muted }),
        ]
    }
}
