//! RabbitMQ, with its management API and without.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::url::ApiUrl;
use flower_tui::broker::{self, Broker, BrokerUrl, TransportOptions};
use serde_json::json;

use super::redis::{Pki, open};
use super::{LIMIT, Peer, Setup, suite};
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
    nothing_is_left(one);
}

/// When we and the other side are gone, so is everything that was not declared for good.
fn nothing_is_left(One { rabbit, broker, peer }: One) {
    drop((broker, peer));
    wait_for("an orderly broker", || (rabbit.queues() == ["ours", "waits"]).then_some(()));
}
