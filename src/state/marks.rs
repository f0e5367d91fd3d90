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
        self.kept.push_back(Mark { at, text });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// A worker said that it has started. Those that start together share a mark.
    pub(super) fn worker_started(&mut self, at: Stamp, name: &str, version: Option<&str>) {
        match &mut self.starting {
            Some(starting) if at.since(starting.at) < TOGETHER => {
                starting.workers += 1;
                let version = starting.version.as_deref().map_or(String::new(), |v| format!(", celery {v}"));
                let text = format!("deploy: {} workers started{version}", starting.workers);
                let begun = starting.at;
                if let Some(mark) = self.kept.iter_mut().rev().find(|mark| mark.at == begun) {
                    mark.text = text;
                }
            }
            _ => {
                self.starting = Some(Starting { at, workers: 1, version: version.map(str::to_owned) });
                self.set(at, format!("{name} started"));
            }
        }
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
        marks.worker_started(at(0), "celery@a", Some("5.7.0"));
        assert_eq!(marks.all().next().map(|m| m.text.as_str()), Some("celery@a started"));
        marks.worker_started(at(3), "celery@b", Some("5.7.0"));
        marks.worker_started(at(9), "celery@c", Some("5.7.0"));
        marks.worker_started(at(90), "celery@a", None);
        let texts: Vec<&str> = marks.all().map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["deploy: 3 workers started, celery 5.7.0", "celery@a started"]);
        assert_eq!(marks.find("deploy"), Some(at(0)));
        assert_eq!(marks.find("v412"), None);
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
