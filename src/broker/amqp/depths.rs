//! How much waits in queues, by AMQP alone: a queue is asked for by its name, and one that isn't there closes the channel
//! it was asked for on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::dial::Link;
use super::{ANSWER, fault};
use crate::broker::{Error, Result};
use crate::celery::queue::{Depth, is_internal};

/// For how long a queue that wasn't there, or that we may not ask about, is not asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// A connection to ask on, and what was learnt from it.
pub(super) struct Asker {
    link: Link,
    channel: Option<Channel>,
    absent: HashMap<String, Instant>,
}

impl Asker {
    pub fn new(link: Link) -> Self {
        Self { link, channel: None, absent: HashMap::new() }
    }

    /// Whether it can be used.
    pub fn stands(&self) -> bool {
        self.link.stands()
    }

    /// Depths of those queues that there are.
    pub async fn depths(&mut self, names: &[String]) -> Result<Vec<Depth>> {
        self.absent.retain(|_, at| at.elapsed() < AGAIN);
        let mut depths = Vec::new();
        for name in names.iter().filter(|name| !is_internal(name)) {
            if self.absent.contains_key(name) {
                continue;
            }
            match self.depth(name).await? {
                Some(depth) => depths.push(depth),
                None => {
                    self.absent.insert(name.clone(), Instant::now());
                }
            }
        }
        Ok(depths)
    }

    async fn depth(&mut self, name: &str) -> Result<Option<Depth>> {
        let Ok(queue) = ShortString::try_new(name) else { return Ok(None) };
        let channel = self.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = tokio::time::timeout(ANSWER, channel.queue_declare(queue, options, FieldTable::default())).await;
        if let Ok(Err(error)) = &asked
            && fault::is_absent(error)
        {
            self.channel = None;
            return Ok(None);
        }
        match self.link.answered("queue.declare", asked) {
            Ok(queue) => {
                let ready = u64::from(queue.message_count());
                Ok(Some(Depth {
                    name: name.to_owned(),
                    ready,
                    by_priority: vec![(0, ready)],
                    consumers: Some(u64::from(queue.consumer_count())),
                    ..Depth::default()
                }))
            }
            // Some other client's own queue, or one this user may not see: the rest is of interest all the same.
            Err(Error::Denied { .. } | Error::Command { .. }) => {
                self.channel = None;
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Seconds an answer takes.
    pub async fn round_trip(&mut self) -> Result<f64> {
        let channel = self.channel().await?;
        let begun = Instant::now();
        let asked = tokio::time::timeout(ANSWER, channel.basic_qos(0, Default::default())).await;
        self.link.answered("basic.qos", asked)?;
        Ok(begun.elapsed().as_secs_f64())
    }

    async fn channel(&mut self) -> Result<Channel> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.link.channel().await?;
        Ok(self.channel.insert(channel).clone())
    }
}
