//! What the result backend keeps of a task, and waiting for it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Site;
use super::answer::{Answer, Said, away};
use super::call::Call;
use crate::celery::TaskId;
use crate::celery::json::to_python;
use crate::celery::result::{Stored, TaskResult};
use crate::results::Backend;

/// How long the backend has to answer.
const ANSWER: Duration = Duration::from_millis(900);
/// How often it is asked while a result is waited for.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest anybody waits.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// The result backend; without one nothing can be said of results.
pub(super) fn backend(site: &Site) -> Result<Arc<dyn Backend>, Box<Answer>> {
    site.ops.results.clone().ok_or_else(|| Box::new(Answer::text(503, "No result backend is configured")))
}

async fn look(backend: &Arc<dyn Backend>, id: &TaskId) -> Result<Option<Stored>, Box<Answer>> {
    match tokio::time::timeout(ANSWER, backend.get(std::slice::from_ref(id))).await {
        Err(_) => Err(away(&format!("{} gives no answer", backend.url()))),
        Ok(Err(error)) => Err(away(&error.to_string())),
        Ok(Ok(found)) => Ok(found.into_iter().next().map(|(_, stored)| stored)),
    }
}

/// Looks until the task has ended or the time is up.
pub(super) async fn wait(
    site: &Site,
    backend: &Arc<dyn Backend>,
    id: &TaskId,
    limit: Duration,
) -> Result<Option<Stored>, Box<Answer>> {
    let end = tokio::time::Instant::now() + limit.min(LONGEST);
    loop {
        let found = look(backend, id).await?;
        let ready = found.as_ref().is_some_and(|stored| stored.result().is_none_or(TaskResult::is_ready));
        if ready || tokio::time::Instant::now() >= end {
            return Ok(found);
        }
        tokio::select! {
            () = site.stop.cancelled() => return Err(away("we are being stopped")),
            () = tokio::time::sleep_until(end.min(tokio::time::Instant::now() + AGAIN)) => {}
        }
    }
}

pub(super) async fn result(site: &Arc<Site>, call: &Call) -> Said {
    let limit = call.float("timeout")?.map(|secs| Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(LONGEST));
    let backend = backend(site)?;
    let id = TaskId::new(&call.rest);
    let found = match limit {
        Some(limit) => wait(site, &backend, &id, limit).await?,
        None => look(&backend, &id).await?,
    };
    Ok(Answer::json(&document(site, &id, found.as_ref(), false)))
}

/// What is told of a result. `sent` is the order in which it is told of a task that was just sent.
pub(super) fn document(site: &Site, id: &TaskId, stored: Option<&Stored>, sent: bool) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("task-id".into(), json!(id));
    let state = |document: &mut Map<String, Value>, name: &str| document.insert("state".into(), json!(name));
    match stored {
        None => {
            state(&mut document, "PENDING");
        }
        Some(Stored::Opaque(opaque)) => {
            state(&mut document, "SUCCESS");
            document.insert("result".into(), json!(opaque.to_string()));
        }
        Some(Stored::Result(result)) => {
            if !sent {
                state(&mut document, &result.status);
            }
            tell(site, result, &mut document);
            if sent {
                state(&mut document, &result.status);
            }
        }
    }
    document
}

fn tell(site: &Site, result: &TaskResult, document: &mut Map<String, Value>) {
    let redactor = site.ops.store.redactor();
    match result.status.as_str() {
        "SUCCESS" => {
            let mut value = match &result.unread {
                Some(opaque) => json!(opaque.to_string()),
                None => result.result.clone(),
            };
            redactor.json(&mut value);
            document.insert("result".into(), value);
        }
        "FAILURE" | "REVOKED" => {
            let raised = raised(&result.result).map(|text| redactor.text(&text).into_owned());
            document.insert("result".into(), json!(raised));
            if let Some(traceback) = result.traceback_text(&redactor) {
                document.insert("traceback".into(), json!(traceback));
            }
        }
        _ => {}
    }
}

/// An exception as Python's `repr` prints it.
fn raised(result: &Value) -> Option<String> {
    let kind = result.get("exc_type")?.as_str()?;
    let arguments = match result.get("exc_message") {
        Some(Value::Array(items)) => items.iter().map(to_python).collect::<Vec<_>>().join(", "),
        Some(Value::Null) | None => String::new(),
        Some(other) => to_python(other),
    };
    Some(format!("{kind}({arguments})"))
}
