//! RabbitMQ with an alarm on: it lets nobody publish, and workers' heartbeats don't come.

use super::cluster::{Cluster, WORKER, wait_for};
use super::pty::Screen;
use super::rabbit::Rabbit;

/// Exit status and all that was said.
fn said(cluster: &Cluster<Rabbit>, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cluster.flower(arguments).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    (output.status.code(), text)
}

#[test]
fn what_is_refused_under_an_alarm_is_not_carried_out_later_and_nobody_is_said_to_be_gone() {
    let cluster = Cluster::on(Rabbit::start(true), &["-c", "1"]);
    let mut screen = Screen::start(&cluster.flower(&[]), 120, 36);
    screen.wait("1/1 workers");
    cluster.broker.ctl(&["set_vm_memory_high_watermark", "0"]);
    screen.wait("MEMORY ALARM: nothing can be sent");
    // On a connection that nothing was sent on yet the broker has not told of it.
    let (code, text) = said(&cluster, &["worker", WORKER, "add-queue", "odd"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("not sent") && text.contains("it is short of memory or disk"), "{text}");
    screen.keys("2");
    let text = screen.wait("not heard");
    assert!(text.contains("1/1 workers"), "{text}");

    cluster.broker.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    wait_for("an answer", || (said(&cluster, &["worker", WORKER, "ping"]).0 == Some(0)).then_some(()));
    let workers = cluster.json(&["workers", "--json"]);
    assert_eq!(workers[0]["queues"], serde_json::json!(["celery"]), "{workers}");
    wait_for("a calm screen", || {
        let text = screen.text();
        (!text.contains("ALARM") && text.contains("1/1 workers") && !text.contains("not heard")).then_some(())
    });
    screen.keys("3");
    let text = screen.wait("1/1 workers");
    assert!(!text.contains("lost its last consumer"), "{text}");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn a_worker_is_not_told_to_consume_a_queue_whose_declaration_would_end_it() {
    let cluster = Cluster::on(Rabbit::start(true), &["-c", "1"]);
    let declare = "queue_declare('odd', durable=True, auto_delete=False, arguments={'x-max-priority': 10})";
    cluster.python(&format!("[app.app.connection_for_write().default_channel.{declare}, 1][1]"));
    let (code, text) = said(&cluster, &["worker", WORKER, "add-queue", "odd"]);
    assert!(code == Some(1) && text.contains("queue odd has x-max-priority=10"), "{text}");
    assert_eq!(said(&cluster, &["worker", WORKER, "add-queue", "even"]).0, Some(0));
    assert_eq!(said(&cluster, &["worker", WORKER, "ping"]).0, Some(0));
}
