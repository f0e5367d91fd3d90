//! Changing what waits in queues. Messages are taken out piece by piece: looked at, chosen, kept, and only then taken, so
//! that whoever is killed in the middle has lost nothing.

use crate::celery::original::Original;
use crate::celery::queue::Waiting;

/// Decides which waiting messages are taken, and keeps them before they are.
pub trait Sift: Send {
    /// The places, in this slice, of the messages that are wanted. Some may be shown more than once.
    fn choose(&mut self, messages: &[Waiting]) -> Vec<usize>;

    /// The name that their task gets on the way to another queue, in place of its own.
    fn task(&self) -> Option<&str> {
        None
    }

    /// These are about to be taken. With an error they stay where they are, and nothing more is taken.
    fn keep(&mut self, messages: &[Original]) -> Result<(), String>;

    /// Which of them were taken; the others somebody else had taken meanwhile. Says whether to go on.
    fn taken(&mut self, taken: &[bool]) -> bool;
}

/// What came of sifting a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Messages looked at, some more than once.
    pub looked: u64,
    pub taken: u64,
    /// Chosen ones that somebody else, such as a worker, took first.
    pub gone: u64,
}

impl Sifted {
    /// Adds what came of a piece.
    pub fn count(&mut self, looked: usize, taken: &[bool]) {
        let n = taken.iter().filter(|taken| **taken).count();
        self.looked += looked as u64;
        self.taken += n as u64;
        self.gone += (taken.len() - n) as u64;
    }
}
