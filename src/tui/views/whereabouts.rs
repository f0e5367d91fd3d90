//! "Where is it?": one verdict on a task, what it is drawn from, and who could not be asked. It fills as the answers come.

use ratatui::layout::Rect;

use super::tasks::act;
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::history::lookup::{Ticket, Waiting};
use crate::ops::locate::evidence::Line as Told;
use crate::ops::locate::{Answer as Found, Report, Search, Verdict, What};
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::scroll::Scroll;
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;

/// See the module.
pub struct Whereabouts {
    id: TaskId,
    waiting: Waiting,
    /// To be asked with the next frame.
    asks: bool,
    report: Option<Box<Report>>,
    /// All have answered.
    whole: bool,
    scroll: Scroll,
    title: Vec<(Clean, Role)>,
    choosing_signal: bool,
}

/// Columns of a label.
const LABEL: usize = 10;

impl Whereabouts {
    pub fn new(id: TaskId) -> Self {
        Self {
            id,
            waiting: Waiting::default(),
            asks: true,
            report: None,
            whole: false,
            scroll: Scroll::default(),
            title: Vec::new(),
            choosing_signal: false,
        }
    }

    fn ids(&self) -> &[TaskId] {
        std::slice::from_ref(&self.id)
    }

    /// What is shown, as text to be pasted elsewhere.
    fn text(&self) -> String {
        let line = |pieces: &[(Clean, Role)]| pieces.iter().map(|(text, _)| text.as_str()).collect::<String>();
        let lines = self.scroll.lines.iter().map(|pieces| line(pieces).trim_end().to_owned());
        std::iter::once(line(&self.title)).chain(lines).collect::<Vec<_>>().join("\n")
    }
}

/// How loud a verdict is.
fn role(verdict: &Verdict) -> Role {
    match verdict {
        Verdict::Asking | Verdict::Waiting { .. } | Verdict::Scheduled { .. } | Verdict::Delayed { .. } => {
            Role::Waiting
        }
        Verdict::Running { late: None, .. } => Role::Running,
        Verdict::Reserved { .. } => Role::Text,
        Verdict::Finished { state, .. } if state == "FAILURE" => Role::Fail,
        Verdict::Finished { .. } => Role::Ok,
        Verdict::Lost { .. } => Role::Lost,
        Verdict::Running { .. }
        | Verdict::RateLimited { .. }
        | Verdict::Revoked { .. }
        | Verdict::Unacked { .. }
        | Verdict::Unsettled { .. }
        | Verdict::NoTrace => Role::Warn,
    }
}

/// A source: found there, not found there, or not asked.
fn source(line: &Told) -> (&'static str, Role) {
    match line.found {
        Some(true) => ("✔ ", Role::Text),
        Some(false) => ("✖ ", Role::Muted),
        None if line.waits => ("◌ ", Role::Faint),
        None => ("- ", Role::Muted),
    }
}

/// A label, and a text that is wrapped beside it.
fn paragraph(label: &str, text: &str, role: Role, width: usize, lines: &mut Vec<Vec<(Clean, Role)>>) {
    for (i, line) in literal::wrap(&clean(text), width).into_iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        lines.push(vec![(crate::clean!("{label:<LABEL$}"), Role::Muted), (line, role)]);
    }
}

fn lines(report: &Report, whole: bool, width: usize, time: &dyn Fn(Stamp) -> String) -> Vec<Vec<(Clean, Role)>> {
    let mut lines = Vec::new();
    let verdict = report.verdict();
    let going = if whole || verdict == Verdict::Asking { "" } else { "   (still asking)" };
    let sentence = format!("{}{going}", verdict.sentence(report.evidence.now, time));
    paragraph("verdict", &sentence, role(&verdict), width, &mut lines);
    if let Some(why) = verdict.why().filter(|_| whole) {
        paragraph("why", &why, Role::Text, width, &mut lines);
    }
    lines.push(Vec::new());
    let told = report.evidence.lines(time);
    let (asked, unasked): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|line| line.found.is_some() || line.waits);
    for (label, group) in [("seen", asked), ("not asked", unasked)] {
        for (i, line) in group.into_iter().enumerate() {
            let (sign, role) = source(line);
            let text = format!("{sign}{}", line.text.replacen(" not asked:", ":", 1));
            paragraph(if i == 0 { label } else { "" }, &text, role, width, &mut lines);
        }
    }
    lines
}

impl View for Whereabouts {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::Tasks, Scope::Text, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.scroll.perform(action) {
            return outcome;
        }
        match action {
            Action::Back => Outcome::Effect(Effect::Close),
            Action::Open => Outcome::Effect(Effect::OpenTask(self.id.clone())),
            // Once more.
            Action::WhereIs | Action::Refresh => {
                (self.asks, self.whole) = (true, false);
                Outcome::Done
            }
            Action::TaskTerminate => {
                self.choosing_signal = true;
                Outcome::Effect(Effect::Open(Box::new(act::signals())))
            }
            _ => act::perform(action, self.ids(), cx.model),
        }
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        if action == Action::Open && cx.model.task(&self.id).is_none() {
            return Some("no event of it is known here".into());
        }
        act::refuse(action, self.ids(), cx.model)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if std::mem::take(&mut self.choosing_signal) {
            return act::terminate(answer, vec![self.id.clone()]);
        }
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn wants_search(&mut self) -> Option<Search> {
        std::mem::take(&mut self.asks)
            .then(|| Search { what: What::Task(self.id.clone()), ticket: self.waiting.begin() })
    }

    fn searched(&mut self, ticket: &Ticket, answer: Found) {
        if let Found::Task(report) = answer
            && self.waiting.is_for(ticket)
        {
            self.whole = report.evidence.is_whole();
            self.report = Some(report);
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let name = self.report.as_ref().and_then(|report| report.evidence.name());
        self.title = vec![
            (clean(&self.id.to_string()), Role::Faint),
            (crate::clean!("  {}", name.unwrap_or("(name not known)")), Role::Text),
        ];
        let width = usize::from(cx.size.width).saturating_sub(LABEL + 4).max(20);
        self.scroll.lines = match &self.report {
            Some(report) => lines(report, self.whole, width, &|at| cx.time(at)),
            None => vec![vec![(Clean::own("asking …"), Role::Muted)]],
        };
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        let inner = Rect {
            x: area.x + 1,
            y: area.y + 2,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(2),
        };
        self.scroll.draw(page, inner);
    }

    fn copies(&self, _cx: &Cx<'_>) -> Vec<(String, String)> {
        vec![("id".to_owned(), self.id.to_string()), ("where it is".to_owned(), self.text())]
    }

    fn crumb(&self) -> Option<String> {
        Some(format!("where is {}", self.id.short()))
    }
}
