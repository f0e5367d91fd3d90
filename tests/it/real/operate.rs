//! Many tasks at once, and what is known of them later: on a real cluster whose history is recorded.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::cluster::{Cluster, WORKER, wait_for};
use super::pty::Screen;

/// A cluster with a recorder beside it, which has seen a first task.
struct Recorded {
    cluster: Cluster,
    recorder: Child,
    path: String,
}

impl Recorded {
    fn start() -> Self {
        let cluster = Cluster::start();
        let path = cluster.folder.path().join("h.db").display().to_string();
        let recorder = cluster.flower(&["--history", &path, "record"]).stderr(Stdio::null()).spawn().expect("runs");
        let this = Self { cluster, recorder, path };
        wait_for("the first task", || {
            this.cluster.call("add.delay(1, 1)");
            (this.count("state:success") > 0).then_some(())
        });
        this
    }

    fn with<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        ["--history", &self.path].iter().chain(words).copied().collect()
    }

    /// What a command prints with `--json`.
    fn json(&self, words: &[&str]) -> Value {
        self.cluster.json(&self.with(words))
    }

    fn count(&self, filter: &str) -> usize {
        let output = self.cluster.flower(&self.with(&["history", "query", filter, "--json"])).output().expect("runs");
        serde_json::from_slice::<Value>(&output.stdout).ok().and_then(|v| Some(v.as_array()?.len())).unwrap_or(0)
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
    }
}

#[test]
fn what_a_filter_of_the_history_selects_is_revoked_in_batches_and_never_runs() {
    let recorded = Recorded::start();
    let cluster = &recorded.cluster;
    let ids = cluster.python("[app.add.apply_async((i, 100), queue='parked').id for i in range(60)]");
    let ids: Vec<String> = serde_json::from_value(ids).expect("ids");
    wait_for("all to be recorded", || (recorded.count("queue:parked") == 60).then_some(()));
    let receipt = recorded.json(&["revoke", "--filter", "queue:parked", "--rate", "25/s", "--yes", "--json"]);
    assert_eq!(receipt["command"], "bulk revoke", "{receipt}");
    assert_eq!(receipt["replies"]["bulk 1"]["ok"], "60 of 60 revoked", "{receipt}");
    assert_eq!(receipt["replies"][WORKER]["ok"], "took 3 messages", "{receipt}");
    let revoked = cluster.python("inspect.revoked()");
    let revoked = revoked[WORKER].as_array().expect("a list");
    assert!(ids.iter().all(|id| revoked.iter().any(|known| known == id)), "{revoked:?}");
    let bulks = recorded.json(&["bulk", "list", "--json"]);
    assert_eq!(
        (&bulks[0]["command"], &bulks[0]["state"], &bulks[0]["sent"]),
        (&json!("revoke"), &json!("done"), &json!(60))
    );
    let consumes = cluster.flower(&["worker", WORKER, "add-queue", "parked"]).output().expect("runs");
    assert!(consumes.status.success());
    wait_for("all to be skipped", || (recorded.count("queue:parked state:revoked") == 60).then_some(()));
    assert!(!ids.iter().any(|id| cluster.log().contains(&format!("[{id}] succeeded"))));
}

#[test]
fn a_task_sent_again_leads_to_the_new_one_and_back_and_both_are_found_in_the_history() {
    let recorded = Recorded::start();
    let cluster = &recorded.cluster;
    let id = cluster.call("fails_once.delay('/nowhere/at/all', what='needle-4711')");
    wait_for("its failure", || (recorded.count(&format!("id:{id} state:failure")) == 1).then_some(()));
    let receipt = recorded.json(&["retry", &id, "--json"]);
    let new = receipt["replies"][&id]["id"].as_str().expect("a new id").to_owned();
    wait_for("it to fail again", || (recorded.count(&format!("id:{new} state:failure")) == 1).then_some(()));
    // Another process knows it, by what is written down.
    let (old, again) = (recorded.json(&["task", &id, "--json"]), recorded.json(&["task", &new, "--json"]));
    assert_eq!((&old["sent_as"], &old["in_place_of"]), (&json!(new), &Value::Null), "{old}");
    assert_eq!((&again["sent_as"], &again["in_place_of"]), (&Value::Null, &json!(id)), "{again}");
    let said = cluster.flower(&recorded.with(&["task", &id])).output().expect("runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains(&format!("as {new}")), "{said}");
    let found = recorded.json(&["find", "needle-4711", "--json"]);
    let places: Vec<(&str, &str)> = found
        .as_array()
        .expect("hits")
        .iter()
        .filter_map(|hit| Some((hit["id"].as_str()?, hit["found_in"].as_str()?)))
        .collect();
    assert!(places.contains(&(&id, "history")) && places.contains(&(&new, "history")), "{places:?}");

    // By keys: found anywhere, opened, and where it is.
    let mut screen = Screen::start(&cluster.flower(&recorded.with(&[])), 120, 36);
    screen.wait("● live");
    screen.keys("F");
    screen.wait("find");
    screen.keys("needle-4711\r");
    screen.wait("fails_once");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn a_message_that_was_seen_waiting_is_sent_again_to_the_letter_by_a_later_process() {
    let recorded = Recorded::start();
    let cluster = &recorded.cluster;
    // Its event shortens this beyond what could be sent again.
    let id = cluster.call("add.apply_async(('x' * 3000, 1), queue='parked')");
    wait_for("it to be recorded", || (recorded.count(&format!("id:{id}")) == 1).then_some(()));
    let mut screen = Screen::start(&cluster.flower(&recorded.with(&[])), 120, 36);
    screen.wait("1/1 workers");
    wait_for("the queues", || {
        screen.keys("4");
        screen.text().contains("READY").then_some(())
    });
    screen.wait("parked");
    screen.keys("/parked\r");
    screen.wait("all 1, next first");
    wait_for("it to be kept", || {
        let db = rusqlite::Connection::open(&recorded.path).ok()?;
        let find = "SELECT 1 FROM original WHERE task = ? AND state = 'peeked'";
        db.query_row(find, [&id], |_| Ok(())).ok()
    });
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
    cluster.python("app.app.connection().default_channel.queue_purge('parked')");
    let planned = cluster.flower(&recorded.with(&["retry", &id, "--dry-run"])).output().expect("runs");
    let said = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(
        planned.status.success() && said.contains("xxxxxxxx"),
        "{said} {}",
        String::from_utf8_lossy(&planned.stderr)
    );
    let receipt = recorded.json(&["retry", &id, "--queue", "celery", "--json"]);
    let new = receipt["replies"][&id]["id"].as_str().unwrap_or_else(|| panic!("{receipt}")).to_owned();
    wait_for("it to run", || (recorded.count(&format!("id:{new} state:failure")) == 1).then_some(()));
}

#[test]
fn arguments_are_edited_in_the_editor_a_person_has() {
    let cluster = Cluster::start();
    let editor = cluster.folder.path().join("editor");
    let script = "#!/bin/sh\nstty sane\nprintf 'editing> '\nread line\nprintf '%s\\n' \"$line\" >\"$1\"\n";
    std::fs::write(&editor, script).expect("written");
    let mut command = cluster.flower(&[]);
    command.env("EDITOR", format!("sh {}", editor.display()));
    let mut screen = Screen::start(&command, 120, 36);
    screen.wait("● live");
    screen.keys(":");
    screen.wait("do or go");
    screen.keys("send a task\r");
    screen.wait("kwargs");
    screen.keys("demo.add\t\x0f");
    screen.wait("editing>");
    // What is typed there is the editor's alone, and its ctrl-c does not end us.
    screen.keys("(40, oops\r");
    screen.wait("(40, oops");
    screen.wait("args");
    screen.keys("\x0f");
    screen.wait("editing>");
    screen.keys("(40, 2)\r");
    // The editor echoes it too: only the form has the rest, and only there does Enter send.
    screen.wait("kwargs");
    screen.wait("(40, 2)");
    screen.keys("\r");
    screen.yes("Send demo.add?", "send confirmed");
    wait_for("it to run", || cluster.log().contains("succeeded").then_some(()));
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}
