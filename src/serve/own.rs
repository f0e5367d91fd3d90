//! Our own additions: the filter language, failures, where a task is, queues.

use std::sync::Arc;

use serde_json::json;

use super::Site;
use super::answer::{Answer, Said, bad};
use super::call::Call;
use super::tasks::aside;
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::human;
use crate::state::Sort;
use crate::state::doc::{QueueDoc, TaskDoc};
use crate::state::failure::Trend;

/// Tasks of a page where nothing is said, and at most.
const PAGE: i64 = 100;
const MOST: i64 = 10_000;

pub(super) async fn tasks(site: &Arc<Site>, call: &Call) -> Said {
    let text = call.text("filter").unwrap_or_default();
    let filter = crate::filter::parse(text).map_err(|e| bad(format!("filter, character {}: {e}", e.at + 1)))?;
    let size = |n: i64| usize::try_from(n.clamp(0, MOST)).unwrap_or(0);
    let limit = size(call.int("limit")?.unwrap_or(PAGE));
    let offset = usize::try_from(call.int("offset")?.unwrap_or(0)).unwrap_or(0);
    let store = site.ops.store.clone();
    aside(move || {
        let ids = store.select_ids(&filter, Sort::default());
        let page = ids.get(offset.min(ids.len())..).unwrap_or_default();
        let docs: Vec<TaskDoc> =
            store.read(|m| page.iter().filter_map(|id| m.task(id)).take(limit).map(TaskDoc::from).collect());
        let next = Some(offset + limit).filter(|next| *next < ids.len());
        Answer::json(&json!({"total": ids.len(), "offset": offset, "next": next, "tasks": docs}))
    })
    .await
}

pub(super) async fn failures(site: &Arc<Site>, _: &Call) -> Said {
    let now = site.ops.clock.now();
    let groups: Vec<_> = site.ops.store.read(|m| {
        let watching = m.watching_since().unwrap_or(now);
        let rows = m.failures().groups().into_iter().map(|group| {
            let trend = group.trend(now, watching).map(|trend| match trend {
                Trend::New => "new",
                Trend::Growing => "growing",
                Trend::Back => "back",
            });
            json!({
                "id": group.id.to_string(), "task": m.name(group.task), "exception": m.name(group.exception),
                "message": m.redactor().text(&group.message), "raised_at": group.raised_at, "count": group.count,
                "open": group.open, "first": group.first.secs(), "last": group.last.secs(), "trend": trend,
                "example": group.example,
            })
        });
        rows.collect()
    });
    Ok(Answer::json(&json!({"failures": groups})))
}

pub(super) async fn locate(site: &Arc<Site>, call: &Call) -> Said {
    let id = TaskId::new(&call.rest);
    let report = site.locator.locate(&id, &|_| true).await;
    let time = |at: Stamp| human::zoned(at, &jiff::tz::TimeZone::UTC);
    let verdict = report.verdict();
    let lines = report.evidence.lines(&time);
    let (found, unasked): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.found.is_some());
    let texts = |lines: Vec<crate::ops::locate::evidence::Line>| lines.into_iter().map(|l| l.text).collect::<Vec<_>>();
    Ok(Answer::json(&json!({
        "id": id, "name": report.evidence.name(), "verdict": verdict.word(),
        "sentence": verdict.sentence(report.evidence.now, &time), "why": verdict.why(),
        "evidence": texts(found), "not_asked": texts(unasked),
    })))
}

pub(super) async fn queues(site: &Arc<Site>, _: &Call) -> Said {
    let now = site.ops.clock.now();
    let away = site.broker_away();
    let docs: Vec<QueueDoc> = site
        .ops
        .store
        .read(|m| m.queues().into_iter().map(|(name, queue)| QueueDoc::new(name, queue, m, now)).collect());
    Ok(Answer::json(&json!({"queues": docs, "broker": away.map_or("connected".to_owned(), |why| why)})))
}
