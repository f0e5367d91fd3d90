//! Scripted sessions at 120x36, and what each may cost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::redis::Redis;
use super::terminal::Terminal;

/// What a person does and what happens meanwhile.
struct Session {
    name: &'static str,
    /// Events a second; a task has about four.
    events: u32,
    /// Through a real Redis, else in the demo.
    redis: bool,
    /// Typed first, one at a time.
    opens: &'static str,
    /// Typed while it is looked at, again and again: keys and the pause after each.
    script: Option<(&'static str, Duration)>,
    /// Bytes a second.
    bytes: Option<f64>,
    /// Share of a core, in per cent.
    cpu: Option<f64>,
}

const fn session(name: &'static str, events: u32, opens: &'static str, bytes: f64) -> Session {
    Session { name, events, redis: false, opens, script: None, bytes: Some(bytes), cpu: None }
}

const TENTH: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// Budgets: idle below 60 B/s, the Monitor, whose charts move on with time, below 100; at 200 events/s Tasks below 4 kB/s and Monitor below 3 kB/s; at 2,000 events/s with Tasks
/// open below 3 % of a core. The others are held where they are.
const SESSIONS: [Session; 17] = [
    session("idle, Tasks", 0, "", 60.0),
    session("idle, Workers", 0, "2", 60.0),
    session("idle, Monitor", 0, "3", 100.0),
    session("idle, Broker", 0, "4", 60.0),
    session("idle, paused", 0, "p", 60.0),
    session("200 ev/s, paused", 200, "p", 100.0),
    session("200 ev/s, Tasks", 200, "", 4_000.0),
    session("200 ev/s, Workers", 200, "2", 3_000.0),
    session("200 ev/s, Monitor", 200, "3", 3_000.0),
    session("200 ev/s, Broker", 200, "4", 3_000.0),
    session("2,000 ev/s, Tasks", 2_000, "", 4_000.0),
    session("2,000 ev/s, Workers", 2_000, "2", 4_000.0),
    session("2,000 ev/s, Monitor", 2_000, "3", 3_000.0),
    session("2,000 ev/s, Broker", 2_000, "4", 3_000.0),
    Session { script: Some(("j", TENTH)), ..session("200 ev/s, scrolling", 200, "", 12_000.0) },
    Session { script: Some(("2341", SECOND)), ..session("200 ev/s, tab switching", 200, "", 12_000.0) },
    Session { redis: true, cpu: Some(3.0), ..session("2,000 ev/s, Redis", 2_000, "", 4_000.0) },
];

/// How long the demo is left alone first: it makes a quarter of an hour of history.
const SETTLE: Duration = Duration::from_secs(8);
/// Long tasks of the history end within this, and what is told of the last minute comes to rest.
const COME_TO_REST: Duration = Duration::from_secs(65);
/// Sessions that run at the same time: each needs little, and most of it is waiting.
const ABREAST: usize = 8;

/// What was measured.
struct Figures {
    bytes: f64,
    frames: f64,
    cpu: f64,
    screen: f64,
}

/// Measures all, or those whose names hold one of these words. Returns whether all budgets were kept.
pub fn run(only: &[&str]) -> bool {
    let wanted = |s: &&Session| only.is_empty() || only.iter().any(|word| s.name.contains(word));
    let sessions: Vec<&Session> = SESSIONS.iter().filter(wanted).collect();
    let next = AtomicUsize::new(0);
    let figures: Vec<Mutex<Option<Figures>>> = sessions.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                while let Some(session) = sessions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = sessions.iter().position(|s| s.name == session.name).expect("listed");
                    *figures[at].lock().expect("lock") = measure(session).map(|(figures, _)| figures);
                }
            });
        }
    });
    println!(
        "{:<26} {:>8} {:>8} {:>9}        {:>6} {:>8} {:>6}",
        "session", "B/s", "budget", "frames/s", "CPU %", "screen %", "budget"
    );
    let mut kept = true;
    for (session, figures) in sessions.iter().zip(figures) {
        let Some(f) = figures.into_inner().expect("lock") else {
            println!("{:<26} not measured: there is no redis-server", session.name);
            continue;
        };
        let (bytes, bytes_kept) = super::verdict(f.bytes, session.bytes);
        let (cpu, cpu_kept) = super::verdict(f.cpu, session.cpu);
        let budget = |budget: Option<f64>| budget.map_or(String::new(), |b| format!("{b:.0}"));
        println!(
            "{:<26} {:>8.0} {:>8} {:>9.1} {bytes:<6} {:>6.1} {:>8.1} {:>6} {cpu}",
            session.name,
            f.bytes,
            budget(session.bytes),
            f.frames,
            f.cpu,
            f.screen,
            budget(session.cpu),
        );
        kept &= bytes_kept && cpu_kept;
    }
    kept
}

/// Writes the bytes of one session to a file.
pub fn dump(file: &str, name: &str) -> bool {
    let session = SESSIONS.iter().find(|s| s.name.contains(name)).expect("a session of that name");
    let (figures, bytes) = measure(session).expect("redis-server");
    std::fs::write(file, bytes).expect("written");
    println!("{}: {:.0} B/s", session.name, figures.bytes);
    true
}

/// Figures and bytes; `None` where a Redis is needed and there is none.
fn measure(session: &Session) -> Option<(Figures, Vec<u8>)> {
    let redis = if session.redis { Some(Redis::start(session.events)?) } else { None };
    let mut terminal = match &redis {
        Some(redis) => Terminal::start(&["-b", &redis.url()], 120, 36),
        None => Terminal::start(&["demo", "--seed", "7", "--rate", &(session.events / 4).to_string()], 120, 36),
    };
    terminal.read_for(SETTLE);
    for key in session.opens.chars() {
        terminal.keys(&key.to_string());
        terminal.read_for(Duration::from_millis(300));
    }
    terminal.read_for(if session.events == 0 { COME_TO_REST } else { Duration::from_secs(2) });
    let (cpu, begun) = (terminal.cpu(), Instant::now());
    let mut bytes = Vec::new();
    let mut frames = 0;
    let mut keys = session.script.iter().flat_map(|(keys, _)| keys.chars()).cycle();
    let step = session.script.map_or(TENTH, |(_, pause)| pause);
    while begun.elapsed() < super::sample() {
        if let Some(key) = keys.next() {
            terminal.keys(&key.to_string());
        }
        // What comes within a tenth of a second is a frame or two; good enough to tell one a second from ten.
        let mut left = step;
        while !left.is_zero() {
            let part = left.min(TENTH / 4);
            let read = terminal.read_for(part);
            frames += usize::from(!read.is_empty());
            bytes.extend_from_slice(&read);
            left -= part;
        }
    }
    let (seconds, used) = (begun.elapsed().as_secs_f64(), terminal.cpu());
    let figures = Figures {
        bytes: bytes.len() as f64 / seconds,
        frames: frames as f64 / seconds,
        cpu: (used.all - cpu.all) / seconds * 100.0,
        screen: (used.screen - cpu.screen) / seconds * 100.0,
    };
    Some((figures, bytes))
}
