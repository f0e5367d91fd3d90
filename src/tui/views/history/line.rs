//! What is said about the list: how much was found of how much, how far back it goes, and who writes it down.

use super::History;
use crate::history::writer::Role as Writing;
use crate::human;
use crate::state::no_state;
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;

/// After so many seconds it is said of when the list is.
const OLD: u64 = 15;

impl History {
    /// The line above the list.
    pub(super) fn line(&self, cx: &Cx<'_>) -> Line {
        let mut line: Line = Vec::new();
        if self.trouble.is_some() {
            line.push((Clean::own("can't be read"), Role::Fail));
            return line;
        }
        if !self.list.marks.is_empty() {
            let marked = human::thousands(self.list.marks.len() as u64);
            line.push((crate::clean!("{marked} marked · "), Role::Accent));
        }
        let all = self.sums.progress.of.max(self.rows.progress.of);
        let found = match &self.sums.totals {
            Some(totals) => totals.count(),
            None => self.sums.progress.found.max(self.rows.len() as u64),
        };
        let counts = match self.selected.is_empty() {
            true => clean(&human::plural(all, "task")),
            false => crate::clean!("{} of {}", human::thousands(found), human::thousands(all)),
        };
        line.push((counts, Role::Text));
        if let Some(share) = self.looked_at() {
            line.push((crate::clean!(" · looked at {share} %"), Role::Accent));
        }
        if self.rows.is_full() {
            let listed = human::thousands(self.rows.len() as u64);
            line.push((crate::clean!(" · the latest {listed} are listed"), Role::Warn));
        } else if self.rows.has_more() && self.list.query.sort() != crate::state::Sort::default() {
            let listed = human::thousands(self.rows.len() as u64);
            line.push((crate::clean!(" · sorted: the latest {listed}"), Role::Warn));
        }
        if let Some(mark) = &self.sums.unknown {
            line.push((crate::clean!(" · no mark is named {mark}"), Role::Warn));
        }
        let (troubles, who) = writing(cx);
        line.extend(troubles);
        // What only explains comes last: where there is no room, it goes.
        if let Some(oldest) = self.sums.oldest {
            line.push((crate::clean!(" · since {}", cx.time(oldest)), Role::Faint));
        }
        let asked = self.rows.query().map(|query| query.now);
        if let Some(asked) = asked.filter(|asked| cx.now.since(*asked).as_secs() >= OLD) {
            line.push((crate::clean!(" · as of {}", human::clock(asked, cx.shown_zone())), Role::Faint));
        }
        line.extend(who);
        line
    }

    /// Percent that were looked at, while the look goes on.
    fn looked_at(&self) -> Option<u64> {
        let percent = |p: crate::history::reader::Progress| (p.looked * 100).checked_div(p.of).unwrap_or(0).min(99);
        match (self.sums.done, self.rows.done) {
            (true, true) => None,
            (true, false) => Some(percent(self.rows.progress)),
            (false, _) => Some(percent(self.sums.progress)),
        }
    }

    /// What stands there instead of rows.
    pub(super) fn instead(&self, cx: &Cx<'_>) -> Vec<Line> {
        let say = |text: &'static str| vec![(Clean::own(text), Role::Muted)];
        if let Some(why) = &self.trouble {
            let again = "All other tabs go on. It is tried again every few seconds.";
            return vec![vec![(clean(why), Role::Fail)], say(again)];
        }
        if !self.rows.done {
            return vec![say("Looking through the history …")];
        }
        if self.rows.progress.of == 0 {
            return vec![
                say("Nothing is recorded yet."),
                say(
                    "Each task that is seen from now on is written down, and found here by the same filters for weeks.",
                ),
            ];
        }
        let mut lines =
            vec![vec![(Clean::own("No recorded task matches "), Role::Muted), (clean(&self.filter), Role::Text)]];
        if let Some(word) = self.rows.filter().and_then(no_state) {
            lines.push(vec![(crate::clean!("No state begins with {word}."), Role::Warn)]);
        }
        if let Some(oldest) = self.sums.oldest {
            lines.push(vec![(crate::clean!("The history begins {}.", cx.time(oldest)), Role::Muted)]);
        }
        lines.push(say("Esc shows all tasks again, / changes the filter."));
        lines
    }
}

/// What is wrong with the writing of the history, and who writes it.
fn writing(cx: &Cx<'_>) -> (Line, Option<(Clean, Role)>) {
    let who = |text| Some((Clean::own(text), Role::Faint));
    let Some(status) = cx.recording else { return (Vec::new(), who(" · not recording")) };
    let mut troubles: Line = Vec::new();
    let who = match &status.role {
        Writing::Opening => None,
        Writing::Writer => who(" · recording"),
        Writing::Reader => who(" · recorded by another process"),
        Writing::Failing(why) => {
            troubles.push((crate::clean!(" · NOT RECORDING: {why}"), Role::Fail));
            None
        }
    };
    if status.missed > 0 {
        let text = crate::clean!(" · {} not written", human::count_of(status.missed, "event"));
        troubles.push((text, Role::Warn));
    }
    (troubles, who)
}
