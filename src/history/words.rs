//! Names, kinds, routes and repeated texts, each held once in the file and referred to by number.
//!
//! What is remembered here must be in the file: after a transaction that failed, begin anew.

use std::collections::HashMap;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Result, params};

/// Numbers given out lately.
#[derive(Default)]
pub struct Words {
    words: HashMap<Box<str>, i64>,
    kinds: HashMap<[i64; 5], i64>,
    routes: HashMap<[i64; 4], i64>,
    texts: HashMap<i64, Text>,
}

/// What is remembered of a text, by its hash.
#[derive(Clone, Copy)]
enum Text {
    /// It came in this row alone so far, which may be written again.
    Once(i64),
    /// It has a number, and was noted as used on this day.
    Kept(i64, i64),
}

/// Entries beyond which a table of ours is emptied: pods have endless names.
const MOST: usize = 50_000;
/// Texts remembered.
const MOST_TEXTS: usize = 16_384;
/// A shorter text costs less than a reference and its lookup.
const SHORT: usize = 12;

/// A text as it stands in a column.
#[derive(Debug, PartialEq, Eq)]
pub enum Cell<'t> {
    Null,
    Text(&'t str),
    /// Row of `text`.
    Ref(i64),
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Ref(id) => ToSqlOutput::Owned(Value::Integer(*id)),
        })
    }
}

/// The number of a row that is there, or was made for it.
fn number(db: &Connection, find: &str, make: &str, values: &[&dyn ToSql]) -> Result<i64> {
    if let Some(id) = db.prepare_cached(find)?.query_row(values, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    db.prepare_cached(make)?.execute(values)?;
    Ok(db.last_insert_rowid())
}

impl Words {
    /// The number of a name; none has zero.
    pub fn word(&mut self, db: &Connection, name: Option<&str>) -> Result<i64> {
        let Some(name) = name else { return Ok(0) };
        if let Some(&id) = self.words.get(name) {
            return Ok(id);
        }
        if self.words.len() >= MOST {
            self.words.clear();
        }
        let find = "SELECT id FROM word WHERE body = ?";
        let id = number(db, find, "INSERT INTO word (body) VALUES (?)", &[&name])?;
        self.words.insert(name.into(), id);
        Ok(id)
    }

    /// The number of a kind: state, name, worker, queue, exception's type.
    pub fn kind(&mut self, db: &Connection, parts: [Option<&str>; 5]) -> Result<i64> {
        let mut key = [0; 5];
        for (slot, part) in key.iter_mut().zip(parts) {
            *slot = self.word(db, part)?;
        }
        if let Some(&id) = self.kinds.get(&key) {
            return Ok(id);
        }
        if self.kinds.len() >= MOST {
            self.kinds.clear();
        }
        let [state, name, worker, queue, exception] = &key;
        let id = number(
            db,
            "SELECT id FROM kind WHERE state = ? AND name = ? AND worker = ? AND queue = ? AND exception = ?",
            "INSERT INTO kind (state, name, worker, queue, exception) VALUES (?,?,?,?,?)",
            &[state, name, worker, queue, exception],
        )?;
        self.kinds.insert(key, id);
        Ok(id)
    }

    /// The number of a route: client, exchange, routing key, process.
    pub fn route(&mut self, db: &Connection, parts: [Option<&str>; 3], pid: Option<u32>) -> Result<i64> {
        let mut key = [0, 0, 0, i64::from(pid.unwrap_or(0))];
        for (slot, part) in key.iter_mut().zip(parts) {
            *slot = self.word(db, part)?;
        }
        if let Some(&id) = self.routes.get(&key) {
            return Ok(id);
        }
        if self.routes.len() >= MOST {
            self.routes.clear();
        }
        let [client, exchange, routing_key, pid] = &key;
        let id = number(
            db,
            "SELECT id FROM route WHERE client = ? AND exchange = ? AND routing_key = ? AND pid = ?",
            "INSERT INTO route (client, exchange, routing_key, pid) VALUES (?,?,?,?)",
            &[client, exchange, routing_key, pid],
        )?;
        self.routes.insert(key, id);
        Ok(id)
    }

    /// How a text of row `n` is best held on this day (days since 1970): one that came in another row is referred to.
    /// Without a row it is taken to come again.
    pub fn text<'t>(&mut self, db: &Connection, text: Option<&'t str>, n: Option<i64>, day: i64) -> Result<Cell<'t>> {
        let Some(text) = text else { return Ok(Cell::Null) };
        if text.len() < SHORT {
            return Ok(Cell::Text(text));
        }
        let hash = hash(text.as_bytes());
        let known = self.texts.get(&hash).copied();
        match (known, n) {
            (Some(Text::Kept(id, used)), _) => {
                if used != day {
                    db.prepare_cached("UPDATE text SET used = ? WHERE id = ?")?.execute(params![day, id])?;
                    self.texts.insert(hash, Text::Kept(id, day));
                }
                return Ok(Cell::Ref(id));
            }
            (Some(Text::Once(first)), Some(n)) if first == n => return Ok(Cell::Text(text)),
            (None, Some(n)) => {
                self.make_room_for_texts();
                self.texts.insert(hash, Text::Once(n));
                return Ok(Cell::Text(text));
            }
            _ => {}
        }
        let find = "SELECT id FROM text WHERE hash = ? AND body = ?";
        let found = db.prepare_cached(find)?.query_row(params![hash, text], |row| row.get(0)).optional()?;
        let id: i64 = match found {
            Some(id) => id,
            None => {
                let make = "INSERT INTO text (hash, used, body) VALUES (?,?,?)";
                db.prepare_cached(make)?.execute(params![hash, day, text])?;
                db.last_insert_rowid()
            }
        };
        self.make_room_for_texts();
        self.texts.insert(hash, Text::Kept(id, day));
        Ok(Cell::Ref(id))
    }

    fn make_room_for_texts(&mut self) {
        if self.texts.len() >= MOST_TEXTS {
            self.texts.retain(|_, text| matches!(text, Text::Kept(..)));
            if self.texts.len() >= MOST_TEXTS / 2 {
                self.texts.clear();
            }
        }
    }
}

/// FNV-1a of 64 bits: the file outlives any hash that may change with a compiler.
pub fn hash(bytes: &[u8]) -> i64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold).cast_signed()
}
