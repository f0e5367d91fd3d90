//! Reading workers: what they said when they were asked, whether they live, and the rows of the page.

use std::sync::Arc;

use hashbrown::HashMap;
use serde_json::{Map, Value, json};

use super::answer::{Answer, JSON, Said, unknown};
use super::call::Call;
use super::inspections::{is_worker, refresh};
use super::tally::Kind;
use super::{Site, json as python, pages};
use crate::clock::Stamp;
use crate::state::worker::Worker;

pub(super) async fn list(site: &Arc<Site>, call: &Call) -> Said {
    let (fresh, status) = (call.flag("refresh")?, call.flag("status")?);
    let name = call.text("workername");
    if fresh {
        let asked = match name {
            // Who is nobody is not waited for.
            Some(name) if !is_worker(site, name) => Ok(()),
            name => refresh(site, name).await,
        };
        if !status {
            asked?;
        }
    }
    if let Some(name) = name.filter(|name| !is_worker(site, name)) {
        return Err(unknown("worker", name));
    }
    if status {
        let now = site.ops.clock.now();
        let alive: Map<String, Value> = site.ops.store.read(|m| {
            let workers = m.workers().into_iter().filter(|(worker, _)| name.is_none_or(|name| name == *worker));
            workers.map(|(name, worker)| (name.to_owned(), json!(worker.is_online(now)))).collect()
        });
        return Ok(Answer::json(&alive));
    }
    if let Some(name) = name {
        let mut said = site.inspections.of(name);
        said.iter_mut().for_each(|said| redacted(site, said));
        let one: Map<String, Value> = said.into_iter().map(|said| (name.to_owned(), said.into())).collect();
        return Ok(Answer::json(&one));
    }
    let all = site.inspections.written(|mut all| {
        all.values_mut().for_each(|said| redacted(site, said));
        let mut out = Vec::new();
        python::write(&all, &mut out);
        out
    });
    Ok(Answer::new(200, JSON, all))
}

/// Takes secrets out of what a worker said.
fn redacted(site: &Site, said: &mut Map<String, Value>) {
    let redactor = site.ops.store.redactor();
    for value in said.values_mut() {
        redactor.json(value);
    }
}

pub(super) async fn stats(site: &Arc<Site>, call: &Call) -> Said {
    let name = call.rest.as_str();
    if !is_worker(site, name) {
        return Err(unknown("worker", name));
    }
    refresh(site, Some(name)).await?;
    let mut said = site.inspections.of(name).unwrap_or_default();
    redacted(site, &mut said);
    Ok(Answer::json(&said.get("stats").cloned().unwrap_or(Value::Null)))
}

/// The rows of Flower's table of workers.
fn rows(site: &Site, now: Stamp) -> Vec<Value> {
    let limit = site.options.purge_offline_workers;
    let counts: HashMap<String, HashMap<Kind, u64>> = site.tally.read(|counted| {
        counted.by_worker.rows().into_iter().map(|(name, counts, _)| (name.clone(), counts.clone())).collect()
    });
    let kept = |worker: &Worker| {
        let seen = worker.heartbeat().unwrap_or(worker.last_seen);
        worker.is_online(now) || limit.is_none_or(|limit| now.since(seen) < limit)
    };
    site.ops.store.read(|model| {
        let workers = model.workers().into_iter().filter(|(_, worker)| kept(worker));
        workers.map(|(name, worker)| row(name, worker, counts.get(name), now)).collect()
    })
}

fn row(name: &str, worker: &Worker, counts: Option<&HashMap<Kind, u64>>, now: Stamp) -> Value {
    let mut row = Map::new();
    let mut counts: Vec<_> = counts.into_iter().flatten().collect();
    counts.sort();
    row.extend(counts.into_iter().map(|(kind, n)| (kind.to_string(), json!(n))));
    let beats: Vec<f64> = worker.heartbeats().iter().map(|at| at.secs()).collect();
    let rest = json!({
        "hostname": name, "pid": worker.pid, "freq": worker.freq, "heartbeats": beats, "clock": worker.clock,
        "active": worker.running().unwrap_or(0), "processed": worker.processed, "loadavg": worker.loadavg,
        "sw_ident": worker.sw_ident, "sw_ver": worker.sw_ver, "sw_sys": worker.sw_sys, "status": worker.is_online(now),
    });
    if let Value::Object(rest) = rest {
        row.extend(rest);
    }
    Value::Object(row)
}

pub(super) async fn page(site: &Arc<Site>, call: &Call) -> Said {
    if call.flag("refresh")? {
        refresh(site, None).await?;
    }
    let rows = rows(site, site.ops.clock.now());
    match call.flag("json")? {
        true => Ok(Answer::json(&json!({"data": rows}))),
        false => Ok(pages::workers(site, &rows)),
    }
}
