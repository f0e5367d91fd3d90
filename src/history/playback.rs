//! A stretch of the past, event by event in the order of time: to be played again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use rusqlite::{Connection, Result, params};
use serde_json::{Value, json};

use super::blocks::BLOCK;
use super::row::{self, Dictionary};
use super::told::{self, Told};
use super::{Error, schema, ticks};
use crate::clock::Stamp;

/// Tasks read at a time.
const CHUNK: i64 = 200;
/// Seconds between heartbeats that are kept of a worker: what one says is taken to hold for as long.
const FREQ: f64 = 10.0;

/// An event that waits for its turn: earliest first, then in the order they were read.
struct Waiting {
    at: Stamp,
    number: u64,
    event: Value,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// See the module.
pub struct Playback {
    db: Connection,
    dictionary: Dictionary,
    waiting: BinaryHeap<Reverse<Waiting>>,
    number: u64,
    /// The next row of a task, and of a worker's event; `None` behind the last one.
    task: Option<i64>,
    beat: Option<i64>,
    from: Stamp,
    until: Stamp,
    /// Up to here everything was read.
    read: Stamp,
}

impl Playback {
    /// What happened from one time on until another.
    pub fn open(path: &Path, from: Stamp, until: Stamp) -> std::result::Result<Self, Error> {
        let db = schema::open_to_read(path)?;
        let find = || -> Result<(Option<i64>, Option<i64>)> {
            let at = ticks::of(from);
            let block: Option<i64> =
                db.query_row("SELECT min(n) FROM block WHERE last >= ?", [at], |row| row.get(0))?;
            let beat = db.query_row("SELECT min(id) FROM worker_event WHERE at >= ?", [at], |row| row.get(0))?;
            Ok((block.map(|n| n * BLOCK), beat))
        };
        let (task, beat) = find().map_err(|e| Error::of(path, &e))?;
        Ok(Self {
            db,
            dictionary: Dictionary::default(),
            waiting: BinaryHeap::new(),
            number: 0,
            task,
            beat,
            from,
            until,
            read: from,
        })
    }

    /// The next event, and when it happened.
    pub fn step(&mut self) -> Result<Option<(Stamp, Value)>> {
        loop {
            let due = self.waiting.peek().is_some_and(|Reverse(next)| self.task.is_none() || next.at < self.read);
            if due && let Some(Reverse(next)) = self.waiting.pop() {
                if next.at >= self.from && next.at < self.until {
                    return Ok(Some((next.at, next.event)));
                }
                continue;
            }
            if self.task.is_none() && self.waiting.is_empty() {
                return Ok(None);
            }
            self.read_tasks()?;
            self.read_beats()?;
        }
    }

    fn put(&mut self, at: Stamp, event: Value) {
        self.number += 1;
        self.waiting.push(Reverse(Waiting { at, number: self.number, event }));
    }

    fn read_tasks(&mut self) -> Result<()> {
        let Some(from) = self.task else { return Ok(()) };
        let mut found = Vec::new();
        {
            let select = format!("SELECT {} FROM task WHERE n >= ? ORDER BY n LIMIT ?", row::COLUMNS);
            let mut select = self.db.prepare_cached(&select)?;
            let mut rows = select.query(params![from, CHUNK])?;
            while let Some(row) = rows.next()? {
                let n: i64 = row.get(0)?;
                let doc = self.dictionary.doc(&self.db, row)?;
                found.push((n, told::events(&doc, &Told::read(&self.db, n)?)));
            }
        }
        self.task = found.last().map(|(n, _)| n + 1).filter(|_| found.len() as i64 == CHUNK);
        let at = |event: &Value| event["timestamp"].as_f64().and_then(Stamp::from_secs).unwrap_or(Stamp::EPOCH);
        // Rows come in the order tasks were first heard of: what comes later did not begin before.
        if let Some(first) = found.last().and_then(|(_, events)| events.first()) {
            self.read = self.read.max(at(first));
        }
        if self.read >= self.until {
            self.task = None;
        }
        for event in found.into_iter().flat_map(|(_, events)| events) {
            self.put(at(&event), event);
        }
        Ok(())
    }

    /// Workers' events up to where tasks were read.
    fn read_beats(&mut self) -> Result<()> {
        let Some(from) = self.beat else { return Ok(()) };
        let until = ticks::of(if self.task.is_none() { self.until } else { self.read });
        let mut found = Vec::new();
        {
            let mut select = self.db.prepare_cached(
                "SELECT e.id, e.at, t.body, w.body, e.pid, e.active, e.processed, e.load1, e.load5, e.load15, s.body \
                 FROM worker_event e JOIN word t ON t.id = e.type JOIN word w ON w.id = e.worker \
                 JOIN word s ON s.id = e.software WHERE e.id >= ? ORDER BY e.id",
            )?;
            let mut rows = select.query([from])?;
            while let Some(row) = rows.next()? {
                let (id, ticks): (i64, i64) = (row.get(0)?, row.get(1)?);
                if ticks >= until {
                    self.beat = Some(id);
                    break;
                }
                let load = [row.get::<_, Option<f64>>(7)?, row.get(8)?, row.get(9)?];
                let software: Option<String> = row.get(10)?;
                let (ident, version) = software.as_deref().and_then(|s| s.split_once(' ')).unzip();
                let mut event = json!({
                    "type": row.get::<_, String>(2)?, "hostname": row.get::<_, String>(3)?, "timestamp": ticks::secs(ticks),
                    "pid": row.get::<_, Option<i64>>(4)?, "active": row.get::<_, Option<i64>>(5)?,
                    "processed": row.get::<_, Option<i64>>(6)?, "freq": FREQ, "sw_ident": ident, "sw_ver": version,
                });
                if load[0].is_some() {
                    event["loadavg"] = json!(load);
                }
                found.push((id, ticks::stamp(ticks), event));
            }
        }
        if let Some((last, ..)) = found.last()
            && self.beat == Some(from)
        {
            self.beat = Some(last + 1);
        }
        for (_, at, event) in found {
            self.put(at, event);
        }
        Ok(())
    }
}
