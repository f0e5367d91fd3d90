//! Sending tasks again: what they were sent with is looked for first, then a form or a question is opened.

use super::{App, Do};
use crate::celery::TaskId;
use crate::clock::Stamp;
use crate::ops::Command;
use crate::ops::bulk::MANY;
use crate::ops::retry::{Options, Refusal, Retry};
use crate::state::Model;
use crate::tui::layers::{Again, Confirm};
use crate::tui::theme::Role;

/// Tasks that somebody wants to send again.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub ids: Vec<TaskId>,
    /// Which others were chosen and are in no state to be sent again.
    pub refused: Vec<String>,
    pub options: Options,
}

/// The same, found out what is to be sent.
#[derive(Debug)]
pub struct Prepared {
    pub found: Vec<(TaskId, Result<Retry, Refusal>)>,
    pub refused: Vec<String>,
}

impl App {
    /// Has looked up what is to be sent.
    pub(super) fn prepare(&mut self, wanted: Wanted, now: Stamp) -> Vec<Do> {
        self.say("looking for what was sent …", Role::Muted, now);
        vec![Do::Prepare(wanted)]
    }

    /// What is to be sent was looked up: asks for what is missing, or whether it shall go.
    pub fn prepared(&mut self, prepared: Prepared, model: &Model, now: Stamp) {
        self.toast = None;
        let Prepared { mut found, mut refused } = prepared;
        if let [(id, Err(why))] = &found[..]
            && refused.is_empty()
        {
            if why.wants_arguments() {
                self.layers.push(Box::new(Again::one(id.clone(), Some(why), model)));
            } else {
                let name = model.task(id).and_then(|task| task.name().map(str::to_owned)).unwrap_or_default();
                self.say(&format!("{name} {}: {why}", id.short()), Role::Warn, now);
            }
            return;
        }
        let mut tasks = Vec::new();
        for (id, result) in found.drain(..) {
            match result {
                Ok(retry) => tasks.push(retry),
                Err(why) => refused.push(format!("{}  {why}", id.short())),
            }
        }
        match tasks.len() {
            0 => {
                let why = refused.into_iter().next().unwrap_or_default();
                self.say(&format!("nothing can be sent again: {why}"), Role::Warn, now);
            }
            1..=MANY => self.layers.push(Box::new(Confirm::new(Command::Retry { tasks, refused }))),
            _ => self.layers.push(Box::new(Again::many(tasks, refused))),
        }
    }
}
