//! What can be done to tasks, wherever they are shown.

use crate::celery::TaskId;
use crate::celery::pidbox::Signal;
use crate::ops::Command;
use crate::ops::retry;
use crate::state::{Model, State};
use crate::tui::action::Action;
use crate::tui::layers::{Again, Choose, Twice};
use crate::tui::view::{Answer, Effect, Outcome};
use crate::tui::views::whereabouts::Whereabouts;

/// Why a task in RETRY is not sent again.
pub const RUNS_AGAIN: &str = "it will run again by itself";

/// Whether an action is taken on tasks.
pub fn needs_task(action: Action) -> bool {
    matches!(
        action,
        Action::TaskRetry
            | Action::TaskRetryWith
            | Action::TaskRevoke
            | Action::TaskTerminate
            | Action::Workflow
            | Action::WhereIs
    )
}

/// Why an action can't be taken on these tasks, if it can't.
pub fn refuse(action: Action, ids: &[TaskId], model: &Model) -> Option<String> {
    if !needs_task(action) {
        return None;
    }
    if ids.is_empty() {
        return Some("no task is chosen".into());
    }
    if matches!(action, Action::Workflow | Action::WhereIs) {
        return None;
    }
    let reasons: Vec<Option<String>> = ids.iter().map(|id| reason(action, id, model)).collect();
    // One that can be done is enough; the question names the others.
    if reasons.iter().any(Option::is_none) { None } else { reasons.into_iter().flatten().next() }
}

/// The one task that is meant, in words: rows may have moved under the key.
pub fn subject(ids: &[TaskId], model: &Model) -> Option<String> {
    let [id] = ids else { return None };
    let name = model.task(id).and_then(|task| task.name()).unwrap_or_default();
    Some(format!("{name} {}", id.short()))
}

fn reason(action: Action, id: &TaskId, model: &Model) -> Option<String> {
    let task = model.task(id);
    let state = task.as_ref().map(|task| task.state());
    match (action, state) {
        // It will not end where it was: the question says whether it may run by itself all the same.
        (Action::TaskRetry | Action::TaskRetryWith, _) if task.is_some_and(|task| task.lost().is_some()) => None,
        (Action::TaskRetry | Action::TaskRetryWith, Some(State::Started)) => {
            Some("it runs at the moment: revoke it first".into())
        }
        (Action::TaskRetry | Action::TaskRetryWith, Some(State::Retry)) => Some(RUNS_AGAIN.into()),
        (Action::TaskRetry | Action::TaskRetryWith, Some(State::Pending | State::Received)) => {
            Some("it has not run yet".into())
        }
        (Action::TaskRetry | Action::TaskRetryWith, _) => None,
        (_, Some(state)) if state.is_ready() => Some("it has ended already".into()),
        _ => None,
    }
}

/// Takes an action on these tasks.
pub fn perform(action: Action, ids: &[TaskId], model: &Model) -> Outcome {
    let able = || ids.iter().filter(|id| reason(action, id, model).is_none()).cloned().collect::<Vec<_>>();
    match action {
        Action::TaskRetry => {
            let why = |id: &TaskId| Some(format!("{}  {}", id.short(), reason(action, id, model)?));
            let refused = ids.iter().filter_map(why).collect();
            let again = |id: &&TaskId| model.task(id).is_some_and(|task| task.retried_as().is_some());
            let ids = able();
            Outcome::Effect(match ids.iter().filter(again).count() {
                0 => Effect::Retry { ids, refused, options: retry::Options::default() },
                // Of one the question says it.
                1 if ids.len() == 1 => Effect::Retry { ids, refused, options: retry::Options::default() },
                _ => Effect::Open(Box::new(Twice::new(ids, refused, model))),
            })
        }
        Action::TaskRetryWith => match able().into_iter().next() {
            Some(id) => Outcome::Effect(Effect::Open(Box::new(Again::one(id, None, model)))),
            None => Outcome::Done,
        },
        Action::Workflow => match ids {
            [id, ..] => Outcome::Effect(Effect::OpenWorkflow(id.clone())),
            [] => Outcome::Done,
        },
        Action::WhereIs => match ids {
            [id, ..] => Outcome::Effect(Effect::Open(Box::new(Whereabouts::new(id.clone())))),
            [] => Outcome::Done,
        },
        Action::TaskRevoke => Outcome::Effect(Effect::Ask(Command::revoke(able(), None))),
        _ => Outcome::Ignored,
    }
}

/// Asks to have events turned on at every worker.
pub fn events_on() -> Outcome {
    let what = crate::ops::Control::Events(true);
    Outcome::Effect(Effect::Ask(Command::Control { workers: Vec::new(), what }))
}

/// The menu of signals.
pub fn signals() -> Choose {
    let meaning = |signal: Signal| match signal {
        Signal::Term => "ask it to end (the usual one)",
        Signal::Int => "as ctrl-c would",
        Signal::Hup => "hang up",
        Signal::Quit => "end at once, pool processes clean up nothing",
        Signal::Usr1 => "raise SoftTimeLimitExceeded in the task",
        Signal::Kill => "end at once, nothing can be cleaned up",
    };
    let lines = Signal::ALL.iter().map(|s| format!("{:<8}  {}", s.name(), meaning(*s)));
    Choose::lines("terminate with", lines, 0)
}

/// The answer to [`signals`].
pub fn terminate(answer: &Answer, ids: Vec<TaskId>) -> Outcome {
    match answer {
        Answer::Choice(i) => match Signal::ALL.get(*i) {
            Some(signal) => Outcome::Effect(Effect::Ask(Command::revoke(ids, Some(*signal)))),
            None => Outcome::Done,
        },
        _ => Outcome::Done,
    }
}
