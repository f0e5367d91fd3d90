//! An event on its way into the model: allocations and instructions.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use flower_tui::broker::RawMessage;
use flower_tui::celery::envelope::Coding;
use flower_tui::celery::event::Batch;
use flower_tui::clock::Stamp;
use flower_tui::state::{Limits, Store, Update};

use super::{cluster, hold};

/// Allocations of a thousand events of each sort.
const ALLOCATIONS: [(&str, f64); 3] = [("of a new task", 1_002.0), ("of a known task", 1_023.0), ("of a worker", 2.3)];
/// Instructions of an event, of all sorts as they come.
const INSTRUCTIONS: f64 = 126_550.0;

/// Messages applied together, as the feed does it.
const BATCH: usize = 512;
/// Messages that the model has seen before anything is counted.
const KNOWN: usize = 8_000;

/// A quarter of an hour of a simulated cluster.
fn messages() -> Vec<RawMessage> {
    let (sim, clock) = cluster(4_000);
    sim.advance(clock.now())
}

/// A model, and the room in which messages are decoded.
struct Follower {
    store: Store,
    batch: Batch,
}

impl Follower {
    fn new() -> Self {
        Self { store: Store::new(Limits::default()), batch: Batch::default() }
    }

    fn follow<'a>(&mut self, messages: impl IntoIterator<Item = &'a [u8]>, at: Stamp) {
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            for data in messages.by_ref().take(BATCH) {
                self.batch.push(data, &Coding::Envelope, at);
            }
            let batch = Arc::new(std::mem::take(&mut self.batch));
            self.store.apply(&[Update::Events(batch.clone())]);
            self.batch = Arc::into_inner(batch).unwrap();
            self.batch.clear();
        }
    }
}

#[test]
fn an_event_allocates_no_more_than_its_budget() {
    let messages = messages();
    let (known, rest) = messages.split_at(KNOWN);
    let end = messages.last().unwrap().received;
    let mut follower = Follower::new();
    follower.follow(known.iter().map(|message| &message.data[..]), end);
    let of = |names: &[&str]| -> Vec<&[u8]> {
        let is_one = |message: &&RawMessage| names.iter().any(|name| message.channel.ends_with(name));
        rest.iter().filter(is_one).map(|message| &message.data[..]).collect()
    };
    // In this order: the others are then of tasks that are known.
    let sorts = [
        of(&["task.sent", "task.received"]),
        of(&["task.started", "task.succeeded", "task.failed", "task.retried"]),
        of(&["worker.heartbeat"]),
    ];
    let counted = sorts.iter().zip(ALLOCATIONS).map(|(sort, (what, budget))| {
        assert!(sort.len() > 500, "{what}: {} are too few", sort.len());
        let counted = allocation_counter::measure(|| follower.follow(sort.iter().copied(), end));
        let figure = counted.count_total as f64 * 1_000.0 / sort.len() as f64;
        (format!("allocations of 1,000 events {what}"), figure, budget)
    });
    hold(&counted.collect::<Vec<_>>());
}

/// What is counted: this test runs once more under valgrind, with a file of messages and how many of them to follow.
const FILE: &str = "COUNTS_FILE";
const MANY: &str = "COUNTS_MANY";

#[test]
fn an_event_takes_no_more_instructions_than_its_budget() {
    if let (Ok(file), Ok(many)) = (std::env::var(FILE), std::env::var(MANY)) {
        let text = std::fs::read(file).unwrap();
        let end = Stamp::from_micros(1_795_529_007_000_000);
        return Follower::new().follow(text.split(|byte| *byte == b'\n').take(many.parse().unwrap()), end);
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for message in messages() {
        file.write_all(&message.data).unwrap();
        file.write_all(b"\n").unwrap();
    }
    let counted = |many: usize| -> f64 {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe().unwrap());
        valgrind.args(["--exact", "events::an_event_takes_no_more_instructions_than_its_budget", "--test-threads=1"]);
        valgrind.env(FILE, file.path()).env(MANY, many.to_string());
        let output = valgrind.output().expect("tests/run installs valgrind");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "valgrind ran something else");
        let said = String::from_utf8_lossy(&output.stderr);
        let total = said.lines().find_map(|line| line.split_once("Collected :")).map(|(_, total)| total.trim());
        total.and_then(|total| total.parse().ok()).unwrap_or_else(|| panic!("no count in: {said}"))
    };
    let (few, many) = (KNOWN / 2, KNOWN);
    let figure = (counted(many) - counted(few)) / (many - few) as f64;
    hold(&[("instructions of an event".into(), figure, INSTRUCTIONS)]);
}
