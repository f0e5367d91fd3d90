//! What is answered: a status, a type, a body; and the refusals that many routes share.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use serde::Serialize;

use super::json;

pub(super) const JSON: &str = "application/json; charset=UTF-8";
pub(super) const TEXT: &str = "text/plain; charset=UTF-8";
pub(super) const HTML: &str = "text/html; charset=UTF-8";
pub(super) const CSS: &str = "text/css";
#[cfg(feature = "web")]
pub(super) const SCRIPT: &str = "text/javascript; charset=UTF-8";

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    /// Its content type; empty where there is no content.
    pub kind: &'static str,
    pub body: Body,
    pub headers: Vec<(&'static str, String)>,
}

pub(super) enum Body {
    Whole(Bytes),
    /// Goes on until either side ends it.
    Stream(BoxStream<'static, Vec<u8>>),
    /// No more HTTP: whoever this is takes the connection.
    Handed(Box<dyn FnOnce(Upgraded) -> BoxFuture<'static, ()> + Send>),
}

/// What a route comes to; a refusal ends it early.
pub(super) type Said = Result<Answer, Box<Answer>>;

impl Answer {
    pub fn new(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, kind, body: Body::Whole(body.into()), headers: Vec::new() }
    }

    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        let mut body = Vec::new();
        json::write(value, &mut body);
        Self::new(200, JSON, body)
    }

    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, TEXT, text.into())
    }

    /// Text alone that calls itself HTML, as Flower's does: so a browser is told to take nothing in it for a page.
    pub fn plain(status: u16, text: &str) -> Self {
        Self::new(status, HTML, text.to_owned()).with("Content-Security-Policy", "default-src 'none'; sandbox")
    }

    pub fn empty(status: u16) -> Self {
        Self::new(status, HTML, Vec::new())
    }

    pub fn message(text: impl Into<String>) -> Self {
        Self::json(&serde_json::json!({"message": text.into()}))
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The person asked for something that can't be.
pub(super) fn bad(text: impl Into<String>) -> Box<Answer> {
    Box::new(Answer::text(400, text))
}

/// There is no such thing.
pub(super) fn unknown(what: &str, name: &str) -> Box<Answer> {
    Box::new(Answer::text(404, format!("Unknown {what} '{name}'")))
}

/// What a request needs is away.
pub(super) fn away(why: &str) -> Box<Answer> {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Box::new(Answer::text(503, format!("Broker or result backend unavailable{why}")))
}
