//! What each 4,096 tasks are like: when they were heard of, and how many there are of each kind. Counts are exact, so
//! that totals need no look at the tasks themselves.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::varint;

/// Rows in a block.
pub const BLOCK: i64 = 1 << 12;

/// One block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Ticks: the earliest and latest time that its tasks were heard of.
    pub first: i64,
    pub last: i64,
    pub rows: i64,
    /// How many there are of each kind.
    pub kinds: BTreeMap<i64, i64>,
    /// Ticks: what is older was pruned, failures left alone. Behind `last`, failures are all there is.
    pub pruned: i64,
}

impl Block {
    /// Reads the columns `first, last, rows, kinds, pruned`, which begin at `from`.
    pub fn read(row: &rusqlite::Row<'_>, from: usize) -> Result<Self> {
        let kinds = row.get_ref(from + 3)?;
        let kinds = varint::counts(kinds.as_blob().unwrap_or_default());
        Ok(Self {
            first: row.get(from)?,
            last: row.get(from + 1)?,
            rows: row.get(from + 2)?,
            kinds: kinds.map(|(kind, n)| (kind.cast_signed(), n.cast_signed())).collect(),
            pruned: row.get(from + 4)?,
        })
    }

    /// Writes it as number `n`; an empty one is taken away.
    pub fn write(&self, db: &Connection, n: i64) -> Result<()> {
        if self.rows == 0 {
            db.prepare_cached("DELETE FROM block WHERE n = ?")?.execute([n])?;
            return Ok(());
        }
        let counts = self.kinds.iter().filter(|(_, count)| **count > 0);
        let kinds = varint::put_counts(counts.map(|(kind, count)| (kind.cast_unsigned(), count.cast_unsigned())));
        db.prepare_cached("REPLACE INTO block (n, first, last, rows, kinds, pruned) VALUES (?,?,?,?,?,?)")?
            .execute(params![n, self.first, self.last, self.rows, kinds, self.pruned])?;
        Ok(())
    }

    fn count(&mut self, kind: i64, change: i64) {
        let count = self.kinds.entry(kind).or_default();
        *count += change;
        if *count <= 0 {
            self.kinds.remove(&kind);
        }
    }
}

/// Blocks that changed since they were last written.
#[derive(Default)]
pub struct Blocks {
    open: BTreeMap<i64, Block>,
    changed: BTreeSet<i64>,
}

/// Blocks kept at hand.
const KEPT: usize = 32;

impl Blocks {
    /// A task of a kind is at row `n`, heard of at `at`; before it was of kind `was`, or new.
    pub fn put(&mut self, db: &Connection, n: i64, at: i64, kind: i64, was: Option<i64>) -> Result<()> {
        let number = n / BLOCK;
        let block = match self.open.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let known = db
                    .prepare_cached("SELECT first, last, rows, kinds, pruned FROM block WHERE n = ?")?
                    .query_row([number], |row| Block::read(row, 0))
                    .optional()?;
                entry.insert(known.unwrap_or(Block { first: at, last: at, ..Block::default() }))
            }
        };
        if was == Some(kind) && block.kinds.contains_key(&kind) && (block.first..=block.last).contains(&at) {
            return Ok(());
        }
        self.changed.insert(number);
        block.first = block.first.min(at);
        block.last = block.last.max(at);
        // A row that was pruned, and is written again, is new.
        match was.filter(|was| block.kinds.contains_key(was)) {
            Some(was) if was == kind => {}
            Some(was) => {
                block.count(was, -1);
                block.count(kind, 1);
            }
            None => {
                block.rows += 1;
                block.count(kind, 1);
            }
        }
        Ok(())
    }

    /// Writes what changed.
    pub fn write(&mut self, db: &Connection) -> Result<()> {
        for n in &self.changed {
            if let Some(block) = self.open.get(n) {
                block.write(db, *n)?;
            }
        }
        Ok(())
    }

    /// What was written is in the file for good.
    pub fn written(&mut self) {
        self.changed.clear();
        while self.open.len() > KEPT {
            self.open.pop_first();
        }
    }

    /// Forgets everything, which may not be in the file.
    pub fn forget(&mut self) {
        self.open.clear();
        self.changed.clear();
    }
}
