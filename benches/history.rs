//! The history file: how fast it is written, how large it gets, how quickly it answers. `cargo bench --bench history`
//! tries it with a million tasks, `HISTORY_TASKS=10000000` with as many as it is meant for. `HISTORY_FILE` keeps the file.
//!
//! Times are CPU time of the thread that works, so that they hold on a busy machine; budgets stand beside each line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::clock::{Clock, Stamp};
use flower_tui::filter;
use flower_tui::history::prune::Keep;
use flower_tui::history::reader::{Query, Reader};
use flower_tui::history::writer::{self, Note, Options};
use flower_tui::redact::Redactor;
use jiff::tz::TimeZone;

/// The last task is heard of at this time, in seconds.
const NOON: f64 = 1_795_529_007.0;
/// Tasks a second in the file's own time.
const PER_SECOND: f64 = 250.0;
/// Events in a batch, as the feed makes them.
const BATCH: usize = 512;

fn main() {
    let tasks: u64 = std::env::var("HISTORY_TASKS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var("HISTORY_FILE").map_or(folder.path().join("history.db"), PathBuf::from);
    if !path.exists() {
        write(&path, tasks);
    }
    read(&path);
}

fn write(path: &Path, tasks: u64) {
    let clock = Clock::manual(Stamp::from_secs(NOON).unwrap());
    let options = Options { path: path.to_owned(), redactor: Redactor::default(), keep: Keep::default(), clock };
    let (recorder, running) = writer::start(options).unwrap();
    let mut events = Events::new(tasks);
    let (begun, mut count, mut told, mut before) = (Instant::now(), 0u64, Instant::now(), cpu("history"));
    while let Some(batch) = events.batch() {
        count += batch.events.len() as u64;
        recorder.give(Note::Events(Arc::new(batch)));
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            println!("  … {} tasks, {:.0} events/s", count / 4, count as f64 / begun.elapsed().as_secs_f64());
        }
    }
    while recorder.status().events < count {
        std::thread::sleep(Duration::from_millis(20));
    }
    let used = cpu("history") - before;
    before = used;
    let (status, wall) = (recorder.status(), begun.elapsed().as_secs_f64());
    let resident = memory("VmHWM:");
    running.finish();
    let size = size(path);
    println!("wrote {tasks} tasks, {count} events, {} rows, {} missed", status.rows, status.missed);
    println!(
        "  {:.0} events/s by the clock, {:.0} for each second of the writer's CPU (budget 60,000)",
        count as f64 / wall,
        count as f64 / before
    );
    println!("  {:.1} bytes a task on disk, single events included (budget 130)", size as f64 / tasks as f64);
    println!("  {:.1} MB at the most, making up the events included", resident as f64 / 1e6);
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

fn read(path: &Path) {
    let mut reader = Reader::open(path).unwrap();
    println!("{} tasks, {:.0} MB", reader.tasks().unwrap(), size(path) as f64 / 1e6);
    for (line, limit, budget) in [
        ("", 60, 150.0),
        ("state:failure", 60, 150.0),
        ("state:rejected", 60, 150.0),
        ("task:rare.nightly", 60, 150.0),
        ("worker:app-7 task:mail.send state:failure", 60, 150.0),
        ("queue:reports since:1h", 60, 150.0),
        ("id:00000007-0000-4000-8000-", 60, 150.0),
        ("since:2h until:1h", 60, 150.0),
        ("kwargs:tenant-7", 60, 150.0),
        ("nowhere-to-be-found", 60, f64::INFINITY),
    ] {
        let now = Stamp::from_secs(NOON).unwrap();
        let query = Query { filter: filter::parse(line).unwrap(), now, zone: TimeZone::UTC, limit, before: None };
        let begun = cpu_self();
        let mut looked = 0;
        let page = reader
            .find(&query, &mut |progress| {
                looked = progress.looked;
                true
            })
            .unwrap();
        let millis = (cpu_self() - begun) * 1e3;
        let word = if millis > budget { "MISSED" } else { "" };
        println!(
            "  {line:45} {:4} found {millis:8.1} ms {word}  ({looked} passed, {:.1} M rows/s)",
            page.tasks.len(),
            looked as f64 / millis / 1e3
        );
        let begun = cpu_self();
        let totals = reader.totals(&query, &mut |_| true).unwrap();
        println!("  {:45} {:9} in all {:6.1} ms", "", totals.count(), (cpu_self() - begun) * 1e3);
    }
}

/// Seconds of CPU that a thread of ours has used, to a hundredth.
fn cpu(name: &str) -> f64 {
    let mut sum = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        if stat.contains(&format!("({name})")) {
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            sum += (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0;
        }
    }
    sum
}

/// Seconds of CPU that the whole process has used.
fn cpu_self() -> f64 {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    usage.tv_sec as f64 + usage.tv_nsec as f64 / 1e9
}

fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(what)).unwrap_or_default().to_owned();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// Events of many tasks, a few thousand of them under way at a time.
struct Events {
    tasks: u64,
    next: u64,
    running: VecDeque<(u64, u8)>,
}

impl Events {
    fn new(tasks: u64) -> Self {
        Self { tasks, next: 0, running: VecDeque::new() }
    }

    fn batch(&mut self) -> Option<Batch> {
        let mut body = String::from("[");
        let mut count = 0;
        let mut at = 0.0;
        while count < BATCH {
            let (task, step) = if self.running.len() < 2_000 && self.next < self.tasks {
                self.next += 1;
                (self.next, 0)
            } else {
                match self.running.pop_front() {
                    Some(running) => running,
                    None => break,
                }
            };
            at = NOON - (self.tasks - task) as f64 / PER_SECOND + f64::from(step) * 0.13;
            if count > 0 {
                body.push(',');
            }
            event(&mut body, task, step, at);
            if step < 3 {
                self.running.push_back((task, step + 1));
            }
            count += 1;
        }
        body.push(']');
        let mut batch = Batch::default();
        batch.push_body(Format::Json, body.as_bytes(), Stamp::from_secs(at)?).unwrap();
        (count > 0).then_some(batch)
    }
}

fn event(out: &mut String, n: u64, step: u8, at: f64) {
    let names =
        ["billing.charge_card", "mail.send", "reports.build_monthly", "search.reindex_document", "media.thumbnail"];
    let queues = ["payments", "default", "reports", "default", "media"];
    let name = if n.is_multiple_of(1_000_003) { "rare.nightly" } else { names[n as usize % 5] };
    let queue = queues[n as usize % 5];
    // Random as Celery's own ids are, and known again.
    let (a, b) = (mix(n), mix(n ^ 0x5555));
    let id = match n % 1_000_000 {
        7 => format!("{n:08x}-0000-4000-8000-{n:012x}"),
        _ => format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        ),
    };
    let worker = format!("celery@app-{}", n / 3 % 20);
    let about = || {
        format!(
            r#""name": "{name}", "args": "({n}, 'EUR', {})", "kwargs": "{{'tenant': 'tenant-{}'}}", "root_id": "{id}", "parent_id": null, "retries": 0, "eta": null, "expires": null"#,
            b % 10_000,
            n % 50
        )
    };
    let _ = match (step, n % 50) {
        (0, _) => write!(
            out,
            r#"{{"type": "task-sent", "uuid": "{id}", "hostname": "gen{}@web", "timestamp": {at:.6}, "clock": 1, "queue": "{queue}", "exchange": "", "routing_key": "{queue}", {}}}"#,
            n % 8,
            about()
        ),
        (1, _) => write!(
            out,
            r#"{{"type": "task-received", "uuid": "{id}", "hostname": "{worker}", "pid": 7, "clock": 1, "timestamp": {at:.6}, {}}}"#,
            about()
        ),
        (2, _) => write!(
            out,
            r#"{{"type": "task-started", "uuid": "{id}", "hostname": "{worker}", "pid": 7, "clock": 2, "timestamp": {at:.6}}}"#
        ),
        (_, 0) => write!(
            out,
            r#"{{"type": "task-failed", "uuid": "{id}", "hostname": "{worker}", "pid": 7, "clock": 3, "timestamp": {at:.6}, "exception": "CardDeclined('card {n}')", "traceback": "Traceback (most recent call last):\n  File \"/srv/app/tasks.py\", line {}, in charge\n    gateway.charge(card)\nCardDeclined"}}"#,
            n % 7
        ),
        _ => write!(
            out,
            r#"{{"type": "task-succeeded", "uuid": "{id}", "hostname": "{worker}", "pid": 7, "clock": 3, "timestamp": {at:.6}, "result": "{{'ok': True, 'id': {n}}}", "runtime": {:.6}}}"#,
            0.01 + (b % 100_000) as f64 / 1e5
        ),
    };
}

fn mix(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}
