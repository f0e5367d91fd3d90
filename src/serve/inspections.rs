//! What workers said of themselves when they were last asked, to the letter: the API shows it so.
//!
//! They are asked when we come, when they come, where somebody asks for it, and after each command to one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::body::Bytes;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::Site;
use super::answer::Answer;
use crate::celery::pidbox::{Method, Request};
use crate::ops::{Command, Control};

/// How often it is looked whether workers have come.
const LOOK: Duration = Duration::from_secs(1);
/// How often workers that say nothing of their tasks are told to.
const MUTE: Duration = Duration::from_secs(30);
/// When a worker that came and gave no answer is asked again.
const AGAIN: Duration = Duration::from_secs(10);
/// Workers that are asked at once because they are new.
const NEW: usize = 100;

/// See the module.
pub(super) struct Inspections {
    found: Mutex<BTreeMap<String, Map<String, Value>>>,
    most: usize,
    /// The list of all as it is sent, until somebody says something new: clients ask for it again and again.
    written: Mutex<Option<Bytes>>,
}

impl Inspections {
    pub fn new(most: usize) -> Self {
        Self { found: Mutex::default(), most, written: Mutex::default() }
    }

    /// What one worker said.
    pub fn of(&self, worker: &str) -> Option<Map<String, Value>> {
        self.found.lock().get(worker).cloned()
    }

    /// What all said, by name.
    pub fn all(&self) -> BTreeMap<String, Map<String, Value>> {
        self.found.lock().clone()
    }

    /// The same as `write` makes bytes of it.
    pub fn written(&self, write: impl FnOnce(BTreeMap<String, Map<String, Value>>) -> Vec<u8>) -> Bytes {
        let mut written = self.written.lock();
        written.get_or_insert_with(|| write(self.all()).into()).clone()
    }

    fn knows(&self, worker: &str) -> bool {
        self.found.lock().contains_key(worker)
    }

    fn put(&self, worker: String, method: &str, value: Value, now: f64) {
        if value.get("error").is_some() {
            return;
        }
        // Before what is found is locked, as above.
        let mut written = self.written.lock();
        *written = None;
        let mut found = self.found.lock();
        if found.len() >= self.most && !found.contains_key(&worker) {
            // Who was asked longest ago makes room.
            let time = |said: &Map<String, Value>| said.get("timestamp").and_then(Value::as_f64).unwrap_or(0.0);
            let oldest = found.iter().min_by(|a, b| time(a.1).total_cmp(&time(b.1))).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                found.remove(&oldest);
            }
        }
        let said = found.entry(worker).or_default();
        said.insert(method.to_owned(), value);
        said.insert("timestamp".into(), json!(now));
    }

    /// Queues that some worker consumes.
    pub fn queues(&self) -> BTreeSet<String> {
        let found = self.found.lock();
        let lists = found.values().filter_map(|said| said.get("active_queues")?.as_array());
        lists.flatten().filter_map(|queue| Some(queue["name"].as_str()?.to_owned())).collect()
    }

    /// Whether some worker registers a task.
    pub fn registers(&self, task: &str) -> bool {
        let found = self.found.lock();
        let lists = found.values().filter_map(|said| said.get("registered")?.as_array());
        // A name may have its limits behind it.
        lists.flatten().filter_map(|name| name.as_str()?.split(" [").next()).any(|name| name == task)
    }

    /// A setting of the application, where a worker told it.
    pub fn setting(&self, name: &str) -> Option<Value> {
        let found = self.found.lock();
        found.values().find_map(|said| said.get("conf")?.get(name).filter(|value| !value.is_null()).cloned())
    }
}

/// What everybody is asked, and what one is asked besides.
const ALL: [Method; 4] = [Method::Stats, Method::ActiveQueues, Method::Registered, Method::Conf];
const ONE: [Method; 4] = [Method::Active, Method::Scheduled, Method::Reserved, Method::Revoked];

/// Asks all workers, or one of them, and waits for the answers.
pub(super) async fn refresh(site: &Site, worker: Option<&str>) -> Result<(), Box<Answer>> {
    let methods = ALL.into_iter().chain(ONE.into_iter().filter(|_| worker.is_some()));
    let to = worker.map(|name| vec![name.to_owned()]);
    ask(site, methods.collect(), to).await
}

async fn ask(site: &Site, methods: Vec<Method>, to: Option<Vec<String>>) -> Result<(), Box<Answer>> {
    let expected = to.clone().unwrap_or_else(|| online(site));
    let wait = site.options.inspect_timeout;
    let asked = methods.into_iter().map(|method| {
        let (to, expected) = (to.clone(), &expected);
        async move {
            let name = method.name();
            let request = Request { method, to };
            (name, site.ops.broker.control(&request, expected, wait).await)
        }
    });
    for (method, answered) in site.with_broker(join_all(asked)).await? {
        let now = site.ops.clock.now().secs();
        let replies = answered.map_err(|error| super::answer::away(&error.to_string()))?;
        for reply in replies {
            site.inspections.put(reply.worker, method, reply.value, now);
        }
    }
    Ok(())
}

fn online(site: &Site) -> Vec<String> {
    let now = site.ops.clock.now();
    site.ops
        .store
        .read(|m| m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(name, _)| name.to_owned()).collect())
}

/// Whether there is such a worker, as far as anybody knows.
pub(super) fn is_worker(site: &Site, name: &str) -> bool {
    site.inspections.knows(name) || site.ops.store.read(|m| m.worker(name).is_some())
}

/// Asks whoever comes, until we end.
pub(super) async fn follow(site: Arc<Site>) {
    let mut tick = tokio::time::interval(LOOK);
    let mut asked: BTreeMap<String, tokio::time::Instant> = BTreeMap::new();
    let (mut live, mut told) = (false, None::<tokio::time::Instant>);
    loop {
        tokio::select! {
            () = site.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if site.broker_away().is_some() {
            live = false;
            continue;
        }
        if !std::mem::replace(&mut live, true) {
            // Whoever does not answer is asked again where somebody wants to know.
            let _ = refresh(&site, None).await;
        }
        let there = online(&site);
        // One that says it is there may not hear yet.
        asked.retain(|name, at| there.contains(name) && at.elapsed() < AGAIN);
        let new: Vec<String> = there
            .into_iter()
            .filter(|name| !asked.contains_key(name) && !site.inspections.knows(name))
            .take(NEW)
            .collect();
        if !new.is_empty() {
            asked.extend(new.iter().map(|name| (name.clone(), tokio::time::Instant::now())));
            let _ = ask(&site, ALL.to_vec(), Some(new)).await;
        }
        if told.is_none_or(|at| at.elapsed() >= MUTE) && enable_events(&site).await {
            told = Some(tokio::time::Instant::now());
        }
    }
}

/// Tells workers that run tasks and say nothing of them to send events. Says whether there was one.
async fn enable_events(site: &Site) -> bool {
    if !site.options.enable_events || site.ops.read_only {
        return false;
    }
    let now = site.ops.clock.now();
    let mute: Vec<String> = site.ops.store.read(|m| {
        let mute = m.workers().into_iter().filter(|(_, w)| w.is_mute() && w.is_online(now));
        mute.map(|(name, _)| name.to_owned()).collect()
    });
    if mute.is_empty() {
        return false;
    }
    site.ops.run(&Command::Control { workers: mute, what: Control::Events(true) }).await;
    true
}
