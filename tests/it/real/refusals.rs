//! Wrong passwords, wrong places, wrong files: a clear line and the right exit status each.

use std::io::Write;
use std::net::TcpListener;

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
    assert_said(&["-b", &redis.url(), "workers"], 3, &["uthentication"]);
    assert_said(&["-b", &format!("redis://:right@127.0.0.1:{}/99", redis.port), "queues"], 3, &["DB index"]);
}

#[test]
fn a_server_that_is_no_redis_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("redis://{}/0", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    assert_said(&["-b", &url, "status"], 3, &["127.0.0.1"]);
}

#[test]
fn bad_usage_ends_in_two_and_says_what_was_meant() {
    assert_said(&["-b", "amqp://h", "status"], 2, &["amqp:// are not supported"]);
    assert_said(&["-P", "prod", "status"], 2, &["no profile"]);
    assert_said(&["tasks", "sate:failure"], 2, &["did you mean state:"]);
    assert_said(&["worker", "w", "grow", "none"], 2, &["number"]);
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
