//! Remote control: requests to workers and their replies (kombu 5.7.0 `pidbox.py`, Celery 5.7.0 `worker/control.py`).

use serde_json::{Value, json};

use super::envelope::{Envelope, to_base64};
use super::{Error, Result, TaskId};
use crate::clock::Stamp;

/// A command workers understand, with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    Ping,
    Stats,
    ActiveQueues,
    Active,
    Reserved,
    Scheduled,
    Registered,
    Revoked,
    Conf,
    QueryTask {
        ids: Vec<TaskId>,
    },
    /// Makes every worker send a heartbeat at once.
    Heartbeat,
    EnableEvents,
    DisableEvents,
    Revoke {
        ids: Vec<TaskId>,
        terminate: Option<String>,
    },
    PoolGrow {
        n: u32,
    },
    PoolShrink {
        n: u32,
    },
    PoolRestart,
    Autoscale {
        max: u32,
        min: u32,
    },
    AddConsumer {
        queue: String,
    },
    CancelConsumer {
        queue: String,
    },
    /// A number or a number with `/s`, `/m`, `/h`; zero lifts the limit.
    RateLimit {
        task: String,
        rate: String,
    },
    /// Seconds; `None` is no limit.
    TimeLimit {
        task: String,
        soft: Option<f64>,
        hard: Option<f64>,
    },
    Shutdown,
}

impl Method {
    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Ping => "ping",
            Method::Stats => "stats",
            Method::ActiveQueues => "active_queues",
            Method::Active => "active",
            Method::Reserved => "reserved",
            Method::Scheduled => "scheduled",
            Method::Registered => "registered",
            Method::Revoked => "revoked",
            Method::Conf => "conf",
            Method::QueryTask { .. } => "query_task",
            Method::Heartbeat => "heartbeat",
            Method::EnableEvents => "enable_events",
            Method::DisableEvents => "disable_events",
            Method::Revoke { .. } => "revoke",
            Method::PoolGrow { .. } => "pool_grow",
            Method::PoolShrink { .. } => "pool_shrink",
            Method::PoolRestart => "pool_restart",
            Method::Autoscale { .. } => "autoscale",
            Method::AddConsumer { .. } => "add_consumer",
            Method::CancelConsumer { .. } => "cancel_consumer",
            Method::RateLimit { .. } => "rate_limit",
            Method::TimeLimit { .. } => "time_limit",
            Method::Shutdown => "shutdown",
        }
    }

    /// Arguments as the worker's function takes them; some commands refuse any they don't know.
    pub fn arguments(&self) -> Value {
        match self {
            Method::Active => json!({"safe": true}),
            Method::Conf => json!({"with_defaults": false}),
            Method::QueryTask { ids } => json!({"ids": ids}),
            Method::Revoke { ids, terminate } => json!({
                "task_id": ids, "terminate": terminate.is_some(),
                "signal": terminate.as_deref().unwrap_or("SIGTERM"),
            }),
            Method::PoolGrow { n } | Method::PoolShrink { n } => json!({"n": n}),
            Method::Registered => json!({"taskinfoitems": ["rate_limit", "time_limit", "soft_time_limit"]}),
            Method::Autoscale { max, min } => json!({"max": max, "min": min}),
            Method::AddConsumer { queue } | Method::CancelConsumer { queue } => json!({"queue": queue}),
            // Workers take the text "0" for a limit, and the number for none (Celery 5.7.0, `worker/control.py`).
            Method::RateLimit { task, rate } if rate.parse::<f64>() == Ok(0.0) => {
                json!({"task_name": task, "rate_limit": 0})
            }
            Method::RateLimit { task, rate } => json!({"task_name": task, "rate_limit": rate}),
            Method::TimeLimit { task, soft, hard } => json!({"task_name": task, "soft": soft, "hard": hard}),
            _ => json!({}),
        }
    }

    /// Whether a worker answers at all: `shutdown` never does.
    pub fn replies(&self) -> bool {
        !matches!(self, Method::Shutdown)
    }
}

/// A signal that ends a task's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Term,
    Kill,
    Int,
    Quit,
    Usr1,
    Hup,
}

impl Signal {
    /// Every one, mildest first.
    pub const ALL: [Signal; 6] = [Signal::Term, Signal::Int, Signal::Hup, Signal::Quit, Signal::Usr1, Signal::Kill];

    /// The name workers take, such as `SIGTERM`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Term => "SIGTERM",
            Signal::Kill => "SIGKILL",
            Signal::Int => "SIGINT",
            Signal::Quit => "SIGQUIT",
            Signal::Usr1 => "SIGUSR1",
            Signal::Hup => "SIGHUP",
        }
    }

    /// The number on Linux.
    pub fn number(self) -> u8 {
        match self {
            Signal::Hup => 1,
            Signal::Int => 2,
            Signal::Quit => 3,
            Signal::Kill => 9,
            Signal::Usr1 => 10,
            Signal::Term => 15,
        }
    }

    /// Reads a name, with or without `SIG`, or a number.
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_uppercase();
        Self::ALL.into_iter().find(|s| {
            s.name() == upper || s.name().trim_start_matches("SIG") == upper || s.number().to_string() == upper
        })
    }
}

/// A command with whom it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub method: Method,
    /// Node names; `None` is every worker.
    pub to: Option<Vec<String>>,
}

/// Where replies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    pub ticket: String,
    /// The list (Redis) or queue (AMQP) that gets them, through the default exchange.
    pub queue: String,
}

impl Request {
    /// A request to every worker.
    pub fn to_all(method: Method) -> Self {
        Self { method, to: None }
    }

    /// The serialised body.
    pub fn body(&self, reply: Option<&ReplyTo>) -> Value {
        let mut body = json!({
            "method": self.method.name(), "arguments": self.method.arguments(),
            "destination": self.to, "pattern": null, "matcher": null,
        });
        if let Some(reply) = reply {
            body["ticket"] = json!(reply.ticket);
            body["reply_to"] = json!({"exchange": "", "routing_key": reply.queue});
        }
        body
    }

    /// The payload to publish on Redis. The delivery tag is a must: without one every worker rebuilds its connection
    /// (`protocol/README.md`, "Things that bite" 1).
    pub fn encode_redis(&self, reply: Option<&ReplyTo>, expires: Stamp) -> String {
        json!({
            "body": to_base64(self.body(reply).to_string().as_bytes()),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"clock": 1, "expires": expires.secs()},
            "properties": {
                "delivery_mode": 1, "delivery_info": {"exchange": "celery.pidbox", "routing_key": ""},
                "priority": 0, "body_encoding": "base64", "delivery_tag": TaskId::random().to_string(),
            },
        })
        .to_string()
    }

    /// Reads a request, as the simulated workers do.
    pub fn decode(body: &Value) -> Result<(String, Value, Option<Vec<String>>)> {
        let method = body["method"].as_str().ok_or(Error::Missing("method"))?.to_owned();
        let to = body["destination"]
            .as_array()
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Ok((method, body["arguments"].clone(), to))
    }
}

/// One worker's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub worker: String,
    pub value: Value,
}

/// Whether everybody who was expected to answer has. Where nobody was, it is not known.
pub fn everybody_answered(expected: &[String], replies: &[Reply]) -> bool {
    // Asked for each reply: of thousands nearly all are answered by the number alone.
    let enough = !expected.is_empty() && replies.len() >= expected.len();
    enough && expected.iter().all(|name| replies.iter().any(|r| r.worker == *name))
}

impl Reply {
    /// Reads a reply message; `None` if it answers another request.
    pub fn decode_redis(bytes: &[u8], ticket: &str) -> Result<Option<Self>> {
        let envelope = Envelope::parse(bytes)?;
        if envelope.headers().get("ticket").and_then(Value::as_str) != Some(ticket) {
            return Ok(None);
        }
        Self::from_body(envelope.document()?).map(Some)
    }

    /// Reads the body `{worker: value}`.
    pub fn from_body(body: Value) -> Result<Self> {
        match body {
            Value::Object(map) => match map.into_iter().next() {
                Some((worker, value)) => Ok(Self { worker, value }),
                None => Err(Error::Shape("empty reply")),
            },
            _ => Err(Error::Shape("reply is not an object")),
        }
    }

    /// The text of `{"ok": text}`.
    pub fn ok(&self) -> Option<&str> {
        self.value.get("ok").and_then(Value::as_str)
    }

    /// The text of `{"error": text}`.
    pub fn error(&self) -> Option<&str> {
        self.value.get("error").and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let request = Request { method: Method::PoolGrow { n: 2 }, to: Some(vec!["w@h".into()]) };
        let reply = ReplyTo { ticket: "t".into(), queue: "q".into() };
        let wire = request.encode_redis(Some(&reply), Stamp::EPOCH);
        let envelope = Envelope::parse(wire.as_bytes()).expect("envelope");
        let body = envelope.document().expect("body");
        assert_eq!(body["reply_to"], json!({"exchange": "", "routing_key": "q"}));
        assert_eq!(Request::decode(&body), Ok(("pool_grow".to_owned(), json!({"n": 2}), Some(vec!["w@h".to_owned()]))));
    }

    #[test]
    fn a_late_reply_to_another_request_is_not_taken_for_ours() {
        let wire = r#"{"body": "{\"w@h\": {\"ok\": \"pong\"}}", "headers": {"ticket": "old"}, "properties": {}}"#;
        assert_eq!(Reply::decode_redis(wire.as_bytes(), "new"), Ok(None));
        let ours = Reply::decode_redis(wire.as_bytes(), "old").expect("readable").expect("ours");
        assert_eq!((ours.worker.as_str(), ours.ok()), ("w@h", Some("pong")));
    }
}
