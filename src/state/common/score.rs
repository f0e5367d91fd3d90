//! Which traits tell two groups apart: a share that is larger by far, and too many to be chance.

use std::collections::HashMap;

use super::facts::Fact;
use crate::filter::Test;

/// A trait that stands out.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub what: String,
    pub value: String,
    /// How a filter asks for it, where it can.
    pub test: Option<Test>,
    pub with: usize,
    pub chosen: usize,
    pub others_with: usize,
    pub others: usize,
}

/// Lines that are shown.
const SHOWN: usize = 20;
/// Of the chosen at least so many have it.
const LEAST: usize = 2;
/// The share is larger by at least this.
const LARGER: f64 = 0.15;
/// And it is no chance: a likelihood ratio that one comparison in some ten thousand reaches.
const CHANCE: f64 = 15.0;
/// Where something ran is told in several ways, which mostly are one: the first of them stays.
const PLACES: [&str; 5] = ["worker", "group", "host", "process", "version"];

impl Line {
    /// Of the chosen.
    pub fn share(&self) -> f64 {
        self.with as f64 / self.chosen.max(1) as f64
    }

    /// Of the others.
    pub fn share_of_others(&self) -> f64 {
        self.others_with as f64 / self.others.max(1) as f64
    }

    fn stands_out(&self) -> bool {
        self.with >= LEAST && self.share() - self.share_of_others() >= LARGER && self.likelihood() >= CHANCE
    }

    /// Twice the logarithm of how much likelier the numbers are if the groups differ (G-test).
    fn likelihood(&self) -> f64 {
        let (a, c) = (self.with as f64, self.others_with as f64);
        let (b, d) = (self.chosen as f64 - a, self.others as f64 - c);
        let all = a + b + c + d;
        let part = |seen: f64, row: f64, column: f64| {
            if seen > 0.0 { seen * (seen * all / (row * column)).ln() } else { 0.0 }
        };
        2.0 * (part(a, a + b, a + c) + part(b, a + b, b + d) + part(c, c + d, a + c) + part(d, c + d, b + d))
    }
}

/// What stands out, the strongest difference first.
pub fn lines(chosen: &[Vec<Fact>], others: &[Vec<Fact>]) -> Vec<Line> {
    // Nobody differs from nobody.
    if others.is_empty() {
        return Vec::new();
    }
    let mut counts: HashMap<(&str, &str), (usize, usize, Option<&Test>)> = HashMap::new();
    for fact in chosen.iter().flatten() {
        let count = counts.entry((&fact.what, &fact.value)).or_insert((0, 0, fact.test.as_ref()));
        count.0 += 1;
    }
    for fact in others.iter().flatten() {
        if let Some(count) = counts.get_mut(&(fact.what.as_str(), fact.value.as_str())) {
            count.1 += 1;
        }
    }
    let line = |((what, value), (with, others_with, test)): ((&str, &str), (usize, usize, Option<&Test>))| Line {
        what: what.to_owned(),
        value: value.to_owned(),
        test: test.cloned(),
        with,
        chosen: chosen.len(),
        others_with,
        others: others.len(),
    };
    let mut lines: Vec<Line> = counts.into_iter().map(line).filter(Line::stands_out).collect();
    let difference = |line: &Line| line.share() - line.share_of_others();
    let place = |line: &Line| PLACES.iter().position(|what| *what == line.what).unwrap_or(PLACES.len());
    lines.sort_by(|a, b| {
        let by_size = difference(b).total_cmp(&difference(a)).then(b.likelihood().total_cmp(&a.likelihood()));
        by_size.then(place(a).cmp(&place(b))).then_with(|| (&a.what, &a.value).cmp(&(&b.what, &b.value)))
    });
    let mut told: Vec<(usize, usize)> = Vec::new();
    lines.retain(|line| {
        let is_place = PLACES.contains(&line.what.as_str());
        let known = is_place && told.contains(&(line.with, line.others_with));
        if is_place {
            told.push((line.with, line.others_with));
        }
        !known
    });
    lines.truncate(SHOWN);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, &str)]) -> Vec<Fact> {
        let fact = |(what, value): &(&str, &str)| Fact { what: (*what).into(), value: (*value).into(), test: None };
        pairs.iter().map(fact).collect()
    }

    #[test]
    fn one_place_told_in_three_ways_is_one_line() {
        let here = facts(&[("worker", "celery@a"), ("host", "a"), ("process", "7 of celery@a"), ("queue", "q")]);
        let there = facts(&[("worker", "celery@b"), ("host", "b"), ("process", "8 of celery@b"), ("queue", "q")]);
        let found = lines(&vec![here; 10], &vec![there; 500]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].what.as_str(), found[0].with, found[0].others_with), ("worker", 10, 0));
    }

    #[test]
    fn what_one_alone_has_and_what_all_have_stands_out_nowhere() {
        let one = facts(&[("args[0]", "17"), ("queue", "q")]);
        let others: Vec<_> = (0..500).map(|n| facts(&[("args[0]", &n.to_string()), ("queue", "q")])).collect();
        assert_eq!(lines(std::slice::from_ref(&one), &others), []);
        assert_eq!(lines(&[one.clone(), one], &[]), [], "there is nothing to compare with");
    }
}
