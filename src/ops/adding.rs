//! Whether a worker survives being told to consume a queue: RabbitMQ turns a declaration away that contradicts the
//! queue, and that ends the worker.

use super::{Error, Ops};

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
}
