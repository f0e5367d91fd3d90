//! The table of queues: its columns, what stands in them, and by what it can be sorted.

use crate::human;
use crate::state::queue::Queue;
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column};

/// Ten-second buckets of the trend.
const TREND: usize = 90;

/// What queues can be sorted by: titles of columns, and words for a menu.
pub const ORDERS: [(&str, &str); 9] = [
    ("QUEUE", "name"),
    ("READY", "waiting messages"),
    ("UNACKED", "unacknowledged messages"),
    ("CONSUMERS", "consumers"),
    ("IN/s", "messages in"),
    ("OUT/s", "messages out"),
    ("OLDEST", "age of the oldest"),
    ("DRAINS IN", "time until it is empty"),
    ("MEMORY", "memory in the broker"),
];

/// Below this width one blank has to do between two columns.
const TIGHT: u16 = 140;

/// Whether columns stand closer together than elsewhere.
pub fn tight(width: u16) -> bool {
    (118..TIGHT).contains(&width)
}

/// Columns that fit, the least important gone first. Where queues have a type they have no priorities that are counted.
pub fn columns(width: u16, typed: bool) -> Vec<Column> {
    let mut columns = of_width(width);
    if typed && columns.pop_if(|column| column.title == "BY PRIORITY").is_some() {
        columns.extend([Column::left("TYPE", 7), Column::right("MEMORY", 7)]);
    }
    columns
}

fn of_width(width: u16) -> Vec<Column> {
    // Wide enough for the sign of the order behind each title.
    let (sign, name) = (Column::left("", 1), Column::left("QUEUE", 0));
    let (ready, trend) = (Column::right("READY", 7), Column::left("TREND 15m", 15));
    let (unacked, consumers) = (Column::right("UNACKED", 8), Column::right("CONSUMERS", 10));
    let (into, out) = (Column::right("IN/s", 6), Column::right("OUT/s", 6));
    let (oldest, drains) = (Column::right("OLDEST", 8), Column::right("DRAINS IN", 10));
    let priorities = Column::left("BY PRIORITY", if width < TIGHT { 24 } else { 32 });
    let small = |trend: Column, width| Column { width, title: "TREND", ..trend };
    let narrow = |column: Column, width| Column { width, ..column };
    match width {
        0..60 => vec![sign, name, ready, unacked],
        60..80 => vec![sign, name, ready, unacked, consumers, oldest],
        80..100 => vec![sign, name, ready, small(trend, 5), unacked, consumers, oldest, drains],
        100..112 => vec![sign, name, ready, small(trend, 7), unacked, consumers, into, out, oldest, drains],
        112..118 => vec![sign, name, ready, trend, unacked, consumers, into, out, oldest, drains],
        118..TIGHT => vec![
            sign,
            name,
            narrow(ready, 6),
            narrow(trend, 10),
            narrow(unacked, 7),
            narrow(consumers, 9),
            narrow(into, 5),
            narrow(out, 5),
            narrow(oldest, 7),
            narrow(drains, 9),
            priorities,
        ],
        _ => vec![sign, name, ready, trend, unacked, consumers, into, out, oldest, drains, priorities],
    }
}

/// How many consume it: by the broker's own count, else by what workers say.
pub fn consumers(name: &str, queue: &Queue, cx: &Cx<'_>) -> Option<u64> {
    queue.depth.consumers.or(cx.model.consumers(name, cx.now).map(|n| n as u64))
}

/// Messages wait in it, and nobody takes them: also where a person said so.
pub fn is_stuck(name: &str, queue: &Queue, cx: &Cx<'_>) -> bool {
    queue.depth.ready > 0 && (consumers(name, queue, cx) == Some(0) || is_held(name, queue, cx))
}

/// A person holds it, and nobody consumes it who did not hear of that.
fn is_held(name: &str, queue: &Queue, cx: &Cx<'_>) -> bool {
    !cx.model.held(name).is_empty() && matches!(consumers(name, queue, cx), None | Some(0))
}

/// How long the next message has waited; with a sign in front where it may be longer.
pub fn oldest(queue: &Queue, cx: &Cx<'_>) -> Option<String> {
    let (secs, least) = cx.model.oldest(queue, cx.now).filter(|_| queue.depth.ready > 0)?;
    Some(format!("{}{}", if least { "≥" } else { "" }, human::about(secs as u64)))
}

/// When it will be empty, and whether that is bad news.
pub fn drains(name: &str, queue: &Queue, cx: &Cx<'_>) -> Option<(String, bool)> {
    match (queue.depth.ready, queue.drains_in(cx.now)) {
        (0, _) => None,
        _ if is_held(name, queue, cx) => None,
        // Without anybody to take them they wait for ever, however few they are.
        _ if is_stuck(name, queue, cx) || queue.grows(cx.now) => Some(("never ▲".into(), true)),
        (_, Some(secs)) => Some((human::about(secs as u64), false)),
        _ => None,
    }
}

/// One value of one queue.
pub fn cell(column: &Column, name: &str, queue: &Queue, cx: &Cx<'_>) -> Cell {
    let muted = |t: String| Cell::new(clean(&t), Role::Muted);
    let blank = Cell::new(Clean::own("-"), Role::Faint);
    let consumers = consumers(name, queue, cx);
    let rates = cx.model.flow(queue, cx.now);
    // Without events only the change of the depth is known.
    let net = || queue.slope(cx.now).filter(|s| s.abs() >= 0.05);
    match column.title {
        // What nobody takes, and what comes faster than it is taken.
        "" if cx.model.aside(name).is_some() => Cell::new(Clean::own("○"), Role::Warn),
        "" if consumers == Some(0) && queue.depth.ready > 0 => Cell::new(Clean::own("○"), Role::Fail),
        "" if consumers == Some(0) => Cell::new(Clean::own("○"), Role::Faint),
        "" if queue.grows(cx.now) => Cell::new(Clean::own("●"), Role::Warn),
        "" => Cell::new(Clean::own("●"), Role::Ok),
        "QUEUE" => Cell::plain(clean(name)),
        "READY" => Cell::plain(clean(&human::count(queue.depth.ready))),
        "TREND 15m" | "TREND" => {
            let values: Vec<Option<f64>> =
                queue.history.last_with_open(TREND, cx.now).map(|d| (d > 0).then(|| f64::from(d - 1))).collect();
            // A queue that holds next to nothing is drawn low, not as a range of mountains.
            let top = values.iter().flatten().fold(10.0, |a: f64, b| a.max(*b));
            Cell::new(spark::bars(&spark::squeeze(&values, usize::from(column.width)), Some(top)), Role::Series1)
        }
        "UNACKED" => queue.depth.unacked.map_or(blank, |n| muted(human::count(n))),
        "CONSUMERS" if cx.model.aside(name).is_some() => Cell::new(Clean::own("aside"), Role::Warn),
        "CONSUMERS" => match consumers {
            Some(0) | None if !cx.model.held(name).is_empty() => Cell::new(Clean::own("held"), Role::Warn),
            Some(n) if !cx.model.held(name).is_empty() => Cell::new(crate::clean!("held {n} ▲"), Role::Warn),
            Some(0) if queue.depth.ready > 0 => Cell::new(Clean::own("0 ▲"), Role::Warn),
            Some(n) => muted(human::count(n)),
            None => blank,
        },
        "IN/s" => match (rates, net()) {
            (Some((into, _)), _) => muted(human::rate(into)),
            (None, Some(_)) => Cell::new(Clean::own("net"), Role::Faint),
            (None, None) => blank,
        },
        "OUT/s" => match (rates, net()) {
            (Some((_, out)), _) => muted(human::rate(out)),
            (None, Some(net)) => muted(format!("{}{}", if net > 0.0 { "+" } else { "-" }, human::rate(net.abs()))),
            (None, None) => blank,
        },
        "OLDEST" => oldest(queue, cx).map_or(blank, muted),
        "TYPE" => queue.depth.kind.as_deref().map_or(blank, |kind| muted(kind.to_owned())),
        "MEMORY" => queue.depth.memory.map_or(blank, |n| muted(human::bytes(n))),
        "DRAINS IN" => match drains(name, queue, cx) {
            Some((text, bad)) => Cell::new(clean(&text), if bad { Role::Warn } else { Role::Muted }),
            None => blank,
        },
        _ => muted(by_priority(&queue.depth.by_priority, usize::from(column.width))),
    }
}

/// `0:3,190 3:11`; where not all of it fits, how many more there are.
pub fn by_priority(counts: &[(u8, u64)], width: usize) -> String {
    let counts: Vec<&(u8, u64)> = counts.iter().filter(|(_, n)| *n > 0).collect();
    let text = |shown: usize| {
        let mut parts: Vec<String> =
            counts.iter().take(shown).map(|(p, n)| format!("{p}:{}", human::count(*n))).collect();
        let more: u64 = counts.iter().skip(shown).map(|(_, n)| n).sum();
        parts.extend((more > 0).then(|| format!("+{}", human::count(more))));
        parts.join(" ")
    };
    (0..=counts.len()).rev().map(text).find(|text| text.len() <= width).unwrap_or_default()
}

/// Where each queue stands when nobody chose an order: those that are stuck, then the longest first. Two that are about
/// as long stay as they were, so that a screen of short queues keeps still.
pub fn usual(queues: &mut [(&str, &Queue)], before: &[String], stuck: impl Fn(&str, &Queue) -> bool) {
    let longer = |a: &Queue, b: &Queue| a.depth.ready > b.depth.ready + (b.depth.ready / 4).max(10);
    queues.sort_by_key(|(_, queue)| std::cmp::Reverse(queue.depth.ready));
    let place = |name: &str| before.iter().position(|known| known == name).unwrap_or(usize::MAX);
    queues.sort_by_cached_key(|(name, _)| place(name));
    for i in 1..queues.len() {
        let mut at = i;
        while at > 0 && longer(queues[at].1, queues[at - 1].1) {
            queues.swap(at, at - 1);
            at -= 1;
        }
    }
    queues.sort_by_key(|(name, queue)| !stuck(name, queue));
}

/// What a column sorts by, the greatest first; `None` for the name, which sorts as text.
pub fn measure(title: &str, name: &str, queue: &Queue, cx: &Cx<'_>) -> Option<f64> {
    let rates = cx.model.flow(queue, cx.now);
    let value = match title {
        "READY" | "TREND 15m" | "TREND" | "BY PRIORITY" => Some(queue.depth.ready as f64),
        "UNACKED" => queue.depth.unacked.map(|n| n as f64),
        "MEMORY" => queue.depth.memory.map(|n| n as f64),
        "" | "CONSUMERS" => consumers(name, queue, cx).map(|n| n as f64),
        "IN/s" => rates.map(|(into, _)| into),
        "OUT/s" => rates.map(|(_, out)| out),
        "OLDEST" => cx.model.oldest(queue, cx.now).filter(|_| queue.depth.ready > 0).map(|(secs, _)| secs),
        "DRAINS IN" if queue.grows(cx.now) || is_stuck(name, queue, cx) => Some(f64::MAX),
        "DRAINS IN" => queue.drains_in(cx.now),
        _ => return None,
    };
    Some(value.unwrap_or(-1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::state::queue::Depth;
    use crate::state::{Limits, Store, Update};

    #[test]
    fn what_does_not_fit_of_the_priorities_is_summed_up() {
        let four = [(0, 3_190), (3, 11), (6, 120), (9, 45)];
        assert_eq!(by_priority(&four, 24), "0:3,190 3:11 6:120 9:45");
        assert_eq!(by_priority(&four, 20), "0:3,190 3:11 +165");
        assert_eq!(by_priority(&[(0, 0), (9, 1)], 24), "9:1");
    }

    fn order(store: &Store, depths: &[(&str, u64)], before: &[String]) -> Vec<String> {
        let depth = |(name, ready): &(&str, u64)| Depth { name: (*name).into(), ready: *ready, ..Depth::default() };
        store.apply(&[Update::Queues(Stamp::from_micros(1), depths.iter().map(depth).collect())]);
        store.read(|m| {
            let mut queues = m.queues();
            usual(&mut queues, before, |_, queue| queue.depth.consumers == Some(0));
            queues.into_iter().map(|(name, _)| name.to_owned()).collect()
        })
    }

    #[test]
    fn a_queue_that_nobody_takes_from_stands_above_longer_ones() {
        let store = Store::new(Limits::default());
        order(&store, &[("a", 900), ("b", 0)], &[]);
        let depth = Depth { name: "b".into(), ready: 3, consumers: Some(0), ..Depth::default() };
        store.apply(&[Update::Queues(Stamp::from_micros(2), vec![depth])]);
        store.read(|m| {
            let mut queues = m.queues();
            usual(&mut queues, &["a".into(), "b".into()], |_, queue| queue.depth.consumers == Some(0));
            assert_eq!(queues.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["b", "a"]);
        });
    }

    #[test]
    fn the_longest_queue_comes_first_and_about_equal_ones_keep_their_places() {
        let store = Store::new(Limits::default());
        let first = order(&store, &[("a", 1), ("b", 0), ("c", 500)], &[]);
        assert_eq!(first, ["c", "a", "b"]);
        let next = order(&store, &[("a", 1), ("b", 9), ("c", 500)], &first);
        assert_eq!(next, first, "a few more are no reason to move");
        assert_eq!(order(&store, &[("a", 1), ("b", 700), ("c", 500)], &next), ["b", "c", "a"]);
    }
}
