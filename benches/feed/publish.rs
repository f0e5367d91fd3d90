//! The process that publishes: events of a simulated cluster, encoded beforehand.

use std::time::{Duration, Instant};

use flower_tui::clock::{Clock, Stamp};
use flower_tui::sim::{Options, SimBroker};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};

use super::batch::{self, Message};

/// Messages sent together.
const ROUND: usize = 256;

/// Publishes so many events, at this rate: each in a message of its own, or in lists as workers send them.
pub fn run(url: &str, events: usize, rate: u32, lists: bool) {
    let clock = Clock::manual(Stamp::from_micros(1_795_529_007_000_000));
    let options = Options { tasks: u32::try_from(events / 4 + 500).unwrap(), ..Options::default() };
    let made = SimBroker::new(&options, clock.clone()).advance(clock.now());
    assert!(made.len() >= events, "{} events are too few", made.len());
    let made = &made[made.len() - events..];
    let messages = if lists { batch::as_workers(made) } else { batch::single(made) };
    match url.starts_with("amqp") {
        true => tokio::runtime::Runtime::new().unwrap().block_on(rabbitmq(url, &messages, rate)),
        false => redis(url, &messages, rate),
    }
}

/// Waits until the next round is due.
fn due(begun: Instant, sent: usize, rate: u32) -> Duration {
    Duration::from_secs_f64(sent as f64 / f64::from(rate)).saturating_sub(begun.elapsed())
}

fn redis(url: &str, messages: &[Message], rate: u32) {
    let encoded: Vec<(String, Vec<u8>, usize)> =
        messages.iter().map(|m| (format!("/0.celeryev/{}", m.routing_key), m.envelope(), m.events)).collect();
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let (begun, mut sent) = (Instant::now(), 0);
    for round in encoded.chunks(ROUND) {
        std::thread::sleep(due(begun, sent, rate));
        let mut pipe = redis::pipe();
        for (channel, data, events) in round {
            pipe.publish(channel.as_str(), data).ignore();
            sent += events;
        }
        pipe.query::<()>(&mut connection).unwrap();
    }
}

async fn rabbitmq(url: &str, messages: &[Message], rate: u32) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (begun, mut sent) = (Instant::now(), 0);
    for round in messages.chunks(ROUND) {
        tokio::time::sleep(due(begun, sent, rate)).await;
        for message in round {
            let mut headers = FieldTable::default();
            headers.insert("hostname".into(), AMQPValue::LongString(message.hostname.as_str().into()));
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_content_encoding("utf-8".into())
                .with_headers(headers)
                .with_delivery_mode(1)
                .with_priority(0);
            let (options, key) = (BasicPublishOptions::default(), message.routing_key.as_str());
            channel.basic_publish("celeryev".into(), key.into(), options, &message.body, properties).await.unwrap();
            sent += message.events;
        }
    }
    connection.close(200, "done".into()).await.unwrap();
}
