//! Celery and kombu in a process of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// See the module.
pub struct Peer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it with Celery's settings, `broker_url` among them.
    pub fn start(settings: &Value) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(root.join("target/celery/bin/python"))
            .arg(root.join("tests/it/contract/peer.py"))
            .env("PEER", settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Celery is installed by tests/run");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, stdin, stdout: BufReader::new(stdout) }
    }

    /// Lets it do something, again and again while its broker is away.
    pub fn ask(&mut self, command: &Value) -> Value {
        let end = Instant::now() + super::LIMIT;
        loop {
            let answer = self.try_ask(command);
            if let Some(ok) = answer.get("ok") {
                return ok.clone();
            }
            assert!(Instant::now() < end, "{command}: {answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_ask(&mut self, command: &Value) -> Value {
        writeln!(self.stdin, "{command}").expect("it lives");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("JSON")
    }

    /// The id of the next message of a queue, taken for good.
    pub fn take(&mut self, queue: &str) -> String {
        self.ask(&json!({"do": "take", "queue": queue}))["id"].as_str().expect("a message").to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
