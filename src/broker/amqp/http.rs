//! As much of HTTP as the management API needs: a request, and an answer in JSON.

use std::time::Duration;

use base64_simd::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;

use crate::broker::Secret;
use crate::broker::tls::{self, SslOptions, Tls};
use crate::broker::url::{ApiUrl, place};
use crate::broker::wire::{of_system, tcp};

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
        let late = |_| Fault::Failed("no answer in time".into());
        let (status, body) = tokio::time::timeout(ANSWER, self.send(method, path, body)).await.map_err(late)??;
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

    async fn send(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes), Fault> {
        let http = |error: hyper::Error| Fault::Failed(format!("it does not speak HTTP ({error})"));
        let server = (self.url.host.clone(), self.url.port);
        let stream = tcp(&server, self.tls.as_ref())
            .await
            .map_err(|error| Fault::Failed(tls::explain(&error).unwrap_or_else(|| of_system(&error))))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url.path))
            .header(HOST, place(&self.url.host, self.url.port))
            .header(AUTHORIZATION, self.authorization.reveal())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Fault::Failed(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(http)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        let body = body.map_err(|error| Fault::Failed(format!("its answer broke off: {error}")))?;
        Ok((status, body.to_bytes()))
    }
}
