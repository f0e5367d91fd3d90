//! From keys to actions. Nothing else looks at key codes.

use termina::event::{KeyCode, KeyEvent, Modifiers};

use super::action::{Action, Row, Scope, TABLE};
use super::keys::Keys;
use crate::text::{clean, nearest};

/// A key as help writes it: `q`, `Enter`, `ctrl-r`, `alt-x`.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Key(String);

impl Key {
    /// A key by its written name.
    pub fn named(name: &str) -> Self {
        Key(name.to_owned())
    }

    /// A key as a person spells it, made into the spelling of the table: `ctrl-X` is `ctrl-x`, `enter` is `Enter`.
    pub fn parse(text: &str) -> Result<String, String> {
        let (mut rest, mut ctrl, mut alt) = (text, false, false);
        loop {
            rest = match (rest.strip_prefix("ctrl-"), rest.strip_prefix("alt-")) {
                (Some(after), _) if !after.is_empty() => {
                    ctrl = true;
                    after
                }
                (_, Some(after)) if !after.is_empty() => {
                    alt = true;
                    after
                }
                _ => break,
            };
        }
        let name = named(rest)?;
        let prefix = [(ctrl, "ctrl-"), (alt, "alt-")].iter().filter(|(on, _)| *on).map(|(_, p)| *p).collect::<String>();
        Ok(if prefix.is_empty() { name } else { prefix + &name.to_lowercase() })
    }

    /// The character to type into a field, if it is one.
    pub fn character(&self) -> Option<char> {
        if self.0 == "Space" {
            return Some(' ');
        }
        let mut chars = self.0.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Some(c),
            _ => None,
        }
    }

    /// The written name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// What the terminal reported; `None` for keys nobody binds.
    pub fn from_event(event: &KeyEvent) -> Option<Self> {
        let name = match event.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Enter => "Enter".into(),
            KeyCode::Backspace => "Backspace".into(),
            KeyCode::Tab if event.modifiers.contains(Modifiers::SHIFT) => "BackTab".into(),
            KeyCode::Tab => "Tab".into(),
            KeyCode::BackTab => "BackTab".into(),
            KeyCode::Escape => "Esc".into(),
            KeyCode::Left => "Left".into(),
            KeyCode::Right => "Right".into(),
            KeyCode::Up => "Up".into(),
            KeyCode::Down => "Down".into(),
            KeyCode::Home => "Home".into(),
            KeyCode::End => "End".into(),
            KeyCode::PageUp => "PageUp".into(),
            KeyCode::PageDown => "PageDown".into(),
            KeyCode::Delete => "Delete".into(),
            KeyCode::Function(n) => format!("F{n}"),
            _ => return None,
        };
        let mut prefix = String::new();
        if event.modifiers.contains(Modifiers::CONTROL) {
            prefix.push_str("ctrl-");
        }
        if event.modifiers.contains(Modifiers::ALT) {
            prefix.push_str("alt-");
        }
        Some(Key(if prefix.is_empty() { name } else { format!("{prefix}{}", name.to_lowercase()) }))
    }
}

/// What keys typed so far mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    Action(Action),
    /// The beginning of a longer sequence.
    Pending,
    Nothing,
}

/// Holds the beginning of a sequence such as `g g`.
#[derive(Default)]
pub struct Keymap {
    pending: Option<Key>,
}

impl Keymap {
    /// Takes a key, where these scopes are live.
    pub fn resolve(&mut self, keys: &Keys, scopes: &[Scope], key: &Key) -> Resolved {
        if let Some(first) = self.pending.take() {
            let both = format!("{} {}", first.name(), key.name());
            return match find(keys, scopes, &both) {
                Some(action) => Resolved::Action(action),
                None => Resolved::Nothing,
            };
        }
        if let Some(action) = find(keys, scopes, key.name()) {
            return Resolved::Action(action);
        }
        let begins = format!("{} ", key.name());
        if rows(scopes).any(|row| keys.of(row.action).iter().any(|k| k.starts_with(&begins))) {
            self.pending = Some(key.clone());
            return Resolved::Pending;
        }
        Resolved::Nothing
    }

    /// Forgets a begun sequence.
    pub fn reset(&mut self) {
        self.pending = None;
    }
}

/// Rows live in these scopes, nearest scope first.
pub fn rows<'s>(scopes: &'s [Scope]) -> impl Iterator<Item = &'static Row> + 's {
    scopes.iter().flat_map(|scope| TABLE.iter().filter(move |row| row.scope == *scope))
}

fn find(keys: &Keys, scopes: &[Scope], typed: &str) -> Option<Action> {
    rows(scopes).find(|row| keys.of(row.action).iter().any(|key| key == typed)).map(|row| row.action)
}

/// Keys that are no characters.
const NAMED: [&str; 27] = [
    "Space",
    "Enter",
    "Backspace",
    "Tab",
    "BackTab",
    "Esc",
    "Left",
    "Right",
    "Up",
    "Down",
    "Home",
    "End",
    "PageUp",
    "PageDown",
    "Delete",
    "F1",
    "F2",
    "F3",
    "F4",
    "F5",
    "F6",
    "F7",
    "F8",
    "F9",
    "F10",
    "F11",
    "F12",
];

fn named(text: &str) -> Result<String, String> {
    if let Some(name) = NAMED.iter().find(|name| name.eq_ignore_ascii_case(text)) {
        return Ok((*name).to_owned());
    }
    if text.chars().count() == 1 {
        return Ok(text.to_owned());
    }
    let text = clean(text);
    Err(match nearest(text.as_str(), NAMED) {
        Some(near) => format!("there is no key {text}, did you mean {near}?"),
        None => format!("there is no key {text}: a character, or one of {}", NAMED.join(" ")),
    })
}

/// A key as a person sees it written.
pub fn shown(key: &str) -> String {
    let arrows = [("Down", "↓"), ("Up", "↑"), ("Enter", "⏎"), ("Space", "space")];
    arrows.iter().find(|(name, _)| *name == key).map_or_else(|| key.to_owned(), |(_, glyph)| (*glyph).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_and_nearer_scopes_are_found() {
        let mut keymap = Keymap::default();
        let keys = Keys::default();
        let scopes = [Scope::Tasks, Scope::List, Scope::Global];
        let key = Key::named;
        assert_eq!(keymap.resolve(&keys, &scopes, &key("g")), Resolved::Pending);
        assert_eq!(keymap.resolve(&keys, &scopes, &key("g")), Resolved::Action(Action::Top));
        assert_eq!(keymap.resolve(&keys, &scopes, &key("g")), Resolved::Pending);
        assert_eq!(keymap.resolve(&keys, &scopes, &key("x")), Resolved::Nothing, "an unknown sequence does nothing");
        assert_eq!(keymap.resolve(&keys, &scopes, &key("x")), Resolved::Action(Action::TaskRevoke));
        assert_eq!(keymap.resolve(&keys, &[Scope::Confirm], &key("x")), Resolved::Nothing);
    }

    #[test]
    fn keys_are_read_in_any_spelling() {
        let read = |text| Key::parse(text).unwrap();
        assert_eq!(["enter", "F5", "f12", "x", "X", ":"].map(read), ["Enter", "F5", "F12", "x", "X", ":"]);
        assert_eq!(
            ["ctrl-R", "alt-ctrl-x", "ctrl-Space", "ctrl--"].map(read),
            ["ctrl-r", "ctrl-alt-x", "ctrl-space", "ctrl--"]
        );
        assert_eq!(Key::parse("PageDwn").unwrap_err(), "there is no key PageDwn, did you mean PageDown?");
        let event = |code, modifiers| Key::from_event(&KeyEvent::new(code, modifiers)).unwrap();
        assert_eq!(event(KeyCode::Function(5), Modifiers::NONE).name(), "F5");
        assert_eq!(event(KeyCode::Function(5), Modifiers::CONTROL).name(), "ctrl-f5");
    }
}
