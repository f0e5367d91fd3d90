//! Hearing events: a queue of our own behind the exchange that workers announce everything to (Celery 5.7.0,
//! `celery/events/receiver.py`). It ends with our connection, and is bounded: however slow we are, or however long gone,
//! nothing of ours piles up on the broker.

use std::borrow::Cow;
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Consumer, ExchangeKind};
use tokio::time::Sleep;

use super::dial::{GATHER, Link};
use super::{Exchange, declare, is_json};
use crate::broker::{EventStream, RawMessage, Result};
use crate::celery::TaskId;
use crate::celery::envelope::Coding;
use crate::clock::Clock;

/// The exchange of events, as Celery declares it.
const EVENTS: Exchange = Exchange { name: "celeryev", kind: ExchangeKind::Topic, durable: true };
/// Milliseconds after which a queue that nobody reads goes away; those of Celery's own monitors do the same.
const EXPIRES: i32 = 60_000;
/// Milliseconds an event is of interest.
const TTL: i32 = 5_000;
/// Events that may wait for us; the oldest make room.
const LENGTH: i32 = 100_000;
const BYTES: i32 = 64 << 20;

/// Subscribes. The stream has the connection with it, and ends when that does.
pub(super) async fn subscribe(link: Link) -> Result<EventStream> {
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
    let clock = Clock::system();
    let bursts = Bursts { consumer, pause: Box::pin(tokio::time::sleep(Duration::ZERO)), state: State::Waiting };
    let messages = bursts.scan((link, channel), move |_, delivery| {
        // An error is followed by the end.
        ready(delivery.ok().map(|delivery| raw(delivery, &clock)))
    });
    Ok(messages.boxed())
}

/// A stream without events, for those who may not hear any: it lasts as long as the connection.
pub(super) fn silence(link: Link) -> EventStream {
    let silence = futures_util::stream::unfold(link, |link| async move {
        while link.stands() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        None
    });
    silence.boxed()
}

/// Deliveries as they come, but after a burst of them they are let gather for a moment: being woken for each one costs
/// more than reading it.
struct Bursts {
    consumer: Consumer,
    pause: Pin<Box<Sleep>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Woken by the next delivery.
    Waiting,
    Taking,
    /// Woken by the end of the pause.
    Pausing,
}

impl Stream for Bursts {
    type Item = lapin::Result<Delivery>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state == State::Pausing {
            ready!(self.pause.as_mut().poll(cx));
            self.state = State::Waiting;
        }
        if self.state == State::Taking {
            // Nobody is woken by what comes while we take or pause.
            let mut asleep = Context::from_waker(Waker::noop());
            if let Poll::Ready(delivery) = Pin::new(&mut self.consumer).poll_next(&mut asleep) {
                return Poll::Ready(delivery);
            }
            self.state = State::Pausing;
            let until = tokio::time::Instant::now() + GATHER;
            self.pause.as_mut().reset(until);
            ready!(self.pause.as_mut().poll(cx));
            self.state = State::Waiting;
        }
        let delivery = ready!(Pin::new(&mut self.consumer).poll_next(cx));
        self.state = State::Taking;
        Poll::Ready(delivery)
    }
}

fn raw(delivery: Delivery, clock: &Clock) -> RawMessage {
    let properties = &delivery.properties;
    let content_type = match properties.content_type() {
        Some(other) if !is_json(other.as_str()) => Cow::Owned(other.to_string()),
        _ => Cow::Borrowed("application/json"),
    };
    let compression = properties.headers().as_ref().and_then(|headers| match headers.inner().get("compression")? {
        AMQPValue::LongString(name) => Some(name.to_string()),
        AMQPValue::ShortString(name) => Some(name.to_string()),
        _ => None,
    });
    RawMessage {
        received: clock.now(),
        channel: delivery.routing_key.into(),
        data: delivery.data,
        coding: Coding::Body { content_type, compression },
    }
}
