//! What can be done to something that runs by the clock: send it once now, and switch RedBeat's entries on and off.

use serde_json::{Value, json};

use super::Error;
use super::command::{Preview, Risk, quote};
use super::receipt::Outcome;
use super::retry::{self, Known, Options, Retry, SENT_WHOLE, hostname};
use super::run::Ops;
use crate::celery::message::Outgoing;
use crate::celery::{TaskId, json as python_json};
use crate::schedule::{Entry, Source, redbeat};
use crate::state::{Model, State};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub enum Beat {
    Run {
        entry: String,
        message: Box<Outgoing>,
    },
    Switch {
        entry: String,
        on: bool,
        key: String,
        /// As it was when it was looked at: another one is not overwritten.
        definition: String,
        /// It stands in `beat_schedule`.
        fixed: bool,
    },
}

impl Beat {
    /// Sends its task once. `queue` overrides what is known of its queue.
    pub fn run(entry: &Entry, model: &Model, queue: Option<&str>) -> Result<Self, String> {
        let message = match &entry.source {
            Source::Learnt { last, .. } => {
                let queue = queue.or(entry.queue.as_deref());
                let options = Options { queue: queue.map(str::to_owned), ..Options::default() };
                let retry = Retry::prepare(model, last, &Known::default(), &options).map_err(|why| why.to_string())?;
                Outgoing { root_id: None, parent_id: None, ..retry.message }
            }
            Source::RedBeat { .. } => {
                let queue = queue.map(str::to_owned).or_else(|| entry.queue.clone());
                let queue = queue.or_else(|| usual_queue(model, &entry.task));
                let repr = |text: &str| python_json::parse(text.as_bytes());
                let args = repr(&entry.args).map_err(|e| format!("its args can't be read: {e}"))?;
                let kwargs = repr(&entry.kwargs).map_err(|e| format!("its kwargs can't be read: {e}"))?;
                Outgoing {
                    id: TaskId::random(),
                    name: entry.task.clone(),
                    args: entry.args.clone(),
                    kwargs: entry.kwargs.clone(),
                    argsrepr: python_json::to_python_args(&args),
                    kwargsrepr: python_json::to_python(&kwargs),
                    queue: queue.ok_or("its queue is not known (say which with --queue)")?,
                    route: None,
                    priority: 0,
                    root_id: None,
                    parent_id: None,
                    origin: format!("flower-tui{}@{}", std::process::id(), hostname()),
                    eta: None,
                    expires: None,
                    like: None,
                }
            }
        };
        Ok(Beat::Run { entry: entry.name.clone(), message: Box::new(message) })
    }

    /// Switches it on or off.
    pub fn switch(entry: &Entry, on: bool) -> Result<Self, String> {
        match &entry.source {
            Source::RedBeat { .. } if entry.enabled == on => {
                Err(format!("it is {} already", if on { "on" } else { "off" }))
            }
            Source::RedBeat { key, definition, fixed } => Ok(Beat::Switch {
                entry: entry.name.clone(),
                on,
                key: key.clone(),
                definition: definition.clone(),
                fixed: *fixed,
            }),
            Source::Learnt { .. } => Err("only RedBeat's entries can be switched; this one was learnt".into()),
        }
    }

    pub(super) fn risk(&self) -> Risk {
        match self {
            Beat::Run { .. } => Risk::Sends,
            Beat::Switch { .. } => Risk::Changes,
        }
    }

    pub(super) fn verb(&self) -> &'static str {
        match self {
            Beat::Run { .. } => "schedule-run",
            Beat::Switch { on: true, .. } => "schedule-enable",
            Beat::Switch { on: false, .. } => "schedule-disable",
        }
    }

    pub(super) fn entry(&self) -> &str {
        match self {
            Beat::Run { entry, .. } | Beat::Switch { entry, .. } => entry,
        }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        match self {
            Beat::Run { message, .. } => vec![message.queue.clone()],
            Beat::Switch { .. } => Vec::new(),
        }
    }

    pub(super) fn words(&self) -> String {
        let entry = quote(self.entry());
        match self {
            Beat::Run { message, .. } => format!("flower-tui schedule run {entry} --queue {}", quote(&message.queue)),
            Beat::Switch { on: true, .. } => format!("flower-tui schedule enable {entry}"),
            Beat::Switch { on: false, .. } => format!("flower-tui schedule disable {entry}"),
        }
    }

    pub(super) fn preview(&self, model: &Model) -> Preview {
        match self {
            Beat::Run { entry, message } => {
                let retry = Retry {
                    original: TaskId::new(""),
                    message: (**message).clone(),
                    loses: Vec::new(),
                    source: retry::Source::Person,
                };
                let mut lines = retry.lines(model.redactor());
                if !lines.iter().any(|line| line == SENT_WHOLE) {
                    lines.pop();
                }
                lines.push(String::new());
                lines.push("Its schedule stays as it is: it runs at its next time too.".into());
                Preview { title: format!("Run {entry} once, now?"), lines }
            }
            Beat::Switch { entry, on, fixed, .. } => {
                let mut lines = vec!["RedBeat sees it at its next look, within seconds.".to_owned()];
                if *fixed {
                    lines.push(
                        "It stands in beat_schedule: beat writes it anew, and switched on, when it starts.".into(),
                    );
                }
                let word = if *on { "on" } else { "off" };
                Preview { title: format!("Switch {entry} {word}?"), lines }
            }
        }
    }
}

/// Where tasks of this name went lately.
fn usual_queue(model: &Model, name: &str) -> Option<String> {
    let of_it = model.all_tasks().filter(|task| task.name() == Some(name) && task.state() != State::Pending);
    of_it.filter_map(|task| Some((task.seen()?, task.queue()?))).max().map(|(_, queue)| queue.to_owned())
}

impl Ops {
    pub(super) async fn beat(&self, beat: &Beat, replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        let broker = |e: crate::broker::Error| match e {
            crate::broker::Error::Unable { what } => Error::Refused(what),
            other => Error::Broker(other.to_string()),
        };
        match beat {
            Beat::Run { entry, message } => {
                self.broker.publish(message).await.map_err(broker)?;
                let text = format!("sent as {} to {}", message.id, message.queue);
                replies.push((entry.clone(), json!({"ok": text, "id": message.id.to_string()})));
                Ok(Outcome::Confirmed)
            }
            Beat::Switch { entry, on, key, definition, .. } => {
                let new = redbeat::switched(definition, *on).map_err(Error::Refused)?;
                if !self.broker.replace_redbeat(key, definition, &new).await.map_err(broker)? {
                    let why = "somebody changed or deleted it meanwhile: look again";
                    replies.push((entry.clone(), json!({"error": why})));
                    return Ok(Outcome::Failed(format!("{entry}: {why}")));
                }
                let word = if *on { "on" } else { "off" };
                replies.push((entry.clone(), json!({"ok": format!("switched {word}")})));
                Ok(Outcome::Confirmed)
            }
        }
    }
}
