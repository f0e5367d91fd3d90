//! Where a task's row is, by its id. An index of SQLite's own would take three times the room and touch a page for each
//! task, since ids are random. So each 65,536 rows have a sorted table of their own, written once, and a Bloom filter that
//! the writer holds in memory; rows that came since are looked at one by one.

use std::collections::{BTreeSet, VecDeque};

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::celery::TaskId;

/// Rows in a segment: an entry holds the place in 16 bits.
pub const SEGMENT: i64 = 1 << 16;
/// Bytes of an entry: four of the id, two of the place.
const ENTRY: usize = 6;
/// Tables of a segment, by the first bits of the id: five of them fill a page.
const BUCKETS: i64 = 512;
/// Bits of the Bloom filter for each id, and probes: 0.3 % of the ids it does not hold seem to be there.
const BITS: usize = 12;
const PROBES: u64 = 6;
/// Bytes of a segment's filter.
const BYTES: usize = SEGMENT as usize * BITS / 8;
/// Filters held in memory at the most: 32 MiB, for the last 22 million tasks. An older task that comes again becomes a
/// row of its own.
const MOST: usize = 340;

/// The two parts of an id that are compared: its beginning, by which people look for it, and a hash of all of it.
fn fingerprint(id: &TaskId) -> u32 {
    let hash = hash(id);
    let begin = match id {
        TaskId::Uuid(uuid) => u16::from_be_bytes([uuid.as_bytes()[0], uuid.as_bytes()[1]]),
        TaskId::Text(_) => (hash >> 48) as u16,
    };
    u32::from(begin) << 16 | (hash & 0xffff) as u32
}

fn hash(id: &TaskId) -> u64 {
    let mixed = match id {
        TaskId::Uuid(uuid) => {
            let (high, low) = uuid.as_u64_pair();
            (high ^ low.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ low
        }
        TaskId::Text(text) => super::words::hash(text.as_bytes()).cast_unsigned(),
    };
    // The finish of SplitMix64: every bit depends on every other.
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// A Bloom filter of one segment.
struct Filter {
    segment: i64,
    bits: Box<[u8]>,
}

impl Filter {
    fn empty(segment: i64) -> Self {
        Self { segment, bits: vec![0; BYTES].into() }
    }

    fn places(hash: u64) -> impl Iterator<Item = usize> {
        let (a, b) = (hash >> 32, hash | 1);
        (0..PROBES).map(move |k| (a.wrapping_add(k.wrapping_mul(b)) % (BYTES as u64 * 8)) as usize)
    }

    fn add(&mut self, hash: u64) {
        for place in Self::places(hash) {
            self.bits[place / 8] |= 1 << (place % 8);
        }
    }

    fn may_have(&self, hash: u64) -> bool {
        Self::places(hash).all(|place| self.bits.get(place / 8).is_some_and(|byte| byte & 1 << (place % 8) != 0))
    }
}

/// The writer's side: everything written, and the segment that grows.
pub struct Ids {
    filters: VecDeque<Filter>,
    /// Fingerprints and places of the segment that grows.
    open: BTreeSet<(u32, u16)>,
    segment: i64,
    /// A segment that is full and not in the file yet.
    full: Vec<(i64, Vec<(u32, u16)>)>,
}

impl Ids {
    /// Of the rows up to `next`. Reads the filters, and the rows that are in no segment yet.
    pub fn load(db: &Connection, next: i64) -> Result<Self> {
        let segment = next / SEGMENT;
        let mut filters = VecDeque::new();
        let mut rows = db.prepare("SELECT segment, bits FROM bloom WHERE segment < ? ORDER BY segment DESC LIMIT ?")?;
        let mut rows = rows.query(params![segment, MOST as i64])?;
        while let Some(row) = rows.next()? {
            let bits: Vec<u8> = row.get(1)?;
            if bits.len() == BYTES {
                filters.push_front(Filter { segment: row.get(0)?, bits: bits.into() });
            }
        }
        filters.push_back(Filter::empty(segment));
        let mut ids = Self { filters, open: BTreeSet::new(), segment, full: Vec::new() };
        let mut rows = db.prepare("SELECT n, id FROM task WHERE n >= ? ORDER BY n")?;
        let mut rows = rows.query([segment * SEGMENT])?;
        while let Some(row) = rows.next()? {
            ids.add(&super::row::task_id(row.get_ref(1)?), row.get(0)?);
        }
        Ok(ids)
    }

    /// Notes the row of a new task.
    pub fn add(&mut self, id: &TaskId, n: i64) {
        let segment = n / SEGMENT;
        if segment != self.segment {
            self.full.push((self.segment, std::mem::take(&mut self.open).into_iter().collect()));
            self.filters.push_back(Filter::empty(segment));
            if self.filters.len() > MOST {
                self.filters.pop_front();
            }
            self.segment = segment;
        }
        self.open.insert((fingerprint(id), (n % SEGMENT) as u16));
        if let Some(filter) = self.filters.back_mut() {
            filter.add(hash(id));
        }
    }

    /// The row of a task, if it has one: the newest, where there are several.
    pub fn find(&self, db: &Connection, id: &TaskId) -> Result<Option<i64>> {
        let (hash, print) = (hash(id), fingerprint(id));
        for filter in self.filters.iter().rev().filter(|filter| filter.may_have(hash)) {
            let places: Vec<u16> = if filter.segment == self.segment {
                self.open.range((print, 0)..=(print, u16::MAX)).map(|&(_, place)| place).collect()
            } else if let Some((_, entries)) = self.full.iter().find(|(segment, _)| *segment == filter.segment) {
                entries.iter().filter(|(other, _)| *other == print).map(|&(_, place)| place).collect()
            } else {
                places(db, filter.segment, print)?
            };
            for place in places.into_iter().rev() {
                let n = filter.segment * SEGMENT + i64::from(place);
                if is_row_of(db, n, id)? {
                    return Ok(Some(n));
                }
            }
        }
        Ok(None)
    }

    /// Writes segments that are full.
    pub fn write(&mut self, db: &Connection) -> Result<()> {
        for (segment, entries) in &self.full {
            write_segment(db, *segment, entries)?;
            if let Some(filter) = self.filters.iter().find(|filter| filter.segment == *segment) {
                db.prepare_cached("REPLACE INTO bloom VALUES (?,?)")?.execute(params![segment, filter.bits])?;
            }
        }
        Ok(())
    }

    /// What was written is in the file for good.
    pub fn written(&mut self) {
        self.full.clear();
    }
}

/// Writes the table of a segment anew; entries come sorted.
pub fn write_segment(db: &Connection, segment: i64, entries: &[(u32, u16)]) -> Result<()> {
    let first = segment * BUCKETS;
    db.prepare_cached("DELETE FROM ids WHERE n BETWEEN ? AND ?")?.execute([first, first + BUCKETS - 1])?;
    for entries in entries.chunk_by(|a, b| bucket(a.0) == bucket(b.0)) {
        let Some((print, _)) = entries.first() else { continue };
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(print, place)| print.to_be_bytes().into_iter().chain(place.to_be_bytes()))
            .collect();
        let put = "INSERT INTO ids (n, entries) VALUES (?,?)";
        db.prepare_cached(put)?.execute(params![first + bucket(*print), bytes])?;
    }
    Ok(())
}

/// The table of the rows of a segment that are there, as [`write_segment`] takes it.
pub fn entries(db: &Connection, segment: i64) -> Result<Vec<(u32, u16)>> {
    let mut entries = Vec::new();
    let mut rows = db.prepare_cached("SELECT n, id FROM task WHERE n BETWEEN ? AND ?")?;
    let mut rows = rows.query([segment * SEGMENT, segment * SEGMENT + SEGMENT - 1])?;
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        entries.push((fingerprint(&super::row::task_id(row.get_ref(1)?)), (n % SEGMENT) as u16));
    }
    entries.sort_unstable();
    Ok(entries)
}

/// The last segment that has a table; -1 without any.
fn last_segment(db: &Connection) -> Result<i64> {
    let last: Option<i64> = db.query_row("SELECT max(n) FROM ids", [], |row| row.get(0))?;
    Ok(last.map_or(-1, |n| n / BUCKETS))
}

/// Segments that have a table.
pub fn segments(db: &Connection) -> Result<Vec<i64>> {
    let mut find = db.prepare(&format!("SELECT DISTINCT n / {BUCKETS} FROM ids"))?;
    find.query_map([], |row| row.get(0))?.collect()
}

/// Which of a segment's tables a fingerprint is in.
fn bucket(print: u32) -> i64 {
    i64::from(print >> 23)
}

fn is_row_of(db: &Connection, n: i64, id: &TaskId) -> Result<bool> {
    let mut find = db.prepare_cached("SELECT id FROM task WHERE n = ?")?;
    let mut rows = find.query([n])?;
    Ok(match rows.next()? {
        Some(row) => super::row::task_id(row.get_ref(0)?) == *id,
        None => false,
    })
}

/// Places in a segment's table that may be those of a fingerprint.
fn places(db: &Connection, segment: i64, print: u32) -> Result<Vec<u16>> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT entries FROM ids WHERE n = ?")?
        .query_row([segment * BUCKETS + bucket(print)], |row| row.get(0))
        .optional()?;
    let bytes = bytes.unwrap_or_default();
    let entries: Vec<&[u8]> = bytes.chunks_exact(ENTRY).collect();
    let wanted = print.to_be_bytes();
    let from = entries.partition_point(|entry| entry[..4] < wanted[..]);
    let found = entries[from..].iter().take_while(|entry| entry[..4] == wanted);
    Ok(found.map(|entry| u16::from_be_bytes([entry[4], entry[5]])).collect())
}

/// Whether a segment's table has an entry.
pub fn has(db: &Connection, segment: i64, print: u32, place: u16) -> Result<bool> {
    Ok(places(db, segment, print)?.contains(&place))
}

/// For readers: rows whose id may begin with these hexadecimal digits (dashes left out, at least four of them), newest
/// first; and the row from which on nothing is in a table yet.
pub fn beginning(db: &Connection, digits: &str) -> Result<(Vec<i64>, i64)> {
    let last = last_segment(db)?;
    let Some(begin) = digits.get(..4).and_then(|four| u16::from_str_radix(four, 16).ok()) else {
        return Ok((Vec::new(), 0));
    };
    let wanted = begin.to_be_bytes();
    let mut found = Vec::new();
    let mut find = db.prepare_cached("SELECT entries FROM ids WHERE n = ?")?;
    for segment in (0..=last).rev() {
        let mut rows = find.query([segment * BUCKETS + bucket(u32::from(begin) << 16)])?;
        let Some(row) = rows.next()? else { continue };
        let entries = row.get_ref(0)?.as_blob().unwrap_or_default().chunks_exact(ENTRY);
        let matching = entries.filter(|entry| entry[..2] == wanted);
        found.extend(matching.map(|entry| segment * SEGMENT + i64::from(u16::from_be_bytes([entry[4], entry[5]]))));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok((found, (last + 1) * SEGMENT))
}

/// For readers: the row of a whole id.
pub fn find(db: &Connection, id: &TaskId) -> Result<Option<i64>> {
    let last = last_segment(db)?;
    let open = (last + 1) * SEGMENT;
    let mut rows = db.prepare_cached("SELECT n, id FROM task WHERE n >= ? ORDER BY n DESC")?;
    let mut rows = rows.query([open])?;
    while let Some(row) = rows.next()? {
        if super::row::task_id(row.get_ref(1)?) == *id {
            return Ok(Some(row.get(0)?));
        }
    }
    let print = fingerprint(id);
    for segment in (0..=last).rev() {
        for place in places(db, segment, print)?.into_iter().rev() {
            let n = segment * SEGMENT + i64::from(place);
            if is_row_of(db, n, id)? {
                return Ok(Some(n));
            }
        }
    }
    Ok(None)
}
