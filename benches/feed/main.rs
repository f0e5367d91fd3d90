//! What an event costs on its way from the broker's socket into the model: seconds of CPU, counted in the process that
//! follows and in nothing else, for a million events. Exits non-zero when a budget is broken.
//!
//! `cargo bench --bench feed` measures on RabbitMQ and on Redis, `-- rabbitmq` on one of them. Each has a server of its own
//! on a free port, and `flower-tui bench-feed` publishes to it. The budgets are for events in lists, as workers with an event
//! loop send them; then each event is sent in a message of its own, for comparison. `FEED_EVENTS` is how many events a
//! round has, `FEED_RATE` how many a second are published, `FEED_ROUNDS` how often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod follow;
mod server;

use std::process::{Command, ExitCode, Stdio};

use server::Server;

/// Events in lists.
const LISTS: &str = "in lists";
/// CPU seconds that a million events may cost.
const BUDGETS: [(&str, f64); 2] = [("rabbitmq", 5.0), ("redis", 2.4)];

/// A whole number from the environment.
fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| *a != "--bench").collect();
    match words[..] {
        ["follow", url, events] => follow::run(url, events.parse().unwrap()),
        // `cargo test --benches` runs benches too, without this.
        _ if !arguments.iter().any(|a| a == "--bench") => {}
        ref only => {
            let mut kept = true;
            for (broker, budget) in BUDGETS {
                if only.is_empty() || only.contains(&broker) {
                    let server = Server::start(broker);
                    let cost = measure(broker, &server.url, LISTS);
                    kept &= cost <= budget;
                    println!("{broker}: budget {budget}: {}", if cost <= budget { "ok" } else { "BROKEN" });
                    measure(broker, &server.url, "one by one");
                }
            }
            return if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    }
    ExitCode::SUCCESS
}

/// Runs the rounds on one broker: CPU seconds for a million events, the median.
fn measure(broker: &str, url: &str, shape: &str) -> f64 {
    let (events, rate) = (setting("FEED_EVENTS", 300_000), setting("FEED_RATE", 30_000));
    let mut costs = Vec::new();
    for _ in 0..setting("FEED_ROUNDS", 5) {
        let figures = round(url, events, rate, shape);
        let [cpu, seconds, seen, missed] = figures[..] else { panic!("{figures:?}") };
        let cost = cpu / seen * 1e6;
        println!("{broker}, {shape}: {cost:.2} CPU-s per million; {seen} seen in {seconds:.1} s, {missed} missed");
        assert_eq!((seen, missed), (f64::from(events), 0.0), "all of them");
        costs.push(cost);
    }
    costs.sort_by(f64::total_cmp);
    let (least, median, most) = (costs[0], costs[costs.len() / 2], costs[costs.len() - 1]);
    println!("{broker}, {shape}: {median:.2} CPU-s per million events ({least:.2} to {most:.2})");
    median
}

/// One follower and one publisher; what the follower says in the end.
fn round(url: &str, events: u32, rate: u32, shape: &str) -> Vec<f64> {
    let this = std::env::current_exe().unwrap();
    let follower =
        Command::new(&this).args(["follow", url, &events.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut publisher = Command::new(env!("CARGO_BIN_EXE_flower-tui"));
    publisher.args(["bench-feed", url, "--events", &events.to_string(), "--rate", &rate.to_string()]);
    publisher.args((shape != LISTS).then_some("--single")).stdout(Stdio::null());
    assert!(publisher.status().unwrap().success());
    let said = follower.wait_with_output().unwrap();
    String::from_utf8(said.stdout).unwrap().split_whitespace().map(|word| word.parse().unwrap()).collect()
}
