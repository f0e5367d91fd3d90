//! Names of keys and channels (`protocol/README.md`, 2.1, 3.3 and 4.1).

use crate::broker::{FanoutPrefix, TransportOptions};

/// Makes names for one database and one set of transport options.
pub(super) struct Keys {
    options: TransportOptions,
    /// Stands before every fanout channel.
    fanout: String,
}

impl Keys {
    pub fn new(db: u32, options: TransportOptions) -> Self {
        let fanout = match &options.fanout_prefix {
            FanoutPrefix::Use(true) => format!("/{db}."),
            FanoutPrefix::Use(false) => String::new(),
            // kombu fills in the database where the text asks for it.
            FanoutPrefix::Text(text) => text.replace("{db}", &db.to_string()),
        };
        Self { fanout: format!("{}{fanout}", options.global_keyprefix), options }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.options.global_keyprefix)
    }

    /// Pattern of all event channels. The prefix may hold characters that mean something in a pattern.
    pub fn event_pattern(&self) -> String {
        let mut escaped = String::new();
        for c in self.fanout.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        format!("{escaped}celeryev/*")
    }

    /// The one event channel of workers with `fanout_patterns` off.
    pub fn event_channel(&self) -> String {
        format!("{}celeryev", self.fanout)
    }

    /// Channel of remote control.
    pub fn pidbox_channel(&self) -> String {
        format!("{}celery.pidbox", self.fanout)
    }

    /// What stands before RedBeat's keys.
    pub fn redbeat_prefix(&self) -> &str {
        &self.options.redbeat_key_prefix
    }

    /// A key of our own.
    pub fn own(&self, name: &str) -> String {
        self.key(name)
    }

    /// The steps at which priorities have a list of their own, most urgent first.
    pub fn steps(&self) -> &[u8] {
        &self.options.priority_steps
    }

    /// The list of a queue that a priority goes to.
    pub fn list(&self, queue: &str, priority: u8) -> String {
        let step = self.steps().iter().copied().filter(|s| *s <= priority.min(9)).max().unwrap_or(0);
        match step {
            0 => self.key(queue),
            step => self.key(&format!("{queue}{}{step}", self.options.sep)),
        }
    }

    pub fn unacked(&self) -> String {
        self.key(&self.options.unacked_key)
    }

    /// The sorted set that tells when each unacknowledged message was delivered.
    pub fn unacked_index(&self) -> String {
        self.key(&self.options.unacked_index_key)
    }

    /// Seconds after which an unacknowledged message is given out again.
    pub fn visibility_timeout(&self) -> u64 {
        self.options.visibility_timeout
    }

    /// How workers choose between their queues, where the application says so.
    pub fn queue_order(&self) -> Option<&str> {
        self.options.queue_order_strategy.as_deref()
    }

    /// Pattern of the sets that hold bindings.
    pub fn bindings_pattern(&self) -> String {
        format!("{}_kombu.binding.*", self.options.global_keyprefix.replace('*', "\\*"))
    }

    /// The exchange a bindings key belongs to.
    pub fn exchange<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.options.global_keyprefix)?.strip_prefix("_kombu.binding.")
    }

    /// Splits a member of a bindings set into routing key and queue.
    pub fn binding<'m>(&self, member: &'m str) -> Option<(&'m str, &'m str)> {
        let mut parts = member.split(self.options.sep.as_str());
        let (routing_key, _pattern, queue) = (parts.next()?, parts.next()?, parts.next()?);
        Some((routing_key, queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_follow_the_transport_options() {
        let keys = |prefix: &str, fanout| {
            Keys::new(
                3,
                TransportOptions { global_keyprefix: prefix.into(), fanout_prefix: fanout, ..Default::default() },
            )
        };
        let plain = keys("", FanoutPrefix::Use(true));
        assert_eq!(
            (plain.event_pattern(), plain.pidbox_channel()),
            ("/3.celeryev/*".into(), "/3.celery.pidbox".into())
        );
        let bare = keys("", FanoutPrefix::Use(false));
        assert_eq!((bare.event_channel(), bare.pidbox_channel()), ("celeryev".into(), "celery.pidbox".into()));
        let text = keys("pre:", FanoutPrefix::Text("/x.".into()));
        assert_eq!((text.event_pattern(), text.unacked()), ("pre:/x.celeryev/*".into(), "pre:unacked".into()));
    }

    #[test]
    fn a_priority_goes_to_the_step_below_it() {
        let keys = Keys::new(0, TransportOptions::default());
        let lists: Vec<String> = [0, 2, 3, 5, 9, 200].iter().map(|p| keys.list("q", *p)).collect();
        assert_eq!(lists, ["q", "q", "q\u{6}\u{16}3", "q\u{6}\u{16}3", "q\u{6}\u{16}9", "q\u{6}\u{16}9"]);
        assert_eq!(keys.binding("rk\u{6}\u{16}p\u{6}\u{16}queue"), Some(("rk", "queue")));
    }
}
