//! A text to be selected with the mouse, where no clipboard can be reached: nothing but the text, from the left edge on.

use ratatui::layout::Rect;

use crate::text::{Clean, clean_lines};
use crate::tui::action::{Action, Scope};
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;

use super::scroll::Scroll;

/// See the module.
pub struct Shown {
    text: String,
    why: Clean,
    scroll: Scroll,
}

impl Shown {
    pub fn new(text: String, why: &'static str) -> Self {
        Self { text, why: Clean::own(why), scroll: Scroll::default() }
    }
}

impl View for Shown {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Text, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::Back => Outcome::Effect(Effect::Close),
            action => self.scroll.perform(action).unwrap_or(Outcome::Ignored),
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let width = usize::from(cx.size.width).max(1);
        let lines = clean_lines(&self.text).into_iter().flat_map(|line| literal::wrap(&line, width));
        self.scroll.lines = lines.map(|line| vec![(line, Role::Text)]).collect();
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let hint = crate::clean!("{}: select it here, with Shift held down", self.why);
        page.put(area.x, area.y, area.width, hint, Role::Muted);
        let text = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        self.scroll.draw(page, text);
    }

    fn crumb(&self) -> Option<String> {
        Some("copy".into())
    }
}
