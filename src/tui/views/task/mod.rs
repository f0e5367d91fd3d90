//! One task on a whole screen, and the short form of it below the list.

mod events;
mod stored;

use std::borrow::Cow;

use ratatui::layout::Rect;

use crate::celery::{TaskId, traceback};
use crate::feed::{Interest, ResultLook};
use crate::human;
use crate::state::lost::{Again, Lost};
use crate::state::{State, Task};
use crate::text::{Clean, clean, clean_lines};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Prompt;
use crate::tui::page::{Page, Target};
use crate::tui::theme::{self, Role};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::literal;
use crate::tui::widgets::outline::{Item, Outline};

use super::tasks::act;

/// Pieces of text in their colours.
pub type Line = Vec<(Clean, Role)>;

/// See the module.
pub struct TaskScreen {
    id: TaskId,
    outline: Outline,
    title: Line,
    choosing_signal: bool,
    /// Every event as it was written down, where it was opened from the history.
    recorded: Vec<serde_json::Value>,
}

impl TaskScreen {
    pub fn new(id: TaskId) -> Self {
        Self::recorded(id, Vec::new())
    }

    /// The screen of a task whose events were written down.
    pub fn recorded(id: TaskId, recorded: Vec<serde_json::Value>) -> Self {
        Self { id, outline: Outline::default(), title: Vec::new(), choosing_signal: false, recorded }
    }
}

/// Moves, folds and searches in a text; `None` if the action is none of these.
pub fn read(outline: &mut Outline, action: Action) -> Option<Outcome> {
    let half = outline.half();
    match action {
        Action::ScrollDown => outline.step(1),
        Action::ScrollUp => outline.step(-1),
        Action::ScrollPageDown => outline.step(half),
        Action::ScrollPageUp => outline.step(-half),
        Action::ScrollTop => outline.step(isize::MIN),
        Action::ScrollBottom => outline.step(isize::MAX),
        Action::Fold => {
            outline.fold();
        }
        Action::FoldAll => outline.fold_all(),
        Action::SearchNext => outline.search_on(true),
        Action::SearchBefore => outline.search_on(false),
        Action::Search => {
            let prompt = Prompt::line("search", outline.searching(), |_| Ok(()), Vec::new());
            return Some(Outcome::Effect(Effect::Open(Box::new(prompt))));
        }
        _ => return None,
    }
    Some(Outcome::Done)
}

/// Takes what was typed into the search field.
pub fn searched(outline: &mut Outline, answer: &Answer) {
    match answer {
        Answer::Text { text, .. } => outline.search(text),
        Answer::Cancelled => outline.search(""),
        Answer::Choice(_) | Answer::Picked(_) | Answer::Fields(_) => {}
    }
}

impl View for TaskScreen {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Tasks, Scope::Folds, Scope::Text, Scope::Panes, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        if let Some(outcome) = read(&mut self.outline, action) {
            return outcome;
        }
        match action {
            Action::Back => Outcome::Effect(Effect::Close),
            Action::Workflow => Outcome::Effect(Effect::OpenWorkflow(self.id.clone())),
            // The list, the task, its workflow: one goes round.
            Action::NextPane => {
                Outcome::Effect(Effect::Replace(Box::new(super::workflow::WorkflowScreen::new(self.id.clone()))))
            }
            Action::PreviousPane => Outcome::Effect(Effect::Close),
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
        searched(&mut self.outline, answer);
        Outcome::Done
    }

    fn click(&mut self, target: Target, _cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Row(row) => {
                self.outline.go_to_row(row);
                self.outline.fold();
                Outcome::Done
            }
            _ => Outcome::Ignored,
        }
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let width = usize::from(cx.size.width.saturating_sub(8)).max(20);
        let items = match cx.model.task(&self.id) {
            Some(task) => {
                self.title = title(&task);
                if task.is_recalled() {
                    self.title.push((Clean::own("  from history"), Role::Muted));
                }
                whole(&task, &self.recorded, cx, width)
            }
            None => {
                self.title = vec![(clean(&self.id.to_string()), Role::Faint)];
                let gone = "This task had to make room in memory: only its id is left.";
                let mut items = vec![Item::line(0, vec![(Clean::own(gone), Role::Muted)])];
                match cx.model.result(&self.id) {
                    Some(stored) => stored::alone(stored, cx.model.redactor(), width, &mut items),
                    None => stored::missing(cx.model.results_missing(), width, &mut items),
                }
                items
            }
        };
        self.outline.set(items, usize::from(cx.size.height.saturating_sub(2)));
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.title);
        let inner =
            Rect { y: area.y + 2, height: area.height.saturating_sub(2), width: area.width.saturating_sub(1), ..area };
        self.outline.draw(page, inner);
    }

    fn copies(&self, cx: &Cx<'_>) -> Vec<(String, String)> {
        cx.model.task(&self.id).map_or_else(|| vec![("id".to_owned(), self.id.to_string())], |task| copies(&task))
    }

    fn interest(&self) -> Interest {
        Interest { result: Some(ResultLook::Task(self.id.clone())), ..Interest::default() }
    }

    fn crumb(&self) -> Option<String> {
        Some(format!("task {}", self.id.short()))
    }
}

/// What can be copied of a task.
pub fn copies(task: &Task<'_>) -> Vec<(String, String)> {
    let texts = [
        ("id", Some(task.id().to_string())),
        ("name", task.name().map(str::to_owned)),
        ("args", task.args().map(Cow::into_owned)),
        ("kwargs", task.kwargs().map(Cow::into_owned)),
        ("result", task.result().map(Cow::into_owned)),
        ("exception", task.exception().map(Cow::into_owned)),
        ("traceback", task.traceback().map(Cow::into_owned)),
        ("worker", task.worker().map(str::to_owned)),
    ];
    texts.into_iter().filter_map(|(what, text)| Some((what.to_owned(), text.filter(|t| !t.is_empty())?))).collect()
}

/// State, name and id.
pub fn title(task: &Task<'_>) -> Line {
    let (glyph, role) = theme::sign(task);
    vec![
        (crate::clean!("{glyph} {}", task.shown_state()), role),
        (crate::clean!("  {}", task.name().unwrap_or("(name not known)")), Role::Text),
        (crate::clean!("  {}", task.id()), Role::Faint),
    ]
}

/// How long tasks of this name take.
fn usual(task: &Task<'_>, cx: &Cx<'_>) -> Option<String> {
    let p = cx.model.name_stats(task.name()?)?.runtimes.recent.percentiles();
    (p.samples > 0).then(|| {
        let [p50, p95] = [p.p50, p.p95].map(|s| human::seconds(f64::from(s)));
        format!("this task takes {p50} mostly, p95 {p95}")
    })
}

/// Everything known of a task.
fn whole(task: &Task<'_>, recorded: &[serde_json::Value], cx: &Cx<'_>, width: usize) -> Vec<Item> {
    let mut items: Vec<Item> =
        split(events::timeline(task, cx, true), width).into_iter().map(|line| Item::line(0, line)).collect();
    items.push(Item::default());
    let wide: usize = title(task).iter().map(|(text, _)| text.width()).sum();
    if let Some(name) = task.name().filter(|_| wide + 2 > usize::from(cx.size.width)) {
        for (i, line) in literal::wrap(&clean(name), width.saturating_sub(11)).into_iter().enumerate() {
            let label = if i == 0 { "name" } else { "" };
            items.push(Item::line(0, vec![(crate::clean!("{label:<10} "), Role::Muted), (line, Role::Text)]));
        }
    }
    facts(task, cx, &mut items);
    // Why it failed is what one came for: it stands before all that only describes the task.
    if let Some(exception) = task.error() {
        let lines = clean_lines(&exception).into_iter().flat_map(|line| literal::wrap(&line, width));
        section("exception", "", lines.map(|l| Item::line(1, vec![(l, Role::Fail)])).collect(), &mut items);
    }
    // Events cut a result short, and some say nothing of the traceback: the result backend has them whole.
    let stored = cx.model.result(task.id());
    let more = stored::Fuller::of(task, stored, cx.model.redactor());
    let (own, stored_one) = (task.traceback(), more.traceback.as_deref());
    if let Some(traceback) = own.as_deref().or(stored_one) {
        let note = if own.is_none() { stored::FROM } else { "" };
        section("traceback", note, trace(traceback, width), &mut items);
    }
    for (label, text) in [("args", task.args()), ("kwargs", task.kwargs()), ("result", task.result())] {
        let whole = more.text(label);
        let Some(text) = whole.or(text.as_deref()).filter(|t| !t.is_empty()) else { continue };
        let (lines, kind) = literal::outline(text, label, 1, width);
        let note = match kind {
            _ if whole.is_some() => stored::FROM,
            literal::Kind::Json => "   JSON in a text",
            _ => "",
        };
        section(label, note, lines, &mut items);
    }
    stored::opaque(stored, &mut items);
    stored::missing(cx.model.results_missing().filter(|_| stored.is_none()), width, &mut items);
    let bars = events::bars(task, cx, width);
    if bars.len() > 1 {
        section("runs", "", bars.into_iter().map(|line| Item::line(1, line)).collect(), &mut items);
    }
    if recorded.is_empty() {
        section("events", "", events::events(task, cx), &mut items);
    } else {
        section("events", "   as recorded", events::recorded(recorded, cx), &mut items);
    }
    items
}

fn facts(task: &Task<'_>, cx: &Cx<'_>, items: &mut Vec<Item>) {
    let own = |t: Option<&str>| t.map(str::to_owned);
    let worker = task.worker().map(|w| task.pid().map_or_else(|| w.to_owned(), |pid| format!("{w}  pid {pid}")));
    let wait = task.wait().map(|(s, least)| format!("{}{}", if least { "≥ " } else { "" }, human::seconds(s)));
    let runtime = task.runtime().map(human::seconds).map(|r| match usual(task, cx) {
        Some(usual) => format!("{r}  ({usual})"),
        None => r,
    });
    let eta = task.eta().map(|eta| match task.due(cx.then()) {
        Some(secs) if secs > 0.0 => format!("{eta}  (in {})", human::span(secs as u64)),
        _ => eta.to_owned(),
    });
    let canvas = canvas(task);
    let facts = [
        ("lost", task.lost().map(|lost| left_behind(task, lost, cx))),
        ("worker", worker),
        ("queue", own(task.queue())),
        ("sent by", own(task.client())),
        ("wait", wait),
        ("runtime", runtime),
        ("retries", task.retries().map(|n| n.to_string())),
        ("eta", eta),
        ("expires", own(task.expires())),
        ("root", task.root().filter(|root| root != task.id()).map(|r| r.to_string())),
        ("parent", task.parent().map(ToString::to_string)),
        ("workflow", canvas),
        ("revoked", revoked(task).filter(|_| task.state() == State::Revoked)),
        ("group", task.group().map(|group| format!("{group}  (group:{group} lists its failures)"))),
        (
            "revoke",
            task.revoke_asked().map(|at| format!("asked {}: no event has said yet what came of it", cx.time(at))),
        ),
        ("sent again", task.retried_as().map(|id| format!("as {id}"))),
        ("in place of", task.retry_of().map(ToString::to_string)),
    ];
    for (label, value) in facts {
        if let Some(value) = value {
            // What is too long for one line goes on below.
            let width = usize::from(cx.size.width).saturating_sub(15).max(20);
            for (i, line) in literal::wrap(&clean(&value), width).into_iter().enumerate() {
                let label = if i == 0 { label } else { "" };
                items.push(Item::line(0, vec![(crate::clean!("{label:<10} "), Role::Muted), (line, Role::Text)]));
            }
        }
    }
}

/// Why it is lost, what it was before, and whether it comes back.
fn left_behind(task: &Task<'_>, lost: Lost, cx: &Cx<'_>) -> String {
    let again = match lost.again {
        Again::Unknown => String::new(),
        Again::Held(Some(at)) => format!("; the broker gives it out again {}", cx.time(at)),
        Again::Held(None) => "; the broker holds its message and gives it out again".into(),
        Again::NotHeld if task.state() == State::Received => "; its message is back in its queue, or gone".into(),
        Again::NotHeld => "; its message was acknowledged: it does not run again by itself".into(),
    };
    let why = task.lost_reason().unwrap_or_default();
    format!("{why} while it was {}, found {}{again}", task.state_name(), cx.time(lost.at))
}

/// Whether it belongs to a workflow, and how that is seen.
fn canvas(task: &Task<'_>) -> Option<String> {
    let part = task.parent().is_some() || task.root().is_some_and(|root| root != *task.id());
    part.then(|| "it is part of one: W shows it as a tree".to_owned())
}

/// A heading, and what lies below it.
fn section(title: &'static str, note: &'static str, lines: Vec<Item>, items: &mut Vec<Item>) {
    if lines.is_empty() {
        return;
    }
    items.push(Item::default());
    let heading = (Clean::own(title), Role::Heading);
    let folded = crate::clean!("   {}", human::plural(lines.len(), "line"));
    items.push(Item {
        depth: 0,
        pieces: vec![heading.clone(), (Clean::own(note), Role::Faint)],
        fold: Some(title.to_owned()),
        folded: vec![heading, (folded, Role::Faint)],
        closes: false,
    });
    items.extend(lines);
}

/// A traceback: the frame that raised it stands out, frames of libraries step back.
fn trace(text: &str, width: usize) -> Vec<Item> {
    let raised = traceback::raised_at(text).map(|frame| frame.at);
    let mut in_library = false;
    let mut items = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let is_frame = line.trim_start().starts_with("File \"");
        if is_frame {
            in_library = line.contains("/site-packages/") || line.contains("/lib/python");
        } else if !line.starts_with(' ') {
            in_library = false;
        }
        // The line of code below the raising frame belongs to it.
        let raising = raised.is_some_and(|at| i == at || (i == at + 1 && line.starts_with("    ")));
        let role = match (raising, in_library, is_frame, line.starts_with(' ')) {
            (true, ..) => Role::Fail,
            (_, true, ..) => Role::Faint,
            (_, _, true, _) => Role::Muted,
            _ => Role::Text,
        };
        let line = crate::clean!("{}", line.replace('\t', "    "));
        items.extend(literal::wrap(&line, width).into_iter().map(|l| Item::line(1, vec![(l, role)])));
    }
    items
}

fn revoked(task: &Task<'_>) -> Option<String> {
    match (task.is_expired(), task.is_terminated(), task.signum()) {
        (true, _, _) => Some("its time had passed".into()),
        (_, true, Some(signal)) => Some(format!("terminated with signal {signal}")),
        (_, true, None) => Some("terminated".into()),
        _ => Some("before it started".into()),
    }
}

/// Breaks a line of pieces where it gets too long.
fn split(line: Line, width: usize) -> Vec<Line> {
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    let mut pieces = line.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        // A word and its time stay together.
        let is_time = |text: &Clean| {
            text.as_str().starts_with(' ') && text.as_str()[1..].starts_with(|c: char| c.is_ascii_digit())
        };
        let time = pieces.peek().filter(|(text, _)| is_time(text)).map_or(0, |(text, _)| text.width());
        if used + piece.0.width() + time > width && used > 0 {
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

/// The short form: what fits into six lines, and more where there is room.
pub fn brief(task: &Task<'_>, cx: &Cx<'_>, width: usize) -> Vec<Line> {
    let half = width.saturating_sub(2) / 2;
    let mut lines = vec![events::timeline(task, cx, false)];
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
    pair(("args", task.args().as_deref(), Role::Text), ("worker", worker));
    pair(("kwargs", task.kwargs().as_deref(), Role::Text), ("queue", task.queue().map(str::to_owned)));
    let root = task.root().filter(|r| r != task.id()).map(|r| format!("{r}"));
    match task.error() {
        Some(exception) => pair(("error", Some(&exception), Role::Fail), ("root", root)),
        None => pair(("result", task.result().as_deref(), Role::Text), ("root", root)),
    }
    // A details pane that was pulled taller shows the end of the traceback too.
    if let Some(text) = task.traceback() {
        let raised = traceback::raised_at(&text).map_or(0, |frame| frame.at);
        let cut = |line: &str| clean(&crate::text::cut_end(crate::clean!("{line}").as_str(), width.saturating_sub(2)));
        lines.extend(text.lines().skip(raised).map(|line| vec![(cut(line), Role::Muted)]));
    }
    lines
}
