//! What an empty list says: what would be here, and how to get it.

use crate::filter;
use crate::state::no_state;
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;

/// The lines instead of rows.
pub fn lines(cx: &Cx<'_>, filter_text: &str, filling: bool) -> Vec<Line> {
    let say = |text: &'static str| vec![(Clean::own(text), Role::Muted)];
    if filling {
        return vec![say("Looking through all tasks …")];
    }
    if cx.model.task_count() > 0 {
        let mut lines = vec![vec![(Clean::own("No task matches "), Role::Muted), (clean(filter_text), Role::Text)]];
        if let Some(word) = filter::parse(filter_text).ok().and_then(|f| no_state(&f)) {
            lines.push(vec![(crate::clean!("No state begins with {word}."), Role::Warn)]);
        }
        lines.push(say("Esc shows all tasks again, / changes the filter."));
        lines.extend(meant(cx, filter_text).map(|line| vec![(clean(&line), Role::Muted)]));
        return lines;
    }
    let (online, _) = cx.model.online(cx.now);
    let mut lines = vec![say("No task was seen yet. Tasks appear here as their workers announce them.")];
    if !cx.link.is_live() {
        return lines;
    }
    lines.push(Vec::new());
    match online {
        0 => lines.push(say("No worker is online: none sent a heartbeat, none answers.")),
        n => {
            lines.push(vec![(
                crate::clean!(
                    "{} online. If tasks run and none shows up, their events are off:",
                    crate::ops::command::plural(n, "worker")
                ),
                Role::Muted,
            )]);
            lines.push(vec![
                (Clean::own("E"), Role::Accent),
                (Clean::own("  turns them on at every worker until it restarts;"), Role::Muted),
            ]);
            lines.push(say("   start workers with -E, or set worker_send_task_events, for good."));
        }
    }
    lines
}

/// A bare word is not looked for in the names of workers and queues: who meant one is told how to say so.
fn meant(cx: &Cx<'_>, typed: &str) -> Option<String> {
    let pattern = filter::Pattern::new(typed.trim());
    let bare = !typed.trim().is_empty() && !typed.contains(':');
    if !bare {
        return None;
    }
    if cx.model.workers().iter().any(|(name, _)| pattern.matches(name)) {
        return Some(format!(
            "There are workers with this in their name: worker:{} selects their tasks.",
            typed.trim()
        ));
    }
    let queue = cx.model.queues().iter().any(|(name, _)| pattern.matches(name));
    queue.then(|| format!("There is a queue with this in its name: queue:{} selects its tasks.", typed.trim()))
}
