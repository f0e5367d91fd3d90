//! The columns of the task table: what each shows, which there are at which width, and which a person chose.

use crate::human;
use crate::state::live::Column as By;
use crate::state::{Sort, State, Task};
use crate::text::{Clean, clean};
use crate::tui::theme::{self, Role};
use crate::tui::view::Cx;
use crate::tui::widgets::table::{Cell, Column, Row};

/// A column one can choose.
pub struct Kind {
    /// Its name in the config file and the picker.
    pub name: &'static str,
    pub title: &'static str,
    /// Cells it takes; zero takes what the others leave.
    width: u16,
    right: bool,
    sort: Option<By>,
    pub help: &'static str,
}

const fn left(name: &'static str, title: &'static str, width: u16, sort: Option<By>, help: &'static str) -> Kind {
    Kind { name, title, width, right: false, sort, help }
}

const fn right(name: &'static str, title: &'static str, width: u16, sort: Option<By>, help: &'static str) -> Kind {
    Kind { name, title, width, right: true, sort, help }
}

/// Every column, in the order they have where nobody chose.
pub const KINDS: [Kind; 20] = [
    left("state", "STATE", 11, Some(By::State), "its state"),
    left("task", "TASK", 0, Some(By::Name), "the task's name"),
    left("id", "ID", 8, None, "the beginning of its id"),
    left("worker", "WORKER", 16, Some(By::Worker), "who received it"),
    left("queue", "QUEUE", 12, Some(By::Queue), "the queue it was sent to"),
    left("received", "RECEIVED", 9, Some(By::Received), "when it was first heard of"),
    right("age", "AGE", 5, Some(By::Received), "how long ago it was first heard of"),
    right("wait", "WAIT", 8, Some(By::Wait), "from sent (or its eta) to started"),
    right("runtime", "RUNTIME", 8, Some(By::Runtime), "how long it ran"),
    right("try", "TRY", 3, Some(By::Retries), "which try it is, where it was retried"),
    left("sent", "SENT", 9, Some(By::Sent), "when it was sent"),
    left("started", "STARTED", 9, Some(By::Started), "when it started"),
    left("finished", "FINISHED", 9, Some(By::Finished), "when it ended"),
    right("prefetch", "PREFETCH", 8, None, "from received to started"),
    left("args", "ARGS", 30, None, "its positional arguments"),
    left("kwargs", "KWARGS", 30, None, "its keyword arguments"),
    left("result", "RESULT", 24, None, "what it returned"),
    left("error", "ERROR", 30, Some(By::Exception), "the exception"),
    right("eta", "ETA", 9, None, "how long until it may start"),
    left("root", "ROOT", 8, None, "the first task of its workflow"),
];

/// The columns that stay where they are when one scrolls sideways.
const FIXED: [&str; 2] = ["state", "task"];

/// A column by its name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// What the list can be sorted by.
pub const SORTS: [(By, &str); 12] = [
    (By::Received, "received"),
    (By::Sent, "sent"),
    (By::Started, "started"),
    (By::Finished, "finished"),
    (By::State, "state"),
    (By::Name, "task"),
    (By::Worker, "worker"),
    (By::Queue, "queue"),
    (By::Runtime, "runtime"),
    (By::Wait, "wait"),
    (By::Retries, "tries"),
    (By::Exception, "error"),
];

/// Whether the greatest comes first when one begins to sort by a column.
pub fn falls(by: By) -> bool {
    !matches!(by, By::State | By::Name | By::Worker | By::Queue | By::Exception)
}

/// The columns for a width: those a person chose, else those there is room for, which go in a fixed order. `skip` is how
/// many have been scrolled away to the left.
pub fn for_width(width: u16, chosen: Option<&[String]>, skip: usize) -> Vec<Column> {
    let names: Vec<&str> = match chosen {
        Some(names) => names.iter().map(String::as_str).collect(),
        None if skip > 0 => KINDS.iter().map(|kind| kind.name).collect(),
        None => usual(width).to_vec(),
    };
    let (fixed, rest): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| FIXED.contains(name) && skip > 0);
    let skip = skip.min(rest.len().saturating_sub(1));
    let mut columns: Vec<Column> = Vec::new();
    let mut used = 3;
    for name in fixed.into_iter().chain(rest.into_iter().skip(skip)) {
        let Some(column) = kind(name).map(|kind| shaped(kind, width)) else { continue };
        // A name of no fixed width wants at least this much.
        let takes = if column.width == 0 { 16 } else { column.width } + 2;
        if used + takes > width && !columns.is_empty() {
            break;
        }
        used += takes;
        columns.push(column);
    }
    columns
}

/// What is shown where nobody chose.
pub fn usual(width: u16) -> &'static [&'static str] {
    match width {
        0..60 => &["state", "task", "runtime"],
        60..78 => &["state", "task", "id", "runtime"],
        78..100 => &["state", "task", "id", "worker", "age", "runtime"],
        100..118 => &["state", "task", "id", "worker", "received", "wait", "runtime", "try"],
        _ => &["state", "task", "id", "worker", "queue", "received", "wait", "runtime", "try"],
    }
}

fn shaped(kind: &Kind, width: u16) -> Column {
    let wide = match (kind.name, width) {
        // Very narrow: the sign alone tells the state.
        ("state", 0..60) => 1,
        ("worker", 0..100) => 12,
        ("worker", 100..118) => 14,
        ("worker", 150..) => 24,
        ("id" | "root", 150..) => 36,
        ("args" | "kwargs" | "error", 150..) => 44,
        _ => kind.width,
    };
    Column { title: kind.title, width: wide, right: kind.right }
}

/// What clicking on a header sorts by.
pub fn sort_of(title: &str) -> Option<By> {
    KINDS.iter().find(|kind| kind.title == title).and_then(|kind| kind.sort)
}

/// Which header carries the arrow.
pub fn sorted(columns: &[Column], sort: Sort) -> Option<(usize, bool)> {
    let (i, column) = columns.iter().enumerate().find(|(_, c)| sort_of(c.title) == Some(sort.column))?;
    // The latest is the youngest.
    Some((i, sort.descending != (column.title == "AGE")))
}

/// A task's row.
pub fn row(task: &Task<'_>, columns: &[Column], marked: bool, cx: &Cx<'_>) -> Row {
    let quiet = matches!(task.state(), State::Success | State::Revoked | State::Rejected);
    let cells = columns.iter().map(|column| cell(task, *column, cx)).collect();
    Row { cells, marked, role: Some(if quiet { Role::Muted } else { Role::Text }) }
}

fn cell(task: &Task<'_>, column: Column, cx: &Cx<'_>) -> Cell {
    let muted = |text: Option<&str>| Cell::new(clean(text.unwrap_or("")), Role::Muted);
    let time =
        |at: Option<crate::clock::Stamp>| Cell::new(at.map(|at| clean(&cx.time(at))).unwrap_or_default(), Role::Muted);
    // A long text is cut before it is made safe: a screen of them is copied ten times a second.
    let text = |text: Option<&str>, role| {
        Cell::new(clean(&text.unwrap_or("").chars().take(usize::from(column.width) + 1).collect::<String>()), role)
    };
    match column.title {
        // Asked to be revoked, and nobody has said yet that it is.
        "STATE" if task.revoke_asked().is_some() => {
            let name = if column.width == 1 { "" } else { task.shown_state() };
            let first = if column.width == 1 { "" } else { theme::sign(task).0 };
            Cell::new(crate::clean!("{first}⊘ {name}"), Role::Warn)
        }
        "STATE" => {
            let (glyph, role) = theme::sign(task);
            let name = if column.width == 1 { "" } else { task.shown_state() };
            Cell::new(clean(format!("{glyph} {name}").trim_end()), role)
        }
        "TASK" => match task.name() {
            Some(name) => Cell::plain(clean(name)),
            None => Cell::new(Clean::own("(name not known)"), Role::Faint),
        },
        "ID" if column.width > 8 => Cell::new(clean(&task.id().to_string()), Role::Faint),
        "ID" => Cell::new(clean(&task.id().short()), Role::Faint),
        "WORKER" => muted(task.worker()),
        "QUEUE" => muted(task.queue()),
        "RECEIVED" => time(task.seen()),
        "AGE" => Cell::new(clean(&task.seen().map_or(String::new(), |at| age(at, cx))), Role::Muted),
        "SENT" => time(task.sent()),
        "STARTED" => time(task.started()),
        "FINISHED" => time(task.finished()),
        "WAIT" => {
            let wait =
                task.wait().map(|(secs, least)| format!("{}{}", if least { "≥" } else { "" }, human::seconds(secs)));
            Cell::new(clean(&wait.unwrap_or_default()), Role::Muted)
        }
        "PREFETCH" => {
            let held = task.started().zip(task.received()).map(|(s, r)| human::seconds(s.since(r).as_secs_f64()));
            Cell::new(clean(&held.unwrap_or_default()), Role::Muted)
        }
        "RUNTIME" => runtime(task, cx),
        "ARGS" => text(task.args().as_deref(), Role::Muted),
        "KWARGS" => text(task.kwargs().as_deref(), Role::Muted),
        "RESULT" => text(task.result().as_deref(), Role::Muted),
        "ERROR" => text(task.error().as_deref(), Role::Fail),
        "ETA" => {
            let due = task.due(cx.then()).map(|secs| if secs > 0.0 { human::span(secs as u64) } else { "now".into() });
            Cell::new(clean(&due.unwrap_or_default()), Role::Muted)
        }
        "ROOT" => {
            let root = task.root().filter(|root| root != task.id());
            let shown = root.map(|root| if column.width > 8 { root.to_string() } else { root.short() });
            Cell::new(clean(&shown.unwrap_or_default()), Role::Faint)
        }
        _ => {
            let tries = task.retries().filter(|n| *n > 0).map(|n| (n + 1).to_string());
            Cell::new(clean(&tries.unwrap_or_default()), Role::Retry)
        }
    }
}

/// In steps of five seconds at first: a list that nothing happens in stays as it is.
fn age(at: crate::clock::Stamp, cx: &Cx<'_>) -> String {
    match cx.now.since(at).as_secs() {
        0..5 => "now".into(),
        secs @ 5..60 => human::age(secs / 5 * 5),
        secs => human::age(secs),
    }
}

/// What it took; or how long it runs already, in whole seconds so that a long list of running tasks stays calm.
fn runtime(task: &Task<'_>, cx: &Cx<'_>) -> Cell {
    if let Some(secs) = task.running(cx.then()) {
        return Cell::new(clean(&human::span(secs as u64)), Role::Running);
    }
    let ran = task.runtime().or_else(|| match (task.started(), task.finished()) {
        (Some(started), Some(finished)) => Some(finished.since(started).as_secs_f64()),
        _ => None,
    });
    Cell::plain(clean(&ran.map(human::seconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(width: u16, chosen: Option<&[String]>, skip: usize) -> Vec<&'static str> {
        for_width(width, chosen, skip).into_iter().map(|c| c.title).collect()
    }

    #[test]
    fn the_settings_know_every_column() {
        let mut here = KINDS.map(|kind| kind.name);
        let mut there = crate::config::ui::COLUMNS;
        here.sort_unstable();
        there.sort_unstable();
        assert_eq!(here, there);
    }

    #[test]
    fn columns_go_in_a_fixed_order_and_can_be_chosen() {
        assert_eq!(titles(80, None, 0), ["STATE", "TASK", "ID", "WORKER", "AGE", "RUNTIME"]);
        assert_eq!(titles(40, None, 0), ["STATE", "TASK", "RUNTIME"]);
        let chosen: Vec<String> = ["runtime", "task", "args"].map(str::to_owned).to_vec();
        assert_eq!(titles(120, Some(&chosen), 0), ["RUNTIME", "TASK", "ARGS"]);
        assert_eq!(titles(40, Some(&chosen), 0), ["RUNTIME", "TASK"], "what has no room is reached sideways");
    }

    #[test]
    fn scrolling_sideways_keeps_state_and_task() {
        assert_eq!(titles(80, None, 4)[2], "AGE");
        assert_eq!(titles(80, None, 3)[..3], ["STATE", "TASK", "RECEIVED"]);
        assert_eq!(titles(80, None, 99), ["STATE", "TASK", "ROOT"]);
    }
}
