//! What is written down: the audit log of every command, and the history of everything that happened.
//!
//! One thread writes ([`writer`]); readers open the file for themselves ([`reader`]). Nothing here talks to a broker.

pub mod aftermath;
mod archive;
pub mod audit;
mod blocks;
pub mod bulk;
mod common;
mod ids;
pub mod links;
pub mod lock;
pub mod lookup;
pub mod marks;
pub mod minutes;
pub mod originals;
mod plan;
pub mod playback;
pub mod prune;
pub mod reader;
mod row;
mod schema;
pub mod seen;
mod ticks;
mod told;
pub mod upkeep;
mod varint;
mod words;
pub mod writer;

use std::path::Path;

pub use words::hash;

use crate::celery::envelope::Format;
use crate::celery::event::Batch;
use crate::clock::Stamp;

/// Why the history can't be written or read, with the file it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("history file {path}: {why}")]
pub struct Error {
    pub path: String,
    pub why: String,
}

impl Error {
    fn new(path: &Path, why: String) -> Self {
        Self { path: path.display().to_string(), why }
    }

    fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(path, error.to_string())
    }

    /// In words for the person, as far as it is one of the usual troubles.
    fn of(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied, ReadOnly,
        };
        let why = match error.sqlite_error_code() {
            Some(DiskFull) => "the disk is full; recording goes on when there is room again".into(),
            Some(ReadOnly) => "it can't be written: read-only".into(),
            Some(CannotOpen | PermissionDenied) => format!("it can't be opened: {error}"),
            Some(DatabaseCorrupt) => {
                "it is damaged; `flower-tui history check` says more. Move it away, and a new one is begun".into()
            }
            Some(NotADatabase) => "it is no history file; name another".into(),
            Some(DatabaseBusy) => "another program holds it locked".into(),
            _ => error.to_string(),
        };
        Self::new(path, why)
    }
}

/// Events as they would have come, to be applied.
pub fn batch(events: Vec<serde_json::Value>, received: Stamp) -> Batch {
    let mut batch = Batch::default();
    let body = serde_json::Value::Array(events).to_string();
    // We made it ourselves: what could not be read is counted in the batch.
    let _ = batch.push_body(Format::Json, body.as_bytes(), received);
    batch
}

/// The same, each event having come when it was stamped.
pub fn batch_in_time(events: Vec<serde_json::Value>) -> Batch {
    let mut batch = Batch::default();
    for event in events {
        let at = event["timestamp"].as_f64().and_then(Stamp::from_secs).unwrap_or(Stamp::EPOCH);
        let _ = batch.push_body(Format::Json, event.to_string().as_bytes(), at);
    }
    batch
}
