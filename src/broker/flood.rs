//! Putting many events on a broker, faster than anybody reads them: for measuring what happens then.

use async_trait::async_trait;

use super::{BrokerUrl, Result, TransportOptions, amqp, redis};

/// An event, or a list of them, as a worker puts it on the broker.
pub struct Message {
    pub routing_key: &'static str,
    /// Who tells it.
    pub hostname: String,
    /// JSON.
    pub body: Vec<u8>,
    /// How many it holds.
    pub events: usize,
}

/// A connection to publish events on.
#[async_trait]
pub trait Flood: Send {
    /// Makes of messages what can be made beforehand.
    fn load(&mut self, messages: Vec<Message>);

    /// Sends the next so many of those that were loaded.
    async fn send(&mut self, count: usize) -> Result<()>;

    /// Waits until the broker has taken everything sent.
    async fn settle(&mut self) -> Result<()>;
}

/// Connects to the broker of a URL.
pub async fn open(url: &BrokerUrl, options: TransportOptions) -> Result<Box<dyn Flood>> {
    match url {
        BrokerUrl::Redis(url) => Ok(Box::new(redis::Flood::open(url, options).await?)),
        BrokerUrl::Amqp(url) => Ok(Box::new(amqp::Flood::open(url, &options).await?)),
    }
}
