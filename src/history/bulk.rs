//! Bulk actions, in the file of the audit log: what is to be sent is frozen before the first message goes, and each message
//! is crossed off when it has gone, so that one that was broken off can be resumed.

use std::collections::BTreeMap;

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
        priority INTEGER NOT NULL, sent REAL, body BLOB NOT NULL, left_out TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (bulk, n)
    ) WITHOUT ROWID;";

/// Items of a bulk that are still to go and whose task a retry of the log names, given after the bulk: with a reply that
/// has its new id, or without any reply.
const BY_COMMAND: &str = "
    SELECT i.n, a.id FROM bulk b JOIN audit a ON a.id > b.audit AND a.command = 'retry' AND a.broker = b.broker
    JOIN bulk_item i ON i.bulk = b.id AND i.sent IS NULL AND i.left_out = ''
    WHERE b.id = ?1 AND CASE WHEN a.replies IS NULL THEN instr(' ' || a.target || ' ', ' ' || i.task || ' ') > 0
        ELSE EXISTS (SELECT 1 FROM json_each(a.replies) r
                     WHERE r.key = i.task AND json_extract(r.value, '$.error') IS NULL) END";
/// And those that another bulk has sent since.
const BY_BULK: &str = "
    SELECT i.n, o.bulk FROM bulk b JOIN bulk_item i ON i.bulk = b.id AND i.sent IS NULL AND i.left_out = ''
    JOIN bulk_item o ON o.task = i.task AND o.bulk != b.id AND o.sent >= b.at
    JOIN bulk other ON other.id = o.bulk AND other.broker = b.broker AND other.verb = b.verb WHERE b.id = ?1";

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
    /// Those that somebody else had sent by the time it went on.
    pub left_out: u64,
    pub all: u64,
}

impl Bulk {
    /// Messages that are still to go.
    pub fn left(&self) -> u64 {
        self.all.saturating_sub(self.sent + self.left_out)
    }
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
    /// Why it is not sent any more; empty while it is to go.
    pub left_out: String,
    pub message: Original,
}

pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    if !connection.column_exists(None, "bulk_item", "left_out")? {
        connection.execute_batch("ALTER TABLE bulk_item ADD COLUMN left_out TEXT NOT NULL DEFAULT ''")?;
    }
    Ok(())
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
                 (SELECT count(*) FROM bulk_item WHERE bulk = id AND sent IS NULL AND left_out != ''), \
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
                    left_out: count(9)?,
                    all: count(10)?,
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
                "SELECT n, task, new, sent, queue, priority, body, left_out FROM bulk_item WHERE bulk = ? AND n >= ? \
                 ORDER BY n LIMIT ?",
            )?;
            let rows = find.query_map(params![bulk, number(from), number(most)], |row| {
                let bytes: Vec<u8> = row.get(6)?;
                let message = Original { queue: row.get(4)?, priority: row.get(5)?, bytes: bytes.into() };
                let n = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
                let (task, new, sent, left_out) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(7)?);
                Ok(Item { n, task, new, sent, left_out, message })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.error(&e))
    }

    /// The places and tasks of all that is still to go.
    pub fn open_items(&self, bulk: i64) -> Result<Vec<(usize, String)>, Error> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<(usize, String)>> {
            let mut find = connection.prepare(
                "SELECT n, task FROM bulk_item WHERE bulk = ? AND sent IS NULL AND left_out = '' ORDER BY n",
            )?;
            let rows =
                find.query_map([bulk], |row| Ok((usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(|e| self.error(&e))
    }

    /// Of the messages still to go, those whose task was sent again since it was frozen, by another action on the same
    /// broker; each with its place and by what.
    pub fn sent_elsewhere(&self, bulk: i64) -> Result<Vec<(usize, String)>, Error> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<(usize, String)>> {
            let mut found = BTreeMap::new();
            // A command that came to no end may have sent any of those it names.
            for (select, by) in [(BY_COMMAND, "sent again by command"), (BY_BULK, "sent again by bulk")] {
                let mut find = connection.prepare(select)?;
                let mut rows = find.query([bulk])?;
                while let Some(row) = rows.next()? {
                    let n = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
                    found.insert(n, format!("{by} {}", row.get::<_, i64>(1)?));
                }
            }
            Ok(found.into_iter().collect())
        };
        read().map_err(|e| self.error(&e))
    }

    /// Leaves messages out, each for its reason: they are not sent any more.
    pub fn leave_out(&self, bulk: i64, left: &[(usize, String)]) -> Result<(), Error> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<()> {
            let tx = connection.transaction()?;
            for (n, why) in left {
                tx.prepare_cached("UPDATE bulk_item SET left_out = ? WHERE bulk = ? AND n = ? AND sent IS NULL")?
                    .execute(params![why, bulk, *n as i64])?;
            }
            tx.commit()
        };
        write().map_err(|e| self.error(&e))
    }

    /// The place of the first message that is still to go; past the last one, where there is none.
    pub fn next_of(&self, bulk: i64) -> Result<usize, Error> {
        let find = "SELECT coalesce(min(CASE WHEN sent IS NULL AND left_out = '' THEN n END), count(*)) \
                    FROM bulk_item WHERE bulk = ?";
        let found = self.connection().query_row(find, [bulk], |row| row.get::<_, i64>(0));
        found.map(|n| usize::try_from(n).unwrap_or(0)).map_err(|e| self.error(&e))
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

    #[test]
    fn what_another_action_sent_meanwhile_is_known_and_left_out() {
        let folder = tempfile::tempdir().expect("temp");
        let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
        let asked = |command: &'static str, target: &str| {
            let entry = Entry { command, target: target.into(), ..Entry::default() };
            audit.asked(Stamp::EPOCH, &Origin::default(), "b", &entry).expect("written")
        };
        let item = |n: usize| {
            let bytes = Vec::new().into();
            (format!("old-{n}"), format!("new-{n}"), Original { queue: "q".into(), priority: 0, bytes })
        };
        let items: Vec<_> = (0..6).map(item).collect();
        let before = asked("retry", "old-0");
        audit.answered(before, Stamp::EPOCH, "confirmed", r#"{"old-0": {"ok": "sent"}}"#).expect("written");
        let freeze = |items: &[_]| {
            audit.freeze((asked("bulk retry", ""), Stamp::EPOCH), "b", ("retry", 50.0), items).expect("frozen")
        };
        let id = freeze(&items);
        audit.cross_off(id, 0, 1, Stamp::EPOCH).expect("crossed off");
        let retried = asked("retry", "old-1 old-2");
        let replies = r#"{"old-1": {"ok": "sent", "id": "x"}, "old-2": {"error": "refused"}}"#;
        audit.answered(retried, Stamp::EPOCH, "failed", replies).expect("written");
        let unended = asked("retry", "old-30 old-3");
        let other = freeze(&items[4..5]);
        audit.cross_off(other, 0, 1, Stamp::EPOCH).expect("crossed off");
        let left = audit.sent_elsewhere(id).expect("read");
        let by = |n: usize, by: &str, number: i64| (n, format!("sent again by {by} {number}"));
        assert_eq!(left, [by(1, "command", retried), by(3, "command", unended), by(4, "bulk", other)]);
        audit.leave_out(id, &left).expect("written");
        let bulk = audit.bulks(Some(id)).expect("read").remove(0);
        assert_eq!((bulk.sent, bulk.left_out, bulk.left(), audit.next_of(id).expect("read")), (1, 3, 2, 2));
        assert_eq!(audit.sent_elsewhere(id).expect("read"), [], "only once");
    }
}
