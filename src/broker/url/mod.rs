//! Broker URLs as Celery users write them, and how to print them without the password. A file for each kind of broker.

mod amqp;
mod api;
mod redis;

use std::fmt;

use super::Error;

pub use amqp::{AmqpServer, AmqpUrl};
pub use api::ApiUrl;
pub(super) use redis::place;
pub use redis::{Address, RedisUrl};

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

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A parsed broker URL. Printing it never shows the password.
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerUrl {
    Redis(RedisUrl),
    Amqp(AmqpUrl),
}

impl BrokerUrl {
    /// Reads a URL. An error repeats nothing of what it can't tell from a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |what: String| Error::Url { what };
        let (scheme, _) = text
            .split_once("://")
            .ok_or_else(|| fail("a broker URL needs a scheme such as redis:// in front".into()))?;
        if redis::SCHEMES.contains(&scheme) {
            return RedisUrl::parse(scheme, text).map(BrokerUrl::Redis);
        }
        if amqp::SCHEMES.contains(&scheme) {
            return AmqpUrl::parse(text).map(BrokerUrl::Amqp);
        }
        let scheme: String =
            scheme.chars().filter(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)).take(20).collect();
        Err(fail(format!(
            "brokers of type {scheme}:// are not supported; redis://, rediss://, sentinel://, unix://, amqp:// and amqps:// are"
        )))
    }

    /// The hosts it names; none where it is a socket of this machine.
    pub fn hosts(&self) -> Vec<&str> {
        match self {
            BrokerUrl::Redis(url) => match &url.address {
                Address::Tcp { host, .. } => vec![host],
                Address::Unix { .. } => Vec::new(),
                Address::Sentinels(hosts) => hosts.iter().map(|(host, _)| host.as_str()).collect(),
            },
            BrokerUrl::Amqp(url) => url.servers.iter().map(|server| server.host.as_str()).collect(),
        }
    }

    /// Whether it asks for TLS.
    pub fn has_tls(&self) -> bool {
        match self {
            BrokerUrl::Redis(url) => url.ssl.is_some(),
            BrokerUrl::Amqp(url) => url.servers.iter().all(|server| server.ssl.is_some()),
        }
    }

    /// User and password, as far as there are any.
    pub fn login(&self) -> (Option<&str>, Option<&Secret>) {
        match self {
            BrokerUrl::Redis(url) => (url.user.as_deref(), url.password.as_ref()),
            BrokerUrl::Amqp(url) => {
                let first = url.servers.first();
                (first.map(|server| server.user.as_str()), first.map(|server| &server.password))
            }
        }
    }

    /// The same place, for somebody who knows no more than what is usual: no password on Redis, guest on RabbitMQ. `None`
    /// where that is what it says already.
    pub fn as_stranger(&self) -> Option<BrokerUrl> {
        let mut stranger = self.clone();
        match &mut stranger {
            BrokerUrl::Redis(url) => (url.user, url.password) = (None, None),
            BrokerUrl::Amqp(url) => url.servers.iter_mut().for_each(AmqpServer::make_guest),
        }
        (stranger.login() != self.login()).then_some(stranger)
    }

    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        match self {
            BrokerUrl::Redis(url) => url.password.is_some(),
            BrokerUrl::Amqp(url) => url.has_password(),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerUrl::Redis(url) => url.fmt(f),
            BrokerUrl::Amqp(url) => url.fmt(f),
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
            ("redis://h?ssl_cert_reqs=none", "rediss://h:6379/0"),
            ("sentinel://h1", "sentinel://h1:26379/0"),
            ("sentinel://:pw@h1:7000/2;sentinel://:pw@h2;h3:7001", "sentinel://:***@h1:7000;h2:26379;h3:7001/2"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        let url = BrokerUrl::parse("redis://:p%40ss@h").expect("valid");
        let BrokerUrl::Redis(redis) = &url else { panic!("{url}") };
        assert_eq!(redis.password.as_ref().map(Secret::reveal), Some("p@ss"));
        assert!(!format!("{url:?}").contains("p@ss"));
    }

    #[test]
    fn a_stranger_knows_no_password_and_the_same_place() {
        let stranger = |text: &str| BrokerUrl::parse(text).expect("valid").as_stranger().map(|url| url.to_string());
        assert_eq!(stranger("redis://joe:pw@h:1/2").as_deref(), Some("redis://h:1/2"));
        assert_eq!(stranger("redis://h"), None);
        assert_eq!(stranger("amqp://joe:pw@h/v").as_deref(), Some("amqp://guest:***@h:5672/v"));
        assert_eq!(stranger("amqp://guest:guest@h/v"), None);
    }

    #[test]
    fn bad_urls_say_what_is_wrong_and_never_the_password() {
        for (text, want) in [
            ("cache-1:6379", "scheme"),
            ("http://h", "http:// are not supported"),
            ("redis://:secret@h/abc", "has to be a number"),
            ("redis://:secret@h:port/0", "invalid port"),
            ("unix://", "path"),
            ("sentinel://:secret@h1;sentinel://h:x", "invalid port"),
            ("rediss://:secret@h?ssl_cert_req=none", "did you mean ssl_cert_reqs?"),
        ] {
            let said = shown(text);
            assert!(said.contains(want), "{text}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
