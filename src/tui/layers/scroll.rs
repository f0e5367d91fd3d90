//! A long text in a frame that scrolls and can be searched: help, and whatever else is read.

use ratatui::layout::Rect;

use crate::text::Clean;
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::page::{Page, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};

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
            Answer::Choice(_) | Answer::Picked(_) => {}
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
            let share = (self.top + usize::from(area.height)) * 100 / self.lines.len();
            let text = crate::clean!(" {share}% ");
            page.put_right(area.x, area.y + area.height - 1, area.width, &text, Role::Faint);
        }
    }
}

/// All keys of the view below.
pub struct Help {
    scroll: Scroll,
}

impl Help {
    pub fn new(scopes: &[Scope]) -> Self {
        let mut lines = Vec::new();
        for scope in scopes {
            if !lines.is_empty() {
                lines.push(Vec::new());
            }
            lines.push(vec![(Clean::own(scope.title()), Role::Heading)]);
            for row in keymap::rows(&[*scope]).filter(|row| !row.keys.is_empty()) {
                let keys: Vec<String> = row.keys.iter().map(|k| keymap::shown(k)).collect();
                let keys = crate::clean!("  {:<16}", keys.join("  "));
                lines.push(vec![(keys, Role::Accent), (Clean::own(row.help), Role::Text)]);
            }
            if *scope == Scope::Global {
                let tabs = crate::clean!("  {:<16}", format!("1 … {}", crate::tui::tabs::TABS.len()));
                lines.push(vec![(tabs, Role::Accent), (Clean::own("go to a tab"), Role::Text)]);
            }
            if *scope == Scope::Tasks {
                lines.extend(filter_help());
            }
        }
        Self { scroll: Scroll { lines, ..Scroll::default() } }
    }
}

fn filter_help() -> Vec<Vec<(Clean, Role)>> {
    use crate::filter::{Measure, Word};
    let words = Word::ALL.iter().map(|w| (w.key(), w.help())).chain(Measure::ALL.iter().map(|m| (m.key(), m.help())));
    let mut lines = vec![Vec::new(), vec![(Clean::own("the filter"), Role::Heading)]];
    for (key, help) in words {
        let key = crate::clean!("  {:<16}", format!("{key}:"));
        lines.push(vec![(key, Role::Accent), (Clean::own(help), Role::Text)]);
    }
    for text in [
        "  a bare word is looked for in id, name, arguments and result",
        "  a*b is a glob, =a the whole value, a,b either, -word its opposite",
        "  runtime:>2s  wait:<500ms  tries:>1   \"quotes for spaces\"",
    ] {
        lines.push(vec![(Clean::own(text), Role::Muted)]);
    }
    lines
}

impl View for Help {
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
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(4)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let frame = centered(area, 84, area.height);
        page.frame(frame, &Clean::own("keys"), Role::Accent);
        let inner = Rect {
            x: frame.x + 3,
            y: frame.y + 2,
            width: frame.width.saturating_sub(6),
            height: frame.height.saturating_sub(4),
        };
        self.scroll.draw(page, inner);
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
