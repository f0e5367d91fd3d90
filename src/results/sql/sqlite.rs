//! Results in a file of SQLite. It is opened for each look: that costs next to nothing, and a file that was replaced
//! meanwhile is not read on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Mutex;

use super::row::{Field, Row};
use super::{Engine, Fault, Table};

/// How long a writer may keep us waiting.
const BUSY: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Sqlite {
    path: PathBuf,
    /// Nobody begins while another still waits for the disk.
    alone: Arc<Mutex<()>>,
}

impl Sqlite {
    pub fn new(path: PathBuf) -> Self {
        Self { path, alone: Arc::default() }
    }
}

#[async_trait]
impl Engine for Sqlite {
    async fn rows(&self, table: &Table, ids: &[String]) -> Result<Vec<Row>, Fault> {
        let marks = vec!["?"; ids.len()].join(", ");
        let sql = format!("SELECT * FROM {} WHERE task_id IN ({marks})", table.quoted('"'));
        let (path, ids, alone) = (self.path.clone(), ids.to_vec(), self.alone.clone().lock_owned().await);
        let read = tokio::task::spawn_blocking(move || {
            let rows = read(&path, &sql, &ids).map_err(|error| explain(&path, &error));
            drop(alone);
            rows
        });
        read.await.unwrap_or_else(|error| Err(Fault::Other(error.to_string())))
    }
}

fn read(path: &Path, sql: &str, ids: &[String]) -> rusqlite::Result<Vec<Row>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map(rusqlite::params_from_iter(ids), |row| {
        let field = |(at, name): (usize, &String)| {
            let field = match row.get_ref(at)? {
                ValueRef::Integer(n) => Field::Number(n),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Field::Bytes(bytes.to_vec()),
                ValueRef::Null | ValueRef::Real(_) => Field::Null,
            };
            Ok((name.clone(), field))
        };
        names.iter().enumerate().map(field).collect::<rusqlite::Result<_>>().map(Row)
    })?;
    rows.collect()
}

fn explain(path: &Path, error: &rusqlite::Error) -> Fault {
    let text = error.to_string();
    match error.sqlite_error_code() {
        _ if text.contains("no such table") => Fault::NoTable,
        _ if text.contains("no such column") => Fault::NoColumn,
        _ if path.is_dir() => Fault::Unreachable(format!("{} is a folder", path.display())),
        Some(ErrorCode::CannotOpen) => Fault::Unreachable(why_not_open(path)),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::Other("somebody is writing to it and does not let go".into())
        }
        Some(ErrorCode::NotADatabase) => Fault::Other("that file is no database of SQLite".into()),
        _ => Fault::Other(text),
    }
}

/// SQLite says that it can't, the system says why.
fn why_not_open(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("there is no file {}", whole.display())
        }
        Err(error) => format!("can't open {}: {}", whole.display(), crate::broker::wire::of_system(&error)),
        Ok(_) => format!(
            "SQLite can't open {}; may we write to its folder? A database in WAL mode needs that",
            whole.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::TaskId;
    use crate::results::sql::{Layout, SqlResults, SqlUrl};
    use crate::results::{Backend, TableName};

    async fn told(path: &Path) -> Result<usize, String> {
        let url = SqlUrl::Sqlite(path.to_owned());
        let results = SqlResults::open(&url, Layout::Celery, &TableName::default(), url.to_string()).expect("opens");
        results.get(&[TaskId::new("x"), TaskId::new("y")]).await.map(|found| found.len()).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_told() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("r.db");
        let why = told(&file).await.expect_err("missing");
        assert!(why.ends_with(&format!("there is no file {}", file.display())), "{why}");
        assert!(!file.exists(), "nothing is made");
        assert!(told(folder.path()).await.expect_err("a folder").ends_with("is a folder"));
        std::fs::write(&file, "no database, but long enough to be taken for one at first sight".repeat(20))
            .expect("written");
        assert!(told(&file).await.expect_err("text").ends_with("that file is no database of SQLite"));
        std::fs::remove_file(&file).expect("removed");
        let writer = Connection::open(&file).expect("opened");
        writer.execute_batch("CREATE TABLE other (a)").expect("made");
        let why = told(&file).await.expect_err("no table");
        assert!(why.contains("has no table celery_taskmeta") && why.contains("database_table_names"), "{why}");
        writer.execute_batch("CREATE TABLE celery_taskmeta (a)").expect("made");
        assert!(told(&file).await.expect_err("no column").contains("it has no task_id"));
        writer
            .execute_batch("ALTER TABLE celery_taskmeta ADD task_id; INSERT INTO celery_taskmeta VALUES (1, 'x')")
            .expect("made");
        assert_eq!(told(&file).await, Ok(1));
        writer.execute_batch("BEGIN EXCLUSIVE").expect("locked");
        assert!(told(&file).await.expect_err("locked").contains("does not let go"));
    }
}
