//! Results in a SQL database: Celery's own table through SQLAlchemy (`db+…://`), or Django's (`django-db`). Only read: a
//! row for each task, found by its id.

mod fault;
mod kept;
mod mysql;
mod postgres;
mod row;
mod sqlite;
mod url;

use std::time::Duration;

use async_trait::async_trait;

use super::{Backend, Error, TableName};
use crate::celery::TaskId;
use crate::celery::result::Stored;
use fault::Fault;
use row::Row;

pub use row::Layout;
pub use url::SqlUrl;

/// Results read in one go.
const AT_ONCE: usize = 200;
/// How long a database may work on one query.
const WORK: Duration = Duration::from_secs(5);
/// How long connecting and all the rest may take for one query.
const PATIENCE: Duration = Duration::from_secs(9);

/// What runs the one query there is.
#[async_trait]
trait Engine: Send + Sync {
    /// The rows of these tasks.
    async fn rows(&self, table: &Table, ids: &[String]) -> Result<Vec<Row>, Fault>;
}

/// The table that is read.
struct Table {
    schema: Option<String>,
    name: String,
    layout: Layout,
}

impl Table {
    fn new(layout: Layout, said: &TableName) -> Self {
        let said = match layout {
            Layout::Celery => said.clone(),
            Layout::Django => TableName::default(),
        };
        let usual = match layout {
            Layout::Celery => "celery_taskmeta",
            Layout::Django => "django_celery_results_taskresult",
        };
        Self { schema: said.schema, name: said.name.unwrap_or_else(|| usual.into()), layout }
    }

    /// The name as SQL has it, between these quotes.
    fn quoted(&self, quote: char) -> String {
        let twice = format!("{quote}{quote}");
        let quoted = |name: &String| format!("{quote}{}{quote}", name.replace(quote, &twice));
        self.schema.iter().chain([&self.name]).map(quoted).collect::<Vec<_>>().join(".")
    }
}

/// See the module.
pub(super) struct SqlResults {
    engine: Box<dyn Engine>,
    url: String,
    table: Table,
}

impl SqlResults {
    /// Reads the files that the URL names; connects to nothing yet.
    pub fn open(url: &SqlUrl, layout: Layout, name: &TableName, shown: String) -> Result<Self, Error> {
        let engine: Box<dyn Engine> = match url {
            SqlUrl::Sqlite(path) => Box::new(sqlite::Sqlite::new(path.clone())),
            SqlUrl::Postgres(server) => Box::new(kept::Kept::new(postgres::Postgres::new(server)?)),
            SqlUrl::Mysql(server) => Box::new(kept::Kept::new(mysql::Mysql::new(server)?)),
        };
        Ok(Self { engine, url: shown, table: Table::new(layout, name) })
    }
}

#[async_trait]
impl Backend for SqlResults {
    fn url(&self) -> String {
        self.url.clone()
    }

    /// Neither table has a column for groups.
    fn tells_groups(&self) -> bool {
        false
    }

    async fn get(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Stored)>, Error> {
        let mut found = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let rows = tokio::time::timeout(PATIENCE, self.engine.rows(&self.table, &texts)).await;
            let rows = rows.unwrap_or(Err(Fault::Slow)).map_err(|fault| fault.told(&self.url, &self.table))?;
            for (text, stored) in rows.into_iter().filter_map(|row| self.table.layout.read(row)) {
                // Some databases find names that differ in capitals, too.
                found.extend(texts.iter().position(|id| *id == text).map(|at| (ids[at].clone(), stored)));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_have_another_name_and_whatever_it_is_stays_a_name() {
        let quoted = |schema: Option<&str>, name: Option<&str>| {
            let said = TableName { schema: schema.map(str::to_owned), name: name.map(str::to_owned) };
            Table::new(Layout::Celery, &said).quoted('"')
        };
        assert_eq!(quoted(None, None), r#""celery_taskmeta""#);
        assert_eq!(quoted(Some("jobs"), Some("t")), r#""jobs"."t""#);
        assert_eq!(quoted(None, Some(r#"t" WHERE 1=1 --"#)), r#""t"" WHERE 1=1 --""#);
    }
}
