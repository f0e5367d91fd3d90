//! Results in PostgreSQL.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, TlsConnect};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Config, NoTls};
use tokio_rustls::client::TlsStream;

use super::kept::Server;
use super::row::{Field, Row};
use super::url::{self, Host, TlsUse};
use super::{Fault, Table, WORK};
use crate::broker::tls::{self, CertReqs, SslOptions, Tls};
use crate::broker::wire::{of_system, reach};
use crate::results::Error;

/// See the module.
pub(super) struct Postgres {
    server: url::Server,
    config: Config,
    tls: Option<Tls>,
}

impl Postgres {
    /// Reads the files that the URL names.
    pub fn new(server: &url::Server) -> Result<Self, Error> {
        let (mode, options) = match (&server.tls, &server.host) {
            (TlsUse::Never, _) | (_, Host::Socket(_)) => (SslMode::Disable, None),
            (TlsUse::Offered, _) => {
                let anybody = SslOptions { ssl_cert_reqs: CertReqs::None, ..SslOptions::default() };
                (SslMode::Prefer, Some(anybody))
            }
            (TlsUse::Always(options), _) => (SslMode::Require, Some(options.clone())),
        };
        let tls = options.as_ref().map(Tls::new).transpose().map_err(|error| Error(error.to_string()))?;
        let mut config = Config::new();
        config.ssl_mode(mode).application_name("flower-tui");
        if let Some(user) = &server.user {
            config.user(user);
        }
        if let Some(password) = &server.password {
            config.password(password.reveal());
        }
        if !server.database.is_empty() {
            config.dbname(&server.database);
        }
        Ok(Self { server: server.clone(), config, tls })
    }

    async fn start<S, T>(&self, stream: S, tls: T) -> Result<Client, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: TlsConnect<S>,
        T::Stream: Send + 'static,
    {
        let (client, connection) = self.config.connect_raw(stream, tls).await.map_err(|error| explain(&error))?;
        // Ends with the client.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection to PostgreSQL ended: {error}");
            }
        });
        Ok(client)
    }
}

#[async_trait]
impl Server for Postgres {
    type Connection = Client;

    async fn connect(&self) -> Result<Client, Fault> {
        let unreachable = |error: io::Error| Fault::Unreachable(of_system(&error));
        match (&self.server.host, &self.tls) {
            (Host::Socket(folder), _) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.server.port));
                let stream = UnixStream::connect(&path).await;
                let why = |error| Fault::Unreachable(format!("{}: {}", path.display(), of_system(&error)));
                self.start(stream.map_err(why)?, NoTls).await
            }
            (Host::Name(host), tls) => {
                let stream = reach(&(host.clone(), self.server.port)).await.map_err(unreachable)?;
                match tls {
                    None => self.start(stream, NoTls).await,
                    Some(tls) => self.start(stream, Handshake { tls: tls.clone(), host: host.clone() }).await,
                }
            }
        }
    }

    /// A transaction of its own: behind a pooler, what is set for longer would stay for another client. For the same
    /// reason no statement is prepared.
    async fn ask(&self, client: &mut Client, table: &Table, ids: &[String]) -> Result<Vec<Row>, Fault> {
        let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {}", WORK.as_millis());
        client.batch_execute(&begin).await.map_err(|error| explain(&error))?;
        let sql = format!("SELECT * FROM {} WHERE task_id = ANY($1)", table.quoted('"'));
        let rows = client.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await.map_err(|error| explain(&error))?;
        client.batch_execute("COMMIT").await.map_err(|error| explain(&error))?;
        let row = |row: &tokio_postgres::Row| {
            let fields = row.columns().iter().enumerate().map(|(at, column)| {
                // What has no value for us is no reason to lose the row.
                (column.name().to_owned(), row.try_get::<_, Field>(at).unwrap_or(Field::Null))
            });
            Row(fields.collect())
        };
        Ok(rows.iter().map(row).collect())
    }
}

impl<'a> FromSql<'a> for Field {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT2 => Field::Number(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Field::Number(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Field::Number(i64::from_sql(kind, raw)?),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                let text = moment(raw.try_into().map(i64::from_be_bytes)?, *kind == Type::TIMESTAMPTZ);
                text.map_or(Field::Null, |text| Field::Bytes(text.into_bytes()))
            }
            _ => Field::Bytes(raw.to_vec()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Field::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A moment in ISO 8601, from microseconds since 2000; `infinity` is none.
fn moment(micros: i64, zoned: bool) -> Option<String> {
    const YEAR_2000: i64 = 946_684_800_000_000;
    let text = Timestamp::from_microsecond(micros.checked_add(YEAR_2000)?).ok()?.to_string();
    let naive = text.trim_end_matches('Z');
    Some(if zoned { format!("{naive}+00:00") } else { naive.to_owned() })
}

fn explain(error: &tokio_postgres::Error) -> Fault {
    let cause = std::error::Error::source(error);
    if let Some(error) = error.as_db_error() {
        let (code, text) = (error.code(), error.message().to_owned());
        return match code {
            c if *c == SqlState::UNDEFINED_TABLE || *c == SqlState::INVALID_SCHEMA_NAME => Fault::NoTable,
            c if *c == SqlState::UNDEFINED_COLUMN => Fault::NoColumn,
            c if *c == SqlState::INSUFFICIENT_PRIVILEGE => Fault::Denied,
            c if *c == SqlState::INVALID_CATALOG_NAME => Fault::NoDatabase,
            c if *c == SqlState::QUERY_CANCELED => Fault::Slow,
            // Class 28: invalid authorization specification.
            c if c.code().starts_with("28") => Fault::Refused(text),
            _ => Fault::Other(text),
        };
    }
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return match tls::explain(error) {
            Some(why) => Fault::Tls(why),
            None => Fault::Unreachable(of_system(error)),
        };
    }
    match (cause, error.is_closed()) {
        (_, true) => Fault::Unreachable("it closed the connection".into()),
        (Some(cause), _) if cause.to_string() == "password missing" => {
            Fault::Refused("it wants a password, and the URL has none".into())
        }
        (Some(cause), _) => Fault::Other(format!("{error}: {cause}")),
        (None, _) => Fault::Other(error.to_string()),
    }
}

/// Our own TLS in the driver's words.
struct Handshake {
    tls: Tls,
    host: String,
}

impl TlsConnect<TcpStream> for Handshake {
    type Stream = Secure;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secure>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move { self.tls.connect(&self.host, stream).await.map(Secure) })
    }
}

/// A connection over TLS.
struct Secure(TlsStream<TcpStream>);

impl tokio_postgres::tls::TlsStream for Secure {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Secure {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_the_zone_they_have() {
        assert_eq!(moment(0, false).as_deref(), Some("2000-01-01T00:00:00"));
        assert_eq!(moment(1_500_000, true).as_deref(), Some("2000-01-01T00:00:01.5+00:00"));
        assert_eq!((moment(i64::MAX, false), moment(i64::MIN, true)), (None, None), "infinity");
    }
}
