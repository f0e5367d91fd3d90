//! Waiting for replies. Workers put them straight into a list of ours, through the default exchange: no binding is
//! needed that a worker's sweep could delete (`protocol/README.md`, 4.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::time::Instant;

use super::keys::Keys;
use crate::celery::TaskId;
use crate::celery::pidbox::{Reply, ReplyTo, Request};
use crate::clock::Clock;

/// Seconds after which a list with late replies vanishes: a solo worker answers only when its task is done.
const LINGER: i64 = 3_600;

/// Mailboxes that nobody waits at.
pub(super) struct Mailboxes {
    client: Client,
    idle: Mutex<Vec<Mailbox>>,
    /// Commands sent so far, by all of the broker's connections.
    sent: Arc<AtomicU64>,
}

/// A connection that may block, and the list it reads.
pub(super) struct Mailbox {
    connection: MultiplexedConnection,
    /// Without the global prefix: workers add their own.
    name: String,
    sent: Arc<AtomicU64>,
}

/// What came of a request.
pub(super) struct Asked {
    pub replies: Vec<Reply>,
    /// Nothing is under way on the connection any more.
    pub reusable: bool,
}

impl Mailboxes {
    pub fn new(client: Client, sent: Arc<AtomicU64>) -> Self {
        Self { client, idle: Mutex::new(Vec::new()), sent }
    }

    pub async fn take(&self, keys: &Keys) -> RedisResult<Mailbox> {
        let idle = self.idle.lock().pop();
        if let Some(mut mailbox) = idle {
            mailbox.count(1);
            // Also finds out whether the connection still stands; a dead one is replaced.
            let cleared: RedisResult<i64> =
                redis::cmd("DEL").arg(keys.own(&mailbox.name)).query_async(&mut mailbox.connection).await;
            if cleared.is_ok() {
                return Ok(mailbox);
            }
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(super::CONNECT))
            // Waiting for replies has its own limit.
            .set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let name = format!("flower-tui:reply:{}", TaskId::random());
        Ok(Mailbox { connection, name, sent: self.sent.clone() })
    }

    pub fn give_back(&self, mailbox: Mailbox) {
        self.idle.lock().push(mailbox);
    }
}

impl Mailbox {
    fn count(&self, commands: u64) {
        self.sent.fetch_add(commands, Ordering::Relaxed);
    }

    /// Publishes the request and collects replies.
    pub async fn ask(
        &mut self,
        keys: &Keys,
        request: &Request,
        expected: &[String],
        wait: Duration,
    ) -> RedisResult<Asked> {
        let deadline = Instant::now() + wait;
        let reply_to = ReplyTo { ticket: TaskId::random().to_string(), queue: self.name.clone() };
        let payload = request.encode_redis(Some(&reply_to), Clock::system().now() + wait);
        let publish = redis::cmd("PUBLISH").arg(keys.pidbox_channel()).arg(payload).to_owned();
        self.count(1);
        let listeners: i64 = match tokio::time::timeout(super::ANSWER, publish.query_async(&mut self.connection)).await
        {
            Ok(listeners) => listeners?,
            Err(_) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        let mut replies: Vec<Reply> = Vec::new();
        let mut reusable = true;
        // With nobody listening there is nothing to wait for.
        while listeners > 0 && !everybody_answered(expected, &replies) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let list = keys.own(&self.name);
            // Whole seconds, which every Redis understands; our own limit is the exact one.
            let pop = redis::cmd("BRPOP").arg(list).arg(left.as_secs() + 1).to_owned();
            self.count(1);
            let popped: Option<(String, Vec<u8>)> =
                match tokio::time::timeout(left, pop.query_async(&mut self.connection)).await {
                    Ok(popped) => popped?,
                    Err(_) => {
                        reusable = false;
                        break;
                    }
                };
            let Some((_, bytes)) = popped else { break };
            // What can't be read or answers an earlier request is not ours.
            if let Ok(Some(reply)) = Reply::decode_redis(&bytes, &reply_to.ticket) {
                replies.push(reply);
            }
        }
        if reusable && listeners > 0 {
            self.let_late_replies_vanish(keys).await?;
        }
        Ok(Asked { replies, reusable })
    }

    /// A late reply joins a list that has an end, instead of making one that has none.
    async fn let_late_replies_vanish(&mut self, keys: &Keys) -> RedisResult<()> {
        let list = keys.own(&self.name);
        self.count(4);
        let _: redis::Value =
            redis::pipe().atomic().rpush(&list, "").expire(&list, LINGER).query_async(&mut self.connection).await?;
        Ok(())
    }
}

fn everybody_answered(expected: &[String], replies: &[Reply]) -> bool {
    !expected.is_empty() && expected.iter().all(|name| replies.iter().any(|r| r.worker == *name))
}
