//! What an event says of a worker (`protocol/README.md`, section 2.4, the letters W).

use crate::celery::event::{Batch, Field, WorkerEvent, WorkerEventKind};
use crate::clock::Stamp;
use crate::state::intern::Sym;
use crate::state::lost::Before;
use crate::state::model::Model;
use crate::state::worker::Worker;

impl Model {
    pub(super) fn worker_mut(&mut self, name: Sym, now: Stamp) -> &mut Worker {
        if !self.workers.contains_key(&name) {
            if self.workers.len() >= self.limits.workers
                && let Some(oldest) = self.worker_order.pop_front()
            {
                self.workers.remove(&oldest);
            }
            self.worker_order.push_back(name);
        }
        self.workers.entry(name).or_insert_with(|| Worker::new(now))
    }

    pub(super) fn worker_event(&mut self, batch: &Batch, event: &WorkerEvent) {
        let Some(hostname) = batch.text(event.hostname) else { return };
        let name = self.names.intern(hostname);
        let offline = event.kind == WorkerEventKind::Offline;
        if offline && !self.workers.contains_key(&name) {
            return; // W1: a goodbye does not introduce anybody.
        }
        let worker = self.worker_mut(name, event.received);
        let known = Before::of(worker);
        worker.last_seen = event.received;
        event.pid.apply(&mut worker.pid);
        if let Field::Value(clock) = event.clock {
            worker.clock = clock;
        }
        if event.has_id {
            return; // W2: Celery stumbles over `id`, behind which nothing is taken over.
        }
        if let Field::Value(freq) = event.freq {
            worker.freq = freq;
        }
        event.active.apply(&mut worker.active);
        if !matches!(event.active, Field::Absent) {
            worker.active_at = Some(event.received);
        }
        // A heartbeat comes from every worker every other second, and takes nothing.
        let online = event.kind == WorkerEventKind::Online;
        let version_before = if online { worker.sw_ver.clone() } else { None };
        let before = worker.processed;
        event.processed.apply(&mut worker.processed);
        if before.is_some() && worker.processed > before {
            worker.untold = worker.untold.saturating_add(1);
        }
        if let Field::Value(processed) = event.processed {
            let mute = worker.is_mute();
            worker.tally.beat(processed, mute, event.received);
        }
        event.loadavg.apply(&mut worker.loadavg);
        for (text, slot) in [
            (event.sw_ident, &mut worker.sw_ident),
            (event.sw_ver, &mut worker.sw_ver),
            (event.sw_sys, &mut worker.sw_sys),
        ] {
            match batch.field(text) {
                Field::Value(text) if slot.as_deref() == Some(text) => {}
                Field::Value(text) => *slot = Some(text.to_owned()),
                Field::Null => *slot = None,
                Field::Absent => {}
            }
        }
        worker.said_offline = offline;
        let version = if online { worker.sw_ver.clone() } else { None };
        if offline {
            worker.clear_beats(); // W3
            worker.inspected.at = None;
        } else if let Some(stamp) = event.stamp {
            worker.ahead = Some(stamp.secs() - event.received.secs());
            worker.beat(event.received);
        }
        worker.note_busy(worker.active.and_then(|n| u64::try_from(n).ok()), event.received);
        self.now = self.now.max(event.received);
        self.heard_of(name, &known, event);
        if online {
            self.marks.worker_started(event.received, hostname, version.as_deref(), version_before.as_deref());
        }
    }
}
