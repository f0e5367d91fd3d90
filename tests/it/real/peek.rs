//! Looking into a real Redis: what real clients put there, read in the order workers would take it.

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::{self, Broker, BrokerUrl, TransportOptions};
use flower_tui::celery::queue::{Delivered, Waiting};
use flower_tui::clock::Clock;
use flower_tui::feed::{self, Context, QueueLook};
use flower_tui::state::peek::{By, Found, Look, Peeked};
use flower_tui::state::{Limits, Store, Update};
use redis::Commands;
use serde_json::Value;

use super::cluster::{Redis, flower};
use super::pty::Screen;
use crate::fixtures::rows;

fn open(redis: &Redis) -> Arc<dyn Broker> {
    let url = BrokerUrl::parse(&redis.url()).expect("url");
    broker::open(&url, TransportOptions::default()).expect("opened")
}

/// Puts the recorded messages of a queue where they lay.
fn fill(redis: &Redis, queue: &str) -> usize {
    let mut connection = redis.connection();
    let recorded: Vec<Value> = rows("redis-queue-messages.jsonl");
    let of = recorded.iter().filter(|row| row["key"].as_str().expect("key").starts_with(queue));
    let of: Vec<&Value> = of.filter(|row| queue != "parked" || row["key"] == "parked").collect();
    for row in &of {
        let pushed: i64 =
            connection.rpush(row["key"].as_str().expect("key"), row["data"].as_str().expect("data")).expect("pushed");
        assert!(pushed > 0);
    }
    of.len()
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(what)
}

fn priorities(waiting: &[Waiting]) -> Vec<i64> {
    waiting.iter().map(|w| w.message.as_ref().expect("readable").priority.expect("said")).collect()
}

#[test]
fn messages_are_seen_in_the_order_they_will_be_taken_and_stay_where_they_are() {
    let redis = Redis::start(&[]);
    assert_eq!(fill(&redis, "parked-prio"), 10);
    let broker = open(&redis);
    run(async {
        let all = broker.peek("parked-prio", 0..50).await.expect("peeked");
        assert_eq!(priorities(&all), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(all.iter().map(|w| w.place).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        let mut parts = Vec::new();
        for from in (0..12).step_by(3) {
            parts.extend(broker.peek("parked-prio", from..from + 3).await.expect("peeked"));
        }
        assert_eq!(parts, all, "whatever the stretches are");
        assert_eq!(broker.peek("nothing-here", 0..50).await.expect("peeked"), []);
    });
    let mut connection = redis.connection();
    // The next one is what a worker gets.
    let (_, taken): (String, String) = redis::cmd("BRPOP")
        .arg(&["parked-prio", "parked-prio\u{6}\u{16}3"])
        .arg(1)
        .query(&mut connection)
        .expect("popped");
    let broker = open(&redis);
    run(async {
        let left = broker.peek("parked-prio", 0..50).await.expect("peeked");
        assert_eq!(priorities(&left), [1, 2, 3, 4, 5, 6, 7, 8, 9], "only what was taken is gone");
        assert!(taken.contains("\"priority\": 0"));
    });
}

#[test]
fn what_cannot_be_read_is_shown_with_its_size() {
    let redis = Redis::start(&[]);
    let n = fill(&redis, "parked");
    let mut connection = redis.connection();
    let _: i64 = connection.rpush("parked", "no json at all").expect("pushed");
    let waiting = run(open(&redis).peek("parked", 0..100)).expect("peeked");
    assert_eq!(waiting.len(), n + 1);
    let bad = waiting[0].message.as_ref().expect_err("unreadable");
    assert_eq!(bad.size, 14);
}

#[test]
fn deliveries_tell_their_queue_and_time() {
    let redis = Redis::start(&[]);
    let mut connection = redis.connection();
    for row in rows("redis-unacked.jsonl") {
        let (tag, data) = (row["field"].as_str().expect("tag"), row["data"].as_str().expect("data"));
        let _: i64 = connection.hset("unacked", tag, data).expect("set");
        let _: i64 = connection.zadd("unacked_index", tag, row["score"].as_f64().expect("score")).expect("added");
    }
    let _: i64 = connection.hset("unacked", "lost", "[1]").expect("set");
    let broker = open(&redis);
    let times = |delivered: &[Delivered]| delivered.iter().map(|d| d.at.map(|at| at.secs() as i64)).collect::<Vec<_>>();
    run(async {
        let all = broker.unacked(50).await.expect("seen");
        assert_eq!(times(&all), [None, Some(1_795_481_431), Some(1_795_481_435)], "oldest first");
        assert!(all[1..].iter().all(|d| d.queue == "celery" && d.message.is_ok()));
        assert!(all[0].message.is_err(), "what is no delivery is shown too");
        let oldest = broker.unacked(1).await.expect("seen");
        assert_eq!(times(&oldest), [Some(1_795_481_431)]);
    });
}

#[test]
fn what_we_cost_the_broker_is_counted() {
    let redis = Redis::start(&[]);
    let broker = open(&redis);
    run(async {
        broker.health().await.expect("health");
        for _ in 0..20 {
            broker.peek("q", 0..50).await.expect("peeked");
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        let health = broker.health().await.expect("health");
        // Four lengths a look; how fast depends on the machine.
        assert!(health.own_commands.is_some_and(|n| n > 80.0 / 30.0), "{health:?}");
        assert_eq!((health.backlog, health.visibility_timeout), (Some(0), Some(3_600)));
    });
}

#[test]
fn a_queue_is_told_of_on_the_command_line() {
    let redis = Redis::start(&[]);
    fill(&redis, "parked");
    let home = tempfile::tempdir().expect("temp");
    let ask = |arguments: &[&str]| {
        let url = redis.url();
        let output = flower(arguments, home.path()).env("CELERY_BROKER_URL", url).output().expect("runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, text) = ask(&["queue", "parked", "--peek", "3", "--json"]);
    assert_eq!(code, Some(0));
    let queue: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((queue["name"].as_str(), queue["ready"].as_u64()), (Some("parked"), Some(22)));
    let waiting = queue["waiting"].as_array().expect("list");
    assert_eq!(waiting.iter().map(|w| w["place"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert_eq!(waiting[2]["eta"], "2030-01-02T03:04:05+00:00");
    assert_eq!(waiting[2]["name"], "capture.add");
    let (code, text) = ask(&["queue", "parked", "--peek", "30"]);
    assert!(code == Some(0) && text.contains("waiting    22") && text.contains("capture.echo"), "{text}");
    assert_eq!(ask(&["queue", "no-such-queue"]).0, Some(1));
}

/// What is told of a look for groups that somebody wants for as long as `still` says.
fn groups(redis: &Redis, still: &(dyn Fn() -> bool + Send + Sync)) -> (bool, Vec<Arc<Peeked>>) {
    let context = Context {
        broker: open(redis),
        store: Store::new(Limits::default()),
        clock: Clock::system(),
        stop: Default::default(),
        results: None,
    };
    let wanted = QueueLook { name: "many".into(), what: Look::Groups, asked: 0 };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
    run(async {
        let whole = feed::look(&context, &wanted, still, &sender).await;
        drop(sender);
        let mut told = Vec::new();
        while let Some(update) = receiver.recv().await {
            if let Update::Peeked(peeked) = update {
                told.push(peeked);
            }
        }
        (whole, told)
    })
}

#[test]
fn of_a_long_queue_a_sample_is_folded_and_shown_while_it_is_made() {
    let redis = Redis::start(&[]);
    let recorded = rows("redis-queue-messages.jsonl");
    let mut pipe = redis::pipe();
    for n in 0..10_100 {
        pipe.lpush("many", recorded[n % 2 + 5]["data"].as_str().expect("data")).ignore();
    }
    pipe.exec(&mut redis.connection()).expect("pushed");
    let (whole, told) = groups(&redis, &|| true);
    assert!(whole && told.len() > 10, "{}", told.len());
    let Ok(Found::Groups(sample)) = &told.last().expect("told").found else { panic!("no sample") };
    assert_eq!((sample.looked, sample.done), (10_000, true));
    let groups = sample.groups(&By::Task);
    assert_eq!((groups.len(), groups[0].count, groups[0].key.as_str()), (1, 10_000, "capture.add"));
    assert!(told.iter().all(|peeked| peeked.canvases.len() <= 500 && !peeked.canvases.is_empty()));
    let (whole, told) = self::groups(&redis, &|| false);
    assert!(!whole && told.len() == 1, "who looks elsewhere ends it");
    let left: i64 = redis.connection().llen("many").expect("length");
    assert_eq!(left, 10_100);
}

#[test]
fn by_keys_one_looks_into_a_queue() {
    let redis = Redis::start(&[]);
    fill(&redis, "parked");
    let mut connection = redis.connection();
    let _: i64 = connection.sadd("_kombu.binding.parked", "parked\u{6}\u{16}\u{6}\u{16}parked").expect("bound");
    let home = tempfile::tempdir().expect("temp");
    let mut command = flower(&[], home.path());
    command.env("CELERY_BROKER_URL", redis.url());
    let mut screen = Screen::start(&command, 120, 36);
    screen.wait("22 queued");
    screen.wait("No task was seen yet");
    screen.keys("4");
    let text = screen.wait("all 22, next first");
    assert!(text.contains("capture.echo") && text.contains("gen2848"), "{text}");
    screen.keys("o");
    screen.wait("by task");
    screen.keys("]");
    screen.wait("Nothing is delivered and unacknowledged");
    screen.keys("]");
    screen.wait("No worker has said yet");
    screen.keys("]]\r");
    screen.wait("next first");
    screen.keys("\r");
    let text = screen.wait("a message, looked at in its queue");
    assert!(text.contains("c89aea30-352a-4c4c-b842-3f2aef2f604f"), "{text}");
    screen.signal("-TERM");
    assert_eq!(screen.end(), (0, true));
}

#[test]
fn queues_where_nothing_waits_cost_two_commands_and_a_message_at_any_priority_is_seen_at_once() {
    let redis = Redis::start(&[]);
    let mut connection = redis.connection();
    let names: Vec<String> = (0..20).map(|n| format!("q{n}")).collect();
    let broker = open(&redis);
    run(async {
        broker.queues(&names).await.expect("depths");
        let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut connection).expect("reset");
        let depths = broker.queues(&names).await.expect("depths");
        assert!(depths.len() == 20 && depths.iter().all(|depth| depth.ready == 0));
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).expect("stats");
        let asked: Vec<&str> = stats.lines().filter(|line| line.contains("calls=")).collect();
        let ours = asked.iter().filter(|line| !line.contains("config"));
        assert_eq!(ours.count(), 2, "{stats}");
        assert!(stats.contains("cmdstat_exists:calls=1,") && stats.contains("cmdstat_hlen:calls=1,"), "{stats}");
        for (n, list) in ["q3", "q7\u{6}\u{16}3", "q7\u{6}\u{16}9"].iter().enumerate() {
            let _: i64 = connection.lpush(*list, "x").expect("pushed");
            let depths = broker.queues(&names).await.expect("depths");
            assert_eq!(depths.iter().map(|depth| depth.ready).sum::<u64>(), n as u64 + 1);
        }
        let depths = broker.queues(&names).await.expect("depths");
        let q7 = depths.iter().find(|depth| depth.name == "q7").expect("known");
        assert_eq!(q7.by_priority, [(0, 0), (3, 1), (6, 0), (9, 1)]);
        let _: i64 = connection.del(&["q3", "q7\u{6}\u{16}3"]).expect("taken");
        let depths = broker.queues(&names).await.expect("depths");
        assert_eq!(depths.iter().map(|depth| depth.ready).sum::<u64>(), 1);
    });
}

#[test]
fn the_next_message_of_every_priority_is_looked_at_when_that_is_asked() {
    let redis = Redis::start(&[]);
    fill(&redis, "parked-prio");
    let broker = open(&redis);
    run(async {
        let mut depths = broker.queues(&["parked-prio".into()]).await.expect("depths");
        assert!(depths[0].ready == 10 && depths[0].next.is_empty(), "not looked at by itself: {depths:?}");
        broker.next_in_line(&mut depths).await.expect("looked");
        let waiting = broker.peek("parked-prio", 0..10).await.expect("peeked");
        let firsts: Vec<_> = waiting.chunk_by(|a, b| a.priority == b.priority).map(|same| &same[0]).collect();
        let firsts: Vec<_> = firsts.iter().map(|w| w.message.as_ref().expect("readable").id.clone()).collect();
        assert!(firsts.len() == 4 && depths[0].next == firsts, "{depths:?}");
    });
}
