//! `workers` and `queues`.

use super::args::Format;
use super::env::Env;
use super::exit::Exit;
use super::{gather, out};
use crate::human;
use crate::state::Model;
use crate::state::doc::{QueueDoc, WorkerDoc};

/// Seconds listened to before anything is printed.
const LISTEN: f64 = 0.3;

pub async fn workers(env: &Env, format: Format) -> anyhow::Result<Exit> {
    let cluster = gather::begin(env).await?;
    cluster.listen(env, LISTEN).await;
    cluster.hear_heartbeats(env).await;
    let docs = cluster.store.read(|m| worker_docs(m, env));
    let headers = ["WORKER", "STATUS", "POOL", "ACTIVE", "RESERVED", "PROCESSED", "LOADAVG", "QUEUES"];
    out::rows(format, &docs, &headers, |w| {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        vec![
            w.name.clone(),
            if w.online { "online" } else { "offline" }.into(),
            w.pool.clone().unwrap_or_else(|| "-".into()),
            format!("{}/{}", number(w.active), number(w.processes)),
            number(w.reserved),
            w.processed.map_or_else(|| "-".into(), |n| n.to_string()),
            w.loadavg.map_or_else(|| "-".into(), |l| l.map(|v| format!("{v:.2}")).join(" ")),
            w.queues.clone().map_or_else(|| "-".into(), |q| q.join(" ")),
        ]
    })?;
    Ok(Exit::Done)
}

/// Every worker at this moment.
pub fn worker_docs(model: &Model, env: &Env) -> Vec<WorkerDoc> {
    let now = env.clock.now();
    model.workers().into_iter().map(|(name, worker)| WorkerDoc::new(name, worker, now)).collect()
}

pub async fn queues(env: &Env, format: Format) -> anyhow::Result<Exit> {
    let cluster = gather::begin(env).await?;
    cluster.listen(env, LISTEN).await;
    cluster.ask_depths(env).await;
    let docs = cluster.store.read(|m| queue_docs(m, env));
    let typed = docs.iter().any(|q| q.kind.is_some());
    let mut headers = vec!["QUEUE", "READY", "UNACKED", "CONSUMERS", "OLDEST"];
    headers.extend(if typed { vec!["IN/s", "OUT/s", "TYPE", "MEMORY"] } else { vec!["BY PRIORITY"] });
    out::rows(format, &docs, &headers, |q| {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let priorities: Vec<String> =
            q.by_priority.iter().filter(|(_, n)| n.as_u64() != Some(0)).map(|(p, n)| format!("{p}:{n}")).collect();
        let mut row = vec![
            q.name.clone(),
            q.ready.to_string(),
            number(q.unacked),
            number(q.consumers),
            q.oldest.filter(|_| q.ready > 0).map_or_else(|| "-".into(), human::seconds),
        ];
        let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), human::rate);
        row.extend(match &q.kind {
            Some(kind) => {
                let memory = q.memory.map_or_else(|| "-".into(), human::bytes);
                vec![rate(q.rate_in), rate(q.rate_out), kind.clone(), memory]
            }
            None if typed => vec!["-".to_owned(); 4],
            None => vec![priorities.join(" ")],
        });
        row
    })?;
    let health = cluster.broker.health().await.ok();
    if let Some(delayed) = health.and_then(|health| health.delayed).filter(|n| *n > 0 && !format.is_for_programs()) {
        out::line(&format!("\n{} more are delayed by the broker until their time", human::thousands(delayed)))?;
    }
    Ok(Exit::Done)
}

/// Every queue at this moment.
pub fn queue_docs(model: &Model, env: &Env) -> Vec<QueueDoc> {
    let now = env.clock.now();
    model.queues().into_iter().map(|(name, queue)| QueueDoc::new(name, queue, model, now)).collect()
}
