//! How tasks fare: how many succeed, what fails in a burst, what runs for too long.

use std::collections::BTreeSet;

use super::{Evidence, Finding, Limit, SPAN, Status, Thresholds, listed};
use crate::human;
use crate::state::failure::Group;
use crate::state::stats::Counts;

/// Failures from which on a share means something: two in ten may be chance.
const FEW: u32 = 3;
/// Runs from which on a p99 means something.
const RUNS: u32 = 20;
/// What has run for less is not slow, whatever it usually takes.
const LEAST: f64 = 30.0;
/// What has run for so long and is not known by its runs is worth a word.
const LONG: f64 = 300.0;

pub(super) fn all(evidence: &Evidence<'_>, thresholds: &Thresholds) -> [Finding; 3] {
    [success(evidence, thresholds), bursts(evidence, thresholds), slow(evidence, thresholds)]
}

/// Whether the history told of tasks that ended: then not all depends on what is heard now.
fn counts(evidence: &Evidence<'_>) -> Counts {
    let mut sum = Counts::default();
    for counts in evidence.model.series().tens.last_with_open(SPAN.as_secs() as usize / 10, evidence.now) {
        sum.add(&counts);
    }
    sum
}

/// Judges a share of successes in per cent.
fn share(succeeded: u32, failed: u32, limit: Limit) -> Option<(f64, Status)> {
    let ended = succeeded + failed;
    let share = (ended > 0).then(|| f64::from(succeeded) / f64::from(ended) * 100.0)?;
    Some((share, if failed < FEW { Status::Ok } else { limit.below(share) }))
}

fn success(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "success";
    let counts = counts(evidence);
    if let Some(why) = evidence.deaf() {
        return Finding::unknown(CHECK, why);
    }
    let Some((all, mut status)) = share(counts.succeeded, counts.failed, thresholds.success) else {
        return Finding::ok(CHECK, format!("no task ended in {}", evidence.listened()));
    };
    let mut worst: Vec<(f64, &str)> = Vec::new();
    for (name, stats) in evidence.model.by_name() {
        let Some(limit) = thresholds.task(name).success else { continue };
        let lately = stats.recent(SPAN.as_secs() as u32, evidence.now);
        let Some((share, judged)) = share(lately.done, lately.failed, limit) else { continue };
        if judged != Status::Ok {
            worst.push((share, name));
            status = status.max(judged);
        }
    }
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ended = human::thousands(u64::from(counts.succeeded + counts.failed));
    let mut text = format!("{} of {ended} tasks in {}", human::percent(all / 100.0), evidence.listened());
    if !worst.is_empty() {
        text = format!("{text}; {}", listed(&worst, |(s, name)| format!("{name} {}", human::percent(s / 100.0))));
    }
    let mut finding = Finding::new(CHECK, status, text).with("success", all, "%", thresholds.success);
    finding.figures.iter_mut().for_each(|figure| figure.least = true);
    finding.advise("`flower-tui tasks state:failure`, or tab 5 of the screen, shows what fails where")
}

/// Failures of one kind a minute of late, and what they had been before. A burst of seconds is one of a minute: who has
/// listened for five seconds must not multiply by twelve.
fn pace(group: &Group, evidence: &Evidence<'_>) -> Option<(f64, f64)> {
    let watched = evidence.model.watched(evidence.now - SPAN, evidence.now).max(1.0);
    let minutes: Vec<u32> = group.minutes.last_with_open(61, evidence.now).collect();
    let (before, lately) = minutes.split_at(minutes.len().saturating_sub(2));
    let lately: u32 = lately.iter().sum();
    // The open minute and the one before.
    let secs = (60.0 + (evidence.now.secs() % 60.0)).min(watched.max(60.0));
    let known: Vec<u32> = before.iter().copied().skip_while(|n| *n == 0).collect();
    let mean = f64::from(known.iter().sum::<u32>()) / known.len().max(1) as f64;
    (lately > 0).then(|| (f64::from(lately) / secs * 60.0, mean))
}

/// Kinds of failures that come thick and fast: above their threshold, and far above what they had been before.
fn bursts(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "failures";
    if let Some(why) = evidence.deaf() {
        return Finding::unknown(CHECK, why);
    }
    let model = evidence.model;
    let mut found: Vec<(Status, f64, String)> = Vec::new();
    let mut most = 0.0f64;
    for group in model.failures().groups() {
        let Some((pace, mean)) = pace(group, evidence) else { continue };
        most = most.max(pace);
        let task = model.name(group.task).unwrap_or("?");
        let status = thresholds.task(task).failures.unwrap_or(thresholds.failures).above(pace);
        // Five standard deviations above its own mean, as far as failures come by chance.
        if status == Status::Ok || pace < mean + 5.0 * mean.sqrt() {
            continue;
        }
        let exception = model.name(group.exception).map(|text| text.split('(').next().unwrap_or(text).to_owned());
        let kind = exception.unwrap_or_else(|| "failure".into());
        found.push((status, pace, format!("{kind} in {task} {}/min", human::rate(pace))));
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let finding = match found.first() {
        None if most == 0.0 => Finding::ok(CHECK, "none lately"),
        None => Finding::ok(CHECK, format!("no burst: at most {}/min of one kind", human::rate(most))),
        Some((status, ..)) => Finding::new(CHECK, *status, listed(&found, |(_, _, text)| text.clone())),
    };
    finding
        .with("failures_per_minute", most, "", thresholds.failures)
        .advise("The first traceback tells: tab 5 of the screen, or `flower-tui tasks state:failure`")
}

/// Tasks that run for longer than they should.
fn slow(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "slow";
    let (model, now) = (evidence.model, evidence.now);
    let online: Vec<_> = model.workers().into_iter().filter(|(_, w)| w.is_online(now)).collect();
    if online.iter().all(|(_, worker)| worker.inspected.active.is_none()) {
        return Finding::unknown(CHECK, "no worker told what it runs");
    }
    let (mut found, mut strangers, mut running) = (Vec::new(), BTreeSet::new(), 0usize);
    for held in online.iter().flat_map(|(_, worker)| worker.inspected.active.iter().flatten()) {
        running += 1;
        let Some(secs) = held.started.map(|at| now.since(at).as_secs_f64()) else { continue };
        let p99 = model.name_stats(&held.name).map(|s| s.runtimes.recent.percentiles()).filter(|p| p.samples >= RUNS);
        let (status, usual) = match (thresholds.task(&held.name).runtime, p99) {
            (Some(limit), _) => (limit.above(secs), "its limit".to_owned()),
            (None, _) if secs < LEAST => continue,
            (None, Some(p99)) => {
                let p99 = f64::from(p99.p99).max(0.001);
                (thresholds.slow.above(secs / p99), format!("p99 {}", human::seconds(p99)))
            }
            (None, None) if secs >= LONG => {
                strangers.insert(held.name.as_str());
                continue;
            }
            (None, None) => continue,
        };
        if status != Status::Ok {
            found.push((status, secs, format!("{} {} ({usual})", held.name, human::seconds(secs))));
        }
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let finding = match (found.first(), strangers.first()) {
        (Some((status, ..)), _) => {
            Finding::new(CHECK, *status, format!("run for too long: {}", listed(&found, |(_, _, text)| text.clone())))
        }
        (None, Some(name)) => {
            let long = human::about(LONG as u64);
            let text = format!("{name} runs for over {long}, and how long it usually takes is not known");
            Finding::unknown(CHECK, format!("{text}: record a history, or set its runtime under [alerts.tasks]"))
        }
        (None, None) => Finding::ok(CHECK, format!("none of {} running", human::plural(running, "task"))),
    };
    finding
        .with("slow", found.len() as f64, "", Limit::default())
        .advise("`flower-tui task ID` tells where it is; `revoke ID --terminate` ends it")
}
