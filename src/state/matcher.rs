//! A filter made ready for one model: names are looked up once, then tasks are compared by number. Only bare words touch
//! texts.

use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::filter::{Comparison, Edge, Filter, Measure, Pattern, Test, Trait, Word};

use super::intern::Sym;
use super::lost::LOST;
use super::model::Model;
use super::task::{State, Task, flag};

/// A filter made ready for one model: names are looked up once, then tasks are compared by number.
pub(super) struct Matcher {
    checks: Vec<(bool, Check)>,
}

enum Check {
    /// By number, whether what is lost too, and by name.
    States([bool; 9], bool, Vec<Pattern>),
    Names(Field, Vec<bool>),
    Texts(Word, Vec<Pattern>),
    Anywhere(Pattern, Vec<bool>),
    Number(Measure, Comparison, f64),
    /// First heard of from the first on, and before the second.
    Seen(Option<Stamp>, Option<Stamp>),
    Is(Trait, bool),
    Root(Vec<TaskId>),
    /// A mark that nobody knows: nothing is selected.
    Never,
}

#[derive(Clone, Copy)]
enum Field {
    Name,
    Worker,
    Queue,
    Exception,
}

impl Matcher {
    pub fn new(filter: &Filter, model: &Model) -> Self {
        let checks = filter.terms.iter().map(|term| (term.negated, Check::new(&term.test, model))).collect();
        Self { checks }
    }

    pub fn matches(&self, task: &Task<'_>) -> bool {
        self.checks.iter().all(|(negated, check)| check.holds(task) != *negated)
    }
}

/// What a filter asks for as a state, where no state of Celery's own begins like that.
pub fn no_state(filter: &Filter) -> Option<String> {
    let patterns = filter.terms.iter().filter_map(|term| match &term.test {
        Test::Text(Word::State, patterns) => Some(patterns),
        _ => None,
    });
    let known =
        |pattern: &&Pattern| State::NAMED.iter().any(|state| pattern.begins(state.name())) || pattern.begins(LOST);
    patterns.flatten().find(|pattern| !known(pattern)).map(ToString::to_string)
}

impl Check {
    fn new(test: &Test, model: &Model) -> Self {
        let names = |patterns: &[Pattern]| model.names.matching(|n| patterns.iter().any(|p| p.matches(n)));
        match test {
            Test::Anywhere(pattern) => Check::Anywhere(pattern.clone(), names(std::slice::from_ref(pattern))),
            Test::Number(measure, comparison, limit) => Check::Number(*measure, *comparison, *limit),
            Test::Is(what, yes) => Check::Is(*what, *yes),
            Test::Time(edge, when) => {
                match (when.resolve(model.now(), model.zone(), |name| model.marks().find(name)), edge) {
                    (None, _) => Check::Never,
                    (from, Edge::Since) => Check::Seen(from, None),
                    (to, Edge::Until) => Check::Seen(None, to),
                }
            }
            // A whole id is compared as one: a workflow of thousands is followed at every frame.
            Test::Text(Word::Root, patterns) if patterns.iter().all(|p| p.whole().is_some()) => {
                Check::Root(patterns.iter().filter_map(Pattern::whole).map(TaskId::new).collect())
            }
            Test::Text(Word::State, patterns) => {
                let mut states = [false; 9];
                for state in State::NAMED {
                    states[state as usize] = patterns.iter().any(|p| p.begins(state.name()));
                }
                let lost = patterns.iter().any(|p| p.begins(LOST));
                Check::States(states, lost, patterns.clone())
            }
            Test::Text(Word::Task, patterns) => Check::Names(Field::Name, names(patterns)),
            Test::Text(Word::Worker, patterns) => Check::Names(Field::Worker, names(patterns)),
            Test::Text(Word::Queue, patterns) => Check::Names(Field::Queue, names(patterns)),
            Test::Text(Word::Exception, patterns) => Check::Names(Field::Exception, names(patterns)),
            Test::Text(word, patterns) => Check::Texts(*word, patterns.clone()),
        }
    }

    fn holds(&self, task: &Task<'_>) -> bool {
        let known = |sym: Option<Sym>, set: &[bool]| sym.is_some_and(|s| set.get(s.index()).copied().unwrap_or(false));
        match self {
            // It keeps the state that Celery gave it besides.
            Check::States(_, true, _) if task.hot.flags & flag::LOST != 0 => true,
            Check::States(_, _, patterns) if task.hot.state == State::Custom => {
                patterns.iter().any(|p| p.begins(task.state_name()))
            }
            Check::States(states, ..) => states[task.hot.state as usize],
            Check::Names(field, set) => {
                let sym = match field {
                    Field::Name => task.hot.name,
                    Field::Worker => task.hot.worker,
                    Field::Queue => task.hot.queue,
                    Field::Exception => task.hot.exception,
                };
                known(sym, set)
            }
            Check::Texts(word, patterns) => patterns.iter().any(|p| text_matches(task, *word, p)),
            Check::Anywhere(pattern, set) => {
                known(task.hot.name, set)
                    || task.packed_texts().is_some_and(|raw| pattern.may_be_in(raw))
                        && task.raw_texts().into_iter().flatten().any(|t| pattern.matches(t))
                    || id_matches(task, pattern)
            }
            Check::Number(measure, comparison, limit) => {
                let value = match measure {
                    Measure::Runtime => task.runtime().or_else(|| task.since_start(task.model.now())),
                    Measure::Wait => task.wait().map(|(secs, _)| secs),
                    Measure::Tries => task.retries().map(|n| f64::from(n) + 1.0),
                    Measure::Runs => Some(task.runs() as f64),
                    Measure::Eta => task.due(task.model.now()),
                };
                value.is_some_and(|v| comparison.holds(v, *limit))
            }
            Check::Seen(from, to) => {
                let seen = task.seen();
                from.is_none_or(|from| seen >= Some(from)) && to.is_none_or(|to| seen.is_some_and(|seen| seen < to))
            }
            Check::Is(Trait::Open, yes) => task.is_open() == *yes,
            Check::Is(Trait::Retried, yes) => task.retried_as().is_some() == *yes,
            Check::Root(roots) => task.has_root(roots),
            Check::Never => false,
        }
    }
}

fn id_matches(task: &Task<'_>, pattern: &Pattern) -> bool {
    match task.id() {
        TaskId::Uuid(uuid) => pattern.may_be_in_uuid() && pattern.matches(uuid.hyphenated().encode_lower(&mut [0; 36])),
        TaskId::Text(text) => pattern.matches(text),
    }
}

fn text_matches(task: &Task<'_>, word: Word, pattern: &Pattern) -> bool {
    let [args, kwargs, result] = task.raw_texts();
    let text = |t: Option<&str>| t.is_some_and(|t| pattern.matches(t));
    match word {
        Word::Args => text(args),
        Word::Kwargs => text(kwargs),
        Word::Result => text(result),
        Word::Error => text(task.raw_exception()) || text(task.raw_traceback()),
        Word::Id => id_matches(task, pattern),
        Word::Root => task.root().is_some_and(|root| pattern.matches(&root.to_string())),
        Word::Group => task.group().is_some_and(|group| pattern.matches(&group.to_string())),
        // Resolved to names before any task is looked at.
        Word::State | Word::Task | Word::Worker | Word::Queue | Word::Exception => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_the_beginning_of_none_is_told() {
        let told = |line: &str| no_state(&crate::filter::parse(line).expect("a filter"));
        assert_eq!(told("state:fail x"), None);
        assert_eq!(told("state:failur state:RETRY,SUCC"), None);
        assert_eq!(told("state:failed").as_deref(), Some("failed"));
    }
}
