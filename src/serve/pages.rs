//! The plain pages: what one links to, rendered here and readable without scripts.

use std::sync::Arc;

use serde_json::Value;

use super::Site;
use super::answer::{Answer, Said};
use super::call::Call;
use super::html::{escape, link, page, shown, shown_lines, table};
use super::inspections::is_worker;
use crate::celery::TaskId;
use crate::human;
use crate::state::Sort;
use crate::state::doc::{QueueDoc, TaskDoc};

/// Tasks of a list.
const LISTED: usize = 100;

/// The page of all workers; `rows` are those of Flower's table.
pub(super) fn workers(site: &Site, rows: &[Value]) -> Answer {
    let text = |row: &Value, key: &str| match &row[key] {
        Value::String(text) => shown(text),
        Value::Null => "-".to_owned(),
        other => shown(&other.to_string()),
    };
    let rows = rows.iter().map(|row| {
        let status = if row["status"] == true { "online" } else { "offline" };
        vec![
            link(&site.prefix, "/worker/", row["hostname"].as_str().unwrap_or_default()),
            status.to_owned(),
            text(row, "active"),
            text(row, "processed"),
            text(row, "task-failed"),
            text(row, "task-succeeded"),
            text(row, "task-retried"),
            text(row, "loadavg"),
        ]
    });
    let head = ["worker", "status", "active", "processed", "failed", "succeeded", "retried", "load average"];
    page(200, &site.prefix, "Workers", &table(&head, rows))
}

pub(super) async fn worker(site: &Arc<Site>, call: &Call) -> Said {
    let name = call.rest.as_str();
    if !is_worker(site, name) {
        let text = format!("<p>Unknown worker '{}'</p>", shown(name));
        return Err(Box::new(page(404, &site.prefix, "Flower", &text)));
    }
    let redactor = site.ops.store.redactor();
    let said = site.inspections.of(name).unwrap_or_default();
    let parts = said.into_iter().map(|(method, mut value)| {
        redactor.json(&mut value);
        let text = serde_json::to_string_pretty(&value).unwrap_or_default();
        format!("<h2>{}</h2>\n<pre>{}</pre>\n", escape(&method), shown_lines(&text))
    });
    let main: String = parts.collect();
    Ok(page(200, &site.prefix, name, &main))
}

pub(super) async fn tasks(site: &Arc<Site>, _: &Call) -> Said {
    let filter = crate::filter::Filter::default();
    let docs: Vec<TaskDoc> =
        site.ops.store.read(|m| m.select(&filter, Sort::default(), LISTED).into_iter().map(TaskDoc::from).collect());
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), shown);
    let rows = docs.iter().map(|doc| {
        vec![
            link(&site.prefix, "/task/", &doc.id),
            text(&doc.name),
            shown(&doc.state),
            text(&doc.worker),
            doc.runtime.map_or_else(|| "-".to_owned(), human::seconds),
            text(&doc.args),
            text(&doc.kwargs),
        ]
    });
    let head = ["task", "name", "state", "worker", "runtime", "args", "kwargs"];
    let main = format!("<p>The latest {LISTED} that are in memory.</p>{}", table(&head, rows));
    Ok(page(200, &site.prefix, "Tasks", &main))
}

pub(super) async fn task(site: &Arc<Site>, call: &Call) -> Said {
    let doc = site.ops.store.read(|m| m.task(&TaskId::new(&call.rest)).map(TaskDoc::from));
    let Some(doc) = doc else {
        let text = format!("<p>Unknown task '{}'</p>", shown(&call.rest));
        return Err(Box::new(page(404, &site.prefix, "Flower", &text)));
    };
    let zone = jiff::tz::TimeZone::system();
    let whole = serde_json::to_value(&doc).unwrap_or_default();
    let times = [
        "sent",
        "received",
        "started",
        "finished",
        "succeeded",
        "failed",
        "retried",
        "revoked",
        "rejected",
        "timestamp",
    ];
    let rows = whole.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let at = value.as_f64().filter(|_| times.contains(&key.as_str())).and_then(crate::clock::Stamp::from_secs);
        let cell = match (at, value) {
            (Some(at), _) => shown(&human::zoned(at, &zone)),
            (None, Value::String(id)) if ["root_id", "parent_id"].contains(&key.as_str()) => {
                link(&site.prefix, "/task/", id)
            }
            (None, Value::String(name)) if key == "worker" => link(&site.prefix, "/worker/", name),
            (None, Value::String(text)) => shown_lines(text),
            (None, other) => shown(&other.to_string()),
        };
        vec![escape(key).into_owned(), cell]
    });
    let title = doc.name.clone().unwrap_or_else(|| doc.id.clone());
    Ok(page(200, &site.prefix, &title, &table(&[], rows)))
}

pub(super) async fn failures(site: &Arc<Site>, _: &Call) -> Said {
    let rows: Vec<Vec<String>> = site.ops.store.read(|m| {
        let text = |name: Option<&str>| shown(name.unwrap_or("-"));
        let row = |group: &crate::state::failure::Group| {
            vec![
                group.count.to_string(),
                group.open.to_string(),
                text(m.name(group.task)),
                text(m.name(group.exception)),
                shown(&m.redactor().text(&group.message)),
                shown(&group.raised_at),
                link(&site.prefix, "/task/", &group.example.to_string()),
            ]
        };
        m.failures().groups().into_iter().map(row).collect()
    });
    let head = ["count", "open", "task", "exception", "message", "raised at", "example"];
    Ok(page(200, &site.prefix, "Failures", &table(&head, rows)))
}

pub(super) async fn broker(site: &Arc<Site>, _: &Call) -> Said {
    let now = site.ops.clock.now();
    let docs: Vec<QueueDoc> = site
        .ops
        .store
        .read(|m| m.queues().into_iter().map(|(name, queue)| QueueDoc::new(name, queue, m, now)).collect());
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), human::thousands);
    let rows = docs.iter().map(|doc| {
        vec![
            shown(&doc.name),
            human::thousands(doc.ready),
            number(doc.unacked),
            number(doc.consumers),
            doc.oldest.map_or_else(|| "-".to_owned(), human::seconds),
        ]
    });
    let main = table(&["queue", "ready", "unacked", "consumers", "oldest"], rows);
    let state = site.broker_away().map_or_else(String::new, |why| format!("<p>Not connected: {}</p>", shown(&why)));
    Ok(page(200, &site.prefix, "Broker", &format!("<p>{}</p>{state}{main}", shown(&site.ops.broker.url()))))
}
