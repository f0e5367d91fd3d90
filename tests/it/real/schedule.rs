//! What runs by the clock, with a real beat: RedBeat's entries, and periods learnt of Celery's own scheduler.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::cluster::{Cluster, venv, wait_for};

struct Beat(Child);

impl Beat {
    fn start(cluster: &Cluster, arguments: &[&str]) -> Self {
        let app = "import os\nfrom app import app\n\
                   app.conf.redbeat_redis_url = os.environ['BROKER']\n\
                   app.conf.beat_max_loop_interval = 1\n\
                   app.conf.beat_schedule = {\n\
                       'tick': {'task': 'demo.add', 'schedule': 2.0, 'args': (20, 22)},\n\
                       'seldom': {'task': 'demo.sleep', 'schedule': 3600.0, 'args': (0,)},\n\
                   }\n";
        std::fs::write(cluster.folder.path().join("beat_app.py"), app).expect("written");
        let child = Command::new(venv("celery"))
            .args(["-A", "beat_app", "beat", "--max-interval", "1", "-s", "beat.db"])
            .args(arguments)
            .current_dir(cluster.folder.path())
            .env("BROKER", cluster.broker.url())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Celery is installed by tests/run");
        Self(child)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn entry(schedule: &Value, name: &str) -> Option<Value> {
    schedule["entries"].as_array()?.iter().find(|entry| entry["name"] == name).cloned()
}

#[test]
fn redbeat_s_entries_are_told_run_and_switched() {
    let cluster = Cluster::start();
    let beat = Beat::start(&cluster, &["-S", "redbeat.RedBeatScheduler"]);
    let tick = || entry(&cluster.json(&["schedule", "--json"]), "tick");
    let runs = |entry: Value| entry["runs"].as_u64().filter(|n| *n >= 2).map(|_| entry);
    let told = wait_for("two runs", || tick().and_then(runs));
    assert_eq!((told["task"].as_str(), told["schedule"].as_str()), (Some("demo.add"), Some("every 2s")), "{told}");
    assert_eq!((told["source"].as_str(), told["enabled"].as_bool()), (Some("redbeat"), Some(true)));
    let (last, next) = (told["last"].as_f64().expect("last"), told["next"].as_f64().expect("next"));
    assert!((1.0..=2.5).contains(&(next - last)) && told["late"].is_null(), "{told}");
    assert_eq!(cluster.json(&["schedule", "--json"])["redbeat_lock"], true);

    // Off: beat sends it no more; and on again.
    let off = cluster.json(&["schedule", "disable", "tick", "--json"]);
    assert_eq!(off["outcome"], "confirmed", "{off}");
    let again = cluster.flower(&["schedule", "disable", "tick"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&again.stderr).contains("it is off already"));
    let stopped = wait_for("it to stand", || {
        let before = tick()?["runs"].as_u64()?;
        std::thread::sleep(std::time::Duration::from_secs(3));
        (tick()?["runs"].as_u64()? == before).then_some(before)
    });
    assert_eq!(cluster.json(&["schedule", "enable", "tick", "--json"])["outcome"], "confirmed");
    wait_for("it to run again", || (tick()?["runs"].as_u64()? > stopped).then_some(()));

    // Once, now.
    let ran = cluster.json(&["schedule", "run", "seldom", "--queue", "celery", "--json"]);
    assert_eq!(ran["outcome"], "confirmed", "{ran}");
    let id = ran["replies"]["seldom"]["id"].as_str().expect("an id").to_owned();
    wait_for("its result", || (cluster.state(&id) == "SUCCESS").then_some(()));

    // A beat that is gone is late.
    drop(beat);
    let late = wait_for("it to be late", || tick().filter(|entry| !entry["late"].is_null()));
    assert!(late["missed"].as_u64().is_some_and(|n| n >= 3), "{late}");
}

#[test]
fn the_period_of_celery_s_own_beat_is_learnt_from_arrivals() {
    let cluster = Cluster::start();
    let _beat = Beat::start(&cluster, &[]);
    let told = wait_for("a period", || entry(&cluster.json(&["schedule", "--for", "11s", "--json"]), "demo.add"));
    assert_eq!((told["source"].as_str(), told["every"].as_f64()), (Some("learnt"), Some(2.0)), "{told}");
    assert_eq!(told["args"], "[20, 22]");
    assert!(told["arrivals"].as_u64().is_some_and(|n| n >= 4) && told["confidence"].is_string(), "{told}");
}
