//! Taking back what was done with a queue, as the audit log has it.

use serde_json::{Value, json};

use crate::celery::original::Original;
use crate::history::audit::Logged;
use crate::history::originals::Fate;
use crate::ops::Error;
use crate::ops::command::{Preview, plural};
use crate::ops::receipt::Outcome;
use crate::ops::run::Ops;

use super::run::failed;
use crate::state::deeds::Deed;
use crate::state::{Model, Update};

/// Messages put back in one piece.
const PIECE: usize = 250;

/// What there is to be put back.
#[derive(Debug, Clone, PartialEq)]
pub enum Undoable {
    /// Messages of a queue that were taken out.
    Taken {
        queue: String,
        /// How many, where that is known.
        messages: Option<u64>,
    },
    /// All of a queue has another name.
    Aside { queue: String, aside: String },
}

/// What of a logged command can be taken back, or why nothing can.
pub fn undoable(logged: &Logged) -> Result<Undoable, String> {
    let queue = logged.target.clone();
    match logged.command.as_str() {
        "bulk delete" if logged.line.starts_with("flower-tui bulk resume") => {
            Err("take back the bulk delete that it went on with: that puts all of it back".into())
        }
        "delete" | "bulk delete" | "purge" | "dump" => {
            let replies = logged.replies.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let messages = replies.and_then(|replies| replies[&queue]["messages"].as_u64());
            Ok(Undoable::Taken { queue, messages })
        }
        "aside" => {
            let aside = logged.arguments.clone();
            Ok(Undoable::Aside { queue, aside })
        }
        "rename" => Err("give them their name back: flower-tui queue QUEUE rename … TASK".into()),
        "move" => Err("move them back: flower-tui queue TO move … FROM".into()),
        "hold" => Err("a queue that is held is released with H, or: flower-tui queue NAME release".into()),
        other => Err(format!("a {other} can't be taken back")),
    }
}

impl Undoable {
    /// What a person is asked.
    pub(in crate::ops) fn preview(&self, model: &Model) -> Preview {
        let n = |n: u64| plural(usize::try_from(n).unwrap_or(0), "message");
        match self {
            Undoable::Taken { queue, messages } => Preview {
                title: match messages {
                    Some(messages) => format!("Put back the {} taken out of {queue}?", n(*messages)),
                    None => format!("Put back what was taken out of {queue}?"),
                },
                lines: vec!["They go behind what waits there, in the order they had.".into()],
            },
            Undoable::Aside { queue, aside } => Preview {
                title: match model.queue(aside).map(|q| q.depth.ready).or(model.aside(aside).map(|a| a.messages)) {
                    Some(messages) => format!("Put the {} set aside back into {queue}?", n(messages)),
                    None => format!("Put back into {queue} what was set aside?"),
                },
                lines: vec![format!("What waits in {aside} goes before what waits there now.")],
            },
        }
    }
}

impl Ops {
    /// Takes a command back, by its row in the audit log.
    pub(in crate::ops) async fn undo(
        &self,
        row: i64,
        what: &Undoable,
        replies: &mut Vec<(String, Value)>,
    ) -> Result<Outcome, Error> {
        let outcome = self.put_again(row, what, replies).await?;
        if matches!(outcome, Outcome::Confirmed) {
            self.store.apply(&[Update::Deeds(vec![Deed::Undone(row)])]);
        }
        Ok(outcome)
    }

    async fn put_again(&self, row: i64, what: &Undoable, replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        match what {
            Undoable::Aside { queue, aside } => {
                let n = match self.broker.rename_back(aside, queue).await {
                    Ok(n) => n,
                    Err(crate::broker::Error::Unable { .. }) => return self.move_back(aside, queue, replies).await,
                    Err(error) => return Err(failed(&error)),
                };
                if n == 0 {
                    return Ok(Outcome::Failed(format!("nothing waits in {aside}")));
                }
                let said = format!("{} wait in {queue} again", plural(usize::try_from(n).unwrap_or(0), "message"));
                replies.push((queue.clone(), json!({"ok": said, "messages": n})));
                Ok(Outcome::Confirmed)
            }
            Undoable::Taken { queue, .. } => self.put_back(row, queue, replies).await,
        }
    }

    async fn move_back(&self, aside: &str, queue: &str, replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        let all = super::QueueAction::Move(super::Which::All, queue.to_owned());
        Box::pin(self.change_queue(aside, &all, None, replies)).await
    }

    async fn put_back(&self, row: i64, queue: &str, replies: &mut Vec<(String, Value)>) -> Result<Outcome, Error> {
        let Ok(Some(audit)) = &*self.audit else {
            return Err(Error::Audit("there is no audit log to put anything back from".into()));
        };
        let wrong = |e: crate::history::audit::Error| Error::Audit(e.to_string());
        let unsure = audit.count_kept(row, Fate::Taking).map_err(wrong)?;
        let (mut put, mut from) = (0_usize, 0_usize);
        loop {
            let kept = audit.kept(row, Fate::Taken, 0, PIECE).map_err(wrong)?;
            if kept.is_empty() {
                break;
            }
            let originals: Vec<Original> = kept.iter().map(|kept| kept.original.clone()).collect();
            let first = kept.first().map_or(0, |kept| kept.id);
            // Named by what is put: tried again after a crash, it is known to be there.
            let n = self.broker.put(&originals, &format!("undo:{row}:{first}"), 0).await.map_err(|e| failed(&e))?;
            let numbers: Vec<i64> = kept.iter().map(|kept| kept.id).collect();
            audit.fated(&numbers, Fate::PutBack).map_err(wrong)?;
            put += n;
            from += kept.len();
            self.going.say(format!("undo: {} …", plural(put, "message")));
        }
        let loaded = audit.count_kept(row, Fate::Loaded).map_err(wrong)?;
        if from == 0 && unsure == 0 && loaded > 0 {
            let n = plural(usize::try_from(loaded).unwrap_or(0), "message");
            return Ok(Outcome::Failed(format!("its file was loaded: {n} came back by that, and none is put twice")));
        }
        if from == 0 && unsure == 0 {
            return Ok(Outcome::Failed("nothing of it is left to be put back".into()));
        }
        let said = format!("{} wait in {queue} again", plural(put, "message"));
        replies.push((queue.to_owned(), json!({"ok": said, "messages": put})));
        Ok(match unsure {
            0 => Outcome::Confirmed,
            n => {
                let n = plural(usize::try_from(n).unwrap_or(0), "message");
                Outcome::Unconfirmed(format!("of {n} it is not known whether they were taken: they were left alone"))
            }
        })
    }
}
