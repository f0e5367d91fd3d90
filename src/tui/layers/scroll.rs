//! A long text that scrolls and can be searched.

use ratatui::layout::Rect;

use crate::text::Clean;
use crate::tui::action::Action;
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Effect, Outcome};

use super::Prompt;

/// Lines of coloured pieces, and how far they are scrolled.
#[derive(Default)]
pub struct Scroll {
    pub lines: Vec<Vec<(Clean, Role)>>,
    pub top: usize,
    height: usize,
    /// What is searched for, in lower case.
    search: String,
}

impl Scroll {
    /// Takes a scrolling or searching action; `None` if it is none.
    pub fn perform(&mut self, action: Action) -> Option<Outcome> {
        let half = (self.height / 2).max(1);
        self.top = match action {
            Action::ScrollDown => self.top + 1,
            Action::ScrollUp => self.top.saturating_sub(1),
            Action::ScrollPageDown => self.top + half,
            Action::ScrollPageUp => self.top.saturating_sub(half),
            Action::ScrollTop => 0,
            Action::ScrollBottom => usize::MAX,
            Action::Search => {
                let prompt = Prompt::line("search", &self.search, |_| Ok(()), Vec::new());
                return Some(Outcome::Effect(Effect::Open(Box::new(prompt))));
            }
            Action::SearchNext => {
                self.find(self.top + 1);
                self.top
            }
            _ => return None,
        };
        self.clamp();
        Some(Outcome::Done)
    }

    /// Takes what was typed into the search field.
    pub fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Text { text, .. } => {
                self.search = text.to_lowercase();
                self.find(self.top);
            }
            Answer::Cancelled => self.search.clear(),
            Answer::Choice(_) | Answer::Picked(_) | Answer::Fields(_) => {}
        }
    }

    fn matches(&self, line: &[(Clean, Role)]) -> bool {
        !self.search.is_empty()
            && line.iter().map(|(text, _)| text.as_str()).collect::<String>().to_lowercase().contains(&self.search)
    }

    fn find(&mut self, from: usize) {
        let n = self.lines.len();
        let found = (from..n).chain(0..from.min(n)).find(|&i| self.matches(&self.lines[i]));
        if let Some(found) = found {
            self.top = found;
            self.clamp();
        }
    }

    /// Says how many lines can be seen.
    pub fn fit(&mut self, height: usize) {
        self.height = height;
        self.clamp();
    }

    fn clamp(&mut self) {
        self.top = self.top.min(self.lines.len().saturating_sub(self.height));
    }

    /// Paints what can be seen, and where one is.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        for (i, line) in self.lines.iter().skip(self.top).take(usize::from(area.height)).enumerate() {
            let y = area.y + i as u16;
            page.pieces(area.x, y, area.width, line);
            if self.matches(line) {
                page.select(Rect { y, height: 1, ..area });
            }
        }
        if self.lines.len() > usize::from(area.height) && area.height > 0 {
            let share = ((self.top + usize::from(area.height)) * 100 / self.lines.len()).min(100);
            let text = crate::clean!(" {share}% ");
            page.put_right(area.x, area.y + area.height - 1, area.width, &text, Role::Faint);
        }
    }
}
