//! Carrying out what is done with a queue.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::broker;
use crate::broker::change::Sifted;
use crate::celery::TaskId;
use crate::celery::original::Original;
use crate::celery::pidbox::{Method, Request};
use crate::celery::queue::Delivered;
use crate::ops::Error;
use crate::ops::command::plural;
use crate::ops::receipt::Outcome;
use crate::ops::run::Ops;
use crate::state::deeds::{Aside, Deed};
use crate::state::{State, Update};

use super::QueueAction;
use super::choose::{Chooser, Which};
use super::taker::Taker;

/// Messages put back in one piece.
const PIECE: usize = 250;
/// Deliveries looked at.
const DELIVERIES: usize = 100_000;

/// What became of each part of it.
type Replies = Vec<(String, Value)>;

/// A message in a file: one JSON document a line.
#[derive(Serialize, Deserialize)]
struct Line {
    queue: String,
    priority: u8,
    message: String,
}

/// A message as a line of a file.
pub(super) fn as_line(original: &Original) -> String {
    let message = String::from_utf8_lossy(&original.bytes).into_owned();
    json!(Line { queue: original.queue.clone(), priority: original.priority, message }).to_string()
}

pub(super) fn failed(error: &broker::Error) -> Error {
    match error {
        broker::Error::Unable { what } => Error::Refused(what.clone()),
        other => Error::of(other),
    }
}

impl Ops {
    /// Does it; what came of it is in the replies.
    pub(in crate::ops) async fn change_queue(
        &self,
        queue: &str,
        what: &QueueAction,
        row: Option<i64>,
        replies: &mut Replies,
    ) -> Result<Outcome, Error> {
        match what {
            QueueAction::Delete(which) => self.take((queue, None), which, None, row, "delete", replies).await,
            QueueAction::Purge => self.take((queue, None), &Which::All, None, row, "purge", replies).await,
            QueueAction::Move(_, to) if to == queue => Err(Error::Refused("that is the queue they wait in".into())),
            QueueAction::Move(which, to) => self.take((queue, Some(to)), which, None, row, "move", replies).await,
            QueueAction::Rename(which, task) => {
                self.take((queue, Some(queue)), which, Some(task), row, "rename", replies).await
            }
            QueueAction::Aside(to) => self.set_aside(queue, to, row, replies).await,
            QueueAction::Dump { path, take } => self.dump(queue, path, *take, row, replies).await,
            QueueAction::Load(path) => self.load(queue, path, replies).await,
            QueueAction::Hold => self.hold(queue, replies).await,
            QueueAction::Release => self.release(queue, replies).await,
            QueueAction::RequeueUnacked(worker) => self.requeue(queue, worker.as_deref(), replies).await,
        }
    }

    async fn take(
        &self,
        (queue, to): (&str, Option<&str>),
        which: &Which,
        task: Option<&str>,
        row: Option<i64>,
        what: &'static str,
        replies: &mut Replies,
    ) -> Result<Outcome, Error> {
        let taker = self.taker(queue, which, row, what, None)?;
        let mut taker = Taker { task: task.map(str::to_owned), ..taker };
        let sifted = self.broker.sift(queue, &mut taker, to).await;
        let missing = taker.chooser.missing();
        let done = taker.done;
        let sifted = match sifted {
            Ok(sifted) => sifted,
            Err(error) if done == 0 => return Err(failed(&error)),
            Err(error) => {
                replies.push((queue.to_owned(), json!({"error": error.to_string(), "messages": done})));
                return Ok(Outcome::Failed(format!("stopped after {}: {error}", plural_of(done))));
            }
        };
        replies.push((queue.to_owned(), json!({"ok": told(what, sifted, task.or(to)), "messages": sifted.taken})));
        Ok(match (missing, sifted.taken) {
            _ if self.going.stop.is_cancelled() => {
                Outcome::Failed(format!("stopped after {}", plural_of(sifted.taken)))
            }
            (0, 0) => Outcome::Failed("no message that is meant waits there".into()),
            (0, _) => Outcome::Confirmed,
            (n, _) => Outcome::Failed(format!("{} not wait there", wait_not(n))),
        })
    }

    fn taker<'a>(
        &'a self,
        queue: &'a str,
        which: &Which,
        row: Option<i64>,
        what: &'static str,
        file: Option<File>,
    ) -> Result<Taker<'a>, Error> {
        let chooser = Chooser::new(which, &self.store).map_err(Error::Refused)?;
        let (numbers, ids) = (Vec::new(), Vec::new());
        Ok(Taker { ops: self, queue, row, chooser, file, numbers, ids, done: 0, task: None, what })
    }

    async fn set_aside(
        &self,
        queue: &str,
        to: &str,
        row: Option<i64>,
        replies: &mut Replies,
    ) -> Result<Outcome, Error> {
        match self.broker.rename(queue, to).await {
            Ok(0) => Ok(Outcome::Failed("nothing waits there".into())),
            Ok(n) => {
                let said = format!("{} wait in {to}", plural_of(n));
                replies.push((queue.to_owned(), json!({"ok": said, "messages": n, "aside": to})));
                self.remember_aside(queue, to, row, n);
                Ok(Outcome::Confirmed)
            }
            // One by one, where it can't be done at once.
            Err(broker::Error::Unable { .. }) if self.broker.capabilities().peek_marks => {
                let outcome = self.take((queue, Some(to)), &Which::All, None, row, "move", replies).await?;
                let n = replies.iter().filter_map(|(_, reply)| reply["messages"].as_u64()).sum();
                for (_, reply) in replies.iter_mut() {
                    reply["aside"] = json!(to);
                }
                self.remember_aside(queue, to, row, n);
                Ok(outcome)
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// The model knows of it at once; others learn it from the log.
    fn remember_aside(&self, queue: &str, name: &str, row: Option<i64>, messages: u64) {
        let Some(row) = row else { return };
        let (queue, name, by) = (queue.to_owned(), name.to_owned(), self.origin.user.clone());
        let aside = Aside { row, queue, name, at: self.clock.now(), by, messages };
        self.store.apply(&[Update::Deeds(vec![Deed::Aside(aside)])]);
    }

    async fn dump(
        &self,
        queue: &str,
        path: &str,
        take: bool,
        row: Option<i64>,
        replies: &mut Replies,
    ) -> Result<Outcome, Error> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = made.map_err(|e| Error::Refused(format!("can't write {path}: {e}")))?;
        let n = if take {
            let mut taker = self.taker(queue, &Which::All, row, "dump", Some(file))?;
            let sifted = self.broker.sift(queue, &mut taker, None).await.map_err(|e| failed(&e))?;
            sifted.taken
        } else {
            self.copy(queue, &mut file).await?
        };
        let said = format!("{} written to {path}", plural_of(n));
        replies.push((queue.to_owned(), json!({"ok": said, "messages": n})));
        Ok(Outcome::Confirmed)
    }

    async fn copy(&self, queue: &str, file: &mut File) -> Result<u64, Error> {
        use std::io::Write;
        let cant = |e: std::io::Error| Error::Refused(format!("can't write the file: {e}"));
        let mut place = 0;
        loop {
            let messages = self.broker.peek(queue, place..place + PIECE).await.map_err(|e| failed(&e))?;
            for message in &messages {
                let whole = message.original(queue);
                let whole = whole.ok_or_else(|| Error::Refused("a message is too long to be seen whole".into()))?;
                writeln!(file, "{}", as_line(&whole)).map_err(cant)?;
            }
            place += messages.len();
            self.going.say(format!("dump: {} …", plural_of(place as u64)));
            if messages.len() < PIECE || self.going.stop.is_cancelled() {
                break;
            }
        }
        file.sync_all().map_err(cant)?;
        Ok(place as u64)
    }

    async fn load(&self, queue: &str, path: &str, replies: &mut Replies) -> Result<Outcome, Error> {
        let messages = read_file(path, queue).map_err(Error::Refused)?;
        let name = name_of(&messages);
        self.not_undone(path, &messages)?;
        let (mut put, mut from) = (0, 0);
        for piece in messages.chunks(PIECE) {
            let n = self.broker.put(piece, &name, from).await.map_err(|e| match put {
                0 => failed(&e),
                _ if matches!(e, broker::Error::Unsure { .. }) => {
                    Error::Unsure(format!("stopped after {}: {e}", plural_of(put as u64)))
                }
                _ => Error::Broker(format!("stopped after {}: {e}; load it again to go on", plural_of(put as u64))),
            })?;
            self.remember_loaded(piece);
            put += n;
            from += piece.len();
            self.going.say(format!("load: {} …", plural_of(put as u64)));
            if self.going.stop.is_cancelled() {
                return Ok(Outcome::Failed(format!("stopped after {}", plural_of(put as u64))));
            }
        }
        if put == 0 && !messages.is_empty() {
            return Err(Error::Refused(format!("{path} was put back before, within a day: nothing was put again")));
        }
        let said = format!("{} put into {queue}", plural_of(put as u64));
        replies.push((queue.to_owned(), json!({"ok": said, "messages": put})));
        Ok(Outcome::Confirmed)
    }

    /// What was taken out into the file, and is back by an undo, is not put there a second time.
    fn not_undone(&self, path: &str, messages: &[Original]) -> Result<(), Error> {
        let Ok(Some(audit)) = &*self.audit else { return Ok(()) };
        let n = audit.undumped(&self.broker.url(), messages).map_err(|e| Error::Audit(e.to_string()))?;
        if n == 0 {
            return Ok(());
        }
        let n = plural_of(n);
        Err(Error::Refused(format!("of {path} an undo has put back {n} already: nothing was put a second time")))
    }

    /// What waits again out of a file can't be put back a second time by taking back the command that took it.
    fn remember_loaded(&self, messages: &[Original]) {
        let Ok(Some(audit)) = &*self.audit else { return };
        match audit.loaded(&self.broker.url(), messages) {
            Ok(over) => self.store.apply(&[Update::Deeds(over.into_iter().map(Deed::Undone).collect())]),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    async fn requeue(&self, queue: &str, worker: Option<&str>, replies: &mut Replies) -> Result<Outcome, Error> {
        let delivered = self.broker.unacked(DELIVERIES).await.map_err(|e| failed(&e))?;
        let delivered: Vec<Delivered> = delivered.into_iter().filter(|entry| entry.queue == queue).collect();
        let named = self.named_by_workers(queue).await?;
        let timeout = self.broker.health().await.ok().and_then(|health| health.visibility_timeout);
        let now = self.clock.now();
        let left_behind = |entry: &Delivered| {
            let Ok(message) = &entry.message else { return false };
            if named.contains(&message.id) {
                return false;
            }
            let overdue = || entry.at.zip(timeout).is_some_and(|(at, limit)| now.since(at).as_secs() > limit);
            self.store.read(|m| match m.task(&message.id) {
                // Its last event says that a worker had it, and no worker says so.
                Some(task) if matches!(task.state(), State::Received | State::Started) => {
                    worker.is_none_or(|name| task.worker() == Some(name))
                }
                _ => worker.is_none() && overdue(),
            })
        };
        let chosen: Vec<Delivered> = delivered.iter().filter(|entry| left_behind(entry)).cloned().collect();
        if chosen.is_empty() {
            let why = match delivered.len() {
                0 => "nothing taken from it is unacked".to_owned(),
                n => format!("of {} none is known to have been left behind", plural(n, "unacked message")),
            };
            return Ok(Outcome::Failed(why));
        }
        let done = self.broker.requeue(&chosen).await.map_err(|e| failed(&e))?;
        let n = done.iter().filter(|done| **done).count();
        let back = chosen.iter().zip(&done).filter(|(_, done)| **done);
        let ids = back.filter_map(|(entry, _)| Some(entry.message.as_ref().ok()?.id.clone())).collect();
        self.store.apply(&[Update::Requeued(ids)]);
        let said = format!("{} given out again, {} stay with their workers", plural(n, "message"), delivered.len() - n);
        replies.push((queue.to_owned(), json!({"ok": said, "messages": n})));
        Ok(Outcome::Confirmed)
    }

    /// Ids of everything that any worker says it holds. All that consume the queue have to answer.
    async fn named_by_workers(&self, queue: &str) -> Result<HashSet<TaskId>, Error> {
        let now = self.clock.now();
        let consumes = |queues: &Option<Vec<String>>| queues.as_ref().is_none_or(|q| q.iter().any(|q| q == queue));
        let online: Vec<(String, bool)> = self.store.read(|m| {
            let online = m.workers().into_iter().filter(|(_, w)| w.is_online(now));
            online.map(|(name, w)| (name.to_owned(), consumes(&w.inspected.queues))).collect()
        });
        let everybody: Vec<String> = online.iter().map(|(name, _)| name.clone()).collect();
        let mut named = HashSet::new();
        for method in [Method::Active, Method::Reserved, Method::Scheduled] {
            let answers = self.control(&Request::to_all(method), &everybody).await?;
            let silent = online.iter().find(|(name, needed)| *needed && answers.iter().all(|a| a.worker != *name));
            if let Some((name, _)) = silent {
                return Err(Error::Refused(format!("{name} consumes {queue} and gives no answer: it may hold them")));
            }
            for answer in &answers {
                for held in answer.value.as_array().into_iter().flatten() {
                    let id = held["id"].as_str().or(held["request"]["id"].as_str());
                    named.extend(id.map(TaskId::new));
                }
            }
        }
        Ok(named)
    }
}

fn plural_of(n: u64) -> String {
    plural(n, "message")
}

fn wait_not(n: usize) -> String {
    format!("{} {}", plural(n, "named message"), if n == 1 { "does" } else { "do" })
}

fn told(what: &str, sifted: Sifted, to: Option<&str>) -> String {
    let n = plural_of(sifted.taken);
    let gone = match sifted.gone {
        0 => String::new(),
        gone => format!(", {} others had taken meanwhile", crate::human::thousands(gone)),
    };
    match (what, to) {
        ("rename", Some(task)) => format!("{n} of task {task} now{gone}"),
        (_, Some(to)) => format!("{n} moved to {to}{gone}"),
        ("purge", _) => format!("{n} destroyed{gone}"),
        _ => format!("{n} deleted{gone}"),
    }
}

/// The messages of a file, for this queue whatever theirs was.
fn read_file(path: &str, queue: &str) -> Result<Vec<Original>, String> {
    let file = File::open(path).map_err(|e| format!("can't read {path}: {e}"))?;
    let mut messages = Vec::new();
    for (n, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| format!("can't read {path}: {e}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let read: Line =
            serde_json::from_str(&line).map_err(|e| format!("{path}, line {}: no message ({e})", n + 1))?;
        let bytes = read.message.into_bytes().into();
        messages.push(Original { queue: queue.to_owned(), priority: read.priority, bytes });
    }
    Ok(messages)
}

/// The same messages have the same name, in another process too.
fn name_of(messages: &[Original]) -> String {
    let each = messages.iter().map(|message| crate::history::hash(&message.bytes).to_le_bytes());
    let all: Vec<u8> = each.flatten().chain(messages.iter().map(|message| message.priority)).collect();
    let queue = messages.first().map_or("", |message| message.queue.as_str());
    format!("file:{queue}:{:016x}:{}", crate::history::hash(&all), messages.len())
}
