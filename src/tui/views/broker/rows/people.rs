//! Who takes out of a queue, and who puts into it.

use std::collections::HashMap;

use super::{Item, Opens, Rows, blank, muted, say};
use crate::clock::Stamp;
use crate::human;
use crate::state::peek::{By, Found, Look};
use crate::state::queue::PRODUCED;
use crate::state::worker::Worker;
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column};

/// Columns of a bar.
const BAR: usize = 8;

pub(super) fn consumers(queue: &str, cx: &Cx<'_>) -> Rows {
    let (sign, worker, pool) = (Column::left("", 1), Column::left("WORKER", 0), Column::left("POOL", 14));
    let (active, load) = (Column::right("ACTIVE", 7), Column::left("LOAD", 8));
    let (reserved, here) = (Column::right("RESERVED", 8), Column::right("FROM HERE", 9));
    let columns = match cx.size.width {
        0..60 => vec![sign, worker, active],
        60..100 => vec![sign, worker, pool, active, reserved, here],
        _ => vec![
            sign,
            worker,
            pool,
            active,
            load,
            reserved,
            here,
            Column::right("PREFETCH", 8),
            Column::left("ALSO CONSUMES", 0),
        ],
    };
    let workers = cx.model.workers();
    let mine: Vec<(&str, &Worker)> = workers
        .into_iter()
        .filter(|(_, w)| w.inspected.queues.as_ref().is_some_and(|queues| queues.iter().any(|q| q == queue)))
        .collect();
    let online = mine.iter().filter(|(_, w)| w.is_online(cx.now)).count();
    let items: Vec<Item> = mine
        .iter()
        .map(|(name, worker)| Item {
            key: (*name).to_owned(),
            cells: columns.iter().map(|column| consumer(column.title, name, worker, queue, cx)).collect(),
            role: None,
            opens: Opens::Worker((*name).to_owned()),
        })
        .collect();
    let known = cx.model.workers().iter().any(|(_, w)| w.inspected.queues.is_some());
    let empty = if known {
        vec![
            vec![(Clean::own("No worker says it consumes this queue: what is sent here waits for ever."), Role::Warn)],
            vec![(Clean::own("A worker started with -Q, or told to add the queue, would."), Role::Muted)],
        ]
    } else {
        say("No worker has said yet which queues it consumes.")
    };
    let gone = items.len() - online;
    let mut note = vec![(crate::clean!("{online} online"), Role::Muted)];
    if gone > 0 {
        note.push((crate::clean!("{gone} offline"), Role::Warn));
    }
    Rows { columns, items, note, empty }
}

fn consumer(title: &str, name: &str, worker: &Worker, queue: &str, cx: &Cx<'_>) -> Cell {
    let online = worker.is_online(cx.now);
    let found = &worker.inspected;
    let size = worker.pool_size();
    let running = worker.running().filter(|_| online);
    match title {
        "" if online => Cell::new(Clean::own("●"), Role::Ok),
        "" => Cell::new(Clean::own("○"), Role::Faint),
        "WORKER" => Cell::plain(clean(name)),
        _ if !online => blank(),
        "POOL" => {
            let pool = found.stats.as_ref().map(|stats| stats.pool.kind.as_str()).filter(|kind| !kind.is_empty());
            pool.map_or(blank(), |kind| muted(&format!("{kind}{}", size.map_or(String::new(), |n| format!(" ×{n}")))))
        }
        "ACTIVE" => match (running, size) {
            (Some(n), Some(size)) => Cell::plain(crate::clean!("{n}/{size}")),
            (Some(n), None) => Cell::plain(crate::clean!("{n}")),
            (None, _) => blank(),
        },
        "LOAD" => match running.zip(size.filter(|n| *n > 0)) {
            Some((n, size)) => {
                let (on, off) = spark::gauge(n as f64 / size as f64, 8);
                Cell::new(crate::clean!("{on}{off}"), if n >= size { Role::Warn } else { Role::Running })
            }
            None => Cell::default(),
        },
        "RESERVED" => found.total("reserved").map_or(blank(), |n| muted(&human::count(n as u64))),
        "FROM HERE" => {
            let lists = [&found.active, &found.reserved];
            let held = lists.into_iter().flatten().flatten().filter(|held| held.queue.as_deref() == Some(queue));
            match found.active.is_some() || found.reserved.is_some() {
                true => muted(&human::count(held.count() as u64)),
                false => blank(),
            }
        }
        "PREFETCH" => found.stats.as_ref().and_then(|s| s.prefetch).map_or(blank(), |n| muted(&human::count(n))),
        _ => {
            let others = found.queues.iter().flatten().filter(|q| q.as_str() != queue);
            muted(&others.map(String::as_str).collect::<Vec<_>>().join(" "))
        }
    }
}

/// What is known of one sender.
#[derive(Default)]
struct Sender {
    sent: Option<u64>,
    last: Option<Stamp>,
    waiting: u64,
}

pub(super) fn producers(queue: &str, cx: &Cx<'_>) -> Rows {
    let (name, sent, rate) = (Column::left("PRODUCER", 0), Column::right("SENT 15m", 8), Column::right("/s", 6));
    let (share, bar) = (Column::right("SHARE", 6), Column::left("", BAR as u16));
    let (last, waits) = (Column::right("LAST SENT", 9), Column::right("WAITING", 8));
    let columns = match cx.size.width {
        0..60 => vec![name, sent, waits],
        60..100 => vec![name, sent, rate, share, last, waits],
        _ => vec![name, sent, rate, share, bar, last, waits],
    };
    let (senders, seen) = senders(queue, cx);
    let total: u64 = senders.iter().filter_map(|(_, sender)| sender.sent).sum();
    let part = |sender: &Sender| sender.sent.map(|n| n as f64 / total.max(1) as f64);
    let cell = |column: &Column, name: &str, sender: &Sender| match column.title {
        "PRODUCER" => Cell::plain(clean(name)),
        "SENT 15m" => sender.sent.map_or(blank(), |n| Cell::plain(clean(&human::count(n)))),
        "/s" => sender.sent.map_or(blank(), |n| muted(&human::rate(n as f64 / (PRODUCED as f64 * 60.0)))),
        "SHARE" => part(sender).map_or(blank(), |share| muted(&human::percent(share))),
        "" => part(sender).map_or(Cell::default(), |share| Cell::new(spark::gauge(share, BAR).0, Role::Series1)),
        "LAST SENT" => sender.last.map_or(blank(), |at| muted(&human::clock(at, cx.zone))),
        _ if seen == 0 => blank(),
        _ => muted(&human::count(sender.waiting)),
    };
    let items = senders.iter().map(|(name, sender)| Item {
        key: name.clone(),
        cells: columns.iter().map(|column| cell(column, name, sender)).collect(),
        role: None,
        opens: Opens::Nothing,
    });
    let items: Vec<Item> = items.collect();
    let mut note = vec![(crate::clean!("{} seen", items.len()), Role::Muted)];
    if seen > 0 {
        note.push((crate::clean!("WAITING among {} looked at", human::plural(seen, "message")), Role::Faint));
    }
    let empty = vec![
        vec![(Clean::own("Nobody was seen to send here."), Role::Muted)],
        vec![(
            Clean::own(
                "Senders announce their tasks with task_send_sent_event = True, and sign the messages that wait.",
            ),
            Role::Faint,
        )],
    ];
    Rows { columns, items, note, empty }
}

/// Who sends into a queue, the busiest first; and how many messages were looked at for it.
fn senders(queue: &str, cx: &Cx<'_>) -> (Vec<(String, Sender)>, u64) {
    let mut senders: HashMap<String, Sender> = HashMap::new();
    for producer in cx.model.queue(queue).into_iter().flat_map(|q| q.producers()) {
        let Some(name) = cx.model.name(Some(producer.client)) else { continue };
        let sender = senders.entry(name.to_owned()).or_default();
        sender.sent = Some(producer.sent.last_with_open(PRODUCED, cx.now).map(u64::from).sum());
        sender.last = Some(producer.last);
    }
    let mut looked = 0;
    let found = |look| cx.model.peeked(queue, look).and_then(|p| p.found.as_ref().ok());
    match (found(Look::Groups), found(Look::Waiting)) {
        (Some(Found::Groups(sample)), _) => {
            looked = sample.looked as u64;
            for group in sample.groups(&By::Origin).into_iter().filter(|group| group.is_value) {
                senders.entry(group.key.clone()).or_default().waiting = group.count;
            }
        }
        (_, Some(Found::Waiting(messages))) => {
            looked = messages.len() as u64;
            for origin in messages.iter().filter_map(|w| w.message.as_ref().ok()?.origin.clone()) {
                senders.entry(origin).or_default().waiting += 1;
            }
        }
        _ => {}
    }
    let mut senders: Vec<(String, Sender)> = senders.into_iter().collect();
    // Names break ties, so that rows stay where they are.
    senders.sort_by(|(a, x), (b, y)| (y.sent, y.waiting, a).cmp(&(x.sent, x.waiting, b)));
    (senders, looked)
}
