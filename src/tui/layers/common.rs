//! What do these have in common? The traits that tell some tasks from the rest of the same name and time.

use ratatui::layout::Rect;

use crate::filter::{Filter, Term};
use crate::history::lookup::{Found, Look, Request, Ticket, Waiting};
use crate::history::reader::Query;
use crate::human;
use crate::redact::Redactor;
use crate::state::common::{Chosen, Common, Line};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Cx, Effect, Outcome, View};
use crate::tui::views::list::Cursor;

/// See the module.
pub struct InCommon {
    /// Asked for, and not taken up yet.
    wanted: Option<Chosen>,
    /// The same, of the history; and what is waited for.
    request: Option<Request>,
    waiting: Waiting,
    trouble: Option<String>,
    recorded: bool,
    /// What the tasks were selected by: a line is added to it.
    filter: String,
    whose: Clean,
    found: Option<Common>,
    places: Vec<usize>,
    cursor: Cursor<usize>,
    selected: Option<usize>,
    height: usize,
}

impl InCommon {
    /// Of these tasks, which `filter` selects, and which a person calls so.
    pub fn new(chosen: Chosen, filter: String, whose: &str) -> Self {
        Self {
            wanted: Some(chosen),
            request: None,
            waiting: Waiting::default(),
            trouble: None,
            recorded: false,
            filter,
            whose: clean(whose),
            found: None,
            places: Vec::new(),
            cursor: Cursor::default(),
            selected: None,
            height: 0,
        }
    }

    /// The same of tasks in the history.
    pub fn recorded(chosen: Chosen, query: Query, redactor: Redactor, filter: String, whose: &str) -> Self {
        let mut this = Self::new(Chosen::Tasks(Vec::new()), filter, whose);
        this.wanted = None;
        this.recorded = true;
        this.request = Some(this.waiting.ask(Look::Common { chosen, query, redactor }));
        this
    }

    fn line(&self) -> Option<&Line> {
        self.found.as_ref()?.lines.get(self.cursor.at?)
    }

    fn filtered(&self, negated: bool) -> Result<String, String> {
        let line = self.line().ok_or("no line is chosen")?;
        let Some(test) = line.test.clone() else { return Err(format!("a filter can't ask for {}", line.what)) };
        let term = Filter { terms: vec![Term { negated, test }] };
        Ok(format!("{} {term}", self.filter).trim().to_owned())
    }

    fn status(&self) -> Vec<(Clean, Role)> {
        if let Some(why) = &self.trouble {
            return vec![(clean(why), Role::Fail)];
        }
        let Some(found) = &self.found else { return vec![(Clean::own("looking …"), Role::Muted)] };
        let chosen = human::thousands(found.chosen as u64);
        let cut = if found.cut { " (the newest of more)" } else { "" };
        let others = human::plural(found.others, "other");
        let sample = if found.sampled { "a sample of " } else { "" };
        let text = format!("{chosen} chosen{cut}, compared with {sample}{others} of the same name and time");
        vec![(clean(&text), Role::Muted)]
    }

    fn nothing(&self, found: &Common) -> [&'static str; 3] {
        let alone = "There is nothing to compare them with:";
        match (found.chosen, found.others) {
            (0, _) if self.recorded => ["None of them is recorded.", "", ""],
            (0, _) => ["None of them is in memory.", "", ""],
            (_, 0) if self.recorded => [alone, "no other task of this name is recorded from that time.", ""],
            (_, 0) => [alone, "no other task of this name is in memory from that time.", ""],
            _ => [
                "Nothing stands out.",
                "Worker, process, queue, origin, version, hour, tries, size and arguments",
                "are about as with the others.",
            ],
        }
    }
}

impl View for InCommon {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::InCommon, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.places, self.height) {
            return Outcome::Done;
        }
        let filter = match action {
            Action::OnlyWith => self.filtered(false),
            Action::OnlyWithout => self.filtered(true),
            _ => return Outcome::Ignored,
        };
        Outcome::Effect(match filter {
            Ok(filter) if self.recorded => Effect::OpenHistory { filter },
            Ok(filter) => Effect::OpenTasks { filter },
            Err(why) => Effect::Say(why),
        })
    }

    fn refuse(&self, action: Action, _cx: &Cx<'_>) -> Option<String> {
        matches!(action, Action::OnlyWith | Action::OnlyWithout).then(|| self.filtered(false).err()).flatten()
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => self.cursor.go(self.cursor.top + row, &self.places),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.places = (0..self.found.as_ref().map_or(0, |found| found.lines.len())).collect();
        self.height = usize::from(cx.size.height.saturating_sub(4));
        self.selected = self.cursor.settle(&self.places, self.height).map(|at| at - self.cursor.top);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let title = vec![(Clean::own("what they have in common  "), Role::Heading), (self.whose.clone(), Role::Text)];
        page.rule(Rect { height: 1, ..area }, &title);
        page.pieces(area.x + 2, area.y + 1, area.width.saturating_sub(3), &self.status());
        let Some(found) = &self.found else { return };
        let top = area.y + 3;
        if found.lines.is_empty() {
            for (text, y) in self.nothing(found).into_iter().zip(top..area.y + area.height) {
                page.put(area.x + 2, y, area.width.saturating_sub(3), Clean::own(text), Role::Text);
            }
            return;
        }
        let right = 34.min(area.width / 2);
        let room = area.width.saturating_sub(right + 4);
        for ((i, line), y) in found.lines.iter().skip(self.cursor.top).take(self.height).enumerate().zip(top..) {
            let row = Rect { y, height: 1, ..area };
            if self.selected == Some(i) {
                page.select(row);
                page.put(area.x, y, 1, Clean::own("▌"), Role::Accent);
            }
            page.clickable(row, Target::Row(i));
            let said = [(crate::clean!("{} = ", line.what), Role::Muted), (clean(&line.value), Role::Text)];
            page.pieces(area.x + 2, y, room, &said);
            let x = area.x + area.width - right - 1;
            let with =
                crate::clean!("{} of {}", human::thousands(line.with as u64), human::thousands(line.chosen as u64));
            page.put_right(x, y, 14, &with, Role::Text);
            let others = crate::clean!("{} of the others", human::percent(line.share_of_others()));
            page.put_right(x + 14, y, right - 14, &others, Role::Muted);
        }
    }

    fn crumb(&self) -> Option<String> {
        Some("in common".into())
    }

    fn wants_common(&mut self) -> Option<Chosen> {
        self.wanted.take()
    }

    fn compared(&mut self, common: Common) {
        self.found = Some(common);
    }

    fn wants_lookups(&mut self) -> Vec<Request> {
        self.request.take().into_iter().collect()
    }

    fn looked_up(&mut self, ticket: &Ticket, found: Found, _cx: &mut Cx<'_>) -> Outcome {
        match found {
            Found::Common(common) if self.waiting.is_for(ticket) => self.found = Some(common),
            Found::Failed(why) if self.waiting.is_for(ticket) => self.trouble = Some(why),
            _ => {}
        }
        Outcome::Done
    }
}
