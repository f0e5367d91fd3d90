//! What happened to a task when: its timeline in one line, each run as a bar, every event with its time.

use crate::clock::Stamp;
use crate::human;
use crate::state::{State, Task};
use crate::text::{Clean, clean};
use crate::tui::theme::{self, Role};
use crate::tui::view::Cx;
use crate::tui::widgets::outline::Item;

use super::{Line, usual};

/// What happened when, in one line. The times in between are left out unless all are asked for.
pub fn timeline(task: &Task<'_>, cx: &Cx<'_>, all: bool) -> Line {
    let mut line: Line = Vec::new();
    let mut before: Option<Stamp> = None;
    // A run that waits shows when it was sent; one that ran, when that run was.
    let sent = task.sent_to_run().or(task.sent().filter(|_| task.finished().is_none()));
    let first = [sent, task.received(), task.started()].into_iter().flatten().next();
    let mut step = |word: &str, at: Option<Stamp>, role: Role, ran: bool| {
        // Stamps of the run before stay on the task until the next run brings its own.
        let Some(at) = at.filter(|at| before.is_none_or(|before| before <= *at)) else { return };
        if let Some(before) = before {
            let gap = human::seconds(at.since(before).as_secs_f64());
            let (sign, role) = if ran { ("━━", Role::Running) } else { ("┄┄", Role::Faint) };
            line.push((crate::clean!(" {sign} {gap} {sign} "), role));
        }
        line.push((clean(word), role));
        if all || Some(at) == first || Some(at) == task.finished() {
            line.push((crate::clean!(" {}", human::clock_millis(at, cx.shown_zone())), Role::Text));
        }
        before = Some(at);
    };
    step("sent", sent, Role::Muted, false);
    step("received", task.received(), Role::Muted, false);
    step("started", task.started(), Role::Muted, false);
    if let Some(finished) = task.finished() {
        let word = task.state_name().to_lowercase();
        step(&word, Some(finished), theme::role(task.state()), task.started().is_some());
    } else if let Some(secs) = task.running(cx.then()) {
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

/// One run of a task.
struct Run {
    sent: Option<Stamp>,
    received: Option<Stamp>,
    started: Option<Stamp>,
    ended: Option<(Stamp, State)>,
    worker: String,
    note: String,
}

/// Every run, oldest first; the last one may not be over.
fn runs(task: &Task<'_>, cx: &Cx<'_>) -> Vec<Run> {
    let name = |sym| cx.model.name(sym).unwrap_or_default().to_owned();
    let mut runs: Vec<Run> = task
        .attempts()
        .iter()
        .map(|a| Run {
            sent: a.sent,
            received: a.received,
            started: a.started,
            ended: Some((a.finished, State::Retry)),
            worker: name(a.worker),
            note: name(a.exception),
        })
        .collect();
    let after = task.attempts().last().map(|a| a.finished);
    // Stamps of the run before stay on the task until the next run brings its own.
    let fresh = |at: Option<Stamp>| at.filter(|at| after.is_none_or(|after| *at >= after));
    let received = fresh(task.received());
    let last = Run {
        // The next run is often sent a moment before the retry is announced.
        sent: task.sent().filter(|sent| task.attempts().last().is_none_or(|a| a.started.is_none_or(|s| *sent > s))),
        received,
        started: fresh(task.started()),
        ended: task.finished().filter(|at| fresh(Some(*at)).is_some()).map(|at| (at, task.state())),
        worker: received.or(fresh(task.started())).and(task.worker()).unwrap_or_default().to_owned(),
        note: task.exception_type().filter(|_| task.state() == State::Failure).unwrap_or_default().to_owned(),
    };
    if runs.is_empty() || last.sent.or(last.received).or(last.started).is_some() {
        runs.push(last);
    }
    runs
}

/// Each run as a bar on one axis of time: waiting dotted, running solid, in the colour of its end.
pub fn bars(task: &Task<'_>, cx: &Cx<'_>, width: usize) -> Vec<Line> {
    let runs = runs(task, cx);
    let begin = |run: &Run| run.sent.or(run.received).or(run.started);
    let end = |run: &Run| {
        run.ended.map(|(at, _)| at).unwrap_or(if run.started.is_some() {
            cx.then()
        } else {
            run.received.or(run.sent).unwrap_or(cx.then())
        })
    };
    let (Some(from), Some(to)) = (runs.iter().filter_map(begin).min(), runs.iter().map(end).max()) else {
        return Vec::new();
    };
    let cells = width.saturating_sub(46).clamp(10, 80);
    let span = to.since(from).as_secs_f64().max(1e-6);
    let place = |at: Stamp| ((at.since(from).as_secs_f64() / span * cells as f64) as usize).min(cells);
    runs.iter()
        .enumerate()
        .map(|(n, run)| {
            let (state, role) = match run.ended {
                Some((_, state)) => (state, theme::role(state)),
                None if run.started.is_some() => (State::Started, Role::Running),
                None => (State::Received, Role::Waiting),
            };
            // A success is quiet in lists; as a bar it has to be seen.
            let role = if state == State::Success { Role::Ok } else { role };
            let (begin, stop) = (begin(run).map_or(0, place), place(end(run)));
            let start = run.started.map_or(stop, place).clamp(begin, stop);
            let solid = (stop - start).max(usize::from(run.started.is_some()));
            let rest = cells.saturating_sub(start + solid);
            let ran = run.started.map_or(String::new(), |s| human::seconds(end(run).since(s).as_secs_f64()));
            vec![
                (crate::clean!("{:>3}  ", n + 1), Role::Muted),
                (crate::clean!("{} ", theme::glyph(state)), role),
                (Clean::repeated(' ', begin), Role::Text),
                (Clean::repeated('┄', start - begin), Role::Faint),
                (Clean::repeated('━', solid), role),
                (crate::clean!("{}  {ran:>7}  ", " ".repeat(rest)), Role::Text),
                (crate::clean!("{:<16} ", crate::text::cut_middle(clean(&run.worker).as_str(), 16)), Role::Muted),
                (clean(&run.note), role),
            ]
        })
        .collect()
}

/// Every event whose time is known, with the time since the one before.
pub fn events(task: &Task<'_>, cx: &Cx<'_>) -> Vec<Item> {
    let mut events: Vec<(Stamp, String, Role, String)> = Vec::new();
    for run in runs(task, cx) {
        let mut add = |at: Option<Stamp>, word: &str, role: Role, note: String| {
            events.extend(at.map(|at| (at, word.to_owned(), role, note)));
        };
        let route = match (task.client(), task.queue()) {
            (Some(client), Some(queue)) => format!("by {client} to {queue}"),
            (Some(client), None) => format!("by {client}"),
            (None, queue) => queue.map_or(String::new(), |q| format!("to {q}")),
        };
        add(run.sent, "sent", Role::Muted, route);
        add(run.received, "received", Role::Muted, run.worker.clone());
        add(run.started, "started", Role::Running, run.worker.clone());
        if let Some((at, state)) = run.ended {
            let word = if state == State::Custom { task.state_name().to_lowercase() } else { past(state).to_owned() };
            add(Some(at), &word, theme::role(state), run.note);
        }
    }
    // Outcomes that did not set the present state, such as a failure that a later success overrode.
    for state in State::NAMED.into_iter().filter(|s| *s != State::Retry && *s != task.state()) {
        let at = task.outcome(state);
        events.extend(at.map(|at| (at, past(state).to_owned(), theme::role(state), "overridden".to_owned())));
    }
    // What happened to the cluster meanwhile may be the reason.
    if let (Some(from), Some(to)) = (events.iter().map(|e| e.0).min(), events.iter().map(|e| e.0).max()) {
        // What has not ended goes on.
        let to = if task.state().is_ready() { to } else { cx.now };
        let meanwhile = cx.model.marks().all().filter(|mark| mark.at > from && mark.at < to);
        events.extend(meanwhile.map(|mark| (mark.at, "▾".to_owned(), Role::Accent, mark.text.clone())));
    }
    lines(events, cx)
}

/// Every event of a task as it was written down.
pub fn recorded(events: &[serde_json::Value], cx: &Cx<'_>) -> Vec<Item> {
    let text = |event: &serde_json::Value, key: &str| event.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    let event = |event: &serde_json::Value| {
        let at = Stamp::from_secs(event.get("timestamp")?.as_f64()?)?;
        let kind = text(event, "type")?;
        let kind = kind.strip_prefix("task-").unwrap_or(&kind).to_owned();
        let role = match kind.as_str() {
            "failed" => Role::Fail,
            "retried" => Role::Retry,
            "started" => Role::Running,
            _ => Role::Muted,
        };
        let host = text(event, "hostname").unwrap_or_default();
        let host = if kind == "sent" { format!("by {host}") } else { host };
        let exception = text(event, "exception").map(|text| cx.model.redactor().text(&text).into_owned());
        let note = [Some(host), exception].into_iter().flatten().collect::<Vec<_>>().join("  ");
        Some((at, kind, role, note))
    };
    lines(events.iter().filter_map(event).collect(), cx)
}

/// Events in the order of time, each with the time since the one before.
fn lines(mut events: Vec<(Stamp, String, Role, String)>, cx: &Cx<'_>) -> Vec<Item> {
    events.sort_by_key(|(at, ..)| *at);
    let mut before: Option<Stamp> = None;
    events
        .into_iter()
        .map(|(at, word, role, note)| {
            let since =
                before.replace(at).map_or(String::new(), |b| format!("+{}", human::seconds(at.since(b).as_secs_f64())));
            Item::line(
                1,
                vec![
                    (clean(&human::clock_millis(at, cx.shown_zone())), Role::Text),
                    (crate::clean!("  {since:>9}  "), Role::Faint),
                    (crate::clean!("{word:<10} "), role),
                    (clean(&note), Role::Muted),
                ],
            )
        })
        .collect()
}

fn past(state: State) -> &'static str {
    match state {
        State::Pending => "sent",
        State::Received => "received",
        State::Started => "started",
        State::Success => "succeeded",
        State::Failure => "failed",
        State::Retry => "retried",
        State::Revoked => "revoked",
        State::Rejected => "rejected",
        State::Custom => "custom",
    }
}
