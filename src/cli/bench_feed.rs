//! `bench-feed`, which no help lists: publishes the events of made-up tasks to a broker, at a rate or as fast as they go,
//! for measuring who reads them.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::args::{duration, rate};
use super::env::Env;
use super::exit::{Exit, usage};
use super::out;
use crate::broker::BrokerUrl;
use crate::broker::flood::{self, Flood, Message};
use crate::clock::Stamp;
use crate::human;
use crate::sim::load::{Load, Options};

/// Messages sent together at most.
const ROUND: usize = 512;
/// How long to wait for what is due next.
const TICK: Duration = Duration::from_millis(1);
/// Events a second, where nothing tells how fast they will go: for what time stands in them.
const GUESS: f64 = 500_000.0;

/// What can be said about it.
#[derive(Args, Debug)]
pub struct BenchFeed {
    /// Broker to publish to; it takes none from the settings, so that no real cluster is hit by oversight
    #[arg(value_name = "URL")]
    pub url: String,
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub events: usize,
    /// All events of so many tasks instead
    #[arg(long, value_name = "N", conflicts_with = "events")]
    pub tasks: Option<u64>,
    /// So many events a second; else as fast as they go
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<f64>,
    /// A burst: all of them within so long
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["rate", "tasks"])]
    pub within: Option<f64>,
    /// How many workers tell them
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub workers: usize,
    /// Bytes of each task's arguments, at least
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub payload: usize,
    /// The same seed makes the same tasks
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Events that are made ready before any of them is sent; further ones are made in pauses, which are not counted
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub ready: u64,
    /// Each event in a message of its own
    #[arg(long)]
    pub single: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

pub async fn run(env: &Env, args: &BenchFeed) -> anyhow::Result<Exit> {
    if env.settings.read_only.value {
        return Err(usage("bench-feed publishes events, which --read-only forbids"));
    }
    let options = Options {
        seed: args.seed,
        tasks: args.tasks,
        workers: args.workers,
        payload: args.payload,
        lists: !args.single,
    };
    let url = BrokerUrl::parse(&args.url)?;
    let rate = args.rate.or(args.within.map(|secs| args.events as f64 / secs.max(1e-3)));
    let mut flood = flood::open(&url, env.settings.transport_options.clone()).await?;
    let mut load = Load::new(options, env.clock.now());
    let ready = usize::try_from(args.ready).unwrap_or(usize::MAX);
    let (mut left, mut sent) = (args.tasks.map_or(args.events, |_| usize::MAX), Sent::default());
    while left > 0 {
        let made = Instant::now();
        let (start, pace) = (env.clock.now(), rate.unwrap_or(GUESS));
        let stamp = |n: usize| Stamp::from_micros(start.micros() + (n as f64 / pace * 1e6) as i64);
        let messages = load.take(left.min(ready), stamp);
        let events: usize = messages.iter().map(|message| message.events).sum();
        if events == 0 {
            break;
        }
        left -= events;
        sent.made += made.elapsed();
        send(&mut *flood, messages, rate, &mut sent).await?;
    }
    report(args, &sent)
}

/// What was sent so far.
#[derive(Default)]
struct Sent {
    events: usize,
    /// Those that tell of tasks.
    of_tasks: usize,
    messages: usize,
    bytes: usize,
    took: Duration,
    made: Duration,
}

/// Sends messages as they become due.
async fn send(flood: &mut dyn Flood, messages: Vec<Message>, rate: Option<f64>, sent: &mut Sent) -> anyhow::Result<()> {
    // How many events have to be due before each message goes out.
    let before: Vec<usize> =
        messages.iter().scan(0, |events, message| Some(std::mem::replace(events, *events + message.events))).collect();
    let events: usize = messages.iter().map(|message| message.events).sum();
    let of_tasks = messages.iter().filter(|message| message.routing_key.starts_with("task."));
    sent.of_tasks += of_tasks.map(|message| message.events).sum::<usize>();
    sent.bytes += messages.iter().map(|message| message.body.len()).sum::<usize>();
    let made = Instant::now();
    flood.load(messages);
    sent.made += made.elapsed();

    let (begun, mut done) = (Instant::now(), 0);
    while done < before.len() {
        let due = match rate {
            Some(rate) => before.partition_point(|before| *before as f64 <= begun.elapsed().as_secs_f64() * rate),
            None => before.len(),
        };
        if due > done {
            let count = (due - done).min(ROUND);
            flood.send(count).await?;
            done += count;
        } else {
            tokio::time::sleep(TICK).await;
        }
    }
    flood.settle().await?;
    sent.took += begun.elapsed();
    sent.events += events;
    sent.messages += before.len();
    Ok(())
}

fn report(args: &BenchFeed, sent: &Sent) -> anyhow::Result<Exit> {
    let seconds = sent.took.as_secs_f64();
    let rate = sent.events as f64 / seconds.max(1e-9);
    if args.json {
        out::json(&json!({
            "events": sent.events, "of_tasks": sent.of_tasks, "messages": sent.messages, "bytes": sent.bytes, "seconds": seconds, "rate": rate,
            "made_in": sent.made.as_secs_f64(), "seed": args.seed,
        }))?;
    } else {
        let (events, messages) = (human::thousands(sent.events as u64), human::thousands(sent.messages as u64));
        let (took, made) = (human::exact(seconds), human::exact(sent.made.as_secs_f64()));
        let rate = human::thousands(rate as u64);
        out::line(&format!(
            "{events} events in {messages} messages, sent in {took}: {rate}/s; made beforehand in {made}"
        ))?;
    }
    Ok(Exit::Done)
}
