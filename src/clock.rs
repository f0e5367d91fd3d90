//! The only place that reads the time. Everything else is given a [`Stamp`] or a [`Clock`].

use std::num::NonZeroI64;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ONE: NonZeroI64 = match NonZeroI64::new(1) {
    Some(one) => one,
    None => NonZeroI64::MIN,
};

/// A point in time: microseconds since the Unix epoch. `Option<Stamp>` takes 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(NonZeroI64);

impl Stamp {
    /// The beginning of 1970, to the microsecond after it (zero is kept free for `None`).
    pub const EPOCH: Stamp = Stamp(ONE);

    /// From microseconds since the epoch; zero becomes one.
    pub fn from_micros(micros: i64) -> Self {
        Self(NonZeroI64::new(micros).unwrap_or(ONE))
    }

    /// From seconds since the epoch, as Celery writes them. `None` for what is no time (NaN, infinite).
    pub fn from_secs(secs: f64) -> Option<Self> {
        secs.is_finite().then(|| Self::from_micros((secs * 1e6).round() as i64))
    }

    /// Seconds since the epoch.
    pub fn secs(self) -> f64 {
        self.0.get() as f64 / 1e6
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0.get()
    }

    /// As ISO 8601 in UTC, the way Celery writes an eta.
    pub fn iso(self) -> String {
        let at = jiff::Timestamp::from_microsecond(self.micros()).unwrap_or_default();
        at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
    }

    /// Time passed since `earlier`, zero when it lies ahead.
    pub fn since(self, earlier: Stamp) -> Duration {
        Duration::from_micros(u64::try_from(self.micros().saturating_sub(earlier.micros())).unwrap_or(0))
    }
}

impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.6}", self.secs())
    }
}

impl Add<Duration> for Stamp {
    type Output = Stamp;
    fn add(self, d: Duration) -> Stamp {
        Stamp::from_micros(self.micros().saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Stamp {
    type Output = Stamp;
    fn sub(self, d: Duration) -> Stamp {
        Stamp::from_micros(self.micros().saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Where the present time comes from: the system, or a hand that tests and the simulator move.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `at` until [`Clock::set`] moves it.
    pub fn manual(at: Stamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.micros()))))
    }

    /// Moves a manual clock; the system's can't be moved.
    pub fn set(&self, at: Stamp) {
        if let Some(hand) = &self.0 {
            hand.store(at.micros(), Ordering::Relaxed);
        }
    }

    /// The present time.
    pub fn now(&self) -> Stamp {
        match &self.0 {
            Some(hand) => Stamp::from_micros(hand.load(Ordering::Relaxed)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Stamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_stamp_takes_eight_bytes() {
        assert_eq!(size_of::<Option<Stamp>>(), 8);
        assert_eq!(Stamp::from_micros(0).micros(), 1);
        assert_eq!(Stamp::EPOCH.micros(), 1);
    }

    #[test]
    fn a_time_is_written_as_celery_writes_an_eta() {
        let at = Stamp::from_micros(1_795_481_430_000_250);
        assert_eq!(at.iso(), "2026-11-24T00:50:30.000250+00:00");
    }

    #[test]
    fn seconds_survive_the_way_there_and_back_to_a_microsecond() {
        let secs = 1_795_481_430.330_580_7;
        let stamp = Stamp::from_secs(secs).expect("finite");
        assert!((stamp.secs() - secs).abs() < 1e-6);
        assert_eq!(Stamp::from_secs(f64::NAN), None);
    }
}
