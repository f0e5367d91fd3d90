//! One connection to a server, made when it is needed and kept: one that broke meanwhile is replaced without a word.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Engine, Fault, Row, Table};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// A server of some kind.
#[async_trait]
pub(super) trait Server: Send + Sync {
    type Connection: Send;

    async fn connect(&self) -> Result<Self::Connection, Fault>;

    /// The rows of these tasks. After an error the connection is not used again.
    async fn ask(&self, connection: &mut Self::Connection, table: &Table, ids: &[String]) -> Result<Vec<Row>, Fault>;
}

/// See the module.
pub(super) struct Kept<S: Server> {
    server: S,
    connection: Mutex<Option<S::Connection>>,
}

impl<S: Server> Kept<S> {
    pub fn new(server: S) -> Self {
        Self { server, connection: Mutex::new(None) }
    }
}

#[async_trait]
impl<S: Server> Engine for Kept<S> {
    async fn rows(&self, table: &Table, ids: &[String]) -> Result<Vec<Row>, Fault> {
        // Taken out: whoever stops waiting leaves no connection with half an answer behind.
        let mut slot = self.connection.lock().await;
        if let Some(mut kept) = slot.take() {
            match self.server.ask(&mut kept, table, ids).await {
                Ok(rows) => {
                    *slot = Some(kept);
                    return Ok(rows);
                }
                Err(Fault::Slow) => return Err(Fault::Slow),
                // It may have broken since.
                Err(_) => {}
            }
        }
        let late = |_| Fault::Unreachable("no answer in time".into());
        let mut connection = tokio::time::timeout(CONNECTING, self.server.connect()).await.map_err(late)??;
        let rows = self.server.ask(&mut connection, table, ids).await?;
        *slot = Some(connection);
        Ok(rows)
    }
}
