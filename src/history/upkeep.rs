//! Keeping a file in order: what takes how much room, whether it holds together, copies, and what another file holds.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Result, params};

use super::archive::Archive;
use super::blocks::{BLOCK, Block};
use super::lock::Lock;
use super::prune::{self, Keep};
use super::row::{self, Dictionary};
use super::told::{self, Told};
use super::{Error, audit, ids, schema, ticks};
use crate::celery::event::Event;
use crate::clock::Stamp;
use crate::redact::Redactor;

/// Bytes of each table with its indexes, the largest first, and of what is free.
pub fn sizes(path: &Path) -> Result<Vec<(String, u64)>, Error> {
    let db = schema::open_to_read(path)?;
    let read = || -> Result<Vec<(String, u64)>> {
        let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
        let mut rows = db.prepare(
            "SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name \
             WHERE d.aggregate = TRUE GROUP BY 1",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            *sizes.entry(row.get(0)?).or_default() += row.get::<_, i64>(1)?;
        }
        let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (all, page) = (number("page_count")?, number("page_size")?);
        let known: i64 = sizes.values().sum();
        sizes.insert("(free)".into(), number("freelist_count")? * page);
        // Pages that say where others are, so that free ones can be given back.
        sizes.insert("(page map)".into(), (all - number("freelist_count")?) * page - known);
        let mut sizes: Vec<(String, u64)> =
            sizes.into_iter().map(|(name, n)| (name, n.max(0).cast_unsigned())).collect();
        sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        Ok(sizes)
    };
    read().map_err(|e| Error::of(path, &e))
}

/// Prunes until nothing is left to prune; says how many steps that took.
pub fn prune(path: &Path, keep: &Keep, now: Stamp) -> Result<u64, Error> {
    let _lock = lock(path)?;
    let mut db = schema::open(path)?;
    let mut steps = 0;
    while prune::step(&mut db, keep, now).map_err(|e| Error::of(path, &e))? {
        steps += 1;
    }
    Ok(steps)
}

fn lock(path: &Path) -> Result<Lock, Error> {
    match Lock::take(path) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::new(path, "a recorder has it open for writing: stop it first".into())),
        Err(error) => Err(Error::io(path, &error)),
    }
}

/// Copies a file as it is now into a new one.
pub fn backup(path: &Path, to: &Path) -> Result<u64, Error> {
    let db = schema::open_to_read(path)?;
    if to.exists() {
        return Err(Error::new(to, "there is such a file already: nothing was written".into()));
    }
    // It has to be there, and empty, so that only its owner may read it from the first byte on.
    audit::make(to).map_err(|e| Error::io(to, &e))?;
    let copied = db.execute("VACUUM INTO ?", [to.to_string_lossy()]);
    if let Err(error) = copied {
        // Half a copy is of no use.
        let _ = std::fs::remove_file(to);
        return Err(Error::of(to, &error));
    }
    std::fs::metadata(to).map(|meta| meta.len()).map_err(|e| Error::io(to, &e))
}

/// What the file remembers its last copy by.
const BACKED_UP: &str = "backed_up";

/// Notes in a file that it was copied, so that somebody can be told when it was not for long.
pub fn note_backup(path: &Path, at: Stamp) -> Result<(), Error> {
    let db = schema::open(path)?;
    schema::set(&db, BACKED_UP, ticks::of(at)).map_err(|e| Error::of(path, &e))
}

/// When a file was last copied.
pub fn backed_up(path: &Path) -> Result<Option<Stamp>, Error> {
    let db = schema::open_to_read(path)?;
    Ok(schema::get(&db, BACKED_UP).map_err(|e| Error::of(path, &e))?.map(ticks::stamp))
}

/// Reads everything, and says what does not hold together; nothing where all does.
pub fn check(path: &Path) -> Result<Vec<String>, Error> {
    let db = schema::open_to_read(path)?;
    let look = || -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut rows = db.prepare("PRAGMA integrity_check(20)")?;
        let lines: Vec<String> = rows.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
        wrong.extend(lines.into_iter().filter(|line| line != "ok"));
        wrong.extend(check_blocks(&db)?);
        wrong.extend(check_ids(&db)?);
        for (what, count) in [
            ("tasks of an unknown kind", "SELECT count(*) FROM task WHERE kind NOT IN (SELECT id FROM kind)"),
            ("tasks of an unknown route", "SELECT count(*) FROM task WHERE route NOT IN (SELECT id FROM route)"),
            (
                "arguments whose text is missing",
                "SELECT count(*) FROM task WHERE typeof(args) = 'integer' AND args NOT IN (SELECT id FROM text)",
            ),
        ] {
            let n: i64 = db.query_row(count, [], |row| row.get(0))?;
            wrong.extend((n > 0).then(|| format!("{n} {what}")));
        }
        Ok(wrong)
    };
    look().map_err(|e| Error::of(path, &e))
}

fn check_blocks(db: &Connection) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut real: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    let mut rows = db.prepare("SELECT n / ?, kind, count(*) FROM task GROUP BY 1, 2")?;
    let mut rows = rows.query([BLOCK])?;
    while let Some(row) = rows.next()? {
        real.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
    }
    let mut rows = db.prepare("SELECT n, first, last, rows, kinds, pruned FROM block")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (n, block): (i64, _) = (row.get(0)?, Block::read(row, 1)?);
        let there = real.remove(&n).unwrap_or_default();
        if there != block.kinds || there.values().sum::<i64>() != block.rows {
            wrong.push(format!("the summary of tasks {} to {} does not fit them", n * BLOCK, n * BLOCK + BLOCK - 1));
        }
    }
    wrong.extend(real.keys().map(|n| format!("tasks from {} on have no summary", n * BLOCK)));
    Ok(wrong)
}

fn check_ids(db: &Connection) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for segment in ids::segments(db)? {
        for (print, place) in ids::entries(db, segment)? {
            if !ids::has(db, segment, print, place)? {
                wrong.push(format!("task {} can't be found by its id", segment * ids::SEGMENT + i64::from(place)));
            }
        }
    }
    Ok(wrong)
}

/// Mends what is made of the tasks themselves: summaries and tables of ids.
pub fn mend(path: &Path) -> Result<(), Error> {
    let _lock = lock(path)?;
    let mut db = schema::open(path)?;
    let mut work = || -> Result<()> {
        let tx = db.transaction()?;
        tx.execute("DELETE FROM block", [])?;
        let last: Option<i64> = tx.query_row("SELECT max(n) FROM task", [], |row| row.get(0))?;
        let last = last.unwrap_or(0);
        for n in 0..=last / BLOCK {
            prune::recount(&tx, n, 0)?;
        }
        for segment in 0..last / ids::SEGMENT {
            let entries = ids::entries(&tx, segment)?;
            ids::write_segment(&tx, segment, &entries)?;
        }
        tx.commit()
    };
    work().map_err(|e| Error::of(path, &e))
}

/// What was taken over from another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Tasks looked at.
    pub tasks: u64,
    /// Events that were not known.
    pub events: u64,
}

/// Adds what another file holds. Events that are known already are left out, so that two files of one cluster can be
/// merged, and one file twice.
pub fn merge(path: &Path, other: &Path, redactor: Redactor, now: Stamp) -> Result<Merged, Error> {
    let from = schema::open_to_read(other)?;
    let _lock = lock(path)?;
    let mut archive = Archive::open(path, redactor)?;
    let mut merged = Merged::default();
    let mut next = 0;
    loop {
        let last = merge_some(&from, &mut archive, next, &mut merged).map_err(|e| Error::of(other, &e))?;
        archive.write(now).map_err(|e| Error::of(path, &e))?;
        match last {
            Some(last) => next = last + 1,
            None => break,
        }
    }
    merge_rest(archive.db(), other).map_err(|e| Error::of(path, &e))?;
    Ok(merged)
}

/// Tasks taken over in one transaction.
const AT_ONCE: i64 = 2_000;

fn merge_some(from: &Connection, archive: &mut Archive, next: i64, merged: &mut Merged) -> Result<Option<i64>> {
    let mut dictionary = Dictionary::default();
    let select = format!("SELECT {} FROM task WHERE n >= ? ORDER BY n LIMIT ?", row::COLUMNS);
    let mut select = from.prepare_cached(&select)?;
    let mut rows = select.query([next, AT_ONCE])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        let doc = dictionary.doc(from, row)?;
        for event in told::events(&doc, &Told::read(from, n)?) {
            let at = event["timestamp"].as_f64().and_then(Stamp::from_secs).unwrap_or(Stamp::EPOCH);
            let batch = super::batch(vec![event], at);
            for event in &batch.events {
                if let Event::Task(event) = event {
                    merged.events += u64::from(archive.merge(&batch, event)?);
                }
            }
        }
        merged.tasks += 1;
        last = Some(n);
    }
    Ok(last)
}

/// Events of workers, depths, marks and the audit log are copied as they are, unless they are there.
fn merge_rest(db: &mut Connection, other: &Path) -> Result<()> {
    db.execute("ATTACH ? AS other", [other.to_string_lossy()])?;
    let tx = db.transaction()?;
    tx.execute_batch(
        "INSERT OR IGNORE INTO word (body) SELECT body FROM other.word WHERE body IS NOT NULL;
         CREATE TEMP TABLE same AS SELECT o.id AS theirs, w.id AS ours FROM other.word o JOIN main.word w ON w.body IS o.body;
         INSERT INTO worker_event (at, type, worker, pid, active, processed, load1, load5, load15, software)
            SELECT e.at, t.ours, w.ours, e.pid, e.active, e.processed, e.load1, e.load5, e.load15, s.ours
            FROM other.worker_event e JOIN same t ON t.theirs = e.type JOIN same w ON w.theirs = e.worker
            JOIN same s ON s.theirs = e.software WHERE NOT EXISTS (
                SELECT 1 FROM main.worker_event m WHERE m.at = e.at AND m.worker = w.ours AND m.type = t.ours) ORDER BY e.at;
         INSERT OR IGNORE INTO depth SELECT d.at, q.ours, d.ready, d.unacked, d.consumers
            FROM other.depth d JOIN same q ON q.theirs = d.queue;
         INSERT INTO mark (at, body) SELECT at, body FROM other.mark o WHERE NOT EXISTS (
            SELECT 1 FROM main.mark m WHERE m.at = o.at AND m.body = o.body);
         DROP TABLE same;",
    )?;
    let has_audit = |schema: &str| -> Result<bool> {
        let count = format!("SELECT count(*) FROM {schema}.sqlite_schema WHERE name = 'audit'");
        tx.query_row(&count, [], |row| row.get::<_, i64>(0)).map(|n| n > 0)
    };
    if has_audit("other")? && has_audit("main")? {
        let columns =
            "asked, answered, user, ssh, sudo_user, via, broker, command, target, outcome, replies, arguments, line";
        tx.execute(
            &format!(
                "INSERT INTO audit ({columns}) SELECT {columns} FROM other.audit o WHERE NOT EXISTS (\
                 SELECT 1 FROM main.audit m WHERE m.asked = o.asked AND m.command = o.command AND m.target = o.target)"
            ),
            params![],
        )?;
    }
    tx.commit()?;
    db.execute_batch("DETACH other")
}
