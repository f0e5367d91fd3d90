//! Whatever changes the model is also offered to the history, if somebody records.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Stamp;
use crate::history::writer::{Note, Recorder};
use crate::state::{Store, Update};

/// How often it is looked for new marks.
const MARKS: Duration = Duration::from_secs(5);

/// Records what a store is told from now on.
pub fn attach(store: &Store, recorder: &Recorder, stop: &CancellationToken, tracker: &TaskTracker) {
    let offered = recorder.clone();
    store.tap(move |update| match update {
        Update::Events(batch) => offered.offer(Note::Events(batch.clone())),
        Update::Queues(at, depths) => offered.offer(Note::Depths(*at, depths.clone())),
        _ => {}
    });
    tracker.spawn(follow_marks(store.clone(), recorder.clone(), stop.clone()));
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
