//! When the next frame may be drawn: at once after rest, then as often as the link takes it.

use std::time::{Duration, Instant};

/// Between two frames that answer keys.
const KEYS: Duration = Duration::from_millis(33);
/// The longest pause that a slow link can bring about.
const SLOWEST: Duration = Duration::from_secs(1);
/// Bytes of a frame that a slow link feels.
const LARGE: usize = 256;
/// After so long without an answer the terminal is taken not to answer.
const ANSWER: Duration = Duration::from_millis(700);

/// Watches how long flushing takes, and how long the terminal takes to answer a status request.
pub struct Pace {
    drawn: Option<Instant>,
    /// The pause the link asks for.
    pause: Duration,
    asked: Option<Instant>,
    missing: u8,
    round_trip: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { drawn: None, pause: KEYS, asked: None, missing: 0, round_trip: None }
    }
}

impl Pace {
    /// When a frame that answers a key may be drawn.
    pub fn key_frame(&self) -> Instant {
        self.after(KEYS)
    }

    /// When a frame that only brings data may be drawn, with the pause its view wishes.
    pub fn data_frame(&self, wished: Duration) -> Instant {
        let at = self.after(self.pause.max(wished));
        match self.asked {
            Some(asked) if self.missing < 2 => at.max(asked + ANSWER),
            _ => at,
        }
    }

    fn after(&self, pause: Duration) -> Instant {
        self.drawn.map_or_else(Instant::now, |drawn| drawn + pause)
    }

    /// Whether a data frame of so many bytes should end with a status request. A small one can't fill a link; the first
    /// answer is wanted in any case, to know the round trip.
    pub fn wants_answer(&self, bytes: usize) -> bool {
        self.missing < 2 && (bytes >= LARGE || self.round_trip.is_none())
    }

    /// A frame was flushed, and took so long; with a status request at its end or without.
    pub fn drew(&mut self, took: Duration, asked: bool) {
        let now = Instant::now();
        self.drawn = Some(now);
        if took > self.pause / 2 {
            self.pause = (self.pause * 2).min(SLOWEST);
        } else if took < self.pause / 10 {
            self.pause = (self.pause / 2).max(KEYS);
        }
        if asked {
            if self.asked.is_some() {
                self.missing = self.missing.saturating_add(1);
            }
            self.asked = Some(now);
        }
    }

    /// The terminal answered.
    pub fn answered(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.round_trip = Some(asked.elapsed());
            self.missing = 0;
        }
    }

    /// How long the terminal takes to answer, once it did.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_link_is_given_time_and_a_fast_one_gets_it_back() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.drew(Duration::from_millis(800), false);
        }
        assert_eq!(pace.pause, SLOWEST);
        for _ in 0..10 {
            pace.drew(Duration::from_micros(100), false);
        }
        assert_eq!(pace.pause, KEYS);
    }

    #[test]
    fn a_terminal_that_never_answers_is_asked_no_more() {
        let mut pace = Pace::default();
        pace.drew(Duration::ZERO, true);
        assert!(pace.data_frame(KEYS) >= pace.asked.unwrap() + ANSWER);
        pace.drew(Duration::ZERO, true);
        pace.drew(Duration::ZERO, true);
        assert!(!pace.wants_answer(LARGE));
        let mut pace = Pace::default();
        pace.drew(Duration::ZERO, true);
        pace.answered();
        assert!(pace.round_trip().is_some() && pace.asked.is_none());
        assert!(pace.wants_answer(LARGE) && !pace.wants_answer(LARGE - 1));
    }
}
