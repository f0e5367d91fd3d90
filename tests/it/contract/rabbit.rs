//! RabbitMQ, with its management API and without.

use std::sync::Arc;

use flower_tui::broker::Broker;
use serde_json::json;

use super::redis::open;
use super::{Peer, Setup, suite};
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
async fn rabbitmq() {
    let rabbit = Rabbit::start(false, "");
    let (broker, peer) = (open(&rabbit.url(), ""), Peer::start(&json!({"broker_url": rabbit.url()})));
    let mut one = One { rabbit, broker, peer };
    suite(&mut one).await;
    nothing_is_left(one);
}

/// When we and the other side are gone, so is everything that was not declared for good.
fn nothing_is_left(One { rabbit, broker, peer }: One) {
    drop((broker, peer));
    wait_for("an orderly broker", || (rabbit.queues() == ["ours", "waits"]).then_some(()));
}
