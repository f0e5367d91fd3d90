//! Moments with a name, as they are kept in the file.

use std::path::Path;

use rusqlite::params;

use super::reader::Reader;
use super::{Error, schema, ticks};
use crate::clock::Stamp;

/// Names a moment, beside whoever records: the file is open to several for so short a time.
pub fn set(path: &Path, at: Stamp, text: &str) -> Result<(), Error> {
    let db = schema::open(path)?;
    let put = db.execute("INSERT INTO mark (at, body) VALUES (?,?)", params![ticks::of(at), text]);
    put.map(|_| ()).map_err(|e| Error::of(path, &e))
}

/// The latest marks of a stretch, in order.
const LATEST: &str = "SELECT at, body FROM (SELECT at, body, id FROM mark WHERE at >= ? AND at <= ? \
    ORDER BY at DESC, id DESC LIMIT 500) ORDER BY at, id";

impl Reader {
    /// Marks of a stretch of time, in order; where there are more than a chart can name, the latest.
    pub fn marks(&self, from: Stamp, to: Stamp) -> Result<Vec<(Stamp, String)>, Error> {
        let read = || {
            let mut find = self.db.prepare(LATEST)?;
            let rows = find.query_map([ticks::of(from), ticks::of(to)], |row| {
                Ok((ticks::stamp(row.get(0)?), row.get::<_, String>(1)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.fail(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_by_its_name_and_in_its_time() {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("h.db");
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        for (secs, text) in [(100, "v411"), (200, "v412"), (300, "v412 again")] {
            set(&path, at(secs), text).expect("set");
        }
        let reader = Reader::open(&path).expect("opens");
        assert_eq!(reader.mark("v411"), Some(at(100)));
        let found = reader.marks(at(150), at(300)).expect("read");
        assert_eq!(found, [(at(200), "v412".to_owned()), (at(300), "v412 again".to_owned())]);
    }
}
