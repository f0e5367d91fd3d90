//! The monitoring checklist: what a person would look at, each judged against a threshold. It sees a model that was
//! listened to for a while and perhaps filled from the history, and what the broker says of itself. What it can't know it
//! says it doesn't, with the reason: silence is no good news.

mod broker;
mod ourselves;
mod tasks;
mod thresholds;
mod workers;

use std::time::Duration;

use serde::Serialize;

use crate::broker::{Health, Lack, Right};
use crate::clock::Stamp;
use crate::history::seen::Seen;
use crate::state::Model;
use crate::text::clean;

pub use thresholds::{Limit, Thresholds};

/// All checks, in the order they are told.
pub const NAMES: [&str; 13] = [
    "broker",
    "broker-memory",
    "workers",
    "worker-load",
    "worker-memory",
    "success",
    "failures",
    "slow",
    "queues",
    "oldest",
    "events",
    "recorder",
    "own-memory",
];

/// How something is. The worst of several is the greatest: what is known to be wrong is never hidden by what is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl Status {
    /// As monitoring plugins write it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Unknown => "UNKNOWN",
            Status::Warning => "WARNING",
            Status::Critical => "CRITICAL",
        }
    }
}

/// A figure, with the bounds it was judged by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub label: String,
    pub value: f64,
    /// As in performance data of plugins: `s`, `B`, `%`, or nothing.
    pub unit: &'static str,
    pub warning: Option<f64>,
    pub critical: Option<f64>,
    /// It is the worse the less it is.
    pub least: bool,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub status: Status,
    /// One line, safe to print.
    pub text: String,
    pub figures: Vec<Figure>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Figures of one check at the most: a cluster may have thousands of queues.
const FIGURES: usize = 50;

impl Finding {
    pub(super) fn new(check: &'static str, status: Status, text: impl AsRef<str>) -> Self {
        Self { check, status, text: clean(text.as_ref()).to_string(), figures: Vec::new(), advice: None }
    }

    fn ok(check: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(check, Status::Ok, text)
    }

    fn unknown(check: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(check, Status::Unknown, text)
    }

    fn with(mut self, label: &str, value: f64, unit: &'static str, limit: Limit) -> Self {
        if self.figures.len() < FIGURES {
            let label = clean(label).to_string();
            let Limit { warning, critical } = limit;
            self.figures.push(Figure { label, value, unit, warning, critical, least: false });
        }
        self
    }

    /// What to do, where something is to be done.
    pub(super) fn advise(mut self, advice: impl AsRef<str>) -> Self {
        self.advice = (self.status != Status::Ok).then(|| clean(advice.as_ref()).to_string());
        self
    }
}

/// Who records the history.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorder {
    /// There is no history.
    None,
    /// A process does; how many bytes of memory it takes, if that can be told.
    Runs(Option<u64>),
    /// There is a file, and nobody writes it.
    Stopped,
    /// Why it can't be read.
    Unreadable(String),
}

/// What is judged.
pub struct Evidence<'a> {
    pub model: &'a Model,
    /// What the broker said of itself, or why it can't be asked.
    pub health: Result<&'a Health, String>,
    /// The subscription stands.
    pub live: bool,
    pub now: Stamp,
    /// Workers that the history heard of in the last hour and that said no goodbye.
    pub past: &'a [Seen],
    pub recorder: Recorder,
    /// Bytes of memory that this process takes.
    pub own_memory: Option<u64>,
}

/// How far back is looked.
const SPAN: Duration = Duration::from_secs(900);

impl Evidence<'_> {
    fn lack(&self, right: Right) -> Option<&Lack> {
        self.health.as_ref().ok()?.lack(right)
    }

    /// Why what events tell isn't known, if it isn't.
    fn deaf(&self) -> Option<String> {
        if let Err(why) = &self.health {
            return Some(format!("the broker does not answer: {why}"));
        }
        if let Some(lack) = self.lack(Right::Events) {
            return Some(format!("no permission to {}: {}", lack.what, lack.why));
        }
        if !self.live {
            return Some("there is no subscription to events".into());
        }
        let off = self.model.ran_unannounced();
        off.then(|| "tasks ran and no event told of them: `flower-tui worker --all enable-events`".into())
    }

    /// Why it says nothing that somebody is silent, if it doesn't.
    fn blocked(&self) -> Option<String> {
        let health = self.health.as_ref().ok()?;
        health.alarm().map(|alarm| format!("{alarm}: no worker can be heard"))
    }

    /// How long was listened, of the time that is looked at.
    fn listened(&self) -> String {
        let secs = self.model.watched(self.now - SPAN, self.now).max(0.0);
        crate::human::about(secs.round() as u64)
    }
}

/// Goes through the whole list.
pub fn judge(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let Evidence { model, .. } = evidence;
    tracing::debug!("judging {} tasks and {} workers", model.task_count(), model.workers().len());
    let mut findings = vec![broker::connection(evidence, thresholds), broker::memory(evidence, thresholds)];
    findings.extend(workers::all(evidence, thresholds));
    findings.extend(tasks::all(evidence, thresholds));
    findings.extend([broker::lengths(evidence, thresholds), broker::oldest(evidence, thresholds)]);
    findings.extend(ourselves::all(evidence, thresholds));
    findings.retain(|finding| !thresholds.skip.contains(finding.check));
    findings
}

/// Where the broker can't be reached: that is all there is to say, and nothing else can be known.
pub fn unreachable(why: &str, advice: &str) -> Vec<Finding> {
    vec![Finding::new("broker", Status::Critical, why).advise(advice)]
}

/// The worst of all.
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

/// The worst few of many, in words: `payments 1,204, mail 301 and 3 more`.
fn listed<T>(all: &[T], word: impl Fn(&T) -> String) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = all.iter().take(SHOWN).map(word).collect();
    let rest = all.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_hides_nothing_that_is_wrong() {
        let of = |statuses: &[Status]| {
            worst(&statuses.iter().map(|status| Finding::new("broker", *status, "")).collect::<Vec<_>>())
        };
        assert_eq!(of(&[Status::Critical, Status::Unknown, Status::Ok]), Status::Critical);
        assert_eq!(of(&[Status::Unknown, Status::Warning]), Status::Warning);
        assert_eq!(of(&[Status::Unknown, Status::Ok]), Status::Unknown);
        assert_eq!(of(&[]), Status::Ok);
    }

    #[test]
    fn many_are_told_by_the_worst_three() {
        assert_eq!(listed(&[4, 3, 2, 1], |n: &i32| n.to_string()), "4, 3, 2 and 1 more");
        assert_eq!(listed(&["a"], |n: &&str| (*n).to_owned()), "a");
    }
}
