//! The thread that writes: takes what the feed offers, and puts it into the file every quarter of a second. Nobody ever
//! waits for it: what it can't take is dropped here, counted, and said.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Error;
use super::archive::Archive;
use super::lock::Lock;
use super::prune::{Keep, Pruner};
use crate::celery::event::Batch;
use crate::celery::queue::Depth;
use crate::clock::{Clock, Stamp};
use crate::redact::Redactor;

/// What is written down.
#[derive(Debug, Clone)]
pub enum Note {
    Events(Arc<Batch>),
    /// Depths of queues at a time.
    Depths(Stamp, Vec<Depth>),
    Mark(Stamp, String),
}

/// Notes that may wait.
const WAITING: usize = 64;
/// Events in them: at some 600 bytes each, 40 MB.
const WAITING_EVENTS: u64 = 65_536;
/// What came is in the file after so long at the latest: a crash loses no more than this.
const EVERY: Duration = Duration::from_millis(250);
/// Rows that are written at once even before that.
const ENOUGH: usize = 5_000;
/// How long until the next try after something failed, or another process had the file.
const AGAIN: Duration = Duration::from_secs(1);

/// What the writer is doing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Role {
    #[default]
    Opening,
    /// It writes.
    Writer,
    /// Another process writes; we take over when it ends.
    Reader,
    /// It can't write, for this reason, and goes on trying.
    Failing(String),
}

/// How writing goes, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub role: Role,
    /// Events dropped because the disk was too slow or could not be written.
    pub missed: u64,
    /// Rows of tasks written, again for each change.
    pub rows: u64,
    /// Events taken.
    pub events: u64,
}

/// What to write, and how.
#[derive(Clone)]
pub struct Options {
    pub path: PathBuf,
    /// What it takes out is never written.
    pub redactor: Redactor,
    pub keep: Keep,
    pub clock: Clock,
}

/// The side of those who have something to write. Cloning is cheap.
#[derive(Clone)]
pub struct Recorder {
    notes: SyncSender<Note>,
    missed: Arc<AtomicU64>,
    /// Events that wait.
    waiting: Arc<AtomicU64>,
    status: Arc<Mutex<Status>>,
    path: Arc<Path>,
}

/// The running thread.
pub struct Running {
    thread: JoinHandle<()>,
    ending: Arc<AtomicBool>,
}

impl Running {
    /// Writes what was given until now, and ends the thread.
    pub fn finish(self) {
        self.ending.store(true, Ordering::Relaxed);
        // A panic there was told by its own hook.
        let _ = self.thread.join();
    }
}

/// Starts to write.
pub fn start(options: Options) -> Result<(Recorder, Running), Error> {
    let (notes, taken) = sync_channel(WAITING);
    let status = Arc::new(Mutex::new(Status::default()));
    let recorder = Recorder {
        notes,
        missed: Arc::default(),
        waiting: Arc::default(),
        status: status.clone(),
        path: options.path.clone().into(),
    };
    let path = options.path.clone();
    let (missed, waiting) = (recorder.missed.clone(), recorder.waiting.clone());
    let ending = Arc::new(AtomicBool::new(false));
    let worker = Worker { options, notes: taken, status, missed, waiting, ending: ending.clone() };
    let thread = std::thread::Builder::new().name("history".into()).spawn(move || worker.run());
    let thread = thread.map_err(|e| Error::io(&path, &e))?;
    Ok((recorder, Running { thread, ending }))
}

impl Recorder {
    /// Offers something to write; it is dropped, and counted, if too much waits.
    pub fn offer(&self, note: Note) {
        let n = events(&note);
        let waiting = self.waiting.load(Ordering::Relaxed);
        if n > 0 && waiting > 0 && waiting + n > WAITING_EVENTS {
            self.missed.fetch_add(n, Ordering::Relaxed);
            return;
        }
        // Counted before it can be taken.
        self.waiting.fetch_add(n, Ordering::Relaxed);
        if let Err(TrySendError::Full(_)) = self.notes.try_send(note) {
            self.waiting.fetch_sub(n, Ordering::Relaxed);
            self.missed.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Gives something to write, and waits until there is room. Not for those who are in a hurry.
    pub fn give(&self, note: Note) {
        self.waiting.fetch_add(events(&note), Ordering::Relaxed);
        // Fails only when the thread has ended.
        let _ = self.notes.send(note);
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        let mut status = self.status.lock().clone();
        status.missed += self.missed.load(Ordering::Relaxed);
        status
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn events(note: &Note) -> u64 {
    match note {
        Note::Events(batch) => batch.events.len() as u64,
        _ => 0,
    }
}

struct Worker {
    options: Options,
    notes: Receiver<Note>,
    status: Arc<Mutex<Status>>,
    missed: Arc<AtomicU64>,
    waiting: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
}

/// Why a stretch of writing ended.
enum End {
    /// Nobody has anything to write any more.
    Finished,
    Failed(Error),
}

impl Worker {
    fn run(self) {
        loop {
            let end = match Lock::take(&self.options.path) {
                Ok(Some(lock)) => self.hold(lock),
                Ok(None) => {
                    self.status.lock().role = Role::Reader;
                    match self.let_pass(AGAIN, false) {
                        true => End::Finished,
                        false => continue,
                    }
                }
                // The folder may not be there yet: opening makes it.
                Err(error) => match super::audit::make(&self.options.path) {
                    Ok(()) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    _ => End::Failed(Error::io(&self.options.path, &error)),
                },
            };
            match end {
                End::Finished => return,
                End::Failed(error) => {
                    tracing::warn!("{error}");
                    self.status.lock().role = Role::Failing(error.to_string());
                    if self.let_pass(AGAIN, true) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes notes without writing them; they count as missed only where nobody else writes them. Says whether all ended.
    fn let_pass(&self, time: Duration, missed: bool) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.notes.recv_timeout(left.min(EVERY)) {
                Ok(note) => {
                    let n = self.received(&note);
                    self.missed.fetch_add(if missed { n } else { 0 }, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) if self.ending.load(Ordering::Relaxed) => return true,
                Err(RecvTimeoutError::Timeout) if left <= EVERY => return false,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    fn hold(&self, _lock: Lock) -> End {
        match Archive::open(&self.options.path, self.options.redactor.clone()) {
            Ok(archive) => {
                self.status.lock().role = Role::Writer;
                self.write(archive)
            }
            Err(error) => End::Failed(error),
        }
    }

    fn write(&self, mut archive: Archive) -> End {
        let mut pruner = Pruner::new(self.options.keep.clone());
        let mut due = Instant::now() + EVERY;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            let taken = self.notes.recv_timeout(left);
            let ended = match taken {
                Err(RecvTimeoutError::Disconnected) => true,
                Err(RecvTimeoutError::Timeout) => self.ending.load(Ordering::Relaxed),
                Ok(_) => false,
            };
            if let Ok(note) = taken
                && let Err(error) = self.take(&mut archive, &note)
            {
                return End::Failed(Error::of(&self.options.path, &error));
            }
            if archive.waiting() < ENOUGH && Instant::now() < due && !ended {
                continue;
            }
            due = Instant::now() + EVERY;
            let written = self.put(&mut archive);
            if ended {
                return End::Finished;
            }
            if written && let Err(error) = pruner.step(&mut archive, self.options.clock.now()) {
                tracing::warn!("{}", Error::of(&self.options.path, &error));
            }
        }
    }

    /// How many events of a note wait no more.
    fn received(&self, note: &Note) -> u64 {
        let n = events(note);
        self.waiting.fetch_sub(n, Ordering::Relaxed);
        n
    }

    fn take(&self, archive: &mut Archive, note: &Note) -> rusqlite::Result<()> {
        self.received(note);
        match note {
            Note::Events(batch) => {
                self.status.lock().events += batch.events.len() as u64;
                archive.events(batch)?;
            }
            Note::Depths(at, depths) => archive.depths(*at, depths),
            Note::Mark(at, text) => archive.mark(*at, text),
        }
        Ok(())
    }

    /// Writes what waits; what can't be written stays for the next time. Says whether it went well.
    fn put(&self, archive: &mut Archive) -> bool {
        if archive.waiting() == 0 {
            return true;
        }
        let (result, missed) = (archive.write(self.options.clock.now()), std::mem::take(&mut archive.missed));
        let mut status = self.status.lock();
        status.missed += missed;
        match result {
            Ok(rows) => {
                status.rows += rows as u64;
                status.role = Role::Writer;
            }
            Err(error) => {
                let error = Error::of(&self.options.path, &error);
                if status.role == Role::Writer {
                    tracing::warn!("{error}");
                }
                status.role = Role::Failing(error.to_string());
            }
        }
        status.role == Role::Writer
    }
}
