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
pub type Server = (String, u16);

/// Connects to a server, without TLS.
pub async fn reach((host, port): &Server) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to a server, with TLS where that is wanted.
pub(super) async fn tcp(server: &Server, tls: Option<&Tls>) -> io::Result<Stream> {
    let stream = reach(server).await?;
    Ok(match tls {
        Some(tls) => Box::new(tls.connect(&server.0, stream).await?),
        None => Box::new(stream),
    })
}

/// Nobody listens there.
pub const REFUSED: &str = "connection refused";

/// An error of the operating system, in a few words.
pub fn of_system(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => REFUSED.into(),
        io::ErrorKind::TimedOut => "no answer in time".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "it closed the connection".into(),
        _ if error.to_string().starts_with("failed to lookup address") => "there is no host of that name".into(),
        _ => {
            let text = error.to_string();
            crate::text::clean(text.split(" (os error").next().unwrap_or_default()).to_string()
        }
    }
}
