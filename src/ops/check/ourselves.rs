//! How well we see, and what that costs.

use super::{Evidence, Finding, Recorder, Status, Thresholds};
use crate::human;

pub(super) fn all(evidence: &Evidence<'_>, thresholds: &Thresholds) -> [Finding; 3] {
    [events(evidence, thresholds), recorder(evidence), memory(evidence, thresholds)]
}

/// Events that were missed: dropped here, or by the workers' own counts.
fn events(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    const CHECK: &str = "events";
    if let Some(why) = evidence.deaf().or_else(|| evidence.blocked()) {
        return Finding::unknown(CHECK, why);
    }
    let counters = evidence.model.counters();
    let missed = counters.missed + evidence.model.missed_by_count();
    let mute = evidence.model.mute(evidence.now);
    let status = thresholds.events_missed.above(missed as f64);
    let seen = human::thousands(counters.seen);
    let text = match (missed, mute) {
        (0, 0) if counters.seen == 0 => "none came, and none was missed".into(),
        (0, 0) => format!("none of {seen} missed"),
        (0, mute) => format!("{} no event of tasks", human::plural(mute, "worker") + " run tasks and send"),
        (missed, _) => format!("{} missed beside {seen} seen", human::thousands(missed)),
    };
    Finding::new(CHECK, if mute > 0 { status.max(Status::Warning) } else { status }, text)
        .with("events_missed", missed as f64, "", thresholds.events_missed)
        .advise("Figures are too low: turn events on (`worker --all enable-events`), or look at the link to the broker")
}

/// Whether somebody records the history that is relied on.
fn recorder(evidence: &Evidence<'_>) -> Finding {
    match &evidence.recorder {
        Recorder::None => Finding::ok("recorder", "no history is kept"),
        Recorder::Runs(_) => Finding::ok("recorder", "the history is being written"),
        Recorder::Stopped => Finding::new("recorder", Status::Warning, "nobody writes the history file")
            .advise("Start `flower-tui record`, with the same --history"),
        Recorder::Unreadable(why) => Finding::unknown("recorder", why),
    }
}

fn memory(evidence: &Evidence<'_>, thresholds: &Thresholds) -> Finding {
    let (bytes, whose) = match evidence.recorder {
        Recorder::Runs(bytes) => (bytes, "the recorder"),
        _ => (evidence.own_memory, "this check"),
    };
    match bytes {
        None => Finding::unknown("own-memory", "the system does not tell"),
        Some(bytes) => {
            let text = format!("{whose} takes {}", human::bytes(bytes));
            Finding::new("own-memory", thresholds.own_memory.above(bytes as f64), text)
                .with("own_memory", bytes as f64, "B", thresholds.own_memory)
                .advise("Lower --max-tasks and --max-memory")
        }
    }
}
