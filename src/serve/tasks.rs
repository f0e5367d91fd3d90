//! Reading tasks: `/api/tasks`, one task, and the names there are.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use jiff::civil::DateTime;
use serde_json::json;
use tokio::sync::Semaphore;

use super::answer::{Answer, JSON, Said, bad, unknown};
use super::call::Call;
use super::search::{self, Search};
use super::view::{Children, view};
use super::{Site, json as python};
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::state::{Model, Store, Task};

/// Tasks written under one lock.
const SLICE: usize = 500;

/// Which tasks are wanted.
#[derive(Default)]
pub(super) struct Wanted {
    worker: Option<String>,
    name: Option<String>,
    state: Option<String>,
    /// Received from and until, both included.
    received: (Option<Stamp>, Option<Stamp>),
    search: Option<Search>,
}

impl Wanted {
    /// Those that a search finds.
    pub fn searching(search: Option<Search>) -> Self {
        Self { search, ..Self::default() }
    }

    fn read(call: &Call) -> Result<Self, Box<Answer>> {
        let named = |name: &str| call.text(name).filter(|text| *text != "All").map(str::to_lowercase);
        Ok(Self {
            worker: named("workername"),
            name: named("taskname"),
            state: named("state"),
            received: (minute(call, "received_start")?, minute(call, "received_end")?),
            search: match call.text("search").map(search::parse) {
                Some(Err(why)) => {
                    return Err(Box::new(Answer { status: 400, ..Answer::json(&json!({"error": why})) }));
                }
                Some(Ok(search)) => search,
                None => None,
            },
        })
    }

    pub fn takes(&self, task: &Task<'_>) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| is.is_some_and(|is| is.to_lowercase() == *wanted))
        };
        let (from, until) = self.received;
        let in_time = task
            .received()
            .is_none_or(|at| from.is_none_or(|from| at >= from) && until.is_none_or(|until| at <= until));
        in_time
            && same(&self.state, Some(task.state_name()))
            && same(&self.name, task.name())
            && same(&self.worker, task.worker())
            && self.search.as_ref().is_none_or(|search| search.finds(task))
    }
}

/// `YYYY-MM-DD HH:MM` in this machine's zone.
fn minute(call: &Call, name: &str) -> Result<Option<Stamp>, Box<Answer>> {
    let Some(text) = call.text(name) else { return Ok(None) };
    let at = DateTime::strptime("%Y-%m-%d %H:%M", text).ok();
    let at = at.and_then(|at| at.to_zoned(jiff::tz::TimeZone::system()).ok());
    let wrong = || bad("Invalid received_start or received_end, expected format 'YYYY-MM-DD HH:MM'");
    Ok(Some(Stamp::from_micros(at.ok_or_else(wrong)?.timestamp().as_microsecond())))
}

/// What tasks are put in order by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The last event; the newest first.
    Newest,
    Uuid,
    Name,
    State,
    Worker,
    Received,
    Sent,
    Started,
    Succeeded,
    Runtime,
    Retries,
    Args,
    Kwargs,
    Result,
    Exception,
}

/// An order. What lacks the attribute comes first, and last where it descends; equals go by their ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub key: Key,
    pub descending: bool,
}

impl Order {
    fn read(call: &Call) -> Result<Self, Box<Answer>> {
        let Some(text) = call.text("sort_by") else { return Ok(Self { key: Key::Newest, descending: true }) };
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let key = match name {
            "name" => Key::Name,
            "state" => Key::State,
            "received" => Key::Received,
            "started" => Key::Started,
            other => {
                return Err(bad(format!("Invalid sort_by '{other}', expected one of name, received, started, state")));
            }
        };
        Ok(Self { key, descending })
    }

    fn compare(self, a: &Task<'_>, b: &Task<'_>) -> Ordering {
        let number = |n: Option<f64>| n.unwrap_or(f64::NEG_INFINITY);
        let by = match self.key {
            Key::Newest => a.stamp().cmp(&b.stamp()),
            Key::Uuid => Ordering::Equal,
            Key::Name => a.name().cmp(&b.name()),
            Key::State => a.state_name().cmp(b.state_name()),
            Key::Worker => a.worker().cmp(&b.worker()),
            Key::Received => a.received().cmp(&b.received()),
            Key::Sent => a.sent().cmp(&b.sent()),
            Key::Started => a.started().cmp(&b.started()),
            Key::Succeeded => a.finished().cmp(&b.finished()),
            Key::Runtime => number(a.runtime()).total_cmp(&number(b.runtime())),
            Key::Retries => a.retries().cmp(&b.retries()),
            Key::Args => a.raw_texts()[0].cmp(&b.raw_texts()[0]),
            Key::Kwargs => a.raw_texts()[1].cmp(&b.raw_texts()[1]),
            Key::Result => a.raw_texts()[2].cmp(&b.raw_texts()[2]),
            Key::Exception => a.raw_exception().cmp(&b.raw_exception()),
        };
        let by = by.then_with(|| a.id().cmp(b.id()));
        if self.descending { by.reverse() } else { by }
    }
}

/// What was found: how many, and those of the page.
pub(super) struct Found {
    pub all: usize,
    pub page: Vec<TaskId>,
}

/// Looks for tasks. Only as many are held and put in order as are asked for, however many there are.
pub(super) fn find(
    model: &Model,
    takes: impl Fn(&Task<'_>) -> bool,
    order: Order,
    offset: usize,
    limit: usize,
) -> Found {
    let end = if limit == 0 { 0 } else { offset.saturating_add(limit) };
    let (mut all, mut best, mut last) = (0, Vec::new(), None::<Task<'_>>);
    // The newest lie behind, so that little is held that has to go again where they are asked for.
    let mut tasks = model.all_tasks();
    while let Some(task) = if order.descending { tasks.next_back() } else { tasks.next() } {
        if !takes(&task) {
            continue;
        }
        all += 1;
        let late = last.is_some_and(|last| order.compare(&task, &last) == Ordering::Greater);
        if end == 0 || late {
            continue;
        }
        best.push(task);
        if best.len() == end.saturating_mul(2) {
            last = Some(*best.select_nth_unstable_by(end - 1, |a, b| order.compare(a, b)).1);
            best.truncate(end);
        }
    }
    best.sort_unstable_by(|a, b| order.compare(a, b));
    Found { all, page: best.into_iter().take(end).skip(offset).map(|task| task.id().clone()).collect() }
}

/// Writes tasks one after the other, a slice under each lock: what had to make room meanwhile is left out.
pub(super) fn write(
    store: &Store,
    ids: &[TaskId],
    out: &mut Vec<u8>,
    listed: bool,
    mut before: impl FnMut(&TaskId, &mut Vec<u8>),
) {
    let parents: HashSet<&TaskId> = ids.iter().collect();
    let children = store.read(|model| Children::of(model, &parents));
    for slice in ids.chunks(SLICE) {
        store.read(|model| {
            for task in slice.iter().filter_map(|id| model.task(id)) {
                before(task.id(), out);
                python::write(&view(&task, model, &children, listed), out);
            }
        });
    }
}

pub(super) async fn list(site: &Arc<Site>, call: &Call) -> Said {
    let limit = call.int("limit")?.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0));
    let offset = call.int("offset")?.map_or(0, |n| usize::try_from(n).unwrap_or(0));
    let order = Order::read(call)?;
    let wanted = Wanted::read(call)?;
    let store = site.ops.store.clone();
    aside(move || {
        let found = store.read(|model| find(model, |task| wanted.takes(task), order, offset, limit));
        let mut out = vec![b'{'];
        write(&store, &found.page, &mut out, true, |id, out| {
            out.extend_from_slice(if out.len() > 1 { b", " } else { b"" });
            python::write(id, out);
            out.extend_from_slice(b": ");
        });
        out.push(b'}');
        Answer::new(200, JSON, out)
    })
    .await
}

/// How many may look through all tasks at once: more only take each other's time, and each has memory of its own.
static ASIDE: Semaphore = Semaphore::const_new(2);

/// Does what takes a while away from the threads that connections are served on.
pub(super) async fn aside(work: impl FnOnce() -> Answer + Send + 'static) -> Said {
    // It is never closed.
    let _turn = ASIDE.acquire().await;
    tokio::task::spawn_blocking(work).await.map_err(|_| Box::new(Answer::empty(500)))
}

pub(super) async fn types(site: &Arc<Site>, _: &Call) -> Said {
    let mut names: Vec<String> = site.ops.store.read(|m| m.by_name().map(|(name, _)| name.to_owned()).collect());
    names.sort();
    Ok(Answer::json(&json!({"task-types": names})))
}

pub(super) async fn info(site: &Arc<Site>, call: &Call) -> Said {
    let id = TaskId::new(&call.rest);
    let mut out = Vec::new();
    write(&site.ops.store, std::slice::from_ref(&id), &mut out, false, |_, _| {});
    if out.is_empty() {
        return Err(unknown("task", &call.rest));
    }
    Ok(Answer::new(200, JSON, out))
}
