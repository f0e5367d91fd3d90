//! The file itself: how it is made, opened and recognised.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{Error, audit};

/// Of the tables in `schema.sql`.
const VERSION: i64 = 1;
/// Tells our files from others: `flwr` (SQLite's `application_id`).
pub const APPLICATION: i64 = 0x666c_7772;
/// Kilobytes of pages the writer keeps in memory.
const CACHE: i64 = 8_000;

/// Opens the file for writing, and makes it (0600) and its folder (0700) where there are none.
pub fn open(path: &Path) -> Result<Connection, Error> {
    let fail = |e: rusqlite::Error| Error::of(path, &e);
    audit::make(path).map_err(|e| Error::io(path, &e))?;
    let mut db = Connection::open(path).map_err(fail)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(fail)?;
    db.set_prepared_statement_cache_capacity(64);
    let found = (pragma(&db, "application_id").map_err(fail)?, pragma(&db, "user_version").map_err(fail)?);
    if found != (APPLICATION, VERSION) && found != (0, 0) {
        return Err(strange(path, found));
    }
    // Takes effect only before the first table is made.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(fail)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    db.pragma_update(None, "synchronous", "NORMAL").map_err(fail)?;
    db.pragma_update(None, "cache_size", -CACHE).map_err(fail)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20).map_err(fail)?;
    if found == (0, 0) {
        make(&mut db, path)?;
    }
    renew_views(&mut db).map_err(fail)?;
    Ok(db)
}

/// Views are made anew when they are not those of this program: they are how the tables are read, and hold nothing.
fn renew_views(db: &mut Connection) -> rusqlite::Result<()> {
    let views = include_str!("views.sql");
    let hash = super::words::hash(views.as_bytes());
    if get(db, "views")? == Some(hash) {
        return Ok(());
    }
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(views)?;
    set(&tx, "views", hash)?;
    tx.commit()
}

fn make(db: &mut Connection, path: &Path) -> Result<(), Error> {
    let fail = |e: rusqlite::Error| Error::of(path, &e);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    if pragma(&tx, "application_id").map_err(fail)? == APPLICATION {
        return Ok(()); // Somebody was quicker.
    }
    let tables: i64 =
        tx.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).map_err(fail)?;
    if tables > 0 {
        return Err(Error::new(path, "it is a database of something else; name another file".into()));
    }
    tx.execute_batch(include_str!("schema.sql")).map_err(fail)?;
    tx.pragma_update(None, "application_id", APPLICATION).map_err(fail)?;
    tx.pragma_update(None, "user_version", VERSION).map_err(fail)?;
    tx.commit().map_err(fail)
}

/// Opens the file for looking only.
pub fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let fail = |e: rusqlite::Error| Error::of(path, &e);
    if !path.exists() {
        return Err(Error::new(path, "there is no such file; `flower-tui record` makes one".into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(fail)?;
    db.busy_timeout(Duration::from_secs(2)).map_err(fail)?;
    db.set_prepared_statement_cache_capacity(64);
    let found = (pragma(&db, "application_id").map_err(fail)?, pragma(&db, "user_version").map_err(fail)?);
    if found != (APPLICATION, VERSION) {
        return Err(strange(path, found));
    }
    db.pragma_update(None, "mmap_size", 8_i64 << 30).map_err(fail)?;
    Ok(db)
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |row| row.get(0))
}

fn strange(path: &Path, (application, version): (i64, i64)) -> Error {
    let why = match application {
        APPLICATION if version > VERSION => {
            format!(
                "it is of a newer flower-tui (format {version}, this one reads {VERSION}): update, or name another file"
            )
        }
        0 => "it holds no history yet".to_owned(),
        _ => "it is a database of something else; name another file".to_owned(),
    };
    Error::new(path, why)
}

/// A number kept in the file.
pub fn get(db: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT value FROM meta WHERE key = ?")?.query_row([key], |row| row.get(0)).optional()
}

/// Keeps a number in the file.
pub fn set(db: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    db.prepare_cached("REPLACE INTO meta (key, value) VALUES (?,?)")?.execute(params![key, value])?;
    Ok(())
}

/// The row of the next new task: numbers are never used again, even when what had them is pruned.
pub fn next_row(db: &Connection) -> rusqlite::Result<i64> {
    let known = get(db, "next")?.unwrap_or(1);
    let there: Option<i64> = db.query_row("SELECT max(n) FROM task", [], |row| row.get(0))?;
    Ok(known.max(there.unwrap_or(0) + 1))
}
