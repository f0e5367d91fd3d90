//! What our queue of events loses: RabbitMQ drops what waits in it too long, or is too much, and tells nobody.
//!
//! Whatever waited when we looked has been delivered or dropped once its time is over. What of it was not delivered is
//! lost: that many events at least, since of those that came and went between two looks nothing is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

/// Deliveries that the queue has made and the broker not yet sent (RabbitMQ 3.10, `rabbit_queue_consumers.erl`,
/// `UNSENT_MESSAGE_LIMIT`). The answer to a look overtakes them.
const UNSENT: u64 = 200;

/// Looks until the connection ends. It has to be the channel of the deliveries: on another one, answers would overtake
/// those that are on their way.
pub(super) async fn watch(
    channel: Channel,
    queue: String,
    ttl: Duration,
    delivered: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
) {
    let mut before = None;
    loop {
        let asked = delivered.load(Ordering::Relaxed);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let Ok(answer) = channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await else {
            return;
        };
        if let Some(look) = before {
            lost.fetch_add(dropped(look, delivered.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        before = Some(Look { waiting: answer.message_count().into(), delivered: asked });
        tokio::time::sleep(ttl).await;
    }
}

/// What waited, and what had been delivered before that was asked for.
#[derive(Clone, Copy)]
struct Look {
    waiting: u64,
    delivered: u64,
}

/// How many of those that waited are gone and never came.
fn dropped(look: Look, delivered: u64) -> u64 {
    look.waiting.saturating_sub(delivered - look.delivered + UNSENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_and_never_came_was_dropped() {
        let look = Look { waiting: 10_000, delivered: 500 };
        assert_eq!(dropped(look, 500), 9_800);
        assert_eq!(dropped(look, 4_500), 5_800);
        assert_eq!(dropped(look, 10_400), 0, "the rest may be on its way");
        assert_eq!(dropped(look, 90_000), 0);
    }
}
