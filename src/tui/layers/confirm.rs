//! The question before a command. No is the default, and a `y` counts only when typed after it could be read.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::clock::Stamp;
use crate::human::noun;
use crate::ops::{Command, Risk};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::keymap;
use crate::tui::page::{Page, Target, centered};
use crate::tui::theme::Role;
use crate::tui::view::{Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;

/// A `y` typed sooner than this was not an answer.
const READING: Duration = Duration::from_millis(300);
/// Columns of the widest question.
const WIDEST: u16 = 100;

/// Columns and rows below which a question can't be read.
const LEAST: (u16, u16) = (30, 7);

/// See the module.
pub struct Confirm {
    command: Command,
    title: Clean,
    lines: Vec<Clean>,
    /// The same as a command line.
    words: Vec<Clean>,
    shown: Option<Stamp>,
    /// First line that is seen, and the last it can be.
    top: usize,
    last_top: usize,
}

impl Confirm {
    pub fn new(command: Command) -> Self {
        let (title, lines) = (Clean::default(), Vec::new());
        Self { command, title, lines, words: Vec::new(), shown: None, top: 0, last_top: 0 }
    }
}

/// One of the answers with its keys; returns the columns it took.
fn choice(page: &mut Page<'_>, area: Rect, action: Action, text: &str) -> u16 {
    let mut keys = page.keys.of(action).iter().map(|key| keymap::shown(key));
    let first = clean(&keys.next().unwrap_or_default());
    let others: Vec<String> = keys.take(2).collect();
    let others = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(" and ")) };
    let key = page.put(area.x, area.y, area.width, &first, Role::Accent) + 1;
    let used =
        page.put(area.x + key, area.y, area.width.saturating_sub(key), crate::clean!("{text}{others}"), Role::Muted);
    page.clickable(Rect { width: key + used, ..area }, Target::Action(action));
    key + used
}

impl View for Confirm {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Confirm]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::Yes => match self.shown {
                Some(shown) if cx.now.since(shown) >= READING.max(cx.round_trip.unwrap_or_default()) => {
                    Outcome::Effect(Effect::Run(self.command.clone()))
                }
                _ => Outcome::Done,
            },
            Action::ConfirmDown => {
                self.top = (self.top + 1).min(self.last_top);
                Outcome::Done
            }
            Action::ConfirmUp => {
                self.top = self.top.saturating_sub(1);
                Outcome::Done
            }
            // Who is used to Enter for yes is told that nothing went out.
            _ => Outcome::Effect(Effect::CloseSaying(format!("{}: not sent", self.command.verb()))),
        }
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Action(action) => self.perform(action, cx),
            _ => Outcome::Done,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        // What can't be read can't be answered either.
        if cx.size.width < LEAST.0 || cx.size.height < LEAST.1 {
            self.shown = None;
        } else {
            self.shown.get_or_insert(cx.now);
        }
        let mut preview = self.command.preview(cx.model);
        let caveats = self.command.caveats(cx.model, cx.health);
        if !preview.lines.is_empty() && !caveats.is_empty() {
            preview.lines.push(String::new());
        }
        preview.lines.extend(caveats);
        self.title = clean(&preview.title);
        let width = usize::from(cx.size.width.min(WIDEST).saturating_sub(6));
        self.lines = preview.lines.iter().flat_map(|line| literal::wrap(&clean(line), width)).collect();
        // What stands for hundreds of ids is no line for a shell.
        let words = self.command.words();
        let words = Some(words).filter(|words| words.starts_with("flower-tui"));
        self.words = words.map_or_else(Vec::new, |words| literal::wrap(&crate::clean!("= {words}"), width));
        // A command of hundreds of ids must not take the room of what it does.
        let most = usize::from(cx.size.height / 4).clamp(1, 6);
        if self.words.len() > most {
            self.words.truncate(most - 1);
            self.words.push(Clean::own("…"));
        }
        let around = 5 + self.words.len();
        self.last_top = self.lines.len().saturating_sub(usize::from(cx.size.height).saturating_sub(around));
        self.top = self.top.min(self.last_top);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let lines = self.lines.iter().chain(&self.words).chain([&self.title]);
        let wanted = lines.map(Clean::width).max().unwrap_or(0) + 6;
        let around = 5 + self.words.len() as u16;
        let box_area =
            centered(area, wanted.clamp(44, usize::from(WIDEST)) as u16, self.lines.len().min(999) as u16 + around);
        let destroys = self.command.risk() == Risk::Destroys;
        page.frame(box_area, &self.title, if destroys { Role::Fail } else { Role::Accent });
        let (x, width) = (box_area.x + 3, box_area.width.saturating_sub(6));
        let room = usize::from(box_area.height.saturating_sub(around));
        for (text, y) in self.lines.iter().skip(self.top).take(room).zip(box_area.y + 2..) {
            page.put(x, y, width, text, Role::Text);
        }
        if self.lines.len() > room {
            let below = self.lines.len().saturating_sub(self.top + room);
            let text = if below > 0 {
                crate::clean!(" ↓ {below} more {} ", noun(below as u64, "line"))
            } else {
                Clean::own(" ↑ ")
            };
            page.put_right(x, box_area.y + box_area.height.saturating_sub(1), width, &text, Role::Muted);
        }
        let bottom = (box_area.y + box_area.height).saturating_sub(2);
        let words = self.words.len() as u16;
        if box_area.height > 3 + words {
            for (line, y) in self.words.iter().zip(bottom - words..) {
                page.put(x, y, width, line, Role::Faint);
            }
        }
        let used = choice(page, Rect { x, y: bottom, width, height: 1 }, Action::Yes, "do it");
        let right = Rect { x: x + used + 3, y: bottom, width: width.saturating_sub(used + 3), height: 1 };
        choice(page, right, Action::No, "don't");
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
