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
use crate::ops::{Command, Control, Course};
use crate::state::doc::WorkerDoc;
use crate::state::worker::Worker;

/// Names, and what they are to do.
#[derive(Debug, PartialEq)]
struct Asked {
    names: Vec<String>,
    action: Option<Control>,
}

fn parse(words: &[String], all: bool) -> Result<Asked, String> {
    let Some(at) = words.iter().position(|w| VERBS.contains(&w.as_str())) else {
        // A worker's full name has an `@`: what has none behind the first name was meant to be an action.
        let action = words.iter().skip(usize::from(!all)).find(|w| !w.contains(['@', '*']));
        return match action {
            Some(word) => Err(no_action(word)),
            None => Ok(Asked { names: words.to_vec(), action: None }),
        };
    };
    let action = Control::parse(&words[at], &words[at + 1..])?;
    Ok(Asked { names: words[..at].to_vec(), action: Some(action) })
}

fn no_action(word: &str) -> String {
    let meant = crate::text::nearest(word, VERBS);
    let meant = meant.map_or_else(|| format!("there are {}", VERBS.join(", ")), |near| format!("did you mean {near}?"));
    format!("there is no action {word}: {meant}")
}

pub async fn run(env: &Env, args: WorkerArgs) -> anyhow::Result<Exit> {
    let asked = parse(&args.words, args.all).map_err(usage)?;
    if asked.names.is_empty() && !args.all {
        return Err(usage("name a worker, or say --all"));
    }
    let cluster = gather::begin(env).await?;
    cluster.listen(env, 0.3).await;
    let names = resolve(&known(&cluster), &asked.names, args.all, asked.action.is_some())?;
    let Some(what) = asked.action else { return show(&cluster, env, &names, args.json) };
    let stepwise = what.is_stepwise();
    let command = Command::Control { workers: names, what };
    let health = cluster.health();
    for caveat in cluster.store.read(|m| command.caveats(m, health.as_ref())) {
        out::error(crate::text::clean(&caveat).as_str());
    }
    let mut ops = env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true);
    ops.wait = Duration::from_secs_f64(args.wait.min(1e6));
    let tell = |step: String| out::error(crate::text::clean(&step).as_str());
    let mut course = Course::telling(tell);
    course.limit = Duration::from_secs_f64(args.limit.min(1e6));
    if stepwise {
        let stop = course.stop.clone();
        tokio::spawn(async move {
            super::ui::stopped_by_signal().await;
            stop.cancel();
        });
    }
    let receipt = ops.run_along(&command, &course).await;
    let exit = tasks::print_receipt(&receipt, args.json)?;
    // Nobody was asked here whether the others are enough.
    let partly = receipt.replies.iter().any(|(_, value)| value.get("left_out").is_some());
    Ok(if exit == Exit::Done && partly { Exit::NotSo } else { exit })
}

/// A worker that was heard of, and whether it said goodbye.
struct Known {
    name: String,
    ended: bool,
}

fn known(cluster: &Gathered) -> Vec<Known> {
    let known = |(name, worker): (&str, &Worker)| Known { name: name.to_owned(), ended: worker.said_offline };
    cluster.store.read(|m| m.workers().into_iter().map(known).collect())
}

/// The workers that names and globs stand for. A busy worker with a solo pool is silent, and so are others in trouble:
/// they are asked all the same, and named where they give no answer.
fn resolve(known: &[Known], names: &[String], all: bool, orders: bool) -> anyhow::Result<Vec<String>> {
    let there = || known.iter().filter(|w| !w.ended).map(|w| &w.name);
    if all {
        let names: Vec<String> = there().cloned().collect();
        return if names.is_empty() { Err(not_so("no worker is online")) } else { Ok(names) };
    }
    let mut found = Vec::new();
    for name in names {
        if name.contains('*') {
            let pattern = Pattern::new(name);
            let before = found.len();
            found.extend(there().filter(|n| pattern.matches(n)).cloned());
            if found.len() == before {
                return Err(not_so(format!("no worker {name} is online")));
            }
        } else if known.iter().any(|w| w.name == *name) || (orders && name.contains('@')) {
            // An order reaches whoever has this name, heard of or not.
            found.push(name.clone());
        } else {
            let near = crate::text::nearest(name, known.iter().map(|w| w.name.as_str()));
            let near = near.map_or_else(String::new, |n| format!(", did you mean {n}?"));
            return Err(not_so(format!("no worker {name} is online{near}")));
        }
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
                    l.iter().map(|h| json!({"id": h.id, "name": h.name, "args": h.args(m.redactor()), "pid": h.pid, "started": h.started.map(|s| s.secs())})).collect::<Vec<_>>()
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
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), false)
    }

    fn some(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn what_is_no_action_is_told_with_what_was_meant() {
        assert_eq!(words("w@h shutdwn").map_err(|e| e.contains("did you mean shutdown?")), Err(true));
        assert!(words("w@h frob").is_err_and(|e| e.contains("there is no action frob")));
        assert!(words("w@h v@h").is_ok() && words("w").is_ok());
        assert!(parse(&some(&["frob"]), true).is_err());
    }

    #[test]
    fn an_order_goes_to_a_full_name_whether_it_was_heard_of_or_not() {
        let known: Vec<Known> = [("a@h", false), ("b@h", false), ("gone@h", true)]
            .map(|(name, ended)| Known { name: name.to_owned(), ended })
            .into();
        let found = |names: &[&str], all, orders| resolve(&known, &some(names), all, orders).map_err(|e| e.to_string());
        assert_eq!(found(&["solo@box"], false, true), Ok(some(&["solo@box"])));
        assert!(found(&["solo@box"], false, false).is_err(), "nothing can be shown of it");
        assert_eq!(found(&["gone@h"], false, true), Ok(some(&["gone@h"])));
        assert_eq!(found(&["*@h"], false, true), Ok(some(&["a@h", "b@h"])));
        assert_eq!(found(&[], true, true), Ok(some(&["a@h", "b@h"])));
        assert!(found(&["a-h"], false, true).is_err_and(|e| e.contains("did you mean a@h?")));
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
