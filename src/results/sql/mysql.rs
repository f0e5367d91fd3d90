//! Results in MySQL and MariaDB.

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, DriverError, IoError, Opts, OptsBuilder, SslOpts, Value};

use super::kept::Server;
use super::row::{Field, Row};
use super::url::{self, Host, TlsUse};
use super::{Fault, Table, WORK};
use crate::broker::tls::{self, CertReqs, SslOptions};
use crate::broker::wire::of_system;
use crate::results::Error;

/// See the module.
pub(super) struct Mysql {
    opts: Opts,
    /// The certificate has to be good, for whatever name.
    any_name: bool,
}

impl Mysql {
    /// Reads the files that the URL names.
    pub fn new(server: &url::Server) -> Result<Self, Error> {
        let (host, socket) = match &server.host {
            Host::Name(host) => (host.clone(), None),
            Host::Socket(path) => ("localhost".into(), Some(path.display().to_string())),
        };
        let tls = match (&server.tls, &server.host) {
            (TlsUse::Always(options), Host::Name(_)) => Some(with_tls(options)?),
            _ => None,
        };
        let opts = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(server.port)
            .prefer_socket(socket.is_some())
            .socket(socket)
            .user(server.user.clone())
            .pass(server.password.as_ref().map(|password| password.reveal().to_owned()))
            .db_name(Some(server.database.clone()).filter(|name| !name.is_empty()))
            .ssl_opts(tls);
        let any_name = matches!(&server.tls, TlsUse::Always(options) if options.ssl_check_hostname == Some(false));
        Ok(Self { opts: opts.into(), any_name })
    }

    /// The same, with a name that stands in the certificate: the driver's own way to skip the name has no effect with
    /// this version of rustls (mysql_async 0.37.1, `io/tls/rustls_io.rs`, compares the words of an error).
    fn by_its_own_name(&self, error: &mysql_async::Error) -> Option<Opts> {
        let mysql_async::Error::Io(IoError::Io(error)) = error else { return None };
        let name = tls::other_names(error).into_iter().next().filter(|_| self.any_name)?.replace('*', "any");
        let tls = self.opts.ssl_opts()?.clone().with_danger_tls_hostname_override(Some(name));
        Some(OptsBuilder::from_opts(self.opts.clone()).ssl_opts(tls).into())
    }
}

/// Our options in the driver's words. It makes its TLS itself.
fn with_tls(options: &SslOptions) -> Result<SslOpts, Error> {
    let anybody = options.ssl_cert_reqs == CertReqs::None;
    let mut tls = SslOpts::default().with_danger_accept_invalid_certs(anybody);
    if !anybody {
        let known = options.authorities().map_err(|error| Error(error.to_string()))?;
        let known = known.iter().map(|certificate| certificate.as_ref().to_vec().into()).collect();
        tls = tls.with_disable_built_in_roots(true).with_root_certs(known);
    }
    if let Some(file) = &options.ssl_certfile {
        let key = options.ssl_keyfile.as_ref().unwrap_or(file);
        tls = tls.with_client_identity(Some(ClientIdentity::new(file.clone().into(), key.clone().into())));
    }
    Ok(tls)
}

#[async_trait]
impl Server for Mysql {
    type Connection = Conn;

    async fn connect(&self) -> Result<Conn, Fault> {
        let mut made = Conn::new(self.opts.clone()).await;
        if let Some(opts) = made.as_ref().err().and_then(|error| self.by_its_own_name(error)) {
            made = Conn::new(opts).await;
        }
        made.map_err(|error| match explain(&error) {
            // MariaDB 10.11 does.
            Fault::Refused(why) if self.opts.ssl_opts().is_none() => Fault::Refused(format!(
                "{why} (one that wants TLS may say so, too: put ?ssl_mode=REQUIRED behind the URL)"
            )),
            fault => fault,
        })
    }

    async fn ask(&self, connection: &mut Conn, table: &Table, ids: &[String]) -> Result<Vec<Row>, Fault> {
        connection.query_drop("START TRANSACTION READ ONLY").await.map_err(|error| explain(&error))?;
        let rows = connection.exec(statement(table, ids.len()), ids.to_vec()).await.map_err(|error| explain(&error))?;
        connection.query_drop("COMMIT").await.map_err(|error| explain(&error))?;
        Ok(rows.into_iter().map(row).collect())
    }
}

/// The query, with the limit of its time as MariaDB says it in a comment of its own, and MySQL in a hint.
fn statement(table: &Table, ids: usize) -> String {
    let (secs, millis) = (WORK.as_secs(), WORK.as_millis());
    let (name, marks) = (table.quoted('`'), vec!["?"; ids].join(", "));
    format!(
        "/*M! SET STATEMENT max_statement_time={secs} FOR */ \
         SELECT /*+ MAX_EXECUTION_TIME({millis}) */ * FROM {name} WHERE task_id IN ({marks})"
    )
}

fn row(row: mysql_async::Row) -> Row {
    let names: Vec<String> = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    Row(names.into_iter().zip(row.unwrap_raw().into_iter().map(|value| field(value.unwrap_or(Value::NULL)))).collect())
}

fn field(value: Value) -> Field {
    match value {
        Value::Bytes(bytes) => Field::Bytes(bytes),
        Value::Int(n) => Field::Number(n),
        Value::UInt(n) => i64::try_from(n).map_or(Field::Null, Field::Number),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}");
            Field::Bytes(text.into_bytes())
        }
        Value::NULL | Value::Float(_) | Value::Double(_) | Value::Time(..) => Field::Null,
    }
}

fn explain(error: &mysql_async::Error) -> Fault {
    match error {
        mysql_async::Error::Server(error) => match error.code {
            1045 | 1698 => Fault::Refused(error.message.clone()),
            1044 | 1049 => Fault::NoDatabase,
            1146 => Fault::NoTable,
            1054 => Fault::NoColumn,
            1142 | 1143 => Fault::Denied,
            // MariaDB's and MySQL's.
            1969 | 3024 => Fault::Slow,
            3159 => Fault::Tls(
                "it takes no connection without TLS; put ?ssl_ca=FILE or ?ssl_mode=REQUIRED behind the URL".into(),
            ),
            _ => Fault::Other(error.message.clone()),
        },
        mysql_async::Error::Io(IoError::Io(error)) => match tls::explain(error) {
            Some(why) => Fault::Tls(why),
            None => Fault::Unreachable(of_system(error)),
        },
        mysql_async::Error::Io(IoError::Tls(error)) => Fault::Tls(error.to_string()),
        mysql_async::Error::Driver(DriverError::ConnectionClosed) => {
            Fault::Unreachable("it closed the connection".into())
        }
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => Fault::Tls("it offers none".into()),
        // What an answer holds stands in some of the others.
        mysql_async::Error::Driver(
            DriverError::UnexpectedPacket { .. }
            | DriverError::PacketOutOfOrder
            | DriverError::CantParseServerVersion { .. },
        ) => Fault::Other("it does not speak MySQL; is that the right port?".into()),
        other => Fault::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_iso_8601() {
        let text = |value| match field(value) {
            Field::Bytes(bytes) => String::from_utf8(bytes).expect("text"),
            other => format!("{other:?}"),
        };
        assert_eq!(text(Value::Date(2026, 1, 2, 3, 4, 5, 0)), "2026-01-02T03:04:05");
        assert_eq!(text(Value::Date(2026, 1, 2, 3, 4, 5, 60)), "2026-01-02T03:04:05.000060");
        assert_eq!(text(Value::UInt(u64::MAX)), "Null");
    }
}
