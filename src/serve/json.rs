//! JSON as Flower's server writes it: Python's spaces, and only ASCII, so that what reads it with a pattern goes on reading.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value; what can't be written, which no value of ours is, becomes nothing.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let begin = out.len();
    if value.serialize(&mut Serializer::with_formatter(&mut *out, Python)).is_err() {
        out.truncate(begin);
    }
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + std::io::Write>(&mut self, out: &mut W, text: &str) -> std::io::Result<()> {
        // Neither a script tag nor what it ends with can stand in it (Tornado 6.6.1, `escape.py`, `json_encode`).
        if text.is_ascii() && !text.contains("</") {
            return out.write_all(text.as_bytes());
        }
        let mut before = ' ';
        for c in text.chars() {
            match c {
                '/' if before == '<' => out.write_all(b"\\/")?,
                c if c.is_ascii() => out.write_all(&[c as u8])?,
                c => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
            }
            before = c;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_python_writes_it() {
        let mut out = Vec::new();
        write(&serde_json::json!({"a": [1, 2.0, "é😀</script>"], "b": null}), &mut out);
        let want = r#"{"a": [1, 2.0, "\u00e9\ud83d\ude00<\/script>"], "b": null}"#;
        assert_eq!(String::from_utf8(out).as_deref(), Ok(want));
    }
}
