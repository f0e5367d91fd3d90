//! "Where is it?", on real clusters: each verdict is brought about by real workers, and told by the real binary.

use serde_json::Value;

use super::cluster::{Cluster, Server, WORKER, wait_for};
use super::pty::Screen;
use super::rabbit::Rabbit;

/// What `task ID --json` says.
fn told<B: Server>(cluster: &Cluster<B>, id: &str) -> Value {
    cluster.json(&["task", id, "--json", "--for", "300ms"])
}

/// Waits until a task has a verdict, and returns the sentence.
fn wait_verdict<B: Server>(cluster: &Cluster<B>, id: &str, verdict: &str) -> String {
    let mut last = Value::Null;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(verdict, || {
            last = told(cluster, id);
            (last["verdict"] == verdict).then(|| last["sentence"].as_str().expect("a sentence").to_owned())
        })
    }));
    found.unwrap_or_else(|_| panic!("{id} is not {verdict}: {last:#}"))
}

/// Back to the list of tasks, without a filter.
fn back_to_all(screen: &mut Screen) {
    wait_for("all tasks", || {
        screen.keys("\x1b");
        std::thread::sleep(std::time::Duration::from_millis(200));
        screen.text().contains("filter  all tasks").then_some(())
    });
}

#[test]
fn on_redis_every_verdict_is_told() {
    let mut cluster = Cluster::start_with(&["-c", "1"]);
    let mut screen = Screen::start(&cluster.flower(&[]), 140, 36);
    screen.wait("1/1 workers");

    let done = cluster.call("add.delay(1, 2)");
    let sentence = wait_verdict(&cluster, &done, "finished");
    assert!(sentence.contains("SUCCESS, says the result backend"), "{sentence}");

    let later = cluster.call("add.apply_async((1, 2), countdown=3600)");
    let sentence = wait_verdict(&cluster, &later, "scheduled");
    assert!(sentence.starts_with(&format!("scheduled on {WORKER} for ")), "{sentence}");

    // The first call uses up what the limit allows.
    cluster.python("app.app.control.rate_limit('demo.fails_once', '1/h', reply=True, timeout=2)");
    cluster.call("fails_once.delay('/dev/null')");
    let limited = cluster.call("fails_once.delay('/dev/null')");
    screen.wait("demo.fails_once");
    screen.keys("/task:demo.fails_once state:received\r");
    screen.wait("◔ RECEIVED");
    screen.keys("w");
    screen.wait(&format!("held back on {WORKER} by the rate limit of its kind, 1/h"));
    back_to_all(&mut screen);
    assert_eq!(told(&cluster, &limited)["verdict"], "unacked", "who did not hear its event knows no more");

    let long = cluster.call("sleep.delay(600)");
    let sentence = wait_verdict(&cluster, &long, "running");
    assert!(sentence.starts_with(&format!("runs on {WORKER} for ")), "{sentence}");
    let ids: Vec<String> = (0..6).map(|_| cluster.call("add.delay(1, 2)")).collect();
    let sentence = wait_verdict(&cluster, &ids[0], "reserved");
    assert!(sentence.starts_with(&format!("reserved by {WORKER}, behind demo.sleep")), "{sentence}");
    let sentence = wait_verdict(&cluster, &ids[5], "waiting");
    assert!(sentence.starts_with("waiting in queue celery, place "), "{sentence}");
    let ready = cluster.json(&["queues", "--json"])[0]["ready"].as_u64().expect("ready");
    assert!(sentence.contains(&format!("place {ready} of {ready}")), "{sentence}");
    cluster.python(&format!("app.app.control.revoke('{}', reply=True, timeout=2)", ids[5]));
    let sentence = wait_verdict(&cluster, &ids[5], "revoked");
    assert!(sentence.contains("it waits in celery"), "{sentence}");

    // The same tasks, found by what they were called with.
    let one = |text: &str| {
        let found = cluster.json(&["find", text, "--json", "--for", "300ms"]);
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{text}: {found:#}");
        found[0].clone()
    };
    let customer = cluster.call("add.apply_async(kwargs={'a': 'acme-7', 'b': 2})");
    let found = one("a=acme-7");
    assert_eq!((found["id"].as_str(), found["found_in"].as_str()), (Some(customer.as_str()), Some("waiting")));
    assert_eq!(found["place"], format!("waiting celery #{}", ready + 1));
    assert!(one(&long[..13])["place"].as_str().expect("place").starts_with("runs w1@test "));
    assert_eq!(one(&ids[0])["place"], "reserved w1@test");
    assert_eq!(one(&later)["place"], "scheduled w1@test");
    let nothing = cluster.flower(&["find", "nobody-has-this", "--for", "200ms"]).output().expect("runs");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("not seen: arguments that their sender cut short"));
    screen.keys("F");
    screen.wait("Find anywhere");
    screen.keys("acme-7\r");
    screen.wait("waiting celery #");
    screen.keys("\r");
    screen.wait("verdict   waiting in queue celery, place");
    screen.keys("\x1b");
    screen.wait("looked through");
    back_to_all(&mut screen);

    let nobody = "00000000-0000-4000-8000-000000000000";
    let unknown = told(&cluster, nobody);
    assert_eq!(unknown["verdict"], "no-trace", "{unknown:#}");
    assert!(unknown["why"].as_str().expect("what it can mean").contains("never have been sent"), "{unknown:#}");
    assert_eq!(cluster.flower(&["task", nobody, "--for", "200ms"]).status().expect("runs").code(), Some(1));

    // The worker is killed: what ran was acknowledged and is lost, what was reserved comes back.
    cluster.kill_worker();
    screen.keys("/state:lost task:demo.sleep\r");
    screen.wait("? LOST");
    screen.keys("w");
    let text = screen.wait("lost: w1@test fell silent");
    assert!(text.contains("does not run again by itself"), "{text}");
    back_to_all(&mut screen);
    let sentence = wait_verdict(&cluster, &ids[0], "unacked");
    assert!(sentence.contains("never acknowledged; given out again "), "{sentence}");
    screen.keys("/state:lost task:demo.add\r");
    screen.wait("demo.add");
    screen.keys("\r");
    screen.wait("the broker gives it out again");
    screen.signal("-TERM");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn on_rabbitmq_what_it_can_tell_is_told_and_looking_into_a_queue_says_what_that_does() {
    let mut cluster = Cluster::on(Rabbit::start(true), &["-c", "1"]);
    let later = cluster.call("add.apply_async((1, 2), countdown=3600)");
    wait_verdict(&cluster, &later, "scheduled");
    let long = cluster.call("sleep.delay(600)");
    wait_verdict(&cluster, &long, "running");
    let ids: Vec<String> = (0..6).map(|_| cluster.call("add.delay(1, 2)")).collect();
    wait_verdict(&cluster, &ids[0], "reserved");
    wait_verdict(&cluster, &ids[5], "waiting");
    let waiting = told(&cluster, &ids[5]);
    let evidence = waiting["evidence"].to_string();
    assert!(evidence.contains("marked them as redelivered"), "{waiting:#}");
    let careful = cluster.json(&["--read-only", "task", &ids[5], "--json", "--for", "300ms"]);
    assert!(careful["not_asked"].to_string().contains("and this is read-only"), "{careful:#}");
    let unasked = waiting["not_asked"].to_string();
    assert!(unasked.contains("unacked not asked") && unasked.contains("history not asked"), "{waiting:#}");
    cluster.python(&format!("app.app.control.revoke('{}', reply=True, timeout=2)", ids[5]));
    wait_verdict(&cluster, &ids[5], "revoked");
    assert_eq!(told(&cluster, "00000000-0000-4000-8000-000000000000")["verdict"], "no-trace");
    // What a dead worker held is given back at once.
    cluster.kill_worker();
    wait_verdict(&cluster, &ids[0], "waiting");

    std::fs::write(cluster.folder.path().join("quorum"), "").expect("written");
    cluster.start_worker(&["-c", "1"]);
    let later = cluster.call("add.apply_async((1, 2), countdown=3600)");
    let sentence = wait_verdict(&cluster, &later, "delayed");
    assert!(sentence.contains("the broker holds it back in celery_delayed_"), "{sentence}");
}

#[test]
fn a_task_that_nobody_has_any_more_is_told_with_what_was_last_heard_of_it() {
    let cluster = Cluster::start_with(&["-c", "1"]);
    let mut screen = Screen::start(&cluster.flower(&[]), 140, 36);
    screen.wait("1/1 workers");
    cluster.call("add.apply_async((1, 2), queue='elsewhere')");
    screen.wait("demo.add");
    let deleted: i64 = redis::cmd("DEL").arg("elsewhere").query(&mut cluster.broker.connection()).expect("deleted");
    assert_eq!(deleted, 1);
    screen.keys("w");
    let text = screen.wait("last seen as PENDING");
    assert!(text.contains("and found nowhere now"), "{text}");
    screen.signal("-TERM");
    assert_eq!(screen.end(), (0, true));
}
