//! Flower's HTTP API, metrics and pages, from the same model and through the same [`Ops`] as everything else.
//!
//! `routes` is the one table of what can be asked, by whom; `listen` keeps connections within bounds; the other files
//! answer. Whatever changes the cluster is a command.

mod abort;
mod answer;
mod apply;
pub mod auth;
mod call;
mod control;
mod datatable;
mod events;
mod files;
mod health;
mod html;
mod inspections;
mod json;
mod listen;
mod login;
mod metrics;
mod openapi;
mod own;
mod pages;
mod patient;
mod queues;
mod results;
pub mod routes;
mod search;
mod seats;
mod tally;
mod tasks;
mod terminal;
mod view;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Health, LinkState};
use crate::config::flower::Serve;
use crate::feed::Feed;
use crate::history::writer::Recorder;
use crate::ops::Ops;
use crate::ops::locate::Locator;
use crate::tui::options::Options;

pub use listen::{Listener, Tls, serve};

use auth::Guard;
use events::Events;
use inspections::Inspections;
use tally::Tally;

/// What a site is made of.
pub struct Parts {
    pub ops: Ops,
    pub locator: Locator,
    pub feed: Feed,
    /// How the screen looks in a browser.
    pub screen: Options,
    /// Writes the history down, if it is written.
    pub recorder: Option<Recorder>,
    pub options: Serve,
    pub guard: Guard,
    pub stop: CancellationToken,
}

/// Everything the routes answer from.
pub struct Site {
    ops: Ops,
    locator: Locator,
    link: watch::Receiver<LinkState>,
    health: watch::Receiver<Option<Health>>,
    feed: Feed,
    screen: Options,
    recorder: Option<Recorder>,
    options: Serve,
    /// `/flower`, or nothing.
    prefix: String,
    guard: RwLock<Arc<Guard>>,
    inspections: Inspections,
    tally: Arc<Tally>,
    events: Arc<Events>,
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Places for people in front of browsers.
    terminals: Arc<Semaphore>,
    /// Ends all terminals that are open now.
    sittings: Mutex<CancellationToken>,
}

impl Site {
    /// A site on a cluster. From now on it counts what the store is told, and asks workers that appear.
    pub fn new(parts: Parts, tracker: &TaskTracker) -> Arc<Self> {
        let Parts { ops, locator, feed, screen, recorder, options, guard, stop } = parts;
        let tally = Arc::new(Tally::new(&options.buckets, ops.clock.now()));
        let events = Arc::new(Events::new());
        let (counted, told, store) = (tally.clone(), events.clone(), ops.store.clone());
        ops.store.heard(move |update| {
            counted.count(update, &store);
            told.tell(update);
        });
        let prefix = match options.url_prefix.as_str() {
            "" => String::new(),
            prefix => format!("/{prefix}"),
        };
        let site = Arc::new(Self {
            ops,
            locator,
            link: feed.link.clone(),
            health: feed.health.clone(),
            feed,
            screen,
            recorder,
            prefix,
            guard: RwLock::new(Arc::new(guard)),
            inspections: Inspections::new(options.max_workers),
            terminals: Arc::new(Semaphore::new(options.max_terminals)),
            sittings: Mutex::new(stop.child_token()),
            options,
            tally,
            events,
            stop,
            tracker: tracker.clone(),
        });
        tracker.spawn(inspections::follow(site.clone()));
        site
    }

    /// Puts another guard in the place of the one there is: users and tokens were read anew. Who is logged in stays so; who
    /// has a terminal open comes in anew, as what they are now.
    pub fn set_guard(&self, guard: Guard) {
        let mut place = self.guard.write();
        *place = Arc::new(guard.succeeding(&place));
        drop(place);
        std::mem::replace(&mut *self.sittings.lock(), self.stop.child_token()).cancel();
    }

    fn guard(&self) -> Arc<Guard> {
        self.guard.read().clone()
    }

    /// Why the broker can't be asked, if it is known to be away.
    fn broker_away(&self) -> Option<String> {
        match &*self.link.borrow() {
            LinkState::Live { .. } => None,
            LinkState::Connecting => Some("not connected yet".into()),
            LinkState::Down { why, .. } => Some(why.clone()),
        }
    }

    /// Does something with the broker, unless that is away or takes too long.
    async fn with_broker<T>(&self, what: impl Future<Output = T>) -> Result<T, Box<answer::Answer>> {
        if let Some(why) = self.broker_away() {
            return Err(answer::away(&why));
        }
        let mut link = self.link.clone();
        let gone = async {
            let down = |link: &LinkState| matches!(link, LinkState::Down { .. });
            // An error says that all stops.
            let _ = link.wait_for(down).await;
        };
        tokio::select! {
            done = tokio::time::timeout(self.options.inspect_timeout + PATIENCE, what) => {
                done.map_err(|_| answer::away("the broker gives no answer"))
            }
            () = gone => Err(answer::away(&self.broker_away().unwrap_or_default())),
        }
    }
}

/// How long the broker may take besides what workers may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
