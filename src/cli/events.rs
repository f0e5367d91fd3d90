//! `events`: the stream, decoded and without secrets, or raw.

use futures_util::StreamExt;
use serde_json::Value;

use super::args::EventsArgs;
use super::env::Env;
use super::exit::Exit;
use super::out;
use crate::broker::RawMessage;
use crate::feed::replay;

pub async fn run(env: &Env, args: EventsArgs) -> anyhow::Result<Exit> {
    let broker = env.connected().await?;
    let mut stream = broker.events().await?;
    let end = async {
        match args.listen {
            Some(secs) => tokio::time::sleep(std::time::Duration::from_secs_f64(secs.min(1e9))).await,
            None => std::future::pending().await,
        }
    };
    let stop = super::ui::stopped_by_signal();
    tokio::pin!(end, stop);
    let redactor = env.redactor();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let messages = tokio::select! {
            () = &mut end => break,
            () = &mut stop => break,
            messages = stream.next() => messages,
        };
        let Some(messages) = messages else {
            return Err(super::exit::Failure {
                exit: Exit::Unreachable,
                text: format!("{}: the connection ended", broker.url()),
            }
            .into());
        };
        let lines: Box<dyn Iterator<Item = String>> = match args.raw {
            true => Box::new(messages.iter().map(replay::to_line)),
            false => Box::new(messages.iter().flat_map(decode).map(|mut event| {
                redactor.json(&mut event);
                event.to_string()
            })),
        };
        for line in lines.take(usize::try_from(left).unwrap_or(usize::MAX)) {
            out::line(&line)?;
            left -= 1;
        }
    }
    Ok(Exit::Done)
}

/// The events in a message; what can't be read becomes a line that says so.
fn decode(message: &RawMessage) -> Vec<Value> {
    match message.coding.document(&message.data) {
        Ok(Value::Array(events)) => events,
        Ok(event) => vec![event],
        Err(why) => {
            vec![
                serde_json::json!({"undecodable": why.to_string(), "size": message.data.len(), "channel": &*message.channel}),
            ]
        }
    }
}
