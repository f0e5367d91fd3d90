//! How a command of several steps is followed: who is told of each step, what stops it, and how long one may take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// See the module. The default tells nobody.
#[derive(Clone)]
pub struct Course {
    tell: Option<Arc<dyn Fn(String) + Send + Sync>>,
    /// Stops it before its next step.
    pub stop: CancellationToken,
    /// How long one step may take that waits for something.
    pub limit: Duration,
}

/// See [`Course::limit`], unless a person says otherwise.
pub const LIMIT: Duration = Duration::from_secs(600);

impl Default for Course {
    fn default() -> Self {
        Self { tell: None, stop: CancellationToken::new(), limit: LIMIT }
    }
}

/// Why it went no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// A person stopped it.
    Stopped,
    /// What was waited for did not come about: this.
    Late(String),
    /// Somebody said that it can't be done, or the broker can't be reached.
    Failed(String),
}

impl Course {
    /// Tells each step in a line.
    pub fn telling(tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Arc::new(tell)), ..Self::default() }
    }

    pub(super) fn say(&self, text: String) {
        if let Some(tell) = &self.tell {
            tell(text);
        }
    }

    /// Waits a moment of a longer wait that began at a time. `late` says what did not come about.
    pub(super) async fn pause(&self, begun: Instant, late: impl FnOnce() -> String) -> Result<(), Halt> {
        if begun.elapsed() >= self.limit {
            return Err(Halt::Late(late()));
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            () = tokio::time::sleep(MOMENT) => Ok(()),
        }
    }

    /// Nothing, or why it goes no further.
    pub(super) fn goes_on(&self) -> Result<(), Halt> {
        if self.stop.is_cancelled() { Err(Halt::Stopped) } else { Ok(()) }
    }
}

/// Between two looks at whether something has come about.
const MOMENT: Duration = Duration::from_millis(400);
