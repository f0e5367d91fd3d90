//! One request over HTTP and its answer, within bounds: for the management API of a broker, and for whoever is asked at a
//! login.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::tls::{self, Tls};
use super::wire::{Server, of_system, tcp};

/// What an answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long all of it may take, connecting included.
    pub time: Duration,
    pub bytes: usize,
}

/// Asks a server. An error is in a person's words, and holds nothing of the request.
pub async fn exchange(
    server: &Server,
    tls: Option<&Tls>,
    request: Request<Full<Bytes>>,
    bounds: Bounds,
) -> Result<(StatusCode, Bytes), String> {
    let answered = tokio::time::timeout(bounds.time, ask(server, tls, request, bounds.bytes)).await;
    answered.unwrap_or_else(|_| Err("no answer in time".into()))
}

async fn ask(
    server: &Server,
    tls: Option<&Tls>,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<(StatusCode, Bytes), String> {
    let http = |error: hyper::Error| format!("it does not speak HTTP ({error})");
    let stream = tcp(server, tls).await.map_err(|error| tls::explain(&error).unwrap_or_else(|| of_system(&error)))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(http)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), most).collect().await;
    Ok((status, body.map_err(|error| format!("its answer broke off: {error}"))?.to_bytes()))
}
