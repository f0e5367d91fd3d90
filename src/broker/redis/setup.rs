//! How a Redis is set up. A careful administrator permits none of these questions: what is refused is not known.

use std::collections::HashMap;

use super::RedisBroker;
use crate::broker::setup::{Buffer, Setup};
use crate::clock::{Clock, Stamp};

const ASKED: [&str; 4] = ["client-output-buffer-limit", "maxmemory-policy", "protected-mode", "bind"];

pub(super) async fn ask(broker: &RedisBroker) -> Setup {
    let mut setup = Setup { clocks: clocks(broker).await, ..Setup::default() };
    let mut pipe = redis::pipe();
    for name in ASKED {
        pipe.cmd("CONFIG").arg("GET").arg(name);
    }
    let told: Vec<HashMap<String, String>> = match broker.run("CONFIG GET", &pipe).await {
        Ok(told) => told,
        Err(error) => {
            setup.untold = Some(error.reason());
            return setup;
        }
    };
    let told: HashMap<String, String> = told.into_iter().flatten().collect();
    let text = |name: &str| told.get(name).map(|text| crate::text::clean(text).to_string());
    setup.subscriber = told.get(ASKED[0]).and_then(|text| subscriber(text));
    setup.eviction = text(ASKED[1]);
    setup.protected = told.get(ASKED[2]).map(|word| word == "yes");
    setup.bind = text(ASKED[3]);
    setup
}

/// Its clock, and ours in the middle of the question.
async fn clocks(broker: &RedisBroker) -> Option<(Stamp, Stamp)> {
    let clock = Clock::system();
    let before = clock.now();
    let ((secs, micros),): ((i64, i64),) = broker.run("TIME", redis::pipe().cmd("TIME")).await.ok()?;
    let ours = before + clock.now().since(before) / 2;
    Some((Stamp::from_micros(secs.checked_mul(1_000_000)?.checked_add(micros)?), ours))
}

/// `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`.
fn subscriber(text: &str) -> Option<Buffer> {
    let mut words = text.split_whitespace().skip_while(|word| *word != "pubsub").skip(1);
    let mut number = || words.next()?.parse().ok();
    Some(Buffer { hard: number()?, soft: number()?, secs: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_a_subscriber_are_told_apart_from_those_of_others() {
        let text = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        assert_eq!(subscriber(text), Some(Buffer { hard: 32 << 20, soft: 8 << 20, secs: 60 }));
        assert_eq!(subscriber("normal 0 0 0"), None);
    }
}
