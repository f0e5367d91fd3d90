//! The keys in force: those of the table of actions, unless a person's settings say otherwise. Two actions that can be
//! live at the same time never share one.

use std::sync::{Arc, LazyLock};

use super::action::{Action, Row, Scope, TABLE, TOGETHER};
use super::keymap::Key;
use crate::text::{clean, nearest};

/// What a person wants instead of an action's usual keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name of the action: `task_retry`.
    pub action: String,
    pub keys: Vec<String>,
    /// Where it is written; mistakes are told with it.
    pub at: usize,
}

/// Why keys can't be bound so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The place of the binding that is wrong.
    pub at: usize,
    pub why: String,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Arc<[Vec<String>]>);

impl Default for Keys {
    fn default() -> Self {
        static USUAL: LazyLock<Keys> = LazyLock::new(|| Keys(usual().into()));
        USUAL.clone()
    }
}

fn usual() -> Vec<Vec<String>> {
    TABLE.iter().map(|row| row.keys.iter().map(|key| (*key).to_owned()).collect()).collect()
}

/// Quits from anywhere, whatever the settings say.
pub const ALWAYS_QUITS: &str = "ctrl-c";

impl Keys {
    /// The usual keys, with these changes.
    pub fn with(bindings: &[Binding]) -> Result<Self, Clash> {
        let mut keys = usual();
        let mut places: Vec<Option<usize>> = vec![None; TABLE.len()];
        for binding in bindings {
            let wrong = |why| Clash { at: binding.at, why };
            let i = number(&binding.action).map_err(wrong)?;
            let read: Result<Vec<String>, String> = binding.keys.iter().map(|key| sequence(key)).collect();
            if let (Some(place), Some(at)) = (keys.get_mut(i), places.get_mut(i)) {
                *place = read.map_err(wrong)?;
                *at = Some(binding.at);
            }
        }
        for (row, (own, at)) in TABLE.iter().zip(keys.iter().zip(&places)) {
            let Some(at) = *at else { continue };
            for key in own {
                check(row, key, &keys).map_err(|(other, why)| {
                    let other = other.and_then(|i| places.get(i).copied().flatten()).unwrap_or(0);
                    Clash { at: at.max(other), why }
                })?;
            }
        }
        Ok(Self(keys.into()))
    }

    /// The keys of an action.
    pub fn of(&self, action: Action) -> &[String] {
        self.0.get(action as usize).map_or(&[], Vec::as_slice)
    }

    /// The key an action is shown with.
    pub fn first(&self, action: Action) -> Option<&str> {
        self.of(action).first().map(String::as_str)
    }

    /// Why something that is no action can't have a key where a scope is live, if so.
    pub fn taken(&self, scope: Scope, key: &str) -> Option<String> {
        if let Some(why) = reserved(scope, key) {
            return Some(format!("it can't be on {key}: {why}"));
        }
        let (row, taken) = beside(scope, &self.0).find(|(_, taken)| *taken == key || begins(taken, key))?;
        Some(format!("it can't be on {key}: {} is on {taken}", row.action.name()))
    }
}

/// The number of an action by its name.
fn number(name: &str) -> Result<usize, String> {
    let names: Vec<String> = TABLE.iter().map(|row| row.action.name()).collect();
    names.iter().position(|n| n == name).ok_or_else(|| {
        let name = clean(name);
        match nearest(name.as_str(), names.iter().map(String::as_str)) {
            Some(near) => format!("there is no action {name}, did you mean {near}?"),
            None => format!("there is no action {name}; `flower-tui config keys` lists them"),
        }
    })
}

/// A key, or two one after the other, in the spelling of the table.
fn sequence(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    if parts.is_empty() || parts.len() > 2 {
        return Err(format!("{:?} is no key: one key, or two with a space between them", clean(text).as_str()));
    }
    let names: Result<Vec<String>, String> = parts.iter().map(|part| Key::parse(part)).collect();
    Ok(names?.join(" "))
}

/// Whether a key that was chosen for an action is free; else why not, and the number of the action that has it.
fn check(row: &Row, key: &str, keys: &[Vec<String>]) -> Result<(), (Option<usize>, String)> {
    let name = row.action.name();
    if row.scope == Scope::Field && Key::named(key).character().is_some() {
        return Err((None, format!("{name} can't be on {key}: a field takes characters as text")));
    }
    if let Some(why) = reserved(row.scope, key).filter(|_| row.action != Action::Quit) {
        return Err((None, format!("{name} can't be on {key}: {why}")));
    }
    for (other, taken) in beside(row.scope, keys).filter(|(other, _)| other.action != row.action) {
        let both = format!("{name} and {}", other.action.name());
        // A nearer scope may hide a key of a farther one where the table says so itself.
        let meant = row.keys.contains(&key) && other.keys.contains(&taken);
        if taken == key && !meant {
            return Err((Some(other.action as usize), format!("{both} are both on {key}")));
        }
        if begins(taken, key) || begins(key, taken) {
            return Err((Some(other.action as usize), format!("{both} clash: {key} and {taken} begin alike")));
        }
    }
    Ok(())
}

/// Why no action of a scope can have a key, if so.
fn reserved(scope: Scope, key: &str) -> Option<&'static str> {
    let mut parts = key.split(' ');
    let tab = parts.next().is_some_and(|first| first.len() == 1 && matches!(first.as_bytes(), [b'1'..=b'9']));
    if key.split(' ').any(|part| part == ALWAYS_QUITS) {
        Some("it always quits")
    } else if tab && sets(scope).any(|set| set.contains(&Scope::Global)) {
        Some("1 to 9 go to the tabs")
    } else {
        None
    }
}

/// The sets of scopes that a scope is live in.
fn sets(scope: Scope) -> impl Iterator<Item = &'static &'static [Scope]> {
    TOGETHER.iter().filter(move |set| set.contains(&scope))
}

/// Every key that can be live together with a scope, with its action.
fn beside(scope: Scope, keys: &[Vec<String>]) -> impl Iterator<Item = (&'static Row, &str)> {
    let rows = TABLE.iter().zip(keys).filter(move |(row, _)| sets(scope).any(|set| set.contains(&row.scope)));
    rows.flat_map(|(row, keys)| keys.iter().map(move |key| (row, key.as_str())))
}

/// Whether a sequence begins with a key that has a meaning of its own.
fn begins(sequence: &str, key: &str) -> bool {
    sequence.strip_prefix(key).is_some_and(|rest| rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(pairs: &[(&str, &[&str])]) -> Result<Keys, String> {
        let bindings: Vec<Binding> = pairs
            .iter()
            .enumerate()
            .map(|(at, (action, keys))| Binding {
                action: (*action).to_owned(),
                keys: keys.iter().map(|k| (*k).to_owned()).collect(),
                at,
            })
            .collect();
        Keys::with(&bindings).map_err(|clash| format!("{}: {}", clash.at, clash.why))
    }

    #[test]
    fn an_action_moves_to_the_keys_it_is_given() {
        let keys = bind(&[("task_retry", &["F5", "ctrl-E", "backspace z"]), ("mark", &["m"])]).unwrap();
        assert_eq!(keys.of(Action::TaskRetry), ["F5", "ctrl-e", "Backspace z"]);
        assert_eq!(keys.first(Action::TaskRevoke), Some("x"));
        assert_eq!(bind(&[("palette", &[])]).unwrap().first(Action::Palette), None, "no key at all");
    }

    #[test]
    fn actions_that_live_together_do_not_share_a_key() {
        assert_eq!(bind(&[("task_retry", &["x"])]).unwrap_err(), "0: task_retry and task_revoke are both on x");
        assert_eq!(
            bind(&[("pool_grow", &["a"]), ("pause", &["z"]), ("pool_shrink", &["z"])]).unwrap_err(),
            "2: pool_shrink and pause are both on z"
        );
        assert!(bind(&[("task_retry", &["x"]), ("task_revoke", &["r"])]).is_ok(), "exchanged");
        assert!(bind(&[("pool_grow", &["x"])]).is_ok(), "tasks and workers are never on screen together");
        assert!(bind(&[("down", &["j"])]).is_ok(), "its own key");
    }

    #[test]
    fn a_key_does_not_begin_a_sequence_of_another() {
        assert_eq!(bind(&[("pause", &["g"])]).unwrap_err(), "0: pause and top clash: g and g g begin alike");
        assert_eq!(bind(&[("top", &["p p"])]).unwrap_err(), "0: top and pause clash: p p and p begin alike");
    }

    #[test]
    fn a_key_for_something_else_has_to_be_free() {
        let keys = bind(&[("pause", &["z"])]).unwrap();
        assert_eq!(keys.taken(Scope::TaskList, "F6"), None);
        assert_eq!(keys.taken(Scope::TaskList, "p"), None, "its action moved away");
        assert_eq!(keys.taken(Scope::TaskList, "z").unwrap(), "it can't be on z: pause is on z");
        assert_eq!(keys.taken(Scope::TaskList, "g").unwrap(), "it can't be on g: top is on g g");
        assert_eq!(keys.taken(Scope::TaskList, "2").unwrap(), "it can't be on 2: 1 to 9 go to the tabs");
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        assert_eq!(
            bind(&[("task_rety", &["F5"])]).unwrap_err(),
            "0: there is no action task_rety, did you mean task_retry?"
        );
        assert_eq!(bind(&[("pause", &["Entr"])]).unwrap_err(), "0: there is no key Entr, did you mean Enter?");
        assert!(bind(&[("pause", &["a b c"])]).unwrap_err().contains("is no key"));
        assert!(bind(&[("pause", &["ctrl-c"])]).unwrap_err().contains("always quits"));
        assert!(bind(&[("pause", &["3"])]).unwrap_err().contains("tabs"));
        assert!(bind(&[("field_done", &["z"])]).unwrap_err().contains("as text"));
    }

    #[test]
    fn the_usual_keys_clash_nowhere() {
        let every: Vec<Binding> = TABLE
            .iter()
            .filter(|row| row.action != Action::Quit)
            .enumerate()
            .map(|(at, row)| Binding {
                action: row.action.name(),
                keys: row.keys.iter().map(|k| (*k).to_owned()).collect(),
                at,
            })
            .collect();
        assert_eq!(Keys::with(&every), Ok(Keys::default()));
    }
}
