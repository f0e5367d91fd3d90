//! Aborting: a mark in the result backend, which an `AbortableTask` looks at.

use std::sync::Arc;

use super::answer::{Answer, Said, away};
use super::call::Call;
use super::{Site, control, results};
use crate::celery::TaskId;
use crate::ops::{Command, Outcome};

pub(super) async fn abort(site: &Arc<Site>, call: &Call) -> Said {
    results::backend(site)?;
    let receipt = control::run(site, call, &Command::Abort { id: TaskId::new(&call.rest) }).await?;
    match receipt.outcome {
        Outcome::Confirmed => Ok(Answer::message(format!("Aborted '{}'", call.rest))),
        outcome => Err(away(&outcome.why().unwrap_or_default())),
    }
}
