//! The broker, and what waits in its queues.

use super::{Evidence, Finding, Status, Thresholds, listed};
use crate::broker::Right;
use crate::human;

/// Whether it answers, how soon, and whether it takes messages.
pub(super) fn connection(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    let health = match &evidence.health {
        Ok(health) => health,
        Err(why) => return Finding::new("broker", Status::Critical, why),
    };
    let limit = thresholds.broker_answer;
    let answers = format!("{} {} answers in {}", health.kind, health.version, human::seconds(health.rtt));
    let finding = match (health.alarms.is_empty(), evidence.live) {
        (false, _) => {
            let status = if health.alarm().is_some() { Status::Critical } else { Status::Warning };
            Finding::new("broker", status, health.alarms.join(", "))
                .advise("Let the queues that fill it be worked off, or give it more memory or disk")
        }
        (true, false) => Finding::new("broker", Status::Critical, format!("{answers}, and the subscription broke")),
        (true, true) => Finding::new("broker", limit.above(health.rtt), answers),
    };
    let unacked = health.unacked.map(|n| n as f64);
    let finding = finding.with("rtt", health.rtt, "s", limit);
    match unacked {
        Some(unacked) => finding.with("unacked", unacked, "", super::Limit::default()),
        None => finding,
    }
}

/// How much of its memory is taken.
pub(super) fn memory(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "broker-memory";
    let Ok(health) = &evidence.health else { return Finding::unknown(CHECK, "the broker does not answer") };
    let Some(used) = health.memory_used else {
        let why = health.blind.clone().unwrap_or_else(|| "the broker does not say how much it takes".into());
        return Finding::unknown(CHECK, why);
    };
    let size = human::bytes(used);
    let none = super::Limit::default();
    let Some(most) = health.memory_max.filter(|most| *most > 0) else {
        return Finding::ok(CHECK, format!("{size}, and no limit is set")).with("memory", used as f64, "B", none);
    };
    let share = used as f64 / most as f64 * 100.0;
    let evicted = health.evicted.filter(|n| *n > 0);
    let mut status = thresholds.broker_memory.above(share);
    let mut text = format!("{size} of {}", human::bytes(most));
    if let Some(evicted) = evicted {
        // Messages and results are among what it threw away.
        status = status.max(Status::Warning);
        text = format!("{text}, {} keys evicted since it started", human::thousands(evicted));
    }
    Finding::new(CHECK, status, text)
        .with("memory_share", share, "%", thresholds.broker_memory)
        .with("memory", used as f64, "B", none)
        .advise("Look for long queues and results without expiry; set maxmemory-policy noeviction on Redis")
}

/// Why nothing is known of what waits, if it isn't.
fn blind(evidence: &Evidence<'_>) -> Option<String> {
    match &evidence.health {
        Err(_) => Some("the broker does not answer".into()),
        Ok(health) => {
            let lack = health.lack(Right::Queues).or_else(|| health.lack(Right::Discovery));
            let lack = lack.map(|lack| format!("no permission to {}: {}", lack.what, lack.why));
            lack.filter(|_| evidence.model.queues().is_empty())
        }
    }
}

/// How much waits in each queue.
pub(super) fn lengths(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "queues";
    if let Some(why) = blind(evidence) {
        return Finding::unknown(CHECK, why);
    }
    let mut queues: Vec<(Status, u64, &str)> = Vec::new();
    for (name, queue) in evidence.model.queues() {
        let limit = thresholds.queue(name).length.unwrap_or_default();
        queues.push((limit.above(queue.depth.ready as f64), queue.depth.ready, name));
    }
    queues.sort_by(|a, b| b.cmp(a));
    let Some((worst, _, _)) = queues.first().copied() else { return Finding::ok(CHECK, "no queue holds anything") };
    let shown: Vec<_> = queues.iter().filter(|(status, n, _)| *status == worst && *n > 0).collect();
    let all: u64 = queues.iter().map(|(_, n, _)| n).sum();
    let text = match worst {
        Status::Ok => format!("{} in {}", human::thousands(all) + " waiting", human::plural(queues.len(), "queue")),
        _ => format!("too many wait: {}", listed(&shown, |(_, n, name)| format!("{name} {}", human::thousands(*n)))),
    };
    let finding = Finding::new(CHECK, worst, text).advise("More processes for these queues, or fewer messages");
    queues.iter().fold(finding, |finding, (_, n, name)| {
        finding.with(&format!("queue_{name}"), *n as f64, "", thresholds.queue(name).length.unwrap_or_default())
    })
}

/// How long the oldest message of each queue has waited.
pub(super) fn oldest(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "oldest";
    if let Some(why) = blind(evidence) {
        return Finding::unknown(CHECK, why);
    }
    let mut queues: Vec<(Status, f64, bool, &str)> = Vec::new();
    for (name, queue) in evidence.model.queues().into_iter().filter(|(_, queue)| queue.depth.ready > 0) {
        let Some((secs, at_least)) = evidence.model.oldest(queue, evidence.now) else { continue };
        let limit = thresholds.queue(name).oldest.unwrap_or_default();
        queues.push((limit.above(secs), secs, at_least, name));
    }
    queues.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let Some((worst, ..)) = queues.first().copied() else { return Finding::ok(CHECK, "nothing waits") };
    let age = |(_, secs, at_least, name): &&(Status, f64, bool, &str)| {
        format!("{name} {}{}", if *at_least { ">=" } else { "" }, human::seconds(*secs))
    };
    let shown: Vec<_> = queues.iter().filter(|(status, ..)| *status == worst).collect();
    let text = match worst {
        Status::Ok => format!("the oldest waits in {}", listed(&shown[..1], age)),
        _ => format!("messages wait too long: {}", listed(&shown, age)),
    };
    let finding = Finding::new(CHECK, worst, text).advise("Does anybody consume it? `flower-tui queue NAME` tells");
    queues.iter().fold(finding, |finding, (_, secs, _, name)| {
        finding.with(&format!("oldest_{name}"), *secs, "s", thresholds.queue(name).oldest.unwrap_or_default())
    })
}
