//! What tasks returned, as Celery's result backend keeps it: events cut it short, and say nothing of groups. Read only but
//! for a task that is to be aborted, and never needed: the live view goes on without.

mod redis;
mod sql;
mod url;

use std::sync::Arc;

use async_trait::async_trait;

use crate::broker::{BrokerUrl, TransportOptions};
use crate::celery::TaskId;
use crate::celery::result::Stored;
use crate::clock::Stamp;

pub use url::ResultUrl;

/// Why nothing can be read, in a sentence. No password stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// For this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// A result backend.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The URL without its password.
    fn url(&self) -> String;

    /// Whether it keeps which group a task belongs to.
    fn tells_groups(&self) -> bool {
        true
    }

    /// What is kept of these tasks; nothing is said of those it knows nothing of.
    async fn get(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Stored)>, Error>;

    /// Marks a task as to be aborted, unless it has succeeded already.
    async fn abort(&self, _id: &TaskId, _now: Stamp) -> Result<(), Error> {
        Err(Error(format!("{} is only read: tasks can be aborted where results are kept on Redis", self.url())))
    }
}

/// What the application has set besides the URL.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    pub transport: TransportOptions,
    pub table: TableName,
}

/// The table of tasks in a database, where it has another name than usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableName {
    pub schema: Option<String>,
    pub name: Option<String>,
}

/// Opens the backend of a URL; `None` where there is nothing to read. Nothing is connected yet.
pub fn open(url: &ResultUrl, options: &Options) -> Result<Option<Arc<dyn Backend>>, Error> {
    Ok(match url {
        ResultUrl::Redis(BrokerUrl::Redis(url)) => Some(Arc::new(redis::RedisResults::open(url, &options.transport)?)),
        ResultUrl::Sql(database, layout) => {
            Some(Arc::new(sql::SqlResults::open(database, *layout, &options.table, url.to_string())?))
        }
        ResultUrl::Redis(BrokerUrl::Amqp(_)) | ResultUrl::Nothing(_) => None,
    })
}
