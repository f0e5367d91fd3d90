//! Holding a queue: every worker that consumes it is told to stop, and which those were is written down, so that exactly
//! those begin again.

use serde_json::{Value, json};

use crate::celery::pidbox::{Method, Request};
use crate::ops::Error;
use crate::ops::command::plural;
use crate::ops::receipt::Outcome;
use crate::ops::run::Ops;
use crate::ops::verdict::{collect, judge};
use crate::state::{Model, Update};

pub(super) fn about_hold(queue: &str, model: &Model) -> Vec<String> {
    let consumers = consumers(queue, model);
    let mut lines = match consumers.len() {
        0 => vec!["No online worker is known to consume it.".to_owned()],
        _ => crate::text::pack(consumers.iter().map(String::as_str), 80),
    };
    lines
        .push(format!("{} told to consume it no longer; what they took already they still run.", are(consumers.len())));
    lines.push("H again restores exactly those. A worker that starts meanwhile consumes it all the same.".into());
    lines
}

pub(super) fn about_release(queue: &str, model: &Model) -> Vec<String> {
    let held = model.held(queue);
    let mut lines = crate::text::pack(held.iter().map(String::as_str), 80);
    lines.push(format!("{} told to consume it again.", are(held.len())));
    lines
}

fn are(n: usize) -> String {
    format!("{} {}", plural(n, "worker"), if n == 1 { "is" } else { "are" })
}

fn consumers(queue: &str, model: &Model) -> Vec<String> {
    let now = model.now();
    let consumes = |queues: &Option<Vec<String>>| queues.iter().flatten().any(|q| q == queue);
    let workers = model.workers().into_iter().filter(|(_, w)| w.is_online(now) && consumes(&w.inspected.queues));
    workers.map(|(name, _)| name.to_owned()).collect()
}

impl Ops {
    pub(super) async fn hold(&self, queue: &str, replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        // What they said a while ago may be outdated.
        let everybody = self.online();
        let answers = self.control(&Request::to_all(Method::ActiveQueues), &everybody).await?;
        let consumes = |value: &Value| value.as_array().into_iter().flatten().any(|q| q["name"] == queue);
        let workers: Vec<String> = answers.into_iter().filter(|a| consumes(&a.value)).map(|a| a.worker).collect();
        if workers.is_empty() {
            return Ok(Outcome::Failed("no worker that answers consumes it".into()));
        }
        // Written down before: whoever is cut off in the middle can still be undone.
        self.remember_held(queue, &workers)?;
        let request = Request { method: Method::CancelConsumer { queue: queue.to_owned() }, to: Some(workers.clone()) };
        let answers = self.control(&request, &workers).await?;
        collect(&workers, answers, |_| None, replies);
        self.ask_consumers().await;
        Ok(judge(replies))
    }

    pub(super) async fn release(&self, queue: &str, replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        let held = match &*self.audit {
            Ok(Some(audit)) => audit.held(&self.broker.url()).map_err(|e| Error::Audit(e.to_string()))?,
            _ => Vec::new(),
        };
        let written = held.into_iter().filter(|(name, _)| name == queue).map(|(_, worker)| worker);
        let workers: Vec<String> = written.chain(self.store.read(|m| m.held(queue).to_vec())).collect();
        let workers: Vec<String> = std::collections::BTreeSet::from_iter(workers).into_iter().collect();
        if workers.is_empty() {
            return Ok(Outcome::Failed("it is not held".into()));
        }
        let online = self.online();
        let (there, gone): (Vec<String>, Vec<String>) = workers.into_iter().partition(|w| online.contains(w));
        for name in gone {
            // It was restarted under another name, or will be: then it consumes what it is told to at its start.
            replies.push((name, json!({"left_out": "not online"})));
        }
        if !there.is_empty() {
            let request = Request { method: Method::AddConsumer { queue: queue.to_owned() }, to: Some(there.clone()) };
            let answers = self.control(&request, &there).await?;
            collect(&there, answers, |_| None, replies);
            self.ask_consumers().await;
        }
        let outcome = judge(replies);
        if matches!(outcome, Outcome::Confirmed) || there.is_empty() {
            self.remember_held(queue, &[])?;
        }
        Ok(if there.is_empty() { Outcome::Confirmed } else { outcome })
    }

    /// Who consumes what is another answer now than it was.
    async fn ask_consumers(&self) {
        match self.control(&Request::to_all(Method::ActiveQueues), &self.online()).await {
            Ok(answers) => {
                let name = Method::ActiveQueues.name();
                self.store.apply(&[Update::Inspected(self.clock.now(), name, answers)]);
            }
            Err(why) => tracing::debug!("{why}"),
        }
    }

    fn remember_held(&self, queue: &str, workers: &[String]) -> Result<(), Error> {
        if let Ok(Some(audit)) = &*self.audit {
            let kept = audit.hold(&self.broker.url(), queue, self.clock.now(), workers);
            kept.map_err(|e| Error::Audit(e.to_string()))?;
        }
        self.store.apply(&[Update::Held(queue.to_owned(), workers.to_vec())]);
        Ok(())
    }
}
