//! A request as the routes read it: parameters by Flower's rules, the same from query string and form.

use std::net::IpAddr;

use hyper::HeaderMap;
use percent_encoding::percent_decode_str;

use super::answer::{Answer, bad};
use super::auth::Who;
use crate::config::flower::truth;

/// A request, read whole.
pub(super) struct Call {
    pub method: String,
    /// Behind the prefix, as it was sent.
    pub path: String,
    /// What stands in the place of the star of its route.
    pub rest: String,
    pub parameters: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Where it came from; `None` over a unix socket.
    pub from: Option<IpAddr>,
    pub who: Who,
}

type Refusal = Box<Answer>;

impl Call {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The last one of a name counts, and an empty one is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// One that has to be there.
    pub fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| bad(format!("Missing argument {name}")))
    }

    fn typed<T>(&self, name: &str, kind: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || bad(format!("Invalid argument '{text}' of type '{kind}'"));
        read(text.trim()).map(Some).ok_or_else(wrong)
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.typed(name, "int", |t| t.replace('_', "").parse().ok())
    }

    pub fn float(&self, name: &str) -> Result<Option<f64>, Refusal> {
        self.typed(name, "float", |t| t.replace('_', "").parse().ok().filter(|n: &f64| n.is_finite()))
    }

    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.typed(name, "bool", truth)?.unwrap_or(false))
    }
}

/// `a=b&c=d%20e`. What is no UTF-8 stays as the replacement character.
pub(super) fn parameters(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).map(|(k, v)| (k.into_owned(), v.trim().to_owned())).collect()
}

/// A part of a path; `None` where it is no text.
pub(super) fn decoded(part: &str) -> Option<String> {
    percent_decode_str(part).decode_utf8().ok().map(|text| text.into_owned())
}
