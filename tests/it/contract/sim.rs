//! The simulated cluster keeps the same contract, as far as it needs nobody on the other side.

use std::sync::Arc;

use flower_tui::broker::Broker;
use flower_tui::clock::Clock;
use flower_tui::sim::{Options, SimBroker};

use super::{Peer, Setup, suite};

struct Simulated(SimBroker);

impl Setup for Simulated {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.0.clone())
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        None
    }

    fn kind(&self) -> &'static str {
        "simulated"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulation() {
    suite(&mut Simulated(SimBroker::new(&Options { tasks: 100, ..Options::default() }, Clock::system()))).await;
}
