//! Bulk actions that have not ended, each with how far it is: to go on with one, stop it, or look at its tasks.

use ratatui::layout::Rect;

use crate::history::bulk::{Bulk, Item};
use crate::human::thousands;
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::view::{Answer, BulkWish, Cx, Effect, Outcome, View};

use super::Choose;

/// See the module.
pub struct Bulks {
    bulks: Vec<Bulk>,
    list: Choose,
    /// The one that a menu is open for.
    asked: Option<i64>,
}

/// One of them in a line.
fn line(bulk: &Bulk) -> String {
    let Bulk { id, verb, sent, all, stand, .. } = bulk;
    let out = match bulk.left_out {
        0 => String::new(),
        n => format!(" · {} left out", thousands(n)),
    };
    let why = if bulk.why.is_empty() { String::new() } else { format!(" · {}", bulk.why) };
    format!("{id}  {verb}  {} of {} sent{out} · {}{why}", thousands(*sent), thousands(*all), stand.word())
}

/// The tasks of a bulk action, and what became of each.
pub fn items(id: i64, items: &[Item]) -> Choose {
    let line = |item: &Item| match (item.sent, item.left_out.as_str()) {
        (Some(_), _) => format!("{}  sent as {} to {}", item.task, item.new, item.message.queue),
        (None, "") => format!("{}  still to go", item.task),
        (None, why) => format!("{}  left out: {why}", item.task),
    };
    Choose::lines(&format!("bulk {id}"), items.iter().map(line), 0)
}

impl Bulks {
    pub fn new(bulks: Vec<Bulk>) -> Self {
        let list = Choose::lines("bulk actions that have not ended", bulks.iter().map(line), 0);
        Self { bulks, list, asked: None }
    }

    fn chosen(&mut self, outcome: Outcome) -> Outcome {
        let Outcome::Effect(Effect::Answer(Answer::Choice(i))) = outcome else { return outcome };
        let Some(bulk) = self.bulks.get(i) else { return Outcome::Done };
        self.asked = Some(bulk.id);
        let left = format!("go on: {} left", thousands(bulk.left()));
        let lines = [left, "stop it".to_owned(), "show its tasks".to_owned()];
        Outcome::Effect(Effect::Open(Box::new(Choose::lines(&format!("bulk {}", bulk.id), lines, 0))))
    }
}

impl View for Bulks {
    fn scopes(&self) -> &'static [Scope] {
        self.list.scopes()
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        let outcome = self.list.perform(action, cx);
        self.chosen(outcome)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        let (Answer::Choice(i), Some(id)) = (answer, self.asked.take()) else { return Outcome::Done };
        let wish = match i {
            0 => BulkWish::Resume(id),
            1 => BulkWish::Stop(id),
            _ => return Outcome::Effect(Effect::Bulk(BulkWish::Show(id))),
        };
        Outcome::Effect(Effect::CloseThen(Box::new(Effect::Bulk(wish))))
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        self.list.type_key(key)
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        let outcome = self.list.click(target, cx);
        self.chosen(outcome)
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.list.sync(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        self.list.draw(page, area);
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
