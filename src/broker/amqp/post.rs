//! The connection on which we send: requests to workers, with a queue of our own for what they reply, and tasks. It is
//! apart from the others, because RabbitMQ stops reading from whoever publishes while an alarm is on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Consumer, ExchangeKind};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::dial::Link;
use super::table::to_table;
use super::{ANSWER, Exchange, declare, fault};
use crate::broker::{Error, Result};
use crate::celery::envelope::{document, format};
use crate::celery::message::Outgoing;
use crate::celery::pidbox::{self, Reply, ReplyTo, Request};
use crate::celery::{TaskId, envelope};
use crate::clock::Clock;

/// The exchange of remote control, as kombu declares it (kombu 5.7.0, `pidbox.py`).
const PIDBOX: Exchange = Exchange { name: "celery.pidbox", kind: ExchangeKind::Fanout, durable: false };
/// Milliseconds, as Celery's own reply queues have it.
const EXPIRES: i32 = 10_000;
const TTL: i32 = 300_000;
/// Why the broker takes nothing.
const ALARM: &str = "it lets nobody publish, because it is short of memory or disk (an alarm is on)";
const JSON: &str = "application/json";

/// How long a broker that took something a moment ago is believed to take the next.
const OPEN: Duration = Duration::from_secs(1);
/// How often is looked whether the broker has blocked us, while an answer is awaited.
const LOOK: Duration = Duration::from_millis(20);

/// Who waits for replies, by the ticket of the request.
type Waiting = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Reply>>>>;

/// See the module.
pub(super) struct Post {
    pub link: Link,
    requests: Channel,
    /// For tasks; an error closes it, and the next task gets another one.
    tasks: tokio::sync::Mutex<Option<Channel>>,
    /// For messages that go nowhere; and when the broker last took one of any kind.
    probe: tokio::sync::Mutex<Option<Channel>>,
    open: Mutex<Option<Instant>>,
    replies: String,
    waiting: Waiting,
    _sorting: AbortOnDropHandle<()>,
}

impl Post {
    pub async fn open(link: Link) -> Result<Self> {
        declare(&link, &PIDBOX).await;
        let requests = confirming(&link).await?;
        let replies = format!("{}.reply.celery.pidbox", TaskId::random());
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongInt(EXPIRES));
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(TTL));
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let begin = async {
            requests.queue_declare(replies.as_str().into(), options, arguments).await?;
            let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
            requests.basic_consume(replies.as_str().into(), "".into(), options, FieldTable::default()).await
        };
        let consumer = link.answered("declare a queue for replies", tokio::time::timeout(ANSWER, begin).await)?;
        let waiting = Waiting::default();
        let sorting = AbortOnDropHandle::new(tokio::spawn(sort(consumer, waiting.clone())));
        let none = || tokio::sync::Mutex::new(None);
        let (tasks, probe, open) = (none(), none(), Mutex::new(None));
        Ok(Self { link, requests, tasks, probe, open, replies, waiting, _sorting: sorting })
    }

    /// Whether it can be used.
    pub fn stands(&self) -> bool {
        self.link.stands() && self.requests.status().connected()
    }

    /// Publishes a request and collects the replies.
    pub async fn ask(&self, request: &Request, expected: &[String], wait: Duration) -> Result<Vec<Reply>> {
        let deadline = Instant::now() + wait;
        let reply_to = ReplyTo { ticket: TaskId::random().to_string(), queue: self.replies.clone() };
        let (sender, mut replies) = mpsc::unbounded_channel();
        let wants = request.method.replies() && !wait.is_zero();
        let _ticket = wants.then(|| Ticket::new(&self.waiting, &reply_to.ticket, sender));
        let body = request.body(wants.then_some(&reply_to)).to_string();
        let expires = (Clock::system().now() + wait).secs();
        let properties = BasicProperties::default()
            .with_content_type(JSON.into())
            .with_content_encoding("utf-8".into())
            .with_headers(to_table(&json!({"clock": 1, "expires": expires})))
            .with_delivery_mode(1);
        let sent = self.publish(&self.requests, PIDBOX.name, "", body.as_bytes(), properties).await;
        let mut collected: Vec<Reply> = Vec::new();
        match sent {
            // With nobody listening there is nothing to wait for.
            Err(Unsent::Returned) => return Ok(collected),
            Err(Unsent::Failed(error)) => return Err(error),
            Ok(()) => {}
        }
        while wants && !pidbox::everybody_answered(expected, &collected) {
            match tokio::time::timeout_at(deadline, replies.recv()).await {
                Ok(Some(reply)) => collected.push(reply),
                _ => break,
            }
        }
        Ok(collected)
    }

    /// Sends a task to where the original went, else straight to its queue; returns when the broker has it.
    pub async fn send(&self, message: &Outgoing) -> Result<()> {
        let (exchange, routing_key) =
            message.route.as_ref().map_or(("", message.queue.as_str()), |(exchange, key)| (exchange, key));
        let body = message.body();
        let (content_type, content_encoding) = message.content();
        let properties = BasicProperties::default()
            .with_content_type(short(content_type, "the content type")?)
            .with_content_encoding(short(content_encoding, "the content encoding")?)
            .with_headers(to_table(&message.headers()))
            .with_delivery_mode(2)
            .with_priority(message.priority)
            .with_correlation_id(short(&message.id.to_string(), "the id")?)
            .with_reply_to(TaskId::random().to_string().as_str().into());
        self.is_open().await?;
        let mut slot = self.tasks.lock().await;
        let channel = match slot.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => confirming(&self.link).await?,
        };
        let sent = self.publish(&channel, exchange, routing_key, &body, properties).await;
        *slot = Some(channel);
        sent.map_err(|unsent| unsent.error(&self.link.url, exchange, routing_key))
    }

    /// Publishes on a channel that confirms; returns when the broker has it.
    pub async fn publish(
        &self,
        channel: &Channel,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> std::result::Result<(), Unsent> {
        let url = || self.link.url.clone();
        self.is_open().await?;
        let (exchange, routing_key) = (short(exchange, "the exchange")?, short(routing_key, "the routing key")?);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publish = async { channel.basic_publish(exchange, routing_key, options, body, properties).await?.await };
        let confirmed = match tokio::time::timeout(ANSWER, publish).await {
            Ok(Ok(confirmed)) => confirmed,
            // What the broker itself says against it is final.
            Ok(Err(error)) if fault::code(&error).is_some() => {
                return Err(fault::error(&self.link.url, "basic.publish", &error).into());
            }
            // It was written. Closing the connection would not take it back: the broker reads on what it holds of it.
            Ok(Err(error)) => {
                let why = fault::error(&self.link.url, "basic.publish", &error).reason();
                return Err(Error::Unsure { url: url(), why }.into());
            }
            Err(_) if self.is_blocked() => {
                let why = format!("{ALARM}, and takes it when that ends");
                return Err(Error::Unsure { url: url(), why }.into());
            }
            Err(_) => {
                let why = format!("no answer within {}s", ANSWER.as_secs());
                return Err(Error::Unsure { url: url(), why }.into());
            }
        };
        *self.open.lock() = Some(Instant::now());
        match confirmed {
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Err(Unsent::Returned),
            Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
            Confirmation::Nack(None) => {
                let why = "it refused it; the queue may have reached its length, or lost its leader".into();
                Err(Error::NotTaken { url: url(), why }.into())
            }
        }
    }

    /// Makes sure that the broker takes messages before one that matters is written: it says that it doesn't only to who
    /// publishes, and what it then has of it it carries out when its alarm ends. So a message that goes nowhere is sent
    /// ahead, unless the broker took something a moment ago.
    pub async fn is_open(&self) -> Result<()> {
        if self.is_blocked() {
            return Err(self.alarm());
        }
        if self.open.lock().is_some_and(|at| at.elapsed() < OPEN) {
            return Ok(());
        }
        tokio::select! {
            open = self.try_out() => open?,
            () = self.blocked() => return Err(self.alarm()),
        }
        *self.open.lock() = Some(Instant::now());
        Ok(())
    }

    /// Publishes to a queue that is nobody's; any answer will do.
    async fn try_out(&self) -> Result<()> {
        let mut slot = self.probe.lock().await;
        let channel = match slot.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => confirming(&self.link).await?,
        };
        let nobody = format!("flower-tui.{}", TaskId::random());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(1);
        let publish =
            async { channel.basic_publish("".into(), nobody.as_str().into(), options, b"", properties).await?.await };
        let answer = tokio::time::timeout(ANSWER, publish).await;
        match &answer {
            Ok(Err(error)) if fault::code(error).is_some() => return Ok(()),
            Ok(Ok(_)) => *slot = Some(channel),
            _ => {}
        }
        self.link.answered("basic.publish", answer).map(|_| ())
    }

    /// Whether the broker said that it takes nothing.
    pub fn is_blocked(&self) -> bool {
        self.link.connection.status().blocked()
    }

    async fn blocked(&self) {
        while !self.is_blocked() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn alarm(&self) -> Error {
        Error::NotTaken { url: self.link.url.clone(), why: ALARM.into() }
    }
}

/// Why a message is not on its way.
pub(super) enum Unsent {
    /// No queue takes it.
    Returned,
    Failed(Error),
}

impl Unsent {
    /// Why, where no queue took it the one it was for.
    pub(super) fn error(self, url: &str, exchange: &str, routing_key: &str) -> Error {
        match self {
            Unsent::Failed(error) => error,
            Unsent::Returned => {
                let (exchange, key) = (crate::text::clean(exchange), crate::text::clean(routing_key));
                let why = match exchange.as_str() {
                    "" => format!("there is no queue {key}"),
                    exchange => format!("no queue is bound to exchange {exchange} with routing key {key}"),
                };
                Error::NotTaken { url: url.to_owned(), why }
            }
        }
    }
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Unsent::Failed(error)
    }
}

/// A channel on which the broker says what became of each message.
pub(super) async fn confirming(link: &Link) -> Result<Channel> {
    let channel = link.channel().await?;
    let selected = tokio::time::timeout(ANSWER, channel.confirm_select(ConfirmSelectOptions::default())).await;
    link.answered("confirm.select", selected)?;
    Ok(channel)
}

/// AMQP's names have 255 bytes at most.
pub(super) fn short(text: &str, what: &str) -> Result<ShortString> {
    ShortString::try_new(text).map_err(|_| Error::Unable { what: format!("{what} is longer than AMQP allows") })
}

/// Gives each reply to whoever waits for it. One that nobody waits for any more is dropped.
async fn sort(mut consumer: Consumer, waiting: Waiting) {
    while let Some(Ok(delivery)) = consumer.next().await {
        if let Some((ticket, reply)) = read(&delivery)
            && let Some(sender) = waiting.lock().get(&ticket)
        {
            // Fails only when the request has just been given up.
            let _ = sender.send(reply);
        }
    }
}

fn read(delivery: &Delivery) -> Option<(String, Reply)> {
    let properties = &delivery.properties;
    let header = |name: &str| match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    };
    let content_type = properties.content_type().as_ref().map_or(JSON, |kind| kind.as_str());
    let body = envelope::plain(&delivery.data, header("compression").as_deref()).ok()?;
    let body: Value = document(format(content_type).ok()?, &body).ok()?;
    Some((header("ticket")?, Reply::from_body(body).ok()?))
}

/// A place in the list of those who wait, until it is dropped.
struct Ticket {
    waiting: Waiting,
    name: String,
}

impl Ticket {
    fn new(waiting: &Waiting, name: &str, sender: mpsc::UnboundedSender<Reply>) -> Self {
        waiting.lock().insert(name.to_owned(), sender);
        Self { waiting: waiting.clone(), name: name.to_owned() }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.name);
    }
}
