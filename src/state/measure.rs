//! What events add up to: rates, runtimes, waits, failures and marks. A second failure of the same run (hard time limits
//! announce two) counts once.

use crate::celery::TaskId;
use crate::celery::event::{TaskEvent, TaskEventKind};
use crate::celery::traceback::telling;
use crate::clock::Stamp;

use super::failure::Failure;
use super::model::Model;
use super::queue::Queue;
use super::stats::NameStats;
use super::task::State;

/// What an event did to its task.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub old: State,
    pub new: State,
    /// It tells of what was before the state that is known.
    pub late: bool,
    /// Until then nothing had told which queue it went through.
    pub placeless: bool,
}

impl Model {
    pub(super) fn measure(&mut self, event: &TaskEvent, i: usize, step: Step) {
        let Step { old, new, late, placeless } = step;
        let at = event.received;
        if new == State::Custom || (new == old && new.is_ready() && !late) {
            return;
        }
        self.series.count(new, at);
        let hot = &self.tasks.hot[i];
        let (name, queue, worker) = (hot.name, hot.queue, hot.worker);
        let runtime = event.runtime.value().filter(|s| s.is_finite() && *s >= 0.0 && new == State::Success);
        if let Some(secs) = runtime {
            self.series.runtime(secs, at);
        }
        if let Some(name) = name {
            self.by_name.entry(name).or_insert_with(|| NameStats::new(at)).count(new, runtime, at);
        }
        if old == State::Failure && new != State::Failure && !late {
            self.close_failure(i);
        }
        match new {
            State::Started if !late => self.waited(i, at),
            State::Success | State::Failure => {
                if let Some(worker) = worker.and_then(|w| self.workers.get_mut(&w)) {
                    *(if new == State::Success { &mut worker.succeeded } else { &mut worker.failed }) += 1;
                    if let Some(done) = worker.done.at(at) {
                        *done += 1;
                    }
                }
                if new == State::Failure && !late {
                    self.failed(&event.id, i, at);
                }
            }
            State::Pending | State::Received => {
                if let Some(queue) = queue {
                    let sent = event.kind == TaskEventKind::Sent;
                    let client = self.route(self.tasks.cold[i].route).client;
                    let queue = self.queues.entry(queue).or_insert_with(Queue::new);
                    if sent {
                        queue.flow_known = true;
                        queue.sent_by(client, at);
                    }
                    if let Some(flow) = queue.flow.at(at) {
                        *(if sent { &mut flow.into } else { &mut flow.out }) += 1;
                        // Clients often announce what a worker has taken already: that it did could not be counted.
                        flow.out += u32::from(sent && late && placeless);
                    }
                }
            }
            _ => {}
        }
    }

    fn waited(&mut self, i: usize, at: Stamp) {
        // Without `task-sent` the time in the queue is not known: such a wait would look better than it was.
        let Some((secs, false)) = self.at(i as u32).wait() else { return };
        self.series.wait(secs, at);
        if let Some(stats) = self.tasks.hot[i].name.and_then(|name| self.by_name.get_mut(&name)) {
            stats.wait(secs, at);
        }
    }

    fn failed(&mut self, id: &TaskId, i: usize, at: Stamp) {
        let (hot, cold) = (&self.tasks.hot[i], &self.tasks.cold[i]);
        let rare = cold.rare.as_deref();
        let traceback = rare.and_then(|r| r.traceback.as_deref());
        let told = telling(rare.and_then(|r| r.exception.as_deref()).unwrap_or_default(), traceback);
        let group = self.failures.count(&Failure {
            task: hot.name.map(|name| (name, self.names.name(name))),
            exception: hot.exception,
            text: &self.redactor.text(told),
            traceback,
            id,
            at,
        });
        let rare = self.tasks.cold[i].rare.get_or_insert_default();
        rare.group = Some(group);
        // It was sent again before we heard that it failed.
        if rare.retried_as.is_some() {
            self.failures.close(group);
        }
    }

    /// Its name is known only now: it failed among the nameless.
    pub(super) fn regroup(&mut self, id: &TaskId, i: usize) {
        let group = self.tasks.cold[i].rare.as_deref().and_then(|rare| rare.group);
        let Some(group) = group.filter(|_| self.tasks.hot[i].state == State::Failure) else { return };
        let at = self.failures.take_back(group, self.tasks.cold[i].finished);
        self.failed(id, i, at.unwrap_or(self.now));
    }

    fn close_failure(&mut self, i: usize) {
        let rare = self.tasks.cold[i].rare.as_deref();
        if let Some(group) = rare.filter(|r| r.retried_as.is_none()).and_then(|r| r.group) {
            self.failures.close(group);
        }
    }

    /// A second has passed.
    pub(super) fn tick(&mut self, at: Stamp) {
        let before = self.now;
        self.now = before.max(at);
        self.series.tick(at);
        for stats in self.by_name.values_mut() {
            stats.tick(at);
        }
        // Who consumes what is counted seldom: it means walking all workers.
        if before.micros() / 5_000_000 != at.micros() / 5_000_000 {
            // Of who only fell silent a moment ago it is not known yet why.
            let counts = self.consumers_by_queue(at - super::unheard::DOUBT);
            self.marks.consumers(at, counts.iter().map(|(&queue, &n)| (queue, self.names.name(queue), n)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::state::{Limits, Store, Update};

    fn tell(store: &Store, events: &str) {
        let mut batch = Batch::default();
        assert!(batch.push_body(Format::Json, events.as_bytes(), Stamp::from_micros(1_000_000_005_000_000)).is_ok());
        store.apply(&[Update::Events(Arc::new(batch))]);
    }

    #[test]
    fn what_is_announced_when_a_worker_has_taken_it_counts_as_taken() {
        let store = Store::new(Limits::default());
        tell(
            &store,
            r#"[{"type":"task-received","uuid":"1","hostname":"w@h","timestamp":4.5,"name":"t"},
                {"type":"task-sent","uuid":"1","hostname":"gen@h","timestamp":4.4,"name":"t","queue":"q"},
                {"type":"task-sent","uuid":"2","hostname":"gen@h","timestamp":4.6,"name":"t","queue":"q"}]"#,
        );
        store.read(|m| {
            let queue = m.queues.values().next().expect("a queue");
            let flow: Vec<_> = queue.flow.last_with_open(1, Stamp::from_micros(1_000_000_005_000_000)).collect();
            assert_eq!(flow.iter().map(|f| (f.into, f.out)).collect::<Vec<_>>(), [(2, 1)]);
        });
    }

    #[test]
    fn a_failure_whose_name_comes_late_joins_its_group() {
        let store = Store::new(Limits::default());
        for id in [1, 2] {
            let sent = format!(
                r#"{{"type":"task-sent","uuid":"{id}","hostname":"g","timestamp":4.4,"name":"t","queue":"q"}}"#
            );
            let failed = format!(
                r#"{{"type":"task-failed","uuid":"{id}","hostname":"w@h","timestamp":4.6,"exception":"E('x')"}}"#
            );
            let (first, second) = if id == 1 { (sent, failed) } else { (failed, sent) };
            tell(&store, &format!("[{first},{second}]"));
        }
        store.read(|m| {
            let groups = m.failures().groups();
            let told: Vec<_> = groups.iter().map(|g| (m.name(g.task), g.count, g.open)).collect();
            assert_eq!(told, [(Some("t"), 2, 2)]);
        });
    }
}
