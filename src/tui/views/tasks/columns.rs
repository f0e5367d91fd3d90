//! The columns of the task table: what each shows, and which there are at which width.

use crate::human;
use crate::state::live::Column as By;
use crate::state::{Sort, State, Task};
use crate::text::{Clean, clean};
use crate::tui::theme::{self, Role};
use crate::tui::view::Cx;
use crate::tui::widgets::table::{Cell, Column, Row};

const STATE: Column = Column::left("STATE", 11);
const SIGN: Column = Column::left("", 1);
const TASK: Column = Column::left("TASK", 0);
const ID: Column = Column::left("ID", 8);
const WORKER: Column = Column::left("WORKER", 16);
const QUEUE: Column = Column::left("QUEUE", 12);
const RECEIVED: Column = Column::left("RECEIVED", 9);
const WAIT: Column = Column::right("WAIT", 8);
const RUNTIME: Column = Column::right("RUNTIME", 8);
const TRY: Column = Column::right("TRY", 3);

/// What the list can be sorted by.
pub const SORTS: [(By, &str); 7] = [
    (By::Received, "received"),
    (By::State, "state"),
    (By::Name, "task"),
    (By::Worker, "worker"),
    (By::Queue, "queue"),
    (By::Runtime, "runtime"),
    (By::Retries, "tries"),
];

/// Whether the greatest comes first when one begins to sort by a column.
pub fn falls(by: By) -> bool {
    matches!(by, By::Received | By::Runtime | By::Retries)
}

/// The columns there is room for. They go in a fixed order.
pub fn for_width(width: u16) -> Vec<Column> {
    match width {
        0..60 => vec![SIGN, TASK, RUNTIME],
        60..78 => vec![STATE, TASK, ID, RUNTIME],
        78..100 => vec![STATE, TASK, ID, Column { width: 12, ..WORKER }, RECEIVED, RUNTIME],
        100..118 => vec![STATE, TASK, ID, Column { width: 14, ..WORKER }, RECEIVED, WAIT, RUNTIME, TRY],
        118..150 => vec![STATE, TASK, ID, WORKER, QUEUE, RECEIVED, WAIT, RUNTIME, TRY],
        _ => {
            vec![
                SIGN,
                STATE,
                TASK,
                Column { width: 36, ..ID },
                Column { width: 24, ..WORKER },
                QUEUE,
                RECEIVED,
                WAIT,
                RUNTIME,
                TRY,
            ]
        }
    }
}

/// What clicking on a header sorts by.
pub fn sort_of(title: &str) -> Option<By> {
    Some(match title {
        "STATE" => By::State,
        "TASK" => By::Name,
        "WORKER" => By::Worker,
        "QUEUE" => By::Queue,
        "RECEIVED" => By::Received,
        "RUNTIME" => By::Runtime,
        "TRY" => By::Retries,
        _ => return None,
    })
}

/// Which header carries the arrow.
pub fn sorted(columns: &[Column], sort: Sort) -> Option<(usize, bool)> {
    columns.iter().position(|c| sort_of(c.title) == Some(sort.column)).map(|i| (i, sort.descending))
}

/// A task's row.
pub fn row(task: &Task<'_>, columns: &[Column], marked: bool, cx: &Cx<'_>) -> Row {
    let quiet = matches!(task.state(), State::Success | State::Revoked | State::Rejected);
    let cells = columns.iter().map(|column| cell(task, *column, cx)).collect();
    Row { cells, marked, role: Some(if quiet { Role::Muted } else { Role::Text }) }
}

fn cell(task: &Task<'_>, column: Column, cx: &Cx<'_>) -> Cell {
    let muted = |text: Option<&str>| Cell::new(clean(text.unwrap_or("")), Role::Muted);
    match column.title {
        "" => Cell::new(Clean::own(theme::glyph(task.state())), theme::role(task.state())),
        "STATE" => {
            let text = crate::clean!("{} {}", theme::glyph(task.state()), task.state_name());
            Cell::new(text, theme::role(task.state()))
        }
        "TASK" => match task.name() {
            Some(name) => Cell::plain(clean(name)),
            None => Cell::new(Clean::own("(name not known)"), Role::Faint),
        },
        "ID" if column.width > 8 => Cell::new(clean(&task.id().to_string()), Role::Faint),
        "ID" => Cell::new(clean(&task.id().short()), Role::Faint),
        "WORKER" => muted(task.worker()),
        "QUEUE" => muted(task.queue()),
        "RECEIVED" => {
            Cell::new(task.seen().map(|at| clean(&human::clock(at, cx.zone))).unwrap_or_default(), Role::Muted)
        }
        "WAIT" => {
            let wait =
                task.wait().map(|(secs, least)| format!("{}{}", if least { "≥" } else { "" }, human::seconds(secs)));
            Cell::new(clean(&wait.unwrap_or_default()), Role::Muted)
        }
        "RUNTIME" => runtime(task, cx),
        _ => {
            let tries = task.retries().filter(|n| *n > 0).map(|n| (n + 1).to_string());
            Cell::new(clean(&tries.unwrap_or_default()), Role::Retry)
        }
    }
}

/// What it took; or how long it runs already, in whole seconds so that a long list of running tasks stays calm.
fn runtime(task: &Task<'_>, cx: &Cx<'_>) -> Cell {
    if let Some(secs) = task.running(cx.now) {
        return Cell::new(clean(&human::span(secs as u64)), Role::Running);
    }
    let ran = task.runtime().or_else(|| match (task.started(), task.finished()) {
        (Some(started), Some(finished)) => Some(finished.since(started).as_secs_f64()),
        _ => None,
    });
    Cell::plain(clean(&ran.map(human::seconds).unwrap_or_default()))
}
