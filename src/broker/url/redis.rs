//! URLs of Redis (kombu 5.7.0, `transport/redis.py`): a host, with TLS or without, a unix socket, or the sentinels that
//! know where the master is.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Secret;
use crate::broker::Error;
use crate::broker::tls::SslOptions;

/// Where a Redis server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp {
        host: String,
        port: u16,
    },
    Unix {
        path: PathBuf,
    },
    /// Hosts and ports of sentinels.
    Sentinels(Vec<(String, u16)>),
}

/// A parsed URL of a Redis server. Printing it never shows the password.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisUrl {
    pub address: Address,
    /// TLS to the server, as far as the URL asks for it.
    pub ssl: Option<SslOptions>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Number of the Redis database.
    pub db: u32,
}

/// Schemes that lead here.
pub(super) const SCHEMES: [&str; 6] = ["redis", "rediss", "unix", "redis+socket", "redis+unix", "sentinel"];

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl RedisUrl {
    /// Reads a URL with one of [`SCHEMES`]. An error repeats nothing of what it can't tell from a password.
    pub(super) fn parse(scheme: &str, text: &str) -> Result<Self, Error> {
        match scheme {
            "redis" | "rediss" => {
                let url = read(text)?;
                let mut parsed = Self::of(&url, Address::Tcp { host: host(&url), port: url.port().unwrap_or(PORT) })?;
                if scheme == "rediss" {
                    parsed.ssl.get_or_insert_default();
                }
                Ok(parsed)
            }
            "sentinel" => Self::sentinels(text),
            _ => Self::socket(text),
        }
    }

    fn of(url: &Url, address: Address) -> Result<Self, Error> {
        let pairs: Vec<(String, String)> =
            url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let query = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let is_socket = matches!(address, Address::Unix { .. });
        let db = match query("virtual_host").or(query("db")) {
            Some(db) => number(&db)?,
            None if is_socket => 0,
            None => number(url.path())?,
        };
        let password = url.password().map(decode).or_else(|| query("password").filter(|_| is_socket));
        Ok(Self {
            address,
            ssl: SslOptions::from_query(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))?,
            user: Some(decode(url.username())).filter(|user| !user.is_empty()),
            password: password.map(Secret::new),
            db,
        })
    }

    /// User, password and database are the first URL's, as in kombu; of the others only the hosts count.
    fn sentinels(text: &str) -> Result<Self, Error> {
        let mut urls = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            urls.push(if part.contains("://") { read(part)? } else { read(&format!("sentinel://{part}"))? });
        }
        let hosts = urls.iter().map(|url| (host(url), url.port().unwrap_or(SENTINEL_PORT))).collect();
        match urls.first() {
            Some(first) => Self::of(first, Address::Sentinels(hosts)),
            None => Err(Error::Url { what: "the URL of sentinels names none".into() }),
        }
    }

    fn socket(text: &str) -> Result<Self, Error> {
        // A socket's URL has no host, and may have a password all the same.
        let url = read(&text.replacen("@/", "@localhost/", 1))?;
        let path = PathBuf::from(decode(url.path()));
        if path.as_os_str().is_empty() {
            return Err(Error::Url { what: "the URL of a unix socket needs its path: unix:///run/redis.sock".into() });
        }
        Self::of(&url, Address::Unix { path })
    }
}

fn read(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|e| Error::Url { what: format!("the broker URL can't be read: {e}") })
}

fn decode(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

fn host(url: &Url) -> String {
    let host = url.host_str().filter(|h| !h.is_empty()).unwrap_or("localhost");
    host.trim_matches(['[', ']']).to_owned()
}

/// Host and port as they are written, also where the host is an IPv6 address.
pub(crate) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{}:{port}", crate::text::clean(host)) }
}

fn number(text: &str) -> Result<u32, Error> {
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| Error::Url {
        what: format!(
            "the database in the broker URL has to be a number, not {:?}",
            crate::text::clean(text).as_str().chars().take(30).collect::<String>()
        ),
    })
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().map(|u| crate::text::clean(u).to_string()).unwrap_or_default();
        let login = match (&self.password, user.is_empty()) {
            (Some(secret), _) => format!("{user}:{secret}@"),
            (None, false) => format!("{user}@"),
            (None, true) => String::new(),
        };
        match &self.address {
            Address::Tcp { host, port } => {
                let scheme = if self.ssl.is_some() { "rediss" } else { "redis" };
                write!(f, "{scheme}://{login}{}/{}", place(host, *port), self.db)
            }
            Address::Sentinels(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(|(host, port)| place(host, *port)).collect();
                write!(f, "sentinel://{login}{}/{}", hosts.join(";"), self.db)
            }
            Address::Unix { path } => {
                write!(f, "unix://{login}{}?virtual_host={}", crate::text::clean(&path.to_string_lossy()), self.db)
            }
        }
    }
}
