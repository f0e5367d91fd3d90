//! The field for a filter of tasks, and the values it can be completed with.

use crate::filter::{self, Word};
use crate::state::State;
use crate::state::lost::LOST;
use crate::tui::layers::Prompt;
use crate::tui::view::Cx;

/// A field with a filter in it, that completes what is typed; `before` are the filters that were typed earlier.
pub fn prompt(filter: &str, before: Vec<String>, cx: &Cx<'_>) -> Prompt {
    let check = |text: &str| filter::parse(text).map(|_| ()).map_err(|e| e.to_string());
    // Words narrow a filter down: the next one begins behind a space.
    let gap = if filter.is_empty() || filter.ends_with(' ') { "" } else { " " };
    Prompt::line("filter", &format!("{filter}{gap}"), check, before).completing(known(cx))
}

/// The values a filter can be completed with, as they are known when the field opens.
fn known(cx: &Cx<'_>) -> crate::tui::layers::prompt::Complete {
    let mut tasks: Vec<(u32, String)> =
        cx.model.by_name().map(|(name, stats)| (stats.total.received, name.to_owned())).collect();
    tasks.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let tasks: Vec<String> = tasks.into_iter().map(|(_, name)| name).take(KNOWN).collect();
    let workers: Vec<String> = cx.model.workers().into_iter().map(|(n, _)| n.to_owned()).take(KNOWN).collect();
    let queues: Vec<String> = cx.model.queues().into_iter().map(|(n, _)| n.to_owned()).take(KNOWN).collect();
    let groups = cx.model.failures().groups();
    let mut exceptions: Vec<String> =
        groups.iter().filter_map(|g| cx.model.name(g.exception)).map(str::to_owned).collect();
    exceptions.sort_unstable();
    exceptions.dedup();
    let groups: Vec<String> = groups.iter().map(|g| g.id.to_string()).take(KNOWN).collect();
    let mut marks: Vec<String> = Vec::new();
    for mark in cx.model.marks().all().rev() {
        if !marks.contains(&mark.text) && marks.len() < MARKS {
            marks.push(mark.text.clone());
        }
    }
    Box::new(move |line| {
        let values = |word| match word {
            Word::State => State::NAMED.iter().map(|s| s.name()).chain([LOST]).map(str::to_lowercase).collect(),
            Word::Task => tasks.clone(),
            Word::Worker => workers.clone(),
            Word::Queue => queues.clone(),
            Word::Exception => exceptions.clone(),
            Word::Group => groups.clone(),
            _ => Vec::new(),
        };
        filter::complete(line, values, &marks)
    })
}

/// Names of a kind that are offered: a field has to open at once in a cluster of any size.
const KNOWN: usize = 2_000;
/// Names of moments that are offered, the latest first.
const MARKS: usize = 30;
