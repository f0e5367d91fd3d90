//! `status`: the cluster on one screen of text.

use serde_json::json;

use super::args::Format;
use super::env::Env;
use super::exit::Exit;
use super::{gather, listing, out};
use crate::human;
use crate::state::Model;

/// Seconds over which rates are taken.
const WINDOW: f64 = 2.0;

pub async fn run(env: &Env, format: Format) -> anyhow::Result<Exit> {
    let cluster = gather::begin(env).await?;
    cluster.listen(env, WINDOW).await;
    cluster.ask_depths(env).await;
    let now = env.clock.now();
    let health = cluster.health().unwrap_or_default();
    let (workers, queues) = cluster.store.read(|m| (listing::worker_docs(m, env), listing::queue_docs(m, env)));
    let (counts, counters, runtimes) = cluster
        .store
        .read(|m| (m.series().recent(WINDOW as usize, now), m.counters(), m.series().runtimes.recent.percentiles()));
    let by_count = cluster.store.read(Model::missed_by_count);
    let rate = |n: u32| f64::from(n) / WINDOW.trunc();
    if format.json || format.jsonl || format.csv {
        let mut broker = serde_json::to_value(&health)?;
        broker["url"] = json!(cluster.broker.url());
        let document = json!({
            "broker": broker, "workers": workers, "queues": queues,
            "rates": {
                "window": WINDOW, "sent": rate(counts.sent), "received": rate(counts.received),
                "started": rate(counts.started), "succeeded": rate(counts.succeeded), "failed": rate(counts.failed),
                "retried": rate(counts.retried), "revoked": rate(counts.revoked), "success": counts.success(),
                "p50": (runtimes.samples > 0).then_some(runtimes.p50),
                "p95": (runtimes.samples > 0).then_some(runtimes.p95),
                "p99": (runtimes.samples > 0).then_some(runtimes.p99),
            },
            "events": {
                "seen": counters.seen, "missed": counters.missed, "missed_by_count": by_count,
                "undecodable": counters.undecodable,
            },
        });
        if format.jsonl {
            out::line(&document.to_string())?;
        } else {
            out::json(&document)?;
        }
        return Ok(Exit::Done);
    }
    let memory = health.memory_used.map_or_else(String::new, |n| format!("  memory {}", human::bytes(n)));
    out::line(&format!(
        "broker   {}  {} {}  rtt {}{memory}",
        cluster.broker.url(),
        health.kind,
        health.version,
        human::seconds(health.rtt)
    ))?;
    if let Some(master) = &health.master {
        out::line(&format!("master   {master}"))?;
    }
    for lack in &health.lacks {
        out::line(&format!("lacking  no permission to {}: {}", lack.what, lack.why))?;
    }
    for alarm in &health.alarms {
        out::line(&format!("alarm    {alarm}: the broker takes no messages"))?;
    }
    if let Some(why) = &health.blind {
        out::line(&format!("blind    {why}"))?;
    }
    let (online, there) = cluster.store.read(|m| m.online(env.clock.now()));
    // Who said goodbye is not missing.
    let stopped = if workers.len() > there { format!(", {} stopped", workers.len() - there) } else { String::new() };
    let active: u64 = workers.iter().filter_map(|w| w.active).sum();
    out::line(&format!("workers  {online} of {there} online{stopped}, {} running", human::plural(active, "task")))?;
    let waiting: u64 = queues.iter().map(|q| q.ready).sum();
    let delayed = health.delayed.filter(|n| *n > 0);
    let delayed = delayed.map_or(String::new(), |n| format!(", {} delayed by the broker", human::thousands(n)));
    out::line(&format!("queues   {} with {} waiting{delayed}", queues.len(), human::thousands(waiting)))?;
    let ok = counts.success().map_or_else(|| "-".into(), human::percent);
    out::line(&format!(
        "rates    {}/s received  {}/s succeeded  {}/s failed  {ok} ok  (over {WINDOW} s)",
        human::rate(rate(counts.received)),
        human::rate(rate(counts.succeeded)),
        human::rate(rate(counts.failed)),
    ))?;
    if cluster.store.read(Model::ran_unannounced) {
        out::line(
            "events   none of tasks came while tasks ran: turn them on with `flower-tui worker --all enable-events`",
        )?;
    }
    out::line("")?;
    let rows: Vec<Vec<String>> = queues.iter().map(|q| vec![q.name.clone(), q.ready.to_string()]).collect();
    out::table(&["QUEUE", "READY"], &rows)?;
    out::line("")?;
    let rows: Vec<Vec<String>> = workers
        .iter()
        .map(|w| {
            vec![
                w.name.clone(),
                if w.online { "online" } else { "offline" }.into(),
                w.active.map_or("-".into(), |n| n.to_string()),
            ]
        })
        .collect();
    out::table(&["WORKER", "STATUS", "ACTIVE"], &rows)?;
    Ok(Exit::Done)
}
