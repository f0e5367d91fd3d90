//! `task ID`: where it is, what that is drawn from, and what is known of it.

use serde_json::{Value, json};

use super::args::TaskArgs;
use super::env::Env;
use super::exit::Exit;
use super::gather::{self, Gathered};
use super::{out, tasks};
use crate::celery::TaskId;
use crate::celery::result::Stored;
use crate::clock::Stamp;
use crate::history::links::Link;
use crate::human;
use crate::ops::locate::{Locator, Report};
use crate::redact::Redactor;
use crate::results::ResultUrl;
use crate::state::doc::TaskDoc;
use crate::state::{Model, State, Task, Update};
use crate::text::clean;

/// Everybody who can be asked where a task is.
pub fn locator(env: &Env, cluster: &Gathered) -> Locator {
    let found = env.url().and_then(|url| env.results(&url));
    let results = match found {
        Ok(Some(backend)) => Ok(backend),
        Ok(None) => Err(match &env.settings.result_backend.value {
            Some(ResultUrl::Nothing(why)) => (*why).to_owned(),
            _ => "there is no result backend that could be asked".into(),
        }),
        Err(error) => Err(error.to_string()),
    };
    Locator {
        broker: cluster.broker.clone(),
        store: cluster.store.clone(),
        clock: env.clock.clone(),
        results,
        history: env.settings.history.value.clone(),
        read_only: env.settings.read_only.value,
    }
}

pub async fn run(env: &Env, args: TaskArgs) -> anyhow::Result<Exit> {
    let id = TaskId::new(args.id.trim());
    let cluster = gather::begin(env).await?;
    let recalled = tasks::recall(&cluster.store, env, std::slice::from_ref(&id))?.pop();
    let listen = if recalled.is_some() { 0.0 } else { tasks::LISTEN };
    cluster.listen(env, args.listen.unwrap_or(listen)).await;
    cluster.store.apply(&[Update::Linked(links(env, &id)?)]);
    let report = locator(env, &cluster).locate(&id, &|_| true).await;
    let task = cluster.store.read(|m| m.task(&id).map(|task| (TaskDoc::from(task), events(&task))));
    let held = report.evidence.workers.told().and_then(|workers| workers.held.as_ref());
    let known = report.verdict().word() != "no-trace";
    if args.json {
        let (task, events) = task.map_or((None, Vec::new()), |(task, events)| (Some(task), events));
        let mut document = match &task {
            Some(task) => serde_json::to_value(task)?,
            None => json!({"id": id}),
        };
        if let Some(held) = held {
            for (key, value) in [("worker", json!(held.worker)), ("name", json!(held.name))] {
                if document[key].is_null() {
                    document[key] = value;
                }
            }
            let place = format!("{:?}", held.hold).to_lowercase();
            document["held"] = json!({"worker": held.worker, "place": place, "request": held.request});
            env.redactor().json(&mut document["held"]);
        }
        if let Some(stored) = &report.stored {
            fill(&mut document, stored, &env.redactor());
        }
        if document["name"].is_null() {
            document["name"] = json!(report.evidence.name());
        }
        conclude(&mut document, &report);
        let (sent_as, in_place_of) = cluster.store.read(|m| linked(m, &id));
        (document["sent_as"], document["in_place_of"]) = (json!(sent_as), json!(in_place_of));
        document["events"] = json!(recalled.unwrap_or(events));
        out::json(&document)?;
    } else {
        let links = cluster.store.read(|m| linked(m, &id));
        print(&id, &report, task.map(|(task, _)| task), links, env)?;
    }
    Ok(if known { Exit::Done } else { Exit::NotSo })
}

/// The verdict in one word and in a sentence, and what it is drawn from.
fn conclude(document: &mut Value, report: &Report) {
    let time = |at: Stamp| human::zoned(at, &jiff::tz::TimeZone::UTC);
    let verdict = report.verdict();
    let (lines, unasked): (Vec<_>, Vec<_>) =
        report.evidence.lines(&time).into_iter().partition(|line| line.found.is_some());
    let texts = |lines: Vec<crate::ops::locate::evidence::Line>| {
        lines.into_iter().map(|line| line.text).collect::<Vec<String>>()
    };
    document["verdict"] = json!(verdict.word());
    document["sentence"] = json!(verdict.sentence(report.evidence.now, &time));
    document["why"] = json!(verdict.why());
    document["evidence"] = json!(texts(lines));
    document["not_asked"] = json!(texts(unasked));
}

/// What is written down of a task that was sent again.
fn links(env: &Env, id: &TaskId) -> anyhow::Result<Vec<Link>> {
    match env.reader()? {
        Some(reader) => Ok(reader.links(id)?),
        None if env.settings.audit.value => match env.audit() {
            Ok(audit) => Ok(audit.links_of(id)?),
            // Where no log can be kept, nothing is known.
            Err(_) => Ok(Vec::new()),
        },
        None => Ok(Vec::new()),
    }
}

/// As which task it was sent again, and in place of which it was sent.
fn linked(model: &Model, id: &TaskId) -> (Option<TaskId>, Option<TaskId>) {
    (model.sent_again_as(id).cloned(), model.sent_in_place_of(id).cloned())
}

fn print(
    id: &TaskId,
    report: &Report,
    task: Option<TaskDoc>,
    (sent_as, in_place_of): (Option<TaskId>, Option<TaskId>),
    env: &Env,
) -> anyhow::Result<()> {
    let zone = jiff::tz::TimeZone::system();
    let now = report.evidence.now;
    let time = |at: Stamp| match now.since(at).max(at.since(now)).as_secs() {
        0..86_400 => human::clock(at, &zone),
        _ => human::date(at, &zone),
    };
    let verdict = report.verdict();
    out::line(clean(&format!("{id}  {}", report.evidence.name().unwrap_or("(name not known)"))).as_str())?;
    let mut rows = vec![vec!["verdict".to_owned(), verdict.sentence(now, &time)]];
    rows.extend(verdict.why().map(|why| vec!["why".to_owned(), why]));
    for (i, line) in report.evidence.lines(&time).into_iter().enumerate() {
        let sign = match line.found {
            Some(true) => "✔",
            Some(false) => "✘",
            None => "–",
        };
        let label = if i == 0 { "seen" } else { "" };
        rows.push(vec![label.to_owned(), format!("{sign} {}", line.text)]);
    }
    if let Some(Stored::Result(result)) = &report.stored {
        let redactor = env.redactor();
        let unread = || result.unread.as_ref().map(ToString::to_string);
        let value = result.value(&redactor).or_else(|| result.exception(&redactor)).or_else(unread);
        let more = [("result", value), ("done", result.date_done.clone())];
        rows.extend(more.into_iter().filter_map(|(k, v)| Some(vec![k.to_owned(), v?])));
    } else if let Some(task) = task {
        let fields = [
            ("worker", task.worker),
            ("queue", task.queue),
            ("args", task.args),
            ("kwargs", task.kwargs),
            ("result", task.result),
            ("exception", task.exception),
            ("lost", task.lost),
        ];
        rows.extend(fields.into_iter().filter_map(|(k, v)| Some(vec![k.to_owned(), v?])));
    }
    let links =
        [("sent again", sent_as.map(|id| format!("as {id}"))), ("in place of", in_place_of.map(|id| id.to_string()))];
    rows.extend(links.into_iter().filter_map(|(k, v)| Some(vec![k.to_owned(), v?])));
    out::table(&["", ""], &rows)?;
    Ok(())
}

/// Puts what the result backend has into the places of a task's document that events left empty.
pub fn fill(document: &mut Value, stored: &Stored, redactor: &Redactor) {
    let Stored::Result(result) = stored else { return };
    let text = |text: &Option<String>| json!(text);
    let fields = [
        ("state", json!(result.status)),
        ("name", text(&result.name)),
        ("worker", text(&result.worker)),
        ("queue", text(&result.queue)),
        ("args", json!(result.args_text(redactor))),
        ("kwargs", json!(result.kwargs_text(redactor))),
        ("result", json!(result.value(redactor))),
        ("exception", json!(result.exception(redactor))),
        ("traceback", json!(result.traceback_text(redactor))),
        ("retries", json!(result.retries)),
        ("parent_id", text(&result.parent_id)),
    ];
    for (key, value) in fields {
        if document[key].is_null() {
            document[key] = value;
        }
    }
    document["group_id"] = text(&result.group_id);
    document["date_done"] = text(&result.date_done);
    if let Some(unread) = &result.unread {
        document["result_unread"] = json!({"bytes": unread.size, "why": unread.why});
    }
}

/// The events that left a stamp, in order of time.
fn events(task: &Task<'_>) -> Vec<Value> {
    let mut events =
        vec![("task-sent", task.sent()), ("task-received", task.received()), ("task-started", task.started())];
    for (name, state) in [
        ("task-succeeded", State::Success),
        ("task-failed", State::Failure),
        ("task-retried", State::Retry),
        ("task-revoked", State::Revoked),
        ("task-rejected", State::Rejected),
    ] {
        events.push((name, task.outcome(state)));
    }
    let mut events: Vec<_> = events.into_iter().filter_map(|(name, at)| Some((at?, name))).collect();
    events.sort();
    events.into_iter().map(|(at, name)| json!({"type": name, "timestamp": at.secs()})).collect()
}
