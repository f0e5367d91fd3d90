//! What redis-rs says went wrong, in a person's words.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use crate::broker::{Error, tls};

/// What a command ended with, at a server.
pub(super) fn error(url: &str, command: &'static str, secs: u64, error: &RedisError) -> Error {
    let url = url.to_owned();
    let why = crate::text::clean(&describe(error)).to_string();
    if let Some(why) = tls_reason(error) {
        return Error::Tls { url, why };
    }
    if let Some(why) = no_permission(error) {
        return Error::Denied { url, what: command.to_owned(), why };
    }
    let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
        || ["NOAUTH", "WRONGPASS", "uthentication", "out of range", "invalid DB"].iter().any(|word| why.contains(word));
    match error.kind() {
        _ if refused => Error::Refused { url, why },
        ErrorKind::Parse => Error::NotRedis { url },
        ErrorKind::AuthenticationFailed => Error::Refused { url, why },
        _ if error.is_timeout() && command != CONNECT => Error::Timeout { url, command, secs },
        _ if error.is_io_error() || error.is_connection_dropped() || command == CONNECT => {
            Error::Unreachable { url, why }
        }
        _ => Error::Command { url, command, why },
    }
}

/// The command that is none: making the connection.
pub(super) const CONNECT: &str = "CONNECT";

/// What the server says to someone without the permission, if that is what it says.
pub(super) fn no_permission(error: &RedisError) -> Option<String> {
    let text = describe(error);
    text.strip_prefix("NOPERM ").map(|why| crate::text::clean(why).to_string())
}

/// Whether the server was a master and is none any more.
pub(super) fn is_read_only(error: &RedisError) -> bool {
    describe(error).starts_with("READONLY")
}

/// Servers refuse a certificate only after the handshake is over.
fn tls_reason(error: &RedisError) -> Option<String> {
    let shared = error.source()?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    shared.downcast_ref::<io::Error>().and_then(tls::explain)
}

/// The error in a few words: the operating system's numbers say nothing to a person.
fn describe(error: &RedisError) -> String {
    if error.is_connection_refusal() {
        return "connection refused".into();
    }
    if error.is_timeout() {
        return "no answer in time".into();
    }
    // Of several commands sent at once, the first that was refused says it all.
    if let Some((_, first)) = error.clone().into_server_errors().as_deref().and_then(<[_]>::first) {
        return format!("{} {}", first.code(), first.details().unwrap_or_default()).trim_end().to_owned();
    }
    let text = match error.detail() {
        Some(detail) if !detail.is_empty() => match error.code() {
            Some(code) if !detail.starts_with(code) => format!("{code} {detail}"),
            _ => detail.to_owned(),
        },
        _ => error.to_string(),
    };
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// An error of the operating system, in a few words.
pub(super) fn of_system(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::TimedOut => "no answer in time".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "it closed the connection".into(),
        _ if error.to_string().starts_with("failed to lookup address") => "there is no host of that name".into(),
        _ => {
            let text = error.to_string();
            crate::text::clean(text.split(" (os error").next().unwrap_or_default()).to_string()
        }
    }
}
