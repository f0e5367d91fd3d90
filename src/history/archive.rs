//! The writer's own picture of what happens, and how it gets into the file: follows tasks event by event, remembers which
//! rows changed, and writes them in one transaction now and then.
//!
//! What a transaction that failed held is still here, and goes with the next one.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::blocks::Blocks;
use super::ids::Ids;
use super::minutes::Minutes;
use super::row::{self, Dictionary, Pen};
use super::told::{self, Told};
use super::words::Words;
use super::{Error, schema, ticks};
use crate::celery::event::{Batch, Event, TaskEvent, WorkerEvent, WorkerEventKind};
use crate::celery::queue::Depth;
use crate::clock::Stamp;
use crate::redact::Redactor;
use crate::state::State;
use crate::state::follow::{Follower, Handle};

/// Tasks followed at the most between two writes, and their bytes. What is evicted is in the file, and is read from there
/// if it is heard of again.
const FOLLOWED: usize = 32_768;
const FOLLOWED_BYTES: usize = 16 << 20;
/// Rows that may wait while nothing can be written; beyond, tasks are forgotten and counted as missed.
const WAITING: usize = 4 * FOLLOWED;
/// Seconds between two heartbeats of one worker, or two depths of one queue, that are written.
const THINNED: u64 = 10;
/// After so many seconds a depth is written even if it did not change.
const DEPTH_AGAIN: u64 = 60;

/// Where a task is in the file.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Zero is nowhere.
    n: i64,
    /// What the file says, if it is there at all.
    kind: Option<i64>,
    more: bool,
    changed: bool,
}

/// An event of a worker, waiting to be written.
struct Beat {
    at: Stamp,
    kind: &'static str,
    worker: String,
    pid: Option<i64>,
    active: Option<i64>,
    processed: Option<i64>,
    load: Option<[f64; 3]>,
    software: Option<String>,
}

/// See the module.
pub struct Archive {
    db: Connection,
    follower: Follower,
    places: Vec<Place>,
    changed: Vec<Handle>,
    told: Vec<Told>,
    beats: Vec<Beat>,
    depths: Vec<(Stamp, Depth)>,
    marks: Vec<(Stamp, String)>,
    minutes: Minutes,
    words: Words,
    ids: Ids,
    blocks: Blocks,
    dictionary: Dictionary,
    /// Row of the next new task.
    next: i64,
    last_beats: HashMap<String, Stamp>,
    last_depths: HashMap<String, (Stamp, u64, Option<u64>)>,
    redactor: Redactor,
    /// Tasks that were forgotten before they could be written.
    pub missed: u64,
}

impl Archive {
    /// Opens the file for writing, and makes it if there is none. Only one may at a time: see [`super::lock`].
    pub fn open(path: &Path, redactor: Redactor) -> Result<Self, Error> {
        let fail = |e: rusqlite::Error| Error::of(path, &e);
        let db = schema::open(path)?;
        let next = schema::next_row(&db).map_err(fail)?;
        let ids = Ids::load(&db, next).map_err(fail)?;
        Ok(Self {
            db,
            follower: Follower::default(),
            places: Vec::new(),
            changed: Vec::new(),
            told: Vec::new(),
            beats: Vec::new(),
            depths: Vec::new(),
            marks: Vec::new(),
            minutes: Minutes::default(),
            words: Words::default(),
            ids,
            blocks: Blocks::default(),
            dictionary: Dictionary::default(),
            next,
            last_beats: HashMap::new(),
            last_depths: HashMap::new(),
            redactor,
            missed: 0,
        })
    }

    /// Rows that wait to be written.
    pub fn waiting(&self) -> usize {
        self.changed.len() + self.told.len() + self.beats.len() + self.depths.len() + self.marks.len()
    }

    /// The connection, for work between two writes.
    pub fn db(&mut self) -> &mut Connection {
        &mut self.db
    }

    /// What is remembered of the file's blocks may be outdated: somebody else has changed them.
    pub fn forget_blocks(&mut self) {
        self.blocks.forget();
    }

    /// Takes events.
    pub fn events(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        for event in &batch.events {
            match event {
                Event::Task(event) => self.task(batch, event)?,
                Event::Worker(event) => self.worker(batch, event),
                Event::Other => {}
            }
        }
        Ok(())
    }

    fn task(&mut self, batch: &Batch, event: &TaskEvent) -> rusqlite::Result<()> {
        let known = match self.follower.find(&event.id) {
            None => self.recall(event)?,
            known => known,
        };
        let n = known.map_or(self.next, |handle| self.places[handle.index()].n);
        let before = known.map(|handle| self.follower.task(handle));
        let old = before.map_or(State::Pending, |task| task.state());
        let displaced = before.and_then(|task| told::displaced(&task, event, n));
        let handle = self.follower.apply(batch, event);
        if known.is_none() {
            self.place(handle, Place { n, ..Place::default() });
            self.ids.add(&event.id, n);
            self.next += 1;
        }
        let task = self.follower.task(handle);
        self.told.extend(displaced.filter(|told| !told::is_kept(&task, told)));
        self.told.extend(told::apart(&task, batch, event, n));
        if let Some(state) = told::state_of(event.kind).filter(|state| !(*state == old && state.is_ready())) {
            let runtime = event.runtime.value().filter(|s| s.is_finite() && *s >= 0.0 && state == State::Success);
            self.minutes.count(task.name().unwrap_or_default(), state, runtime, event.received);
        }
        let place = &mut self.places[handle.index()];
        if !place.changed {
            place.changed = true;
            self.changed.push(handle);
        }
        Ok(())
    }

    /// Takes an event that may be known already; says whether it was new.
    pub fn merge(&mut self, batch: &Batch, event: &TaskEvent) -> rusqlite::Result<bool> {
        let known = match self.follower.find(&event.id) {
            None => self.recall(event)?,
            known => known,
        };
        if let Some(handle) = known {
            let n = self.places[handle.index()].n;
            let name = event.kind.name(batch);
            let same = |told: &Told| told.kind == name && told.at.micros().abs_diff(event.stamp.micros()) <= 10;
            let waiting = self.told.iter().any(|told| told.task == n && same(told));
            if told::is_in_row(&self.follower.task(handle), event)
                || waiting
                || Told::read(&self.db, n)?.iter().any(same)
            {
                return Ok(false);
            }
        }
        self.task(batch, event)?;
        Ok(true)
    }

    fn place(&mut self, handle: Handle, place: Place) {
        if self.places.len() <= handle.index() {
            self.places.resize(handle.index() + 1, Place::default());
        }
        self.places[handle.index()] = place;
    }

    /// A task that is not followed, but in the file: it is followed again, as it was.
    fn recall(&mut self, event: &TaskEvent) -> rusqlite::Result<Option<Handle>> {
        let Some(n) = self.ids.find(&self.db, &event.id)? else { return Ok(None) };
        let select = format!("SELECT {} FROM task WHERE n = ?", row::COLUMNS);
        let (doc, kind, more) = {
            let mut find = self.db.prepare_cached(&select)?;
            let mut rows = find.query([n])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (kind, flags): (i64, i64) = (row.get(2)?, row.get(11)?);
            (self.dictionary.doc(&self.db, row)?, kind, flags & row::flag::MORE != 0)
        };
        let events = told::events(&doc, &Told::read(&self.db, n)?);
        let batch = super::batch(events, event.received);
        let mut handle = None;
        for event in &batch.events {
            if let Event::Task(event) = event {
                handle = Some(self.follower.apply(&batch, event));
            }
        }
        if let Some(handle) = handle {
            self.place(handle, Place { n, kind: Some(kind), more, changed: false });
        }
        Ok(handle)
    }

    fn worker(&mut self, batch: &Batch, event: &WorkerEvent) {
        let Some(worker) = batch.text(event.hostname) else { return };
        let kind = match event.kind {
            WorkerEventKind::Online => "worker-online",
            WorkerEventKind::Offline => "worker-offline",
            WorkerEventKind::Heartbeat => "worker-heartbeat",
            WorkerEventKind::Other => return,
        };
        let last = self.last_beats.get(worker);
        if kind == "worker-heartbeat" && last.is_some_and(|last| event.received.since(*last).as_secs() < THINNED) {
            return;
        }
        match self.last_beats.get_mut(worker) {
            Some(last) => *last = event.received,
            None => _ = self.last_beats.insert(worker.to_owned(), event.received),
        }
        if kind == "worker-offline" {
            self.last_beats.remove(worker);
        }
        let software = match (batch.text(event.sw_ident), batch.text(event.sw_ver)) {
            (Some(ident), Some(version)) => Some(format!("{ident} {version}")),
            _ => None,
        };
        self.beats.push(Beat {
            at: event.stamp.unwrap_or(event.received),
            kind,
            worker: worker.to_owned(),
            pid: event.pid.value(),
            active: event.active.value(),
            processed: event.processed.value(),
            load: event.loadavg.value(),
            software,
        });
    }

    /// Takes depths of queues.
    pub fn depths(&mut self, at: Stamp, depths: &[Depth]) {
        for depth in depths {
            let now = (depth.ready, depth.unacked);
            if let Some((last, ready, unacked)) = self.last_depths.get(&depth.name) {
                let age = at.since(*last).as_secs();
                if age < THINNED || (now == (*ready, *unacked) && age < DEPTH_AGAIN) {
                    continue;
                }
            }
            self.last_depths.insert(depth.name.clone(), (at, now.0, now.1));
            let depth = Depth {
                name: depth.name.clone(),
                ready: depth.ready,
                unacked: depth.unacked,
                consumers: depth.consumers,
                ..Depth::default()
            };
            self.depths.push((at, depth));
        }
    }

    /// Takes a mark.
    pub fn mark(&mut self, at: Stamp, text: &str) {
        self.marks.push((at, text.to_owned()));
    }

    /// Writes all that waits, or nothing. Returns how many rows of tasks were written.
    pub fn write(&mut self, now: Stamp) -> rusqlite::Result<usize> {
        let mut done = Vec::with_capacity(self.changed.len());
        let result = self.transact(now, &mut done);
        if result.is_err() {
            // Numbers given out in a transaction that failed don't exist.
            self.words = Words::default();
            self.blocks.forget();
            self.shed();
            result?;
        }
        for (handle, kind, more) in &done {
            let place = &mut self.places[handle.index()];
            (place.kind, place.more, place.changed) = (Some(*kind), *more, false);
        }
        self.changed.clear();
        self.told.clear();
        self.beats.clear();
        self.depths.clear();
        self.marks.clear();
        self.minutes.written();
        self.ids.written();
        self.blocks.written();
        while let Some(handle) = self.follower.forget_one(FOLLOWED, FOLLOWED_BYTES) {
            self.places[handle.index()] = Place::default();
        }
        Ok(done.len())
    }

    fn transact(&mut self, now: Stamp, done: &mut Vec<(Handle, i64, bool)>) -> rusqlite::Result<()> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let day = now.micros().div_euclid(86_400_000_000);
        let mut pen = Pen { words: &mut self.words, redactor: &self.redactor, day };
        for &handle in &self.changed {
            let place = self.places[handle.index()];
            let written = row::write(&tx, place.n, &self.follower.task(handle), place.more, &mut pen)?;
            self.blocks.put(&tx, place.n, written.at, written.kind, place.kind)?;
            done.push((handle, written.kind, written.more));
        }
        for told in &self.told {
            told.write(&tx, &mut pen)?;
        }
        self.minutes.write(&tx, pen.words)?;
        for beat in &self.beats {
            beat.write(&tx, pen.words)?;
        }
        for (at, depth) in &self.depths {
            let queue = pen.words.word(&tx, Some(&depth.name))?;
            let count = |n: Option<u64>| n.map(u64::cast_signed);
            let (ready, unacked, consumers) = (count(Some(depth.ready)), count(depth.unacked), count(depth.consumers));
            tx.prepare_cached("REPLACE INTO depth VALUES (?,?,?,?,?)")?.execute(params![
                ticks::of(*at),
                queue,
                ready,
                unacked,
                consumers
            ])?;
        }
        for (at, text) in &self.marks {
            let put = "INSERT INTO mark (at, body) VALUES (?,?)";
            tx.prepare_cached(put)?.execute(params![ticks::of(*at), text])?;
        }
        self.ids.write(&tx)?;
        self.blocks.write(&tx)?;
        schema::set(&tx, "next", self.next)?;
        tx.commit()
    }

    /// Nothing can be written, and too much waits: what is oldest is given up, and counted.
    fn shed(&mut self) {
        if self.changed.len() < WAITING {
            return;
        }
        self.missed += self.changed.len() as u64;
        self.told.clear();
        self.beats.clear();
        self.depths.clear();
        self.changed.clear();
        self.minutes.written();
        self.places.clear();
        self.follower = Follower::default();
    }
}

impl Beat {
    fn write(&self, db: &Connection, words: &mut Words) -> rusqlite::Result<()> {
        let (kind, worker) = (words.word(db, Some(self.kind))?, words.word(db, Some(&self.worker))?);
        let software = words.word(db, self.software.as_deref())?;
        let load = |i: usize| self.load.map(|load| load[i]);
        let put = "INSERT INTO worker_event (at, type, worker, pid, active, processed, load1, load5, load15, software) \
                   VALUES (?,?,?,?,?,?,?,?,?,?)";
        db.prepare_cached(put)?.execute(params![
            ticks::of(self.at),
            kind,
            worker,
            self.pid,
            self.active,
            self.processed,
            load(0),
            load(1),
            load(2),
            software
        ])?;
        Ok(())
    }
}
