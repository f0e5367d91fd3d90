//! From flags, environment, profile and file to one value each, with its source.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Error;
use super::clusters::{self, Cluster};
use super::file::{self, File, Places, Profile};
use super::history;
use super::ui::{self, Ui};
use crate::broker::tls::SslOptions;
use crate::broker::url::ApiUrl;
use crate::broker::{BrokerUrl, TransportOptions};
use crate::history::prune::Keep;
use crate::ops::check::Thresholds;
use crate::results::{self, ResultUrl, TableName};

/// What the command line said. `None` is nothing.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub broker: Option<String>,
    pub broker_file: Option<String>,
    pub result_backend: Option<String>,
    pub broker_api: Option<String>,
    pub profile: Option<String>,
    pub config: Option<PathBuf>,
    pub history: Option<PathBuf>,
    pub read_only: bool,
    pub max_tasks: Option<u64>,
    pub max_memory: Option<String>,
    pub log_file: Option<String>,
    pub color: Option<String>,
    pub fps: Option<u32>,
    pub ascii: bool,
    pub no_audit: bool,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Flag,
    Env(&'static str),
    Profile(String),
    File,
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Flag => f.write_str("command line"),
            Source::Env(name) => write!(f, "environment {name}"),
            Source::Profile(name) => write!(f, "profile {name}"),
            Source::File => f.write_str("config file"),
            Source::Default => f.write_str("default"),
        }
    }
}

/// A value and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From<T> {
    pub value: T,
    pub source: Source,
}

/// Everything settled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The URL as written; `None` where nothing was said, and then the usual place is tried.
    pub broker: From<Option<BrokerUrl>>,
    /// RabbitMQ's management API; `None` is its usual place.
    pub broker_api: From<Option<ApiUrl>>,
    pub transport_options: TransportOptions,
    /// `None` where nothing was said: then results are looked for in the broker, if that is a Redis.
    pub result_backend: From<Option<ResultUrl>>,
    pub result_options: results::Options,
    pub profile: From<Option<String>>,
    /// The profile's colour; red marks a cluster where mistakes hurt.
    pub color: Option<String>,
    /// All profiles there are.
    pub clusters: Vec<Cluster>,
    /// The history file, if there is to be one.
    pub history: From<Option<PathBuf>>,
    /// How long what is in it is kept.
    pub keep: From<Keep>,
    pub read_only: From<bool>,
    pub max_tasks: From<u64>,
    /// Bytes.
    pub max_memory: From<u64>,
    pub log_file: From<Option<String>>,
    pub theme: From<String>,
    pub ascii: From<bool>,
    pub mouse: From<bool>,
    pub audit: From<bool>,
    /// Names of keys whose values nobody is to see.
    pub redact: From<Vec<String>>,
    pub ui: Ui,
    /// From where on `check` calls something wrong.
    pub alerts: Thresholds,
    /// What `[serve]` says, by Flower's names.
    pub serve: BTreeMap<String, String>,
    pub config: Option<PathBuf>,
    /// Where in the config file something stands.
    pub places: Places,
    /// The file is readable by others and holds a password.
    pub exposed: bool,
}

/// The environment, so that tests bring their own.
pub type Env = BTreeMap<String, String>;

pub(super) struct Resolver<'a> {
    env: &'a Env,
    pub(super) file: File,
    pub(super) profile: Option<(String, Profile)>,
}

impl Resolver<'_> {
    fn env(&self, names: &[&'static str]) -> Option<(String, Source)> {
        names
            .iter()
            .find_map(|&name| self.env.get(name).filter(|v| !v.is_empty()).map(|v| (v.clone(), Source::Env(name))))
    }

    /// The first that says something: flag, environment, profile, file, default.
    pub(super) fn pick<T>(
        &self,
        flag: Option<T>,
        env: &[&'static str],
        parse: impl Fn(&str) -> Result<T, String>,
        profile: impl Fn(&Profile) -> Option<T>,
        file: Option<T>,
        default: T,
    ) -> Result<From<T>, Error> {
        if let Some(value) = flag {
            return Ok(From { value, source: Source::Flag });
        }
        if let Some((text, source)) = self.env(env) {
            let value = parse(&text).map_err(|why| Error(format!("{source}: {why}")))?;
            return Ok(From { value, source });
        }
        if let Some((name, values)) = &self.profile
            && let Some(value) = profile(values)
        {
            return Ok(From { value, source: Source::Profile(name.clone()) });
        }
        Ok(match file {
            Some(value) => From { value, source: Source::File },
            None => From { value: default, source: Source::Default },
        })
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("takes true or false".into()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    crate::human::parse_bytes(text).ok_or_else(|| "takes a size such as 256M".into())
}

impl Settings {
    /// Settles everything.
    pub fn resolve(flags: &Flags, env: &Env) -> Result<Self, Error> {
        let asked = flags.config.clone().or_else(|| env.get("FLOWER_TUI_CONFIG").map(PathBuf::from));
        let path = asked.clone().or_else(file::default_path);
        let (file, places) = match &path {
            Some(path) => file::read(path, asked.is_some())?,
            None => Default::default(),
        };
        let exposed = path.as_deref().is_some_and(|p| file::shows_password(p, &file));
        let mut resolver = Resolver { env, file, profile: None };
        let no_profile = |_: &Profile| None;
        let profile = resolver.pick(
            flags.profile.clone().map(Some),
            &["FLOWER_TUI_PROFILE"],
            |text| Ok(Some(text.to_owned())),
            no_profile,
            ui::value(&resolver.file.profile).map(Some),
            None,
        )?;
        if let Some(name) = &profile.value {
            let found = find_profile(&resolver.file, name).map_err(|error| match &resolver.file.profile {
                Some(written) if profile.source == Source::File => places.wrong(written.span().start, &error.0),
                _ => error,
            })?;
            resolver.profile = Some((name.clone(), found));
        }
        let settings = Self::settle(flags, &resolver, profile, path, exposed)?;
        Ok(Self { places, ..settings })
    }

    fn settle(
        flags: &Flags,
        r: &Resolver<'_>,
        profile: From<Option<String>>,
        config: Option<PathBuf>,
        exposed: bool,
    ) -> Result<Self, Error> {
        let text = |t: &str| Ok(t.to_owned());
        let some = |t: &str| Ok(Some(t.to_owned()));
        let color = r.pick(flags.color.clone(), &["FLOWER_TUI_COLOR"], text, |_| None, None, "auto".into())?;
        let mut theme =
            r.pick(None, &["FLOWER_TUI_THEME"], text, |_| None, ui::value(&r.file.ui.theme), "auto".into())?;
        ui::theme(&theme.value, config.as_deref()).map_err(|why| Error(format!("{}: {why}", theme.source)))?;
        let no_color = r.env.get("NO_COLOR").is_some_and(|v| !v.is_empty());
        match color.value.as_str() {
            "never" => theme = From { value: "none".into(), source: color.source },
            "auto" if no_color => theme = From { value: "none".into(), source: Source::Env("NO_COLOR") },
            "auto" | "always" => {}
            other => {
                return Err(Error(format!("{}: --color takes auto, always or never, not {other:?}", color.source)));
            }
        }
        let only = |on: bool| on.then_some(true);
        let values = r.profile.as_ref().map(|(_, p)| p.clone()).unwrap_or_default();
        let broker_api = broker_api(flags, r)?;
        let max_memory_file = ui::value(&r.file.max_memory).as_deref().and_then(crate::human::parse_bytes);
        let max_memory_flag =
            flags.max_memory.as_deref().map(size).transpose().map_err(|why| Error(format!("--max-memory {why}")))?;
        Ok(Self {
            broker: broker(flags, r)?,
            transport_options: {
                let options = values.transport_options.clone().unwrap_or_default();
                TransportOptions {
                    use_ssl: values.broker_use_ssl.clone(),
                    broker_api: broker_api.value.clone(),
                    redbeat_key_prefix: values.redbeat_key_prefix.clone().unwrap_or(options.redbeat_key_prefix.clone()),
                    ..options
                }
            },
            result_backend: r.pick(
                flags.result_backend.as_deref().map(result_url).transpose().map_err(Error)?,
                &["FLOWER_TUI_RESULT_BACKEND", "CELERY_RESULT_BACKEND"],
                result_url,
                |_| None,
                result_of_profile(r)?,
                None,
            )?,
            result_options: results::Options {
                transport: values.result_backend_transport_options.clone().unwrap_or_default(),
                table: TableName {
                    schema: values.database_table_schemas.task.clone(),
                    name: values.database_table_names.task.clone(),
                },
            },
            broker_api,
            color: ui::value(&values.color),
            clusters: clusters::of(&r.file),
            profile,
            history: history::path(flags.history.clone(), r)?,
            keep: history::keep(r),
            read_only: r.pick(
                only(flags.read_only),
                &["FLOWER_TUI_READ_ONLY"],
                flag,
                |p| p.read_only,
                r.file.read_only,
                false,
            )?,
            max_tasks: r.pick(
                flags.max_tasks,
                &["FLOWER_TUI_MAX_TASKS", "FLOWER_MAX_TASKS"],
                |t| t.parse().map_err(|_| "takes a number".into()),
                |_| None,
                r.file.max_tasks,
                100_000,
            )?,
            max_memory: r.pick(
                max_memory_flag,
                &["FLOWER_TUI_MAX_MEMORY"],
                size,
                |_| None,
                max_memory_file,
                256 << 20,
            )?,
            log_file: r.pick(
                flags.log_file.clone().map(Some),
                &["FLOWER_TUI_LOG_FILE"],
                some,
                |_| None,
                r.file.log_file.clone().map(Some),
                None,
            )?,
            theme,
            ascii: r.pick(
                only(flags.ascii),
                &["FLOWER_TUI_ASCII"],
                flag,
                |_| None,
                r.file.ui.ascii,
                !speaks_utf8(r.env),
            )?,
            mouse: r.pick(None, &["FLOWER_TUI_MOUSE"], flag, |_| None, r.file.ui.mouse, true)?,
            audit: r.pick(flags.no_audit.then_some(false), &["FLOWER_TUI_AUDIT"], flag, |_| None, None, true)?,
            redact: history::redact(r)?,
            ui: Ui::settle(flags, r)?,
            alerts: r.file.alerts.clone(),
            serve: r.file.serve(),
            config,
            places: Places::default(),
            exposed,
        })
    }

    /// Every setting as a person may see it: name, value, source.
    pub fn table(&self) -> Vec<(String, String, String)> {
        fn or_none<T: ToString>(value: &Option<T>) -> String {
            value.as_ref().map_or_else(|| "-".into(), ToString::to_string)
        }
        let rows = [
            ("config", or_none(&self.config.as_ref().map(|p| p.display().to_string())), String::new()),
            ("profile", or_none(&self.profile.value), self.profile.source.to_string()),
            ("broker", or_none(&self.broker.value), self.broker.source.to_string()),
            ("result_backend", self.results(), self.result_backend.source.to_string()),
            ("broker_api", or_none(&self.broker_api.value), self.broker_api.source.to_string()),
            (
                "history",
                or_none(&self.history.value.as_ref().map(|p| p.display().to_string())),
                self.history.source.to_string(),
            ),
            ("read_only", self.read_only.value.to_string(), self.read_only.source.to_string()),
            ("max_tasks", self.max_tasks.value.to_string(), self.max_tasks.source.to_string()),
            ("max_memory", crate::human::bytes(self.max_memory.value), self.max_memory.source.to_string()),
            ("log_file", or_none(&self.log_file.value), self.log_file.source.to_string()),
            ("theme", self.theme.value.clone(), self.theme.source.to_string()),
            ("ascii", self.ascii.value.to_string(), self.ascii.source.to_string()),
            ("mouse", self.mouse.value.to_string(), self.mouse.source.to_string()),
            ("keep", history::shown_keep(&self.keep.value), self.keep.source.to_string()),
            ("redact", history::shown(&self.redact.value), self.redact.source.to_string()),
            ("audit", self.audit.value.to_string(), self.audit.source.to_string()),
            match self.alerts == Thresholds::default() {
                true => ("alerts", "the usual thresholds".into(), Source::Default.to_string()),
                false => ("alerts", "thresholds of your own".into(), Source::File.to_string()),
            },
        ];
        let rows = rows.into_iter().map(|(key, value, source)| (key.to_owned(), value, source));
        rows.chain(self.unused()).chain(self.ui.table()).collect()
    }

    /// Where results are looked for, in words.
    fn results(&self) -> String {
        match (&self.result_backend.value, &self.broker.value) {
            (Some(url), _) => url.to_string(),
            (None, Some(BrokerUrl::Redis(_)) | None) => "guessed: where the broker is".into(),
            #[allow(unreachable_patterns)]
            _ => "-".into(),
        }
    }

    /// Transport options that were copied from an application and mean nothing here.
    fn unused(&self) -> impl Iterator<Item = (String, String, String)> {
        let (options, theirs) = (&self.transport_options, &self.transport_options.sentinel_kwargs);
        let of_sentinels = theirs.unused().into_iter().map(|name| format!("sentinel_kwargs.{name}"));
        let of_ssl = options.use_ssl.iter().flat_map(SslOptions::unused);
        let names = options.unused().into_iter().chain(of_ssl).map(str::to_owned).chain(of_sentinels);
        names.map(|name| (name, "accepted, of no use to a monitor".to_owned(), self.profile_source()))
    }

    fn profile_source(&self) -> String {
        self.profile.value.clone().map_or_else(String::new, |name| Source::Profile(name).to_string())
    }
}

fn result_url(text: &str) -> Result<Option<ResultUrl>, String> {
    ResultUrl::parse(text.trim()).map(Some).map_err(|e| e.to_string())
}

fn result_of_profile(r: &Resolver<'_>) -> Result<Option<Option<ResultUrl>>, Error> {
    let Some((name, profile)) = &r.profile else { return Ok(None) };
    let Some(text) = &profile.result_backend else { return Ok(None) };
    result_url(text).map(Some).map_err(|why| Error(format!("profile {name}, result_backend: {why}")))
}

fn find_profile(file: &File, name: &str) -> Result<Profile, Error> {
    if let Some(profile) = file.profiles.get(name) {
        return Ok(profile.clone());
    }
    let names: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
    let known = match (crate::text::nearest(name, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, false) => format!("there are {}", names.join(", ")),
        (None, true) => "the config file has none".into(),
    };
    Err(Error(format!("there is no profile {name:?}: {known}")))
}

fn broker(flags: &Flags, r: &Resolver<'_>) -> Result<From<Option<BrokerUrl>>, Error> {
    let parse = |text: &str| BrokerUrl::parse(text.trim()).map(Some).map_err(|e| e.to_string());
    let from_file = |path: &str| -> Result<Option<BrokerUrl>, Error> {
        let text = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
        let text = text.map_err(|e| Error(format!("can't read the broker URL from {path}: {e}")))?;
        parse(&text).map_err(|why| Error(format!("the broker URL in {path}: {why}")))
    };
    if let Some(path) = &flags.broker_file {
        return Ok(From { value: from_file(path)?, source: Source::Flag });
    }
    let flag = flags.broker.as_deref().map(parse).transpose().map_err(Error)?;
    let found = r.pick(flag, &["FLOWER_TUI_BROKER", "CELERY_BROKER_URL"], parse, |_| None, None, None)?;
    if found.source != Source::Default {
        return Ok(found);
    }
    let Some((name, profile)) = &r.profile else { return Ok(found) };
    let source = Source::Profile(name.clone());
    if let Some(path) = &profile.broker_file {
        return Ok(From { value: from_file(path)?, source });
    }
    match &profile.broker {
        Some(text) => {
            let value = parse(text).map_err(|why| Error(format!("profile {name}: {why}")))?;
            Ok(From { value, source })
        }
        None => Ok(found),
    }
}

fn broker_api(flags: &Flags, r: &Resolver<'_>) -> Result<From<Option<ApiUrl>>, Error> {
    let parse = |text: &str| ApiUrl::parse(text).map(Some).map_err(|e| e.to_string());
    let flag = flags.broker_api.as_deref().map(parse).transpose().map_err(Error)?;
    let found = r.pick(flag, &["FLOWER_TUI_BROKER_API", "FLOWER_BROKER_API"], parse, |_| None, None, None)?;
    match &r.profile {
        Some((name, Profile { broker_api: Some(text), .. })) if found.source == Source::Default => {
            let value = parse(text).map_err(|why| Error(format!("profile {name}: {why}")))?;
            Ok(From { value, source: Source::Profile(name.clone()) })
        }
        _ => Ok(found),
    }
}

/// Only a locale that says otherwise is taken to be without UTF-8.
fn speaks_utf8(env: &Env) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env.get(*name).filter(|v| !v.is_empty()));
    locale.is_none_or(|l| l.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn config(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).expect("written");
        (folder, path)
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_profile_beats_the_file() {
        let (_keep, path) = config(
            "max_tasks = 1\nread_only = true\n[profiles.prod]\nbroker = \"redis://:pw@prod\"\nread_only = false\n",
        );
        let flags = Flags { config: Some(path), profile: Some("prod".into()), ..Flags::default() };
        let settings = Settings::resolve(&flags, &env(&[])).expect("valid");
        assert_eq!(settings.broker.source, Source::Profile("prod".into()));
        assert_eq!((settings.read_only.value, settings.max_tasks.value), (false, 1));
        let settings =
            Settings::resolve(&flags, &env(&[("CELERY_BROKER_URL", "redis://env"), ("FLOWER_MAX_TASKS", "2")]))
                .expect("valid");
        assert_eq!(settings.broker.value.map(|u| u.to_string()).as_deref(), Some("redis://env:6379/0"));
        assert_eq!(settings.max_tasks, From { value: 2, source: Source::Env("FLOWER_MAX_TASKS") });
        let flags = Flags { broker: Some("redis://flag".into()), max_tasks: Some(3), ..flags };
        let settings = Settings::resolve(&flags, &env(&[("CELERY_BROKER_URL", "redis://env")])).expect("valid");
        assert_eq!((settings.broker.source, settings.max_tasks.value), (Source::Flag, 3));
    }

    #[test]
    fn the_shown_table_never_holds_a_password() {
        let flags = Flags { broker: Some("redis://:hunter2@h".into()), ..Flags::default() };
        let settings = Settings::resolve(&flags, &env(&[])).expect("valid");
        assert!(!format!("{:?} {settings:?}", settings.table()).contains("hunter2"));
    }

    #[test]
    fn what_a_monitor_has_no_use_for_is_named() {
        let (_keep, path) = config(
            "profile = \"a\"\n[profiles.a]\nbroker = \"sentinel://h\"\n[profiles.a.transport_options]\n\
             master_name = \"m\"\nretry_on_timeout = true\nsentinel_kwargs = { password = \"hunter2\", db = 0 }\n",
        );
        let settings = Settings::resolve(&Flags { config: Some(path), ..Flags::default() }, &env(&[])).expect("valid");
        let table = settings.table();
        let unused: Vec<&str> =
            table.iter().filter(|(_, value, _)| value.contains("no use")).map(|(name, ..)| name.as_str()).collect();
        assert_eq!(unused, ["retry_on_timeout", "sentinel_kwargs.db"]);
        assert!(!format!("{table:?} {settings:?}").contains("hunter2"));
    }

    #[test]
    fn profiles_are_listed_without_passwords_and_with_what_is_wrong() {
        let (_keep, path) = config(
            "[profiles.a]\nbroker = \"redis://:hunter2@h\"\ncolor = \"red\"\n[profiles.b]\nbroker_file = \"/nowhere\"\n\
             [profiles.c]\nread_only = true\n",
        );
        let settings = Settings::resolve(&Flags { config: Some(path), ..Flags::default() }, &env(&[])).expect("valid");
        let brokers: Vec<Result<&str, &str>> =
            settings.clusters.iter().map(|c| c.broker.as_deref().map_err(String::as_str)).collect();
        assert_eq!(brokers[0], Ok("redis://:***@h:6379/0"));
        assert!(brokers[1].is_err_and(|why| why.contains("can't read /nowhere")), "{brokers:?}");
        assert_eq!(brokers[2], Err("it names no broker"));
        assert_eq!((settings.clusters[0].color.as_deref(), settings.clusters[2].read_only), (Some("red"), true));
    }

    #[test]
    fn an_unknown_profile_is_told_with_its_neighbours() {
        let (_keep, path) = config("[profiles.staging]\n");
        let flags = Flags { config: Some(path), profile: Some("stagin".into()), ..Flags::default() };
        let error = Settings::resolve(&flags, &env(&[])).expect_err("unknown");
        assert_eq!(error.0, "there is no profile \"stagin\": did you mean staging?");
        let (_keep, path) = config("max_tasks = 1\nprofile = \"gone\"\n[profiles.staging]\n");
        let flags = Flags { config: Some(path), ..Flags::default() };
        let error = Settings::resolve(&flags, &env(&[])).expect_err("unknown");
        assert!(error.0.contains("c.toml, line 2: there is no profile \"gone\""), "{error}");
        let missing = Flags { config: Some("/nowhere/c.toml".into()), ..Flags::default() };
        assert!(Settings::resolve(&missing, &env(&[])).expect_err("missing").0.contains("/nowhere/c.toml"));
    }

    #[test]
    fn no_color_and_a_plain_locale_are_heeded() {
        let settings = Settings::resolve(&Flags::default(), &env(&[("NO_COLOR", "1"), ("LANG", "C")])).expect("valid");
        assert_eq!((settings.theme.value.as_str(), settings.ascii.value), ("none", true));
        let settings = Settings::resolve(&Flags::default(), &env(&[("LANG", "en_US.UTF-8")])).expect("valid");
        assert_eq!((settings.theme.value.as_str(), settings.ascii.value), ("auto", false));
    }
}
