//! Looking things up in the file. Each reader has a connection of its own, and sees what was written up to now.
//!
//! Everything here may take long: not for the main thread, nor for one that others wait for.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::blocks::{BLOCK, Block};
use super::minutes::{self, Runtimes, Tally};
use super::plan::{self, Plan};
use super::row::{self, Dictionary};
use super::told::{self, Told};
use super::{Error, audit, ids, links, schema, ticks};
use crate::celery::TaskId;
use crate::celery::event::Batch;
use crate::clock::Stamp;
use crate::filter::Filter;
use crate::state::State;
use crate::state::doc::TaskDoc;

/// See the module.
pub struct Reader {
    pub(super) db: Connection,
    path: PathBuf,
    dictionary: Dictionary,
}

/// What to look for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub filter: Filter,
    /// The time that durations in the filter are counted back from.
    pub now: Stamp,
    pub zone: TimeZone,
    /// Tasks looked for at the most.
    pub limit: usize,
    /// Goes on where an earlier look ended: [`Page::next`].
    pub before: Option<i64>,
}

/// What a look has found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Tasks passed, those included that a summary ruled out.
    pub looked: u64,
    /// Tasks there are.
    pub of: u64,
    pub found: u64,
}

/// Tasks that were found, the newest first, each with its row.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub tasks: Vec<(i64, TaskDoc)>,
    /// Where to go on; `None` where everything was looked at.
    pub next: Option<i64>,
}

/// What a filter selects, added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// How many tasks are in each state.
    pub states: BTreeMap<String, u64>,
    /// Runtimes of those that succeeded; `None` where only a look at each task could tell.
    pub runtimes: Option<Runtimes>,
    /// The whole was looked at.
    pub complete: bool,
}

impl Totals {
    /// How many tasks there are.
    pub fn count(&self) -> u64 {
        self.states.values().sum()
    }
}

/// Digits of an id that lists show.
const SHORT_ID: usize = 8;

/// A stretch of what happened.
#[derive(Debug, Default)]
pub struct Past {
    pub batch: Batch,
    /// Tasks of it whose end is not known.
    pub unfinished: Vec<TaskId>,
    /// The time of the last event.
    pub last: Option<Stamp>,
}

/// A look that says how far it is, and asks whether to go on.
pub type Report<'p> = &'p mut dyn FnMut(Progress) -> bool;

impl Reader {
    /// Opens a file that is there already.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { db: schema::open_to_read(path)?, path: path.to_owned(), dictionary: Dictionary::default() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fail(&self, error: &rusqlite::Error) -> Error {
        Error::of(&self.path, error)
    }

    /// A task by its id, with its row.
    pub fn task(&mut self, id: &TaskId) -> Result<Option<(i64, TaskDoc)>, Error> {
        let found = ids::find(&self.db, id).and_then(|n| match n {
            Some(n) => self.at(n),
            None => Ok(None),
        });
        found.map_err(|e| self.fail(&e))
    }

    fn at(&mut self, n: i64) -> rusqlite::Result<Option<(i64, TaskDoc)>> {
        let mut find = self.db.prepare_cached(&format!("SELECT {} FROM task WHERE n = ?", row::COLUMNS))?;
        let mut rows = find.query([n])?;
        match rows.next()? {
            Some(row) => Ok(Some((n, self.dictionary.doc(&self.db, row)?))),
            None => Ok(None),
        }
    }

    /// Every event that is known of a task, oldest first, as it came.
    pub fn events(&self, n: i64, doc: &TaskDoc) -> Result<Vec<Value>, Error> {
        Ok(told::events(doc, &Told::read(&self.db, n).map_err(|e| self.fail(&e))?))
    }

    /// When a mark was set, the last time.
    pub fn mark(&self, text: &str) -> Option<Stamp> {
        let find =
            "SELECT at FROM mark WHERE lower(body) = lower(?) OR lower(body) LIKE lower(?) || '%' ORDER BY at DESC";
        let found = self.db.query_row(find, params![text, text], |row| row.get(0)).optional();
        found.ok().flatten().map(ticks::stamp)
    }

    fn plan(&mut self, query: &Query) -> rusqlite::Result<Plan> {
        self.dictionary.load(&self.db)?;
        let mut plan = Plan::new(&query.filter, query.now, &query.zone, |name| self.mark(name));
        if plan.asks_for_sent_again() {
            plan.sent_again(self.ids_sent_again()?);
        }
        Ok(plan)
    }

    /// Looks for tasks, the newest first: those heard of last, by the order in which they were first heard of.
    pub fn find(&mut self, query: &Query, told: Report<'_>) -> Result<Page, Error> {
        self.look(query, told).map_err(|e| self.fail(&e))
    }

    fn look(&mut self, query: &Query, told: Report<'_>) -> rusqlite::Result<Page> {
        let mut plan = self.plan(query)?;
        let mut page = Page::default();
        let mut seen = HashSet::new();
        if query.before.is_none()
            && let Some(digits) = plan.begins.clone()
        {
            let (rows, open) = plan::by_id(&self.db, &digits)?;
            for n in rows {
                if let Some(doc) = self.taken(&mut plan, n)? {
                    seen.insert(n);
                    page.tasks.push((n, doc));
                }
            }
            // A whole id stands nowhere else, and by as many digits as lists show one is meant, if there is one.
            let meant = digits.len() >= SHORT_ID && !page.tasks.is_empty();
            if digits.len() == 32 || meant {
                self.look_in(&mut plan, query, open, &mut page, &seen, told)?;
                page.next = None;
                return Ok(page);
            }
            told(Progress { looked: 0, of: self.count()?, found: page.tasks.len() as u64 });
        }
        self.look_in(&mut plan, query, 0, &mut page, &seen, told)?;
        Ok(page)
    }

    fn taken(&mut self, plan: &mut Plan, n: i64) -> rusqlite::Result<Option<TaskDoc>> {
        let mut find = self.db.prepare_cached(&format!("SELECT {} FROM task WHERE n = ?", row::COLUMNS))?;
        let mut rows = find.query([n])?;
        match rows.next()? {
            Some(row) if plan.takes(&self.db, row, &mut self.dictionary)? => {
                Ok(Some(self.dictionary.doc(&self.db, row)?))
            }
            _ => Ok(None),
        }
    }

    /// Looks at the rows from `lowest` on, the last ones first.
    fn look_in(
        &mut self,
        plan: &mut Plan,
        query: &Query,
        lowest: i64,
        page: &mut Page,
        seen: &HashSet<i64>,
        told: Report<'_>,
    ) -> rusqlite::Result<()> {
        let mut progress = Progress { of: self.count()?, ..Progress::default() };
        let mut before = query.before.unwrap_or(i64::MAX);
        for (number, block) in self.blocks(before)? {
            let (from, to) = (number * BLOCK, (number * BLOCK + BLOCK).min(before));
            if to <= lowest {
                break;
            }
            let possible = block.last >= plan.from
                && block.first < plan.to
                && block.kinds.keys().any(|kind| plan.takes_kind(*kind, &self.dictionary));
            if possible {
                let select = format!("SELECT {} FROM task WHERE n >= ? AND n < ? ORDER BY n DESC", row::COLUMNS);
                let mut select = self.db.prepare_cached(&select)?;
                let mut rows = select.query([from.max(lowest), to])?;
                while let Some(row) = rows.next()? {
                    if !plan.takes(&self.db, row, &mut self.dictionary)? {
                        continue;
                    }
                    let n = row.get(0)?;
                    if !seen.contains(&n) {
                        page.tasks.push((n, self.dictionary.doc(&self.db, row)?));
                    }
                    if page.tasks.len() >= query.limit {
                        page.next = Some(n);
                        return Ok(());
                    }
                }
            }
            before = from;
            progress.looked += block.rows.cast_unsigned();
            progress.found = page.tasks.len() as u64;
            if !told(progress) {
                page.next = Some(before);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The blocks below a row, the last one first.
    fn blocks(&self, before: i64) -> rusqlite::Result<Vec<(i64, Block)>> {
        let mut blocks = self
            .db
            .prepare_cached("SELECT n, first, last, rows, kinds, pruned FROM block WHERE n <= ? ORDER BY n DESC")?;
        let rows = blocks.query_map([(before - 1) / BLOCK], |row| Ok((row.get(0)?, Block::read(row, 1)?)))?;
        rows.collect()
    }

    fn count(&self) -> rusqlite::Result<u64> {
        let rows: Option<i64> = self.db.query_row("SELECT sum(rows) FROM block", [], |row| row.get(0))?;
        Ok(rows.unwrap_or(0).cast_unsigned())
    }

    /// Where to begin to read what was heard of since a time, if that are so many tasks at the most.
    pub fn begin(&self, since: Stamp, most: i64) -> Result<i64, Error> {
        let next = schema::next_row(&self.db).map_err(|e| self.fail(&e))?;
        let first: rusqlite::Result<Option<i64>> =
            self.db.query_row("SELECT min(n) FROM block WHERE last >= ?", [ticks::of(since)], |row| row.get(0));
        let first = first.map_err(|e| self.fail(&e))?.map_or(next, |block| block * BLOCK);
        Ok(first.max(next - most))
    }

    /// Tasks from a row on, the oldest first, as events in order of time; and the row to go on from, if there are more.
    pub fn past(&mut self, from: i64, most: usize) -> Result<(Past, Option<i64>), Error> {
        self.read_past(from, most).map_err(|e| self.fail(&e))
    }

    fn read_past(&mut self, from: i64, most: usize) -> rusqlite::Result<(Past, Option<i64>)> {
        let select = format!("SELECT {} FROM task WHERE n >= ? ORDER BY n LIMIT ?", row::COLUMNS);
        let mut select = self.db.prepare_cached(&select)?;
        let mut rows = select.query(params![from, most as i64])?;
        let (mut past, mut next, mut count) = (Past::default(), None, 0);
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let n: i64 = row.get(0)?;
            let doc = self.dictionary.doc(&self.db, row)?;
            (next, count) = (Some(n + 1), count + 1);
            past.last = past.last.max(doc.timestamp.and_then(Stamp::from_secs));
            if !State::parse(&doc.state).is_some_and(State::is_ready) {
                past.unfinished.push(TaskId::new(&doc.id));
            }
            events.extend(told::events(&doc, &Told::read(&self.db, n)?));
        }
        past.batch = super::batch_in_time(events);
        Ok((past, next.filter(|_| count == most)))
    }

    /// Tasks of the block of a row, from that row on, whose end is not known; and the row to go on from, if there are more.
    pub fn unfinished(&mut self, from: i64) -> Result<(Vec<TaskId>, Option<i64>), Error> {
        let read = || {
            let mut select = self.db.prepare_cached(
                "SELECT t.id FROM task t JOIN kind k ON k.id = t.kind JOIN word w ON w.id = k.state \
                 WHERE t.n >= ? AND t.n < ? AND w.body NOT IN ('SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED')",
            )?;
            let end = (from / BLOCK + 1) * BLOCK;
            let rows = select.query_map([from, end], |row| Ok(row::task_id(row.get_ref(0)?)))?;
            let ids = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok((ids, (end < schema::next_row(&self.db)?).then_some(end)))
        };
        read().map_err(|e| self.fail(&e))
    }

    /// Adds up what a filter selects: at once where summaries tell it, else by a look at each task.
    pub fn totals(&mut self, query: &Query, told: Report<'_>) -> Result<Totals, Error> {
        self.add_up(query, false, told).map_err(|e| self.fail(&e))
    }

    /// The same by a look at each task, which tells how long they ran too.
    pub fn totals_of_each(&mut self, query: &Query, told: Report<'_>) -> Result<Totals, Error> {
        self.add_up(query, true, told).map_err(|e| self.fail(&e))
    }

    fn add_up(&mut self, query: &Query, each: bool, told: Report<'_>) -> rusqlite::Result<Totals> {
        let mut plan = self.plan(query)?;
        if plan.begins.as_ref().is_some_and(|digits| digits.len() >= SHORT_ID) {
            return self.add_up_found(query, told);
        }
        let by_kind = !each && plan.is_by_kind();
        let mut totals = Totals { runtimes: (!by_kind).then(Runtimes::default), complete: true, ..Totals::default() };
        let mut progress = Progress { of: self.count()?, ..Progress::default() };
        for (number, block) in self.blocks(i64::MAX)? {
            progress.looked += block.rows.cast_unsigned();
            let inside = block.first >= plan.from && block.last < plan.to;
            let outside = block.last < plan.from || block.first >= plan.to;
            let possible = block.kinds.keys().any(|kind| plan.takes_kind(*kind, &self.dictionary));
            if outside || !possible {
                continue;
            }
            if by_kind && inside {
                for (kind, n) in &block.kinds {
                    if plan.takes_kind(*kind, &self.dictionary) {
                        let state = self.dictionary.kinds.get(kind).map_or_else(String::new, |k| k.state.to_string());
                        *totals.states.entry(state).or_default() += n.cast_unsigned();
                    }
                }
                continue;
            }
            progress.found = totals.count();
            if !told(progress) {
                totals.complete = false;
                return Ok(totals);
            }
            self.add_block(&mut plan, number, &mut totals)?;
        }
        Ok(totals)
    }

    /// Of what an id leads to there is little enough to look at it.
    fn add_up_found(&mut self, query: &Query, told: Report<'_>) -> rusqlite::Result<Totals> {
        let all = Query { limit: usize::MAX, before: None, ..query.clone() };
        let page = self.look(&all, told)?;
        let mut totals =
            Totals { runtimes: Some(Runtimes::default()), complete: page.next.is_none(), ..Totals::default() };
        for (_, doc) in page.tasks {
            if let (Some(runtimes), Some(secs)) = (&mut totals.runtimes, doc.runtime)
                && doc.state == State::Success.name()
            {
                runtimes.add(secs);
            }
            *totals.states.entry(doc.state).or_default() += 1;
        }
        Ok(totals)
    }

    fn add_block(&mut self, plan: &mut Plan, number: i64, totals: &mut Totals) -> rusqlite::Result<()> {
        let select = format!("SELECT {} FROM task WHERE n >= ? AND n < ?", row::COLUMNS);
        let mut select = self.db.prepare_cached(&select)?;
        let mut rows = select.query([number * BLOCK, number * BLOCK + BLOCK])?;
        while let Some(row) = rows.next()? {
            if !plan.takes(&self.db, row, &mut self.dictionary)? {
                continue;
            }
            let state = self.dictionary.kinds.get(&row.get(2)?).map(|kind| kind.state.clone()).unwrap_or_default();
            match totals.states.get_mut(&*state) {
                Some(n) => *n += 1,
                None => _ = totals.states.insert(state.to_string(), 1),
            }
            if let (Some(runtimes), Some(runtime)) = (&mut totals.runtimes, row.get::<_, Option<i64>>(9)?)
                && &*state == State::Success.name()
            {
                runtimes.add(runtime as f64 / ticks::SECOND as f64);
            }
        }
        Ok(())
    }

    /// What each task name did within a stretch of time, by steps of so many minutes from its beginning; of the names a
    /// filter takes, where it asks for names.
    pub fn minutes(&mut self, query: &Query, step: u32) -> Result<Vec<Bucket>, Error> {
        self.minutes_until(query, step, &|| false)
    }

    /// The same, given up when nobody waits for it any more: what it then returns is not all.
    pub fn minutes_until(&mut self, query: &Query, step: u32, over: &dyn Fn() -> bool) -> Result<Vec<Bucket>, Error> {
        self.by_step(query, step, over).map_err(|e| self.fail(&e))
    }

    fn by_step(&mut self, query: &Query, step: u32, over: &dyn Fn() -> bool) -> rusqlite::Result<Vec<Bucket>> {
        let plan = self.plan(query)?;
        let minute = |ticks: i64| ticks::stamp(ticks).micros().div_euclid(60_000_000);
        let from = if plan.from == i64::MIN { i64::MIN } else { minute(plan.from) };
        // A span that ends on the full minute has nothing of the minute that begins there.
        let to = if plan.to == i64::MAX { minute(ticks::of(query.now)) } else { minute(plan.to - 1) } + 1;
        let select = format!(
            "SELECT m.at, w.body, {} FROM minute m JOIN word w ON w.id = m.name WHERE m.at >= ? AND m.at < ? ORDER BY m.at",
            minutes::COLUMNS
        );
        let mut select = self.db.prepare_cached(&select)?;
        let mut rows = select.query([from, to])?;
        let mut buckets: Vec<Bucket> = Vec::new();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(1)?.as_str().unwrap_or_default();
            if !plan.takes_name(name) {
                continue;
            }
            let at = row.get::<_, i64>(0)? / i64::from(step.max(1)) * i64::from(step.max(1));
            if buckets.last().is_some_and(|bucket| bucket.minute != at) && over() {
                break;
            }
            if buckets.last().is_none_or(|bucket| bucket.minute != at) {
                buckets.push(Bucket { minute: at, names: BTreeMap::new() });
            }
            let Some(bucket) = buckets.last_mut() else { continue };
            if !bucket.names.contains_key(name) {
                bucket.names.insert(name.to_owned(), Tally::default());
            }
            if let Some(tally) = bucket.names.get_mut(name) {
                tally.merge(row, 2)?;
            }
        }
        Ok(buckets)
    }

    /// When the oldest task that is kept was heard of, and the newest.
    pub fn span(&self) -> Result<Option<(Stamp, Stamp)>, Error> {
        let span = self.db.query_row("SELECT min(first), max(last) FROM block", [], |row| {
            let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(first.zip(last).map(|(first, last)| (ticks::stamp(first), ticks::stamp(last))))
        });
        span.map_err(|e| self.fail(&e))
    }

    /// The stretch of time that a filter asks for, as far as the file knows of it.
    pub fn bounds(&mut self, query: &Query) -> Result<Option<(Stamp, Stamp)>, Error> {
        let plan = self.plan(query).map_err(|e| self.fail(&e))?;
        let Some((first, _)) = self.span()? else { return Ok(None) };
        let from = if plan.from == i64::MIN { first } else { ticks::stamp(plan.from).max(first) };
        let to = if plan.to == i64::MAX { query.now } else { ticks::stamp(plan.to).min(query.now) };
        Ok((from < to).then_some((from, to)))
    }

    /// Commands that were sent, the latest first; from an earlier row on where one is named.
    pub fn audit(&self, limit: usize, before: Option<i64>) -> Result<Vec<audit::Logged>, Error> {
        audit::read(&self.db, limit, before).map_err(|e| self.fail(&e))
    }

    /// Which task was sent in place of this one, and in whose place this one was.
    pub fn links(&self, id: &TaskId) -> Result<Vec<links::Link>, Error> {
        links::of(&self.db, id).map_err(|e| self.fail(&e))
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> Result<u64, Error> {
        self.count().map_err(|e| self.fail(&e))
    }
}

/// What happened in a step of time, by task name.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Minutes since 1970 at which it begins.
    pub minute: i64,
    pub names: BTreeMap<String, Tally>,
}

impl Bucket {
    /// All names together.
    pub fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        self.names.values().for_each(|tally| sum.add(tally));
        sum
    }
}
