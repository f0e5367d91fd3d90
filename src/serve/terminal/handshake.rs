//! The way from HTTP to a WebSocket (RFC 6455, section 4.2), for our own page alone: a browser sends what it knows of a
//! person with every such request, whichever page makes it.

use base64_simd::STANDARD;
use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use hyper::header;
use hyper::upgrade::Upgraded;
use ring::digest;

use crate::serve::answer::{Answer, Body, TEXT};

/// What is hashed with the client's key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Agreed to: what is left is who takes the connection.
pub(super) struct Accepted(String);

impl Accepted {
    /// The answer, after which the connection is handed over.
    pub fn then(self, run: impl FnOnce(Upgraded) -> BoxFuture<'static, ()> + Send + 'static) -> Answer {
        let answer = Answer { body: Body::Handed(Box::new(run)), ..Answer::new(101, "", Vec::new()) };
        answer.with("Connection", "Upgrade").with("Upgrade", "websocket").with("Sec-WebSocket-Accept", self.0)
    }
}

/// Agrees to a WebSocket, or says why not.
pub(super) fn accept(headers: &HeaderMap, xheaders: bool) -> Result<Accepted, Box<Answer>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = text("upgrade").eq_ignore_ascii_case("websocket") && text("sec-websocket-version") == "13";
    let key = text("sec-websocket-key");
    if !asked || STANDARD.decode_to_vec(key).map_or(0, |bytes| bytes.len()) != 16 {
        let refused = Answer::new(426, TEXT, "The screen is sent over a WebSocket: the page at / shows it");
        let refused = refused.with("Connection", "Upgrade").with("Upgrade", "websocket");
        return Err(Box::new(refused.with("Sec-WebSocket-Version", "13")));
    }
    if !is_own(headers, xheaders) {
        return Err(Box::new(Answer::text(403, "Cross-origin request forbidden")));
    }
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    Ok(Accepted(STANDARD.encode_to_string(hash)))
}

/// Whether the page that asks is one of ours. Every browser says which page it is.
fn is_own(headers: &HeaderMap, xheaders: bool) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some((_, origin)) = text(header::ORIGIN).and_then(|origin| origin.split_once("://")) else { return false };
    let forwarded = header::HeaderName::from_static("x-forwarded-host");
    let hosts = [text(header::HOST), xheaders.then(|| text(forwarded)).flatten()];
    hosts.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn told(more: &[(&'static str, &str)], xheaders: bool) -> u16 {
        let usual = [
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("host", "flower.example:5555"),
        ];
        let headers: HeaderMap = usual
            .iter()
            .chain(more)
            .map(|(k, v)| (k.parse().expect("name"), HeaderValue::from_str(v).expect("value")))
            .collect();
        match accept(&headers, xheaders) {
            Ok(accepted) => {
                assert_eq!(accepted.0, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "as in the RFC");
                101
            }
            Err(refused) => refused.status,
        }
    }

    #[test]
    fn only_a_page_of_ours_may_open_one() {
        assert_eq!(told(&[("origin", "https://flower.example:5555")], false), 101);
        for origin in ["https://evil.example", "https://flower.example", "null", "https://flower.example:5555.evil"] {
            assert_eq!(told(&[("origin", origin)], false), 403, "{origin}");
        }
        assert_eq!(told(&[], false), 403, "a browser says which page it is");
        let proxied = [("x-forwarded-host", "monitor.example"), ("origin", "https://monitor.example")];
        assert_eq!((told(&proxied, true), told(&proxied, false)), (101, 403));
    }
}
