//! Failed logins, counted by where they come from and whose they claim to be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Stamp;

/// So many failures within this time are a person's slips; after that it is a machine that guesses.
const SLIPS: usize = 10;
const WITHIN: Duration = Duration::from_secs(60);
/// Accounts that are remembered.
const MOST: usize = 10_000;

type Account = (Option<IpAddr>, String);

/// See the module.
#[derive(Default)]
pub(super) struct Throttle {
    failures: HashMap<Account, (Stamp, usize)>,
}

impl Throttle {
    /// Seconds that have to pass before the next try.
    pub fn wait(&self, account: &Account, now: Stamp) -> Option<u64> {
        let (first, count) = self.failures.get(account)?;
        let passed = now.since(*first);
        (*count >= SLIPS && passed < WITHIN).then(|| (WITHIN - passed).as_secs() + 1)
    }

    pub fn failed(&mut self, account: Account, now: Stamp) {
        if self.failures.len() >= MOST {
            self.failures.retain(|_, (first, _)| now.since(*first) < WITHIN);
        }
        if self.failures.len() >= MOST {
            self.failures.clear();
        }
        let (first, count) = self.failures.entry(account).or_insert((now, 0));
        if now.since(*first) >= WITHIN {
            (*first, *count) = (now, 0);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_has_to_wait_and_others_do_not() {
        let at = |secs: i64| Stamp::from_micros(secs * 1_000_000);
        let mut throttle = Throttle::default();
        let account = |name: &str| (None, name.to_owned());
        for _ in 0..SLIPS {
            assert_eq!(throttle.wait(&account("a"), at(5)), None);
            throttle.failed(account("a"), at(5));
        }
        assert_eq!(throttle.wait(&account("a"), at(35)), Some(31));
        assert_eq!((throttle.wait(&account("b"), at(35)), throttle.wait(&account("a"), at(65))), (None, None));
    }
}
