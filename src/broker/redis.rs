//! Redis as kombu uses it: lists are queues, channels are fanout exchanges (kombu 5.7.0, `transport/redis.py`).
//!
//! Three kinds of connection: one for commands, one for the subscription, and a mailbox for each request that is
//! waiting for replies, because waiting blocks a connection.

mod beat;
mod change;
mod dial;
mod fault;
mod flood;
mod keys;
mod mailbox;
mod peek;
mod queues;
mod reader;
mod resp;
mod sentinel;
mod setup;
mod tap;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::FromRedisValue;
use redis::aio::{MultiplexedConnection, PubSub};
use tokio::sync::Mutex;
use tokio::time::{interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::change::{Sift, Sifted};
use super::rights::Rights;
use super::setup::Setup;
use super::url::RedisUrl;
use super::{Broker, Capabilities, Error, EventStream, Health, RawMessage, Result, Right, TransportOptions};
use crate::celery::message::Outgoing;
use crate::celery::original::Original;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use crate::clock::Clock;
use crate::schedule::redbeat::Documents;
use dial::Dialer;
pub use flood::Flood;
use keys::Keys;
use mailbox::Mailboxes;
use queues::Discovery;
pub use reader::Reader;
use tap::{Messages, Taken};

/// How often an idle subscription is checked.
const CHECK: Duration = Duration::from_secs(8);

/// Clients beyond which they are not listed: the server would walk through all of them.
const LISTED_CLIENTS: u64 = 1_000;

/// See the module.
pub struct RedisBroker {
    dialer: Arc<Dialer>,
    url: String,
    keys: Keys,
    commands: Mutex<Option<MultiplexedConnection>>,
    mailboxes: Mailboxes,
    discovery: Mutex<Discovery>,
    rights: Rights,
    /// Messages that came and that nobody had room for.
    lost: Arc<AtomicU64>,
    /// Commands sent so far: what we cost the broker.
    sent: Arc<AtomicU64>,
    /// What had been counted when that was last asked.
    counted: Mutex<Counted>,
}

impl RedisBroker {
    /// Prepares the connections; the first command connects.
    pub fn open(url: &RedisUrl, options: TransportOptions) -> Result<Self> {
        let dialer = Arc::new(Dialer::new(url, &options)?);
        let sent = Arc::new(AtomicU64::new(0));
        Ok(Self {
            mailboxes: Mailboxes::new(dialer.clone(), sent.clone()),
            dialer,
            url: url.to_string(),
            keys: Keys::new(url.db, options),
            commands: Mutex::new(None),
            discovery: Mutex::new(Discovery::default()),
            rights: Rights::default(),
            lost: Arc::default(),
            sent,
            counted: Mutex::new(Counted { at: Instant::now(), ours: 0, all: None }),
        })
    }

    /// A connection for commands, made if there is none.
    async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut slot = self.commands.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let connection = self.dialer.commands(Some(self.dialer.answer)).await?;
        Ok(slot.insert(connection).clone())
    }

    /// Runs commands. A connection that broke, or leads to a server that is no master any more, is thrown away, so that
    /// the next call makes a new one.
    async fn run<T: FromRedisValue>(&self, name: &'static str, pipe: &redis::Pipeline) -> Result<T> {
        let mut connection = self.connection().await?;
        self.sent.fetch_add(pipe.len() as u64, Ordering::Relaxed);
        let answer = pipe.query_async(&mut connection).await;
        if let Err(error) = &answer {
            self.forget_if_useless(error).await;
        }
        answer.map_err(|e| self.error(name, &e))
    }

    async fn forget_if_useless(&self, error: &redis::RedisError) {
        let broken = error.is_io_error() || error.is_connection_dropped() || error.is_timeout();
        if broken || fault::is_read_only(error) {
            *self.commands.lock().await = None;
        }
    }

    fn error(&self, command: &'static str, error: &redis::RedisError) -> Error {
        fault::error(&self.url, command, self.dialer.answer.as_secs(), error)
    }

    /// Publishing to workers, and what came of it.
    fn commanded<T>(&self, result: redis::RedisResult<T>) -> Result<T> {
        let result = result.map_err(|e| match self.error("PUBLISH", &e) {
            Error::Denied { url, why, .. } => {
                let channel = self.keys.pidbox_channel();
                Error::Denied { url, what: format!("PUBLISH to {}", crate::text::clean(&channel)), why }
            }
            other => other,
        });
        self.rights.note(Right::Control, &result);
        result
    }

    /// Subscribes to both channels that events may come on. One of them will do: workers with `fanout_patterns` off
    /// publish all events on one channel, the others on many.
    async fn subscribe(&self, pubsub: &mut PubSub) -> Result<bool> {
        let (pattern, channel) = (self.keys.event_pattern(), self.keys.event_channel());
        let subscribing = async {
            let many = pubsub.psubscribe(&pattern).await;
            (many, pubsub.subscribe(&channel).await)
        };
        let late = |_| Error::Unreachable { url: self.url.clone(), why: "no answer in time".into() };
        let (many, one) = timeout(self.dialer.answer, subscribing).await.map_err(late)?;
        let denied = |result: &redis::RedisResult<()>| {
            let why = fault::no_permission(result.as_ref().err()?)?;
            Some(Error::Denied {
                url: self.url.clone(),
                what: format!("PSUBSCRIBE {}", crate::text::clean(&pattern)),
                why,
            })
        };
        match (denied(&many), denied(&one)) {
            (Some(why), Some(_)) => {
                self.rights.note::<()>(Right::Events, &Err(why));
                return Ok(false);
            }
            (Some(_), None) => one.map_err(|e| self.error("SUBSCRIBE", &e))?,
            (None, Some(_)) => many.map_err(|e| self.error("PSUBSCRIBE", &e))?,
            (None, None) => many.and(one).map_err(|e| self.error("PSUBSCRIBE", &e))?,
        }
        self.rights.note(Right::Events, &Ok(()));
        Ok(true)
    }

    /// A stream without events, for those who may not hear any: it lasts as long as the connection.
    async fn silence(&self) -> Result<EventStream> {
        let connection = self.dialer.commands(Some(self.dialer.answer)).await?;
        let dialer = self.dialer.clone();
        let silence = futures_util::stream::unfold((connection, dialer), |(mut connection, dialer)| async move {
            loop {
                tokio::time::sleep(CHECK).await;
                let alive: redis::RedisResult<redis::Value> = redis::cmd("PING").query_async(&mut connection).await;
                let stands = alive.err().is_none_or(|e| fault::no_permission(&e).is_some());
                if !stands || dialer.has_moved().await {
                    return None;
                }
            }
        });
        Ok(silence.boxed())
    }
}

/// A subscription that stands.
struct Subscription {
    taken: Taken,
    dead: CancellationToken,
    _watched: AbortOnDropHandle<()>,
}

impl Subscription {
    /// What has been published; nothing when the connection has ended.
    async fn next(&mut self) -> Option<Vec<RawMessage>> {
        tokio::select! {
            biased;
            messages = self.taken.next() => messages,
            () = self.dead.cancelled() => None,
        }
    }
}

/// Holds a subscription, and says when it is of no use any more. A half-open connection never ends by itself: no answer
/// to a ping ends it. Nor does one to a server that was the master and lives on.
async fn watch(mut pubsub: PubSub, dialer: Arc<Dialer>, dead: CancellationToken) {
    let mut check = interval_at(tokio::time::Instant::now() + CHECK, CHECK);
    loop {
        check.tick().await;
        let alive = timeout(dialer.answer, pubsub.ping::<redis::Value>()).await;
        if !matches!(alive, Ok(Ok(_))) || dialer.has_moved().await {
            dead.cancel();
            return;
        }
    }
}

#[async_trait]
impl Broker for RedisBroker {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { priorities: true, unacked: true, peek: true, peek_marks: false, delivered: true, waits: false }
    }

    async fn events(&self) -> Result<EventStream> {
        let (messages, taken) = Messages::new(self.lost.clone());
        let mut pubsub = self.dialer.subscription(messages).await?;
        // A subscription is made anew when the last one broke, or its server is no master any more: the other
        // connections are of no use then either, even where they still seem to stand.
        *self.commands.lock().await = None;
        self.mailboxes.forget();
        if !self.subscribe(&mut pubsub).await? {
            return self.silence().await;
        }
        let dead = CancellationToken::new();
        let watched = watch(pubsub, self.dialer.clone(), dead.clone());
        let subscription = Subscription { taken, dead, _watched: AbortOnDropHandle::new(tokio::spawn(watched)) };
        let batches = futures_util::stream::unfold(subscription, async |mut subscription| {
            Some((subscription.next().await?, subscription))
        });
        Ok(batches.boxed())
    }

    fn missed(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    async fn control(&self, request: &Request, expected: &[String], wait: Duration) -> Result<Vec<Reply>> {
        // Who does not wait for replies gets none.
        if !request.method.replies() || wait.is_zero() {
            let expires = Clock::system().now() + wait;
            let mut connection = self.connection().await?;
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(self.keys.pidbox_channel()).arg(request.encode_redis(None, expires));
            self.sent.fetch_add(1, Ordering::Relaxed);
            let sent: redis::RedisResult<i64> = publish.query_async(&mut connection).await;
            if let Err(error) = &sent {
                self.forget_if_useless(error).await;
            }
            return self.commanded(sent).map(|_| Vec::new());
        }
        let mut mailbox = self.mailboxes.take(&self.keys).await?;
        let asked = self.commanded(mailbox.ask(&self.keys, request, expected, wait).await)?;
        match &asked.unreadable {
            Some(error) => self.rights.note::<()>(Right::Replies, &Err(self.error("BRPOP", error))),
            None if !asked.replies.is_empty() => self.rights.note(Right::Replies, &Ok(())),
            None => {}
        }
        if asked.owed {
            // Who may not give it an end has done what they can.
            let list = self.keys.own(&mailbox.name);
            let ended: Result<redis::Value> = self.run("EXPIRE", &mailbox::end(&list)).await;
            if let Err(error) = ended {
                tracing::debug!("{list} was given no end: {error}");
            }
        }
        if asked.reusable {
            self.mailboxes.give_back(mailbox);
        }
        Ok(asked.replies)
    }

    async fn publish(&self, message: &Outgoing) -> Result<()> {
        match change::publish(self, message).await {
            // Who may run no script can do it without its memory.
            Err(Error::Denied { .. }) => {
                let key = self.keys.list(&message.queue, message.priority);
                let _: (i64,) = self.run("LPUSH", redis::pipe().lpush(key, message.encode_redis())).await?;
                Ok(())
            }
            other => other,
        }
    }

    async fn sift(&self, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted> {
        change::sift(self, queue, sift, to).await
    }

    async fn put(&self, messages: &[Original], name: &str, from: usize) -> Result<usize> {
        change::put(self, messages, name, from).await
    }

    async fn rename(&self, queue: &str, to: &str) -> Result<u64> {
        change::rename(self, queue, to).await
    }

    async fn rename_back(&self, from: &str, queue: &str) -> Result<u64> {
        change::rename_back(self, from, queue).await
    }

    async fn requeue(&self, delivered: &[Delivered]) -> Result<Vec<bool>> {
        change::requeue(self, delivered).await
    }

    async fn queues(&self, names: &[String]) -> Result<Vec<Depth>> {
        queues::depths(self, names).await
    }

    async fn next_in_line(&self, depths: &mut [Depth]) -> Result<()> {
        queues::next_in_line(self, depths).await
    }

    async fn peek(&self, queue: &str, range: Range<usize>) -> Result<Vec<Waiting>> {
        peek::waiting(self, queue, range).await
    }

    async fn unacked(&self, most: usize) -> Result<Vec<Delivered>> {
        peek::unacked(self, most).await
    }

    async fn redbeat(&self) -> Result<Documents> {
        beat::entries(self).await
    }

    async fn replace_redbeat(&self, key: &str, old: &str, new: &str) -> Result<bool> {
        beat::replace(self, key, old, new).await
    }

    async fn setup(&self) -> Setup {
        setup::ask(self).await
    }

    async fn health(&self) -> Result<Health> {
        let begun = Instant::now();
        let pinged: Result<(redis::Value,)> = self.run("PING", redis::pipe().cmd("PING")).await;
        // Also a refusal says that the broker is there, and how fast it answers.
        if let Err(error) = pinged
            && !matches!(error, Error::Denied { .. })
        {
            return Err(error);
        }
        let rtt = begun.elapsed().as_secs_f64();
        let (mut health, all) = match self.run::<(String,)>("INFO", redis::pipe().cmd("INFO")).await {
            Ok((info,)) => (queues::read_info(&info), queues::commands(&info)),
            // A user without the right to ask still sees all the rest.
            Err(Error::Denied { .. } | Error::Command { .. }) => {
                (Health { kind: "redis".into(), ..Health::default() }, None)
            }
            Err(other) => return Err(other),
        };
        self.count(&mut health, all).await;
        health.unacked = self.run::<(u64,)>("HLEN", redis::pipe().hlen(self.keys.unacked())).await.ok().map(|(n,)| n);
        health.rtt = rtt;
        health.visibility_timeout = Some(self.keys.visibility_timeout());
        health.master = self.dialer.master();
        health.queue_order = self.keys.queue_order().map(|order| crate::text::clean(order).to_string());
        health.lacks = self.rights.lacks();
        if health.clients.is_none_or(|n| n < LISTED_CLIENTS) {
            let list = redis::pipe().cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub").to_owned();
            health.backlog = self.run::<(String,)>("CLIENT", &list).await.ok().map(|(list,)| queues::backlog(&list));
        }
        Ok(health)
    }
}

impl RedisBroker {
    /// Commands a second since this was last asked: ours, and those of all clients. Both are taken over the same time;
    /// the server's own figure is one of a moment, and no measure of a share.
    async fn count(&self, health: &mut Health, all: Option<u64>) {
        let mut before = self.counted.lock().await;
        let now = Counted { at: Instant::now(), ours: self.sent.load(Ordering::Relaxed), all };
        let secs = now.at.duration_since(before.at).as_secs_f64();
        if secs < 0.5 {
            return;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / secs;
        health.own_commands = Some(rate(now.ours, before.ours));
        if let (Some(all), Some(before)) = (all, before.all) {
            health.commands = Some(rate(all, before));
        }
        *before = now;
    }
}

/// Commands up to a moment.
struct Counted {
    at: Instant,
    ours: u64,
    /// As the server counted them.
    all: Option<u64>,
}
