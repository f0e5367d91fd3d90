//! Broker URLs as Celery users write them, and how to print them without the password.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Error;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever sends it to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16, tls: bool },
    Unix { path: PathBuf },
}

/// A parsed broker URL. Printing it never shows the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    pub address: Address,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Number of the Redis database.
    pub db: u32,
}

const KNOWN: [&str; 5] = ["redis", "rediss", "unix", "redis+socket", "redis+unix"];

impl BrokerUrl {
    /// Reads a URL. An error repeats nothing of what it can't tell from a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |what: String| Error::Url { what };
        let (scheme, _) = text
            .split_once("://")
            .ok_or_else(|| fail("a broker URL needs a scheme such as redis:// in front".into()))?;
        if !KNOWN.contains(&scheme) {
            let scheme: String =
                scheme.chars().filter(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)).take(20).collect();
            return Err(fail(format!(
                "brokers of type {scheme}:// are not supported; redis://, rediss:// and unix:// are"
            )));
        }
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

impl fmt::Display for BrokerUrl {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        BrokerUrl::parse(text).map(|u| u.to_string()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn urls_are_read_as_celery_reads_them_and_printed_without_the_password() {
        for (text, want) in [
            ("redis://", "redis://localhost:6379/0"),
            ("redis://cache-1", "redis://cache-1:6379/0"),
            ("redis://:p%40ss@cache-1:7000/3", "redis://:***@cache-1:7000/3"),
            ("rediss://joe:x@h/", "rediss://joe:***@h:6379/0"),
            ("redis://[::1]:6380//2", "redis://[::1]:6380/2"),
            ("unix:///run/redis.sock?virtual_host=2", "unix:///run/redis.sock?virtual_host=2"),
            ("redis+socket://:pw@/tmp/r.sock", "unix://:***@/tmp/r.sock?virtual_host=0"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        let url = BrokerUrl::parse("redis://:p%40ss@h").expect("valid");
        assert_eq!(url.password.as_ref().map(Secret::reveal), Some("p@ss"));
        assert!(!format!("{url:?}").contains("p@ss"));
    }

    #[test]
    fn bad_urls_say_what_is_wrong_and_never_the_password() {
        for (text, want) in [
            ("cache-1:6379", "scheme"),
            ("http://h", "http:// are not supported"),
            ("redis://:secret@h/abc", "has to be a number"),
            ("redis://:secret@h:port/0", "invalid port"),
            ("unix://", "path"),
        ] {
            let said = shown(text);
            assert!(said.contains(want), "{text}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
