//! Many tasks sent again or revoked, many messages deleted: frozen first, at a rate, and gone on with after a break. What is
//! sent again has a canary before and a brake on the way; each message is put into its queue once, also where the broker or
//! we ourselves are gone in between.

mod delete;
mod kind;
mod revoke;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::command::{NAMED, Preview, join, plural, quote};
use super::receipt::Outcome;
pub use super::resume::Resume;
use super::retry::{Retry, repeat};
use super::run::Ops;
use super::{Command, Error, QueueAction, Risk, Which};
use crate::broker;
use crate::celery::TaskId;
use crate::celery::original::Original;
use crate::celery::pidbox::Signal;
use crate::history::audit::Audit;
use crate::history::bulk::Stand;
use crate::redact::Redactor;
use crate::state::{Model, State, Update};
use delete::Taken;
pub use kind::Kind;
use revoke::Heard;

/// Tasks above which a canary goes first where nothing else is said.
pub const MANY: usize = 20;
/// Tasks of a canary.
pub const CANARY: usize = 5;
/// Tasks a second where nothing else is said.
pub const RATE: f64 = 50.0;
/// Tasks revoked in a second where nothing else is said: many ids are one message.
pub const REVOKES: f64 = 500.0;
/// Messages deleted in a second.
const DELETES: f64 = 1_000.0;
/// How long is waited for what became of a canary.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pieces a second.
const PIECES: f64 = 10.0;
/// Of the last so many that ended, more than a tenth may not have failed again.
const WATCHED: usize = 1_000;
const LEAST: usize = 20;
/// How long until a broker that is away is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Bulk {
    New {
        tasks: Vec<Retry>,
        /// Which others were chosen and can't be sent again exactly, and why.
        refused: Vec<String>,
        /// A second.
        rate: f64,
        /// So many go first, and what becomes of them is waited for.
        canary: usize,
        /// The filter that chose them all, where one did.
        filter: Option<String>,
    },
    /// Tasks that every worker is told to skip; with a signal, those that run get it.
    Revoke { ids: Vec<TaskId>, terminate: Option<Signal>, rate: f64 },
    /// Messages of a queue that are taken out of it.
    Delete { queue: String, ids: BTreeSet<TaskId> },
    /// One that was broken off.
    Resume(Resume),
}

impl Command {
    /// Revokes tasks: many of them as a bulk action.
    pub fn revoke(ids: Vec<TaskId>, terminate: Option<Signal>) -> Self {
        match ids.len() {
            0..=MANY => Command::Revoke { ids, terminate },
            _ => Command::Bulk(Bulk::Revoke { ids, terminate, rate: REVOKES }),
        }
    }

    /// Deletes messages of a queue: many that are named as a bulk action.
    pub fn delete(queue: String, which: Which) -> Self {
        match which {
            Which::Ids(ids) if ids.len() > MANY => Command::Bulk(Bulk::Delete { queue, ids }),
            which => Command::Queue { queue, what: QueueAction::Delete(which) },
        }
    }
}

impl Bulk {
    fn kind(&self) -> Kind {
        match self {
            Bulk::New { .. } => Kind::Retry,
            Bulk::Revoke { terminate, .. } => Kind::revoking(*terminate),
            Bulk::Delete { .. } => Kind::Delete,
            Bulk::Resume(resume) => resume.kind,
        }
    }

    pub(super) fn risk(&self) -> Risk {
        self.kind().risk()
    }

    pub(super) fn verb(&self) -> &'static str {
        self.kind().verb()
    }

    pub(super) fn target(&self) -> String {
        match self {
            Bulk::New { tasks, .. } => plural(tasks.len(), "task"),
            Bulk::Revoke { ids, .. } => plural(ids.len(), "task"),
            Bulk::Delete { queue, .. } => queue.clone(),
            Bulk::Resume(resume) => format!("bulk {}", resume.id),
        }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        match self {
            Bulk::New { rate, canary, .. } => vec![format!("--rate {rate}/s"), format!("--canary {canary}")],
            Bulk::Revoke { terminate, rate, .. } => {
                let signal = terminate.map(|signal| signal.name().to_owned());
                signal.into_iter().chain([format!("--rate {rate}/s")]).collect()
            }
            Bulk::Delete { ids, .. } => vec![plural(ids.len(), "message")],
            Bulk::Resume(_) => Vec::new(),
        }
    }

    /// The command line that does the same: none of hundreds of ids.
    pub(super) fn words(&self) -> String {
        match self {
            Bulk::New { tasks, rate, canary, filter, .. } => {
                let which = match filter {
                    Some(filter) => format!("--filter {}", quote(filter)),
                    None if tasks.len() > NAMED => return format!("retry of {}", plural(tasks.len(), "task")),
                    None => join(tasks.iter().map(|task| quote(&task.original.to_string()))),
                };
                format!("flower-tui retry {which} --rate {rate}/s --canary {canary}")
            }
            Bulk::Revoke { ids, terminate, .. } if ids.len() > NAMED => {
                let what = if terminate.is_some() { "termination" } else { "revocation" };
                format!("{what} of {}", plural(ids.len(), "task"))
            }
            Bulk::Revoke { ids, terminate, rate } => {
                let signal = terminate.map_or(String::new(), |s| format!(" --terminate --signal {}", s.name()));
                let ids = join(ids.iter().map(|id| quote(&id.to_string())));
                format!("flower-tui revoke {ids}{signal} --rate {rate}/s")
            }
            Bulk::Delete { queue, ids } if ids.len() > NAMED => {
                format!("deletion of {} from {queue}", plural(ids.len(), "message"))
            }
            Bulk::Delete { queue, ids } => {
                let ids = join(ids.iter().map(|id| quote(&id.to_string())));
                format!("flower-tui queue {} delete {ids}", quote(queue))
            }
            Bulk::Resume(resume) => format!("flower-tui bulk resume {}", resume.id),
        }
    }

    pub(super) fn preview(&self, model: &Model) -> Preview {
        match self {
            Bulk::Resume(resume) => resume.preview(),
            Bulk::Delete { queue, ids } => delete::preview(queue, ids, model),
            Bulk::Revoke { ids, terminate, rate } => revoke::preview(ids, *terminate, *rate, model),
            Bulk::New { tasks, refused, rate, canary, .. } => {
                retry_preview(tasks, refused, (*rate, *canary), model.redactor())
            }
        }
    }
}

fn retry_preview(tasks: &[Retry], refused: &[String], (rate, canary): (f64, usize), redactor: &Redactor) -> Preview {
    let mut lines: Vec<String> = tasks.iter().take(NAMED).map(|task| task.line(redactor)).collect();
    if tasks.len() > NAMED {
        lines.push(format!("and {} more", crate::human::thousands((tasks.len() - NAMED) as u64)));
    }
    lines.push(String::new());
    if canary > 0 {
        lines.push(format!("{} first: then it waits for what becomes of them, and asks.", plural(canary, "task")));
    }
    lines.push(format!("{rate} a second; it stops by itself when over a tenth fail again."));
    lines.push("What is to be sent is written down first: bulk list, resume and stop know it.".into());
    if !refused.is_empty() {
        lines.push(format!("{} can't be sent again exactly:", plural(refused.len(), "other")));
        lines.extend(refused.iter().take(NAMED).cloned());
    }
    Preview { title: format!("Send {} again?", plural(tasks.len(), "task")), lines }
}

/// One that is under way.
struct Run<'a> {
    ops: &'a Ops,
    audit: &'a Audit,
    id: i64,
    /// The row of the command that began it.
    row: i64,
    kind: Kind,
    /// What the broker knows it by: audit logs of others have a first bulk too.
    name: String,
    rate: f64,
    /// The place of the next message, how many are done, and how many there are.
    next: usize,
    sent: usize,
    all: usize,
    /// Those sent last, until they have ended.
    watched: VecDeque<TaskId>,
    /// What workers said who were told to revoke.
    heard: Heard,
    /// What was taken out of a queue.
    taken: Taken,
}

impl Ops {
    /// Does what is to be done; ends with what comes next, where a person is to be asked.
    pub(super) async fn bulk(
        &self,
        bulk: &Bulk,
        row: Option<i64>,
        replies: &mut Vec<(String, Value)>,
        after: &mut Option<Box<Command>>,
    ) -> Result<Outcome, Error> {
        let (Ok(Some(audit)), Some(row)) = (&*self.audit, row) else {
            // Where no log is wanted, all of it is done in one go: there is nothing to go on with.
            if let (Bulk::Delete { queue, ids }, Ok(None)) = (bulk, &*self.audit) {
                let what = QueueAction::Delete(Which::Ids(ids.clone()));
                return self.change_queue(queue, &what, None, replies).await;
            }
            if let (Bulk::Revoke { ids, terminate, .. }, Ok(None)) = (bulk, &*self.audit) {
                return self.revoke(ids, *terminate, replies).await;
            }
            return Err(Error::Audit("a bulk action is written down first, and there is no audit log".into()));
        };
        let wrong = |e: crate::history::audit::Error| Error::Audit(e.to_string());
        let (id, canary) = self.frozen(bulk, row, audit).map_err(wrong)?;
        let known = self.known_bulk(id)?;
        let Some(kind) = Kind::parse(&known.verb).filter(|kind| *kind == bulk.kind()) else {
            return Err(Error::Refused(format!("bulk {id} is another thing than was asked for: {}", known.verb)));
        };
        if matches!(bulk, Bulk::Resume(_)) {
            let left = self.sent_meanwhile(id, kind).await?;
            replies.extend(left.iter().map(|(_, task, why)| (task.clone(), json!({"left_out": why}))));
            let left: Vec<(usize, String)> = left.into_iter().map(|(n, _, why)| (n, why)).collect();
            audit.leave_out(id, &left).map_err(wrong)?;
        }
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (sent, all, rate) = (count(known.sent), count(known.all), known.rate.max(0.1));
        let next = audit.next_of(id).map_err(wrong)?;
        let first = audit.items(id, 0, 1).map_err(wrong)?.into_iter().next();
        let name = format!("bulk:{id}:{}", first.map(|item| item.new).unwrap_or_default());
        let (watched, heard, taken) = (VecDeque::new(), Heard::default(), Taken::default());
        let row = known.row;
        let mut run = Run { ops: self, audit, id, row, kind, name, rate, next, sent, all, watched, heard, taken };
        audit.stands(id, Stand::Going, "").map_err(wrong)?;
        let ended = run.send(canary).await?;
        let said = run.said();
        replies.push((format!("bulk {id}"), json!({"ok": said, "sent": run.sent, "of": all, "bulk": id})));
        let left = self.known_bulk(id)?.left();
        let (stand, why) = match &ended {
            End::Done => (Stand::Done, String::new()),
            End::Paused(why) if left == 0 => (Stand::Done, why.clone()),
            End::Paused(why) => (Stand::Paused, why.clone()),
            End::Stopped => (Stand::Stopped, format!("{said}; bulk resume {id} goes on")),
        };
        if stand == Stand::Paused {
            let resume = Resume { id, kind, left, why: why.clone(), left_out: Vec::new() };
            *after = Some(Box::new(Command::Bulk(Bulk::Resume(resume))));
        }
        audit.stands(id, stand, &why).map_err(wrong)?;
        let told = match kind {
            Kind::Retry => None,
            Kind::Delete => Some(run.taken.told()),
            Kind::Revoke | Kind::Terminate(_) => Some(run.heard.told(kind != Kind::Revoke)),
        };
        let judged = told.map(|(answers, outcome)| {
            replies.extend(answers);
            outcome
        });
        Ok(match stand {
            Stand::Done => judged.unwrap_or(Outcome::Confirmed),
            Stand::Paused => Outcome::Paused(why),
            _ => Outcome::Failed(format!("stopped: {why}")),
        })
    }

    /// Writes down what is to be done, where that is not done yet: its number, and how many go first.
    fn frozen(&self, bulk: &Bulk, row: i64, audit: &Audit) -> Result<(i64, usize), crate::history::audit::Error> {
        let (items, rate, canary): (Vec<(String, String, Original)>, f64, usize) = match bulk {
            Bulk::Resume(resume) => return Ok((resume.id, 0)),
            Bulk::New { tasks, rate, canary, .. } => {
                let item = |task: &Retry| {
                    (task.original.to_string(), task.message.id.to_string(), repeat::as_original(&task.message))
                };
                (tasks.iter().map(item).collect(), *rate, (*canary).min(tasks.len()))
            }
            Bulk::Delete { queue, ids } => (ids.iter().map(|id| delete::item(id, queue)).collect(), DELETES, 0),
            Bulk::Revoke { ids, rate, .. } => (ids.iter().map(revoke::item).collect(), *rate, 0),
        };
        let kind = bulk.kind().word();
        let id = audit.freeze((row, self.clock.now()), &self.broker.url(), (&kind, rate), &items)?;
        Ok((id, canary))
    }
}

/// Whether it is worth waiting until the broker is itself again: it is away, or reads its files after a start.
fn comes_back(error: &broker::Error) -> bool {
    match error {
        broker::Error::Unreachable { .. } | broker::Error::Timeout { .. } => true,
        broker::Error::Command { why, .. } => {
            ["LOADING", "BUSY", "MASTERDOWN", "READONLY"].iter().any(|word| why.starts_with(word))
        }
        _ => false,
    }
}

/// Why it sends no more.
enum End {
    Done,
    Paused(String),
    Stopped,
}

impl Run<'_> {
    async fn send(&mut self, canary: usize) -> Result<End, Error> {
        let until = if canary > 0 { canary } else { self.all };
        while self.next < until {
            if self.is_stopped() {
                return Ok(End::Stopped);
            }
            let halted = match self.kind {
                Kind::Retry => self.piece(until).await?.or_else(|| self.brake()),
                Kind::Delete => self.delete().await?,
                Kind::Revoke => self.tell(None).await?,
                Kind::Terminate(signal) => self.tell(Some(signal)).await?,
            };
            if let Some(why) = halted {
                return Ok(End::Paused(why));
            }
        }
        if canary == 0 {
            return Ok(End::Done);
        }
        let (good, bad, open) = self.outcomes().await;
        Ok(End::Paused(format!("canary of {canary}: {good} succeeded, {bad} failed again, {open} have not ended")))
    }

    fn is_stopped(&self) -> bool {
        let asked = || matches!(self.audit.stand_of(self.id), Ok(Some(Stand::Stopping)));
        self.ops.going.stop.is_cancelled() || asked()
    }

    /// Sends the next few, as many as are due in a tenth of a second; says why, if it can't.
    async fn piece(&mut self, until: usize) -> Result<Option<String>, Error> {
        let most = ((self.rate / PIECES).ceil() as usize).clamp(1, 250).min(until - self.next);
        let wrong = |e: crate::history::audit::Error| Error::Audit(e.to_string());
        let begun = std::time::Instant::now();
        let mut items = self.audit.items(self.id, self.next, most).map_err(wrong)?;
        // In one piece go those that lie side by side: what is left out would move the others' places.
        let out = items.iter().take_while(|item| !item.left_out.is_empty()).count();
        if out > 0 || items.is_empty() {
            self.next = if items.is_empty() { until } else { self.next + out };
            return Ok(None);
        }
        items.truncate(items.iter().take_while(|item| item.left_out.is_empty()).count());
        let messages: Vec<Original> = items.iter().map(|item| item.message.clone()).collect();
        let mut away = false;
        loop {
            // Under one name for all of it: what the broker has of it already it takes no second time.
            match self.ops.broker.put(&messages, &self.name, self.next).await {
                Ok(_) => break,
                Err(error) if comes_back(&error) => self.wait(&error.reason(), &mut away).await?,
                Err(error) => return Ok(Some(format!("{}, then: {error}", self.said()))),
            }
        }
        self.crossed_off(items.len())?;
        let told = items
            .iter()
            .map(|item| Update::Retried(TaskId::new(&item.task), TaskId::new(&item.new), item.message.queue.clone()));
        self.ops.store.apply(&told.collect::<Vec<_>>());
        self.watched.extend(items.iter().map(|item| TaskId::new(&item.new)));
        while self.watched.len() > WATCHED {
            self.watched.pop_front();
        }
        self.pace(items.len(), begun).await;
        Ok(None)
    }

    /// So many have been done with: noted before the next ones go.
    fn crossed_off(&mut self, n: usize) -> Result<(), Error> {
        let noted = self.audit.cross_off(self.id, self.next, n, self.ops.clock.now());
        noted.map_err(|e| Error::Audit(e.to_string()))?;
        self.next += n;
        self.sent += n;
        self.say();
        Ok(())
    }

    /// Waits until the next ones are due: so many went since `begun`.
    async fn pace(&self, n: usize, begun: std::time::Instant) {
        let due = Duration::from_secs_f64(n as f64 / self.rate);
        if self.next < self.all {
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
    }

    fn said(&self) -> String {
        let n = |n: usize| crate::human::thousands(n as u64);
        format!("{} of {} {}", n(self.sent), n(self.all), self.kind.done())
    }

    fn say(&self) {
        self.ops.going.say(format!("bulk {}: {} …", self.id, self.said()));
    }

    async fn wait(&self, why: &str, away: &mut bool) -> Result<(), Error> {
        if self.is_stopped() {
            return Err(Error::Broker(format!(
                "stopped while the broker was away ({why}); bulk resume {} goes on",
                self.id
            )));
        }
        if !std::mem::replace(away, true) {
            self.ops.going.say(format!("bulk {}: {why}; it goes on when the broker is back", self.id));
        }
        tokio::time::sleep(AGAIN).await;
        Ok(())
    }

    /// Of those sent lately: succeeded, failed, not ended.
    fn count(&self) -> (usize, usize, usize) {
        self.ops.store.read(|m| {
            let mut counts = (0, 0, 0);
            for id in &self.watched {
                match m.task(id).map(|task| task.state()) {
                    Some(State::Success) => counts.0 += 1,
                    Some(State::Failure | State::Rejected) => counts.1 += 1,
                    Some(state) if state.is_ready() => counts.1 += 1,
                    _ => counts.2 += 1,
                }
            }
            counts
        })
    }

    fn brake(&self) -> Option<String> {
        let (good, bad, _) = self.count();
        let ended = good + bad;
        (ended >= LEAST && bad * 10 > ended).then(|| format!("braked: {bad} of the last {ended} failed again"))
    }

    /// Waits until what was sent has ended, with a limit.
    async fn outcomes(&self) -> (usize, usize, usize) {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let counts = self.count();
            if counts.2 == 0 || tokio::time::Instant::now() >= end || self.is_stopped() {
                return counts;
            }
            self.ops.going.say(format!("bulk {}: the canary runs, {} have not ended …", self.id, counts.2));
            let seen = self.ops.store.read(|m| m.version());
            // Either something happens, or the time is up.
            let _ = tokio::time::timeout(AGAIN, self.ops.store.changed(seen)).await;
        }
    }
}
