//! `schedule [run|enable|disable NAME]`: what runs by the clock.

use serde_json::json;

use super::args::{ScheduleArgs, ScheduleCommand};
use super::env::Env;
use super::exit::{Exit, not_so};
use super::gather::{self, Gathered};
use super::{out, tasks};
use crate::clock::Stamp;
use crate::human;
use crate::ops::{Beat, Command};
use crate::redact::Redactor;
use crate::schedule::{Entry, Source};
use crate::state::Update;
use crate::state::beat::{self, Schedule};

pub async fn run(env: &Env, args: ScheduleArgs) -> anyhow::Result<Exit> {
    let cluster = gather::begin(env).await?;
    // What arrived in the last hour tells periods at once.
    if let Some(path) = env.settings.history.value.clone().filter(|path| path.exists()) {
        crate::feed::warm::fill(cluster.store.clone(), path, env.clock.now(), env.stop.clone()).await?;
    }
    let listen = if args.what.is_some() { 0.3 } else { 0.0 };
    cluster.listen(env, args.listen.unwrap_or(listen)).await;
    let read = cluster.broker.redbeat().await.map_err(|e| e.to_string());
    let now = env.clock.now();
    cluster.store.apply(&[Update::Schedule(now, read)]);
    let schedule = cluster.store.read(|m| m.schedule(now));
    let Some(what) = args.what else { return show(env, &schedule, args.json) };
    let command = command(&cluster, &schedule, &what)?;
    let receipt = tasks::run(env, &cluster, &command).await;
    tasks::print_receipt(&receipt, args.json)
}

fn command(cluster: &Gathered, schedule: &Schedule, what: &ScheduleCommand) -> anyhow::Result<Command> {
    let find = |name: &str| {
        schedule.named(name).ok_or_else(|| {
            let near = crate::text::nearest(name, schedule.entries.iter().map(|e| e.name.as_str()));
            let near = near.map_or_else(String::new, |near| format!(", did you mean {near}?"));
            not_so(format!("not one entry of the schedule is called {}{near}", crate::text::clean(name)))
        })
    };
    let beat = match what {
        ScheduleCommand::Run { name, queue } => {
            let entry = find(name)?;
            cluster.store.read(|m| Beat::run(entry, m, queue.as_deref()))
        }
        ScheduleCommand::Enable { name } => Beat::switch(find(name)?, true),
        ScheduleCommand::Disable { name } => Beat::switch(find(name)?, false),
    };
    beat.map(Command::Beat).map_err(not_so)
}

fn document(entry: &Entry, now: Stamp, redactor: &Redactor) -> serde_json::Value {
    let (confidence, arrivals, missed) = match &entry.source {
        Source::Learnt { sure, arrivals, missed, .. } => (Some(sure.word()), Some(*arrivals), Some(*missed)),
        Source::RedBeat { .. } => (None, None, None),
    };
    let late = entry.late(now);
    json!({
        "name": entry.name, "task": entry.task, "schedule": entry.when, "every": entry.every,
        "args": redactor.text(&entry.args), "kwargs": redactor.text(&entry.kwargs), "queue": entry.queue,
        "enabled": entry.enabled, "last": entry.last.map(Stamp::secs), "next": entry.next.map(Stamp::secs),
        "runs": entry.runs, "late": late.map(|l| l.secs), "missed": late.map(|l| l.missed),
        "source": if confidence.is_some() { "learnt" } else { "redbeat" },
        "confidence": confidence, "arrivals": arrivals, "missed_between": missed,
    })
}

fn show(env: &Env, schedule: &Schedule, as_json: bool) -> anyhow::Result<Exit> {
    let (now, redactor, zone) = (env.clock.now(), env.redactor(), jiff::tz::TimeZone::system());
    if as_json {
        let entries: Vec<_> = schedule.entries.iter().map(|entry| document(entry, now, &redactor)).collect();
        out::json(&json!({"entries": entries, "redbeat_lock": schedule.locked, "trouble": schedule.trouble}))?;
        return Ok(Exit::Done);
    }
    let time = |at: Option<Stamp>| at.map_or_else(|| "-".into(), |at| human::day(at, now, &zone));
    let rows = schedule.entries.iter().map(|entry| {
        let late = entry.late(now).map_or_else(String::new, |late| {
            let missed = if late.missed > 1 { format!(", {} missed", late.missed) } else { String::new() };
            format!("late {}{missed}", human::age(late.secs as u64))
        });
        let next = if entry.enabled { time(entry.next) } else { "off".into() };
        let runs = entry.runs.map_or_else(|| "-".into(), |n| n.to_string());
        let (name, task, when) = (entry.name.clone(), entry.task.clone(), entry.when.clone());
        vec![name, task, when, time(entry.last), next, runs, beat::source(entry), late]
    });
    out::table(&["NAME", "TASK", "SCHEDULE", "LAST", "NEXT", "RUNS", "KNOWN FROM", ""], &rows.collect::<Vec<_>>())?;
    for why in &schedule.trouble {
        out::error(&format!("flower-tui: {}", crate::text::clean(why)));
    }
    Ok(Exit::Done)
}
