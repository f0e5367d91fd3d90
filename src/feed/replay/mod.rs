//! Playing what was recorded: from any source that can be begun anew, at its own pace or another, from any time on.

mod broker;
mod file;
mod player;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::broker::RawMessage;
use crate::celery::envelope::Coding;
use crate::clock::Stamp;
use crate::history::playback::Playback;

pub use broker::ReplayBroker;
pub use file::to_line;
pub use player::{Controls, Player, Status};

/// Why a recording ends before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What is there is no recording, or can't be read at all.
    #[error("{0}")]
    Unreadable(String),
    /// It was cut off, or is damaged from here on; what came before is good.
    #[error("{0}")]
    CutOff(String),
}

/// Recorded messages, the earliest first.
pub type Messages = Box<dyn Iterator<Item = Result<RawMessage, Broken>> + Send>;

/// Where recorded messages come from. Cloning is cheap.
#[derive(Clone)]
pub struct Source {
    name: String,
    begin: Arc<dyn Fn() -> Messages + Send + Sync>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?})", self.name)
    }
}

impl Source {
    /// A source by its name and what begins it: each time from the first message on.
    pub fn new(name: String, begin: impl Fn() -> Messages + Send + Sync + 'static) -> Self {
        Self { name, begin: Arc::new(begin) }
    }

    /// A file that `events --raw` wrote, as it is or compressed with gzip or zstd. It is read as it is played.
    pub fn file(path: &Path) -> Self {
        let path = path.to_owned();
        Self::new(path.display().to_string(), move || Box::new(file::Lines::open(&path)))
    }

    /// A stretch of a history file.
    pub fn history(path: &Path, from: Stamp, until: Stamp) -> Self {
        let path = path.to_owned();
        let name = format!("history {}", path.display());
        Self::new(name, move || match Playback::open(&path, from, until) {
            Ok(playback) => Box::new(Past { playback: Some(playback) }),
            Err(error) => Box::new(std::iter::once(Err(Broken::Unreadable(error.to_string())))),
        })
    }

    /// What a person knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its messages from the first one on.
    pub fn messages(&self) -> Messages {
        (self.begin)()
    }
}

/// The messages of a stretch of history.
struct Past {
    playback: Option<Playback>,
}

impl Iterator for Past {
    type Item = Result<RawMessage, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.playback.as_mut()?.step() {
            Ok(Some((received, event))) => {
                let coding = Coding::Body { content_type: "application/json".into(), compression: None };
                let data = event.to_string().into_bytes();
                Some(Ok(RawMessage { received, channel: "".into(), data: data.into(), coding }))
            }
            Ok(None) => None,
            Err(error) => {
                self.playback = None;
                Some(Err(Broken::CutOff(format!("the history can't be read on: {error}"))))
            }
        }
    }
}
