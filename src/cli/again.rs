//! `retry`: tasks sent again with what they had.

use std::io::IsTerminal;
use std::time::Duration;

use super::args::RetryArgs;
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::gather;
use super::{change, out, tasks};
use crate::celery::TaskId;
use crate::human;
use crate::ops::bulk::{CANARY, MANY, RATE};
use crate::ops::retry::{Options, Retry};
use crate::ops::{Bulk, Command};
use crate::state::State;
use crate::text::clean;

pub async fn retry(env: &Env, args: RetryArgs) -> anyhow::Result<Exit> {
    let options = options(env, &args)?;
    let cluster = gather::begin(env).await?;
    let ids = match &args.filter {
        Some(filter) => tasks::selected(env, &cluster, filter, args.listen).await?,
        None => {
            let ids: Vec<TaskId> = args.ids.iter().map(|id| TaskId::new(id.trim())).collect();
            let known = tasks::recall(&cluster.store, env, &ids)?.len() == ids.len();
            cluster.listen(env, args.listen.unwrap_or(if known { 0.0 } else { tasks::LISTEN })).await;
            ids
        }
    };
    // Whoever names a task means it; of those that a filter selects, the ones that may run again by themselves stay.
    let waits = |id: &TaskId| cluster.store.read(|m| m.task(id).is_some_and(|task| !task.state().is_ready()));
    let (stay, ids): (Vec<TaskId>, Vec<TaskId>) = ids.into_iter().partition(|id| args.filter.is_some() && waits(id));
    let sent = |id: &TaskId| cluster.store.read(|m| m.task(id).is_some_and(|task| task.retried_as().is_some()));
    let (again, ids): (Vec<TaskId>, Vec<TaskId>) = ids.into_iter().partition(|id| args.filter.is_some() && sent(id));
    if !again.is_empty() {
        let n = human::plural(again.len(), "task");
        out::error(&format!("flower-tui: {n} sent again already, left out: name one by its id to send it once more"));
    }
    if !stay.is_empty() {
        let retrying = |id: &&TaskId| cluster.store.read(|m| m.task(id).is_some_and(|t| t.state() == State::Retry));
        let n = stay.iter().filter(retrying).count();
        out::error(&format!(
            "flower-tui: {} have not ended and are left out, {n} of them will be retried by Celery",
            stay.len()
        ));
    }
    let ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
    let (mut ready, mut refused) = (Vec::new(), Vec::new());
    for (id, prepared) in ops.prepare(&ids, &options).await {
        match prepared {
            Ok(retry) => ready.push(retry),
            Err(why) => refused.push(format!("{id} can't be sent again exactly: {why}")),
        }
    }
    for line in &refused {
        out::error(&format!("flower-tui: {}", clean(line)));
    }
    if ready.is_empty() {
        return Err(not_so("nothing was sent"));
    }
    if args.dry_run {
        return dry_run(&ready, refused.is_empty(), env);
    }
    let partly = !refused.is_empty();
    let bulk = args.rate.is_some() || args.canary.is_some() || ready.len() > MANY;
    let command = if bulk {
        let usual = if ready.len() > MANY && std::io::stdin().is_terminal() && !args.yes { CANARY } else { 0 };
        let (rate, canary) = (args.rate.unwrap_or(RATE), args.canary.unwrap_or(usual));
        Command::Bulk(Bulk::New { tasks: ready, refused, rate, canary, filter: args.filter.clone() })
    } else {
        Command::Retry { tasks: ready, refused }
    };
    if (args.filter.is_some() || bulk) && !args.yes && !change::agreed(&cluster, &command)? {
        return Err(not_so("nothing was sent"));
    }
    let exit = change::run(env, &cluster, &command, args.json).await?;
    Ok(if exit == Exit::Done && partly { Exit::NotSo } else { exit })
}

fn options(env: &Env, args: &RetryArgs) -> anyhow::Result<Options> {
    if args.ids.len() != 1 && (args.args.is_some() || args.kwargs.is_some()) {
        return Err(usage("--args and --kwargs are those of one task: name one id"));
    }
    Ok(Options {
        queue: args.queue.clone(),
        eta: eta(env, args.eta.as_deref(), args.countdown)?,
        same_id: args.same_id,
        args: args.args.clone(),
        kwargs: args.kwargs.clone(),
    })
}

/// When a task may start, in Celery's notation.
pub fn eta(env: &Env, eta: Option<&str>, countdown: Option<f64>) -> anyhow::Result<Option<String>> {
    if let Some(secs) = countdown {
        return Ok(Some((env.clock.now() + Duration::from_secs_f64(secs.min(1e9))).iso()));
    }
    let Some(text) = eta else { return Ok(None) };
    let at = crate::ops::send::moment(text);
    let at = at.ok_or_else(|| usage(format!("--eta takes a time such as 2026-11-25T14:00:00Z, and not {text:?}")))?;
    Ok(Some(at.iso()))
}

fn dry_run(ready: &[Retry], all: bool, env: &Env) -> anyhow::Result<Exit> {
    for task in ready {
        for line in task.lines(&env.redactor()) {
            out::line(clean(&line).as_str())?;
        }
    }
    Ok(if all { Exit::Done } else { Exit::NotSo })
}
