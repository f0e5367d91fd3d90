//! How a broker is set up, as far as it lets us ask: what makes it safe or not.

use crate::clock::Stamp;

/// See the module. `None` is what it does not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setup {
    /// Its clock, and ours at that moment.
    pub clocks: Option<(Stamp, Stamp)>,
    /// What Redis does when its memory is full, such as `noeviction`.
    pub eviction: Option<String>,
    /// From where on Redis disconnects a subscriber that reads too slowly.
    pub subscriber: Option<Buffer>,
    /// Without a password Redis answers its own machine alone.
    pub protected: Option<bool>,
    /// Addresses it listens on.
    pub bind: Option<String>,
    /// Why some of this is not known.
    pub untold: Option<String>,
}

/// Bytes that may wait for a client; zero is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    pub hard: u64,
    /// For no longer than so many seconds.
    pub soft: u64,
    pub secs: u64,
}
