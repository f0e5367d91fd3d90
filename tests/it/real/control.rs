//! Every key that reaches the cluster, seen in what Celery itself says afterwards.

use super::cluster::{Cluster, WORKER, wait_for};
use super::pty::Screen;

#[test]
fn by_keys_a_failed_task_is_retried_a_long_one_ended_and_a_worker_ruled() {
    let mut cluster = Cluster::start();
    let mut screen = Screen::start(&cluster.flower(&[]), 120, 36);
    screen.wait("● live");
    screen.wait("1/1 workers");

    // A task appears, fails, is retried by key and succeeds.
    let marker = cluster.folder.path().join("marker");
    let failed = cluster.call(&format!("fails_once.delay({:?}, what='it\\'s')", marker.display().to_string()));
    screen.wait("✖ FAILURE");
    assert_eq!(cluster.state(&failed), "FAILURE");
    screen.keys("r");
    let question = screen.wait("Send 1 task again?");
    assert!(question.contains("demo.fails_once") && question.contains("it's"), "{question}");
    screen.yes("Send 1 task again?", "retry confirmed");
    wait_for("the second run", || cluster.log().contains("succeeded in").then_some(()));
    assert!(cluster.log().contains("found it"), "{}", cluster.log());

    // A long one is revoked with terminate.
    let long = cluster.call("sleep.delay(300)");
    screen.wait("● STARTED");
    screen.keys("X");
    screen.wait("terminate with");
    screen.keys("\r");
    screen.yes("Terminate 1 task?", "terminate confirmed");
    screen.wait("⊘ REVOKED");
    wait_for("REVOKED in the backend", || (cluster.state(&long) == "REVOKED").then_some(()));

    // One that still waits is revoked before it starts.
    let busy: Vec<String> = (0..2).map(|_| cluster.call("sleep.delay(300)")).collect();
    let waiting = cluster.call("add.delay(1, 2)");
    screen.wait("demo.add");
    screen.keys("/id:");
    screen.keys(&waiting[..8]);
    screen.keys("\r");
    screen.wait("1 of ");
    screen.keys("x");
    screen.yes("Revoke 1 task?", "revoke confirmed");
    let revoked = cluster.python("inspect.revoked()");
    assert!(revoked[WORKER].as_array().expect("list").iter().any(|id| id == &waiting), "{revoked}");
    screen.keys("\x1b");
    for id in &busy {
        cluster.python(&format!("app.app.control.revoke('{id}', terminate=True)"));
    }

    // The pool grows, and shrinks by no more than it can.
    screen.keys("2");
    screen.wait(WORKER);
    screen.keys("+");
    screen.wait("Grow the pool");
    screen.keys("2\r");
    screen.yes("Add 2 processes", "grow confirmed");
    wait_for("four processes", || (cluster.processes() == Some(4)).then_some(()));
    screen.keys("-");
    screen.wait("Shrink the pool");
    screen.keys("9\r");
    screen.yes("Take 9 processes", "shrink confirmed");
    wait_for("one process", || (cluster.processes() == Some(1)).then_some(()));
    let sum = cluster.python("app.add.delay(20, 22).get(timeout=20)");
    assert_eq!(sum, 42, "the pool still works");

    screen.keys("i");
    screen.wait("ping confirmed");
    screen.keys("E");
    screen.wait("task events of 1 worker");
    screen.keys("j\r");
    screen.yes("Turn off task events", "disable-events confirmed");

    // The worker is shut down.
    screen.keys("Q");
    screen.yes("Shut down 1 worker?", "shutdown confirmed");
    wait_for("the worker's end", || cluster.worker_ended().then_some(()));
    screen.wait("0/0 workers   1 stopped");

    screen.keys("L");
    let log = screen.wait("commands and replies");
    assert!(log.contains("flower-tui worker w1@test shutdown"), "{log}");
    // Esc and q in one go would be alt-q.
    screen.keys("\x1b");
    screen.wait("0 of 0 online · 0 running · 1 stopped");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
    assert_audited(&cluster, &["retry", "terminate", "revoke", "grow", "shrink", "ping", "disable-events", "shutdown"]);
}

fn assert_audited(cluster: &Cluster, verbs: &[&str]) {
    let path = cluster.folder.path().join(".local/state/flower-tui/audit.db");
    let audit = rusqlite::Connection::open(path).expect("audit log");
    let mut rows = audit.prepare("SELECT command, outcome FROM audit ORDER BY id").expect("prepared");
    let rows: Vec<(String, String)> =
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows").map(|r| r.expect("row")).collect();
    let want: Vec<(String, String)> = verbs.iter().map(|v| ((*v).to_owned(), "confirmed".to_owned())).collect();
    assert_eq!(rows, want);
}

#[test]
fn a_hostile_task_is_shown_and_does_nothing_to_the_terminal() {
    let cluster = Cluster::start();
    let mut screen = Screen::start(&cluster.flower(&[]), 100, 30);
    screen.wait("1/1 workers");
    cluster.call("hostile.delay()");
    screen.wait("✖ FAILURE");
    let text = screen.text();
    assert!(text.contains("demo.") && text.contains("u1b"), "{text}");
    screen.keys("\r");
    screen.wait("exception");
    // The traceback is the last part of a long text.
    screen.keys("G");
    let text = screen.wait("Traceback");
    assert!(text.contains("1 Tasks"), "the screen still stands:\n{text}");
    screen.signal("-TERM");
    assert_eq!(screen.end(), (0, true));
}
