//! Whether what we need of the cluster is there: the connection, permissions, events, clocks that agree, and settings
//! that don't work against each other.

use super::{Answers, critical, ok, unknown, warning};
use crate::broker::{Lack, Right};
use crate::clock::Stamp;
use crate::human;
use crate::ops::check::Finding;
use crate::state::Model;
use crate::state::stats::Counts;
use crate::state::task::parse_iso;

pub(super) const CONNECTION: &str = "connection";

/// Clocks may differ by so many seconds, the way of a heartbeat included.
const DRIFT: f64 = 15.0;
/// What Redis allows a subscriber where nothing else is said.
const USUAL_HARD: u64 = 32 << 20;
const USUAL_SOFT: u64 = 8 << 20;
/// Seconds after which RabbitMQ gives up a consumer that acknowledges nothing, where nothing else is said.
const CONSUMER_TIMEOUT: u64 = 1_800;

pub(super) fn connection(answers: &Answers) -> Finding {
    match &answers.health {
        Err(error) => critical(CONNECTION, error.to_string(), error.hint()),
        Ok(health) => {
            let place = health.master.as_ref().map_or(String::new(), |master| format!(", {master}"));
            let text = format!("{} {}{place} answers in {}", health.kind, health.version, human::seconds(health.rtt));
            match (health.alarms.is_empty(), &health.blind) {
                (false, _) => warning(CONNECTION, health.alarms.join(", "), "Nothing is published until that is over"),
                (true, Some(why)) => warning(CONNECTION, format!("{text}; {why}"), "Name it with --broker-api"),
                (true, None) => ok(CONNECTION, text),
            }
        }
    }
}

pub(super) fn all(answers: &Answers, model: &Model) -> Vec<Finding> {
    let mut findings = permissions(answers);
    findings.push(events(answers, model));
    findings.push(sent(model));
    findings.push(clocks(answers, model));
    findings.extend(buffer(answers));
    findings.extend(eviction(answers));
    findings.push(visibility(answers, model));
    findings.push(results(answers));
    findings
}

fn lacks(answers: &Answers) -> &[Lack] {
    answers.health.as_ref().map_or(&[], |health| health.lacks.as_slice())
}

fn permissions(answers: &Answers) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let lost = |right: Right| match right {
        Right::Events => "tasks are not shown",
        Right::Control => "workers can't be asked nor told anything, and the screen is read-only",
        Right::Replies => "what workers answer is not known",
        Right::Discovery => "queues that nobody names are not found",
        Right::Queues => "what waits is not known",
        Right::Unacked => "what was delivered and not acknowledged is not known",
    };
    let told = |lack: &Lack| {
        let text = format!("{}: no permission to {} ({})", lost(lack.right), lack.what, lack.why);
        warning(CHECK, text, "Give the user that permission; the README lists all that are of use")
    };
    let found: Vec<Finding> = lacks(answers).iter().map(told).collect();
    match found.is_empty() {
        true => vec![ok(CHECK, "events, remote control, replies, queues: nothing was refused")],
        false => found,
    }
}

/// What workers say of a setting of theirs, if any does.
fn set<'a>(model: &'a Model, name: &'a str) -> impl Iterator<Item = &'a serde_json::Value> {
    let confs = model.workers().into_iter().filter_map(|(_, worker)| worker.inspected.conf.as_ref());
    confs.filter_map(move |conf| conf.get(name)).filter(|value| !value.is_null())
}

fn events(answers: &Answers, model: &Model) -> Finding {
    const CHECK: &str = "events";
    const ADVICE: &str = "Start workers with -E or set worker_send_task_events = True; until their next restart \
                          `flower-tui worker --all enable-events` does it";
    if let Some(lack) = lacks(answers).iter().find(|lack| lack.right == Right::Events) {
        return critical(CHECK, format!("none can be heard: {}", lack.why), "Permit PSUBSCRIBE and SUBSCRIBE");
    }
    let (heard, mute) = (model.counters().task_events, model.mute(answers.now));
    let workers = model.online(answers.now).0;
    match (heard, mute) {
        (_, 0) if workers == 0 => unknown(CHECK, "no worker is online that could send any"),
        _ if model.ran_unannounced() => warning(CHECK, "tasks ran, and no event told of them", ADVICE),
        (_, mute) if mute > 0 => {
            let text =
                format!("{} of {workers} workers run tasks and send no events of them", human::thousands(mute as u64));
            warning(CHECK, text, ADVICE)
        }
        (0, _) if set(model, "worker_send_task_events").any(|on| on.as_bool() == Some(true)) => {
            ok(CHECK, "no task ran meanwhile; worker_send_task_events is set")
        }
        (0, _) => unknown(CHECK, "no task ran meanwhile, so nobody could tell of one: listen longer with --for"),
        (heard, _) => ok(CHECK, format!("{} of tasks came", human::plural(heard as usize, "event"))),
    }
}

/// Whether it is announced that tasks are sent: without it waits can't be measured.
fn sent(model: &Model) -> Finding {
    const CHECK: &str = "task-sent";
    let mut counts = Counts::default();
    model.by_name().for_each(|(_, stats)| counts.add(&stats.total));
    if counts.sent > 0 {
        return ok(CHECK, "tasks are announced when they are sent");
    }
    if set(model, "task_send_sent_event").any(|on| on.as_bool() == Some(true)) {
        return ok(CHECK, "task_send_sent_event is set");
    }
    match counts.received {
        0 => unknown(CHECK, "no task came meanwhile"),
        received => {
            let text =
                format!("{} came, and none was announced when it was sent", human::plural(received as usize, "task"));
            warning(CHECK, text, "Set task_send_sent_event = True in the application: waits and queues are known by it")
        }
    }
}

fn clocks(answers: &Answers, model: &Model) -> Finding {
    const CHECK: &str = "clocks";
    let broker = answers.setup.clocks.map(|(theirs, ours)| ("the broker".to_owned(), theirs.secs() - ours.secs()));
    let online = model.workers().into_iter().filter(|(_, worker)| worker.is_online(answers.now));
    let mut all: Vec<(String, f64)> =
        online.filter_map(|(name, worker)| Some((name.to_owned(), worker.ahead?))).chain(broker).collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let told = |(name, ahead): &(String, f64)| {
        let word = if *ahead > 0.0 { "ahead of" } else { "behind" };
        format!("{name} is {} {word} this machine", human::seconds(ahead.abs()))
    };
    match all.first() {
        None => unknown(CHECK, "nobody told a time"),
        Some((_, ahead)) if ahead.abs() < DRIFT => {
            let clocks = human::plural(all.len(), "clock");
            ok(CHECK, format!("{clocks} within {} of this machine's", human::seconds(ahead.abs())))
        }
        Some(worst) => {
            let text = told(worst);
            warning(CHECK, text, "eta and expires go wrong by that: keep time with NTP on every machine, this one too")
        }
    }
}

/// What Redis lets wait for a subscriber before it disconnects it.
fn buffer(answers: &Answers) -> Option<Finding> {
    const CHECK: &str = "subscriber-buffer";
    let health = answers.health.as_ref().ok().filter(|health| health.kind != "rabbitmq")?;
    let Some(buffer) = answers.setup.subscriber else {
        let why = answers.setup.untold.as_deref().unwrap_or("the broker does not tell");
        return Some(unknown(CHECK, format!("not known: {why}")));
    };
    let text = match (buffer.hard, buffer.soft) {
        (0, 0) => return Some(ok(CHECK, "a slow subscriber is never disconnected; its memory grows without limit")),
        (hard, soft) => {
            format!(
                "a subscriber is cut off at {}, or above {} for {} s",
                human::bytes(hard),
                human::bytes(soft),
                buffer.secs
            )
        }
    };
    let low = (buffer.hard > 0 && buffer.hard < USUAL_HARD) || (buffer.soft > 0 && buffer.soft < USUAL_SOFT);
    let full = health.backlog.is_some_and(|waiting| buffer.soft > 0 && waiting > buffer.soft / 2);
    Some(match (low, full) {
        (false, false) => ok(CHECK, text),
        (_, true) => warning(
            CHECK,
            format!("{text}, and half of that waits already"),
            "Who reads too slowly? `CLIENT LIST TYPE pubsub`",
        ),
        (true, _) => {
            warning(CHECK, text, "Events are lost with it: client-output-buffer-limit pubsub 32mb 8mb 60, or more")
        }
    })
}

fn eviction(answers: &Answers) -> Option<Finding> {
    const CHECK: &str = "eviction";
    let limited = answers.health.as_ref().ok()?.memory_max.is_some_and(|most| most > 0);
    let policy = answers.setup.eviction.as_deref()?;
    Some(match policy {
        "noeviction" => ok(CHECK, "noeviction: no message is thrown away"),
        policy if !limited => ok(CHECK, format!("{policy}, of no effect while no maxmemory is set")),
        policy => {
            let text = format!("{policy}: when its memory is full, Redis may throw queues away");
            critical(CHECK, text, "Set maxmemory-policy noeviction")
        }
    })
}

/// Tasks that are held for longer than a message may stay unacknowledged: they are given out again and again.
fn visibility(answers: &Answers, model: &Model) -> Finding {
    const CHECK: &str = "visibility-timeout";
    let theirs =
        set(model, "broker_transport_options").filter_map(|options| options.get("visibility_timeout")?.as_u64());
    let rabbit = answers.health.as_ref().is_ok_and(|health| health.kind == "rabbitmq");
    let ours = answers.health.as_ref().ok().and_then(|health| health.visibility_timeout);
    let (name, limit) = match rabbit {
        true => ("consumer_timeout (RabbitMQ's usual)", Some(CONSUMER_TIMEOUT)),
        // The lowest of all consumers decides.
        false => ("visibility_timeout", theirs.min().or(ours)),
    };
    let Some(limit) = limit else { return unknown(CHECK, "the broker has none that is known") };
    let (mut held, mut beyond, mut furthest): (usize, usize, u64) = (0, 0, 0);
    let mut answered = false;
    for (_, worker) in model.workers() {
        let Some(scheduled) = &worker.inspected.scheduled else { continue };
        answered = true;
        for eta in scheduled.iter().filter_map(|task| parse_iso(task.eta.as_deref()?)) {
            let secs = Stamp::since(eta, answers.now).as_secs();
            (held, furthest) = (held + 1, furthest.max(secs));
            beyond += usize::from(secs > limit);
        }
    }
    let limit = human::about(limit);
    match (answered, beyond) {
        (false, _) => unknown(CHECK, format!("{name} is {limit}; no worker told what it holds until its time")),
        (true, 0) => {
            ok(CHECK, format!("{name} is {limit}, and none of {} is due later", human::plural(held, "scheduled task")))
        }
        (true, beyond) => {
            let text = format!(
                "{} due later than the {name} of {limit}, up to {}",
                human::plural(beyond, "scheduled task"),
                human::about(furthest)
            );
            let advice = match rabbit {
                true => "Raise consumer_timeout, or send them later (RedBeat, native delayed delivery)",
                false => {
                    "They run once for each timeout: raise visibility_timeout in every application, or send them later (RedBeat)"
                }
            };
            warning(CHECK, text, advice)
        }
    }
}

fn results(answers: &Answers) -> Finding {
    const CHECK: &str = "result-backend";
    match &answers.results {
        None => unknown(CHECK, "none is named that could be read: --result-backend"),
        Some(Ok(url)) => ok(CHECK, format!("{url} answers")),
        Some(Err(why)) => {
            warning(CHECK, why, "Without it what was cut short in events stays so; name it with --result-backend")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::broker::setup::Buffer;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::celery::pidbox::Reply;
    use crate::ops::check::Status;
    use crate::state::{Limits, Store, Update};

    fn assert(finding: &Finding, status: Status, words: &str) {
        assert!(finding.status == status && finding.text.contains(words), "{finding:?}");
    }

    fn answered(store: &Store, at: Stamp, method: &'static str, value: Value) {
        store.apply(&[Update::Inspected(at, method, vec![Reply { worker: "w@h".into(), value }])]);
    }

    #[test]
    fn an_eta_beyond_the_lowest_visibility_timeout_is_told() {
        let (answers, store) = (Answers::of("redis://h"), Store::new(Limits::default()));
        let judge = |store: &Store| store.read(|m| visibility(&answers, m));
        assert(&judge(&store), Status::Unknown, "no worker told what it holds");
        let hold = |secs: u64| {
            let eta = (answers.now + Duration::from_secs(secs)).iso();
            answered(&store, answers.now, "scheduled", json!([{"eta": eta, "request": {"id": "x", "name": "t"}}]));
        };
        hold(3_000);
        assert(&judge(&store), Status::Ok, "none of 1 scheduled task is due later");
        hold(7_200);
        assert(&judge(&store), Status::Warning, "1 scheduled task due later than the visibility_timeout of 1h 00m");
        let options = json!({"broker_transport_options": {"visibility_timeout": 43_200}});
        answered(&store, answers.now, "conf", options);
        assert(&judge(&store), Status::Ok, "visibility_timeout is 12h 00m");
    }

    #[test]
    fn a_clock_that_is_off_is_named() {
        let (mut answers, store) = (Answers::of("redis://h"), Store::new(Limits::default()));
        let judge = |answers: &Answers| store.read(|m| clocks(answers, m));
        assert(&judge(&answers), Status::Unknown, "nobody told a time");
        answers.setup.clocks = Some((answers.now + Duration::from_secs(2), answers.now));
        assert(&judge(&answers), Status::Ok, "1 clock within 2.00s");
        let late = answers.now - Duration::from_secs(90);
        let body = format!(r#"{{"type":"worker-heartbeat","hostname":"w@h","freq":2.0,"timestamp":{}}}"#, late.secs());
        let mut batch = Batch::default();
        batch.push_body(Format::Json, body.as_bytes(), answers.now).expect("readable");
        store.apply(&[Update::Events(Arc::new(batch))]);
        assert(&judge(&answers), Status::Warning, "w@h is 1m 30s behind this machine");
    }

    #[test]
    fn what_would_lose_events_or_messages_is_told() {
        let mut answers = Answers::of("redis://h");
        assert(&buffer(&answers).expect("Redis"), Status::Unknown, "does not tell");
        answers.setup.subscriber = Some(Buffer { hard: 32 << 20, soft: 8 << 20, secs: 60 });
        assert(&buffer(&answers).expect("Redis"), Status::Ok, "cut off at 32M, or above 8.0M for 60 s");
        answers.setup.subscriber = Some(Buffer { hard: 1 << 20, soft: 0, secs: 0 });
        assert(&buffer(&answers).expect("Redis"), Status::Warning, "cut off at 1.0M");
        answers.setup.eviction = Some("allkeys-lru".into());
        assert(&eviction(&answers).expect("told"), Status::Ok, "of no effect");
        answers.health.as_mut().expect("there").memory_max = Some(1 << 30);
        assert(&eviction(&answers).expect("told"), Status::Critical, "may throw queues away");
    }
}
