//! The only way to change the cluster. Screen, command line and (later) the API build a [`Command`] and hand it to the
//! same [`Ops`], which asks the audit log first, sends, and makes a [`Receipt`].

mod adding;
pub mod beat;
pub mod bulk;
mod caveats;
pub mod check;
pub mod command;
pub mod control;
mod course;
pub mod doctor;
pub mod locate;
pub mod overrides;
pub mod queue;
mod recall;
mod receipt;
mod resume;
pub mod retry;
mod role;
mod rolling;
mod run;
pub mod send;
mod shutdown;
mod total;
mod verdict;

pub use beat::Beat;
pub use bulk::Bulk;
pub use command::{Command, Preview, Risk};
pub use control::Control;
pub use course::{Course, LIMIT};
pub use queue::{QueueAction, Which};
pub use receipt::{Outcome, Receipt};
pub use role::Role;
pub use run::Ops;

/// Why a command was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("read-only: nothing is sent")]
    ReadOnly,
    /// Who asked may not.
    #[error("{0}")]
    Role(String),
    #[error("{0}; commands that destroy are not sent unwritten (--no-audit lifts this)")]
    Audit(String),
    #[error("{0}")]
    Broker(String),
    #[error("{0}")]
    Refused(String),
    /// It was written, and the broker did not say that it has it.
    #[error("{0}")]
    Unsure(String),
}

impl Error {
    /// What a broker ended with: of what it may still take nobody can say that it was not sent.
    pub(crate) fn of(error: &crate::broker::Error) -> Self {
        match error {
            crate::broker::Error::Unsure { .. } => Error::Unsure(error.to_string()),
            _ => Error::Broker(error.to_string()),
        }
    }
}
