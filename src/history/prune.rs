//! What is kept for how long. Old rows go in small steps between two writes, so that writing never stalls, and their room
//! goes back to the file system.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, TransactionBehavior, params};

use super::archive::Archive;
use super::blocks::{BLOCK, Block};
use super::{ids, schema, ticks};
use crate::clock::Stamp;

/// How long each kind of thing is kept, and how large the file may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Single events, of tasks and workers, and depths of queues.
    pub events: Duration,
    pub tasks: Duration,
    /// Tasks that failed.
    pub failures: Duration,
    /// What each task name did by the minute.
    pub aggregates: Duration,
    /// Bytes; `None` is without limit.
    pub max_size: Option<u64>,
}

const DAY: u64 = 86_400;

impl Default for Keep {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * DAY);
        Self { events: days(7), tasks: days(30), failures: days(90), aggregates: days(730), max_size: None }
    }
}

/// Seconds between two looks for something to prune, while there is nothing.
const LOOK: Duration = Duration::from_secs(60);
/// Rows of events taken away at a time.
const AT_ONCE: i64 = 2_000;
/// Pages given back to the file system at a time.
const PAGES: i64 = 500;
/// How long a task may be kept beyond its time: a block that is partly too old is gone through again after so long.
const LATE: i64 = 60 * ticks::SECOND;

/// Prunes step by step.
pub struct Pruner {
    keep: Keep,
    /// When there was last nothing to do.
    idle_since: Option<Stamp>,
}

impl Pruner {
    pub fn new(keep: Keep) -> Self {
        Self { keep, idle_since: None }
    }

    /// Does a little of what is due; says whether there may be more.
    pub fn step(&mut self, archive: &mut Archive, now: Stamp) -> Result<bool> {
        if self.idle_since.is_some_and(|since| now.since(since) < LOOK && now >= since) {
            return Ok(false);
        }
        let more = step(archive.db(), &self.keep, now)?;
        if more {
            archive.forget_blocks();
        }
        self.idle_since = (!more).then_some(now);
        Ok(more)
    }
}

/// Does a little of what is due in a file that is open for writing; says whether there may be more.
pub fn step(db: &mut Connection, keep: &Keep, now: Stamp) -> Result<bool> {
    let before = |age: Duration| ticks::of(now - age);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = before(keep.events);
    if schema::get(&tx, "events_from")?.is_none_or(|known| known < from) {
        schema::set(&tx, "events_from", from)?;
    }
    let mut more = drop_old(&tx, "event", from)? | drop_old(&tx, "worker_event", from)?;
    more |= tx.execute(
        "DELETE FROM depth WHERE (at, queue) IN (SELECT at, queue FROM depth WHERE at < ? LIMIT ?)",
        [from, AT_ONCE],
    )? > 0;
    let minute = (now - keep.aggregates).micros().div_euclid(60_000_000);
    more |= tx.execute(
        "DELETE FROM minute WHERE (at, name) IN (SELECT at, name FROM minute WHERE at < ? LIMIT ?)",
        [minute, AT_ONCE],
    )? > 0;
    tx.execute("DELETE FROM mark WHERE at < ?", [before(keep.aggregates)])?;
    more |= prune_block(&tx, keep, now)?;
    tx.commit()?;
    more |= shrink(db, keep)?;
    Ok(more)
}

fn drop_old(db: &Connection, table: &str, from: i64) -> Result<bool> {
    // Rows come nearly in the order of time: the old ones are at the beginning.
    let delete =
        format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT {AT_ONCE}) AND at < ?");
    Ok(db.execute(&delete, [from])? > 0)
}

/// The first block that has something to lose. Of a block that only failures are left of, `pruned` lies behind `last`.
fn prune_block(db: &Connection, keep: &Keep, now: Stamp) -> Result<bool> {
    let (tasks, failures) = (ticks::of(now - keep.tasks), ticks::of(now - keep.failures));
    let due = db
        .prepare_cached(
            "SELECT n, first, last, rows, kinds, pruned FROM block \
             WHERE (first < ?1 AND pruned <= last AND pruned < ?2) OR first < ?3 ORDER BY n LIMIT 1",
        )?
        .query_row([tasks, tasks - LATE, failures.min(tasks)], |row| Ok((row.get(0)?, Block::read(row, 1)?)))
        .optional()?;
    let Some((n, block)) = due else { return Ok(false) };
    prune_rows(db, n, tasks.max(block.pruned), tasks, failures.min(tasks))?;
    Ok(true)
}

/// Takes away what is too old of a block: `tasks` and `failures` are the ticks from which on each is kept.
fn prune_rows(db: &Connection, n: i64, pruned: i64, tasks: i64, failures: i64) -> Result<()> {
    let (from, to) = (n * BLOCK, n * BLOCK + BLOCK - 1);
    let old = "SELECT t.n FROM task t JOIN kind k ON k.id = t.kind JOIN word w ON w.id = k.state \
               WHERE t.n BETWEEN ?1 AND ?2 AND t.at < CASE w.body WHEN 'FAILURE' THEN ?4 ELSE ?3 END";
    for table in ["more", "event", "task"] {
        let column = if table == "event" { "task" } else { "n" };
        let delete = format!("DELETE FROM {table} WHERE {column} IN ({old})");
        db.prepare_cached(&delete)?.execute(params![from, to, tasks, failures])?;
    }
    recount(db, n, pruned)?;
    // The table of ids has entries for rows that are gone: it is made anew behind the last block of its segment.
    if (to + 1) % ids::SEGMENT == 0 {
        let segment = from / ids::SEGMENT;
        let entries = ids::entries(db, segment)?;
        ids::write_segment(db, segment, &entries)?;
        if entries.is_empty() {
            db.execute("DELETE FROM bloom WHERE segment = ?", [segment])?;
        }
    }
    Ok(())
}

/// Counts what is left in a block.
pub fn recount(db: &Connection, n: i64, pruned: i64) -> Result<()> {
    let mut block = Block { pruned, ..Block::default() };
    let mut rows =
        db.prepare_cached("SELECT kind, count(*), min(at), max(at) FROM task WHERE n BETWEEN ? AND ? GROUP BY kind")?;
    let mut rows = rows.query([n * BLOCK, n * BLOCK + BLOCK - 1])?;
    while let Some(row) = rows.next()? {
        let (count, first, last): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        block.first = if block.rows == 0 { first } else { block.first.min(first) };
        block.last = if block.rows == 0 { last } else { block.last.max(last) };
        block.rows += count;
        block.kinds.insert(row.get(0)?, count);
    }
    block.write(db, n)
}

/// Gives free pages back, and takes the oldest block away while the file is too large.
fn shrink(db: &mut Connection, keep: &Keep) -> Result<bool> {
    let number = |db: &Connection, name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let free = number(db, "freelist_count")?;
    if free > PAGES {
        db.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        return Ok(true);
    }
    let size = (number(db, "page_count")? - free) * number(db, "page_size")?;
    let Some(most) = keep.max_size else { return Ok(false) };
    if size.cast_unsigned() <= most {
        return Ok(false);
    }
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // What is being written at the moment is left alone.
    let newest = schema::next_row(&tx)? / BLOCK - 4;
    let oldest = "SELECT n, last < pruned FROM block WHERE n < ? ORDER BY last < pruned, n LIMIT 1";
    let oldest = tx.query_row(oldest, [newest], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((n, failures_left)): Option<(i64, bool)> = oldest else { return Ok(false) };
    // Successes first; where only failures are left anywhere, they go too.
    prune_rows(&tx, n, i64::MAX, i64::MAX, if failures_left { i64::MAX } else { i64::MIN })?;
    tx.commit()?;
    Ok(true)
}
