//! Reading the recorded messages in `fixtures/`.

use flower_tui::celery::event::Batch;
use flower_tui::clock::Stamp;
use serde_json::Value;

/// The text of a fixture file.
pub fn text(name: &str) -> String {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The rows of a JSON-lines fixture.
pub fn rows(name: &str) -> Vec<Value> {
    text(name).lines().map(|line| flower_tui::celery::json::parse(line.as_bytes()).expect("fixture line")).collect()
}

/// A fixture that is one JSON document.
pub fn document(name: &str) -> Value {
    serde_json::from_str(&text(name)).expect("fixture document")
}

/// Each single event of `redis-events.jsonl` as a message of its own, with its time of arrival, in order.
pub fn single_events() -> Vec<(Stamp, String)> {
    let mut single = Vec::new();
    for row in rows("redis-events.jsonl") {
        let envelope: Value = serde_json::from_str(row["data"].as_str().expect("data")).expect("envelope");
        let body = base64(envelope["body"].as_str().expect("body"));
        let events: Value = serde_json::from_slice(&body).expect("body");
        let received = Stamp::from_secs(row["recv"].as_f64().expect("recv")).expect("finite");
        for event in events.as_array().cloned().unwrap_or_else(|| vec![events.clone()]) {
            let wire =
                serde_json::json!({"body": event.to_string(), "content-type": "application/json", "properties": {}});
            single.push((received, wire.to_string()));
        }
    }
    single
}

/// The single events as a batch, in the given order.
pub fn batch(order: impl IntoIterator<Item = usize>) -> Batch {
    let single = single_events();
    let mut batch = Batch::default();
    for index in order {
        let (received, wire) = &single[index];
        batch.push_redis(wire.as_bytes(), *received);
    }
    batch
}

pub fn base64(text: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text).expect("base64")
}
