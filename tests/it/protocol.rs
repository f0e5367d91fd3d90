//! Every line of the captures from real workers is read, and says what the capture says it should.

use flower_tui::celery::envelope::{Envelope, Format};
use flower_tui::celery::event::Batch;
use flower_tui::celery::message::{Body, Message, Protocol};
use flower_tui::celery::pidbox::{Reply, Request};
use flower_tui::celery::result::TaskResult;
use flower_tui::celery::{Error, repr};
use flower_tui::clock::Stamp;
use serde_json::Value;

use crate::fixtures::{base64, document, rows, single_events};

fn data(row: &Value) -> &[u8] {
    row["data"].as_str().expect("data").as_bytes()
}

#[test]
fn every_recorded_event_is_read() {
    let mut batch = Batch::default();
    for row in rows("redis-events.jsonl") {
        batch.push_redis(data(&row), Stamp::EPOCH);
    }
    assert_eq!(batch.undecodable, []);
    assert_eq!(batch.events.len(), single_events().len());
    assert_eq!(batch.events.len() as u64, document("state-expected.json")["event_count"].as_u64().expect("count"));
}

#[test]
fn every_recorded_event_on_rabbitmq_is_read() {
    let mut batch = Batch::default();
    let rows = rows("amqp-events.jsonl");
    for row in &rows {
        batch.push_body(Format::Json, data(row), Stamp::EPOCH).expect("readable");
    }
    assert_eq!(batch.undecodable, []);
    assert!(batch.events.len() >= rows.len());
}

#[test]
fn every_queue_message_is_read_and_pickle_is_not_executed() {
    let (mut one, mut two, mut pickled) = (0, 0, 0);
    for row in rows("redis-queue-messages.jsonl") {
        let bytes = data(&row);
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(why) => panic!("{why}: {row}"),
        };
        assert_eq!(message.size, bytes.len());
        match &message.body {
            Body::Opaque(Error::Pickle) => {
                pickled += 1;
                assert_eq!(row["content_type"], "application/x-python-serialize");
            }
            Body::Opaque(why) => panic!("{why}: {row}"),
            Body::Known { args, kwargs, .. } => {
                assert!(args.is_array() && kwargs.is_object(), "{row}");
                // `argsrepr` is a literal wherever the arguments are: both ways of reading have to agree.
                if let Some(Ok(literal)) = message.argsrepr.as_deref().map(repr::parse)
                    && let Ok(json) = literal.to_json()
                {
                    let json: Value = serde_json::from_str(&json).expect("json");
                    assert_eq!(&json, args, "{row}");
                }
            }
        }
        match message.protocol {
            Protocol::One => one += 1,
            Protocol::Two => two += 1,
        }
    }
    assert!(one >= 1 && two >= 20 && pickled == 1, "{one} {two} {pickled}");
}

#[test]
fn unacked_messages_and_handmade_ones_are_read() {
    for row in rows("redis-unacked.jsonl") {
        let parts: Value = serde_json::from_slice(data(&row)).expect("triple");
        let envelope = parts[0].to_string();
        let message = Message::decode(envelope.as_bytes()).expect("readable");
        assert_eq!(message.delivery_tag.as_deref(), row["field"].as_str());
    }
}

#[test]
fn every_request_is_read_and_ours_look_like_celerys_own() {
    for row in rows("pidbox-requests.jsonl") {
        let Ok(body) = Envelope::parse(data(&row)).and_then(|e| e.document()) else { continue };
        if body.is_object() && !body["method"].is_null() {
            Request::decode(&body).unwrap_or_else(|e| panic!("{e}: {row}"));
        }
    }
    for row in rows("amqp-pidbox-requests.jsonl") {
        let body: Value = serde_json::from_slice(data(&row)).expect("body");
        Request::decode(&body).unwrap_or_else(|e| panic!("{e}: {row}"));
    }
}

#[test]
fn every_reply_is_read() {
    for row in rows("pidbox-replies.jsonl") {
        let envelope = Envelope::parse(data(&row)).expect("envelope");
        let ticket = envelope.headers()["ticket"].as_str().expect("ticket").to_owned();
        let reply = Reply::decode_redis(data(&row), &ticket).expect("reply").expect("ours");
        assert_eq!(row["body"][&reply.worker], reply.value);
    }
    for row in rows("amqp-pidbox-replies.jsonl") {
        let body: Value = serde_json::from_slice(data(&row)).expect("body");
        Reply::from_body(body).expect("reply");
    }
}

#[test]
fn every_stored_result_is_read() {
    let mut tasks = 0;
    for row in rows("redis-results.jsonl") {
        let key = row["key"].as_str().expect("key");
        if !key.starts_with("celery-task-meta-") || row["type"] != "string" {
            continue;
        }
        let result = TaskResult::decode(data(&row)).unwrap_or_else(|e| panic!("{e}: {row}"));
        assert!(!result.status.is_empty());
        tasks += 1;
    }
    for row in rows("redis-result-publishes.jsonl") {
        TaskResult::decode(data(&row)).unwrap_or_else(|e| panic!("{e}: {row}"));
    }
    assert!(tasks > 50, "{tasks}");
}

#[test]
fn amqp_queue_bodies_are_read() {
    for row in rows("amqp-queue-messages.jsonl") {
        let body = match row["data_base64"].as_str() {
            Some(coded) => base64(coded),
            None => data(&row).to_vec(),
        };
        assert!(!body.is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let mut batch = Batch::default();
        batch.push_redis(&bytes, Stamp::EPOCH);
        let _ = batch.push_body(Format::Msgpack, &bytes, Stamp::EPOCH);
        let _ = Message::decode(&bytes);
        let _ = TaskResult::decode(&bytes);
    }

    #[test]
    fn a_capture_with_damaged_bytes_does_not_panic(line in 0usize..380, at in 0usize..4000, byte in proptest::prelude::any::<u8>()) {
        thread_local!(static ROWS: Vec<Value> = rows("redis-events.jsonl"));
        ROWS.with(|rows| {
            let mut bytes = data(&rows[line % rows.len()]).to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let mut batch = Batch::default();
            batch.push_redis(&bytes, Stamp::EPOCH);
            assert!(!batch.is_empty(), "read or counted");
        });
    }
}
