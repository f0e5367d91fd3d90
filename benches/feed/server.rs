//! A broker of our own, on a free port, in a folder that goes away with it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// See the module.
pub struct Server {
    pub url: String,
    processes: Vec<Child>,
    _folder: tempfile::TempDir,
}

impl Server {
    pub fn start(broker: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let (url, processes) = match broker {
            "redis" => (format!("redis://127.0.0.1:{port}/0"), vec![redis(port)]),
            _ => (format!("amqp://guest:guest@127.0.0.1:{port}/%2f"), rabbitmq(port, folder.path())),
        };
        listens(port);
        Self { url, processes, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            // The script becomes the server itself, or its parent.
            let _ = Command::new("pkill").args(["-KILL", "-P", &process.id().to_string()]).status();
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn listens(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn quietly(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.expect("tests/run installs the servers")
}

fn redis(port: u16) -> Child {
    let port = port.to_string();
    quietly(Command::new("redis-server").args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]))
}

/// The port mapper first, then the server.
fn rabbitmq(port: u16, folder: &std::path::Path) -> Vec<Child> {
    let (mapper, distribution) = (free_port(), free_port().to_string());
    std::fs::write(folder.join("plugins"), "[].").unwrap();
    std::fs::write(folder.join("rabbitmq.conf"), format!("listeners.tcp.1 = 127.0.0.1:{port}\n")).unwrap();
    let epmd = quietly(Command::new("epmd").args(["-port", &mapper.to_string(), "-address", "127.0.0.1"]));
    // A server that finds no mapper ends at once.
    listens(mapper);
    let server = quietly(
        Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server")
            .env("HOME", folder)
            .env("RABBITMQ_NODENAME", format!("bench{distribution}@localhost"))
            .env("RABBITMQ_DIST_PORT", &distribution)
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            // A scheduler that spins takes the cores from what is measured.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false +sbwt none"),
    );
    vec![epmd, server]
}
