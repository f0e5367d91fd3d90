//! The config file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::history::{self, History};
use super::ui::{self, Saved};
use super::{Error, flower};
use crate::broker::TransportOptions;
use crate::broker::tls::{SslOptions, use_ssl};
use crate::broker::url::ApiUrl;
use crate::ops::check::Thresholds;
use crate::results::ResultUrl;

/// Everything a config file can say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Profile used where none is asked for.
    pub profile: Option<Spanned<String>>,
    pub max_tasks: Option<u64>,
    pub max_memory: Option<Spanned<String>>,
    pub log_file: Option<String>,
    pub read_only: Option<bool>,
    pub profiles: BTreeMap<String, Profile>,
    pub ui: Ui,
    pub history: History,
    /// From where on `check` calls something wrong.
    pub alerts: Thresholds,
    /// Options of `serve`, by Flower's names.
    pub serve: BTreeMap<Spanned<String>, toml::Value>,
}

/// One cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    pub broker: Option<String>,
    /// File that holds the broker URL, for those who keep passwords out of config files.
    pub broker_file: Option<String>,
    /// RabbitMQ's management API, where it is not in its usual place.
    pub broker_api: Option<String>,
    /// `red` marks a cluster where mistakes hurt.
    pub color: Option<Spanned<String>>,
    pub read_only: Option<bool>,
    pub transport_options: Option<TransportOptions>,
    /// Where results are, as Celery's setting of this name says it.
    pub result_backend: Option<String>,
    pub result_backend_transport_options: Option<TransportOptions>,
    /// What Celery's tables are called in a database, and where they lie, as its settings of these names say it.
    pub database_table_names: Tables,
    pub database_table_schemas: Tables,
    /// What stands before RedBeat's keys, as its setting of this name says it.
    pub redbeat_key_prefix: Option<String>,
    /// TLS, as Celery's setting of this name says it.
    #[serde(deserialize_with = "use_ssl")]
    pub broker_use_ssl: Option<SslOptions>,
}

/// Something of each of Celery's two tables.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tables {
    pub task: Option<String>,
    /// Of no use: it has no more than what tasks say of themselves.
    pub group: Option<IgnoredAny>,
}

/// The screen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ui {
    pub theme: Option<Spanned<String>>,
    pub ascii: Option<bool>,
    pub mouse: Option<bool>,
    /// Columns of the list of tasks.
    pub columns: Option<Spanned<Vec<String>>>,
    /// Frames a second at most.
    pub fps: Option<Spanned<u32>>,
    /// Seconds between two frames that only bring new data, at least.
    pub refresh: Option<Spanned<f64>>,
    /// `relative`, `absolute` or `utc`.
    pub times: Option<Spanned<String>>,
    /// What changes in workers' names from start to start, as regular expressions: workers whose names are the same
    /// otherwise belong together.
    pub worker_groups: Option<Spanned<Vec<String>>>,
    /// Rows of the pane below a list.
    pub split: Option<u16>,
    pub filters: Vec<Saved>,
    /// Other keys for an action.
    #[serde(deserialize_with = "bindings")]
    pub keys: Vec<Keys>,
}

/// The keys wanted for an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    pub action: Spanned<String>,
    pub keys: Vec<String>,
}

/// `task_retry = "F5"`, or several in a list.
fn bindings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Keys>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "takes a key such as \"ctrl-x\", or a list of keys")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let table = BTreeMap::<Spanned<String>, OneOrMore>::deserialize(deserializer)?;
    let keys = table.into_iter().map(|(action, keys)| match keys {
        OneOrMore::One(key) => Keys { action, keys: vec![key] },
        OneOrMore::More(keys) => Keys { action, keys },
    });
    Ok(keys.collect())
}

/// Says where in the file something stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    name: String,
    /// Where each line but the first begins.
    lines: Vec<usize>,
}

impl Places {
    /// The places of a text.
    pub fn of(text: &str, name: &str) -> Self {
        let lines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1).collect();
        Self { name: name.to_owned(), lines }
    }

    /// Something wrong at an offset.
    pub fn wrong(&self, at: usize, why: &str) -> Error {
        let line = self.lines.partition_point(|begin| *begin <= at) + 1;
        Error(format!("{}, line {line}: {why}", self.name))
    }
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

/// Reads a file, with the places in it. A missing one is an error only if it was asked for.
pub fn read(path: &Path, asked_for: bool) -> Result<(File, Places), Error> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((parse(&text, &name, Some(path))?, Places::of(&text, &name))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked_for => Ok(Default::default()),
        Err(error) => Err(Error(format!("can't read the config file {}: {error}", path.display()))),
    }
}

/// Whether others than the owner can read a file that holds a password.
pub fn shows_password(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0);
    let has = |p: &Profile| {
        p.broker.as_deref().and_then(|b| crate::broker::BrokerUrl::parse(b).ok()).is_some_and(|u| u.has_password())
            || p.result_backend.as_deref().and_then(|b| ResultUrl::parse(b).ok()).is_some_and(|u| u.has_password())
            || p.broker_api.as_deref().and_then(|a| ApiUrl::parse(a).ok()).is_some_and(|u| u.login.is_some())
            || p.transport_options.as_ref().is_some_and(|o| o.sentinel_kwargs.password.is_some())
    };
    open && file.profiles.values().any(has)
}

/// Reads the text of a config file, `name` being what mistakes are told with, and `path` where themes lie beside it.
pub fn parse(text: &str, name: &str, path: Option<&Path>) -> Result<File, Error> {
    let places = Places::of(text, name);
    let file: File = toml::from_str(text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let begin = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |i| i + 1);
        let setting = text.get(begin..at).and_then(|line| line.split_once('=')).map_or("", |(key, _)| key.trim());
        places.wrong(at, &explain(error.message(), setting))
    })?;
    check(&file, path).map_err(|(at, why)| places.wrong(at, &why))?;
    Ok(file)
}

/// Values that have the right type and are wrong all the same: where, and why.
fn check(file: &File, path: Option<&Path>) -> Result<(), (usize, String)> {
    fn on<T, R>(value: Option<&Spanned<T>>, look: impl FnOnce(&T) -> Result<R, String>) -> Result<(), (usize, String)> {
        let Some(value) = value else { return Ok(()) };
        look(value.get_ref()).map(|_| ()).map_err(|why| (value.span().start, why))
    }
    let ui = &file.ui;
    for profile in file.profiles.values() {
        on(profile.color.as_ref(), |name| ui::color(name))?;
    }
    on(ui.theme.as_ref(), |name| ui::theme(name, path))?;
    on(ui.times.as_ref(), |word| ui::times(word))?;
    on(ui.fps.as_ref(), |fps| ui::fps(*fps))?;
    on(ui.refresh.as_ref(), |secs| ui::refresh(*secs))?;
    on(ui.columns.as_ref(), |names| ui::columns(names))?;
    on(ui.worker_groups.as_ref(), |rules| ui::patterns(rules))?;
    on(file.history.redact.as_ref(), |names| history::keys(names))?;
    on(file.history.redact_also.as_ref(), |names| history::keys(names))?;
    let of_history = &file.history;
    let times = [
        ("events", &of_history.keep.events),
        ("tasks", &of_history.keep.tasks),
        ("failures", &of_history.keep.failures),
        ("aggregates", &of_history.keep.aggregates),
    ];
    for (name, value) in times {
        on(value.as_ref(), |text| history::time(text).map_err(|why| format!("keep.{name} {why}")))?;
    }
    on(of_history.max_size.as_ref(), |text| history::size(text).map_err(|why| format!("max_size {why}")))?;
    for (name, value) in &file.serve {
        serve(name.get_ref(), value).map_err(|why| (name.span().start, why))?;
    }
    let size = |text: &String| crate::human::parse_bytes(text).ok_or("max_memory takes a size such as \"256M\"".into());
    on(file.max_memory.as_ref(), size)
}

/// An option of `serve`, as the text that Flower's other ways of saying it would have.
fn serve(name: &str, value: &toml::Value) -> Result<String, String> {
    if flower::find(name).is_none() {
        let names = flower::OPTIONS.iter().map(|opt| opt.name);
        let near = crate::text::nearest(name, names).map_or_else(String::new, |near| format!(", did you mean {near}?"));
        return Err(format!("there is no option {name} of serve{near}"));
    }
    let plain = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    };
    let text = match value {
        toml::Value::Array(items) => items.iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        other => plain(other),
    };
    text.ok_or_else(|| format!("{name} takes a text, a number, true, false, or a list of them"))
}

impl File {
    /// What `[serve]` says, by name.
    pub fn serve(&self) -> BTreeMap<String, String> {
        let said = self.serve.iter();
        said.filter_map(|(name, value)| Some((name.get_ref().clone(), serve(name.get_ref(), value).ok()?))).collect()
    }
}

/// `invalid type: string "many", expected u64` in a person's words, about a setting.
fn explain_type(message: &str, setting: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.split_once(", expected ")?;
    // `string "many"`, `integer `5``: the value stands behind its kind.
    let found = found.split_once(' ').map_or(found, |(_, value)| value).trim_matches('`');
    let takes = match expected.trim() {
        "u64" | "u32" | "u16" | "u8" | "usize" | "an integer" => "a whole number, not below zero",
        "f64" | "f32" => "a number",
        "a string" | "str" => "a text in quotes",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        other => other,
    };
    (!setting.is_empty()).then(|| format!("{setting} takes {takes}, not {found}"))
}

/// `unknown field `brokr`, expected one of `broker`, …` in a person's words.
fn explain(message: &str, setting: &str) -> String {
    if let Some(text) = explain_type(message.trim(), setting) {
        return text;
    }
    if message.starts_with("takes ") && !setting.is_empty() {
        return format!("{setting} {}", message.trim());
    }
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
        parse(text, "c.toml", None).err().map_or_else(String::new, |e| e.0)
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_was_meant() {
        assert_eq!(
            wrong("max_tasks = 5\n[profiles.prod]\nbrokr = \"redis://\"\n"),
            "c.toml, line 3: there is no setting brokr, did you mean broker?"
        );
        for (text, want) in [
            ("max_tasks = \"many\"\n", "line 1: max_tasks takes a whole number, not below zero, not \"many\""),
            ("\nread_only = 5\n", "line 2: read_only takes true or false, not 5"),
            ("[profiles.a]\nbroker = true\n", "line 2: broker takes a text in quotes, not true"),
            ("[profiles.a]\ncolor = \"gren\"\n", "line 2: there is no color gren, did you mean green?"),
            ("[profiles.a]\nbroker_use_ssl = 3\n", "line 2: broker_use_ssl takes true, false or a table, not 3"),
            (
                "[profiles.a.broker_use_ssl]\nssl_cert_reqs = \"x\"\n",
                "line 2: ssl_cert_reqs takes \"required\", \"optional\" or \"none\"",
            ),
            (
                "[profiles.a.transport_options]\nmaster_nam = \"m\"\n",
                "line 2: there is no setting master_nam, did you mean master_name?",
            ),
            (
                "[profiles.a.transport_options]\nsocket_timeout = -1\n",
                "line 2: socket_timeout takes seconds, above zero",
            ),
        ] {
            assert_eq!(wrong(text), format!("c.toml, {want}"));
        }
        assert_eq!(wrong("\n[ui]\ntheme = \"drak\"\n"), "c.toml, line 3: there is no theme drak, did you mean dark?");
        assert!(wrong("a = = b").contains("line 1"));
        assert!(wrong("[zzzzzzz]\n").contains("there are"), "{}", wrong("[zzzzzzz]\n"));
    }

    #[test]
    fn the_annotated_default_is_valid() {
        let file = parse(super::super::DEFAULT_FILE, "config/flower-tui.toml", None).expect("valid");
        assert_eq!(file, File::default(), "everything in it is commented out");
        // Each commented setting is valid too when its comment sign is taken away.
        let uncommented: String = super::super::DEFAULT_FILE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let file = parse(&uncommented, "uncommented", None).expect("valid");
        assert!(file.profiles.contains_key("production") && file.ui.theme.is_some());
    }
}
