//! What a person has to know before a command goes out: the screen says it in its question, the command line beside what
//! it does.

use super::adding;
use super::command::Command;
use super::control::Control;
use crate::broker::Health;
use crate::state::Model;

impl Command {
    /// See the module. `health` is how the broker is, if it said so.
    pub fn caveats(&self, model: &Model, health: Option<&Health>) -> Vec<String> {
        let Command::Control { what, .. } = self else { return Vec::new() };
        match what {
            Control::AddQueue(queue) => adding::caveat(queue, model, health).into_iter().collect(),
            Control::Events(false) => vec![
                "What these workers run is not seen here any more: no states, times and failures of their tasks."
                    .into(),
                "Has no effect on workers that were started with -E.".into(),
            ],
            _ => Vec::new(),
        }
    }
}
