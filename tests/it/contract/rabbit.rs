//! RabbitMQ, with its management API and without.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::url::ApiUrl;
use flower_tui::broker::{self, Broker, BrokerUrl, TransportOptions};
use flower_tui::celery::message::Outgoing;
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::redis::{Pki, open};
use super::{LIMIT, Peer, Setup, suite, task};
use crate::real::cluster::{Server, wait_for};
use crate::real::rabbit::Rabbit;

struct One {
    rabbit: Rabbit,
    broker: Arc<dyn Broker>,
    peer: Peer,
}

impl Setup for One {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        Some(&mut self.peer)
    }

    fn kind(&self) -> &'static str {
        "rabbitmq"
    }

    fn interrupt(&mut self) {
        self.rabbit.ctl(&["close_all_connections", "for the contract"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_without_its_management_api() {
    let rabbit = Rabbit::start(false);
    let (broker, peer) = (open(&rabbit.url(), ""), Peer::start(&json!({"broker_url": rabbit.url()})));
    let mut one = One { rabbit, broker, peer };
    suite(&mut one).await;
    assert!(one.broker.health().await.expect("it answers").blind.is_some_and(|why| why.contains("15672")));
    what_has_no_place_to_go_is_not_sent(&*one.broker).await;
    a_broker_that_falls_silent_is_found_out(&one.rabbit).await;
    what_our_queue_drops_is_counted(&one).await;
    nothing_is_left(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_over_tls_with_its_management_api() {
    let folder = tempfile::tempdir().expect("temp");
    let pki = Pki::make(folder.path());
    let rabbit = Rabbit::start_with(true, Some(&pki));
    let api = rabbit.api().replace("http://127.0.0.1", "https://localhost");
    let options = TransportOptions {
        broker_api: Some(ApiUrl::parse(&format!("{api}?ssl_ca_certs={}", pki.ca)).expect("url")),
        ..TransportOptions::default()
    };
    let url = BrokerUrl::parse(&format!("{}?ssl_ca_certs={}", rabbit.tls_url(), pki.ca)).expect("url");
    let broker = broker::open(&url, options).expect("opened");
    let peer = Peer::start(&json!({"broker_url": rabbit.url()}));
    let mut one = One { rabbit, broker, peer };
    suite(&mut one).await;
    // The figures of nodes come some seconds after the rest.
    let told = async {
        loop {
            let health = one.broker.health().await.expect("it answers");
            assert_eq!((&health.blind, health.alarms.len()), (&None, 0));
            if !health.version.is_empty() && health.memory_used.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(LIMIT, told).await.expect("figures");
    let can = one.broker.capabilities();
    assert!(can.peek && can.peek_marks && can.unacked && !can.delivered);

    // A file that holds another CA than the API's is named.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).expect("made");
    let other = Pki::make(&other);
    let options = TransportOptions {
        broker_api: Some(ApiUrl::parse(&format!("{api}?ssl_ca_certs={}", other.ca)).expect("url")),
        ..TransportOptions::default()
    };
    let blind = broker::open(&url, options).expect("opened").health().await.expect("it answers").blind;
    let said = format!("{} (ssl_ca_certs) does not hold the certificate of the CA", other.ca);
    assert!(blind.as_ref().is_some_and(|why| why.contains(&said)), "{blind:?}");
    nothing_is_left(one);
}

/// When we and the other side are gone, so is everything that was not declared for good.
fn nothing_is_left(One { rabbit, broker, peer }: One) {
    drop((broker, peer));
    let left = || {
        let mut queues = rabbit.queues();
        queues.sort();
        queues
    };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("an orderly broker", || (left() == ["beside", "ours", "sifted", "waits"]).then_some(()));
    }));
    assert!(found.is_ok(), "{:?}", left());
}

async fn what_has_no_place_to_go_is_not_sent(broker: &dyn Broker) {
    let told = async |route: Option<(&str, &str)>| {
        let route = route.map(|(exchange, key)| (exchange.to_owned(), key.to_owned()));
        let sent = broker.publish(&Outgoing { route, ..task("nowhere") }).await;
        sent.expect_err("nobody takes it").to_string()
    };
    assert!(told(None).await.ends_with("did not take the message: there is no queue nowhere"));
    let unbound = told(Some(("amq.direct", "x y"))).await;
    assert!(unbound.ends_with("no queue is bound to exchange amq.direct with routing key x y"), "{unbound}");
    let unknown = told(Some(("no-such-exchange", "x"))).await;
    assert!(unknown.contains("no exchange 'no-such-exchange'"), "{unknown}");
    let long = "n".repeat(300);
    assert!(told(Some(("", &long))).await.contains("longer than AMQP allows"));
    broker.publish(&task("ours")).await.expect("what went wrong before does no harm");
}

/// A connection on which nothing comes back any more ends by itself.
async fn a_broker_that_falls_silent_is_found_out(rabbit: &Rabbit) {
    let proxy = Proxy::start(rabbit, Duration::ZERO).await;
    let broker = open(&format!("amqp://127.0.0.1:{}", proxy.port), "");
    let stream = broker.events().await.expect("subscribed");
    proxy.frozen.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.for_each(|_| async {}));
    ended.await.expect("found out within 20 seconds");
}

/// Over a link that is too slow for its events, RabbitMQ drops the oldest. Never are more counted than were lost.
async fn what_our_queue_drops_is_counted(one: &One) {
    let counted = async {
        // On a machine that is too busy for its heartbeats the slow link may end; then it is the next one that counts.
        while drops_were_counted(one).await.is_none() {}
    };
    tokio::time::timeout(3 * LIMIT, counted).await.expect("losses are noticed");
}

/// Nothing when the slow link did not last.
async fn drops_were_counted(One { rabbit, broker, .. }: &One) -> Option<()> {
    let proxy = Proxy::start(rabbit, Duration::from_millis(16)).await;
    let slow = open(&format!("amqp://127.0.0.1:{}", proxy.port), "");
    let mut stream = slow.events().await.expect("subscribed");
    let announce = async |key: &str, bytes: usize| {
        let route = Some(("celeryev".to_owned(), key.to_owned()));
        let message = Outgoing { route, args: format!("[{:?}]", "x".repeat(bytes)), ..task("none") };
        broker.publish(&message).await.ok()
    };
    let announcing = async {
        let (mut sent, mut missed) = (0, 0);
        // Some times more than the link takes, and no more than that: others are at work on this machine.
        let mut pace = tokio::time::interval(Duration::from_millis(2));
        while missed == 0 {
            pace.tick().await;
            announce("task.bulky", 50_000).await?;
            (sent, missed) = (sent + 1, slow.missed());
        }
        proxy.fast.cancel();
        announce("task.last", 1).await?;
        Some((sent, missed))
    };
    let hearing = async {
        let mut heard = 0;
        loop {
            let messages = stream.next().await?;
            let bulky = messages.iter().take_while(|message| message.channel.as_ref() != "task.last").count();
            heard += bulky as u64;
            if bulky < messages.len() {
                return Some(heard);
            }
        }
    };
    let (told, heard) = tokio::join!(announcing, hearing);
    let ((sent, missed), heard) = (told?, heard?);
    assert!(heard > 0 && heard + missed + slow.missed() <= sent, "{heard} heard, {missed} missed, {sent} sent");
    Some(())
}

/// Passes bytes on, until it is frozen: then it only holds its connections open.
struct Proxy {
    port: u16,
    frozen: CancellationToken,
    /// From then on it is a fast link.
    fast: CancellationToken,
}

impl Proxy {
    /// A link that rests so long after each 32 kB.
    async fn start(rabbit: &Rabbit, pause: Duration) -> Self {
        let to = rabbit.url().split(['@', '/']).find(|part| part.starts_with("127")).expect("address").to_owned();
        let (frozen, fast) = (CancellationToken::new(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        let (stop, hurry) = (frozen.clone(), fast.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&to).await.expect("connected");
                let (stop, hurry) = (stop.clone(), hurry.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(near, far, pause, &hurry) => {}
                        () = stop.cancelled() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, frozen, fast }
    }
}

async fn pass(near: TcpStream, far: TcpStream, pause: Duration, hurry: &CancellationToken) -> std::io::Result<()> {
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    let back = async {
        let mut bytes = vec![0; 32 << 10];
        loop {
            let n = far_in.read(&mut bytes).await?;
            if n == 0 {
                return Ok(());
            }
            near_out.write_all(&bytes[..n]).await?;
            if !pause.is_zero() && !hurry.is_cancelled() {
                tokio::time::sleep(pause).await;
            }
        }
    };
    tokio::select! {
        passed = back => passed,
        passed = tokio::io::copy(&mut near_in, &mut far_out) => passed.map(|_| ()),
    }
}
