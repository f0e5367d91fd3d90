//! The command line against a real cluster.

use super::cluster::{Cluster, WORKER, wait_for};

#[test]
fn listings_and_commands_say_what_celery_says() {
    let mut cluster = Cluster::start();
    let workers = cluster.json(&["workers", "--json"]);
    let worker = &workers[0];
    assert_eq!((worker["name"].as_str(), worker["online"].as_bool()), (Some(WORKER), Some(true)));
    assert_eq!((worker["pool"].as_str(), worker["processes"].as_u64()), (Some("prefork"), Some(2)));
    assert_eq!(worker["queues"], serde_json::json!(["celery"]));
    assert!(worker["loadavg"].is_array() && worker["heartbeat"].is_f64() && worker["processed"].is_i64(), "{worker}");

    let ids: Vec<String> = (0..7).map(|_| cluster.call("sleep.delay(120)")).collect();
    let queue = wait_for("waiting tasks", || {
        let queues = cluster.json(&["queues", "--json"]);
        Some(queues[0].clone()).filter(|q| q["ready"].as_u64() > Some(0))
    });
    assert_eq!((queue["name"].as_str(), queue["consumers"].as_u64()), (Some("celery"), Some(1)));
    assert_eq!(queue["ready"].as_u64().expect("ready") + queue["unacked"].as_u64().expect("unacked"), 5);
    assert_eq!(queue["by_priority"]["0"], queue["ready"]);

    let status = cluster.json(&["status", "--json"]);
    for key in ["broker", "workers", "queues", "rates", "events"] {
        assert!(!status[key].is_null(), "{key} in {status}");
    }

    let task = cluster.json(&["task", &ids[0], "--json", "--for", "200ms"]);
    assert_eq!(task["verdict"], "running", "{task}");
    assert!(task["sentence"].as_str().expect("sentence").starts_with("runs on w1@test"), "{task}");
    let tasks = cluster.json(&["tasks", "state:started", "--json", "--for", "200ms"]);
    assert_eq!(tasks.as_array().map(Vec::len), Some(2), "{tasks}");

    let receipt = cluster.json(&["revoke", &ids[0], "--terminate", "--signal", "KILL", "--json"]);
    assert!(receipt["replies"][WORKER]["ok"].as_str().expect("ok").contains(&ids[0]), "{receipt}");
    wait_for("REVOKED", || (cluster.state(&ids[0]) == "REVOKED").then_some(()));

    let busy = cluster.json(&["worker", WORKER, "shrink", "--json"]);
    assert_eq!(busy["outcome"], "failed", "its two processes are busy: {busy}");
    for id in &ids {
        cluster.python(&format!("app.app.control.revoke('{id}', terminate=True)"));
    }
    wait_for("an idle worker", || (cluster.python("inspect.active()")[WORKER] == serde_json::json!([])).then_some(()));
    for (action, n, want) in [("grow", "1", 3), ("shrink", "2", 1)] {
        let receipt = cluster.json(&["worker", WORKER, action, n, "--json"]);
        assert_eq!(receipt["outcome"], "confirmed", "{receipt}");
        wait_for("the pool", || (cluster.processes() == Some(want)).then_some(()));
    }

    let receipt = cluster.json(&["worker", "w1@*", "shutdown", "--wait", "30s", "--json"]);
    assert_eq!(receipt["outcome"], "confirmed", "{receipt}");
    wait_for("the worker's end", || cluster.worker_ended().then_some(()));
    let gone = cluster.flower(&["worker", WORKER, "ping"]).output().expect("runs");
    assert_eq!(gone.status.code(), Some(4), "it may be there and busy: asked, and no answer came");
    let nobody = cluster.flower(&["revoke", "some-id"]).output().expect("runs");
    assert_eq!(nobody.status.code(), Some(4), "sent, and nobody answered");
}

#[test]
fn events_are_recorded_and_replayed() {
    let cluster = Cluster::start();
    let recorder =
        cluster.flower(&["events", "--raw", "--for", "6s"]).stdout(std::process::Stdio::piped()).spawn().expect("runs");
    let pattern = |connection: &mut redis::Connection| {
        redis::cmd("PUBSUB").arg("NUMPAT").query::<u64>(connection).expect("asked")
    };
    let mut connection = cluster.broker.connection();
    let before = 2;
    wait_for("the subscription", || (pattern(&mut connection) > before).then_some(()));
    let id = cluster.call("add.delay(1, 2)");
    let output = recorder.wait_with_output().expect("ended");
    assert!(output.status.success());
    let file = cluster.folder.path().join("recorded.jsonl");
    std::fs::write(&file, &output.stdout).expect("written");
    let state = cluster.json(&["replay", file.to_str().expect("path"), "--json"]);
    let task = state["tasks"].as_array().expect("tasks").iter().find(|t| t["id"] == id).expect("recorded").clone();
    assert_eq!((task["state"].as_str(), task["result"].as_str()), (Some("SUCCESS"), Some("3")), "{task}");
    assert_eq!(state["events"]["undecodable"], 0);
}

#[test]
fn the_result_backend_is_asked_about_tasks_no_event_tells_of() {
    let cluster = Cluster::start();
    let ids = cluster.python("[r.id for r in app.app.GroupResult('x', [app.add.delay(1, n) for n in range(3)])]");
    let id = ids[0].as_str().expect("an id").to_owned();
    wait_for("the result", || (cluster.state(&id) == "SUCCESS").then_some(()));
    let task = cluster.json(&["task", &id, "--json", "--for", "200ms"]);
    assert_eq!(task["verdict"], "finished", "{task}");
    assert!(task["sentence"].as_str().expect("sentence").ends_with("SUCCESS, says the result backend"), "{task}");
    assert_eq!((task["state"].as_str(), task["result"].as_str()), (Some("SUCCESS"), Some("1")), "{task}");
    let elsewhere = ["--result-backend", "redis://127.0.0.1:1/0", "task", &id, "--for", "200ms"];
    let output = cluster.flower(&elsewhere).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("result backend not asked: can't reach redis://127.0.0.1:1/0"), "{text}");
    assert_eq!(output.status.code(), Some(1), "no trace of it");
}

#[test]
fn what_a_command_needed_in_redis_goes_away_with_it() {
    let cluster = Cluster::start();
    let mut connection = cluster.broker.connection();
    let mut ours = || -> Vec<(String, i64)> {
        let keys: Vec<String> = redis::Commands::keys(&mut connection, "*flower-tui:*").expect("keys");
        let mut ttl = |key: &String| redis::Commands::ttl(&mut connection, key).expect("a time");
        keys.iter().map(|key| (key.clone(), ttl(key))).collect()
    };
    for words in [&["workers"][..], &["worker", WORKER, "ping"], &["worker", "--all", "rate-limit", "demo.add", "9/m"]]
    {
        assert!(cluster.flower(words).output().expect("runs").status.success(), "{words:?}");
        assert_eq!(ours(), [], "{words:?}");
    }
    // A message that was sent is remembered for as long as somebody may try again.
    assert!(cluster.flower(&["send", "demo.add", "--args", "[1, 2]"]).output().expect("runs").status.success());
    let left = ours();
    assert!(left.len() == 1 && left[0].0.contains("flower-tui:sent:") && (1..=300).contains(&left[0].1), "{left:?}");
    // Who was asked and did not answer still may: the list it answers into has an end.
    let ghost = cluster.flower(&["worker", "ghost@test", "ping"]).output().expect("runs");
    assert_eq!(ghost.status.code(), Some(4));
    let lists: Vec<_> = ours().into_iter().filter(|(key, _)| key.contains(":reply:")).collect();
    assert!(lists.len() == 1 && (1..=3_600).contains(&lists[0].1), "{lists:?}");
}

#[test]
fn who_is_told_to_send_no_events_says_what_is_not_seen_then() {
    let cluster = Cluster::start();
    let off = cluster.flower(&["worker", WORKER, "disable-events"]).output().expect("runs");
    let (told, said) = (String::from_utf8_lossy(&off.stderr), String::from_utf8_lossy(&off.stdout));
    assert!(off.status.success(), "{told}{said}");
    assert!(told.contains("is not seen here any more") && told.contains("started with -E"), "{told}");
    assert!(said.contains("one started with -E goes on sending them"), "{said}");
}
