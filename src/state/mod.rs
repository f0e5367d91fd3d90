//! The model of the cluster, and the two doors to it: [`Store::apply`] and [`Store::read`].
//!
//! The feed's ingest task writes; commands add what they have done; screens and servers read. No lock is ever held across
//! an await.

mod apply;
pub mod beat;
mod canvases;
pub mod common;
pub mod deeds;
pub mod doc;
pub mod failure;
pub mod follow;
pub mod groups;
pub mod inspected;
pub mod intern;
mod journal;
pub mod live;
pub mod lost;
pub mod marks;
mod matcher;
mod measure;
mod missed;
mod model;
pub mod outage;
pub mod peek;
pub mod queue;
mod recall;
mod results;
pub mod series;
pub mod stats;
mod sweep;
pub mod task;
mod tasks;
mod traces;
mod unheard;
pub mod worker;

use std::sync::{Arc, OnceLock};

use jiff::tz::TimeZone;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::celery::TaskId;
use crate::celery::event::Batch;
use crate::celery::pidbox::Reply;
use crate::celery::result::Stored;
use crate::clock::Stamp;
use crate::filter::Filter;
use crate::redact::Redactor;
use crate::schedule::redbeat::Documents;

use live::Scan;

pub use live::{Fill, LiveQuery, ScanRequest, Sort};
pub use matcher::no_state;
pub use model::{Counters, Limits, Model};
pub use task::{State, Task};

/// How often the model has changed.
pub type Version = u64;

/// What the feed and the poller tell the model.
#[derive(Debug, Clone)]
pub enum Update {
    Events(Arc<Batch>),
    /// Events of tasks that were looked up in the history: tasks alone, figures stay as they are, and so does what memory
    /// knows already.
    Recalled(Arc<Batch>),
    /// Events of the time before we came, in order, as the history has them. They fill lists and charts.
    Past(Arc<Batch>),
    /// Moments that were named before we came.
    PastMarks(Vec<(Stamp, String)>),
    /// The history was read up to this time; what came between then and now was seen by nobody.
    PastEnds(Stamp),
    /// Messages dropped because we could not keep up, at a time.
    Missed(Stamp, u64),
    /// Depths read from the broker, at a time.
    Queues(Stamp, Vec<queue::Depth>),
    /// Workers' answers to one inspect method, at a time.
    Inspected(Stamp, &'static str, Vec<Reply>),
    /// Workers that were asked for one inspect method and gave no answer in time.
    Silent(Stamp, &'static str, Vec<String>),
    /// Tasks whose messages were delivered and not acknowledged, with when each is given out again; and whether that is
    /// all of them.
    Unacked(Vec<(TaskId, Option<Stamp>)>, bool),
    /// A look into a queue.
    Peeked(Arc<peek::Peeked>),
    /// Documents of the result backend. Kept to be shown, or read only for the groups they name.
    Results {
        found: Vec<(TaskId, Stored)>,
        keep: bool,
    },
    /// Why the result backend can't be read.
    NoResults(String),
    /// RedBeat's entries as they were read at a time, or why they can't be.
    Schedule(Stamp, Result<Documents, String>),
    /// Everything that was told is to be forgotten: another past follows.
    Forget,
    /// Nothing but the time: closes rate buckets and notices silent workers.
    Tick(Stamp),
    /// The subscription stands, or has ended.
    Link(Stamp, bool),
    /// An alarm keeps everybody from publishing to the broker, or no longer.
    Alarm(Stamp, bool),
    /// Something happened that charts should name.
    Mark(Stamp, String),
    /// A queue is held: these workers were told to consume it no longer. With none, it is held no more.
    Held(String, Vec<String>),
    /// These wait in their queues again: workers that are gone had taken them.
    Requeued(Vec<TaskId>),
    /// What the log of commands tells.
    Deeds(Vec<deeds::Deed>),
    /// A person asked all workers to revoke these.
    RevokeAsked(Stamp, Vec<TaskId>),
    /// In earlier sessions the second tasks were sent in place of the first.
    Linked(Vec<(TaskId, TaskId)>),
    /// A person sent the second task in place of the first, to this queue.
    Retried(TaskId, TaskId, String),
}

/// The shared model. Cloning is cheap and refers to the same one.
#[derive(Clone)]
pub struct Store {
    model: Arc<RwLock<Model>>,
    version: Arc<watch::Sender<Version>>,
    tap: Arc<OnceLock<Tap>>,
    heard: Arc<OnceLock<Tap>>,
}

/// Somebody who is told what the model is told. It must not take long, nor call back.
type Tap = Box<dyn Fn(&Update) + Send + Sync>;

/// Events applied under one write lock: below 2 ms, so that a screen never waits longer.
const EVENTS_PER_LOCK: usize = 2_000;

impl Store {
    /// An empty model.
    pub fn new(limits: Limits) -> Self {
        Self::in_zone(limits, TimeZone::UTC)
    }

    /// An empty model; clock times in filters are meant in this zone.
    pub fn in_zone(limits: Limits, zone: TimeZone) -> Self {
        Self {
            model: Arc::new(RwLock::new(Model::new(limits, zone))),
            version: Arc::new(watch::Sender::new(0)),
            tap: Arc::default(),
            heard: Arc::default(),
        }
    }

    /// Tells somebody every update from now on; the first to ask stays the only one.
    pub fn tap(&self, tap: impl Fn(&Update) + Send + Sync + 'static) {
        self.tap.get_or_init(|| Box::new(tap));
    }

    /// Tells somebody every update once it is applied; the first to ask stays the only one.
    pub fn heard(&self, tap: impl Fn(&Update) + Send + Sync + 'static) {
        self.heard.get_or_init(|| Box::new(tap));
    }

    /// With secrets taken out of what is shown by these names of keys, in place of the usual ones.
    pub fn redacting(self, redactor: Redactor) -> Self {
        self.model.write().redactor = redactor;
        self
    }

    /// What takes secrets out of texts that are shown.
    pub fn redactor(&self) -> Redactor {
        self.read(|m| m.redactor().clone())
    }

    /// Applies updates in order.
    pub fn apply(&self, updates: &[Update]) {
        for update in updates {
            if let Some(tap) = self.tap.get() {
                tap(update);
            }
            match update {
                Update::Events(batch) => {
                    let mut from = 0;
                    loop {
                        let to = (from + EVENTS_PER_LOCK).min(batch.events.len());
                        self.model.write().apply_events(batch, from..to);
                        if to == batch.events.len() {
                            break;
                        }
                        from = to;
                    }
                }
                other => self.model.write().apply(other),
            }
            if let Some(heard) = self.heard.get() {
                heard(update);
            }
        }
        let version = self.model.read().version();
        self.version.send_if_modified(|seen| std::mem::replace(seen, version) != version);
    }

    /// Looks at the model. Keep it short: the feed waits meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&Model) -> R) -> R {
        look(&self.model.read())
    }

    /// Waits until the model is newer than `seen`, and says how new.
    pub async fn changed(&self, seen: Version) -> Version {
        let mut receiver = self.version.subscribe();
        match receiver.wait_for(|version| *version > seen).await {
            Ok(version) => *version,
            // The sender lives as long as this store does.
            Err(_) => seen,
        }
    }

    /// The tasks a filter selects, in order; read in slices. Not for the main thread.
    pub fn select_ids(&self, filter: &Filter, sort: Sort) -> Vec<TaskId> {
        let scan = self.look(&ScanRequest::once(filter, sort));
        let (mut taken, mut ids) = (0, Vec::new());
        while self.read(|m| scan.ids(m, &mut taken, &mut ids)) {}
        ids
    }

    /// Fills a list, as far as the present. Runs long at a million tasks: not for the main thread.
    pub fn scan(&self, request: &ScanRequest) -> Fill {
        let mut fill = Fill::new(self.look(request));
        while !self.read(|m| fill.catch_up(m)) {}
        fill
    }

    /// Looks at every task in slices, letting writers in between.
    fn look(&self, request: &ScanRequest) -> Scan {
        let mut scan = self.read(|m| Scan::begin(request, m));
        while !self.read(|m| scan.step(m)) {}
        scan.finish()
    }
}
