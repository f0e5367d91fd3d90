//! Find anywhere: an id, a part of one, an argument's value or `kwarg=value`, looked for in memory, the history, what waits
//! in every queue, what was delivered, and what workers hold. Each task comes once, with the place that matters most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::scan::{self, Next, Order};
use super::{Locator, SCAN, worker_names};
use crate::celery::TaskId;
use crate::celery::json as python;
use crate::celery::message::{Body, Message};
use crate::celery::pidbox::{Method, Request};
use crate::clock::Stamp;
use crate::filter::{Filter, Pattern, Term, Test};
use crate::history::reader::{Query, Reader};
use crate::human;
use crate::redact::Redactor;
use crate::state::doc::TaskDoc;
use crate::state::{Model, Sort, State, Task};

/// Tasks that are listed at the most.
pub const MOST: usize = 1_000;
/// Tasks of the history that are listed.
const HISTORY: usize = 200;
/// Deliveries looked at.
const DELIVERED: usize = 10_000;
/// How often something is told of a long look.
const OFTEN: std::time::Duration = std::time::Duration::from_millis(150);

/// Where a task was found. What holds it now comes before what was said of it: the order is that of what matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    History { state: String, at: Option<Stamp> },
    Memory { state: String, worker: Option<String>, at: Option<Stamp> },
    Unacked { queue: String },
    Held { how: &'static str, worker: String, since: Option<Stamp> },
    Waiting { queue: String, place: usize },
}

impl Spot {
    /// The place in a word or two; `time` says a time as the reader wants it.
    pub fn words(&self, now: Stamp, time: &dyn Fn(Stamp) -> String) -> String {
        let at = |at: &Option<Stamp>| at.map_or(String::new(), |at| format!(" {}", time(at)));
        match self {
            Spot::Waiting { queue, place } => format!("waiting {queue} #{}", human::thousands(*place as u64)),
            Spot::Held { how, worker, since } => {
                let since = since.map(|at| format!(" {}", human::age(now.since(at).as_secs())));
                format!("{how} {}{}", short(worker), since.unwrap_or_default())
            }
            Spot::Unacked { queue } => format!("unacked {queue}"),
            Spot::Memory { state, worker: Some(worker), at: None } => format!("{} {}", past(state), short(worker)),
            Spot::Memory { state, at: when, .. } | Spot::History { state, at: when } => {
                format!("{}{}", past(state), at(when))
            }
        }
    }
}

/// `celery@app-7` is `app-7`: everybody who chooses no name has that one.
fn short(worker: &str) -> &str {
    worker.strip_prefix("celery@").unwrap_or(worker)
}

fn past(state: &str) -> String {
    match state {
        "SUCCESS" => "done".into(),
        "FAILURE" => "failed".into(),
        "PENDING" => "sent".into(),
        "STARTED" => "runs".into(),
        other => other.to_lowercase(),
    }
}

/// A task that was found. Its texts are without secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub id: TaskId,
    pub name: Option<String>,
    pub args: String,
    pub spot: Spot,
}

/// What was found, whole or so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finding {
    pub hits: Vec<Hit>,
    places: HashMap<TaskId, usize>,
    /// What was looked through, in words.
    pub looked: Vec<String>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
    pub done: bool,
}

impl Finding {
    /// Adds a task, or a better place of one that is known.
    fn add(&mut self, hit: Hit) {
        match self.places.get(&hit.id).copied() {
            Some(place) => {
                let Some(known) = self.hits.get_mut(place).filter(|known| known.spot < hit.spot) else { return };
                let (name, args) = (known.name.take(), std::mem::take(&mut known.args));
                let args = if args.is_empty() { hit.args.clone() } else { args };
                *known = Hit { name: name.or_else(|| hit.name.clone()), args, ..hit };
            }
            None if self.hits.len() < MOST => {
                self.places.insert(hit.id.clone(), self.hits.len());
                self.hits.push(hit);
            }
            None => {
                let more = format!("more than {} tasks match: these are the first", human::thousands(MOST as u64));
                if !self.unseen.contains(&more) {
                    self.unseen.push(more);
                }
            }
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Needle {
    /// In lower case.
    text: String,
    /// `kwarg=value`, in lower case.
    pair: Option<(String, String)>,
}

impl Needle {
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let pair = text.split_once('=').filter(|(name, value)| is_name(name) && !value.is_empty());
        let pair = pair.map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()));
        Self { text, pair }
    }

    /// Whether it is in a task with these texts, as Python prints them.
    fn is_in(&self, id: &TaskId, args: &str, kwargs: &str) -> bool {
        if let Some((key, value)) = &self.pair {
            return has_pair(&kwargs.to_lowercase(), key, value);
        }
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        has(&id.to_string()) || has(args) || has(kwargs)
    }

    /// What memory and history are asked for: they know no pairs, so more is asked for than matches.
    fn filter(&self) -> Filter {
        let text = self.pair.as_ref().map_or(&self.text, |(_, value)| value);
        Filter { terms: vec![Term { negated: false, test: Test::Anywhere(Pattern::new(text)) }] }
    }
}

/// Whether `{'key': value}` holds a key with just this value.
fn has_pair(kwargs: &str, key: &str, value: &str) -> bool {
    ['\'', '"'].iter().any(|quote| {
        let label = format!("{quote}{key}{quote}: ");
        kwargs.match_indices(&label).any(|(at, _)| {
            let rest = kwargs.get(at + label.len()..).unwrap_or_default();
            let rest = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
            let after = rest.strip_prefix(value).map(|after| after.chars().next());
            after.is_some_and(|next| next.is_none_or(|c| !c.is_alphanumeric() && c != '.' && c != '_'))
        })
    })
}

/// Positional and keyword arguments as Python prints them: of the body where it can be read, which is never cut short.
fn texts(message: &Message) -> (String, String) {
    match &message.body {
        Body::Known { args, kwargs, .. } => (python::to_python_args(args), python::to_python(kwargs)),
        Body::Opaque(_) => {
            (message.argsrepr.clone().unwrap_or_default(), message.kwargsrepr.clone().unwrap_or_default())
        }
    }
}

/// Arguments in one line, without secrets.
fn shown(args: &str, kwargs: &str, redactor: &Redactor) -> String {
    let kwargs = if kwargs == "{}" { "" } else { kwargs };
    let text = format!("{} {}", redactor.text(args), redactor.text(kwargs));
    crate::text::cut_end(text.trim(), 200).into_owned()
}

impl Locator {
    /// Looks everywhere. `tell` is given what was found so far, and says whether anybody still wants to know.
    pub async fn find(&self, text: &str, tell: &(dyn Fn(&Finding) -> bool + Sync)) -> Finding {
        let needle = Needle::new(text);
        let until = Instant::now() + SCAN;
        let mut finding = Finding::default();
        if needle.text.is_empty() {
            finding.done = true;
            return finding;
        }
        self.memory(&needle, &mut finding).await;
        if !tell(&finding) {
            return finding;
        }
        self.held(&needle, until, &mut finding).await;
        self.delivered(&needle, until, &mut finding).await;
        if !tell(&finding) {
            return finding;
        }
        self.waiting(&needle, until, &mut finding, tell).await;
        if !tell(&finding) {
            return finding;
        }
        self.past(&needle, &mut finding).await;
        finding.unseen.push("arguments that their sender cut short are not seen whole in events".into());
        finding.done = true;
        finding
    }

    async fn memory(&self, needle: &Needle, finding: &mut Finding) {
        let (store, filter) = (self.store.clone(), needle.filter());
        let ids = tokio::task::spawn_blocking(move || store.select_ids(&filter, Sort::default())).await;
        let ids = ids.unwrap_or_default();
        self.store.read(|m| {
            let found = ids.iter().filter_map(|id| m.task(id)).filter(|task| {
                let [args, kwargs, _] = task.raw_texts();
                needle.pair.is_none() || needle.is_in(task.id(), args.unwrap_or_default(), kwargs.unwrap_or_default())
            });
            for task in found.take(MOST + 1) {
                finding.add(remembered(&task, m));
            }
            finding.looked.push(format!("memory ({})", human::plural(m.task_count(), "task")));
        });
    }

    /// What workers run and hold.
    async fn held(&self, needle: &Needle, until: Instant, finding: &mut Finding) {
        let expected = worker_names(&self.store, self.clock.now());
        let redactor = self.store.redactor();
        let ask = async |method: Method| {
            let request = Request::to_all(method);
            let asked = self.broker.control(&request, &expected, std::time::Duration::from_secs(1));
            timeout_at(until, asked).await.ok().and_then(Result::ok)
        };
        let (active, reserved, scheduled) =
            tokio::join!(ask(Method::Active), ask(Method::Reserved), ask(Method::Scheduled));
        let mut answered = std::collections::HashSet::new();
        for (how, replies) in [("runs", active), ("reserved", reserved), ("scheduled", scheduled)] {
            for reply in replies.into_iter().flatten() {
                for entry in reply.value.as_array().into_iter().flatten() {
                    let request = if how == "scheduled" { &entry["request"] } else { entry };
                    let Some(id) = request["id"].as_str().map(TaskId::new) else { continue };
                    let (args, kwargs) = (printed(&request["args"], true), printed(&request["kwargs"], false));
                    if !needle.is_in(&id, &args, &kwargs) {
                        continue;
                    }
                    let since = request["time_start"].as_f64().and_then(Stamp::from_secs);
                    let since = since.filter(|_| how == "runs");
                    finding.add(Hit {
                        id,
                        name: request["name"].as_str().map(str::to_owned),
                        args: shown(&args, &kwargs, &redactor),
                        spot: Spot::Held { how, worker: reply.worker.clone(), since },
                    });
                }
                answered.insert(reply.worker);
            }
        }
        finding.looked.push(human::plural(answered.len(), "worker"));
        let silent: Vec<&String> = expected.iter().filter(|name| !answered.contains(*name)).collect();
        finding.unseen.extend(silent.into_iter().map(|name| format!("{name} gave no answer")));
    }

    async fn delivered(&self, needle: &Needle, until: Instant, finding: &mut Finding) {
        if !self.broker.capabilities().delivered {
            finding.unseen.push("what was delivered and not acknowledged can't be looked at on this broker".into());
            return;
        }
        match timeout_at(until, self.broker.unacked(DELIVERED)).await {
            Err(_) => finding.unseen.push("unacked: no answer in time".into()),
            Ok(Err(error)) => finding.unseen.push(format!("unacked: {}", error.reason())),
            Ok(Ok(delivered)) => {
                let redactor = self.store.redactor();
                finding.looked.push(format!("{} unacked", human::thousands(delivered.len() as u64)));
                for delivered in delivered {
                    let queue = delivered.queue;
                    let Some(message) = delivered.message.ok() else { continue };
                    finding.meet(needle, &message, &redactor, || Spot::Unacked { queue });
                }
            }
        }
    }

    async fn waiting(
        &self,
        needle: &Needle,
        until: Instant,
        finding: &mut Finding,
        tell: &(dyn Fn(&Finding) -> bool + Sync),
    ) {
        if self.read_only && self.broker.capabilities().peek_marks {
            return finding.unseen.push(format!("queues: {}", super::ask::MARKS));
        }
        let depths = match timeout_at(until, self.depths()).await {
            Ok(Ok(depths)) => depths,
            Ok(Err(why)) => return finding.unseen.push(format!("queues: {why}")),
            Err(_) => return finding.unseen.push("queues: the broker gave no answer in time".into()),
        };
        let redactor = self.store.redactor();
        let mut told = Instant::now();
        let looked = scan::through(&*self.broker, &depths, Order::NewestFirst, until, &mut |depth, waiting, _| {
            for entry in waiting {
                let Ok(message) = &entry.message else { continue };
                let spot = || Spot::Waiting { queue: depth.name.clone(), place: entry.place + 1 };
                finding.meet(needle, message, &redactor, spot);
            }
            if told.elapsed() < OFTEN {
                return Next::On;
            }
            told = Instant::now();
            if tell(finding) { Next::On } else { Next::Stop }
        })
        .await;
        let marks = if self.broker.capabilities().peek_marks { ", which marks them as redelivered" } else { "" };
        finding.looked.push(format!(
            "{} in {}{marks}",
            human::plural(looked.messages, "waiting message"),
            human::plural(looked.queues, "queue")
        ));
        finding.unseen.extend(looked.stopped());
    }

    async fn past(&self, needle: &Needle, finding: &mut Finding) {
        let Some(path) = self.history.clone() else { return };
        let query = Query {
            filter: needle.filter(),
            now: self.clock.now(),
            zone: jiff::tz::TimeZone::UTC,
            limit: HISTORY,
            before: None,
        };
        let over = Over::default();
        let stop = over.0.clone();
        let look = move || {
            Reader::open(&path).and_then(|mut reader| reader.find(&query, &mut |_| !stop.load(Ordering::Relaxed)))
        };
        let found = tokio::time::timeout(SCAN, tokio::task::spawn_blocking(look)).await;
        drop(over);
        match found {
            Ok(Ok(Ok(page))) => {
                finding.looked.push("the history".into());
                if page.next.is_some() {
                    finding.unseen.push(format!("the history has more: its newest {HISTORY} were taken"));
                }
                page.tasks.into_iter().filter_map(|(_, doc)| recorded(doc, needle)).for_each(|hit| finding.add(hit));
            }
            Ok(Ok(Err(error))) => finding.unseen.push(format!("the history: {error}")),
            Ok(Err(_)) | Err(_) => finding.unseen.push("the history: out of time".into()),
        }
    }
}

/// Ends a look on another thread when nobody waits for it any more.
#[derive(Default)]
struct Over(std::sync::Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Finding {
    /// Adds a message, if it is one of those looked for.
    fn meet(&mut self, needle: &Needle, message: &Message, redactor: &Redactor, spot: impl FnOnce() -> Spot) {
        let (args, kwargs) = texts(message);
        if needle.is_in(&message.id, &args, &kwargs) {
            let args = shown(&args, &kwargs, redactor);
            self.add(Hit { id: message.id.clone(), name: Some(message.name.clone()), args, spot: spot() });
        }
    }
}

fn remembered(task: &Task<'_>, model: &Model) -> Hit {
    let [args, kwargs, _] = task.raw_texts();
    let at = if task.state().is_ready() { task.finished() } else { None };
    Hit {
        id: task.id().clone(),
        name: task.name().map(str::to_owned),
        args: shown(args.unwrap_or_default(), kwargs.unwrap_or_default(), model.redactor()),
        spot: Spot::Memory {
            state: task.shown_state().to_owned(),
            worker: task.worker().map(str::to_owned),
            at: at.or(task.stamp().filter(|_| task.state() == State::Pending)),
        },
    }
}

fn recorded(doc: TaskDoc, needle: &Needle) -> Option<Hit> {
    let id = TaskId::new(&doc.id);
    let (args, kwargs) = (doc.args.unwrap_or_default(), doc.kwargs.unwrap_or_default());
    if needle.pair.is_some() && !needle.is_in(&id, &args, &kwargs) {
        return None;
    }
    let at = doc.finished.or(doc.timestamp).and_then(Stamp::from_secs);
    let args = crate::text::cut_end(format!("{args} {kwargs}").trim(), 200).into_owned();
    Some(Hit { id, name: doc.name, args, spot: Spot::History { state: doc.state, at } })
}

/// Arguments in a worker's answer: a list or a dict, or what Python printed of them.
fn printed(value: &Value, positional: bool) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value if positional => python::to_python_args(value),
        value => python::to_python(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needle: &str, id: &str, args: &str, kwargs: &str) -> bool {
        Needle::new(needle).is_in(&TaskId::new(id), args, kwargs)
    }

    #[test]
    fn a_part_of_an_id_an_argument_and_a_keyword_with_its_value_are_found() {
        let id = "3f9c1d2a-0000-4000-8000-000000000001";
        assert!(found("3F9C1D2A", id, "()", "{}") && !found("3f9c1d2b", id, "()", "{}"));
        assert!(found("acme", id, "('ACME', 7)", "{}"));
        assert!(found("tenant=acme", id, "()", "{'tenant': 'acme', 'n': 7}"));
        assert!(found("n=7", id, "()", "{'tenant': 'acme', 'n': 7}"));
        assert!(!found("n=7", id, "(7,)", "{'n': 70}"), "just this value");
        assert!(!found("n=7", id, "(7,)", "{'n': 7.5}"));
        assert!(found("tenant='acme'", id, "()", "{\"tenant\": \"acme\"}"));
        assert!(found("a=b=c", id, "()", "{'a': 'b=c'}"));
    }

    #[test]
    fn a_task_is_listed_once_with_the_place_that_matters_most() {
        let hit = |spot| Hit { id: TaskId::new("a"), name: Some("t".into()), args: "(1,)".into(), spot };
        let mut finding = Finding::default();
        finding.add(hit(Spot::Memory { state: "PENDING".into(), worker: None, at: None }));
        finding.add(Hit { name: None, args: String::new(), ..hit(Spot::Waiting { queue: "q".into(), place: 1_911 }) });
        finding.add(hit(Spot::Unacked { queue: "q".into() }));
        let words: Vec<String> =
            finding.hits.iter().map(|hit| hit.spot.words(Stamp::EPOCH, &|_| String::new())).collect();
        assert_eq!(words, ["waiting q #1,911"]);
        assert_eq!((finding.hits[0].name.as_deref(), finding.hits[0].args.as_str()), (Some("t"), "(1,)"));
    }

    #[test]
    fn each_place_is_a_word_or_two() {
        let at = Stamp::from_micros(1_000_000);
        let say = |spot: Spot| spot.words(Stamp::from_micros(241_000_000), &|_| "14:02".into());
        let held = Spot::Held { how: "runs", worker: "celery@app-7".into(), since: Some(at) };
        assert_eq!(say(held), "runs app-7 4m");
        let ended = |state: &str| Spot::Memory { state: state.into(), worker: None, at: Some(at) };
        assert_eq!((say(ended("FAILURE")), say(ended("SUCCESS"))), ("failed 14:02".into(), "done 14:02".into()));
        assert_eq!(say(Spot::Unacked { queue: "q".into() }), "unacked q");
    }
}
