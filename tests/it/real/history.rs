//! The recorder beside a real cluster: killed, stopped, its broker gone and back; what it wrote, compared with what Celery
//! itself keeps of each task.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::cluster::{Cluster, LIMIT, wait_for};

/// A running `flower-tui record`.
pub struct Recorder(Child);

impl Recorder {
    pub fn start(cluster: &Cluster) -> Self {
        let mut command = cluster.flower(&["--history", "h.db", "--log-file", "record.log", "record"]);
        Self(command.current_dir(cluster.folder.path()).stderr(Stdio::null()).spawn().expect("runs"))
    }

    /// Sends a signal that does not end it.
    pub fn tell(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn signal(mut self, signal: &str) -> Option<i32> {
        self.tell(signal);
        wait_for("the recorder to end", || self.0.try_wait().expect("asked")).code()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn query(cluster: &Cluster, filter: &str) -> Vec<Value> {
    let path = cluster.folder.path().join("h.db");
    let path = path.to_str().expect("text");
    let output = cluster.flower(&["--history", path, "history", "query", filter, "--json"]).output().expect("runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Waits until so many tasks are written that a filter selects.
fn wait(cluster: &Cluster, filter: &str, n: usize) {
    wait_for(filter, || (query(cluster, filter).len() == n).then_some(()));
}

#[test]
fn what_was_recorded_through_a_crash_and_an_outage_is_what_the_result_backend_says() {
    let mut cluster = Cluster::start();
    let recorder = Recorder::start(&cluster);
    wait_for("the file", || cluster.folder.path().join("h.db").exists().then_some(()));
    // Nobody can record before the subscription stands.
    wait_for("the first task", || {
        cluster.call("add.delay(1, 1)");
        (!query(&cluster, "state:success").is_empty()).then_some(())
    });
    cluster.python("[app.add.delay(n, n).id for n in range(40)] + [app.add.delay('x', n).id for n in range(3)]");
    wait(&cluster, "state:failure", 3);
    wait_for("all successes", || (query(&cluster, "state:success").len() > 40).then_some(()));

    let slept = cluster.call("sleep.delay(3)");
    wait(&cluster, &format!("id:{slept} state:started"), 1);
    assert_eq!(recorder.signal("-KILL"), None);
    wait_for("its end", || (cluster.state(&slept) == "SUCCESS").then_some(()));
    let recorder = Recorder::start(&cluster);
    wait(&cluster, &format!("id:{slept} state:success result:slept"), 1);

    cluster.broker.stop();
    cluster.broker.start_again();
    wait_for("events again", || {
        let before = query(&cluster, "").len();
        cluster.call("add.delay(2, 2)");
        wait_for("it", || Some(()).filter(|()| cluster.log().contains("succeeded")));
        (query(&cluster, "").len() > before).then_some(())
    });
    let path = cluster.folder.path().join("h.db");
    let revoked =
        cluster.flower(&["--history", path.to_str().expect("text"), "revoke", "no-such-task"]).output().expect("runs");
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert_eq!(recorder.signal("-TERM"), Some(0));

    for task in query(&cluster, "state:success,failure") {
        let id = task["id"].as_str().expect("id");
        // Redis forgot what it kept before it was stopped.
        let state = cluster.state(id);
        assert!(state == "PENDING" || task["state"] == state, "{id} is {state}, not {}", task["state"]);
    }
    let db = rusqlite::Connection::open(path).expect("opens");
    let audit = "SELECT command || ' ' || outcome || ' ' || (arguments || target) FROM audit";
    let audit: String = db.query_row(audit, [], |row| row.get(0)).expect("a row");
    assert!(audit.starts_with("revoke confirmed") && audit.contains("no-such-task"), "{audit}");
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
    assert!(number("SELECT count(*) FROM celery_worker_events") > 0);
    assert!(
        number("SELECT count(*) FROM tasks WHERE exception LIKE 'TypeError%' AND traceback LIKE 'Traceback%'") == 3
    );
}

#[test]
fn a_screen_with_a_history_begins_with_what_was_there() {
    let cluster = Cluster::start();
    let recorder = Recorder::start(&cluster);
    wait_for("the first task", || {
        cluster.call("add.delay(1, 1)");
        (!query(&cluster, "state:success").is_empty()).then_some(())
    });
    recorder.signal("-INT");
    let path = cluster.folder.path().join("h.db");
    let mut screen = super::pty::Screen::start(&cluster.flower(&["--history", path.to_str().expect("text")]), 120, 36);
    screen.wait("demo.add");
    screen.wait("● live");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
    // What it saw itself is written too, and the file is free again.
    let checked =
        cluster.flower(&["--history", path.to_str().expect("text"), "history", "check"]).output().expect("runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn an_incident_is_written_from_what_was_recorded_and_a_moment_gets_a_name() {
    let cluster = Cluster::start();
    let path = cluster.folder.path().join("h.db").display().to_string();
    let none = cluster.flower(&["--history", &path, "mark", "early"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no history to keep it in"));
    let _recorder = Recorder::start(&cluster);
    wait_for("the first task", || {
        cluster.call("add.delay(1, 1)");
        (!query(&cluster, "state:success").is_empty()).then_some(())
    });
    let marked = cluster.flower(&["--history", &path, "mark", "v412", "out"]).output().expect("runs");
    let said = String::from_utf8_lossy(&marked.stdout).into_owned();
    assert!(marked.status.success() && said.contains("v412 out; in a filter: since:\"v412 out\""), "{said}");
    cluster.python("[app.add.delay('x', n).id for n in range(3)]");
    cluster.python("app.fails_once.delay('/nowhere/at/all', what='password=hunter2 ```').id");
    wait(&cluster, "state:failure", 4);
    let grown = cluster.flower(&["--history", &path, "worker", super::cluster::WORKER, "grow", "1"]).output();
    assert!(grown.expect("runs").status.success());

    let report = |since: &str| {
        let output = cluster.flower(&["--history", &path, "report", "--since", since]).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (status, text) = report("v412 out");
    assert_eq!(status, Some(0), "{text}");
    for part in [
        "# Incident, ",
        "  v412 out",
        "- most tasks failed in a minute: ",
        "### 3 × `demo.add`",
        "TypeError",
        "```\nTraceback",
        "flower-tui worker w1@test grow 1`",
        "  - `w1@test`: pool will grow",
        "- failed, and not sent again since: 4 tasks",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains("1 SUCCESS"), "what was before the mark is not in it: {text}");
    assert_eq!(report("no such mark").0, Some(2));
    let found = query(&cluster, "state:failure since:v412");
    assert_eq!(found.len(), 4, "the mark is known to filters");
}

#[test]
fn systemd_is_told_when_the_recorder_is_ready_alive_and_stopping() {
    let cluster = Cluster::start_with(&["-c", "1"]);
    let path = cluster.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(LIMIT)).expect("set");
    let mut command = cluster.flower(&["--history", "h.db", "record"]);
    command.current_dir(cluster.folder.path()).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let recorder = Recorder(command.stderr(Stdio::null()).spawn().expect("runs"));
    let told = |word: &str| {
        wait_for(word, || {
            let mut buffer = [0; 1_024];
            let read = socket.recv(&mut buffer).expect("told in time");
            String::from_utf8_lossy(&buffer[..read]).contains(word).then_some(())
        });
    };
    told("READY=1\nSTATUS=recording redis://");
    told("WATCHDOG=1");
    recorder.tell("-HUP");
    told("WATCHDOG=1");
    recorder.tell("-TERM");
    told("STOPPING=1");
}
