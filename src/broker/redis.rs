//! Redis as kombu uses it: lists are queues, channels are fanout exchanges (kombu 5.7.0, `transport/redis.py`).
//!
//! Three kinds of connection: one for commands, one for the subscription, and a mailbox for each request that is
//! waiting for replies, because waiting blocks a connection.

mod keys;
mod mailbox;
mod peek;
mod queues;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo};
use tokio::sync::Mutex;

use super::url::{Address, RedisUrl};
use super::{Broker, Capabilities, Error, EventStream, Health, RawMessage, Result, TransportOptions};
use crate::celery::message::Outgoing;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use crate::clock::Clock;
use keys::Keys;
use mailbox::Mailboxes;
use queues::Discovery;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How often an idle subscription is checked.
const CHECK: Duration = Duration::from_secs(8);

/// Clients beyond which they are not listed: the server would walk through all of them.
const LISTED_CLIENTS: u64 = 1_000;

/// See the module.
pub struct RedisBroker {
    client: Client,
    url: String,
    keys: Keys,
    commands: Mutex<Option<MultiplexedConnection>>,
    mailboxes: Mailboxes,
    discovery: Mutex<Discovery>,
    /// Commands sent so far: what we cost the broker.
    sent: Arc<AtomicU64>,
    /// What had been counted when that was last asked.
    counted: Mutex<Counted>,
}

impl RedisBroker {
    /// Prepares the connections; the first command connects.
    pub fn open(url: &RedisUrl, options: TransportOptions) -> Result<Self> {
        let address = match &url.address {
            Address::Tcp { host, port, tls: false } => ConnectionAddr::Tcp(host.clone(), *port),
            Address::Tcp { host, port, tls: true } => {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            }
            Address::Unix { path } => ConnectionAddr::Unix(path.clone()),
        };
        let mut login = RedisConnectionInfo::default()
            .set_db(i64::from(url.db))
            .set_lib_name("flower-tui", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &url.user {
            login = login.set_username(user);
        }
        if let Some(password) = &url.password {
            login = login.set_password(password.reveal());
        }
        let client = address
            .into_connection_info()
            .map(|info| info.set_redis_settings(login))
            .and_then(Client::open)
            .map_err(|e| Error::Url { what: e.to_string() })?;
        let sent = Arc::new(AtomicU64::new(0));
        Ok(Self {
            mailboxes: Mailboxes::new(client.clone(), sent.clone()),
            client,
            url: url.to_string(),
            keys: Keys::new(url.db, options),
            commands: Mutex::new(None),
            discovery: Mutex::new(Discovery::default()),
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
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| self.error("CONNECT", &e))?;
        Ok(slot.insert(connection).clone())
    }

    /// Runs commands. A broken connection is thrown away, so that the next call makes a new one.
    async fn run<T: FromRedisValue>(&self, name: &'static str, pipe: &redis::Pipeline) -> Result<T> {
        let mut connection = self.connection().await?;
        self.sent.fetch_add(pipe.len() as u64, Ordering::Relaxed);
        let answer = pipe.query_async(&mut connection).await;
        if let Err(error) = &answer
            && (error.is_io_error() || error.is_connection_dropped() || error.is_timeout())
        {
            *self.commands.lock().await = None;
        }
        answer.map_err(|e| self.error(name, &e))
    }

    fn error(&self, command: &'static str, error: &redis::RedisError) -> Error {
        let url = self.url.clone();
        let why = crate::text::clean(&describe(error)).to_string();
        match error.code() {
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return Error::Refused { url, why },
            _ if why.contains("NOAUTH") || why.contains("WRONGPASS") || why.contains("uthentication") => {
                return Error::Refused { url, why };
            }
            _ if why.contains("out of range") || why.contains("invalid DB") => return Error::Refused { url, why },
            _ => {}
        }
        match error.kind() {
            redis::ErrorKind::Parse => Error::NotRedis { url },
            redis::ErrorKind::AuthenticationFailed => Error::Refused { url, why },
            _ if error.is_timeout() && command != "CONNECT" => Error::Timeout { url, command, secs: ANSWER.as_secs() },
            _ if error.is_io_error() || error.is_connection_dropped() || command == "CONNECT" => {
                Error::Unreachable { url, why }
            }
            _ => Error::Command { url, command, why },
        }
    }
}

/// The error in a few words: the operating system's numbers say nothing to a person.
fn describe(error: &redis::RedisError) -> String {
    if error.is_connection_refusal() {
        return "connection refused".into();
    }
    if error.is_timeout() {
        return "no answer in time".into();
    }
    // Of several commands sent at once, the first that was refused says it all.
    if let Some((_, first)) = error.clone().into_server_errors().as_deref().and_then(<[_]>::first) {
        return format!("{} {}", first.code(), first.details().unwrap_or_default()).trim_end().to_owned();
    }
    let text = match error.detail() {
        Some(detail) if !detail.is_empty() => match error.code() {
            Some(code) if !detail.starts_with(code) => format!("{code} {detail}"),
            _ => detail.to_owned(),
        },
        _ => error.to_string(),
    };
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[async_trait]
impl Broker for RedisBroker {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { priorities: true, unacked: true, peek: true, waits: false }
    }

    async fn events(&self) -> Result<EventStream> {
        let connect = async {
            let mut pubsub = self.client.get_async_pubsub().await?;
            pubsub.psubscribe(self.keys.event_pattern()).await?;
            // Workers with `fanout_patterns` off publish all events on this one channel.
            pubsub.subscribe(self.keys.event_channel()).await?;
            Ok::<_, redis::RedisError>(pubsub)
        };
        let pubsub = match tokio::time::timeout(CONNECT, connect).await {
            Ok(pubsub) => pubsub.map_err(|e| self.error("CONNECT", &e))?,
            Err(_) => {
                return Err(Error::Unreachable { url: self.url.clone(), why: "no answer in time".into() });
            }
        };
        let (sink, stream) = pubsub.split();
        let clock = Clock::system();
        let check = tokio::time::interval_at(tokio::time::Instant::now() + CHECK, CHECK);
        let messages = futures_util::stream::unfold((sink, stream, check), move |(mut sink, mut stream, mut check)| {
            let clock = clock.clone();
            async move {
                loop {
                    tokio::select! {
                        biased;
                        message = stream.next() => {
                            let message = message?;
                            let raw = RawMessage {
                                received: clock.now(),
                                channel: message.get_channel_name().to_owned(),
                                data: message.get_payload_bytes().to_vec(),
                            };
                            return Some((raw, (sink, stream, check)));
                        }
                        // A half-open connection never ends by itself: no answer to a ping ends it.
                        _ = check.tick() => {
                            let alive = tokio::time::timeout(ANSWER, sink.ping::<redis::Value>()).await;
                            if !matches!(alive, Ok(Ok(_))) {
                                return None;
                            }
                        }
                    }
                }
            }
        });
        Ok(messages.boxed())
    }

    async fn control(&self, request: &Request, expected: &[String], wait: Duration) -> Result<Vec<Reply>> {
        if !request.method.replies() {
            let expires = Clock::system().now() + wait;
            let _: (i64,) = self
                .run("PUBLISH", redis::pipe().publish(self.keys.pidbox_channel(), request.encode_redis(None, expires)))
                .await?;
            return Ok(Vec::new());
        }
        let mut mailbox = self.mailboxes.take(&self.keys).await.map_err(|e| self.error("CONNECT", &e))?;
        match mailbox.ask(&self.keys, request, expected, wait).await {
            Ok(asked) => {
                if asked.reusable {
                    self.mailboxes.give_back(mailbox);
                }
                Ok(asked.replies)
            }
            Err(error) => Err(self.error("PUBLISH", &error)),
        }
    }

    async fn publish(&self, message: &Outgoing) -> Result<()> {
        let key = self.keys.list(&message.queue, message.priority);
        let _: (i64,) = self.run("LPUSH", redis::pipe().lpush(key, message.encode_redis())).await?;
        Ok(())
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

    async fn health(&self) -> Result<Health> {
        let begun = Instant::now();
        let _: (redis::Value,) = self.run("PING", redis::pipe().cmd("PING")).await?;
        let rtt = begun.elapsed().as_secs_f64();
        let (mut health, all) = match self.run::<(String,)>("INFO", redis::pipe().cmd("INFO")).await {
            Ok((info,)) => (queues::read_info(&info), queues::commands(&info)),
            // A user without the right to ask still sees all the rest.
            Err(Error::Refused { .. } | Error::Command { .. }) => {
                (Health { kind: "redis".into(), ..Health::default() }, None)
            }
            Err(other) => return Err(other),
        };
        self.count(&mut health, all).await;
        health.unacked = self.run::<(u64,)>("HLEN", redis::pipe().hlen(self.keys.unacked())).await.ok().map(|(n,)| n);
        health.rtt = rtt;
        health.visibility_timeout = Some(self.keys.visibility_timeout());
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
