//! `overrides [apply|take-back ID]`: what was changed at runtime and a restart forgets.

use std::time::Duration;

use serde_json::json;

use super::args::{OverridesArgs, OverridesCommand};
use super::env::Env;
use super::exit::{Exit, not_so};
use super::gather::{self, Gathered};
use super::{out, tasks};
use crate::celery::pidbox::{Method, Request};
use crate::clock::Stamp;
use crate::human;
use crate::ops::overrides::{Override, overrides};
use crate::state::Update;

/// How long workers have to tell what they are like.
const ANSWER: Duration = Duration::from_secs(2);

pub async fn run(env: &Env, args: OverridesArgs) -> anyhow::Result<Exit> {
    let cluster = gather::begin(env).await?;
    cluster.listen(env, 0.3).await;
    ask(&cluster, env).await;
    let ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
    let log = ops.logged().map_err(not_so)?;
    let found = cluster.store.read(|m| overrides(&log, m, env.clock.now()));
    let (id, again) = match args.what {
        None => return show(env, &found, args.json),
        Some(OverridesCommand::Apply { id }) => (id, true),
        Some(OverridesCommand::TakeBack { id }) => (id, false),
    };
    let one = found.iter().find(|one| one.id == id);
    let one = one.ok_or_else(|| not_so(format!("there is no override {id}; `flower-tui overrides` lists them")))?;
    let command =
        if again { one.again() } else { one.back() }.map_err(|why| not_so(format!("{}: {why}", one.title())))?;
    let receipt = ops.run(&command).await;
    tasks::print_receipt(&receipt, args.json)
}

/// Asks the workers for what shows whether an order still holds.
async fn ask(cluster: &Gathered, env: &Env) {
    let now = env.clock.now();
    let online: Vec<String> = cluster
        .store
        .read(|m| m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(name, _)| name.to_owned()).collect());
    for method in [Method::Stats, Method::Registered, Method::ActiveQueues] {
        let name = method.name();
        // Who gives no answer is told by when it started.
        if let Ok(replies) = cluster.broker.control(&Request::to_all(method), &online, ANSWER).await {
            cluster.store.apply(&[Update::Inspected(env.clock.now(), name, replies)]);
        }
    }
}

fn show(env: &Env, found: &[Override], as_json: bool) -> anyhow::Result<Exit> {
    if as_json {
        let document = |one: &Override| {
            let workers: serde_json::Map<_, _> =
                one.workers.iter().map(|(name, has)| (name.clone(), json!(has.words()))).collect();
            json!({"id": one.id, "command": one.what.verb(), "arguments": one.what.arguments(), "text": one.title(),
                "set": one.at.secs(), "user": one.user, "workers": workers})
        };
        out::json(&found.iter().map(document).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let (zone, now) = (jiff::tz::TimeZone::system(), env.clock.now());
    let time = |at: Stamp| human::day(at, now, &zone);
    let rows = found.iter().flat_map(|one| {
        one.workers.iter().enumerate().map(move |(i, (name, has))| {
            let first = if i == 0 {
                [one.id.to_string(), one.title(), time(one.at), one.user.clone()]
            } else {
                Default::default()
            };
            first.into_iter().chain([name.clone(), has.words().to_owned()]).collect::<Vec<_>>()
        })
    });
    out::table(&["ID", "CHANGED", "WHEN", "BY", "WORKER", ""], &rows.collect::<Vec<_>>())?;
    Ok(Exit::Done)
}
