//! What each task name did, minute by minute: kept for years, when the tasks themselves are long gone.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::varint;
use super::words::Words;
use crate::clock::Stamp;
use crate::state::State;

/// Runtimes in buckets: exact below 16 units of 10 microseconds, then eight to each doubling, so within 6 %.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runtimes(BTreeMap<u64, u64>);

fn bucket(units: u64) -> u64 {
    if units < 16 {
        return units;
    }
    let shift = 60 - u64::from(units.leading_zeros());
    shift * 8 + (units >> shift)
}

/// The middle of a bucket, in units.
fn middle(bucket: u64) -> f64 {
    if bucket < 16 {
        return bucket as f64;
    }
    let (shift, top) = ((bucket - 8) / 8, (bucket - 8) % 8 + 8);
    ((top << shift) as f64) + ((1u64 << shift) - 1) as f64 / 2.0
}

impl Runtimes {
    pub fn add(&mut self, secs: f64) {
        *self.0.entry(bucket((secs * 1e5).clamp(0.0, 1e15) as u64)).or_default() += 1;
    }

    /// Adds what was written before.
    pub fn merge(&mut self, bytes: &[u8]) {
        for (bucket, n) in varint::counts(bytes) {
            *self.0.entry(bucket).or_default() += n;
        }
    }

    /// Adds those of another stretch.
    pub fn add_all(&mut self, other: &Runtimes) {
        for (bucket, n) in &other.0 {
            *self.0.entry(*bucket).or_default() += n;
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        varint::put_counts(self.0.iter().map(|(bucket, n)| (*bucket, *n)))
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Seconds that a share of all stayed below, such as 0.95.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.len() as f64 * share).ceil().max(1.0);
        let mut seen = 0.0;
        self.0.iter().find_map(|(bucket, n)| {
            seen += *n as f64;
            (seen >= wanted).then(|| middle(*bucket) / 1e5)
        })
    }
}

/// What happened in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Sent, received, started, succeeded, failed, retried, revoked, rejected.
    pub counts: [u64; 8],
    /// Seconds of runtime.
    pub busy: f64,
    pub runtimes: Runtimes,
}

/// The place of a state in [`Tally::counts`].
pub fn place(state: State) -> Option<usize> {
    Some(match state {
        State::Pending => 0,
        State::Received => 1,
        State::Started => 2,
        State::Success => 3,
        State::Failure => 4,
        State::Retry => 5,
        State::Revoked => 6,
        State::Rejected => 7,
        State::Custom => return None,
    })
}

impl Tally {
    /// Reads the columns `sent … rejected, busy, runtimes`, which begin at `from`, and adds them.
    pub fn merge(&mut self, row: &rusqlite::Row<'_>, from: usize) -> Result<()> {
        for (i, count) in self.counts.iter_mut().enumerate() {
            *count += row.get::<_, i64>(from + i)?.cast_unsigned();
        }
        self.busy += row.get::<_, f64>(from + 8)?;
        self.runtimes.merge(row.get_ref(from + 9)?.as_blob().unwrap_or_default());
        Ok(())
    }

    /// Adds another stretch.
    pub fn add(&mut self, other: &Tally) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.busy += other.busy;
        self.runtimes.add_all(&other.runtimes);
    }
}

/// Columns of `minute` in the order [`Tally::merge`] reads them.
pub const COLUMNS: &str = "sent, received, started, succeeded, failed, retried, revoked, rejected, busy, runtimes";

/// What came since it was last written.
#[derive(Default)]
pub struct Minutes {
    open: BTreeMap<i64, HashMap<Box<str>, Tally>>,
}

impl Minutes {
    /// Counts an event that led to a state.
    pub fn count(&mut self, name: &str, state: State, runtime: Option<f64>, at: Stamp) {
        let Some(place) = place(state) else { return };
        let names = self.open.entry(at.micros().div_euclid(60_000_000)).or_default();
        if !names.contains_key(name) {
            names.insert(name.into(), Tally::default());
        }
        let Some(tally) = names.get_mut(name) else { return };
        tally.counts[place] += 1;
        if let Some(secs) = runtime {
            tally.busy += secs;
            tally.runtimes.add(secs);
        }
    }

    /// Adds it to what is in the file.
    pub fn write(&self, db: &Connection, words: &mut Words) -> Result<()> {
        for (minute, names) in &self.open {
            for (name, tally) in names {
                let name = words.word(db, Some(name))?;
                add(db, *minute, name, tally)?;
            }
        }
        Ok(())
    }

    /// What was written is in the file for good.
    pub fn written(&mut self) {
        self.open.clear();
    }
}

/// Adds a stretch to a minute in the file.
pub fn add(db: &Connection, minute: i64, name: i64, tally: &Tally) -> Result<()> {
    let mut sum = tally.clone();
    let find = format!("SELECT {COLUMNS} FROM minute WHERE at = ? AND name = ?");
    db.prepare_cached(&find)?.query_row([minute, name], |row| sum.merge(row, 0)).optional()?;
    let [sent, received, started, succeeded, failed, retried, revoked, rejected] = sum.counts.map(u64::cast_signed);
    let put = format!("REPLACE INTO minute (at, name, {COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
    db.prepare_cached(&put)?.execute(params![
        minute,
        name,
        sent,
        received,
        started,
        succeeded,
        failed,
        retried,
        revoked,
        rejected,
        sum.busy,
        sum.runtimes.bytes()
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_comes_back_within_six_per_cent() {
        for units in [0, 1, 15, 16, 17, 31, 32, 100, 1_000, 123_456, 987_654_321] {
            let back = middle(bucket(units));
            assert!((back - units as f64).abs() <= units as f64 * 0.06, "{units} became {back}");
        }
        let order: Vec<u64> = (0..2_000).map(bucket).collect();
        assert!(order.is_sorted());
    }

    #[test]
    fn percentiles_survive_being_written_and_merged() {
        let mut runtimes = Runtimes::default();
        (1..=100).for_each(|n| runtimes.add(f64::from(n) / 100.0));
        let mut both = Runtimes::default();
        both.merge(&runtimes.bytes());
        both.merge(&runtimes.bytes());
        assert_eq!(both.len(), 200);
        let p95 = both.quantile(0.95).expect("some");
        assert!((p95 - 0.95).abs() < 0.05, "{p95}");
        assert_eq!(Runtimes::default().quantile(0.5), None);
    }
}
