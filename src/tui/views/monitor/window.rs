//! The stretch of time the monitor shows, and the reading cursor in it.

use std::time::Duration;

use crate::clock::Stamp;

/// Lengths one steps through: seconds.
const LENGTHS: [u32; 6] = [60, 300, 900, 3_600, 10_800, 21_600];
/// The length it has where nobody asked for another.
const USUAL: usize = 2;

/// See the module.
#[derive(Clone, Debug)]
pub struct Window {
    length: usize,
    /// Its length is what somebody asked for.
    chosen: bool,
    /// Where it ends, when it doesn't follow the present.
    end: Option<Stamp>,
    /// How many columns it is drawn on; with none it is not drawn.
    columns: u32,
    /// Where values are read.
    pub cursor: Option<Stamp>,
}

impl Default for Window {
    fn default() -> Self {
        Self { length: USUAL, chosen: false, end: None, columns: 0, cursor: None }
    }
}

impl Window {
    /// Seconds it is long.
    pub fn secs(&self) -> u32 {
        LENGTHS.get(self.length).copied().unwrap_or(900)
    }

    /// The same window, drawn on so many columns.
    pub fn on(&self, columns: u16) -> Self {
        Self { columns: u32::from(columns), ..self.clone() }
    }

    /// Microseconds of a column: an even number, so that it can be halved.
    fn column(&self) -> i64 {
        i64::from(self.secs()) * 500_000 / i64::from(self.columns.max(1)) * 2
    }

    /// Where it ends: the present, or the end of its column. What is drawn moves by whole columns, and nothing of it
    /// changes but the newest: calmer, and cheaper to send.
    pub fn end(&self, now: Stamp) -> Stamp {
        let column = self.column();
        self.end.unwrap_or_else(|| match self.columns {
            0 => now,
            _ => Stamp::from_micros((now.micros().div_euclid(column) + 1) * column),
        })
    }

    /// Where it begins.
    pub fn begin(&self, now: Stamp) -> Stamp {
        self.end(now) - self.span_drawn()
    }

    fn span_drawn(&self) -> Duration {
        match self.columns {
            0 => Duration::from_secs(u64::from(self.secs())),
            n => Duration::from_micros(self.column().unsigned_abs() * u64::from(n)),
        }
    }

    /// Begin and end of each column's parts, oldest first: one or two to a column.
    pub fn stretches(&self, parts: u32, now: Stamp) -> impl Iterator<Item = (Stamp, Stamp)> + use<> {
        let (begin, part) = (self.begin(now).micros(), self.column() / i64::from(parts.clamp(1, 2)));
        let at = move |i: u32| Stamp::from_micros(begin + i64::from(i) * part);
        (0..self.columns * parts.clamp(1, 2)).map(move |i| (at(i), at(i + 1)))
    }

    /// Whether it stands still.
    pub fn is_held(&self) -> bool {
        self.end.is_some()
    }

    /// Grows to its usual length with what there is to show: an almost empty chart tells nothing.
    pub fn fit(&mut self, watched: Duration) {
        if !self.chosen && self.cursor.is_none() {
            let enough = LENGTHS.iter().position(|secs| u64::from(*secs) > watched.as_secs());
            self.length = enough.unwrap_or(USUAL).min(USUAL);
        }
    }

    pub fn shorter(&mut self) {
        self.chosen = true;
        self.length = self.length.saturating_sub(1);
    }

    pub fn longer(&mut self) {
        self.chosen = true;
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
        self.chosen = true;
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
        let share = (at.secs() - self.begin(now).secs()) / self.span_drawn().as_secs_f64();
        (0.0..=1.0).contains(&share).then_some(share)
    }

    /// The time at a share of the window.
    pub fn at(&self, share: f64, now: Stamp) -> Stamp {
        self.begin(now) + self.span_drawn().mul_f64(share.clamp(0.0, 1.0))
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
    fn what_is_drawn_moves_by_whole_columns_only() {
        let window = Window::default().on(53);
        let at = |secs: u64| Stamp::from_micros(1_795_529_000_000_000) + Duration::from_secs(secs);
        let drawn = |secs| window.stretches(2, at(secs)).collect::<Vec<_>>();
        let mut moves = 0;
        for secs in 0..170 {
            let (now, next) = (drawn(secs), drawn(secs + 1));
            assert_eq!(now.len(), 106);
            assert!(now[105].1 > at(secs) && now[103].1 <= at(secs), "the present is in the last column");
            if now != next {
                moves += 1;
                assert_eq!(now[2..], next[..104]);
            }
        }
        assert_eq!(moves, 10, "one in seventeen seconds");
    }

    #[test]
    fn a_window_grows_with_what_was_watched_until_somebody_chooses() {
        let secs = |watched: u64, window: &mut Window| {
            window.fit(Duration::from_secs(watched));
            window.secs()
        };
        let mut window = Window::default();
        assert_eq!([5, 59, 60, 299, 300, 5_000].map(|s| secs(s, &mut window)), [60, 60, 300, 300, 900, 900]);
        assert_eq!(secs(5, &mut window), 60);
        window.longer();
        assert_eq!(secs(5, &mut window), 300, "as it was asked for");
    }

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
