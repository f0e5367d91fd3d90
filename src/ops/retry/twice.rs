//! Which of those that are to be sent again may run twice by it.

use super::Retry;
use crate::human::{clock, plural};
use crate::state::lost::Again;
use crate::state::{Model, Task};

/// What a person has to know before these go out once more.
pub(in crate::ops) fn twice(tasks: &[Retry], model: &Model) -> Vec<String> {
    let known = || tasks.iter().filter_map(|retry| model.task(&retry.original));
    let count = |is: &dyn Fn(&Task<'_>) -> bool| known().filter(is).count();
    let again = count(&|task| task.retried_as().is_some());
    let lost = |is: fn(Again) -> bool| count(&|task| task.lost().is_some_and(|lost| is(lost.again)));
    let (back, open) = (lost(|a| matches!(a, Again::Held(_))), lost(|a| a == Again::Unknown));
    let of = |n: usize| match tasks.len() {
        1 => "It".to_owned(),
        all if all == n => format!("All {}", crate::human::thousands(n as u64)),
        _ => plural(n, "task"),
    };
    let was = |n: usize| if n == 1 { "was" } else { "were" };
    let mut lines = Vec::new();
    if again > 0 {
        let only = known().next().filter(|_| tasks.len() == 1);
        let as_what = only.and_then(|task| {
            task.retried_as().map(|new| {
                let became = model.task(new).map_or(String::new(), |task| format!(", which is {}", task.shown_state()));
                format!(", as {}{became}", new.short())
            })
        });
        lines.push(format!("{} {} sent again already{}.", of(again), was(again), as_what.unwrap_or_default()));
    }
    if back > 0 {
        let when = known().filter_map(|task| task.lost()?.again.at()).min();
        let when = when.map_or(String::new(), |at| format!(", from {} on", clock(at, model.zone())));
        let (them, run) = if back == 1 { ("it", "sent now too, it runs") } else { ("them", "sent now too, they run") };
        let (who, was) = (of(back), was(back));
        lines.push(format!("{who} {was} lost, and the broker gives {them} out again{when}: {run} twice."));
    }
    if open > 0 {
        lines.push(format!(
            "{} {} lost: whether the message comes back is not known, so it may run twice.",
            of(open),
            was(open)
        ));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}
