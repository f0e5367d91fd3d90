//! Changing what waits on RabbitMQ: messages are got one by one without acknowledging them, and acknowledged once they
//! are kept, or published again and confirmed. What was got and not chosen goes back when the channel closes. So a
//! message that is moved may come twice where we are killed between confirmation and acknowledgement, and is never lost.

use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use serde_json::{Map, Value};

use super::ANSWER;
use super::post::{Post, confirming, short};
use super::table::{from_table, to_table};
use crate::broker::change::{Sift, Sifted};
use crate::broker::{Error, Result};
use crate::celery::envelope::Envelope;
use crate::celery::original::{Beside, Original, enveloped};
use crate::celery::queue::Waiting;

/// Messages got before some are chosen: so many may come twice at the worst.
const PIECE: usize = 100;

/// See [`crate::broker::Broker::sift`].
pub(super) async fn sift(post: &Post, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted> {
    post.is_open().await?;
    if let Some(to) = to {
        declare(post, to).await?;
    }
    let channel = confirming(&post.link).await?;
    let done = pieces(post, &channel, queue, sift, to).await;
    // Whatever was not acknowledged waits again.
    let closed = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    if let Ok(Err(error)) = closed {
        tracing::debug!("closing the channel: {error}");
    }
    done
}

async fn pieces(post: &Post, channel: &Channel, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted> {
    let mut sifted = Sifted::default();
    // What comes meanwhile is not ours to take.
    let mut left = usize::MAX;
    while left > 0 {
        let mut got: Vec<BasicGetMessage> = Vec::new();
        while got.len() < PIECE.min(left) {
            let name = short(queue, "the queue's name")?;
            let get = tokio::time::timeout(ANSWER, channel.basic_get(name, BasicGetOptions::default())).await;
            let Some(message) = post.link.answered("basic.get", get)? else { break };
            if left == usize::MAX {
                left = message.message_count as usize + 1;
            }
            got.push(message);
        }
        if got.is_empty() {
            break;
        }
        left = left.saturating_sub(got.len());
        let place = sifted.looked as usize;
        let messages: Vec<Waiting> = got.iter().enumerate().map(|(i, got)| waiting(place + i, got)).collect();
        let chosen: Vec<usize> = sift.choose(&messages).into_iter().filter(|i| *i < got.len()).collect();
        let originals: Vec<Original> = chosen.iter().filter_map(|i| messages[*i].original(queue)).collect();
        if !chosen.is_empty() {
            sift.keep(&originals).map_err(|what| Error::Unable { what })?;
        }
        for i in &chosen {
            take(post, channel, &got[*i], to, sift.task()).await?;
        }
        let taken = vec![true; chosen.len()];
        sifted.count(got.len(), &taken);
        if !chosen.is_empty() && !sift.taken(&taken) {
            break;
        }
    }
    Ok(sifted)
}

/// Takes one message for good, once it is where it should go.
async fn take(post: &Post, channel: &Channel, got: &Delivery, to: Option<&str>, task: Option<&str>) -> Result<()> {
    if let Some(to) = to {
        let mut properties = got.properties.clone();
        if let (Some(task), Some(headers)) = (task, got.properties.headers()) {
            let mut headers = headers.clone();
            headers.insert("task".into(), AMQPValue::LongString(task.into()));
            properties = properties.with_headers(headers);
        }
        let sent = post.publish(channel, "", to, &got.data, properties).await;
        sent.map_err(|unsent| unsent.error(&post.link.url, "", to))?;
    }
    let acked = tokio::time::timeout(ANSWER, got.acker.ack(BasicAckOptions::default())).await;
    post.link.answered("basic.ack", acked).map(|_| ())
}

/// Makes a queue as Celery's workers would, where there is none.
async fn declare(post: &Post, queue: &str) -> Result<()> {
    let name = || short(queue, "the queue's name");
    let there = post.link.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let asked = tokio::time::timeout(ANSWER, there.queue_declare(name()?, passive, FieldTable::default())).await;
    if matches!(asked, Ok(Ok(_))) {
        return Ok(());
    }
    let channel = post.link.channel().await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let made = tokio::time::timeout(ANSWER, channel.queue_declare(name()?, durable, FieldTable::default())).await;
    post.link.answered("queue.declare", made).map(|_| ())
}

fn waiting(place: usize, got: &Delivery) -> Waiting {
    let properties = &got.properties;
    let headers = match properties.headers().as_ref().map(from_table) {
        Some(Value::Object(headers)) => headers,
        _ => Map::new(),
    };
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
    let (kind, encoding) = (text(properties.content_type()), text(properties.content_encoding()));
    let (correlation_id, reply_to) = (text(properties.correlation_id()), text(properties.reply_to()));
    let priority = *properties.priority();
    let beside = Beside {
        headers: &headers,
        content_type: kind.as_deref().unwrap_or("application/json"),
        content_encoding: encoding.as_deref().unwrap_or("utf-8"),
        priority: priority.map(i64::from),
        correlation_id: correlation_id.as_deref(),
        reply_to: reply_to.as_deref(),
        exchange: got.exchange.as_str(),
        routing_key: got.routing_key.as_str(),
        redelivered: got.redelivered,
    };
    Waiting::read(place, priority.unwrap_or(0), &enveloped(&beside, &got.data))
}

/// See [`crate::broker::Broker::put`].
pub(super) async fn put(post: &Post, messages: &[Original]) -> Result<usize> {
    post.is_open().await?;
    let channel = confirming(&post.link).await?;
    for message in messages {
        let unreadable =
            |why: crate::celery::Error| Error::Unable { what: format!("a message can't be put back: {why}") };
        let envelope = Envelope::parse(&message.bytes).map_err(unreadable)?;
        let body = envelope.packed().map_err(unreadable)?;
        let sent = post.publish(&channel, "", &message.queue, &body, properties(message)?).await;
        sent.map_err(|unsent| unsent.error(&post.link.url, "", &message.queue))?;
    }
    Ok(messages.len())
}

/// What AMQP carries beside the body of a message in an envelope.
fn properties(message: &Original) -> Result<BasicProperties> {
    let whole: Value = crate::celery::json::parse(&message.bytes).unwrap_or_default();
    let (told, text) = (&whole["properties"], |value: &Value| value.as_str().map(str::to_owned));
    let kind = text(&whole["content-type"]).unwrap_or_else(|| "application/json".into());
    let encoding = text(&whole["content-encoding"]).unwrap_or_else(|| "utf-8".into());
    let mut properties = BasicProperties::default()
        .with_content_type(short(&kind, "the content type")?)
        .with_content_encoding(short(&encoding, "the content encoding")?)
        .with_headers(to_table(&whole["headers"]))
        .with_delivery_mode(2)
        .with_priority(told["priority"].as_u64().and_then(|n| u8::try_from(n).ok()).unwrap_or(message.priority));
    if let Some(id) = text(&told["correlation_id"]) {
        properties = properties.with_correlation_id(short(&id, "the correlation id")?);
    }
    if let Some(reply_to) = text(&told["reply_to"]) {
        properties = properties.with_reply_to(short(&reply_to, "the reply queue")?);
    }
    Ok(properties)
}
