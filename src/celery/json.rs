//! JSON as Python writes it: `NaN`, `Infinity` and lone surrogates are let through by making them legal first.

use std::borrow::Cow;

use serde_json::Value;

use super::{Error, Result};

/// Runs `parse` on the bytes, and once more on a legalised copy when they hold what only Python calls JSON.
pub fn with_python_json<T>(bytes: &[u8], mut parse: impl FnMut(&[u8]) -> serde_json::Result<T>) -> Result<T> {
    match parse(bytes) {
        Ok(value) => Ok(value),
        Err(first) => match legalise(bytes) {
            Cow::Owned(legal) => parse(&legal).map_err(|e| Error::Json(e.to_string())),
            Cow::Borrowed(_) => Err(Error::Json(first.to_string())),
        },
    }
}

/// One JSON document.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    with_python_json(bytes, |b| serde_json::from_slice(b))
}

/// `NaN` and infinities become `null`, lone surrogates the replacement character.
fn legalise(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut i = 0;
    let mut in_string = false;
    let replace = |out: &mut Option<Vec<u8>>, copied: &mut usize, from: usize, to: usize, with: &[u8]| {
        let buffer = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
        buffer.extend_from_slice(&bytes[*copied..from]);
        buffer.extend_from_slice(with);
        *copied = to;
    };
    while i < bytes.len() {
        if in_string {
            match bytes[i] {
                b'"' => in_string = false,
                b'\\' => match surrogate(&bytes[i..]) {
                    Some((len, false)) => {
                        replace(&mut out, &mut copied, i, i + len, b"\\ufffd");
                        i += len;
                        continue;
                    }
                    Some((len, true)) => {
                        i += len;
                        continue;
                    }
                    None => i += 1,
                },
                _ => {}
            }
        } else {
            let rest = &bytes[i..];
            if bytes[i] == b'"' {
                in_string = true;
            } else if let Some(word) = [&b"NaN"[..], b"-Infinity", b"Infinity"].iter().find(|w| rest.starts_with(w)) {
                replace(&mut out, &mut copied, i, i + word.len(), b"null");
                i += word.len();
                continue;
            }
        }
        i += 1;
    }
    match out {
        Some(mut buffer) => {
            buffer.extend_from_slice(&bytes[copied..]);
            Cow::Owned(buffer)
        }
        None => Cow::Borrowed(bytes),
    }
}

/// For text that begins with a surrogate escape: its length, and whether it is a whole pair.
fn surrogate(text: &[u8]) -> Option<(usize, bool)> {
    let unit = |at: usize| -> Option<u16> {
        let escape = text.get(at..at + 6)?;
        if !escape.starts_with(b"\\u") {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(&escape[2..]).ok()?, 16).ok()
    };
    match unit(0)? {
        0xD800..=0xDBFF => match unit(6) {
            Some(0xDC00..=0xDFFF) => Some((12, true)),
            _ => Some((6, false)),
        },
        0xDC00..=0xDFFF => Some((6, false)),
        _ => None,
    }
}

/// A document as Python would print it: `{'a': None, 'b': [True]}`.
pub fn to_python(value: &Value) -> String {
    let mut out = String::new();
    write_python(value, &mut out);
    out
}

fn write_python(value: &Value, out: &mut String) {
    let list = |items: &[Value], out: &mut String| {
        for (i, item) in items.iter().enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            write_python(item, out);
        }
    };
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(text) => write_python_text(text, out),
        Value::Array(items) => {
            out.push('[');
            list(items, out);
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_python_text(key, out);
                out.push_str(": ");
                write_python(item, out);
            }
            out.push('}');
        }
    }
}

fn write_python_text(text: &str, out: &mut String) {
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('\'');
}

/// Positional arguments as Python would print them: `(1, 'a')`.
pub fn to_python_args(args: &Value) -> String {
    match args {
        Value::Array(items) if items.len() == 1 => format!("({},)", items.first().map(to_python).unwrap_or_default()),
        Value::Array(items) => format!("({})", items.iter().map(to_python).collect::<Vec<_>>().join(", ")),
        other => to_python(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_python_calls_json_is_read_all_the_same() {
        let text =
            br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity", "d": "\ud800x", "e": "\ud83d\ude00"}"#;
        assert_eq!(
            parse(text).expect("readable"),
            json!({"a": null, "b": [null, null], "c": "NaN \" Infinity", "d": "\u{fffd}x", "e": "😀"})
        );
    }

    #[test]
    fn documents_are_printed_as_python_would() {
        let value = json!([1, 2.5, null, true, "it's", {"a": []}]);
        assert_eq!(to_python_args(&value), r"(1, 2.5, None, True, 'it\'s', {'a': []})");
        assert_eq!(to_python_args(&json!(["x"])), "('x',)");
    }

    #[test]
    fn what_is_no_json_is_an_error_that_says_where() {
        assert!(matches!(parse(b"{\"a\": nope}"), Err(Error::Json(why)) if why.contains("column")));
    }
}
