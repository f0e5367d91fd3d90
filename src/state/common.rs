//! What some tasks have in common that others of the same name and time have not. Takes long: not for the main thread.

mod facts;
mod score;

use std::collections::HashSet;

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::Filter;

use super::intern::Sym;
use super::live::Sort;
use super::{Model, Store};
pub use facts::Fact;
pub use score::Line;

/// Chosen tasks looked at, and others they are compared with.
pub const MOST: usize = 10_000;
/// Tasks passed under one lock, and those whose arguments are read under one.
const SLICE: usize = 50_000;
const READ: usize = 250;
/// Seconds before the first and after the last chosen one that are the same time.
const AROUND: f64 = 300.0;

/// Whose common traits are asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    Tasks(Vec<TaskId>),
    Filter(Filter),
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Common {
    pub chosen: usize,
    /// More were chosen than were looked at.
    pub cut: bool,
    pub others: usize,
    /// There are more others: these are a sample.
    pub sampled: bool,
    /// The strongest difference first.
    pub lines: Vec<Line>,
}

/// How long before the first and after the last chosen one is the same time.
pub fn around(first: Stamp, last: Stamp) -> std::time::Duration {
    std::time::Duration::from_secs_f64(AROUND.max(last.since(first).as_secs_f64() / 2.0))
}

/// Which tasks are others.
struct Others {
    names: HashSet<Sym>,
    not: HashSet<TaskId>,
    from: Stamp,
    to: Stamp,
    /// Passed so far that fit.
    seen: usize,
    sample: Vec<TaskId>,
    random: fastrand::Rng,
}

impl Others {
    /// The rest of the same names and time.
    fn of(ids: &[TaskId], model: &Model) -> Self {
        let tasks = || ids.iter().filter_map(|id| model.task(id));
        let seen: Vec<Stamp> = tasks().filter_map(|task| task.seen()).collect();
        let (first, last) = (seen.iter().min().copied(), seen.iter().max().copied());
        let (first, last) = (first.unwrap_or(model.now()), last.unwrap_or(model.now()));
        let around = around(first, last);
        Self {
            names: tasks().filter_map(|task| task.hot.name).collect(),
            not: ids.iter().cloned().collect(),
            from: first - around,
            to: last + around,
            seen: 0,
            sample: Vec::new(),
            random: fastrand::Rng::with_seed(ids.len() as u64),
        }
    }

    /// Looks at a slice of all tasks; false when there are no more. Each that fits has the same chance to be taken.
    fn look(&mut self, model: &Model, begin: usize) -> bool {
        let end = model.tasks.hot.len().min(begin + SLICE);
        for slot in begin as u32..end as u32 {
            if !model.tasks.is_live(slot) {
                continue;
            }
            let task = model.at(slot);
            let fits = task.hot.name.is_some_and(|name| self.names.contains(&name))
                && task.seen().is_some_and(|at| at >= self.from && at <= self.to)
                && !self.not.contains(task.id());
            if !fits {
                continue;
            }
            self.seen += 1;
            if self.sample.len() < MOST {
                self.sample.push(task.id().clone());
            } else if let Some(place) = self.sample.get_mut(self.random.usize(..self.seen)) {
                *place = task.id().clone();
            }
        }
        end < model.tasks.hot.len()
    }
}

impl Store {
    /// What the chosen have in common, in slices that let writers in between.
    pub fn common(&self, chosen: &Chosen) -> Common {
        let mut ids = match chosen {
            Chosen::Tasks(ids) => ids.clone(),
            Chosen::Filter(filter) => self.select_ids(filter, Sort::default()),
        };
        let cut = ids.len() > MOST;
        ids.truncate(MOST);
        let mut others = self.read(|m| Others::of(&ids, m));
        if cut {
            // Those that were cut off are no others.
            if let Chosen::Filter(filter) = chosen {
                others.not.extend(self.select_ids(filter, Sort::default()));
            }
        }
        let mut begin = 0;
        while self.read(|m| others.look(m, begin)) {
            begin += SLICE;
        }
        let (with, without) = (self.facts(&ids), self.facts(&others.sample));
        Common {
            chosen: with.len(),
            cut,
            others: without.len(),
            sampled: others.seen > others.sample.len(),
            lines: score::lines(&with, &without),
        }
    }

    fn facts(&self, ids: &[TaskId]) -> Vec<Vec<Fact>> {
        let slices = ids.chunks(READ);
        slices
            .flat_map(|ids| {
                self.read(|m| ids.iter().filter_map(|id| Some(facts::of(&m.task(id)?, m))).collect::<Vec<_>>())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::filter;
    use crate::state::{Limits, Update};
    use serde_json::{Value, json};
    use std::sync::Arc;

    /// Two thousand tasks; those a cause is planted in fail mostly, a few others by chance.
    fn planted(cause: bool) -> Store {
        let store = Store::new(Limits::default());
        let mut random = fastrand::Rng::with_seed(3);
        let mut events: Vec<Value> = Vec::new();
        for n in 0..2_000 {
            let tenant = ["acme", "globex", "initech", "umbrella", "hooli"][random.usize(..5)];
            let worker = format!("celery@app-{}", random.u32(1..6));
            let fails = (cause && tenant == "acme" && random.f64() < 0.9) || random.f64() < 0.02;
            let at = 1_000.0 + f64::from(n) * 0.5;
            events.push(json!({"type": "task-received", "uuid": format!("t{n}"), "hostname": worker,
                "name": "billing.charge", "args": format!("({n}, 'EUR')"),
                "kwargs": format!("{{'tenant': '{tenant}', 'password': 'x{n}'}}"), "timestamp": at, "pid": 7}));
            let end = if fails { "task-failed" } else { "task-succeeded" };
            events.push(json!({"type": end, "uuid": format!("t{n}"), "hostname": worker, "exception": "E()",
                "runtime": 0.1, "result": "1", "timestamp": at + 0.2, "pid": 7}));
        }
        let mut batch = Batch::default();
        let body = Value::Array(events).to_string();
        batch.push_body(Format::Json, body.as_bytes(), Stamp::from_micros(2_000_000_000)).expect("events");
        store.apply(&[Update::Events(Arc::new(batch))]);
        store
    }

    fn failed() -> Chosen {
        Chosen::Filter(filter::parse("state:failure").expect("a filter"))
    }

    #[test]
    fn a_planted_cause_is_found_and_leads_to_its_tasks() {
        let store = planted(true);
        let found = store.common(&failed());
        assert_eq!(found.chosen + found.others, 2_000);
        let first = &found.lines[0];
        assert_eq!((first.what.as_str(), first.value.as_str()), ("kwargs.tenant", "'acme'"), "{found:?}");
        assert!(first.share() > 0.85 && first.share_of_others() < 0.05, "{first:?}");
        assert!(found.lines.iter().all(|line| !line.what.contains("password")), "{found:?}");
        let term = first.test.clone().expect("can be asked for");
        let filter = Filter { terms: vec![filter::Term { negated: false, test: term }] };
        assert_eq!(filter.to_string(), r#"kwargs:"'tenant': 'acme'""#);
        let again = filter::parse(&filter.to_string()).expect("reads back");
        let ids = store.select_ids(&again, Sort::default());
        assert!((300..500).contains(&ids.len()), "{}", ids.len());
    }

    #[test]
    fn where_nothing_stands_out_nothing_is_claimed() {
        let found = planted(false).common(&failed());
        assert!(found.chosen > 20 && found.others > 1_900, "{found:?}");
        assert_eq!(found.lines, []);
    }

    #[test]
    fn two_marked_tasks_are_enough_where_the_others_are_otherwise() {
        let store = planted(true);
        let by_worker = |name: &str| {
            let filter = filter::parse(&format!("worker:={name} kwargs:globex")).expect("a filter");
            store.select_ids(&filter, Sort::default()).into_iter().take(6).collect::<Vec<_>>()
        };
        let found = store.common(&Chosen::Tasks(by_worker("celery@app-3")));
        let lines: Vec<(&str, &str)> = found.lines.iter().map(|l| (l.what.as_str(), l.value.as_str())).collect();
        assert!(
            lines.contains(&("worker", "celery@app-3")) && lines.contains(&("kwargs.tenant", "'globex'")),
            "{lines:?}"
        );
        assert_eq!(store.common(&Chosen::Tasks(Vec::new())), Common::default());
    }
}
