//! What of the commands in the log still holds, for whoever comes later or looks on: which tasks were sent again, one by
//! one or in bulk, which queues lie aside, and what was taken back. Read piece by piece: only what is new since the last
//! time.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use serde_json::Value;

use super::Error;
use super::audit::{self, Audit};
use super::reader::Reader;
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::state::deeds::{Aside, Deed};

/// How many of the latest commands are looked at again where one of them has no outcome yet.
const OPEN: i64 = 200;

/// How far the log was read.
#[derive(Debug, Default)]
pub struct Place {
    row: i64,
    /// Of each bulk action, the place of the first message that had not gone.
    bulks: HashMap<i64, i64>,
}

/// What is new since the last time, of all brokers or of one. A file in which nothing was ever logged has none.
fn read(db: &Connection, place: &mut Place, broker: Option<&str>) -> rusqlite::Result<Vec<Deed>> {
    let mut deeds = Vec::new();
    if db.table_exists(None, "audit")? {
        commands(db, place, broker, &mut deeds)?;
    }
    if db.table_exists(None, "bulk_item")? {
        bulks(db, place, broker, &mut deeds)?;
    }
    Ok(deeds)
}

fn commands(db: &Connection, place: &mut Place, broker: Option<&str>, deeds: &mut Vec<Deed>) -> rusqlite::Result<()> {
    // A column that came to the table later.
    let arguments = if db.column_exists(None, "audit", "arguments")? { "arguments" } else { "''" };
    let mut find = db.prepare(&format!(
        "SELECT id, asked, user, command, target, {arguments}, outcome, replies FROM audit \
         WHERE id > ?1 AND command IN ('retry', 'aside', 'undo') AND (?2 IS NULL OR broker = ?2) ORDER BY id"
    ))?;
    let mut rows = find.query(params![place.row, broker])?;
    let (mut last, mut open) = (place.row, None);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        last = id;
        let Some(outcome) = row.get::<_, Option<String>>(6)? else {
            open = open.or(Some(id));
            continue;
        };
        let (command, target, arguments): (String, String, String) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let replies: Value =
            row.get::<_, Option<String>>(7)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        match command.as_str() {
            "retry" => deeds.extend(replies.as_object().into_iter().flatten().filter_map(|(old, reply)| {
                let new = reply["id"].as_str().filter(|new| *new != old)?;
                Some(Deed::SentAgain(TaskId::new(old), TaskId::new(new)))
            })),
            "aside" if outcome == "confirmed" => deeds.push(Deed::Aside(Aside {
                row: id,
                messages: replies[&target]["messages"].as_u64().unwrap_or(0),
                queue: target,
                name: arguments,
                at: Stamp::from_secs(row.get(1)?).unwrap_or(Stamp::EPOCH),
                by: row.get(2)?,
            })),
            "undo" if outcome == "confirmed" => deeds.extend(arguments.parse().ok().map(Deed::Undone)),
            _ => {}
        }
    }
    // One that is under way is looked at again; one that was cut off is not waited for for ever.
    place.row = open.map_or(last, |open: i64| (open - 1).max(last - OPEN));
    Ok(())
}

fn bulks(db: &Connection, place: &mut Place, broker: Option<&str>, deeds: &mut Vec<Deed>) -> rusqlite::Result<()> {
    let mut find = db.prepare_cached("SELECT id FROM bulk WHERE verb = 'retry' AND (?1 IS NULL OR broker = ?1)")?;
    let ids = find.query_map([broker], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    // Messages go out in order.
    let mut sent =
        db.prepare_cached("SELECT n, task, new, sent FROM bulk_item WHERE bulk = ? AND n >= ? ORDER BY n")?;
    for id in ids {
        let next = place.bulks.entry(id).or_default();
        let mut rows = sent.query([id, *next])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, Option<f64>>(3)?.is_none() {
                break;
            }
            *next = row.get::<_, i64>(0)? + 1;
            let (old, new): (String, String) = (row.get(1)?, row.get(2)?);
            deeds.extend((old != new).then(|| Deed::SentAgain(TaskId::new(&old), TaskId::new(&new))));
        }
    }
    Ok(())
}

/// All of it, out of a log that may not be there, for one broker.
pub fn of_file(path: &Path, broker: &str) -> Result<Vec<Deed>, Error> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let look = || {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.busy_timeout(std::time::Duration::from_secs(2))?;
        read(&db, &mut Place::default(), Some(broker))
    };
    look().map_err(|e| Error::of(path, &e))
}

impl Audit {
    /// What is new since the last time, of this broker.
    pub fn aftermath(&self, place: &mut Place, broker: &str) -> Result<Vec<Deed>, audit::Error> {
        read(&self.connection(), place, Some(broker)).map_err(|e| self.error(&e))
    }
}

impl Reader {
    /// The task that was sent in place of each that was sent again.
    pub fn sent_again(&self) -> Result<HashMap<TaskId, TaskId>, Error> {
        self.read_sent_again().map_err(|e| self.fail(&e))
    }

    fn read_sent_again(&self) -> rusqlite::Result<HashMap<TaskId, TaskId>> {
        let pairs = read(&self.db, &mut Place::default(), None)?.into_iter().filter_map(|deed| match deed {
            Deed::SentAgain(old, new) => Some((old, new)),
            _ => None,
        });
        Ok(pairs.collect())
    }

    pub(super) fn ids_sent_again(&self) -> rusqlite::Result<HashSet<TaskId>> {
        Ok(self.read_sent_again()?.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::{Entry, Origin};
    use super::*;
    use crate::celery::original::Original;

    fn entry(command: &'static str, target: &str, arguments: &str) -> Entry {
        Entry { command, target: target.into(), arguments: arguments.into(), line: String::new() }
    }

    #[test]
    fn what_was_sent_again_or_set_aside_is_told_once_and_what_is_under_way_when_it_is_done() {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("audit.db");
        let audit = Audit::open(&path).expect("opens");
        let bob = Origin { user: "bob".into(), ..Origin::default() };
        let asked = |entry: &Entry| audit.asked(Stamp::EPOCH, &bob, "b", entry).expect("written");
        let done = |row, replies: &str| audit.answered(row, Stamp::EPOCH, "confirmed", replies).expect("written");
        let again = |old: &str, new: &str| Deed::SentAgain(TaskId::new(old), TaskId::new(new));
        let retry = asked(&entry("retry", "a b c", ""));
        let aside = asked(&entry("aside", "q", "q.aside"));
        done(aside, r#"{"q": {"ok": "", "messages": 24}}"#);
        let mut place = Place::default();
        let told = audit.aftermath(&mut place, "b").expect("read");
        let [Deed::Aside(found)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((&*found.name, &*found.queue, &*found.by, found.messages), ("q.aside", "q", "bob", 24));
        done(retry, r#"{"a": {"ok": "", "id": "a2"}, "b": {"error": "no"}, "c": {"ok": "", "id": "c"}}"#);
        let told = audit.aftermath(&mut place, "b").expect("read");
        assert!(
            told.contains(&again("a", "a2"))
                && told.iter().all(|d| !matches!(d, Deed::SentAgain(old, _) if old.to_string() != "a"))
        );

        let item = |n: usize| {
            (
                format!("old{n}"),
                format!("new{n}"),
                Original { queue: "q".into(), priority: 0, bytes: Vec::new().into() },
            )
        };
        let items: Vec<_> = (0..3).map(item).collect();
        let bulk = audit.freeze((retry, Stamp::EPOCH), "b", ("retry", 1.0), &items).expect("frozen");
        assert_eq!(audit.aftermath(&mut place, "b").expect("read"), []);
        audit.cross_off(bulk, 0, 2, Stamp::EPOCH).expect("crossed off");
        assert_eq!(audit.aftermath(&mut place, "b").expect("read"), [again("old0", "new0"), again("old1", "new1")]);
        audit.cross_off(bulk, 2, 1, Stamp::EPOCH).expect("crossed off");
        assert_eq!(audit.aftermath(&mut place, "b").expect("read"), [again("old2", "new2")]);

        done(asked(&entry("undo", "q", &aside.to_string())), "{}");
        assert_eq!(audit.aftermath(&mut place, "b").expect("read"), [Deed::Undone(aside)]);
        assert_eq!(of_file(&path, "b").expect("read").len(), 6);
        assert_eq!(of_file(&path, "another").expect("read"), [], "of another broker");
        assert_eq!(of_file(&folder.path().join("none"), "b").expect("none"), []);
    }
}
