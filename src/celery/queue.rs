//! What a broker tells of a queue.

use super::TaskId;

/// A queue's depth at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Depth {
    pub name: String,
    pub ready: u64,
    /// Waiting messages by priority, most urgent first; one entry where the broker has no priorities.
    pub by_priority: Vec<(u8, u64)>,
    /// Delivered and not acknowledged; `None` where the broker can't tell.
    pub unacked: Option<u64>,
    /// Consumers by the broker's own count; `None` where it can't tell.
    pub consumers: Option<u64>,
    /// The message that is next in line.
    pub next: Option<TaskId>,
}

/// Queue names that are Celery's own plumbing (`protocol/README.md`, 3.3 and 3.4).
pub fn is_internal(name: &str) -> bool {
    name == "celeryev"
        || name.starts_with("celeryev.")
        || name.ends_with(".pidbox")
        || name.starts_with("reply.")
        || name.starts_with("amq.gen-")
        || name.starts_with("celery_delayed_")
}
