//! How the simulated workers put events on the wire: the same envelope, base64 and all, that kombu makes.

use serde_json::{Value, json};

use crate::broker::RawMessage;
use crate::celery::envelope::{Coding, wrap_event};
use crate::clock::Stamp;

/// One event as a message, arrived half a millisecond after it was stamped.
pub fn event(kind: &str, hostname: &str, pid: u32, clock: i64, at: Stamp, own: Value) -> RawMessage {
    let mut body = json!({"hostname": hostname, "utcoffset": 0.0, "pid": pid, "clock": clock});
    if let (Some(body), Value::Object(own)) = (body.as_object_mut(), own) {
        body.extend(own);
        body.insert("timestamp".into(), json!(at.secs()));
        body.insert("type".into(), json!(kind));
    }
    let routing_key = kind.replace('-', ".");
    let data = wrap_event(body.to_string().as_bytes(), hostname, &routing_key);
    RawMessage {
        received: Stamp::from_micros(at.micros() + 500),
        channel: format!("/0.celeryev/{routing_key}").into(),
        data: data.into(),
        coding: Coding::Envelope,
    }
}
