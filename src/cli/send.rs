//! `send TASK`.

use std::time::Duration;

use serde_json::json;

use super::args::SendArgs;
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::{again, change, gather, out, tasks};
use crate::celery::TaskId;
use crate::celery::result::Stored;
use crate::ops::Command;
use crate::ops::send::{self, Wish};
use crate::text::clean;

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(100);

pub async fn run(env: &Env, args: SendArgs) -> anyhow::Result<Exit> {
    let after = |secs: f64| (env.clock.now() + Duration::from_secs_f64(secs.min(1e9))).iso();
    let wish = Wish {
        task: args.task.clone(),
        args: args.args.clone(),
        kwargs: args.kwargs.clone(),
        queue: args.queue.clone(),
        priority: args.priority,
        eta: again::eta(env, args.eta.as_deref(), args.countdown)?,
        expires: args.expires.map(after),
    };
    let message = send::message(&wish).map_err(|why| usage(why.to_string()))?;
    let id = message.id.clone();
    let cluster = gather::begin(env).await?;
    if !args.unknown {
        let ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
        cluster.listen(env, 0.3).await;
        if let Some(why) = ops.unknown(&args.task).await {
            return Err(not_so(format!("{why}; --unknown sends it all the same")));
        }
    }
    let command = Command::Send(Box::new(message));
    if !args.wait {
        return change::run(env, &cluster, &command, args.json).await;
    }
    let receipt = tasks::run(env, &cluster, &command).await;
    if receipt.outcome.why().is_some() {
        return tasks::print_receipt(&receipt, args.json);
    }
    wait(env, &id, args.timeout, args.json).await
}

/// Waits until the result backend has what came of it.
async fn wait(env: &Env, id: &TaskId, limit: f64, as_json: bool) -> anyhow::Result<Exit> {
    let Some(results) = env.url().and_then(|url| env.results(&url))? else {
        return Err(not_so(format!("{id} was sent; there is no result backend to wait for what it returns")));
    };
    let end = tokio::time::Instant::now() + Duration::from_secs_f64(limit.min(1e6));
    loop {
        let found = results.get(std::slice::from_ref(id)).await.map_err(|e| not_so(e.to_string()))?;
        if let Some((_, Stored::Result(result))) = found.first()
            && result.is_ready()
        {
            let redactor = env.redactor();
            let value = result.value(&redactor).or_else(|| result.exception(&redactor)).unwrap_or_default();
            if as_json {
                out::json(&json!({"id": id, "state": result.status, "result": value}))?;
            } else {
                out::line(clean(&value).as_str())?;
            }
            return Ok(if result.status == "SUCCESS" { Exit::Done } else { Exit::NotSo });
        }
        if tokio::time::Instant::now() >= end {
            out::error(&format!(
                "flower-tui: {id} was sent, and has not ended within {}",
                crate::human::seconds(limit)
            ));
            return Ok(Exit::Unconfirmed);
        }
        tokio::time::sleep(LOOK).await;
    }
}
