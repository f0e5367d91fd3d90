//! A message to the letter, as it lay in its queue: kept before it is taken out, sent on, and put back as it was. What is
//! changed on the way is changed in its place; everything else stays the bytes it was (kombu 5.7.0,
//! `transport/virtual/base.py`, for what the members of an envelope mean).

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::envelope::to_base64;
use super::message::Message;
use super::{Error, Result, TaskId};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub queue: String,
    /// The priority step it waited at on Redis; on AMQP its priority.
    pub priority: u8,
    /// kombu's envelope. A message that came without one, over AMQP, is put into one.
    pub bytes: Arc<[u8]>,
}

impl Original {
    /// What it says, if it can be read.
    pub fn message(&self) -> Result<Message> {
        Message::decode(&self.bytes)
    }
}

/// What AMQP carries beside the body.
pub struct Beside<'a> {
    pub headers: &'a Map<String, Value>,
    pub content_type: &'a str,
    pub content_encoding: &'a str,
    pub priority: Option<i64>,
    pub correlation_id: Option<&'a str>,
    pub reply_to: Option<&'a str>,
    pub exchange: &'a str,
    pub routing_key: &'a str,
    pub redelivered: bool,
}

/// The envelope of a message that came over AMQP without one.
pub fn enveloped(beside: &Beside<'_>, body: &[u8]) -> Vec<u8> {
    json!({
        "body": to_base64(body),
        "content-encoding": beside.content_encoding,
        "content-type": beside.content_type,
        "headers": beside.headers,
        "properties": {
            "correlation_id": beside.correlation_id, "reply_to": beside.reply_to, "delivery_mode": 2,
            "delivery_info": {
                "exchange": beside.exchange, "routing_key": beside.routing_key, "redelivered": beside.redelivered,
            },
            "priority": beside.priority.unwrap_or(0), "body_encoding": "base64",
            // Redis knows a message by it.
            "delivery_tag": TaskId::random().to_string(),
        },
    })
    .to_string()
    .into_bytes()
}

/// The envelope for another queue: kombu gives what a worker lost back to where this says (kombu 5.7.0,
/// `transport/virtual/base.py`, `_lookup`: without an exchange, the routing key is the queue).
pub fn rerouted(envelope: &[u8], queue: &str) -> Result<Vec<u8>> {
    edited(envelope, |fields| {
        fields.within("properties", |properties| {
            properties.within("delivery_info", |info| {
                info.set("exchange", "")?;
                info.set("routing_key", queue)
            })
        })
    })
}

/// The envelope with another task's name. Only where it stands in the headers (protocol 2): in an older message it stands
/// in the body.
pub fn renamed(envelope: &[u8], task: &str) -> Result<Vec<u8>> {
    edited(envelope, |fields| {
        fields.within("headers", |headers| match headers.0.iter().any(|(key, _)| key == "task") {
            true => headers.set("task", task),
            false => Err(Error::Missing("task")),
        })
    })
}

/// The envelope of a message that was given out before (kombu 5.7.0, `transport/redis.py`, `_do_restore_message`).
pub fn redelivered(envelope: &[u8]) -> Result<Vec<u8>> {
    edited(envelope, |fields| {
        fields.within("headers", |headers| headers.set("redelivered", true))?;
        fields
            .within("properties", |properties| properties.within("delivery_info", |info| info.set("redelivered", true)))
    })
}

fn edited(envelope: &[u8], edit: impl FnOnce(&mut Fields) -> Result<()>) -> Result<Vec<u8>> {
    let mut fields: Fields = serde_json::from_slice(envelope).map_err(|e| broken(&e))?;
    edit(&mut fields)?;
    serde_json::to_vec(&fields).map_err(|e| broken(&e))
}

fn broken(error: &serde_json::Error) -> Error {
    Error::Json(error.to_string())
}

/// The members of an object in their order, not read.
#[derive(Default)]
struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    fn place(&mut self, name: &str) -> &mut Box<RawValue> {
        let at = self.0.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), RawValue::NULL.to_owned()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    fn set(&mut self, name: &str, value: impl Serialize) -> Result<()> {
        *self.place(name) = to_raw_value(&value).map_err(|e| broken(&e))?;
        Ok(())
    }

    /// Changes a member that is an object; what is none becomes one.
    fn within(&mut self, name: &str, edit: impl FnOnce(&mut Fields) -> Result<()>) -> Result<()> {
        let place = self.place(name);
        let mut inner: Fields = serde_json::from_str(place.get()).unwrap_or_default();
        edit(&mut inner)?;
        *place = to_raw_value(&inner).map_err(|e| broken(&e))?;
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(de: D) -> std::result::Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        de.deserialize_map(Read)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &str = r#"{"body": "W10=", "headers": {"task": "t", "id": "i", "eta": null, "limit": 1e+400},
        "odd": 123456789012345678901234567890, "properties": {"delivery_tag": "d", "body_encoding": "base64",
        "delivery_info": {"exchange": "ex", "routing_key": "old", "x": 1}}}"#;

    #[test]
    fn only_the_way_changes_when_a_message_is_sent_on() {
        let moved = String::from_utf8(rerouted(ENVELOPE.as_bytes(), "aside").expect("edited")).expect("text");
        assert_eq!(
            moved,
            r#"{"body":"W10=","headers":{"task": "t", "id": "i", "eta": null, "limit": 1e+400},"odd":123456789012345678901234567890,"properties":{"delivery_tag":"d","body_encoding":"base64","delivery_info":{"exchange":"","routing_key":"aside","x":1}}}"#
        );
    }

    #[test]
    fn what_is_given_out_again_says_so_as_kombu_does() {
        let again = redelivered(ENVELOPE.as_bytes()).expect("edited");
        let message = Message::decode(&redelivered(br#"{"body": "W1tdLCB7fSwgbnVsbF0=", "headers": {"task": "t", "id": "i"}, "properties": {"body_encoding": "base64"}}"#).expect("edited"));
        assert!(message.expect("readable").redelivered);
        assert!(String::from_utf8(again).expect("text").contains(r#""limit":1e+400,"redelivered":true"#));
        assert!(redelivered(b"no json").is_err());
    }

    #[test]
    fn another_name_changes_nothing_else() {
        let named = String::from_utf8(renamed(ENVELOPE.as_bytes(), "other.task").expect("edited")).expect("text");
        assert!(named.contains(r#""task":"other.task","id":"i","eta":null,"limit":1e+400"#), "{named}");
        assert!(named.contains("123456789012345678901234567890"), "{named}");
        let old = br#"{"body": "", "headers": {}, "properties": {}}"#;
        assert!(renamed(old, "x").is_err(), "its name stands in the body");
    }
}
