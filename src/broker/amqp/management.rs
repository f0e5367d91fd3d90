//! RabbitMQ's management API: what AMQP doesn't tell. It may be missing, or closed to us; then it says why, once and in one
//! place, and everything else works without it.

use std::ops::Range;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::http::{Fault, Http};
use crate::broker::{Error, Health, Result};
use crate::celery::envelope;
use crate::celery::event::Undecodable;
use crate::celery::message::{Message, Parts};
use crate::celery::original::{Beside, enveloped};
use crate::celery::queue::{DELAYED, Depth, Waiting, is_internal};

/// For how long an API that failed is left alone.
const AGAIN: Duration = Duration::from_secs(15);
/// Bytes of a message that are looked at. A longer one is told with its size.
const LOOKED_AT: usize = 1 << 20;
/// Since this version a quorum queue has a limit of deliveries unless it is taken off.
const LIMITED: u32 = 4;
const LIMIT: i64 = 20;

/// What is asked of each queue.
const COLUMNS: &str = "name,type,policy,memory,consumers,messages,messages_ready,messages_unacknowledged,\
                       message_stats.publish_details.rate,message_stats.deliver_get_details.rate";

/// See the module.
pub(super) struct Management {
    http: Http,
    url: String,
    vhost: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    works: bool,
    /// Why it did not answer the last time, and when that was.
    failed: Option<(String, Instant)>,
    /// The broker's, such as `3.10.8`.
    version: String,
    /// Messages that the broker holds until their time.
    delayed: Option<u64>,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    policy: Option<String>,
    memory: Option<u64>,
    consumers: Option<u64>,
    messages: Option<u64>,
    messages_ready: Option<u64>,
    messages_unacknowledged: Option<u64>,
    #[serde(default)]
    message_stats: Stats,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stats {
    publish_details: Rate,
    deliver_get_details: Rate,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rate {
    rate: Option<f64>,
}

#[derive(Deserialize)]
struct Overview {
    rabbitmq_version: Option<String>,
    #[serde(default)]
    object_totals: Totals,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Totals {
    connections: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Node {
    name: String,
    running: bool,
    /// Milliseconds.
    uptime: Option<u64>,
    mem_used: Option<u64>,
    mem_limit: Option<u64>,
    mem_alarm: bool,
    disk_free: Option<u64>,
    disk_free_alarm: bool,
}

/// A message as `get` answers it.
#[derive(Deserialize)]
struct Got {
    payload: String,
    payload_encoding: String,
    payload_bytes: usize,
    redelivered: bool,
    exchange: String,
    routing_key: String,
    /// An empty list where there are none.
    properties: Value,
}

impl Management {
    pub fn new(http: Http, vhost: &str) -> Self {
        let url = http.url();
        let vhost = utf8_percent_encode(vhost, NON_ALPHANUMERIC).to_string();
        Self { http, url, vhost, state: Mutex::new(State::default()) }
    }

    /// Whether it answered the last time.
    pub fn works(&self) -> bool {
        self.state.lock().works
    }

    /// Whether it is worth asking.
    fn may_answer(&self) -> bool {
        self.state.lock().failed.as_ref().is_none_or(|(_, at)| at.elapsed() >= AGAIN)
    }

    /// Why it tells nothing, if that is so.
    pub fn why_not(&self) -> Option<String> {
        let state = self.state.lock();
        let (why, _) = state.failed.as_ref()?;
        Some(format!("no management API at {}: {why}", self.url))
    }

    /// Takes note of what came of asking. What failed is not asked for a while.
    fn note<T>(&self, answer: std::result::Result<T, Fault>) -> Option<T> {
        let mut state = self.state.lock();
        state.works = answer.is_ok();
        match answer {
            Ok(value) => {
                state.failed = None;
                Some(value)
            }
            Err(fault) => {
                let why = match fault {
                    Fault::Absent => "it knows no such virtual host, or is at another address".into(),
                    Fault::Failed(why) => crate::text::clean(&why).to_string(),
                };
                state.failed = Some((why, Instant::now()));
                None
            }
        }
    }

    /// All queues but Celery's own plumbing, and the names of those that it can't count yet: its figures are a few seconds
    /// old, and a new queue has none. `None` where the API doesn't answer.
    pub async fn queues(&self) -> Option<(Vec<Depth>, Vec<String>)> {
        if !self.may_answer() {
            return None;
        }
        let queues: Vec<Queue> = self.note(self.http.get(&format!("queues/{}?columns={COLUMNS}", self.vhost)).await)?;
        let delayed = queues.iter().filter(|queue| queue.name.starts_with(DELAYED));
        let delayed = delayed.map(|queue| queue.messages.unwrap_or(0)).reduce(|a, b| a + b);
        self.state.lock().delayed = delayed;
        let queues = || queues.iter().filter(|queue| !is_internal(&queue.name));
        let uncounted = queues().filter(|queue| queue.messages_ready.is_none()).map(|queue| queue.name.clone());
        Some((queues().map(depth).collect(), uncounted.collect()))
    }

    /// Adds what it tells of the broker.
    pub async fn health(&self, health: &mut Health) {
        if self.may_answer()
            && let Some(overview) = self.note(self.http.get::<Overview>("overview").await)
        {
            self.state.lock().version = overview.rabbitmq_version.unwrap_or_default();
            health.clients = overview.object_totals.connections;
            // Telling of nodes takes the tag `monitoring`: without it the rest is of interest all the same.
            if let Ok(nodes) = self.http.get::<Vec<Node>>("nodes").await {
                add_nodes(health, &nodes);
            }
        }
        let why = self.why_not();
        let state = self.state.lock();
        health.version = crate::text::clean(&state.version).to_string();
        health.delayed = state.delayed.filter(|_| state.works);
        health.blind = why;
    }

    /// Looks at the first messages of a queue: they are taken out and put back, and marked as redelivered.
    pub async fn peek(&self, queue: &str, range: Range<usize>) -> Result<Vec<Waiting>> {
        let name = utf8_percent_encode(queue, NON_ALPHANUMERIC).to_string();
        let path = format!("queues/{}/{name}", self.vhost);
        let about: Value = match self.http.get(&path).await {
            Err(Fault::Absent) => return Ok(Vec::new()),
            answer => answer.map_err(|fault| self.error(fault))?,
        };
        if let Some(what) = must_not_look(&about, &self.state.lock().version) {
            return Err(Error::Unable { what });
        }
        let ask = json!({
            "count": range.end, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": LOOKED_AT,
        });
        let got: Vec<Got> = self.http.post(&format!("{path}/get"), &ask).await.map_err(|fault| self.error(fault))?;
        Ok(got.iter().enumerate().skip(range.start).map(|(place, got)| waiting(place, got)).collect())
    }

    /// See [`crate::broker::Broker::not_plain`].
    pub async fn not_plain(&self, queue: &str) -> Option<String> {
        if !self.may_answer() {
            return None;
        }
        let name = utf8_percent_encode(queue, NON_ALPHANUMERIC).to_string();
        let about: Value = self.http.get(&format!("queues/{}/{name}", self.vhost)).await.ok()?;
        not_plain(&about)
    }

    fn error(&self, fault: Fault) -> Error {
        let why = match fault {
            Fault::Absent => "there is no such queue".into(),
            Fault::Failed(why) => why,
        };
        Error::Command { url: self.url.clone(), command: "get", why: crate::text::clean(&why).to_string() }
    }
}

fn depth(queue: &Queue) -> Depth {
    let ready = queue.messages_ready.unwrap_or(0);
    let stats = &queue.message_stats;
    // A queue that nothing went through yet has no rates; where it has one, the other is zero.
    let rates = match (stats.publish_details.rate, stats.deliver_get_details.rate) {
        (None, None) => None,
        (into, out) => Some((into.unwrap_or(0.0), out.unwrap_or(0.0))),
    };
    Depth {
        name: queue.name.clone(),
        ready,
        by_priority: vec![(0, ready)],
        unacked: queue.messages_unacknowledged,
        consumers: queue.consumers,
        kind: queue.kind.clone(),
        policy: queue.policy.clone().filter(|policy| !policy.is_empty()),
        memory: queue.memory,
        rates,
        next: Vec::new(),
    }
}

/// What the API says of a queue that a declaration without arguments would contradict.
fn not_plain(about: &Value) -> Option<String> {
    let arguments = about["arguments"].as_object().into_iter().flatten();
    let named = arguments.filter(|(key, value)| *key != "x-queue-type" || *value != "classic");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut all: Vec<String> = named.map(|(key, value)| format!("{key}={}", text(value))).collect();
    all.extend((about["durable"] == false).then(|| "it is not durable".to_owned()));
    all.extend((about["auto_delete"] == true).then(|| "it is deleted with its last consumer".to_owned()));
    (!all.is_empty()).then(|| crate::text::clean(&all.join(", ")).to_string())
}

/// The tightest node is the one that counts: an alarm on any stops publishing on all.
fn add_nodes(health: &mut Health, nodes: &[Node]) {
    let running = || nodes.iter().filter(|node| node.running);
    let fullness = |node: &Node| node.mem_used.unwrap_or(0) as f64 / node.mem_limit.unwrap_or(u64::MAX).max(1) as f64;
    if let Some(tightest) = running().max_by(|a, b| fullness(a).total_cmp(&fullness(b))) {
        health.memory_used = tightest.mem_used;
        health.memory_max = tightest.mem_limit;
    }
    health.uptime = running().filter_map(|node| node.uptime).min().map(|ms| ms / 1_000);
    for node in nodes {
        let name = crate::text::clean(&node.name);
        if node.mem_alarm {
            health.alarms.push(format!("memory alarm on {name}"));
        }
        if node.disk_free_alarm {
            let left = node.disk_free.map_or(String::new(), |free| format!(", {} free", crate::human::bytes(free)));
            health.alarms.push(format!("disk alarm on {name}{left}"));
        }
        if !node.running {
            health.alarms.push(format!("node {name} is down"));
        }
    }
}

/// Why looking into a queue would do harm, or can't be done, if so. What the API says of the queue, and the broker's
/// version.
fn must_not_look(queue: &Value, version: &str) -> Option<String> {
    match queue["type"].as_str() {
        Some("stream") => {
            Some("it is a stream, whose messages are never taken out: there is nothing to look at".into())
        }
        Some("quorum") => {
            let said =
                [&queue["arguments"]["x-delivery-limit"], &queue["effective_policy_definition"]["delivery-limit"]];
            let said = said.into_iter().filter_map(Value::as_i64).min();
            let limited =
                version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|n: u32| n >= LIMITED);
            let limit = said.or(limited.then_some(LIMIT)).filter(|limit| *limit >= 0)?;
            Some(format!(
                "each look would count as a delivery, and this quorum queue drops a message after {limit} of them"
            ))
        }
        _ => None,
    }
}

fn waiting(place: usize, got: &Got) -> Waiting {
    let properties = &got.properties;
    let priority = properties["priority"].as_i64();
    let body = match got.payload_encoding.as_str() {
        "base64" => envelope::from_base64(&got.payload),
        _ => Ok(got.payload.as_bytes().to_vec()),
    };
    let headers = headers(&properties["headers"]);
    let content_type = properties["content_type"].as_str().unwrap_or("application/json");
    let whole = body.as_ref().ok().filter(|body| body.len() == got.payload_bytes);
    let raw = whole.map(|body| {
        let beside = Beside {
            headers: &headers,
            content_type,
            content_encoding: properties["content_encoding"].as_str().unwrap_or("utf-8"),
            priority,
            correlation_id: properties["correlation_id"].as_str(),
            reply_to: properties["reply_to"].as_str(),
            exchange: &got.exchange,
            routing_key: &got.routing_key,
            redelivered: got.redelivered,
        };
        enveloped(&beside, body).into()
    });
    let message = body.and_then(|body| {
        Message::from_amqp(&Parts {
            headers,
            content_type,
            body: &body,
            priority,
            exchange: &got.exchange,
            routing_key: &got.routing_key,
            redelivered: got.redelivered,
            size: got.payload_bytes,
        })
    });
    Waiting {
        place,
        priority: priority.and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
        message: message.map_err(|why| Undecodable { size: got.payload_bytes, why }),
        raw,
    }
}

/// Headers without what the API makes of a null: the word `undefined` (`protocol/README.md`, "Things that bite" 9).
fn headers(value: &Value) -> Map<String, Value> {
    fn mend(value: &Value) -> Value {
        match value {
            Value::String(text) if text == "undefined" => Value::Null,
            Value::Array(items) => items.iter().map(mend).collect(),
            other => other.clone(),
        }
    }
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), mend(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::message::Body;

    #[test]
    fn every_message_that_the_api_gave_is_read() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/amqp-management-get.jsonl"));
        let file = file.expect("fixture");
        let got: Vec<Got> = file.lines().map(|line| serde_json::from_str(line).expect("a message")).collect();
        let read: Vec<Waiting> = got.iter().enumerate().map(|(place, got)| waiting(place, got)).collect();
        assert!(read.len() >= 5);
        for (waiting, got) in read.iter().zip(&got) {
            let message = waiting.message.as_ref().expect("readable");
            assert_eq!((message.routing_key.as_str(), message.size), ("parked", got.payload_bytes));
            assert_eq!(message.group, None, "a null is none");
        }
        let first = read[0].message.as_ref().expect("readable");
        assert!(matches!(&first.body, Body::Known { args, .. } if *args == json!([1, 2])));
        assert_eq!((first.eta.as_deref(), read[1].priority), (None, 7));
    }

    #[test]
    fn a_queue_is_read_with_and_without_statistics() {
        let read = |text: &str| depth(&serde_json::from_str(text).expect("a queue"));
        let bare = read(r#"{"name": "q", "type": "classic"}"#);
        assert_eq!((bare.ready, bare.unacked, bare.rates, bare.kind.as_deref()), (0, None, None, Some("classic")));
        let full = read(
            r#"{"name": "q", "messages_ready": 3, "messages_unacknowledged": 2, "consumers": 1, "memory": 9, "policy": "ha",
                "message_stats": {"publish_details": {"rate": 1.5}}}"#,
        );
        assert_eq!((full.ready, full.unacked, full.rates), (3, Some(2), Some((1.5, 0.0))));
        assert_eq!((full.memory, full.policy.as_deref()), (Some(9), Some("ha")));
    }

    #[test]
    fn no_queue_is_looked_into_that_would_lose_messages_by_it() {
        let quorum = |arguments: Value, policy: Value| json!({"type": "quorum", "arguments": arguments, "effective_policy_definition": policy});
        let refused = |queue: &Value, version| must_not_look(queue, version).is_some();
        assert!(!refused(&json!({"type": "classic", "arguments": {}}), "4.1.0"));
        assert!(!refused(&quorum(json!({}), json!({})), "3.13.2"));
        assert!(refused(&quorum(json!({}), json!({})), "4.0.1"), "20 is the usual limit there");
        assert!(!refused(&quorum(json!({"x-delivery-limit": -1}), json!({})), "4.0.1"));
        assert!(refused(&quorum(json!({}), json!({"delivery-limit": 3})), "3.10.8"));
        assert!(refused(&json!({"type": "stream"}), "3.10.8"));
    }

    #[test]
    fn what_a_plain_declaration_would_contradict_is_named() {
        let told = |about: Value| not_plain(&about);
        assert_eq!(told(json!({"arguments": {}, "durable": true, "auto_delete": false})), None);
        assert_eq!(told(json!({"arguments": {"x-queue-type": "classic"}, "durable": true})), None);
        let odd = told(json!({"arguments": {"x-max-priority": 10, "x-queue-type": "quorum"}, "durable": true}));
        assert_eq!(odd.as_deref(), Some("x-max-priority=10, x-queue-type=quorum"));
        assert_eq!(told(json!({"durable": false})).as_deref(), Some("it is not durable"));
    }

    #[test]
    fn alarms_and_the_tightest_node_are_told() {
        let nodes: Vec<Node> = serde_json::from_value(json!([
            {"name": "rabbit@a", "running": true, "mem_used": 10, "mem_limit": 100, "uptime": 5_000},
            {"name": "rabbit@b", "running": true, "mem_used": 90, "mem_limit": 100, "mem_alarm": true, "uptime": 9_000},
            {"name": "rabbit@c"},
        ]))
        .expect("nodes");
        let mut health = Health::default();
        add_nodes(&mut health, &nodes);
        assert_eq!((health.memory_used, health.memory_max, health.uptime), (Some(90), Some(100), Some(5)));
        assert_eq!(health.alarms, ["memory alarm on rabbit@b", "node rabbit@c is down"]);
    }
}
