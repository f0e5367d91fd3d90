//! Connections, within bounds: how many, how long a head may take, how much a body may hold; and their end.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use ring::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Body};
use super::auth::{Role, Who};
use super::call::{self, Call};
use super::patient::Patient;
use super::seats::{Busy, Seat, Seats};
use super::{Site, routes};

/// Connections at the same time.
const CONNECTIONS: usize = 512;
/// How long a request's head may take, and a connection may idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take, and a body.
const BODY: Duration = Duration::from_secs(10);
/// How long the other side may take nothing of what is sent.
const TAKES: Duration = Duration::from_secs(30);
/// Bytes of a body.
const LONGEST: usize = 1 << 20;
/// Bytes of a head.
const HEAD_LONGEST: usize = 32 << 10;
/// How long answers under way have once we end.
const LAST: Duration = Duration::from_millis(700);
/// A pause where no more connections can be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Where we listen.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Certificates and their key, which can be read anew.
pub struct Tls {
    files: (PathBuf, PathBuf),
    acceptor: RwLock<TlsAcceptor>,
}

impl Tls {
    /// Reads both files.
    pub fn read(certificates: &Path, key: &Path) -> Result<Self, String> {
        let acceptor = acceptor(certificates, key)?;
        Ok(Self { files: (certificates.to_owned(), key.to_owned()), acceptor: RwLock::new(acceptor) })
    }

    /// Reads them again; connections that stand go on with what they began with.
    pub fn reload(&self) -> Result<(), String> {
        *self.acceptor.write() = acceptor(&self.files.0, &self.files.1)?;
        Ok(())
    }
}

fn acceptor(certificates: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let wrong = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect)
        .map_err(|why| wrong(certificates, &why))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|why| wrong(key, &why))?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret);
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|why| wrong(certificates, &why))?)))
}

/// Answers until the site is stopped, and a moment longer what is under way then.
pub async fn serve(site: Arc<Site>, listener: Listener, tls: Option<Arc<Tls>>) {
    let seats = Seats::new(CONNECTIONS);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = site.stop.cancelled() => break,
            accepted = accept(&listener) => match accepted {
                Ok((stream, from)) => {
                    let Some(seat) = seats.take().await else { break };
                    let (site, tls) = (site.clone(), tls.clone());
                    connections.spawn(async move {
                        tokio::select! {
                            () = seat.leave.cancelled() => {}
                            () = connection(site, stream, from, tls, &seat) => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!("can't take a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST, all).await.is_err() {
        connections.abort_all();
    }
}

/// Something bytes go over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn accept(listener: &Listener) -> std::io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
    Ok(match listener {
        Listener::Tcp(listener) => {
            let (stream, from) = listener.accept().await?;
            stream.set_nodelay(true)?;
            (Box::new(stream), Some(from.ip().to_canonical()))
        }
        Listener::Unix(listener) => (Box::new(listener.accept().await?.0), None),
    })
}

async fn connection(
    site: Arc<Site>,
    stream: Box<dyn Stream>,
    from: Option<IpAddr>,
    tls: Option<Arc<Tls>>,
    seat: &Arc<Seat>,
) {
    let stream: Box<dyn Stream> = match tls {
        None => stream,
        Some(tls) => {
            let acceptor = tls.acceptor.read().clone();
            match tokio::time::timeout(BODY, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Box::new(stream),
                // Whoever does not speak TLS is told nothing.
                _ => return,
            }
        }
    };
    let stop = site.stop.clone();
    let service = service_fn(move |request| respond(site.clone(), request, from, seat.busy()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_LONGEST)
        .serve_connection(TokioIo::new(Patient::new(stream, TAKES)), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn respond(
    site: Arc<Site>,
    request: Request<Incoming>,
    from: Option<IpAddr>,
    busy: Busy,
) -> Result<Reply, Infallible> {
    let (mut head, body) = request.into_parts();
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let reading = head.method == hyper::Method::GET;
    let unless = head.headers.get(hyper::header::IF_NONE_MATCH).cloned();
    let from = if site.options.xheaders { proxied(&head.headers).or(from) } else { from };
    let call = Call {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        rest: String::new(),
        parameters: call::parameters(head.uri.query().unwrap_or_default()),
        headers: head.headers,
        body: Vec::new(),
        from,
        who: Who::nobody(Role::Viewer),
    };
    let mut answer = routes::answer(&site, call, Box::pin(whole(body))).await;
    if let Body::Handed(_) = answer.body
        && let Body::Handed(take) = std::mem::replace(&mut answer.body, Body::Whole(Bytes::new()))
    {
        let stop = site.stop.clone();
        site.tracker.spawn(async move {
            // The connection is ours once the answer has gone out.
            let Some(upgrade) = upgrade else { return };
            let handed = tokio::select! {
                handed = tokio::time::timeout(HEAD, upgrade) => handed,
                () = stop.cancelled() => return,
            };
            if let Ok(Ok(connection)) = handed {
                take(connection).await;
            }
        });
    }
    Ok(reply(answer, Some(unless).filter(|_| reading), busy).await)
}

/// All of a body, within its bounds.
async fn whole(body: Incoming) -> Result<Vec<u8>, Box<Answer>> {
    match tokio::time::timeout(BODY, Limited::new(body, LONGEST).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(_)) => Err(Box::new(Answer::text(413, "The body is too long, or broke off"))),
        Err(_) => Err(Box::new(Answer::text(408, "The body took too long"))),
    }
}

/// Who a proxy says it asks for: the one it adds itself is the last.
fn proxied(headers: &hyper::HeaderMap) -> Option<IpAddr> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let last = text("x-forwarded-for").and_then(|list| list.rsplit(',').next());
    text("x-real-ip").or(last).and_then(|ip| ip.trim().parse().ok())
}

/// Makes bytes of an answer. `unless` is there for a GET: what the client has already, if it says so.
async fn reply(answer: Answer, unless: Option<Option<HeaderValue>>, busy: Busy) -> Reply {
    let mut response = Response::new(match answer.body {
        Body::Whole(bytes) => Full::new(bytes).boxed_unsync(),
        Body::Handed(_) => Full::new(Bytes::new()).boxed_unsync(),
        Body::Stream(stream) => {
            let framed = stream.map(move |bytes| {
                // Who listens to a stream is being answered all the time.
                let _busy = &busy;
                Ok(Frame::data(Bytes::from(bytes)))
            });
            StreamBody::new(framed).boxed_unsync()
        }
    });
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if !answer.kind.is_empty() && answer.status != 204 {
        headers.insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(hyper::header::SERVER, HeaderValue::from_static("flower-tui"));
    headers.insert(hyper::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    for (name, value) in answer.headers {
        // A name from the cluster may hold what no header can.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            // Each cookie has a header of its own.
            if name == hyper::header::SET_COOKIE {
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
    }
    match unless {
        Some(unless) if answer.status == 200 => tagged(response, unless).await,
        _ => response,
    }
}

/// Names the body by its hash, as Tornado does, and leaves it out where the client has it already. A stream has no end to
/// be hashed.
async fn tagged(response: Reply, unless: Option<HeaderValue>) -> Reply {
    use hyper::body::Body as _;
    let (mut head, body) = response.into_parts();
    if body.size_hint().exact().is_none() {
        return Response::from_parts(head, body);
    }
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = unless.as_ref().and_then(|value| value.to_str().ok());
    let known = known.is_some_and(|list| list.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        head.headers.insert(hyper::header::ETAG, value);
    }
    if known {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(hyper::header::CONTENT_TYPE);
        return Response::from_parts(head, Full::new(Bytes::new()).boxed_unsync());
    }
    Response::from_parts(head, Full::new(bytes).boxed_unsync())
}
