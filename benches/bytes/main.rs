//! What the screen costs: bytes to the terminal and CPU, in scripted sessions of the demo through a pseudo-terminal; and
//! how a slow link answers keys. Exits non-zero when a budget is broken.
//!
//! `cargo bench --bench bytes` measures at 120x36; `cargo bench --bench bytes -- slow` puts a link of 300 ms and 30 kB/s
//! in between, at 80x24; `-- dump FILE NAME` keeps the bytes of one session. `BYTES_BINARY` is another binary to measure,
//! `BYTES_SECONDS` how long each session is looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod link;
mod redis;
mod sessions;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

/// The binary that is measured.
pub fn binary() -> String {
    std::env::var("BYTES_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_flower-tui").to_owned())
}

/// How long each session is looked at.
pub fn sample() -> Duration {
    let seconds = std::env::var("BYTES_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(10.0))
}

/// A figure beside its budget.
pub fn verdict(figure: f64, budget: Option<f64>) -> (&'static str, bool) {
    match budget {
        Some(budget) if figure > budget => ("BROKEN", false),
        Some(_) => ("ok", true),
        None => ("", true),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs benches too, without this.
    if !arguments.iter().any(|a| a == "--bench") {
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| *a != "--bench").collect();
    let kept = match words[..] {
        ["slow"] => link::run(),
        ["dump", file, name] => sessions::dump(file, name),
        ref only => sessions::run(only),
    };
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
