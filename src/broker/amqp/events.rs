//! Hearing events: a queue of our own behind the exchange that workers announce everything to (Celery 5.7.0,
//! `celery/events/receiver.py`). It ends with our connection, and is bounded: however slow we are, or however long gone,
//! nothing of ours piles up on the broker.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Consumer, ExchangeKind};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::dial::Link;
use super::{Exchange, declare, losses};
use crate::broker::{EventStream, RawMessage, Result};
use crate::celery::TaskId;

/// The exchange of events, as Celery declares it.
pub(super) const EVENTS: Exchange = Exchange { name: "celeryev", kind: ExchangeKind::Topic, durable: true };
/// Milliseconds after which a queue that nobody reads goes away; those of Celery's own monitors do the same.
const EXPIRES: i32 = 60_000;
/// Milliseconds an event is of interest.
const TTL: i32 = 5_000;
/// Events that may wait for us; the oldest make room.
const LENGTH: i32 = 100_000;
const BYTES: i32 = 64 << 20;

/// What is delivered on a connection.
pub(super) struct Taken {
    /// Comes here, before the library has seen it.
    pub messages: mpsc::Receiver<Vec<RawMessage>>,
    /// How many there were.
    pub count: Arc<AtomicU64>,
    /// How many there would have been besides, had we been faster.
    pub lost: Arc<AtomicU64>,
}

/// Subscribes. The stream has the connection with it, and ends when that does.
pub(super) async fn subscribe(link: Link, taken: Taken) -> Result<EventStream> {
    declare(&link, &EVENTS).await;
    let channel = link.channel().await?;
    let queue = format!("celeryev.{}", TaskId::random());
    let mut arguments = FieldTable::default();
    for (name, n) in
        [("x-expires", EXPIRES), ("x-message-ttl", TTL), ("x-max-length", LENGTH), ("x-max-length-bytes", BYTES)]
    {
        arguments.insert(name.into(), AMQPValue::LongInt(n));
    }
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let begin = async {
        channel.queue_declare(queue.as_str().into(), options, arguments).await?;
        let (exchange, everything) = (EVENTS.name.into(), "#".into());
        channel
            .queue_bind(queue.as_str().into(), exchange, everything, QueueBindOptions::default(), FieldTable::default())
            .await?;
        // Without acknowledgements there is no prefetch either: what holds us up is the connection itself.
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
        channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default()).await
    };
    let begun = tokio::time::timeout(super::ANSWER, begin).await;
    let consumer = link.answered("declare a queue for events", begun)?;
    let ttl = Duration::from_millis(TTL.unsigned_abs().into());
    let losses = losses::watch(channel, queue, ttl, taken.count, taken.lost);
    let _losses = AbortOnDropHandle::new(tokio::spawn(losses));
    let subscription = Subscription { taken: taken.messages, consumer, _losses, _link: link };
    let batches =
        stream::unfold(subscription, async |mut subscription| Some((subscription.next().await?, subscription)));
    Ok(batches.boxed())
}

/// A queue that is consumed from, with all that keeps it so.
struct Subscription {
    taken: mpsc::Receiver<Vec<RawMessage>>,
    consumer: Consumer,
    _losses: AbortOnDropHandle<()>,
    _link: Link,
}

impl Subscription {
    /// What has been delivered; nothing when the connection, or the queue, has ended.
    async fn next(&mut self) -> Option<Vec<RawMessage>> {
        tokio::select! {
            biased;
            messages = self.taken.recv() => return messages,
            // The library sees no delivery: all it can tell is that there will be none.
            _ = self.consumer.next() => self.taken.close(),
        }
        self.taken.recv().await
    }
}

/// A stream without events, for those who may not hear any: it lasts as long as the connection.
pub(super) fn silence(link: Link) -> EventStream {
    let silence = stream::unfold(link, |link| async move {
        while link.stands() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        None
    });
    silence.boxed()
}
