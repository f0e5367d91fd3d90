//! `check` and `doctor` on real clusters: a healthy one, and each way of being broken that can be brought about.

use serde_json::Value;

use super::cluster::{Cluster, Redis, Server, flower, wait_for};
use super::history::Recorder;
use super::rabbit::Rabbit;

/// Exit status and document of a command with `--json`.
fn told<B: Server>(cluster: &Cluster<B>, arguments: &[&str]) -> (i32, Value) {
    let output = cluster.flower(arguments).current_dir(cluster.folder.path()).output().expect("runs");
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("{arguments:?}: {e}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code().expect("exited"), document)
}

/// Status and text of one check.
fn found(document: &Value, check: &str) -> (String, String) {
    let checks = document["checks"].as_array().expect("checks");
    let finding = checks.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{document}"));
    let text = |key: &str| finding[key].as_str().expect("text").to_owned();
    (text("status"), text("text"))
}

fn assert_found(document: &Value, check: &str, status: &str, words: &str) {
    let (is, text) = found(document, check);
    assert!(is == status && text.contains(words), "{check} is {is}: {text}");
}

#[test]
fn a_healthy_cluster_is_fine_and_a_worker_that_was_killed_is_missed() {
    let mut cluster = Cluster::start();
    let recorder = Recorder::start(&cluster);
    let file = cluster.folder.path().join("h.db");
    wait_for("the file", || file.exists().then_some(()));
    cluster.python("[app.add.delay(n, n).id for n in range(30)]");
    let check = ["--history", "h.db", "check", "--json"];
    let document = wait_for("a fine cluster", || {
        let (code, document) = told(&cluster, &check);
        let known = found(&document, "success").1.starts_with("100% of ");
        (code == 0 && known).then_some(document)
    });
    assert_found(&document, "workers", "ok", "1 worker online");
    assert_found(&document, "recorder", "ok", "is being written");
    assert!(found(&document, "own-memory").1.starts_with("the recorder takes "), "{document}");
    let plain = cluster.flower(&["check", "--for", "1s"]).output().expect("runs");
    let text = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(text.starts_with("OK: 13 checks are fine | 'rtt'="), "{text}");
    assert_eq!((plain.status.code(), text.lines().count()), (Some(0), 14), "{text}");

    // The log is rotated beside it.
    let log = cluster.folder.path().join("record.log");
    std::fs::rename(&log, log.with_extension("1")).expect("moved");
    recorder.tell("-HUP");
    wait_for("a new log", || log.exists().then_some(()));

    std::fs::write(cluster.folder.path().join("c.toml"), "[alerts.workers]\n\"w1@*\" = 1\n").expect("written");
    let expecting = ["--history", "h.db", "-c", "c.toml", "check", "--json"];
    assert_eq!(told(&cluster, &expecting).0, 0);
    cluster.kill_worker();
    let document = wait_for("a missing worker", || {
        let (code, document) = told(&cluster, &expecting);
        (code == 2).then_some(document)
    });
    assert_found(&document, "workers", "critical", "w1@* is not online (0 workers online)");
    let (code, document) = told(&cluster, &check);
    assert_eq!(code, 2);
    assert!(found(&document, "workers").1.contains("w1@test since"), "{document}");
}

#[test]
fn a_long_queue_and_a_burst_of_failures_are_critical() {
    let cluster = Cluster::start();
    cluster.python("[app.add.apply_async((n, n), queue='later').id for n in range(120)]");
    let (code, document) = told(&cluster, &["check", "--json", "--for", "1s"]);
    assert_eq!(code, 1, "{document}");
    assert_found(&document, "queues", "warning", "too many wait: later 120");
    std::fs::write(cluster.folder.path().join("c.toml"), "[alerts.queues.later]\nlength = { critical = 100 }\n")
        .expect("written");
    assert_eq!(told(&cluster, &["-c", "c.toml", "check", "--json", "--for", "1s"]).0, 2);

    let mut connection = cluster.broker.connection();
    let mut patterns = || redis::cmd("PUBSUB").arg("NUMPAT").query::<u64>(&mut connection).expect("asked");
    let before = patterns();
    let mut checking = cluster.flower(&["check", "--json", "--for", "8s", "--only", "failures,success"]);
    let checking = checking.stdout(std::process::Stdio::piped()).spawn().expect("runs");
    wait_for("the subscription", || (patterns() > before).then_some(()));
    cluster.python("[app.add.delay('x', n).id for n in range(70)]");
    let output = checking.wait_with_output().expect("ended");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(2), "{document}");
    assert_found(&document, "failures", "critical", "TypeError in demo.add ");
    assert_found(&document, "success", "critical", "0.0% of 70 tasks");
}

#[test]
fn without_events_it_is_not_known_how_tasks_fare_and_the_doctor_says_what_to_do() {
    let cluster = Cluster::without_events();
    let mut connection = cluster.broker.connection();
    let mut patterns = || redis::cmd("PUBSUB").arg("NUMPAT").query::<u64>(&mut connection).expect("asked");
    let before = patterns();
    let mut checking = cluster.flower(&["check", "--json", "--for", "8s"]);
    let checking = checking.stdout(std::process::Stdio::piped()).spawn().expect("runs");
    let asked = cluster.flower(&["doctor", "--json", "--for", "8s"]).stdout(std::process::Stdio::piped()).spawn();
    wait_for("the subscriptions", || (patterns() > before).then_some(()));
    cluster.call("sleep.delay(60)");
    let output = checking.wait_with_output().expect("ended");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(3), "{document}");
    assert_found(&document, "success", "unknown", "worker --all enable-events");
    let output = asked.expect("runs").wait_with_output().expect("ended");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1), "{document}");
    assert_found(&document, "events", "warning", "no event told of them");
}

#[test]
fn a_broker_that_is_away_is_critical_and_one_that_permits_nothing_is_not_known() {
    let folder = tempfile::tempdir().expect("temp");
    let away = flower(&["-b", "redis://127.0.0.1:1/0", "check"], folder.path()).output().expect("runs");
    let text = String::from_utf8_lossy(&away.stdout).into_owned();
    assert_eq!(away.status.code(), Some(2));
    assert!(text.starts_with("CRITICAL: broker: can't reach redis://127.0.0.1:1/0: connection refused"), "{text}");
    let doctor = flower(&["-b", "redis://127.0.0.1:1/0", "doctor"], folder.path()).output().expect("runs");
    assert_eq!(doctor.status.code(), Some(3));
    let usage = flower(&["-P", "none", "check"], folder.path()).output().expect("runs");
    assert_eq!(usage.status.code(), Some(3));

    let redis = Redis::start(&[]);
    let mut connection = redis.connection();
    let mut make = redis::cmd("ACL");
    make.arg("SETUSER").arg("few").arg("on").arg(">k3Jh-77fNq2x").arg("~*").arg("+ping").arg("+select");
    make.exec(&mut connection).expect("made");
    let url = format!("redis://few:k3Jh-77fNq2x@127.0.0.1:{}/0", redis.port);
    let run =
        |command: &str| flower(&["-b", &url, command, "--json", "--for", "1s"], folder.path()).output().expect("runs");
    let output = run("check");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(3), "{document}");
    assert_found(&document, "workers", "unknown", "no permission to");
    let output = run("doctor");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1), "{document}");
    let text = document.to_string();
    assert!(text.contains("tasks are not shown: no permission to PSUBSCRIBE"), "{text}");
    assert_found(&document, "password", "ok", "none of the usual ones");
    assert_found(&document, "open", "warning", "gets in without a password");
    assert!(!text.contains("k3Jh"), "{text}");
}

#[test]
fn a_door_that_is_closed_and_a_history_that_was_copied_are_told_as_such() {
    let password = "k3Jh-77fNq2x";
    let redis = Redis::start(&["--requirepass", password]);
    let url = format!("redis://:{password}@127.0.0.1:{}/0", redis.port);
    let folder = tempfile::tempdir().expect("temp");
    let file = folder.path().join("h.db");
    let history = file.to_str().expect("path").to_owned();
    let run = |arguments: &[&str]| {
        let mut all = vec!["-b", &url, "--history", &history];
        all.extend(arguments);
        flower(&all, folder.path()).output().expect("runs")
    };
    flower_tui::history::marks::set(&file, flower_tui::clock::Clock::system().now(), "v1").expect("a history");
    let doctor = || -> (Option<i32>, Value) {
        let output = run(&["doctor", "--json", "--for", "1s"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
    };
    let (code, document) = doctor();
    assert_eq!(code, Some(1), "{document}");
    assert_found(&document, "open", "ok", "it lets nobody in without a password");
    assert_found(&document, "backup", "warning", "was never copied");
    assert_found(&document, "subscriber-buffer", "ok", "cut off at 32M");
    assert_found(&document, "clocks", "ok", "1 clock within ");
    assert_found(&document, "result-backend", "ok", "answers");
    let copy = folder.path().join("copy.db");
    assert!(run(&["history", "backup", copy.to_str().expect("path")]).status.success());
    let (code, document) = doctor();
    assert_found(&document, "backup", "ok", "the history was copied ");
    assert_eq!(code, Some(0), "{document}");
}

#[test]
fn a_memory_alarm_is_critical_and_guest_is_told_to_be_a_stranger() {
    let cluster = Cluster::on(Rabbit::start(true), &["-c", "1"]);
    // A node that has just begun does not tell yet how much memory it takes.
    wait_for("a fine cluster", || (told(&cluster, &["check", "--json", "--for", "1s"]).0 == 0).then_some(()));
    let (code, document) = told(&cluster, &["doctor", "--json", "--for", "1s"]);
    assert_eq!(code, 1, "{document}");
    assert_found(&document, "password", "warning", "tried first, on this machine");
    assert_found(&document, "open", "warning", "as guest with the password guest");
    cluster.broker.ctl(&["set_vm_memory_high_watermark", "0"]);
    let document = wait_for("an alarm", || {
        let (code, document) = told(&cluster, &["check", "--json", "--for", "1s"]);
        (code == 2 && found(&document, "broker").0 == "critical").then_some(document)
    });
    assert_found(&document, "broker", "critical", "memory alarm");
    assert_found(&document, "workers", "unknown", "no worker can be heard");
}
