//! Periods learnt from when tasks arrive: those of one name with the same arguments, that nobody's task sent. Kept small:
//! so many names, of each a few arguments, of those the last arrivals.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::hash_map::EntryRef;
use hashbrown::{DefaultHashBuilder, HashMap};

use super::{Entry, Source, after};
use crate::celery::TaskId;
use crate::clock::Stamp;

/// Names that are followed.
const NAMES: usize = 1_000;
/// Arguments of one name: a task of thousands of customers runs by no clock.
const KINDS: usize = 8;
/// Arrivals that are kept.
const KEPT: usize = 13;
/// Fewer say nothing.
const LEAST: usize = 4;
/// Of a text that is kept; a longer one is not followed.
const LONGEST: usize = 4_096;
/// A period shorter than this is a flow.
const SHORTEST: f64 = 0.9;
/// Arrivals of one name in a second that are followed.
const FLOW: u32 = 100;
/// After so many periods without an arrival it is over.
const OVER: f64 = 30.0;

/// How sure a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    Perhaps,
    Likely,
    Sure,
}

impl Sure {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Sure::Perhaps => "perhaps",
            Sure::Likely => "likely",
            Sure::Sure => "sure",
        }
    }
}

/// A regular interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    pub every: f64,
    pub sure: Sure,
    /// Runs that were left out in between.
    pub missed: u32,
}

/// The period of these arrivals, in order, if they have one.
pub fn period(arrivals: &[Stamp]) -> Option<Period> {
    if arrivals.len() < LEAST {
        return None;
    }
    let gaps: Vec<f64> = arrivals.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[(sorted.len() - 1) / 2];
    if usual < SHORTEST {
        return None;
    }
    let jitter = (usual * 0.08).clamp(0.3, 20.0);
    // A run that was left out makes a gap of two or three periods.
    let fits = |gap: f64| (1..=3u32).find(|n| (gap - usual * f64::from(*n)).abs() <= jitter);
    let counted: Vec<u32> = gaps.iter().filter_map(|gap| fits(*gap)).collect();
    let single = counted.iter().filter(|n| **n == 1).count();
    let strays = gaps.len() - counted.len();
    if single + 1 < LEAST || strays * 5 > gaps.len() {
        return None;
    }
    let total: f64 = gaps.iter().filter(|gap| fits(**gap).is_some()).sum();
    let mean = total / f64::from(counted.iter().sum::<u32>());
    let round = mean.round();
    let every = if (mean - round).abs() <= (jitter / 2.0).min(0.2) { round } else { (mean * 10.0).round() / 10.0 };
    let sure = match (single, strays) {
        (9.., 0) => Sure::Sure,
        (5.., 0) => Sure::Likely,
        _ => Sure::Perhaps,
    };
    let missed = counted.iter().map(|n| n - 1).sum();
    Some(Period { every, sure, missed })
}

/// A task as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub name: &'a str,
    pub args: &'a str,
    pub kwargs: &'a str,
    pub queue: Option<&'a str>,
    pub id: &'a TaskId,
    pub at: Stamp,
}

struct Kind {
    hash: u64,
    /// Arguments and keyword arguments, once it has come again: what comes once is no schedule.
    texts: Option<(Box<str>, Box<str>)>,
    queue: Option<Box<str>>,
    last: TaskId,
    at: VecDeque<Stamp>,
}

/// What arrived under one name.
#[derive(Default)]
struct Name {
    kinds: Vec<Kind>,
    /// The second of the last arrival, in those of the clock, and how many there were in it.
    second: i64,
    arrivals: u32,
}

impl Name {
    /// Whether so many arrive in this second that nothing new can be learnt of them: what may be regular among them has
    /// long made room when it comes again. What came often enough already is followed on.
    fn is_flow(&mut self, at: Stamp) -> bool {
        let second = at.micros() / 1_000_000;
        if second != self.second {
            (self.second, self.arrivals) = (second, 0);
        }
        self.arrivals += 1;
        self.arrivals > FLOW && self.kinds.iter().all(|kind| kind.at.len() < LEAST)
    }
}

/// See the module.
#[derive(Default)]
pub struct Learner {
    names: HashMap<String, Name>,
    hasher: DefaultHashBuilder,
}

impl Learner {
    /// Notes an arrival.
    pub fn note(&mut self, arrival: &Arrival<'_>) {
        if arrival.args.len() + arrival.kwargs.len() > LONGEST {
            return;
        }
        let full = self.names.len() >= NAMES;
        let name = match self.names.entry_ref(arrival.name) {
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(_) if full => return,
            EntryRef::Vacant(entry) => entry.insert(Name::default()),
        };
        if name.is_flow(arrival.at) {
            return;
        }
        let kinds = &mut name.kinds;
        let hash = self.hasher.hash_one((arrival.args, arrival.kwargs));
        if let Some(kind) = kinds.iter_mut().find(|kind| kind.hash == hash) {
            kind.arrived(arrival);
            return;
        }
        if kinds.len() < KINDS {
            kinds.push(Kind { hash, texts: None, queue: None, last: arrival.id.clone(), at: VecDeque::new() });
        } else if let Some(oldest) =
            // One that came again and again is kept longer than one that came once.
            kinds.iter_mut().min_by_key(|kind| (kind.at.len() >= LEAST, kind.at.back().copied()))
        {
            // Its room is used again: nearly every task of a busy name comes by here.
            (oldest.hash, oldest.texts, oldest.queue) = (hash, None, None);
            oldest.at.clear();
        }
        if let Some(kind) = kinds.iter_mut().find(|kind| kind.hash == hash) {
            kind.arrived(arrival);
        }
    }

    /// What runs by the clock, as far as that was learnt; by name.
    pub fn entries(&self, now: Stamp) -> Vec<Entry> {
        let all = self.names.iter().flat_map(|(text, name)| name.kinds.iter().map(move |kind| (text, kind)));
        let mut entries: Vec<Entry> = all.filter_map(|(name, kind)| kind.entry(name, now)).collect();
        entries.sort_by(|a, b| (&a.task, &a.args, &a.kwargs).cmp(&(&b.task, &b.args, &b.kwargs)));
        entries
    }
}

impl Kind {
    fn arrived(&mut self, arrival: &Arrival<'_>) {
        if self.at.back().is_some_and(|last| *last > arrival.at) {
            return; // Told late: its place among the others is lost.
        }
        if self.at.len() >= KEPT {
            self.at.pop_front();
        }
        self.at.push_back(arrival.at);
        self.last = arrival.id.clone();
        if self.at.len() > 1 {
            self.texts.get_or_insert_with(|| (arrival.args.into(), arrival.kwargs.into()));
            if let Some(queue) = arrival.queue.filter(|queue| self.queue.as_deref() != Some(queue)) {
                self.queue = Some(queue.into());
            }
        }
    }

    fn entry(&self, name: &str, now: Stamp) -> Option<Entry> {
        let at: Vec<Stamp> = self.at.iter().copied().collect();
        let period = period(&at)?;
        let (args, kwargs) = self.texts.as_ref()?;
        let last = *at.last()?;
        if now.since(last).as_secs_f64() > period.every * OVER {
            return None;
        }
        Some(Entry {
            name: name.to_owned(),
            task: name.to_owned(),
            args: args.to_string(),
            kwargs: kwargs.to_string(),
            queue: self.queue.as_deref().map(str::to_owned),
            when: super::every(period.every),
            every: Some(period.every),
            enabled: true,
            last: Some(last),
            next: Some(after(last, period.every)),
            runs: None,
            read: None,
            source: Source::Learnt {
                sure: period.sure,
                arrivals: at.len(),
                missed: period.missed,
                last: self.last.clone(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Stamp {
        Stamp::from_secs(1_000_000.0 + secs).expect("a time")
    }

    fn times(secs: &[f64]) -> Vec<Stamp> {
        secs.iter().map(|s| at(*s)).collect()
    }

    #[test]
    fn fewer_than_four_arrivals_claim_nothing() {
        assert_eq!(period(&times(&[0.0, 60.0, 120.0])), None);
        let found = period(&times(&[0.0, 60.0, 120.0, 180.0])).expect("regular");
        assert_eq!((found.every, found.sure, found.missed), (60.0, Sure::Perhaps, 0));
    }

    #[test]
    fn jitter_and_a_run_left_out_are_borne() {
        let found = period(&times(&[0.0, 60.4, 119.8, 180.1, 300.2, 360.0, 420.3])).expect("regular");
        assert_eq!((found.every, found.missed), (60.0, 1));
        let many: Vec<f64> = (0..13).map(|n| f64::from(n) * 30.0).collect();
        assert_eq!(period(&times(&many)).map(|p| p.sure), Some(Sure::Sure));
    }

    #[test]
    fn what_comes_at_any_time_has_no_period() {
        assert_eq!(period(&times(&[0.0, 5.0, 47.0, 48.0, 120.0, 131.0])), None);
        assert_eq!(period(&times(&[0.0, 0.1, 0.2, 0.3, 0.4])), None, "a flow is no schedule");
        let mut random = fastrand::Rng::with_seed(7);
        let claimed = (0..1_000).filter(|_| {
            let mut t = 0.0;
            let flow: Vec<f64> = (0..8)
                .map(|_| {
                    t += -random.f64().max(1e-9).ln() * 20.0;
                    t
                })
                .collect();
            period(&times(&flow)).is_some()
        });
        assert_eq!(claimed.count(), 0);
    }

    #[test]
    fn a_task_of_many_customers_crowds_out_no_regular_one() {
        let mut learner = Learner::default();
        let id = TaskId::new("x");
        let mut note = |name: &str, args: &str, secs: f64| {
            learner.note(&Arrival { name, args, kwargs: "{}", queue: Some("q"), id: &id, at: at(secs) });
        };
        for n in 0..6 {
            note("mail.digest", "()", f64::from(n) * 300.0);
            for customer in 0..50 {
                note("mail.send", &format!("({customer},)"), f64::from(n) * 300.0 + f64::from(customer));
            }
        }
        let entries = learner.entries(at(1_510.0));
        assert_eq!(entries.len(), 1, "{entries:?}");
        let entry = &entries[0];
        assert_eq!((entry.task.as_str(), entry.when.as_str()), ("mail.digest", "every 5m"));
        assert_eq!(entry.next, Some(at(1_800.0)));
        assert_eq!(entry.late(at(1_850.0)), None, "a learnt period is not that exact");
        assert_eq!(entry.late(at(2_450.0)).map(|late| late.missed), Some(3));
        assert!(learner.entries(at(100_000.0)).is_empty(), "it is over");
    }

    #[test]
    fn what_was_learnt_is_followed_through_a_flow_of_its_name() {
        let mut learner = Learner::default();
        let id = TaskId::new("x");
        let mut note = |args: &str, secs: f64| {
            learner.note(&Arrival { name: "mail.send", args, kwargs: "{}", queue: None, id: &id, at: at(secs) });
        };
        for n in 0..6 {
            note("()", f64::from(n) * 60.0);
        }
        for customer in 0..FLOW * 2 {
            note(&format!("({customer},)"), 360.0);
        }
        note("()", 360.5);
        let entries = learner.entries(at(361.0));
        assert_eq!(entries.iter().map(|entry| entry.last).collect::<Vec<_>>(), [Some(at(360.5))]);
    }
}
