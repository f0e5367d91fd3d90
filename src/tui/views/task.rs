//! One task on a whole screen, and the short form of it below the list.

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::human;
use crate::state::{State, Task};
use crate::text::{Clean, clean, clean_lines};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::scroll::Scroll;
use crate::tui::page::Page;
use crate::tui::theme::{self, Role};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;

use super::tasks::act;

/// Pieces of text in their colours.
pub type Line = Vec<(Clean, Role)>;

/// See the module.
pub struct TaskScreen {
    id: TaskId,
    scroll: Scroll,
    title: Line,
    choosing_signal: bool,
}

impl TaskScreen {
    pub fn new(id: TaskId) -> Self {
        Self { id, scroll: Scroll::default(), title: Vec::new(), choosing_signal: false }
    }
}

impl View for TaskScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Tasks, Scope::Text, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = self.scroll.perform(action) {
            return outcome;
        }
        match action {
            Action::Back => Outcome::Effect(Effect::Close),
            Action::TaskTerminate => {
                self.choosing_signal = true;
                Outcome::Effect(Effect::Open(Box::new(act::signals())))
            }
            _ => act::perform(action, std::slice::from_ref(&self.id), cx.model),
        }
    }

    fn refuse(&self, action: Action, cx: &Cx<'_>) -> Option<String> {
        act::refuse(action, std::slice::from_ref(&self.id), cx.model)
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if std::mem::take(&mut self.choosing_signal) {
            return act::terminate(answer, vec![self.id.clone()]);
        }
        self.scroll.answer(answer);
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let width = usize::from(cx.size.width.saturating_sub(4)).max(20);
        match cx.model.task(&self.id) {
            Some(task) => {
                self.title = title(&task);
                self.scroll.lines = whole(&task, cx, width);
            }
            None => {
                let gone = "This task had to make room in memory: only its id is left.";
                self.scroll.lines = vec![vec![(Clean::own(gone), Role::Muted)]];
            }
        }
        self.scroll.fit(usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        let inner = Rect {
            x: area.x + 2,
            y: area.y + 2,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
        };
        self.scroll.draw(page, inner);
    }
}

/// State, name and id.
pub fn title(task: &Task<'_>) -> Line {
    let role = theme::role(task.state());
    vec![
        (crate::clean!("{} {}", theme::glyph(task.state()), task.state_name()), role),
        (crate::clean!("  {}", task.name().unwrap_or("(name not known)")), Role::Text),
        (crate::clean!("  {}", task.id()), Role::Faint),
    ]
}

/// What happened when, in one line. The times in between are left out unless all are asked for.
pub fn timeline(task: &Task<'_>, cx: &Cx<'_>, all: bool) -> Line {
    let mut line: Line = Vec::new();
    let mut before: Option<Stamp> = None;
    let first = [task.sent(), task.received(), task.started()].into_iter().flatten().next();
    let mut step = |word: &str, at: Option<Stamp>, role: Role, ran: bool| {
        let Some(at) = at else { return };
        if let Some(before) = before {
            let gap = human::seconds(at.since(before).as_secs_f64());
            let (sign, role) = if ran { ("━━", Role::Running) } else { ("┄┄", Role::Faint) };
            line.push((crate::clean!(" {sign} {gap} {sign} "), role));
        }
        line.push((clean(word), role));
        if all || Some(at) == first || Some(at) == task.finished() {
            line.push((crate::clean!(" {}", human::clock_millis(at, cx.zone)), Role::Text));
        }
        before = Some(at);
    };
    step("sent", task.sent(), Role::Muted, false);
    step("received", task.received(), Role::Muted, false);
    step("started", task.started(), Role::Muted, false);
    if let Some(finished) = task.finished() {
        let word = task.state_name().to_lowercase();
        step(&word, Some(finished), theme::role(task.state()), task.started().is_some());
    } else if let Some(secs) = task.running(cx.now) {
        line.push((crate::clean!(" ━━ {} …", human::seconds(secs)), Role::Running));
        if let Some(usual) = usual(task, cx) {
            line.push((crate::clean!("  ({usual})"), Role::Faint));
        }
    }
    if line.is_empty() {
        line.push((Clean::own("no event with a time was seen"), Role::Faint));
    }
    line
}

/// How long tasks of this name take.
fn usual(task: &Task<'_>, cx: &Cx<'_>) -> Option<String> {
    let p = cx.model.name_stats(task.name()?)?.runtimes.percentiles();
    (p.samples > 0).then(|| {
        let [p50, p95] = [p.p50, p.p95].map(|s| human::seconds(f64::from(s)));
        format!("this task takes {p50} mostly, p95 {p95}")
    })
}

fn fact(label: &'static str, value: Option<String>, lines: &mut Vec<Line>) {
    if let Some(value) = value {
        lines.push(vec![(crate::clean!("{label:<10}"), Role::Muted), (clean(&value), Role::Text)]);
    }
}

fn heading(text: &'static str, lines: &mut Vec<Line>) {
    lines.push(Vec::new());
    lines.push(vec![(Clean::own(text), Role::Heading)]);
}

/// Everything known of a task.
fn whole(task: &Task<'_>, cx: &Cx<'_>, width: usize) -> Vec<Line> {
    let mut lines = split(timeline(task, cx, true), width);
    lines.push(Vec::new());
    let own = |t: Option<&str>| t.map(str::to_owned);
    fact(
        "worker",
        task.worker().map(|w| match task.pid() {
            Some(pid) => format!("{w}  pid {pid}"),
            None => w.to_owned(),
        }),
        &mut lines,
    );
    fact("queue", own(task.queue()), &mut lines);
    fact("sent by", own(task.client()), &mut lines);
    fact(
        "wait",
        task.wait().map(|(s, least)| format!("{}{}", if least { "≥ " } else { "" }, human::seconds(s))),
        &mut lines,
    );
    fact(
        "runtime",
        task.runtime().map(human::seconds).map(|r| match usual(task, cx) {
            Some(usual) => format!("{r}  ({usual})"),
            None => r,
        }),
        &mut lines,
    );
    fact("retries", task.retries().map(|n| n.to_string()), &mut lines);
    fact("eta", own(task.eta()), &mut lines);
    fact("expires", own(task.expires()), &mut lines);
    fact("root", task.root().filter(|root| root != task.id()).map(|r| r.to_string()), &mut lines);
    fact("parent", task.parent().map(ToString::to_string), &mut lines);
    if task.state() == State::Revoked {
        fact("revoked", revoked(task), &mut lines);
    }
    for (label, text) in [("args", task.args()), ("kwargs", task.kwargs()), ("result", task.result())] {
        let Some(text) = text.filter(|t| !t.is_empty()) else { continue };
        heading(label, &mut lines);
        lines.extend(literal::pretty(text, width).into_iter().map(|l| vec![(l, Role::Text)]));
    }
    if let Some(exception) = task.exception() {
        heading("exception", &mut lines);
        for line in clean_lines(exception) {
            lines.extend(literal::wrap(&line, width).into_iter().map(|l| vec![(l, Role::Fail)]));
        }
    }
    attempts(task, cx, &mut lines);
    if let Some(traceback) = task.traceback() {
        heading("traceback", &mut lines);
        lines.extend(clean_lines(traceback).into_iter().map(|line| {
            let role = if line.as_str().trim_start().starts_with("File ") { Role::Muted } else { Role::Text };
            vec![(line, role)]
        }));
    }
    lines
}

fn revoked(task: &Task<'_>) -> Option<String> {
    match (task.is_expired(), task.is_terminated(), task.signum()) {
        (true, _, _) => Some("its time had passed".into()),
        (_, true, Some(signal)) => Some(format!("terminated with signal {signal}")),
        (_, true, None) => Some("terminated".into()),
        _ => Some("before it started".into()),
    }
}

fn attempts(task: &Task<'_>, cx: &Cx<'_>, lines: &mut Vec<Line>) {
    if task.attempts().is_empty() {
        return;
    }
    heading("attempts", lines);
    for (n, attempt) in task.attempts().iter().enumerate() {
        let ran = attempt.started.map(|s| human::seconds(attempt.finished.since(s).as_secs_f64()));
        lines.push(vec![
            (crate::clean!("{:>3}  ", n + 1), Role::Muted),
            (Clean::own("↻ "), Role::Retry),
            (crate::clean!("{}  ", human::clock_millis(attempt.finished, cx.zone)), Role::Text),
            (crate::clean!("{:<9} ", ran.unwrap_or_default()), Role::Muted),
            (crate::clean!("{:<18} ", cx.model.name(attempt.worker).unwrap_or("")), Role::Muted),
            (clean(cx.model.name(attempt.exception).unwrap_or("")), Role::Retry),
        ]);
    }
}

/// Breaks a line of pieces where it gets too long.
fn split(line: Line, width: usize) -> Vec<Line> {
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for piece in line {
        if used + piece.0.width() > width && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += piece.0.width();
        if let Some(last) = lines.last_mut() {
            last.push(piece);
        }
    }
    lines
}

/// The short form: what fits into six lines.
pub fn brief(task: &Task<'_>, cx: &Cx<'_>, width: usize) -> Vec<Line> {
    let half = width.saturating_sub(2) / 2;
    let mut lines = vec![timeline(task, cx, false)];
    let mut pair = |left: (&'static str, Option<&str>, Role), right: (&'static str, Option<String>)| {
        let cut = |text: &str, w: usize| clean(&crate::text::cut_end(clean(text).as_str(), w));
        let text = cut(left.1.unwrap_or("-"), half.saturating_sub(10));
        let pad = half.saturating_sub(8 + text.width());
        lines.push(vec![
            (crate::clean!("{:<8}", left.0), Role::Muted),
            (text, left.2),
            (Clean::repeated(' ', pad), Role::Text),
            (crate::clean!("{:<8}", right.0), Role::Muted),
            (cut(right.1.as_deref().unwrap_or("-"), half.saturating_sub(8)), Role::Text),
        ]);
    };
    let worker = task.worker().map(|w| task.pid().map_or_else(|| w.to_owned(), |pid| format!("{w}  pid {pid}")));
    pair(("args", task.args(), Role::Text), ("worker", worker));
    pair(("kwargs", task.kwargs(), Role::Text), ("queue", task.queue().map(str::to_owned)));
    let root = task.root().filter(|r| r != task.id()).map(|r| format!("{r}"));
    match task.exception() {
        Some(exception) => pair(("error", Some(exception), Role::Fail), ("root", root)),
        None => pair(("result", task.result(), Role::Text), ("root", root)),
    }
    lines
}
