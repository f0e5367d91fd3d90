//! A task in memory: by the model's own count, and by what was allocated.

use flower_tui::feed::apply_messages;
use flower_tui::state::{Limits, Store, Update};

use super::{cluster, hold};

/// Tasks of the cluster. Arrays double: this is some way below a power of two, where they are nearly full, and half of it
/// too.
const TASKS: u32 = 3_800;
/// Bytes of a task by the model's own count.
const OWN: f64 = 220.2;
/// Bytes that a model allocates for a task: what it grows by when it holds twice as many, for each.
const ALLOCATED: f64 = 253.4;

/// A model that has followed a cluster of so many tasks: how many it holds, their bytes by its own count, and what all
/// of it allocated.
fn model(tasks: u32) -> [f64; 3] {
    let (sim, clock) = cluster(tasks);
    let messages = sim.advance(clock.now());
    let store = Store::new(Limits::default());
    let counted = allocation_counter::measure(|| {
        apply_messages(&store, &messages);
        store.apply(&[Update::Tick(clock.now())]);
    });
    let (tasks, own) = store.read(|m| (m.task_count(), m.task_bytes()));
    [tasks as f64, own as f64, counted.bytes_current as f64]
}

#[test]
fn a_task_takes_no_more_memory_than_its_budget() {
    let ([half, _, before], [tasks, own, after]) = (model(TASKS / 2), model(TASKS));
    hold(&[
        ("bytes of a task by our own count".into(), own / tasks, OWN),
        ("bytes allocated for a task".into(), (after - before) / (tasks - half), ALLOCATED),
    ]);
}
