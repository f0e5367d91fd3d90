//! What runs by the clock: the entries RedBeat keeps on Redis, and periods learnt from when tasks arrive. Pure: documents
//! and times in, entries out.

pub mod learn;
pub mod redbeat;

use std::time::Duration;

use crate::celery::TaskId;
use crate::clock::Stamp;

/// Something that is sent again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub name: String,
    pub task: String,
    /// The positional arguments, whole: JSON of RedBeat's, Python's of what was learnt. Not to be shown as they are.
    pub args: String,
    pub kwargs: String,
    pub queue: Option<String>,
    /// When it runs, in words.
    pub when: String,
    /// Seconds between two runs, where that is always the same.
    pub every: Option<f64>,
    pub enabled: bool,
    pub last: Option<Stamp>,
    pub next: Option<Stamp>,
    pub runs: Option<u64>,
    /// When this was read, where it does not follow by itself: what has happened since is not known.
    pub read: Option<Stamp>,
    pub source: Source,
}

/// Where an entry is known from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// RedBeat's own document.
    RedBeat {
        key: String,
        definition: String,
        /// It stands in `beat_schedule`: beat writes it anew whenever it starts.
        fixed: bool,
    },
    /// Arrivals at regular intervals, of which the last was this task.
    Learnt { sure: learn::Sure, arrivals: usize, missed: u32, last: TaskId },
}

/// How late an entry is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Late {
    pub secs: f64,
    /// Runs that should have been since.
    pub missed: u64,
}

/// So late a scheduler may be without being late.
const SLACK: f64 = 5.0;

impl Entry {
    /// Whether it should have run by now, and did not.
    pub fn late(&self, now: Stamp) -> Option<Late> {
        let next = self.next.filter(|_| self.enabled)?;
        let secs = self.read.unwrap_or(now).since(next).as_secs_f64();
        // A learnt period is only as exact as its arrivals.
        let slack = match (&self.source, self.every) {
            (Source::Learnt { .. }, Some(every)) => SLACK.max(every * 0.25),
            _ => SLACK,
        };
        let missed = self.every.filter(|every| *every > 0.0).map_or(1, |every| (secs / every) as u64 + 1);
        (secs > slack).then_some(Late { secs, missed })
    }
}

/// The time so many seconds later.
fn after(at: Stamp, secs: f64) -> Stamp {
    at + Duration::from_secs_f64(secs.clamp(0.0, 1e9))
}

/// A period in words.
pub fn every(secs: f64) -> String {
    format!("every {}", crate::human::exact(secs))
}
