//! All keys of the view below, as lines that can be searched and run, and the words of the filter language.

use ratatui::layout::Rect;

use crate::filter::{Measure, Word};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::options::SavedFilter;
use crate::tui::page::{Page, Target, centered};
use crate::tui::tabs;
use crate::tui::theme::Role;
use crate::tui::view::{self, Answer, Cx, Effect, Outcome, View};

use super::Prompt;

/// A line of help.
struct Line {
    key: Clean,
    text: Clean,
    /// Why it can't be done now.
    refused: Option<Clean>,
    does: Does,
    kind: Kind,
}

/// What ⏎ does.
enum Does {
    Nothing,
    Act(Action),
    Filter(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heading,
    Key,
    Remark,
}

impl Line {
    fn heading(text: &'static str) -> Self {
        Self { kind: Kind::Heading, ..Self::key(Clean::default(), Clean::own(text), Does::Nothing) }
    }

    fn key(key: Clean, text: Clean, does: Does) -> Self {
        Self { key, text, refused: None, does, kind: Kind::Key }
    }

    fn has(&self, word: &str) -> bool {
        self.key.as_str().to_lowercase().contains(word) || self.text.as_str().to_lowercase().contains(word)
    }
}

/// See the module.
pub struct Help {
    lines: Vec<Line>,
    /// Numbers of the lines that have what was typed; `None` is a gap.
    shown: Vec<Option<usize>>,
    /// Place of the cursor in these.
    at: usize,
    search: String,
    height: usize,
}

impl Help {
    /// Help for a view as it is now.
    pub fn new(view: &dyn View, cx: &Cx<'_>) -> Self {
        let mut lines = Vec::new();
        for scope in &view::live(view, cx.options) {
            lines.push(Line::heading(scope.title()));
            for row in keymap::rows(&[*scope]) {
                let keys = cx.options.keys.of(row.action);
                if keys.is_empty() {
                    continue;
                }
                let keys: Vec<String> = keys.iter().map(|k| keymap::shown(k)).collect();
                let refused = view::refusal(view, row, cx);
                lines.push(Line {
                    refused,
                    ..Line::key(clean(&keys.join("  ")), Clean::own(row.help), Does::Act(row.action))
                });
            }
            if *scope == Scope::Global {
                lines.push(Line::key(
                    crate::clean!("1 … {}", tabs::there(cx.options).count()),
                    Clean::own("go to a tab"),
                    Does::Nothing,
                ));
            }
            if *scope == Scope::TaskList {
                lines.extend(cx.options.filters.iter().map(saved_filter));
            }
            if *scope == Scope::Tasks {
                lines.extend(filter_help());
            }
        }
        let mut help = Self { lines, shown: Vec::new(), at: 0, search: String::new(), height: 0 };
        help.select();
        help
    }

    /// Chooses the lines to show, and puts the cursor on the first that is no heading.
    fn select(&mut self) {
        let word = self.search.trim().to_lowercase();
        self.shown.clear();
        let mut heading = None;
        for (i, line) in self.lines.iter().enumerate() {
            if line.kind == Kind::Heading {
                heading = Some(i);
            } else if word.is_empty() || line.has(&word) {
                if let Some(heading) = heading.take() {
                    if !self.shown.is_empty() {
                        self.shown.push(None);
                    }
                    self.shown.push(Some(heading));
                }
                self.shown.push(Some(i));
            }
        }
        self.at = 0;
        self.step(0, true);
    }

    fn line(&self, place: usize) -> Option<&Line> {
        self.shown.get(place).copied().flatten().and_then(|i| self.lines.get(i))
    }

    /// Moves the cursor to the line at or behind a place, in a direction, that it can stand on.
    fn step(&mut self, from: usize, down: bool) {
        let stands = |place: &usize| self.line(*place).is_some_and(|line| line.kind != Kind::Heading);
        let last = self.shown.len().saturating_sub(1);
        let from = from.min(last);
        let (below, above) = ((from..=last).find(stands), (0..=from).rev().find(stands));
        self.at = if down { below.or(above) } else { above.or(below) }.unwrap_or(0);
    }

    fn run(&self) -> Outcome {
        match self.line(self.at).map(|line| &line.does) {
            Some(Does::Act(action)) => Outcome::Effect(Effect::CloseAnd(*action)),
            Some(Does::Filter(filter)) => Outcome::Effect(Effect::OpenTasks { filter: filter.clone() }),
            Some(Does::Nothing) | None => Outcome::Done,
        }
    }
}

fn saved_filter(saved: &SavedFilter) -> Line {
    let key = clean(&saved.key.as_deref().map(keymap::shown).unwrap_or_default());
    Line::key(key, crate::clean!("{}: {}", saved.name, saved.filter), Does::Filter(saved.filter.clone()))
}

fn filter_help() -> Vec<Line> {
    let words = Word::ALL.iter().map(|w| (w.key(), w.help())).chain(Measure::ALL.iter().map(|m| (m.key(), m.help())));
    let words =
        words.map(|(key, help)| Line::key(crate::clean!("{key}:"), Clean::own(help), Does::Act(Action::Filter)));
    let remarks = [
        "a bare word is looked for in id, name, arguments and result",
        "a*b is a glob, =a the whole value, a,b either, -word its opposite",
        "runtime:>2s  wait:<500ms  tries:>1   \"quotes for spaces\"",
    ];
    let remarks = remarks.map(|text| Line {
        kind: Kind::Remark,
        ..Line::key(Clean::default(), Clean::own(text), Does::Act(Action::Filter))
    });
    [Line::heading("the filter")].into_iter().chain(words).chain(remarks).collect()
}

impl View for Help {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Choose, Scope::Text]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        let half = (self.height / 2).max(1);
        match action {
            Action::ChooseDown | Action::ScrollDown | Action::SearchNext => self.step(self.at + 1, true),
            Action::ChooseUp | Action::ScrollUp | Action::SearchBefore => self.step(self.at.saturating_sub(1), false),
            Action::ScrollPageDown => self.step(self.at + half, true),
            Action::ScrollPageUp => self.step(self.at.saturating_sub(half), false),
            Action::ScrollTop | Action::ChooseTop => self.step(0, true),
            Action::ScrollBottom | Action::ChooseBottom => self.step(usize::MAX, false),
            Action::Search => {
                let prompt = Prompt::line("search", &self.search, |_| Ok(()), Vec::new());
                return Outcome::Effect(Effect::Open(Box::new(prompt)));
            }
            Action::ChooseThis => return self.run(),
            // One step back: the search goes first.
            _ if !self.search.is_empty() => {
                self.search.clear();
                self.select();
            }
            _ => return Outcome::Effect(Effect::Close),
        }
        Outcome::Done
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        match answer {
            Answer::Text { text, .. } => self.search.clone_from(text),
            _ => self.search.clear(),
        }
        self.select();
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(place) => {
                self.at = place;
                self.run()
            }
            _ => Outcome::Done,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.height = usize::from(cx.size.height.saturating_sub(4));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let frame = centered(area, 100, area.height);
        let title = match self.search.as_str() {
            "" => Clean::own("keys"),
            word => crate::clean!("keys with {word:?}"),
        };
        page.frame(frame, &title, Role::Accent);
        if frame.height < 4 || frame.width < 8 {
            return;
        }
        let rows = usize::from(frame.height - 4);
        // Two lines below the cursor stay in sight: a heading and what it is for.
        let most = self.shown.len().saturating_sub(rows);
        let top = (self.at + 3).saturating_sub(rows).min(most);
        for (place, y) in (top..self.shown.len()).zip(frame.y + 2..).take(rows) {
            let Some(line) = self.line(place) else { continue };
            self.draw_line(page, line, place, Rect { x: frame.x + 1, y, width: frame.width - 2, height: 1 });
        }
        if self.shown.is_empty() {
            page.put(frame.x + 3, frame.y + 2, frame.width - 6, Clean::own("no line has this"), Role::Muted);
        }
        if most > 0 {
            let share = (top + rows) * 100 / self.shown.len().max(1);
            let text = crate::clean!(" {share}% ");
            page.put_right(frame.x, frame.y + frame.height - 1, frame.width - 2, &text, Role::Faint);
        }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}

/// Columns of the keys; where an action has many, its text stands further to the right.
const KEYS: u16 = 18;

impl Help {
    fn draw_line(&self, page: &mut Page<'_>, line: &Line, place: usize, area: Rect) {
        let (x, width) = (area.x + 2, area.width.saturating_sub(3));
        if line.kind == Kind::Heading {
            page.put(x, area.y, width, &line.text, Role::Heading);
            return;
        }
        if place == self.at {
            page.select(area);
            page.put(area.x, area.y, 1, Clean::own("▌"), Role::Accent);
        }
        page.clickable(area, Target::Row(place));
        let indent = if line.kind == Kind::Remark { 0 } else { KEYS.max(line.key.width() as u16 + 2) };
        let role = match (&line.refused, line.kind) {
            (Some(_), _) => Role::Faint,
            (None, Kind::Remark) => Role::Muted,
            _ => Role::Text,
        };
        page.put(x + 2, area.y, width.saturating_sub(2), &line.key, Role::Accent);
        let (x, width) = (x + 2 + indent, width.saturating_sub(2 + indent));
        let used = page.put(x, area.y, width, &line.text, role);
        if let Some(why) = &line.refused {
            page.put(x + used + 2, area.y, width.saturating_sub(used + 2), crate::clean!("({why})"), Role::Faint);
        }
    }
}
