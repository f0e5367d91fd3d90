//! A queue bounded in bytes. Full, it drops what comes and counts it; or it makes a source wait that can.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes of messages that may wait for decoding.
pub(super) const LIMIT: usize = 64 << 20;

/// How long items gather that come soon after others were taken: far less than a frame of the screen.
const GATHER: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct Backlog<T> {
    inner: Mutex<Inner<T>>,
    filled: Notify,
    taken: Notify,
    limit: usize,
}

struct Inner<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    dropped: u64,
    /// When something was taken the last time.
    taken: Option<Instant>,
}

impl<T> Inner<T> {
    /// Until when it is better to wait for more, where there are few.
    fn better_wait(&self, n: usize) -> Option<Instant> {
        let few = !self.items.is_empty() && self.items.len() < n && self.dropped == 0;
        self.taken.map(|taken| taken + GATHER).filter(|until| few && *until > Instant::now())
    }
}

impl<T> Backlog<T> {
    pub fn new(limit: usize) -> Self {
        let inner = Inner { items: VecDeque::new(), bytes: 0, dropped: 0, taken: None };
        Self { inner: Mutex::new(inner), filled: Notify::new(), taken: Notify::new(), limit }
    }

    /// Adds items of so many bytes each, or drops them.
    pub fn push(&self, items: impl IntoIterator<Item = (usize, T)>) {
        let mut inner = self.inner.lock();
        for (bytes, item) in items {
            if inner.bytes + bytes > self.limit {
                inner.dropped += 1;
            } else {
                inner.bytes += bytes;
                inner.items.push_back((bytes, item));
            }
        }
        drop(inner);
        self.filled.notify_one();
    }

    /// Adds items of so many bytes each, and waits for room where there is none. An empty queue has room for anything.
    pub async fn push_when_room(&self, items: impl IntoIterator<Item = (usize, T)>) {
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            if !self.push_what_fits(&mut items) {
                // What was taken since the look above is remembered: this does not wait for ever.
                self.taken.notified().await;
            }
        }
    }

    /// Says whether anything did.
    fn push_what_fits(&self, items: &mut Peekable<impl Iterator<Item = (usize, T)>>) -> bool {
        let mut inner = self.inner.lock();
        let before = inner.items.len();
        while let Some((bytes, item)) =
            items.next_if(|(bytes, _)| inner.items.is_empty() || inner.bytes + bytes <= self.limit)
        {
            inner.bytes += bytes;
            inner.items.push_back((bytes, item));
        }
        let pushed = inner.items.len() > before;
        drop(inner);
        if pushed {
            self.filled.notify_one();
        }
        pushed
    }

    /// Waits for items, and takes at most `n` with the number of those dropped meanwhile. Where there are fewer, and some
    /// were just taken, it waits a moment for more: each time costs the same, however many are taken.
    pub async fn take(&self, n: usize) -> (Vec<T>, u64) {
        loop {
            let wait = self.inner.lock().better_wait(n);
            if let Some(until) = wait {
                tokio::time::sleep_until(until).await;
            }
            let taken = self.try_take(n);
            if !taken.0.is_empty() || taken.1 > 0 {
                self.taken.notify_one();
                return taken;
            }
            self.filled.notified().await;
        }
    }

    fn try_take(&self, n: usize) -> (Vec<T>, u64) {
        let mut inner = self.inner.lock();
        let n = n.min(inner.items.len());
        let taken: Vec<(usize, T)> = inner.items.drain(..n).collect();
        if n > 0 {
            inner.taken = Some(Instant::now());
        }
        inner.bytes -= taken.iter().map(|(bytes, _)| bytes).sum::<usize>();
        if inner.items.is_empty() {
            // A burst must not keep its memory for ever.
            inner.items.shrink_to(1024);
        }
        (taken.into_iter().map(|(_, item)| item).collect(), std::mem::take(&mut inner.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_counted() {
        let backlog = Backlog::new(100);
        backlog.push((0..10).map(|n| (30, n)));
        assert_eq!(backlog.take(2).await, (vec![0, 1], 7));
        backlog.push([(30, 10)]);
        assert_eq!(backlog.take(10).await, (vec![2, 10], 0));
    }

    #[tokio::test]
    async fn a_source_that_can_wait_loses_nothing() {
        let backlog = Backlog::new(100);
        let push = async {
            backlog.push_when_room((0..100).map(|n| (30, n))).await;
            backlog.push_when_room([(1_000, 100)]).await;
        };
        let take = async {
            let mut all = Vec::new();
            while all.len() < 101 {
                let (taken, dropped) = backlog.take(2).await;
                assert_eq!(dropped, 0);
                all.extend(taken);
            }
            all
        };
        let ((), all) = tokio::join!(push, take);
        assert_eq!(all, (0..=100).collect::<Vec<_>>());
    }
}
