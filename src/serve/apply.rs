//! Sending tasks: with Flower's options, by way of the same command as everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::{Answer, Said, bad, unknown};
use super::call::Call;
use super::{Site, control, queues, results};
use crate::celery::TaskId;
use crate::celery::message::Outgoing;
use crate::clock::Stamp;
use crate::ops::send::{Wish, message};
use crate::ops::{Command, Outcome};
use crate::state::task::parse_iso;

type Options = BTreeMap<String, Box<RawValue>>;

/// Whether anybody knows a task of this name: a worker registers it, or it was seen to run.
pub(super) fn is_task(site: &Site, name: &str) -> bool {
    site.inspections.registers(name) || site.ops.store.read(|m| m.name_stats(name).is_some())
}

fn options(call: &Call) -> Result<Options, Box<Answer>> {
    if call.body.is_empty() {
        return Ok(Options::new());
    }
    let whole: Value = serde_json::from_slice(&call.body).map_err(|why| bad(format!("the body is no JSON: {why}")))?;
    if !whole.is_object() {
        return Err(bad("invalid options"));
    }
    // Numbers go out to the letter, however long they are.
    serde_json::from_slice(&call.body).map_err(|_| bad("invalid options"))
}

fn value(options: &Options, name: &str) -> Option<Value> {
    options.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).filter(|value: &Value| !value.is_null())
}

fn text(options: &Options, name: &str) -> Option<String> {
    value(options, name).and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty())
}

fn invalid() -> Box<Answer> {
    bad("Invalid option")
}

/// Reads a time: `2030-01-01 00:00:00.000000`, or, where Flower hands it on, what Celery takes.
fn time(text: &str, handed_on: bool) -> Option<Stamp> {
    // Flower's own format has a fraction.
    let flower = text.split_once(' ').filter(|(_, time)| time.contains('.')).map(|(day, time)| format!("{day}T{time}"));
    match (flower, handed_on) {
        (Some(text), _) => parse_iso(&text),
        (None, true) => parse_iso(&text.replacen(' ', "T", 1)),
        (None, false) => None,
    }
}

/// The message for what is asked.
fn outgoing(site: &Site, call: &Call, options: &Options, handed_on: bool) -> Result<Outgoing, Box<Answer>> {
    let raw = |name: &str, usual: &str| options.get(name).map_or_else(|| usual.to_owned(), |raw| raw.get().to_owned());
    let (args, kwargs) = (raw("args", "[]"), raw("kwargs", "{}"));
    if !args.trim_start().starts_with('[') {
        return Err(bad("args must be an array"));
    }
    if !kwargs.trim_start().starts_with('{') {
        return Err(bad("kwargs must be an object"));
    }
    let now = site.ops.clock.now();
    let after = |value: &Value| {
        let secs = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|secs| *secs >= 0.0);
        let span = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok()).filter(|span| *span < FAR);
        span.map(|span| now + span).ok_or_else(invalid)
    };
    let at = |value: &Value| value.as_str().and_then(|text| time(text, handed_on)).ok_or_else(invalid);
    let eta = match (value(options, "eta"), value(options, "countdown")) {
        (Some(eta), _) => Some(at(&eta)?),
        (None, Some(countdown)) => Some(after(&countdown)?),
        (None, None) => None,
    };
    let expires = value(options, "expires").map(|value| after(&value).or_else(|_| at(&value))).transpose()?;
    let priority = match value(options, "priority") {
        Some(priority) => u8::try_from(priority.as_u64().unwrap_or(99)).ok().filter(|p| *p <= 9).ok_or_else(invalid)?,
        None => 0,
    };
    let (queue, route) = place(site, &call.rest, options);
    let wish = Wish {
        task: call.rest.clone(),
        args,
        kwargs,
        queue,
        priority,
        eta: eta.map(Stamp::iso),
        expires: expires.map(Stamp::iso),
    };
    let mut message = message(&wish).map_err(|why| bad(why.to_string()))?;
    message.route = route;
    if let Some(id) = text(options, "task_id") {
        message.id = TaskId::new(&id);
    }
    Ok(message)
}

/// What lies farther ahead is a slip.
const FAR: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Where it is sent: as asked, as the application routes it by name, or to its usual queue.
fn place(site: &Site, task: &str, options: &Options) -> (String, Option<(String, String)>) {
    let route = text(options, "routing_key").map(|key| (text(options, "exchange").unwrap_or_default(), key));
    let routed = || {
        let routes = site.inspections.setting("task_routes")?;
        Some(routes.get(task)?.get("queue")?.as_str()?.to_owned())
    };
    let queue = text(options, "queue").or_else(|| route.as_ref().map(|(_, key)| key.clone())).or_else(routed);
    (queue.unwrap_or_else(|| queues::default(site)), route)
}

/// Sends it, and says under which id.
async fn send(site: &Arc<Site>, call: &Call, options: &Options, handed_on: bool) -> Result<TaskId, Box<Answer>> {
    let message = outgoing(site, call, options, handed_on)?;
    let id = message.id.clone();
    let receipt = control::run(site, call, &Command::Send(Box::new(message))).await?;
    match &receipt.outcome {
        Outcome::Confirmed => Ok(id),
        // It may have been sent: whoever tries again should know.
        outcome => Err(Box::new(Answer::text(503, outcome.why().unwrap_or_default()))),
    }
}

pub(super) async fn apply(site: &Arc<Site>, call: &Call) -> Said {
    if !is_task(site, &call.rest) {
        return Err(unknown("task", &call.rest));
    }
    let options = options(call)?;
    let limit = match value(&options, "timeout") {
        None => results::LONGEST,
        Some(secs) => {
            let secs = secs.as_f64().and_then(|secs| Duration::try_from_secs_f64(secs).ok());
            secs.ok_or_else(|| bad("Invalid timeout"))?
        }
    };
    // Known before anything is sent.
    let backend = results::backend(site)?;
    let id = send(site, call, &options, false).await?;
    let found = results::wait(site, &backend, &id, limit).await?;
    Ok(Answer::json(&results::document(site, &id, found.as_ref(), true)))
}

fn sent(site: &Site, id: &TaskId) -> Answer {
    match site.ops.results {
        Some(_) => Answer::json(&json!({"task-id": id, "state": "PENDING"})),
        None => Answer::json(&json!({"task-id": id})),
    }
}

pub(super) async fn async_apply(site: &Arc<Site>, call: &Call) -> Said {
    if !is_task(site, &call.rest) {
        return Err(unknown("task", &call.rest));
    }
    let options = options(call)?;
    send(site, call, &options, false).await.map(|id| sent(site, &id))
}

pub(super) async fn send_task(site: &Arc<Site>, call: &Call) -> Said {
    let options = options(call)?;
    send(site, call, &options, true).await.map(|id| sent(site, &id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_flower_reads_it() {
        let at = |text, handed_on| time(text, handed_on).map(Stamp::iso);
        let want = Some("2030-01-01T00:00:00.000000+00:00".to_owned());
        assert_eq!(at("2030-01-01 00:00:00.000000", false), want);
        assert_eq!((at("2030-01-01", false), at("2030-01-01 00:00:00", false)), (None, None));
        assert_eq!(at("2030-01-01 00:00:00", true), want);
        assert_eq!(at("2030-01-01T02:00:00+02:00", true), want);
        assert_eq!(at("soon", true), None);
    }
}
