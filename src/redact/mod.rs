//! Secrets out of texts: the value behind a key such as `password` becomes `***` before anybody sees or stores it.
//!
//! A text may be a Python `repr`, JSON, a query string, one within the other, and cut off anywhere. So none is parsed as
//! a whole: each `:`, `=` and `,` is looked back from for a key, and on from for its value. Where a value's end is in
//! doubt, more goes and not less. What says that there is no value (`None`, `false`, an empty text) stays.

mod keys;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use memchr::memchr3;
use serde_json::Value;

use keys::Keys;
pub use keys::{USUAL, fold};
use value::Found;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// How often a text is looked through at most.
const ROUNDS: usize = 8;

/// Takes secrets out of texts, by the names of their keys. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct Redactor {
    keys: Option<Arc<Keys>>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(USUAL)
    }
}

impl Redactor {
    /// By these names; without any, texts stay as they are.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let keys = Keys::new(names);
        Self { keys: (!keys.is_empty()).then(|| Arc::new(keys)) }
    }

    /// Leaves every text as it is.
    pub fn off() -> Self {
        Self { keys: None }
    }

    /// A text without its secrets; borrowed where it has none. Doing it twice changes nothing more.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.scan(text, false)
    }

    /// A traceback without its secrets. In a line of code a name behind a key is no secret, a text in quotes may be one.
    pub fn traceback<'t>(&self, text: &'t str) -> Cow<'t, str> {
        // Most have nothing to hide.
        if matches!(self.scan(text, false), Cow::Borrowed(_)) {
            return Cow::Borrowed(text);
        }
        let lines = text.split('\n').map(|line| self.scan(line, line.starts_with([' ', '\t'])));
        Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Takes the secrets out of a document, and out of the texts in it.
    pub fn json(&self, document: &mut Value) {
        match document {
            Value::String(text) => {
                if let Cow::Owned(redacted) = self.text(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    if !self.is_key(key) {
                        self.json(value);
                    } else if !is_nothing(value) {
                        *value = Value::from(HIDDEN);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether the value behind a key of this name is a secret.
    pub fn is_key(&self, name: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.end(name))
    }

    /// In code, only literal values are taken.
    fn scan<'t>(&self, text: &'t str, code: bool) -> Cow<'t, str> {
        let mut shown = self.once(text, code);
        // What is gone may have kept something else from being taken for a secret.
        for _ in 1..ROUNDS {
            let Cow::Owned(text) = &shown else { break };
            let Cow::Owned(less) = self.once(text, code) else { break };
            shown = Cow::Owned(less);
        }
        shown
    }

    fn once<'t>(&self, text: &'t str, code: bool) -> Cow<'t, str> {
        let Some(keys) = &self.keys else { return Cow::Borrowed(text) };
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(found) = memchr3(b':', b'=', b',', &text.as_bytes()[at..]) {
            let separator = at + found;
            at = separator + 1;
            let Some(secret) = secret(keys, text, separator, code) else { continue };
            at = at.max(secret.range.end);
            let (before, after) = (&text[copied..secret.range.start], &text[secret.range.clone()]);
            let quote = secret.quote;
            if after.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) == Some(HIDDEN) {
                continue;
            }
            for part in [before, quote, HIDDEN, quote] {
                out.push_str(part);
            }
            copied = secret.range.end;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[copied..]);
        Cow::Owned(out)
    }
}

/// What has to go, and the quotes that have to stand around what comes in its place.
struct Secret<'t> {
    range: Range<usize>,
    quote: &'t str,
}

/// The secret that a separator stands before.
fn secret<'t>(keys: &Keys, text: &'t str, separator: usize, code: bool) -> Option<Secret<'t>> {
    if text[separator..].starts_with("://") {
        return Some(Secret { range: value::password_of_url(text, separator + 3)?, quote: "" });
    }
    let key = keys::before(text, separator)?;
    if !keys.end(&text[..key.end]) {
        return None;
    }
    let found = value::behind(text, separator, &key, code)?;
    let (range, quote) = match found {
        Found::InQuotes(range) => (range, ""),
        Found::Bare(range) => (range, key.quote_text(text)),
    };
    let shown = &text[range.clone()];
    if shown.is_empty() || matches!(shown, "None" | "null" | "True" | "true" | "False" | "false" | "[]" | "{}" | "()") {
        return None;
    }
    Some(Secret { range, quote })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}
