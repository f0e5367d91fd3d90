//! The log of commands and their replies.

use ratatui::layout::Rect;

use crate::human;
use crate::ops::{Command, Outcome as Came, Receipt};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, BulkWish, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal::wrap;

use super::Choose;
use super::scroll::Scroll;

/// See the module.
#[derive(Default)]
pub struct Log {
    scroll: Scroll,
    /// Commands that one can choose to take back.
    undoable: Vec<Command>,
}

/// Columns before a reason.
const INDENT: usize = 10;

/// The role of what came of a command.
pub fn role(outcome: &Came) -> Role {
    match outcome {
        Came::Confirmed => Role::Ok,
        Came::Unconfirmed(_) | Came::Paused(_) => Role::Warn,
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
        let room = usize::from(cx.size.width).saturating_sub(INDENT + 2);
        let broken = wrap(&clean(&why), room).into_iter();
        lines.extend(broken.map(|why| vec![(crate::clean!("{:INDENT$}{why}", ""), role(&receipt.outcome))]));
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

/// Whether there is something to be taken back, and nobody has done so yet.
fn can_be_taken_back(receipt: &Receipt, cx: &Cx<'_>) -> bool {
    match receipt.undo.as_deref() {
        Some(Command::Undo { row, .. }) => {
            // Of what was only tried nothing may be there to be put back.
            let tried = matches!(receipt.outcome, Came::Failed(_)) && messages(receipt) == 0;
            !tried && !cx.model.is_undone(*row)
        }
        _ => false,
    }
}

/// How many messages a command took.
fn messages(receipt: &Receipt) -> u64 {
    receipt.replies.iter().filter_map(|(_, reply)| reply["messages"].as_u64()).sum()
}

impl Log {
    /// Which command is to be taken back: asked where there are several.
    fn choose(&mut self, cx: &Cx<'_>) -> Outcome {
        let receipts = || cx.receipts.iter().rev().filter(|receipt| can_be_taken_back(receipt, cx));
        self.undoable = receipts().filter_map(|receipt| receipt.undo.as_deref().cloned()).collect();
        if let [only] = &self.undoable[..] {
            return Outcome::Effect(Effect::Ask(only.clone()));
        }
        let n = |r: &Receipt| human::plural(usize::try_from(messages(r)).unwrap_or(0), "message");
        let lines = receipts().map(|r| format!("{}  {}  ({})", human::clock(r.asked, cx.zone), r.words, n(r)));
        Outcome::Effect(Effect::Open(Box::new(Choose::lines("take back", lines, 0))))
    }
}

impl View for Log {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Log, Scope::Text, Scope::Choose]
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        let none = action == Action::Undo && !cx.receipts.iter().any(|receipt| can_be_taken_back(receipt, cx));
        none.then(|| "nothing of this session can be taken back; `flower-tui undo` knows earlier ones".into())
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if action == Action::Undo {
            return self.choose(cx);
        }
        let waits = || cx.receipts.iter().any(|r| matches!(r.next.as_deref(), Some(Command::Bulk(_))));
        if action == Action::LogBulks || action == Action::ChooseThis && waits() {
            return Outcome::Effect(Effect::Bulk(BulkWish::List));
        }
        match self.scroll.perform(action) {
            Some(outcome) => outcome,
            None => Outcome::Effect(Effect::Close),
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if let (Answer::Choice(i), false) = (answer, self.undoable.is_empty()) {
            let mut undoable = std::mem::take(&mut self.undoable);
            if *i < undoable.len() {
                return Outcome::Effect(Effect::Ask(undoable.swap_remove(*i)));
            }
        }
        self.undoable.clear();
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
