//! Going on with a bulk action: what of it is left, and what is not sent any more because somebody else has sent it
//! meanwhile, or it succeeded. And stopping one, wherever it runs.

use std::collections::BTreeMap;

use super::bulk::{Bulk, Kind};
use super::command::{NAMED, Preview, plural};
use super::run::Ops;
use super::{Command, Error, Role};
use crate::celery::TaskId;
use crate::celery::result::Stored;
use crate::history::audit::Audit;
use crate::history::bulk::{Bulk as Known, Item, Stand};
use crate::state::State;

/// Results asked for at once.
const ASKED: usize = 500;

/// A bulk action that can go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resume {
    pub id: i64,
    pub kind: Kind,
    /// Tasks that are still to go.
    pub left: u64,
    /// Why it goes no further by itself.
    pub why: String,
    /// Which are not sent any more, and why.
    pub left_out: Vec<String>,
}

impl Resume {
    pub(super) fn preview(&self) -> Preview {
        let mut lines: Vec<String> = Vec::new();
        if !self.why.is_empty() {
            lines.extend([format!("{}.", capital(&self.why)), String::new()]);
        }
        let left = plural(usize::try_from(self.left).unwrap_or(usize::MAX), "task");
        let be = if self.left == 1 { "is" } else { "are" };
        lines.push(format!("{left} {be} left to be {}.", self.kind.to_do()));
        if !self.left_out.is_empty() {
            lines.push(String::new());
            lines.push(format!("{} not sent any more:", plural(self.left_out.len(), "other")));
            lines.extend(self.left_out.iter().take(NAMED).cloned());
            let more = self.left_out.len().saturating_sub(NAMED);
            lines.extend((more > 0).then(|| format!("and {} more", crate::human::thousands(more as u64))));
        }
        Preview { title: format!("Go on with bulk {}?", self.id), lines }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl Ops {
    pub(super) fn bulk_log(&self) -> Result<&Audit, Error> {
        match &*self.audit {
            Ok(Some(audit)) => Ok(audit),
            _ => Err(Error::Audit("a bulk action is written down first, and there is no audit log".into())),
        }
    }

    /// Bulk actions on this broker that have not ended, the latest first.
    pub fn open_bulks(&self) -> Result<Vec<Known>, Error> {
        let known = self.bulk_log()?.bulks(None).map_err(|e| Error::Audit(e.to_string()))?;
        let url = self.broker.url();
        Ok(known
            .into_iter()
            .filter(|bulk| bulk.broker == url && bulk.stand != Stand::Done && bulk.left() > 0)
            .collect())
    }

    /// The bulk action of this number.
    pub fn known_bulk(&self, id: i64) -> Result<Known, Error> {
        let known = self.bulk_log()?.bulks(Some(id)).map_err(|e| Error::Audit(e.to_string()))?;
        let known = known.into_iter().next().ok_or_else(|| {
            Error::Refused(format!("there is no bulk action {id}: `flower-tui bulk list` lists those there are"))
        })?;
        if known.broker != self.broker.url() {
            return Err(Error::Refused(format!("bulk {id} belongs to another broker: {}", known.broker)));
        }
        Ok(known)
    }

    /// The command that goes on with a bulk action.
    pub async fn to_resume(&self, id: i64) -> Result<Command, Error> {
        let known = self.known_bulk(id)?;
        if known.left() == 0 {
            return Err(Error::Refused(format!("nothing of bulk {id} is left to be done")));
        }
        let Some(kind) = Kind::parse(&known.verb) else {
            return Err(Error::Refused(format!("bulk {id} is a {}, which this flower-tui can't do", known.verb)));
        };
        let left_out = self.sent_meanwhile(id, kind).await?;
        let named = |(_, task, why): &(usize, String, String)| format!("{task}  {why}");
        Ok(Command::Bulk(Bulk::Resume(Resume {
            id,
            kind,
            left: known.left().saturating_sub(left_out.len() as u64),
            why: if known.stand == Stand::Paused { known.why } else { String::new() },
            left_out: left_out.iter().map(named).collect(),
        })))
    }

    /// Of what a bulk action has still to send: what another action has sent since it was frozen, and what succeeded. Each
    /// with its place, its task, and why.
    pub(super) async fn sent_meanwhile(&self, id: i64, kind: Kind) -> Result<Vec<(usize, String, String)>, Error> {
        if kind != Kind::Retry {
            // Told twice to skip a task, a worker does so once; what is not in the queue any more is not taken.
            return Ok(Vec::new());
        }
        let wrong = |e: crate::history::audit::Error| Error::Audit(e.to_string());
        let audit = self.bulk_log()?;
        let mut why: BTreeMap<usize, String> = audit.sent_elsewhere(id).map_err(wrong)?.into_iter().collect();
        let open = audit.open_items(id).map_err(wrong)?;
        let ids: Vec<TaskId> = open.iter().map(|(_, task)| TaskId::new(task)).collect();
        self.recall_tasks(&ids);
        let mut good: Vec<bool> = self
            .store
            .read(|m| ids.iter().map(|id| m.task(id).is_some_and(|task| task.state() == State::Success)).collect());
        if let Some(results) = &self.results {
            for (ids, good) in ids.chunks(ASKED).zip(good.chunks_mut(ASKED)) {
                match results.get(ids).await {
                    Ok(found) => {
                        let done = |stored: &Stored| stored.result().is_some_and(|r| r.status == "SUCCESS");
                        for (id, good) in ids.iter().zip(good) {
                            *good |= found.iter().any(|(other, stored)| other == id && done(stored));
                        }
                    }
                    Err(why) => tracing::warn!("the result backend was not asked what succeeded: {why}"),
                }
            }
        }
        for ((n, _), _) in open.iter().zip(good).filter(|(_, good)| *good) {
            why.entry(*n).or_insert_with(|| "has succeeded since".into());
        }
        Ok(open.into_iter().filter_map(|(n, task)| Some((n, task, why.remove(&n)?))).collect())
    }

    /// Tasks of a bulk action, from the first one on.
    pub fn bulk_items(&self, id: i64, most: usize) -> Result<Vec<Item>, Error> {
        self.bulk_log()?.items(id, 0, most).map_err(|e| Error::Audit(e.to_string()))
    }

    /// Stops a bulk action, wherever it runs; one that waits for a person goes no further either.
    pub fn stop_bulk(&self, id: i64) -> Result<(), Error> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        if self.role == Some(Role::Viewer) {
            return Err(Error::Role("it takes the role operator, and yours is viewer".into()));
        }
        let stand = match self.known_bulk(id)?.stand {
            Stand::Going => Stand::Stopping,
            Stand::Paused => Stand::Stopped,
            other => return Err(Error::Refused(format!("bulk {id} is {} already", other.word()))),
        };
        self.bulk_log()?.stands(id, stand, "asked to stop").map_err(|e| Error::Audit(e.to_string()))
    }
}
