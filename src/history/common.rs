//! What some stored tasks have in common that others of the same name and time have not: both are read into a small model,
//! and compared there as the tasks of the cluster are.

use super::Error;
use super::reader::{Page, Query, Reader};
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::{Edge, Filter, Pattern, Term, Test, When, Word};
use crate::redact::Redactor;
use crate::state::common::{Chosen, Common, MOST, around};
use crate::state::doc::TaskDoc;
use crate::state::{Limits, Store, Update};

/// Compares; `query` says as of when, `over` whether nobody waits any more.
pub(super) fn common(
    reader: &mut Reader,
    chosen: &Chosen,
    query: &Query,
    redactor: &Redactor,
    over: &dyn Fn() -> bool,
) -> Result<Common, Error> {
    let mut those = match chosen {
        Chosen::Tasks(ids) => {
            let mut page = Page::default();
            for id in ids.iter().take(MOST + 1) {
                page.tasks.extend(reader.task(id)?);
            }
            page
        }
        Chosen::Filter(filter) => {
            let query = Query { filter: filter.clone(), limit: MOST + 1, before: None, ..query.clone() };
            reader.find(&query, &mut |_| !over())?
        }
    };
    let cut = those.tasks.len() > MOST;
    those.tasks.truncate(MOST);
    let ids: Vec<TaskId> = those.tasks.iter().map(|(_, doc)| TaskId::new(&doc.id)).collect();
    let mut others = match like(&those.tasks, query) {
        Some(filter) => {
            let query = Query { filter, limit: MOST + those.tasks.len(), before: None, ..query.clone() };
            reader.find(&query, &mut |_| !over())?
        }
        None => Page::default(),
    };
    let known: std::collections::HashSet<i64> = those.tasks.iter().map(|(n, _)| *n).collect();
    others.tasks.retain(|(n, _)| !known.contains(n));
    let sampled = others.next.is_some();
    let store = Store::new(Limits { tasks: usize::MAX, bytes: usize::MAX, workers: 0 }).redacting(redactor.clone());
    for part in those.tasks.chunks(PART).chain(others.tasks.chunks(PART)) {
        if over() {
            return Ok(Common::default());
        }
        let mut events = Vec::new();
        for (n, doc) in part {
            events.extend(reader.events(*n, doc)?);
        }
        store.apply(&[Update::Recalled(super::batch(events, query.now).into())]);
    }
    store.apply(&[Update::Tick(query.now)]);
    let found = store.common(&Chosen::Tasks(ids));
    Ok(Common { cut, sampled: found.sampled || sampled, ..found })
}

/// Tasks put into the model at once.
const PART: usize = 500;

/// What selects all of these names and this time.
fn like(tasks: &[(i64, TaskDoc)], query: &Query) -> Option<Filter> {
    let names: std::collections::BTreeSet<&str> = tasks.iter().filter_map(|(_, doc)| doc.name.as_deref()).collect();
    let seen = |doc: &TaskDoc| doc.received.or(doc.sent).or(doc.timestamp);
    let seen: Vec<Stamp> = tasks.iter().filter_map(|(_, doc)| Stamp::from_secs(seen(doc)?)).collect();
    let (first, last) = (*seen.iter().min()?, *seen.iter().max()?);
    let around = around(first, last);
    // Filters know whole seconds.
    let second = std::time::Duration::from_secs(1);
    let when = |at: Stamp| When::parse(&crate::human::iso(at, &query.zone));
    let names = names.into_iter().map(|name| Pattern::new(&format!("={name}"))).collect::<Vec<_>>();
    let term = |test: Test| Term { negated: false, test };
    (!names.is_empty()).then(|| Filter {
        terms: vec![
            term(Test::Text(Word::Task, names)),
            term(Test::Time(Edge::Since, when(first - around))),
            term(Test::Time(Edge::Until, when(last + around + second))),
        ],
    })
}
