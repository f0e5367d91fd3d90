//! What waits, folded into groups.

use super::{Item, Opens, Rows, as_of, blank, muted, say, seen};
use crate::clock::Stamp;
use crate::human;
use crate::state::peek::{By, Found, Group, Look, Sample};
use crate::text::{clean, cut_end};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column};

/// Columns of the bar of a group.
const BAR: usize = 8;

pub(super) fn groups(by: &By, queue: &str, cx: &Cx<'_>) -> Rows {
    let title = match by {
        By::Task => "TASK",
        By::Origin => "ORIGIN",
        By::Priority => "PRIORITY",
        By::Age => "SENT AGO",
        By::Argument(_) => "VALUE",
    };
    let (name, count, share) = (Column::left(title, 0), Column::right("COUNT", 7), Column::right("SHARE", 6));
    let (bar, size, oldest) = (Column::left("", BAR as u16), Column::right("SIZE", 6), Column::right("OLDEST", 8));
    let (first, from) = (Column::right("FIRST #", 7), Column::left("MOSTLY FROM", 26));
    let columns = match cx.size.width {
        0..60 => vec![name, count, share],
        60..100 => vec![name, count, share, size, oldest, first],
        _ if *by == By::Origin => vec![name, count, share, bar, size, oldest, first],
        _ => vec![name, count, share, bar, size, oldest, first, from],
    };
    let peeked = match seen(queue, Look::Groups, cx) {
        Ok(peeked) => peeked,
        Err(empty) => return Rows { columns, empty, ..Rows::default() },
    };
    let Ok(Found::Groups(sample)) = &peeked.found else { return Rows::default() };
    let cell = |column: &Column, group: &Group| match column.title {
        "COUNT" => Cell::plain(clean(&human::thousands(group.count))),
        "SHARE" => muted(&human::percent(part(group, sample))),
        "" => Cell::new(spark::gauge(part(group, sample), BAR).0, Role::Series1),
        "SIZE" => muted(&human::bytes(group.bytes)),
        "OLDEST" => group.oldest.map_or(blank(), |at| muted(&human::about(cx.now.since(at).as_secs()))),
        "FIRST #" => Cell::new(clean(&human::count(group.place as u64 + 1)), Role::Faint),
        "MOSTLY FROM" => match group.main_origin() {
            Some((origin, 0)) => muted(origin),
            Some((origin, others)) => muted(&format!("{} +{others}", cut_end(origin, 20))),
            None => blank(),
        },
        _ if group.is_value => Cell::plain(clean(&group.key)),
        _ => muted(&group.key),
    };
    let items = sample.groups(by).into_iter().map(|group| Item {
        key: group.key.clone(),
        cells: columns.iter().map(|column| cell(column, group)).collect(),
        role: None,
        opens: if group.is_value { Opens::Group(by.clone(), group.key.clone()) } else { Opens::Nothing },
    });
    Rows {
        items: items.collect(),
        note: sampled(by, sample, peeked.at, cx),
        empty: say("Nothing waits in this queue."),
        columns,
    }
}

/// Share of a group in all that was looked at.
fn part(group: &Group, sample: &Sample) -> f64 {
    group.count as f64 / sample.looked.max(1) as f64
}

fn sampled(by: &By, sample: &Sample, at: Stamp, cx: &Cx<'_>) -> Line {
    let (looked, of) = (human::thousands(sample.looked as u64), human::thousands(sample.of as u64));
    let what = match (sample.done, sample.of > sample.looked) {
        (false, _) => (crate::clean!("reading, {looked} of {of} …"), Role::Accent),
        (true, true) => (crate::clean!("a sample: the next {looked} of {of}"), Role::Warn),
        (true, false) => (crate::clean!("all {looked}"), Role::Muted),
    };
    vec![what, as_of(at, cx), (crate::clean!("by {}", by.word()), Role::Muted)]
}
