//! Asked where some of the tasks that are to be sent again were sent again already: whether they are meant too.

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::human::thousands;
use crate::ops::retry::Options;
use crate::state::Model;
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

use super::Choose;

/// See the module.
pub struct Twice {
    choose: Choose,
    /// Those nobody has sent again.
    first: Vec<TaskId>,
    all: Vec<TaskId>,
    /// Which others were chosen and can't be sent again, and why.
    refused: Vec<String>,
}

impl Twice {
    /// The menu for these tasks; it begins where nothing goes out a second time.
    pub fn new(all: Vec<TaskId>, refused: Vec<String>, model: &Model) -> Self {
        let again = |id: &TaskId| model.task(id).is_some_and(|task| task.retried_as().is_some());
        let first: Vec<TaskId> = all.iter().filter(|id| !again(id)).cloned().collect();
        let n = |n: usize| thousands(n as u64);
        let (twice, all_of_them) = (n(all.len() - first.len()), n(all.len()));
        let title = format!("already sent again: {twice} of {all_of_them}");
        let rest = match first.len() {
            0 => "send none of them".to_owned(),
            others => format!("leave them out: send the other {}", n(others)),
        };
        let choose = Choose::lines(&title, [rest, format!("send all {all_of_them}: those {twice} once more")], 0);
        Self { choose, first, all, refused }
    }

    fn chosen(&mut self, outcome: Outcome) -> Outcome {
        let ids = match outcome {
            Outcome::Effect(Effect::Answer(Answer::Choice(0))) => std::mem::take(&mut self.first),
            Outcome::Effect(Effect::Answer(Answer::Choice(_))) => std::mem::take(&mut self.all),
            Outcome::Effect(Effect::Answer(_)) => Vec::new(),
            other => return other,
        };
        if ids.is_empty() {
            return Outcome::Effect(Effect::Close);
        }
        let refused = std::mem::take(&mut self.refused);
        let effect = Effect::Retry { ids, refused, options: Options::default() };
        Outcome::Effect(Effect::CloseThen(Box::new(effect)))
    }
}

impl View for Twice {
    fn scopes(&self) -> &'static [Scope] {
        self.choose.scopes()
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        let outcome = self.choose.perform(action, cx);
        self.chosen(outcome)
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        let outcome = self.choose.type_key(key);
        self.chosen(outcome)
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        let outcome = self.choose.click(target, cx);
        self.chosen(outcome)
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.choose.sync(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        self.choose.draw(page, area);
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
