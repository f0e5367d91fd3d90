//! What can be told to workers from the screen: a small form where something has to be said, then the question.

use std::collections::BTreeSet;

use crate::ops::control::{check_limit, check_rate, fixed_size, limits_of, range_of};
use crate::ops::{Command, Control, command::plural};
use crate::state::Model;
use crate::state::worker::Worker;
use crate::tui::action::Action;
use crate::tui::layers::form::Entry;
use crate::tui::layers::{Choose, Form, Prompt};
use crate::tui::view::{Answer, Cx, Effect, Outcome};

/// What a form was opened for.
#[derive(Default)]
enum Asking {
    #[default]
    Nothing,
    Grow,
    Shrink,
    Total,
    Autoscale,
    AddQueue,
    CancelQueue,
    RateLimit,
    TimeLimit,
    Events,
}

/// The form that is open, and whom it is for: the cursor may move meanwhile.
#[derive(Default)]
pub struct Forms {
    asking: Asking,
    workers: Vec<String>,
}

const ACTIONS: [Action; 14] = [
    Action::PoolGrow,
    Action::PoolShrink,
    Action::PoolRestart,
    Action::PoolAutoscale,
    Action::QueueAdd,
    Action::QueueCancel,
    Action::RateLimit,
    Action::TimeLimit,
    Action::WorkerPing,
    Action::WorkerEvents,
    Action::WorkerQuit,
    Action::WorkerDrain,
    Action::WorkerRolling,
    Action::PoolTotal,
];

/// Why an order can't be given to these workers, if it can't.
pub fn refuse<'w>(action: Action, workers: impl IntoIterator<Item = &'w str>, cx: &Cx<'_>) -> Option<String> {
    if !ACTIONS.contains(&action) {
        return None;
    }
    let mut first = None;
    for name in workers {
        // One that can is enough; the others' replies say why they can't.
        let why = reason(action, name, cx.model.worker(name)?)?;
        first.get_or_insert(why);
    }
    Some(first.unwrap_or_else(|| "no worker that is online is chosen".into()))
}

fn reason(action: Action, name: &str, worker: &Worker) -> Option<String> {
    let pool = worker.inspected.stats.as_ref().map(|s| &s.pool)?;
    match action {
        Action::PoolGrow | Action::PoolShrink if pool.autoscale.is_some() => {
            Some(format!("{name} scales by itself: A sets its range"))
        }
        Action::PoolGrow | Action::PoolShrink | Action::PoolTotal => fixed_size(worker),
        Action::PoolAutoscale if pool.autoscale.is_none() => {
            Some(format!("{name} does not scale by itself: it was started without --autoscale"))
        }
        Action::PoolRestart => {
            let conf = worker.inspected.conf.as_ref()?;
            let on = conf["worker_pool_restarts"].as_bool().unwrap_or(false);
            (!on).then(|| format!("worker_pool_restarts is off at {name}"))
        }
        _ => None,
    }
}

/// What lies under the cursor and is meant by an order, if something does.
#[derive(Default)]
pub struct Meant<'a> {
    pub queue: Option<&'a str>,
    pub task: Option<&'a str>,
}

impl Forms {
    /// Takes an action for these workers; `None` if it is none of these.
    pub fn perform(&mut self, action: Action, workers: Vec<String>, meant: &Meant<'_>, cx: &Cx<'_>) -> Option<Outcome> {
        let whose = plural(workers.len(), "worker");
        let one = |title: String, help: &str| Prompt::framed(&title, "1", help, check_count);
        let (asking, view): (_, Box<dyn crate::tui::view::View>) = match action {
            Action::WorkerPing => return Some(run(workers, Control::Ping)),
            Action::WorkerQuit => return Some(ask(workers, Control::Shutdown)),
            Action::WorkerDrain => return Some(ask(workers, Control::Drain)),
            Action::WorkerRolling => return Some(ask(workers, Control::RollingRestart)),
            Action::PoolRestart => return Some(ask(workers, Control::RestartPool)),
            Action::QueueCancel if meant.queue.is_some() => {
                return Some(ask(workers, Control::CancelQueue(meant.queue.unwrap_or_default().to_owned())));
            }
            Action::PoolGrow => {
                let help = "so many processes more, on each; ⏎ goes on to a question";
                (Asking::Grow, Box::new(one(format!("Grow the pool of {whose} by"), help)))
            }
            Action::PoolShrink => {
                let help = "so many processes less, on each; one always stays";
                (Asking::Shrink, Box::new(one(format!("Shrink the pool of {whose} by"), help)))
            }
            Action::PoolTotal => {
                let size = |name: &String| cx.model.worker(name)?.pool_size();
                let now: u64 = workers.iter().filter_map(size).sum();
                let help = "so many processes in all of them together; each keeps one";
                let title = format!("The pools of {whose} together");
                (Asking::Total, Box::new(Prompt::framed(&title, &now.to_string(), help, check_total)))
            }
            Action::PoolAutoscale => (Asking::Autoscale, Box::new(autoscale(&whose, &workers, cx.model))),
            Action::QueueAdd => {
                let entry = Entry::new("queue", "", "a queue they shall consume too", check_name);
                let form = Form::new(
                    &format!("Let {whose} consume"),
                    vec![entry.with(queues_to_add(&workers, cx.model))],
                    all_well,
                );
                (Asking::AddQueue, Box::new(form))
            }
            Action::QueueCancel => {
                let entry = Entry::new("queue", "", "a queue they consume, and shall no longer", check_name);
                let entry = entry.with(consumed(&workers, cx.model));
                let form = Form::new(&format!("Let {whose} no longer consume"), vec![entry], all_well);
                (Asking::CancelQueue, Box::new(form))
            }
            Action::RateLimit => (Asking::RateLimit, Box::new(rate_limit(&whose, &workers, meant.task, cx.model))),
            Action::TimeLimit => (Asking::TimeLimit, Box::new(time_limit(&whose, &workers, meant.task, cx.model))),
            Action::WorkerEvents => {
                let lines = ["on   until they restart", "off  has no effect on workers started with -E"];
                let title = format!("task events of {whose}");
                (Asking::Events, Box::new(Choose::lines(&title, lines.map(str::to_owned), 0)))
            }
            _ => return None,
        };
        (self.asking, self.workers) = (asking, workers);
        Some(Outcome::Effect(Effect::Open(view)))
    }

    /// Takes what was said; `None` if no form was open.
    pub fn answer(&mut self, answer: &Answer) -> Option<Outcome> {
        let workers = std::mem::take(&mut self.workers);
        let count = |text: &str| text.trim().parse::<u32>().ok();
        let what = match (std::mem::take(&mut self.asking), answer) {
            (Asking::Nothing, _) => return None,
            (Asking::Grow, Answer::Text { text, done: true }) => count(text).map(Control::Grow),
            (Asking::Shrink, Answer::Text { text, done: true }) => count(text).map(Control::Shrink),
            (Asking::Total, Answer::Text { text, done: true }) => count(text).map(Control::Total),
            (Asking::Events, Answer::Choice(i)) => Some(Control::Events(*i == 0)),
            (asking, Answer::Fields(fields)) => order(&asking, &fields.iter().map(String::as_str).collect::<Vec<_>>()),
            _ => None,
        };
        Some(what.map_or(Outcome::Done, |what| ask(workers, what)))
    }
}

fn order(asking: &Asking, fields: &[&str]) -> Option<Control> {
    match (asking, fields) {
        (Asking::Autoscale, [max, min]) => range_of(max, min).ok(),
        (Asking::AddQueue, [queue]) => Some(Control::AddQueue((*queue).to_owned())),
        (Asking::CancelQueue, [queue]) => Some(Control::CancelQueue((*queue).to_owned())),
        (Asking::RateLimit, [task, rate]) => {
            Some(Control::RateLimit { task: (*task).to_owned(), rate: (*rate).to_owned() })
        }
        (Asking::TimeLimit, [task, soft, hard]) => limits_of(task, soft, hard).ok(),
        _ => None,
    }
}

fn ask(workers: Vec<String>, what: Control) -> Outcome {
    Outcome::Effect(Effect::Ask(Command::Control { workers, what }))
}

fn run(workers: Vec<String>, what: Control) -> Outcome {
    Outcome::Effect(Effect::Run(Command::Control { workers, what }))
}

fn autoscale(whose: &str, workers: &[String], model: &Model) -> Form {
    let range = |name: &String| model.worker(name)?.inspected.stats.as_ref()?.pool.autoscale;
    let (max, min) = workers
        .iter()
        .find_map(range)
        .map_or((String::new(), String::new()), |(max, min)| (max.to_string(), min.to_string()));
    let entries = vec![
        Entry::new("at most", &max, "processes while there is much to do", check_count),
        Entry::new("at least", &min, "processes while there is nothing to do", check_count),
    ];
    let check = |fields: &[String]| match fields {
        [max, min] => range_of(max, min).map(|_| ()),
        _ => Ok(()),
    };
    Form::new(&format!("The range in which the pool of {whose} scales"), entries, check)
}

fn rate_limit(whose: &str, workers: &[String], task: Option<&str>, model: &Model) -> Form {
    let entries = vec![
        Entry::new("task", task.unwrap_or(""), "a registered task", check_name).with(tasks(workers, model)),
        Entry::new("rate", "", "10/s, 100/m or 5/h, for each worker; 0 lifts it", check_rate),
    ];
    Form::new(&format!("Limit how often a task may start on {whose}"), entries, all_well)
}

fn time_limit(whose: &str, workers: &[String], task: Option<&str>, model: &Model) -> Form {
    let limit = |text: &str| check_limit(text).map(|_| ());
    let entries = vec![
        Entry::new("task", task.unwrap_or(""), "a registered task", check_name).with(tasks(workers, model)),
        Entry::new("soft", "", "30s or 5m until SoftTimeLimitExceeded; empty is no limit", limit),
        Entry::new("hard", "", "30s or 5m until its process is killed; empty is no limit", limit),
    ];
    let check = |fields: &[String]| match fields {
        [task, soft, hard] => limits_of(task, soft, hard).map(|_| ()),
        _ => Ok(()),
    };
    Form::new(&format!("Limit how long a task may run on {whose}"), entries, check)
}

fn check_count(text: &str) -> Result<(), String> {
    match text.trim().parse::<u32>() {
        Ok(1..=999) => Ok(()),
        _ => Err("a number from 1 to 999".into()),
    }
}

fn check_total(text: &str) -> Result<(), String> {
    match text.trim().parse::<u32>() {
        Ok(1..=99_999) => Ok(()),
        _ => Err("a number above zero".into()),
    }
}

fn check_name(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("a name".into()) } else { Ok(()) }
}

fn all_well(_: &[String]) -> Result<(), String> {
    Ok(())
}

/// Queues one of the workers consumes.
fn consumed(workers: &[String], model: &Model) -> Vec<String> {
    let queues = workers.iter().filter_map(|name| model.worker(name)?.inspected.queues.as_ref()).flatten();
    queues.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// Known queues that not all of the workers consume.
fn queues_to_add(workers: &[String], model: &Model) -> Vec<String> {
    let consumes = |name: &String, queue: &str| {
        let queues = model.worker(name).and_then(|w| w.inspected.queues.as_ref());
        queues.is_some_and(|q| q.iter().any(|q| q == queue))
    };
    let known = model.queues().into_iter().map(|(name, _)| name);
    known.filter(|queue| !workers.iter().all(|name| consumes(name, queue))).map(str::to_owned).collect()
}

/// Tasks the workers registered, and those that were seen.
fn tasks(workers: &[String], model: &Model) -> Vec<String> {
    let registered = workers.iter().filter_map(|name| model.worker(name)?.inspected.registered.as_ref()).flatten();
    let names: BTreeSet<&str> =
        registered.map(|t| t.name.as_str()).chain(model.by_name().map(|(name, _)| name)).collect();
    names.into_iter().map(str::to_owned).collect()
}
