//! Takes what is chosen out of a queue, and writes each message down before.

use std::fs::File;
use std::io::Write;

use crate::broker::change::Sift;
use crate::celery::TaskId;
use crate::celery::message::Protocol;
use crate::celery::original::Original;
use crate::celery::queue::Waiting;
use crate::history::originals::Fate;
use crate::ops::run::Ops;

use super::choose::Chooser;
use super::run::as_line;

/// See the module.
pub(super) struct Taker<'a> {
    pub ops: &'a Ops,
    pub queue: &'a str,
    /// The command's row in the audit log, if there is one.
    pub row: Option<i64>,
    pub chooser: Chooser<'a>,
    /// Where they are written besides.
    pub file: Option<File>,
    /// Those about to be taken: their numbers, and the tasks.
    pub numbers: Vec<i64>,
    pub ids: Vec<Option<TaskId>>,
    pub done: u64,
    /// The name their task gets, where it is to have another.
    pub task: Option<String>,
    pub what: &'static str,
}

impl Taker<'_> {
    fn write_down(&mut self, messages: &[Original]) -> Result<(), String> {
        if let Some(file) = &mut self.file {
            for message in messages {
                writeln!(file, "{}", as_line(message)).map_err(|e| format!("can't write the file: {e}"))?;
            }
            file.sync_data().map_err(|e| format!("can't write the file: {e}"))?;
        }
        if let (Some(row), Ok(Some(audit))) = (self.row, &*self.ops.audit) {
            let kept = audit.keep(row, self.ops.clock.now(), &self.ops.broker.url(), messages);
            self.numbers = kept.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

impl Sift for Taker<'_> {
    fn choose(&mut self, messages: &[Waiting]) -> Vec<usize> {
        let chosen = self.chooser.choose(messages, self.queue, self.ops.clock.now());
        let Some(task) = &self.task else { return chosen };
        // The name of an older one stands in its body, which is not changed.
        let fits = |i: &usize| {
            let message = messages.get(*i).and_then(|waiting| waiting.message.as_ref().ok());
            message.is_some_and(|message| message.protocol == Protocol::Two && message.name != *task)
        };
        chosen.into_iter().filter(fits).collect()
    }

    fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    fn keep(&mut self, messages: &[Original]) -> Result<(), String> {
        self.ids = messages.iter().map(|message| message.message().ok().map(|m| m.id)).collect();
        self.write_down(messages)
    }

    fn taken(&mut self, taken: &[bool]) -> bool {
        let of = |wanted: bool| {
            let numbers = self.numbers.iter().zip(taken).filter(move |(_, taken)| **taken == wanted);
            numbers.map(|(number, _)| *number).collect::<Vec<i64>>()
        };
        if let Ok(Some(audit)) = &*self.ops.audit {
            for (numbers, fate) in [(of(true), Fate::Taken), (of(false), Fate::Gone)] {
                if let Err(error) = audit.fated(&numbers, fate) {
                    tracing::warn!("{error}");
                }
            }
        }
        for id in self.ids.iter().flatten() {
            self.chooser.done(id);
        }
        self.done += taken.iter().filter(|taken| **taken).count() as u64;
        self.ops.going.say(format!("{}: {} …", self.what, crate::human::plural(self.done, "message")));
        !self.ops.going.stop.is_cancelled() && !self.chooser.is_done()
    }
}
