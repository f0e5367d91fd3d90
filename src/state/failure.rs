//! Failures by task and exception type.

use std::collections::HashMap;

use crate::celery::TaskId;
use crate::clock::Stamp;

use super::intern::Sym;

/// Failures of one task with one type of exception.
#[derive(Clone, Debug)]
pub struct Group {
    pub task: Option<Sym>,
    pub exception: Option<Sym>,
    pub count: u64,
    pub first: Stamp,
    pub last: Stamp,
    /// The latest task that failed so.
    pub example: TaskId,
}

/// All groups; the one heard of longest ago goes when there are too many.
#[derive(Default)]
pub struct Failures {
    groups: HashMap<(Option<Sym>, Option<Sym>), Group>,
}

/// How many groups are kept.
const MAX_GROUPS: usize = 2_000;

impl Failures {
    pub(super) fn count(&mut self, task: Option<Sym>, exception: Option<Sym>, id: &TaskId, at: Stamp) {
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&(task, exception)) {
            let oldest = self.groups.iter().min_by_key(|(_, g)| g.last).map(|(key, _)| *key);
            oldest.and_then(|key| self.groups.remove(&key));
        }
        let group = self.groups.entry((task, exception)).or_insert_with(|| Group {
            task,
            exception,
            count: 0,
            first: at,
            last: at,
            example: id.clone(),
        });
        group.count += 1;
        group.last = group.last.max(at);
        group.example = id.clone();
    }

    /// The groups, the most numerous first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|g| (std::cmp::Reverse(g.count), g.task, g.exception));
        groups
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = Sym> + '_ {
        self.groups.keys().flat_map(|(a, b)| [*a, *b]).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_bounded_and_the_stalest_goes() {
        let mut names = super::super::intern::Interner::default();
        let mut failures = Failures::default();
        for n in 0..MAX_GROUPS as i64 + 5 {
            let task = names.intern(&format!("t{n}"));
            failures.count(Some(task), None, &TaskId::new("x"), Stamp::from_micros(n + 1));
        }
        assert_eq!(failures.groups().len(), MAX_GROUPS);
        assert!(failures.groups().iter().all(|g| g.first.micros() > 5));
    }
}
