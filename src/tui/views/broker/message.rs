//! A message as it lies in a queue, whole: for tasks of which no event was seen.

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::celery::canvas::{Canvas, CanvasStep};
use crate::celery::event::Undecodable;
use crate::celery::message::{Body, Message, Protocol};
use crate::human;
use crate::redact::Redactor;
use crate::state::Model;
use crate::state::peek::{Found, Look};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::scroll::Scroll;
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::views::task::Line;
use crate::tui::widgets::literal;

/// See the module.
pub struct MessageScreen {
    queue: String,
    message: Result<Message, Undecodable>,
    /// Columns the lines were made for.
    width: usize,
    scroll: Scroll,
}

impl MessageScreen {
    /// The message of a task, as it was last seen in a queue.
    pub fn find(queue: &str, id: &TaskId, model: &Model) -> Option<Self> {
        let looks = [Look::Waiting, Look::Unacked].into_iter().filter_map(|look| model.peeked(queue, look));
        let mut messages = looks.flat_map(|peeked| -> Vec<&Message> {
            match &peeked.found {
                Ok(Found::Waiting(waiting)) => waiting.iter().filter_map(|w| w.message.as_ref().ok()).collect(),
                Ok(Found::Unacked(unacked)) => unacked.entries.iter().filter_map(|d| d.message.as_ref().ok()).collect(),
                _ => Vec::new(),
            }
        });
        let message = messages.find(|message| message.id == *id)?.clone();
        Some(Self { queue: queue.to_owned(), message: Ok(message), width: 0, scroll: Scroll::default() })
    }

    /// A message that could not be read.
    pub fn unreadable(queue: &str, bad: Undecodable) -> Self {
        Self { queue: queue.to_owned(), message: Err(bad), width: 0, scroll: Scroll::default() }
    }
}

fn fact(label: &'static str, value: impl Into<Option<String>>, lines: &mut Vec<Line>) {
    if let Some(value) = value.into().filter(|value| !value.is_empty()) {
        lines.push(vec![(crate::clean!("{label:<12}"), Role::Muted), (clean(&value), Role::Text)]);
    }
}

fn heading(text: &'static str, lines: &mut Vec<Line>) {
    lines.push(Vec::new());
    lines.push(vec![(Clean::own(text), Role::Heading)]);
}

fn pretty(text: &str, width: usize, lines: &mut Vec<Line>) {
    lines.extend(literal::pretty(text, width).into_iter().map(|line| vec![(line, Role::Text)]));
}

/// Everything the message says.
fn whole(queue: &str, message: &Message, width: usize, redactor: &Redactor) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    fact("task", message.name.clone(), &mut lines);
    fact("id", message.id.to_string(), &mut lines);
    fact("queue", queue.to_owned(), &mut lines);
    let exchange = if message.exchange.is_empty() { "default exchange" } else { &message.exchange };
    let route = format!("{exchange} → {}", message.routing_key);
    fact("route", (message.routing_key != queue || !message.exchange.is_empty()).then_some(route), &mut lines);
    fact("priority", message.priority.map(|p| p.to_string()), &mut lines);
    fact("eta", message.eta.clone(), &mut lines);
    fact("expires", message.expires.clone(), &mut lines);
    fact("retries", (message.retries > 0).then(|| message.retries.to_string()), &mut lines);
    fact("sent by", message.origin.clone(), &mut lines);
    fact("redelivered", message.redelivered.then(|| "yes: it was given out before".to_owned()), &mut lines);
    fact("root", message.root_id.clone().filter(|root| *root != message.id.to_string()), &mut lines);
    fact("parent", message.parent_id.clone(), &mut lines);
    fact("group", message.group.clone(), &mut lines);
    let protocol = if message.protocol == Protocol::One { 1 } else { 2 };
    fact("size", format!("{}, protocol {protocol}", human::bytes(message.size as u64)), &mut lines);
    fact("tag", message.delivery_tag.clone(), &mut lines);
    match &message.body {
        body @ Body::Known { .. } => {
            heading("args", &mut lines);
            pretty(&body.args_text(redactor).unwrap_or_default(), width, &mut lines);
            heading("kwargs", &mut lines);
            pretty(&body.kwargs_text(redactor).unwrap_or_default(), width, &mut lines);
        }
        Body::Opaque(why) => {
            heading("body", &mut lines);
            lines.push(vec![(crate::clean!("✖ it can't be read: {why}"), Role::Retry)]);
            let printed = [("args as its sender printed them", &message.argsrepr), ("kwargs", &message.kwargsrepr)];
            for (label, text) in printed {
                let Some(text) = text.as_deref().filter(|t| !t.is_empty()) else { continue };
                heading(label, &mut lines);
                pretty(&redactor.text(text), width, &mut lines);
            }
        }
    }
    if let Some(canvas) = Canvas::of(message).filter(|canvas| !canvas.is_empty()) {
        heading("what comes after it", &mut lines);
        after(&canvas, &mut lines);
    }
    lines
}

fn after(canvas: &Canvas, lines: &mut Vec<Line>) {
    let parts = [
        ("then", canvas.chain.as_slice()),
        ("chord body", canvas.chord.as_slice()),
        ("on success", canvas.callbacks.as_slice()),
        ("on failure", canvas.errbacks.as_slice()),
    ];
    for (label, steps) in parts {
        for (i, step) in steps.iter().enumerate() {
            let CanvasStep { task, id } = step;
            let label = if i == 0 { label } else { "" };
            let id = id.as_ref().map_or(String::new(), |id| format!("  {id}"));
            lines.push(vec![
                (crate::clean!("{label:<12}"), Role::Muted),
                (clean(task), Role::Text),
                (clean(&id), Role::Faint),
            ]);
        }
    }
}

impl View for MessageScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Text, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match self.scroll.perform(action) {
            Some(outcome) => outcome,
            None if action == Action::Back => Outcome::Effect(Effect::Close),
            None => Outcome::Ignored,
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let width = usize::from(cx.size.width.saturating_sub(4)).max(20);
        // The message does not change any more.
        if width != self.width {
            self.width = width;
            self.scroll.lines = match &self.message {
                Ok(message) => whole(&self.queue, message, width, cx.model.redactor()),
                Err(bad) => vec![
                    vec![(crate::clean!("✖ it can't be read: {}", bad.why), Role::Retry)],
                    vec![(crate::clean!("{} in queue {}", human::bytes(bad.size as u64), self.queue), Role::Muted)],
                    Vec::new(),
                    vec![(
                        Clean::own("A worker that takes a message which is no JSON at all ends; other strange ones"),
                        Role::Faint,
                    )],
                    vec![(Clean::own("it drops or refuses, and says so in its log."), Role::Faint)],
                ],
            };
        }
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let title = vec![
            (Clean::own("a message, looked at in its queue"), Role::Heading),
            (Clean::own("   nothing is consumed"), Role::Faint),
        ];
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &title);
        let inner = Rect {
            x: area.x + 2,
            y: area.y + 2,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
        };
        self.scroll.draw(page, inner);
    }
}
