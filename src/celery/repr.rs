//! Python literals, and nothing else: what `repr` made of a task's arguments, read back without ever evaluating it.
//!
//! A text that was shortened by its sender (`...`) or that holds anything but literals is refused with the reason.

use std::fmt::Write;

/// A Python value that a literal can spell.
#[derive(Debug, Clone, PartialEq)]
pub enum Py {
    None,
    Bool(bool),
    /// Decimal digits with an optional minus: Python's integers have no limit.
    Int(String),
    Float(f64),
    /// Real and imaginary part.
    Complex(f64, f64),
    Str(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Py>),
    List(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    Set(Vec<Py>),
}

/// Why a text can't be read as a literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("its sender shortened it (`...`)")]
    Shortened,
    #[error("it holds something other than Python literals, at character {at}")]
    NotLiteral { at: usize },
    #[error("a backslash in it may stand for itself or for another character")]
    Ambiguous,
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Why a value can't be written as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    #[error("JSON has no {0}")]
    Type(&'static str),
}

/// How deep containers may be nested.
pub const MAX_DEPTH: usize = 100;

/// Reads a literal. The whole text has to be one.
pub fn parse(text: &str) -> Result<Py, Error> {
    read(text, false)
}

/// Reads what Celery printed into a message or an event. Its `saferepr` puts strings between single quotes and escapes
/// nothing but those (Celery 5.7.0, `utils/saferepr.py`, `_format_chars`): a backslash is itself there, and the beginning
/// of an escape where Python's own `repr` printed. Such a string is not guessed at.
pub fn parse_printed(text: &str) -> Result<Py, Error> {
    read(text, true)
}

fn read(text: &str, printed: bool) -> Result<Py, Error> {
    let mut parser = Parser { text, at: 0, printed };
    parser.space();
    let value = parser.value(0)?;
    parser.space();
    if parser.at < text.len() { Err(parser.stop()) } else { Ok(value) }
}

impl Py {
    /// Writes it as Python's `json.dumps` would: tuples become lists, keys become strings, `inf` stays `Infinity`.
    pub fn to_json(&self) -> Result<String, NotJson> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    fn write_json(&self, out: &mut String) -> Result<(), NotJson> {
        match self {
            Py::None => out.push_str("null"),
            Py::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Py::Int(digits) => out.push_str(digits),
            Py::Float(f) => out.push_str(&json_float(*f)),
            Py::Str(text) => json_string(text, out),
            Py::Tuple(items) | Py::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    item.write_json(out)?;
                }
                out.push(']');
            }
            Py::Dict(pairs) => {
                out.push('{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    json_string(&key.json_key()?, out);
                    out.push_str(": ");
                    value.write_json(out)?;
                }
                out.push('}');
            }
            Py::Complex(..) => return Err(NotJson::Type("complex numbers")),
            Py::Bytes(_) => return Err(NotJson::Type("bytes")),
            Py::Set(_) => return Err(NotJson::Type("sets")),
        }
        Ok(())
    }

    fn json_key(&self) -> Result<String, NotJson> {
        match self {
            Py::Str(text) => Ok(text.clone()),
            Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) => self.to_json(),
            _ => Err(NotJson::Type("keys of this type")),
        }
    }
}

/// A float as Python's `json` writes it.
fn json_float(f: f64) -> String {
    if f.is_nan() {
        "NaN".into()
    } else if f.is_infinite() {
        if f > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        // Rust's `{:?}` keeps the point (`1.0`) and the shortest digits that read back the same; Python writes exponents
        // with a sign and two digits, and as a key that counts.
        let text = format!("{f:?}");
        match text.split_once('e') {
            Some((digits, exponent)) => {
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
                format!("{digits}e{sign}{exponent:0>2}")
            }
            None => text,
        }
    }
}

fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (' '..'\u{7f}').contains(&c) => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String can't fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The text is one that Celery printed.
    printed: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// The reason why nothing can be read from here on.
    fn stop(&self) -> Error {
        if self.rest().starts_with("...") || self.rest().is_empty() {
            Error::Shortened
        } else {
            Error::NotLiteral { at: self.text[..self.at].chars().count() }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Py, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        match self.peek() {
            Some(b'(') => self.tuple(depth),
            Some(b'[') => {
                self.at += 1;
                Ok(Py::List(self.items(']', depth)?.0))
            }
            Some(b'{') => self.braces(depth),
            Some(b'+' | b'-' | b'.' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
            None => Err(self.stop()),
        }
    }

    fn word(&mut self) -> Result<Py, Error> {
        if let Some(prefix) = self.string_prefix() {
            return self.strings(prefix);
        }
        let end = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let value = match &self.rest()[..end] {
            "None" => Py::None,
            "True" => Py::Bool(true),
            "False" => Py::Bool(false),
            "nan" | "inf" | "infj" | "nanj" => return self.number(),
            "set" if self.rest().starts_with("set()") => {
                self.at += 5;
                return Ok(Py::Set(Vec::new()));
            }
            "frozenset" if self.rest().starts_with("frozenset(") => return Err(self.stop()),
            _ => return Err(self.stop()),
        };
        self.at += end;
        Ok(value)
    }

    /// Items up to `close`, and whether a comma was among them.
    fn items(&mut self, close: char, depth: usize) -> Result<(Vec<Py>, bool), Error> {
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.space();
            if self.eat(close.encode_utf8(&mut [0; 4])) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !std::mem::take(&mut comma) {
                return Err(self.stop());
            }
            items.push(self.value(depth + 1)?);
            self.space();
            comma = self.eat(",");
            if !comma && self.peek() != Some(close as u8) {
                return Err(self.stop());
            }
        }
    }

    fn tuple(&mut self, depth: usize) -> Result<Py, Error> {
        let start = self.at;
        self.at += 1;
        let (mut items, comma) = self.items(')', depth)?;
        if items.len() == 1 && !comma {
            // `(1)` is a value in brackets, as complex numbers are printed: `(1+2j)`.
            return items.pop().ok_or(Error::NotLiteral { at: start });
        }
        Ok(Py::Tuple(items))
    }

    fn braces(&mut self, depth: usize) -> Result<Py, Error> {
        self.at += 1;
        self.space();
        if self.eat("}") {
            return Ok(Py::Dict(Vec::new()));
        }
        let first = self.value(depth + 1)?;
        self.space();
        if !self.eat(":") {
            let mut items = vec![first];
            if self.eat(",") {
                items.extend(self.items('}', depth)?.0);
            } else if !self.eat("}") {
                return Err(self.stop());
            }
            return Ok(Py::Set(items));
        }
        let mut pairs = Vec::new();
        let mut key = first;
        loop {
            self.space();
            pairs.push((key, self.value(depth + 1)?));
            self.space();
            let comma = self.eat(",");
            self.space();
            if self.eat("}") {
                return Ok(Py::Dict(pairs));
            }
            if !comma {
                return Err(self.stop());
            }
            key = self.value(depth + 1)?;
            self.space();
            if !self.eat(":") {
                return Err(self.stop());
            }
        }
    }

    fn number(&mut self) -> Result<Py, Error> {
        let first = self.real()?;
        if self.eat("j") || self.eat("J") {
            return Ok(Py::Complex(0.0, first.as_float()));
        }
        let before = self.at;
        if matches!(self.peek(), Some(b'+' | b'-')) {
            let second = self.real()?;
            if self.eat("j") || self.eat("J") {
                return Ok(Py::Complex(first.as_float(), second.as_float()));
            }
            self.at = before;
            return Err(self.stop());
        }
        Ok(first)
    }

    /// A signed integer or float, without the `j`.
    fn real(&mut self) -> Result<Py, Error> {
        let start = self.at;
        let negative = match self.peek() {
            Some(sign @ (b'+' | b'-')) => {
                self.at += 1;
                sign == b'-'
            }
            _ => false,
        };
        for (name, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
            if self.eat(name) {
                return Ok(Py::Float(if negative { -value } else { value }));
            }
        }
        if let Some(radix) = self.radix() {
            return self.radix_int(radix, negative);
        }
        let digits = self.at;
        let mut float = false;
        while let Some(c) = self.peek() {
            match c {
                b'0'..=b'9' => {}
                b'_' if self.at > digits => {}
                b'.' if !float && !self.rest().starts_with("...") => float = true,
                b'e' | b'E' if self.at > digits => {
                    float = true;
                    if matches!(self.text.as_bytes().get(self.at + 1), Some(b'+' | b'-')) {
                        self.at += 1;
                    }
                }
                _ => break,
            }
            self.at += 1;
        }
        let text: String = self.text[digits..self.at].chars().filter(|&c| c != '_').collect();
        if float {
            if let Ok(value) = text.parse::<f64>() {
                return Ok(Py::Float(if negative { -value } else { value }));
            }
        } else if !text.is_empty() {
            let trimmed = text.trim_start_matches('0');
            return Ok(Py::Int(match (trimmed.is_empty(), negative) {
                (true, _) => "0".into(),
                (false, true) => format!("-{trimmed}"),
                (false, false) => trimmed.into(),
            }));
        }
        self.at = start;
        Err(self.stop())
    }

    fn radix(&self) -> Option<u32> {
        match self.rest().get(..2)?.to_ascii_lowercase().as_str() {
            "0x" => Some(16),
            "0o" => Some(8),
            "0b" => Some(2),
            _ => None,
        }
    }

    fn radix_int(&mut self, radix: u32, negative: bool) -> Result<Py, Error> {
        let start = self.at;
        self.at += 2;
        let end = self.rest().find(|c: char| !c.is_digit(radix) && c != '_').unwrap_or(self.rest().len());
        let digits = self.rest()[..end].replace('_', "");
        let Ok(value) = i128::from_str_radix(&digits, radix) else {
            self.at = start;
            return Err(self.stop());
        };
        self.at += end;
        Ok(Py::Int(if negative { -value } else { value }.to_string()))
    }

    /// Length of a string prefix such as `b`, `Rb`, `u`, if a quote follows it.
    fn string_prefix(&self) -> Option<usize> {
        let len = self.rest().bytes().take(3).position(|c| c == b'"' || c == b'\'')?;
        let prefix = self.rest()[..len].to_ascii_lowercase();
        ["", "u", "b", "r", "br", "rb"].contains(&prefix.as_str()).then_some(len)
    }

    /// One string, and those that follow it directly: Python joins them.
    fn strings(&mut self, mut prefix: usize) -> Result<Py, Error> {
        let mut value = self.string(prefix)?;
        loop {
            let before = self.at;
            self.space();
            match self.string_prefix() {
                // Nobody prints two strings in a row: the first did not end where it seems to.
                Some(_) if self.printed => return Err(Error::Ambiguous),
                Some(len) => prefix = len,
                None => {
                    self.at = before;
                    return Ok(value);
                }
            }
            match (&mut value, self.string(prefix)?) {
                (Py::Str(a), Py::Str(b)) => a.push_str(&b),
                (Py::Bytes(a), Py::Bytes(b)) => a.extend(b),
                _ => return Err(Error::NotLiteral { at: before }),
            }
        }
    }

    fn string(&mut self, prefix: usize) -> Result<Py, Error> {
        let flags = self.rest()[..prefix].to_ascii_lowercase();
        let (bytes, raw) = (flags.contains('b'), flags.contains('r'));
        self.at += prefix;
        let quote = if self.rest().starts_with("'''") || self.rest().starts_with("\"\"\"") {
            self.rest()[..3].to_owned()
        } else {
            self.rest()[..1].to_owned()
        };
        self.at += quote.len();
        let mut text = String::new();
        let mut data = Vec::new();
        loop {
            if self.eat(&quote) {
                break;
            }
            let Some(c) = self.rest().chars().next() else { return Err(Error::Shortened) };
            if bytes && !c.is_ascii() {
                return Err(self.stop());
            }
            self.at += c.len_utf8();
            if c != '\\' {
                text.push(c);
                data.push(c as u8);
            } else if self.printed && quote == "'" && !self.rest().starts_with('\'') {
                return Err(Error::Ambiguous);
            } else if raw {
                text.push(c);
                data.push(c as u8);
                if let Some(next) = self.rest().chars().next() {
                    self.at += next.len_utf8();
                    text.push(next);
                    data.push(next as u8);
                }
            } else {
                self.escape(bytes, &mut text, &mut data)?;
            }
        }
        // The sender's `saferepr` cuts long strings inside their quotes (kombu 5.7.0, `utils/text.py` and Celery's `saferepr.py`).
        // How long the limit was is not known here, so every string that ends so is taken for a cut one.
        if text.ends_with("...") {
            return Err(Error::Shortened);
        }
        Ok(if bytes { Py::Bytes(data) } else { Py::Str(text) })
    }

    fn escape(&mut self, bytes: bool, text: &mut String, data: &mut Vec<u8>) -> Result<(), Error> {
        let Some(c) = self.rest().chars().next() else { return Err(Error::Shortened) };
        let at = self.at;
        self.at += c.len_utf8();
        let mut push = |value: u32| -> Result<(), Error> {
            let c = char::from_u32(value).ok_or(Error::NotLiteral { at })?;
            text.push(c);
            data.push(value as u8);
            Ok(())
        };
        match c {
            '\n' => Ok(()),
            'a' => push(7),
            'b' => push(8),
            'f' => push(12),
            'n' => push(10),
            'r' => push(13),
            't' => push(9),
            'v' => push(11),
            '\\' | '\'' | '"' => push(c as u32),
            '0'..='7' => {
                let len = self.rest().bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let digits = &self.text[at..at + 1 + len];
                let value = u32::from_str_radix(digits, 8).map_err(|_| Error::NotLiteral { at })?;
                self.at += len;
                push(value)
            }
            'x' | 'u' | 'U' if c == 'x' || !bytes => {
                let len = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = self.text.get(self.at..self.at + len).ok_or(Error::Shortened)?;
                let value = u32::from_str_radix(digits, 16).map_err(|_| Error::NotLiteral { at })?;
                self.at += len;
                push(value)
            }
            // `\N{...}` needs Unicode's table of names; `repr` never writes it.
            'N' if !bytes => Err(Error::NotLiteral { at }),
            other => {
                // An unknown escape stands for itself, backslash included.
                push('\\' as u32)?;
                push(other as u32)
            }
        }
    }
}

impl Py {
    fn as_float(&self) -> f64 {
        match self {
            Py::Int(digits) => digits.parse().unwrap_or(f64::INFINITY),
            Py::Float(f) => *f,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        parse(text).map(|v| v.to_json().unwrap_or_else(|e| e.to_string())).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn literals_become_the_json_python_would_send() {
        for (text, want) in [
            ("(1, 'a')", r#"[1, "a"]"#),
            ("()", "[]"),
            ("(1,)", "[1]"),
            ("{'a': [True, False, None], 2: {}}", r#"{"a": [true, false, null], "2": {}}"#),
            ("-0x1F", "-31"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("[1.0, 1e3, -2.5e-07, 1_000, .5, 5.]", "[1.0, 1000.0, -2.5e-07, 1000, 0.5, 5.0]"),
            ("(inf, -inf, nan, 1e400)", "[Infinity, -Infinity, NaN, Infinity]"),
            (r#""it's" ' joined'"#, r#""it's joined""#),
            (r"'\x41\u00e9\U0001f600\101\n\q'", r#""A\u00e9\ud83d\ude00A\n\\q""#),
            (r"r'\n'", r#""\\n""#),
            ("'''a\n'b' '''", r#""a\n'b' ""#),
            ("'日本'", r#""\u65e5\u672c""#),
            ("{True: 1, None: 2, 1.5: 3, 1e16: 4}", r#"{"true": 1, "null": 2, "1.5": 3, "1e+16": 4}"#),
        ] {
            assert_eq!(json(text), want, "{text}");
        }
    }

    #[test]
    fn what_celery_printed_is_not_guessed_at_where_a_backslash_may_be_one() {
        assert_eq!(parse_printed(r"('it\'s', 'a\nb')").err(), Some(Error::Ambiguous));
        assert!(
            parse_printed(
                r#"('it\'s', "two\nlines", 'two
lines')"#
            )
            .is_ok()
        );
        // A string that ends in a backslash runs into the next one.
        assert!(parse_printed(r"('a\', '', '')").is_err() && parse_printed(r"('a\', ', 5, ', '')").is_err());
        assert_eq!(parse_printed("('a' 'b',)").err(), Some(Error::Ambiguous));
    }

    #[test]
    fn what_json_can_not_hold_is_read_but_not_sent() {
        assert_eq!(parse("(1+2j)"), Ok(Py::Complex(1.0, 2.0)));
        assert_eq!(parse("-3j"), Ok(Py::Complex(0.0, -3.0)));
        assert_eq!(parse(r"b'\x00a\377'"), Ok(Py::Bytes(vec![0, b'a', 255])));
        assert_eq!(parse("{1, 2}"), Ok(Py::Set(vec![Py::Int("1".into()), Py::Int("2".into())])));
        assert_eq!(parse("set()"), Ok(Py::Set(vec![])));
        assert_eq!(json("[b'x']"), "JSON has no bytes");
        assert_eq!(json("{'a': {1}}"), "JSON has no sets");
        assert_eq!(json("{(1, 2): 3}"), "JSON has no keys of this type");
    }

    #[test]
    fn a_shortened_text_is_refused() {
        for text in [
            "(1, 2, ...)",
            "[...]",
            "('Lorem ipsum dolor sit amet...',)",
            "{'a': ...}",
            "('abc",
            "(1, 2",
            "",
            "{'k': {'deep': [...]}}",
            "(1, ...",
        ] {
            assert_eq!(parse(text), Err(Error::Shortened), "{text}");
        }
    }

    #[test]
    fn anything_but_literals_is_refused_where_it_stands() {
        for (text, at) in [
            ("(<object at 0x1>,)", 1),
            ("datetime.date(2026, 1, 1)", 0),
            ("[1, Foo()]", 4),
            ("__import__('os')", 0),
            ("1 + 2", 2),
            ("(1 2)", 3),
            ("é", 0),
            ("('é', x)", 6),
            ("frozenset({1})", 0),
        ] {
            assert_eq!(parse(text), Err(Error::NotLiteral { at }), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = "[".repeat(100_000);
        assert_eq!(parse(&deep), Err(Error::TooDeep));
        let fine = format!("{}{}", "[".repeat(90), "]".repeat(90));
        assert!(parse(&fine).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_bytes_of_literal_characters_too(text in "[\\[\\](){}'\"\\\\bru0-9.eE+\\-j,: xNTn_]{0,40}") {
            let _ = parse(&text);
        }
    }
}
