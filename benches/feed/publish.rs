//! The process that publishes: events of a simulated cluster, one a message, encoded beforehand.

use std::time::{Duration, Instant};

use flower_tui::broker::RawMessage;
use flower_tui::celery::envelope::Envelope;
use flower_tui::clock::{Clock, Stamp};
use flower_tui::sim::{Options, SimBroker};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};

/// Messages sent together.
const ROUND: usize = 256;

/// Publishes so many events, at this rate.
pub fn run(url: &str, events: usize, rate: u32) {
    let clock = Clock::manual(Stamp::from_micros(1_795_529_007_000_000));
    let options = Options { tasks: u32::try_from(events / 4 + 500).unwrap(), ..Options::default() };
    let messages = SimBroker::new(&options, clock.clone()).advance(clock.now());
    assert!(messages.len() >= events, "{} messages are too few", messages.len());
    let messages = &messages[messages.len() - events..];
    match url.starts_with("amqp") {
        true => tokio::runtime::Runtime::new().unwrap().block_on(rabbitmq(url, messages, rate)),
        false => redis(url, messages, rate),
    }
}

/// Waits until the next round is due.
fn due(begun: Instant, sent: usize, rate: u32) -> Duration {
    Duration::from_secs_f64(sent as f64 / f64::from(rate)).saturating_sub(begun.elapsed())
}

fn redis(url: &str, messages: &[RawMessage], rate: u32) {
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let begun = Instant::now();
    for (n, round) in messages.chunks(ROUND).enumerate() {
        std::thread::sleep(due(begun, n * ROUND, rate));
        let mut pipe = redis::pipe();
        for message in round {
            pipe.publish(message.channel.as_str(), &message.data).ignore();
        }
        pipe.query::<()>(&mut connection).unwrap();
    }
}

async fn rabbitmq(url: &str, messages: &[RawMessage], rate: u32) {
    let encoded: Vec<(&str, Vec<u8>, String)> = messages
        .iter()
        .map(|message| {
            let envelope = Envelope::parse(&message.data).unwrap();
            let hostname = envelope.headers()["hostname"].as_str().unwrap().to_owned();
            let key = message.channel.split_once('/').and_then(|(_, rest)| rest.split_once('/')).unwrap().1;
            (key, envelope.body().unwrap().into_owned(), hostname)
        })
        .collect();
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let begun = Instant::now();
    for (n, round) in encoded.chunks(ROUND).enumerate() {
        tokio::time::sleep(due(begun, n * ROUND, rate)).await;
        for (key, body, hostname) in round {
            let mut headers = FieldTable::default();
            headers.insert("hostname".into(), AMQPValue::LongString(hostname.as_str().into()));
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_content_encoding("utf-8".into())
                .with_headers(headers)
                .with_delivery_mode(1)
                .with_priority(0);
            let options = BasicPublishOptions::default();
            channel.basic_publish("celeryev".into(), (*key).into(), options, body, properties).await.unwrap();
        }
    }
    connection.close(200, "done".into()).await.unwrap();
}
