//! Asking the workers who holds a task.

use crate::broker::{Broker, Error};
use crate::celery::TaskId;
use crate::celery::pidbox::{Method, Request};
use crate::clock::Stamp;

/// A worker that holds a task, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub worker: String,
    /// `active`, `reserved`, `scheduled` or `ready`, in Celery's words.
    pub place: String,
    pub started: Option<Stamp>,
    /// The worker's own description of it.
    pub request: serde_json::Value,
}

/// Who holds the task, and how many workers answered.
pub async fn held(
    broker: &dyn Broker,
    id: &TaskId,
    workers: &[String],
    wait: std::time::Duration,
) -> Result<(Vec<Held>, usize), Error> {
    let request = Request::to_all(Method::QueryTask { ids: vec![id.clone()] });
    let replies = broker.control(&request, workers, wait).await?;
    let answered = replies.len();
    let key = id.to_string();
    let held = replies
        .into_iter()
        .filter_map(|reply| {
            let entry = reply.value.get(&key)?;
            let (place, request) = (entry.get(0)?.as_str()?.to_owned(), entry.get(1)?.clone());
            let started = request["time_start"].as_f64().and_then(Stamp::from_secs);
            Some(Held { worker: reply.worker, place, started, request })
        })
        .collect();
    Ok((held, answered))
}
