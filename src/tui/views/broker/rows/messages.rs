//! Messages that wait, and messages that were delivered and not acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use super::{Item, Opens, Rows, as_of, blank, muted, room, say, seen};
use crate::celery::TaskId;
use crate::celery::event::Undecodable;
use crate::celery::message::{Body, Message};
use crate::clock::Stamp;
use crate::human;
use crate::state::peek::{Found, Look};
use crate::state::task::parse_iso;
use crate::state::worker::{KEPT, Worker};
use crate::text::{Clean, clean, cut_end};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::widgets::table::{Cell, Column};

/// Bytes up to which arguments that their sender did not print are printed in a list.
const PRINTED: usize = 16 << 10;

/// Arguments as one line.
fn arguments(message: &Message, cx: &Cx<'_>) -> String {
    if message.size > PRINTED && message.argsrepr.as_ref().is_none_or(String::is_empty) {
        return "⏎ shows them".into();
    }
    let (args, kwargs) = (message.args_text(cx.model.redactor()), message.kwargs_text(cx.model.redactor()));
    let text = match (args, kwargs.filter(|k| k != "{}")) {
        (Some(args), Some(kwargs)) => format!("{args} {kwargs}"),
        (Some(args), None) => args,
        (None, _) => return "not printed by its sender".into(),
    };
    // More is never seen of it here.
    text.chars().take(400).collect()
}

/// How long until it may start.
fn eta(message: &Message, cx: &Cx<'_>) -> Cell {
    match message.eta.as_deref().map(|text| (text, parse_iso(text))) {
        None => blank(),
        Some((_, Some(at))) if at > cx.now => {
            Cell::new(crate::clean!("in {}", human::about(at.since(cx.now).as_secs())), Role::Waiting)
        }
        Some((_, Some(_))) => Cell::new(Clean::own("due"), Role::Muted),
        Some((text, None)) => muted(text),
    }
}

/// Names that differ even where an id occurs twice.
#[derive(Default)]
struct Keys(HashMap<String, usize>);

impl Keys {
    fn of(&mut self, name: String) -> String {
        let n = self.0.entry(name.clone()).or_insert(0);
        *n += 1;
        if *n == 1 { name } else { format!("{name} {n}") }
    }
}

/// Cells that messages have wherever they lie: name, id, arguments.
fn of_message(title: &str, message: &Result<Message, Undecodable>, size: usize, room: usize, cx: &Cx<'_>) -> Cell {
    match (title, message) {
        ("TASK", Ok(message)) => Cell::plain(clean(&message.name)),
        ("TASK", Err(bad)) => Cell::new(crate::clean!("✖ can't be read: {}", bad.why), Role::Retry),
        ("SIZE", _) => muted(&human::bytes(size as u64)),
        (_, Err(_)) => blank(),
        ("ID", Ok(message)) => {
            // Given out before and come back: it may run twice.
            let again = if message.redelivered { "↻" } else { "" };
            Cell::new(
                crate::clean!("{}{again}", message.id.short()),
                if again.is_empty() { Role::Faint } else { Role::Retry },
            )
        }
        ("ARGS", Ok(message)) => match &message.body {
            Body::Known { .. } => muted(&cut_end(clean(&arguments(message, cx)).as_str(), room)),
            Body::Opaque(why) if message.argsrepr.is_none() => Cell::new(crate::clean!("✖ {why}"), Role::Retry),
            // The body can't be read; this is what its sender wrote beside it.
            Body::Opaque(_) => {
                let text = clean(&format!("✖ {}", arguments(message, cx)));
                Cell::new(clean(&cut_end(text.as_str(), room)), Role::Retry)
            }
        },
        ("ETA", Ok(message)) => eta(message, cx),
        ("ORIGIN", Ok(message)) => message.origin.as_deref().map_or(blank(), muted),
        _ => blank(),
    }
}

fn opens(message: &Result<Message, Undecodable>) -> Opens {
    match message {
        Ok(message) => Opens::Message(message.id.clone()),
        Err(bad) => Opens::Unreadable(bad.clone()),
    }
}

pub(super) fn waiting(queue: &str, cx: &Cx<'_>) -> Rows {
    let (number, task, id) = (Column::right("#", 3), Column::left("TASK", 0), Column::left("ID", 9));
    let (args, prio, size) = (Column::left("ARGS", 0), Column::right("PRIO", 4), Column::right("SIZE", 5));
    let columns = match cx.size.width {
        0..60 => vec![number, task, args],
        60..100 => vec![number, task, id, args, prio, size],
        _ => vec![number, task, id, args, prio, Column::right("ETA", 11), size, Column::left("ORIGIN", 16)],
    };
    let peeked = match seen(queue, Look::Waiting, cx) {
        Ok(peeked) => peeked,
        Err(empty) => return Rows { columns, empty, ..Rows::default() },
    };
    let Ok(Found::Waiting(messages)) = &peeked.found else { return Rows::default() };
    let room = room(&columns, cx.size.width);
    let mut keys = Keys::default();
    let items = messages.iter().map(|entry| Item {
        key: keys.of(entry.message.as_ref().map_or_else(|_| format!("#{}", entry.place), |m| m.id.to_string())),
        cells: columns
            .iter()
            .map(|column| match column.title {
                "#" => Cell::new(crate::clean!("{}", entry.place + 1), Role::Faint),
                "PRIO" => {
                    let said = entry.message.as_ref().ok().and_then(|m| m.priority);
                    muted(&said.unwrap_or(i64::from(entry.priority)).to_string())
                }
                title => of_message(title, &entry.message, entry.size(), room, cx),
            })
            .collect(),
        role: None,
        opens: opens(&entry.message),
    });
    let items: Vec<Item> = items.collect();
    let ready = cx.model.queue(queue).map_or(0, |q| q.depth.ready).max(items.len() as u64);
    let shown = match items.len() as u64 == ready {
        true if items.is_empty() => Clean::default(),
        true => crate::clean!("all {ready}, next first"),
        false => crate::clean!("next {} of {}", items.len(), human::thousands(ready)),
    };
    let note =
        vec![(shown, Role::Muted), as_of(peeked.at, cx), (Clean::own("peeked, nothing is consumed"), Role::Faint)];
    let held = cx.model.queue(queue).and_then(|q| q.depth.unacked).filter(|n| *n > 0);
    let mut empty = say("Nothing waits in this queue.");
    empty.extend(held.map(|n| {
        let text = crate::clean!("{} delivered and not acknowledged: see Unacked.", human::thousands(n));
        vec![(text, Role::Muted)]
    }));
    Rows { columns, items, note, empty }
}

/// Which worker says it holds a task, and how.
fn holders<'m>(cx: &Cx<'m>) -> HashMap<&'m TaskId, (&'m str, &'static str)> {
    let mut holders = HashMap::new();
    for (name, worker) in cx.model.workers() {
        let found = &worker.inspected;
        for (list, word) in [(&found.scheduled, "scheduled"), (&found.reserved, "reserved"), (&found.active, "active")]
        {
            holders.extend(list.iter().flatten().map(|held| (&held.id, (name, word))));
        }
    }
    holders
}

pub(super) fn unacked(queue: &str, cx: &Cx<'_>) -> Rows {
    let (task, id, args) = (Column::left("TASK", 0), Column::left("ID", 9), Column::left("ARGS", 0));
    let (held_by, at) = (Column::left("HELD BY", 26), Column::right("DELIVERED", 9));
    let (again, size) = (Column::right("REDELIVERED IN", 14), Column::right("SIZE", 5));
    let columns = match cx.size.width {
        0..60 => vec![task, again],
        60..100 => vec![task, id, Column { width: 16, ..held_by }, at, again],
        _ => vec![task, id, args, held_by, at, again, size],
    };
    let peeked = match seen(queue, Look::Unacked, cx) {
        Ok(peeked) => peeked,
        Err(empty) => return Rows { columns, empty, ..Rows::default() },
    };
    let Ok(Found::Unacked(found)) = &peeked.found else { return Rows::default() };
    let holders = holders(cx);
    let narrow = cx.size.width < 100;
    let room = room(&columns, cx.size.width);
    let mut keys = Keys::default();
    let items = found.entries.iter().map(|entry| {
        let id = entry.message.as_ref().ok().map(|message| &message.id);
        let holder = id.and_then(|id| holders.get(id));
        let cell = |column: &Column| match column.title {
            "HELD BY" => match holder {
                Some((worker, _)) if narrow => muted(worker),
                Some((worker, how)) => muted(&format!("{worker} {how}")),
                None if is_orphan(entry.at, peeked.at, cx) => Cell::new(Clean::own("? nobody says so"), Role::Warn),
                None => Cell::new(Clean::own("asking …"), Role::Faint),
            },
            "DELIVERED" => entry.at.map_or(blank(), |at| muted(&human::clock(at, cx.zone))),
            "REDELIVERED IN" => redelivered(entry.at, holder.is_some(), cx),
            title => of_message(title, &entry.message, entry.size(), room, cx),
        };
        Item {
            key: keys.of(entry.tag.clone()),
            cells: columns.iter().map(cell).collect(),
            role: None,
            opens: opens(&entry.message),
        }
    });
    let items: Vec<Item> = items.collect();
    let n = human::thousands(items.len() as u64);
    let shown = match found.complete {
        true if items.is_empty() => (Clean::default(), Role::Muted),
        true => (crate::clean!("all {n}, oldest first"), Role::Muted),
        false => (crate::clean!("{n} among the oldest {} of all queues", found.looked), Role::Warn),
    };
    let kept = match cx.health.and_then(|h| h.visibility_timeout) {
        Some(secs) => crate::clean!("given out again after {}", human::span(secs)),
        None => Clean::default(),
    };
    let empty = vec![
        vec![(Clean::own("Nothing is delivered and unacknowledged."), Role::Muted)],
        vec![(
            Clean::own("Here stands what workers hold: prefetched, waiting for its ETA, or running with acks_late."),
            Role::Faint,
        )],
    ];
    Rows { columns, items, note: vec![shown, as_of(peeked.at, cx), (kept, Role::Faint)], empty }
}

/// The methods whose lists together name all that a worker holds.
const LISTS: [&str; 3] = ["active", "reserved", "scheduled"];

/// When a worker told of a list, if all of it is kept.
fn whole(worker: &Worker, list: &str) -> Option<Stamp> {
    let told = &worker.inspected;
    told.answered(list).filter(|_| told.total(list).is_some_and(|n| n <= KEPT))
}

/// Whether the workers' lists are new enough to say that none of them holds a message: what was given out since they
/// were made can't be in them, and what is done by now is in them no more.
fn is_orphan(delivered: Option<Stamp>, seen: Stamp, cx: &Cx<'_>) -> bool {
    let online = cx.model.workers().into_iter().filter(|(_, w)| w.is_online(cx.now));
    let told = online.map(|(_, w)| LISTS.into_iter().map(|list| whole(w, list)).min().flatten());
    // With nobody online nobody can hold it; with one that has not told, it may.
    let Some(oldest) = told.min() else { return true };
    let Some(oldest) = oldest else { return false };
    let Some(delivered) = delivered else { return true };
    let old = seen.since(delivered) > Duration::from_secs(30);
    delivered + Duration::from_secs(3) < oldest && (old || oldest <= seen)
}

/// When the broker gives a message out again if nobody acknowledges it.
fn redelivered(at: Option<Stamp>, held: bool, cx: &Cx<'_>) -> Cell {
    let Some((at, timeout)) = at.zip(cx.health.and_then(|h| h.visibility_timeout)) else { return blank() };
    let gone = cx.now.since(at).as_secs();
    match timeout.checked_sub(gone) {
        None | Some(0) => Cell::new(Clean::own("any moment ▲"), Role::Warn),
        // One that is still held then runs twice.
        Some(left) if held && left < timeout / 10 => Cell::new(crate::clean!("{} ▲", human::span(left)), Role::Warn),
        Some(left) => muted(&human::about(left)),
    }
}
