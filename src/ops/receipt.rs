//! What came of a command.

use serde_json::{Value, json};

use crate::celery::TaskId;
use crate::clock::Stamp;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everybody addressed said or showed that it was done.
    Confirmed,
    /// It went out, and somebody addressed did not answer in time.
    Unconfirmed(String),
    /// It waits for a person to say whether it shall go on, for this reason.
    Paused(String),
    /// Somebody answered that it could not be done.
    Failed(String),
    /// It was never sent.
    NotSent(super::Error),
}

impl Outcome {
    /// One word for logs.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Confirmed => "confirmed",
            Outcome::Unconfirmed(_) => "unconfirmed",
            Outcome::Paused(_) => "paused",
            Outcome::Failed(_) => "failed",
            Outcome::NotSent(_) => "not sent",
        }
    }

    /// What went wrong, if something did.
    pub fn why(&self) -> Option<String> {
        match self {
            Outcome::Confirmed => None,
            Outcome::Unconfirmed(why) | Outcome::Paused(why) | Outcome::Failed(why) => Some(why.clone()),
            Outcome::NotSent(error) => Some(error.to_string()),
        }
    }
}

/// A command with everything that came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub verb: &'static str,
    pub words: String,
    pub asked: Stamp,
    pub answered: Stamp,
    pub outcome: Outcome,
    /// What each worker answered, or what became of each task sent again. Who did not answer has `silent`, who was not
    /// asked `left_out`, each with the reason.
    pub replies: Vec<(String, Value)>,
    /// Tasks that were sent again, or are going to be.
    pub again: Vec<TaskId>,
    /// What comes next, once a person has agreed: the rest, after a canary.
    pub next: Option<Box<super::Command>>,
    /// The command that takes it back, where one can.
    pub undo: Option<Box<super::Command>>,
}

impl Receipt {
    /// A reply as a person reads it.
    pub fn reply_text(value: &Value) -> String {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if let Some(text) = text("ok").or(text("silent")) {
            text.to_owned()
        } else if let Some(text) = text("error") {
            format!("error: {text}")
        } else if let Some(text) = text("left_out") {
            format!("left out: {text}")
        } else if value.is_null() {
            "done".into()
        } else {
            value.to_string()
        }
    }

    /// The document scripts get.
    pub fn document(&self) -> Value {
        let replies: serde_json::Map<String, Value> = self.replies.iter().cloned().collect();
        json!({
            "command": self.verb, "line": self.words, "asked": self.asked.secs(), "answered": self.answered.secs(),
            "outcome": self.outcome.word(), "why": self.outcome.why(), "replies": replies,
        })
    }
}
