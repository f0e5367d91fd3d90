//! URLs of databases as SQLAlchemy reads them, `dialect+driver://user:password@host:port/database?query`, and how to
//! print them without the password. The driver is Python's affair.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::broker::Secret;
use crate::broker::tls::{CertReqs, SslOptions};
use crate::results::Error;
use crate::text::clean;

/// Where a database is.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlUrl {
    Sqlite(PathBuf),
    Postgres(Server),
    Mysql(Server),
}

/// A database on a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    pub host: Host,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: String,
    pub tls: TlsUse,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq)]
pub enum Host {
    Name(String),
    /// A socket, for PostgreSQL the folder it lies in.
    Socket(PathBuf),
}

/// Whether TLS is spoken.
#[derive(Debug, Clone, PartialEq)]
pub enum TlsUse {
    Never,
    /// Where the server offers it, whoever that is: better than none.
    Offered,
    Always(SslOptions),
}

/// Where PostgreSQL's socket lies where nothing is said, as in Debian's `libpq`.
const POSTGRES_SOCKETS: &str = "/var/run/postgresql";

impl SqlUrl {
    /// Reads a URL, without Celery's `db+` in front. An error repeats nothing that might be a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (dialect, rest) = text.split_once("://").unwrap_or((text, ""));
        let dialect = dialect.split('+').next().unwrap_or_default();
        match dialect {
            "sqlite" => sqlite(rest),
            "postgresql" | "postgres" => Parts::of(rest)?.postgres().map(Self::Postgres),
            "mysql" | "mariadb" => Parts::of(rest)?.mysql().map(Self::Mysql),
            other => {
                let other = clean(&other.chars().take(20).collect::<String>());
                Err(Error(format!(
                    "databases of type {other} can't be read; sqlite, postgresql, mysql and mariadb can"
                )))
            }
        }
    }

    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Postgres(server) | Self::Mysql(server) if server.password.is_some())
    }
}

impl fmt::Display for SqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:///{}", clean(&path.display().to_string())),
            Self::Postgres(server) => write!(f, "postgresql://{server}"),
            Self::Mysql(server) => write!(f, "mysql://{server}"),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match (&self.user, &self.password) {
            (None, None) => String::new(),
            (user, None) => format!("{}@", user.as_deref().unwrap_or_default()),
            (user, Some(_)) => format!("{}:***@", user.as_deref().unwrap_or_default()),
        };
        let database = &self.database;
        let whole = match &self.host {
            Host::Name(host) if host.contains(':') => format!("{login}[{host}]:{}/{database}", self.port),
            Host::Name(host) => format!("{login}{host}:{}/{database}", self.port),
            Host::Socket(path) => format!("{login}/{database}?host={}", path.display()),
        };
        clean(&whole).fmt(f)
    }
}

fn sqlite(rest: &str) -> Result<SqlUrl, Error> {
    let path = rest.split('?').next().unwrap_or_default();
    let path = path.strip_prefix('/').filter(|path| !path.is_empty() && *path != ":memory:").ok_or_else(|| {
        Error("db+sqlite:// needs a file behind it: db+sqlite:///from/here.db, db+sqlite:////from/the/root.db".into())
    })?;
    Ok(SqlUrl::Sqlite(decode(path)?.into()))
}

fn decode(text: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| Error("the URL of the result backend is no UTF-8".into()))
}

/// What stands behind `://`.
struct Parts {
    user: Option<String>,
    password: Option<Secret>,
    host: Option<String>,
    port: Option<u16>,
    database: String,
    query: Vec<(String, String)>,
}

impl Parts {
    fn of(rest: &str) -> Result<Self, Error> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold anything that is not escaped but should be.
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => (None, None),
            Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
        };
        let (address, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = match address.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
            None => address.split_once(':').unwrap_or((address, "")),
        };
        let odd = |c: char| !(c.is_alphanumeric() || ".-_:%".contains(c));
        if host.contains(odd) {
            return Err(Error(
                "the host of the result backend can't be read; is a password not percent-encoded?".into(),
            ));
        }
        let query = url::form_urlencoded::parse(query.as_bytes());
        Ok(Self {
            user: user.filter(|user| !user.is_empty()),
            password: password.filter(|password| !password.is_empty()).map(Secret::new),
            host: Some(decode(host)?).filter(|host| !host.is_empty()),
            port: number(port)?,
            database: decode(database)?,
            query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        })
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn postgres(self) -> Result<Server, Error> {
        let usual = Host::Socket(POSTGRES_SOCKETS.into());
        let host = match (self.word("host"), &self.host) {
            (Some(folder), _) if folder.starts_with('/') => Host::Socket(folder.into()),
            (Some(host), _) => Host::Name(host.to_owned()),
            (None, Some(host)) => Host::Name(host.clone()),
            (None, None) => usual,
        };
        let port = match self.word("port") {
            Some(port) => number(port)?,
            None => self.port,
        };
        let tls = self.postgres_tls()?;
        Ok(self.server(host, port.unwrap_or(5432), tls))
    }

    /// As `libpq` reads these words: only two of the modes verify anything, and a file of certificates makes a third.
    fn postgres_tls(&self) -> Result<TlsUse, Error> {
        let verified = |check_hostname| SslOptions {
            ssl_ca_certs: self.word("sslrootcert").filter(|file| *file != "system").map(Into::into),
            ssl_certfile: self.word("sslcert").map(Into::into),
            ssl_keyfile: self.word("sslkey").map(Into::into),
            ssl_check_hostname: Some(check_hostname),
            ssl_cert_reqs: CertReqs::Required,
            ..SslOptions::default()
        };
        Ok(match self.word("sslmode").unwrap_or("prefer") {
            "disable" | "allow" => TlsUse::Never,
            "prefer" => TlsUse::Offered,
            "require" if self.word("sslrootcert").is_some() => TlsUse::Always(verified(false)),
            "require" => TlsUse::Always(SslOptions { ssl_cert_reqs: CertReqs::None, ..verified(false) }),
            "verify-ca" => TlsUse::Always(verified(false)),
            "verify-full" => TlsUse::Always(verified(true)),
            _ => return Err(Error("sslmode takes disable, prefer, require, verify-ca or verify-full".into())),
        })
    }

    fn mysql(self) -> Result<Server, Error> {
        let host = match (self.word("unix_socket"), &self.host) {
            (Some(path), _) => Host::Socket(path.into()),
            (None, host) => Host::Name(host.clone().unwrap_or_else(|| "localhost".into())),
        };
        let (port, tls) = (self.port.unwrap_or(3306), self.mysql_tls()?);
        Ok(self.server(host, port, tls))
    }

    /// The words of PyMySQL and mysqlclient. Whoever names none of them has no TLS with either.
    fn mysql_tls(&self) -> Result<TlsUse, Error> {
        let is = |name, value: &str| self.word(name).is_some_and(|said| said.eq_ignore_ascii_case(value));
        let off = is("ssl_disabled", "true") || is("ssl_mode", "disabled");
        if off || !self.query.iter().any(|(name, _)| name.starts_with("ssl")) {
            return Ok(TlsUse::Never);
        }
        let anybody = match self.word("ssl_mode").map(str::to_ascii_lowercase).as_deref() {
            None => is("ssl_verify_cert", "false"),
            Some("verify_ca" | "verify_identity") => false,
            Some("required" | "preferred") => self.word("ssl_ca").is_none(),
            Some(_) => {
                return Err(Error("ssl_mode takes DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY".into()));
            }
        };
        let any_name = is("ssl_check_hostname", "false")
            || is("ssl_verify_identity", "false")
            || self.word("ssl_mode").is_some_and(|mode| !mode.eq_ignore_ascii_case("verify_identity"));
        Ok(TlsUse::Always(SslOptions {
            ssl_cert_reqs: if anybody { CertReqs::None } else { CertReqs::Required },
            ssl_ca_certs: self.word("ssl_ca").map(Into::into),
            ssl_certfile: self.word("ssl_cert").map(Into::into),
            ssl_keyfile: self.word("ssl_key").map(Into::into),
            ssl_check_hostname: Some(!any_name),
            ..SslOptions::default()
        }))
    }

    fn server(self, host: Host, port: u16, tls: TlsUse) -> Server {
        Server { host, port, user: self.user, password: self.password, database: self.database, tls }
    }
}

fn number(port: &str) -> Result<Option<u16>, Error> {
    match port {
        "" => Ok(None),
        port => port.parse().map(Some).map_err(|_| Error("the URL of the result backend has an invalid port".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        SqlUrl::parse(text).map_or_else(|e| e.to_string(), |url| url.to_string())
    }

    #[test]
    fn urls_are_read_as_sqlalchemy_reads_them_and_printed_without_the_password() {
        for (text, want) in [
            ("sqlite:///relative/x.db", "sqlite:///relative/x.db"),
            ("sqlite+pysqlite:////abs/x%20y.db?timeout=5", "sqlite:////abs/x y.db"),
            ("postgresql+psycopg2://joe:hunter2@db-1/shop", "postgresql://joe:***@db-1:5432/shop"),
            ("postgres://joe@[::1]:6000/a%20b", "postgresql://joe@[::1]:6000/a b"),
            ("postgresql:///shop", "postgresql:///shop?host=/var/run/postgresql"),
            ("postgresql://joe:hunter2@/shop?host=/run/pg", "postgresql://joe:***@/shop?host=/run/pg"),
            ("mysql+pymysql://joe:hun:ter2/@db/shop?charset=utf8mb4", "mysql://joe:***@db:3306/shop"),
            ("mariadb+mariadbconnector://u@/shop?unix_socket=/run/m.sock", "mysql://u@/shop?host=/run/m.sock"),
            ("mysql:///shop", "mysql://localhost:3306/shop"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        let url = SqlUrl::parse("postgresql://joe:p%40s+s@h/d").expect("valid");
        let SqlUrl::Postgres(server) = &url else { panic!("{url}") };
        assert_eq!(server.password.as_ref().map(Secret::reveal), Some("p@s+s"));
        assert!(url.has_password() && !format!("{url:?}").contains("s+s"));
    }

    #[test]
    fn bad_urls_say_what_is_wrong_and_never_the_password() {
        for (text, want) in [
            ("sqlite://", "needs a file"),
            ("sqlite:///:memory:", "needs a file"),
            ("oracle://joe:hunter2@h/d", "type oracle can't be read"),
            ("postgresql://joe:hunter2@h:port/d", "invalid port"),
            ("postgresql://joe:hunter2?@h/d", "invalid port"),
            ("mysql://joe:x@hunter2/@h/d?ssl_mode=x", "ssl_mode takes"),
            ("postgresql://h,hunter2/d", "can't be read"),
            ("postgresql://h/d?sslmode=hunter2", "sslmode takes"),
        ] {
            let said = shown(text);
            assert!(said.contains(want), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn tls_is_what_the_drivers_of_python_make_of_the_same_words() {
        let tls = |text: &str| match SqlUrl::parse(text).expect("valid") {
            SqlUrl::Postgres(server) | SqlUrl::Mysql(server) => match server.tls {
                TlsUse::Never => "never".to_owned(),
                TlsUse::Offered => "offered".to_owned(),
                TlsUse::Always(o) => format!("{:?} {:?}", o.ssl_cert_reqs, o.ssl_check_hostname),
            },
            SqlUrl::Sqlite(_) => String::new(),
        };
        for (text, want) in [
            ("postgresql://h/d", "offered"),
            ("postgresql://h/d?sslmode=disable", "never"),
            ("postgresql://h/d?sslmode=require", "None Some(false)"),
            ("postgresql://h/d?sslmode=require&sslrootcert=/ca", "Required Some(false)"),
            ("postgresql://h/d?sslmode=verify-full", "Required Some(true)"),
            ("mysql://h/d", "never"),
            ("mysql://h/d?ssl_ca=/ca&ssl_disabled=true", "never"),
            ("mysql://h/d?ssl_ca=/ca", "Required Some(true)"),
            ("mysql://h/d?ssl_ca=/ca&ssl_check_hostname=false", "Required Some(false)"),
            ("mysql://h/d?ssl_mode=REQUIRED", "None Some(false)"),
            ("mysql://h/d?ssl_mode=VERIFY_IDENTITY", "Required Some(true)"),
        ] {
            assert_eq!(tls(text), want, "{text}");
        }
    }
}
