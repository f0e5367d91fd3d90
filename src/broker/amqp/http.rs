//! As much of HTTP as the management API needs: a request, and an answer in JSON.

use std::time::Duration;

use base64_simd::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;

use crate::broker::Secret;
use crate::broker::http::{Bounds, exchange};
use crate::broker::tls::{SslOptions, Tls};
use crate::broker::url::{ApiUrl, place};

/// How long an answer may take, connecting included.
const ANSWER: Duration = Duration::from_secs(5);
/// The most an answer may have.
const MOST: usize = 64 << 20;

/// See the module.
pub(super) struct Http {
    url: ApiUrl,
    tls: Option<Tls>,
    authorization: Secret,
}

/// Why there is no answer, in a person's words.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// There is no such thing there.
    Absent,
    Failed(String),
}

impl Http {
    /// `login` is used where the URL names nobody.
    pub fn new(url: ApiUrl, login: (&str, &Secret)) -> crate::broker::Result<Self> {
        let tls = url.ssl.as_ref().map(|ssl: &SslOptions| Tls::new(ssl)).transpose()?;
        let (user, password) = url.login.as_ref().map_or(login, |(user, password)| (user.as_str(), password));
        let coded = STANDARD.encode_to_string(format!("{user}:{}", password.reveal()));
        Ok(Self { tls, authorization: Secret::new(format!("Basic {coded}")), url })
    }

    /// Where it is, without credentials.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// Reads a resource.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        self.answer(Method::GET, path, String::new()).await
    }

    /// Posts a document.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T, Fault> {
        self.answer(Method::POST, path, body.to_string()).await
    }

    async fn answer<T: DeserializeOwned>(&self, method: Method, path: &str, body: String) -> Result<T, Fault> {
        let (status, body) = self.send(method, path, body).await.map_err(Fault::Failed)?;
        let failed = |why: &str| Err(Fault::Failed(why.into()));
        match status {
            status if status.is_success() => serde_json::from_slice(&body)
                .or_else(|_| failed("it answers, but not as a management API does; is that the right address?")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                failed("it refuses user or password, or the user lacks the tag `management` (or `monitoring`)")
            }
            // Only the API itself says so in JSON.
            StatusCode::NOT_FOUND if serde_json::from_slice::<serde_json::Value>(&body).is_ok() => Err(Fault::Absent),
            StatusCode::NOT_FOUND => failed("nothing is there (404); is that the right address?"),
            status => failed(&format!("it answers {}", status.as_u16())),
        }
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url.path))
            .header(HOST, place(&self.url.host, self.url.port))
            .header(AUTHORIZATION, self.authorization.reveal())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let server = (self.url.host.clone(), self.url.port);
        exchange(&server, self.tls.as_ref(), request, Bounds { time: ANSWER, bytes: MOST }).await
    }
}
