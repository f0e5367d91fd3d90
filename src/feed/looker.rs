//! Looks into the queues that somebody has on screen, and tells the model what lies there. Nothing is consumed, and a
//! queue that nobody looks at is not asked about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::interest::Interests;
use super::{Context, QueueLook};
use crate::broker::{self, LinkState};
use crate::celery::TaskId;
use crate::celery::canvas::Canvas;
use crate::celery::message::Message;
use crate::clock::Stamp;
use crate::state::Update;
use crate::state::peek::{Found, Look, Peeked, Sample, Unacked};

/// Messages shown as next in line.
const FIRST: usize = 50;
/// Messages looked at to make groups; of longer queues they are a sample.
const SAMPLE: usize = 10_000;
/// Messages fetched in one go for a sample, and the bytes that may make.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 4 << 20;
/// Deliveries looked at, of all queues together.
const DELIVERED: usize = 500;

pub(super) struct Looker {
    pub context: Context,
    pub link: watch::Receiver<LinkState>,
    pub interest: watch::Receiver<Interests>,
    pub updates: mpsc::Sender<Update>,
    pub refresh: watch::Receiver<u64>,
}

/// How old what is on screen may grow.
fn every(look: Look) -> Duration {
    Duration::from_secs(match look {
        Look::Waiting => 3,
        Look::Unacked => 5,
        Look::Groups => 30,
    })
}

impl Looker {
    /// Runs until the feed stops.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked: HashMap<QueueLook, Instant> = HashMap::new();
        loop {
            tokio::select! {
                () = self.context.stop.cancelled() => return,
                _ = tick.tick() => {}
                Ok(()) = self.refresh.changed() => looked.clear(),
                Ok(()) = self.interest.changed() => {}
            }
            if !self.link.borrow().is_live() {
                continue;
            }
            let marks = self.context.broker.capabilities().peek_marks;
            looked.retain(|look, at| marks || at.elapsed() < every(look.what));
            let all = self.interest.borrow_and_update().each(|interest| interest.queue.clone());
            for wanted in all.into_iter().filter(|wanted| !looked.contains_key(wanted)).collect::<Vec<_>>() {
                let interest = self.interest.clone();
                let still = || interest.borrow().any(|interest| interest.queue.as_ref() == Some(&wanted));
                let whole = tokio::select! {
                    () = self.context.stop.cancelled() => return,
                    whole = look(&self.context, &wanted, &still, &self.updates) => whole,
                };
                if whole {
                    looked.insert(wanted, Instant::now());
                }
            }
        }
    }
}

/// Looks once. A long look ends early when it is not wanted `still`; says whether it came to its end.
pub async fn look(
    context: &Context,
    wanted: &QueueLook,
    still: &(dyn Fn() -> bool + Send + Sync),
    updates: &mpsc::Sender<Update>,
) -> bool {
    let tell = async |found: broker::Result<(Found, Vec<(TaskId, Canvas)>)>| {
        let (found, canvases) = match found {
            Ok((found, canvases)) => (Ok(found), canvases),
            Err(error) => (Err(error.to_string()), Vec::new()),
        };
        let at = context.clock.now();
        let peeked = Peeked { queue: wanted.name.clone(), look: wanted.what, at, found, canvases };
        // Fails only when ingest has stopped, and then all stops.
        let _ = updates.send(Update::Peeked(Arc::new(peeked))).await;
    };
    let can = context.broker.capabilities();
    if can.peek && can.peek_marks && wanted.asked == 0 && wanted.what != Look::Unacked {
        tell(Ok((Found::OnRequest, Vec::new()))).await;
        return true;
    }
    match wanted.what {
        Look::Waiting => tell(first(context, &wanted.name).await).await,
        Look::Unacked => tell(unacked(context, &wanted.name).await).await,
        Look::Groups => {
            let mut sample = Sample::begin(depth(context, &wanted.name));
            while !sample.done {
                match fold(context, &wanted.name, &mut sample).await {
                    Ok(canvases) => tell(Ok((Found::Groups(sample.clone()), canvases))).await,
                    Err(error) => {
                        tell(Err(error)).await;
                        return true;
                    }
                }
                if !sample.done && !still() {
                    return false;
                }
            }
        }
    }
    true
}

async fn first(context: &Context, queue: &str) -> broker::Result<(Found, Vec<(TaskId, Canvas)>)> {
    let waiting = context.broker.peek(queue, 0..FIRST).await?;
    let canvases = waiting.iter().filter_map(|w| canvas(w.message.as_ref().ok()?)).collect();
    Ok((Found::Waiting(waiting), canvases))
}

async fn unacked(context: &Context, queue: &str) -> broker::Result<(Found, Vec<(TaskId, Canvas)>)> {
    let mut entries = context.broker.unacked(DELIVERED).await?;
    let looked = entries.len();
    entries.retain(|entry| entry.queue == queue);
    let canvases = entries.iter().filter_map(|e| canvas(e.message.as_ref().ok()?)).collect();
    Ok((Found::Unacked(Unacked { entries, looked, complete: looked < DELIVERED }), canvases))
}

/// Fetches the next stretch of a queue and folds it into the sample.
async fn fold(context: &Context, queue: &str, sample: &mut Sample) -> broker::Result<Vec<(TaskId, Canvas)>> {
    let from = sample.looked;
    let marks = context.broker.capabilities().peek_marks;
    // Where each look leaves marks there is only one.
    let to = if marks { CHUNK } else { (from + chunk(sample)).min(SAMPLE) };
    let waiting = context.broker.peek(queue, from..to).await?;
    let now = context.clock.now();
    let sent: Vec<Option<Stamp>> = context
        .store
        .read(|m| waiting.iter().map(|w| m.task(&w.message.as_ref().ok()?.id).and_then(|task| task.sent())).collect());
    let redactor = context.store.redactor();
    for (message, sent) in waiting.iter().zip(sent) {
        sample.add(message, sent, now, &redactor);
    }
    // A stretch that is shorter than asked for was the last one.
    let ended = waiting.len() < to - from;
    if ended {
        sample.of = sample.looked;
    }
    sample.done = ended || marks || sample.looked >= SAMPLE;
    Ok(waiting.iter().filter_map(|w| canvas(w.message.as_ref().ok()?)).collect())
}

/// How many messages to fetch next: fewer where they are large.
fn chunk(sample: &Sample) -> usize {
    let bytes: u64 = sample.groups(&Default::default()).iter().map(|group| group.bytes).sum();
    match (bytes as usize).checked_div(sample.looked) {
        Some(each) => (CHUNK_BYTES / each.max(1)).clamp(10, CHUNK),
        // Nothing is known of their size yet.
        None => FIRST,
    }
}

fn depth(context: &Context, queue: &str) -> usize {
    let ready = context.store.read(|m| m.queue(queue).map_or(0, |q| q.depth.ready));
    usize::try_from(ready).unwrap_or(usize::MAX)
}

fn canvas(message: &Message) -> Option<(TaskId, Canvas)> {
    Some((message.id.clone(), Canvas::of(message)?))
}
