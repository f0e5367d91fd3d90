//! The log of commands and their replies.

use ratatui::layout::Rect;

use crate::human;
use crate::ops::{Outcome as Came, Receipt};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

use super::scroll::Scroll;

/// See the module.
#[derive(Default)]
pub struct Log {
    scroll: Scroll,
}

/// The role of what came of a command.
pub fn role(outcome: &Came) -> Role {
    match outcome {
        Came::Confirmed => Role::Ok,
        Came::Unconfirmed(_) => Role::Warn,
        Came::Failed(_) | Came::NotSent(_) => Role::Fail,
    }
}

fn lines(receipt: &Receipt, cx: &Cx<'_>, lines: &mut Vec<Vec<(Clean, Role)>>) {
    let took = receipt.answered.since(receipt.asked).as_secs_f64();
    lines.push(vec![
        (clean(&human::clock(receipt.asked, cx.zone)), Role::Muted),
        (crate::clean!("  {:<12}", receipt.outcome.word()), role(&receipt.outcome)),
        (clean(&receipt.words), Role::Text),
        (crate::clean!("   {}", human::seconds(took)), Role::Faint),
    ]);
    if let Some(why) = receipt.outcome.why() {
        lines.push(vec![(crate::clean!("          {why}"), role(&receipt.outcome))]);
    }
    for (who, value) in &receipt.replies {
        for step in value["steps"].as_array().into_iter().flatten() {
            let text = step["step"].as_str().unwrap_or_default();
            lines.push(vec![(crate::clean!("          {:<28} ", who), Role::Faint), (clean(text), Role::Muted)]);
        }
        let role = match () {
            () if value.get("error").is_some() => Role::Fail,
            () if value.get("silent").is_some() => Role::Warn,
            () if value.get("left_out").is_some() => Role::Muted,
            () => Role::Text,
        };
        lines.push(vec![
            (crate::clean!("          {:<28} ", who), Role::Muted),
            (clean(&Receipt::reply_text(value)), role),
        ]);
    }
}

impl View for Log {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Text, Scope::Choose]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match self.scroll.perform(action) {
            Some(outcome) => outcome,
            None => Outcome::Effect(Effect::Close),
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.scroll.lines.clear();
        for (at, step) in cx.steps {
            let time = (clean(&human::clock(*at, cx.zone)), Role::Muted);
            self.scroll.lines.push(vec![time, (crate::clean!("  under way   {step}"), Role::Text)]);
        }
        if !cx.steps.is_empty() {
            self.scroll.lines.push(Vec::new());
        }
        for receipt in cx.receipts.iter().rev() {
            lines(receipt, cx, &mut self.scroll.lines);
            self.scroll.lines.push(Vec::new());
        }
        if cx.receipts.is_empty() && cx.steps.is_empty() {
            let empty = "No command was sent yet. What you send appears here with each worker's reply.";
            self.scroll.lines.push(vec![(Clean::own(empty), Role::Muted)]);
        }
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.rule(Rect { height: 1, ..area }, &[(Clean::own("commands and replies, newest first"), Role::Heading)]);
        let inner = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(1),
        };
        self.scroll.draw(page, inner);
    }
}
