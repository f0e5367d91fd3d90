//! The state of our connection to the broker, and how long to wait before trying again.

use std::time::Duration;

use crate::clock::Stamp;

/// Whether events can reach us.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkState {
    /// The first attempt is under way.
    Connecting,
    Live {
        since: Stamp,
    },
    /// Not connected, for this reason; the next attempt is made at `retry`.
    Down {
        since: Stamp,
        why: String,
        /// What a person can do about it.
        hint: &'static str,
        retry: Stamp,
    },
}

impl LinkState {
    /// Whether events can reach us.
    pub fn is_live(&self) -> bool {
        matches!(self, LinkState::Live { .. })
    }

    /// Whether it tells a person something new: another try that failed like the last does not.
    pub fn is_news(&self, before: &Self) -> bool {
        match (self, before) {
            (LinkState::Down { why, .. }, LinkState::Down { why: known, .. }) => why != known,
            _ => self != before,
        }
    }
}

/// Pauses that grow by half, from a twentieth of a second to a whole one: a broker that is back is found at once, and one
/// that is away is not burdened by a knock each second.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
    /// Waited for somebody to listen again.
    waited: Duration,
}

/// A server that was restarted is back soon, and to find that out costs nobody anything: so often it is tried, for so long.
const SOON: (Duration, Duration) = (Duration::from_millis(40), Duration::from_secs(10));

impl Backoff {
    /// The pause before the next attempt. `refused` is where nobody listens.
    pub fn pause(&mut self, refused: bool) -> Duration {
        if refused && self.waited < SOON.1 {
            self.waited += SOON.0;
            return SOON.0;
        }
        let pause = 0.05 * 1.5f64.powi(self.attempts.min(20) as i32);
        self.attempts += 1;
        Duration::from_secs_f64(pause.min(1.0))
    }

    /// The connection stood: begin with short pauses again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_that_failed_like_the_last_is_no_news() {
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let down = |why: &str, retry| LinkState::Down { since: at(1), why: why.into(), hint: "", retry: at(retry) };
        assert!(!down("connection refused", 3).is_news(&down("connection refused", 2)));
        assert!(down("it refused us", 3).is_news(&down("connection refused", 2)));
        let live = LinkState::Live { since: at(4) };
        assert!(live.is_news(&down("connection refused", 2)) && down("the connection ended", 5).is_news(&live));
    }

    #[test]
    fn pauses_grow_up_to_a_second_and_start_over() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..30).map(|_| backoff.pause(false)).collect();
        assert!(pauses.windows(2).all(|p| p[0] <= p[1]));
        assert_eq!((pauses[0], pauses[29]), (Duration::from_millis(50), Duration::from_secs(1)));
        backoff.reset();
        assert_eq!(backoff.pause(false), Duration::from_millis(50));
    }

    #[test]
    fn where_nobody_listens_it_is_tried_often_for_ten_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..300).map(|_| backoff.pause(true)).collect();
        assert_eq!((pauses[0], pauses[249], pauses[299]), (SOON.0, SOON.0, Duration::from_secs(1)));
    }
}
