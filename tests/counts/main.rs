//! What an event, a frame and a task cost, in things that are counted and that no machine changes: allocations, bytes, and
//! instructions, by valgrind, of the build that tests use. Each has a budget beside it, and fails with its figure when
//! that is exceeded by more than 3 %; who makes it cheaper lowers the budget.
//!
//! `cargo nextest run --test counts --no-capture` prints all figures. Another compiler may change the instructions a
//! little, then the budget follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod events;
mod frames;
mod tasks;

use flower_tui::clock::{Clock, Stamp};
use flower_tui::sim::{Options, SimBroker};

/// How much more than a budget is let through.
const SLACK: f64 = 1.03;

/// A simulated cluster with the tasks of a quarter of an hour, up to a fixed moment.
fn cluster(tasks: u32) -> (SimBroker, Clock) {
    let clock = Clock::manual(Stamp::from_micros(1_795_529_007_000_000));
    (SimBroker::new(&Options { tasks, ..Options::default() }, clock.clone()), clock)
}

/// Prints what was counted beside its budget, and fails with all that is beyond.
fn hold(counted: &[(String, f64, f64)]) {
    let mut beyond = Vec::new();
    for (what, figure, budget) in counted {
        println!("{what}: {figure:.1}, budget {budget:.1}");
        if *figure > budget * SLACK {
            beyond.push(format!("{what}: {figure:.1}, budget {budget:.1}"));
        }
    }
    assert!(beyond.is_empty(), "more than 3 % beyond the budget: {}", beyond.join("; "));
}
