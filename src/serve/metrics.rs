//! `/metrics` for Prometheus: Flower's names, types and labels, and what only we know.

use std::fmt::Write;
use std::sync::Arc;

use super::Site;
use super::answer::{Answer, Said};
use super::call::Call;
use super::tally::{Counted, Of};
use crate::clock::Stamp;

/// Queues that get series of their own; what is beyond is left out, and said so.
const QUEUES: usize = 1_000;

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text never fails.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn row(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (i, (key, label)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{key}=\"", if i == 0 { '{' } else { ',' });
            for c in label.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        let end = if labels.is_empty() { " " } else { "} " };
        self.0.push_str(end);
        let _ = if value.fract() == 0.0 && value.abs() < 1e16 {
            writeln!(self.0, "{value:.1}")
        } else {
            writeln!(self.0, "{value}")
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.row(name, &[], value);
    }
}

pub(super) async fn scrape(site: &Arc<Site>, _: &Call) -> Said {
    purge(site);
    let mut text = Text(String::new());
    process(&mut text, site.tally.born);
    site.tally.read(|counted| flower(&mut text, counted, &site.tally.buckets));
    cluster(&mut text, site);
    Ok(Answer::new(200, "text/plain", text.0))
}

/// Where workers that are gone are to be forgotten, so are their series, and those of everybody who is no worker.
fn purge(site: &Site) {
    let Some(limit) = site.options.purge_offline_workers else { return };
    let now = site.ops.clock.now();
    let kept: std::collections::HashSet<String> = site.ops.store.read(|model| {
        let kept = model.workers().into_iter().filter(|(_, worker)| {
            worker.is_online(now) || now.since(worker.heartbeat().unwrap_or(worker.last_seen)) < limit
        });
        kept.map(|(name, _)| name.to_owned()).collect()
    });
    site.tally.keep(|name| kept.contains(name));
}

fn flower(text: &mut Text, counted: &Counted, buckets: &[f64]) {
    text.head("flower_events_total", "counter", "Number of events");
    let events = counted.events.rows();
    for ((task, kind, worker), count, _) in &events {
        text.row("flower_events_total", &[("task", task), ("type", kind), ("worker", worker)], **count as f64);
    }
    text.head("flower_events_created", "gauge", "Number of events");
    for ((task, kind, worker), _, born) in &events {
        text.row("flower_events_created", &[("task", task), ("type", kind), ("worker", worker)], born.secs());
    }
    runtimes(text, counted, buckets);
    let of = |text: &mut Text, name: &str, help: &str, rows: Vec<(&Of, f64)>| {
        text.head(name, "gauge", help);
        for ((task, worker), value) in rows {
            text.row(name, &[("task", task), ("worker", worker)], value);
        }
    };
    of(
        text,
        "flower_task_prefetch_time_seconds",
        "The time the task spent waiting at the celery worker to be executed.",
        counted.prefetch_time.rows().into_iter().map(|(of, secs, _)| (of, *secs)).collect(),
    );
    of(
        text,
        "flower_worker_prefetched_tasks",
        "Number of tasks of given type prefetched at a worker",
        counted.prefetched.rows().into_iter().map(|(of, n, _)| (of, *n as f64)).collect(),
    );
    text.head("flower_worker_online", "gauge", "Worker online status");
    for (worker, online, _) in counted.online.rows() {
        text.row("flower_worker_online", &[("worker", worker)], f64::from(u8::from(*online)));
    }
    let name = "flower_worker_number_of_currently_executing_tasks";
    text.head(name, "gauge", "Number of tasks currently executing at a worker");
    for (worker, active, _) in counted.executing.rows() {
        text.row(name, &[("worker", worker)], *active as f64);
    }
}

fn runtimes(text: &mut Text, counted: &Counted, buckets: &[f64]) {
    let name = "flower_task_runtime_seconds";
    text.head(name, "histogram", "Task runtime");
    let rows = counted.runtime.rows();
    for ((task, worker), histogram, _) in &rows {
        let mut below = 0;
        for (count, end) in histogram.counts.iter().zip(buckets.iter().map(Some).chain([None])) {
            below += count;
            let end = end.map_or_else(|| "+Inf".to_owned(), |end| format!("{end:?}"));
            text.row(&format!("{name}_bucket"), &[("le", &end), ("task", task), ("worker", worker)], below as f64);
        }
        text.row(&format!("{name}_count"), &[("task", task), ("worker", worker)], below as f64);
        text.row(&format!("{name}_sum"), &[("task", task), ("worker", worker)], histogram.sum);
    }
    text.head(&format!("{name}_created"), "gauge", "Task runtime");
    for ((task, worker), _, born) in &rows {
        text.row(&format!("{name}_created"), &[("task", task), ("worker", worker)], born.secs());
    }
}

/// What Flower does not tell: the broker, its queues, and what was missed.
fn cluster(text: &mut Text, site: &Site) {
    let up = site.link.borrow().is_live();
    text.one("flower_tui_broker_up", "gauge", "Whether events can reach us", f64::from(u8::from(up)));
    if let Some(health) = &*site.health.borrow() {
        text.one("flower_tui_broker_rtt_seconds", "gauge", "Round trip to the broker", health.rtt);
        if let Some(used) = health.memory_used {
            text.one("flower_tui_broker_memory_bytes", "gauge", "Memory the broker uses", used as f64);
        }
    }
    let now = site.ops.clock.now();
    site.ops.store.read(|model| {
        let counters = model.counters();
        let missed = counters.missed as f64;
        text.one("flower_tui_events_seen_total", "counter", "Events that came", counters.seen as f64);
        text.one("flower_tui_events_missed_total", "counter", "Messages dropped because we could not keep up", missed);
        let bad = counters.undecodable as f64;
        text.one("flower_tui_events_undecodable_total", "counter", "Events that could not be read", bad);
        text.one("flower_tui_tasks", "gauge", "Tasks in memory", model.task_count() as f64);
        text.one("flower_tui_task_bytes", "gauge", "Memory for tasks, by our own count", model.task_bytes() as f64);
        let (online, known) = model.online(now);
        text.one("flower_tui_workers_online", "gauge", "Workers whose heart beats", online as f64);
        text.one("flower_tui_workers_known", "gauge", "Workers heard of", known as f64);
        let queues: Vec<_> = model.queues().into_iter().take(QUEUES).collect();
        text.head("flower_tui_queue_ready", "gauge", "Messages that wait in a queue");
        for (name, queue) in &queues {
            text.row("flower_tui_queue_ready", &[("queue", name)], queue.depth.ready as f64);
        }
        text.head("flower_tui_queue_unacked", "gauge", "Messages delivered and not acknowledged");
        for (name, queue) in &queues {
            if let Some(unacked) = queue.depth.unacked {
                text.row("flower_tui_queue_unacked", &[("queue", name)], unacked as f64);
            }
        }
        text.head("flower_tui_queue_oldest_seconds", "gauge", "How long the oldest message has waited at least");
        for (name, queue) in &queues {
            if let Some((secs, _)) = model.oldest(queue, now) {
                text.row("flower_tui_queue_oldest_seconds", &[("queue", name)], secs);
            }
        }
        text.head("flower_tui_queue_consumers", "gauge", "Who consumes a queue");
        for (name, queue) in &queues {
            if let Some(n) = queue.depth.consumers.or(model.consumers(name, now).map(|n| n as u64)) {
                text.row("flower_tui_queue_consumers", &[("queue", name)], n as f64);
            }
        }
        let (mut kinds, mut open) = (0, 0);
        for group in model.failures().groups() {
            (kinds, open) = (kinds + 1, open + group.open);
        }
        text.one("flower_tui_failure_groups", "gauge", "Kinds of failures in memory", f64::from(kinds));
        text.one(
            "flower_tui_failures_open",
            "gauge",
            "Failures neither retried nor followed by a success",
            open as f64,
        );
    });
    let dropped = site.tally.read(|c| c.events.dropped + c.runtime.dropped + c.prefetched.dropped + c.online.dropped);
    text.one("flower_tui_series_dropped_total", "counter", "Series that made room for others", dropped as f64);
}

/// What the Prometheus client for Python tells of a process (0.22, `process_collector.py`).
fn process(text: &mut Text, born: Stamp) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    // Fields are counted from 3 behind the name (`proc_pid_stat(5)`).
    let field = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<f64>().ok());
    let page = rustix::param::page_size() as f64;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let rows = [
        ("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", field(23)),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory size in bytes.",
            field(24).map(|pages| pages * page),
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            Some(born.secs()),
        ),
        (
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks),
        ),
        (
            "process_open_fds",
            "gauge",
            "Number of open file descriptors.",
            std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64),
        ),
        (
            "process_max_fds",
            "gauge",
            "Maximum number of open file descriptors.",
            rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map(|n| n as f64),
        ),
    ];
    for (name, kind, help, value) in rows {
        if let Some(value) = value {
            text.one(name, kind, help, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_not_break_out_of_its_quotes() {
        let mut text = Text(String::new());
        text.row("m", &[("a", "x\"\\\ny"), ("b", "")], 2.0);
        text.row("m", &[], 0.25);
        assert_eq!(text.0, "m{a=\"x\\\"\\\\\\ny\",b=\"\"} 2.0\nm 0.25\n");
    }
}
