//! What has to be known to take a command back, in the file of the audit log: messages to the letter that were taken out
//! of queues, written before they are taken, and which workers were told to consume a queue no longer. Messages are whole,
//! secrets and all, since a message without them is another one.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::audit::{Audit, Error};
use crate::celery::original::Original;
use crate::clock::Stamp;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS original (
        id INTEGER PRIMARY KEY, audit INTEGER NOT NULL, at REAL NOT NULL, broker TEXT NOT NULL, queue TEXT NOT NULL,
        priority INTEGER NOT NULL, task TEXT, name TEXT, state TEXT NOT NULL, body BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS original_by_task ON original(task);
    CREATE INDEX IF NOT EXISTS original_by_audit ON original(audit, state);
    CREATE TABLE IF NOT EXISTS held (
        broker TEXT NOT NULL, queue TEXT NOT NULL, worker TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (broker, queue, worker)
    );";

/// Seconds for which they are kept.
const KEPT: f64 = 30.0 * 86_400.0;
/// Messages kept that were only seen, and the bytes of one of them at the most.
const PEEKED: usize = 10_000;
const PEEKED_BYTES: usize = 1 << 20;
/// How well they are compressed: well enough, and quickly.
const LEVEL: i32 = 3;
/// Bytes of the largest message that is read back.
const LARGEST: usize = 512 << 20;

/// What became of a message that was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// About to be taken: whoever was to do it was stopped before he could say more.
    Taking,
    Taken,
    /// Somebody else, such as a worker, had taken it.
    Gone,
    /// It was taken, and is in its queue again.
    PutBack,
    /// It was only seen, and stayed where it was.
    Peeked,
    /// It was taken, and put into a queue again out of a file.
    Loaded,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Fate::Taking => "taking",
            Fate::Taken => "taken",
            Fate::Gone => "gone",
            Fate::PutBack => "put back",
            Fate::Peeked => "peeked",
            Fate::Loaded => "loaded",
        }
    }
}

/// A message with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: i64,
    pub original: Original,
}

/// Makes the table where there is none.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

impl Audit {
    /// Writes down messages that a command, by its row, is about to take out; returns their numbers.
    pub fn keep(&self, row: i64, at: Stamp, broker: &str, messages: &[Original]) -> Result<Vec<i64>, Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<Vec<i64>> {
            let tx = connection.transaction()?;
            prune(&tx, at)?;
            let write = |message: &Original| insert(&tx, row, (at, broker), message, Fate::Taking);
            let numbers = messages.iter().map(write).collect::<Result<_, _>>()?;
            tx.commit()?;
            Ok(numbers)
        };
        write().map_err(|e| self.error(&e))
    }

    /// Writes down messages that were seen in a queue and stay there, so that their tasks can be sent again exactly when
    /// they are gone. Each is kept once; of all the latest ones are.
    pub fn keep_peeked(&self, at: Stamp, broker: &str, messages: &[Original]) -> Result<(), Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<()> {
            let tx = connection.transaction()?;
            prune(&tx, at)?;
            for message in messages.iter().filter(|message| message.bytes.len() <= PEEKED_BYTES) {
                let Ok(read) = message.message() else { continue };
                let known = "SELECT 1 FROM original WHERE task = ? AND state = 'peeked'";
                if !tx.prepare_cached(known)?.exists([read.id.to_string()])? {
                    insert(&tx, NO_COMMAND, (at, broker), message, Fate::Peeked)?;
                }
            }
            tx.execute(
                "DELETE FROM original WHERE audit = ?1 AND state = 'peeked' AND id <= \
                 (SELECT id FROM original WHERE audit = ?1 AND state = 'peeked' ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                params![NO_COMMAND, PEEKED as i64],
            )?;
            tx.commit()
        };
        write().map_err(|e| self.error(&e))
    }

    /// Writes down what became of them.
    pub fn fated(&self, numbers: &[i64], fate: Fate) -> Result<(), Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<()> {
            let tx = connection.transaction()?;
            for number in numbers {
                tx.prepare_cached("UPDATE original SET state = ? WHERE id = ?")?
                    .execute(params![fate.word(), number])?;
            }
            tx.commit()
        };
        write().map_err(|e| self.error(&e))
    }

    /// How many messages of a command's row have this fate.
    pub fn count_kept(&self, row: i64, fate: Fate) -> Result<u64, Error> {
        let count = "SELECT count(*) FROM original WHERE audit = ? AND state = ?";
        let counted = self.connection().query_row(count, params![row, fate.word()], |r| r.get::<_, i64>(0));
        counted.map(|n| n.cast_unsigned()).map_err(|e| self.error(&e))
    }

    /// Up to `most` messages that a command took, in the order they waited, from the number after `after` on.
    pub fn kept(&self, row: i64, fate: Fate, after: i64, most: usize) -> Result<Vec<Kept>, Error> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<Kept>> {
            let mut find = connection.prepare_cached(
                "SELECT id, queue, priority, body FROM original WHERE audit = ? AND state = ? AND id > ? \
                 ORDER BY id LIMIT ?",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = find.query_map(params![row, fate.word(), after, most], |row| {
                Ok(Kept { id: row.get(0)?, original: original(row, 1)? })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.error(&e))
    }

    /// Writes down that messages wait again out of a file, each for the last command that had taken it. Says of which
    /// commands nothing is left to be put back.
    pub fn loaded(&self, broker: &str, messages: &[Original]) -> Result<Vec<i64>, Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<Vec<i64>> {
            let tx = connection.transaction()?;
            let mut of = BTreeSet::new();
            for id in messages.iter().filter_map(|message| Some(message.message().ok()?.id.to_string())) {
                let find = "SELECT id, audit FROM original WHERE task = ? AND broker = ? AND state = 'taken' \
                            ORDER BY id DESC LIMIT 1";
                let found: Option<(i64, i64)> = tx
                    .prepare_cached(find)?
                    .query_row([&id, broker], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((number, row)) = found {
                    tx.prepare_cached("UPDATE original SET state = ? WHERE id = ?")?
                        .execute(params![Fate::Loaded.word(), number])?;
                    of.insert(row);
                }
            }
            let mut over = Vec::new();
            for row in of {
                let left = "SELECT count(*) FROM original WHERE audit = ? AND state IN ('taken', 'taking')";
                if tx.query_row(left, [row], |found| found.get::<_, i64>(0))? == 0 {
                    over.push(row);
                }
            }
            tx.commit()?;
            Ok(over)
        };
        write().map_err(|e| self.error(&e))
    }

    /// How many of these messages were dumped and are back by an undo: in a file they are a second time.
    pub fn undumped(&self, broker: &str, messages: &[Original]) -> Result<u64, Error> {
        let connection = self.connection();
        let count = || -> rusqlite::Result<u64> {
            let mut find = connection.prepare_cached(
                "SELECT o.state = 'put back' AND a.command = 'dump' FROM original o JOIN audit a ON a.id = o.audit \
                 WHERE o.task = ? AND o.broker = ? AND o.state != 'gone' ORDER BY o.id DESC LIMIT 1",
            )?;
            let mut n = 0;
            for id in messages.iter().filter_map(|message| Some(message.message().ok()?.id.to_string())) {
                n += u64::from(find.query_row([&id, broker], |row| row.get::<_, bool>(0)).optional()?.unwrap_or(false));
            }
            Ok(n)
        };
        count().map_err(|e| self.error(&e))
    }

    /// Writes down which workers were told to consume a queue no longer; with none, that it is held no more.
    pub fn hold(&self, broker: &str, queue: &str, at: Stamp, workers: &[String]) -> Result<(), Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<()> {
            let tx = connection.transaction()?;
            if workers.is_empty() {
                tx.execute("DELETE FROM held WHERE broker = ? AND queue = ?", [broker, queue])?;
            }
            for worker in workers {
                tx.execute("INSERT OR IGNORE INTO held VALUES (?,?,?,?)", params![broker, queue, worker, at.secs()])?;
            }
            tx.commit()
        };
        write().map_err(|e| self.error(&e))
    }

    /// Every queue of a broker that is held, with each worker that was told to consume it no longer.
    pub fn held(&self, broker: &str) -> Result<Vec<(String, String)>, Error> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut find = connection.prepare("SELECT queue, worker FROM held WHERE broker = ? ORDER BY 1, 2")?;
            let rows = find.query_map([broker], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(|e| self.error(&e))
    }

    /// The last message of a task that was taken out of a queue, or seen in one.
    pub fn original_of(&self, task: &str) -> Result<Option<Original>, Error> {
        let find = "SELECT queue, priority, body FROM original WHERE task = ? AND state != 'gone' ORDER BY id DESC";
        let found = self.connection().query_row(find, [task], |row| original(row, 0)).optional();
        found.map_err(|e| self.error(&e))
    }
}

/// The row of the audit log of what no command has done.
const NO_COMMAND: i64 = 0;

/// Forgets what is older than is kept, some at a time.
fn prune(db: &Connection, at: Stamp) -> rusqlite::Result<()> {
    let prune = "DELETE FROM original WHERE id IN (SELECT id FROM original WHERE at < ? LIMIT 1000)";
    db.execute(prune, [at.secs() - KEPT]).map(|_| ())
}

fn insert(
    db: &Connection,
    row: i64,
    (at, broker): (Stamp, &str),
    message: &Original,
    fate: Fate,
) -> rusqlite::Result<i64> {
    let read = message.message().ok();
    let (task, name) = (read.as_ref().map(|m| m.id.to_string()), read.as_ref().map(|m| &m.name));
    let body = zstd::bulk::compress(&message.bytes, LEVEL)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    db.prepare_cached(
        "INSERT INTO original (audit, at, broker, queue, priority, task, name, state, body) \
         VALUES (?,?,?,?,?,?,?,?,?)",
    )?
    .execute(params![row, at.secs(), broker, message.queue, message.priority, task, name, fate.word(), body])?;
    Ok(db.last_insert_rowid())
}

fn original(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Original> {
    let body: Vec<u8> = row.get(first + 2)?;
    let bytes = zstd::bulk::decompress(&body, LARGEST)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(first + 2, rusqlite::types::Type::Blob, Box::new(e)))?;
    Ok(Original { queue: row.get(first)?, priority: row.get(first + 1)?, bytes: bytes.into() })
}

#[cfg(test)]
mod tests {
    use super::super::audit::{Entry, Origin};
    use super::*;

    #[test]
    fn a_message_that_was_taken_is_found_again_to_the_letter() {
        let folder = tempfile::tempdir().expect("temp");
        let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
        let row = audit.asked(Stamp::EPOCH, &Origin::default(), "b", &Entry::default()).expect("written");
        let message = |id: &str| Original {
            queue: "q".into(),
            priority: 3,
            bytes: format!(r#"{{"body": "W10=", "headers": {{"task": "t", "id": "{id}", "x": "é"}}}}"#)
                .into_bytes()
                .into(),
        };
        let numbers = audit.keep(row, Stamp::EPOCH, "b", &[message("a"), message("b")]).expect("kept");
        audit.fated(&numbers[..1], Fate::Taken).expect("written");
        audit.fated(&numbers[1..], Fate::Gone).expect("written");
        let kept = audit.kept(row, Fate::Taken, 0, 9).expect("read");
        assert_eq!(kept.iter().map(|k| k.original.clone()).collect::<Vec<_>>(), [message("a")]);
        assert_eq!(audit.original_of("a").expect("read"), Some(message("a")));
        assert_eq!(audit.original_of("b").expect("read"), None, "a worker had it");
        // What is only seen is kept once, and the latest of it.
        for _ in 0..2 {
            audit.keep_peeked(Stamp::EPOCH, "b", &[message("b"), message("c")]).expect("kept");
        }
        let peeked = "SELECT count(*) FROM original WHERE state = 'peeked'";
        let count = |sql: &str| audit.connection().query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
        assert_eq!((count(peeked), audit.original_of("c").expect("read")), (2, Some(message("c"))));
        let many: Vec<Original> = (0..PEEKED).map(|n| message(&format!("m{n}"))).collect();
        audit.keep_peeked(Stamp::EPOCH, "b", &many).expect("kept");
        assert_eq!((count(peeked), audit.original_of("c").expect("read")), (PEEKED as i64, None));
        assert_eq!((audit.count_kept(row, Fate::Taken), audit.count_kept(row, Fate::Taking)).0.expect("counted"), 1);
        for _ in 0..11 {
            audit.keep_peeked(Stamp::from_micros(31 * 86_400_000_000), "b", &[]).expect("pruned");
        }
        assert_eq!(count("SELECT count(*) FROM original"), 0, "after a month");
    }
}
