//! What the settings make of the screen: theme, keys, saved filters. Mistakes in them are told like all others of the
//! config file.

use std::time::Duration;

use jiff::tz::TimeZone;
use regex_lite::Regex;

use crate::config::{Error, Settings, ui};
use crate::filter;
use crate::tui::Key;
use crate::tui::action::Scope;
use crate::tui::keys::{Binding, Keys};
use crate::tui::options::{Cluster, Options, SavedFilter, Times};
use crate::tui::theme::{Role, Theme};

/// See the module.
pub struct Look {
    /// `None` goes by the terminal's background.
    theme: Option<Theme>,
    keys: Keys,
    filters: Vec<SavedFilter>,
}

impl Look {
    /// Reads what the settings name.
    pub fn of(settings: &Settings) -> Result<Self, Error> {
        let keys = keys(settings)?;
        Ok(Self { theme: theme(settings)?, filters: filters(settings, &keys)?, keys })
    }

    /// Whether the theme goes by the terminal's background.
    pub fn is_auto(&self) -> bool {
        self.theme.is_none()
    }

    /// The keys in force.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The screen's options, as far as they are settings. `usual` is the theme where none was chosen.
    pub fn options(&self, settings: &Settings, usual: Theme) -> Options {
        let ui = &settings.ui;
        let times = match ui.times.value.as_str() {
            "relative" => Times::Relative,
            "utc" => Times::Utc,
            _ => Times::Absolute,
        };
        Options {
            theme: self.theme.unwrap_or(usual),
            ascii: settings.ascii.value,
            zone: TimeZone::system(),
            times,
            read_only: settings.read_only.value,
            keys: self.keys.clone(),
            columns: ui.columns.value.clone(),
            filters: self.filters.clone(),
            // They were read with the settings: one that can't be a rule was told then.
            worker_groups: ui.worker_groups.value.iter().filter_map(|rule| Regex::new(rule).ok()).collect(),
            split: ui.split.value,
            fps: ui.fps.value,
            refresh: ui.refresh.value.map(Duration::from_secs_f64),
            clusters: clusters(settings),
            config: settings.config.as_deref().map(|path| path.display().to_string()),
            ..Options::default()
        }
    }
}

/// How a profile's colour is shown.
pub fn color(name: Option<&str>) -> Option<Role> {
    Some(match name? {
        "red" => Role::Danger,
        "yellow" => Role::Warn,
        "green" => Role::Ok,
        _ => Role::Accent,
    })
}

fn clusters(settings: &Settings) -> Vec<Cluster> {
    let cluster = |cluster: &crate::config::Cluster| Cluster {
        name: cluster.name.clone(),
        broker: cluster.broker.clone(),
        color: color(cluster.color.as_deref()),
        read_only: cluster.read_only,
    };
    settings.clusters.iter().map(cluster).collect()
}

fn theme(settings: &Settings) -> Result<Option<Theme>, Error> {
    let name = settings.theme.value.as_str();
    if let Some(path) = ui::own_theme(name, settings.config.as_deref()) {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|e| Error(format!("can't read the theme {shown}: {e}")))?;
        return Theme::parse(&text, &shown).map(Some).map_err(|e| Error(e.0));
    }
    Ok(Theme::named(name))
}

fn keys(settings: &Settings) -> Result<Keys, Error> {
    let bindings: Vec<Binding> = settings
        .ui
        .keys
        .iter()
        .map(|bound| Binding {
            action: bound.action.get_ref().clone(),
            keys: bound.keys.clone(),
            at: bound.action.span().start,
        })
        .collect();
    Keys::with(&bindings).map_err(|clash| settings.places.wrong(clash.at, &clash.why))
}

fn filters(settings: &Settings, keys: &Keys) -> Result<Vec<SavedFilter>, Error> {
    let mut filters: Vec<SavedFilter> = Vec::new();
    for saved in &settings.ui.filters {
        let wrong = |at: usize, why: &str| settings.places.wrong(at, &format!("the filter {:?}: {why}", saved.name));
        let text = saved.filter.get_ref();
        filter::parse(text).map_err(|why| wrong(saved.filter.span().start, &why.to_string()))?;
        let mut key = None;
        if let Some(wanted) = &saved.key {
            let at = wanted.span().start;
            let name = Key::parse(wanted.get_ref()).map_err(|why| wrong(at, &why))?;
            let other = filters.iter().find(|other| other.key.as_ref() == Some(&name));
            let taken = other.map(|other| format!("it can't be on {name}: the filter {:?} is", other.name));
            if let Some(why) = taken.or_else(|| keys.taken(Scope::TaskList, &name)) {
                return Err(wrong(at, &why));
            }
            key = Some(name);
        }
        filters.push(SavedFilter { name: saved.name.clone(), filter: text.clone(), key });
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use crate::tui::action::Action;

    fn settings(text: &str, theme: &str) -> (tempfile::TempDir, Result<Settings, Error>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::create_dir(folder.path().join("themes")).unwrap();
        std::fs::write(folder.path().join("themes/mine.toml"), theme).unwrap();
        let settings = Settings::resolve(&Flags { config: Some(path), ..Flags::default() }, &Default::default());
        (folder, settings)
    }

    fn look(text: &str, theme: &str) -> Result<Options, String> {
        let (folder, settings) = settings(text, theme);
        let told = |e: Error| e.0.replace(&format!("{}/", folder.path().display()), "");
        let settings = settings.map_err(told)?;
        Look::of(&settings).map(|look| look.options(&settings, Theme::dark())).map_err(told)
    }

    #[test]
    fn every_theme_that_can_be_named_is_there() {
        for name in ui::THEMES {
            assert!(name == "auto" || Theme::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_theme_of_ones_own_lies_beside_the_config_file() {
        let options = look("[ui]\ntheme = \"mine\"\n", "base = \"light\"\nok = \"blue\"\n").unwrap();
        assert_eq!(options.theme.style(Role::Fail), Theme::light().style(Role::Fail));
        assert_ne!(options.theme, Theme::light());
        assert_eq!(
            look("[ui]\ntheme = \"mine\"\n", "\nokk = \"blue\"\n").unwrap_err(),
            "themes/mine.toml, line 2: there is no role okk, did you mean ok?"
        );
        assert_eq!(
            look("[ui]\ntheme = \"lihgt\"\n", "").unwrap_err(),
            "c.toml, line 2: there is no theme lihgt, did you mean light?"
        );
        assert!(look("[ui]\ntheme = \"../themes/mine\"\n", "").unwrap_err().contains("there is no theme"));
    }

    #[test]
    fn keys_are_bound_and_clashes_told_with_their_line() {
        let options = look("[ui.keys]\ntask_retry = \"F5\"\npalette = [\"ctrl-P\", \":\"]\n", "").unwrap();
        assert_eq!(options.keys.of(Action::TaskRetry), ["F5"]);
        assert_eq!(options.keys.of(Action::Palette), ["ctrl-p", ":"]);
        assert_eq!(
            look("[ui.keys]\npause = \"F9\"\ntask_retry = \"F9\"\n", "").unwrap_err(),
            "c.toml, line 3: task_retry and pause are both on F9"
        );
        assert_eq!(
            look("[ui.keys]\n\ntask_rety = \"Z\"\n", "").unwrap_err(),
            "c.toml, line 3: there is no action task_rety, did you mean task_retry?"
        );
        assert!(look("[ui.keys]\npause = 3\n", "").unwrap_err().contains("takes a key"));
    }

    #[test]
    fn saved_filters_are_checked() {
        let text = "[[ui.filters]]\nname = \"slow\"\nfilter = \"runtime:>2s\"\nkey = \"F6\"\n";
        let saved = SavedFilter { name: "slow".into(), filter: "runtime:>2s".into(), key: Some("F6".into()) };
        assert_eq!(look(text, "").unwrap().filters, [saved]);
        let wrong = look("[[ui.filters]]\nname = \"slow\"\nfilter = \"rntime:>2s\"\n", "").unwrap_err();
        assert!(wrong.starts_with("c.toml, line 3: the filter \"slow\": "), "{wrong}");
        assert!(wrong.contains("did you mean runtime:?"), "{wrong}");
        assert_eq!(
            look(&text.replace("F6", "x"), "").unwrap_err(),
            "c.toml, line 4: the filter \"slow\": it can't be on x: task_revoke is on x"
        );
        let twice = format!("{text}{}", text.replace("slow", "late"));
        let wrong = look(&twice, "").unwrap_err();
        assert_eq!(wrong, "c.toml, line 8: the filter \"late\": it can't be on F6: the filter \"slow\" is");
    }

    #[test]
    fn the_screen_is_as_the_settings_say() {
        let text = "[ui]\ncolumns = [\"state\", \"task\"]\nfps = 5\nrefresh = 0.5\ntimes = \"utc\"\nsplit = 9\n";
        let options = look(text, "").unwrap();
        assert_eq!(options.columns, Some(vec!["state".to_owned(), "task".to_owned()]));
        assert_eq!((options.fps, options.refresh), (5, Some(Duration::from_millis(500))));
        assert_eq!((options.times, options.split), (Times::Utc, Some(9)));
        for (text, why) in [
            ("[ui]\nfps = 0\n", "c.toml, line 2: fps takes 1 to 60"),
            ("[ui]\nrefresh = -1.0\n", "c.toml, line 2: refresh takes seconds, up to 3600"),
            ("[ui]\ntimes = \"util\"\n", "c.toml, line 2: there is no times util, did you mean utc?"),
            (
                "[ui]\nworker_groups = [\"(\"]\n",
                "c.toml, line 2: worker_groups: \"(\" is no regular expression: found open group without closing ')'",
            ),
            ("[ui]\n\ncolumns = [\"sate\"]\n", "c.toml, line 3: there is no column sate, did you mean state?"),
        ] {
            assert_eq!(look(text, "").unwrap_err(), why);
        }
    }

    #[test]
    fn what_the_annotated_default_suggests_is_valid() {
        let lines = crate::config::DEFAULT_FILE.lines();
        let text: String = lines.map(|l| l.strip_prefix("#: ").unwrap_or(l).to_owned() + "\n").collect();
        look(&text.replace("theme = \"auto\"", "theme = \"dark\""), "").unwrap();
    }
}
