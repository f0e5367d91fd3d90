//! Settings of the screen: which values they take, and which are in force.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::Error;
use super::file::Keys;
use super::resolve::{Flags, From, Resolver};
use crate::text::{clean, nearest};

/// Names a theme can have, apart from those of a person's own files.
pub const THEMES: [&str; 8] =
    ["auto", "dark", "light", "high-contrast", "colour-blind", "colour-blind-light", "16-color", "none"];

/// Names of the columns that the list of tasks can have.
pub const COLUMNS: [&str; 20] = [
    "state", "task", "id", "worker", "queue", "received", "sent", "started", "finished", "wait", "prefetch", "runtime",
    "try", "args", "kwargs", "result", "error", "eta", "root", "age",
];

/// Colours a profile can have.
pub const COLORS: [&str; 4] = ["red", "yellow", "green", "blue"];

/// How times can be written.
const TIMES: [&str; 3] = ["relative", "absolute", "utc"];

/// Frames a second where nothing else is said.
const FPS: u32 = 30;

/// A filter with a name, and perhaps a key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub name: String,
    pub filter: Spanned<String>,
    pub key: Option<Spanned<String>>,
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct Ui {
    pub columns: From<Option<Vec<String>>>,
    pub fps: From<u32>,
    /// Seconds.
    pub refresh: From<Option<f64>>,
    pub times: From<String>,
    pub split: From<Option<u16>>,
    /// What changes in workers' names, as regular expressions.
    pub worker_groups: From<Vec<String>>,
    pub filters: Vec<Saved>,
    pub keys: Vec<Keys>,
}

impl Ui {
    /// From flag, environment and file.
    pub(super) fn settle(flags: &Flags, r: &Resolver<'_>) -> Result<Self, Error> {
        let ui = &r.file.ui;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| "takes a number".to_owned());
        let flag = flags.fps.map(fps).transpose().map_err(|why| Error(format!("--{why}")))?;
        let list = |text: &str| columns(&text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        let secs = |text: &str| text.trim().parse().map_err(|_| "takes seconds".to_owned()).and_then(refresh);
        let rows = |text: &str| text.trim().parse().map(Some).map_err(|_| "takes a number of rows".to_owned());
        let chosen = value(&ui.columns).map(Some);
        Ok(Self {
            columns: r.pick(None, &["FLOWER_TUI_COLUMNS"], |t| list(t).map(Some), |_| None, chosen, None)?,
            fps: r.pick(flag, &["FLOWER_TUI_FPS"], |t| number(t).and_then(fps), |_| None, value(&ui.fps), FPS)?,
            refresh: r.pick(
                None,
                &["FLOWER_TUI_REFRESH"],
                |t| secs(t).map(Some),
                |_| None,
                value(&ui.refresh).map(Some),
                None,
            )?,
            times: r.pick(None, &["FLOWER_TUI_TIMES"], times, |_| None, value(&ui.times), "absolute".into())?,
            split: r.pick(None, &["FLOWER_TUI_SPLIT"], rows, |_| None, ui.split.map(Some), None)?,
            worker_groups: r.pick(None, &[], |_| Err(String::new()), |_| None, value(&ui.worker_groups), Vec::new())?,
            filters: ui.filters.clone(),
            keys: ui.keys.clone(),
        })
    }

    /// As a person may see it: name, value, source.
    pub(super) fn table(&self) -> Vec<(String, String, String)> {
        fn row<T>(key: &str, from: &From<T>, value: String) -> (String, String, String) {
            (key.to_owned(), value, from.source.to_string())
        }
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let mut rows = vec![
            row("columns", &self.columns, or_none(self.columns.value.as_ref().map(|names| names.join(",")))),
            row("fps", &self.fps, self.fps.value.to_string()),
            row("refresh", &self.refresh, or_none(self.refresh.value.map(|secs| format!("{secs}s")))),
            row("times", &self.times, self.times.value.clone()),
            row(
                "worker_groups",
                &self.worker_groups,
                or_none(Some(self.worker_groups.value.join("  ")).filter(|t| !t.is_empty())),
            ),
            row("split", &self.split, or_none(self.split.value.map(|rows| rows.to_string()))),
        ];
        let file = || super::Source::File.to_string();
        rows.extend(self.filters.iter().map(|saved| {
            let key = saved.key.as_ref().map(|key| format!("   key {}", key.get_ref())).unwrap_or_default();
            (format!("filter {}", saved.name), format!("{}{key}", saved.filter.get_ref()), file())
        }));
        let bound = |keys: &Keys| (format!("key {}", keys.action.get_ref()), keys.keys.join("  "), file());
        rows.extend(self.keys.iter().map(bound));
        rows
    }
}

/// Whether there is such a theme: one that comes with the program, or a file beside the config file.
pub(super) fn theme(name: &str, config: Option<&Path>) -> Result<(), String> {
    if THEMES.contains(&name) || own_theme(name, config).is_some() {
        return Ok(());
    }
    Err(meant("theme", name, &THEMES))
}

/// The file of a person's own theme.
pub fn own_theme(name: &str, config: Option<&Path>) -> Option<std::path::PathBuf> {
    // A name is no way to other folders.
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
    let path = config?.parent()?.join("themes").join(format!("{name}.toml"));
    (plain && path.is_file()).then_some(path)
}

/// What stands at a place.
pub(super) fn value<T: Clone>(value: &Option<Spanned<T>>) -> Option<T> {
    value.as_ref().map(|value| value.get_ref().clone())
}

pub(super) fn color(word: &str) -> Result<String, String> {
    if COLORS.contains(&word) { Ok(word.to_owned()) } else { Err(meant("color", word, &COLORS)) }
}

pub(super) fn times(word: &str) -> Result<String, String> {
    if TIMES.contains(&word) { Ok(word.to_owned()) } else { Err(meant("times", word, &TIMES)) }
}

pub(super) fn fps(fps: u32) -> Result<u32, String> {
    if (1..=60).contains(&fps) { Ok(fps) } else { Err("fps takes 1 to 60".into()) }
}

pub(super) fn refresh(secs: f64) -> Result<f64, String> {
    if (0.0..=3600.0).contains(&secs) { Ok(secs) } else { Err("refresh takes seconds, up to 3600".into()) }
}

pub(super) fn patterns(rules: &[String]) -> Result<(), String> {
    let wrong = |rule: &String| {
        regex_lite::Regex::new(rule).err().map(|why| format!("worker_groups: {rule:?} is no regular expression: {why}"))
    };
    rules.iter().find_map(wrong).map_or(Ok(()), Err)
}

pub(super) fn columns(names: &[String]) -> Result<Vec<String>, String> {
    match names.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        Some(unknown) => Err(meant("column", unknown, &COLUMNS)),
        None if names.is_empty() => Err("columns takes at least one".into()),
        None => Ok(names.to_owned()),
    }
}

/// `there is no column sate, did you mean state?`
fn meant(what: &str, word: &str, names: &[&str]) -> String {
    let word = clean(word);
    match nearest(word.as_str(), names.iter().copied()) {
        Some(near) => format!("there is no {what} {word}, did you mean {near}?"),
        None => format!("there is no {what} {word}; there are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, Source};

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_and_all_of_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let text = "[ui]\nfps = 5\ntimes = \"utc\"\ncolumns = [\"task\"]\n[ui.keys]\npause = [\"z\", \"F1\"]\n\
                    [[ui.filters]]\nname = \"slow\"\nfilter = \"runtime:>2s\"\n";
        std::fs::write(&path, text).unwrap();
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut flags = Flags { config: Some(path), ..Flags::default() };
        let settings = Settings::resolve(&flags, &env(&[])).unwrap();
        assert_eq!(settings.ui.fps, From { value: 5, source: Source::File });
        let settings = Settings::resolve(&flags, &env(&[("FLOWER_TUI_FPS", "6")])).unwrap();
        assert_eq!(settings.ui.fps, From { value: 6, source: Source::Env("FLOWER_TUI_FPS") });
        flags.fps = Some(7);
        let settings = Settings::resolve(&flags, &env(&[("FLOWER_TUI_COLUMNS", "id, try")])).unwrap();
        let rows = settings.table();
        let shown = |key: &str| {
            rows.iter().find(|row| row.0 == key).map(|(_, value, source)| format!("{value} from {source}")).unwrap()
        };
        assert_eq!(shown("fps"), "7 from command line");
        assert_eq!(shown("columns"), "id,try from environment FLOWER_TUI_COLUMNS");
        assert_eq!(shown("times"), "utc from config file");
        assert_eq!(shown("refresh"), "- from default");
        assert_eq!(shown("key pause"), "z  F1 from config file");
        assert_eq!(shown("filter slow"), "runtime:>2s from config file");
        flags.fps = Some(0);
        assert_eq!(Settings::resolve(&flags, &env(&[])).unwrap_err().0, "--fps takes 1 to 60");
        flags.fps = None;
        let error = Settings::resolve(&flags, &env(&[("FLOWER_TUI_COLUMNS", "idd")])).unwrap_err().0;
        assert_eq!(error, "environment FLOWER_TUI_COLUMNS: there is no column idd, did you mean id?");
    }
}
