//! What was seen in queues by looking at their messages: kept for the last few looks, bounded in number and bytes; and
//! how many messages are folded into groups.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::celery::TaskId;
use crate::celery::canvas::Canvas;
use crate::celery::queue::{Delivered, Waiting};
use crate::clock::Stamp;
use crate::redact::Redactor;

/// What of a queue is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// The messages that are next in line.
    Waiting,
    /// A sample of all that waits, folded into groups.
    Groups,
    /// What was delivered and not acknowledged.
    Unacked,
}

/// One look into a queue, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked {
    pub queue: String,
    pub look: Look,
    pub at: Stamp,
    /// Or why nothing could be seen.
    pub found: Result<Found, String>,
    /// What the messages said of their workflows.
    pub canvases: Vec<(TaskId, Canvas)>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Next in line first.
    Waiting(Vec<Waiting>),
    Groups(Sample),
    Unacked(Unacked),
    /// Nothing yet: looking leaves marks on the messages, and nobody has asked for it.
    OnRequest,
}

/// Deliveries of one queue that were not acknowledged, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unacked {
    pub entries: Vec<Delivered>,
    /// How many of all queues were looked at; more may exist if not `complete`.
    pub looked: usize,
    pub complete: bool,
}

impl Peeked {
    /// Bytes it holds, roughly.
    fn bytes(&self) -> usize {
        let found = match &self.found {
            Ok(Found::Waiting(messages)) => messages.iter().map(|w| 2 * w.size() + 512).sum(),
            Ok(Found::Unacked(unacked)) => unacked.entries.iter().map(|d| 2 * d.size() + 512).sum(),
            Ok(Found::Groups(sample)) => {
                sample.groups.iter().chain(sample.arguments.values()).map(|g| g.len() * 512).sum()
            }
            Ok(Found::OnRequest) => 0,
            Err(why) => why.len(),
        };
        found + 256
    }
}

/// By what messages are grouped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Task,
    Origin,
    Priority,
    Age,
    /// One argument, by its place or its name: `args[0]`, `kwargs.tenant`.
    Argument(Arc<str>),
}

impl By {
    /// What every message can be grouped by.
    const ALWAYS: [By; 4] = [By::Task, By::Origin, By::Priority, By::Age];

    /// The next one, round and round: after what every message has come the arguments that these have.
    pub fn next(&self, sample: Option<&Sample>) -> Self {
        let arguments = sample.into_iter().flat_map(|sample| sample.arguments.keys().cloned().map(By::Argument));
        let all: Vec<By> = Self::ALWAYS.into_iter().chain(arguments).collect();
        let at = all.iter().position(|by| by == self).map_or(0, |at| at + 1);
        all.get(at).cloned().unwrap_or_default()
    }

    /// What a message is grouped under, where its own value says it.
    pub fn key_of(&self, waiting: &Waiting, redactor: &Redactor) -> Option<String> {
        let message = waiting.message.as_ref().ok()?;
        match self {
            By::Task => Some(message.name.clone()),
            By::Origin => message.origin.clone(),
            By::Priority => Some(waiting.priority.to_string()),
            By::Age => None,
            By::Argument(wanted) => {
                let (_, value) = message.arguments(redactor).into_iter().find(|(name, _)| **name == **wanted)?;
                Some(value.chars().take(VALUE).collect())
            }
        }
    }

    /// Its name in a sentence.
    pub fn word(&self) -> &str {
        match self {
            By::Task => "task",
            By::Origin => "origin",
            By::Priority => "priority",
            By::Age => "age",
            By::Argument(name) => name,
        }
    }
}

/// Messages that have something in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub key: String,
    /// Whether the key is a value of the messages, and not a word of ours for those without one.
    pub is_value: bool,
    pub count: u64,
    pub bytes: u64,
    /// When the oldest of them was sent, where senders announce what they send.
    pub oldest: Option<Stamp>,
    /// Place of the one that is next in line.
    pub place: usize,
    /// Who sent them, with how many each.
    pub origins: Vec<(String, u64)>,
}

/// The group of what is told apart no more.
const OTHERS: &str = "(others)";
/// Groups by one thing; the rest is counted in [`OTHERS`].
const GROUPS: usize = 500;
/// Origins told apart within a group.
const ORIGINS: usize = 50;
/// Arguments one can group by: those that were met first.
const ARGUMENTS: usize = 8;
/// Characters of an argument's value by which it is told from others.
const VALUE: usize = 80;

/// Groups by their rank and key.
type Groups = BTreeMap<(u8, String), Group>;

/// Messages of a queue folded into groups, by each of [`By`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// How many messages were looked at.
    pub looked: usize,
    /// How many there were; more than `looked` makes it a sample.
    pub of: usize,
    /// Whether it is finished: while it is made it is shown too.
    pub done: bool,
    groups: [Groups; 4],
    arguments: BTreeMap<Arc<str>, Groups>,
}

impl Sample {
    /// An empty one, of a queue that holds so many messages.
    pub fn begin(of: usize) -> Self {
        Self { of, ..Self::default() }
    }

    /// Folds a message in. `sent` is when it was sent, where that is known. By secrets nothing is grouped.
    pub fn add(&mut self, waiting: &Waiting, sent: Option<Stamp>, now: Stamp, redactor: &Redactor) {
        self.looked += 1;
        self.of = self.of.max(self.looked);
        let message = waiting.message.as_ref().ok();
        let origin = message.and_then(|m| m.origin.clone());
        for (by, groups) in By::ALWAYS.iter().zip(&mut self.groups) {
            let (rank, key, is_value) = match by {
                By::Task => match &waiting.message {
                    Ok(message) => (0, message.name.clone(), true),
                    Err(bad) => (1, format!("can't be read: {}", bad.why), false),
                },
                By::Origin => match &origin {
                    Some(origin) => (0, origin.clone(), true),
                    None => (1, "not said in the message".to_owned(), false),
                },
                By::Priority => (waiting.priority, waiting.priority.to_string(), true),
                _ => {
                    let (rank, word) = age(sent, now);
                    (rank, word.to_owned(), false)
                }
            };
            put(groups, (rank, key), is_value).add(waiting, sent, origin.as_deref());
        }
        for (name, value) in message.map(|m| m.arguments(redactor)).unwrap_or_default() {
            let name: Arc<str> = name.into();
            if self.arguments.len() < ARGUMENTS || self.arguments.contains_key(&name) {
                let value = value.chars().take(VALUE).collect();
                let groups = self.arguments.entry(name).or_default();
                put(groups, (0, value), true).add(waiting, sent, origin.as_deref());
            }
        }
    }

    /// The groups, the greatest first; priorities and ages in their own order.
    pub fn groups(&self, by: &By) -> Vec<&Group> {
        let groups = match by {
            By::Task => Some(&self.groups[0]),
            By::Origin => Some(&self.groups[1]),
            By::Priority => Some(&self.groups[2]),
            By::Age => Some(&self.groups[3]),
            By::Argument(name) => self.arguments.get(name),
        };
        let mut groups: Vec<&Group> = groups.into_iter().flat_map(BTreeMap::values).collect();
        if !matches!(by, By::Priority | By::Age) {
            // What stands for all others is no group to look for.
            groups.sort_by_key(|group| (group.key == OTHERS && !group.is_value, std::cmp::Reverse(group.count)));
        }
        groups
    }
}

/// The group with a key; where there are too many, the one for all others.
fn put(groups: &mut Groups, key: (u8, String), is_value: bool) -> &mut Group {
    let full = groups.len() >= GROUPS && !groups.contains_key(&key);
    let (key, is_value) = if full { ((u8::MAX, OTHERS.to_owned()), false) } else { (key, is_value) };
    groups.entry(key).or_insert_with_key(|(_, key)| Group {
        key: key.clone(),
        is_value,
        place: usize::MAX,
        ..Group::default()
    })
}

impl Group {
    fn add(&mut self, waiting: &Waiting, sent: Option<Stamp>, origin: Option<&str>) {
        self.count += 1;
        self.bytes += waiting.size() as u64;
        self.place = self.place.min(waiting.place);
        self.oldest = [self.oldest, sent].into_iter().flatten().min();
        let Some(origin) = origin else { return };
        match self.origins.iter().position(|(name, _)| name == origin) {
            Some(place) => self.origins[place].1 += 1,
            None if self.origins.len() < ORIGINS => self.origins.push((origin.to_owned(), 1)),
            None => {}
        }
    }

    /// Who sent most of them, and how many senders there are besides.
    pub fn main_origin(&self) -> Option<(&str, usize)> {
        let most = self.origins.iter().max_by_key(|(_, n)| *n)?;
        Some((&most.0, self.origins.len() - 1))
    }
}

/// How long ago, in steps that a person thinks in.
fn age(sent: Option<Stamp>, now: Stamp) -> (u8, &'static str) {
    let Some(sent) = sent else { return (9, "not known: its sender announced nothing") };
    match now.since(sent).as_secs() {
        0..10 => (0, "below 10 s"),
        10..60 => (1, "10 s to 1 min"),
        60..600 => (2, "1 to 10 min"),
        600..3_600 => (3, "10 min to 1 h"),
        3_600..86_400 => (4, "1 h to 1 day"),
        _ => (5, "above 1 day"),
    }
}

/// Looks that are kept.
const KEPT: usize = 24;
/// Bytes they may take.
const KEPT_BYTES: usize = 32 << 20;

/// The last looks, one for each queue and kind.
#[derive(Default)]
pub(super) struct Peeks {
    /// The newest last.
    looks: VecDeque<Arc<Peeked>>,
}

impl Peeks {
    /// Takes in a look in the place of an earlier one. One that saw nothing doesn't erase what was seen before.
    pub fn put(&mut self, peeked: Arc<Peeked>) {
        let same = |p: &Arc<Peeked>| p.queue == peeked.queue && p.look == peeked.look;
        if let Some(place) = self.looks.iter().position(same) {
            let blind = |p: &Peeked| matches!(p.found, Err(_) | Ok(Found::OnRequest));
            if blind(&peeked) && !blind(&self.looks[place]) {
                return;
            }
            self.looks.remove(place);
        }
        self.looks.push_back(peeked);
        let mut bytes: usize = self.looks.iter().map(|p| p.bytes()).sum();
        while self.looks.len() > 1 && (self.looks.len() > KEPT || bytes > KEPT_BYTES) {
            bytes -= self.looks.pop_front().map_or(0, |p| p.bytes());
        }
    }

    pub fn get(&self, queue: &str, look: Look) -> Option<&Peeked> {
        self.looks.iter().find(|p| p.queue == queue && p.look == look).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::message::Outgoing;

    fn outgoing(name: &str, origin: &str, priority: u8) -> Outgoing {
        Outgoing {
            id: TaskId::random(),
            name: name.into(),
            args: "[]".into(),
            kwargs: "{}".into(),
            argsrepr: "()".into(),
            kwargsrepr: "{}".into(),
            queue: "q".into(),
            route: None,
            priority,
            root_id: None,
            parent_id: None,
            origin: origin.into(),
            eta: None,
            expires: None,
            like: None,
        }
    }

    fn message(place: usize, name: &str, origin: &str, priority: u8) -> Waiting {
        Waiting::read(place, priority, outgoing(name, origin, priority).encode_redis().as_bytes())
    }

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros(1_000_000_000 + secs * 1_000_000)
    }

    fn counts<'s>(sample: &'s Sample, by: &By) -> Vec<(&'s str, u64)> {
        sample.groups(by).into_iter().map(|g| (g.key.as_str(), g.count)).collect()
    }

    #[test]
    fn messages_are_folded_into_groups_by_each_thing() {
        let mut sample = Sample::default();
        for (i, (name, origin, priority, sent)) in [
            ("mail", "gen1@a", 0, Some(at(95))),
            ("charge", "gen1@a", 0, Some(at(10))),
            ("charge", "gen2@b", 3, Some(at(20))),
            ("charge", "gen2@b", 3, None),
        ]
        .into_iter()
        .enumerate()
        {
            sample.add(&message(i, name, origin, priority), sent, at(100), &Redactor::default());
        }
        sample.add(&Waiting::read(4, 0, b"garbage"), None, at(100), &Redactor::default());
        assert_eq!(counts(&sample, &By::Task)[..2], [("charge", 3), ("mail", 1)]);
        assert!(counts(&sample, &By::Task)[2].0.starts_with("can't be read: not JSON"));
        assert_eq!(counts(&sample, &By::Priority), [("0", 3), ("3", 2)]);
        assert_eq!(counts(&sample, &By::Age)[..2], [("below 10 s", 1), ("1 to 10 min", 2)]);
        let groups = sample.groups(&By::Task);
        let charge = groups.first().expect("the greatest");
        assert_eq!((charge.oldest, charge.place), (Some(at(10)), 1));
        assert_eq!(charge.main_origin(), Some(("gen2@b", 1)));
        assert_eq!((sample.looked, sample.of), (5, 5));
    }

    #[test]
    fn messages_are_grouped_by_each_of_their_arguments() {
        let mut sample = Sample::default();
        for (i, (args, kwargs)) in
            [("[1, \"a\"]", "{\"tenant\": \"acme\"}"), ("[2]", "{\"tenant\": \"acme\"}"), ("[2]", "{}")]
                .iter()
                .enumerate()
        {
            let sent = Outgoing { args: (*args).into(), kwargs: (*kwargs).into(), ..outgoing("t", "gen1@a", 0) };
            sample.add(&Waiting::read(i, 0, sent.encode_redis().as_bytes()), None, at(0), &Redactor::default());
        }
        let by = |name: &str| By::Argument(name.into());
        assert_eq!(counts(&sample, &by("args[0]")), [("2", 2), ("1", 1)]);
        assert_eq!(counts(&sample, &by("args[1]")), [("'a'", 1)]);
        assert_eq!(counts(&sample, &by("kwargs.tenant")), [("'acme'", 2)]);
        let mut seen = vec![By::Task];
        while seen.len() < 8 {
            seen.push(seen[seen.len() - 1].next(Some(&sample)));
        }
        let words: Vec<&str> = seen.iter().map(By::word).collect();
        assert_eq!(
            words,
            ["task", "origin", "priority", "age", "args[0]", "args[1]", "kwargs.tenant", "task"],
            "round and round"
        );
        assert_eq!(by("kwargs.gone").next(Some(&sample)), By::Task);
    }

    #[test]
    fn groups_are_bounded() {
        let mut sample = Sample::default();
        for n in 0..GROUPS + 20 {
            sample.add(&message(n, "t", &format!("gen{n}@h"), 0), None, at(0), &Redactor::default());
        }
        assert_eq!(sample.groups(&By::Origin).len(), GROUPS + 1);
        assert_eq!(counts(&sample, &By::Origin).last(), Some(&(OTHERS, 20)), "it comes last, however many they are");
    }

    fn look(queue: &str, found: Result<Found, String>) -> Arc<Peeked> {
        Arc::new(Peeked { queue: queue.into(), look: Look::Waiting, at: at(0), found, canvases: Vec::new() })
    }

    #[test]
    fn a_failed_look_keeps_what_was_seen_and_old_looks_make_room() {
        let mut peeks = Peeks::default();
        let seen = Found::Waiting(vec![message(0, "t", "o", 0)]);
        peeks.put(look("q", Ok(seen.clone())));
        peeks.put(look("q", Err("gone".into())));
        peeks.put(look("q", Ok(Found::OnRequest)));
        assert_eq!(peeks.get("q", Look::Waiting).map(|p| p.found.clone()), Some(Ok(seen)));
        for n in 0..KEPT {
            peeks.put(look(&n.to_string(), Err("no".into())));
        }
        assert!(peeks.get("q", Look::Waiting).is_none() && peeks.get("0", Look::Waiting).is_some());
    }
}
