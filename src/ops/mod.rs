//! The only way to change the cluster. Screen, command line and (later) the API build a [`Command`] and hand it to the
//! same [`Ops`], which asks the audit log first, sends, and makes a [`Receipt`].

pub mod beat;
pub mod bulk;
pub mod command;
pub mod control;
mod course;
pub mod locate;
pub mod overrides;
pub mod queue;
mod receipt;
pub mod retry;
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
pub use run::Ops;

/// Why a command was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("read-only: nothing is sent")]
    ReadOnly,
    #[error("{0}; commands that destroy are not sent unwritten (--no-audit lifts this)")]
    Audit(String),
    #[error("{0}")]
    Broker(String),
    #[error("{0}")]
    Refused(String),
}
