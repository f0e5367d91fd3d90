//! The command palette: a field, and below it every action, tab, saved filter, queue, worker and task name that has
//! the typed letters in this order, the best match first. ⏎ does or goes there.

use std::cmp::Reverse;

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::layout::Rect;

use crate::filter::{self, Filter, Term, Test, Word};
use crate::human;
use crate::ops::Risk;
use crate::text::{Clean, clean};
use crate::tui::Key;
use crate::tui::action::{Action, Row, Scope};
use crate::tui::keymap;
use crate::tui::page::{Page, Target};
use crate::tui::tabs;
use crate::tui::theme::Role;
use crate::tui::view::{self, Cx, Effect, Outcome, View};
use crate::tui::widgets::field::Field;

/// Names of each kind that are offered; the busiest are.
const NAMES: usize = 200;
/// Lines shown at once.
const SHOWN: u16 = 12;
/// Seconds by which task names are ranked.
const BUSY: u32 = 300;

/// What a line does.
enum Does {
    Act(Action),
    Tab(usize),
    Filter(String),
}

/// A line to choose.
struct Line {
    text: Clean,
    /// Its key, as it is shown.
    key: Clean,
    risk: Risk,
    refused: Option<Clean>,
    does: Does,
}

impl Line {
    fn to(text: Clean, does: Does) -> Self {
        Self { text, key: Clean::default(), risk: Risk::Looks, refused: None, does }
    }
}

/// See the module.
pub struct Palette {
    field: Field,
    lines: Vec<Line>,
    /// Numbers of the lines that match, the best first.
    found: Vec<usize>,
    at: usize,
    matcher: Matcher,
}

impl Palette {
    /// What can be done on a view, and where one can go from it.
    pub fn new(view: &dyn View, cx: &Cx<'_>) -> Self {
        let mut lines = actions(view, cx);
        lines.extend(tabs::there(cx.options).enumerate().map(|(i, tab)| Line {
            key: crate::clean!("{}", i + 1),
            ..Line::to(crate::clean!("tab: {}", tab.title), Does::Tab(i))
        }));
        lines.extend(cx.options.filters.iter().map(|saved| Line {
            key: clean(&saved.key.as_deref().map(keymap::shown).unwrap_or_default()),
            ..Line::to(crate::clean!("filter {}: {}", saved.name, saved.filter), Does::Filter(saved.filter.clone()))
        }));
        lines.extend(names(cx));
        let found = (0..lines.len()).collect();
        Self { field: Field::default(), lines, found, at: 0, matcher: Matcher::new(Config::DEFAULT) }
    }

    /// Finds the lines again that have what was typed.
    fn search(&mut self) -> Outcome {
        let pattern = Pattern::new(self.field.text(), CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
        let mut chars = Vec::new();
        let mut scored = Vec::new();
        for (i, line) in self.lines.iter().enumerate() {
            let score = pattern.score(Utf32Str::new(line.text.as_str(), &mut chars), &mut self.matcher);
            scored.extend(score.map(|score| (Reverse(score), i)));
        }
        scored.sort_unstable();
        self.found = scored.into_iter().map(|(_, i)| i).collect();
        self.at = 0;
        Outcome::Done
    }

    fn choose(&self) -> Outcome {
        let Some(line) = self.found.get(self.at).and_then(|i| self.lines.get(*i)) else { return Outcome::Done };
        Outcome::Effect(match (&line.refused, &line.does) {
            (Some(why), _) => Effect::Say(why.to_string()),
            (None, Does::Act(action)) => Effect::CloseAnd(*action),
            (None, Does::Tab(tab)) => Effect::GoTab(*tab),
            (None, Does::Filter(filter)) => Effect::OpenTasks { filter: filter.clone() },
        })
    }

    fn draw_line(&self, page: &mut Page<'_>, line: &Line, area: Rect) {
        let role = match (&line.refused, line.risk) {
            (Some(_), _) => Role::Faint,
            (None, Risk::Destroys) => Role::Fail,
            _ => Role::Text,
        };
        let key = line.key.width() as u16;
        page.put_right(area.x, area.y, area.width, &line.key, Role::Accent);
        let mut room = area.width.saturating_sub(KEYS.max(key) + 1);
        // Danger is told by a word too, where there is room for it.
        let word = risk(line.risk);
        if area.width >= 60 && line.refused.is_none() && !word.is_empty() {
            page.put_right(area.x, area.y, room, Clean::own(word), Role::Muted);
            room = room.saturating_sub(word.len() as u16 + 2);
        }
        let used = page.put(area.x, area.y, room, &line.text, role);
        if let Some(why) = &line.refused {
            page.put(area.x + used + 2, area.y, room.saturating_sub(used + 2), crate::clean!("({why})"), Role::Faint);
        }
    }
}

/// Columns for keys at the right edge.
const KEYS: u16 = 6;

fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Looks => "",
        Risk::Changes => "changes",
        Risk::Sends => "sends",
        Risk::Destroys => "destroys",
    }
}

fn actions(view: &dyn View, cx: &Cx<'_>) -> Vec<Line> {
    let title = |row: &Row| match row.help.contains(row.hint) {
        true => Clean::own(row.help),
        false => crate::clean!("{}: {}", row.hint, row.help),
    };
    let mut rows: Vec<&Row> =
        keymap::rows(&view::live(view, cx.options)).filter(|row| row.action != Action::Palette).collect();
    // Moving about is what one needs a palette for the least.
    rows.sort_by_key(|row| row.hint.is_empty());
    let line = |row: &Row| Line {
        text: title(row),
        key: clean(&cx.options.keys.first(row.action).map(keymap::shown).unwrap_or_default()),
        risk: row.risk,
        refused: view::refusal(view, row, cx),
        does: Does::Act(row.action),
    };
    rows.into_iter().map(line).collect()
}

/// Queues, workers and task names, the busiest of each.
fn names(cx: &Cx<'_>) -> Vec<Line> {
    let exactly = |word: Word, name: &str| {
        let test = Test::Text(word, vec![filter::Pattern::new(&format!("={name}"))]);
        Does::Filter(Filter { terms: vec![Term { negated: false, test }] }.to_string())
    };
    let mut queues: Vec<_> = cx.model.queues().iter().map(|(name, q)| (q.depth.ready, *name)).collect();
    let mut workers: Vec<_> =
        cx.model.workers().iter().map(|(name, w)| ((w.is_online(cx.now), w.running()), *name)).collect();
    let mut tasks: Vec<_> = cx.model.by_name().map(|(name, stats)| (stats.recent(BUSY, cx.now).done, name)).collect();
    let queues = busiest(&mut queues).map(|(ready, name)| {
        Line::to(crate::clean!("queue {name}  {} waiting", human::count(*ready)), exactly(Word::Queue, name))
    });
    let workers =
        busiest(&mut workers).map(|(_, name)| Line::to(crate::clean!("worker {name}"), exactly(Word::Worker, name)));
    let tasks =
        busiest(&mut tasks).map(|(_, name)| Line::to(crate::clean!("tasks named {name}"), exactly(Word::Task, name)));
    queues.chain(workers).chain(tasks).collect()
}

fn busiest<'a, 'n, B: Ord>(names: &'a mut [(B, &'n str)]) -> impl Iterator<Item = &'a (B, &'n str)> {
    names.sort_unstable_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
    names.iter().take(NAMES)
}

impl View for Palette {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Field]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::FieldOlder => self.at = self.at.saturating_sub(1),
            Action::FieldNewer | Action::FieldComplete => {
                self.at = (self.at + 1).min(self.found.len().saturating_sub(1));
            }
            Action::FieldDone => return self.choose(),
            _ => return Outcome::Effect(Effect::Close),
        }
        Outcome::Done
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        if self.field.type_key(key) { self.search() } else { Outcome::Ignored }
    }

    fn paste(&mut self, text: &str) -> Outcome {
        self.field.paste(text);
        self.search()
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                self.at = row;
                self.choose()
            }
            _ => Outcome::Done,
        }
    }

    fn sync(&mut self, _cx: &Cx<'_>) {}

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let width = area.width.min(90);
        let frame = Rect { x: area.x + (area.width - width) / 2, width, height: area.height.min(SHOWN + 4), ..area };
        page.frame(frame, &Clean::own("do or go"), Role::Accent);
        if frame.height < 4 || frame.width < 10 {
            return;
        }
        let (x, width) = (frame.x + 3, frame.width - 5);
        let count = crate::clean!("{}", human::count(self.found.len() as u64));
        page.put_right(x, frame.y + 1, width, &count, Role::Faint);
        page.put(frame.x + 1, frame.y + 1, 1, Clean::own(":"), Role::Accent);
        self.field.draw(page, x, frame.y + 1, width.saturating_sub(count.width() as u16 + 1));
        let rows = usize::from(frame.height - 4);
        let top = (self.at + 1).saturating_sub(rows);
        for (i, number) in self.found.iter().enumerate().skip(top).take(rows) {
            let Some(line) = self.lines.get(*number) else { continue };
            let y = frame.y + 3 + (i - top) as u16;
            let whole = Rect { x: frame.x + 1, y, width: frame.width - 2, height: 1 };
            if i == self.at {
                page.select(whole);
                page.put(whole.x, y, 1, Clean::own("▌"), Role::Accent);
            }
            page.clickable(whole, Target::Row(i));
            self.draw_line(page, line, Rect { x, y, width, height: 1 });
        }
        if self.found.is_empty() && rows > 0 {
            page.put(x, frame.y + 3, width, Clean::own("nothing is called so"), Role::Muted);
        }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
