//! The audit log as it is stored: who sent which command, when, from where, and what came of it.

use ratatui::layout::Rect;

use crate::clock::Stamp;
use crate::history::audit::Logged;
use crate::history::lookup::{Found, Look, Request, Ticket, Waiting};
use crate::human;
use crate::ops::Receipt;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::scroll::Scroll;
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::views::task::Line;

/// See the module.
#[derive(Default)]
pub struct AuditScreen {
    scroll: Scroll,
    waiting: Waiting,
    entries: Vec<Logged>,
    /// Where to go on, when there may be more.
    before: Option<i64>,
    trouble: Option<String>,
    height: usize,
}

/// Commands read at a time.
const PORTION: usize = 200;

impl AuditScreen {
    fn wants_more(&self) -> bool {
        let first = self.entries.is_empty() && !self.waiting.is_open();
        let near = self.scroll.top + 2 * self.height >= self.scroll.lines.len();
        self.trouble.is_none() && (first || (near && self.before.is_some()))
    }
}

fn role(outcome: Option<&str>) -> Role {
    match outcome {
        Some("confirmed") => Role::Ok,
        Some("unconfirmed") | None => Role::Warn,
        Some(_) => Role::Fail,
    }
}

/// Who sent it, and from where.
fn origin(entry: &Logged) -> String {
    let mut text = entry.user.clone();
    if !entry.sudo_user.is_empty() {
        text = format!("{} as {text}", entry.sudo_user);
    }
    if !entry.ssh.is_empty() {
        text += &format!(" from {}", entry.ssh);
    }
    let via = match entry.via.as_str() {
        "ui" => "on the screen",
        "cli" => "by command line",
        other => other,
    };
    format!("{text}, {via}")
}

fn lines(entry: &Logged, cx: &Cx<'_>, lines: &mut Vec<Line>) {
    let asked = Stamp::from_secs(entry.asked).unwrap_or(Stamp::EPOCH);
    let took = entry.answered.map(|at| human::seconds((at - entry.asked).max(0.0)));
    let what = [entry.command.as_str(), &entry.target, &entry.arguments].join(" ");
    lines.push(vec![
        (clean(&human::date(asked, cx.shown_zone())), Role::Muted),
        (crate::clean!("  {:<12}", entry.outcome.as_deref().unwrap_or("no answer")), role(entry.outcome.as_deref())),
        (crate::clean!("{}", what.trim_end()), Role::Text),
        (crate::clean!("   {}", took.unwrap_or_default()), Role::Faint),
    ]);
    lines.push(vec![(crate::clean!("  by {}   {}", origin(entry), entry.broker), Role::Muted)]);
    if !entry.line.is_empty() {
        lines.push(vec![(crate::clean!("  = {}", entry.line), Role::Faint)]);
    }
    let replies = entry.replies.as_deref().map(serde_json::from_str::<serde_json::Value>);
    if let Some(Ok(serde_json::Value::Object(replies))) = replies {
        for (who, value) in replies {
            let role = if value.get("error").is_some() { Role::Fail } else { Role::Text };
            lines.push(vec![
                (crate::clean!("    {who:<28} "), Role::Muted),
                (clean(&Receipt::reply_text(&value)), role),
            ]);
        }
    }
    lines.push(Vec::new());
}

impl View for AuditScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Text, Scope::Choose]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        self.scroll.perform(action).unwrap_or(Outcome::Effect(Effect::Close))
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn wants_lookups(&mut self) -> Vec<Request> {
        if !self.wants_more() {
            return Vec::new();
        }
        let before = self.before.take();
        vec![self.waiting.ask(Look::Audit { limit: PORTION, before })]
    }

    fn looked_up(&mut self, ticket: &Ticket, found: Found, _cx: &mut Cx<'_>) -> Outcome {
        if self.waiting.is_for(ticket) {
            match found {
                Found::Audit(entries) => {
                    self.before = entries.last().filter(|_| entries.len() == PORTION).map(|last| last.row);
                    self.entries.extend(entries);
                }
                Found::Failed(why) => self.trouble = Some(why),
                _ => {}
            }
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.height = usize::from(cx.size.height.saturating_sub(2));
        let mut all = Vec::new();
        self.entries.iter().for_each(|entry| lines(entry, cx, &mut all));
        if let Some(why) = &self.trouble {
            all.push(vec![(clean(why), Role::Fail)]);
        } else if self.entries.is_empty() {
            let text =
                "No command is in this file's audit log. What is sent from now on stands here, with who sent it.";
            all.push(vec![(Clean::own(text), Role::Muted)]);
        }
        self.scroll.lines = all;
        self.scroll.fit(self.height);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.rule(Rect { height: 1, ..area }, &[(Clean::own("audit log, newest first"), Role::Heading)]);
        let inner = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(1),
        };
        self.scroll.draw(page, inner);
    }
}
