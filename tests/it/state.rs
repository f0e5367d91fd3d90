//! The model equals what Celery's own `celery.events.state` made of the same events, in every recorded order.

use std::sync::Arc;

use flower_tui::celery::TaskId;
use flower_tui::state::doc::TaskDoc;
use flower_tui::state::{Limits, Store, Update};
use serde_json::Value;

use crate::fixtures::{batch, document, single_events};

/// Our field, and Python's name for it.
const TEXTS: [(&str, &str); 16] = [
    ("name", "name"),
    ("args", "args"),
    ("kwargs", "kwargs"),
    ("result", "result"),
    ("exception", "exception"),
    ("traceback", "traceback"),
    ("retries", "retries"),
    ("worker", "worker"),
    ("queue", "queue"),
    ("root_id", "root_id"),
    ("parent_id", "parent_id"),
    ("eta", "eta"),
    ("expires", "expires"),
    ("client", "client"),
    ("exchange", "exchange"),
    ("routing_key", "routing_key"),
];
const TIMES: [&str; 10] =
    ["sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected", "timestamp", "runtime"];

fn feed(order: impl IntoIterator<Item = usize>, limits: Limits) -> Store {
    let store = Store::new(limits);
    store.apply(&[Update::Events(Arc::new(batch(order)))]);
    store
}

fn compare_task(store: &Store, id: &str, want: &Value) {
    let doc = store.read(|m| m.task(&TaskId::new(id)).map(TaskDoc::from)).unwrap_or_else(|| panic!("no task {id}"));
    compare_document(&serde_json::to_value(doc).expect("serialises"), id, want);
}

fn compare_document(doc: &Value, id: &str, want: &Value) {
    assert_eq!(doc["state"], want["state"], "state of {id}");
    let attrs = &want["attrs"];
    for (ours, theirs) in TEXTS {
        assert_eq!(doc[ours], attrs[theirs], "{ours} of {id}");
    }
    for time in TIMES {
        match (doc[time].as_f64(), attrs[time].as_f64()) {
            (Some(ours), Some(theirs)) => assert!((ours - theirs).abs() <= 1e-5, "{time} of {id}: {ours} {theirs}"),
            (ours, theirs) => assert_eq!(ours, theirs, "{time} of {id}"),
        }
    }
}

fn compare_workers(store: &Store, want: &Value) {
    for (name, want) in want.as_object().expect("workers") {
        store.read(|m| {
            let worker = m.worker(name).unwrap_or_else(|| panic!("no worker {name}"));
            let beats: Vec<f64> = worker.heartbeats().iter().map(|b| b.secs()).collect();
            let theirs: Vec<f64> =
                want["heartbeats"].as_array().expect("list").iter().map(|b| b.as_f64().expect("float")).collect();
            assert_eq!(beats.len(), theirs.len(), "heartbeats of {name}");
            for (ours, theirs) in beats.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-5, "{name}: {ours} {theirs}");
            }
            let attrs = &want["attrs"];
            assert_eq!(worker.pid, attrs["pid"].as_i64(), "pid of {name}");
            assert_eq!(Some(worker.clock), attrs["clock"].as_i64(), "clock of {name}");
            assert_eq!(worker.active, attrs["active"].as_i64(), "active of {name}");
            assert_eq!(worker.processed, attrs["processed"].as_i64(), "processed of {name}");
            assert_eq!(worker.sw_ver.as_deref(), attrs["sw_ver"].as_str(), "sw_ver of {name}");
            assert_eq!(Some(worker.freq), want["freq"].as_f64(), "freq of {name}");
            assert_eq!(worker.loadavg.is_some(), attrs["loadavg"].is_array(), "loadavg of {name}");
        });
    }
}

#[test]
fn in_order_the_model_equals_python_s() {
    let want = document("state-expected.json");
    let store = feed(0..single_events().len(), Limits::default());
    let tasks = want["tasks"].as_object().expect("tasks");
    assert_eq!(store.read(|m| m.task_count()), tasks.len());
    for (id, want) in tasks {
        compare_task(&store, id, want);
    }
    assert_eq!(store.read(|m| m.workers().len()), want["workers"].as_object().expect("workers").len());
    compare_workers(&store, &want["workers"]);
    assert_eq!(Some(store.read(|m| m.counters().seen)), want["event_count"].as_u64());
}

#[test]
fn in_every_recorded_order_the_model_equals_python_s() {
    let base = document("state-expected.json");
    for file in [
        "state-shuffle-full-1.json",
        "state-shuffle-full-2.json",
        "state-shuffle-reversed.json",
        "state-shuffle-window-3.json",
        "state-shuffle-window-4.json",
    ] {
        let plan = document(file);
        let order: Vec<usize> =
            plan["order"].as_array().expect("order").iter().map(|n| n.as_u64().expect("number") as usize).collect();
        let store = feed(order, Limits::default());
        for (id, want) in base["tasks"].as_object().expect("tasks") {
            // Shuffle files hold only what differs.
            let want = plan["expected"]["tasks"].get(id).unwrap_or(want);
            compare_task(&store, id, want);
        }
        for (name, want) in base["workers"].as_object().expect("workers") {
            let want = plan["expected"]["workers"].get(name).unwrap_or(want);
            compare_workers(&store, &serde_json::json!({ name: want }));
        }
    }
}

/// `replay --json` of a recording: the messages as they were captured, then single events in every shuffled order.
#[test]
fn a_replayed_recording_equals_python_s_state() {
    let base = document("state-expected.json");
    let folder = tempfile::tempdir().expect("temp");
    let replay = |file: &std::path::Path| -> Value {
        let file = file.to_str().expect("path");
        let output = crate::real::flower(&["replay", file, "--json"], folder.path()).output().expect("runs");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let compare = |state: &Value, differing: &Value| {
        let tasks = state["tasks"].as_array().expect("tasks");
        assert_eq!(tasks.len(), base["tasks"].as_object().expect("tasks").len());
        for task in tasks {
            let id = task["id"].as_str().expect("id");
            compare_document(task, id, differing.get(id).unwrap_or(&base["tasks"][id]));
        }
        assert_eq!(state["events"]["seen"], base["event_count"]);
    };
    let recording = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/redis-events.jsonl");
    let state = replay(&recording);
    compare(&state, &Value::Null);
    let online = |w: &Value| (w["name"].clone(), w["online"].clone(), w["processed"].clone());
    assert!(state["workers"].as_array().expect("workers").iter().map(online).any(|w| w.1 == false), "some had ended");
    let single = single_events();
    for plan in ["full-1", "full-2", "reversed", "window-3", "window-4"] {
        let plan = document(&format!("state-shuffle-{plan}.json"));
        let lines: Vec<String> = plan["order"]
            .as_array()
            .expect("order")
            .iter()
            .map(|n| {
                let (received, data) = &single[n.as_u64().expect("number") as usize];
                serde_json::json!({"recv": received.secs(), "channel": "", "data": data}).to_string()
            })
            .collect();
        let file = folder.path().join("shuffled.jsonl");
        std::fs::write(&file, lines.join("\n")).expect("written");
        compare(&replay(&file), &plan["expected"]["tasks"]);
    }
}

/// Celery forgets the oldest task whatever became of it, we forget successes first: which tasks are left differs by
/// design. What is left, and never had to go in between, equals Celery's record of it.
#[test]
fn with_room_for_twenty_tasks_what_is_kept_is_right() {
    let whole = document("state-expected.json");
    let limited = document("state-lru-20.json");
    let store = feed(0..single_events().len(), Limits { tasks: 20, workers: 2, ..Limits::default() });
    assert_eq!(store.read(|m| (m.task_count(), m.workers().len())), (20, 2));
    let kept: Vec<String> = store.read(|m| m.all_tasks().map(|t| t.id().to_string()).collect());
    let mut both = 0;
    for id in kept {
        let Some(want) = limited["expected"]["tasks"].get(&id) else { continue };
        if want == &whole["tasks"][&id] {
            compare_task(&store, &id, want);
            both += 1;
        }
    }
    assert!(both >= 5, "{both} tasks are kept by both");
    compare_workers(&store, &limited["expected"]["workers"]);
}
