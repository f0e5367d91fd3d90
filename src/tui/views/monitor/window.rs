//! The stretch of time the monitor shows, and the reading cursor in it.

use std::time::Duration;

use crate::clock::Stamp;

/// Lengths one steps through: seconds.
const LENGTHS: [u32; 6] = [60, 300, 900, 3_600, 10_800, 21_600];

/// See the module.
#[derive(Clone, Debug)]
pub struct Window {
    length: usize,
    /// Where it ends, when it doesn't follow the present.
    end: Option<Stamp>,
    /// Where values are read.
    pub cursor: Option<Stamp>,
}

impl Default for Window {
    fn default() -> Self {
        Self { length: 2, end: None, cursor: None }
    }
}

impl Window {
    /// Seconds it is long.
    pub fn secs(&self) -> u32 {
        LENGTHS.get(self.length).copied().unwrap_or(900)
    }

    /// Where it ends.
    pub fn end(&self, now: Stamp) -> Stamp {
        self.end.unwrap_or(now)
    }

    /// Where it begins.
    pub fn begin(&self, now: Stamp) -> Stamp {
        self.end(now) - Duration::from_secs(u64::from(self.secs()))
    }

    /// Whether it stands still.
    pub fn is_held(&self) -> bool {
        self.end.is_some()
    }

    pub fn shorter(&mut self) {
        self.length = self.length.saturating_sub(1);
    }

    pub fn longer(&mut self) {
        self.length = (self.length + 1).min(LENGTHS.len() - 1);
        self.end = None;
    }

    /// Seconds of one step of the cursor: a sixtieth of the window.
    pub fn step(&self) -> Duration {
        Duration::from_secs(u64::from(self.secs() / 60).max(1))
    }

    /// Moves the cursor; it appears at the present.
    pub fn read(&mut self, later: bool, now: Stamp) {
        let (begin, end, step) = (self.begin(now), self.end(now), self.step());
        let from = self.cursor.unwrap_or(end).clamp(begin, end);
        let to = if later { from + step } else { from - step };
        self.cursor = if later && to >= end { None } else { Some(to.max(begin)) };
    }

    /// A shorter window around the cursor, or around the middle.
    pub fn zoom(&mut self, now: Stamp) {
        if self.length == 0 {
            return;
        }
        let half = u64::from(LENGTHS[self.length - 1] / 2);
        let around = self.cursor.unwrap_or_else(|| self.end(now) - Duration::from_secs(half));
        self.length -= 1;
        let end = around + Duration::from_secs(half);
        self.end = (end < now).then_some(end);
    }

    /// One step back: the cursor goes, then the held end. False if there is nothing to take back.
    pub fn back(&mut self) -> bool {
        self.cursor.take().is_some() || self.end.take().is_some()
    }

    /// The share of the window that lies before a time; `None` outside.
    pub fn share(&self, at: Stamp, now: Stamp) -> Option<f64> {
        let share = (at.secs() - self.begin(now).secs()) / f64::from(self.secs());
        (0.0..=1.0).contains(&share).then_some(share)
    }

    /// The time at a share of the window.
    pub fn at(&self, share: f64, now: Stamp) -> Stamp {
        self.begin(now) + Duration::from_secs_f64(share.clamp(0.0, 1.0) * f64::from(self.secs()))
    }

    /// The stretch the cursor reads, else the whole window.
    pub fn span(&self, now: Stamp) -> (Stamp, Stamp) {
        match self.cursor {
            Some(at) => (at - self.step(), at),
            None => (self.begin(now), self.end(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_walks_through_the_window_and_zooming_follows_it() {
        let now = Stamp::from_micros(2_000_000_000_000);
        let mut window = Window::default();
        window.read(false, now);
        window.read(false, now);
        assert_eq!(window.cursor.map(|c| now.since(c).as_secs()), Some(30));
        window.read(true, now);
        window.read(true, now);
        assert_eq!(window.cursor, None, "at the present it goes");
        for _ in 0..30 {
            window.read(false, now);
        }
        window.zoom(now);
        assert_eq!((window.secs(), window.is_held()), (300, true));
        assert!(window.share(window.cursor.expect("kept"), now).is_some_and(|s| (s - 0.5).abs() < 0.01));
        assert!(window.back() && window.back() && !window.back());
    }
}
