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

/// Events after which a batch is applied even if there are more messages: one message can hold hundreds.
const EVENTS: usize = 2_048;

/// Applies a batch, and gives back an empty one: the same, where nobody else has kept it.
fn apply(context: &Context, batch: Batch) -> Batch {
    let batch = Arc::new(batch);
    context.store.apply(&[Update::Events(batch.clone())]);
    Arc::into_inner(batch).map_or_else(Batch::default, |mut batch| {
        batch.clear();
        batch
    })
}

/// Runs until the feed stops.
pub(super) async fn run(context: Context, backlog: Arc<Backlog<RawMessage>>, mut updates: mpsc::Receiver<Update>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    // The room that the last batch took.
    let mut spare: Option<Batch> = None;
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            (messages, dropped) = backlog.take(BATCH) => {
                if dropped > 0 {
                    context.store.apply(&[Update::Missed(context.clock.now(), dropped)]);
                }
                let mut batch = spare.take().unwrap_or_default();
                for message in &messages {
                    batch.push(&message.data, &message.coding, message.received);
                    if batch.events.len() >= EVENTS {
                        batch = apply(&context, batch);
                    }
                }
                spare = Some(apply(&context, batch));
                // Under load this never waits: let the other tasks of this thread have their turn.
                tokio::task::yield_now().await;
            }
            Some(update) = updates.recv() => context.store.apply(&[update]),
            _ = tick.tick() => context.store.apply(&[Update::Tick(context.clock.now())]),
        }
    }
}
