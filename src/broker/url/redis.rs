//! URLs of Redis (kombu 5.7.0, `transport/redis.py`): a host, with TLS or without, or a unix socket.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Secret;
use crate::broker::Error;

/// Where a Redis server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16, tls: bool },
    Unix { path: PathBuf },
}

/// A parsed URL of a Redis server. Printing it never shows the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub address: Address,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Number of the Redis database.
    pub db: u32,
}

/// Schemes that lead here.
pub(super) const SCHEMES: [&str; 5] = ["redis", "rediss", "unix", "redis+socket", "redis+unix"];

impl RedisUrl {
    /// Reads a URL with one of [`SCHEMES`]. An error repeats nothing of what it can't tell from a password.
    pub(super) fn parse(scheme: &str, text: &str) -> Result<Self, Error> {
        let fail = |what: String| Error::Url { what };
        // A socket's URL has no host, and may have a password all the same.
        let text =
            if matches!(scheme, "redis" | "rediss") { text.to_owned() } else { text.replacen("@/", "@localhost/", 1) };
        let url = Url::parse(&text).map_err(|e| fail(format!("the broker URL can't be read: {e}")))?;
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let query = |key: &str| url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned());
        let user = Some(decode(url.username())).filter(|u| !u.is_empty());
        let password = url.password().map(|p| Secret::new(decode(p)));
        if matches!(scheme, "redis" | "rediss") {
            let path = url.path().trim_matches('/');
            let host = url.host_str().filter(|h| !h.is_empty()).unwrap_or("localhost");
            let address = Address::Tcp {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: url.port().unwrap_or(6379),
                tls: scheme == "rediss",
            };
            let db = match query("virtual_host").or(query("db")) {
                Some(db) => number(&db)?,
                None => number(path)?,
            };
            return Ok(Self { address, user, password, db });
        }
        let db = query("virtual_host").or(query("db")).map_or(Ok(0), |db| number(&db))?;
        let path = PathBuf::from(decode(url.path()));
        if path.as_os_str().is_empty() {
            return Err(fail("the URL of a unix socket needs its path: unix:///run/redis.sock".into()));
        }
        let password = password.or_else(|| query("password").map(Secret::new));
        Ok(Self { address: Address::Unix { path }, user, password, db })
    }
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
            Address::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                let host = if host.contains(':') { format!("[{host}]") } else { crate::text::clean(host).to_string() };
                write!(f, "{scheme}://{login}{host}:{port}/{}", self.db)
            }
            Address::Unix { path } => {
                write!(f, "unix://{login}{}?virtual_host={}", crate::text::clean(&path.to_string_lossy()), self.db)
            }
        }
    }
}
