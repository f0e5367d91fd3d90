//! Requests to whoever is asked at a login: few at a time, within bounds, and errors that hold nothing secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use url::Url;

use crate::broker::http::{Bounds, exchange};
use crate::broker::tls::{SslOptions, Tls};

/// A person waits for this.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(8), bytes: 1 << 20 };
/// Requests at the same time; strangers can cause some.
const AT_ONCE: usize = 8;

/// See the module.
pub(super) struct Web {
    tls: Tls,
    turns: Semaphore,
}

/// Why there is no answer that could be used.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// It can't be reached, or does not answer as it should.
    Away(String),
    /// It says no.
    Refused { status: u16, error: String },
    /// What it says does not stand a test.
    Untrue(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Away(why) => write!(f, "the provider can't be asked: {why}"),
            Fault::Untrue(why) => write!(f, "what the provider answered can't be believed: {why}"),
            Fault::Refused { status, error } if error.is_empty() => write!(f, "the provider answered {status}"),
            Fault::Refused { status, error } => write!(f, "the provider answered {status}: {error}"),
        }
    }
}

impl Web {
    /// `authorities` is a file of those who may have signed the other side's certificate.
    pub fn new(authorities: Option<PathBuf>) -> Result<Self, String> {
        let ssl = SslOptions { ssl_ca_certs: authorities, ..SslOptions::default() };
        let tls = Tls::new(&ssl).map_err(|why| why.to_string().replace("ssl_ca_certs", "oauth2_ca_certs"))?;
        Ok(Self { tls, turns: Semaphore::new(AT_ONCE) })
    }

    /// Reads a document.
    pub async fn get<T: DeserializeOwned>(&self, url: &Url, authorization: Option<String>) -> Result<T, Fault> {
        self.ask("GET", url, authorization, String::new()).await
    }

    /// Sends a form.
    pub async fn post<T: DeserializeOwned>(
        &self,
        url: &Url,
        authorization: Option<String>,
        form: &[(&str, &str)],
    ) -> Result<T, Fault> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.ask("POST", url, authorization, form).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        url: &Url,
        authorization: Option<String>,
        body: String,
    ) -> Result<T, Fault> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let at = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, at)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "flower-tui")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let unsendable = |_| Fault::Away("what it gave can't be sent in a request".into());
        let request = request.body(Full::new(Bytes::from(body))).map_err(unsendable)?;
        let server = (host.trim_matches(['[', ']']).to_owned(), port);
        let tls = (url.scheme() == "https").then_some(&self.tls);
        let turn = self.turns.acquire().await;
        let answered = exchange(&server, tls, request, BOUNDS).await;
        drop(turn);
        let (status, body) = answered.map_err(|why| Fault::Away(format!("{}: {why}", crate::text::clean(host))))?;
        if !status.is_success() {
            return Err(Fault::Refused { status: status.as_u16(), error: error_of(&body) });
        }
        let foreign = |_| Fault::Away(format!("{} does not answer as a provider does", crate::text::clean(host)));
        serde_json::from_slice(&body).map_err(foreign)
    }
}

/// The name an error has there (RFC 6749, 5.2).
fn error_of(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    serde_json::from_slice::<Said>(body).map(|said| named(&said.error)).unwrap_or_default()
}

/// A name of an error and nothing else.
pub(super) fn named(error: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
    error.chars().take_while(plain).take(64).collect()
}
