//! Asking everybody who may know of a task, all at once, each in its own words.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::evidence::{Asked, Ended, Flow, Held, Hold, Place, Queues, Running, Unacked, Workers};
use super::scan::{self, Next, Order};
use super::{Locator, worker_names};
use crate::broker::Health;
use crate::celery::TaskId;
use crate::celery::pidbox::{Method, Reply, Request};
use crate::celery::queue::{DELAYED, Depth};
use crate::celery::result::Stored;
use crate::clock::Stamp;
use crate::history::reader::Reader;
use crate::state::task::parse_iso;

/// Deliveries looked at.
const DELIVERED: usize = 10_000;
/// Why queues are not looked into where nothing may be changed.
pub(super) const MARKS: &str = "looking into a queue marks its messages as redelivered, and this is read-only";
/// Queues of RabbitMQ that delay, one for each bit of the seconds.
const DELAYS: usize = 28;
/// How long all workers may take to say whether they hold it; what is left is for the one that does.
const FIRST: Duration = Duration::from_millis(1_200);

impl Locator {
    /// Every queue that is known or that the broker names, with its depth.
    pub(super) async fn depths(&self) -> Result<Vec<Depth>, String> {
        let names: Vec<String> = self.store.read(|m| {
            let consumed = m.workers().into_iter().flat_map(|(_, w)| w.inspected.queues.iter().flatten().cloned());
            let asides = m.asides().map(|aside| aside.name.clone());
            m.queue_names().into_iter().chain(consumed.collect::<Vec<_>>()).chain(asides).collect()
        });
        self.broker.queues(&names).await.map_err(|error| error.reason())
    }

    /// In which queue it waits. `tell` is given what is known so far, and says whether anybody still wants to know.
    pub(super) async fn queues(
        &self,
        id: &TaskId,
        until: Instant,
        tell: &mut (dyn FnMut(Queues) -> bool + Send),
    ) -> Asked<Queues> {
        let can = self.broker.capabilities();
        if can.peek_marks && self.read_only {
            return Asked::Unable(MARKS.into());
        }
        let mut depths = match timeout_at(until, self.depths()).await {
            Ok(Ok(depths)) => depths,
            Ok(Err(why)) => return Asked::Unable(why),
            Err(_) => return Asked::Unable("the broker gave no answer in time".into()),
        };
        // Where its last event says it was sent to comes first.
        let first = self.store.read(|m| m.task(id).and_then(|task| task.queue()).map(str::to_owned));
        depths.sort_by_key(|depth| Some(&depth.name) != first.as_ref());
        let mut found = None;
        let (mut queues, marks) = (Queues::default(), can.peek_marks);
        let looked = scan::through(&*self.broker, &depths, Order::NextFirst, until, &mut |depth, waiting, looked| {
            let of = usize::try_from(depth.ready).unwrap_or(usize::MAX);
            found = waiting.iter().find_map(|waiting| {
                let message = waiting.message.as_ref().ok().filter(|message| message.id == *id)?;
                Some(Place {
                    queue: depth.name.clone(),
                    place: waiting.place + 1,
                    of: of.max(waiting.place + 1),
                    priority: message.priority,
                    redelivered: message.redelivered,
                    name: message.name.clone(),
                    flow: self.flow(&depth.name, depth.rates),
                })
            });
            let so_far =
                Queues { looked: looked.messages, queues: looked.queues, marks, going: true, ..Queues::default() };
            if found.is_some() || !tell(so_far) { Next::Stop } else { Next::On }
        })
        .await;
        if looked.messages == 0 && looked.queues > 0 && found.is_none() {
            return Asked::Unable(looked.stopped().unwrap_or_else(|| "nobody wants to know any more".into()));
        }
        queues.found = found;
        queues.stopped = looked.stopped();
        (queues.looked, queues.queues, queues.marks) = (looked.messages, looked.queues, marks && looked.messages > 0);
        Asked::Told(queues)
    }

    /// How a queue moves, and who takes from it.
    fn flow(&self, queue: &str, rates: Option<(f64, f64)>) -> Flow {
        let now = self.clock.now();
        self.store.read(|m| {
            let mut busy = (0, 0);
            for (_, worker) in m.workers().into_iter().filter(|(_, worker)| worker.is_online(now)) {
                let consumes = worker.inspected.queues.iter().flatten().any(|name| name == queue);
                if let Some((running, places)) = worker.running().zip(worker.pool_size()).filter(|_| consumes) {
                    busy = (busy.0 + running, busy.1 + places);
                }
            }
            Flow {
                aside: m.aside(queue).cloned(),
                rates: rates.or_else(|| m.flow(m.queue(queue)?, now)),
                consumers: m.consumers(queue, now),
                busy: (busy.1 > 0).then_some(busy),
            }
        })
    }

    /// Whether the broker holds it as delivered and not acknowledged.
    pub(super) async fn unacked(&self, id: &TaskId, health: &Option<Health>) -> Asked<Option<Unacked>> {
        let timeout = health.as_ref().and_then(|health| health.visibility_timeout).map(Duration::from_secs);
        match self.broker.unacked(DELIVERED).await {
            Err(error) => Asked::Unable(error.reason()),
            Ok(delivered) => {
                let whole = delivered.len() < DELIVERED;
                let found = delivered.into_iter().find_map(|delivered| {
                    let message = delivered.message.ok().filter(|message| message.id == *id)?;
                    let again = delivered.at.zip(timeout).map(|(at, timeout)| at + timeout);
                    Some(Unacked { queue: delivered.queue, at: delivered.at, again, name: Some(message.name) })
                });
                match found {
                    None if !whole => Asked::Unable(format!("it is not among the oldest {DELIVERED}")),
                    found => Asked::Told(found),
                }
            }
        }
    }

    /// Whether RabbitMQ holds it back until its time.
    pub(super) async fn delayed(&self, id: &TaskId, health: &Option<Health>, until: Instant) -> Asked<Option<Place>> {
        let delayed = health.as_ref().and_then(|health| health.delayed);
        let Some(n) = delayed else { return Asked::Absent };
        if n > 0 && self.read_only {
            return Asked::Unable(MARKS.into());
        }
        if n == 0 {
            return Asked::Told(None);
        }
        let names = (0..DELAYS).map(|bit| Depth { name: format!("{DELAYED}{bit}"), ready: n, ..Depth::default() });
        let mut found = None;
        let all: Vec<Depth> = names.collect();
        let looked = scan::through(&*self.broker, &all, Order::NextFirst, until, &mut |depth, waiting, _| {
            found = waiting.iter().find_map(|waiting| {
                let message = waiting.message.as_ref().ok().filter(|message| message.id == *id)?;
                Some(Place {
                    queue: depth.name.clone(),
                    place: waiting.place + 1,
                    of: waiting.place + 1,
                    priority: message.priority,
                    redelivered: false,
                    name: message.name.clone(),
                    flow: Flow::default(),
                })
            });
            if found.is_some() { Next::Stop } else { Next::On }
        })
        .await;
        match (found, looked.stopped()) {
            (None, Some(why)) => Asked::Unable(why),
            (found, _) => Asked::Told(found),
        }
    }

    async fn control(&self, method: Method, to: Option<Vec<String>>, wait: Duration) -> Result<Vec<Reply>, String> {
        let expected = to.clone().unwrap_or_else(|| worker_names(&self.store, self.clock.now()));
        let request = Request { method, to };
        self.broker.control(&request, &expected, wait).await.map_err(|error| error.reason())
    }

    /// Which worker holds it, and what keeps it there.
    pub(super) async fn workers(&self, id: &TaskId, until: Instant) -> Asked<Workers> {
        let wait = FIRST.min(until.saturating_duration_since(Instant::now()));
        let query = Method::QueryTask { ids: vec![id.clone()] };
        let (held, revoked) = tokio::join!(self.control(query, None, wait), self.control(Method::Revoked, None, wait));
        let held = match held {
            Ok(held) => held,
            Err(why) => return Asked::Unable(why),
        };
        let expected = worker_names(&self.store, self.clock.now());
        let answered: Vec<String> = held.iter().map(|reply| reply.worker.clone()).collect();
        let key = id.to_string();
        let mut workers = Workers {
            silent: expected.into_iter().filter(|name| !answered.contains(name)).collect(),
            held: held.iter().find_map(|reply| held_in(reply, &key)),
            revoked: revoked.unwrap_or_default().iter().filter_map(|reply| lists(reply, &key)).collect(),
            answered,
            ..Workers::default()
        };
        let seen = self.store.read(|m| m.task(id).and_then(|task| task.worker()).map(str::to_owned));
        let at =
            workers.held.as_ref().map(|held| held.worker.clone()).or(seen.filter(|w| workers.answered.contains(w)));
        if let Some(at) = at {
            self.circumstances(&at, id, until, &mut workers).await;
        }
        Asked::Told(workers)
    }

    /// What the worker that has it does meanwhile.
    async fn circumstances(&self, at: &str, id: &TaskId, until: Instant, workers: &mut Workers) {
        let wait = until.saturating_duration_since(Instant::now());
        let ask = |method| self.control(method, Some(vec![at.to_owned()]), wait);
        // Workers before Celery 5.6 say nothing of what waits for its time when they are asked for one task.
        let (active, registered, stats, scheduled) =
            tokio::join!(ask(Method::Active), ask(Method::Registered), ask(Method::Stats), ask(Method::Scheduled));
        let value = |replies: Result<Vec<Reply>, String>| {
            replies.ok().and_then(|replies| replies.into_iter().next()).map_or(Value::Null, |reply| reply.value)
        };
        let (active, registered, stats, scheduled) = (value(active), value(registered), value(stats), value(scheduled));
        let key = id.to_string();
        let running = active.as_array().into_iter().flatten().filter(|task| task["id"] != key.as_str());
        workers.running = running
            .map(|task| Running {
                name: task["name"].as_str().unwrap_or("(name not known)").to_owned(),
                since: task["time_start"].as_f64().and_then(Stamp::from_secs),
            })
            .collect();
        let processes = stats["pool"]["processes"].as_array().map(|list| list.len() as u64);
        let most = stats["pool"]["max-concurrency"].as_u64();
        workers.places = processes.max(most.filter(|_| processes.is_none_or(|n| n <= 1)));
        let waits = scheduled.as_array().into_iter().flatten().find(|entry| entry["request"]["id"] == key.as_str());
        if let Some(entry) = waits {
            let eta = entry["eta"].as_str().and_then(parse_iso);
            let known = workers.held.take().filter(|held| held.hold != Hold::Active);
            let name = entry["request"]["name"].as_str().map(str::to_owned);
            workers.held = Some(Held {
                worker: at.to_owned(),
                hold: Hold::Scheduled,
                name: name.or(known.and_then(|held| held.name)),
                started: None,
                eta,
                request: entry["request"].clone(),
            });
        }
        let name = workers.held.as_ref().and_then(|held| held.name.clone());
        let name = name.or_else(|| self.store.read(|m| m.task(id).and_then(|task| task.name()).map(str::to_owned)));
        workers.rate_limit = name.and_then(|name| limit_of(&registered, &name));
    }

    /// What the result backend keeps of it, and the document itself.
    pub(super) async fn result(&self, id: &TaskId) -> (Asked<Option<Ended>>, Option<Stored>) {
        let backend = match &self.results {
            Ok(backend) => Arc::clone(backend),
            Err(why) => return (Asked::Unable(why.clone()), None),
        };
        let stored = match backend.get(std::slice::from_ref(id)).await {
            Ok(found) => found.into_iter().next().map(|(_, stored)| stored),
            Err(why) => return (Asked::Unable(why.to_string()), None),
        };
        let ended = stored.as_ref().map(|stored| match stored {
            Stored::Result(result) => Ended {
                state: result.status.clone(),
                ready: result.is_ready(),
                at: result.date_done.as_deref().and_then(parse_iso),
                worker: result.worker.clone(),
                name: result.name.clone(),
            },
            Stored::Opaque(opaque) => {
                Ended { state: format!("something ({opaque})"), ready: true, at: None, worker: None, name: None }
            }
        });
        (Asked::Told(ended), stored)
    }

    /// What the history has of it.
    pub(super) async fn history(&self, id: &TaskId) -> Asked<Option<Ended>> {
        let Some(path) = self.history.clone() else { return Asked::Unable("there is none".into()) };
        let id = id.clone();
        let look = move || Reader::open(&path).and_then(|mut reader| reader.task(&id));
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(found)) => Asked::Told(found.map(|(_, doc)| {
                let state = crate::state::State::parse(&doc.state);
                Ended {
                    ready: state.is_some_and(crate::state::State::is_ready),
                    at: doc.finished.or(doc.timestamp).and_then(Stamp::from_secs),
                    state: doc.state,
                    worker: doc.worker,
                    name: doc.name,
                }
            })),
            Ok(Err(error)) => Asked::Unable(error.to_string()),
            Err(_) => Asked::Unable("looking there ended early".into()),
        }
    }
}

/// How a worker says it holds a task (Celery 5.7.0, `worker/control.py`, `query_task`).
fn held_in(reply: &Reply, id: &str) -> Option<Held> {
    let entry = reply.value.get(id)?;
    let request = entry.get(1)?;
    let hold = match entry.get(0)?.as_str()? {
        "active" => Hold::Active,
        "scheduled" => Hold::Scheduled,
        _ => Hold::Reserved,
    };
    Some(Held {
        worker: reply.worker.clone(),
        hold,
        name: request["name"].as_str().map(str::to_owned),
        started: request["time_start"].as_f64().and_then(Stamp::from_secs),
        eta: None,
        request: request.clone(),
    })
}

/// The worker, if an id is in its list.
fn lists(reply: &Reply, id: &str) -> Option<String> {
    let listed = reply.value.as_array()?.iter().any(|entry| entry == id);
    listed.then(|| reply.worker.clone())
}

/// The rate limit of a task in what a worker registers: `name [rate_limit=10/m]`.
fn limit_of(registered: &Value, name: &str) -> Option<String> {
    let mut entries = registered.as_array()?.iter().filter_map(Value::as_str);
    let info = entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix(" [")?.strip_suffix(']'))?;
    let limit = info.split(' ').find_map(|field| field.strip_prefix("rate_limit="))?;
    (limit != "0").then(|| limit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read_off_what_is_registered() {
        let registered = serde_json::json!(["a.bc [rate_limit=9/m]", "a.b [max_retries=3 rate_limit=10/m]", "c"]);
        assert_eq!(limit_of(&registered, "a.b").as_deref(), Some("10/m"));
        assert_eq!((limit_of(&registered, "c"), limit_of(&registered, "d")), (None, None));
    }
}
