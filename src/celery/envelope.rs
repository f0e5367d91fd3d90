//! How a message's body is wrapped (kombu 5.7.0, `transport/virtual/base.py`, `serialization.py`, `compression.py`). On
//! AMQP it stands alone, serialised and maybe compressed, and the message's properties say how. On virtual transports
//! such as Redis an envelope is around it: one JSON object, in which the body may be base64 besides.

use std::borrow::Cow;
use std::io::Read;

use base64_simd::{STANDARD, STANDARD_NO_PAD};
use memchr::memchr;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::pull::Pull;
use super::{Error, Result, json};

/// The most a body may grow to when decompressed.
pub const MAX_BODY: usize = 64 << 20;

/// An envelope that borrows from the bytes it was read from.
#[derive(Debug, serde::Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow, default)]
    body: Words<'a>,
    #[serde(borrow, default, rename = "content-type")]
    content_type: Words<'a>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<Properties<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct Properties<'a> {
    #[serde(borrow, default)]
    body_encoding: Words<'a>,
}

/// A text, or null. What serde makes of `Option<Cow<str>>` is a copy always.
#[derive(Debug, Default)]
struct Words<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> std::result::Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Words<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
                Ok(Words(None))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
                Ok(Words(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
                Ok(Words(Some(Cow::Owned(text.to_owned()))))
            }
        }
        de.deserialize_any(Read)
    }
}

/// How the bytes of a message are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// kombu's envelope, which says it itself.
    Envelope,
    /// A body, of which AMQP's properties said it.
    Body { content_type: Cow<'static, str>, compression: Option<String> },
}

impl Coding {
    /// A message's body as a document.
    pub fn document(&self, data: &[u8]) -> Result<Value> {
        match self {
            Coding::Envelope => Envelope::parse(data)?.document(),
            Coding::Body { content_type, compression } => {
                document(format(content_type)?, &plain(data, compression.as_deref())?)
            }
        }
    }
}

/// A body without its compression.
pub fn plain<'b>(body: &'b [u8], compression: Option<&str>) -> Result<Cow<'b, [u8]>> {
    match compression {
        Some(name) => Ok(Cow::Owned(decompress(name, body)?)),
        None => Ok(Cow::Borrowed(body)),
    }
}

/// The envelope that would be around a body on Redis.
pub fn wrap(body: &[u8], content_type: &str, compression: Option<&str>) -> String {
    let headers = compression.map_or(json!({}), |name| json!({"compression": name}));
    json!({
        "body": to_base64(body), "content-encoding": "utf-8", "content-type": content_type, "headers": headers,
        "properties": {"body_encoding": "base64"},
    })
    .to_string()
}

/// The envelope around an event on Redis as kombu writes it, to the letter: Python puts spaces behind colons and commas,
/// and [`Scratch`] goes by them.
pub fn wrap_event(body: &[u8], hostname: &str, routing_key: &str) -> String {
    format!(
        concat!(
            r#"{{"body": "{}", "content-encoding": "utf-8", "content-type": "application/json", "#,
            r#""headers": {{"hostname": {}}}, "properties": {{"delivery_mode": 1, "#,
            r#""delivery_info": {{"exchange": "celeryev", "routing_key": {}}}, "priority": 0, "#,
            r#""body_encoding": "base64", "delivery_tag": "00000000-0000-4000-8000-000000000000"}}}}"#,
        ),
        to_base64(body),
        json!(hostname),
        json!(routing_key),
    )
}

/// How a body is written, after decompression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Msgpack,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope; headers and body stay as they are until asked for.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        // Checked as a whole, which costs less than each text by itself.
        let read = match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(bytes),
        };
        read.map_err(|e| Error::Json(e.to_string()))
    }

    /// What the sender calls the body's format.
    pub fn content_type(&self) -> &str {
        self.content_type.0.as_deref().unwrap_or("application/json")
    }

    /// The message headers, empty where there are none.
    pub fn headers(&self) -> Map<String, Value> {
        match self.headers.map(|raw| json::parse(raw.get().as_bytes())) {
            Some(Ok(Value::Object(map))) => map,
            _ => Map::new(),
        }
    }

    /// The body's bytes as AMQP carries them: base64 undone, compressed still.
    pub fn packed(&self) -> Result<Cow<'_, [u8]>> {
        let text = self.body.0.as_deref().unwrap_or_default();
        Ok(match self.properties.as_ref().and_then(|p| p.body_encoding.0.as_deref()) {
            Some("base64") => Cow::Owned(from_base64(text)?),
            _ => Cow::Borrowed(text.as_bytes()),
        })
    }

    /// The body's bytes: base64 undone, decompressed, not deserialised.
    pub fn body(&self) -> Result<Cow<'_, [u8]>> {
        let plain = self.packed()?;
        match self.compression() {
            Some(name) => Ok(Cow::Owned(decompress(&name, &plain)?)),
            None => Ok(plain),
        }
    }

    fn compression(&self) -> Option<String> {
        let raw = self.headers?.get();
        // Parsing the headers costs; nearly no message is compressed.
        if !raw.contains("\"compression\"") {
            return None;
        }
        Some(self.headers().get("compression")?.as_str()?.to_owned())
    }

    /// The body as a document, whatever it was serialised with.
    pub fn document(&self) -> Result<Value> {
        document(format(self.content_type())?, &self.body()?)
    }
}

/// Room for one message after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    plain: Vec<u8>,
}

impl Scratch {
    /// The body of a message as kombu writes nearly all: the body stands first in the envelope, in base64, not
    /// compressed. Its end is the next quote, which is found many times faster than a parser reads up to there. Of any
    /// other message, and of one that can't be read, it is nothing.
    pub fn body(&mut self, message: &[u8]) -> Option<(Format, &[u8])> {
        let body = message.strip_prefix(b"{\"body\": \"")?;
        let (body, rest) = body.split_at(memchr(b'"', body)?);
        let format = base64_alone(simdutf8::basic::from_utf8(rest.strip_prefix(b"\", ")?).ok()?)?;
        self.plain.clear();
        STANDARD.decode_append(body, &mut self.plain).ok()?;
        Some((format, &self.plain))
    }

    /// Gives back room that is out of proportion.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.plain.clear();
        self.plain.shrink_to(bytes);
    }
}

/// What stands behind an event's body, to the letter (kombu 5.7.0, `transport/virtual/base.py`): a text comes between
/// each two, and the last.
const USUAL: [&str; 3] = [
    r#""content-encoding": "utf-8", "content-type": "application/json", "headers": {"hostname": "#,
    r#"}, "properties": {"delivery_mode": 1, "delivery_info": {"exchange": "celeryev", "routing_key": "#,
    r#"}, "priority": 0, "body_encoding": "base64", "delivery_tag": "#,
];

/// The body's format, by an envelope from behind the body on: nothing unless that is base64 and nothing besides.
fn base64_alone(rest: &str) -> Option<Format> {
    let mut usual = Pull::new(rest);
    if USUAL.iter().all(|part| usual.word(part) && usual.plain().is_some()) && usual.word("}}") && usual.is_over() {
        return Some(Format::Json);
    }
    let mut pull = Pull::new(rest);
    let (mut content_type, mut headers, mut properties) = (None, None, None);
    loop {
        // What is said twice is not understood.
        let before = match pull.key()? {
            "body" => return None,
            "content-type" => content_type.replace(pull.plain()?).map(|_| ()),
            "headers" => headers.replace(member(&mut pull, "compression")?).map(|_| ()),
            "properties" => properties.replace(member(&mut pull, "body_encoding")?).map(|_| ()),
            _ => {
                pull.skip()?;
                None
            }
        };
        if before.is_some() {
            return None;
        }
        if !pull.more(b'}')? {
            break;
        }
    }
    let is_alone = headers.flatten().is_none() && properties.flatten() == Some("base64") && pull.is_over();
    is_alone.then(|| format(content_type.unwrap_or("application/json")).ok()).flatten()
}

/// The text of this name in the object that comes next, if there is one.
fn member<'a>(pull: &mut Pull<'a>, name: &str) -> Option<Option<&'a str>> {
    let mut found = None;
    if !pull.eat(b'{') {
        return None;
    }
    if pull.eat(b'}') {
        return Some(None);
    }
    loop {
        if pull.key()? != name {
            pull.skip()?;
        } else if found.replace(pull.plain()?).is_some() {
            return None;
        }
        if !pull.more(b'}')? {
            return Some(found);
        }
    }
}

/// Which deserialiser a content type asks for.
pub fn format(content_type: &str) -> Result<Format> {
    match content_type {
        "application/json" | "json" => Ok(Format::Json),
        "application/x-msgpack" | "msgpack" => Ok(Format::Msgpack),
        "application/x-python-serialize" | "pickle" => Err(Error::Pickle),
        other => Err(Error::ContentType(other.chars().take(60).collect())),
    }
}

/// Deserialises a body.
pub fn document(format: Format, body: &[u8]) -> Result<Value> {
    match format {
        Format::Json => json::parse(body),
        Format::Msgpack => msgpack(body),
    }
}

fn msgpack(mut body: &[u8]) -> Result<Value> {
    let value =
        rmpv::decode::read_value_with_max_depth(&mut body, 64).map_err(|_| Error::Shape("body is not msgpack"))?;
    Ok(from_msgpack(value))
}

fn from_msgpack(value: rmpv::Value) -> Value {
    use rmpv::Value as M;
    match value {
        M::Nil => Value::Null,
        M::Boolean(b) => Value::Bool(b),
        M::Integer(i) => i.as_i64().map(Value::from).or_else(|| i.as_u64().map(Value::from)).unwrap_or(Value::Null),
        M::F32(f) => Value::from(f),
        M::F64(f) => Value::from(f),
        M::String(s) => Value::String(String::from_utf8_lossy(s.as_bytes()).into_owned()),
        M::Binary(b) => Value::String(String::from_utf8_lossy(&b).into_owned()),
        M::Array(items) => Value::Array(items.into_iter().map(from_msgpack).collect()),
        M::Map(pairs) => Value::Object(
            pairs
                .into_iter()
                .map(|(k, v)| {
                    let key = match from_msgpack(k) {
                        Value::String(s) => s,
                        other => other.to_string(),
                    };
                    (key, from_msgpack(v))
                })
                .collect(),
        ),
        M::Ext(kind, bytes) => Value::String(format!("<msgpack extension {kind}, {} bytes>", bytes.len())),
    }
}

/// Undoes kombu's compression. Its "gzip" is a zlib stream (RFC 1950), its "lzma" an xz stream.
fn decompress(name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let broken = || Error::Compression(name.chars().take(40).collect());
    let reader: Box<dyn Read + '_> = match name {
        "application/x-gzip" | "gzip" | "zlib" => Box::new(flate2::read::ZlibDecoder::new(bytes)),
        "application/x-bz2" | "bzip2" | "bzip" => Box::new(bzip2::read::BzDecoder::new(bytes)),
        "application/x-lzma" | "lzma" | "xz" => Box::new(liblzma::read::XzDecoder::new(bytes)),
        "application/zstd" | "zstd" | "zstandard" => {
            Box::new(zstd::stream::read::Decoder::new(bytes).map_err(|_| broken())?)
        }
        "application/x-brotli" | "brotli" => Box::new(brotli_decompressor::Decompressor::new(bytes, 4096)),
        _ => return Err(broken()),
    };
    let mut out = Vec::with_capacity(bytes.len() * 4);
    reader.take(MAX_BODY as u64 + 1).read_to_end(&mut out).map_err(|_| broken())?;
    if out.len() > MAX_BODY {
        return Err(Error::TooLarge(MAX_BODY));
    }
    Ok(out)
}

/// Reads base64. Padding is optional on the way in; kombu always writes it.
pub fn from_base64(text: &str) -> Result<Vec<u8>> {
    let coding = if text.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    coding.decode_to_vec(text).map_err(|_| Error::Base64)
}

/// Base64 as kombu writes it.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value> {
        Envelope::parse(text.as_bytes())?.document()
    }

    #[test]
    fn a_body_may_be_base64_or_plain_text() {
        let want = json!({"method": "ping"});
        let plain = r#"{"body": "{\"method\": \"ping\"}", "content-type": "application/json", "properties": {}}"#;
        let coded = r#"{"body": "eyJtZXRob2QiOiAicGluZyJ9", "properties": {"body_encoding": "base64"}}"#;
        assert_eq!(read(plain).expect("plain"), want);
        assert_eq!(read(coded).expect("base64"), want);
    }

    #[test]
    fn a_body_that_stood_alone_reads_the_same_in_an_envelope() {
        use std::io::Write;
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(br#"[{"type": "x"}]"#).expect("in memory");
        let body = zlib.finish().expect("in memory");
        let compression = "application/x-gzip".to_owned();
        let wrapped = wrap(&body, "application/json", Some(&compression));
        let coding = Coding::Body { content_type: "application/json".into(), compression: Some(compression) };
        let want = json!([{"type": "x"}]);
        assert_eq!(coding.document(&body), Ok(want.clone()));
        assert_eq!(Coding::Envelope.document(wrapped.as_bytes()), Ok(want));
    }

    #[test]
    fn the_short_way_reads_what_the_long_way_reads_or_nothing() {
        let rest = r#""content-type": "application/json", "headers": {}, "properties": {"body_encoding": "base64"}}"#;
        let usual = format!(r#"{{"body": "{}", {rest}"#, to_base64(br#"[{"type": "task-sent"}]"#));
        let mut scratch = Scratch::default();
        for host in ["celery@\"é\"", "celery@w"] {
            let event = wrap_event(b"{}", host, "worker.heartbeat");
            assert_eq!(scratch.body(event.as_bytes()), Some((Format::Json, &b"{}"[..])));
            assert_eq!(scratch.body(event.replace("\": ", "\":").as_bytes()), None);
            assert_eq!(scratch.body(event.replacen("base64\", ", "base32\", ", 1).as_bytes()), None);
            assert_eq!(scratch.body(format!("{event}}}").as_bytes()), None);
            let packed = event.replace(r#""headers": {"#, r#""headers": {"compression": "application/x-gzip", "#);
            assert_eq!(scratch.body(packed.as_bytes()), None);
        }
        assert_eq!(scratch.body(usual.as_bytes()), Some((Format::Json, &br#"[{"type": "task-sent"}]"#[..])));
        for unusual in [
            usual.replace("base64", "none"),
            usual.replace(r#""headers": {}"#, r#""headers": {"compression": "application/x-gzip"}"#),
            usual.replace("application/json", "application/x-python-serialize"),
            usual.replace(r#", "headers""#, r#", "body": "e30=", "headers""#),
            usual.replace(r#"{"body""#, r#"{ "body""#),
            usual.replace(r#"{"body": "W"#, r#"{"body": "\"W"#),
            usual.replace(r#"{"body": "W"#, r#"{"body": "!W"#),
            usual[..usual.len() - 1].to_owned(),
            String::new(),
        ] {
            assert_eq!(scratch.body(unusual.as_bytes()), None, "{unusual}");
        }
    }

    #[test]
    fn pickle_is_named_and_never_read() {
        assert_eq!(read(r#"{"body": "", "content-type": "application/x-python-serialize"}"#), Err(Error::Pickle));
    }

    #[test]
    fn broken_bodies_say_what_is_broken() {
        let gzip = r#"{"body": "AAAA", "headers": {"compression": "application/x-gzip"}, "properties": {"body_encoding": "base64"}}"#;
        assert_eq!(read(gzip), Err(Error::Compression("application/x-gzip".into())));
        let coded = r#"{"body": "not base64!", "properties": {"body_encoding": "base64"}}"#;
        assert_eq!(read(coded), Err(Error::Base64));
    }
}
