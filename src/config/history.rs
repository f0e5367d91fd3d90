//! What is kept of what happened, and what of it nobody is to see.

use serde::Deserialize;
use toml::Spanned;

use super::Error;
use super::resolve::{From, Resolver, Source};
use super::ui;
use crate::redact::{USUAL, fold};

/// The table of the config file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Names of keys whose values are hidden on screen, in exports and in what is stored, in place of the usual ones.
    pub redact: Option<Spanned<Vec<String>>>,
    /// Further ones.
    pub redact_also: Option<Spanned<Vec<String>>>,
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
    fn a_mistake_is_told_with_its_line() {
        let why = |text: &str| redact(text, &[]).expect_err("wrong");
        assert!(why("[history]\nredakt = []\n").ends_with("line 2: there is no setting redakt, did you mean redact?"));
        assert!(why("[history]\nredact = [\"a\", \"-\"]\n").contains("line 2: redact takes names of keys such as"));
        assert!(why("[history]\nredact = \"a\"\n").ends_with("line 2: redact takes a list in brackets, not \"a\""));
    }
}
