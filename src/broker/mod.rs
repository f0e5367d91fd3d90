//! The wire to the cluster. A [`Broker`] moves bytes that [`crate::celery`] reads and writes; what they mean to the
//! cluster is none of its business. Only [`crate::ops`] and [`crate::feed`] use one.

pub mod amqp;
pub mod change;
pub mod flood;
pub mod http;
pub mod link;
pub mod options;
pub mod redis;
mod rights;
pub mod setup;
pub mod tls;
pub mod url;
pub mod wire;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::celery::envelope::Coding;
use crate::celery::message::Outgoing;
use crate::celery::original::Original;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use crate::clock::Stamp;
use crate::schedule::redbeat::Documents;
use change::{Sift, Sifted};
use setup::Setup;

pub use link::LinkState;
pub use options::{FanoutPrefix, TransportOptions};
pub use url::{BrokerUrl, Secret};

/// Why a broker could not do what it was asked. Texts never hold a password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("{what}")]
    Url { what: String },
    /// Something other than the URL is set wrong, or names what can't be used.
    #[error("{what}")]
    Setting { what: String },
    #[error("can't reach {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("{url} refused us: {why}")]
    Refused { url: String, why: String },
    /// Reached, but no TLS came about.
    #[error("no TLS connection to {url}: {why}")]
    Tls { url: String, why: String },
    /// The sentinels answer, and lead to no master.
    #[error("{url}: {why}")]
    Sentinel { url: String, why: String },
    /// We are in, but may not do this.
    #[error("{url} does not let us {what}: {why}")]
    Denied { url: String, what: String, why: String },
    /// Something else listens there; `wants` is the protocol we tried.
    #[error("{url} does not speak {wants}")]
    Foreign { url: String, wants: &'static str },
    /// A message was not taken.
    #[error("{url} did not take the message: {why}")]
    NotTaken { url: String, why: String },
    /// A message was written, and the broker did not say that it has it: it may still take it.
    #[error("{url} did not confirm the message: {why}; it may still be carried out")]
    Unsure { url: String, why: String },
    /// Nothing is wrong: brokers of this kind can't.
    #[error("{what}")]
    Unable { what: String },
    #[error("{url} answered {command} with: {why}")]
    Command { url: String, command: &'static str, why: String },
    #[error("{url} gave no answer to {command} within {secs}s")]
    Timeout { url: String, command: &'static str, secs: u64 },
}

impl Error {
    /// Why, where the address stands elsewhere.
    pub fn reason(&self) -> String {
        match self {
            Error::Url { what } | Error::Setting { what } | Error::Unable { what } => what.clone(),
            Error::Unreachable { why, .. } | Error::Sentinel { why, .. } => why.clone(),
            Error::Tls { why, .. } => format!("no TLS: {why}"),
            Error::Denied { what, why, .. } => format!("it does not let us {what}: {why}"),
            Error::Refused { why, .. } => format!("it refused us: {why}"),
            Error::Foreign { wants, .. } => format!("it does not speak {wants}"),
            Error::NotTaken { why, .. } => format!("it did not take the message: {why}"),
            Error::Unsure { why, .. } => format!("it did not confirm the message: {why}; it may still be carried out"),
            Error::Command { command, why, .. } => format!("it answered {command} with: {why}"),
            Error::Timeout { command, secs, .. } => format!("it gave no answer to {command} within {secs}s"),
        }
    }

    /// What the person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Url { .. } => {
                "A broker URL looks like redis://:password@host:6379/0 or amqp://user:password@host:5672/vhost"
            }
            Error::Setting { .. } => "Look at the broker URL, broker_use_ssl and the transport options",
            // A reason that names a setting says what to do with it.
            Error::Tls { why, .. } if why.contains("ssl_") => "",
            Error::Tls { .. } => {
                "The URL or broker_use_ssl sets ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs"
            }
            Error::Sentinel { .. } => "master_name and sentinel_kwargs stand in the transport options",
            Error::Denied { .. } => "Ask for the permission, or for another user",
            Error::Unreachable { .. } => "Is the broker running, and are host and port right?",
            Error::Refused { .. } => "Check user, password, and the database's number or the virtual host's name",
            Error::Foreign { .. } => "Is that the right port?",
            Error::NotTaken { .. } => "Nothing was sent; try again when that is mended",
            Error::Unsure { .. } => "Look whether it was carried out before it is tried again",
            Error::Unable { .. } => "",
            Error::Command { .. } => "The user may lack a permission",
            Error::Timeout { .. } => "The link or the broker may be overloaded",
        }
    }
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// What a broker can do; what it can't, screens show as `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Waiting messages are counted by priority.
    pub priorities: bool,
    /// Unacknowledged messages are counted by queue.
    pub unacked: bool,
    /// Messages can be looked at without taking them.
    pub peek: bool,
    /// Looking leaves a mark on the messages: a person has to ask for each look.
    pub peek_marks: bool,
    /// Messages that were delivered and not acknowledged can be looked at.
    pub delivered: bool,
    /// Its events wait until they are taken. Of others, what we are too slow for is lost.
    pub waits: bool,
}

/// An event message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    pub received: Stamp,
    pub channel: Arc<str>,
    pub data: Bytes,
    /// How `data` is to be read.
    pub coding: Coding,
}

/// Event messages until the connection ends, in the pieces in which they come together: being woken costs more than a
/// message, and so a broker gathers them for a moment.
pub type EventStream = BoxStream<'static, Vec<RawMessage>>;

/// A part of our work that the broker's permissions can take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Hear events.
    Events,
    /// Send commands to workers.
    Control,
    /// Read what workers reply.
    Replies,
    /// Find queues that no worker and no event names.
    Discovery,
    /// Read how much waits in queues.
    Queues,
    /// Read what was delivered and not acknowledged.
    Unacked,
}

/// Something we may not do, and how the broker says so.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lack {
    pub right: Right,
    /// What was tried.
    pub what: String,
    pub why: String,
}

/// How the broker itself is.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Health {
    /// `redis`, `valkey`, `keydb`, `dragonfly`, `rabbitmq`, or `simulated`.
    pub kind: String,
    pub version: String,
    /// Seconds since it started.
    pub uptime: Option<u64>,
    /// Bytes.
    pub memory_used: Option<u64>,
    /// Bytes; `None` is without limit.
    pub memory_max: Option<u64>,
    pub clients: Option<u64>,
    pub evicted: Option<u64>,
    /// Messages delivered and not acknowledged, of all queues.
    pub unacked: Option<u64>,
    /// Round trip in seconds.
    pub rtt: f64,
    /// Commands a second, all clients together.
    pub commands: Option<f64>,
    /// Commands a second that we send ourselves.
    pub own_commands: Option<f64>,
    /// Bytes of events that the broker holds back for slow readers.
    pub backlog: Option<u64>,
    /// Seconds after which a message that nobody acknowledged is given out again.
    pub visibility_timeout: Option<u64>,
    /// Which of several servers is in use, such as `mymaster → 10.0.0.3:6379`.
    pub master: Option<String>,
    /// How workers choose between their queues, where it is not their usual way.
    pub queue_order: Option<String>,
    /// What we may not do here.
    pub lacks: Vec<Lack>,
    /// What stops the broker from taking messages, such as `memory alarm on rabbit@a`.
    pub alarms: Vec<String>,
    /// Messages that the broker itself holds until their time (Celery's native delayed delivery).
    pub delayed: Option<u64>,
    /// Why part of what is usually seen can't be.
    pub blind: Option<String>,
}

impl Health {
    /// What keeps everybody from publishing, if something does: a node that is down doesn't.
    pub fn alarm(&self) -> Option<&str> {
        self.alarms.iter().map(String::as_str).find(|alarm| alarm.contains("alarm"))
    }

    /// Why something can't be done here, if it can't.
    pub fn lack(&self, right: Right) -> Option<&Lack> {
        self.lacks.iter().find(|lack| lack.right == right)
    }
}

/// A connection to one cluster's broker.
#[async_trait]
pub trait Broker: Send + Sync {
    /// The URL without its password.
    fn url(&self) -> String;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Subscribes to events. The stream ends with the connection.
    async fn events(&self) -> Result<EventStream>;

    /// Events that the broker has dropped before we could take them, since this was asked last: that many at least.
    fn missed(&self) -> u64 {
        0
    }

    /// Sends a remote-control request and collects the replies: until every name in `expected` has answered, or, where
    /// that is not known, until the time is up.
    async fn control(&self, request: &Request, expected: &[String], wait: Duration) -> Result<Vec<Reply>>;

    /// Puts a task into its queue. On Redis it can be tried again: the same id is not put twice within minutes.
    async fn publish(&self, message: &Outgoing) -> Result<()>;

    /// Depths of the queues named and of all others the broker knows.
    async fn queues(&self, names: &[String]) -> Result<Vec<Depth>>;

    /// Looks at the messages that are next in line, and notes them in each queue's depth. Does nothing where the broker
    /// can't tell, or where [`Broker::queues`] tells it already.
    async fn next_in_line(&self, _depths: &mut [Depth]) -> Result<()> {
        Ok(())
    }

    /// Looks at waiting messages without taking them, in the order they will be taken.
    async fn peek(&self, queue: &str, range: Range<usize>) -> Result<Vec<Waiting>>;

    /// Looks at up to `most` messages of all queues that were delivered and not acknowledged, oldest first.
    async fn unacked(&self, most: usize) -> Result<Vec<Delivered>>;

    /// Takes what is chosen of the messages that wait in a queue when this begins; with `to`, puts them into that queue,
    /// behind what waits there, which is made where there is none. No message is lost by being killed in the middle.
    async fn sift(&self, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted>;

    /// Puts messages into their queues, behind what waits there. `name` and `from` tell this piece from others: put a second
    /// time under the same name, it is not put again where the broker can remember that. Says how many were put.
    async fn put(&self, messages: &[Original], name: &str, from: usize) -> Result<usize>;

    /// Gives all that waits in a queue to another name at once, which nothing waits under; says how many messages that are.
    async fn rename(&self, _queue: &str, _to: &str) -> Result<u64> {
        Err(Error::Unable { what: "this broker can't rename a queue".into() })
    }

    /// Puts all that was renamed back, before what waits there meanwhile; says how many messages were put back.
    async fn rename_back(&self, _from: &str, _queue: &str) -> Result<u64> {
        Err(Error::Unable { what: "this broker can't rename a queue".into() })
    }

    /// Gives deliveries out again as if their worker had been gone for the visibility timeout; says which were still there.
    async fn requeue(&self, _delivered: &[Delivered]) -> Result<Vec<bool>> {
        Err(Error::Unable { what: "this broker gives messages out again by itself, when their worker is gone".into() })
    }

    /// RedBeat's entries, where the broker is what it keeps them on.
    async fn redbeat(&self) -> Result<Documents> {
        Err(Error::Unable { what: NO_REDBEAT.into() })
    }

    /// Puts a definition of RedBeat's in the place of another; false where that is not there any more.
    async fn replace_redbeat(&self, _key: &str, _old: &str, _new: &str) -> Result<bool> {
        Err(Error::Unable { what: NO_REDBEAT.into() })
    }

    /// How a queue differs from one that is declared plainly, as Celery declares what its application does not define:
    /// RabbitMQ turns such a declaration away. `None` where it doesn't, or the broker does not tell.
    async fn not_plain(&self, _queue: &str) -> Option<String> {
        None
    }

    /// How the broker is.
    async fn health(&self) -> Result<Health>;

    /// How the broker is set up, as far as it lets us ask.
    async fn setup(&self) -> Setup {
        Setup::default()
    }
}

const NO_REDBEAT: &str = "RedBeat keeps its entries on Redis, and not on this broker";

/// Opens the broker of a URL. Nothing is connected yet.
pub fn open(url: &BrokerUrl, options: TransportOptions) -> Result<Arc<dyn Broker>> {
    match url {
        BrokerUrl::Redis(url) => Ok(Arc::new(redis::RedisBroker::open(url, options)?)),
        BrokerUrl::Amqp(url) => Ok(Arc::new(amqp::AmqpBroker::open(url, &options)?)),
    }
}
