//! Running a command: permission, audit, wire, replies, receipt.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::command::{Command, Risk};
use super::control::Control;
use super::course::Course;
use super::receipt::{Outcome, Receipt};
use super::retry::Retry;
use super::verdict::{NO_ANSWER, collect, judge};
use super::{Bulk, Error, Role, command};
use crate::broker::Broker;
use crate::celery::TaskId;
use crate::celery::pidbox::{Method, Reply, Request, Signal};
use crate::clock::Clock;
use crate::history::audit::{Audit, Entry, Logged, Origin};
use crate::results::Backend;
use crate::state::{Store, Update};

/// Everything a command needs. Cloning is cheap.
#[derive(Clone)]
pub struct Ops {
    pub broker: Arc<dyn Broker>,
    pub store: Store,
    pub clock: Clock,
    /// Where results are, if they can be read; and the history, if there is one.
    pub results: Option<Arc<dyn Backend>>,
    pub history: Option<PathBuf>,
    /// The log; or why there is none, which keeps destroying commands from being sent.
    pub audit: Arc<Result<Option<Audit>, String>>,
    pub origin: Origin,
    pub read_only: bool,
    /// What whoever asks may do; `None` is somebody at this machine, who may do everything.
    pub role: Option<Role>,
    /// How long workers have to answer.
    pub answer: Duration,
    /// How long a worker has to be gone after a shutdown.
    pub wait: Duration,
    /// Who is told how far a long command is, and the word that stops it.
    pub going: Course,
}

/// Rows of the audit log that are looked at.
const LOGGED: usize = 10_000;

impl Ops {
    /// Carries a command out. Always ends in a receipt.
    pub async fn run(&self, command: &Command) -> Receipt {
        self.run_along(command, &self.going).await
    }

    /// The same, followed step by step where it takes several.
    pub async fn run_along(&self, command: &Command, course: &Course) -> Receipt {
        let this = Self { going: course.clone(), ..self.clone() };
        this.carry_out(command).await
    }

    async fn carry_out(&self, command: &Command) -> Receipt {
        let asked = self.clock.now();
        let mut replies = Vec::new();
        let (mut undo, mut next) = (None, None);
        let outcome = match self.permit(command) {
            Err(error) => Outcome::NotSent(error),
            Ok(row) => {
                let outcome = match self.send(command, row, &mut replies, &mut next).await {
                    Ok(outcome) => outcome,
                    Err(Error::Unsure(why)) => Outcome::Unconfirmed(why),
                    Err(error) => Outcome::NotSent(error),
                };
                let messages = replies.iter().filter_map(|(_, reply)| reply["messages"].as_u64()).sum();
                undo = row.and_then(|row| command.undone_by(row, messages)).map(Box::new);
                self.write_down(row, &outcome, &replies);
                if command.risk() > Risk::Looks && !matches!(outcome, Outcome::NotSent(_)) {
                    let words = [command.target(), command.arguments().join(" ")].join(" ");
                    let words = crate::text::cut_end(words.trim(), 40).into_owned();
                    self.store.apply(&[Update::Mark(asked, format!("{} {words}", command.verb()))]);
                }
                outcome
            }
        };
        let undo = undo.filter(|_| !matches!(outcome, Outcome::NotSent(_)));
        let again = match (&outcome, command) {
            (Outcome::NotSent(_), _) => Vec::new(),
            (_, Command::Bulk(Bulk::New { tasks, .. })) => tasks.iter().map(|task| task.original.clone()).collect(),
            (_, Command::Retry { .. }) => {
                let sent = replies.iter().filter(|(_, value)| value.get("id").is_some());
                sent.map(|(id, _)| TaskId::new(id)).collect()
            }
            _ => Vec::new(),
        };
        Receipt {
            verb: command.verb(),
            words: command.words(),
            asked,
            answered: self.clock.now(),
            outcome,
            replies,
            again,
            next,
            undo,
        }
    }

    /// Commands given to this broker, the latest first, as the audit log has them.
    pub fn logged(&self) -> Result<Vec<Logged>, String> {
        match &*self.audit {
            Ok(Some(audit)) => {
                let log = audit.latest(LOGGED).map_err(|e| e.to_string())?;
                let url = self.broker.url();
                Ok(log.into_iter().filter(|row| row.broker == url).collect())
            }
            Ok(None) => Err("no audit log is kept here: what was changed is not known".into()),
            Err(why) => Err(why.clone()),
        }
    }

    /// Whether the command may go out; its row in the audit log, if there is a log.
    fn permit(&self, command: &Command) -> Result<Option<i64>, Error> {
        if self.read_only && command.risk() > Risk::Looks {
            return Err(Error::ReadOnly);
        }
        if let Some(why) = self.role.and_then(|role| role.refuses(command)) {
            return Err(Error::Role(why));
        }
        let written = match &*self.audit {
            Ok(None) => return Ok(None),
            Ok(Some(audit)) => audit
                .asked(self.clock.now(), &self.origin, &self.broker.url(), &written_down(command))
                .map(Some)
                .map_err(|e| e.to_string()),
            Err(why) => Err(why.clone()),
        };
        match written {
            Err(why) if command.risk() == Risk::Destroys => Err(Error::Audit(why)),
            Err(why) => {
                tracing::warn!("{why}");
                Ok(None)
            }
            written => Ok(written.unwrap_or(None)),
        }
    }

    fn write_down(&self, row: Option<i64>, outcome: &Outcome, replies: &[(String, Value)]) {
        if let (Some(row), Ok(Some(audit))) = (row, &*self.audit) {
            let replies: serde_json::Map<String, Value> = replies.iter().cloned().collect();
            let text = Value::Object(replies).to_string();
            if let Err(error) = audit.answered(row, self.clock.now(), outcome.word(), &text) {
                tracing::warn!("{error}");
            }
        }
    }

    async fn send(
        &self,
        command: &Command,
        row: Option<i64>,
        replies: &mut Vec<(String, Value)>,
        next: &mut Option<Box<Command>>,
    ) -> Result<Outcome, Error> {
        match command {
            Command::Send(message) => {
                self.broker.publish(message).await.map_err(|e| Error::of(&e))?;
                let said = format!("sent as {} to {}", message.id, message.queue);
                replies.push((message.name.clone(), json!({"ok": said, "id": message.id.to_string()})));
                Ok(Outcome::Confirmed)
            }
            Command::Bulk(bulk) => self.bulk(bulk, row, replies, next).await,
            Command::Queue { queue, what } => self.change_queue(queue, what, row, replies).await,
            Command::Undo { row, what } => self.undo(*row, what, replies).await,
            Command::Retry { tasks, .. } => self.publish(tasks, replies).await,
            Command::Beat(beat) => self.beat(beat, replies).await,
            Command::Control { workers, what: what @ Control::Shrink(n) } => {
                let asked = self.able(what, self.addressed(workers), replies);
                self.shrink(&asked, *n, replies).await?;
                Ok(judge(replies))
            }
            Command::Control { workers, what: Control::Shutdown } => {
                self.shut_down(&self.addressed(workers), replies).await
            }
            Command::Control { workers, what } => {
                let Some(method) = what.method() else {
                    return self.step_by_step(&self.addressed(workers), what, &self.going, replies).await;
                };
                if let Control::AddQueue(queue) = what {
                    self.may_add(queue).await?;
                }
                let asked = self.able(what, self.addressed(workers), replies);
                let everybody = workers.is_empty() && replies.is_empty();
                let request = Request { method, to: (!everybody).then(|| asked.clone()) };
                let mut answers = self.control(&request, &asked).await?;
                if let Control::AddQueue(queue) = what {
                    self.see_added(queue, &mut answers).await;
                }
                for answer in &mut answers {
                    if let Some(said) = answer.ok()
                        && let Some(more) = what.unsaid(said)
                    {
                        answer.value = json!({"ok": format!("{said}; {more}")});
                    }
                }
                collect(&asked, answers, |name| self.pool_of(name), replies);
                Ok(judge(replies))
            }
            Command::Abort { id } => {
                let backend = self.results.as_ref().ok_or(Error::Refused("there is no result backend".into()))?;
                backend.abort(id, self.clock.now()).await.map_err(|e| Error::Broker(e.to_string()))?;
                replies.push((id.to_string(), json!({"ok": "marked as aborted"})));
                Ok(Outcome::Confirmed)
            }
            Command::Revoke { ids, terminate } => self.revoke(ids, *terminate, replies).await,
        }
    }

    /// Tells every worker these ids in one message.
    pub(super) async fn revoke(
        &self,
        ids: &[TaskId],
        terminate: Option<Signal>,
        replies: &mut Vec<(String, Value)>,
    ) -> Result<Outcome, Error> {
        let everybody = self.online();
        let method = Method::Revoke { ids: ids.to_vec(), terminate: terminate.map(|s| s.name().to_owned()) };
        let answers = self.control(&Request::to_all(method), &everybody).await?;
        self.store.apply(&[Update::RevokeAsked(self.clock.now(), ids.to_vec())]);
        let found =
            answers.iter().any(|r| r.ok().is_some_and(|text| ids.iter().any(|id| text.contains(&id.to_string()))));
        // Celery prints the set of ids in Python's words.
        let answers = answers.into_iter().map(|mut answer| {
            if answer.ok().is_some_and(|text| text.ends_with("flagged as revoked")) {
                answer.value = json!({"ok": format!("remembers {} as revoked", command::plural(ids.len(), "id"))});
            }
            answer
        });
        collect(&everybody, answers.collect(), |name| self.pool_of(name), replies);
        Ok(match judge(replies) {
            Outcome::Confirmed if terminate.is_some() && !found => Outcome::Failed("no worker runs or holds it".into()),
            outcome => outcome,
        })
    }

    /// Nobody named is everybody online.
    fn addressed(&self, workers: &[String]) -> Vec<String> {
        if workers.is_empty() { self.online() } else { workers.to_vec() }
    }

    pub(super) fn online(&self) -> Vec<String> {
        let now = self.clock.now();
        self.store
            .read(|m| m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(n, _)| n.to_owned()).collect())
    }

    pub(super) async fn control(&self, request: &Request, expected: &[String]) -> Result<Vec<Reply>, Error> {
        self.broker.control(request, expected, self.answer).await.map_err(|e| Error::of(&e))
    }

    async fn publish(&self, tasks: &[Retry], replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        for task in tasks {
            let sent = self.broker.publish(&task.message).await;
            match sent {
                Ok(()) => {
                    let text = format!("sent as {} to {}", task.message.id, task.message.queue);
                    let (new, queue) = (task.message.id.clone(), task.message.queue.clone());
                    self.store.apply(&[Update::Retried(task.original.clone(), new, queue)]);
                    replies.push((task.original.to_string(), json!({"ok": text, "id": task.message.id.to_string()})));
                }
                Err(error) if replies.is_empty() => return Err(Error::of(&error)),
                Err(error @ crate::broker::Error::Unsure { .. }) => {
                    replies.push((task.original.to_string(), json!({"silent": error.to_string()})));
                    return Ok(Outcome::Unconfirmed(format!("stopped after {}: {error}", replies.len() - 1)));
                }
                Err(error) => {
                    replies.push((task.original.to_string(), json!({"error": error.to_string()})));
                    return Ok(Outcome::Failed(format!("stopped after {}: {error}", replies.len() - 1)));
                }
            }
        }
        Ok(Outcome::Confirmed)
    }

    /// How many processes a worker can lose. A worker told to shrink by all of its processes loses them and never
    /// recovers (`protocol/README.md`, "Things that bite" 2); told to lose more than are idle, it loses those and then
    /// says that it failed (billiard 4.3.2, `pool.py`, `shrink`). With it comes why it can't lose more. `None` if it
    /// gave no answer.
    async fn can_spare(&self, worker: &String) -> Result<Option<Result<(u32, &'static str), String>>, Error> {
        let expected = std::slice::from_ref(worker);
        let mut answers = Vec::new();
        for method in [Method::Stats, Method::Active] {
            let request = Request { method, to: Some(vec![worker.clone()]) };
            let replies = self.control(&request, expected).await?;
            let Some(reply) = replies.into_iter().find(|r| r.worker == *worker) else { return Ok(None) };
            answers.push(reply.value);
        }
        let size = answers[0]["pool"]["processes"].as_array().map_or(0, Vec::len);
        let busy = answers[1].as_array().map_or(0, Vec::len);
        let spare = size.saturating_sub(busy.max(1));
        Ok(Some(match (size, spare) {
            (0 | 1, _) => Err(format!("it has {}, and one has to stay", command::plural(size, "process"))),
            (_, 0) => Err(format!("all of its {} are busy", command::plural(size, "process"))),
            _ => {
                let why = if busy > 1 { "the others are busy" } else { "one has to stay" };
                Ok((u32::try_from(spare).unwrap_or(u32::MAX), why))
            }
        }))
    }

    /// Takes so many processes from each, as far as they can spare them. Says how many were taken.
    pub(super) async fn shrink(
        &self,
        workers: &[String],
        n: u32,
        replies: &mut Vec<(String, Value)>,
    ) -> Result<u32, Error> {
        let mut all = 0;
        for worker in workers {
            let expected = std::slice::from_ref(worker);
            let most = match self.can_spare(worker).await? {
                None => {
                    replies.push((worker.clone(), json!({"silent": NO_ANSWER})));
                    continue;
                }
                Some(Err(why)) => {
                    replies.push((worker.clone(), json!({"error": why})));
                    continue;
                }
                Some(Ok(most)) => most,
            };
            let taken = n.min(most.0);
            all += taken;
            let request = Request { method: Method::PoolShrink { n: taken }, to: Some(vec![worker.clone()]) };
            let mut answers = self.control(&request, expected).await?;
            for answer in answers.iter_mut().filter(|a| taken < n && a.ok().is_some()) {
                answer.value = json!({"ok": format!("asked for {n}, took {taken}: {}", most.1)});
            }
            collect(expected, answers, |name| self.pool_of(name), replies);
        }
        Ok(all)
    }

    fn pool_of(&self, worker: &str) -> Option<String> {
        self.store.read(|m| Some(m.worker(worker)?.inspected.stats.as_ref()?.pool.kind.clone()))
    }

    /// Those that can do what is ordered. Who is known not to be able to is left out, where others can; its reply
    /// says why.
    pub(super) fn able(&self, what: &Control, workers: Vec<String>, replies: &mut Vec<(String, Value)>) -> Vec<String> {
        let refusal = |name: &String| self.store.read(|m| what.refusal(m.worker(name)?));
        let (able, left): (Vec<_>, Vec<_>) =
            workers.into_iter().map(|name| (refusal(&name), name)).partition(|(why, _)| why.is_none());
        let names = |pairs: Vec<(Option<String>, String)>| pairs.into_iter().map(|(_, name)| name).collect();
        if able.is_empty() {
            return names(left);
        }
        replies.extend(left.into_iter().map(|(why, name)| (name, json!({"left_out": why}))));
        names(able)
    }
}

fn written_down(command: &Command) -> Entry {
    let arguments = command.arguments().join(" ");
    Entry { command: command.verb(), target: command.target(), arguments, line: command.words() }
}
