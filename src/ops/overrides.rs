//! What was changed at runtime and a restart forgets: derived from the audit log, and from what workers say now. Pure:
//! rows and a model in, overrides out, and the orders that apply one again or take it back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::command::Command;
use super::control::Control;
use crate::clock::Stamp;
use crate::history::audit::Logged;
use crate::state::Model;
use crate::state::groups::group;
use crate::state::worker::Worker;

/// How a worker stands to an override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Has {
    /// It says so itself.
    Confirmed,
    /// It was told, has not restarted since, and can't be asked.
    Told,
    /// It has restarted since it was told.
    Restarted,
    /// It is as before: somebody else undid it.
    Undone,
    /// It is of the same group, and came later.
    New,
    Offline,
}

impl Has {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Has::Confirmed => "has it",
            Has::Told => "was told, not restarted since",
            Has::Restarted => "restarted since, without it",
            Has::Undone => "as before: somebody undid it",
            Has::New => "started since, without it",
            Has::Offline => "not online",
        }
    }

    /// Whether it is in force there.
    pub fn is_in_force(self) -> bool {
        matches!(self, Has::Confirmed | Has::Told)
    }

    fn is_missing(self) -> bool {
        matches!(self, Has::Restarted | Has::Undone | Has::New)
    }
}

/// Something that was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The row of the audit log that set it.
    pub id: i64,
    pub what: Control,
    pub at: Stamp,
    pub user: String,
    pub workers: Vec<(String, Has)>,
}

/// What an order is about: a later order about the same takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Queue(String),
    Rate(String),
    Times(String),
    Pool,
    Range,
    Events,
}

#[derive(Clone)]
struct Set {
    id: i64,
    at: Stamp,
    user: String,
    what: Control,
}

/// A time of the log and one of a worker may differ by so much and mean the same.
const SLACK: Duration = Duration::from_secs(2);

/// What is in force, or was forgotten by who restarted; the latest first. `log` has the latest row first.
pub fn overrides(log: &[Logged], model: &Model, now: Stamp) -> Vec<Override> {
    let mut state: BTreeMap<(String, Subject), Set> = BTreeMap::new();
    for row in log.iter().rev() {
        take(row, &mut state);
    }
    let mut grouped: BTreeMap<(i64, String), Override> = BTreeMap::new();
    for ((worker, _), set) in state {
        let key = (-set.id, set.what.arguments().join(" ") + set.what.verb());
        let found = grouped.entry(key).or_insert_with(|| Override {
            id: set.id,
            what: set.what.clone(),
            at: set.at,
            user: set.user.clone(),
            workers: Vec::new(),
        });
        let has = has(&set, model.worker(&worker), now);
        found.workers.push((worker, has));
    }
    let mut found: Vec<Override> = grouped.into_values().collect();
    for one in &mut found {
        one.add_new(model, now);
    }
    // Where nobody is left who could have it, there is nothing to be said.
    found.retain(|one| one.workers.iter().any(|(_, has)| *has != Has::Offline));
    found
}

/// What a row changed.
fn take(row: &Logged, state: &mut BTreeMap<(String, Subject), Set>) {
    let Some(at) = Stamp::from_secs(row.asked) else { return };
    let replies: Value = row.replies.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for (worker, reply) in replies.as_object().into_iter().flatten() {
        if reply.get("ok").is_none() {
            continue;
        }
        let Some((subject, what)) = order(row, reply) else { continue };
        let key = (worker.clone(), subject);
        let what = match state.get(&key) {
            Some(before) => after(&before.what, what),
            None => Some(what),
        };
        match what {
            Some(what) => drop(state.insert(key, Set { id: row.row, at, user: row.user.clone(), what })),
            None => drop(state.remove(&key)),
        }
    }
}

fn order(row: &Logged, reply: &Value) -> Option<(Subject, Control)> {
    if row.command == "total" {
        let size = |key: &str| reply[key].as_u64().and_then(|n| u32::try_from(n).ok());
        return Some((Subject::Pool, resized(i64::from(size("to")?) - i64::from(size("from")?))?));
    }
    // A name may have blanks in it: only a rate limit and time limits have more than one word.
    let words: Vec<String> = match row.command.as_str() {
        "add-queue" | "cancel-queue" => vec![row.arguments.clone()],
        _ => row.arguments.split_whitespace().map(str::to_owned).collect(),
    };
    let what = Control::parse(&row.command, &words).ok()?;
    let subject = match &what {
        Control::AddQueue(queue) | Control::CancelQueue(queue) => Subject::Queue(queue.clone()),
        Control::RateLimit { task, .. } => Subject::Rate(task.clone()),
        Control::TimeLimit { task, .. } => Subject::Times(task.clone()),
        Control::Grow(_) | Control::Shrink(_) => Subject::Pool,
        Control::Autoscale { .. } => Subject::Range,
        Control::Events(_) => Subject::Events,
        _ => return None,
    };
    Some((subject, what))
}

/// What is left when one order follows another about the same; nothing, where the second takes back the first.
fn after(before: &Control, what: Control) -> Option<Control> {
    let sign = |control: &Control| match control {
        Control::Grow(n) => i64::from(*n),
        Control::Shrink(n) => -i64::from(*n),
        _ => 0,
    };
    match (before, &what) {
        (Control::Grow(_) | Control::Shrink(_), _) => resized(sign(before) + sign(&what)),
        _ if contrary(before).as_ref() == Some(&what) => None,
        _ => Some(what),
    }
}

fn resized(by: i64) -> Option<Control> {
    let n = u32::try_from(by.unsigned_abs()).ok()?;
    match by {
        0 => None,
        1.. => Some(Control::Grow(n)),
        _ => Some(Control::Shrink(n)),
    }
}

/// The order that takes one back, where what was before is known.
fn contrary(what: &Control) -> Option<Control> {
    Some(match what.clone() {
        Control::AddQueue(queue) => Control::CancelQueue(queue),
        Control::CancelQueue(queue) => Control::AddQueue(queue),
        Control::RateLimit { task, .. } => Control::RateLimit { task, rate: "0".into() },
        Control::TimeLimit { task, .. } => Control::TimeLimit { task, soft: None, hard: None },
        Control::Grow(n) => Control::Shrink(n),
        Control::Shrink(n) => Control::Grow(n),
        Control::Events(on) => Control::Events(!on),
        _ => return None,
    })
}

/// When a worker started, as far as it told.
fn started(worker: &Worker) -> Stamp {
    let told = worker.inspected.stats.as_ref().and_then(|stats| stats.uptime).zip(worker.inspected.answered("stats"));
    told.map_or(Stamp::EPOCH, |(uptime, at)| at - Duration::from_secs(uptime))
}

fn has(set: &Set, worker: Option<&Worker>, now: Stamp) -> Has {
    let Some(worker) = worker.filter(|worker| worker.is_online(now)) else { return Has::Offline };
    let restarted = started(worker) > set.at + SLACK;
    match shows(&set.what, worker) {
        Some(true) => Has::Confirmed,
        Some(false) if restarted => Has::Restarted,
        Some(false) => Has::Undone,
        None if restarted => Has::Restarted,
        None => Has::Told,
    }
}

/// Whether a worker's own answers show that it is as ordered, where they can.
fn shows(what: &Control, worker: &Worker) -> Option<bool> {
    let found = &worker.inspected;
    let registered = |name: &str| found.registered.as_ref()?.iter().find(|task| task.name == name);
    match what {
        Control::AddQueue(queue) => Some(found.queues.as_ref()?.contains(queue)),
        Control::CancelQueue(queue) => Some(!found.queues.as_ref()?.contains(queue)),
        Control::RateLimit { task, rate } => {
            let now = registered(task)?.rate_limit.as_deref().unwrap_or("0");
            Some(now == rate || (rate.parse() == Ok(0.0) && now == "None"))
        }
        Control::TimeLimit { task, soft, hard } => {
            let task = registered(task)?;
            Some(task.soft_limit == *soft && task.hard_limit == *hard)
        }
        Control::Autoscale { max, min } => {
            Some(found.stats.as_ref()?.pool.autoscale == Some((u64::from(*max), u64::from(*min))))
        }
        _ => None,
    }
}

impl Override {
    /// Online workers of its workers' groups that came later.
    fn add_new(&mut self, model: &Model, now: Stamp) {
        let groups: BTreeSet<String> = self.workers.iter().map(|(name, _)| group(name, &[])).collect();
        let new = model.workers().into_iter().filter(|(name, worker)| {
            let known = self.workers.iter().any(|(other, _)| other == name);
            !known && worker.is_online(now) && started(worker) > self.at && groups.contains(&group(name, &[]))
        });
        let new: Vec<(String, Has)> = new
            .filter(|(_, worker)| shows(&self.what, worker) != Some(true))
            .map(|(name, _)| (name.to_owned(), Has::New))
            .collect();
        self.workers.extend(new);
    }

    fn those(&self, wanted: fn(Has) -> bool) -> Vec<String> {
        self.workers.iter().filter(|(_, has)| wanted(*has)).map(|(name, _)| name.clone()).collect()
    }

    /// What applies it again where it is missing.
    pub fn again(&self) -> Result<Command, String> {
        match self.those(Has::is_missing) {
            workers if workers.is_empty() => Err("every worker that is online has it".into()),
            workers => Ok(Command::Control { workers, what: self.what.clone() }),
        }
    }

    /// What takes it back where it is in force.
    pub fn back(&self) -> Result<Command, String> {
        let Some(what) = contrary(&self.what) else {
            return Err("what it was before is not known".into());
        };
        match self.those(Has::is_in_force) {
            workers if workers.is_empty() => Err("no worker that is online has it".into()),
            workers => Ok(Command::Control { workers, what }),
        }
    }

    /// What was changed, in a line.
    pub fn title(&self) -> String {
        match &self.what {
            Control::AddQueue(queue) => format!("consumes {queue} too"),
            Control::CancelQueue(queue) => format!("does not consume {queue}"),
            Control::RateLimit { task, rate } => match rate.parse() == Ok(0.0) {
                true => format!("{task} without its rate limit"),
                false => format!("{task} limited to {rate}"),
            },
            Control::TimeLimit { task, soft, hard } => {
                let limit = |secs: &Option<f64>| secs.map_or_else(|| "none".into(), crate::human::seconds);
                format!("{task} time limits soft {}, hard {}", limit(soft), limit(hard))
            }
            Control::Grow(n) => format!("pool larger by {n}"),
            Control::Shrink(n) => format!("pool smaller by {n}"),
            Control::Autoscale { max, min } => format!("scales between {min} and {max}"),
            Control::Events(on) => format!("task events {}", if *on { "on" } else { "off" }),
            other => other.verb().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::Format;
    use crate::celery::event::Batch;
    use crate::celery::pidbox::Reply;
    use crate::state::{Limits, Store, Update};
    use serde_json::json;

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros(secs * 1_000_000)
    }

    /// A worker that is online at 10,000 and has been up for so long, with these queues.
    fn worker(store: &Store, name: &str, uptime: u64, queues: &[&str]) {
        let body = json!({"type": "worker-heartbeat", "hostname": name, "freq": 2.0, "active": 0, "processed": 1,
            "loadavg": [0, 0, 0], "timestamp": 10_000, "utcoffset": 0, "pid": 1, "clock": 1});
        let mut batch = Batch::default();
        batch.push_body(Format::Json, body.to_string().as_bytes(), at(10_000)).expect("an event");
        let queues: Vec<Value> = queues.iter().map(|q| json!({"name": q})).collect();
        let reply = |value: Value| vec![Reply { worker: name.into(), value }];
        store.apply(&[
            Update::Events(std::sync::Arc::new(batch)),
            Update::Inspected(at(10_000), "stats", reply(json!({"uptime": uptime, "pool": {}}))),
            Update::Inspected(at(10_000), "active_queues", reply(json!(queues))),
        ]);
    }

    fn row(id: i64, secs: f64, command: &str, arguments: &str, replies: &Value) -> Logged {
        Logged {
            row: id,
            asked: secs,
            user: "ann".into(),
            command: command.into(),
            arguments: arguments.into(),
            replies: Some(replies.to_string()),
            ..Logged::default()
        }
    }

    fn found(store: &Store, mut log: Vec<Logged>) -> Vec<Override> {
        log.reverse();
        store.read(|m| overrides(&log, m, at(10_001)))
    }

    #[test]
    fn each_worker_is_told_by_what_it_says_and_when_it_started() {
        let store = Store::new(Limits::default());
        worker(&store, "celery@app-1", 9_000, &["celery", "extra"]);
        worker(&store, "celery@app-2", 100, &["celery"]);
        worker(&store, "celery@app-3", 50, &["celery"]);
        worker(&store, "celery@app-4", 9_000, &["celery"]);
        let ok = json!({"ok": "add consumer extra"});
        let replies = json!({"celery@app-1": ok, "celery@app-2": ok, "celery@app-4": ok, "celery@gone": ok,
            "celery@app-5": {"error": "no"}});
        let all = found(&store, vec![row(7, 5_000.0, "add-queue", "extra", &replies)]);
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.id, one.user.as_str(), one.title().as_str()), (7, "ann", "consumes extra too"));
        let names = [
            ("celery@app-1", Has::Confirmed),
            ("celery@app-2", Has::Restarted),
            ("celery@app-4", Has::Undone),
            ("celery@gone", Has::Offline),
            ("celery@app-3", Has::New),
        ];
        assert_eq!(one.workers, names.map(|(name, has)| (name.to_owned(), has)));
        let Ok(Command::Control { workers, what }) = one.again() else { panic!("{:?}", one.again()) };
        assert_eq!((workers.len(), what), (3, Control::AddQueue("extra".into())));
        let Ok(Command::Control { workers, what }) = one.back() else { panic!("{:?}", one.back()) };
        assert_eq!((workers, what), (vec!["celery@app-1".to_owned()], Control::CancelQueue("extra".into())));
    }

    #[test]
    fn what_was_taken_back_is_none_and_sizes_add_up() {
        let store = Store::new(Limits::default());
        worker(&store, "w@h", 9_000, &["celery"]);
        let ok = json!({"w@h": {"ok": "done"}});
        let total = json!({"w@h": {"ok": "done", "from": 5, "to": 4}});
        let log = vec![
            row(1, 2_000.0, "add-queue", "a b", &ok),
            row(2, 2_001.0, "cancel-queue", "a b", &ok),
            row(3, 2_002.0, "grow", "3", &ok),
            row(4, 2_003.0, "total", "4", &total),
            row(5, 2_004.0, "rate-limit", "t 10/m", &ok),
            row(6, 2_005.0, "rate-limit", "t 5/m", &ok),
            row(7, 2_006.0, "ping", "", &ok),
            row(8, 2_007.0, "autoscale", "8,2", &ok),
            row(9, 2_008.0, "disable-events", "", &json!({"w@h": {"silent": "no answer"}})),
        ];
        let all = found(&store, log);
        let titles: Vec<(i64, String)> = all.iter().map(|one| (one.id, one.title())).collect();
        let told = |id, text: &str| (id, text.to_owned());
        assert_eq!(
            titles,
            [told(8, "scales between 2 and 8"), told(6, "t limited to 5/m"), told(4, "pool larger by 2")]
        );
        assert_eq!(all[0].back(), Err("what it was before is not known".into()));
        assert!(all[2].back().is_ok_and(|c| c.words() == "flower-tui worker w@h shrink 2"));
        assert!(all[2].again().is_err_and(|why| why.contains("every worker")));
    }
}
