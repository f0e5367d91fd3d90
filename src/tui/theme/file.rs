//! Themes as files: a role, and how it looks, a line.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use toml::Spanned;

use super::{Role, Theme};
use crate::text::nearest;

/// The themes that come with the program.
pub(super) const BUILT_IN: [(&str, &str); 7] = [
    ("dark", include_str!("../../../config/themes/dark.toml")),
    ("light", include_str!("../../../config/themes/light.toml")),
    ("high-contrast", include_str!("../../../config/themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../config/themes/colour-blind.toml")),
    ("colour-blind-light", include_str!("../../../config/themes/colour-blind-light.toml")),
    ("16-color", include_str!("../../../config/themes/16-color.toml")),
    ("none", include_str!("../../../config/themes/none.toml")),
];

/// Keys that are no roles.
const BASE: &str = "base";
const BACKGROUND: &str = "background";
const SELECTED: &str = "selected";

/// The sixteen colours of every terminal.
const ANSI: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

const MODIFIERS: [(&str, Modifier); 4] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

/// Why a theme can't be used: names file, line, and what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// `accent = "blue bold"`, or a bare number of the 256.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Words(String),
    Index(u8),
}

/// Reads a theme's text. `name` is the file's, for what is said of mistakes.
pub(super) fn parse(text: &str, name: &str) -> Result<Theme, Error> {
    let line = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let wrong = |at: usize, why: &str| Error(format!("{name}, line {}: {why}", line(at)));
    let values: BTreeMap<Spanned<String>, Spanned<Value>> = toml::from_str(text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), &explain(error.message())))?;
    let mut theme = match values.iter().find(|(key, _)| key.get_ref() == BASE) {
        Some((_, value)) => base(value.get_ref()).map_err(|why| wrong(value.span().start, &why))?,
        None => Theme::default(),
    };
    for (key, value) in &values {
        let style = || read(value.get_ref()).map_err(|why| wrong(value.span().start, &why));
        match (key.get_ref().as_str(), Role::named(key.get_ref())) {
            (_, Some(role)) => theme.set(role, style()?),
            (BACKGROUND, _) => theme.background = style()?,
            (SELECTED, _) => theme.selection = style()?,
            (BASE, _) => {}
            (other, _) => return Err(wrong(key.span().start, &unknown_role(other))),
        }
    }
    Ok(theme)
}

fn explain(message: &str) -> String {
    match message.contains("did not match any variant") {
        true => "a role takes a text such as \"#7aa2f7 bold\"".into(),
        false => message.trim().to_owned(),
    }
}

fn base(value: &Value) -> Result<Theme, String> {
    let Value::Words(name) = value else { return Err("base takes the name of a theme".into()) };
    Theme::named(name).ok_or_else(|| {
        let names = BUILT_IN.map(|(name, _)| name);
        meant("theme", name, &names)
    })
}

fn unknown_role(word: &str) -> String {
    let names: Vec<&str> = Role::ALL.iter().map(|r| r.name()).chain([SELECTED, BACKGROUND, BASE]).collect();
    meant("role", word, &names)
}

fn meant(what: &str, word: &str, names: &[&str]) -> String {
    let word = crate::text::clean(word);
    match nearest(word.as_str(), names.iter().copied()) {
        Some(near) => format!("there is no {what} {word}, did you mean {near}?"),
        None => format!("there is no {what} {word}; there are {}", names.join(", ")),
    }
}

/// `#7aa2f7 on 236 bold`.
fn read(value: &Value) -> Result<Style, String> {
    let words = match value {
        Value::Index(index) => return Ok(Style::new().fg(Color::Indexed(*index))),
        Value::Words(words) => words,
    };
    let mut style = Style::new();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        style = match MODIFIERS.iter().find(|(name, _)| *name == word) {
            Some((_, modifier)) => style.add_modifier(*modifier),
            None if word == "on" => style.bg(color(words.next().unwrap_or_default())?),
            None => style.fg(color(word)?),
        };
    }
    Ok(style)
}

fn color(word: &str) -> Result<Color, String> {
    if let Some(hex) = word.strip_prefix('#') {
        let number = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 6);
        let [_, r, g, b] =
            number.ok_or_else(|| format!("{word:?} is no colour: #rrggbb has six digits"))?.to_be_bytes();
        return Ok(Color::Rgb(r, g, b));
    }
    if let Ok(index) = word.parse() {
        return Ok(Color::Indexed(index));
    }
    if word == "default" {
        return Ok(Color::Reset);
    }
    ANSI.iter().find(|(name, _)| *name == word).map(|(_, color)| *color).ok_or_else(|| {
        let words = ANSI.iter().map(|(n, _)| *n).chain(MODIFIERS.iter().map(|(n, _)| *n)).chain(["default", "on"]);
        let word = crate::text::clean(word);
        match nearest(word.as_str(), words) {
            Some(near) => format!("there is no colour {word}, did you mean {near}?"),
            None => format!("there is no colour {word}: a name such as blue, #rrggbb, 0 to 255, or default"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text, "t.toml").err().map_or_else(String::new, |e| e.0)
    }

    #[test]
    fn each_built_in_theme_is_valid() {
        for (name, text) in BUILT_IN {
            parse(text, name).unwrap();
        }
    }

    #[test]
    fn a_role_takes_colours_and_modifiers_in_any_notation() {
        let theme = parse("text = \"#010203\"\nok = 7\nfail = \"bright-red on 236 bold underlined\"\n", "t").unwrap();
        assert_eq!(theme.style(Role::Text), Style::new().fg(Color::Rgb(1, 2, 3)));
        assert_eq!(theme.style(Role::Ok), Style::new().fg(Color::Indexed(7)));
        let fail = Style::new().fg(Color::LightRed).bg(Color::Indexed(236));
        assert_eq!(theme.style(Role::Fail), fail.add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
        assert_eq!(theme.style(Role::Muted), Style::new(), "left out: the terminal's own");
        let theme = parse("base = \"light\"\nok = \"default\"\n", "t").unwrap();
        assert_eq!(theme.style(Role::Fail), Theme::light().style(Role::Fail));
        assert_eq!(theme.style(Role::Ok), Style::new().fg(Color::Reset));
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_was_meant() {
        assert_eq!(wrong("\naccnt = \"blue\"\n"), "t.toml, line 2: there is no role accnt, did you mean accent?");
        assert_eq!(wrong("ok = \"blu\"\n"), "t.toml, line 1: there is no colour blu, did you mean blue?");
        assert_eq!(wrong("ok = 1\n\nfail = \"#12\"\n"), "t.toml, line 3: \"#12\" is no colour: #rrggbb has six digits");
        assert_eq!(wrong("base = \"drak\"\n"), "t.toml, line 1: there is no theme drak, did you mean dark?");
        assert_eq!(
            wrong("ok = \"on\"\n"),
            "t.toml, line 1: there is no colour : a name such as blue, #rrggbb, 0 to 255, or default"
        );
        assert!(
            wrong("ok = 1\nfail = [1]\n").starts_with("t.toml, line 2: a role takes"),
            "{}",
            wrong("ok = 1\nfail = [1]\n")
        );
        assert!(wrong("ok = = 1\n").starts_with("t.toml, line 1"));
    }
}
