//! Waiting for replies. Workers put them straight into a list of ours, through the default exchange: no binding is
//! needed that a worker's sweep could delete (`protocol/README.md`, 4.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, timeout};

use super::dial::Dialer;
use super::fault;
use super::keys::Keys;
use crate::broker::Result;
use crate::celery::TaskId;
use crate::celery::pidbox::{self, Reply, ReplyTo, Request};
use crate::clock::Clock;

/// Seconds after which a list with late replies vanishes: a solo worker answers only when its task is done.
const LINGER: i64 = 3_600;

/// Mailboxes that nobody waits at.
pub(super) struct Mailboxes {
    dialer: Arc<Dialer>,
    idle: Mutex<Vec<Mailbox>>,
    /// Commands sent so far, by all of the broker's connections.
    sent: Arc<AtomicU64>,
}

/// A connection that may block, and the list it reads.
pub(super) struct Mailbox {
    connection: MultiplexedConnection,
    /// Without the global prefix: workers add their own.
    pub name: String,
    /// Somebody has not answered yet, and may still.
    owed: bool,
    sent: Arc<AtomicU64>,
    /// How long the server may take for what does not wait.
    answer: Duration,
}

/// What came of a request.
pub(super) struct Asked {
    pub replies: Vec<Reply>,
    /// Nothing is under way on the connection any more.
    pub reusable: bool,
    /// Late replies may come, into a list that has to be given an end.
    pub owed: bool,
    /// The request went out, and what was answered we may not read.
    pub unreadable: Option<redis::RedisError>,
}

impl Mailboxes {
    pub fn new(dialer: Arc<Dialer>, sent: Arc<AtomicU64>) -> Self {
        Self { dialer, idle: Mutex::new(Vec::new()), sent }
    }

    pub async fn take(&self, keys: &Keys) -> Result<Mailbox> {
        let idle = self.idle.lock().pop();
        if let Some(mailbox) = idle {
            mailbox.count(1);
            // Also finds out whether the connection still stands, and leads to a master; if not it is replaced.
            let clear = redis::cmd("DEL").arg(keys.own(&mailbox.name)).to_owned();
            let cleared: RedisResult<i64> = mailbox.run(clear.query_async(&mut mailbox.connection.clone())).await;
            if cleared.as_ref().err().is_none_or(|e| fault::no_permission(e).is_some()) {
                return Ok(mailbox);
            }
        }
        // Waiting for replies has its own limit.
        let connection = self.dialer.commands(None).await?;
        let name = format!("flower-tui:reply:{}", TaskId::random());
        Ok(Mailbox { connection, name, owed: false, sent: self.sent.clone(), answer: self.dialer.answer })
    }

    /// Forgets all connections: they lead to a server that is not the right one any more.
    pub fn forget(&self) {
        self.idle.lock().clear();
    }

    pub fn give_back(&self, mailbox: Mailbox) {
        self.idle.lock().push(mailbox);
    }
}

impl Mailbox {
    fn count(&self, commands: u64) {
        self.sent.fetch_add(commands, Ordering::Relaxed);
    }

    /// Waits for an answer that comes at once, or never.
    async fn run<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        match timeout(self.answer, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
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
        let listeners: i64 = self.run(publish.query_async(&mut self.connection.clone())).await?;
        let mut replies: Vec<Reply> = Vec::new();
        let mut reusable = true;
        // With nobody listening there is nothing to wait for.
        while listeners > 0 && !pidbox::everybody_answered(expected, &replies) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let list = keys.own(&self.name);
            // Whole seconds, which every Redis understands; our own limit is the exact one.
            let pop = redis::cmd("BRPOP").arg(list).arg(left.as_secs() + 1).to_owned();
            self.count(1);
            let popped: Option<(String, Vec<u8>)> = match timeout(left, pop.query_async(&mut self.connection)).await {
                // The request went out all the same.
                Ok(Err(error)) if fault::no_permission(&error).is_some() => {
                    return Ok(Asked { replies, reusable: true, owed: true, unreadable: Some(error) });
                }
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
        self.owed |= !is_answered(request, listeners, &replies);
        Ok(Asked { replies, reusable, owed: self.owed, unreadable: None })
    }
}

/// A late reply joins a list that has an end, instead of making one that has none. One of both may be taken by a question
/// that was given up and still waits on its own connection.
pub(super) fn end(list: &str) -> redis::Pipeline {
    let mut end = redis::pipe();
    end.atomic().rpush(list, &["", ""]).expire(list, LINGER).to_owned()
}

/// Whether nobody is left who may answer: everybody who was told has, or everybody who was named. An emptied list is
/// gone by itself.
fn is_answered(request: &Request, listeners: i64, replies: &[Reply]) -> bool {
    let all = i64::try_from(replies.len()).is_ok_and(|n| n >= listeners);
    all || request.to.as_ref().is_some_and(|names| pidbox::everybody_answered(names, replies))
}
