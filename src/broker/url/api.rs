//! URLs of RabbitMQ's management API, as `--broker-api` and Flower's `--broker_api` take them.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use super::redis::place;
use super::{AmqpUrl, Secret};
use crate::broker::Error;
use crate::broker::tls::SslOptions;

/// A parsed URL of the management API. Printing it never shows the password.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiUrl {
    pub host: String,
    pub port: u16,
    pub ssl: Option<SslOptions>,
    /// User and password; without them the broker's are used.
    pub login: Option<(String, Secret)>,
    /// Begins with a slash and ends with one.
    pub path: String,
}

const PORT: u16 = 15672;
const TLS_PORT: u16 = 15671;
const PATH: &str = "/api/";

impl ApiUrl {
    /// Reads a URL. An error repeats nothing of what it can't tell from a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |what: String| Error::Url { what };
        let url =
            Url::parse(text.trim()).map_err(|e| fail(format!("the URL of the management API can't be read: {e}")))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(fail("the URL of the management API begins with http:// or https://".into())),
        };
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let pairs: Vec<(String, String)> =
            url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let ssl = SslOptions::from_query(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
        let path = match url.path().trim_end_matches('/') {
            "" => PATH.to_owned(),
            path => format!("{path}/"),
        };
        let login = (!url.username().is_empty())
            .then(|| (decode(url.username()), Secret::new(decode(url.password().unwrap_or_default()))));
        Ok(Self {
            host: url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if tls { TLS_PORT } else { PORT }),
            ssl: if tls { Some(ssl.unwrap_or_default()) } else { None },
            login,
            path,
        })
    }

    /// Where it is on most brokers. A password that goes to the broker over TLS goes here over TLS too.
    pub fn usual(broker: &AmqpUrl, ssl: Option<&SslOptions>) -> Option<Self> {
        let server = broker.servers.first()?;
        let ssl = SslOptions::of(server.ssl.as_ref(), ssl);
        let port = if ssl.is_some() { TLS_PORT } else { PORT };
        Some(Self { host: server.host.clone(), port, ssl, login: None, path: PATH.into() })
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.ssl.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", place(&self.host, self.port), crate::text::clean(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::BrokerUrl;

    #[test]
    fn urls_are_read_as_flowers_users_write_them_and_printed_without_credentials() {
        for (text, want) in [
            ("http://guest:hunter2@rabbit:15672/api/", "http://rabbit:15672/api/"),
            ("http://rabbit", "http://rabbit:15672/api/"),
            ("https://rabbit/mq/api", "https://rabbit:15671/mq/api/"),
        ] {
            assert_eq!(ApiUrl::parse(text).expect("valid").to_string(), want);
        }
        let url = ApiUrl::parse("http://joe:hunter2%40@rabbit").expect("valid");
        assert_eq!(
            url.login.as_ref().map(|(user, password)| (user.as_str(), password.reveal())),
            Some(("joe", "hunter2@"))
        );
        assert!(!format!("{url:?}").contains("hunter2"));
        let said = ApiUrl::parse("rabbit:15672").expect_err("no scheme").to_string();
        assert!(said.contains("http:// or https://"), "{said}");
    }

    #[test]
    fn the_usual_place_is_the_brokers_host() {
        let usual = |text: &str| {
            let BrokerUrl::Amqp(url) = BrokerUrl::parse(text).expect("valid") else { panic!("{text}") };
            ApiUrl::usual(&url, None).map(|url| url.to_string())
        };
        assert_eq!(usual("amqp://a:1/v;amqp://b").as_deref(), Some("http://a:15672/api/"));
        assert_eq!(usual("amqps://a").as_deref(), Some("https://a:15671/api/"));
    }
}
