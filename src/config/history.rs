//! What is kept of what happened, and what of it nobody is to see.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::Error;
use super::resolve::{From, Resolver, Source};
use super::ui;
use crate::history::prune::Keep;
use crate::redact::{USUAL, fold};

/// The table of the config file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Names of keys whose values are hidden on screen, in exports and in what is stored, in place of the usual ones.
    pub redact: Option<Spanned<Vec<String>>>,
    /// Further ones.
    pub redact_also: Option<Spanned<Vec<String>>>,
    /// The history file; `{profile}` in it stands for the profile's name.
    pub path: Option<Spanned<String>>,
    pub keep: Times,
    /// Bytes the file may take, such as `20G`.
    pub max_size: Option<Spanned<String>>,
}

/// How long each kind of thing is kept.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    pub events: Option<Spanned<String>>,
    pub tasks: Option<Spanned<String>>,
    pub failures: Option<Spanned<String>>,
    pub aggregates: Option<Spanned<String>>,
}

/// A time such as `7d` or `2y`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let secs = match text.trim().strip_suffix('y') {
        Some(years) => years.trim().parse::<f64>().ok().map(|years| years * 365.0 * 86_400.0),
        None => crate::human::parse_seconds(text),
    };
    let secs = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    secs.filter(|t| !t.is_zero()).ok_or_else(|| format!("takes a time such as \"7d\" or \"2y\", not {text:?}"))
}

/// What a file may take.
pub(super) fn size(text: &str) -> Result<u64, String> {
    crate::human::parse_bytes(text)
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("takes a size such as \"20G\", not {text:?}"))
}

/// How long things are kept: they were read when the file was.
pub(super) fn keep(r: &Resolver<'_>) -> From<Keep> {
    let history = &r.file.history;
    let usual = Keep::default();
    let or = |set: &Option<Spanned<String>>, usual| set.as_ref().and_then(|t| time(t.get_ref()).ok()).unwrap_or(usual);
    let keep = Keep {
        events: or(&history.keep.events, usual.events),
        tasks: or(&history.keep.tasks, usual.tasks),
        failures: or(&history.keep.failures, usual.failures),
        aggregates: or(&history.keep.aggregates, usual.aggregates),
        max_size: history.max_size.as_ref().and_then(|text| size(text.get_ref()).ok()),
    };
    let source = if keep == usual { Source::Default } else { Source::File };
    From { value: keep, source }
}

/// The history file. One that is written in the config file may be meant for one cluster only.
pub(super) fn path(flag: Option<PathBuf>, r: &Resolver<'_>) -> Result<From<Option<PathBuf>>, Error> {
    let profile = r.profile.as_ref().map_or("default", |(name, _)| name);
    let place = |text: &str| Some(PathBuf::from(text.replace("{profile}", profile)));
    let written = ui::value(&r.file.history.path);
    if let Some(text) = written.as_deref().filter(|text| r.file.profiles.len() > 1 && !text.contains("{profile}")) {
        return Err(Error(format!(
            "[history] path {text:?} would mix the clusters of {} profiles: put {{profile}} into its name",
            r.file.profiles.len()
        )));
    }
    r.pick(
        flag.map(Some),
        &["FLOWER_TUI_HISTORY"],
        |text| Ok(place(text)),
        |_| None,
        written.as_deref().map(place),
        None,
    )
}

/// Times and size as a person may see them.
pub(super) fn shown_keep(keep: &Keep) -> String {
    let days = |t: Duration| format!("{}d", crate::human::thousands(t.as_secs() / 86_400));
    let size = keep.max_size.map_or_else(|| "no limit".into(), crate::human::bytes);
    format!(
        "events {}, tasks {}, failures {}, aggregates {}; {size}",
        days(keep.events),
        days(keep.tasks),
        days(keep.failures),
        days(keep.aggregates)
    )
}

/// Whether these can be names of keys.
pub(super) fn keys(names: &[String]) -> Result<Vec<String>, String> {
    match names.iter().find(|name| fold(name).is_empty()) {
        Some(name) => Err(format!("redact takes names of keys such as \"password\", not {name:?}")),
        None => Ok(names.to_owned()),
    }
}

/// All names of keys whose values are hidden.
pub(super) fn redact(r: &Resolver<'_>) -> Result<From<Vec<String>>, Error> {
    let list = |text: &str| {
        let names = text.split(',').map(|name| name.trim().to_owned());
        keys(&names.filter(|name| !name.is_empty()).collect::<Vec<_>>())
    };
    let (own, also) = (ui::value(&r.file.history.redact), ui::value(&r.file.history.redact_also));
    let usual = || USUAL.map(str::to_owned).to_vec();
    let mut found = r.pick(None, &["FLOWER_TUI_REDACT"], list, |_| None, own, usual())?;
    if let Some(also) = also.filter(|names| !names.is_empty()) {
        found.value.extend(also);
        if found.source == Source::Default {
            found.source = Source::File;
        }
    }
    Ok(found)
}

/// The names as a person may see them.
pub(super) fn shown(names: &[String]) -> String {
    match names {
        [] => "- (nothing is hidden)".into(),
        names => names.join(","),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Flags, Settings};

    fn redact(text: &str, env: &[(&str, &str)]) -> Result<(Vec<String>, String), String> {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).expect("written");
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let settings = Settings::resolve(&Flags { config: Some(path), ..Flags::default() }, &env).map_err(|e| e.0)?;
        let row = settings.table().into_iter().find(|row| row.0 == "redact").expect("a row");
        Ok((settings.redact.value, format!("{} from {}", row.1, row.2)))
    }

    #[test]
    fn own_names_take_the_place_of_the_usual_ones_and_further_ones_are_added() {
        let (usual, shown) = redact("", &[]).expect("valid");
        assert!(usual.contains(&"password".to_owned()) && shown.ends_with("from default"), "{shown}");
        assert_eq!(redact("[history]\nredact = [\"pin\"]\n", &[]).expect("valid").1, "pin from config file");
        let (more, shown) = redact("[history]\nredact_also = [\"pin\"]\n", &[]).expect("valid");
        assert_eq!((more.len(), shown.ends_with("pin from config file")), (usual.len() + 1, true), "{shown}");
        let off = redact("[history]\nredact = []\n", &[]).expect("valid");
        assert_eq!(off, (Vec::new(), "- (nothing is hidden) from config file".into()));
        let of_env = redact("[history]\nredact = [\"x\"]\n", &[("FLOWER_TUI_REDACT", "pin, iban")]).expect("valid");
        assert_eq!(of_env.1, "pin,iban from environment FLOWER_TUI_REDACT");
    }

    #[test]
    fn what_is_kept_can_be_said_in_days_and_years() {
        let settle = |text: &str| {
            let folder = tempfile::tempdir().expect("temp");
            let path = folder.path().join("c.toml");
            std::fs::write(&path, text).expect("written");
            Settings::resolve(&Flags { config: Some(path), ..Flags::default() }, &Default::default()).map_err(|e| e.0)
        };
        let settings = settle(
            "profile = \"shop\"\n[profiles.shop]\n[profiles.web]\n[history]\npath = \"/h/{profile}.db\"\n\
             keep = { tasks = \"3d\", aggregates = \"1y\" }\nmax_size = \"2G\"\n",
        )
        .expect("valid");
        let keep = &settings.keep.value;
        let days = [keep.events, keep.tasks, keep.failures, keep.aggregates].map(|t| t.as_secs() / 86_400);
        assert_eq!((days, keep.max_size), ([7, 3, 90, 365], Some(2 << 30)));
        assert_eq!(settings.history.value, Some("/h/shop.db".into()));
        let wrong = |text: &str| settle(text).expect_err("wrong");
        assert!(wrong("[profiles.a]\n[profiles.b]\n[history]\npath = \"/h.db\"\n").contains("{profile}"));
        assert!(wrong("[history]\nkeep.tasks = \"soon\"\n").contains("line 2: keep.tasks takes a time such as"));
        assert!(wrong("[history]\nmax_size = \"much\"\n").contains("line 2: max_size takes a size such as"));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let why = |text: &str| redact(text, &[]).expect_err("wrong");
        assert!(why("[history]\nredakt = []\n").ends_with("line 2: there is no setting redakt, did you mean redact?"));
        assert!(why("[history]\nredact = [\"a\", \"-\"]\n").contains("line 2: redact takes names of keys such as"));
        assert!(why("[history]\nredact = \"a\"\n").ends_with("line 2: redact takes a list in brackets, not \"a\""));
    }
}
