//! What workers are told, by command line and by key, as Celery's own `inspect` then shows it.

use serde_json::{Value, json};

use super::cluster::{Cluster, WORKER, wait_for};
use super::pty::Screen;

/// The names of the queues the worker says it consumes.
fn queues(cluster: &Cluster) -> Vec<String> {
    let queues = cluster.python("inspect.active_queues()");
    let names = queues[WORKER].as_array().expect("queues").iter().map(|q| q["name"].as_str().expect("name").to_owned());
    names.collect()
}

fn confirmed(cluster: &Cluster, words: &[&str]) -> Value {
    let receipt = cluster.json(&[&["worker", WORKER], words, &["--json"]].concat());
    assert_eq!(receipt["outcome"], "confirmed", "{receipt}");
    receipt["replies"][WORKER].clone()
}

#[test]
fn a_worker_does_what_the_command_line_says() {
    let cluster = Cluster::start_with(&["--autoscale", "3,1"]);
    let reply = confirmed(&cluster, &["autoscale", "5,2"]);
    assert_eq!(reply, json!({"ok": "autoscale now max=5 min=2"}));
    let stats = cluster.python("inspect.stats()");
    let scaler = &stats[WORKER]["autoscaler"];
    assert_eq!((scaler["max"].as_u64(), scaler["min"].as_u64()), (Some(5), Some(2)), "{scaler}");
    let grown = cluster.json(&["worker", WORKER, "grow", "--json"]);
    assert_eq!(grown["outcome"], "failed", "{grown}");

    confirmed(&cluster, &["add-queue", "extra"]);
    wait_for("the queue", || queues(&cluster).contains(&"extra".to_owned()).then_some(()));
    confirmed(&cluster, &["cancel-queue", "extra"]);
    wait_for("no queue", || (queues(&cluster) == ["celery"]).then_some(()));

    let registered = |items: &str| cluster.python(&format!("inspect.registered({items})"))[WORKER].clone();
    let has = |tasks: &Value, line: &str| tasks.as_array().expect("tasks").iter().any(|t| t == line);
    confirmed(&cluster, &["rate-limit", "demo.add", "10/m"]);
    assert!(has(&registered("'rate_limit'"), "demo.add [rate_limit=10/m]"), "{}", registered("'rate_limit'"));
    let lifted = confirmed(&cluster, &["rate-limit", "demo.add", "0"]);
    assert_eq!(lifted, json!({"ok": "rate limit disabled successfully"}));
    confirmed(&cluster, &["time-limit", "demo.add", "5", "9s"]);
    let limits = registered("'soft_time_limit', 'time_limit'");
    assert!(has(&limits, "demo.add [soft_time_limit=5.0 time_limit=9.0]"), "{limits}");
    confirmed(&cluster, &["time-limit", "demo.add", "none", "none"]);
    assert!(has(&registered("'soft_time_limit', 'time_limit'"), "demo.add"));
    let unknown = cluster.json(&["worker", WORKER, "rate-limit", "nobody.knows", "1/s", "--json"]);
    assert_eq!((unknown["outcome"].as_str(), unknown["why"].as_str()), (Some("failed"), Some("w1@test: unknown task")));
}

#[test]
fn a_pool_is_restarted_and_works_on() {
    let cluster = Cluster::start();
    let pids = || cluster.python("inspect.stats()")[WORKER]["pool"]["processes"].clone();
    let before = pids();
    let reply = confirmed(&cluster, &["restart-pool"]);
    assert_eq!(reply, json!({"ok": "reload started; a process that is idle is replaced after its next task"}));
    wait_for("new processes", || {
        let sum = cluster.python("app.add.delay(20, 22).get(timeout=20)");
        assert_eq!(sum, 42);
        (pids() != before).then_some(())
    });
    let refused = cluster.json(&["worker", WORKER, "autoscale", "5,2", "--json"]);
    assert_eq!(refused["why"], "w1@test: it was started without --autoscale", "{refused}");
}

#[test]
fn by_keys_a_worker_gets_a_queue_and_limits_and_shows_them() {
    let cluster = Cluster::start();
    let mut screen = Screen::start(&cluster.flower(&[]), 120, 36);
    screen.wait("1/1 workers");
    screen.wait("all tasks");
    screen.keys("2");
    screen.wait(WORKER);
    screen.keys("a");
    screen.wait("Let 1 worker consume");
    screen.keys("extra\r");
    screen.yes("Let 1 worker consume extra?", "add-queue confirmed");
    wait_for("the queue", || queues(&cluster).contains(&"extra".to_owned()).then_some(()));
    screen.keys("]");
    screen.wait("CONSUMERS");
    screen.keys("\x12");
    screen.wait("asking again");
    screen.wait("extra");

    screen.keys("d");
    screen.wait("no longer consume");
    screen.keys("ex\tx");
    screen.wait("extrax");
    screen.keys("\x7f\r");
    screen.yes("no longer consume extra?", "cancel-queue confirmed");
    wait_for("no queue", || (queues(&cluster) == ["celery"]).then_some(()));

    screen.keys(".");
    screen.wait("limit how long a task may run");
    screen.keys("\x1b");
    screen.wait("? help");
    // Its full screen, the registered tasks: a key acts on the one under the cursor.
    screen.keys("\r");
    screen.wait("CONSUMERS");
    screen.keys("]]]]]");
    screen.wait("demo.sleep");
}
