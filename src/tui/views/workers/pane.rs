//! The inner tabs of a worker: what each is asked for, and its answer as rows. The pane below the table and the full
//! screen show the same.

use std::collections::HashMap;

use serde_json::Value;

use crate::celery::TaskId;
use crate::celery::pidbox::Method;
use crate::human;
use crate::redact::Redactor;
use crate::state::Task;
use crate::state::stats::Percentiles;
use crate::state::worker::{Held, KEPT, Registered, Worker};
use crate::text::{Clean, clean, cut_middle};
use crate::tui::theme::{self, Role};
use crate::tui::view::Cx;
use crate::tui::views::task::Line;
use crate::tui::widgets::spark;

/// An inner tab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inner {
    #[default]
    Pool,
    Queues,
    Active,
    Reserved,
    Scheduled,
    Revoked,
    Registered,
    Limits,
    Config,
    Stats,
}

impl Inner {
    /// All of them, in their order.
    pub const ALL: [(Inner, &'static str); 10] = [
        (Inner::Pool, "Pool"),
        (Inner::Queues, "Queues"),
        (Inner::Active, "Active"),
        (Inner::Reserved, "Reserved"),
        (Inner::Scheduled, "Scheduled"),
        (Inner::Revoked, "Revoked"),
        (Inner::Registered, "Registered"),
        (Inner::Limits, "Limits"),
        (Inner::Config, "Config"),
        (Inner::Stats, "Stats"),
    ];

    /// The one so many further on.
    pub fn step(self, n: usize) -> Self {
        Self::at(self.place() + n)
    }

    /// Its place among all.
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|(inner, _)| *inner == self).unwrap_or(0)
    }

    /// The one at a place; behind the last comes the first.
    pub fn at(place: usize) -> Self {
        Self::ALL.get(place % Self::ALL.len()).map_or(Inner::Pool, |(inner, _)| *inner)
    }

    /// What a worker is asked for it.
    pub fn method(self) -> Method {
        match self {
            Inner::Pool | Inner::Stats => Method::Stats,
            Inner::Queues => Method::ActiveQueues,
            Inner::Active => Method::Active,
            Inner::Reserved => Method::Reserved,
            Inner::Scheduled => Method::Scheduled,
            Inner::Revoked => Method::Revoked,
            Inner::Registered | Inner::Limits => Method::Registered,
            Inner::Config => Method::Conf,
        }
    }

    /// What has to be asked of the one worker looked at; the rest is asked of all.
    pub fn asks(self) -> Option<Method> {
        let of_all = matches!(self, Inner::Pool | Inner::Stats | Inner::Queues | Inner::Active | Inner::Reserved);
        (!of_all).then(|| self.method())
    }

    /// Its rows are tasks that can be acted on.
    pub fn has_tasks(self) -> bool {
        matches!(self, Inner::Active | Inner::Reserved | Inner::Scheduled)
    }
}

/// What a row stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Task(TaskId),
    /// A queue, a registered task, or a setting.
    Name(String),
    /// A place in a list of things without names.
    Place(usize),
}

/// An inner tab ready to be painted.
#[derive(Default)]
pub struct Content {
    /// When it was asked, or that it gave no answer.
    pub age: Line,
    /// What stands above the rows.
    pub head: Vec<Line>,
    pub rows: Vec<(Key, Line)>,
}

/// What a worker said to the question of an inner tab.
pub fn content(inner: Inner, worker: &Worker, cx: &Cx<'_>, width: usize) -> Content {
    let found = &worker.inspected;
    let mut content = Content { age: age(inner, worker, cx), ..Content::default() };
    match inner {
        Inner::Pool => pool(worker, cx, width, &mut content),
        Inner::Queues => queues(found.queues.as_deref(), cx, width, &mut content),
        Inner::Active => held(inner, found.active.as_deref(), cx, width, &mut content),
        Inner::Reserved => held(inner, found.reserved.as_deref(), cx, width, &mut content),
        Inner::Scheduled => held(inner, found.scheduled.as_deref(), cx, width, &mut content),
        Inner::Revoked => revoked(found.revoked.as_deref(), cx, &mut content),
        Inner::Registered => registered(found.registered.as_deref(), cx, width, &mut content),
        Inner::Limits => limits(worker, width, &mut content),
        Inner::Config => settings(found.conf.clone(), cx.model.redactor(), &mut content),
        Inner::Stats => {
            let document = found.document.as_ref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            settings(document, cx.model.redactor(), &mut content);
        }
    }
    let known = found.answered(inner.method().name()).is_some();
    if content.rows.is_empty() {
        content.head.push(vec![(Clean::own(if known { empty(inner) } else { "Not asked yet." }), Role::Faint)]);
    }
    let total = found.total(inner.method().name()).unwrap_or(0);
    if total > KEPT && !content.rows.is_empty() {
        let text = crate::clean!(
            "{} in all; the first {} are kept",
            human::thousands(total as u64),
            human::thousands(KEPT as u64)
        );
        content.head.insert(0, vec![(text, Role::Muted)]);
    }
    content
}

fn empty(inner: Inner) -> &'static str {
    match inner {
        Inner::Pool => "It lists no process.",
        Inner::Queues => "It consumes no queue: it takes nothing new.",
        Inner::Active => "It runs nothing.",
        Inner::Reserved => "It holds nothing back.",
        Inner::Scheduled => "Nothing waits here for its time.",
        Inner::Revoked => "It remembers no revoked task.",
        Inner::Registered | Inner::Limits => "It registered no task.",
        Inner::Config | Inner::Stats => "The answer was empty, or too long to be kept.",
    }
}

/// `asked 5s ago`, as wide as `just now`, lest what stands beside it moves; or that no answer came.
fn age(inner: Inner, worker: &Worker, cx: &Cx<'_>) -> Line {
    let method = inner.method().name();
    let ago = |at| match cx.now.since(at).as_secs() / 5 * 5 {
        0 => "just now".to_owned(),
        secs => format!("{} ago", human::span(secs)),
    };
    let solo = worker.inspected.stats.as_ref().is_some_and(|s| s.pool.kind == "solo");
    let why = if solo { ": a solo pool answers between its tasks" } else { "" };
    match (worker.inspected.silent(method), worker.inspected.answered(method)) {
        (Some(_), None) => vec![(crate::clean!("gave no answer{why}"), Role::Warn)],
        (Some(_), Some(at)) => vec![(crate::clean!("no answer since {}{why}", ago(at)), Role::Warn)],
        (None, Some(at)) => vec![(crate::clean!("asked {:>8}", ago(at)), Role::Faint)],
        (None, None) => Vec::new(),
    }
}

/// What is known of a worker's pool, process and host.
fn facts(worker: &Worker, width: usize) -> Vec<Line> {
    let mut facts: Vec<String> = Vec::new();
    facts.extend(worker.pid.map(|pid| format!("pid {pid}")));
    let stats = worker.inspected.stats.as_ref();
    if let Some(stats) = stats {
        let size = stats.pool.size().map_or(String::new(), |n| format!(" ×{n}"));
        let scale = stats.pool.autoscale.map_or("off".into(), |(max, min)| format!("{max},{min}"));
        facts.push(format!("{}{size} (autoscale {scale})", stats.pool.kind));
        facts.extend(stats.prefetch.map(|n| format!("prefetch {n}")));
        facts.extend(stats.uptime.map(|s| format!("up {}", human::span(s))));
        facts.extend(stats.cpu_share.map(|share| format!("CPU main {:.0}%", share * 100.0)));
        facts.extend(stats.peak_main.map(|n| format!("PEAK main {}", human::bytes(n))));
    }
    facts.extend(worker.loadavg.map(|l| format!("load {}", l.map(|v| format!("{v:.1}")).join(" "))));
    let missed = worker.missed().filter(|n| *n > 0);
    facts.extend(missed.map(|n| format!("~{} unseen: events missed", human::plural(n, "task"))));
    facts.extend((worker.lost > 0).then(|| format!("{} lost", human::thousands(u64::from(worker.lost)))));
    facts.push(format!("clock {}", human::thousands(worker.clock.max(0) as u64)));
    facts.extend(stats.map(|s| format!("broker {}", s.broker)));
    facts.extend(worker.sw_ver.as_ref().map(|v| format!("celery {v}")));
    let lines = crate::text::pack(facts.iter().map(String::as_str), width);
    let mut lines: Vec<Line> = lines.iter().map(|line| vec![(clean(line), Role::Muted)]).collect();
    let main = "main: the main process; its pool children can't be measured over the broker";
    lines.push(vec![(Clean::own(main), Role::Faint)]);
    lines
}

/// Percentiles by task name, each counted once.
type Usual<'a> = HashMap<&'a str, Percentiles>;

fn usual<'a>(name: &'a str, cx: &Cx<'_>, known: &mut Usual<'a>) -> Percentiles {
    *known
        .entry(name)
        .or_insert_with(|| cx.model.name_stats(name).map(|s| s.runtimes.recent.percentiles()).unwrap_or_default())
}

fn name_width(width: usize) -> usize {
    (width / 3).clamp(16, 48)
}

fn cut(name: &str, width: usize) -> Clean {
    crate::clean!("{:<width$}", cut_middle(clean(name).as_str(), width))
}

/// How long a task runs, and how much of its usual time that is.
fn runs<'a>(held: &'a Held, cx: &Cx<'_>, known: &mut Usual<'a>) -> Line {
    let Some(started) = held.started else { return vec![(Clean::own("               "), Role::Faint)] };
    // The list is seconds old: what has ended since ran until then, and quietly.
    let ended = cx.model.task(&held.id).filter(|task| task.state().is_ready()).and_then(|task| task.finished());
    let ran = ended.unwrap_or(cx.now).since(started).as_secs_f64();
    let p = usual(&held.name, cx, known);
    let share = if p.samples > 0 { ran / f64::from(p.p95).max(0.001) } else { 0.0 };
    let (on, off) = spark::gauge(share, 8);
    let late = p.samples > 0 && ran > f64::from(p.p99);
    let role = match (ended, late) {
        (Some(_), _) => Role::Faint,
        (None, true) => Role::Warn,
        (None, false) => Role::Running,
    };
    let time = (crate::clean!("{:>8} ", human::span(ran as u64)), role);
    if p.samples == 0 {
        return vec![time, (Clean::own("         "), Role::Faint)];
    }
    vec![time, (on, role), (off, Role::Faint), (Clean::own(" "), Role::Faint)]
}

fn pool(worker: &Worker, cx: &Cx<'_>, width: usize, content: &mut Content) {
    content.head.extend(facts(worker, width));
    let active = worker.inspected.active.as_deref().unwrap_or_default();
    let processes = worker.inspected.stats.as_ref().map(|s| (s.pool.kind.as_str(), &s.pool.processes[..]));
    let mut known = Usual::new();
    let mut rows: Vec<(Option<&Held>, String)> = Vec::new();
    match processes {
        Some(("prefork", processes)) => {
            let of = |pid: i64| active.iter().find(|held| held.pid == Some(pid));
            rows.extend(processes.iter().map(|pid| (of(*pid), pid.to_string())));
            let strange = active.iter().filter(|h| h.pid.is_none_or(|pid| !processes.contains(&pid)));
            rows.extend(strange.map(|held| (Some(held), String::new())));
        }
        _ => {
            rows.extend(active.iter().map(|held| (Some(held), String::new())));
            let free = worker.pool_size().map_or(0, |size| size.saturating_sub(active.len() as u64));
            rows.extend((0..free.min(KEPT as u64)).map(|_| (None, String::new())));
        }
    }
    for (i, (held, pid)) in rows.into_iter().enumerate() {
        // The list of what runs is seconds old, and events are newer.
        let ended = held.and_then(|held| cx.model.task(&held.id)).filter(|task| task.state().is_ready());
        content.rows.push(match (held, ended) {
            (Some(held), Some(task)) => (Key::Task(held.id.clone()), over(held, &task, cx, width)),
            (Some(held), None) => (Key::Task(held.id.clone()), busy(held, cx, width, &mut known)),
            (None, _) => (Key::Place(i), idle(&pid)),
        });
    }
}

/// A process and what it runs.
fn busy<'a>(held: &'a Held, cx: &Cx<'_>, width: usize, known: &mut Usual<'a>) -> Line {
    let since = held.started.map_or(String::new(), |at| human::clock(at, cx.shown_zone()));
    let mut line = vec![
        (crate::clean!("{:<8}", held.pid.map_or(String::new(), |p| p.to_string())), Role::Muted),
        (Clean::own("●━ "), Role::Running),
        (crate::clean!("{}  ", cut(&held.name, name_width(width))), Role::Text),
        (crate::clean!("{since:<8} "), Role::Faint),
    ];
    line.extend(runs(held, cx, known));
    line.push((crate::clean!(" {}", held.args(cx.model.redactor())), Role::Muted));
    line
}

/// A process whose task has ended since its worker was asked: what it does now was not told yet.
fn over(held: &Held, task: &Task<'_>, cx: &Cx<'_>, width: usize) -> Line {
    let at = task.finished().map_or(String::new(), |at| human::clock(at, cx.shown_zone()));
    let ran = task.runtime().map_or(String::new(), |secs| format!("after {}", human::seconds(secs)));
    vec![
        (crate::clean!("{:<8}", held.pid.map_or(String::new(), |p| p.to_string())), Role::Muted),
        (crate::clean!("{}  ", theme::glyph(task.state())), theme::role(task.state())),
        (crate::clean!("{}  ", cut(&held.name, name_width(width))), Role::Faint),
        (crate::clean!("ended {at} {ran}"), Role::Faint),
    ]
}

fn idle(pid: &str) -> Line {
    vec![(crate::clean!("{pid:<8}"), Role::Muted), (Clean::own("○  idle"), Role::Faint)]
}

fn queues(queues: Option<&[String]>, cx: &Cx<'_>, width: usize, content: &mut Content) {
    let wide = name_width(width);
    let header = crate::clean!("{:<wide$}  {:>8}  {:>9}", "QUEUE", "READY", "CONSUMERS");
    content.head.push(vec![(header, Role::Heading)]);
    content.rows = queues
        .unwrap_or_default()
        .iter()
        .map(|name| {
            let ready = cx.model.queue(name).map_or("-".into(), |q| human::count(q.depth.ready));
            let consumers = cx.model.consumers(name, cx.now).map_or("-".into(), |n| n.to_string());
            let line = vec![
                (cut(name, wide), Role::Text),
                (crate::clean!("  {ready:>8}"), Role::Text),
                (crate::clean!("  {consumers:>9}"), Role::Muted),
            ];
            (Key::Name(name.clone()), line)
        })
        .collect();
}

/// Tasks a worker runs or holds.
fn held(inner: Inner, list: Option<&[Held]>, cx: &Cx<'_>, width: usize, content: &mut Content) {
    let wide = name_width(width);
    let when = match inner {
        Inner::Active => crate::clean!("{:>8}  {:<8}", "RUNS", "OF P95"),
        Inner::Scheduled => crate::clean!("{:<19}", "STARTS AT"),
        _ => crate::clean!("{:<12}", "QUEUE"),
    };
    content.head.push(vec![(crate::clean!("  {:<8}  {:<wide$}  {when}  ARGS", "ID", "TASK"), Role::Heading)]);
    let mut known = Usual::new();
    for task in list.unwrap_or_default() {
        // The list is seconds old: what has ended since then is said so by its glyph.
        let (glyph, role) = cx.model.task(&task.id).map_or(("●", Role::Muted), |task| theme::sign(&task));
        let mut line = vec![
            (clean(glyph), role),
            (crate::clean!(" {:<8}  ", task.id.short()), Role::Muted),
            (crate::clean!("{}  ", cut(&task.name, wide)), Role::Text),
        ];
        match inner {
            Inner::Active => line.extend(runs(task, cx, &mut known)),
            Inner::Scheduled => {
                let eta: String = task.eta.as_deref().unwrap_or("-").chars().take(19).collect();
                line.push((crate::clean!("{eta:<19} "), Role::Waiting));
            }
            _ => line.push((cut(task.queue.as_deref().unwrap_or("-"), 12), Role::Muted)),
        }
        line.push((crate::clean!(" {}", task.args(cx.model.redactor())), Role::Muted));
        content.rows.push((Key::Task(task.id.clone()), line));
    }
}

fn revoked(ids: Option<&[String]>, cx: &Cx<'_>, content: &mut Content) {
    for id in ids.unwrap_or_default() {
        let id = TaskId::new(id);
        let line = match cx.model.task(&id) {
            Some(task) => vec![
                (clean(theme::sign(&task).0), theme::sign(&task).1),
                (crate::clean!(" {id}  "), Role::Text),
                (clean(task.name().unwrap_or("")), Role::Muted),
            ],
            None => vec![(crate::clean!("⊘ {id}"), Role::Text)],
        };
        content.rows.push((Key::Task(id), line));
    }
}

fn registered(tasks: Option<&[Registered]>, cx: &Cx<'_>, width: usize, content: &mut Content) {
    let wide = name_width(width);
    let header =
        crate::clean!("{:<wide$}  {:>8}  {:>9}  {:>6}  {:<10}", "TASK", "RATE/s", "DONE", "FAIL", "RATE LIMIT");
    content.head.push(vec![(header, Role::Heading), (Clean::own("   rates are the whole cluster's"), Role::Faint)]);
    for task in tasks.unwrap_or_default() {
        let stats = cx.model.name_stats(&task.name);
        let ended = stats.map_or(0, |s| u64::from(s.total.succeeded) + u64::from(s.total.failed));
        let rate = stats.map_or(Some(0.0), |s| s.rate(60, cx.model, cx.now));
        let share = stats.filter(|_| ended > 0).map(|s| f64::from(s.total.failed) / ended as f64);
        let fail = share.map_or("-".into(), |share| format!("{:.1}%", share * 100.0));
        let line = vec![
            (cut(&task.name, wide), Role::Text),
            (crate::clean!("  {:>8}", rate.map_or("-".into(), human::rate)), Role::Text),
            (crate::clean!("  {:>9}", human::thousands(ended)), Role::Muted),
            (crate::clean!("  {fail:>6}"), if share > Some(0.05) { Role::Fail } else { Role::Muted }),
            (crate::clean!("  {}", task.rate_limit.as_deref().unwrap_or("-")), Role::Muted),
        ];
        content.rows.push((Key::Name(task.name.clone()), line));
    }
}

fn limits(worker: &Worker, width: usize, content: &mut Content) {
    let wide = name_width(width);
    let time = |secs: Option<f64>| secs.filter(|s| *s > 0.0).map_or("-".to_owned(), human::seconds);
    if let Some(stats) = &worker.inspected.stats {
        let (soft, hard) = stats.pool.timeouts;
        let text =
            crate::clean!("where a task has none of its own: soft {}  hard {}", time(Some(soft)), time(Some(hard)));
        content.head.push(vec![(text, Role::Muted)]);
    }
    let header = crate::clean!("{:<wide$}  {:<10}  {:>8}  {:>8}", "TASK", "RATE LIMIT", "SOFT", "HARD");
    content.head.push(vec![(header, Role::Heading)]);
    let free = |t: &Registered| t.rate_limit.is_none() && t.soft_limit.is_none() && t.hard_limit.is_none();
    let mut tasks: Vec<&Registered> = worker.inspected.registered.iter().flatten().collect();
    tasks.sort_by_key(|t| free(t));
    content.rows = tasks
        .into_iter()
        .map(|task| {
            let role = if free(task) { Role::Faint } else { Role::Text };
            let line = vec![
                (cut(&task.name, wide), role),
                (crate::clean!("  {:<10}", task.rate_limit.as_deref().unwrap_or("-")), role),
                (crate::clean!("  {:>8}", time(task.soft_limit)), role),
                (crate::clean!("  {:>8}", time(task.hard_limit)), role),
            ];
            (Key::Name(task.name.clone()), line)
        })
        .collect();
}

/// A document as one line for each value, by name, without secrets.
fn settings(document: Option<Value>, redactor: &Redactor, content: &mut Content) {
    let mut lines: Vec<(String, String)> = Vec::new();
    if let Some(mut document) = document {
        redactor.json(&mut document);
        flatten("", &document, &mut lines);
    }
    lines.sort();
    let wide = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0).min(44);
    content.rows = lines
        .into_iter()
        .map(|(key, value)| {
            let line = vec![(crate::clean!("{key:<wide$}  "), Role::Muted), (clean(&value), Role::Text)];
            (Key::Name(key), line)
        })
        .collect();
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                flatten(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, lines);
            }
        }
        Value::String(text) => lines.push((path.to_owned(), text.clone())),
        Value::Null => lines.push((path.to_owned(), "-".into())),
        other => lines.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_sorted_lines() {
        let mut content = Content::default();
        let document = serde_json::json!({"b": {"y": [1, 2], "x": null}, "a": "text"});
        settings(Some(document), &Redactor::default(), &mut content);
        let keys: Vec<&Key> = content.rows.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [&Key::Name("a".into()), &Key::Name("b.x".into()), &Key::Name("b.y".into())]);
        let text: String = content.rows[2].1.iter().map(|(t, _)| t.as_str()).collect();
        assert_eq!(text, "b.y  [1,2]");
    }

    #[test]
    fn tabs_follow_each_other_in_a_ring() {
        assert_eq!(Inner::Stats.step(1), Inner::Pool);
        assert_eq!(Inner::Pool.step(Inner::ALL.len() - 1), Inner::Stats);
    }
}
