//! Clients that mean no good, or none at all; and what is only ours.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Served, Stand, options};

async fn open() -> Served {
    let mut stand = Stand::new(options(&[], &[("FLOWER_UNAUTHENTICATED_API", "true")]));
    stand.tasks = vec![json!({
        "uuid": "a/b", "name": "tasks.add", "sent": 1_795_482_740.0, "received": 1_795_482_740.1, "worker": "w1@vm",
        "started": 1_795_482_740.2, "failed": 1_795_482_741.0, "exception": "ValueError('no')", "traceback": "T",
        "client": "gen1@vm", "args": "(1, 2)", "kwargs": "{'password': 'hunter2'}", "routing_key": "celery",
    })];
    stand.serve().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_and_others_are_served_meanwhile() {
    let served = open().await;
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(served.ask("POST", "/api/task/send-task/t", &[], &long).await.status, 413);
    let header = ("X-Long".to_owned(), "x".repeat(64 << 10));
    assert!([0, 400, 431].contains(&served.ask("GET", "/api/tasks", &[header], "").await.status));
    let begun: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(served.address).expect("connected");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: lo").expect("begun");
            stream
        })
        .collect();
    assert_eq!(served.get("/healthcheck").await.body, "OK");
    drop(begun);
    for odd in [&b"\xff\xfe\r\n\r\n"[..], b"GET http:// HTTP/9\r\n\r\n", b"\r\n"] {
        let bytes = [odd, b"\r\n"].concat();
        assert!([0, 400].contains(&served.raw(bytes).await.status));
    }
    for path in [
        "/api/task/info/%ff%fe",
        "/api/task/info/..%2f..%2fetc%2fpasswd",
        "/static/../../etc/passwd",
        "/api/task/info/%00",
    ] {
        let told = served.get(path).await;
        assert!(told.status == 400 || told.status == 404, "{path}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_within_a_second_whoever_is_connected() {
    let mut served = open().await;
    let mut idle = TcpStream::connect(served.address).expect("connected");
    idle.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("asked");
    let mut first = [0; 16];
    idle.read_exact(&mut first).expect("answered");
    let slow = TcpStream::connect(served.address).expect("connected");
    let begun = Instant::now();
    served.end().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_routes_answer() {
    let served = open().await;
    let page = served.get("/api/v1/tasks?filter=state:failure&limit=1").await.json();
    assert_eq!((&page["total"], &page["tasks"][0]["id"]), (&json!(1), &json!("a/b")));
    assert_eq!(page["tasks"][0]["kwargs"], "{'password': '***'}", "secrets are not shown");
    assert_eq!(served.get("/api/v1/tasks?filter=runtime:x").await.status, 400);
    let failures = served.get("/api/v1/failures").await.json();
    assert_eq!(
        (&failures["failures"][0]["exception"], &failures["failures"][0]["count"]),
        (&json!("ValueError"), &json!(1))
    );
    assert_eq!(served.get("/api/v1/where/a/b").await.json()["verdict"], "finished");
    assert!(served.get("/api/v1/queues").await.json()["queues"].is_array());
    assert!(served.get("/api/worker/stats/w1@vm").await.json()["pool"]["max-concurrency"].is_u64());
    let document = served.get("/api/openapi.json").await.json();
    assert!(document["paths"]["/api/task/info/{id}"]["get"]["summary"].is_string(), "{document}");
    assert_eq!(served.get("/api/task/info/a%2Fb").await.json()["uuid"], "a/b", "an id may hold a slash");
    let sent =
        served.ask("POST", "/api/task/send-task/t", &[], r#"{"args": [1e2, 12345678901234567890123]}"#).await.json();
    let id = sent["task-id"].as_str().expect("an id");
    let info = served.get(&format!("/api/task/info/{id}")).await.json();
    assert_eq!(info["state"], "PENDING", "{info}");
}
