//! The process that is measured: a feed and a model, as behind the screen.

use std::time::{Duration, Instant};

use flower_tui::broker::{self, BrokerUrl, TransportOptions};
use flower_tui::clock::Clock;
use flower_tui::feed::{Context, Feed};
use flower_tui::state::{Limits, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Prints CPU seconds, seconds, events seen and events missed, when all have come or nothing comes any more.
pub fn run(url: &str, events: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = BrokerUrl::parse(url).unwrap();
        let context = Context {
            broker: broker::open(&url, TransportOptions::default()).unwrap(),
            store: Store::new(Limits::default()),
            clock: Clock::system(),
            stop: CancellationToken::new(),
            results: None,
        };
        let mut feed = Feed::start(&context, &TaskTracker::new());
        feed.link.wait_for(|link| link.is_live()).await.unwrap();
        let (begun, cpu_before) = (Instant::now(), cpu());
        let (mut last, mut since) = (0, Instant::now());
        let (seen, missed) = loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (seen, missed) = context.store.read(|m| (m.counters().seen, m.counters().missed));
            if seen != last {
                (last, since) = (seen, Instant::now());
            }
            if seen + missed >= events || since.elapsed() > PATIENCE {
                break (seen, missed);
            }
        };
        println!("{} {} {seen} {missed}", cpu() - cpu_before, begun.elapsed().as_secs_f64());
    });
}

/// CPU seconds of this process so far, from the scheduler's clock: it counts in nanoseconds.
fn cpu() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |thread: std::io::Result<std::fs::DirEntry>| -> f64 {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0)
    };
    threads.map(of).sum::<f64>() / 1e9
}
