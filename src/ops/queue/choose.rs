//! Which of the messages in a queue are meant.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::json;

use crate::celery::TaskId;
use crate::celery::message::Message;
use crate::celery::queue::Waiting;
use crate::clock::Stamp;
use crate::filter::{self, Filter};
use crate::ops::command::{NAMED, plural};
use crate::state::peek::{By, Found, Look};
use crate::state::{Limits, Model, Sort, Store, Update};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    All,
    Ids(BTreeSet<TaskId>),
    /// Those of tasks that a filter selects.
    Filter(String),
    /// Those that have one thing in common, as the screen groups them.
    Group(By, String),
}

impl Which {
    /// Reads what the command line names: ids, or one of the options.
    pub fn parse(ids: &[String], filter: Option<&str>, group: Option<&str>, all: bool) -> Result<Self, String> {
        match (ids, filter, group, all) {
            ([], None, None, true) => Ok(Which::All),
            ([], Some(text), None, false) => {
                filter::parse(text).map_err(|e| e.to_string())?;
                Ok(Which::Filter(text.to_owned()))
            }
            ([], None, Some(text), false) => {
                let (by, key) = text.split_once('=').ok_or("--group takes BY=VALUE, such as task=mail.send")?;
                let by = match by {
                    "task" => By::Task,
                    "origin" => By::Origin,
                    "priority" => By::Priority,
                    name if name.starts_with("args[") || name.starts_with("kwargs.") => By::Argument(name.into()),
                    _ => return Err("--group goes by task, origin, priority, args[N] or kwargs.NAME".into()),
                };
                Ok(Which::Group(by, key.to_owned()))
            }
            ([_, ..], None, None, false) => Ok(Which::Ids(ids.iter().map(|id| TaskId::new(id)).collect())),
            ([], None, None, false) => Err("say which: ids, --filter, --group or --all".into()),
            _ => Err("say which in one way: ids, --filter, --group or --all".into()),
        }
    }

    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Which::All => vec!["--all".into()],
            Which::Ids(ids) => ids.iter().map(TaskId::to_string).collect(),
            Which::Filter(text) => vec!["--filter".into(), text.clone()],
            Which::Group(by, key) => vec!["--group".into(), format!("{}={key}", by.word())],
        }
    }

    pub(super) fn described(&self) -> String {
        match self {
            Which::All => "all messages".into(),
            Which::Ids(ids) => plural(ids.len(), "message"),
            Which::Filter(text) => format!("the messages that {text} selects"),
            Which::Group(by, key) => format!("the messages with {} {key}", by.word()),
        }
    }

    /// Those that are meant, as far as they were seen.
    pub(super) fn listed(&self, queue: &str, model: &Model) -> Vec<String> {
        let Which::Ids(ids) = self else { return Vec::new() };
        let seen: BTreeMap<&TaskId, &Message> = match model.peeked(queue, Look::Waiting).map(|p| &p.found) {
            Some(Ok(Found::Waiting(waiting))) => {
                waiting.iter().filter_map(|w| w.message.as_ref().ok()).map(|m| (&m.id, m)).collect()
            }
            _ => BTreeMap::new(),
        };
        let redactor = model.redactor();
        let line = |id: &TaskId| match seen.get(id) {
            Some(message) => {
                let args = message.args_text(redactor).unwrap_or_default();
                format!("{}  {}  {}", id.short(), message.name, crate::text::cut_end(&args, 40))
            }
            None => id.to_string(),
        };
        let mut lines: Vec<String> = ids.iter().take(NAMED).map(line).collect();
        if ids.len() > NAMED {
            lines.push(format!("and {} more", crate::human::thousands((ids.len() - NAMED) as u64)));
        }
        lines
    }
}

/// Finds them among those that are shown to it.
pub struct Chooser<'s> {
    which: Which,
    filter: Filter,
    store: &'s Store,
    left: HashSet<TaskId>,
}

impl<'s> Chooser<'s> {
    /// What the model knows of tasks, such as when they were sent, is looked up there.
    pub fn new(which: &Which, store: &'s Store) -> Result<Self, String> {
        let text = if let Which::Filter(text) = which { text } else { "" };
        let filter = filter::parse(text).map_err(|e| e.to_string())?;
        let left = if let Which::Ids(ids) = which { ids.iter().cloned().collect() } else { HashSet::new() };
        Ok(Self { which: which.clone(), filter, store, left })
    }

    /// The places of those that are meant.
    pub fn choose(&self, messages: &[Waiting], queue: &str, now: Stamp) -> Vec<usize> {
        let those = |holds: &dyn Fn(&Waiting) -> bool| {
            (0..messages.len()).filter(|i| messages.get(*i).is_some_and(holds)).collect()
        };
        match &self.which {
            Which::All => (0..messages.len()).collect(),
            Which::Ids(_) => those(&|w| w.message.as_ref().is_ok_and(|m| self.left.contains(&m.id))),
            Which::Group(by, key) => {
                let redactor = self.store.redactor();
                those(&|w| by.key_of(w, &redactor).is_some_and(|k| k == *key))
            }
            Which::Filter(_) => {
                let selected = self.select(messages, queue, now);
                those(&|w| w.message.as_ref().is_ok_and(|m| selected.contains(&m.id)))
            }
        }
    }

    /// The filter language speaks of tasks: each message is made one that was sent, in a model of its own.
    fn select(&self, messages: &[Waiting], queue: &str, now: Stamp) -> HashSet<TaskId> {
        let limits = Limits { tasks: messages.len().max(1), ..Limits::default() };
        let own = Store::in_zone(limits, self.store.read(|m| m.zone().clone()));
        let sent = |id: &TaskId| self.store.read(|m| m.task(id).and_then(|task| task.sent())).unwrap_or(now);
        // Whoever searches sees what is shown: no secrets.
        let redactor = self.store.redactor();
        let events = messages.iter().filter_map(|w| w.message.as_ref().ok()).map(|m| {
            json!({
                "type": "task-sent", "uuid": m.id.to_string(), "name": m.name, "args": m.args_text(&redactor),
                "kwargs": m.kwargs_text(&redactor), "queue": queue, "timestamp": sent(&m.id).secs(),
                "root_id": m.root_id, "parent_id": m.parent_id, "retries": m.retries, "eta": m.eta,
                "expires": m.expires, "hostname": m.origin,
            })
        });
        own.apply(&[Update::Events(crate::history::batch(events.collect(), now).into()), Update::Tick(now)]);
        own.select_ids(&self.filter, Sort::default()).into_iter().collect()
    }

    /// A message was taken, or is gone.
    pub fn done(&mut self, id: &TaskId) {
        self.left.remove(id);
    }

    /// Whether nothing more can be meant.
    pub fn is_done(&self) -> bool {
        matches!(self.which, Which::Ids(_)) && self.left.is_empty()
    }

    /// Ids that were named and not found.
    pub fn missing(&self) -> usize {
        self.left.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::message::Outgoing;

    fn message(id: &str, name: &str, kwargs: &str) -> Waiting {
        let sent = Outgoing {
            id: TaskId::new(id),
            name: name.into(),
            args: "[]".into(),
            kwargs: kwargs.into(),
            argsrepr: "()".into(),
            kwargsrepr: kwargs.replace('"', "'"),
            queue: "q".into(),
            route: None,
            priority: 0,
            root_id: None,
            parent_id: None,
            origin: "gen1@web".into(),
            eta: None,
            expires: None,
            like: None,
        };
        Waiting::read(0, 0, sent.encode_redis().as_bytes())
    }

    #[test]
    fn messages_are_chosen_by_the_same_language_as_tasks() {
        let store = Store::new(Limits::default());
        let messages = [
            message("a", "mail.send", r#"{"tenant": "acme"}"#),
            message("b", "mail.send", r#"{"tenant": "umbrella"}"#),
            message("c", "report.build", "{}"),
            Waiting::read(3, 0, b"no message"),
        ];
        let now = Stamp::from_micros(1_000_000_000);
        let chosen = |which: Which| Chooser::new(&which, &store).expect("reads").choose(&messages, "q", now);
        assert_eq!(chosen(Which::Filter("task:mail.* acme".into())), [0]);
        assert_eq!(chosen(Which::Filter("-task:mail.*".into())), [2]);
        assert_eq!(chosen(Which::Filter("until:10m".into())), [] as [usize; 0], "not known to be old");
        assert_eq!(chosen(Which::Group(By::Argument("kwargs.tenant".into()), "'umbrella'".into())), [1]);
        assert_eq!(chosen(Which::Group(By::Task, "report.build".into())), [2]);
        assert_eq!(chosen(Which::Ids([TaskId::new("b"), TaskId::new("x")].into())), [1]);
        assert_eq!(chosen(Which::All), [0, 1, 2, 3], "what can't be read too");
        assert!(Chooser::new(&Which::Filter("state:(".into()), &store).is_ok());
    }

    #[test]
    fn which_are_meant_is_said_in_one_way() {
        let ids = vec!["a".to_owned()];
        assert!(Which::parse(&[], None, None, false).is_err());
        assert!(Which::parse(&ids, Some("x"), None, false).is_err());
        assert!(Which::parse(&[], Some("rntime:>2s"), None, false).is_err());
        assert!(Which::parse(&[], None, Some("age=old"), false).is_err());
        let group = Which::parse(&[], None, Some("kwargs.a=1=2"), false).expect("reads");
        assert_eq!(group, Which::Group(By::Argument("kwargs.a".into()), "1=2".into()));
        assert_eq!(group.words(), ["--group", "kwargs.a=1=2"]);
    }
}
