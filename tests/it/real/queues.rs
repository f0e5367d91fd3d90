//! What is done with the messages of a queue by the command line and by keys, seen in the queue itself and in what a real
//! worker then runs.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::{Value, json};

use super::cluster::{Cluster, Redis, Server, WORKER, wait_for};
use super::pty::Screen;
use super::rabbit::Rabbit;

/// Sends tasks to a queue that nobody consumes, and returns their ids.
fn park<B: Server>(cluster: &Cluster<B>, n: usize) -> Vec<String> {
    let send = format!("[app.add.apply_async((i, 100), queue='parked', priority=i % 2 * 6).id for i in range({n})]");
    serde_json::from_value(cluster.python(&send)).expect("ids")
}

fn act<B: Server>(cluster: &Cluster<B>, words: &[&str]) -> Output {
    cluster.flower(words).output().expect("runs")
}

/// Does something, and says what came of it.
fn done<B: Server>(cluster: &Cluster<B>, words: &[&str]) -> String {
    let output = act(cluster, words);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {said} {}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The row of the last command in the log.
fn last_row<B: Server>(cluster: &Cluster<B>) -> String {
    let audit = cluster.folder.path().join(".local/state/flower-tui/audit.db");
    let db = rusqlite::Connection::open(audit).expect("the log");
    db.query_row("SELECT max(id) FROM audit", [], |row| row.get::<_, i64>(0)).expect("a row").to_string()
}

fn waiting<B: Server>(cluster: &Cluster<B>, queue: &str) -> u64 {
    let queues = cluster.json(&["queues", "--json"]);
    let found = queues.as_array().expect("queues").iter().find(|q| q["name"] == queue);
    found.map_or(0, |q| q["ready"].as_u64().expect("a number"))
}

fn eventually<B: Server>(cluster: &Cluster<B>, queue: &str, n: u64) {
    wait_for(&format!("{n} in {queue}"), || (waiting(cluster, queue) == n).then_some(()));
}

/// Every message is run once and as it was, whatever was done with it.
fn all_run_once<B: Server>(cluster: &Cluster<B>, ids: &[String]) {
    done(cluster, &["worker", WORKER, "add-queue", "parked"]);
    let succeeded = || {
        let log = cluster.log();
        ids.iter().map(|id| log.matches(&format!("[{id}] succeeded")).count()).collect::<Vec<_>>()
    };
    wait_for("all to run", || succeeded().iter().all(|n| *n > 0).then_some(()));
    assert!(succeeded().iter().all(|n| *n == 1), "each once: {:?}", succeeded());
    let results = cluster.python(&format!("[app.app.AsyncResult(i).result for i in {}]", json!(ids)));
    let wanted: BTreeSet<u64> = (0..ids.len() as u64).map(|i| i + 100).collect();
    let got: BTreeSet<u64> = results.as_array().expect("results").iter().filter_map(Value::as_u64).collect();
    assert_eq!(got, wanted);
}

#[test]
fn messages_are_deleted_moved_set_aside_and_put_back_and_each_runs_once() {
    let cluster = Cluster::start();
    let ids = park(&cluster, 8);
    let file = cluster.folder.path().join("dump.jsonl").display().to_string();

    assert!(done(&cluster, &["queue", "parked", "delete", &ids[3]]).contains("1 message deleted"));
    assert_eq!(waiting(&cluster, "parked"), 7);
    assert!(!act(&cluster, &["queue", "parked", "delete", &ids[3]]).status.success(), "it is not there any more");
    done(&cluster, &["undo", &row_before(&cluster, 1)]);
    assert_eq!(waiting(&cluster, "parked"), 8);

    assert!(
        done(&cluster, &["queue", "parked", "move", "--filter", "args:\"(5, 100)\"", "other"])
            .contains("1 message moved")
    );
    assert!(done(&cluster, &["queue", "parked", "move", "--group", "args[0]=6", "other"]).contains("1 message moved"));
    // On Redis a queue that nobody declared is in no list.
    let other: u64 = ["other", "other\u{6}\u{16}6"].iter().map(|list| llen(&cluster, list)).sum();
    assert_eq!((waiting(&cluster, "parked"), other), (6, 2), "at the priorities they had");
    done(&cluster, &["queue", "other", "move", "--all", "parked"]);

    done(&cluster, &["queue", "parked", "aside", "parked.later"]);
    assert_eq!((waiting(&cluster, "parked"), llen(&cluster, "parked.later")), (0, 4), "and four at another priority");
    let queues = cluster.json(&["queues", "--json"]);
    let aside = queues.as_array().expect("queues").iter().find(|q| q["name"] == "parked.later").expect("listed");
    assert_eq!((&aside["ready"], &aside["aside"]["from"]), (&json!(8), &json!("parked")));
    let task = cluster.json(&["task", &ids[1], "--json"]);
    assert_eq!(task["verdict"], "waiting");
    assert!(task["sentence"].as_str().expect("said").contains("parked.later"), "{task}");
    assert!(task["why"].as_str().expect("said").contains("set aside from parked"), "{task}");
    done(&cluster, &["undo", &last_row(&cluster)]);
    assert_eq!(waiting(&cluster, "parked"), 8);

    done(&cluster, &["queue", "parked", "dump", &file, "--take", "--yes"]);
    assert_eq!(waiting(&cluster, "parked"), 0);
    assert!(done(&cluster, &["queue", "parked", "load", &file]).contains("8 messages"));
    let again = act(&cluster, &["queue", "parked", "load", &file]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("put back before"), "not twice");
    assert_eq!(waiting(&cluster, "parked"), 8);
    let undo = act(&cluster, &["undo", &row_before(&cluster, 2)]);
    assert!(String::from_utf8_lossy(&undo.stderr).contains("its file was loaded"), "{undo:?}");
    assert_eq!(waiting(&cluster, "parked"), 8, "nor by taking the dump back");
    let other = cluster.folder.path().join("other.jsonl").display().to_string();
    done(&cluster, &["queue", "parked", "dump", &other, "--take", "--yes"]);
    done(&cluster, &["undo", &last_row(&cluster)]);
    let load = act(&cluster, &["queue", "parked", "load", &other]);
    assert!(String::from_utf8_lossy(&load.stderr).contains("an undo has put back 8 messages already"), "{load:?}");
    assert_eq!(waiting(&cluster, "parked"), 8, "nor the other way round");

    let unasked = act(&cluster, &["queue", "parked", "purge"]);
    assert_eq!(unasked.status.code(), Some(2), "nobody is there to be asked");
    let read_only = act(&cluster, &["--read-only", "queue", "parked", "purge", "--yes"]);
    assert!(!read_only.status.success());
    assert_eq!(waiting(&cluster, "parked"), 8);
    done(&cluster, &["queue", "parked", "purge", "--yes"]);
    assert_eq!(waiting(&cluster, "parked"), 0);
    done(&cluster, &["undo", &last_row(&cluster)]);
    renamed_and_back(&cluster, ids.len());
    all_run_once(&cluster, &ids);
}

/// All of them become calls of another task, and then what they were.
fn renamed_and_back<B: Server>(cluster: &Cluster<B>, n: usize) {
    for task in ["demo.plus", "demo.add"] {
        let said = done(cluster, &["queue", "parked", "rename", "--all", task]);
        assert!(said.contains(&format!("{n} messages of task {task} now")), "{said}");
        let waiting = cluster.json(&["queue", "parked", "--peek", &n.to_string(), "--json"])["waiting"].to_string();
        assert_eq!(waiting.matches(&format!("\"{task}\"")).count(), n, "{waiting}");
    }
}

fn llen(cluster: &Cluster, list: &str) -> u64 {
    redis::Commands::llen(&mut cluster.broker.connection(), list).expect("a list")
}

/// The row of a command before the last.
fn row_before<B: Server>(cluster: &Cluster<B>, n: i64) -> String {
    (last_row(cluster).parse::<i64>().expect("a number") - n).to_string()
}

#[test]
fn on_rabbitmq_messages_are_deleted_moved_and_put_back_and_each_runs_once() {
    let cluster = Cluster::on(Rabbit::start(true), &["-c", "2"]);
    let ids = park(&cluster, 6);
    eventually(&cluster, "parked", 6);
    assert!(done(&cluster, &["queue", "parked", "delete", &ids[2]]).contains("1 message deleted"));
    eventually(&cluster, "parked", 5);
    done(&cluster, &["undo", &last_row(&cluster)]);
    assert!(
        done(&cluster, &["queue", "parked", "move", "--filter", "args:\"(4, 100)\"", "other"])
            .contains("1 message moved")
    );
    eventually(&cluster, "other", 1);
    done(&cluster, &["queue", "other", "move", "--all", "parked"]);
    done(&cluster, &["queue", "parked", "aside", "parked.later"]);
    eventually(&cluster, "parked.later", 6);
    done(&cluster, &["undo", &last_row(&cluster)]);
    done(&cluster, &["queue", "parked", "purge", "--yes"]);
    eventually(&cluster, "parked", 0);
    done(&cluster, &["undo", &last_row(&cluster)]);
    eventually(&cluster, "parked", 6);
    renamed_and_back(&cluster, ids.len());
    all_run_once(&cluster, &ids);
}

#[test]
fn by_keys_a_queue_is_held_and_released_and_a_purge_undone() {
    let cluster = Cluster::start();
    let mut screen = Screen::start(&cluster.flower(&[]), 120, 36);
    screen.wait("1/1 workers");
    wait_for("the queues", || {
        screen.keys("4");
        screen.text().contains("READY").then_some(())
    });
    screen.wait("● celery");
    screen.keys("H");
    screen.yes("Hold celery?", "hold confirmed");
    screen.wait("held");
    let consumed = || cluster.python("inspect.active_queues()")[WORKER].as_array().expect("queues").len();
    wait_for("nobody to consume it", || (consumed() == 0).then_some(()));
    let ids: Vec<String> =
        serde_json::from_value(cluster.python("[app.add.delay(i, 100).id for i in range(3)]")).expect("ids");
    wait_for("them to wait", || (waiting(&cluster, "celery") == 3).then_some(()));

    screen.keys("\x12");
    screen.wait("3 queued");
    screen.keys("P");
    screen.wait("empty celery");
    screen.keys("G\r");
    screen.wait("type its name");
    screen.keys("celery\r");
    screen.wait("purge confirmed");
    assert_eq!(waiting(&cluster, "celery"), 0);
    screen.keys("L");
    screen.wait("3 messages destroyed");
    screen.keys("u");
    screen.yes("Put back the 3 messages taken out of celery?", "undo confirmed");
    assert_eq!(waiting(&cluster, "celery"), 3);

    screen.keys("\x1b");
    screen.wait("READY");
    screen.keys("H");
    screen.yes("Release celery?", "release confirmed");
    wait_for("all to run", || ids.iter().all(|id| cluster.log().contains(&format!("[{id}] succeeded"))).then_some(()));
    screen.keys("q");
}

#[test]
fn what_a_killed_worker_had_taken_is_given_out_again() {
    let mut cluster = Cluster::on(Redis::start(&[]), &["-c", "1", "--prefetch-multiplier", "4"]);
    let mut screen = Screen::start(&cluster.flower(&[]), 120, 36);
    screen.wait("1/1 workers");
    cluster.call("sleep.apply_async((300,))");
    let ids: Vec<String> =
        serde_json::from_value(cluster.python("[app.add.apply_async((i, 100)).id for i in range(3)]")).expect("ids");
    wait_for("them to be taken", || cluster.log().matches("received").count().ge(&4).then_some(()));
    let refused = act(&cluster, &["queue", "celery", "requeue-unacked"]);
    assert!(!refused.status.success(), "its worker names them");
    cluster.kill_worker();
    screen.keys("4");
    screen.wait("0/1 workers");
    screen.wait("3 delivered and not acknowledged");
    screen.keys("U");
    screen.yes("Give out again", "requeue-unacked confirmed");
    // Received and not acknowledged: the sleeper was acknowledged when it began.
    let queue = cluster.json(&["queue", "celery", "--json"]);
    let order: Vec<&str> = queue["waiting"].as_array().expect("some").iter().filter_map(|w| w["id"].as_str()).collect();
    assert_eq!(order, ids, "in the order in which they were taken");
    cluster.start_worker(&["-c", "1"]);
    wait_for("all to run", || ids.iter().all(|id| cluster.log().contains(&format!("[{id}] succeeded"))).then_some(()));
    screen.keys("q");
}

#[test]
fn many_named_messages_are_deleted_as_a_bulk_action_and_one_undo_puts_all_back() {
    let cluster = Cluster::start();
    let ids = park(&cluster, 30);
    eventually(&cluster, "parked", 30);
    let words: Vec<&str> =
        ["queue", "parked", "delete"].into_iter().chain(ids.iter().take(25).map(String::as_str)).collect();
    let said = done(&cluster, &words);
    assert!(said.contains("25 of 25 deleted") && said.contains("parked: 25 messages deleted"), "{said}");
    eventually(&cluster, "parked", 5);
    let again = act(&cluster, &words);
    let why = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.code() == Some(1) && why.contains("25 messages did not wait there any more"), "{why}");
    done(&cluster, &["undo", "1"]);
    eventually(&cluster, "parked", 30);
    renamed_and_back(&cluster, ids.len());
    all_run_once(&cluster, &ids);
}
