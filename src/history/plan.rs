//! A filter made ready for the file. What the kind of a task decides is decided once for each kind; the rest is looked up
//! in the row, and only what few tasks have in the whole document.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Row};

use super::row::{self, Dictionary, Kind, flag};
use super::{ids, ticks};
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::{Comparison, Edge, Filter, Measure, Pattern, Test, Trait, Word};
use crate::state::doc::TaskDoc;
use crate::state::{State, failure};

/// See the module.
pub struct Plan {
    terms: Vec<Term>,
    /// For each kind that may be selected, the terms that are still open.
    kinds: HashMap<i64, Option<Box<[usize]>>>,
    /// Ticks: selected tasks were heard of from the first on, and before the second.
    pub from: i64,
    pub to: i64,
    /// Digits an id begins with, where the filter is sure to ask for one.
    pub begins: Option<String>,
    now: Stamp,
    /// Tasks that were sent again.
    again: HashSet<TaskId>,
}

struct Term {
    negated: bool,
    test: Test,
    /// A point in time the filter names that nobody knows.
    never: bool,
    at: i64,
    /// What was found of texts that many tasks share.
    shared: RefCell<HashMap<i64, bool>>,
}

/// Whether a document is needed to decide.
fn needs_doc(test: &Test) -> bool {
    match test {
        Test::Anywhere(_) | Test::Time(..) => false,
        Test::Text(word, _) => matches!(word, Word::Error | Word::Root | Word::Group),
        Test::Number(measure, ..) => matches!(measure, Measure::Wait | Measure::Eta | Measure::Runs),
        Test::Is(..) => false,
    }
}

impl Plan {
    /// Prepares a filter; clock times in it are meant in a zone, and `mark` knows when a mark was set.
    pub fn new(filter: &Filter, now: Stamp, zone: &TimeZone, mark: impl Fn(&str) -> Option<Stamp>) -> Self {
        let (kinds, again) = (HashMap::new(), HashSet::new());
        let mut plan = Self { terms: Vec::new(), kinds, from: i64::MIN, to: i64::MAX, begins: None, now, again };
        for term in &filter.terms {
            let at = match &term.test {
                Test::Time(_, when) => Some(when.resolve(now, zone, &mark).map(ticks::of)),
                _ => None,
            };
            match (&term.test, at, term.negated) {
                (Test::Time(Edge::Since, _), Some(Some(at)), false) => plan.from = plan.from.max(at),
                (Test::Time(Edge::Until, _), Some(Some(at)), false) => plan.to = plan.to.min(at),
                (Test::Text(Word::Id, patterns), _, false) if patterns.len() == 1 => {
                    plan.begins = patterns[0].beginning_of_uuid();
                }
                _ => {}
            }
            plan.terms.push(Term {
                negated: term.negated,
                test: term.test.clone(),
                never: at == Some(None),
                at: at.flatten().unwrap_or(0),
                shared: RefCell::default(),
            });
        }
        plan
    }

    /// Whether it has to be known which tasks were sent again.
    pub fn asks_for_sent_again(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.test, Test::Is(..)))
    }

    /// Is told which tasks were sent again.
    pub fn sent_again(&mut self, ids: HashSet<TaskId>) {
        self.again = ids;
    }

    /// Whether the kind of a task and the time it was heard of decide everything.
    pub fn is_by_kind(&self) -> bool {
        self.terms.iter().all(|term| match &term.test {
            Test::Text(word, _) => {
                matches!(word, Word::State | Word::Task | Word::Worker | Word::Queue | Word::Exception)
            }
            Test::Time(..) => !term.negated && !term.never,
            Test::Is(..) => self.again.is_empty(),
            _ => false,
        })
    }

    /// Whether a task of this name may be selected, where nothing else is asked for.
    pub fn takes_name(&self, name: &str) -> bool {
        let kind = Kind { name: name.into(), ..Kind::default() };
        self.terms.iter().all(|term| by_kind(&term.test, &kind, &self.again) != Some(term.negated))
    }

    /// Whether tasks of a kind may be selected.
    pub fn takes_kind(&mut self, kind: i64, dictionary: &Dictionary) -> bool {
        self.open_terms(kind, dictionary).is_some()
    }

    fn open_terms(&mut self, kind: i64, dictionary: &Dictionary) -> Option<&[usize]> {
        let Self { kinds, terms, again, .. } = self;
        let open = kinds.entry(kind).or_insert_with(|| {
            let known = dictionary.kinds.get(&kind).cloned().unwrap_or_default();
            let mut open = Vec::new();
            for (i, term) in terms.iter().enumerate() {
                if term.never {
                    return term.negated.then(|| open.into());
                }
                match by_kind(&term.test, &known, again) {
                    Some(holds) if holds == term.negated => return None,
                    Some(_) => {}
                    None => open.push(i),
                }
            }
            Some(open.into())
        });
        open.as_deref()
    }

    /// Whether a row of [`row::COLUMNS`] is selected.
    pub fn takes(&mut self, db: &Connection, row: &Row<'_>, dictionary: &mut Dictionary) -> Result<bool> {
        let kind: i64 = row.get(2)?;
        if !self.kinds.contains_key(&kind) && !dictionary.kinds.contains_key(&kind) {
            dictionary.load(db)?;
        }
        let Some(open) = self.open_terms(kind, dictionary).map(<[usize]>::to_vec) else { return Ok(false) };
        if open.is_empty() && self.from == i64::MIN && self.to == i64::MAX {
            return Ok(true);
        }
        let at: i64 = row.get(4)?;
        if at < self.from || at >= self.to {
            return Ok(false);
        }
        let is_started = dictionary.kinds.get(&kind).is_some_and(|kind| &*kind.state == State::Started.name());
        let running = is_started.then_some(self.now);
        let mut slow = false;
        for term in open.iter().map(|&i| &self.terms[i]) {
            if needs_doc(&term.test) {
                slow = true;
            } else if let Test::Is(asked, yes) = &term.test {
                // What its kind leaves open is whether it was sent again.
                let again = self.again.contains(&row::task_id(row.get_ref(1)?));
                if ((*asked == Trait::Retried) == again) == (*yes == term.negated) {
                    return Ok(false);
                }
            } else if term.holds(db, row, at, running)? == term.negated {
                return Ok(false);
            }
        }
        if slow {
            let doc = dictionary.doc(db, row)?;
            for term in open.iter().map(|&i| &self.terms[i]).filter(|term| needs_doc(&term.test)) {
                if term.holds_of(db, row.get(0)?, &doc, self.now)? == term.negated {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// What the kind alone decides.
fn by_kind(test: &Test, kind: &Kind, again: &HashSet<TaskId>) -> Option<bool> {
    let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|p| !text.is_empty() && p.matches(text));
    match test {
        Test::Text(Word::State, patterns) => Some(patterns.iter().any(|p| p.begins(&kind.state))),
        Test::Text(Word::Task, patterns) => Some(any(patterns, &kind.name)),
        Test::Text(Word::Worker, patterns) => Some(any(patterns, &kind.worker)),
        Test::Text(Word::Queue, patterns) => Some(any(patterns, &kind.queue)),
        Test::Text(Word::Exception, patterns) => Some(any(patterns, &kind.exception)),
        Test::Is(Trait::Open, yes) if &*kind.state != "FAILURE" => Some(!yes),
        Test::Is(Trait::Open, yes) => again.is_empty().then_some(*yes),
        Test::Is(Trait::Retried, yes) => again.is_empty().then_some(!yes),
        Test::Anywhere(pattern) if !kind.name.is_empty() && pattern.matches(&kind.name) => Some(true),
        _ => None,
    }
}

impl Term {
    /// Decides by the columns of the row. A task that runs does so until the time of `running`.
    fn holds(&self, db: &Connection, row: &Row<'_>, at: i64, running: Option<Stamp>) -> Result<bool> {
        Ok(match &self.test {
            Test::Anywhere(pattern) => {
                self.in_text(db, row, 12, pattern)?
                    || self.in_text(db, row, 13, pattern)?
                    || self.in_text(db, row, 14, pattern)?
                    || in_id(row, pattern)?
            }
            Test::Text(word, patterns) => {
                let mut found = false;
                for pattern in patterns {
                    found |= match word {
                        Word::Args => self.in_text(db, row, 12, pattern)?,
                        Word::Kwargs => self.in_text(db, row, 13, pattern)?,
                        Word::Result => self.in_text(db, row, 14, pattern)?,
                        _ => in_id(row, pattern)?,
                    };
                }
                found
            }
            Test::Number(Measure::Runtime, comparison, limit) => {
                let (started, ran): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(9)?);
                let ran = ran.or_else(|| Some(ticks::of(running?) - at - started?));
                number(ran.map(|t| t as f64 / ticks::SECOND as f64), *comparison, *limit)
            }
            Test::Number(_, comparison, limit) => {
                let flags: i64 = row.get(11)?;
                let tries: i64 = row.get(10)?;
                number((flags & flag::RETRIES != 0).then_some(tries as f64 + 1.0), *comparison, *limit)
            }
            Test::Time(Edge::Since, _) => at >= self.at,
            Test::Time(Edge::Until, _) => at < self.at,
            Test::Is(..) => false,
        })
    }

    fn in_text(&self, db: &Connection, row: &Row<'_>, column: usize, pattern: &Pattern) -> Result<bool> {
        match row.get_ref(column)? {
            ValueRef::Text(bytes) => {
                Ok(pattern.may_be_in(bytes) && std::str::from_utf8(bytes).is_ok_and(|text| pattern.matches(text)))
            }
            ValueRef::Integer(id) if !matches!(&self.test, Test::Text(_, patterns) if patterns.len() > 1) => {
                if let Some(&found) = self.shared.borrow().get(&id) {
                    return Ok(found);
                }
                let found = row::text(db, ValueRef::Integer(id))?.is_some_and(|text| pattern.matches(&text));
                self.shared.borrow_mut().insert(id, found);
                Ok(found)
            }
            value => Ok(row::text(db, value)?.is_some_and(|text| pattern.matches(&text))),
        }
    }

    /// Decides by the whole document.
    fn holds_of(&self, db: &Connection, n: i64, doc: &TaskDoc, now: Stamp) -> Result<bool> {
        let text = |text: &Option<String>, pattern: &Pattern| text.as_deref().is_some_and(|t| pattern.matches(t));
        Ok(match &self.test {
            Test::Text(Word::Error, patterns) => {
                patterns.iter().any(|p| text(&doc.exception, p) || text(&doc.traceback, p))
            }
            Test::Text(Word::Group, patterns) => {
                let group = failure::group_of(doc).map(|group| group.to_string());
                patterns.iter().any(|p| text(&group, p))
            }
            Test::Text(_, patterns) => patterns.iter().any(|p| text(&doc.root_id, p)),
            Test::Number(Measure::Runs, comparison, limit) => {
                let earlier = super::told::Told::read(db, n)?.iter().filter(|t| t.kind == "task-started").count();
                let runs = earlier + usize::from(doc.started.is_some());
                number(Some(runs as f64), *comparison, *limit)
            }
            Test::Number(Measure::Eta, comparison, limit) => {
                let waits = matches!(doc.state.as_str(), "PENDING" | "RECEIVED" | "RETRY");
                let eta = doc.eta.as_deref().and_then(crate::state::task::parse_iso).filter(|_| waits);
                number(eta.map(|eta| eta.secs() - now.secs()), *comparison, *limit)
            }
            Test::Number(_, comparison, limit) => number(doc.wait(), *comparison, *limit),
            _ => false,
        })
    }
}

fn number(value: Option<f64>, comparison: Comparison, limit: f64) -> bool {
    value.is_some_and(|value| comparison.holds(value, limit))
}

fn in_id(row: &Row<'_>, pattern: &Pattern) -> Result<bool> {
    Ok(match row.get_ref(1)? {
        ValueRef::Blob(bytes) => {
            pattern.may_be_in_uuid()
                && uuid::Uuid::from_slice(bytes)
                    .is_ok_and(|uuid| pattern.matches(uuid.hyphenated().encode_lower(&mut [0; 36])))
        }
        value => pattern.matches(value.as_str().unwrap_or_default()),
    })
}

/// The rows that a plan can find by the beginning of an id: newest first, and the row from which on it has to look itself.
pub fn by_id(db: &Connection, digits: &str) -> Result<(Vec<i64>, i64)> {
    ids::beginning(db, digits)
}
