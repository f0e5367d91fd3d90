//! A real worker on a real RabbitMQ: watched and ruled as on Redis, and what is different there.

use serde_json::Value;

use super::cluster::{Cluster, Server, WORKER, flower, wait_for};
use super::pty::Screen;
use super::rabbit::Rabbit;

fn queue<'v>(queues: &'v Value, name: &str) -> &'v Value {
    let found = queues.as_array().expect("queues").iter().find(|queue| queue["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {queues}"))
}

#[test]
fn a_cluster_on_rabbitmq_is_watched_and_ruled_by_keys() {
    let cluster = Cluster::on(Rabbit::start(true), &["-c", "2"]);
    let mut screen = Screen::start(&cluster.flower(&[]), 120, 36);
    screen.wait("● live");
    screen.wait("1/1 workers");

    let marker = cluster.folder.path().join("marker");
    let failed = cluster.call(&format!("fails_once.delay({:?})", marker.display().to_string()));
    screen.wait("✖ FAILURE");
    assert_eq!(cluster.state(&failed), "FAILURE");
    screen.keys("r");
    screen.yes("Send 1 task again?", "retry confirmed");
    wait_for("the second run", || cluster.log().contains("found thing").then_some(()));

    let long = cluster.call("sleep.delay(300)");
    screen.wait("● STARTED");
    screen.keys("X");
    screen.wait("terminate with");
    screen.keys("\r");
    screen.yes("Terminate 1 task?", "terminate confirmed");
    wait_for("REVOKED in the backend", || (cluster.state(&long) == "REVOKED").then_some(()));

    screen.keys("2");
    screen.wait(WORKER);
    screen.keys("+");
    screen.wait("Grow the pool");
    screen.keys("1\r");
    screen.yes("Add 1 process", "grow confirmed");
    wait_for("three processes", || (cluster.processes() == Some(3)).then_some(()));

    // A queue is looked into when a person asks for it, and not before.
    for n in 0..3 {
        cluster.call(&format!("add.apply_async(({n}, 40), queue='parked')"));
    }
    wait_for("three that wait", || {
        let queues = cluster.json(&["queues", "--json"]);
        let parked = queues.as_array().expect("queues").iter().find(|queue| queue["name"] == "parked")?;
        (parked["ready"] == 3 && parked["type"] == "classic").then_some(())
    });
    screen.keys("4");
    screen.wait("TYPE");
    screen.wait("parked");
    screen.wait("rabbitmq 3.");
    screen.keys("/parked\r");
    screen.wait("─ parked ─");
    screen.wait("Not looked at yet.");
    let redelivered =
        || cluster.json(&["queue", "parked", "--peek", "1", "--json"])["waiting"][0]["redelivered"].clone();
    screen.keys("i");
    screen.wait("(2, 40)");
    assert_eq!(redelivered(), true, "the screen has looked, and left its mark");
    screen.keys("]]");
    screen.wait("RabbitMQ tells nobody which messages");

    // The broker goes and comes back.
    cluster.broker.ctl(&["stop_app"]);
    screen.wait("○ down");
    cluster.broker.ctl(&["start_app"]);
    let back = std::time::Instant::now();
    screen.wait("● live");
    assert!(back.elapsed() < std::time::Duration::from_secs(2), "{:?}", back.elapsed());
    screen.keys("1");
    // The worker is back too, in its own time.
    let sum = cluster.python("app.add.delay(20, 22).get(timeout=30)");
    assert_eq!(sum, 42);
    screen.wait("(20, 22)");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
    let ours = |name: &String| name.starts_with("celeryev.") || name.ends_with(".reply.celery.pidbox");
    wait_for("an orderly broker", || (cluster.broker.queues().iter().filter(|n| ours(n)).count() <= 1).then_some(()));
}

/// Exit status and what was said.
fn said(arguments: &[&str]) -> (i32, String) {
    let home = tempfile::tempdir().expect("temp");
    let output = flower(arguments, home.path()).output().expect("runs");
    (output.status.code().expect("exited"), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn without_its_management_api_rabbitmq_tells_less_and_each_refusal_is_one_sentence() {
    let cluster = Cluster::on(Rabbit::start(false), &["-c", "1"]);
    let rabbit = &cluster.broker;
    cluster.call("add.apply_async((1, 2), queue='parked')");
    let status = cluster.json(&["status", "--json"]);
    assert_eq!((&status["broker"]["kind"], &status["workers"][0]["name"]), (&"rabbitmq".into(), &WORKER.into()));
    assert!(status["broker"]["blind"].as_str().expect("why").contains("no management API"), "{status}");
    let celery = queue(&status["queues"], "celery");
    assert_eq!((&celery["consumers"], &celery["unacked"]), (&1.into(), &Value::Null));
    let parked = cluster.json(&["queue", "parked", "--json"]);
    assert_eq!((&parked["ready"], &parked["waiting"]), (&1.into(), &Value::Array(Vec::new())), "{parked}");
    let asked = cluster.flower(&["queue", "parked", "--peek", "5"]).output().expect("runs");
    let why = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(why.contains("through the management API alone: no management API at"), "{why}");
    assert_eq!(cluster.flower(&["queue", "nobody-knows"]).output().expect("runs").status.code(), Some(1));

    let url = rabbit.url();
    let refused = |url: &str, why: &str| {
        let (code, text) = said(&["-b", url, "status"]);
        assert!(code == 3 && text.contains(why) && text.lines().count() == 1 && !text.contains("hunter2"), "{text}");
    };
    refused(&url.replace("guest:guest", "guest:hunter2"), "user or password are wrong");
    refused(&format!("{}shop", &url[..url.len() - 1]), "vhost shop not found");

    // Somebody who may read, and declare nothing.
    rabbit.ctl(&["add_user", "reader", "hunter2"]);
    rabbit.ctl(&["set_permissions", "-p", "/", "reader", "^$", ".*", ".*"]);
    let reader = url.replace("guest:guest", "reader:hunter2");
    let home = tempfile::tempdir().expect("temp");
    let status = flower(&["-b", &reader, "status"], home.path()).output().expect("runs");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("no permission to declare a queue for events: access to queue"), "{status}");

    // An alarm: nobody may publish, and that is said.
    rabbit.ctl(&["set_vm_memory_high_watermark", "0"]);
    wait_for("the alarm", || {
        let ping = cluster.flower(&["worker", WORKER, "ping"]).output().expect("runs");
        let said = String::from_utf8_lossy(&ping.stderr).into_owned() + &String::from_utf8_lossy(&ping.stdout);
        said.contains("it is short of memory or disk").then_some(())
    });
}

#[test]
fn a_worker_that_a_queue_of_other_arguments_ends_is_not_said_to_consume_it() {
    let mut cluster = Cluster::on(Rabbit::start(false), &["-c", "1"]);
    cluster.python(
        "app.app.connection().default_channel.queue_declare('odd', durable=True, auto_delete=False, \
         arguments={'x-max-priority': 5}).queue",
    );
    let said = |output: &std::process::Output| {
        String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
    };
    let add = |cluster: &Cluster<Rabbit>, queue: &str| {
        cluster.flower(&["worker", WORKER, "add-queue", queue]).output().expect("runs")
    };
    let plain = add(&cluster, "plain");
    assert!(plain.status.success(), "{}", said(&plain));
    assert!(said(&plain).contains("nobody tells how plain was declared"), "{}", said(&plain));
    assert!(add(&cluster, "celery").status.success(), "it consumes that already");

    // On the screen the question says it, and what came of it is told.
    let mut screen = Screen::start(&cluster.flower(&[]), 140, 36);
    screen.wait("● live");
    screen.wait("1/1 workers");
    screen.keys("2");
    screen.wait(WORKER);
    screen.keys("a");
    screen.wait("Let 1 worker consume");
    screen.keys("odd\r");
    screen.yes("nobody tells how odd was declared", "add-queue failed: w1@test: ended when it began to consume odd");
    wait_for("the worker's end", || cluster.worker_ended().then_some(()));
    screen.keys("q");

    cluster.start_worker(&["-c", "1"]);
    let odd = add(&cluster, "odd");
    assert!(!odd.status.success() && said(&odd).contains("ended when it began to consume odd"), "{}", said(&odd));
}
