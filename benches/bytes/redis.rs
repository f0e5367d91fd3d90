//! The same load through a real Redis: what following it costs, without the cluster's own work.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flower_tui::clock::Clock;
use flower_tui::sim::{Options, SimBroker};

/// A Redis server to which a simulated cluster announces its tasks.
pub struct Redis {
    server: Child,
    port: u16,
    stop: Arc<AtomicBool>,
}

/// Between two rounds of announcements.
const ROUND: Duration = Duration::from_millis(20);

impl Redis {
    /// Starts both; `None` when there is no `redis-server`.
    pub fn start(events: u32) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).ok()?.port();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Self { server, port, stop: Arc::default() };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "redis-server doesn't listen");
            std::thread::sleep(ROUND);
        }
        let mut connection = redis::Client::open(redis.url()).ok()?.get_connection().ok()?;
        let stop = redis.stop.clone();
        std::thread::spawn(move || {
            let clock = Clock::system();
            let options = Options { tasks: 0, rate: f64::from(events) / 4.0, ..Options::default() };
            let cluster = SimBroker::new(&options, clock.clone());
            while !stop.load(Ordering::Relaxed) {
                let mut round = redis::pipe();
                for message in cluster.advance(clock.now()) {
                    round.publish(&*message.channel, &message.data[..]).ignore();
                }
                if round.query::<()>(&mut connection).is_err() {
                    return;
                }
                std::thread::sleep(ROUND);
            }
        });
        Some(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
