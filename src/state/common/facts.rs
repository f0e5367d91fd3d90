//! What can be said of a task, each as a name and a value; and how a filter asks for it, where it can.

use crate::celery::json as python_json;
use crate::celery::repr::{self, Py};
use crate::filter::{Comparison, Measure, Pattern, Test, Word};
use crate::human;
use crate::state::groups::group;
use crate::state::{Model, Task};

/// One trait of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub what: String,
    pub value: String,
    pub test: Option<Test>,
}

/// Arguments looked at, and columns of a value that is told apart from others.
const ARGUMENTS: usize = 24;
const LONGEST: usize = 120;

fn fact(what: &str, value: String, test: Option<Test>) -> Fact {
    Fact { what: what.to_owned(), value, test }
}

fn word(word: Word, text: &str) -> Option<Test> {
    Some(Test::Text(word, vec![Pattern::new(text)]))
}

/// Everything that is known of a task and may be what it has in common with others. No secrets are in it.
pub fn of(task: &Task<'_>, model: &Model) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(worker) = task.worker() {
        place(worker, task, model, &mut facts);
    }
    if let Some(queue) = task.queue() {
        facts.push(fact("queue", queue.into(), word(Word::Queue, &format!("={queue}"))));
    }
    if let Some(client) = task.client() {
        facts.push(fact("origin", client.into(), None));
    }
    if let Some(seen) = task.seen() {
        let hour = human::clock(seen, model.zone());
        facts.push(fact("hour", format!("{}:00", hour.get(..2).unwrap_or_default()), None));
    }
    let tries = task.retries().map_or(1, |n| n + 1);
    facts.push(fact(
        "tries",
        tries.to_string(),
        Some(Test::Number(Measure::Tries, Comparison::Equal, f64::from(tries))),
    ));
    let [args, kwargs, _] = task.raw_texts();
    if args.or(kwargs).is_some() {
        let size = args.map_or(0, str::len) + kwargs.map_or(0, str::len);
        facts.push(fact("size", size_of_arguments(size).into(), None));
    }
    positional(args.unwrap_or_default(), model, &mut facts);
    named(kwargs.unwrap_or_default(), model, &mut facts);
    facts
}

/// Where it ran.
fn place(worker: &str, task: &Task<'_>, model: &Model, facts: &mut Vec<Fact>) {
    facts.push(fact("worker", worker.into(), word(Word::Worker, &format!("={worker}"))));
    let of = group(worker, &[]);
    let pattern = if of.contains('@') { of.clone() } else { format!("*@{of}") };
    facts.push(fact("group", of, word(Word::Worker, &pattern)));
    if let Some((_, host)) = worker.split_once('@') {
        facts.push(fact("host", host.into(), word(Word::Worker, &format!("*@{host}"))));
    }
    if let Some(pid) = task.pid() {
        facts.push(fact("process", format!("{pid} of {worker}"), None));
    }
    if let Some(version) = model.worker(worker).and_then(|w| w.sw_ver.as_deref()) {
        facts.push(fact("version", version.into(), None));
    }
}

fn size_of_arguments(bytes: usize) -> &'static str {
    match bytes {
        0..100 => "below 100 B",
        100..1_000 => "100 B to 1 kB",
        1_000..10_000 => "1 to 10 kB",
        _ => "above 10 kB",
    }
}

/// A value as Python prints it, if it is one that others may have too; without secrets.
fn shown(value: &Py, model: &Model) -> Option<String> {
    let json = value.to_json().ok()?;
    let text = python_json::to_python(&python_json::parse(json.as_bytes()).ok()?);
    (text.len() <= LONGEST).then(|| model.redactor().text(&text).into_owned())
}

/// A filter that finds this text in the arguments; a star in it would mean anything.
fn part(of: Word, text: &str) -> Option<Test> {
    if text.contains('*') { None } else { word(of, text) }
}

fn positional(args: &str, model: &Model, facts: &mut Vec<Fact>) {
    let Ok(Py::Tuple(items) | Py::List(items)) = repr::parse(args) else { return };
    for (i, item) in items.iter().take(ARGUMENTS).enumerate() {
        let Some(value) = shown(item, model) else { continue };
        // What stands before and behind it keeps 12 from being found in 112.
        let before = if i == 0 { args.trim_start().get(..1).unwrap_or_default() } else { ", " };
        let test = part(Word::Args, &format!("{before}{value}"));
        facts.push(fact(&format!("args[{i}]"), value, test));
    }
}

fn named(kwargs: &str, model: &Model, facts: &mut Vec<Fact>) {
    let Ok(Py::Dict(pairs)) = repr::parse(kwargs) else { return };
    for (key, value) in pairs.iter().take(ARGUMENTS) {
        let Py::Str(key) = key else { continue };
        if model.redactor().is_key(key) {
            continue;
        }
        let Some(value) = shown(value, model) else { continue };
        let test = part(Word::Kwargs, &format!("'{key}': {value}"));
        facts.push(fact(&format!("kwargs.{key}"), value, test));
    }
}
