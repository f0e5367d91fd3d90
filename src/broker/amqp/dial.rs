//! Making connections to the first server that takes us, with TLS or without.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::fault;
use super::tap::{Deliveries, Tap};
use crate::broker::tls::{self, SslOptions, Tls};
use crate::broker::url::{AmqpServer, AmqpUrl};
use crate::broker::wire::{Stream, of_system, tcp};
use crate::broker::{Error, Result, TransportOptions};

/// How long connecting may take where nothing else is said.
const CONNECTING: Duration = Duration::from_secs(3);
/// Seconds between heartbeats. A connection on which nothing comes for twice as long is dead.
const HEARTBEAT: u16 = 6;
/// Bytes of a frame. The library's buffers hold 32 of them.
const FRAME: u32 = 32 << 10;

/// See the module.
pub(super) struct Dialer {
    servers: Vec<(AmqpServer, Option<Tls>)>,
    url: String,
    connect: Duration,
    /// The server that took us last, or is the next to try.
    at: AtomicUsize,
}

impl Dialer {
    /// Reads the files that the options name; connects to nothing yet.
    pub fn new(url: &AmqpUrl, options: &TransportOptions) -> Result<Self> {
        let with_tls = |server: &AmqpServer| {
            let tls =
                SslOptions::of(server.ssl.as_ref(), options.use_ssl.as_ref()).as_ref().map(Tls::new).transpose()?;
            Ok((server.clone(), tls))
        };
        let asked = options.socket_connect_timeout.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        Ok(Self {
            servers: url.servers.iter().map(with_tls).collect::<Result<_>>()?,
            url: url.to_string(),
            connect: asked.map_or(CONNECTING, |asked| asked.clamp(Duration::from_millis(100), 3 * CONNECTING)),
            at: AtomicUsize::new(0),
        })
    }

    /// The server in use, where there is something to choose from.
    pub fn chosen(&self) -> Option<&AmqpServer> {
        (self.servers.len() > 1).then(|| &self.servers[self.at.load(Ordering::Relaxed) % self.servers.len()].0)
    }

    /// A connection to the server in use, else to the next that takes us.
    pub async fn connect(&self, purpose: &str) -> Result<Link> {
        self.connect_tapped(purpose, None).await
    }

    /// The same; deliveries on it go to `tap`.
    pub async fn connect_tapped(&self, purpose: &str, tap: Option<Deliveries>) -> Result<Link> {
        let mut first = None;
        for _ in 0..self.servers.len() {
            let at = self.at.load(Ordering::Relaxed);
            let (server, tls) = &self.servers[at % self.servers.len()];
            match self.connect_to(server, tls.as_ref(), purpose, tap.clone()).await {
                Ok(link) => return Ok(link),
                Err(error) => {
                    first.get_or_insert(error);
                    // Somebody else may have gone on already.
                    let _ = self.at.compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
            }
        }
        Err(first.unwrap_or_else(|| Error::Url { what: "the broker URL names no server".into() }))
    }

    async fn connect_to(
        &self,
        server: &AmqpServer,
        tls: Option<&Tls>,
        purpose: &str,
        tap: Option<Deliveries>,
    ) -> Result<Link> {
        let url = || self.url.clone();
        let late = |_| Error::Unreachable { url: url(), why: "no answer in time".into() };
        let place = (server.host.clone(), server.port);
        let stream = tokio::time::timeout(self.connect, tcp(&place, tls)).await.map_err(late)?;
        let stream = stream.map_err(|error| match tls::explain(&error) {
            Some(why) => Error::Tls { url: url(), why },
            None => Error::Unreachable { url: url(), why: of_system(&error) },
        })?;
        let cut = CancellationToken::new();
        let cutting = Box::pin(cut.clone().cancelled_owned());
        let stream = Wire { stream, cut: cutting, tap: tap.map(Tap::new) };
        // What the library began without us ends too when we don't wait for it.
        let guard = cut.drop_guard();
        let connection = tokio::time::timeout(self.connect, shake_hands(server, stream, purpose)).await;
        let connection =
            connection.map_err(late)?.map_err(|error| fault::of_handshake(&self.url, tls.is_some(), &error))?;
        guard.disarm();
        Ok(Link { connection, url: url() })
    }
}

async fn shake_hands(server: &AmqpServer, stream: Wire, purpose: &str) -> lapin::Result<Connection> {
    let uri = AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: server.user.clone(), password: server.password.reveal().to_owned() },
            host: server.host.clone(),
            port: server.port,
        },
        vhost: server.vhost.clone(),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT), frame_max: Some(FRAME), ..AMQPQueryString::default() },
    };
    // The library's own recovery stays off: who uses a connection makes another one.
    let name = format!("flower-tui {} {purpose}", env!("CARGO_PKG_VERSION"));
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), Ready(Tokio::current())));
    let stream = Arc::new(Mutex::new(Some(stream.compat())));
    let connect = async move |_: AMQPUri, _: Runtime<Kit>| match stream.lock().take() {
        Some(stream) => Ok(AsyncTcpStream::Plain(stream)),
        None => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
    };
    Connection::connector(uri, runtime, connect, properties).await
}

/// A connection that stands. It ends when it is dropped.
pub(super) struct Link {
    pub connection: Connection,
    pub url: String,
}

impl Link {
    /// A channel of its own for something that may fail: an error closes the channel it happens on.
    pub async fn channel(&self) -> Result<Channel> {
        let made = tokio::time::timeout(super::ANSWER, self.connection.create_channel()).await;
        self.answered("channel.open", made)
    }

    /// What came of asking for something, in time or not.
    pub fn answered<T>(
        &self,
        command: &'static str,
        answer: std::result::Result<lapin::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        match answer {
            Ok(answer) => answer.map_err(|error| fault::error(&self.url, command, &error)),
            Err(_) => Err(Error::Timeout { url: self.url.clone(), command, secs: super::ANSWER.as_secs() }),
        }
    }

    /// Whether it can be used.
    pub fn stands(&self) -> bool {
        self.connection.status().connected()
    }
}

/// The library's runtime: tokio, with connections that we make ourselves.
type Kit = RuntimeParts<Tokio, Ready>;

#[derive(Clone, Debug)]
struct Ready(Tokio);

impl Reactor for Ready {
    type TcpStream = Compat<Wire>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl futures_util::AsyncRead + futures_util::AsyncWrite + Send + Unpin + 'static> {
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl futures_util::Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

/// A connection that can be made to end, and that may have its deliveries taken out.
struct Wire {
    stream: Stream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    tap: Option<Tap>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        let read = match &mut wire.tap {
            Some(tap) => tap.poll_read(&mut wire.stream, cx, into),
            None => Pin::new(&mut wire.stream).poll_read(cx, into),
        };
        match read {
            Poll::Ready(read) => Poll::Ready(read),
            // Nothing read is the end.
            Poll::Pending => wire.cut.as_mut().poll(cx).map(Ok),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
