//! Task messages, protocol 1 and 2 (Celery 5.7.0, `celery/app/amqp.py`; kombu 5.7.0 for the envelope).

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::envelope::{Envelope, document, format, plain, to_base64};
use super::{Error, Result, TaskId, json as python_json};
use crate::redact::Redactor;

/// A task as it lies in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub protocol: Protocol,
    pub id: TaskId,
    pub name: String,
    pub body: Body,
    /// ISO 8601, as sent.
    pub eta: Option<String>,
    pub expires: Option<String>,
    pub retries: i64,
    pub root_id: Option<String>,
    pub parent_id: Option<String>,
    pub group: Option<String>,
    /// Client that sent it, such as `gen12@web-3`.
    pub origin: Option<String>,
    pub argsrepr: Option<String>,
    pub kwargsrepr: Option<String>,
    pub priority: Option<i64>,
    pub exchange: String,
    pub routing_key: String,
    pub delivery_tag: Option<String>,
    pub redelivered: bool,
    /// Bytes of the whole message.
    pub size: usize,
}

/// A message as AMQP carries it: body, headers and properties lie side by side.
#[derive(Debug)]
pub struct Parts<'a> {
    pub headers: Map<String, Value>,
    pub content_type: &'a str,
    pub body: &'a [u8],
    pub priority: Option<i64>,
    pub exchange: &'a str,
    pub routing_key: &'a str,
    pub redelivered: bool,
    /// Bytes of the body as it was sent.
    pub size: usize,
}

/// Which of Celery's two message layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    One,
    Two,
}

/// Arguments and canvas, or why they can't be shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Known { args: Value, kwargs: Value, embed: Value },
    Opaque(Error),
}

impl Body {
    /// The positional arguments as Python prints them, without secrets, if the body can be read.
    pub fn args_text(&self, redactor: &Redactor) -> Option<String> {
        let Body::Known { args, .. } = self else { return None };
        Some(redactor.text(&python_json::to_python_args(args)).into_owned())
    }

    /// The keyword arguments, likewise.
    pub fn kwargs_text(&self, redactor: &Redactor) -> Option<String> {
        let Body::Known { kwargs, .. } = self else { return None };
        Some(redactor.text(&python_json::to_python(kwargs)).into_owned())
    }
}

impl Message {
    /// Reads a list element of a Redis queue.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let envelope = Envelope::parse(bytes)?;
        let headers = envelope.headers();
        let whole: Value = python_json::parse(bytes)?;
        let properties = &whole["properties"];
        let mut message = Self::of_either(&headers, envelope.document())?;
        let info = &properties["delivery_info"];
        message.priority = properties["priority"].as_i64();
        message.exchange = info["exchange"].as_str().unwrap_or_default().to_owned();
        message.routing_key = info["routing_key"].as_str().unwrap_or_default().to_owned();
        message.delivery_tag = properties["delivery_tag"].as_str().map(str::to_owned);
        message.redelivered =
            info["redelivered"].as_bool().or(headers.get("redelivered").and_then(Value::as_bool)).unwrap_or(false);
        message.size = bytes.len();
        Ok(message)
    }

    /// Reads a message of an AMQP queue.
    pub fn from_amqp(parts: &Parts<'_>) -> Result<Self> {
        let compression = parts.headers.get("compression").and_then(Value::as_str);
        let document = format(parts.content_type).and_then(|format| document(format, &plain(parts.body, compression)?));
        Ok(Self {
            priority: parts.priority,
            exchange: parts.exchange.to_owned(),
            routing_key: parts.routing_key.to_owned(),
            redelivered: parts.redelivered,
            size: parts.size,
            ..Self::of_either(&parts.headers, document)?
        })
    }

    fn of_either(headers: &Map<String, Value>, document: Result<Value>) -> Result<Self> {
        if headers.contains_key("task") { Self::protocol_2(headers, document) } else { Self::protocol_1(document?) }
    }

    /// The positional arguments as Python prints them, without secrets: as their sender did, else as read from the body.
    pub fn args_text(&self, redactor: &Redactor) -> Option<String> {
        let printed = self.argsrepr.as_deref().filter(|text| !text.is_empty());
        printed.map(|text| redactor.text(text).into_owned()).or_else(|| self.body.args_text(redactor))
    }

    /// The keyword arguments, likewise.
    pub fn kwargs_text(&self, redactor: &Redactor) -> Option<String> {
        let printed = self.kwargsrepr.as_deref().filter(|text| !text.is_empty());
        printed.map(|text| redactor.text(text).into_owned()).or_else(|| self.body.kwargs_text(redactor))
    }

    /// Each argument by its place or name, as a Python literal: `args[0]`, `kwargs.tenant`; no secrets, and none of those
    /// whose body can't be read.
    pub fn arguments(&self, redactor: &Redactor) -> Vec<(String, String)> {
        let Body::Known { args, kwargs, .. } = &self.body else { return Vec::new() };
        let places = args.as_array().into_iter().flatten().enumerate();
        let named = kwargs.as_object().into_iter().flatten().filter(|(key, _)| !redactor.is_key(key));
        let shown = |value| redactor.text(&python_json::to_python(value)).into_owned();
        let places = places.map(|(i, value)| (format!("args[{i}]"), shown(value)));
        places.chain(named.map(|(key, value)| (format!("kwargs.{key}"), shown(value)))).collect()
    }

    fn protocol_2(headers: &Map<String, Value>, document: Result<Value>) -> Result<Self> {
        let body = match document {
            Ok(Value::Array(mut parts)) if parts.len() >= 2 => {
                let embed = if parts.len() > 2 { parts.swap_remove(2) } else { Value::Null };
                let kwargs = parts.swap_remove(1);
                Body::Known { args: parts.swap_remove(0), kwargs, embed }
            }
            Ok(_) => Body::Opaque(Error::Shape("body is not [args, kwargs, embed]")),
            Err(why) => Body::Opaque(why),
        };
        let text = |key: &str| headers.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            protocol: Protocol::Two,
            id: TaskId::new(&text("id").ok_or(Error::Missing("id"))?),
            name: text("task").ok_or(Error::Missing("task"))?,
            body,
            eta: text("eta"),
            expires: text("expires"),
            retries: headers.get("retries").and_then(Value::as_i64).unwrap_or(0),
            root_id: text("root_id"),
            parent_id: text("parent_id"),
            group: text("group"),
            origin: text("origin"),
            argsrepr: text("argsrepr"),
            kwargsrepr: text("kwargsrepr"),
            ..Self::blank()
        })
    }

    fn protocol_1(document: Value) -> Result<Self> {
        let Value::Object(mut map) = document else {
            return Err(Error::Shape("neither headers nor body name a task"));
        };
        let args = map.shift_remove("args").unwrap_or_else(|| json!([]));
        let kwargs = map.shift_remove("kwargs").unwrap_or_else(|| json!({}));
        let embed =
            json!({"callbacks": map.get("callbacks"), "errbacks": map.get("errbacks"), "chord": map.get("chord")});
        let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            protocol: Protocol::One,
            id: TaskId::new(&text("id").ok_or(Error::Missing("id"))?),
            name: text("task").ok_or(Error::Shape("neither headers nor body name a task"))?,
            body: Body::Known { args, kwargs, embed },
            eta: text("eta"),
            expires: text("expires"),
            retries: map.get("retries").and_then(Value::as_i64).unwrap_or(0),
            group: text("group"),
            ..Self::blank()
        })
    }

    fn blank() -> Self {
        Self {
            protocol: Protocol::Two,
            id: TaskId::new(""),
            name: String::new(),
            body: Body::Opaque(Error::Shape("no body")),
            eta: None,
            expires: None,
            retries: 0,
            root_id: None,
            parent_id: None,
            group: None,
            origin: None,
            argsrepr: None,
            kwargsrepr: None,
            priority: None,
            exchange: String::new(),
            routing_key: String::new(),
            delivery_tag: None,
            redelivered: false,
            size: 0,
        }
    }
}

/// A new task to publish, protocol 2. `args` and `kwargs` are JSON as Python reads it, kept to the letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    pub id: TaskId,
    pub name: String,
    /// A JSON list.
    pub args: String,
    /// A JSON object.
    pub kwargs: String,
    pub argsrepr: String,
    pub kwargsrepr: String,
    pub queue: String,
    /// Exchange and routing key of the original, where they were seen: RabbitMQ routes by them, Redis has no use for them.
    pub route: Option<(String, String)>,
    /// 0 to 9.
    pub priority: u8,
    pub root_id: Option<String>,
    pub parent_id: Option<String>,
    /// Who sends it: `gen<pid>@host`.
    pub origin: String,
    /// When it may start, and when it is not worth starting any more: ISO 8601.
    pub eta: Option<String>,
    pub expires: Option<String>,
    /// The message it repeats, where that is known to the letter.
    pub like: Option<Arc<Like>>,
}

/// A message that is repeated: all of it goes out again but what makes it another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Like {
    /// Its headers.
    pub headers: Map<String, Value>,
    /// Its body as it was sent, whatever it was written with.
    pub body: Vec<u8>,
    pub content_type: String,
    pub content_encoding: String,
}

impl Outgoing {
    /// The message headers, in the order Celery writes them.
    pub fn headers(&self) -> Value {
        let id = self.id.to_string();
        if let Some(like) = &self.like {
            let mut headers = like.headers.clone();
            let changed = [
                ("id", json!(id)),
                ("eta", json!(self.eta)),
                ("expires", json!(self.expires)),
                ("retries", json!(0)),
                ("root_id", json!(self.root_id.as_deref().unwrap_or(&id))),
                ("parent_id", json!(self.parent_id)),
                ("group", Value::Null),
                ("group_index", Value::Null),
                ("origin", json!(self.origin)),
            ];
            for (name, value) in changed {
                headers.insert(name.to_owned(), value);
            }
            headers.shift_remove("redelivered");
            return Value::Object(headers);
        }
        json!({
            "lang": "py", "task": self.name, "id": id, "shadow": null, "eta": self.eta, "expires": self.expires,
            "group": null, "group_index": null, "retries": 0, "timelimit": [null, null],
            "root_id": self.root_id.as_deref().unwrap_or(&id), "parent_id": self.parent_id,
            "argsrepr": self.argsrepr, "kwargsrepr": self.kwargsrepr, "origin": self.origin,
            "ignore_result": false, "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {},
        })
    }

    /// The serialised body `[args, kwargs, embed]`.
    pub fn body(&self) -> Cow<'_, [u8]> {
        if let Some(like) = &self.like {
            return Cow::Borrowed(&like.body);
        }
        let embed = r#"{"callbacks": null, "errbacks": null, "chain": null, "chord": null}"#;
        Cow::Owned(format!("[{}, {}, {embed}]", self.args, self.kwargs).into_bytes())
    }

    /// What the body is written in: content type and encoding.
    pub fn content(&self) -> (&str, &str) {
        let like = self.like.as_ref();
        like.map_or(("application/json", "utf-8"), |like| (&like.content_type, &like.content_encoding))
    }

    /// The whole list element for a Redis queue. `delivery_tag` and `reply_to` are new random ids.
    pub fn encode_redis(&self) -> String {
        let random = || TaskId::random().to_string();
        let (content_type, content_encoding) = self.content();
        json!({
            "body": to_base64(&self.body()),
            "content-encoding": content_encoding,
            "content-type": content_type,
            "headers": self.headers(),
            "properties": {
                "correlation_id": self.id.to_string(), "reply_to": random(), "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": self.queue},
                "priority": self.priority, "body_encoding": "base64", "delivery_tag": random(),
            },
        })
        .to_string()
    }
}

/// Whether a text is JSON of the kind asked for, as Python would read it.
pub fn is_json(text: &str, list: bool) -> bool {
    let raw: Result<Box<RawValue>> = python_json::with_python_json(text.as_bytes(), |b| serde_json::from_slice(b));
    raw.is_ok() && text.trim_start().starts_with(if list { '[' } else { '{' })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing() -> Outgoing {
        Outgoing {
            id: TaskId::new("aa01c2ee-0000-4000-8000-000000000001"),
            name: "billing.charge".into(),
            args: "[1, NaN]".into(),
            kwargs: "{}".into(),
            argsrepr: "(1, nan)".into(),
            kwargsrepr: "{}".into(),
            queue: "payments".into(),
            route: None,
            priority: 3,
            root_id: None,
            parent_id: Some("p".into()),
            origin: "gen1@h".into(),
            eta: None,
            expires: None,
            like: None,
        }
    }

    #[test]
    fn what_is_encoded_reads_back_the_same() {
        let sent = outgoing();
        let message = Message::decode(sent.encode_redis().as_bytes()).expect("readable");
        assert_eq!(message.id, sent.id);
        assert_eq!((message.name.as_str(), message.priority), ("billing.charge", Some(3)));
        assert_eq!(message.root_id, Some(sent.id.to_string()));
        assert_eq!(message.parent_id.as_deref(), Some("p"));
        assert_eq!(message.routing_key, "payments");
        let Body::Known { args, .. } = message.body else { panic!("{:?}", message.body) };
        assert_eq!(args, json!([1, null]));
        assert!(sent.body().starts_with(b"[[1, NaN], {}, "), "the text goes out to the letter");
    }

    #[test]
    fn a_message_that_names_no_task_is_none() {
        let text = r#"{"body": "e30=", "headers": {}, "properties": {"body_encoding": "base64"}}"#;
        assert_eq!(Message::decode(text.as_bytes()), Err(Error::Missing("id")));
    }
}
