//! What tasks returned, as Celery's result backend keeps it: events cut it short, and say nothing of groups. Read only,
//! and never needed: the live view goes on without.

mod redis;

use std::sync::Arc;

use async_trait::async_trait;

use crate::broker::{BrokerUrl, TransportOptions};
use crate::celery::TaskId;
use crate::celery::result::Stored;

/// Why nothing can be read, in a sentence. No password stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// A result backend.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The URL without its password.
    fn url(&self) -> String;

    /// What is kept of these tasks; nothing is said of those it knows nothing of.
    async fn get(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Stored)>, Error>;
}

/// Where results are, as Celery's `result_backend` says it.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultUrl {
    Redis(BrokerUrl),
    /// Nothing can be read, for this reason.
    Nothing(&'static str),
}

impl ResultUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (scheme, _) = text.split_once("://").unwrap_or((text, ""));
        match scheme {
            "rpc" => Ok(Self::Nothing("rpc:// sends each result to who asked for it, and keeps none")),
            "disabled" | "none" | "" => Ok(Self::Nothing("results are not kept")),
            "redis" | "rediss" | "sentinel" | "unix" | "redis+socket" | "redis+unix" => {
                BrokerUrl::parse(text).map(Self::Redis).map_err(|error| Error(error.to_string()))
            }
            _ => Err(Error(format!(
                "result backends of type {}:// can't be read; redis://, rediss://, sentinel:// and unix:// can",
                crate::text::clean(&scheme.chars().take(20).collect::<String>())
            ))),
        }
    }

    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Redis(url) if url.has_password())
    }
}

impl std::fmt::Display for ResultUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redis(url) => url.fmt(f),
            Self::Nothing(why) => f.write_str(why),
        }
    }
}

/// Opens the backend of a URL; `None` where there is nothing to read. Nothing is connected yet.
pub fn open(url: &ResultUrl, options: &TransportOptions) -> Result<Option<Arc<dyn Backend>>, Error> {
    match url {
        ResultUrl::Redis(BrokerUrl::Redis(url)) => Ok(Some(Arc::new(redis::RedisResults::open(url, options)?))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_keeps_nothing_says_so_and_an_unknown_one_is_named() {
        let said = |text| match ResultUrl::parse(text) {
            Ok(url) => url.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said("redis://:pw@cache/1"), "redis://:***@cache:6379/1");
        assert!(said("rpc://").starts_with("rpc:// sends"));
        assert!(said("disabled://").contains("not kept"));
        assert!(said("mongodb://u:secret@h/db").starts_with("result backends of type mongodb:// can't be read"));
        assert!(!said("mongodb://u:secret@h/db").contains("secret"));
    }
}
