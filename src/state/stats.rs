//! Rates by outcome and runtimes, for the whole cluster and for each task name.

use hdrhistogram::Histogram;

use crate::clock::Stamp;

use super::model::Model;
use super::series::Ring;
use super::task::State;

/// What happened in a stretch of time.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Counts {
    pub sent: u32,
    pub received: u32,
    pub started: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub retried: u32,
    pub revoked: u32,
    pub rejected: u32,
}

impl Counts {
    /// Adds another stretch.
    pub fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.received += other.received;
        self.started += other.started;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.retried += other.retried;
        self.revoked += other.revoked;
        self.rejected += other.rejected;
    }

    /// Counts an event that led to `state`.
    pub fn count(&mut self, state: State) {
        let slot = match state {
            State::Pending => &mut self.sent,
            State::Received => &mut self.received,
            State::Started => &mut self.started,
            State::Success => &mut self.succeeded,
            State::Failure => &mut self.failed,
            State::Retry => &mut self.retried,
            State::Revoked => &mut self.revoked,
            State::Rejected => &mut self.rejected,
            State::Custom => return,
        };
        *slot = slot.saturating_add(1);
    }

    /// Share of successes among what ended well or badly.
    pub fn success(&self) -> Option<f64> {
        let ended = self.succeeded + self.failed;
        (ended > 0).then(|| f64::from(self.succeeded) / f64::from(ended))
    }
}

/// Runtime percentiles, in seconds.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Percentiles {
    pub p50: f32,
    pub p95: f32,
    pub p99: f32,
    pub samples: u32,
}

/// Histograms count in units of 10 microseconds, to two figures.
fn histogram() -> Histogram<u32> {
    match Histogram::new(2) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("two figures are within what the crate allows"),
    }
}

fn record(histogram: &mut Histogram<u32>, secs: f64) {
    // Above about an hour the precise value is of no use, and the table would grow.
    // The table resizes itself, so recording a value below that can't fail.
    let _ = histogram.record(((secs * 1e5) as u64).clamp(1, 360_000_000));
}

fn percentiles(histogram: &Histogram<u32>) -> Percentiles {
    let at = |q| (histogram.value_at_quantile(q) as f64 / 1e5) as f32;
    match u32::try_from(histogram.len()).unwrap_or(u32::MAX) {
        0 => Percentiles::default(),
        samples => Percentiles { p50: at(0.5), p95: at(0.95), p99: at(0.99), samples },
    }
}

/// The runtimes of the last quarter to half an hour: two windows, the older one dropped when the newer is full.
pub struct Runtimes {
    current: Histogram<u32>,
    previous: Histogram<u32>,
    since: Stamp,
}

/// Seconds a window lasts.
const WINDOW: u64 = 900;

impl Runtimes {
    fn new(now: Stamp) -> Self {
        Self { current: histogram(), previous: histogram(), since: now }
    }

    fn record(&mut self, secs: f64, now: Stamp) {
        let age = now.since(self.since).as_secs();
        if age >= WINDOW {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.reset();
            if age >= 2 * WINDOW {
                self.previous.reset();
            }
            self.since = now;
        }
        record(&mut self.current, secs);
    }

    /// Percentiles over both windows.
    pub fn percentiles(&self) -> Percentiles {
        let mut both = self.current.clone();
        // Only fails where the target can't grow; this one can.
        let _ = both.add(&self.previous);
        percentiles(&both)
    }
}

/// Percentiles over time of something measured in seconds: by fixed stretches, and of late.
pub struct Spread {
    /// Percentiles of what ended within each stretch.
    pub ring: Ring<Percentiles>,
    open: Histogram<u32>,
    opened: Option<Stamp>,
    pub recent: Runtimes,
}

impl Spread {
    fn new(step_secs: u32, len: usize, now: Stamp) -> Self {
        Self { ring: Ring::new(step_secs, len), open: histogram(), opened: None, recent: Runtimes::new(now) }
    }

    fn record(&mut self, secs: f64, at: Stamp) {
        if self.opened.is_some_and(|opened| !self.ring.same_bucket(opened, at)) {
            self.close();
        }
        record(&mut self.open, secs);
        self.opened.get_or_insert(at);
        self.recent.record(secs, at);
    }

    fn close(&mut self) {
        if let Some(slot) = self.opened.take().and_then(|opened| self.ring.at(opened)) {
            *slot = percentiles(&self.open);
        }
        self.open.reset();
    }

    /// Closes a stretch that is over.
    fn tick(&mut self, now: Stamp) {
        self.ring.advance(now);
        if self.opened.is_some_and(|opened| opened < now && !self.ring.same_bucket(opened, now)) {
            self.close();
        }
    }

    /// The p95 it mostly has: the median of all stretches.
    pub fn usual_p95(&self, now: Stamp) -> Option<f32> {
        let mut all: Vec<f32> = self.ring.last(self.ring.len(), now).filter(|p| p.samples > 0).map(|p| p.p95).collect();
        if all.len() < 5 {
            return None;
        }
        let middle = all.len() / 2;
        Some(*all.select_nth_unstable_by(middle, f32::total_cmp).1)
    }
}

/// Rates, runtimes and waits of the whole cluster.
pub struct Series {
    pub seconds: Ring<Counts>,
    pub tens: Ring<Counts>,
    pub minutes: Ring<Counts>,
    pub runtimes: Spread,
    pub waits: Spread,
}

impl Series {
    pub(super) fn new() -> Self {
        Self {
            seconds: Ring::new(1, 900),
            tens: Ring::new(10, 2160),
            minutes: Ring::new(60, 1440),
            runtimes: Spread::new(10, 2160, Stamp::EPOCH),
            waits: Spread::new(10, 2160, Stamp::EPOCH),
        }
    }

    pub(super) fn count(&mut self, state: State, at: Stamp) {
        for ring in [&mut self.seconds, &mut self.tens, &mut self.minutes] {
            if let Some(counts) = ring.at(at) {
                counts.count(state);
            }
        }
    }

    pub(super) fn runtime(&mut self, secs: f64, at: Stamp) {
        self.runtimes.record(secs, at);
    }

    pub(super) fn wait(&mut self, secs: f64, at: Stamp) {
        self.waits.record(secs, at);
    }

    /// Closes stretches that are over.
    pub(super) fn tick(&mut self, now: Stamp) {
        self.seconds.advance(now);
        self.tens.advance(now);
        self.minutes.advance(now);
        self.runtimes.tick(now);
        self.waits.tick(now);
    }

    /// What happened in the last `secs` full seconds (at most 900).
    pub fn recent(&self, secs: usize, now: Stamp) -> Counts {
        let mut sum = Counts::default();
        for counts in self.seconds.last(secs, now) {
            sum.add(&counts);
        }
        sum
    }
}

/// One bucket of a task name's rates.
#[derive(Clone, Copy, Default)]
pub struct NameBucket {
    pub done: u32,
    pub failed: u32,
    pub retried: u32,
    /// How many waits `wait` is the sum of.
    pub waited: u32,
    /// Seconds of process time used.
    pub busy: f32,
    /// Seconds waited, all together.
    pub wait: f32,
}

impl NameBucket {
    /// Adds another stretch.
    pub fn add(&mut self, other: &NameBucket) {
        self.done += other.done;
        self.failed += other.failed;
        self.retried += other.retried;
        self.waited += other.waited;
        self.busy += other.busy;
        self.wait += other.wait;
    }

    /// Share of successes among what ended well or badly.
    pub fn success(&self) -> Option<f64> {
        let ended = self.done + self.failed;
        (ended > 0).then(|| f64::from(self.done) / f64::from(ended))
    }

    /// Seconds waited on the average.
    pub fn mean_wait(&self) -> Option<f64> {
        (self.waited > 0).then(|| f64::from(self.wait) / f64::from(self.waited))
    }
}

/// Rates and runtimes of one task name: about 50 kB.
pub struct NameStats {
    pub total: Counts,
    /// The last quarter of an hour, by ten seconds.
    pub buckets: Ring<NameBucket>,
    /// The last six hours, by the minute.
    pub minutes: Ring<NameBucket>,
    pub runtimes: Spread,
}

impl NameStats {
    pub(super) fn new(now: Stamp) -> Self {
        Self {
            total: Counts::default(),
            buckets: Ring::new(10, 91),
            minutes: Ring::new(60, 361),
            runtimes: Spread::new(60, 361, now),
        }
    }

    fn both(&mut self, at: Stamp, change: impl Fn(&mut NameBucket)) {
        for ring in [&mut self.buckets, &mut self.minutes] {
            if let Some(bucket) = ring.at(at) {
                change(bucket);
            }
        }
    }

    pub(super) fn count(&mut self, state: State, runtime: Option<f64>, at: Stamp) {
        self.total.count(state);
        if let Some(secs) = runtime {
            self.runtimes.record(secs, at);
        }
        self.both(at, |bucket| {
            match state {
                State::Success => bucket.done += 1,
                State::Failure => bucket.failed += 1,
                State::Retry => bucket.retried += 1,
                _ => {}
            }
            bucket.busy += runtime.unwrap_or(0.0) as f32;
        });
    }

    pub(super) fn wait(&mut self, secs: f64, at: Stamp) {
        self.both(at, |bucket| {
            bucket.waited += 1;
            bucket.wait += secs as f32;
        });
    }

    pub(super) fn tick(&mut self, now: Stamp) {
        self.runtimes.tick(now);
    }

    /// Tasks that ended by the second over the last `secs` seconds; see [`Model::rate`].
    pub fn rate(&self, secs: u32, model: &Model, now: Stamp) -> Option<f64> {
        let ring = if secs <= 900 { &self.buckets } else { &self.minutes };
        model.rate(ring, secs, now, |bucket| f64::from(bucket.done + bucket.failed))
    }

    /// The last `secs` seconds as one bucket: to ten seconds up to a quarter of an hour, else to the minute.
    pub fn recent(&self, secs: u32, now: Stamp) -> NameBucket {
        let ring = if secs <= 900 { &self.buckets } else { &self.minutes };
        let mut sum = NameBucket::default();
        for bucket in ring.last_with_open((secs / ring.step()).max(1) as usize, now) {
            sum.add(&bucket);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_ten_seconds_appear_when_they_are_over() {
        let mut series = Series::new();
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        for n in 1..=100 {
            series.runtime(f64::from(n) / 100.0, at(2));
        }
        assert_eq!(series.runtimes.ring.last(1, at(10)).next().map(|p| p.samples), Some(0));
        series.tick(at(10));
        let p = series.runtimes.ring.last(1, at(10)).next().expect("one");
        assert_eq!(p.samples, 100);
        assert!((p.p50 - 0.5).abs() < 0.01 && (p.p95 - 0.95).abs() < 0.01, "{p:?}");
    }

    #[test]
    fn old_runtimes_are_forgotten() {
        let mut runtimes = Runtimes::new(Stamp::EPOCH);
        let at = |s: i64| Stamp::from_micros(s * 1_000_000);
        runtimes.record(5.0, at(10));
        runtimes.record(1.0, at(1000));
        assert_eq!(runtimes.percentiles().samples, 2);
        runtimes.record(1.0, at(5000));
        assert_eq!(runtimes.percentiles().samples, 1);
    }
}
