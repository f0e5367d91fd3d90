//! What is looked at, by however many screens: each says so for itself, and workers and broker are asked for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::results::ResultLook;
use crate::celery::pidbox::Method;
use crate::state::peek::Look;

/// What is looked at, and therefore worth asking workers about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interest {
    /// What each worker runs, holds and is made of.
    pub workers: bool,
    /// Who consumes which queue.
    pub consumers: bool,
    /// Which tasks workers know.
    pub registered: bool,
    /// What runs by the clock.
    pub schedule: bool,
    /// How the broker is, and how long messages have waited in each queue.
    pub broker: bool,
    /// One worker, and the inspect method whose answer is on the screen.
    pub inspect: Option<(String, Method)>,
    /// What of which queue.
    pub queue: Option<QueueLook>,
    /// Whose results.
    pub result: Option<ResultLook>,
}

/// A queue whose messages are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueLook {
    pub name: String,
    pub what: Look,
    /// How often a person asked for it: where looking leaves marks on messages, once for each time.
    pub asked: u32,
}

/// What all screens look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Interests(Vec<Interest>);

impl Interests {
    /// Whether any screen wants it.
    pub fn any(&self, wants: impl Fn(&Interest) -> bool) -> bool {
        self.0.iter().any(wants)
    }

    /// What each screen has of something, the same thing once.
    pub fn each<T: PartialEq>(&self, of: impl Fn(&Interest) -> Option<T>) -> Vec<T> {
        let mut all = Vec::new();
        for one in self.0.iter().filter_map(of) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }
}

/// Where screens say what they look at.
pub(super) struct Desk {
    screens: Mutex<(u64, BTreeMap<u64, Interest>)>,
    all: watch::Sender<Interests>,
}

impl Desk {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { screens: Mutex::default(), all: watch::Sender::default() })
    }

    pub fn all(&self) -> watch::Receiver<Interests> {
        self.all.subscribe()
    }

    /// A place for one more screen.
    pub fn seat(self: &Arc<Self>) -> Seat {
        let mut screens = self.screens.lock();
        screens.0 += 1;
        Seat { number: screens.0, desk: self.clone() }
    }

    fn tell(&self, number: u64, interest: Option<Interest>) {
        let mut screens = self.screens.lock();
        match interest {
            Some(interest) => _ = screens.1.insert(number, interest),
            None => _ = screens.1.remove(&number),
        }
        let all = Interests(screens.1.values().cloned().collect());
        self.all.send_if_modified(|now| {
            let changed = *now != all;
            *now = all;
            changed
        });
    }
}

/// One screen's place. What it looked at is forgotten when it goes.
pub(super) struct Seat {
    number: u64,
    desk: Arc<Desk>,
}

impl Seat {
    pub fn tell(&self, interest: Interest) {
        self.desk.tell(self.number, Some(interest));
    }

    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.desk.tell(self.number, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_screens_look_at_is_asked_for_until_they_go() {
        let desk = Desk::new();
        let (one, two) = (desk.seat(), desk.seat());
        let look = |name: &str| Some(QueueLook { name: name.into(), what: Look::Waiting, asked: 0 });
        one.tell(Interest { broker: true, queue: look("a"), ..Interest::default() });
        two.tell(Interest { workers: true, queue: look("b"), ..Interest::default() });
        let all = desk.all();
        let queues = || all.borrow().each(|i| i.queue.as_ref().map(|look| look.name.clone()));
        assert!(all.borrow().any(|i| i.broker) && all.borrow().any(|i| i.workers));
        assert_eq!(queues(), ["a", "b"]);
        two.tell(Interest { queue: look("a"), ..Interest::default() });
        assert_eq!(queues(), ["a"]);
        drop(one);
        assert!(!all.borrow().any(|i| i.broker));
        drop(two);
        assert!(queues().is_empty());
    }
}
