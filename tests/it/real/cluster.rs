//! A Redis and a Celery worker of our own, on a free port.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test fails.
pub const LIMIT: Duration = Duration::from_secs(40);

/// Waits for a condition.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// What a worker and our binary can be on.
pub trait Server {
    fn url(&self) -> String;

    /// Where its management API is, if it has one.
    fn api(&self) -> Option<String> {
        None
    }
}

/// A port nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A Redis server that ends with the test.
pub struct Redis {
    child: Child,
    pub port: u16,
    arguments: Vec<String>,
}

impl Redis {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    /// On this port, unless the arguments say otherwise.
    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let redis = Self { child: spawn(port, &arguments), port, arguments };
        redis.wait();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    fn wait(&self) {
        wait_for("redis", || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    pub fn stop(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub fn start_again(&mut self) {
        self.child = spawn(self.port, &self.arguments);
        self.wait();
    }

    pub fn connection(&self) -> redis::Connection {
        wait_for("redis", || redis::Client::open(self.url()).ok()?.get_connection().ok())
    }
}

impl Server for Redis {
    fn url(&self) -> String {
        self.url()
    }
}

fn spawn(port: u16, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        // A replica writes what its master sends it to a file.
        .args(["--dir", env!("CARGO_TARGET_TMPDIR"), "--dbfilename", &format!("{port}.rdb")])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed by tests/run")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Redis, one prefork worker with two processes, and a folder for everything.
pub struct Cluster<B: Server = Redis> {
    pub broker: B,
    worker: Child,
    pub folder: tempfile::TempDir,
}

pub const WORKER: &str = "w1@test";

impl Cluster {
    pub fn start() -> Self {
        Self::start_with(&["-c", "2"])
    }

    /// With a worker that sends no events of tasks.
    pub fn without_events() -> Self {
        Self::on_with(Redis::start(&[]), &["-c", "1"], false)
    }

    /// With a worker that is started so.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::on(Redis::start(&[]), arguments)
    }
}

impl<B: Server> Cluster<B> {
    /// On a broker that runs.
    pub fn on(broker: B, arguments: &[&str]) -> Self {
        Self::on_with(broker, arguments, true)
    }

    fn on_with(broker: B, arguments: &[&str], events: bool) -> Self {
        let folder = tempfile::tempdir().expect("temp");
        std::fs::copy(root().join("tests/it/real/app.py"), folder.path().join("app.py")).expect("copied");
        let worker = worker(folder.path(), &broker.url(), events, arguments);
        let cluster = Self { broker, worker, folder };
        wait_for("the worker", || cluster.log().contains("ready.").then_some(()));
        cluster
    }

    /// Kills the worker with all its processes: nobody says goodbye.
    pub fn kill_worker(&mut self) {
        let pid = self.worker.id().to_string();
        // The main process is stopped first: else it would tell what became of its children.
        assert!(Command::new("kill").args(["-STOP", &pid]).status().expect("kill").success());
        let _ = Command::new("pkill").args(["-KILL", "-P", &pid]).status();
        self.worker.kill().expect("killed");
        self.worker.wait().expect("ended");
    }

    /// Starts it again, with a new log.
    pub fn start_worker(&mut self, arguments: &[&str]) {
        self.worker = worker(self.folder.path(), &self.broker.url(), true, arguments);
        wait_for("the worker", || self.log().contains("ready.").then_some(()));
    }

    /// The worker's own log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("worker.log")).unwrap_or_default()
    }

    /// Runs Python in the application's folder; `app` is imported. Returns what it prints, as JSON.
    pub fn python(&self, code: &str) -> Value {
        let code = format!("import json, app\ninspect = app.app.control.inspect(timeout=2)\nprint(json.dumps({code}))");
        let output = Command::new(venv("python"))
            .args(["-c", &code])
            .current_dir(self.folder.path())
            .env("BROKER", self.broker.url())
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Calls a task and returns its id.
    pub fn call(&self, call: &str) -> String {
        self.python(&format!("app.{call}.id")).as_str().expect("id").to_owned()
    }

    /// The state in Celery's result backend.
    pub fn state(&self, id: &str) -> String {
        self.python(&format!("app.app.AsyncResult('{id}').state")).as_str().expect("state").to_owned()
    }

    /// How many pool processes the worker says it has.
    pub fn processes(&self) -> Option<usize> {
        self.python("inspect.stats()")[WORKER]["pool"]["processes"].as_array().map(Vec::len)
    }

    /// Whether the worker's process has ended.
    pub fn worker_ended(&mut self) -> bool {
        self.worker.try_wait().expect("asked").is_some()
    }

    /// Our binary with this cluster as its broker.
    pub fn flower(&self, arguments: &[&str]) -> Command {
        let mut command = flower(arguments, self.folder.path());
        command.env("CELERY_BROKER_URL", self.broker.url());
        if let Some(api) = self.broker.api() {
            command.env("FLOWER_BROKER_API", api);
        }
        command
    }

    /// What our binary prints with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.flower(arguments).output().expect("runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!(
                "{arguments:?}: {e}: {} {}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}

fn worker(folder: &Path, broker: &str, events: bool, arguments: &[&str]) -> Child {
    let log = std::fs::File::create(folder.join("worker.log")).expect("log");
    Command::new(venv("celery"))
        .args(["-A", "app", "worker", "-n", WORKER, "--loglevel", "INFO"])
        .args(events.then_some("-E"))
        .args(arguments)
        .current_dir(folder)
        .env("BROKER", broker)
        .env("C_FORCE_ROOT", "1")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Celery is installed by tests/run")
}

impl<B: Server> Drop for Cluster<B> {
    fn drop(&mut self) {
        let pid = self.worker.id().to_string();
        // Its pool processes end with it only when it ends by itself.
        let _ = Command::new("pkill").args(["-KILL", "-P", &pid]).status();
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

/// Our binary in a clean environment.
pub fn flower(arguments: &[&str], home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flower-tui"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8");
    command
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn venv(program: &str) -> PathBuf {
    root().join("target/celery/bin").join(program)
}
