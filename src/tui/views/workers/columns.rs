//! The columns of the workers' table, which of them fit, and what rows are sorted by.

use std::cmp::Ordering;

use crate::human;
use crate::state::worker::{Presence, Worker};
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column};

const SIGN: Column = Column::left("", 1);
const NAME: Column = Column::left("WORKER", 0);
const STATUS: Column = Column::left("STATUS", 10);
const POOL: Column = Column::left("POOL", 8);
const ACTIVE: Column = Column::right("ACTIVE", 7);
const BUSY: Column = Column::left("BUSY", 8);
const RESERVED: Column = Column::right("RESERVED", 9);
const DONE: Column = Column::right("DONE", 9);
const FAIL: Column = Column::right("FAIL", 6);
const RATE: Column = Column::right("RATE/s", 7);
const LOAD: Column = Column::right("LOADAVG", 14);
const PREFETCH: Column = Column::right("PREFETCH", 9);
const CPU: Column = Column::right("CPU main", 9);
const PEAK: Column = Column::right("PEAK main", 10);
const VERSION: Column = Column::left("CELERY", 8);
const UP: Column = Column::right("UP", 8);

/// The time rates are of.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
/// Below this width one blank has to do between two columns.
const TIGHT: u16 = 144;

/// Whether columns stand closer together than elsewhere.
pub fn tight(width: u16) -> bool {
    (118..TIGHT).contains(&width)
}

/// The columns that fit: the less important go first, in a fixed order.
pub fn fitting(width: u16) -> Vec<Column> {
    let narrow = |column: Column, width| Column { width, ..column };
    match width {
        0..60 => vec![SIGN, NAME, ACTIVE],
        60..76 => vec![SIGN, NAME, ACTIVE, RESERVED, FAIL],
        76..100 => vec![SIGN, NAME, ACTIVE, BUSY, RESERVED, FAIL, LOAD],
        100..118 => vec![SIGN, NAME, STATUS, POOL, ACTIVE, BUSY, RESERVED, FAIL, LOAD],
        118..TIGHT => vec![
            SIGN,
            NAME,
            STATUS,
            narrow(POOL, 7),
            narrow(ACTIVE, 6),
            narrow(BUSY, 6),
            narrow(RESERVED, 8),
            narrow(DONE, 7),
            FAIL,
            narrow(RATE, 6),
            LOAD,
            narrow(CPU, 8),
            narrow(UP, 6),
        ],
        TIGHT..180 => vec![SIGN, NAME, STATUS, POOL, ACTIVE, BUSY, RESERVED, DONE, FAIL, RATE, LOAD, CPU, UP],
        _ => vec![
            SIGN, NAME, STATUS, POOL, ACTIVE, BUSY, RESERVED, PREFETCH, DONE, FAIL, RATE, LOAD, CPU, PEAK, VERSION, UP,
        ],
    }
}

/// What rows can be sorted by: columns, as they are named in the menu.
pub const SORTS: [(&str, &str); 11] = [
    ("WORKER", "name"),
    ("STATUS", "status"),
    ("ACTIVE", "running tasks"),
    ("BUSY", "share of the pool that is busy"),
    ("RESERVED", "reserved tasks"),
    ("DONE", "tasks done"),
    ("FAIL", "share of failures"),
    ("RATE/s", "tasks a second"),
    ("LOADAVG", "load of its host"),
    ("CPU main", "CPU of the main process"),
    ("UP", "uptime"),
];

/// Whether a column begins with the greatest.
pub fn falls(column: &str) -> bool {
    !matches!(column, "WORKER" | "STATUS" | "POOL" | "CELERY")
}

/// How two workers compare in a column; by name where they are the same.
pub fn compare(column: &str, descending: bool, a: (&str, &Worker), b: (&str, &Worker), cx: &Cx<'_>) -> Ordering {
    let number = |w: &Worker| -> f64 {
        let stats = w.inspected.stats.as_ref();
        match column {
            "ACTIVE" => w.running().map_or(-1.0, |n| n as f64),
            "BUSY" => w.running().zip(w.pool_size()).map_or(-1.0, |(n, size)| n as f64 / size.max(1) as f64),
            "RESERVED" => w.inspected.total("reserved").map_or(-1.0, |n| n as f64),
            "PREFETCH" => stats.and_then(|s| s.prefetch).map_or(-1.0, |n| n as f64),
            "DONE" => w.processed.map_or(-1.0, |n| n as f64),
            "FAIL" => fail_share(w).unwrap_or(-1.0),
            "RATE/s" => rate(w, cx).unwrap_or(-1.0),
            "LOADAVG" => w.loadavg.map_or(-1.0, |l| l[0]),
            "CPU main" => stats.and_then(|s| s.cpu_share).unwrap_or(-1.0),
            "PEAK main" => stats.and_then(|s| s.peak_main).map_or(-1.0, |n| n as f64),
            _ => stats.and_then(|s| s.uptime).map_or(-1.0, |n| n as f64),
        }
    };
    let order = match column {
        "WORKER" | "" => a.0.cmp(b.0),
        "STATUS" => a.1.presence(cx.now).cmp(&b.1.presence(cx.now)),
        "POOL" => kind(a.1).cmp(&kind(b.1)),
        "CELERY" => a.1.sw_ver.cmp(&b.1.sw_ver),
        _ => number(a.1).total_cmp(&number(b.1)),
    };
    let order = if descending { order.reverse() } else { order };
    order.then_with(|| a.0.cmp(b.0))
}

fn kind(worker: &Worker) -> Option<&str> {
    worker.inspected.stats.as_ref().map(|s| s.pool.kind.as_str())
}

fn fail_share(worker: &Worker) -> Option<f64> {
    let ended = worker.succeeded + worker.failed;
    (ended > 0).then(|| worker.failed as f64 / ended as f64)
}

/// To the last task, as long as that fits.
fn done(n: u64, width: usize) -> String {
    let all = human::thousands(n);
    if all.len() <= width { all } else { human::count(n) }
}

/// Whole minutes: seconds would change with every answer.
fn up(secs: u64) -> String {
    if secs < 3_600 { human::age(secs) } else { human::span(secs) }
}

/// Tasks a second over the last minute.
fn rate(worker: &Worker, cx: &Cx<'_>) -> Option<f64> {
    cx.model.rate(&worker.done, 60, cx.now, |n| f64::from(*n))
}

/// The glyph before a worker's name.
pub fn sign(presence: Presence) -> (Clean, Role) {
    match presence {
        Presence::Online => (Clean::own("●"), Role::Ok),
        Presence::Gone => (Clean::own("○"), Role::Warn),
        Presence::Ended => (Clean::own("○"), Role::Faint),
    }
}

/// `online`, `draining`, `silent 42s` (with work in hand) or `ended 3m`.
pub fn status(worker: &Worker, cx: &Cx<'_>) -> (Clean, Role) {
    let ago = || human::age(cx.now.since(worker.last_seen).as_secs());
    match worker.presence(cx.now) {
        Presence::Online if worker.is_unheard(cx.now) => (Clean::own("not heard"), Role::Warn),
        Presence::Online if worker.is_draining(cx.now) => (Clean::own("draining"), Role::Waiting),
        Presence::Online => (Clean::own("online"), Role::Muted),
        Presence::Gone => (crate::clean!("silent {}", ago()), Role::Warn),
        Presence::Ended => (crate::clean!("ended {}", ago()), Role::Muted),
    }
}

/// One value of a worker. `label` is its name as the table has it.
pub fn cell(column: &Column, label: &str, worker: &Worker, cx: &Cx<'_>) -> Cell {
    let text = |t: String| Cell::plain(clean(&t));
    let muted = |t: String| Cell::new(clean(&t), Role::Muted);
    let stats = worker.inspected.stats.as_ref();
    let blank = Cell::new(Clean::own("-"), Role::Faint);
    let presence = worker.presence(cx.now);
    match column.title {
        "" => {
            let (sign, role) = sign(presence);
            Cell::new(sign, role)
        }
        "WORKER" => text(label.to_owned()),
        "STATUS" => {
            let (status, role) = status(worker, cx);
            Cell::new(status, role)
        }
        "POOL" => kind(worker).map_or(blank, |k| muted(k.to_owned())),
        "DONE" => worker.processed.map_or(blank, |n| text(done(n.max(0) as u64, usize::from(column.width)))),
        "FAIL" => fail_share(worker).map_or(blank, |share| {
            let role = if share > 0.05 { Role::Fail } else { Role::Muted };
            let about = if worker.missed() > Some(0) { "~" } else { "" };
            Cell::new(crate::clean!("{about}{:.1}%", share * 100.0), role)
        }),
        "ACTIVE" if presence != Presence::Online && worker.lost > 0 => {
            Cell::new(crate::clean!("? {}", human::count(u64::from(worker.lost))), Role::Lost)
        }
        // What follows is known of living workers only.
        _ if presence != Presence::Online => blank,
        "ACTIVE" => active(worker),
        "BUSY" => busy(worker, usize::from(column.width)),
        "RESERVED" => reserved(worker),
        "RATE/s" => {
            let least = worker.last_missed().is_some_and(|at| cx.now.since(at) < MINUTE);
            let rate = rate(worker, cx).map_or("-".into(), human::rate);
            muted(if least { format!("≥{rate}") } else { rate })
        }
        "LOADAVG" => worker.loadavg.map_or(blank, |l| muted(l.map(|v| format!("{v:>4.1}")).join(" "))),
        "PREFETCH" => stats.and_then(|s| s.prefetch).map_or(blank, |n| muted(n.to_string())),
        "CPU main" => stats.and_then(|s| s.cpu_share).map_or(blank, |share| muted(format!("{:.0}%", share * 100.0))),
        "PEAK main" => stats.and_then(|s| s.peak_main).map_or(blank, |n| muted(human::bytes(n))),
        "CELERY" => worker.sw_ver.clone().map_or(blank, muted),
        _ => stats.and_then(|s| s.uptime).map_or(blank, |s| muted(up(s))),
    }
}

/// Running tasks and places in the pool.
fn running(worker: &Worker) -> Option<(u64, Option<u64>)> {
    Some((worker.running()?, worker.pool_size().filter(|size| *size > 0)))
}

/// `7/8`.
fn active(worker: &Worker) -> Cell {
    match running(worker) {
        Some((running, Some(size))) => Cell::plain(crate::clean!("{running}/{size}")),
        Some((running, None)) => Cell::plain(crate::clean!("{running}")),
        None => Cell::new(Clean::own("-"), Role::Faint),
    }
}

/// `▇▇▇▇▇▇▇▁`.
fn busy(worker: &Worker, width: usize) -> Cell {
    let Some((running, Some(size))) = running(worker) else { return Cell::default() };
    let (on, off) = spark::gauge(running as f64 / size as f64, width);
    Cell::new(crate::clean!("{on}{off}"), if running >= size { Role::Warn } else { Role::Running })
}

/// Marked where every process is busy and four rounds of work wait behind them, which nobody else can take.
fn reserved(worker: &Worker) -> Cell {
    let Some(reserved) = worker.inspected.total("reserved") else { return Cell::new(Clean::own("-"), Role::Faint) };
    let many = match running(worker) {
        Some((running, Some(size))) => running >= size && reserved as u64 >= size * 4,
        _ => false,
    };
    let count = human::count(reserved as u64);
    if many { Cell::new(crate::clean!("▲ {count}"), Role::Warn) } else { Cell::plain(clean(&count)) }
}
