//! `queue NAME ACTION`, `undo`: changing what waits in queues.

use std::io::{BufRead, IsTerminal, Write};

use super::args::{QueueArgs, UndoArgs};
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::gather::{self, Gathered};
use super::tasks;
use crate::celery::TaskId;
use crate::ops::queue::{VERBS, undoable};
use crate::ops::{Command, Course, QueueAction, Which};
use crate::state::Update;
use crate::text::clean;

/// Deliveries whose tasks are looked up in the history.
const DELIVERIES: usize = 10_000;

/// The action that a command line names.
pub fn parse(args: &QueueArgs, now: &str) -> Result<QueueAction, String> {
    let [verb, rest @ ..] = &args.words[..] else { return Err("name an action".into()) };
    let which = |ids: &[String]| Which::parse(ids, args.filter.as_deref(), args.group.as_deref(), args.all);
    let none = |what: QueueAction| match rest {
        [] => Ok(what),
        _ => Err(format!("{verb} takes nothing more")),
    };
    let one = |what: &str| match rest {
        [one] => Ok(one.clone()),
        _ => Err(format!("{verb} takes {what}")),
    };
    match verb.as_str() {
        "purge" => none(QueueAction::Purge),
        "delete" => Ok(QueueAction::Delete(which(rest)?)),
        "move" => match rest {
            [ids @ .., to] => Ok(QueueAction::Move(which(ids)?, to.clone())),
            [] => Err("move takes ids, or --filter, --group or --all, and the queue to move to".into()),
        },
        "rename" => match rest {
            [ids @ .., task] => Ok(QueueAction::Rename(which(ids)?, task.clone())),
            [] => Err("rename takes ids, or --filter, --group or --all, and the name of a task".into()),
        },
        "aside" => match rest {
            [] => Ok(QueueAction::Aside(format!("{}.aside-{now}", args.name))),
            _ => one("at most the name to give it").map(QueueAction::Aside),
        },
        "dump" => Ok(QueueAction::Dump { path: one("a file")?, take: args.take }),
        "load" => one("a file").map(QueueAction::Load),
        "hold" => none(QueueAction::Hold),
        "release" => none(QueueAction::Release),
        "requeue-unacked" => match rest {
            [] => Ok(QueueAction::RequeueUnacked(None)),
            _ => one("at most a worker's name").map(|name| QueueAction::RequeueUnacked(Some(name))),
        },
        other => {
            let meant = crate::text::nearest(other, VERBS);
            let meant =
                meant.map_or_else(|| format!("there are {}", VERBS.join(", ")), |m| format!("did you mean {m}?"));
            Err(format!("there is no action {other}: {meant}"))
        }
    }
}

/// Does something with a queue.
pub async fn act(env: &Env, args: QueueArgs) -> anyhow::Result<Exit> {
    let now = crate::human::in_a_name(env.clock.now(), &jiff::tz::TimeZone::UTC);
    let what = parse(&args, &now).map_err(usage)?;
    let cluster = gather::begin(env).await?;
    cluster.listen(env, 0.3).await;
    let depths = cluster.broker.queues(std::slice::from_ref(&args.name)).await?;
    cluster.store.apply(&[Update::Queues(env.clock.now(), depths)]);
    if matches!(what, QueueAction::RequeueUnacked(_)) {
        let delivered = cluster.broker.unacked(DELIVERIES).await?;
        let ids: Vec<TaskId> = delivered.into_iter().filter_map(|entry| Some(entry.message.ok()?.id)).collect();
        tasks::recall(&cluster.store, env, &ids)?;
    }
    let sure = match &what {
        // Who names each message has said what is meant.
        QueueAction::Delete(Which::Ids(_)) => true,
        QueueAction::Dump { take, .. } => !take,
        QueueAction::Delete(_) | QueueAction::Purge => false,
        _ => true,
    };
    let command = match what {
        QueueAction::Delete(which) => Command::delete(args.name, which),
        what => Command::Queue { queue: args.name, what },
    };
    if !sure && !args.yes && !agreed(&cluster, &command)? {
        return Err(not_so("nothing was done"));
    }
    run(env, &cluster, &command, args.json).await
}

/// Carries a command out that may take long, telling how far it is.
pub async fn run(env: &Env, cluster: &Gathered, command: &Command, as_json: bool) -> anyhow::Result<Exit> {
    let mut ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
    ops.going = going();
    let stop = ops.going.stop.clone();
    let ended = super::ui::stopped_by_signal();
    // What is under way is brought to its next good place.
    let watch = tokio::spawn(async move {
        ended.await;
        stop.cancel();
    });
    let mut receipt = ops.run(command).await;
    watch.abort();
    // After a canary whoever sits here is asked whether the rest shall go.
    if let Some(next) = receipt.next.take()
        && std::io::stdin().is_terminal()
    {
        tasks::print_receipt(&receipt, as_json)?;
        if !agreed(cluster, &next)? {
            return Ok(Exit::NotSo);
        }
        return Box::pin(run(env, cluster, &next, as_json)).await;
    }
    tasks::print_receipt(&receipt, as_json)
}

/// Asks whoever sits at the terminal; nobody there is no yes.
pub fn agreed(cluster: &Gathered, command: &Command) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(usage(format!(
            "{} asks before it begins, and nobody is there to answer: add --yes",
            command.verb()
        )));
    }
    let preview = cluster.store.read(|m| command.preview(m));
    let mut ask = std::io::stderr().lock();
    for line in &preview.lines {
        writeln!(ask, "  {}", clean(line))?;
    }
    write!(ask, "{} [y/N] ", clean(&preview.title))?;
    ask.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Tells how far it is, where a person looks on.
pub fn going() -> Course {
    if !std::io::stderr().is_terminal() {
        return Course::default();
    }
    Course::telling(|text| {
        // Who has closed the terminal misses nothing.
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}", clean(&text));
    })
}

/// Takes back what was done with a queue.
pub async fn undo(env: &Env, args: UndoArgs) -> anyhow::Result<Exit> {
    let logged = env.logged(args.row)?;
    let Some(logged) = logged else {
        return Err(not_so(format!(
            "there is no command {} in the log: `flower-tui history audit` lists them",
            args.row
        )));
    };
    let what = undoable(&logged).map_err(not_so)?;
    let cluster = gather::begin(env).await?;
    let command = Command::Undo { row: args.row, what };
    run(env, &cluster, &command, args.json).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn read(line: &str) -> Result<QueueAction, String> {
        let words = ["flower-tui", "queue", "q"].into_iter().chain(line.split(' '));
        let cli = super::super::args::Cli::try_parse_from(words).map_err(|e| e.to_string())?;
        let Some(super::super::args::Command::Queue(args)) = cli.command else { return Err("no queue".into()) };
        parse(&args, "TIME")
    }

    #[test]
    fn what_is_to_be_done_with_a_queue_is_read_with_what_it_takes() {
        assert_eq!(read("purge --yes"), Ok(QueueAction::Purge));
        assert_eq!(read("aside"), Ok(QueueAction::Aside("q.aside-TIME".into())));
        let ids = Which::Ids([TaskId::new("a"), TaskId::new("b")].into());
        assert_eq!(read("move a b other"), Ok(QueueAction::Move(ids, "other".into())));
        assert_eq!(
            read("move --filter task:x other"),
            Ok(QueueAction::Move(Which::Filter("task:x".into()), "other".into()))
        );
        assert_eq!(read("dump f --take"), Ok(QueueAction::Dump { path: "f".into(), take: true }));
        assert_eq!(read("requeue-unacked w@h"), Ok(QueueAction::RequeueUnacked(Some("w@h".into()))));
        for wrong in ["delete", "delete a --all", "purge x", "dump", "load a b", "moev x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("purgee").is_err_and(|why| why.contains("did you mean purge?")));
    }
}
