//! Bulk actions, in the file of the audit log: what is to be sent is frozen before the first message goes, and each message
//! is crossed off when it has gone, so that one that was broken off can be resumed.

use rusqlite::{Connection, OptionalExtension, params};

use super::audit::{Audit, Error};
use crate::celery::original::Original;
use crate::clock::Stamp;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS bulk (
        id INTEGER PRIMARY KEY, audit INTEGER NOT NULL, at REAL NOT NULL, broker TEXT NOT NULL, verb TEXT NOT NULL,
        rate REAL NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE IF NOT EXISTS bulk_item (
        bulk INTEGER NOT NULL, n INTEGER NOT NULL, task TEXT NOT NULL, new TEXT NOT NULL, queue TEXT NOT NULL,
        priority INTEGER NOT NULL, sent REAL, body BLOB NOT NULL, PRIMARY KEY (bulk, n)
    ) WITHOUT ROWID;";

/// How a bulk action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    Going,
    /// It waits for a person: after its canary, or because it braked.
    Paused,
    /// Somebody has asked it to stop.
    Stopping,
    Stopped,
    Done,
}

impl Stand {
    const ALL: [Stand; 5] = [Stand::Going, Stand::Paused, Stand::Stopping, Stand::Stopped, Stand::Done];

    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Stand::Going => "going",
            Stand::Paused => "paused",
            Stand::Stopping => "stopping",
            Stand::Stopped => "stopped",
            Stand::Done => "done",
        }
    }

    fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|stand| stand.word() == word).unwrap_or(Stand::Stopped)
    }
}

/// One bulk action.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    pub id: i64,
    /// The row of the command that began it.
    pub row: i64,
    pub at: f64,
    pub broker: String,
    pub verb: String,
    /// Messages a second.
    pub rate: f64,
    pub stand: Stand,
    pub why: String,
    pub sent: u64,
    pub all: u64,
}

/// One message of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its place, from zero.
    pub n: usize,
    pub task: String,
    /// The id it goes out under.
    pub new: String,
    pub sent: Option<f64>,
    pub message: Original,
}

pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

impl Audit {
    /// Writes a bulk action down before it begins: for each message the task it is for, and the id it goes out under.
    pub fn freeze(
        &self,
        (row, at): (i64, Stamp),
        broker: &str,
        (verb, rate): (&str, f64),
        items: &[(String, String, Original)],
    ) -> Result<i64, Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<i64> {
            let tx = connection.transaction()?;
            tx.execute(
                "INSERT INTO bulk (audit, at, broker, verb, rate, state) VALUES (?,?,?,?,?,?)",
                params![row, at.secs(), broker, verb, rate, Stand::Going.word()],
            )?;
            let id = tx.last_insert_rowid();
            for (n, (task, new, message)) in items.iter().enumerate() {
                tx.prepare_cached(
                    "INSERT INTO bulk_item (bulk, n, task, new, queue, priority, body) VALUES (?,?,?,?,?,?,?)",
                )?
                .execute(params![
                    id,
                    n as i64,
                    task,
                    new,
                    message.queue,
                    message.priority,
                    &*message.bytes
                ])?;
            }
            tx.commit()?;
            Ok(id)
        };
        write().map_err(|e| self.error(&e))
    }

    /// Says how a bulk action stands, and why.
    pub fn stands(&self, bulk: i64, stand: Stand, why: &str) -> Result<(), Error> {
        let update = "UPDATE bulk SET state = ?, why = ? WHERE id = ?";
        let done = self.connection().execute(update, params![stand.word(), why, bulk]);
        done.map(|_| ()).map_err(|e| self.error(&e))
    }

    /// Every bulk action, the latest first; or one.
    pub fn bulks(&self, id: Option<i64>) -> Result<Vec<Bulk>, Error> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<Bulk>> {
            let mut find = connection.prepare(
                "SELECT id, at, broker, verb, rate, state, why, audit, \
                 (SELECT count(*) FROM bulk_item WHERE bulk = id AND sent IS NOT NULL), \
                 (SELECT count(*) FROM bulk_item WHERE bulk = id) FROM bulk WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC",
            )?;
            let rows = find.query_map([id], |row| {
                let count = |i: usize| row.get::<_, i64>(i).map(i64::cast_unsigned);
                Ok(Bulk {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    broker: row.get(2)?,
                    verb: row.get(3)?,
                    rate: row.get(4)?,
                    stand: Stand::parse(&row.get::<_, String>(5)?),
                    why: row.get(6)?,
                    row: row.get(7)?,
                    sent: count(8)?,
                    all: count(9)?,
                })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.error(&e))
    }

    /// How a bulk action stands.
    pub fn stand_of(&self, bulk: i64) -> Result<Option<Stand>, Error> {
        let find = "SELECT state FROM bulk WHERE id = ?";
        let found = self.connection().query_row(find, [bulk], |row| row.get::<_, String>(0)).optional();
        found.map(|word| word.map(|word| Stand::parse(&word))).map_err(|e| self.error(&e))
    }

    /// Messages from a place on, at most so many.
    pub fn items(&self, bulk: i64, from: usize, most: usize) -> Result<Vec<Item>, Error> {
        let connection = self.connection();
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<Item>> {
            let mut find = connection.prepare_cached(
                "SELECT n, task, new, sent, queue, priority, body FROM bulk_item WHERE bulk = ? AND n >= ? \
                 ORDER BY n LIMIT ?",
            )?;
            let rows = find.query_map(params![bulk, number(from), number(most)], |row| {
                let bytes: Vec<u8> = row.get(6)?;
                let message = Original { queue: row.get(4)?, priority: row.get(5)?, bytes: bytes.into() };
                let n = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
                Ok(Item { n, task: row.get(1)?, new: row.get(2)?, sent: row.get(3)?, message })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.error(&e))
    }

    /// Crosses messages off: those from a place on, so many.
    pub fn cross_off(&self, bulk: i64, from: usize, n: usize, at: Stamp) -> Result<(), Error> {
        let update = "UPDATE bulk_item SET sent = ? WHERE bulk = ? AND n >= ? AND n < ?";
        let done = self.connection().execute(update, params![at.secs(), bulk, from as i64, (from + n) as i64]);
        done.map(|_| ()).map_err(|e| self.error(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::{Entry, Origin};
    use super::*;

    #[test]
    fn what_was_broken_off_goes_on_where_it_was() {
        let folder = tempfile::tempdir().expect("temp");
        let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
        let row = audit.asked(Stamp::EPOCH, &Origin::default(), "b", &Entry::default()).expect("written");
        let item = |n: usize| {
            let bytes = format!("message {n}").into_bytes().into();
            (format!("old-{n}"), format!("new-{n}"), Original { queue: "q".into(), priority: 0, bytes })
        };
        let items: Vec<_> = (0..5).map(item).collect();
        let id = audit.freeze((row, Stamp::EPOCH), "b", ("retry", 50.0), &items).expect("frozen");
        audit.cross_off(id, 0, 2, Stamp::EPOCH).expect("crossed off");
        audit.stands(id, Stand::Paused, "canary").expect("written");
        let bulk = audit.bulks(Some(id)).expect("read").remove(0);
        assert_eq!((bulk.sent, bulk.all, bulk.stand, bulk.why.as_str()), (2, 5, Stand::Paused, "canary"));
        let left = audit.items(id, 2, 9).expect("read");
        assert_eq!(left.iter().map(|item| item.new.as_str()).collect::<Vec<_>>(), ["new-2", "new-3", "new-4"]);
        assert_eq!(&*left[0].message.bytes, b"message 2");
        assert_eq!(audit.stand_of(99).expect("read"), None);
    }
}
