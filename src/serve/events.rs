//! Events of tasks and workers as they come, for whoever listens: server-sent events, bounded in listeners and in what is
//! held back for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::broadcast;

use super::Site;
use super::answer::{Answer, Body, Said};
use super::call::Call;
use crate::celery::event::Event;
use crate::state::Update;

/// Listeners at the same time.
const LISTENERS: usize = 32;
/// Events held back for one that is slow; what is beyond is missed, and it is told so.
const HELD: usize = 4_096;
/// A sign of life where nothing happens.
const QUIET: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Events {
    sender: broadcast::Sender<Arc<str>>,
    listeners: Arc<AtomicUsize>,
}

/// A listener's place, given back when it leaves.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Events {
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(HELD), listeners: Arc::default() }
    }

    /// Tells listeners what the store was told. Arguments and results are not told: who wants them asks for the task.
    pub fn tell(&self, update: &Update) {
        let Update::Events(batch) = update else { return };
        if self.sender.receiver_count() == 0 {
            return;
        }
        for event in &batch.events {
            let Event::Task(event) = event else { continue };
            let text = |t| batch.text(t);
            let document = json!({
                "type": event.kind.name(batch), "uuid": event.id, "hostname": text(event.hostname), "name": text(event.name),
                "queue": text(event.queue), "timestamp": event.stamp.secs(), "runtime": event.runtime.value(),
            });
            // Fails only where the last listener has just left.
            let _ = self.sender.send(document.to_string().into());
        }
    }

    fn listen(&self) -> Option<(Place, broadcast::Receiver<Arc<str>>)> {
        let place = Place(self.listeners.clone());
        let before = self.listeners.fetch_add(1, Ordering::Relaxed);
        (before < LISTENERS).then(|| (place, self.sender.subscribe()))
    }
}

pub(super) async fn stream(site: &Arc<Site>, _: &Call) -> Said {
    let Some(listening) = site.events.listen() else {
        return Err(Box::new(Answer::text(503, format!("{LISTENERS} listen already: that is all there is room for"))));
    };
    let stop = site.stop.clone();
    let told = futures_util::stream::unfold((listening, stop), |((place, mut receiver), stop)| async move {
        let next = tokio::select! {
            () = stop.cancelled() => return None,
            next = tokio::time::timeout(QUIET, receiver.recv()) => next,
        };
        let line = match next {
            Err(_) => ": quiet\n\n".to_owned(),
            Ok(Ok(text)) => format!("data: {text}\n\n"),
            Ok(Err(broadcast::error::RecvError::Lagged(missed))) => {
                format!("event: missed\ndata: {missed}\n\n")
            }
            Ok(Err(broadcast::error::RecvError::Closed)) => return None,
        };
        Some((line.into_bytes(), ((place, receiver), stop)))
    });
    // Something is said at once, so that whoever listens knows that it does.
    let greeting = futures_util::stream::once(async { b": listening\n\n".to_vec() });
    let mut answer = Answer::new(200, "text/event-stream", Vec::new());
    answer.body = Body::Stream(greeting.chain(told).boxed());
    Ok(answer)
}
