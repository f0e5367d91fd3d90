//! What stands in the panes of a queue: columns, rows, how they were come by, and what is said where there are none.

mod groups;
mod messages;
mod people;

use crate::broker::LinkState;
use crate::celery::TaskId;
use crate::celery::event::Undecodable;
use crate::clock::Stamp;
use crate::human;
use crate::state::peek::{By, Found, Look, Peeked};
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;
use crate::tui::widgets::table::{Cell, Column};

use super::panes::Pane;

/// What a row leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Opens {
    Message(TaskId),
    Unreadable(Undecodable),
    Group(By, String),
    Worker(String),
    Nothing,
}

/// One row.
pub struct Item {
    /// Names the row, so that the cursor stays with it.
    pub key: String,
    pub cells: Vec<Cell>,
    pub role: Option<Role>,
    pub opens: Opens,
}

/// A pane's contents.
#[derive(Default)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub items: Vec<Item>,
    /// Parts of a sentence; those that don't fit are left out from the end.
    pub note: Line,
    pub empty: Vec<Line>,
}

/// The kind of broker that needs no rights to be looked into, but its management API.
const RABBITMQ: &str = "rabbitmq";
/// Seconds after which what was seen is called stale.
const STALE: u64 = 45;

/// The contents of a pane.
pub fn of(pane: Pane, by: &By, queue: &str, cx: &Cx<'_>) -> Rows {
    match pane {
        Pane::Waiting => messages::waiting(queue, cx),
        Pane::Groups => groups::groups(by, queue, cx),
        Pane::Unacked => messages::unacked(queue, cx),
        Pane::Consumers => people::consumers(queue, cx),
        Pane::Producers => people::producers(queue, cx),
    }
}

fn say(text: &'static str) -> Vec<Line> {
    vec![vec![(Clean::own(text), Role::Muted)]]
}

fn muted(text: &str) -> Cell {
    Cell::new(clean(text), Role::Muted)
}

fn blank() -> Cell {
    Cell::new(Clean::own("-"), Role::Faint)
}

/// Whether a queue is looked at only when a person asks for it, and nobody has.
pub fn on_request(queue: &str, look: Look, cx: &Cx<'_>) -> bool {
    cx.model.peeked(queue, look).is_some_and(|peeked| peeked.found == Ok(Found::OnRequest))
}

/// What was seen; else what to say meanwhile.
fn seen<'m>(queue: &str, look: Look, cx: &Cx<'m>) -> Result<&'m Peeked, Vec<Line>> {
    let Some(peeked) = cx.model.peeked(queue, look) else {
        return Err(match cx.link {
            LinkState::Down { .. } => say("The broker is away, and nothing was seen of this before."),
            _ => say("asking the broker …"),
        });
    };
    match &peeked.found {
        Ok(Found::OnRequest) => Err(vec![
            vec![(
                Clean::own("Not looked at yet. RabbitMQ shows messages only by taking them out and putting them back:"),
                Role::Text,
            )],
            vec![(Clean::own("they keep their places, and are marked as redelivered, which workers see."), Role::Text)],
            vec![(Clean::own("i looks once."), Role::Accent)],
        ]),
        Ok(_) => Ok(peeked),
        Err(why) if cx.health.is_some_and(|health| health.kind == RABBITMQ) => {
            Err(vec![vec![(crate::clean!("✖ {why}"), Role::Warn)]])
        }
        Err(why) => Err(vec![
            vec![(crate::clean!("✖ {why}"), Role::Warn)],
            vec![(
                Clean::own("Looking needs the right to LLEN, LRANGE, HLEN, HGETALL, HMGET and ZRANGE."),
                Role::Muted,
            )],
        ]),
    }
}

/// When it was seen.
fn as_of(at: Stamp, cx: &Cx<'_>) -> (Clean, Role) {
    let time = human::clock(at, cx.zone);
    match cx.now.since(at).as_secs() > STALE || matches!(cx.link, LinkState::Down { .. }) {
        true => (crate::clean!("stale: as of {time}"), Role::Warn),
        false => (crate::clean!("as of {time}"), Role::Faint),
    }
}

/// Columns that each of the flexible ones gets: arguments are cut at their end, and not in the middle as names are.
fn room(columns: &[Column], width: u16) -> usize {
    let flexible = columns.iter().filter(|column| column.width == 0).count().max(1);
    crate::tui::widgets::table::left_over(columns, width) as usize / flexible
}
