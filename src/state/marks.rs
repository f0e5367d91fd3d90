//! What happened to the cluster as a whole, so that a change in a chart has a name: deploys, new versions, queues that
//! appear or lose their last consumer, the link, and our own commands.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Stamp;

use super::intern::Sym;

/// A moment with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub at: Stamp,
    pub text: String,
    /// It was written down before we came.
    pub past: bool,
}

/// See the module.
#[derive(Default)]
pub struct Marks {
    kept: VecDeque<Mark>,
    /// The start of workers that is still being counted: others may follow.
    starting: Option<Starting>,
    /// Consumers of each queue when they were last counted.
    consumers: HashMap<Sym, usize>,
}

struct Starting {
    at: Stamp,
    workers: usize,
    version: Option<String>,
}

/// How many are remembered.
const KEPT: usize = 500;
/// Workers that start within this time start together.
const TOGETHER: Duration = Duration::from_secs(30);

impl Marks {
    /// Sets a mark.
    pub(super) fn set(&mut self, at: Stamp, text: String) {
        self.kept.push_back(Mark { at, text, past: false });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// Takes a mark of before we came to its place among the others.
    pub(super) fn set_past(&mut self, at: Stamp, text: String) {
        let place = self.kept.partition_point(|mark| mark.at <= at);
        self.kept.insert(place, Mark { at, text, past: true });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// A worker said that it has started. Those that start together share a mark. With it comes the version it runs, and
    /// the one it ran before, where it was known.
    pub(super) fn worker_started(&mut self, at: Stamp, name: &str, version: Option<&str>, before: Option<&str>) {
        let changed = before.zip(version).filter(|(before, version)| before != version);
        let version = match (changed, version) {
            (Some((before, version)), _) => Some(format!("celery {before} → {version}")),
            (None, version) => version.map(|version| format!("celery {version}")),
        };
        match &mut self.starting {
            Some(starting) if at.since(starting.at) < TOGETHER => {
                starting.workers += 1;
                if changed.is_some() {
                    starting.version = version;
                }
                let version = starting.version.as_deref().map_or(String::new(), |v| format!(", {v}"));
                let text = format!("deploy: {} workers started{version}", starting.workers);
                let begun = starting.at;
                if let Some(mark) = self.kept.iter_mut().rev().find(|mark| mark.at == begun) {
                    mark.text = text;
                }
            }
            _ => {
                let change = version.as_deref().filter(|_| changed.is_some());
                self.set(at, format!("{name} started{}", change.map_or(String::new(), |v| format!(", {v}"))));
                self.starting = Some(Starting { at, workers: 1, version });
            }
        }
    }

    /// Something of a worker is not as it was. The same change of several at a time is one mark.
    pub(super) fn worker_changed(&mut self, at: Stamp, name: &str, what: &str) {
        let same = self.kept.iter_mut().rev().take_while(|mark| at.since(mark.at) < TOGETHER);
        for mark in same {
            let others = match mark.text.strip_suffix(what).map(str::trim_end) {
                Some(whose) if whose.ends_with(" workers:") => whose.split(' ').next().and_then(|n| n.parse().ok()),
                Some(whose) if whose.ends_with(':') => Some(1),
                _ => None,
            };
            if let Some(others) = others {
                let others: usize = others;
                mark.text = format!("{} workers: {what}", others + 1);
                return;
            }
        }
        self.set(at, format!("{name}: {what}"));
    }

    /// Queues with how many consume them: tells of new ones and of those that have lost the last.
    pub(super) fn consumers<'a>(&mut self, at: Stamp, counts: impl Iterator<Item = (Sym, &'a str, usize)>) {
        let first = self.consumers.is_empty();
        for (queue, name, count) in counts {
            match self.consumers.insert(queue, count) {
                None if !first => self.set(at, format!("queue {name} appeared")),
                Some(before) if before > 0 && count == 0 => {
                    self.set(at, format!("queue {name} lost its last consumer"));
                }
                _ => {}
            }
        }
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = Sym> + '_ {
        self.consumers.keys().copied()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.kept.iter()
    }

    /// Those after a time, up to another.
    pub fn between(&self, after: Stamp, until: Stamp) -> impl Iterator<Item = &Mark> {
        self.kept.iter().filter(move |mark| after < mark.at && mark.at <= until)
    }

    /// The latest whose text has these words.
    pub fn find(&self, text: &str) -> Option<Stamp> {
        let wanted = text.to_lowercase();
        self.kept.iter().rev().find(|mark| mark.text.to_lowercase().contains(&wanted)).map(|mark| mark.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_start_together_are_a_deploy() {
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        let mut marks = Marks::default();
        marks.worker_started(at(0), "celery@a", Some("5.7.0"), None);
        assert_eq!(marks.all().next().map(|m| m.text.as_str()), Some("celery@a started"));
        marks.worker_started(at(3), "celery@b", Some("5.7.0"), None);
        marks.worker_started(at(9), "celery@c", Some("5.7.0"), Some("5.7.0"));
        marks.worker_started(at(90), "celery@a", Some("5.7.1"), Some("5.7.0"));
        let texts: Vec<&str> = marks.all().map(|m| m.text.as_str()).collect();
        let deploy = "deploy: 3 workers started, celery 5.7.0";
        assert_eq!(texts, [deploy, "celery@a started, celery 5.7.0 → 5.7.1"]);
        marks.worker_started(at(92), "celery@b", Some("5.7.1"), Some("5.7.0"));
        let last = marks.all().last().map(|m| m.text.clone());
        assert_eq!(last.as_deref(), Some("deploy: 2 workers started, celery 5.7.0 → 5.7.1"));
        assert_eq!(marks.find("3 workers"), Some(at(0)));
        assert_eq!(marks.find("v412"), None);
    }

    #[test]
    fn the_same_change_of_several_workers_is_one_mark() {
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        let mut marks = Marks::default();
        for (secs, name) in [(0, "celery@a"), (1, "celery@b"), (2, "celery@c")] {
            marks.worker_changed(at(secs), name, "its configuration changed");
        }
        marks.worker_changed(at(3), "celery@a", "registers 2 tasks more");
        let texts: Vec<&str> = marks.all().map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["3 workers: its configuration changed", "celery@a: registers 2 tasks more"]);
    }

    #[test]
    fn a_queue_that_loses_its_last_consumer_is_marked_once() {
        let mut names = super::super::intern::Interner::default();
        let (a, b) = (names.intern("a"), names.intern("b"));
        let mut marks = Marks::default();
        marks.consumers(Stamp::EPOCH, [(a, "a", 2)].into_iter());
        marks.consumers(Stamp::EPOCH, [(a, "a", 0), (b, "b", 0)].into_iter());
        marks.consumers(Stamp::EPOCH, [(a, "a", 0), (b, "b", 0)].into_iter());
        let texts: Vec<&str> = marks.all().map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["queue a lost its last consumer", "queue b appeared"]);
    }
}
