//! What was changed at runtime and a restart forgets: who has it, who started since without it; apply again, take back.

use ratatui::layout::Rect;

use crate::feed::Interest;
use crate::history::audit::Logged;
use crate::ops::overrides::{Override, overrides};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Cx, Effect, Outcome, View};
use crate::tui::views::list::Cursor;

type Line = Vec<(Clean, Role)>;

/// See the module.
pub struct Overrides {
    log: Result<Vec<Logged>, String>,
    found: Vec<Override>,
    ids: Vec<(i64, String)>,
    cursor: Cursor<(i64, String)>,
    lines: Vec<Line>,
    below: Vec<Line>,
    selected: Option<usize>,
    height: usize,
}

impl Overrides {
    /// Of the audit log as it was read.
    pub fn new(log: Result<Vec<Logged>, String>) -> Self {
        Self {
            log,
            found: Vec::new(),
            ids: Vec::new(),
            cursor: Cursor::default(),
            lines: Vec::new(),
            below: Vec::new(),
            selected: None,
            height: 0,
        }
    }

    fn chosen(&self) -> Option<&Override> {
        let place = self.ids.iter().position(|id| Some(id) == self.cursor.at.as_ref())?;
        self.found.get(place)
    }

    fn line(one: &Override, cx: &Cx<'_>) -> Line {
        let has = one.workers.iter().filter(|(_, has)| has.is_in_force()).count();
        let without = one.workers.len() - has;
        let mut line = vec![
            (crate::clean!("{:>5}  ", one.id), Role::Faint),
            (crate::clean!("{:<44}", crate::text::cut_end(clean(&one.title()).as_str(), 43)), Role::Text),
            (crate::clean!("{:>9}", cx.time(one.at)), Role::Muted),
            (crate::clean!("  by {:<12}", crate::text::cut_end(clean(&one.user).as_str(), 12)), Role::Muted),
            (crate::clean!("{:>4} with it", has), Role::Muted),
        ];
        if without > 0 {
            line.push((crate::clean!("  {without} without"), Role::Warn));
        }
        line
    }
}

impl View for Overrides {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Overrides, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        if self.cursor.perform(action, &self.ids, self.height) {
            return Outcome::Done;
        }
        let command = match (action, self.chosen()) {
            (Action::ApplyAgain, Some(one)) => one.again(),
            (Action::TakeBack, Some(one)) => one.back(),
            _ => return Outcome::Ignored,
        };
        Outcome::Effect(match command {
            Ok(command) => Effect::Ask(command),
            Err(why) => Effect::Say(why),
        })
    }

    fn refuse(&self, action: Action, _cx: &Cx<'_>) -> Option<String> {
        match (action, self.chosen()) {
            (Action::ApplyAgain | Action::TakeBack, None) => Some("nothing is chosen".into()),
            (Action::ApplyAgain, Some(one)) => one.again().err(),
            (Action::TakeBack, Some(one)) => one.back().err(),
            _ => None,
        }
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => self.cursor.go(self.cursor.top + row, &self.ids),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.found = self.log.as_ref().map(|log| overrides(log, cx.model, cx.now)).unwrap_or_default();
        self.ids = self.found.iter().map(|one| (one.id, one.title())).collect();
        let pane = usize::from(cx.size.height) / 2;
        self.height = usize::from(cx.size.height).saturating_sub(pane + 2);
        self.selected = self.cursor.settle(&self.ids, self.height).map(|at| at - self.cursor.top);
        let shown = self.found.iter().skip(self.cursor.top).take(self.height);
        self.lines = shown.map(|one| Self::line(one, cx)).collect();
        let say = |text: &str, role| vec![(clean(text), role)];
        if let Err(why) = &self.log {
            self.lines = vec![say(why, Role::Fail)];
        } else if self.found.is_empty() {
            self.lines = vec![
                say("Nothing is in force that a restart would forget, as far as the audit log knows.", Role::Text),
                say("What was changed past flower-tui, or on another machine, is not in it.", Role::Muted),
            ];
        }
        let workers = self.chosen().map(|one| one.workers.clone()).unwrap_or_default();
        let line = |(name, has): (String, crate::ops::overrides::Has)| {
            let role = if has.is_in_force() { Role::Text } else { Role::Warn };
            vec![(crate::clean!("{name:<36}  "), Role::Text), (Clean::own(has.words()), role)]
        };
        self.below = workers.into_iter().map(line).collect();
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let title = vec![(Clean::own("changed at runtime: a restart forgets it"), Role::Heading)];
        page.rule(Rect { height: 1, ..area }, &title);
        for ((i, line), y) in self.lines.iter().enumerate().zip(area.y + 1..area.y + area.height) {
            let row = Rect { y, height: 1, ..area };
            if self.selected == Some(i) {
                page.select(row);
                page.put(area.x, y, 1, Clean::own("▌"), Role::Accent);
            }
            page.clickable(row, Target::Row(i));
            page.pieces(area.x + 2, y, area.width.saturating_sub(3), line);
        }
        let height = area.height / 2;
        if let Some(one) = self.chosen() {
            let pane = Rect { y: area.y + area.height - height, height, ..area };
            page.pane(pane, &[(clean(&one.title()), Role::Text)], &self.below);
        }
    }

    fn logged(&mut self, log: Result<Vec<Logged>, String>) {
        self.log = log;
    }

    fn crumb(&self) -> Option<String> {
        Some("overrides".into())
    }

    fn interest(&self) -> Interest {
        Interest { workers: true, consumers: true, ..Interest::default() }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
