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
        let message = tokio::select! {
            () = &mut end => break,
            () = &mut stop => break,
            message = stream.next() => message,
        };
        let Some(message) = message else {
            return Err(super::exit::Failure {
                exit: Exit::Unreachable,
                text: format!("{}: the connection ended", broker.url()),
            }
            .into());
        };
        if args.raw {
            out::line(&replay::to_line(&message))?;
            left -= 1;
            continue;
        }
        for mut event in decode(&message).into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            redactor.json(&mut event);
            out::line(&event.to_string())?;
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
