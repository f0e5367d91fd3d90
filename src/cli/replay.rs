//! `replay FILE`.

use std::sync::Arc;

use serde_json::json;

use super::args::ReplayArgs;
use super::env::Env;
use super::exit::Exit;
use super::{out, ui};
use crate::clock::{Clock, Stamp};
use crate::feed::apply_messages;
use crate::feed::replay::{ReplayBroker, read};
use crate::state::doc::{TaskDoc, WorkerDoc};

pub async fn run(env: Env, args: ReplayArgs) -> anyhow::Result<Exit> {
    let messages = read(&args.file)?;
    if !args.json {
        let begin = messages.first().map_or(Stamp::EPOCH, |m| m.received);
        let clock = Clock::manual(begin);
        let name = args.file.display().to_string();
        let broker = Arc::new(ReplayBroker::new(name, messages, args.speed, clock.clone()));
        return ui::run_on(env, broker, clock).await;
    }
    let store = env.store();
    apply_messages(&store, &messages);
    let end = messages.iter().map(|m| m.received).max().unwrap_or(Stamp::EPOCH);
    let document = store.read(|m| {
        let mut tasks: Vec<TaskDoc> = m.all_tasks().map(TaskDoc::from).collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        let workers: Vec<WorkerDoc> = m.workers().into_iter().map(|(n, w)| WorkerDoc::new(n, w, end)).collect();
        let counters = m.counters();
        json!({"tasks": tasks, "workers": workers, "events": {"seen": counters.seen, "undecodable": counters.undecodable}})
    });
    out::json(&document)?;
    Ok(Exit::Done)
}
