//! Playing what was recorded: from any source that can be begun anew, at its own pace or another, from any time on.

mod broker;
mod file;
mod player;

use std::fmt;
use std::sync::Arc;

use crate::broker::RawMessage;

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
    pub fn file(path: &std::path::Path) -> Self {
        let path = path.to_owned();
        Self::new(path.display().to_string(), move || Box::new(file::Lines::open(&path)))
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
