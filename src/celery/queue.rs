//! What a broker tells of a queue: how much waits in it, and what.

use std::sync::Arc;

use super::TaskId;
use super::event::Undecodable;
use super::message::Message;
use super::original::Original;
use crate::clock::Stamp;

/// A queue's depth at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Depth {
    pub name: String,
    pub ready: u64,
    /// Waiting messages by priority, most urgent first; one entry where the broker has no priorities.
    pub by_priority: Vec<(u8, u64)>,
    /// Delivered and not acknowledged; `None` where the broker can't tell.
    pub unacked: Option<u64>,
    /// Consumers by the broker's own count; `None` where it can't tell.
    pub consumers: Option<u64>,
    /// The messages that are next in line, one of each priority that waits; empty where nobody looked.
    pub next: Vec<TaskId>,
    /// What RabbitMQ calls its type: classic, quorum, stream.
    pub kind: Option<String>,
    /// The policy that is in force on it.
    pub policy: Option<String>,
    /// Bytes it takes up in the broker.
    pub memory: Option<u64>,
    /// Messages a second into and out of it, by the broker's own count.
    pub rates: Option<(f64, f64)>,
}

/// A message in a queue, looked at without taking it.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its place in the order they will be taken, from zero.
    pub place: usize,
    /// The priority step it waits at; the lowest number is the most urgent on Redis.
    pub priority: u8,
    pub message: Result<Message, Undecodable>,
    /// The message to the letter, in kombu's envelope; `None` where only its beginning was seen.
    pub raw: Option<Arc<[u8]>>,
}

impl Waiting {
    /// Reads what lies at a place of a queue.
    pub fn read(place: usize, priority: u8, bytes: &[u8]) -> Self {
        Self { place, priority, message: read(bytes), raw: Some(bytes.into()) }
    }

    /// Bytes of the whole message.
    pub fn size(&self) -> usize {
        size(&self.message)
    }

    /// The message as it can be kept and put back, where all of it was seen.
    pub fn original(&self, queue: &str) -> Option<Original> {
        Some(Original { queue: queue.to_owned(), priority: self.priority, bytes: self.raw.clone()? })
    }
}

/// A message that a worker was given and has not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    pub tag: String,
    pub queue: String,
    /// When it was given out.
    pub at: Option<Stamp>,
    pub message: Result<Message, Undecodable>,
    /// What the broker keeps of it, to the letter.
    pub raw: Arc<[u8]>,
}

impl Delivered {
    /// Reads a delivered message; `raw` is what the broker keeps, the message with what belongs to it.
    pub fn read(tag: String, queue: String, at: Option<Stamp>, bytes: &[u8], raw: &[u8]) -> Self {
        Self { tag, queue, at, message: read(bytes), raw: raw.into() }
    }

    /// Bytes of the whole message.
    pub fn size(&self) -> usize {
        size(&self.message)
    }
}

fn read(bytes: &[u8]) -> Result<Message, Undecodable> {
    Message::decode(bytes).map_err(|why| Undecodable { size: bytes.len(), why })
}

fn size(message: &Result<Message, Undecodable>) -> usize {
    match message {
        Ok(message) => message.size,
        Err(bad) => bad.size,
    }
}

/// What the names of Celery's delaying exchanges and queues begin with; 28 of them have a number behind it, one for each
/// bit of the seconds (Celery 5.5 and later, kombu 5.7.0, `transport/native_delayed_delivery.py`).
pub const DELAYED: &str = "celery_delayed_";
const BITS: usize = 28;

/// Where a message would have been sent without its delay, if RabbitMQ was to delay it.
pub fn behind_delay(exchange: &str, routing_key: &str) -> Option<(String, String)> {
    exchange.strip_prefix(DELAYED)?.parse::<u8>().ok()?;
    let key = routing_key.splitn(BITS + 1, '.').nth(BITS)?;
    Some((format!("{DELAYED}delivery"), key.to_owned()))
}

/// Queue names that are Celery's own plumbing (`protocol/README.md`, 3.3 and 3.4).
pub fn is_internal(name: &str) -> bool {
    name == "celeryev"
        || name.starts_with("celeryev.")
        || name.ends_with(".pidbox")
        || name.starts_with("reply.")
        || name.starts_with("amq.gen-")
        || name.starts_with(DELAYED)
        // Where a client with `rpc://` gets its results (Celery 5.7.0, `backends/rpc.py`, `oid`).
        || matches!(TaskId::new(name), TaskId::Uuid(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_get_their_results_from_is_no_queue_of_tasks() {
        assert!(is_internal("ce311c21-3d1d-3b45-9c39-0b2b33e3796e"));
        assert!(!is_internal("payments") && !is_internal("ce311c21-payments"));
    }

    #[test]
    fn a_delayed_message_is_known_by_its_exchange_and_led_past_the_delay() {
        let bits = vec!["0"; 28].join(".");
        let behind = behind_delay("celery_delayed_27", &format!("{bits}.shop.orders"));
        assert_eq!(behind, Some(("celery_delayed_delivery".into(), "shop.orders".into())));
        assert_eq!(behind_delay("celery_delayed_delivery", "shop.orders"), None);
        assert_eq!(behind_delay("tasks", &format!("{bits}.x")), None);
        assert_eq!(behind_delay("celery_delayed_27", "0.1"), None);
    }
}
