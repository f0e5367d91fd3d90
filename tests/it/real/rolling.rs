//! Draining and restarting real prefork workers, under a supervisor that starts again what ended.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::cluster::{Redis, flower, root, venv, wait_for};

fn worker(name: &str, folder: &Path, url: &str) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(format!("{name}.log")));
    Command::new(venv("celery"))
        .args(["-A", "app", "worker", "-E", "-c", "1", "--loglevel", "INFO", "-n", &format!("{name}@test")])
        .current_dir(folder)
        .env("BROKER", url)
        .env("C_FORCE_ROOT", "1")
        .stdout(Stdio::null())
        .stderr(log.expect("log"))
        .spawn()
        .expect("Celery is installed by tests/run")
}

/// Starts a worker again whenever it has ended, until told otherwise.
fn supervise(name: &'static str, folder: &Path, url: &str, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (folder, url, stop) = (folder.to_owned(), url.to_owned(), stop.clone());
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let mut child = worker(name, &folder, &url);
            while child.try_wait().expect("asked").is_none() {
                if stop.load(Ordering::Relaxed) {
                    let pid = child.id().to_string();
                    let _ = Command::new("pkill").args(["-KILL", "-P", &pid]).status();
                    let _ = child.kill();
                    let _ = child.wait();
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    })
}

const NAMES: [&str; 3] = ["w1", "w2", "w3"];

struct Fleet {
    redis: Redis,
    folder: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Fleet {
    fn start(names: &[&'static str]) -> Self {
        let redis = Redis::start(&[]);
        let folder = tempfile::tempdir().expect("temp");
        std::fs::copy(root().join("tests/it/real/app.py"), folder.path().join("app.py")).expect("copied");
        let stop = Arc::new(AtomicBool::new(false));
        let threads = names.iter().map(|name| supervise(name, folder.path(), &redis.url(), &stop)).collect();
        let fleet = Self { redis, folder, stop, threads };
        for name in names {
            wait_for("a worker", || (fleet.starts(name) == 1).then_some(()));
        }
        fleet
    }

    /// How often a worker became ready.
    fn starts(&self, name: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
        log.matches(" ready.").count()
    }

    fn python(&self, code: &str) -> Child {
        Command::new(venv("python"))
            .args(["-c", code])
            .current_dir(self.folder.path())
            .env("BROKER", self.redis.url())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs")
    }

    fn flower(&self, arguments: &[&str]) -> (Option<i32>, Value, String) {
        let mut command = flower(arguments, self.folder.path());
        let output = command.env("CELERY_BROKER_URL", self.redis.url()).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let receipt = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        (output.status.code(), receipt, said)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_rolling_restart_loses_no_task_while_tasks_flow() {
    let fleet = Fleet::start(&NAMES);
    // Sends until the file appears, then waits for every result.
    let feeder = fleet.python(
        "import app, os, time\n\
         sent = []\n\
         while not os.path.exists('enough'):\n    \
             sent.append(app.add.delay(len(sent), 1))\n    \
             time.sleep(0.02)\n\
         wrong = [n for n, r in enumerate(sent) if r.get(timeout=30) != n + 1]\n\
         print(len(sent), len(wrong))",
    );
    let (status, receipt, said) = fleet.flower(&["worker", "--all", "rolling-restart", "--limit", "60s", "--json"]);
    std::fs::write(fleet.folder.path().join("enough"), "").expect("written");
    let counted = feeder.wait_with_output().expect("counted");
    let counted = String::from_utf8_lossy(&counted.stdout).into_owned();
    assert_eq!((status, receipt["outcome"].as_str()), (Some(0), Some("confirmed")), "{receipt:#}\n{said}");
    let (sent, wrong) = counted.trim().split_once(' ').expect("two numbers");
    assert!(sent.parse::<u32>().expect("a number") > 100 && wrong == "0", "{counted}");
    for name in NAMES {
        let reply = &receipt["replies"][format!("{name}@test")];
        assert!(reply["ok"].as_str().is_some_and(|text| text.starts_with("replaced by")), "{reply}");
        assert_eq!(fleet.starts(name), 2, "{name}");
    }
    let order: Vec<usize> = NAMES.iter().filter_map(|name| said.find(&format!("{name}@test: replaced"))).collect();
    assert!(order.len() == 3 && order.is_sorted(), "one after the other:\n{said}");
}

#[test]
fn a_drain_lets_a_long_task_finish_first() {
    let fleet = Fleet::start(&["w1"]);
    let task = fleet.python("import app; print(app.sleep.delay(4).get(timeout=30))");
    wait_for("the task to run", || {
        let log = std::fs::read_to_string(fleet.folder.path().join("w1.log")).unwrap_or_default();
        log.contains("received").then_some(())
    });
    let (status, receipt, said) = fleet.flower(&["worker", "w1@test", "drain", "--json"]);
    assert_eq!((status, receipt["outcome"].as_str()), (Some(0), Some("confirmed")), "{receipt:#}\n{said}");
    assert!(said.contains("w1@test: runs 1 task, 0 wait in it"), "{said}");
    let log = std::fs::read_to_string(fleet.folder.path().join("w1.log")).expect("log");
    assert!(log.contains("succeeded in 4."), "{log}");
    assert_eq!(String::from_utf8_lossy(&task.wait_with_output().expect("ended").stdout).trim(), "slept");
    let audit = rusqlite::Connection::open(fleet.folder.path().join(".local/state/flower-tui/audit.db"));
    let row: (String, String) = audit
        .and_then(|log| log.query_row("SELECT outcome, replies FROM audit", [], |r| Ok((r.get(0)?, r.get(1)?))))
        .expect("one row");
    assert_eq!(row.0, "confirmed");
    assert!(row.1.contains("consumes celery no more") && row.1.contains("shut down"), "{}", row.1);
}

#[test]
fn what_a_restart_forgets_is_told_applied_again_and_taken_back() {
    let fleet = Fleet::start(&["w1"]);
    let worker = "w1@test";
    let found = || fleet.flower(&["overrides", "--json"]).1;
    for order in [&["add-queue", "extra"][..], &["rate-limit", "demo.add", "10/m"]] {
        let (status, ..) = fleet.flower(&[&["worker", worker][..], order, &["--json"]].concat());
        assert_eq!(status, Some(0));
    }
    let told = found();
    let texts: Vec<&str> = told.as_array().expect("a list").iter().filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(texts, ["demo.add limited to 10/m", "consumes extra too"]);
    assert!(told.as_array().expect("a list").iter().all(|one| one["workers"][worker] == "has it"), "{told:#}");

    let (status, _, said) = fleet.flower(&["worker", worker, "rolling-restart", "--limit", "60s", "--json"]);
    assert_eq!(status, Some(0), "{said}");
    let told = found();
    let all = told.as_array().expect("a list");
    assert!(all.iter().all(|one| one["workers"][worker] == "restarted since, without it"), "{told:#}");

    let id = all[1]["id"].to_string();
    let (status, receipt, _) = fleet.flower(&["overrides", "apply", &id, "--json"]);
    assert_eq!((status, receipt["command"].as_str()), (Some(0), Some("add-queue")), "{receipt:#}");
    let told = wait_for("the queue", || {
        let told = found();
        let one = told.as_array()?.iter().find(|one| one["text"] == "consumes extra too")?.clone();
        (one["workers"][worker] == "has it").then_some(one)
    });
    let (status, receipt, _) = fleet.flower(&["overrides", "take-back", &told["id"].to_string(), "--json"]);
    assert_eq!((status, receipt["command"].as_str()), (Some(0), Some("cancel-queue")), "{receipt:#}");
    let told = found();
    assert!(told.as_array().expect("a list").iter().all(|one| one["text"] != "consumes extra too"), "{told:#}");
    let (status, ..) = fleet.flower(&["worker", worker, "--json"]);
    assert_eq!(status, Some(0));
}
