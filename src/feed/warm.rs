//! The time before we came, out of the history: lists and charts begin full, and what nobody saw the end of is looked up
//! in the result backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::celery::TaskId;
use crate::celery::event::Batch;
use crate::celery::result::{Stored, TaskResult};
use crate::clock::Stamp;
use crate::history::reader::Reader;
use crate::history::writer::{Note, Recorder};
use crate::history::{self, Error};
use crate::redact::Redactor;
use crate::results::Backend;
use crate::state::task::parse_iso;
use crate::state::{Store, Update};

/// How far back lists begin.
const SPAN: Duration = Duration::from_secs(3_600);
/// How far back moments with a name are known.
const NAMED: Duration = Duration::from_secs(7 * 86_400);
/// Tasks read at the most, and at a time.
const MOST: i64 = 30_000;
const CHUNK: usize = 200;
/// Results asked for at a time.
const ASKED: usize = 200;

/// Fills a model with the last hour of a history, and says whose end is not known. Takes a while, and can be stopped.
pub async fn fill(store: Store, path: PathBuf, now: Stamp, stop: CancellationToken) -> Result<Vec<TaskId>, Error> {
    let work = move || {
        let mut reader = Reader::open(&path)?;
        store.apply(&[Update::PastMarks(reader.marks(now - NAMED, now)?)]);
        let mut next = Some(reader.begin(now - SPAN, MOST)?);
        let (mut unfinished, mut last) = (Vec::new(), None);
        while let Some(from) = next.filter(|_| !stop.is_cancelled()) {
            let (past, more) = reader.past(from, CHUNK)?;
            (next, last) = (more, last.max(past.last));
            unfinished.extend(past.unfinished);
            store.apply(&[Update::Past(Arc::new(past.batch))]);
        }
        if let Some(last) = last {
            store.apply(&[Update::PastEnds(last)]);
        }
        Ok(unfinished)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It was told by its own hook.
        Err(_) => Ok(Vec::new()),
    }
}

/// Looks up in the result backend how tasks ended that nobody saw the end of, and tells model and history.
pub async fn settle(store: &Store, recorder: Option<&Recorder>, backend: &dyn Backend, unfinished: &[TaskId]) {
    for ids in unfinished.chunks(ASKED) {
        let found = match backend.get(ids).await {
            Ok(found) => found,
            Err(why) => {
                tracing::warn!("tasks that ended while nobody looked can't be looked up: {why}");
                return;
            }
        };
        let events: Vec<_> = found
            .iter()
            .filter_map(|(id, stored)| match stored {
                Stored::Result(result) if result.is_ready() => ending(id, result),
                _ => None,
            })
            .collect();
        if events.is_empty() {
            continue;
        }
        let batch: Arc<Batch> = Arc::new(history::batch_in_time(events));
        store.apply(&[Update::Past(batch.clone())]);
        if let Some(recorder) = recorder {
            recorder.offer(Note::Events(batch));
        }
    }
}

/// The event with which a task ended, as far as its result tells.
fn ending(id: &TaskId, result: &TaskResult) -> Option<serde_json::Value> {
    let kind = match result.status.as_str() {
        "SUCCESS" => "task-succeeded",
        "FAILURE" => "task-failed",
        _ => "task-revoked",
    };
    let at = parse_iso(result.date_done.as_deref()?)?;
    let mut event = json!({"type": kind, "uuid": id, "timestamp": at.secs(), "hostname": result.worker.clone().unwrap_or_default()});
    // Whoever shows or writes it takes secrets out.
    let whole = Redactor::off();
    let fields = [
        ("result", result.value(&whole)),
        ("exception", result.exception(&whole)),
        ("traceback", result.traceback.clone()),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            event[key] = value.into();
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::Format;
    use crate::state::{Limits, State};
    use async_trait::async_trait;

    struct Results;

    #[async_trait]
    impl Backend for Results {
        fn url(&self) -> String {
            "test".into()
        }

        async fn get(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Stored)>, crate::results::Error> {
            let document =
                br#"{"status": "FAILURE", "result": {"exc_type": "E", "exc_message": ["no"]}, "traceback": "T",
                "date_done": "2026-11-24T14:00:00"}"#;
            Ok(ids.iter().take(1).map(|id| (id.clone(), Stored::read(document))).collect())
        }
    }

    #[tokio::test]
    async fn a_task_that_ended_while_nobody_looked_is_settled_by_its_result() {
        let store = Store::new(Limits::default());
        let mut batch = Batch::default();
        let body = br#"[{"type": "task-started", "uuid": "a", "hostname": "w@h", "timestamp": 1795528000.0},
            {"type": "task-started", "uuid": "b", "hostname": "w@h", "timestamp": 1795528000.0}]"#;
        batch.push_body(Format::Json, body, Stamp::EPOCH).expect("readable");
        store.apply(&[Update::Past(Arc::new(batch))]);
        settle(&store, None, &Results, &[TaskId::new("a"), TaskId::new("b")]).await;
        store.read(|m| {
            let (a, b) = (m.task(&TaskId::new("a")).expect("known"), m.task(&TaskId::new("b")).expect("known"));
            assert_eq!((a.state(), a.raw_exception()), (State::Failure, Some("E(\"no\")")));
            assert_eq!((b.state(), a.worker()), (State::Started, Some("w@h")));
            assert_eq!(m.workers().len(), 0, "who ran it may be gone");
            assert!(a.is_recalled() && m.counters().seen == 0);
        });
    }
}
