//! Failures grouped by what went wrong where: task, type of exception, message without what differs from call to call,
//! and the function that raised it. Line numbers don't count: they move with every deploy.

use std::fmt;
use std::time::Duration;

use hashbrown::HashMap;

use crate::celery::TaskId;
use crate::celery::traceback::{self, Frame};
use crate::clock::Stamp;

use super::doc::TaskDoc;
use super::intern::Sym;
use super::series::Ring;

/// Names a group: the same failures have the same name wherever flower-tui runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupId(pub(super) u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// How a group behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trend {
    /// First seen within the last ten minutes, and not just because we have only now begun to watch.
    New,
    /// More in the last five minutes than in the fifteen before, and still at it.
    Growing,
    /// It had been gone for half an hour.
    Back,
}

/// Failures of one kind.
#[derive(Clone)]
pub struct Group {
    pub id: GroupId,
    pub task: Option<Sym>,
    pub exception: Option<Sym>,
    /// The message with placeholders.
    pub message: Box<str>,
    /// `gateway.py:88 in charge`, as of the latest failure; empty if no traceback told.
    pub raised_at: Box<str>,
    pub count: u64,
    /// Failed, not sent again since, and without a later success.
    pub open: u64,
    pub first: Stamp,
    pub last: Stamp,
    /// When it came back after half an hour without.
    pub back: Option<Stamp>,
    /// The latest task that failed so.
    pub example: TaskId,
    /// Failures by the minute.
    pub minutes: Ring<u32>,
}

impl Group {
    /// What is remarkable about it, if anything is. `watching` is when we began to look.
    pub fn trend(&self, now: Stamp, watching: Stamp) -> Option<Trend> {
        let age = now.since(self.first);
        if age < NEW && self.first.since(watching) > NEW {
            return Some(Trend::New);
        }
        if self.back.is_some_and(|back| now.since(back) < NEW) {
            return Some(Trend::Back);
        }
        let minutes: Vec<u32> = self.minutes.last_with_open(20, now).collect();
        let (before, lately) = minutes.split_at(15);
        let (before, lately): (u32, u32) = (before.iter().sum(), lately.iter().sum());
        let watched = now.since(watching) >= LOOKED_AT && now.since(self.last) < STILL;
        (watched && lately >= 5 && lately > before).then_some(Trend::Growing)
    }
}

/// Without having seen so much nobody knows whether it grows.
const LOOKED_AT: Duration = Duration::from_secs(1_200);
/// A group without a failure for so long does not grow any more.
const STILL: Duration = Duration::from_secs(120);
/// How long a group is new, or newly back.
const NEW: Duration = Duration::from_secs(600);
/// After so long without a failure the next one brings a group back.
const GONE: Duration = Duration::from_secs(1_800);
/// How many groups are kept.
const MAX_GROUPS: usize = 2_000;

/// A failure as it is announced.
pub(super) struct Failure<'a> {
    pub task: Option<(Sym, &'a str)>,
    pub exception: Option<Sym>,
    pub text: &'a str,
    pub traceback: Option<&'a str>,
    pub id: &'a TaskId,
    pub at: Stamp,
}

/// All groups; the one heard of longest ago goes when there are too many.
#[derive(Default)]
pub struct Failures {
    groups: HashMap<GroupId, Group>,
}

impl Failures {
    /// Counts a failure, and says which group it belongs to.
    pub(super) fn count(&mut self, failure: &Failure<'_>) -> GroupId {
        let frame = failure.traceback.and_then(traceback::raised_at);
        let (id, message) = name(failure.task.map_or("", |(_, name)| name), failure.text, frame);
        let at = failure.at;
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&id) {
            let oldest = self.groups.iter().min_by_key(|(_, g)| g.last).map(|(key, _)| *key);
            oldest.and_then(|key| self.groups.remove(&key));
        }
        let group = self.groups.entry(id).or_insert_with(|| Group {
            id,
            task: failure.task.map(|(sym, _)| sym),
            exception: failure.exception,
            message: message.into(),
            raised_at: Box::default(),
            count: 0,
            open: 0,
            first: at,
            last: at,
            back: None,
            example: failure.id.clone(),
            minutes: Ring::new(60, 61),
        });
        group.count += 1;
        group.open += 1;
        if group.last + GONE < at {
            group.back = Some(at);
        }
        group.last = group.last.max(at);
        group.example = failure.id.clone();
        if let Some(frame) = frame {
            group.raised_at = place_of(frame).into();
        }
        if let Some(minute) = group.minutes.at(at) {
            *minute += 1;
        }
        id
    }

    /// One of the group belongs to another: it failed at this time by its worker's clock. Says when it was counted.
    pub(super) fn take_back(&mut self, id: GroupId, at: Option<Stamp>) -> Option<Stamp> {
        let group = self.groups.get_mut(&id)?;
        group.count = group.count.saturating_sub(1);
        group.open = group.open.saturating_sub(1);
        let at = at.unwrap_or(group.last).clamp(group.first, group.last);
        if let Some(minute) = group.minutes.at(at) {
            *minute = minute.saturating_sub(1);
        }
        if group.count == 0 {
            self.groups.remove(&id);
        }
        Some(at)
    }

    /// A failed task of the group was sent again, or succeeded after all.
    pub(super) fn close(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.open = group.open.saturating_sub(1);
        }
    }

    /// The groups, the most numerous first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|g| (std::cmp::Reverse(g.count), g.id));
        groups
    }

    /// One group.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = Sym> + '_ {
        self.groups.values().flat_map(|g| [g.task, g.exception]).flatten()
    }
}

/// `gateway.py:88 in charge`.
fn place_of(frame: Frame<'_>) -> String {
    match frame.function {
        "" => format!("{}:{}", frame.file, frame.line),
        function => format!("{}:{} in {function}", frame.file, frame.line),
    }
}

/// The group of a failure, and its message without what differs from call to call.
fn name(task: &str, exception: &str, frame: Option<Frame<'_>>) -> (GroupId, String) {
    let (kind, message) = traceback::exception(exception);
    let message = traceback::normalise(message);
    let (file, function) = frame.map_or(("", ""), |f| (f.file, f.function));
    (hash([task, kind, &message, file, function]), message)
}

/// The group that a failed task belongs to.
pub fn group_of(doc: &TaskDoc) -> Option<GroupId> {
    let exception = doc.exception.as_deref().filter(|_| doc.state == "FAILURE")?;
    let frame = doc.traceback.as_deref().and_then(traceback::raised_at);
    let told = traceback::telling(exception, doc.traceback.as_deref());
    Some(name(doc.name.as_deref().unwrap_or_default(), told, frame).0)
}

/// FNV-1a: the same on every machine and in every version, which a hash map's own hash is not.
fn hash(parts: [&str; 5]) -> GroupId {
    let mut hash: u32 = 0x811c_9dc5;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    GroupId(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(failures: &mut Failures, text: &str, traceback: Option<&str>, at: i64) -> GroupId {
        let id = TaskId::new("x");
        let at = Stamp::from_micros(1_000_000_000_000 + at * 1_000_000);
        failures.count(&Failure { task: None, exception: None, text, traceback, id: &id, at })
    }

    #[test]
    fn what_differs_from_call_to_call_stays_in_one_group() {
        let mut failures = Failures::default();
        let frame = |line| format!("  File \"/srv/gateway.py\", line {line}, in charge\n");
        let a = fail(&mut failures, "Declined('card 12')", Some(&frame(88)), 1);
        let b = fail(&mut failures, "Declined('card 99')", Some(&frame(91)), 2);
        let c = fail(&mut failures, "Declined('no card')", Some(&frame(91)), 3);
        assert_eq!(a, b);
        assert_ne!(a, c);
        let group = failures.group(a).expect("known");
        assert_eq!((group.count, &*group.message, &*group.raised_at), (2, "card <n>", "gateway.py:91 in charge"));
        failures.close(a);
        assert_eq!(failures.group(a).map(|g| g.open), Some(1));
    }

    #[test]
    fn groups_are_bounded_and_the_stalest_goes() {
        let mut failures = Failures::default();
        for n in 0..MAX_GROUPS as i64 + 5 {
            let letters: String = n.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
            fail(&mut failures, &format!("E('{letters}')"), None, n);
        }
        assert_eq!(failures.groups().len(), MAX_GROUPS);
    }

    #[test]
    fn a_group_that_grows_or_comes_back_is_told() {
        let mut failures = Failures::default();
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        let id = fail(&mut failures, "E('x')", None, 0);
        for n in 0..9 {
            fail(&mut failures, "E('x')", None, 1_200 + n);
        }
        let trend = |failures: &Failures, now| failures.group(id).and_then(|g| g.trend(at(now), at(-10)));
        assert_eq!(trend(&failures, 1_210), Some(Trend::Growing));
        fail(&mut failures, "E('x')", None, 9_000);
        assert_eq!(trend(&failures, 9_010), Some(Trend::Back));
        assert_eq!(trend(&failures, 12_000), None);
    }
}
