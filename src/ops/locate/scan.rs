//! Looking through what waits in queues, in chunks, and no further than is worth it.

use std::collections::HashSet;

use tokio::time::Instant;

use crate::broker::Broker;
use crate::celery::queue::{Depth, Waiting};
use crate::human;

/// Messages fetched at once.
const CHUNK: usize = 1_000;
/// Messages looked at in all queues together.
pub const MOST: usize = 200_000;

/// From which end of each queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As they will be taken.
    NextFirst,
    NewestFirst,
}

/// How far a look came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Looked {
    pub messages: usize,
    pub queues: usize,
    /// Queues, or parts of them, that were not looked at, and why.
    pub left: Vec<String>,
}

impl Looked {
    /// What was left out, in one sentence.
    pub fn stopped(&self) -> Option<String> {
        (!self.left.is_empty()).then(|| self.left.join("; "))
    }
}

/// What the one who looks wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    On,
    Stop,
}

/// The stretches of a queue of this length, in order.
fn chunks(length: usize, order: Order) -> Vec<std::ops::Range<usize>> {
    let starts = (0..length).step_by(CHUNK);
    match order {
        Order::NextFirst => starts.map(|from| from..(from + CHUNK).min(length)).collect(),
        Order::NewestFirst => starts.map(|from| length.saturating_sub(from + CHUNK)..length - from).collect(),
    }
}

/// Looks through queues until told to stop, the time is over, or [`MOST`] messages were seen. `look` is given each chunk
/// with its queue, and how far the look is.
pub async fn through(
    broker: &dyn Broker,
    queues: &[Depth],
    order: Order,
    until: Instant,
    look: &mut (dyn FnMut(&Depth, &[Waiting], &Looked) -> Next + Send),
) -> Looked {
    let (mut looked, mut seen) = (Looked::default(), HashSet::new());
    let marks = broker.capabilities().peek_marks;
    for queue in queues.iter().filter(|queue| queue.ready > 0 && seen.insert(queue.name.clone())) {
        looked.queues += 1;
        let length = usize::try_from(queue.ready).unwrap_or(usize::MAX).min(MOST + CHUNK);
        let mut here = 0;
        // Where looking leaves marks, each message is looked at once.
        let most = if marks { length.min(CHUNK) } else { length };
        for part in chunks(most, order) {
            if looked.messages >= MOST || Instant::now() >= until {
                let why = if looked.messages >= MOST { "stopped" } else { "out of time" };
                looked.left.push(format!("{why} after {}", human::plural(looked.messages, "message")));
                return looked;
            }
            let answer = tokio::time::timeout_at(until, broker.peek(&queue.name, part)).await;
            let waiting = match answer {
                Err(_) => continue,
                Ok(Ok(waiting)) => waiting,
                Ok(Err(error)) => {
                    looked.left.push(format!("{}: {}", queue.name, error.reason()));
                    break;
                }
            };
            looked.messages += waiting.len();
            here += waiting.len();
            if look(queue, &waiting, &looked) == Next::Stop {
                return looked;
            }
        }
        if marks && here >= CHUNK && (here as u64) < queue.ready {
            looked.left.push(format!("of {} only the first {}", queue.name, human::thousands(here as u64)));
        }
    }
    looked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_gone_through_from_either_end_and_nothing_is_left_out() {
        assert_eq!(chunks(2_500, Order::NextFirst), [0..1_000, 1_000..2_000, 2_000..2_500]);
        assert_eq!(chunks(2_500, Order::NewestFirst), [1_500..2_500, 500..1_500, 0..500]);
        assert!(chunks(0, Order::NextFirst).is_empty());
    }
}
