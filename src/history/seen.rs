//! Workers that the file last heard of: who was there, and said no goodbye.

use std::collections::HashMap;
use std::time::Duration;

use super::reader::Reader;
use super::{Error, ticks};
use crate::clock::Stamp;

/// A worker that said no goodbye.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub name: String,
    /// When it was last heard of; heartbeats are thinned out in the file.
    pub last: Stamp,
    /// It ran something then.
    pub busy: bool,
}

/// Clocks of workers differ: rows are not quite in order of time.
const DISORDER: Duration = Duration::from_secs(600);

impl Reader {
    /// Workers heard of since a time that said no goodbye, by name.
    pub fn workers_since(&self, since: Stamp) -> Result<Vec<Seen>, Error> {
        let read = || {
            let mut select = self.db.prepare(
                "SELECT w.body, e.at, t.body = 'worker-offline', coalesce(e.active, 0) FROM worker_event e \
                 JOIN word w ON w.id = e.worker JOIN word t ON t.id = e.type ORDER BY e.id DESC",
            )?;
            let mut rows = select.query([])?;
            // The last word of each comes first.
            let mut last: HashMap<String, Option<Seen>> = HashMap::new();
            while let Some(row) = rows.next()? {
                let at = ticks::stamp(row.get(1)?);
                if at < since - DISORDER {
                    break;
                }
                let (name, gone, active): (String, bool, i64) = (row.get(0)?, row.get(2)?, row.get(3)?);
                let seen = Seen { name: name.clone(), last: at, busy: active > 0 };
                last.entry(name).or_insert((!gone && at >= since).then_some(seen));
            }
            let mut seen: Vec<Seen> = last.into_values().flatten().collect();
            seen.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(seen)
        };
        read().map_err(|e| self.fail(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::schema;

    #[test]
    fn who_said_goodbye_or_was_heard_of_too_long_ago_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        let db = schema::open(&path).unwrap();
        db.execute_batch(
            "INSERT INTO word (id, body) VALUES (1, 'a@h'), (2, 'b@h'), (3, 'c@h'), (4, 'worker-heartbeat'), \
             (5, 'worker-offline')",
        )
        .unwrap();
        let at = |secs: i64| Stamp::from_micros((1_800_000_000 + secs) * 1_000_000);
        for (secs, kind, worker, active) in [(0, 4, 3, 1), (5_000, 4, 1, 1), (5_001, 4, 2, 0), (5_010, 5, 2, 0)] {
            let row = rusqlite::params![ticks::of(at(secs)), kind, worker, active];
            let put = "INSERT INTO worker_event (at, type, worker, active, software) VALUES (?,?,?,?,0)";
            db.execute(put, row).unwrap();
        }
        let seen = Reader::open(&path).unwrap().workers_since(at(4_000)).unwrap();
        assert_eq!(seen, [Seen { name: "a@h".into(), last: at(5_000), busy: true }]);
    }
}
