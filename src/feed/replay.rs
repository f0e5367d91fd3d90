//! A recorded event stream as a broker: at its own pace for the screen, or all at once.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::broker::{Broker, Capabilities, Error, EventStream, Health, RawMessage, Result};
use crate::celery::envelope::{self, Coding};
use crate::celery::message::Outgoing;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use crate::clock::{Clock, Stamp};

/// One line of a recording.
#[derive(Deserialize)]
struct Line {
    recv: f64,
    #[serde(default)]
    channel: String,
    data: String,
}

/// Writes a message as a line of a recording, without the line break.
pub fn to_line(message: &RawMessage) -> String {
    let data = match &message.coding {
        Coding::Envelope => String::from_utf8_lossy(&message.data),
        // One shape for all brokers, so that a recording of any is played the same way.
        Coding::Body { content_type, compression } => {
            envelope::wrap(&message.data, content_type, compression.as_deref()).into()
        }
    };
    serde_json::json!({"recv": message.received.secs(), "channel": message.channel, "data": data}).to_string()
}

/// Reads a recording. A line that is none is an error that says which.
pub fn read(path: &Path) -> anyhow::Result<Vec<RawMessage>> {
    use anyhow::Context;
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("can't open {shown}"))?;
    let mut messages = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("{shown}, line {}: not text", number + 1))?;
        if line.trim().is_empty() {
            continue;
        }
        let parsed = crate::celery::json::with_python_json(line.as_bytes(), |b| serde_json::from_slice::<Line>(b));
        let parsed = parsed.map_err(|e| anyhow::anyhow!("{shown}, line {}: no recorded event ({e})", number + 1))?;
        let received = Stamp::from_secs(parsed.recv)
            .ok_or_else(|| anyhow::anyhow!("{shown}, line {}: recv is no time", number + 1))?;
        let data = parsed.data.into_bytes();
        messages.push(RawMessage { received, channel: parsed.channel, data, coding: Coding::Envelope });
    }
    Ok(messages)
}

/// A recording behind a [`Broker`]. The past takes no commands.
pub struct ReplayBroker {
    name: String,
    messages: Arc<Vec<RawMessage>>,
    speed: f64,
    clock: Clock,
}

impl ReplayBroker {
    /// Plays at `speed` times the recorded pace, moving `clock` along.
    pub fn new(name: String, messages: Vec<RawMessage>, speed: f64, clock: Clock) -> Self {
        Self { name, messages: Arc::new(messages), speed, clock }
    }

    fn refusal(&self) -> Error {
        Error::Refused { url: self.url(), why: "a recording takes no commands".into() }
    }
}

/// How often the clock moves while nothing comes.
const STEP: Duration = Duration::from_millis(100);

#[async_trait]
impl Broker for ReplayBroker {
    fn url(&self) -> String {
        format!("replay: {}", self.name)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            priorities: false,
            unacked: false,
            peek: false,
            peek_marks: false,
            delivered: false,
            waits: true,
        }
    }

    async fn events(&self) -> Result<EventStream> {
        let (messages, clock, speed) = (self.messages.clone(), self.clock.clone(), self.speed);
        let (begun, start) = (tokio::time::Instant::now(), clock.now());
        let stream = futures_util::stream::unfold(0, move |next: usize| {
            let (messages, clock) = (messages.clone(), clock.clone());
            async move {
                loop {
                    let virtual_now = start + begun.elapsed().mul_f64(speed);
                    match messages.get(next) {
                        Some(message) if message.received <= virtual_now => {
                            clock.set(message.received.max(clock.now()));
                            return Some((message.clone(), next + 1));
                        }
                        upcoming => {
                            clock.set(virtual_now);
                            let gap = upcoming.map_or(STEP, |m| m.received.since(virtual_now).div_f64(speed));
                            tokio::time::sleep(gap.clamp(Duration::from_millis(1), STEP)).await;
                        }
                    }
                }
            }
        });
        Ok(stream.boxed())
    }

    async fn control(&self, _: &Request, _: &[String], _: Duration) -> Result<Vec<Reply>> {
        Err(self.refusal())
    }

    async fn publish(&self, _: &Outgoing) -> Result<()> {
        Err(self.refusal())
    }

    async fn queues(&self, _: &[String]) -> Result<Vec<Depth>> {
        Ok(Vec::new())
    }

    async fn peek(&self, _: &str, _: Range<usize>) -> Result<Vec<Waiting>> {
        Err(Error::Unable { what: "a recording holds no messages, only events".into() })
    }

    async fn unacked(&self, _: usize) -> Result<Vec<Delivered>> {
        Err(Error::Unable { what: "a recording holds no messages, only events".into() })
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health { kind: "recording".into(), ..Health::default() })
    }
}
