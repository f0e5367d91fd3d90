//! What RabbitMQ says went wrong, in a person's words. It names its errors by number (AMQP 0-9-1, "Reply codes").

use lapin::ErrorKind;

use crate::broker::wire::of_system;
use crate::broker::{Error, tls};

const FORCED: u16 = 320;
const REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const NOT_ALLOWED: u16 = 530;

/// The number of an error that the broker named.
pub(super) fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(said) => Some(said.get_id()),
        _ => None,
    }
}

/// Whether what was asked about isn't there.
pub(super) fn is_absent(error: &lapin::Error) -> bool {
    code(error) == Some(NOT_FOUND)
}

/// What a connection ended with before it stood.
pub(super) fn of_handshake(url: &str, tls: bool, error: &lapin::Error) -> Error {
    let url = url.to_owned();
    match (code(error), error.kind()) {
        (Some(REFUSED), _) => Error::Refused { url, why: "user or password are wrong, or it may not connect".into() },
        (Some(NOT_ALLOWED), _) => Error::Refused { url, why: said(error) },
        (_, ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_)) => Error::Foreign { url, wants: "AMQP" },
        (None, ErrorKind::IOError(io)) if tls::explain(io).is_none() && !tls => {
            let why = "it closed the connection at once; does it want TLS (amqps:// or broker_use_ssl)?".into();
            Error::Unreachable { url, why }
        }
        _ => self::error(&url, "connection.open", error),
    }
}

/// What a command ended with.
pub(super) fn error(url: &str, command: &'static str, error: &lapin::Error) -> Error {
    let url = url.to_owned();
    match (code(error), error.kind()) {
        (Some(REFUSED), _) => Error::Denied { url, what: command.to_owned(), why: said(error) },
        (Some(FORCED), _) => Error::Unreachable { url, why: "it is shutting down, or closed our connection".into() },
        (Some(_), _) => Error::Command { url, command, why: said(error) },
        (None, ErrorKind::IOError(io)) => match tls::explain(io) {
            Some(why) => Error::Tls { url, why },
            None => Error::Unreachable { url, why: of_system(io) },
        },
        (None, ErrorKind::MissingHeartbeatError) => Error::Unreachable { url, why: "it fell silent".into() },
        (None, ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..)) => {
            Error::Unreachable { url, why: "the connection ended".into() }
        }
        (None, ErrorKind::ParsingError(_)) => Error::Foreign { url, wants: "AMQP" },
        (None, _) => Error::Command { url, command, why: crate::text::clean(&error.to_string()).to_string() },
    }
}

/// The broker's own words, without the name of the error in capitals before them.
fn said(error: &lapin::Error) -> String {
    let ErrorKind::ProtocolError(said) = error.kind() else { return error.to_string() };
    let text = said.get_message().as_str();
    let text = text.split_once(" - ").map_or(text, |(_, text)| text);
    crate::text::clean(text).to_string()
}
