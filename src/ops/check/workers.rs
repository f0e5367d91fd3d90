//! Whether the workers are there that have to be, and how their machines are.

use super::thresholds::fits;
use super::{Evidence, Finding, Limit, Status, Thresholds, listed};
use crate::broker::Right;
use crate::clock::Stamp;
use crate::human;
use crate::state::worker::{Presence, Worker};

type Named<'a> = (&'a str, &'a Worker);

pub(super) fn all(evidence: &Evidence<'_>, thresholds: &Thresholds) -> [Finding; 3] {
    let workers = evidence.model.workers();
    let online: Vec<Named<'_>> = workers.iter().filter(|(_, w)| w.is_online(evidence.now)).copied().collect();
    [presence(evidence, thresholds, &workers, &online), load(thresholds, &online), memory(thresholds, &online)]
}

/// Why it is not known who is there, if it isn't.
fn unheard(evidence: &Evidence<'_>) -> Option<String> {
    if let Err(why) = &evidence.health {
        return Some(format!("the broker does not answer: {why}"));
    }
    if let Some(why) = evidence.blocked() {
        return Some(why);
    }
    let events = evidence.lack(Right::Events);
    let lack = events.and(evidence.lack(Right::Control).or_else(|| evidence.lack(Right::Replies)))?;
    Some(format!("workers can't be heard, and there is no permission to {}: {}", lack.what, lack.why))
}

fn presence(evidence: &Evidence<'_>, thresholds: &Thresholds, workers: &[Named<'_>], online: &[Named<'_>]) -> Finding {
    const CHECK: &str = "workers";
    if let Some(why) = unheard(evidence) {
        return Finding::unknown(CHECK, why);
    }
    let there = human::plural(online.len(), "worker") + " online";
    let silent = silent(evidence, thresholds, workers);
    let all: Vec<&Silent<'_>> = silent.iter().collect();
    let held: Vec<&Silent<'_>> = silent.iter().filter(|silent| silent.busy).collect();
    let told = |silent: &&Silent<'_>| {
        format!("{} since {}", silent.name, human::about(evidence.now.since(silent.last).as_secs()))
    };
    let finding = if let Some(missing) = short(thresholds, online) {
        Finding::new(CHECK, Status::Critical, format!("{missing} ({there})")).advise("Start what is missing")
    } else if !held.is_empty() {
        let text = format!("gone with work in hand: {} ({there})", listed(&held, told));
        Finding::new(CHECK, Status::Critical, text).advise("Look for it on its machine; its tasks may be lost")
    } else if online.is_empty() {
        let last = if all.is_empty() { String::new() } else { format!("; silent: {}", listed(&all, told)) };
        Finding::new(CHECK, Status::Critical, format!("no worker is online{last}"))
            .advise("Start workers, or name the right broker")
    } else if !all.is_empty() {
        let text = format!("silent without a goodbye: {} ({there})", listed(&all, told));
        Finding::new(CHECK, Status::Warning, text).advise("Say under [alerts.workers] who has to be there")
    } else {
        Finding::ok(CHECK, there)
    };
    finding.with("workers", online.len() as f64, "", Limit::default())
}

/// What is expected and not there.
fn short(thresholds: &Thresholds, online: &[Named<'_>]) -> Option<String> {
    let expected = thresholds.workers.iter().filter_map(|(glob, least)| {
        let there = online.iter().filter(|(name, _)| fits(glob, name)).count() as u64;
        (there < *least).then(|| match (least, there) {
            (1, _) => format!("{glob} is not online"),
            _ => format!("{there} of {least} {glob} online"),
        })
    });
    let missing: Vec<String> = expected.collect();
    (!missing.is_empty()).then(|| listed(&missing, Clone::clone))
}

/// A worker that is not there and said no goodbye.
struct Silent<'a> {
    name: &'a str,
    last: Stamp,
    /// It had work in hand, as far as is known.
    busy: bool,
}

/// Who fell silent, as heard or as the history knows. Of a group it is said how many have to be there: one of them may come
/// and go.
fn silent<'a>(evidence: &Evidence<'a>, thresholds: &Thresholds, workers: &[Named<'a>]) -> Vec<Silent<'a>> {
    let counted = |name: &str| thresholds.workers.keys().any(|glob| fits(glob, name));
    let now = evidence.now;
    let heard = workers.iter().filter(|(_, w)| !w.is_online(now) && !w.said_offline).map(|(name, w)| Silent {
        name,
        last: w.last_seen,
        busy: w.presence(now) == Presence::Gone,
    });
    let unknown = evidence.past.iter().filter(|seen| workers.iter().all(|(name, _)| *name != seen.name));
    let past = unknown.map(|seen| Silent { name: &seen.name, last: seen.last, busy: seen.busy });
    heard.chain(past).filter(|silent| !counted(silent.name)).collect()
}

/// The highest of something that each worker tells, judged.
fn highest(
    check: &'static str,
    limit: Limit,
    unit: &'static str,
    told: &[(f64, &str)],
    word: impl Fn(f64) -> String,
) -> Finding {
    let mut told = told.to_vec();
    told.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Some((most, _)) = told.first().copied() else { return Finding::unknown(check, "no worker told it") };
    let status = limit.above(most);
    let told_of = |(value, name): &(f64, &str)| format!("{name} {}", word(*value));
    let text = match (status, limit) {
        (Status::Ok, Limit { warning: None, critical: None }) => {
            format!("at most {} (no threshold is set)", listed(&told[..1], told_of))
        }
        (Status::Ok, _) => format!("at most {}", listed(&told[..1], told_of)),
        _ => listed(&told.iter().filter(|(v, _)| limit.above(*v) > Status::Ok).copied().collect::<Vec<_>>(), told_of),
    };
    let label = check.replace('-', "_");
    told.iter().fold(Finding::new(check, status, text), |finding, (value, name)| {
        finding.with(&format!("{label}_{name}"), *value, unit, limit)
    })
}

fn load(thresholds: &Thresholds, online: &[Named<'_>]) -> Finding {
    if online.is_empty() {
        return Finding::unknown("worker-load", "no worker is heard");
    }
    let told: Vec<(f64, &str)> = online.iter().filter_map(|(name, w)| Some((w.loadavg?[0], *name))).collect();
    highest("worker-load", thresholds.worker_load, "", &told, |load| format!("{load:.2}"))
}

/// Of its main process: of the processes of its pool nobody tells.
fn memory(thresholds: &Thresholds, online: &[Named<'_>]) -> Finding {
    if online.is_empty() {
        return Finding::unknown("worker-memory", "no worker is heard");
    }
    let peak = |w: &Worker| w.inspected.stats.as_ref()?.peak_main;
    let told: Vec<(f64, &str)> = online.iter().filter_map(|(name, w)| Some((peak(w)? as f64, *name))).collect();
    highest("worker-memory", thresholds.worker_memory, "B", &told, |bytes| human::bytes(bytes as u64))
}
