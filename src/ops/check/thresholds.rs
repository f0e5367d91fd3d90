//! From where on something is wrong: `[alerts]` of the config file, with what holds where it says nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Status;
use crate::filter::Pattern;
use crate::human;

/// Two bounds. One that is missing is never passed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limit {
    pub warning: Option<f64>,
    pub critical: Option<f64>,
}

impl Limit {
    const fn of(warning: f64, critical: f64) -> Self {
        Self { warning: Some(warning), critical: Some(critical) }
    }

    /// Of something that is the worse the more it is.
    pub fn above(&self, value: f64) -> Status {
        self.judge(|limit| value >= limit)
    }

    /// Of something that is the worse the less it is.
    pub fn below(&self, value: f64) -> Status {
        self.judge(|limit| value < limit)
    }

    fn judge(&self, passed: impl Fn(f64) -> bool) -> Status {
        match (self.critical.is_some_and(&passed), self.warning.is_some_and(&passed)) {
            (true, _) => Status::Critical,
            (_, true) => Status::Warning,
            _ => Status::Ok,
        }
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Checks that are left out.
    #[serde(deserialize_with = "names_of_checks")]
    pub skip: BTreeSet<String>,
    /// Workers that have to be there: a name or a glob, and how many.
    pub workers: BTreeMap<String, u64>,
    /// Per cent of the tasks that ended which succeeded.
    #[serde(deserialize_with = "percents")]
    pub success: Limit,
    /// Messages waiting in a queue.
    #[serde(deserialize_with = "numbers")]
    pub queue_length: Limit,
    /// Seconds that the oldest message of a queue has waited.
    #[serde(deserialize_with = "times")]
    pub oldest: Limit,
    /// How many times its own p99 a task may run.
    #[serde(deserialize_with = "numbers")]
    pub slow: Limit,
    /// Failures of one kind a minute.
    #[serde(deserialize_with = "numbers")]
    pub failures: Limit,
    /// Load of a worker's machine over a minute.
    #[serde(deserialize_with = "numbers")]
    pub worker_load: Limit,
    /// Peak memory of a worker's main process.
    #[serde(deserialize_with = "sizes")]
    pub worker_memory: Limit,
    /// Seconds the broker takes to answer.
    #[serde(deserialize_with = "times")]
    pub broker_answer: Limit,
    /// Per cent of the memory the broker may take.
    #[serde(deserialize_with = "percents")]
    pub broker_memory: Limit,
    /// Events that were missed.
    #[serde(deserialize_with = "numbers")]
    pub events_missed: Limit,
    /// Memory of the process that records.
    #[serde(deserialize_with = "sizes")]
    pub own_memory: Limit,
    /// Queues that have bounds of their own, by name or glob.
    pub queues: BTreeMap<String, OfQueue>,
    /// Tasks that have bounds of their own, by name or glob.
    pub tasks: BTreeMap<String, OfTask>,
}

/// Bounds of one queue; what is left out is as for all.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfQueue {
    #[serde(deserialize_with = "some_numbers")]
    pub length: Option<Limit>,
    #[serde(deserialize_with = "some_times")]
    pub oldest: Option<Limit>,
}

/// Bounds of one task; what is left out is as for all.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfTask {
    #[serde(deserialize_with = "some_percents")]
    pub success: Option<Limit>,
    /// Seconds it may run, in place of its p99.
    #[serde(deserialize_with = "some_times")]
    pub runtime: Option<Limit>,
    #[serde(deserialize_with = "some_numbers")]
    pub failures: Option<Limit>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            skip: BTreeSet::new(),
            workers: BTreeMap::new(),
            success: Limit::of(95.0, 80.0),
            queue_length: Limit::of(100.0, 1_000.0),
            oldest: Limit::of(300.0, 1_800.0),
            slow: Limit::of(2.0, 10.0),
            failures: Limit::of(10.0, 60.0),
            // How many processors a worker's machine has, and how much memory, is not told over the broker.
            worker_load: Limit::default(),
            worker_memory: Limit::default(),
            broker_answer: Limit::of(0.5, 2.0),
            broker_memory: Limit::of(80.0, 95.0),
            events_missed: Limit::of(1.0, 1_000.0),
            own_memory: Limit::of(f64::from(512 << 20), f64::from(1 << 30)),
            queues: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }
}

impl Thresholds {
    /// What is said of this queue.
    pub fn queue(&self, name: &str) -> OfQueue {
        let own = of(&self.queues, name);
        OfQueue {
            length: Some(own.and_then(|q| q.length).unwrap_or(self.queue_length)),
            oldest: Some(own.and_then(|q| q.oldest).unwrap_or(self.oldest)),
        }
    }

    /// What is said of this task.
    pub fn task(&self, name: &str) -> OfTask {
        of(&self.tasks, name).cloned().unwrap_or_default()
    }
}

/// By its name, else by the first glob that it matches.
fn of<'a, T>(table: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    table.get(name).or_else(|| table.iter().find(|(glob, _)| fits(glob, name)).map(|(_, value)| value))
}

/// Whether a name is this one, or matches this glob.
pub(super) fn fits(glob: &str, name: &str) -> bool {
    glob == name || (glob.contains('*') && Pattern::new(glob).matches(name))
}

/// A bound as it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    warning: Option<Written>,
    critical: Option<Written>,
}

fn pair<'de, D: Deserializer<'de>>(
    deserializer: D,
    takes: &str,
    read: impl Fn(&Written) -> Option<f64>,
) -> Result<Limit, D::Error> {
    let wrong = || D::Error::custom(format!("takes {takes}"));
    let written = Pair::deserialize(deserializer).map_err(|_| wrong())?;
    let bound = |written: Option<Written>| match &written {
        None => Ok(None),
        Some(text) => read(text).filter(|n| n.is_finite() && *n >= 0.0).map(Some).ok_or_else(wrong),
    };
    Ok(Limit { warning: bound(written.warning)?, critical: bound(written.critical)? })
}

fn number(written: &Written) -> Option<f64> {
    match written {
        Written::Number(number) => Some(*number),
        Written::Text(_) => None,
    }
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    pair(deserializer, "numbers such as { warning = 100, critical = 1000 }", number)
}

fn percents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    let read = |written: &Written| number(written).filter(|n| *n <= 100.0);
    pair(deserializer, "per cent such as { warning = 95, critical = 80 }", read)
}

fn times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    pair(deserializer, "times such as { warning = \"5m\", critical = \"1h\" }", |written| match written {
        Written::Number(secs) => Some(*secs),
        Written::Text(text) => human::parse_seconds(text),
    })
}

fn sizes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    pair(deserializer, "sizes such as { warning = \"512M\", critical = \"1G\" }", |written| match written {
        Written::Number(bytes) => Some(*bytes),
        Written::Text(text) => human::parse_bytes(text).map(|bytes| bytes as f64),
    })
}

fn some_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Limit>, D::Error> {
    numbers(deserializer).map(Some)
}

fn some_percents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Limit>, D::Error> {
    percents(deserializer).map(Some)
}

fn some_times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Limit>, D::Error> {
    times(deserializer).map(Some)
}

fn names_of_checks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let names = BTreeSet::<String>::deserialize(deserializer)?;
    match names.iter().find(|name| !super::NAMES.contains(&name.as_str())) {
        Some(name) => {
            let name = crate::text::clean(name);
            Err(D::Error::custom(format!("takes names of checks, not {name}; there are {}", super::NAMES.join(", "))))
        }
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_name_then_of_a_glob_then_of_all() {
        let text = "queue_length = { warning = 5 }\n[queues.payments]\nlength = { critical = 7 }\n\
                    [queues.\"pay*\"]\nlength = { critical = 8 }\noldest = { warning = \"10s\" }\n";
        let thresholds: Thresholds = toml::from_str(text).unwrap();
        let length = |name: &str| thresholds.queue(name).length.unwrap();
        assert_eq!(length("payments").critical, Some(7.0));
        assert_eq!(length("payouts").critical, Some(8.0));
        assert_eq!(length("other"), Limit { warning: Some(5.0), critical: None });
        assert_eq!(thresholds.queue("payouts").oldest.unwrap().warning, Some(10.0));
        assert_eq!(thresholds.queue("payments").oldest.unwrap(), Thresholds::default().oldest);
    }

    #[test]
    fn a_bound_says_what_it_takes() {
        let wrong = |text: &str| toml::from_str::<Thresholds>(text).unwrap_err().message().to_owned();
        assert!(wrong("success = { warning = 120 }").contains("takes per cent such as"));
        assert!(wrong("oldest = { warning = \"soon\" }").contains("takes times such as"));
        assert!(wrong("own_memory = 5").contains("takes sizes such as"));
        assert!(wrong("skip = [\"sucess\"]").contains("not sucess; there are broker, "));
    }

    #[test]
    fn a_bound_is_passed_when_it_is_reached_and_a_missing_one_never() {
        let limit = Limit::of(95.0, 80.0);
        assert_eq!([95.0, 94.9, 79.9].map(|n| limit.below(n)), [Status::Ok, Status::Warning, Status::Critical]);
        let limit = Limit::of(100.0, 1_000.0);
        assert_eq!([99.0, 100.0, 1_000.0].map(|n| limit.above(n)), [Status::Ok, Status::Warning, Status::Critical]);
        assert_eq!(Limit::default().above(f64::MAX), Status::Ok);
    }
}
