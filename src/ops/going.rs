//! How far a command is that takes long, for whoever waits for it, and the word that stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Somebody who is told how far it is.
type Tell = dyn Fn(&str) + Send + Sync;

/// See the module. Cloning is cheap, and stops the same command.
#[derive(Clone, Default)]
pub struct Going {
    stopped: Arc<AtomicBool>,
    tell: Option<Arc<Tell>>,
}

impl Going {
    /// One that tells how far it is. It must not take long.
    pub fn telling(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { stopped: Arc::default(), tell: Some(Arc::new(tell)) }
    }

    /// Says how far it is.
    pub fn say(&self, text: &str) {
        if let Some(tell) = &self.tell {
            tell(text);
        }
    }

    /// Stops the command where it can be stopped without harm.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether nobody but the one who asks has it any more: its command is over.
    pub fn is_over(&self) -> bool {
        Arc::strong_count(&self.stopped) == 1
    }

    /// Whether it is to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
