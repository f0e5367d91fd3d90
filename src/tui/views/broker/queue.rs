//! One queue on a screen of its own: the same panes, with a cursor in their rows.

use ratatui::layout::Rect;

use crate::feed::Interest;
use crate::filter::{Filter, Pattern, Term, Test, Word};
use crate::human;
use crate::ops::Which;
use crate::state::peek::By;
use crate::state::queue::Queue;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::views::task::Line;

use super::message::MessageScreen;
use super::orders::{self, Orders};
use super::panes::{Pane, Panes};
use super::rows::Opens;
use super::table;

/// See the module.
pub struct QueueScreen {
    name: String,
    panes: Panes,
    orders: Orders,
    title: Line,
}

/// Lines above the rows: title, and the rule with the panes.
const ABOVE: u16 = 2;

impl QueueScreen {
    /// Opens a queue at the pane that was looked at.
    pub fn new(name: String, like: &Panes) -> Self {
        Self { name, panes: Panes::like(like), orders: Orders::default(), title: Vec::new() }
    }

    /// Which messages an order would be for, or why it can't be for any.
    fn which(&self) -> Result<Which, &'static str> {
        match self.panes.pane {
            Pane::Waiting | Pane::Groups => orders::which(&self.panes.all_chosen()),
            Pane::Unacked => Err("workers have these: revoke them, or put them back with U if their worker is gone"),
            Pane::Consumers | Pane::Producers => Err("choose messages, or a group of them"),
        }
    }

    fn open(&self, cx: &Cx<'_>) -> Outcome {
        let Some(chosen) = self.panes.chosen() else { return Outcome::Done };
        let tasks = |words: &[(Word, &str)]| {
            let filter = filter(words);
            Outcome::Effect(Effect::OpenTasks { filter })
        };
        match chosen {
            Opens::Message(id) if cx.model.task(id).is_some() => Outcome::Effect(Effect::OpenTask(id.clone())),
            Opens::Message(id) => match MessageScreen::find(&self.name, id, cx.model) {
                Some(screen) => Outcome::Effect(Effect::Open(Box::new(screen))),
                None => Outcome::Effect(Effect::Say("this message is not there any more".into())),
            },
            Opens::Unreadable(bad) => {
                let screen = MessageScreen::unreadable(&self.name, bad.clone());
                Outcome::Effect(Effect::Open(Box::new(screen)))
            }
            Opens::Group(By::Task, name) => {
                tasks(&[(Word::State, "pending"), (Word::Task, name), (Word::Queue, &self.name)])
            }
            Opens::Group(By::Argument(name), value) => {
                let (word, text) = match name.strip_prefix("kwargs.") {
                    Some(key) => (Word::Kwargs, format!("'{key}': {value}")),
                    None => (Word::Args, value.clone()),
                };
                tasks(&[(Word::State, "pending"), (Word::Queue, &self.name), (word, &text)])
            }
            Opens::Group(..) => tasks(&[(Word::State, "pending"), (Word::Queue, &self.name)]),
            Opens::Worker(name) => tasks(&[(Word::Worker, name), (Word::Queue, &self.name)]),
            Opens::Nothing => Outcome::Done,
        }
    }
}

/// A filter that selects exactly these.
fn filter(words: &[(Word, &str)]) -> String {
    let whole = |word: Word, value: &str| match word {
        Word::State | Word::Args | Word::Kwargs => Pattern::new(value),
        _ => Pattern::new(&format!("={value}")),
    };
    let term =
        |(word, value): &(Word, &str)| Term { negated: false, test: Test::Text(*word, vec![whole(*word, value)]) };
    Filter { terms: words.iter().map(term).collect() }.to_string()
}

/// The queue in one line: how much, how fast, how old. Facts that don't fit are left out from the end.
fn title(name: &str, filter: &str, cx: &Cx<'_>) -> Line {
    let mut facts = vec![(clean(name), Role::Heading)];
    if !filter.is_empty() {
        facts.push((crate::clean!("filter  {filter}"), Role::Accent));
    }
    match cx.model.queue(name).filter(|queue| queue.at.is_some()) {
        Some(queue) => facts.extend(self::facts(name, queue, cx)),
        None => facts.push((Clean::own("the broker has not told of it"), Role::Muted)),
    }
    let mut line: Line = Vec::new();
    let mut left = usize::from(cx.size.width.saturating_sub(2));
    for (text, role) in facts {
        let gap = if line.is_empty() { 0 } else { 3 };
        if text.width() + gap > left && !line.is_empty() {
            break;
        }
        left = left.saturating_sub(text.width() + gap);
        line.extend([(Clean::repeated(' ', gap), Role::Text), (text, role)]);
    }
    line
}

/// The workers that say they consume a queue.
fn who(name: &str, cx: &Cx<'_>) -> String {
    let consumes = |queues: &Option<Vec<String>>| queues.iter().flatten().any(|q| q == name);
    let workers = cx.model.workers().into_iter();
    let workers = workers.filter(|(_, w)| w.is_online(cx.now) && consumes(&w.inspected.queues)).map(|(name, _)| name);
    let names: Vec<&str> = workers.collect();
    if names.is_empty() { "somebody".into() } else { names.join(" ") }
}

fn facts(name: &str, queue: &Queue, cx: &Cx<'_>) -> Line {
    let mut facts = vec![(crate::clean!("{} waiting", human::thousands(queue.depth.ready)), Role::Text)];
    let mut fact = |text: String, role: Role| facts.push((clean(&text), role));
    if let Some(unacked) = queue.depth.unacked {
        fact(format!("{} unacked", human::thousands(unacked)), Role::Text);
    }
    if !cx.model.held(name).is_empty() {
        fact("held: H releases it".into(), Role::Warn);
    }
    match queue.depth.consumers.or(cx.model.consumers(name, cx.now).map(|n| n as u64)) {
        Some(0) => fact("no consumer ▲".into(), Role::Warn),
        // It is held, and somebody started since, who consumes it all the same.
        Some(_) if !cx.model.held(name).is_empty() => {
            fact(format!("still consumed by {} ▲", who(name, cx)), Role::Warn);
        }
        Some(n) => fact(human::plural(n, "consumer"), Role::Muted),
        None => {}
    }
    match table::drains(name, queue, cx) {
        Some((_, true)) => fact("never drains ▲".into(), Role::Warn),
        Some((time, false)) => fact(format!("drains in {time}"), Role::Muted),
        None => {}
    }
    if let Some(oldest) = table::oldest(queue, cx) {
        fact(format!("oldest {oldest}"), Role::Muted);
    }
    if let Some((into, out)) = cx.model.flow(queue, cx.now) {
        fact(format!("in {}/s  out {}/s", human::rate(into), human::rate(out)), Role::Muted);
    }
    if let Some(kind) = &queue.depth.kind {
        let policy = queue.depth.policy.as_ref().map_or(String::new(), |policy| format!(", policy {policy}"));
        fact(format!("{kind}{policy}"), Role::Muted);
    }
    if let Some((slope, secs)) = queue.change(cx.now).filter(|(slope, _)| slope.abs() >= 0.05) {
        let word = if slope > 0.0 { "grows" } else { "shrinks" };
        let over = human::about(secs);
        fact(format!("{word} {}/s over {over}", human::rate(slope.abs())), Role::Muted);
    }
    facts
}

impl View for QueueScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[
            Scope::Opens,
            Scope::HasTasks,
            Scope::Broker,
            Scope::Panes,
            Scope::Filters,
            Scope::Marks,
            Scope::List,
            Scope::Global,
        ]
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        let which = self.which();
        orders::refuse(action, Some(&self.name), Some(which.as_ref().map_err(|why| *why)), cx)
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if self.panes.go_in_rows(action) || self.panes.perform(action, Some(&self.name), cx) {
            return Outcome::Done;
        }
        let (name, which) = (self.name.clone(), self.which().ok());
        if let Some(outcome) = self.orders.perform(action, &name, which, cx) {
            return outcome;
        }
        match action {
            Action::Open => self.open(cx),
            Action::TheirTasks => super::their_tasks([self.name.as_str()]),
            Action::LookInside if cx.options.read_only => Outcome::Effect(Effect::Say(super::READ_ONLY.into())),
            Action::LookInside => {
                self.panes.ask(&self.name);
                Outcome::Done
            }
            Action::Filter => {
                let prompt = Prompt::line("filter", &self.panes.filter, |_| Ok(()), Vec::new());
                Outcome::Effect(Effect::Open(Box::new(prompt)))
            }
            Action::Back if !self.panes.filter.is_empty() => {
                self.panes.filter.clear();
                Outcome::Done
            }
            Action::Back if !self.panes.cursor.marks.is_empty() => {
                self.panes.unmark();
                Outcome::Done
            }
            Action::Back => Outcome::Effect(Effect::Close),
            _ => Outcome::Ignored,
        }
    }

    fn urges(&self) -> Option<(Action, &'static str)> {
        self.panes.waits_to_be_asked().then_some((Action::LookInside, "look"))
    }

    fn answer(&mut self, answer: &Answer, cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.orders.answer(answer, cx) {
            return outcome;
        }
        match answer {
            Answer::Text { text, .. } => self.panes.filter = text.clone(),
            _ => self.panes.filter.clear(),
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) if self.panes.click(row) => return self.open(cx),
            Target::Row(_) => {}
            Target::Pane(i) => self.panes.go(i),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let cx = &cx.last_heard();
        self.title = title(&self.name, &self.panes.filter, cx);
        self.panes.sync(&self.name, cx, cx.size.height.saturating_sub(ABOVE), true);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        if area.height < 3 {
            return;
        }
        self.panes.draw_titles(page, Rect { y: area.y + 1, height: 1, ..area }, &Vec::new());
        let rows = Rect { y: area.y + ABOVE, height: area.height.saturating_sub(ABOVE), ..area };
        self.panes.draw_rows(page, rows);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        let mut copies = vec![("name".to_owned(), self.name.clone())];
        let queue = cx.model.queue(&self.name);
        copies.extend(queue.map(|queue| ("report".to_owned(), super::report(&self.name, queue, cx))));
        copies
    }

    fn interest(&self) -> Interest {
        self.panes.interest(&self.name)
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_opens_its_tasks_whatever_their_name_is() {
        let text = filter(&[(Word::State, "pending"), (Word::Task, "odd name, \"quoted\""), (Word::Queue, "a:b")]);
        let parsed = crate::filter::parse(&text).expect("reads back");
        assert_eq!(parsed.to_string(), text);
        assert_eq!(parsed.terms.len(), 3);
    }
}
