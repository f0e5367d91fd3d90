//! "Where is it?": everybody who may know of a task is asked at once, with one deadline, and what they say is made into one
//! verdict. Nothing is changed by asking, but that RabbitMQ marks messages it was asked to show.

mod ask;
pub mod evidence;
pub mod find;
mod scan;
pub mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::broker::Broker;
use crate::celery::TaskId;
use crate::celery::result::Stored;
use crate::clock::{Clock, Stamp};
use crate::history::lookup::Ticket;
use crate::results::Backend;
use crate::state::Store;

use evidence::{Asked, Evidence, Seen};
pub use find::Finding;
pub use verdict::Verdict;

/// How long everybody has to answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a look through long queues may take.
const SCAN: Duration = Duration::from_secs(15);

/// Everything that is asked. Cloning is cheap.
#[derive(Clone)]
pub struct Locator {
    pub broker: Arc<dyn Broker>,
    pub store: Store,
    pub clock: Clock,
    /// Or why it can't be asked.
    pub results: Result<Arc<dyn Backend>, String>,
    pub history: Option<PathBuf>,
    /// Nothing may be changed: not even marks be left on messages.
    pub read_only: bool,
}

/// What was found out, whole or so far.
#[derive(Debug, Clone)]
pub struct Report {
    pub evidence: Evidence,
    /// The result backend's whole document.
    pub stored: Option<Stored>,
}

impl Report {
    /// Where it is.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.evidence)
    }
}

/// A question of a screen.
#[derive(Debug, Clone)]
pub struct Search {
    pub what: What,
    pub ticket: Ticket,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Task(TaskId),
    /// Tasks with a text.
    Text(String),
}

/// An answer, whole or so far: a later one takes the place of those before.
#[derive(Debug, Clone)]
pub enum Answer {
    Task(Box<Report>),
    Text(Box<Finding>),
}

/// Workers that are online, as far as is known.
pub(super) fn worker_names(store: &Store, now: Stamp) -> Vec<String> {
    store.read(|m| m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(name, _)| name.to_owned()).collect())
}

/// One answer.
enum Source {
    Queues(Asked<evidence::Queues>),
    Unacked(Asked<Option<evidence::Unacked>>),
    Delayed(Asked<Option<evidence::Place>>),
    Workers(Asked<evidence::Workers>),
    Result((Asked<Option<evidence::Ended>>, Option<Stored>)),
    History(Asked<Option<evidence::Ended>>),
}

impl Locator {
    /// Answers a question of a screen. `tell` is given what is known so far, and says whether anybody still waits.
    pub async fn search(&self, what: &What, tell: &(dyn Fn(Answer) -> bool + Sync)) -> Answer {
        match what {
            What::Task(id) => {
                let report = self.locate(id, &|report| tell(Answer::Task(Box::new(report.clone())))).await;
                Answer::Task(Box::new(report))
            }
            What::Text(text) => {
                let finding = self.find(text, &|found| tell(Answer::Text(Box::new(found.clone())))).await;
                Answer::Text(Box::new(finding))
            }
        }
    }

    /// Asks everybody where a task is. `tell` is given what is known so far after each answer, and says whether anybody
    /// still wants to know.
    pub async fn locate(&self, id: &TaskId, tell: &(dyn Fn(&Report) -> bool + Sync)) -> Report {
        let begun = Instant::now();
        let (until, scan_until) = (begun + DEADLINE, begun + SCAN);
        let mut report = Report { evidence: Evidence::new(self.clock.now()), stored: None };
        self.see(id, &mut report.evidence);
        let so_far = parking_lot::Mutex::new(report);
        tell(&so_far.lock());
        let health = timeout_at(until, self.broker.health()).await.ok().and_then(Result::ok);
        let mut scanning = |queues| {
            so_far.lock().evidence.queues = Asked::Told(queues);
            tell(&so_far.lock())
        };
        let mut asking: FuturesUnordered<futures_util::future::BoxFuture<'_, Source>> = FuturesUnordered::new();
        asking.push(Box::pin(async { Source::Unacked(in_time(until, self.unacked(id, &health)).await) }));
        asking.push(Box::pin(async { Source::Workers(self.workers(id, until).await) }));
        asking.push(Box::pin(async {
            let found = timeout_at(until, self.result(id)).await;
            Source::Result(found.unwrap_or_else(|_| (Asked::Unable(LATE.into()), None)))
        }));
        asking.push(Box::pin(async { Source::History(in_time(until, self.history(id)).await) }));
        asking.push(Box::pin(async { Source::Delayed(self.delayed(id, &health, until).await) }));
        asking.push(Box::pin(async { Source::Queues(self.queues(id, scan_until, &mut scanning).await) }));
        while let Some(source) = asking.next().await {
            let mut report = so_far.lock();
            let evidence = &mut report.evidence;
            match source {
                Source::Queues(asked) => evidence.queues = asked,
                Source::Unacked(asked) => evidence.unacked = asked,
                Source::Delayed(asked) => evidence.delayed = asked,
                Source::Workers(asked) => evidence.workers = asked,
                Source::Result((asked, stored)) => {
                    evidence.result = asked;
                    report.stored = stored;
                }
                Source::History(asked) => evidence.history = asked,
            }
            // Events may have come meanwhile.
            self.see(id, &mut report.evidence);
            if !tell(&report) {
                break;
            }
        }
        drop(asking);
        so_far.into_inner()
    }

    /// What events told.
    fn see(&self, id: &TaskId, evidence: &mut Evidence) {
        let now = self.clock.now();
        self.store.read(|m| {
            let task = m.task(id);
            let p99 = task.and_then(|task| m.name_stats(task.name()?)).map(|s| s.runtimes.recent.percentiles());
            evidence.p99 = p99.filter(|p| p.samples > 0).map(|p| f64::from(p.p99));
            evidence.events = Asked::Told(task.map(|task| Box::new(Seen::of(&task, m, now))));
        });
    }
}

const LATE: &str = "it gave no answer in time";

async fn in_time<T>(until: Instant, asked: impl Future<Output = Asked<T>>) -> Asked<T> {
    timeout_at(until, asked).await.unwrap_or_else(|_| Asked::Unable(LATE.into()))
}
