//! Events put together into `task.multi` as workers with an event loop do: what they tell of tasks goes out in lists, while
//! `task-sent` and what they tell of themselves goes out one by one (Celery 5.7.0, `events/dispatcher.py`).

use std::collections::HashMap;

use flower_tui::broker::RawMessage;
use flower_tui::celery::envelope::{Envelope, to_base64};
use serde_json::{Value, json};

/// Events in the lists of one worker, in turn: 3.3 in the mean, which busy prefork workers on Redis were seen to send.
const SIZES: [usize; 6] = [1, 2, 3, 4, 6, 4];

/// A message to be published.
pub struct Message {
    pub routing_key: String,
    pub hostname: String,
    pub body: Vec<u8>,
    pub events: usize,
}

/// Each event as a message of its own.
pub fn single(messages: &[RawMessage]) -> Vec<Message> {
    messages.iter().map(read).collect()
}

/// Events of tasks in lists.
pub fn as_workers(messages: &[RawMessage]) -> Vec<Message> {
    let (mut out, mut waiting) = (Vec::new(), HashMap::<String, (usize, Vec<Message>)>::new());
    for message in messages.iter().map(read) {
        if message.routing_key == "task.sent" || !message.routing_key.starts_with("task.") {
            out.push(message);
            continue;
        }
        let (lists, pending) = waiting.entry(message.hostname.clone()).or_default();
        pending.push(message);
        if pending.len() >= SIZES[*lists % SIZES.len()] {
            *lists += 1;
            out.push(list(&std::mem::take(pending)));
        }
    }
    out.extend(waiting.into_values().filter(|(_, pending)| !pending.is_empty()).map(|(_, pending)| list(&pending)));
    out
}

impl Message {
    /// The envelope that kombu puts around it on Redis.
    pub fn envelope(&self) -> Vec<u8> {
        let envelope = json!({
            "body": to_base64(&self.body),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": self.hostname},
            "properties": {
                "delivery_mode": 1, "delivery_info": {"exchange": "celeryev", "routing_key": self.routing_key},
                "priority": 0, "body_encoding": "base64", "delivery_tag": "00000000-0000-4000-8000-000000000000",
            },
        });
        envelope.to_string().into_bytes()
    }
}

fn read(message: &RawMessage) -> Message {
    let envelope = Envelope::parse(&message.data).unwrap();
    let hostname = envelope.headers().get("hostname").and_then(Value::as_str).unwrap().to_owned();
    let routing_key = message.channel.rsplit_once('/').unwrap().1.to_owned();
    Message { routing_key, hostname, body: envelope.body().unwrap().into_owned(), events: 1 }
}

fn list(messages: &[Message]) -> Message {
    let (events, hostname) = (messages.len(), messages[0].hostname.clone());
    let bodies: Vec<&[u8]> = messages.iter().map(|m| &m.body[..]).collect();
    let body = [b"[", &bodies.join(&b", "[..])[..], b"]"].concat();
    Message { routing_key: "task.multi".to_owned(), hostname, body, events }
}
