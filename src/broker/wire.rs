//! A connection to a server, whatever it is made of.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::Tls;

/// What bytes go through.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}
pub(super) type Stream = Box<dyn Wire>;

/// Host and port.
pub(super) type Server = (String, u16);

/// Connects to a server.
pub(super) async fn tcp((host, port): &Server, tls: Option<&Tls>) -> io::Result<Stream> {
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(match tls {
        Some(tls) => Box::new(tls.connect(host, stream).await?),
        None => Box::new(stream),
    })
}

/// An error of the operating system, in a few words.
pub(super) fn of_system(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::TimedOut => "no answer in time".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "it closed the connection".into(),
        _ => {
            let text = error.to_string();
            crate::text::clean(text.split(" (os error").next().unwrap_or_default()).to_string()
        }
    }
}
