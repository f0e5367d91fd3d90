//! The config file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use crate::broker::TransportOptions;

/// Everything a config file can say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Profile used where none is asked for.
    pub profile: Option<String>,
    pub max_tasks: Option<u64>,
    pub max_memory: Option<String>,
    pub log_file: Option<String>,
    pub read_only: Option<bool>,
    pub profiles: BTreeMap<String, Profile>,
    pub ui: Ui,
}

/// One cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    pub broker: Option<String>,
    /// File that holds the broker URL, for those who keep passwords out of config files.
    pub broker_file: Option<String>,
    /// `red` marks a cluster where mistakes hurt.
    pub color: Option<String>,
    pub read_only: Option<bool>,
    pub transport_options: Option<TransportOptions>,
}

/// The screen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ui {
    pub theme: Option<String>,
    pub ascii: Option<bool>,
    pub mouse: Option<bool>,
}

/// Where a person's own file is looked for.
pub fn default_path() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "flower-tui").map(|dirs| dirs.config_dir().join("config.toml"))
}

/// Where files are put that nobody edits, such as the audit log.
pub fn state_folder() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "flower-tui")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned())
}

/// Reads a file. A missing one is an error only if it was asked for.
pub fn read(path: &Path, asked_for: bool) -> Result<File, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked_for => Ok(File::default()),
        Err(error) => Err(Error(format!("can't read the config file {}: {error}", path.display()))),
    }
}

/// Whether others than the owner can read a file that holds a password.
pub fn shows_password(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    let has = |p: &Profile| {
        p.broker.as_deref().and_then(|b| crate::broker::BrokerUrl::parse(b).ok()).is_some_and(|u| u.password.is_some())
    };
    open && file.profiles.values().any(has)
}

/// Reads the text of a config file.
pub fn parse(text: &str, name: &str) -> Result<File, Error> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        let at_line_start = error.span().is_some_and(|s| text[..s.start.min(text.len())].ends_with('\n'));
        let line = if at_line_start && error.span().is_some_and(|s| s.start > 0) { line + 1 } else { line };
        Error(format!("{name}, line {line}: {}", explain(error.message())))
    })?;
    check(&file, text, name)?;
    Ok(file)
}

/// Values that have the right type and are wrong all the same.
fn check(file: &File, text: &str, name: &str) -> Result<(), Error> {
    let line_of = |needle: &str| text.lines().position(|l| l.contains(needle)).map_or(1, |n| n + 1);
    if let Some(theme) = file.ui.theme.as_deref()
        && !super::resolve::THEMES.contains(&theme)
    {
        let near = crate::text::nearest(theme, super::resolve::THEMES).unwrap_or("auto");
        return Err(Error(format!(
            "{name}, line {}: there is no theme {theme:?}, did you mean {near:?}?",
            line_of("theme")
        )));
    }
    if let Some(size) = file.max_memory.as_deref()
        && crate::human::parse_bytes(size).is_none()
    {
        return Err(Error(format!("{name}, line {}: max_memory takes a size such as \"256M\"", line_of("max_memory"))));
    }
    Ok(())
}

/// `unknown field `brokr`, expected one of `broker`, …` in a person's words.
fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.trim().to_owned() };
    let mut quoted = rest.split('`');
    let key = quoted.next().unwrap_or_default().to_owned();
    let names: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let key = crate::text::clean(&key);
    match crate::text::nearest(key.as_str(), names.iter().copied()) {
        Some(near) => format!("there is no setting {key}, did you mean {near}?"),
        None => format!("there is no setting {key} here; there are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text, "c.toml").err().map_or_else(String::new, |e| e.0)
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_was_meant() {
        assert_eq!(
            wrong("max_tasks = 5\n[profiles.prod]\nbrokr = \"redis://\"\n"),
            "c.toml, line 3: there is no setting brokr, did you mean broker?"
        );
        assert!(
            wrong("max_tasks = \"many\"\n").starts_with("c.toml, line 1: invalid type"),
            "{}",
            wrong("max_tasks = \"many\"\n")
        );
        assert_eq!(
            wrong("\n[ui]\ntheme = \"drak\"\n"),
            "c.toml, line 3: there is no theme \"drak\", did you mean \"dark\"?"
        );
        assert!(wrong("a = = b").contains("line 1"));
        assert!(wrong("[zzzzzzz]\n").contains("there are"), "{}", wrong("[zzzzzzz]\n"));
    }

    #[test]
    fn the_annotated_default_is_valid() {
        let file = parse(super::super::DEFAULT_FILE, "config/flower-tui.toml").expect("valid");
        assert_eq!(file, File::default(), "everything in it is commented out");
        // Each commented setting is valid too when its comment sign is taken away.
        let uncommented: String = super::super::DEFAULT_FILE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let file = parse(&uncommented, "uncommented").expect("valid");
        assert!(file.profiles.contains_key("production") && file.ui.theme.is_some());
    }
}
