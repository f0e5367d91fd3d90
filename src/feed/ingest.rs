//! Decoding, and the one place that writes to the model.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Context;
use super::backlog::Backlog;
use crate::broker::RawMessage;
use crate::celery::event::Batch;
use crate::state::Update;

/// Messages decoded and applied together.
pub(super) const BATCH: usize = 512;

/// Runs until the feed stops.
pub(super) async fn run(context: Context, backlog: Arc<Backlog<RawMessage>>, mut updates: mpsc::Receiver<Update>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    // The room that the last batch took.
    let mut spare: Option<Batch> = None;
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            (messages, dropped) = backlog.take(BATCH) => {
                let mut batch = spare.take().unwrap_or_default();
                for message in &messages {
                    batch.push(&message.data, &message.coding, message.received);
                }
                let mut applied = Vec::with_capacity(2);
                if dropped > 0 {
                    applied.push(Update::Missed(context.clock.now(), dropped));
                }
                let batch = Arc::new(batch);
                applied.push(Update::Events(batch.clone()));
                context.store.apply(&applied);
                drop(applied);
                spare = Arc::into_inner(batch).map(|mut batch| {
                    batch.clear();
                    batch
                });
                // Under load this never waits: let the other tasks of this thread have their turn.
                tokio::task::yield_now().await;
            }
            Some(update) = updates.recv() => context.store.apply(&[update]),
            _ = tick.tick() => context.store.apply(&[Update::Tick(context.clock.now())]),
        }
    }
}
