//! Whether a worker survives being told to consume a queue: RabbitMQ turns a declaration away that contradicts the
//! queue, and that ends the worker. It says yes before it declares (Celery 5.7.0, `worker/control.py`, `add_consumer`), so
//! what it does then is looked at.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Error, Ops};
use crate::broker::Health;
use crate::celery::pidbox::{Method, Reply, Request};
use crate::state::Model;

/// Pause between two questions whether it consumes the queue by now.
const PAUSE: Duration = Duration::from_millis(100);

/// What has to be said before, where nobody tells how the queue was declared.
pub(super) fn caveat(queue: &str, model: &Model, health: Option<&Health>) -> Option<String> {
    let untold = health.is_some_and(|health| health.kind == "rabbitmq" && health.blind.is_some());
    let consumed = model.consumers(queue, model.now()).is_some_and(|n| n > 0);
    (untold && !consumed).then(|| {
        format!(
            "Without the management API nobody tells how {queue} was declared: if there is one with other arguments, \
             RabbitMQ turns the worker's away, and the worker ends."
        )
    })
}

impl Ops {
    /// Refuses what would end a worker. Where a worker consumes the queue already, the application defines it.
    pub(super) async fn may_add(&self, queue: &str) -> Result<(), Error> {
        let now = self.clock.now();
        if self.store.read(|m| m.consumers(queue, now)).is_some_and(|n| n > 0) {
            return Ok(());
        }
        match self.broker.not_plain(queue).await {
            None => Ok(()),
            Some(how) => Err(Error::Refused(format!(
                "queue {queue} has {how}: a worker that declares it otherwise ends. Start one that defines it so, with -Q {queue}"
            ))),
        }
    }

    /// Looks whether those that said they would consume the queue do; of who doesn't the answer becomes what is known.
    pub(super) async fn see_added(&self, queue: &str, answers: &mut [Reply]) {
        let said = answers.iter_mut().filter(|answer| answer.ok().is_some());
        let looks = said.map(|answer| async {
            let seen = tokio::select! {
                seen = self.see_one(queue, &answer.worker) => seen,
                () = self.goodbye(&answer.worker) => Err(json!({
                    "error": format!(
                        "ended when it began to consume {queue}: its log says why (RabbitMQ ends a worker that declares \
                         a queue with other arguments than it has)"
                    )
                })),
            };
            if let Err(value) = seen {
                answer.value = value;
            }
        });
        futures_util::future::join_all(looks).await;
    }

    /// Asks a worker what it consumes until that queue is among it, or the time is up.
    async fn see_one(&self, queue: &str, worker: &str) -> Result<(), Value> {
        let request = Request { method: Method::ActiveQueues, to: Some(vec![worker.to_owned()]) };
        let expected = [worker.to_owned()];
        let (until, mut answered) = (Instant::now() + self.answer, false);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let replies = self.broker.control(&request, &expected, left).await;
            let replies =
                replies.map_err(|error| json!({"silent": format!("said it would consume {queue}; {error}")}))?;
            let queues = replies.iter().find(|reply| reply.worker == worker).map(|reply| &reply.value);
            answered |= queues.is_some();
            if queues.and_then(Value::as_array).is_some_and(|queues| queues.iter().any(|q| q["name"] == queue)) {
                return Ok(());
            }
            if Instant::now() + PAUSE >= until {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(match answered {
            true => json!({"error": format!("said it would consume {queue}, and does not")}),
            // One with a solo pool may have begun a task of that queue.
            false => json!({"silent": format!("said it would consume {queue}, and has been silent since")}),
        })
    }

    /// Waits until a worker says goodbye.
    async fn goodbye(&self, worker: &str) {
        let mut seen = 0;
        while !self.store.read(|m| m.worker(worker).is_some_and(|w| w.said_offline)) {
            seen = self.store.changed(seen).await;
        }
    }
}
