//! Events in great numbers: published without waiting for anything, on a connection of their own.

use async_trait::async_trait;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};

use super::dial::{Dialer, Link};
use super::events::EVENTS;
use super::post::confirming;
use super::{ANSWER, declare, fault};
use crate::broker::flood::{self, Message};
use crate::broker::url::AmqpUrl;
use crate::broker::{Result, TransportOptions};

/// See the module.
pub struct Flood {
    link: Link,
    channel: Channel,
    messages: std::vec::IntoIter<Message>,
}

impl Flood {
    /// Connects, and declares the exchange that events go to.
    pub async fn open(url: &AmqpUrl, options: &TransportOptions) -> Result<Self> {
        let link = Dialer::new(url, options)?.connect("bench").await?;
        declare(&link, &EVENTS).await;
        Ok(Self { channel: confirming(&link).await?, link, messages: Vec::new().into_iter() })
    }
}

#[async_trait]
impl flood::Flood for Flood {
    fn load(&mut self, messages: Vec<Message>) {
        self.messages = messages.into_iter();
    }

    async fn send(&mut self, count: usize) -> Result<()> {
        for message in self.messages.by_ref().take(count) {
            let (options, key) = (BasicPublishOptions::default(), message.routing_key.into());
            let (body, properties) = (&message.body, properties(&message));
            let sent = self.channel.basic_publish(EVENTS.name.into(), key, options, body, properties).await;
            sent.map_err(|error| fault::error(&self.link.url, "basic.publish", &error))?;
        }
        Ok(())
    }

    /// The broker confirms each message. No other answer would do: the library lets those that are no messages go first.
    async fn settle(&mut self) -> Result<()> {
        let confirmed = tokio::time::timeout(12 * ANSWER, self.channel.wait_for_confirms()).await;
        self.link.answered("basic.publish", confirmed).map(|_| ())
    }
}

fn properties(message: &Message) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("hostname".into(), AMQPValue::LongString(message.hostname.as_str().into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers)
        .with_delivery_mode(1)
        .with_priority(0)
}
