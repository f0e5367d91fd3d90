//! The binary in a pseudo-terminal, and what is known of it from outside: its bytes, its screen, its CPU time.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// What a terminal is asked and answers.
const ASK_CURSOR: &[u8] = b"\x1b[6n";
const ANSWER: &[u8] = b"\x1b[1;1R";
/// Ticks of the kernel's clock a second, in /proc.
const TICKS: f64 = 100.0;

/// A running screen.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    /// Held open: closing it hangs up.
    _master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    pub screen: vt100::Parser,
    asked: Asked,
}

/// CPU seconds used so far: all threads, and the one that draws.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    pub all: f64,
    pub screen: f64,
}

impl Terminal {
    /// Starts it with these arguments. What it writes is read at once.
    pub fn start(arguments: &[&str], columns: u16, rows: u16) -> Self {
        let (child, master) = spawn(arguments, columns, rows);
        let mut reader = master.try_clone_reader().expect("reader");
        let writer = master.take_writer().expect("writer");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 16_384];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(rows, columns, 0);
        Self { child, _master: master, writer, output, screen, asked: Asked::default() }
    }

    pub fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).expect("typed");
        self.writer.flush().expect("typed");
    }

    /// Reads for a while as a fast terminal does, and returns what came.
    pub fn read_for(&mut self, time: Duration) -> Vec<u8> {
        let end = Instant::now() + time;
        let mut all = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let Ok(bytes) = self.output.recv_timeout(left) else { break };
            for _ in 0..self.asked.count(&bytes) {
                self.writer.write_all(ANSWER).expect("answered");
            }
            self.screen.process(&bytes);
            all.extend_from_slice(&bytes);
        }
        all
    }

    pub fn cpu(&self) -> Cpu {
        let pid = self.child.process_id().expect("pid");
        Cpu { all: cpu(&format!("/proc/{pid}/stat")), screen: cpu(&format!("/proc/{pid}/task/{pid}/stat")) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the binary on the far side of a pseudo-terminal.
pub fn spawn(arguments: &[&str], columns: u16, rows: u16) -> (Box<dyn Child + Send + Sync>, Box<dyn MasterPty + Send>) {
    let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("pty");
    let mut command = CommandBuilder::new(super::binary());
    command.args(arguments);
    for (name, value) in [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("TZ", "UTC"), ("LANG", "C.UTF-8")] {
        command.env(name, value);
    }
    command.env("FLOWER_TUI_THEME", "dark");
    command.env_remove("NO_COLOR");
    let child = pair.slave.spawn_command(command).expect("started");
    (child, pair.master)
}

/// Counts status requests, also those cut in two by a read.
#[derive(Default)]
pub struct Asked(usize);

impl Asked {
    pub fn count(&mut self, bytes: &[u8]) -> usize {
        let mut found = 0;
        for byte in bytes {
            self.0 = match ASK_CURSOR.get(self.0) {
                Some(wanted) if wanted == byte => self.0 + 1,
                _ => usize::from(ASK_CURSOR.first() == Some(byte)),
            };
            if self.0 == ASK_CURSOR.len() {
                (found, self.0) = (found + 1, 0);
            }
        }
        found
    }
}

/// User and system time in a `stat` file.
fn cpu(path: &str) -> f64 {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    // The name in brackets may hold anything; the fields after it are numbered from 3.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}
