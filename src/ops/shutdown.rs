//! Shutting workers down, and knowing whether they went. A worker never answers a shutdown: a goodbye that comes after
//! it was asked confirms it, and so does silence, where silence says anything.

use serde_json::{Value, json};

use super::Error;
use super::receipt::Outcome;
use super::run::Ops;
use super::verdict::judge;
use crate::celery::pidbox::{Method, Request};
use crate::clock::Stamp;
use crate::state::worker::Worker;

/// What a worker was like when it was asked to go.
#[derive(Debug, PartialEq)]
enum Before {
    /// It beat just now: when that ends, it is gone.
    Beating,
    /// Its silence says nothing, for this reason; only a goodbye counts.
    Mute(&'static str),
    /// It had said goodbye already.
    Left,
}

/// Intervals after which a heartbeat is no fresh one any more.
const FRESH: f64 = 1.5;

fn before(worker: Option<&Worker>, now: Stamp) -> Before {
    let Some(worker) = worker else { return Before::Mute("was never heard of here") };
    let kind = worker.inspected.stats.as_ref().map_or("", |s| s.pool.kind.as_str());
    let fresh = |at: Stamp| now.since(at).as_secs_f64() <= worker.freq * FRESH;
    match worker.heartbeat() {
        _ if worker.said_offline => Before::Left,
        _ if !worker.is_online(now) => Before::Mute("was silent already when it was asked"),
        None => Before::Mute("sends no heartbeats"),
        Some(at) if !fresh(at) => Before::Mute("was silent already when it was asked"),
        // Its one thread beats no more while it runs a task.
        Some(_) if kind == "solo" => Before::Mute("has a solo pool, which is silent while it runs a task"),
        Some(_) if kind.is_empty() => Before::Mute("has not told what pool it has"),
        Some(_) => Before::Beating,
    }
}

/// How it is known that a worker went, if it is. `watched` is whether every heartbeat would have been seen.
fn gone(before: &Before, worker: Option<&Worker>, watched: bool, now: Stamp) -> Option<String> {
    let worker = worker?;
    if worker.said_offline {
        // It says so when it begins to end: what it runs it still finishes.
        return Some(match worker.running() {
            None | Some(0) => "said goodbye".into(),
            Some(n) => {
                let tasks = super::command::plural(n, "task");
                format!("said goodbye; finishes {tasks} first")
            }
        });
    }
    (*before == Before::Beating && watched && !worker.is_online(now)).then(|| "fell silent".to_owned())
}

impl Ops {
    pub(super) async fn shut_down(
        &self,
        workers: &[String],
        replies: &mut Vec<(String, Value)>,
    ) -> Result<Outcome, Error> {
        // An empty list would reach every worker there is.
        if workers.is_empty() {
            return Err(Error::Refused("no worker is online".into()));
        }
        let begun = self.clock.now();
        let known = |name: &String| (name.clone(), self.store.read(|m| before(m.worker(name), begun)));
        let (left, asked): (Vec<_>, Vec<_>) = workers.iter().map(known).partition(|(_, b)| *b == Before::Left);
        if asked.is_empty() {
            let names: Vec<String> = left.into_iter().map(|(name, _)| name).collect();
            return Err(Error::Refused(format!("not online: {} said goodbye already", names.join(", "))));
        }
        let to = asked.iter().map(|(name, _)| name.clone()).collect();
        self.control(&Request { method: Method::Shutdown, to: Some(to) }, &[]).await?;
        let went = self.wait_for_the_end(&asked, begun).await;
        for ((name, before), went) in asked.into_iter().zip(went) {
            let value = match (went, before) {
                (Some(how), _) => json!({"ok": how}),
                (None, before) => json!({"silent": self.doubt(&name, &before)}),
            };
            replies.push((name, value));
        }
        replies.extend(left.into_iter().map(|(name, _)| (name, json!({"error": "not online: said goodbye already"}))));
        Ok(judge(replies))
    }

    /// For each worker how it went, as far as it did within the time.
    async fn wait_for_the_end(&self, asked: &[(String, Before)], begun: Stamp) -> Vec<Option<String>> {
        let deadline = tokio::time::Instant::now() + self.wait;
        let mut went: Vec<Option<String>> = vec![None; asked.len()];
        let mut seen = 0;
        loop {
            let now = self.clock.now();
            self.store.read(|m| {
                let watched = !m.outages().touches(begun, now);
                for ((name, before), went) in asked.iter().zip(&mut went) {
                    if went.is_none() {
                        *went = gone(before, m.worker(name), watched, now);
                    }
                }
            });
            if went.iter().all(Option::is_some) {
                return went;
            }
            match tokio::time::timeout_at(deadline, self.store.changed(seen)).await {
                Ok(version) => seen = version,
                Err(_) => return went,
            }
        }
    }

    /// Why it is not known that a worker went.
    fn doubt(&self, name: &str, before: &Before) -> String {
        let waited = crate::human::span(self.wait.as_secs());
        let now = self.clock.now();
        let there = self.store.read(|m| m.worker(name).is_some_and(|w| w.is_online(now)));
        match before {
            Before::Mute(why) if !there => format!("{why}, and said no goodbye within {waited}"),
            _ => format!("still there after {waited}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::celery::pidbox::Reply;
    use crate::state::{Limits, Store, Update};

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros(secs * 1_000_000)
    }

    fn event(store: &Store, kind: &str, active: u64, now: Stamp) {
        let body = json!({"type": kind, "hostname": "w@h", "freq": 2.0, "active": active, "processed": 1,
            "loadavg": [0, 0, 0], "timestamp": now.secs(), "utcoffset": 0, "pid": 1, "clock": 1});
        let mut batch = Batch::default();
        batch.push_body(Format::Json, body.to_string().as_bytes(), now).expect("an event");
        store.apply(&[Update::Events(std::sync::Arc::new(batch))]);
    }

    /// A worker with a pool that beat at ten seconds.
    fn worker(pool: &str) -> Store {
        let store = Store::new(Limits::default());
        event(&store, "worker-heartbeat", 0, at(10));
        let value = json!({"pool": {"implementation": format!("celery.concurrency.{pool}:TaskPool")}});
        let reply = Reply { worker: "w@h".into(), value };
        store.apply(&[Update::Inspected(at(10), "stats", vec![reply])]);
        store
    }

    fn before_at(store: &Store, now: Stamp) -> Before {
        store.read(|m| before(m.worker("w@h"), now))
    }

    fn gone_at(store: &Store, before: &Before, now: Stamp) -> Option<String> {
        store.read(|m| gone(before, m.worker("w@h"), true, now))
    }

    #[test]
    fn silence_says_something_only_of_a_worker_that_was_beating() {
        let store = worker("prefork");
        assert_eq!(before_at(&store, at(11)), Before::Beating);
        assert_eq!(gone_at(&store, &Before::Beating, at(13)), None, "its last heartbeat still counts");
        assert_eq!(gone_at(&store, &Before::Beating, at(15)).as_deref(), Some("fell silent"));
        assert_eq!(store.read(|m| gone(&Before::Beating, m.worker("w@h"), false, at(15))), None, "we did not look");
        let late = before_at(&store, at(60));
        assert!(matches!(late, Before::Mute(why) if why.contains("silent already")), "{late:?}");
        assert_eq!(gone_at(&store, &late, at(90)), None, "it was silent before");
        assert!(matches!(before_at(&worker("solo"), at(11)), Before::Mute(why) if why.contains("solo")));
        assert!(matches!(before(None, at(11)), Before::Mute(_)));
    }

    #[test]
    fn a_goodbye_is_the_beginning_of_the_end() {
        let store = worker("prefork");
        event(&store, "worker-offline", 2, at(11));
        let how = gone_at(&store, &Before::Beating, at(11));
        assert_eq!(how.as_deref(), Some("said goodbye; finishes 2 tasks first"));
        assert_eq!(before_at(&store, at(12)), Before::Left, "and is not asked twice");
    }
}
