//! What is shown when no broker could be reached: what was tried, why it failed, and what can be done.

use ratatui::layout::Rect;

use crate::broker::{BrokerUrl, LinkState};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::header::next_try;
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Leave, Outcome, View};

use super::task::Line;
use crate::tui::widgets::literal;

/// Columns of what stands before a line.
const LABEL: usize = 8;

/// See the module.
#[derive(Default)]
pub struct Welcome {
    broker: String,
    lines: Vec<Line>,
}

impl Welcome {
    pub fn new(broker: String) -> Self {
        Self { broker, ..Self::default() }
    }
}

fn check_url(text: &str) -> Result<(), String> {
    BrokerUrl::parse(text.trim()).map(|_| ()).map_err(|e| e.to_string())
}

impl View for Welcome {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Welcome, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::WelcomeDemo => Outcome::Effect(Effect::Leave(Leave::Demo)),
            Action::WelcomeBroker => {
                let help = "redis://:password@host:6379/0   rediss:// for TLS   sentinel://h1;h2   unix:///path";
                let prompt = Prompt::framed("broker URL", "redis://localhost:6379/0", help, check_url);
                Outcome::Effect(Effect::Open(Box::new(prompt)))
            }
            Action::Quit => Outcome::Effect(Effect::Leave(Leave::Quit)),
            Action::Help | Action::Redraw | Action::Refresh => Outcome::Ignored,
            _ => Outcome::Done,
        }
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        match answer {
            Answer::Text { text, done: true } => Outcome::Effect(Effect::Leave(Leave::Broker(text.trim().to_owned()))),
            _ => Outcome::Done,
        }
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Action(action) => self.perform(action, cx),
            _ => Outcome::Ignored,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let text = |t: &'static str, role| (Clean::own(t), role);
        let mut lines = vec![vec![text("No broker could be reached.", Role::Text)], Vec::new()];
        let room = usize::from(cx.size.width).saturating_sub(LABEL + 2).max(20);
        let mut told = |label: &'static str, what: &Clean, role| {
            for (i, part) in literal::wrap(what, room).into_iter().enumerate() {
                let label = if i == 0 { Clean::own(label) } else { Clean::default() };
                let gap = Clean::repeated(' ', LABEL - label.width());
                lines.push(vec![(label, Role::Muted), (gap, Role::Muted), (part, role)]);
            }
        };
        told("tried", &clean(&self.broker), Role::Text);
        if let LinkState::Down { why, hint, retry, .. } = cx.link {
            told("because", &clean(why), Role::Fail);
            if !hint.is_empty() {
                told("", &Clean::own(hint), Role::Text);
            }
            told("again", &clean(&next_try(*retry, cx.now)), Role::Muted);
        }
        lines.push(Vec::new());
        let other = cx.options.keys.first(Action::Clusters).filter(|_| !cx.options.clusters.is_empty());
        let ways = [
            (other, "another cluster of the config file"),
            (Some("b"), "type a broker URL"),
            (Some("d"), "look around in a simulated cluster first"),
            (Some("q"), "quit"),
        ];
        for (key, what) in ways.into_iter().filter_map(|(key, what)| Some((key?, what))) {
            lines.push(vec![(crate::clean!("{key:<LABEL$}"), Role::Accent), (Clean::own(what), Role::Text)]);
        }
        lines.push(Vec::new());
        lines.push(vec![text(
            "On the command line: flower-tui -b redis://host:6379/0, or set CELERY_BROKER_URL.",
            Role::Faint,
        )]);
        self.lines = lines;
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let width =
            self.lines.iter().map(|l| l.iter().map(|(t, _)| t.width()).sum::<usize>()).max().unwrap_or(0) as u16;
        let place = crate::tui::page::centered(area, width, self.lines.len() as u16);
        for (i, line) in self.lines.iter().enumerate().take(usize::from(place.height)) {
            page.pieces(place.x, place.y + i as u16, place.width, line);
        }
    }

    fn pause_between(&self) -> u64 {
        1_000
    }
}
