//! A link of 300 ms and 30 kB/s at 80x24, with 500 events a second: how long a key takes to show, and what piles up.
//!
//! The far side reads the program's output at once into a window of 64 kB, as an SSH server and its socket do, and what
//! is in the window goes out at the link's speed: the program learns of a full link only when the window is full, unless
//! it looks for itself.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, MasterPty};

use super::terminal::{Asked, spawn};

/// One way.
const DELAY: Duration = Duration::from_millis(150);
/// Bytes a second.
const SPEED: f64 = 30_000.0;
const WINDOW: usize = 64 * 1024;
const SIZE: (u16, u16) = (80, 24);
/// 500 events a second.
const RATE: &str = "125";

/// Budgets: one round trip and what a frame takes on the link, and what may pile up before it.
const ANSWERED: Duration = Duration::from_millis(600);
const PILED: usize = 30_000;

/// What the far side read and the near side didn't get yet.
#[derive(Default)]
struct Window {
    bytes: Mutex<VecDeque<u8>>,
    changed: Condvar,
}

/// The near end: what a person sees and types.
struct Person {
    screen: vt100::Parser,
    /// Bytes, each with the time it is delivered at.
    down: Receiver<(Instant, Vec<u8>)>,
    up: Sender<(Instant, Vec<u8>)>,
    window: Arc<Window>,
    asked: Asked,
    piled: usize,
    _master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
}

impl Person {
    fn connect() -> Self {
        let (child, master) = spawn(&["demo", "--seed", "7", "--rate", RATE], SIZE.0, SIZE.1);
        let mut reader = master.try_clone_reader().expect("reader");
        let mut writer = master.take_writer().expect("writer");
        let window = Arc::new(Window::default());
        let far = window.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let mut bytes = far.bytes.lock().expect("lock");
                while bytes.len() + n > WINDOW {
                    bytes = far.changed.wait(bytes).expect("lock");
                }
                bytes.extend(&buffer[..n]);
                far.changed.notify_all();
            }
        });
        let (sender, down) = channel();
        let sending = window.clone();
        std::thread::spawn(move || send(&sending, &sender));
        let (up, typed) = channel::<(Instant, Vec<u8>)>();
        std::thread::spawn(move || {
            for (at, bytes) in typed {
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                if writer.write_all(&bytes).and_then(|()| writer.flush()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(SIZE.1, SIZE.0, 0);
        Self { screen, down, up, window, asked: Asked::default(), piled: 0, _master: master, child }
    }

    fn keys(&mut self, keys: &str) {
        self.up.send((Instant::now() + DELAY, keys.as_bytes().to_vec())).expect("the link is up");
    }

    /// Looks at the screen until it is as it should be. Returns how long that took.
    fn wait(&mut self, limit: Duration, mut done: impl FnMut(&vt100::Screen) -> bool) -> Option<Duration> {
        let begun = Instant::now();
        loop {
            if done(self.screen.screen()) {
                return Some(begun.elapsed());
            }
            let left = limit.checked_sub(begun.elapsed())?;
            match self.down.recv_timeout(left) {
                Ok((at, bytes)) => {
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    for _ in 0..self.asked.count(&bytes) {
                        self.keys("\x1b[1;1R");
                    }
                    self.screen.process(&bytes);
                    let waiting = self.window.bytes.lock().expect("lock").len();
                    self.piled = self.piled.max(waiting);
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the program ended"),
            }
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes on what lies in the window, at the link's speed, in small packets.
fn send(window: &Window, to: &Sender<(Instant, Vec<u8>)>) {
    let mut free = Instant::now();
    loop {
        let packet: Vec<u8> = {
            let mut bytes = window.bytes.lock().expect("lock");
            while bytes.is_empty() {
                bytes = window.changed.wait(bytes).expect("lock");
            }
            let n = bytes.len().min(300);
            let packet = bytes.drain(..n).collect();
            window.changed.notify_all();
            packet
        };
        free = free.max(Instant::now()) + Duration::from_secs_f64(packet.len() as f64 / SPEED);
        std::thread::sleep(free.saturating_duration_since(Instant::now()));
        if to.send((free + DELAY, packet)).is_err() {
            return;
        }
    }
}

/// A key, and how its effect is recognised.
struct Key {
    key: &'static str,
    what: &'static str,
    shows: fn(&vt100::Screen) -> bool,
}

const KEYS: [Key; 10] = [
    Key { key: "2", what: "Workers", shows: |s| tab(s, "2 ") },
    Key { key: "3", what: "Monitor", shows: |s| tab(s, "3 ") },
    Key { key: "4", what: "Broker", shows: |s| tab(s, "4 ") },
    Key { key: "1", what: "Tasks", shows: |s| tab(s, "1 ") },
    Key { key: "j", what: "down", shows: |s| cursor(s).is_some_and(|y| y > 4) },
    Key { key: "k", what: "up", shows: |s| cursor(s) == Some(4) },
    Key { key: "?", what: "help", shows: |s| text(s).contains('┌') },
    Key { key: "\x1b", what: "help closes", shows: |s| !text(s).contains('┌') },
    Key { key: "/", what: "filter", shows: |s| !s.hide_cursor() },
    Key { key: "\x1b", what: "filter closes", shows: vt100::Screen::hide_cursor },
];

/// Types each key some times, and prints how long the screen took to show it.
pub fn run() -> bool {
    let mut person = Person::connect();
    person.wait(Duration::from_secs(20), |s| tab(s, "1 ") && cursor(s) == Some(4)).expect("the first screen");
    // History is made and shown.
    person.wait(Duration::from_secs(5), |_| false);
    person.piled = 0;
    let rounds = (super::sample().as_secs_f64() / 3.0).ceil() as usize;
    let mut times: Vec<Vec<Duration>> = KEYS.iter().map(|_| Vec::new()).collect();
    let mut all = Vec::new();
    let mut unanswered = 0;
    for round in 0..rounds {
        for (key, times) in KEYS.iter().zip(&mut times) {
            person.keys(key.key);
            match person.wait(Duration::from_secs(5), key.shows) {
                Some(took) => {
                    times.push(took);
                    all.push(took);
                }
                None => {
                    unanswered += 1;
                    println!("no answer to {} ({}):\n{}", key.what, key.key, text(person.screen.screen()));
                }
            }
            // The next key comes at no particular moment between two frames.
            person.wait(Duration::from_millis(300 + 137 * (round as u64 % 5)), |_| false);
        }
    }
    println!("{:<16} {:>10} {:>10}", "key", "median ms", "worst ms");
    for (key, times) in KEYS.iter().zip(&mut times) {
        times.sort_unstable();
        println!("{:<16} {:>10} {:>10}", key.what, median(times), times.last().map_or(0, Duration::as_millis));
    }
    all.sort_unstable();
    let worst = all.last().copied().unwrap_or_default();
    let (answered, quick) = super::verdict(worst.as_secs_f64(), Some(ANSWERED.as_secs_f64()));
    println!(
        "{:<16} {:>10} {:>10}  {answered} (budget {})",
        "all",
        median(&all),
        worst.as_millis(),
        ANSWERED.as_millis()
    );
    let (piled, small) = super::verdict(person.piled as f64, Some(PILED as f64));
    println!("most that piled up: {} bytes  {piled} (budget {PILED})", person.piled);
    quick && small && unanswered == 0
}

fn median(sorted: &[Duration]) -> u128 {
    sorted.get(sorted.len() / 2).map_or(0, Duration::as_millis)
}

fn text(screen: &vt100::Screen) -> String {
    screen.contents()
}

/// Whether the tab with this title is the open one: its title is underlined.
fn tab(screen: &vt100::Screen, title: &str) -> bool {
    let line: Vec<&vt100::Cell> = (0..SIZE.0).filter_map(|x| screen.cell(1, x)).collect();
    let underlined: String = line.iter().filter(|c| c.underline()).map(|c| c.contents()).collect();
    underlined.starts_with(title.trim())
}

/// The line with the cursor's bar.
fn cursor(screen: &vt100::Screen) -> Option<u16> {
    (0..SIZE.1).find(|y| screen.cell(*y, 0).is_some_and(|c| c.contents() == "▌"))
}
