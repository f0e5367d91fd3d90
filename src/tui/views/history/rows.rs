//! The tasks that were found, in a model of their own: the list, its details and what can be copied read it like that of
//! the cluster. The first screen comes at once, more as the cursor nears the end.

use crate::celery::TaskId;
use crate::filter::Filter;
use crate::history::lookup::{Look, Part, Request, Ticket, Waiting};
use crate::history::reader::{Progress, Query};
use crate::redact::Redactor;
use crate::state::deeds::Deed;
use crate::state::doc::TaskDoc;
use crate::state::{Limits, Model, Store, Update};

/// Tasks looked for at first, and each time the cursor nears the end.
const PORTION: usize = 1_000;
/// Rows below the cursor at which more are looked for.
pub const NEAR: usize = 200;
/// Tasks listed at the most: enough to look through, and sorted in no time.
const MOST: usize = 19_000;
/// Bytes they may take.
const BYTES: usize = 64 << 20;

/// See the module.
pub struct Rows {
    store: Store,
    waiting: Waiting,
    /// What was asked, with the time it was asked at.
    query: Option<Query>,
    /// What is listed answers an older question.
    stale: bool,
    next: Option<i64>,
    pub progress: Progress,
    pub done: bool,
}

/// What became of the list.
#[derive(PartialEq, Eq, Debug)]
pub enum Changed {
    /// Nothing: it was no answer to what was asked.
    Nothing,
    More,
    /// It begins anew.
    Anew,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            store: empty(Redactor::default()),
            waiting: Waiting::default(),
            query: None,
            stale: false,
            next: None,
            progress: Progress::default(),
            done: false,
        }
    }
}

fn empty(redactor: Redactor) -> Store {
    // What is listed is bounded by how much is asked for: nothing has to make room.
    Store::new(Limits { tasks: usize::MAX, bytes: usize::MAX, workers: 0 }).redacting(redactor)
}

impl Rows {
    /// Asks anew. What is listed stays until the first answer; secrets in it are hidden as elsewhere on the screen.
    pub fn ask(&mut self, query: Query, redactor: &Redactor) -> Request {
        if self.store.redactor() != *redactor {
            self.store = empty(redactor.clone());
        }
        let query = Query { limit: PORTION, before: None, ..query };
        self.query = Some(query.clone());
        (self.stale, self.done, self.next) = (true, false, None);
        self.waiting.ask(Look::Tasks(query))
    }

    /// What is listed answers a question that is not asked any more: nothing is done with it.
    pub fn outdate(&mut self) {
        self.stale = true;
    }

    /// Whether what is listed answers an older question.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Asks for more of the same, if there is more and nothing is asked for yet.
    pub fn more(&mut self) -> Option<Request> {
        let before = self.next.filter(|_| self.done && !self.is_full())?;
        let query = Query { before: Some(before), ..self.query.clone()? };
        self.done = false;
        Some(self.waiting.ask(Look::Tasks(query)))
    }

    /// Whether no more are listed though there are more.
    pub fn is_full(&self) -> bool {
        self.next.is_some() && self.store.read(|m| m.task_count() >= MOST || m.task_bytes() >= BYTES)
    }

    /// Whether there are more than are listed.
    pub fn has_more(&self) -> bool {
        self.next.is_some()
    }

    /// What was asked for, with the time it was asked at.
    pub fn query(&self) -> Option<&Query> {
        self.query.as_ref()
    }

    /// What is selected.
    pub fn filter(&self) -> Option<&Filter> {
        self.query.as_ref().map(|query| &query.filter)
    }

    /// Whether an answer is to what was asked last.
    pub fn waits_for(&self, ticket: &Ticket) -> bool {
        self.waiting.is_for(ticket)
    }

    /// Takes tasks that were found.
    pub fn take(&mut self, ticket: &Ticket, part: &Part) -> Changed {
        if !self.waits_for(ticket) {
            return Changed::Nothing;
        }
        let anew = std::mem::take(&mut self.stale);
        if anew {
            self.store = empty(self.store.redactor());
        }
        let again = part.again.iter().map(|(old, new)| Deed::SentAgain(old.clone(), new.clone())).collect();
        self.store.apply(&[Update::Deeds(again), Update::Recalled(part.batch.clone())]);
        if let Some(query) = &self.query {
            self.store.apply(&[Update::Tick(query.now)]);
        }
        self.progress = part.progress;
        self.done = part.done;
        if part.done || part.next.is_some() {
            self.next = part.next;
        }
        if anew { Changed::Anew } else { Changed::More }
    }

    /// The look has failed: nothing is listed.
    pub fn fail(&mut self) {
        self.waiting.end();
        self.store = empty(self.store.redactor());
        (self.stale, self.done, self.next) = (false, true, None);
    }

    /// Looks at the tasks.
    pub fn read<R>(&self, look: impl FnOnce(&Model) -> R) -> R {
        self.store.read(look)
    }

    /// How many are listed.
    pub fn len(&self) -> usize {
        self.read(Model::task_count)
    }

    /// Documents of some of them.
    pub fn documents<'a>(&self, ids: impl Iterator<Item = &'a TaskId>) -> Vec<serde_json::Value> {
        let docs: Vec<TaskDoc> = self.read(|m| ids.filter_map(|id| m.task(id)).map(TaskDoc::from).collect());
        docs.iter().filter_map(|doc| serde_json::to_value(doc).ok()).collect()
    }
}
