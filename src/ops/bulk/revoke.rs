//! Many tasks revoked: their ids go out a batch a message, to every worker. Told twice, a worker does nothing twice; so a
//! batch is crossed off once it was answered, and is sent again where that is not known.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::{Run, comes_back};
use crate::celery::TaskId;
use crate::celery::original::Original;
use crate::celery::pidbox::{Method, Reply, Request, Signal};
use crate::ops::Error;
use crate::ops::command::{Preview, plural, revoke_preview};
use crate::ops::receipt::Outcome;
use crate::ops::verdict::{NO_ANSWER, judge};
use crate::state::{Model, Update};

/// Ids of a message at the most.
const BATCH: usize = 500;
/// Revoked ids that a worker remembers (Celery 5.7.0, `worker/state.py`, `REVOKES_MAX`).
const REMEMBERED: usize = 50_000;

/// A task as it is written down: there is no message to be sent, and no new id.
pub(super) fn item(id: &TaskId) -> (String, String, Original) {
    (id.to_string(), String::new(), Original { queue: String::new(), priority: 0, bytes: Vec::new().into() })
}

/// What a person is asked.
pub(super) fn preview(ids: &[TaskId], terminate: Option<Signal>, rate: f64, model: &Model) -> Preview {
    let mut preview = revoke_preview(ids, terminate, model);
    preview.lines.push(String::new());
    preview.lines.push(format!("{rate} a second, in messages of {}.", plural(batch(rate).min(ids.len()), "id")));
    preview.lines.push("What is to be revoked is written down first: bulk list, resume and stop know it.".into());
    if ids.len() > REMEMBERED {
        let most = crate::human::thousands(REMEMBERED as u64);
        preview.lines.push(format!("A worker remembers {most} revoked ids: it forgets the first of these."));
    }
    preview
}

fn batch(rate: f64) -> usize {
    (rate.ceil() as usize).clamp(1, BATCH)
}

/// What the workers said to all batches of this run.
#[derive(Default)]
pub(super) struct Heard {
    workers: BTreeMap<String, Answers>,
    /// Tasks that a worker had, and ended.
    ended: HashSet<String>,
}

#[derive(Default)]
struct Answers {
    answered: usize,
    silent: usize,
    error: Option<String>,
}

impl Heard {
    fn note(&mut self, expected: &[String], answers: &[Reply], ids: &[TaskId]) {
        for name in expected.iter().filter(|name| answers.iter().all(|answer| answer.worker != **name)) {
            self.workers.entry(name.clone()).or_default().silent += 1;
        }
        for answer in answers {
            let worker = self.workers.entry(answer.worker.clone()).or_default();
            match answer.error() {
                Some(why) => worker.error = Some(why.to_owned()),
                None => worker.answered += 1,
            }
            if let Some(text) = answer.ok().filter(|text| text.starts_with("terminate:")) {
                self.ended.extend(ids.iter().map(TaskId::to_string).filter(|id| text.contains(id.as_str())));
            }
        }
    }

    /// A reply for each worker, and what they come to.
    pub(super) fn told(&self, terminate: bool) -> (Vec<(String, Value)>, Outcome) {
        let reply = |answers: &Answers| match answers {
            Answers { error: Some(why), .. } => json!({"error": why}),
            Answers { answered: 0, .. } => json!({"silent": NO_ANSWER}),
            Answers { answered, silent: 0, .. } => json!({"ok": format!("took {}", plural(*answered, "message"))}),
            Answers { answered, silent, .. } => {
                json!({"silent": format!("did not answer {silent} of {}", plural(answered + silent, "message"))})
            }
        };
        let mut replies: Vec<(String, Value)> =
            self.workers.iter().map(|(name, answers)| (name.clone(), reply(answers))).collect();
        let outcome = match judge(&replies) {
            Outcome::Confirmed if terminate && self.ended.is_empty() => {
                Outcome::Failed("no worker ran or held one of them".into())
            }
            outcome => outcome,
        };
        if terminate && !self.ended.is_empty() {
            replies.push(("ended".into(), json!({"ok": plural(self.ended.len(), "task")})));
        }
        (replies, outcome)
    }
}

impl Run<'_> {
    /// Tells every worker the next ids; says why it goes no further, if it doesn't.
    pub(super) async fn tell(&mut self, terminate: Option<Signal>) -> Result<Option<String>, Error> {
        let wrong = |e: crate::history::audit::Error| Error::Audit(e.to_string());
        let begun = std::time::Instant::now();
        let items = self.audit.items(self.id, self.next, batch(self.rate)).map_err(wrong)?;
        let ids: Vec<TaskId> = items.iter().map(|item| TaskId::new(&item.task)).collect();
        let signal = terminate.map(|signal| signal.name().to_owned());
        let request = Request::to_all(Method::Revoke { ids: ids.clone(), terminate: signal });
        let everybody = self.ops.online();
        let mut away = false;
        let answers = loop {
            match self.ops.broker.control(&request, &everybody, self.ops.answer).await {
                Ok(answers) => break answers,
                Err(error) if comes_back(&error) => self.wait(&error.reason(), &mut away).await?,
                Err(error) => return Ok(Some(format!("stopped at {} of {}: {error}", self.next, self.all))),
            }
        };
        if answers.is_empty() {
            return Ok(Some(format!("stopped at {} of {}: no worker answered", self.next, self.all)));
        }
        self.ops.store.apply(&[Update::RevokeAsked(self.ops.clock.now(), ids.clone())]);
        self.heard.note(&everybody, &answers, &ids);
        self.crossed_off(items.len())?;
        self.pace(items.len(), begun).await;
        Ok(None)
    }
}
