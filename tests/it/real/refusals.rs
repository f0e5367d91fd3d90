//! Wrong passwords, wrong places, wrong files: a clear line and the right exit status each.

use std::io::Write;
use std::net::TcpListener;

use flower_tui::broker::{BrokerUrl, TransportOptions};

use super::cluster::{Redis, flower, free_port};

/// Exit status and what was said.
fn run(arguments: &[&str]) -> (i32, String) {
    let home = tempfile::tempdir().expect("temp");
    let output = flower(arguments, home.path()).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.stdout.is_empty(), "{arguments:?}");
    (output.status.code().expect("exited"), said)
}

fn assert_said(arguments: &[&str], status: i32, words: &[&str]) {
    let (code, said) = run(arguments);
    assert_eq!(code, status, "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn what_can_not_be_reached_ends_in_three() {
    let port = free_port();
    assert_said(&["-b", &format!("redis://:hunter2@127.0.0.1:{port}/0"), "status"], 3, &["refused", "127.0.0.1"]);
    let redis = Redis::start(&["--requirepass", "right"]);
    assert_said(&["-b", &format!("redis://:hunter2@127.0.0.1:{}/0", redis.port), "workers"], 3, &["password"]);
    assert_said(&["-b", &redis.url(), "workers"], 3, &["NOAUTH Authentication required"]);
    assert_said(&["-b", &format!("redis://:right@127.0.0.1:{}/99", redis.port), "queues"], 3, &["DB index"]);
}

/// A server that answers everything in HTTP.
fn no_redis() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("redis://{}/0", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    url
}

#[test]
fn a_server_that_is_no_redis_is_told_apart() {
    assert_said(&["-b", &no_redis(), "status"], 3, &["127.0.0.1", "does not speak Redis. Is that the right port?"]);
}

#[tokio::test]
async fn the_screen_is_told_the_same_reason() {
    let url = BrokerUrl::parse(&no_redis()).expect("a URL");
    let broker = flower_tui::broker::open(&url, TransportOptions::default()).expect("opens");
    let error = broker.events().await.err().expect("refused");
    assert_eq!(error.reason(), "it does not speak Redis");
}

#[test]
fn whoever_has_read_enough_may_close_the_pipe() {
    use std::process::Stdio;
    let folder = tempfile::tempdir().expect("temp");
    let file = folder.path().join("r.jsonl");
    let data = r#"{"type": "task-sent", "uuid": "ID", "name": "t", "hostname": "h", "timestamp": 1.5}"#;
    let mut lines = String::new();
    for n in 0..2_000 {
        let body = data.replace("ID", &n.to_string());
        let message = serde_json::json!({"body": body, "content-type": "application/json", "properties": {}});
        lines += &format!("{}\n", serde_json::json!({"recv": 1.5, "channel": "c", "data": message.to_string()}));
    }
    std::fs::write(&file, lines).expect("written");
    let mut command = flower(&["replay", file.to_str().expect("path"), "--json"], folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn bad_usage_ends_in_two_and_says_what_was_meant() {
    assert_said(&["-b", "sqs://h", "status"], 2, &["sqs:// are not supported"]);
    assert_said(&["-P", "prod", "status"], 2, &["no profile"]);
    assert_said(&["tasks", "sate:failure"], 2, &["did you mean state:"]);
    assert_said(&["worker", "w", "grow", "none"], 2, &["number"]);
    assert_said(&["worker", "w@h", "shutdwn"], 2, &["no action shutdwn", "did you mean shutdown?"]);
    assert_said(&["demo"], 2, &["flower-tui status"]);
    let folder = tempfile::tempdir().expect("temp");
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "max_tasks = 5\n\n[profiles.a]\nbrokr = \"redis://:hunter2@h\"\n").expect("written");
    assert_said(&["-c", config.to_str().expect("path"), "config", "show"], 2, &["line 4", "did you mean broker?"]);
}

#[test]
fn a_recording_that_is_none_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("temp");
    let file = folder.path().join("r.jsonl");
    std::fs::write(&file, "{\"recv\": 1.5, \"channel\": \"c\", \"data\": \"x\"}\nnot json\n").expect("written");
    assert_said(&["replay", file.to_str().expect("path"), "--json"], 1, &["line 2"]);
    assert_said(&["replay", "/nowhere/r.jsonl", "--json"], 1, &["/nowhere/r.jsonl"]);
}

#[test]
fn a_password_does_not_stay_in_the_list_of_processes() {
    let redis = Redis::start(&["--requirepass", "hunter2"]);
    let url = format!("redis://:hunter2@127.0.0.1:{}/0", redis.port);
    let home = tempfile::tempdir().expect("temp");
    let mut child = flower(&["-b", &url, "events", "--for", "30s"], home.path()).spawn().expect("runs");
    let place = format!("/proc/{}/cmdline", child.id());
    let hidden = super::cluster::wait_for("an overwritten command line", || {
        let words = String::from_utf8_lossy(&std::fs::read(&place).ok()?).into_owned();
        (words.contains("events") && !words.contains("hunter2")).then_some(words)
    });
    assert!(hidden.contains("redis://:*******@127.0.0.1"), "{hidden}");
    child.kill().expect("ended");
    child.wait().expect("ended");
}
