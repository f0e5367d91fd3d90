//! Reading keys that are no queue: results lie in a Redis too, often in another one than the messages.

use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use super::dial::Dialer;
use super::fault;
use crate::broker::url::RedisUrl;
use crate::broker::{Result, TransportOptions};

/// Reads; and stores what a person asked for.
pub struct Reader {
    dialer: Dialer,
    url: String,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Reader {
    /// Prepares the connection; the first read connects.
    pub fn open(url: &RedisUrl, options: &TransportOptions) -> Result<Self> {
        Ok(Self { dialer: Dialer::new(url, options)?, url: url.to_string(), connection: Mutex::new(None) })
    }

    /// The values of keys, in their order; `None` where there is none.
    pub async fn read(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::pipe();
        command.cmd("MGET").arg(keys);
        let (values,) = self.run("MGET", &command).await?;
        Ok(values)
    }

    /// Puts a text under a key for so long, and tells whoever waits for it there.
    pub async fn store(&self, key: &str, text: &str, kept: std::time::Duration) -> Result<()> {
        let mut command = redis::pipe();
        command.atomic().cmd("SET").arg(key).arg(text).arg("EX").arg(kept.as_secs()).ignore();
        command.cmd("PUBLISH").arg(key).arg(text).ignore();
        self.run("SET", &command).await
    }

    async fn run<T: redis::FromRedisValue>(&self, name: &'static str, command: &redis::Pipeline) -> Result<T> {
        let mut slot = self.connection.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.dialer.commands(Some(self.dialer.answer)).await?,
        };
        let values: redis::RedisResult<T> = command.query_async(&mut connection).await;
        // Kept where it can be used again: what broke, or took too long, is made anew the next time.
        if values.as_ref().err().is_none_or(|e| !(e.is_io_error() || e.is_connection_dropped() || e.is_timeout())) {
            *slot = Some(connection);
        }
        values.map_err(|e| fault::error(&self.url, name, self.dialer.answer.as_secs(), &e))
    }
}
