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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Limits, Store};

    fn told(what: Control, kind: &str, blind: Option<&str>) -> Vec<String> {
        let health = Health { kind: kind.into(), blind: blind.map(str::to_owned), ..Health::default() };
        let command = Command::Control { workers: vec!["w@h".into()], what };
        Store::new(Limits::default()).read(|m| command.caveats(m, Some(&health)))
    }

    #[test]
    fn that_a_queue_may_end_a_worker_is_said_where_nobody_tells_its_arguments() {
        let add = || Control::AddQueue("odd".into());
        assert!(told(add(), "rabbitmq", Some("no management API")).concat().contains("how odd was declared"));
        assert!(told(add(), "rabbitmq", None).is_empty(), "it is refused where that would happen");
        assert!(told(add(), "redis", None).is_empty(), "nothing is declared there");
    }

    #[test]
    fn without_events_it_is_said_what_is_not_seen() {
        let lines = told(Control::Events(false), "redis", None).concat();
        assert!(lines.contains("not seen here any more") && lines.contains("started with -E"), "{lines}");
        assert!(told(Control::Events(true), "redis", None).is_empty());
    }
}
