//! Decode, apply, filter scan, frames. `cargo bench` runs all; budgets stand beside each.
//!
//! `BENCH_TASKS` sets how many tasks the big model holds (1,000,000).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flower_tui::broker::{LinkState, RawMessage};
use flower_tui::celery::event::Batch;
use flower_tui::clock::{Clock, Stamp};
use flower_tui::filter;
use flower_tui::redact::Redactor;
use flower_tui::sim::{Options as SimOptions, SimBroker};
use flower_tui::state::{Limits, LiveQuery, Sort, Store, Update};
use flower_tui::tui::Key;
use flower_tui::tui::app::{App, Options, World};
use flower_tui::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};

const NOON: i64 = 1_795_529_007_000_000;

/// Messages of a simulated quarter of an hour.
fn messages(tasks: u32) -> Vec<RawMessage> {
    let clock = Clock::manual(Stamp::from_micros(NOON));
    SimBroker::new(&SimOptions { tasks, ..SimOptions::default() }, clock.clone()).advance(clock.now())
}

fn batches(messages: &[RawMessage]) -> Vec<Arc<Batch>> {
    messages
        .chunks(512)
        .map(|chunk| {
            let mut batch = Batch::default();
            for message in chunk {
                batch.push_redis(&message.data, message.received);
            }
            Arc::new(batch)
        })
        .collect()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default().to_owned();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// A model of many tasks, each with all four events and about 120 bytes of text.
fn big(tasks: u32) -> Store {
    let store = Store::new(Limits { tasks: tasks as usize, bytes: 1 << 30, workers: 5_000 });
    let before = resident();
    let mut batch = Batch::default();
    let names = ["billing.charge_card", "mail.send", "reports.build_monthly", "search.reindex_document"];
    for n in 0..tasks {
        let id = format!("{:08x}-0000-4000-8000-{:012x}", n.wrapping_mul(2_654_435_761), n);
        let at = NOON as f64 / 1e6 - f64::from(tasks - n) / 1_000.0;
        let received = Stamp::from_secs(at).unwrap();
        let name = names[n as usize % names.len()];
        let last = if n % 50 == 0 {
            r#""type": "task-failed", "exception": "ValueError('no')", "traceback": "Traceback (most recent call last):\n  File \"x.py\", line 1""#
        } else {
            r#""type": "task-succeeded", "result": "{'ok': True, 'id': 12345678}", "runtime": 0.25"#
        };
        let args = format!("({n}, 'customer-{n}@example.com', 'EUR')");
        let body = format!(
            r#"[{{"type": "task-sent", "uuid": "{id}", "hostname": "gen1@web", "timestamp": {at}, "name": "{name}", "args": "{args}", "kwargs": "{{'tenant': 'acme', 'format': 'pdf'}}", "root_id": "{id}", "parent_id": null, "retries": 0, "eta": null, "expires": null, "queue": "default", "exchange": "", "routing_key": "default"}},
               {{"type": "task-received", "uuid": "{id}", "hostname": "celery@app-{}", "pid": 7, "clock": 1, "timestamp": {at}, "name": "{name}", "args": "{args}", "kwargs": "{{'tenant': 'acme', 'format': 'pdf'}}", "root_id": "{id}", "parent_id": null, "retries": 0, "eta": null, "expires": null}},
               {{"type": "task-started", "uuid": "{id}", "hostname": "celery@app-{}", "pid": 7, "clock": 2, "timestamp": {at}}},
               {{{last}, "uuid": "{id}", "hostname": "celery@app-{}", "pid": 7, "clock": 3, "timestamp": {at}}}]"#,
            n % 20,
            n % 20,
            n % 20
        );
        batch.push_body(flower_tui::celery::envelope::Format::Json, body.as_bytes(), received).unwrap();
        if batch.events.len() >= 2_048 {
            store.apply(&[Update::Events(Arc::new(std::mem::take(&mut batch)))]);
        }
    }
    store.apply(&[Update::Events(Arc::new(batch)), Update::Tick(Stamp::from_micros(NOON))]);
    let (count, counted) = store.read(|m| (m.task_count(), m.task_bytes()));
    let grown = resident().saturating_sub(before);
    println!(
        "model: {count} tasks, {} MB resident, {} MB by our own count, {} bytes a task",
        grown >> 20,
        counted >> 20,
        grown / count.max(1) as u64
    );
    store
}

/// Budget: decode and apply together at least 400,000 events a second.
fn events(c: &mut Criterion) {
    let messages = messages(20_000);
    let decoded = batches(&messages);
    let count: usize = decoded.iter().map(|b| b.events.len()).sum();
    let mut group = c.benchmark_group("events");
    group.throughput(Throughput::Elements(count as u64)).sample_size(20);
    group.bench_function("decode", |b| b.iter(|| black_box(batches(&messages))));
    let updates: Vec<Update> = decoded.iter().cloned().map(Update::Events).collect();
    group.bench_function("apply", |b| {
        b.iter_batched(
            || Store::new(Limits::default()),
            |store| store.apply(black_box(&updates)),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("decode and apply", |b| {
        b.iter_batched(
            || Store::new(Limits::default()),
            |store| flower_tui::feed::apply_messages(&store, &messages),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Texts of the usual kind, which hold no secret: below 1 us for both, 60,000 times a second.
fn redact(c: &mut Criterion) {
    let redactor = Redactor::default();
    let args = "(184467, 'acme', 'https://shop.example/x', 12.5)";
    let kwargs = "{'order_id': 184467, 'amount': '12.50', 'currency': 'EUR', 'lines': [{'sku': 'a-1', 'n': 2}]}";
    let mut group = c.benchmark_group("redact");
    group.throughput(Throughput::Bytes((args.len() + kwargs.len()) as u64));
    group.bench_function("args and kwargs", |b| {
        b.iter(|| redactor.text(black_box(args)).len() + redactor.text(black_box(kwargs)).len());
    });
    group.finish();
}

/// Budgets at a million tasks: a scan below 50 ms (never on the drawing thread), a frame below 1 ms.
fn big_model(c: &mut Criterion) {
    let tasks = std::env::var("BENCH_TASKS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let store = big(tasks);
    let mut group = c.benchmark_group("big model");
    group.sample_size(10);
    for line in ["state:failure", "task:billing.* worker:app-7", "customer-77777@", "-state:success"] {
        let filter = filter::parse(line).unwrap();
        group.bench_function(format!("scan {line}"), |b| {
            b.iter(|| {
                let mut query = LiveQuery::new(filter.clone(), Sort::default());
                black_box(store.scan(&query.wants_scan().unwrap()));
            });
        });
    }
    group.finish();
    frames(c, &store);
}

fn frames(c: &mut Criterion, store: &Store) {
    let mut group = c.benchmark_group("frame");
    for (width, height) in [(120, 36), (200, 60)] {
        let mut app = App::new(Options { theme: Theme::dark(), ..Options::default() });
        let link = LinkState::Live { since: Stamp::from_micros(NOON) };
        let world = World { now: Stamp::from_micros(NOON), link: &link, health: None, size: Size { width, height } };
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        store.read(|m| app.sync(m, &world));
        for (tab, request) in app.wanted_scans() {
            app.scanned(tab, store.scan(&request));
        }
        for (key, name) in [("1", "tasks"), ("2", "workers"), ("3", "monitor"), ("4", "broker")] {
            store.read(|m| app.key(&Key::named(key), m, &world));
            group.bench_function(format!("{name} {width}x{height}"), |b| {
                b.iter_custom(|n| {
                    let begun = Instant::now();
                    for _ in 0..n {
                        store.read(|m| app.sync(m, &world));
                        buffer.reset();
                        app.draw(&mut buffer, world.now);
                    }
                    begun.elapsed()
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    // Memory is read off the process: the big model comes first, while there is nothing else.
    targets = big_model, events, redact
}
criterion_main!(benches);
