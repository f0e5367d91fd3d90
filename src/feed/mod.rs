//! From the broker into the model: subscribing, decoding, polling. The model's only writer is the ingest task here.
//!
//! The subscription is drained at once into a queue bounded in bytes, because a Redis server disconnects a reader that
//! is slow; what does not fit is dropped there and counted as missed. A source that can wait is made to.

mod backlog;
mod ingest;
mod interest;
mod looker;
mod poller;
pub mod record;
pub mod replay;
mod results;
pub mod warm;

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::link::Backoff;
use crate::broker::{Broker, Error, Health, LinkState, RawMessage, wire};
use crate::clock::Clock;
use crate::results::Backend;
use crate::state::{Store, Update};

use backlog::Backlog;
use interest::{Desk, Seat};
use replay::{Controls, Player, Source};

pub use interest::{Interest, QueueLook};
pub use looker::look;
pub use results::ResultLook;

/// Everything the tasks of a feed need.
#[derive(Clone)]
pub struct Context {
    pub broker: Arc<dyn Broker>,
    pub store: Store,
    pub clock: Clock,
    pub stop: CancellationToken,
    /// Where results are, if they can be read.
    pub results: Option<Arc<dyn Backend>>,
}

/// A running feed. Dropping it does not stop it; its [`CancellationToken`] does.
#[derive(Clone)]
pub struct Feed {
    pub link: watch::Receiver<LinkState>,
    pub health: watch::Receiver<Option<Health>>,
    seat: Arc<Seat>,
    refresh: Arc<watch::Sender<u64>>,
}

impl Feed {
    /// Starts the tasks.
    pub fn start(context: &Context, tracker: &TaskTracker) -> Self {
        let (link_tx, link) = watch::channel(LinkState::Connecting);
        let (health_tx, health) = watch::channel(None);
        let desk = Desk::new();
        let (updates_tx, updates) = mpsc::channel(64);
        let (refresh_tx, refresh) = watch::channel(0);
        let backlog = Arc::new(Backlog::new(backlog::LIMIT));
        tracker.spawn(subscribe(context.clone(), link_tx, updates_tx.clone(), backlog.clone()));
        tracker.spawn(ingest::run(context.clone(), backlog, updates));
        let looker = looker::Looker {
            context: context.clone(),
            link: link.clone(),
            interest: desk.all(),
            updates: updates_tx.clone(),
            refresh: refresh.clone(),
        };
        tracker.spawn(looker.run());
        if let Some(backend) = context.results.clone() {
            let (context, updates) = (context.clone(), updates_tx.clone());
            let (interest, refresh) = (desk.all(), refresh.clone());
            tracker.spawn(results::Reader { context, backend, interest, updates, refresh }.run());
        }
        let poller = poller::Poller {
            context: context.clone(),
            link: link.clone(),
            health: health_tx,
            interest: desk.all(),
            updates: updates_tx,
            refresh,
        };
        tracker.spawn(poller.run());
        Self { link, health, seat: Arc::new(desk.seat()), refresh: Arc::new(refresh_tx) }
    }

    /// Plays a recording in place of all this, until it is told to stop. The clock is one that can be set.
    pub fn play(context: &Context, source: Source, controls: &Controls, tracker: &TaskTracker) -> Self {
        let since = controls.status().begin;
        let (_, link) = watch::channel(LinkState::Live { since });
        let (_, health) = watch::channel(Some(Health { kind: "recording".into(), ..Health::default() }));
        let player = Player::new(source, context.store.clone(), context.clock.clone(), controls.clone());
        tracker.spawn_blocking(move || player.run());
        let (controls, stop) = (controls.clone(), context.stop.clone());
        tracker.spawn(async move {
            stop.cancelled().await;
            controls.stop();
        });
        Self::told(link, health)
    }

    /// A feed of which somebody else tells how the link is.
    pub fn told(link: watch::Receiver<LinkState>, health: watch::Receiver<Option<Health>>) -> Self {
        Self { link, health, seat: Arc::new(Desk::new().seat()), refresh: Arc::new(watch::Sender::new(0)) }
    }

    /// Says what is looked at now.
    pub fn set_interest(&self, interest: Interest) {
        self.seat.tell(interest);
    }

    /// The same feed for one more screen, which says for itself what it looks at.
    pub fn another(&self) -> Self {
        Self { seat: Arc::new(self.seat.desk().seat()), ..self.clone() }
    }

    /// Asks for everything anew.
    pub fn refresh(&self) {
        self.refresh.send_modify(|times| *times += 1);
    }
}

/// Keeps a subscription, for ever.
async fn subscribe(
    context: Context,
    link: watch::Sender<LinkState>,
    updates: mpsc::Sender<Update>,
    backlog: Arc<Backlog<RawMessage>>,
) {
    let waits = context.broker.capabilities().waits;
    let mut backoff = Backoff::default();
    let mut down_since = None;
    loop {
        let ended = tokio::select! {
            () = context.stop.cancelled() => return,
            stream = context.broker.events() => stream,
        };
        let mut refused = false;
        let (why, hint) = match ended {
            Ok(mut stream) => {
                backoff.reset();
                down_since = None;
                let now = context.clock.now();
                link.send_replace(LinkState::Live { since: now });
                // Fails only when ingest has stopped, and then all stops.
                let _ = updates.send(Update::Link(now, true)).await;
                loop {
                    let messages = tokio::select! {
                        () = context.stop.cancelled() => return,
                        messages = stream.next() => messages,
                    };
                    let Some(messages) = messages else { break };
                    let sized = messages.into_iter().map(|message| (message.data.len() + 96, message));
                    if waits {
                        tokio::select! {
                            () = context.stop.cancelled() => return,
                            () = backlog.push_when_room(sized) => {}
                        }
                    } else {
                        backlog.push(sized);
                    }
                }
                ("the connection ended".to_owned(), "")
            }
            Err(error) => {
                refused = matches!(&error, Error::Unreachable { why, .. } if why == wire::REFUSED);
                (error.reason(), error.hint())
            }
        };
        let now = context.clock.now();
        if down_since.is_none() {
            let _ = updates.send(Update::Link(now, false)).await;
        }
        let since = *down_since.get_or_insert(now);
        let pause = backoff.pause(refused);
        link.send_replace(LinkState::Down { since, why, hint, retry: now + pause });
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Feeds messages into a store at once, without tasks: for one-shot commands and tests.
pub fn apply_messages<'a>(store: &Store, messages: impl IntoIterator<Item = &'a RawMessage>) {
    let mut batch = crate::celery::event::Batch::default();
    for message in messages {
        batch.push(&message.data, &message.coding, message.received);
        if batch.events.len() >= ingest::BATCH {
            store.apply(&[Update::Events(Arc::new(std::mem::take(&mut batch)))]);
        }
    }
    if !batch.is_empty() {
        store.apply(&[Update::Events(Arc::new(batch))]);
    }
}
