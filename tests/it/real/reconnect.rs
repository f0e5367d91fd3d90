//! Redis goes and comes back under the running screen.

use super::cluster::{Redis, flower, wait_for};
use super::pty::Screen;
use crate::fixtures::rows;

fn publish(redis: &Redis, from: usize, to: usize) {
    let mut connection = redis.connection();
    for row in rows("redis-events.jsonl").iter().take(to).skip(from) {
        let (channel, data) = (row["channel"].as_str().expect("channel"), row["data"].as_str().expect("data"));
        let heard: i64 = redis::cmd("PUBLISH").arg(channel).arg(data).query(&mut connection).expect("published");
        assert!(heard > 0, "somebody listens");
    }
}

#[test]
fn the_header_says_so_data_stays_and_events_flow_again() {
    let mut redis = Redis::start(&[]);
    let home = tempfile::tempdir().expect("temp");
    let mut screen = Screen::start(&flower(&["-b", &redis.url()], home.path()), 120, 36);
    screen.wait("● live");
    publish(&redis, 0, 40);
    screen.wait("capture.");
    let before = count(&screen.text());
    assert!(before > 0);
    redis.stop();
    let text = screen.wait("○ down");
    assert!(text.contains("trying again"), "{text}");
    assert!(text.contains("capture."), "data stays");
    redis.start_again();
    screen.wait("● live");
    // The subscription stands before the header says so.
    publish(&redis, 40, 387);
    wait_for("more tasks", || (count(&screen.text()) > before).then_some(()));
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

/// The number in `12 tasks`.
fn count(screen: &str) -> usize {
    let words: Vec<&str> = screen.split_whitespace().collect();
    let at = words.windows(2).find(|w| w[1] == "tasks" && w[0].parse::<usize>().is_ok());
    at.and_then(|w| w[0].parse().ok()).unwrap_or(0)
}

#[test]
fn a_broker_that_is_typed_can_be_kept_and_what_is_listed_written_to_a_file() {
    let redis = Redis::start(&[]);
    let home = tempfile::tempdir().expect("temp");
    let nowhere = format!("redis://127.0.0.1:{}/0", super::cluster::free_port());
    let mut screen = Screen::start(&flower(&["-b", &nowhere], home.path()), 110, 30);
    screen.wait("connection refused");
    screen.keys("b");
    screen.wait("broker URL");
    screen.keys(&format!("{}\r", redis.url()));
    screen.wait("keep redis://");
    screen.keys("mine\r");
    let text = screen.wait("kept in ");
    assert!(text.contains("opens it"), "{text}");
    let config = home.path().join(".config/flower-tui/config.toml");
    let kept = std::fs::read_to_string(&config).expect("kept");
    assert!(kept.contains("[profiles.mine]") && kept.contains(&redis.url()), "{kept}");
    publish(&redis, 0, 40);
    screen.wait("capture.");
    screen.keys("e");
    screen.wait("write tasks to");
    let file = home.path().join("out.jsonl");
    screen.keys(&format!("{}\r", file.display()));
    screen.wait("wrote ");
    let rows = std::fs::read_to_string(&file).expect("written");
    assert!(rows.lines().count() > 2 && rows.lines().all(|row| row.starts_with("{\"id\":")), "{rows}");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
    // The next start needs no URL.
    let mut screen = Screen::start(&flower(&[], home.path()), 110, 30);
    screen.wait("mine");
    screen.wait("● live");
    screen.keys("q");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn without_a_broker_the_screen_says_what_was_tried_and_offers_the_demo() {
    let home = tempfile::tempdir().expect("temp");
    let url = format!("redis://:hunter2@127.0.0.1:{}/0", super::cluster::free_port());
    let mut screen = Screen::start(&flower(&["-b", &url], home.path()), 80, 24);
    let text = screen.wait("connection refused");
    assert!(text.contains("No broker could be reached") && !text.contains("hunter2"), "{text}");
    screen.resize(40, 12);
    screen.wait("No broker could");
    screen.resize(80, 24);
    screen.keys("d");
    screen.wait("demo: simulated");
    screen.wait("SUCCESS");
    screen.signal("-HUP");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn an_idle_screen_costs_next_to_nothing() {
    let home = tempfile::tempdir().expect("temp");
    let screen = Screen::start(&flower(&["demo", "--rate", "0", "--tasks", "500"], home.path()), 120, 36);
    screen.wait("SUCCESS");
    // Running tasks end and rates fall to nothing first.
    let mut measured = Vec::new();
    wait_for("a calm screen", || {
        let (begun, before) = (std::time::Instant::now(), screen.bytes());
        while begun.elapsed().as_secs() < 5 {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        measured.push((screen.bytes() - before) / 5);
        assert!(measured.len() < 8, "bytes a second: {measured:?}");
        measured.last().is_some_and(|b| *b < 100).then_some(())
    });
}
