//! Moments with a name, as lines between the tasks of a list that is in the order of time.

use crate::clock::Stamp;
use crate::state::live::Column;
use crate::state::marks::Mark;
use crate::state::{Sort, Task};
use crate::text::Clean;
use crate::tui::view::Cx;

/// A line before a task.
pub struct Rule {
    /// Place of the task among those that are shown.
    pub before: usize,
    pub text: Clean,
}

fn time(task: &Task<'_>, by: Column) -> Option<Stamp> {
    match by {
        Column::Received => task.seen(),
        Column::Sent => task.sent(),
        Column::Started => task.started(),
        Column::Finished => task.finished(),
        _ => None,
    }
}

/// The lines between these tasks: one for all that happened between two of them, so that a list stays a list of tasks.
pub fn between(tasks: &[Task<'_>], sort: Sort, cx: &Cx<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (i, pair) in tasks.windows(2).enumerate() {
        let (Some(a), Some(b)) = (time(&pair[0], sort.column), time(&pair[1], sort.column)) else { continue };
        let (from, to) = (a.min(b), a.max(b));
        let marks: Vec<&Mark> = cx.model.marks().between(from, to).collect();
        let Some(last) = marks.last() else { continue };
        let more = match marks.len() {
            1 => String::new(),
            n => format!("   and {} more", n - 1),
        };
        rules.push(Rule { before: i + 1, text: crate::clean!("{} {}{more}", cx.time(last.at), last.text) });
    }
    rules
}
