//! What runs by the clock, as far as it is known: RedBeat's entries as they were read, and what arrivals tell.

use crate::clock::Stamp;
use crate::schedule::learn::Learner;
use crate::schedule::redbeat::{self, Documents};
use crate::schedule::{Entry, Source};

use super::model::Model;

/// See the module.
#[derive(Default)]
pub struct Beat {
    pub(super) learner: Learner,
    /// When RedBeat was asked for, and what came of it.
    pub(super) read: Option<(Stamp, Result<Documents, String>)>,
}

/// Everything that runs by the clock, and what is to be said of it.
#[derive(Default)]
pub struct Schedule {
    pub entries: Vec<Entry>,
    /// When RedBeat's entries were read.
    pub read: Option<Stamp>,
    /// Somebody holds RedBeat's lock: a beat runs.
    pub locked: bool,
    /// Why some or all of them can't be read.
    pub trouble: Vec<String>,
}

impl Model {
    /// What runs by the clock: RedBeat's entries, then what was learnt of other tasks.
    pub fn schedule(&self, now: Stamp) -> Schedule {
        let mut schedule = Schedule::default();
        match &self.beat.read {
            Some((at, Ok(documents))) => {
                (schedule.read, schedule.locked) = (Some(*at), documents.locked);
                for document in &documents.documents {
                    match redbeat::entry(document) {
                        Ok(entry) => schedule.entries.push(Entry { read: Some(*at), ..entry }),
                        Err(why) => schedule.trouble.push(why),
                    }
                }
                schedule.entries.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Some((_, Err(why))) => schedule.trouble.push(why.clone()),
            None => {}
        }
        let learnt = self.beat.learner.entries(now);
        let known: Vec<String> = schedule.entries.iter().map(|entry| entry.task.clone()).collect();
        schedule.entries.extend(learnt.into_iter().filter(|entry| !known.contains(&entry.task)));
        schedule
    }
}

impl Schedule {
    /// One by its name, where only one has it.
    pub fn named(&self, name: &str) -> Option<&Entry> {
        let mut found = self.entries.iter().filter(|entry| entry.name == name);
        found.next().filter(|_| found.next().is_none())
    }
}

/// Where an entry is known from, in words.
pub fn source(entry: &Entry) -> String {
    match &entry.source {
        Source::RedBeat { fixed: true, .. } => "RedBeat, from beat_schedule".into(),
        Source::RedBeat { .. } => "RedBeat".into(),
        Source::Learnt { sure, arrivals, .. } => format!("learnt of {arrivals} arrivals: {}", sure.word()),
    }
}
