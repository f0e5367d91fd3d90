//! Choosing a span of time in the chart, and putting it into a filter.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Stamp;
use crate::filter::{Filter, Test};
use crate::history::lookup::Chart;
use crate::human;

/// See the module. The points of the chart that are chosen, by their places.
#[derive(Default, Debug)]
pub struct Span {
    chosen: Option<(usize, usize)>,
    /// Where the mouse was pressed.
    pressed: usize,
}

/// The share of the chart that is chosen at first, and that one step moves by.
const FIRST: usize = 12;
const STEP: usize = 60;

impl Span {
    /// The chosen points, among so many.
    pub fn chosen(&self, points: usize) -> Option<(usize, usize)> {
        self.chosen.filter(|(_, last)| *last < points)
    }

    /// Takes it away; false if nothing was chosen.
    pub fn clear(&mut self) -> bool {
        self.chosen.take().is_some()
    }

    /// Moves it; it appears at the end, and goes there again.
    pub fn walk(&mut self, later: bool, points: usize) {
        let step = (points / STEP).max(1);
        self.chosen = match self.chosen(points) {
            None if later || points == 0 => None,
            None => Some((points - (points / FIRST).max(1), points - 1)),
            Some((_, last)) if later && last + 1 == points => None,
            Some((first, last)) if later => {
                let step = step.min(points - 1 - last);
                Some((first + step, last + step))
            }
            Some((first, last)) => Some((first - step.min(first), last - step.min(first))),
        };
    }

    /// Halves or doubles it. Its end stays.
    pub fn stretch(&mut self, longer: bool, points: usize) {
        if let Some((first, last)) = self.chosen(points) {
            let length = last - first + 1;
            let length = if longer { length * 2 } else { (length / 2).max(1) };
            self.chosen = Some(((last + 1).saturating_sub(length), last));
        }
    }

    /// The mouse was pressed at a share of the time.
    pub fn press(&mut self, share: u16, points: usize) {
        self.pressed = place(share, points);
        self.chosen = (points > 0).then_some((self.pressed, self.pressed));
    }

    /// The mouse was dragged on from where it was pressed.
    pub fn drag(&mut self, share: u16, points: usize) {
        let to = place(share, points);
        self.chosen = (points > 0).then_some((self.pressed.min(to), self.pressed.max(to)));
    }

    /// Begin and end of what is chosen.
    pub fn times(&self, chart: &Chart) -> Option<(Stamp, Stamp)> {
        let (first, last) = self.chosen(chart.points.len())?;
        Some((begins(chart, first), begins(chart, last + 1)))
    }
}

fn place(share: u16, points: usize) -> usize {
    (usize::from(share) * points / 1_000).min(points.saturating_sub(1))
}

/// When a point begins.
pub fn begins(chart: &Chart, point: usize) -> Stamp {
    let minute = |n: i64| Stamp::from_micros(n * 60_000_000);
    minute(chart.begin) + Duration::from_secs(60 * u64::from(chart.step) * point as u64)
}

/// A filter without what it says of time.
pub fn timeless(filter: &Filter) -> Filter {
    let terms = filter.terms.iter().filter(|term| !matches!(term.test, Test::Time(..)));
    Filter { terms: terms.cloned().collect() }
}

/// A filter for another span of time, as a person would type it.
pub fn within(filter: &Filter, (from, to): (Stamp, Stamp), zone: &TimeZone) -> String {
    let times = format!("since:{} until:{}", human::iso(from, zone), human::iso(to, zone));
    match timeless(filter) {
        rest if rest.is_empty() => times,
        rest => format!("{rest} {times}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_walks_stretches_and_goes_at_the_end() {
        let mut span = Span::default();
        span.walk(true, 120);
        assert_eq!(span.chosen(120), None);
        span.walk(false, 120);
        assert_eq!(span.chosen(120), Some((110, 119)));
        span.walk(false, 120);
        assert_eq!(span.chosen(120), Some((108, 117)));
        span.stretch(false, 120);
        assert_eq!(span.chosen(120), Some((113, 117)));
        for _ in 0..9 {
            span.stretch(true, 120);
        }
        assert_eq!(span.chosen(120), Some((0, 117)));
        span.walk(false, 120);
        assert_eq!(span.chosen(120), Some((0, 117)), "at the beginning it stays as long as it is");
        span.walk(true, 120);
        span.walk(true, 120);
        assert_eq!(span.chosen(120), None);
    }

    #[test]
    fn the_mouse_chooses_in_both_directions() {
        let mut span = Span::default();
        span.press(500, 10);
        span.drag(220, 10);
        assert_eq!(span.chosen(10), Some((2, 5)));
        span.drag(999, 10);
        assert_eq!(span.chosen(10), Some((5, 9)));
        assert_eq!(span.chosen(9), None, "of another chart it says nothing");
    }

    #[test]
    fn a_span_takes_the_place_of_the_times_in_a_filter() {
        let at = |secs: i64| Stamp::from_micros(1_795_529_007_000_000 + secs * 1_000_000);
        let filter = |text: &str| crate::filter::parse(text).unwrap();
        let line = |text| within(&filter(text), (at(-60), at(0)), &TimeZone::UTC);
        let times = "since:2026-11-24T14:02:27 until:2026-11-24T14:03:27";
        assert_eq!(line("since:15m"), times);
        assert_eq!(line("task:a.* until:5m -state:success"), format!("task:a.* -state:success {times}"));
        assert_eq!(filter(&line("\"two words\"")).terms.len(), 3);
    }
}
