//! Profiles: switching between clusters on the screen, and making one of what a worker says.

use super::cluster::{Cluster, Redis, WORKER, flower};
use super::pty::Screen;

#[test]
fn by_key_one_goes_to_another_cluster_and_back() {
    let (first, second) = (Redis::start(&[]), Redis::start(&["--requirepass", "hunter2"]));
    let home = tempfile::tempdir().expect("temp");
    let path = home.path().join("c.toml");
    let config = format!(
        "profile = \"testing\"\n[profiles.testing]\nbroker = \"{}\"\n[profiles.live]\ncolor = \"red\"\nread_only = true\n\
         broker = \"redis://:hunter2@127.0.0.1:{}/5\"\n[profiles.broken]\nbroker_file = \"/nowhere/url\"\n",
        first.url(),
        second.port
    );
    std::fs::write(&path, config).expect("written");
    let mut screen = Screen::start(&flower(&["-c", path.to_str().expect("path")], home.path()), 120, 36);
    screen.wait("● live");
    screen.keys("C");
    let menu = screen.wait("■ ● testing");
    assert!(menu.contains(&format!("redis://:***@127.0.0.1:{}/5  read-only", second.port)), "{menu}");
    assert!(menu.contains("can't read /nowhere/url") && !menu.contains("hunter2"), "{menu}");
    // The names are sorted: up from testing is live, and above that the one that is broken.
    screen.keys("kk\r");
    screen.wait("can't read /nowhere/url: No such file");
    screen.keys("j\r");
    let live = screen.wait("READ-ONLY");
    assert!(live.contains(&format!("live   redis://:***@127.0.0.1:{}/5", second.port)), "{live}");
    screen.wait("● live");
    screen.keys("Cj\r");
    screen.wait("testing   redis://127.0.0.1");
    screen.wait("● live");
    assert!(!screen.text().contains("READ-ONLY"));
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn a_worker_tells_what_a_profile_needs() {
    let cluster = Cluster::start();
    let output =
        cluster.flower(&["config", "from-celery", "--worker", WORKER, "--name", "shop"]).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("[profiles.shop]\n"), "{text}");
    assert!(text.contains(&format!("redis://:********@127.0.0.1:{}/0", cluster.broker.port)), "{text}");
    flower_tui::config::file::parse(&text, "made", None).expect("our own config file");
    let nobody = cluster.flower(&["config", "from-celery", "--worker", "nobody@here"]).output().expect("runs");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nobody@here gave no answer"));
}
