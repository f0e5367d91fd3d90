//! When the next frame may be drawn: at once after rest, then as often as the link takes it.

use std::time::{Duration, Instant};

/// Between two frames that only bring data, while nobody looks.
const UNWATCHED: Duration = Duration::from_secs(2);
/// The longest pause that a slow link can bring about.
const SLOWEST: Duration = Duration::from_secs(1);
/// After so long without an answer the terminal is taken not to answer.
const ANSWER: Duration = Duration::from_millis(700);

/// Watches how long flushing takes, and how long the terminal takes to answer a status request.
pub struct Pace {
    drawn: Option<Instant>,
    /// The pause between any two frames.
    least: Duration,
    /// Pause between frames that only bring data, where one was asked for.
    refresh: Duration,
    /// The terminal has the focus, as far as it told.
    watched: bool,
    /// The pause the link asks for.
    pause: Duration,
    asked: Option<Instant>,
    missing: u8,
    round_trip: Option<Duration>,
}

impl Pace {
    /// At most so many frames a second; those that only bring data at least `refresh` apart.
    pub fn new(fps: u32, refresh: Option<Duration>) -> Self {
        let least = Duration::from_secs(1) / fps.max(1);
        let refresh = refresh.unwrap_or_default();
        Self { drawn: None, least, refresh, watched: true, pause: least, asked: None, missing: 0, round_trip: None }
    }

    /// The terminal has the focus, or lost it.
    pub fn watched(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// When a frame that answers a key may be drawn.
    pub fn key_frame(&self) -> Instant {
        self.after(self.least)
    }

    /// When a frame that only brings data may be drawn, with the pause its view wishes.
    pub fn data_frame(&self, wished: Duration) -> Instant {
        let nobody = if self.watched { Duration::ZERO } else { UNWATCHED };
        let at = self.after(self.pause.max(wished).max(self.refresh).max(nobody));
        match self.asked {
            Some(asked) if self.missing < 2 => at.max(asked + ANSWER),
            _ => at,
        }
    }

    fn after(&self, pause: Duration) -> Instant {
        self.drawn.map_or_else(Instant::now, |drawn| drawn + pause)
    }

    /// Whether a data frame should end with a status request.
    pub fn wants_answer(&self) -> bool {
        self.missing < 2
    }

    /// A frame was flushed, and took so long; with a status request at its end or without.
    pub fn drew(&mut self, took: Duration, asked: bool) {
        let now = Instant::now();
        self.drawn = Some(now);
        if took > self.pause / 2 {
            self.pause = (self.pause * 2).min(SLOWEST.max(self.least));
        } else if took < self.pause / 10 {
            self.pause = (self.pause / 2).max(self.least);
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

    const LEAST: Duration = Duration::from_millis(40);

    fn fresh() -> Pace {
        Pace::new(25, None)
    }

    #[test]
    fn no_two_frames_are_closer_than_asked_for() {
        let mut pace = Pace::new(4, None);
        assert!(pace.key_frame() <= Instant::now(), "the first frame waits for nothing");
        pace.drew(Duration::ZERO, false);
        let drawn = pace.drawn.unwrap();
        let quarter = Duration::from_millis(250);
        assert_eq!((pace.key_frame(), pace.data_frame(Duration::ZERO)), (drawn + quarter, drawn + quarter));
        assert_eq!(pace.data_frame(SLOWEST), drawn + SLOWEST);
    }

    #[test]
    fn data_waits_for_the_refresh_asked_for_and_longer_while_nobody_looks() {
        let mut pace = Pace::new(30, Some(SLOWEST));
        pace.drew(Duration::ZERO, false);
        let drawn = pace.drawn.unwrap();
        assert_eq!(pace.data_frame(LEAST), drawn + SLOWEST);
        assert!(pace.key_frame() < drawn + LEAST, "keys are answered all the same");
        pace.watched(false);
        assert_eq!(pace.data_frame(LEAST), drawn + UNWATCHED);
        pace.watched(true);
        assert_eq!(pace.data_frame(LEAST), drawn + SLOWEST);
    }

    #[test]
    fn a_slow_link_is_given_time_and_a_fast_one_gets_it_back() {
        let mut pace = fresh();
        for _ in 0..10 {
            pace.drew(Duration::from_millis(800), false);
        }
        assert_eq!(pace.pause, SLOWEST);
        for _ in 0..10 {
            pace.drew(Duration::from_micros(100), false);
        }
        assert_eq!(pace.pause, LEAST);
    }

    #[test]
    fn a_terminal_that_never_answers_is_asked_no_more() {
        let mut pace = fresh();
        pace.drew(Duration::ZERO, true);
        assert!(pace.data_frame(LEAST) >= pace.asked.unwrap() + ANSWER);
        pace.drew(Duration::ZERO, true);
        pace.drew(Duration::ZERO, true);
        assert!(!pace.wants_answer());
        let mut pace = fresh();
        pace.drew(Duration::ZERO, true);
        pace.answered();
        assert!(pace.round_trip().is_some() && pace.asked.is_none());
    }
}
