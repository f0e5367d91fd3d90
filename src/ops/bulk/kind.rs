//! What a bulk action does with each task, as it is written down.

use crate::celery::pidbox::Signal;
use crate::ops::Risk;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// It is sent again.
    #[default]
    Retry,
    /// Every worker is told to skip it.
    Revoke,
    /// The same, and what runs gets a signal.
    Terminate(Signal),
    /// Its message is taken out of the queue it waits in.
    Delete,
}

impl Kind {
    /// The word it is written down by.
    pub fn word(self) -> String {
        match self {
            Kind::Retry => "retry".into(),
            Kind::Revoke => "revoke".into(),
            Kind::Terminate(signal) => format!("terminate {}", signal.name()),
            Kind::Delete => "delete".into(),
        }
    }

    /// Reads that word; `None` where a newer flower-tui has written it.
    pub fn parse(word: &str) -> Option<Self> {
        match word.split_once(' ') {
            None if word == "retry" => Some(Kind::Retry),
            None if word == "revoke" => Some(Kind::Revoke),
            None if word == "delete" => Some(Kind::Delete),
            Some(("terminate", signal)) => Signal::parse(signal).map(Kind::Terminate),
            _ => None,
        }
    }

    /// What revoking is called.
    pub fn revoking(terminate: Option<Signal>) -> Self {
        terminate.map_or(Kind::Revoke, Kind::Terminate)
    }

    pub(in crate::ops) fn verb(self) -> &'static str {
        match self {
            Kind::Retry => "bulk retry",
            Kind::Revoke => "bulk revoke",
            Kind::Terminate(_) => "bulk terminate",
            Kind::Delete => "bulk delete",
        }
    }

    pub(in crate::ops) fn risk(self) -> Risk {
        if self == Kind::Retry { Risk::Sends } else { Risk::Destroys }
    }

    /// What is still to be done with those that are left.
    pub(in crate::ops) fn to_do(self) -> &'static str {
        match self {
            Kind::Retry => "sent",
            Kind::Revoke => "revoked",
            Kind::Delete => "deleted",
            Kind::Terminate(_) => "terminated",
        }
    }

    /// What has been done with a task that is crossed off.
    pub(super) fn done(self) -> &'static str {
        match self {
            Kind::Retry => "sent",
            Kind::Revoke => "revoked",
            Kind::Delete => "deleted",
            Kind::Terminate(_) => "revoked, and told to end where they ran",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_reads_back() {
        let all = Signal::ALL.map(Kind::Terminate);
        for kind in all.into_iter().chain([Kind::Retry, Kind::Revoke, Kind::Delete]) {
            assert_eq!(Kind::parse(&kind.word()), Some(kind));
        }
        assert_eq!((Kind::parse("terminate"), Kind::parse("levitate"), Kind::parse("")), (None, None, None));
    }
}
