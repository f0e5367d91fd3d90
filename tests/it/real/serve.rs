//! `serve` started by a line that was written for Flower, on a real Redis with a real worker.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{Cluster, WORKER, flower, free_port, venv, wait_for};
use crate::contract::redis::Pki;

/// A running `serve`; ends with the test.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a request over anything, and returns status and body.
fn ask(mut stream: impl Read + Write, method: &str, path: &str, login: &str, body: &str) -> (u16, String) {
    let login = base64_simd::STANDARD.encode_to_string(login);
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic {login}\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
}

#[test]
fn a_start_script_of_flower_s_works_with_its_first_word_changed() {
    let mut cluster = Cluster::start();
    let port = free_port();
    let broker = format!("--broker={}", cluster.broker.url());
    let (to, prefix) = (format!("--port={port}"), "--url_prefix=flower");
    let users = "--basic_auth=admin:horse battery,viewer:staple again";
    let line = ["-A", "proj", &broker, "flower", "--auth", users, &to, prefix, "--natural_time=False"];
    let child = cluster.flower(&line).env("FLOWER_MAX_WORKERS", "7").stderr(Stdio::piped()).spawn().expect("runs");
    let mut serve = Serve(child);
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port));
    wait_for("the server", || connect().ok());
    let call = |method: &str, path: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) =
            ask(connect().expect("there"), method, &format!("/flower{path}"), "admin:horse battery", &body);
        (status, serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)))
    };
    let get = |path: &str| call("GET", path, &Value::Null).1;
    let wrong = ask(connect().expect("there"), "GET", "/flower/api/workers", "admin:horse batterz", "");
    assert_eq!(wrong.0, 401);
    assert_eq!(ask(connect().expect("there"), "GET", "/api/workers", "admin:horse battery", "").0, 404);

    wait_for("the worker", || get("/api/workers")[WORKER]["registered"].is_array().then_some(()));
    let done = call("POST", "/api/task/apply/demo.add", &json!({"args": [1, 2]}));
    assert_eq!((done.0, &done.1["result"], &done.1["state"]), (200, &json!(3), &json!("SUCCESS")), "{done:?}");
    let id = done.1["task-id"].as_str().expect("an id").to_owned();
    assert_eq!(get(&format!("/api/task/result/{id}"))["result"], 3);
    let info =
        wait_for("its events", || Some(get(&format!("/api/task/info/{id}"))).filter(|t| t["state"] == "SUCCESS"));
    assert_eq!((&info["name"], &info["worker"], &info["args"]), (&json!("demo.add"), &json!(WORKER), &json!("(1, 2)")));
    assert_eq!(get("/api/queues/length")["active_queues"], json!([{"name": "celery", "messages": 0}]));

    let long = call("POST", "/api/task/async-apply/demo.sleep", &json!({"args": [120]})).1;
    let long = long["task-id"].as_str().expect("an id").to_owned();
    wait_for("its start", || (get(&format!("/api/task/info/{long}"))["state"] == "STARTED").then_some(()));
    let revoked = call("POST", &format!("/api/task/revoke/{long}?terminate=true&signal=SIGKILL"), &Value::Null);
    assert_eq!(revoked, (200, json!({"message": format!("Revoked '{long}'")})));
    wait_for("REVOKED", || (cluster.state(&long) == "REVOKED").then_some(()));

    let grown = call("POST", &format!("/api/worker/pool/grow/{WORKER}?n=1"), &Value::Null);
    assert_eq!(grown, (200, json!({"message": format!("Growing '{WORKER}' worker's pool by 1")})));
    wait_for("the pool", || (cluster.processes() == Some(3)).then_some(()));
    assert_eq!(call("POST", "/api/task/abort/some-id", &Value::Null).0, 200);
    assert_eq!(cluster.state("some-id"), "ABORTED");
    let limited =
        call("POST", &format!("/api/task/rate-limit/demo.add?workername={WORKER}&ratelimit=10/m"), &Value::Null);
    assert_eq!(limited, (200, json!({"message": "new rate limit set successfully"})));
    let metrics = get("/metrics");
    let want = format!("flower_events_total{{task=\"demo.add\",type=\"task-succeeded\",worker=\"{WORKER}\"}} 1.0");
    assert!(metrics.as_str().is_some_and(|text| text.lines().any(|line| line == want)), "{metrics}");

    cluster.broker.stop();
    wait_for("the loss to be noticed", || (call("GET", "/healthcheck?broker=1", &Value::Null).0 == 503).then_some(()));
    for (method, path) in [
        ("POST", "/api/task/revoke/x"),
        ("POST", "/api/task/async-apply/demo.add"),
        ("POST", "/api/worker/pool/grow/w1@test"),
        ("GET", "/api/queues/length"),
        ("GET", "/api/task/result/x"),
        ("GET", "/api/workers?refresh=1"),
    ] {
        let begun = Instant::now();
        let (status, why) = call(method, path, &Value::Null);
        assert!(
            status == 503 && why.as_str().is_some_and(|why| why.contains("unavailable: ")),
            "{path}: {status} {why}"
        );
        assert!(begun.elapsed() < Duration::from_secs(1), "{path}: {:?}", begun.elapsed());
    }
    assert_eq!(call("GET", "/api/tasks?limit=1", &Value::Null).0, 200);

    let begun = Instant::now();
    assert!(Command::new("kill").arg(serve.0.id().to_string()).status().expect("kill").success());
    assert!(serve.0.wait().expect("ended").success());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let mut said = String::new();
    serve.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    for part in ["-A proj is ignored", "natural_time is of no use", "listening on http://"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("battery"), "{said}");
}

#[test]
fn it_listens_with_tls_and_at_a_socket() {
    let folder = tempfile::tempdir().expect("temp");
    let home = folder.path();
    let pki = Pki::make(home);
    let (port, socket) = (free_port(), home.join("flower.sock"));
    let nowhere = ["-b", "redis://127.0.0.1:1/0", "serve"];
    let (to, cert, key) =
        (format!("--port={port}"), format!("--certfile={}", pki.certificate), format!("--keyfile={}", pki.key));
    let _tls =
        Serve(flower(&[&nowhere[..], &[&to, &cert, &key]].concat(), home).stderr(Stdio::null()).spawn().expect("runs"));
    let at = format!("--unix-socket={}", socket.display());
    let _unix = Serve(flower(&[&nowhere[..], &[&at]].concat(), home).stderr(Stdio::null()).spawn().expect("runs"));
    let stream = wait_for("the socket", || std::os::unix::net::UnixStream::connect(&socket).ok());
    assert_eq!(ask(stream, "GET", "/healthcheck", "", ""), (200, "OK".into()));
    let code = format!(
        "import ssl, urllib.request\ncontext = ssl.create_default_context(cafile='{}')\n\
         print(urllib.request.urlopen('https://localhost:{port}/healthcheck', context=context).read().decode())",
        pki.ca
    );
    wait_for("the server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let output = Command::new(venv("python")).args(["-c", &code]).output().expect("python runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "OK\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_would_be_unsafe_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("temp");
    for (option, want) in [
        ("--basic_auth=admin:admin123", "easily guessed"),
        ("--auth_provider=flower.views.auth.GoogleAuth2LoginHandler", "has to be set"),
        ("--users=/nowhere/users", "can't read /nowhere/users"),
        ("--certfile=/nowhere/cert.pem", "go together"),
    ] {
        let output = flower(&["-b", "redis://127.0.0.1:1/0", "serve", option], folder.path()).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && said.contains(want) && !said.contains("admin123"),
            "{option}: {said}"
        );
    }
    let output = flower(&["serve", "--new-token=ci:operator"], folder.path()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("ft_") && text.lines().count() == 2, "{text}");
}
