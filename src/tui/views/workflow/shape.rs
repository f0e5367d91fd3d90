//! What kind of workflow it is. Events say only who called whom; which tasks form a group is told by messages and
//! results that were seen, and the rest by who was sent when.

use std::collections::{HashMap, HashSet};

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::{self, Filter};
use crate::state::{Model, Task};

/// The strongest thing that can be said of it.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum Kind {
    Chord,
    Group,
    Chain,
    /// Tasks that called others.
    #[default]
    Calls,
}

impl Kind {
    /// Its name at the head of the screen.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Chord => "chord  ",
            Kind::Group => "group  ",
            Kind::Chain => "chain  ",
            Kind::Calls => "workflow  ",
        }
    }
}

/// Workflows that are shown as one at most: members of a group that a client sent are each the root of their own.
const ROOTS: usize = 500;
/// Seconds by which what follows may seem to be sent before that ended which it follows: its worker sends it first.
const SLACK: f64 = 0.1;

/// Everything that belongs to the workflow of a task, by the roots of those that form a group with it.
pub fn filter(id: &TaskId, root: &TaskId, known: &[TaskId], model: &Model) -> Filter {
    let mut roots = vec![root.clone()];
    let mut seen: HashSet<TaskId> = roots.iter().cloned().collect();
    let mut groups: HashSet<&str> = HashSet::new();
    let mut tasks: Vec<&TaskId> = known.iter().chain([id]).collect();
    while let Some(task) = tasks.pop() {
        let Some(group) = model.canvas(task).and_then(|canvas| canvas.group.as_deref()) else { continue };
        if !groups.insert(group) {
            continue;
        }
        for member in model.members(group) {
            let root = model.task(member).and_then(|task| task.root()).unwrap_or_else(|| member.clone());
            if roots.len() < ROOTS && seen.insert(root.clone()) {
                roots.push(root);
            }
            tasks.push(member);
        }
    }
    let patterns: Vec<String> = roots.iter().map(|root| format!("={}", filter::quoted(&root.to_string()))).collect();
    filter::parse(&format!("root:{}", patterns.join(","))).unwrap_or_default()
}

/// Members of each group, by their place among the tasks.
fn groups<'m>(tasks: &[Task<'m>], model: &'m Model) -> HashMap<&'m str, Vec<usize>> {
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, task) in tasks.iter().enumerate() {
        if let Some(group) = model.canvas(task.id()).and_then(|canvas| canvas.group.as_deref()) {
            groups.entry(group).or_default().push(i);
        }
    }
    groups.retain(|_, members| members.len() > 1);
    groups
}

fn sent(task: &Task<'_>) -> Option<Stamp> {
    task.sent().or(task.received())
}

/// Whether one was sent when others had ended: it follows them, and was not called by them.
fn follows(task: &Task<'_>, others: &[&Task<'_>]) -> bool {
    let Some(at) = sent(task) else { return false };
    others.iter().all(|other| other.finished().is_some_and(|ended| ended.secs() <= at.secs() + SLACK))
}

/// Tasks that ran when a whole group was done: their parent is the member that ended last.
pub fn bodies(tasks: &[Task<'_>], model: &Model) -> HashSet<TaskId> {
    let mut bodies = HashSet::new();
    for members in groups(tasks, model).values() {
        let ids: HashSet<&TaskId> = members.iter().map(|&i| tasks[i].id()).collect();
        let group: Vec<&Task<'_>> = members.iter().map(|&i| &tasks[i]).collect();
        let children = tasks.iter().filter(|t| t.parent().is_some_and(|p| ids.contains(p)) && !ids.contains(t.id()));
        bodies.extend(children.filter(|task| follows(task, &group)).map(|task| task.id().clone()));
    }
    bodies
}

/// What kind of workflow these tasks are.
pub fn kind(tasks: &[Task<'_>], bodies: &HashSet<TaskId>, model: &Model) -> Kind {
    let canvases = || tasks.iter().filter_map(|task| model.canvas(task.id()));
    if !bodies.is_empty() || canvases().any(|canvas| canvas.chord.is_some()) {
        return Kind::Chord;
    }
    if !groups(tasks, model).is_empty() {
        return Kind::Group;
    }
    if canvases().any(|canvas| !canvas.chain.is_empty()) {
        return Kind::Chain;
    }
    let by_id: HashMap<&TaskId, &Task<'_>> = tasks.iter().map(|task| (task.id(), task)).collect();
    let mut children: HashMap<&TaskId, usize> = HashMap::new();
    let mut links = 0;
    for task in tasks {
        let Some(parent) = task.parent().and_then(|parent| by_id.get(parent)) else { continue };
        *children.entry(parent.id()).or_default() += 1;
        if !follows(task, &[parent]) {
            return Kind::Calls;
        }
        links += 1;
    }
    let single = children.values().all(|n| *n == 1);
    if single && links > 0 && links + 1 == tasks.len() { Kind::Chain } else { Kind::Calls }
}
