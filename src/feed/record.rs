//! Whatever changes the model is also offered to the history, if somebody records.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::celery::original::Original;
use crate::clock::Stamp;
use crate::history::audit::Audit;
use crate::history::writer::{Note, Recorder};
use crate::state::peek::{Found, Peeked};
use crate::state::{Store, Update};

/// How often it is looked for new marks.
const MARKS: Duration = Duration::from_secs(5);

/// Records what a store is told from now on. Messages that are seen in queues go to `seen`, if anybody keeps them.
pub fn attach(
    store: &Store,
    recorder: &Recorder,
    seen: Option<mpsc::Sender<Arc<Peeked>>>,
    stop: &CancellationToken,
    tracker: &TaskTracker,
) {
    let offered = recorder.clone();
    store.tap(move |update| match update {
        Update::Peeked(peeked) => {
            // One look that nobody had time for matters little: the next one sees most of it again.
            if let Some(seen) = &seen {
                let _ = seen.try_send(peeked.clone());
            }
        }
        Update::Events(batch) => offered.offer(Note::Events(batch.clone())),
        Update::Queues(at, depths) => offered.offer(Note::Depths(*at, depths.clone())),
        _ => {}
    });
    tracker.spawn(follow_marks(store.clone(), recorder.clone(), stop.clone()));
}

/// Keeps the messages that were seen in queues, to the letter, until nobody tells of any more.
pub async fn keep_seen(audit: Audit, broker: String, mut seen: mpsc::Receiver<Arc<Peeked>>) {
    let audit = Arc::new(audit);
    while let Some(peeked) = seen.recv().await {
        let Ok(Found::Waiting(waiting)) = &peeked.found else { continue };
        let originals: Vec<Original> = waiting.iter().filter_map(|waiting| waiting.original(&peeked.queue)).collect();
        let (audit, broker) = (audit.clone(), broker.clone());
        let kept = tokio::task::spawn_blocking(move || audit.keep_peeked(peeked.at, &broker, &originals)).await;
        if let Ok(Err(why)) = kept {
            tracing::warn!("messages that were seen are not kept: {why}");
        }
    }
}

/// Marks are made by the model itself, and may change for a while: each is written when it is a minute old, or at the end.
async fn follow_marks(store: Store, recorder: Recorder, stop: CancellationToken) {
    let mut tick = tokio::time::interval(MARKS);
    let mut written = Stamp::EPOCH;
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => true,
            _ = tick.tick() => false,
        };
        let marks = store.read(|m| {
            let settled = if ended { m.now() } else { m.now() - Duration::from_secs(60) };
            let new = m.marks().all().filter(|mark| !mark.past && mark.at > written && mark.at <= settled);
            new.map(|mark| (mark.at, mark.text.clone())).collect::<Vec<_>>()
        });
        for (at, text) in marks {
            written = written.max(at);
            recorder.offer(Note::Mark(at, text));
        }
        if ended {
            return;
        }
    }
}
