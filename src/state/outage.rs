//! When we could not see: stretches without a subscription. A chart shows them as holes, never as zero.

use std::collections::VecDeque;

use crate::clock::Stamp;

/// How many stretches are remembered.
const KEPT: usize = 256;

/// A history that ends so shortly before we came has no hole behind it.
const JOINED: std::time::Duration = std::time::Duration::from_secs(3);

/// See the module.
#[derive(Default)]
pub struct Outages {
    /// From, and until; the last one may not be over.
    spans: VecDeque<(Stamp, Option<Stamp>)>,
    /// When the first subscription stood.
    begun: Option<Stamp>,
}

impl Outages {
    /// The link came up or went down. Says how long it was down, when it comes back.
    pub(super) fn link(&mut self, live: bool, at: Stamp) -> Option<std::time::Duration> {
        let first = self.begun.is_none();
        match (live, self.spans.back_mut()) {
            (true, last) => {
                self.begun.get_or_insert(at);
                let Some((from, until @ None)) = last else { return None };
                *until = Some(at);
                // Before the first subscription it was not our link that was down.
                (!first).then(|| at.since(*from))
            }
            (false, Some((_, None))) => None,
            (false, _) => {
                if self.begun.is_some() {
                    self.spans.push_back((at, None));
                    if self.spans.len() > KEPT {
                        self.spans.pop_front();
                    }
                }
                None
            }
        }
    }

    /// What came before is known from the history, up to a time. Where that lies before the first subscription, there is
    /// a hole between the two.
    pub(super) fn past(&mut self, end: Stamp) {
        let begun = self.begun.filter(|begun| begun.since(end) > JOINED);
        if self.spans.is_empty() && (begun.is_some() || self.begun.is_none()) {
            self.spans.push_front((end, begun));
        }
    }

    /// Since when the subscription has stood at all.
    pub fn begun(&self) -> Option<Stamp> {
        self.begun
    }

    /// Since when the subscription stands that stands now.
    pub(super) fn listening_since(&self) -> Option<Stamp> {
        match self.spans.back() {
            Some((_, None)) => None,
            Some((_, end)) => self.begun.max(*end),
            None => self.begun,
        }
    }

    /// When the last stretch ended that is over.
    pub fn last_end(&self) -> Option<Stamp> {
        self.spans.iter().rev().find_map(|(_, end)| *end)
    }

    /// Seconds of a stretch in which something could be seen.
    pub fn seen(&self, from: Stamp, to: Stamp) -> f64 {
        let dark: f64 = self
            .spans
            .iter()
            .map(|(begin, end)| end.unwrap_or(to).min(to).since((*begin).max(from)).as_secs_f64())
            .sum();
        to.since(from).as_secs_f64() - dark
    }

    /// Whether nothing was seen in some part of a stretch that is long enough to leave a hole.
    pub fn touches(&self, from: Stamp, to: Stamp) -> bool {
        self.spans.iter().any(|(begin, end)| *begin < to && end.is_none_or(|end| end > from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_what_no_outage_covers() {
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        let mut outages = Outages::default();
        for (live, s) in [(true, 0), (false, 10), (true, 14), (false, 50)] {
            outages.link(live, at(s));
        }
        assert_eq!(outages.seen(at(0), at(20)), 16.0);
        assert_eq!(outages.seen(at(12), at(13)), 0.0);
        assert_eq!(outages.seen(at(40), at(60)), 10.0, "one that lasts");
    }

    #[test]
    fn what_nobody_recorded_before_we_came_is_a_hole() {
        let at = |s: i64| Stamp::from_micros(1_000_000_000_000 + s * 1_000_000);
        for begun_first in [true, false] {
            let mut outages = Outages::default();
            let begin = |outages: &mut Outages| assert_eq!(outages.link(true, at(100)), None, "no link was down");
            if begun_first {
                begin(&mut outages);
            }
            outages.past(at(40));
            if !begun_first {
                begin(&mut outages);
            }
            assert!(
                outages.touches(at(50), at(60))
                    && !outages.touches(at(10), at(40))
                    && !outages.touches(at(100), at(110))
            );
        }
        let mut outages = Outages::default();
        outages.link(true, at(100));
        outages.past(at(99));
        assert!(!outages.touches(at(90), at(110)), "somebody records all the time");
    }

    #[test]
    fn a_stretch_without_a_link_is_a_hole() {
        let at = Stamp::from_micros;
        let mut outages = Outages::default();
        outages.link(false, at(1));
        assert!(!outages.touches(at(1), at(5)), "before the first link nothing was there to be missed");
        outages.link(true, at(10));
        outages.link(false, at(20));
        outages.link(false, at(22));
        assert!(outages.touches(at(25), at(30)) && !outages.touches(at(11), at(20)));
        assert_eq!(outages.link(true, at(40)).map(|d| d.as_micros()), Some(20));
        assert!(outages.touches(at(39), at(45)) && !outages.touches(at(40), at(45)));
        assert_eq!((outages.begun(), outages.last_end()), (Some(at(10)), Some(at(40))));
    }
}
