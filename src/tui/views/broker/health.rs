//! How the broker is, in one line. What does not fit goes in a fixed order, the least important first.

use crate::broker::LinkState;
use crate::human;
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;

/// Blanks between two facts.
const GAP: usize = 3;

/// The line, in at most so many columns.
pub fn line(cx: &Cx<'_>, width: usize) -> Line {
    let mut facts = facts(cx);
    let used = |facts: &[(u8, Clean, Role)]| facts.iter().map(|(_, text, _)| text.width() + GAP).sum::<usize>();
    while used(&facts) > width + GAP && facts.len() > 1 {
        let least = facts.iter().enumerate().max_by_key(|(_, (rank, ..))| *rank).map_or(0, |(i, _)| i);
        facts.remove(least);
    }
    let mut line: Line = Vec::new();
    for (i, (_, text, role)) in facts.into_iter().enumerate() {
        if i > 0 {
            line.push((Clean::repeated(' ', GAP), Role::Text));
        }
        line.push((text, role));
    }
    line
}

/// Every fact with its rank: zero stays longest.
fn facts(cx: &Cx<'_>) -> Vec<(u8, Clean, Role)> {
    let Some(health) = cx.health else {
        let text = match cx.link {
            LinkState::Down { .. } => "the broker is away and had not answered before",
            _ => "asking the broker how it is …",
        };
        return vec![(0, Clean::own(text), Role::Muted)];
    };
    let mut facts = Vec::new();
    let mut add = |rank: u8, text: Option<String>, role: Role| facts.extend(text.map(|t| (rank, clean(&t), role)));
    add(0, Some(format!("{} {}", health.kind, health.version)), Role::Text);
    add(1, health.master.as_ref().map(|master| format!("sentinel {master}")), Role::Text);
    match cx.link {
        LinkState::Live { since } => {
            let secs = cx.now.since(*since).as_secs();
            // Whole minutes: seconds would change with every frame.
            let text = if secs < 60 { "just now".into() } else { human::about(secs / 60 * 60) };
            add(8, Some(format!("connected {text}")), Role::Muted);
        }
        _ => add(1, Some("as it was when last heard of".into()), Role::Warn),
    }
    add(2, Some(format!("rtt {}", human::seconds(health.rtt))), Role::Text);
    let max = health.memory_max.map_or(String::new(), |max| format!("/{}", human::bytes(max)));
    let full = health.memory_used.zip(health.memory_max).is_some_and(|(used, max)| used as f64 > max as f64 * 0.9);
    let memory =
        health.memory_used.map(|used| format!("memory {}{max}{}", human::bytes(used), if full { " ▲" } else { "" }));
    add(if full { 1 } else { 2 }, memory, if full { Role::Warn } else { Role::Text });
    add(9, health.queue_order.as_ref().map(|order| format!("queues taken {order}")), Role::Muted);
    add(7, health.clients.map(|n| format!("clients {}", human::count(n))), Role::Muted);
    for alarm in &health.alarms {
        add(1, Some(format!("{alarm} ▲: nothing is taken")), Role::Warn);
    }
    add(3, health.delayed.map(|n| format!("{} delayed", human::count(n))), Role::Text);
    let mut counter = |n: Option<u64>, rank: u8, what: &str, bytes: bool| {
        let Some(n) = n else { return };
        let text = if bytes { human::bytes(n) } else { human::count(n) };
        let (rank, role) = if n > 0 { (1, Role::Warn) } else { (rank, Role::Faint) };
        add(rank, Some(format!("{what} {text}")), role);
    };
    counter(health.evicted, 6, "evicted", false);
    counter(health.backlog, 5, "pub/sub backlog", true);
    let counters = cx.model.counters();
    counter(Some(counters.missed), 3, "events missed", false);
    // What we dropped ourselves is among them: the two are not added up.
    counter(Some(cx.model.missed_by_count()).filter(|n| *n > 0), 3, "tasks unseen by workers' own count ~", false);
    counter(Some(counters.undecodable), 9, "undecodable", false);
    if let Some(own) = health.own_commands {
        // The server takes its figure at another moment than we do.
        let all = health.commands.map(|all| all.max(own)).filter(|all| *all > 0.0);
        let of = all.map_or(String::new(), |all| format!(" of {} ({})", human::rate(all), human::percent(own / all)));
        add(4, Some(format!("commands/s ours {}{of}", human::rate(own))), Role::Muted);
    } else {
        add(10, health.commands.map(|n| format!("{} commands/s", human::rate(n))), Role::Muted);
    }
    add(11, health.uptime.map(|s| format!("up {}", human::span(s / 60 * 60))), Role::Muted);
    facts
}
