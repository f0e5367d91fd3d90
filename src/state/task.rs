//! One task: its states, the two records it is held in, and the view through which everybody else reads it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::celery::{TaskId, traceback};
use crate::clock::Stamp;

use super::failure::GroupId;
use super::intern::Sym;
use super::model::Model;

/// The state of a task, as Celery names it. `Custom` has its name beside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    Pending,
    Received,
    Started,
    Success,
    Failure,
    Retry,
    Revoked,
    Rejected,
    Custom,
}

impl State {
    /// Every state with a name of its own.
    pub const NAMED: [State; 8] = [
        State::Pending,
        State::Received,
        State::Started,
        State::Success,
        State::Failure,
        State::Retry,
        State::Revoked,
        State::Rejected,
    ];

    /// Celery's name; `Custom` has none of its own.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Received => "RECEIVED",
            State::Started => "STARTED",
            State::Success => "SUCCESS",
            State::Failure => "FAILURE",
            State::Retry => "RETRY",
            State::Revoked => "REVOKED",
            State::Rejected => "REJECTED",
            State::Custom => "CUSTOM",
        }
    }

    /// The state of a name in capitals.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|state| state.name() == name)
    }

    /// Celery's order of precedence, lower wins (Celery 5.7.0, `celery/states.py`).
    pub fn precedence(self) -> u8 {
        match self {
            State::Success => 0,
            State::Failure => 1,
            State::Custom => 2,
            State::Revoked => 3,
            State::Started => 4,
            State::Received => 5,
            State::Rejected => 6,
            State::Retry => 7,
            State::Pending => 8,
        }
    }

    /// Whether nothing more is expected.
    pub fn is_ready(self) -> bool {
        matches!(self, State::Success | State::Failure | State::Revoked | State::Rejected)
    }

    /// Whether an event with an outcome set it: such states have a `finished` time.
    pub fn is_outcome(self) -> bool {
        self.outcome_index().is_some()
    }

    pub(super) fn outcome_index(self) -> Option<usize> {
        match self {
            State::Success => Some(0),
            State::Failure => Some(1),
            State::Retry => Some(2),
            State::Revoked => Some(3),
            State::Rejected => Some(4),
            _ => None,
        }
    }
}

/// Runtime in units of 10 microseconds, with two values set aside.
pub(super) const NO_RUNTIME: u32 = u32::MAX;
/// The runtime is too long for the record and lies in `Rare`.
pub(super) const LONG_RUNTIME: u32 = u32::MAX - 1;

pub(super) mod flag {
    /// `root_id` is the task's own id.
    pub const ROOT_SELF: u8 = 1;
    /// The sender said how many retries there were.
    pub const RETRIES: u8 = 2;
    /// Counted in the class of what failed or is unfinished.
    pub const REST: u8 = 4;
    /// Revoked because its time had passed.
    pub const EXPIRED: u8 = 8;
    /// Revoked while it ran.
    pub const TERMINATED: u8 = 16;
    /// First known from the history.
    pub const RECALLED: u8 = 32;
    /// Lost with its worker.
    pub const LOST: u8 = 64;
}

/// What lists sort and filter by: 32 bytes a task.
#[derive(Clone)]
pub(super) struct Hot {
    pub name: Option<Sym>,
    pub worker: Option<Sym>,
    pub queue: Option<Sym>,
    /// The exception's type.
    pub exception: Option<Sym>,
    pub received: Option<Stamp>,
    pub runtime: u32,
    pub state: State,
    pub flags: u8,
    pub retries: u16,
}

/// The rest of a task: 88 bytes.
pub(super) struct Cold {
    pub id: TaskId,
    pub sent: Option<Stamp>,
    pub started: Option<Stamp>,
    /// Stamp of the event that set the present state, if that is an outcome.
    pub finished: Option<Stamp>,
    /// Stamp of the last event that was applied.
    pub stamp: Option<Stamp>,
    /// `args`, `kwargs` and `result`, packed.
    pub text: Option<Box<[u8]>>,
    pub rare: Option<Box<Rare>>,
    pub route: Option<RouteId>,
    /// Place in the queue of its eviction class.
    pub seq: u32,
}

/// What few tasks have.
#[derive(Default, Clone)]
pub(super) struct Rare {
    pub exception: Option<Box<str>>,
    pub traceback: Option<Arc<str>>,
    pub root: Option<TaskId>,
    pub parent: Option<TaskId>,
    pub eta: Option<Box<str>>,
    pub expires: Option<Box<str>>,
    pub signum: Option<Box<str>>,
    /// Stamps of outcomes other than the one that set the present state, by [`State::outcome_index`].
    pub outcomes: [Option<Stamp>; 5],
    /// Seconds, where they don't fit into [`Hot`].
    pub runtime: f64,
    pub custom: Option<Sym>,
    pub attempts: Vec<Attempt>,
    /// When the run before was sent, where the next one was announced before the retry itself.
    pub sent_before: Option<Stamp>,
    /// What kind of failure it was.
    pub group: Option<GroupId>,
    /// The task that a person sent in its place.
    pub retried_as: Option<TaskId>,
}

impl Rare {
    /// Bytes of its own: those of tracebacks are counted where they are held.
    pub fn size(&self) -> usize {
        let text = |t: &Option<Box<str>>| t.as_deref().map_or(0, str::len);
        size_of::<Self>()
            + text(&self.exception)
            + text(&self.eta)
            + text(&self.expires)
            + self.attempts.len() * size_of::<Attempt>()
    }
}

/// An earlier run of a task that was retried.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub sent: Option<Stamp>,
    pub received: Option<Stamp>,
    pub started: Option<Stamp>,
    pub finished: Stamp,
    pub worker: Option<Sym>,
    pub exception: Option<Sym>,
}

/// Place of a [`Route`] in the model's table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct RouteId(pub std::num::NonZeroU32);

/// Where a task came from and which process announced it last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Route {
    pub client: Option<Sym>,
    pub exchange: Option<Sym>,
    pub routing_key: Option<Sym>,
    pub pid: Option<u32>,
}

/// `args`, `kwargs` and `result` behind their lengths; a length of zero is null, so that empty texts survive.
pub(super) fn pack(parts: [Option<&str>; 3]) -> Option<Box<[u8]>> {
    if parts.iter().all(Option::is_none) {
        return None;
    }
    let mut out = Vec::with_capacity(parts.iter().flatten().map(|p| p.len()).sum::<usize>() + 9);
    for part in parts {
        let mut n = part.map_or(0, |p| p.len() + 1);
        while n >= 0x80 {
            out.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }
    for part in parts.into_iter().flatten() {
        out.extend_from_slice(part.as_bytes());
    }
    Some(out.into_boxed_slice())
}

/// The inverse of [`pack`].
pub(super) fn unpack(text: Option<&[u8]>) -> [Option<&str>; 3] {
    let mut parts = [None; 3];
    let Some(bytes) = text else { return parts };
    let mut at = 0;
    let mut lengths = [0usize; 3];
    for length in &mut lengths {
        let mut shift = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            *length |= ((byte & 0x7f) as usize) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
    }
    for (part, length) in parts.iter_mut().zip(lengths) {
        if length > 0 {
            *part = bytes.get(at..at + length - 1).and_then(|b| std::str::from_utf8(b).ok());
            at += length - 1;
        }
    }
    parts
}

/// One task as everybody reads it. Lives no longer than the look at the model.
#[derive(Clone, Copy)]
pub struct Task<'m> {
    pub(super) model: &'m Model,
    pub(super) hot: &'m Hot,
    pub(super) cold: &'m Cold,
}

impl<'m> Task<'m> {
    fn sym(&self, sym: Option<Sym>) -> Option<&'m str> {
        sym.map(|s| self.model.names.name(s))
    }

    fn rare(&self) -> Option<&'m Rare> {
        self.cold.rare.as_deref()
    }

    pub fn id(&self) -> &'m TaskId {
        &self.cold.id
    }
    pub fn state(&self) -> State {
        self.hot.state
    }
    /// The state's name; custom states have their own.
    pub fn state_name(&self) -> &'m str {
        match self.rare().and_then(|r| r.custom) {
            Some(custom) if self.hot.state == State::Custom => self.model.names.name(custom),
            _ => self.hot.state.name(),
        }
    }
    pub fn name(&self) -> Option<&'m str> {
        self.sym(self.hot.name)
    }
    pub fn worker(&self) -> Option<&'m str> {
        self.sym(self.hot.worker)
    }
    pub fn queue(&self) -> Option<&'m str> {
        self.sym(self.hot.queue)
    }
    /// The exception's type.
    pub fn exception_type(&self) -> Option<&'m str> {
        self.sym(self.hot.exception)
    }
    /// The exception as its worker printed it, without secrets.
    pub fn exception(&self) -> Option<Cow<'m, str>> {
        Some(self.model.redactor.text(self.raw_exception()?))
    }
    /// What failed, in words: what its worker printed, or what the traceback says where that names nothing.
    pub fn error(&self) -> Option<Cow<'m, str>> {
        Some(self.model.redactor.text(traceback::telling(self.raw_exception()?, self.raw_traceback())))
    }
    /// Without secrets.
    pub fn traceback(&self) -> Option<Cow<'m, str>> {
        Some(self.model.redactor.traceback(self.raw_traceback()?))
    }
    /// Without secrets.
    pub fn args(&self) -> Option<Cow<'m, str>> {
        Some(self.model.redactor.text(self.raw_texts()[0]?))
    }
    /// Without secrets.
    pub fn kwargs(&self) -> Option<Cow<'m, str>> {
        Some(self.model.redactor.text(self.raw_texts()[1]?))
    }
    /// Without secrets.
    pub fn result(&self) -> Option<Cow<'m, str>> {
        Some(self.model.redactor.text(self.raw_texts()[2]?))
    }
    /// `args`, `kwargs` and `result` with their secrets: for what is sent and what is searched, never to be shown.
    pub fn raw_texts(&self) -> [Option<&'m str>; 3] {
        unpack(self.cold.text.as_deref())
    }
    pub fn raw_exception(&self) -> Option<&'m str> {
        self.rare()?.exception.as_deref()
    }
    pub fn raw_traceback(&self) -> Option<&'m str> {
        self.rare()?.traceback.as_deref()
    }
    /// The texts packed: for searches that want to know quickly that there is nothing to find.
    pub(super) fn packed_texts(&self) -> Option<&'m [u8]> {
        self.cold.text.as_deref()
    }
    pub fn retries(&self) -> Option<u16> {
        (self.hot.flags & flag::RETRIES != 0).then_some(self.hot.retries)
    }
    pub fn sent(&self) -> Option<Stamp> {
        self.cold.sent
    }
    pub fn received(&self) -> Option<Stamp> {
        self.hot.received
    }
    pub fn started(&self) -> Option<Stamp> {
        self.cold.started
    }
    /// When the event came that set the present state, if that is an outcome.
    pub fn finished(&self) -> Option<Stamp> {
        self.cold.finished
    }
    /// When the last event was stamped.
    pub fn stamp(&self) -> Option<Stamp> {
        self.cold.stamp
    }
    /// The last stamp of an outcome, whether or not it set the present state.
    pub fn outcome(&self, state: State) -> Option<Stamp> {
        if state == self.hot.state {
            return self.cold.finished;
        }
        self.rare()?.outcomes[state.outcome_index()?]
    }
    /// Seconds the task's function ran, as its worker measured them.
    pub fn runtime(&self) -> Option<f64> {
        match self.hot.runtime {
            NO_RUNTIME => None,
            LONG_RUNTIME => self.rare().map(|r| r.runtime),
            units => Some(f64::from(units) / 1e5),
        }
    }
    /// Whether it is the first task of its workflow.
    pub fn is_own_root(&self) -> bool {
        self.hot.flags & flag::ROOT_SELF != 0
    }
    pub fn root(&self) -> Option<TaskId> {
        if self.is_own_root() {
            return Some(self.cold.id.clone());
        }
        self.rare()?.root.clone()
    }
    pub fn parent(&self) -> Option<&'m TaskId> {
        self.rare()?.parent.as_ref()
    }
    pub fn eta(&self) -> Option<&'m str> {
        self.rare()?.eta.as_deref()
    }
    pub fn expires(&self) -> Option<&'m str> {
        self.rare()?.expires.as_deref()
    }
    /// Number of the signal that ended it.
    pub fn signum(&self) -> Option<&'m str> {
        self.rare()?.signum.as_deref()
    }
    pub fn is_expired(&self) -> bool {
        self.hot.flags & flag::EXPIRED != 0
    }
    pub fn is_terminated(&self) -> bool {
        self.hot.flags & flag::TERMINATED != 0
    }
    /// Whether the history told of it first, and not an event that came.
    pub fn is_recalled(&self) -> bool {
        self.hot.flags & flag::RECALLED != 0
    }
    /// What kind of failure it was, the last time it failed.
    pub fn group(&self) -> Option<GroupId> {
        self.rare()?.group
    }
    /// The task it was sent in place of, from here.
    pub fn retry_of(&self) -> Option<&'m TaskId> {
        self.model.retry_of.get(&self.cold.id)
    }
    /// When it was asked to be revoked from here, as long as no event says what became of it.
    pub fn revoke_asked(&self) -> Option<Stamp> {
        self.model.revoke_asked.get(&self.cold.id).copied()
    }
    /// The task that a person sent in its place.
    pub fn retried_as(&self) -> Option<&'m TaskId> {
        let here = self.rare().and_then(|rare| rare.retried_as.as_ref());
        here.or_else(|| self.model.deeds.sent_again(&self.cold.id))
    }
    /// Failed, and neither sent again nor succeeded since.
    pub fn is_open(&self) -> bool {
        self.hot.state == State::Failure && self.retried_as().is_none()
    }
    /// How often it was seen to start.
    pub fn runs(&self) -> usize {
        let current = self.cold.started.is_some_and(|at| self.attempts().last().is_none_or(|a| a.started != Some(at)));
        self.attempts().iter().filter(|a| a.started.is_some()).count() + usize::from(current)
    }
    /// Earlier runs, oldest first.
    pub fn attempts(&self) -> &'m [Attempt] {
        self.rare().map_or(&[], |r| &r.attempts)
    }
    fn route(&self) -> Route {
        self.model.route(self.cold.route)
    }
    /// Who sent it: `gen<pid>@host`.
    pub fn client(&self) -> Option<&'m str> {
        self.sym(self.route().client)
    }
    pub fn exchange(&self) -> Option<&'m str> {
        self.sym(self.route().exchange)
    }
    pub fn routing_key(&self) -> Option<&'m str> {
        self.sym(self.route().routing_key)
    }
    /// Process that announced it last: the worker's main process.
    pub fn pid(&self) -> Option<u32> {
        self.route().pid
    }

    /// When the run was sent whose other stamps are on the task: the next one may have been sent already.
    pub fn sent_to_run(&self) -> Option<Stamp> {
        match (self.sent(), self.started()) {
            (Some(sent), Some(started)) if sent > started => self.rare()?.sent_before,
            (sent, _) => sent,
        }
    }

    /// Seconds from when it could have run to when it did, and whether more may have passed than was seen.
    pub fn wait(&self) -> Option<(f64, bool)> {
        let started = self.started()?;
        let eta = self.eta().and_then(parse_iso);
        let (from, at_least) = match (eta.or(self.sent_to_run()), self.received()) {
            (Some(from), _) => (from, false),
            (None, Some(received)) => (received, true),
            (None, None) => return None,
        };
        // Of a run that was sent already, and has not started, the stamps don't belong together.
        (from <= started).then(|| (started.since(from).as_secs_f64(), at_least))
    }

    /// Seconds it has been running at `now`, if it is.
    pub fn running(&self, now: Stamp) -> Option<f64> {
        self.since_start(now).filter(|_| self.hot.flags & flag::LOST == 0)
    }

    /// The same, lost or not: what was written down knows nothing of that.
    pub(super) fn since_start(&self, now: Stamp) -> Option<f64> {
        match (self.hot.state, self.cold.started) {
            (State::Started, Some(started)) => Some(now.since(started).as_secs_f64()),
            _ => None,
        }
    }

    /// Seconds until it may start, while it waits for an eta.
    pub fn due(&self, now: Stamp) -> Option<f64> {
        if !matches!(self.hot.state, State::Pending | State::Received | State::Retry) {
            return None;
        }
        self.eta().and_then(parse_iso).map(|eta| eta.secs() - now.secs())
    }

    /// Whether one of these is its root.
    pub(super) fn has_root(&self, roots: &[TaskId]) -> bool {
        let own = self.hot.flags & flag::ROOT_SELF != 0;
        let root = if own { Some(&self.cold.id) } else { self.rare().and_then(|r| r.root.as_ref()) };
        root.is_some_and(|root| roots.contains(root))
    }

    /// When it was first heard of: received, else sent, else its last event.
    pub fn seen(&self) -> Option<Stamp> {
        self.hot.received.or(self.cold.sent).or(self.cold.stamp)
    }
}

/// An ISO 8601 time as Celery writes it; without an offset it is UTC.
pub fn parse_iso(text: &str) -> Option<Stamp> {
    let micros = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.as_microsecond(),
        Err(_) => {
            let at = text.parse::<jiff::civil::DateTime>().ok()?;
            at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond()
        }
    };
    Some(Stamp::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_keep_their_size() {
        assert_eq!(size_of::<Hot>(), 32);
        assert_eq!(size_of::<Cold>(), 88);
    }

    #[test]
    fn packed_texts_come_back_and_empty_is_not_null() {
        let long = "x".repeat(20_000);
        for parts in [
            [Some("(1, 2)"), Some("{}"), Some("'é'")],
            [Some(""), None, Some(long.as_str())],
            [None, None, Some("")],
            [None, None, None],
        ] {
            assert_eq!(unpack(pack(parts).as_deref()), parts);
        }
    }

    #[test]
    fn iso_times_are_read_with_and_without_offset() {
        let utc = parse_iso("2026-11-24T00:51:01.916482+00:00");
        assert_eq!(utc, parse_iso("2026-11-24T00:51:01.916482"));
        assert_eq!(utc, parse_iso("2026-11-24T02:51:01.916482+02:00"));
        assert_eq!(parse_iso("soon"), None);
    }
}
