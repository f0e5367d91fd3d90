//! How the program ends.

use std::process::ExitCode;

use crate::broker;
use crate::ops::check::Status;
use crate::ops::{Outcome, Receipt};

/// The exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The thing asked for is not so.
    NotSo,
    Usage,
    Unreachable,
    /// A command was sent and not confirmed.
    Unconfirmed,
    /// What a monitoring plugin ends in.
    Check(Status),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::NotSo => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Unconfirmed => 4,
            Exit::Check(Status::Ok) => 0,
            Exit::Check(Status::Warning) => 1,
            Exit::Check(Status::Critical) => 2,
            Exit::Check(Status::Unknown) => 3,
        }
    }

    /// What a receipt ends with.
    pub fn of(receipt: &Receipt) -> Self {
        match &receipt.outcome {
            Outcome::Confirmed => Exit::Done,
            Outcome::Unconfirmed(_) | Outcome::Paused(_) => Exit::Unconfirmed,
            Outcome::Failed(_) => Exit::NotSo,
            Outcome::NotSent(crate::ops::Error::Broker(_)) => Exit::Unreachable,
            Outcome::NotSent(_) => Exit::NotSo,
        }
    }
}

/// An error with the status it ends in.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    pub exit: Exit,
    pub text: String,
}

/// Bad usage.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Failure { exit: Exit::Usage, text: text.into() }.into()
}

/// The thing asked for is not so.
pub fn not_so(text: impl Into<String>) -> anyhow::Error {
    Failure { exit: Exit::NotSo, text: text.into() }.into()
}

/// Prints an error as one line and says what to exit with.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    let (exit, hint) = if let Some(error) = error.downcast_ref::<broker::Error>() {
        match error {
            broker::Error::Url { .. } | broker::Error::Setting { .. } => (Exit::Usage, Some(error.hint())),
            _ => (Exit::Unreachable, Some(error.hint())),
        }
    } else if error.downcast_ref::<crate::config::Error>().is_some() {
        (Exit::Usage, None)
    } else if let Some(failure) = error.downcast_ref::<Failure>() {
        (failure.exit, None)
    } else {
        (Exit::NotSo, None)
    };
    let text = crate::text::clean(&format!("{error:#}"));
    super::out::error(&format!("flower-tui: {}", with_hint(text.as_str(), hint.unwrap_or_default())));
    ExitCode::from(exit.code())
}

/// What is wrong, and what to do about it, as two sentences.
fn with_hint(text: &str, hint: &str) -> String {
    match (hint, text.ends_with(['.', '?', '!'])) {
        ("", _) => text.to_owned(),
        (hint, true) => format!("{text} {hint}"),
        (hint, false) => format!("{text}. {hint}"),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == BrokenPipe)
            || cause.downcast_ref::<serde_json::Error>().is_some_and(|e| e.io_error_kind() == Some(BrokenPipe))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_a_sentence_of_its_own() {
        assert_eq!(with_hint("it refused us", "Ask for another user"), "it refused us. Ask for another user");
        assert_eq!(with_hint("does it speak TLS?", "The URL says so"), "does it speak TLS? The URL says so");
        assert_eq!(with_hint("is it another cluster's?", ""), "is it another cluster's?");
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error() {
        struct Closed;
        impl std::io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = serde_json::to_writer(Closed, &[1]).expect_err("closed");
        assert!(is_closed_pipe(&error.into()));
        assert!(!is_closed_pipe(&not_so("x")));
    }
}
