//! URLs of RabbitMQ (kombu 5.7.0, `utils/url.py`, `connection.py`, `transport/pyamqp.py`): one server, or several of
//! which the next is tried when one is away.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Secret;
use super::redis::place;
use crate::broker::Error;
use crate::broker::tls::SslOptions;

/// One server, and how to log in there.
#[derive(Debug, Clone, PartialEq)]
pub struct AmqpServer {
    pub host: String,
    pub port: u16,
    /// TLS, as far as the URL asks for it.
    pub ssl: Option<SslOptions>,
    pub user: String,
    pub password: Secret,
    pub vhost: String,
    /// The URL names a password; else it is the usual one.
    has_password: bool,
}

/// A parsed URL of RabbitMQ. Printing it never shows a password.
#[derive(Debug, Clone, PartialEq)]
pub struct AmqpUrl {
    /// At least one, in the order they are tried.
    pub servers: Vec<AmqpServer>,
}

/// Schemes that lead here.
pub(super) const SCHEMES: [&str; 3] = ["amqp", "amqps", "pyamqp"];

const PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;
/// User and password where the URL names none.
const GUEST: &str = "guest";
const VHOST: &str = "/";

impl AmqpUrl {
    /// Reads a URL with one of [`SCHEMES`]. An error repeats nothing of what it can't tell from a password.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut servers: Vec<AmqpServer> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let server = AmqpServer::parse(part, servers.first())?;
            servers.push(server);
        }
        match servers.is_empty() {
            true => Err(Error::Url { what: "the broker URL names no server".into() }),
            false => Ok(Self { servers }),
        }
    }

    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        self.servers.iter().any(|server| server.has_password)
    }
}

impl AmqpServer {
    /// Whoever knows no better than what RabbitMQ comes with.
    pub(super) fn make_guest(&mut self) {
        (self.user, self.password) = (GUEST.to_owned(), Secret::new(GUEST));
    }

    /// Reads one of several URLs. What a later one leaves out, it has of the first: a host alone all but the host, a URL
    /// port and virtual host.
    fn parse(text: &str, first: Option<&AmqpServer>) -> Result<Self, Error> {
        let fail = |what: String| Error::Url { what };
        let bare = !text.contains("://");
        let whole = if bare { format!("amqp://{text}") } else { text.to_owned() };
        let url = Url::parse(&whole).map_err(|e| fail(format!("the broker URL can't be read: {e}")))?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(fail("the servers in one broker URL have to be of one kind".into()));
        }
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let host = url.host_str().filter(|h| !h.is_empty()).map(|h| decode(h.trim_matches(['[', ']'])));
        let host = host.unwrap_or_else(|| "localhost".into());
        if let (true, Some(first)) = (bare, first) {
            return Ok(Self { host, port: url.port().unwrap_or(first.port), ..first.clone() });
        }
        let pairs: Vec<(String, String)> =
            url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let mut ssl = SslOptions::from_query(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
        if url.scheme() == "amqps" {
            ssl.get_or_insert_default();
        }
        let usual = if ssl.is_some() { TLS_PORT } else { PORT };
        let path = url.path().strip_prefix('/').map(decode).filter(|path| !path.is_empty());
        Ok(Self {
            host,
            port: url.port().unwrap_or(first.map_or(usual, |first| first.port)),
            ssl,
            user: Some(decode(url.username())).filter(|user| !user.is_empty()).unwrap_or_else(|| GUEST.into()),
            password: Secret::new(url.password().map_or_else(|| GUEST.into(), decode)),
            vhost: path.unwrap_or_else(|| first.map_or(VHOST.into(), |first| first.vhost.clone())),
            has_password: url.password().is_some(),
        })
    }
}

impl fmt::Display for AmqpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.ssl.is_some() { "amqps" } else { "amqp" };
        let secret = if self.has_password { format!(":{}", self.password) } else { String::new() };
        let (user, vhost) = (crate::text::clean(&self.user), crate::text::clean(&self.vhost));
        write!(f, "{scheme}://{user}{secret}@{}/{vhost}", place(&self.host, self.port))
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        f.write_str(&servers.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        AmqpUrl::parse(text).map(|u| u.to_string()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn urls_are_read_as_kombu_reads_them_and_printed_without_the_password() {
        for (text, want) in [
            ("amqp://", "amqp://guest@localhost:5672//"),
            ("pyamqp://rabbit", "amqp://guest@rabbit:5672//"),
            ("amqp://h/", "amqp://guest@h:5672//"),
            ("amqp://h//", "amqp://guest@h:5672//"),
            ("amqp://h/%2F", "amqp://guest@h:5672//"),
            ("amqp://h/shop", "amqp://guest@h:5672/shop"),
            ("amqp://h/%2Fshop", "amqp://guest@h:5672//shop"),
            ("amqps://joe:p%40ss@h", "amqps://joe:***@h:5671//"),
            ("amqp://h:5700?heartbeat=10&connection_timeout=5", "amqp://guest@h:5700//"),
            ("amqp://h?ssl_cert_reqs=none", "amqps://guest@h:5671//"),
            ("amqp://[::1]:5673/v", "amqp://guest@[::1]:5673/v"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        let url = AmqpUrl::parse("amqp://joe%3A:p%40s%2Fs@h").expect("valid");
        assert_eq!((url.servers[0].user.as_str(), url.servers[0].password.reveal()), ("joe:", "p@s/s"));
        assert!(!format!("{url:?}").contains("p@s"));
    }

    #[test]
    fn of_several_servers_the_later_ones_have_what_they_leave_out_of_the_first() {
        for (text, want) in [
            ("amqp://u:p@a:1/v;b;c:2", "amqp://u:***@a:1/v;amqp://u:***@b:1/v;amqp://u:***@c:2/v"),
            ("amqp://u:p@a/v;amqp://x:y@b:9", "amqp://u:***@a:5672/v;amqp://x:***@b:9/v"),
            ("amqp://a; amqps://b:5671/w;", "amqp://guest@a:5672//;amqps://guest@b:5671/w"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn bad_urls_say_what_is_wrong_and_never_the_password() {
        for (text, want) in [
            ("amqp://u:secret@h:port", "invalid port"),
            ("amqp://u:secret@a;redis://b", "have to be of one kind"),
            ("amqp://u:secret@h?ssl_cert_reqs=maybe", "ssl_cert_reqs takes"),
        ] {
            let said = shown(text);
            assert!(said.contains(want) && !said.contains("secret"), "{text}: {said}");
        }
    }
}
