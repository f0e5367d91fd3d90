//! What changes workers, and revoking: each a command, with Flower's words for what came of it.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::answer::{Answer, Said, away, bad, unknown};
use super::auth::Who;
use super::call::Call;
use super::inspections::{is_worker, refresh};
use super::{Site, apply};
use crate::celery::TaskId;
use crate::celery::pidbox::Signal;
use crate::ops::{Command, Control, Error, Ops, Outcome, Receipt};

/// A person who did not have to say a name.
const UNNAMED: &str = "(unnamed)";

/// What carries commands out; who asked, and from where, is written into the log.
pub(super) fn ops_of(site: &Site, who: &Who, from: Option<IpAddr>) -> Ops {
    let mut ops = site.ops.clone();
    ops.role = Some(who.role);
    // It is never whoever started the server.
    ops.origin.user = if who.name.is_empty() { UNNAMED.to_owned() } else { who.name.clone() };
    if let Some(from) = from {
        ops.origin.ssh = from.to_string();
    }
    ops
}

/// Runs a command, unless the broker is away.
pub(super) async fn run(site: &Site, call: &Call, command: &Command) -> Result<Receipt, Box<Answer>> {
    let receipt = site.with_broker(ops_of(site, &call.who, call.from).run(command)).await?;
    match &receipt.outcome {
        Outcome::NotSent(Error::Broker(why)) => Err(away(why)),
        Outcome::NotSent(Error::Role(why)) => Err(Box::new(Answer::text(403, why.as_str()))),
        Outcome::NotSent(Error::ReadOnly) => Err(Box::new(Answer::text(403, "Read only mode is enabled"))),
        Outcome::NotSent(error @ Error::Audit(_)) => Err(Box::new(Answer::text(503, error.to_string()))),
        _ => Ok(receipt),
    }
}

/// What a worker answered: that it did it, or why not.
fn told(receipt: &Receipt, worker: &str) -> Result<String, String> {
    let reply = receipt.replies.iter().find(|(name, _)| name == worker).map(|(_, value)| value);
    let text = |key: &str| reply.and_then(|reply| reply.get(key)).and_then(Value::as_str).map(str::to_owned);
    match (&receipt.outcome, text("ok")) {
        (Outcome::Confirmed, ok) => Ok(ok.unwrap_or_default()),
        (_, Some(ok)) => Ok(ok),
        (Outcome::NotSent(error), None) => Err(error.to_string()),
        _ => Err(text("said").or(text("error")).unwrap_or_else(|| "Unknown reason".into())),
    }
}

/// Tells one worker something. `refused` is what stands before the reason.
async fn order(site: &Arc<Site>, call: &Call, what: Control, refused: &str) -> Result<String, Box<Answer>> {
    let name = call.rest.as_str();
    if !is_worker(site, name) {
        return Err(unknown("worker", name));
    }
    let receipt = run(site, call, &Command::Control { workers: vec![name.to_owned()], what }).await?;
    let told = told(&receipt, name);
    if told.is_ok() {
        // The next reader sees it as it is now.
        let (site, name) = (site.clone(), name.to_owned());
        tokio::spawn(async move { refresh(&site, Some(&name)).await.is_ok() });
    }
    told.map_err(|why| Box::new(Answer::plain(403, &format!("{refused}: {why}"))))
}

pub(super) async fn revoke(site: &Arc<Site>, call: &Call) -> Said {
    let signal = call.text("signal").unwrap_or("SIGTERM");
    let terminate = match call.flag("terminate")? {
        true => Some(Signal::parse(signal).ok_or_else(|| bad(format!("Unknown signal '{signal}'")))?),
        false => None,
    };
    run(site, call, &Command::Revoke { ids: vec![TaskId::new(&call.rest)], terminate }).await?;
    Ok(Answer::message(format!("Revoked '{}'", call.rest)))
}

/// The worker that a limit of a task is for.
fn limited<'c>(site: &Site, call: &'c Call) -> Result<&'c str, Box<Answer>> {
    let worker = call.needed("workername")?;
    if !apply::is_task(site, &call.rest) {
        return Err(unknown("task", &call.rest));
    }
    is_worker(site, worker).then_some(worker).ok_or_else(|| unknown("worker", worker))
}

/// Sets a limit; a worker says itself what came of it.
async fn limit(site: &Arc<Site>, call: &Call, worker: &str, what: Control, refused: &str) -> Said {
    let receipt = run(site, call, &Command::Control { workers: vec![worker.to_owned()], what }).await?;
    match told(&receipt, worker) {
        // What we add to a worker's words stands behind them.
        Ok(said) => Ok(Answer::message(said.split("; ").next().unwrap_or_default())),
        Err(why) => Err(Box::new(Answer::plain(403, &format!("{refused}: '{why}'")))),
    }
}

pub(super) async fn time_limit(site: &Arc<Site>, call: &Call) -> Said {
    let (soft, hard) = (call.float("soft")?, call.float("hard")?);
    let worker = limited(site, call)?;
    let what = Control::TimeLimit { task: call.rest.clone(), soft, hard };
    limit(site, call, worker, what, "Failed to set timeouts").await
}

pub(super) async fn rate_limit(site: &Arc<Site>, call: &Call) -> Said {
    call.needed("workername")?;
    let rate = call.needed("ratelimit")?.to_owned();
    let worker = limited(site, call)?;
    let what = Control::RateLimit { task: call.rest.clone(), rate };
    limit(site, call, worker, what, "Failed to set rate limit").await
}

pub(super) async fn shutdown(site: &Arc<Site>, call: &Call) -> Said {
    let name = &call.rest;
    if !is_worker(site, name) {
        return Err(unknown("worker", name));
    }
    // Its end is not waited for here: it may have work to finish.
    let command = Command::Control { workers: vec![name.clone()], what: Control::Shutdown };
    if let Some(why) = site.broker_away() {
        return Err(away(&why));
    }
    let ops = ops_of(site, &call.who, call.from);
    let running = tokio::spawn(async move { ops.run(&command).await });
    // What keeps it from being sent is known at once.
    match tokio::time::timeout(site.options.inspect_timeout.min(SOON), running).await {
        Ok(Ok(receipt)) => match receipt.outcome {
            Outcome::NotSent(error @ Error::Audit(_)) => Err(Box::new(Answer::text(503, error.to_string()))),
            Outcome::NotSent(error) => Err(away(&error.to_string())),
            _ => Ok(Answer::message("Shutting down!")),
        },
        Ok(Err(_)) => Err(Box::new(Answer::empty(500))),
        Err(_) => Ok(Answer::message("Shutting down!")),
    }
}

/// How long a command that nobody answers is looked after.
const SOON: std::time::Duration = std::time::Duration::from_millis(400);

pub(super) async fn pool_restart(site: &Arc<Site>, call: &Call) -> Said {
    let name = &call.rest;
    order(site, call, Control::RestartPool, &format!("Failed to restart the '{name}' pool")).await?;
    Ok(Answer::message(format!("Restarting '{name}' worker's pool")))
}

/// How many processes are meant: one where nothing is said, and never fewer.
fn processes(call: &Call) -> Result<u32, Box<Answer>> {
    let n = call.int("n")?.unwrap_or(1);
    let wrong = || bad(format!("Invalid argument '{n}': a number above zero is needed"));
    u32::try_from(n).ok().filter(|n| *n > 0).ok_or_else(wrong)
}

pub(super) async fn pool_grow(site: &Arc<Site>, call: &Call) -> Said {
    let (name, n) = (&call.rest, processes(call)?);
    order(site, call, Control::Grow(n), &format!("Failed to grow '{name}' worker's pool")).await?;
    Ok(Answer::message(format!("Growing '{name}' worker's pool by {n}")))
}

pub(super) async fn pool_shrink(site: &Arc<Site>, call: &Call) -> Said {
    let (name, n) = (&call.rest, processes(call)?);
    let said = order(site, call, Control::Shrink(n), &format!("Failed to shrink '{name}' worker's pool")).await?;
    // A worker that would be left without a process loses fewer; that is said.
    let fewer = if said.starts_with("asked for") { format!(" ({said})") } else { String::new() };
    Ok(Answer::message(format!("Shrinking '{name}' worker's pool by {n}{fewer}")))
}

pub(super) async fn autoscale(site: &Arc<Site>, call: &Call) -> Said {
    let name = &call.rest;
    let size = |key: &str| {
        call.needed(key)?;
        let n = call.int(key)?.unwrap_or(0);
        u32::try_from(n).map_err(|_| bad(format!("Invalid argument '{n}': a number not below zero is needed")))
    };
    let (min, max) = (size("min")?, size("max")?);
    order(site, call, Control::Autoscale { max, min }, &format!("Failed to autoscale '{name}' worker")).await?;
    Ok(Answer::message(format!("Autoscaling '{name}' worker (min={min}, max={max})")))
}

pub(super) async fn add_consumer(site: &Arc<Site>, call: &Call) -> Said {
    let (name, queue) = (&call.rest, call.needed("queue")?);
    let refused = format!("Failed to add '{queue}' consumer to '{name}' worker");
    let said = order(site, call, Control::AddQueue(queue.to_owned()), &refused).await?;
    Ok(Answer::message(said))
}

pub(super) async fn cancel_consumer(site: &Arc<Site>, call: &Call) -> Said {
    let (name, queue) = (&call.rest, call.needed("queue")?);
    let refused = format!("Failed to cancel '{queue}' consumer from '{name}' worker");
    let said = order(site, call, Control::CancelQueue(queue.to_owned()), &refused).await?;
    Ok(Answer::message(said))
}
