//! What was asked about a task, and what came of it: plain data that [`super::verdict`] draws its conclusion from. No I/O.

use std::time::Duration;

use crate::clock::Stamp;
use crate::human;
use crate::state::deeds::Aside;
use crate::state::lost::Again;
use crate::state::{Model, State, Task};

/// Columns of an exception that a verdict names.
const SHOWN: usize = 120;

/// What came of asking one source.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Asked<T> {
    /// No answer yet.
    #[default]
    Waiting,
    Told(T),
    /// It can't be asked, and why.
    Unable(String),
    /// There is no such thing here.
    Absent,
}

impl<T> Asked<T> {
    /// What it told.
    pub fn told(&self) -> Option<&T> {
        match self {
            Asked::Told(told) => Some(told),
            Asked::Waiting | Asked::Unable(_) | Asked::Absent => None,
        }
    }
}

/// What events told of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub name: Option<String>,
    pub state: State,
    pub state_name: String,
    pub worker: Option<String>,
    pub queue: Option<String>,
    /// When the last event was stamped.
    pub at: Option<Stamp>,
    pub started: Option<Stamp>,
    pub finished: Option<Stamp>,
    /// What it failed with.
    pub exception: Option<String>,
    /// When it may start.
    pub eta: Option<Stamp>,
    /// Why it counts as lost with its worker, and whether it comes back.
    pub lost: Option<(String, Again)>,
    pub revoke_asked: Option<Stamp>,
    /// Its worker is there, as far as we hear; and whether that began anew since.
    pub worker_is_there: bool,
    pub worker_restarted: bool,
}

impl Seen {
    /// What the model knows of a task.
    pub fn of(task: &Task<'_>, model: &Model, now: Stamp) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            name: text(task.name()),
            state: task.state(),
            state_name: task.state_name().to_owned(),
            worker: text(task.worker()),
            queue: text(task.queue()),
            at: task.stamp(),
            started: task.started(),
            finished: task.finished(),
            exception: task.exception().map(|text| crate::text::cut_end(&text, SHOWN).into_owned()),
            eta: task.eta().and_then(crate::state::task::parse_iso),
            lost: task.lost_reason().zip(task.lost().map(|lost| lost.again)),
            revoke_asked: task.revoke_asked(),
            worker_is_there: task.worker().and_then(|w| model.worker(w)).is_some_and(|w| w.is_online(now)),
            worker_restarted: restarted(task, model),
        }
    }
}

/// Whether a worker began later than the last event of what it had.
fn restarted(task: &Task<'_>, model: &Model) -> bool {
    let began = || {
        let inspected = &model.worker(task.worker()?)?.inspected;
        Some(inspected.answered("stats")? - Duration::from_secs(inspected.stats.as_ref()?.uptime?))
    };
    began().zip(task.stamp()).is_some_and(|(began, last)| began > last)
}

/// Where a message waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub queue: String,
    /// In the order they are taken, from one.
    pub place: usize,
    pub of: usize,
    pub priority: Option<i64>,
    pub redelivered: bool,
    pub name: String,
    pub flow: Flow,
}

/// How a queue moves.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flow {
    /// It is no queue, but lies aside.
    pub aside: Option<Aside>,
    /// Messages a second in and out.
    pub rates: Option<(f64, f64)>,
    pub consumers: Option<usize>,
    /// Tasks that run at its consumers, and the places there are.
    pub busy: Option<(u64, u64)>,
}

/// A look through the queues.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Queues {
    pub found: Option<Place>,
    /// Messages looked at, in so many queues.
    pub looked: usize,
    pub queues: usize,
    /// Why not all of them were looked at.
    pub stopped: Option<String>,
    /// The look has marked the messages as redelivered.
    pub marks: bool,
    /// It goes on.
    pub going: bool,
}

/// A message that was delivered and not acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Unacked {
    pub queue: String,
    pub at: Option<Stamp>,
    /// When it is given out again, unless it is acknowledged.
    pub again: Option<Stamp>,
    pub name: Option<String>,
}

/// How a worker holds a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Active,
    Reserved,
    Scheduled,
}

/// A worker that holds the task.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub worker: String,
    pub hold: Hold,
    pub name: Option<String>,
    pub started: Option<Stamp>,
    pub eta: Option<Stamp>,
    /// The worker's own description of it.
    pub request: serde_json::Value,
}

/// What workers answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workers {
    pub answered: Vec<String>,
    pub silent: Vec<String>,
    pub held: Option<Held>,
    /// Who remembers it as revoked.
    pub revoked: Vec<String>,
    /// The worker that has it, by its own word or by events: what it runs, how much it can, and how often it may start
    /// this task.
    pub running: Vec<Running>,
    pub places: Option<u64>,
    pub rate_limit: Option<String>,
}

/// A task that runs where ours waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub name: String,
    pub since: Option<Stamp>,
}

/// An outcome that was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// `SUCCESS` and the like; the backend may say STARTED too.
    pub state: String,
    pub ready: bool,
    pub at: Option<Stamp>,
    pub worker: Option<String>,
    pub name: Option<String>,
}

/// Everything that is known about where a task is.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub now: Stamp,
    pub events: Asked<Option<Box<Seen>>>,
    pub queues: Asked<Queues>,
    pub unacked: Asked<Option<Unacked>>,
    /// Waiting in the broker until its time, in one of RabbitMQ's delaying queues.
    pub delayed: Asked<Option<Place>>,
    pub workers: Asked<Workers>,
    pub result: Asked<Option<Ended>>,
    pub history: Asked<Option<Ended>>,
    /// Seconds in which 99 of 100 of its kind are done.
    pub p99: Option<f64>,
}

/// One source in words: found there, not found there, or not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub found: Option<bool>,
    pub text: String,
    /// The answer is awaited.
    pub waits: bool,
}

impl Evidence {
    /// Nothing was answered yet.
    pub fn new(now: Stamp) -> Self {
        Self {
            now,
            events: Asked::Waiting,
            queues: Asked::Waiting,
            unacked: Asked::Waiting,
            delayed: Asked::Waiting,
            workers: Asked::Waiting,
            result: Asked::Waiting,
            history: Asked::Waiting,
            p99: None,
        }
    }

    /// Whether every source has answered.
    pub fn is_whole(&self) -> bool {
        self.lines(&|_| String::new()).iter().all(|line| !line.waits)
    }

    /// The task's name, by whoever knows it.
    pub fn name(&self) -> Option<&str> {
        let seen = self.events.told().and_then(Option::as_ref).and_then(|seen| seen.name.as_deref());
        let queued = self.queues.told().and_then(|queues| queues.found.as_ref()).map(|place| place.name.as_str());
        let held = self.workers.told().and_then(|w| w.held.as_ref()).and_then(|held| held.name.as_deref());
        let unacked = self.unacked.told().and_then(Option::as_ref).and_then(|unacked| unacked.name.as_deref());
        let result = self.result.told().and_then(Option::as_ref).and_then(|ended| ended.name.as_deref());
        let history = self.history.told().and_then(Option::as_ref).and_then(|ended| ended.name.as_deref());
        seen.or(queued).or(held).or(unacked).or(result).or(history)
    }

    /// Each source in words; `time` says a time as the reader wants it.
    pub fn lines(&self, time: &dyn Fn(Stamp) -> String) -> Vec<Line> {
        let lines = [
            line("events", &self.events, |seen| match seen {
                Some(seen) => (true, seen.words(time)),
                None => (false, "no event of it was seen".into()),
            }),
            line("queues", &self.queues, |queues| queues.words()),
            line("unacked", &self.unacked, |unacked| match unacked {
                Some(unacked) => {
                    let at = unacked.at.map_or(String::new(), |at| format!(" {}", time(at)));
                    (true, format!("delivered from {}{at} and not acknowledged", unacked.queue))
                }
                None => (false, "not among what was delivered and not acknowledged".into()),
            }),
            line("workers", &self.workers, Workers::words),
            line("result backend", &self.result, |found| ended("the result backend", found.as_ref(), time)),
            line("history", &self.history, |found| ended("the history", found.as_ref(), time)),
            line("delayed delivery", &self.delayed, |place| match place {
                Some(place) => (true, format!("held back by the broker in {}", place.queue)),
                None => (false, "not held back by the broker".into()),
            }),
        ];
        lines.into_iter().flatten().collect()
    }
}

fn line<T>(what: &str, asked: &Asked<T>, words: impl Fn(&T) -> (bool, String)) -> Option<Line> {
    Some(match asked {
        Asked::Absent => return None,
        Asked::Waiting => Line { found: None, text: format!("{what}: asked …"), waits: true },
        Asked::Unable(why) => Line { found: None, text: format!("{what} not asked: {why}"), waits: false },
        Asked::Told(told) => {
            let (found, text) = words(told);
            Line { found: Some(found), text, waits: false }
        }
    })
}

fn ended(who: &str, found: Option<&Ended>, time: &dyn Fn(Stamp) -> String) -> (bool, String) {
    match found {
        Some(ended) => {
            let at = ended.at.map_or(String::new(), |at| format!(", {}", time(at)));
            (true, format!("{who} says {}{at}", ended.state))
        }
        None => (false, format!("{who} knows nothing of it")),
    }
}

impl Seen {
    fn words(&self, time: &dyn Fn(Stamp) -> String) -> String {
        let at = self.at.map_or(String::new(), |at| format!(" {}", time(at)));
        let on = self.worker.as_ref().map_or(String::new(), |worker| format!(" on {worker}"));
        let asked = self.revoke_asked.map_or(String::new(), |at| format!("; asked to be revoked {}", time(at)));
        match self.state {
            State::Pending => format!("sent{at}, says an event{asked}"),
            _ => format!("last event says {}{on}{at}{asked}", self.state_name),
        }
    }
}

impl Queues {
    fn words(&self) -> (bool, String) {
        let looked = format!(
            "{} looked at in {}",
            human::plural(self.looked, "waiting message"),
            human::plural(self.queues, "queue")
        );
        let going = if self.going { " so far" } else { "" };
        let marks = if self.marks { "; that has marked them as redelivered" } else { "" };
        let stopped = self.stopped.as_ref().map_or(String::new(), |why| format!("; {why}"));
        match &self.found {
            Some(place) => {
                let priority = place.priority.map_or(String::new(), |p| format!(", priority {p}"));
                let again = if place.redelivered { ", given out before" } else { "" };
                let of = human::thousands(place.of as u64);
                let text = format!(
                    "queue {}, place {} of {of}{priority}{again}{marks}",
                    place.queue,
                    human::thousands(place.place as u64)
                );
                (true, text)
            }
            None if self.queues == 0 && !self.going => (false, "nothing waits in any queue".into()),
            None => (false, format!("no queue: {looked}{going}{stopped}{marks}")),
        }
    }
}

impl Workers {
    fn words(&self) -> (bool, String) {
        let mut parts = Vec::new();
        if let Some(held) = &self.held {
            let how = match held.hold {
                Hold::Active => "active",
                Hold::Reserved => "reserved",
                Hold::Scheduled => "scheduled",
            };
            parts.push(format!("{} has it as {how}", held.worker));
        } else {
            let n = human::plural(self.answered.len(), "worker");
            parts.push(format!("no worker holds it: {n} answered"));
        }
        if !self.silent.is_empty() {
            parts.push(format!("no answer from {}", named(&self.silent)));
        }
        if !self.revoked.is_empty() {
            parts.push(format!("revoked at {}", named(&self.revoked)));
        }
        if let Some(limit) = &self.rate_limit {
            parts.push(format!("this task's rate limit there is {limit}"));
        }
        (self.held.is_some(), parts.join("; "))
    }
}

fn named(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {}", human::plural(rest.len(), "other")),
        [] => String::new(),
    }
}
