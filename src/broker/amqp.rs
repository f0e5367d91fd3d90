//! RabbitMQ as kombu uses it (kombu 5.7.0, `transport/pyamqp.py`, `pidbox.py`): queues, and exchanges for events and
//! remote control.
//!
//! Three connections, each made when it is needed: one hears events, one sends, one asks about queues. The broker holds up
//! whoever publishes while one of its alarms is on, and that must not hold up the rest.

mod change;
mod depths;
mod dial;
mod events;
mod fault;
mod flood;
mod http;
mod losses;
mod management;
mod post;
mod table;
mod tap;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use tokio::sync::{Mutex, mpsc};

use super::change::{Sift, Sifted};
use super::rights::Rights;
use super::url::{AmqpUrl, ApiUrl};
use super::{Broker, Capabilities, Error, EventStream, Health, Result, Right, TransportOptions};
use crate::celery::message::Outgoing;
use crate::celery::original::Original;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};
use depths::Asker;
use dial::{Dialer, Link};
use events::Taken;
pub use flood::Flood;
use http::Http;
use management::Management;
use post::Post;
use tap::Deliveries;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Why there is no list of messages that were not acknowledged.
const UNACKED: &str = "RabbitMQ tells nobody which messages it has given to workers, only how many";

/// See the module.
pub struct AmqpBroker {
    url: String,
    dialer: Dialer,
    management: Option<Management>,
    asker: Mutex<Option<Asker>>,
    post: Mutex<Option<Arc<Post>>>,
    rights: Rights,
    /// Events that our queue has dropped, and that were not told yet.
    lost: Arc<AtomicU64>,
}

impl AmqpBroker {
    /// Prepares the connections; whoever needs one first makes it.
    pub fn open(url: &AmqpUrl, options: &TransportOptions) -> Result<Self> {
        let api = options.broker_api.clone().or_else(|| ApiUrl::usual(url, options.use_ssl.as_ref()));
        let management = match (api, url.servers.first()) {
            (Some(api), Some(server)) => {
                Some(Management::new(Http::new(api, (&server.user, &server.password))?, &server.vhost))
            }
            _ => None,
        };
        Ok(Self {
            url: url.to_string(),
            dialer: Dialer::new(url, options)?,
            management,
            asker: Mutex::new(None),
            post: Mutex::new(None),
            rights: Rights::default(),
            lost: Arc::default(),
        })
    }

    /// The management API, if it answers.
    fn managed(&self) -> Option<&Management> {
        self.management.as_ref().filter(|management| management.works())
    }

    /// The connection to send on, made if there is none that stands.
    async fn post(&self) -> Result<Arc<Post>> {
        let mut slot = self.post.lock().await;
        if let Some(post) = slot.as_ref().filter(|post| post.stands()) {
            return Ok(post.clone());
        }
        *slot = None;
        let opened = Post::open(self.dialer.connect("control").await?).await;
        self.rights.note(Right::Replies, &opened);
        Ok(slot.insert(Arc::new(opened?)).clone())
    }

    /// Asks on the connection for that, made if there is none that stands. One that gave no answer is given up.
    async fn ask<T>(&self, what: impl AsyncFnOnce(&mut Asker) -> Result<T>) -> Result<T> {
        let mut slot = self.asker.lock().await;
        if slot.as_ref().is_none_or(|asker| !asker.stands()) {
            *slot = Some(Asker::new(self.dialer.connect("queues").await?));
        }
        let Some(asker) = slot.as_mut() else { return Err(Error::Unable { what: "not connected".into() }) };
        let answer = what(asker).await;
        if matches!(answer, Err(Error::Timeout { .. } | Error::Unreachable { .. })) {
            *slot = None;
        }
        answer
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            priorities: false,
            unacked: self.managed().is_some(),
            peek: self.managed().is_some(),
            peek_marks: true,
            delivered: false,
            waits: false,
        }
    }

    async fn events(&self) -> Result<EventStream> {
        let (out, messages) = mpsc::channel(tap::BATCHES);
        let count = Arc::<AtomicU64>::default();
        let taken = Taken { messages, count: count.clone(), lost: self.lost.clone() };
        let link = self.dialer.connect_tapped("events", Some(Deliveries { out, count })).await?;
        let subscribed = events::subscribe(link, taken).await;
        self.rights.note(Right::Events, &subscribed);
        match subscribed {
            Err(Error::Denied { .. }) => Ok(events::silence(self.dialer.connect("events").await?)),
            other => other,
        }
    }

    fn missed(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    async fn control(&self, request: &Request, expected: &[String], wait: Duration) -> Result<Vec<Reply>> {
        let answer = self.post().await?.ask(request, expected, wait).await;
        self.rights.note(Right::Control, &answer);
        answer
    }

    async fn publish(&self, message: &Outgoing) -> Result<()> {
        self.post().await?.send(message).await
    }

    async fn queues(&self, names: &[String]) -> Result<Vec<Depth>> {
        if let Some(management) = &self.management
            && let Some((mut depths, uncounted)) = management.queues().await
        {
            if !uncounted.is_empty() {
                let counted = self.ask(async |asker| asker.depths(&uncounted).await).await?;
                for depth in &mut depths {
                    if let Some(found) = counted.iter().find(|found| found.name == depth.name) {
                        (depth.ready, depth.consumers) = (found.ready, found.consumers);
                        depth.by_priority.clone_from(&found.by_priority);
                    }
                }
            }
            return Ok(depths);
        }
        self.ask(async |asker| asker.depths(names).await).await
    }

    async fn peek(&self, queue: &str, range: Range<usize>) -> Result<Vec<Waiting>> {
        match self.managed() {
            Some(management) => management.peek(queue, range).await,
            None => {
                let why = self.management.as_ref().and_then(Management::why_not);
                let why = why.map_or(String::new(), |why| format!(": {why}"));
                Err(Error::Unable { what: format!("messages can be looked at through the management API alone{why}") })
            }
        }
    }

    async fn unacked(&self, _: usize) -> Result<Vec<Delivered>> {
        Err(Error::Unable { what: UNACKED.into() })
    }

    async fn sift(&self, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted> {
        change::sift(&*self.post().await?, queue, sift, to).await
    }

    async fn put(&self, messages: &[Original], _: &str, _: usize) -> Result<usize> {
        change::put(&*self.post().await?, messages).await
    }

    async fn not_plain(&self, queue: &str) -> Option<String> {
        self.management.as_ref()?.not_plain(queue).await
    }

    async fn health(&self) -> Result<Health> {
        let rtt = self.ask(async |asker| asker.round_trip().await).await?;
        let mut health = Health {
            kind: "rabbitmq".into(),
            rtt,
            master: self.dialer.chosen().map(ToString::to_string),
            lacks: self.rights.lacks(),
            ..Health::default()
        };
        if let Some(management) = &self.management {
            management.health(&mut health).await;
        }
        // Without the API it is known once we were kept from publishing.
        let post = self.post.lock().await.clone();
        if health.alarm().is_none() && post.is_some_and(|post| post.is_blocked()) {
            health.alarms.push("alarm of memory or disk".into());
        }
        Ok(health)
    }
}

/// An exchange as Celery declares it.
struct Exchange {
    name: &'static str,
    kind: ExchangeKind,
    durable: bool,
}

/// Declares an exchange, so that it is there before the first worker. That may fail where the application declares it in
/// another way, or where we lack the permission; then it is there already, or using it says that it is not.
async fn declare(link: &Link, exchange: &Exchange) {
    let Ok(channel) = link.channel().await else { return };
    let options = ExchangeDeclareOptions { durable: exchange.durable, ..ExchangeDeclareOptions::default() };
    let declare = channel.exchange_declare(exchange.name.into(), exchange.kind.clone(), options, FieldTable::default());
    match tokio::time::timeout(ANSWER, declare).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("exchange {} was not declared: {error}", exchange.name),
        Err(_) => tracing::debug!("exchange {} was not declared in time", exchange.name),
    }
}
