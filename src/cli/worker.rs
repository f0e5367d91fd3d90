//! `worker NAME… [ACTION]`.

use std::time::Duration;

use serde_json::json;

use super::args::WorkerArgs;
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::gather::{self, Gathered};
use super::{out, tasks};
use crate::filter::Pattern;
use crate::ops::control::VERBS;
use crate::ops::{Command, Control};
use crate::state::doc::WorkerDoc;

/// Names, and what they are to do.
#[derive(Debug, PartialEq)]
struct Asked {
    names: Vec<String>,
    action: Option<Control>,
}

fn parse(words: &[String]) -> Result<Asked, String> {
    let Some(at) = words.iter().position(|w| VERBS.contains(&w.as_str())) else {
        return Ok(Asked { names: words.to_vec(), action: None });
    };
    let action = Control::parse(&words[at], &words[at + 1..])?;
    Ok(Asked { names: words[..at].to_vec(), action: Some(action) })
}

pub async fn run(env: &Env, args: WorkerArgs) -> anyhow::Result<Exit> {
    let asked = parse(&args.words).map_err(usage)?;
    if asked.names.is_empty() && !args.all {
        return Err(usage("name a worker, or say --all"));
    }
    let cluster = gather::begin(env).await?;
    cluster.listen(env, 0.3).await;
    let names = resolve(&cluster, env, &asked.names, args.all)?;
    let Some(what) = asked.action else { return show(&cluster, env, &names, args.json) };
    let command = Command::Control { workers: names, what };
    let mut ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
    ops.wait = Duration::from_secs_f64(args.wait.min(1e6));
    tasks::print_receipt(&ops.run(&command).await, args.json)
}

/// The online workers that names and globs stand for.
fn resolve(cluster: &Gathered, env: &Env, names: &[String], all: bool) -> anyhow::Result<Vec<String>> {
    let now = env.clock.now();
    let known: Vec<(String, bool)> =
        cluster.store.read(|m| m.workers().into_iter().map(|(name, w)| (name.to_owned(), w.is_online(now))).collect());
    let online = || known.iter().filter(|(_, online)| *online).map(|(name, _)| name);
    if all {
        let names: Vec<String> = online().cloned().collect();
        return if names.is_empty() { Err(not_so("no worker is online")) } else { Ok(names) };
    }
    let mut found = Vec::new();
    for name in names {
        let pattern = Pattern::new(&if name.contains('*') { name.clone() } else { format!("={name}") });
        let matching: Vec<&String> = online().filter(|n| pattern.matches(n)).collect();
        if matching.is_empty() {
            let near = crate::text::nearest(name, known.iter().map(|(n, _)| n.as_str()));
            let near = near.map_or_else(String::new, |n| format!(", did you mean {n}?"));
            return Err(not_so(format!("no worker {name} is online{near}")));
        }
        found.extend(matching.into_iter().cloned());
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn show(cluster: &Gathered, env: &Env, names: &[String], as_json: bool) -> anyhow::Result<Exit> {
    let now = env.clock.now();
    let mut documents = Vec::new();
    cluster.store.read(|m| {
        for name in names {
            let Some(worker) = m.worker(name) else { continue };
            let mut document = serde_json::to_value(WorkerDoc::new(name, worker, now)).unwrap_or_default();
            let held = |list: &Option<Vec<crate::state::worker::Held>>| {
                list.as_ref().map(|l| {
                    l.iter().map(|h| json!({"id": h.id, "name": h.name, "args": h.args, "pid": h.pid, "started": h.started.map(|s| s.secs())})).collect::<Vec<_>>()
                })
            };
            document["active_tasks"] = json!(held(&worker.inspected.active));
            document["reserved_tasks"] = json!(held(&worker.inspected.reserved));
            document["pids"] = json!(worker.inspected.stats.as_ref().map(|s| s.pool.processes.clone()));
            document["broker"] = json!(worker.inspected.stats.as_ref().map(|s| s.broker.clone()));
            documents.push(document);
        }
    });
    if as_json {
        match &documents[..] {
            [one] => out::json(one)?,
            many => out::json(&many)?,
        }
        return Ok(Exit::Done);
    }
    for document in &documents {
        for (key, value) in document.as_object().into_iter().flatten() {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => "-".into(),
                other => other.to_string(),
            };
            out::line(&format!("{key:<15} {}", crate::text::clean(&text)))?;
        }
        out::line("")?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Asked, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn names_come_before_the_action_and_its_number() {
        let asked =
            |names: &[&str], action| Ok(Asked { names: names.iter().map(|n| (*n).to_owned()).collect(), action });
        assert_eq!(words("a b grow 2"), asked(&["a", "b"], Some(Control::Grow(2))));
        assert_eq!(words("a shrink"), asked(&["a"], Some(Control::Shrink(1))));
        assert_eq!(words("a autoscale 8,2"), asked(&["a"], Some(Control::Autoscale { max: 8, min: 2 })));
        assert_eq!(words("a cancel-queue grow"), asked(&["a"], Some(Control::CancelQueue("grow".into()))));
        let limit = Control::RateLimit { task: "t".into(), rate: "10/m".into() };
        assert_eq!(words("a* rate-limit t 10/m"), asked(&["a*"], Some(limit)));
        let limits = Control::TimeLimit { task: "t".into(), soft: None, hard: Some(60.0) };
        assert_eq!(words("a time-limit t none 1m"), asked(&["a"], Some(limits)));
        assert_eq!(words("a"), asked(&["a"], None));
        assert!(words("a grow 0").is_err() && words("a ping 3").is_err() && words("a grow x").is_err());
    }
}
