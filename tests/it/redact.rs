//! A secret in a task's texts: seen nowhere, found by filters, and sent again as it was.

use std::sync::Arc;

use flower_tui::celery::TaskId;
use flower_tui::celery::envelope::Format;
use flower_tui::celery::event::Batch;
use flower_tui::celery::message::Outgoing;
use flower_tui::celery::queue::Waiting;
use flower_tui::export::{self, Export, What};
use flower_tui::filter;
use flower_tui::history::prune::Keep;
use flower_tui::history::reader::Reader;
use flower_tui::history::writer::{self, Note, Options};
use flower_tui::ops::Command;
use flower_tui::ops::retry::{Known, Options as RetryOptions, Refusal, Retry};
use flower_tui::redact::Redactor;
use flower_tui::state::doc::WaitingDoc;
use flower_tui::state::{Limits, Sort, Store, Update};
use flower_tui::tui::app::Do;
use flower_tui::tui::theme::Theme;
use serde_json::json;

use crate::screens::{Stage, busy};

const SECRET: &str = "hunter2";

/// A task that failed and has a secret in every text.
fn events(now: f64) -> Update {
    let base = json!({"uuid": "vault-1", "hostname": "celery@app-1", "pid": 7, "timestamp": now - 2.0});
    let with = |more: serde_json::Value| {
        let mut event = base.clone();
        event.as_object_mut().expect("object").extend(more.as_object().cloned().expect("object"));
        event
    };
    let events = json!([
        with(json!({
            "type": "task-received", "name": "vault.open", "queue": "payments",
            "args": "('redis://:hunter2@cache/0', 5)", "kwargs": "{'user': 'bob', 'auth': {'password': 'hunter2'}}",
        })),
        with(json!({"type": "task-started"})),
        with(json!({
            "type": "task-failed", "exception": "LoginError(\"no entry for password=hunter2\")",
            "traceback": "  File \"/srv/vault.py\", line 3, in open\n    f(token='hunter2')\nLoginError: password=hunter2\n",
        })),
    ]);
    let mut batch = Batch::default();
    let stamp = flower_tui::clock::Stamp::from_secs(now).expect("a time");
    assert!(batch.push_body(Format::Json, events.to_string().as_bytes(), stamp).is_ok());
    Update::Events(Arc::new(batch))
}

fn store() -> Store {
    let store = Store::new(Limits::default());
    store.apply(&[events(1_795_529_007.0)]);
    store
}

#[test]
fn a_secret_is_on_no_screen_and_in_no_copy() {
    let mut stage = Stage::new(&busy(), 160, 48, Theme::dark());
    stage.store.apply(&[events(stage.now().secs())]);
    stage.draw();
    stage.keys("/task:vault.open<Enter>j");
    let shown = |stage: &mut Stage, what: &str, part: &str| {
        let text = stage.text();
        assert!(!text.contains(SECRET), "{what}: {text}");
        assert!(text.contains(part), "{what}: {text}");
    };
    shown(&mut stage, "the list and its details", "'auth': '***'");
    stage.keys("<Enter>");
    shown(&mut stage, "the task's own screen", "redis://:***@cache/0");
    shown(&mut stage, "the traceback", "f(token='***')");
    stage.keys("r");
    shown(&mut stage, "the question", "What is shown as *** is sent as it was.");
    stage.keys("<Esc>");
    for place in 0..8 {
        stage.keys("y");
        stage.keys(&"j".repeat(place));
        stage.keys("<Enter>");
    }
    let copied = stage.done.iter().filter(|d| matches!(d, Do::Copy(_))).count();
    assert!(copied >= 7 && !format!("{:?}", stage.done).contains(SECRET), "{:?}", stage.done);
    stage.keys("<Esc>5");
    stage.keys("/vault<Enter>");
    shown(&mut stage, "failures", "no entry for password=***");
}

#[test]
fn what_is_sent_again_has_its_secrets() {
    let store = store();
    let retry = store
        .read(|m| Retry::prepare(m, &TaskId::new("vault-1"), &Known::default(), &RetryOptions::default()))
        .expect("literals");
    assert_eq!(retry.message.kwargs, "{\"user\": \"bob\", \"auth\": {\"password\": \"hunter2\"}}");
    assert!(retry.message.args.contains("redis://:hunter2@cache/0"));
    let command = Command::Retry { tasks: vec![retry.clone(), retry], refused: Vec::new() };
    let preview = store.read(|m| command.preview(m)).lines.join("\n");
    assert!(!preview.contains(SECRET) && preview.contains("is sent as it was"), "{preview}");
}

#[test]
fn filters_find_what_is_hidden() {
    let store = store();
    for text in ["hunter2", "kwargs:hunter2", "args:hunter2", "error:hunter2"] {
        let filter = filter::parse(text).expect("a filter");
        assert_eq!(store.select_ids(&filter, Sort::default()).len(), 1, "{text}");
    }
}

#[test]
fn files_and_documents_have_no_secrets() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("x.jsonl");
    let what = What::Tasks(vec![TaskId::new("vault-1")]);
    let export = Export { what, path: path.display().to_string() };
    assert_eq!(export::run(&store(), &export, |_| true).map(|w| w.rows), Ok(1));
    let text = std::fs::read_to_string(&path).expect("written");
    assert!(!text.contains(SECRET) && text.contains("'auth': '***'"), "{text}");
    let sent = Outgoing {
        id: TaskId::random(),
        name: "vault.open".into(),
        args: "[]".into(),
        kwargs: "{\"token\": \"hunter2\"}".into(),
        argsrepr: String::new(),
        kwargsrepr: String::new(),
        queue: "q".into(),
        route: None,
        priority: 0,
        root_id: None,
        parent_id: None,
        origin: "gen1@h".into(),
        eta: None,
        expires: None,
        like: None,
    };
    let waiting = Waiting::read(0, 0, sent.encode_redis().as_bytes());
    let doc = WaitingDoc::new(&waiting, &Redactor::default());
    assert_eq!(doc.kwargs.as_deref(), Some("{'token': '***'}"));
    assert_eq!(WaitingDoc::new(&waiting, &Redactor::off()).kwargs.as_deref(), Some("{'token': 'hunter2'}"));
}

#[test]
fn who_wants_to_see_everything_does() {
    let store = store().redacting(Redactor::off());
    let shown = store.read(|m| m.task(&TaskId::new("vault-1")).and_then(|t| Some(t.kwargs()?.into_owned())));
    assert!(shown.is_some_and(|text| text.contains(SECRET)));
}

#[test]
fn what_the_history_hid_is_not_sent_again() {
    let Update::Events(batch) = events(1_795_529_007.0) else { panic!("events") };
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("h.db");
    let now = flower_tui::clock::Stamp::from_micros(1_795_529_100_000_000);
    let options = Options {
        path: path.clone(),
        redactor: Redactor::default(),
        keep: Keep::default(),
        clock: flower_tui::clock::Clock::manual(now),
    };
    let (recorder, running) = writer::start(options).expect("opened");
    recorder.offer(Note::Events(batch));
    running.finish();
    let bytes = std::fs::read(&path).expect("written");
    assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "the file holds the secret");
    let id = TaskId::new("vault-1");
    let mut reader = Reader::open(&path).expect("opened");
    let (n, doc) = reader.task(&id).expect("read").expect("known");
    assert_eq!(doc.kwargs.as_deref(), Some("{'user': 'bob', 'auth': '***'}"));
    let store = Store::new(Limits::default());
    let events = reader.events(n, &doc).expect("read");
    store.apply(&[Update::Recalled(Arc::new(flower_tui::history::batch_in_time(events)))]);
    let refused = store
        .read(|m| Retry::prepare(m, &id, &Known::default(), &RetryOptions::default()))
        .map(|retry| retry.message.kwargs);
    assert_eq!(refused, Err(Refusal::Hidden { what: "args" }));
}
