//! What is in the log and still holds, whoever did it: queues that are held or lie aside, tasks that were sent again. Read
//! at the start, and from then on every few seconds, so that those who look at one log know of each other.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::run::Ops;
use crate::history::aftermath::Place;
use crate::state::Update;

/// How often what others did is looked up.
const EVERY: Duration = Duration::from_secs(2);

impl Ops {
    /// Tells the model what is new in the log since the last time.
    pub fn recall(&self, place: &mut Place) {
        let Ok(Some(audit)) = &*self.audit else { return };
        let url = self.broker.url();
        let read = audit.aftermath(place, &url).and_then(|deeds| Ok((deeds, audit.held(&url)?)));
        let (deeds, held) = match read {
            Ok(read) => read,
            Err(why) => return tracing::debug!("{why}"),
        };
        let mut by_queue: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (queue, worker) in held {
            by_queue.entry(queue).or_default().push(worker);
        }
        let mut updates = self.store.read(|m| {
            let released = m.held_queues().filter(|queue| !by_queue.contains_key(*queue));
            let mut updates: Vec<Update> = released.map(|queue| Update::Held(queue.to_owned(), Vec::new())).collect();
            let news = by_queue.iter().filter(|(queue, workers)| m.held(queue) != &workers[..]);
            updates.extend(news.map(|(queue, workers)| Update::Held(queue.clone(), workers.clone())));
            updates
        });
        if !deeds.is_empty() {
            updates.push(Update::Deeds(deeds));
        }
        if !updates.is_empty() {
            self.store.apply(&updates);
        }
    }

    /// Goes on doing so until it is stopped.
    pub async fn keep_recalling(self, mut place: Place, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let ops = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                ops.recall(&mut place);
                place
            });
            match looked.await {
                Ok(looked) => place = looked,
                // It was told by its own hook.
                Err(_) => return,
            }
        }
    }
}
