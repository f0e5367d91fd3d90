//! The options of `serve`, by Flower's names: one table for the command line, the environment (`FLOWER_*`), a Flower
//! config file, and `[serve]` in ours.
//!
//! Weakest to strongest: default, `[serve]`, environment, `--conf` file, command line (Flower 2.2.0, `command.py`).

mod conf;
pub mod login;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::resolve::Env;

pub use login::Login;

/// How an option is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    /// Alone it means yes.
    Flag,
    /// Its value may be left out.
    Maybe,
    /// One of all commands: it is no option of `serve` alone.
    Global,
    /// Accepted, and of no use here.
    Unused,
}

/// One option.
#[derive(Debug)]
pub struct Opt {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

const fn opt(name: &'static str, kind: Kind, help: &'static str) -> Opt {
    Opt { name, kind, help }
}

/// Every option.
pub const OPTIONS: &[Opt] = &[
    opt("address", Kind::Text, "Address to listen on; without authentication 127.0.0.1, else all"),
    opt("port", Kind::Number, "Port to listen on (5555)"),
    opt("unix_socket", Kind::Text, "Listen on a unix socket at this path instead"),
    opt("url_prefix", Kind::Text, "Everything lies under /PREFIX/"),
    opt("xheaders", Kind::Flag, "Believe X-Real-Ip and X-Forwarded-For: only behind a proxy that sets them"),
    opt("certfile", Kind::Text, "Certificates for TLS, as PEM"),
    opt("keyfile", Kind::Text, "Their key, as PEM"),
    opt(
        "basic_auth",
        Kind::Text,
        "Users who may do everything: name:password, separated by commas; a password may be a hash of argon2 or bcrypt",
    ),
    opt("users", Kind::Text, "File with a user a line: name:password[:viewer|operator|admin]"),
    opt("tokens", Kind::Text, "File with an API token a line, as --new-token prints it"),
    opt(
        "auth",
        Kind::Maybe,
        "With a provider: the e-mail addresses that may log in (a@x.io, a@x.io|b@x.io, .*@x.io). Alone: ask for a \
         password; with neither users nor tokens one is made up and printed once",
    ),
    opt(
        "auth_provider",
        Kind::Text,
        "Who is asked who somebody is: flower.views.auth.GoogleAuth2LoginHandler, GithubLoginHandler, \
         GitLabLoginHandler, OktaLoginHandler (or google, github, gitlab, okta), or oidc",
    ),
    opt("oidc_issuer", Kind::Text, "URL of an OpenID Connect issuer, for auth_provider oidc"),
    opt("oidc_scope", Kind::Text, "What the issuer is asked for (openid email profile)"),
    opt("oidc_groups_claim", Kind::Text, "Claim that lists somebody's groups (groups)"),
    opt("oauth2_key", Kind::Text, "Client id that the provider gave"),
    opt("oauth2_secret", Kind::Text, "Client secret that the provider gave; better FLOWER_OAUTH2_SECRET"),
    opt("oauth2_redirect_uri", Kind::Text, "Where the provider sends people back to: https://HOST/login"),
    opt(
        "oauth2_ca_certs",
        Kind::Text,
        "Who may have signed the provider's certificate, as PEM; else whom the system trusts",
    ),
    opt(
        "oauth2_roles",
        Kind::Text,
        "Roles of those who log in by a provider: WHOM=ROLE, separated by commas; WHOM is as for auth, or group:NAME. \
         Who has none of them is viewer; without this option all are admin, as in Flower",
    ),
    opt(
        "oauth2_okta_base_url",
        Kind::Text,
        "Okta's authorization server, such as https://NAME.okta.com/oauth2/default",
    ),
    opt("github_oauth_domain", Kind::Text, "Host of GitHub Enterprise (github.com)"),
    opt("gitlab_oauth_domain", Kind::Text, "Host of GitLab (gitlab.com)"),
    opt(
        "gitlab_auth_allowed_groups",
        Kind::Text,
        "GitLab groups one of which somebody has to be in, separated by commas",
    ),
    opt("gitlab_min_access_level", Kind::Number, "Access level that counts there (20)"),
    opt("cookie_secret", Kind::Text, "Signs who is logged in; without it everybody logs in anew after a restart"),
    opt("allow_weak_password", Kind::Flag, "Take passwords that are easily guessed"),
    opt("inspect_timeout", Kind::Number, "Milliseconds that workers have to answer (1000)"),
    opt("enable_events", Kind::Maybe, "Turn task events of workers on that have them off (true)"),
    opt("max_workers", Kind::Number, "Workers kept in memory at most (5000)"),
    opt("purge_offline_workers", Kind::Number, "Forget workers that are offline for so many seconds"),
    opt("max_terminals", Kind::Number, "Screens open in browsers at the same time, at most (20)"),
    opt("terminal_idle", Kind::Number, "Seconds without a key after which a screen in a browser is closed (1800)"),
    opt(
        "task_runtime_metric_buckets",
        Kind::Text,
        "Upper ends of the histogram of runtimes, in seconds, separated by commas",
    ),
    opt("conf", Kind::Text, "Flower's own config file; its simple assignments are read (flowerconfig.py)"),
    opt("read_only", Kind::Global, ""),
    opt("max_tasks", Kind::Global, ""),
    opt("broker_api", Kind::Global, ""),
    opt("ca_certs", Kind::Unused, ""),
    opt("auto_refresh", Kind::Unused, ""),
    opt("natural_time", Kind::Unused, ""),
    opt("tasks_columns", Kind::Unused, ""),
    opt("format_task", Kind::Unused, ""),
    opt("persistent", Kind::Unused, ""),
    opt("db", Kind::Unused, ""),
    opt("state_save_interval", Kind::Unused, ""),
    opt("debug", Kind::Unused, ""),
    opt("logging", Kind::Unused, ""),
    opt("log_file_prefix", Kind::Unused, ""),
    opt("log_file_max_size", Kind::Unused, ""),
    opt("log_file_num_backups", Kind::Unused, ""),
    opt("log_rotate_mode", Kind::Unused, ""),
    opt("log_to_stderr", Kind::Unused, ""),
];

/// The option of a name, however its words are joined.
pub fn find(name: &str) -> Option<&'static Opt> {
    let name = name.replace('-', "_");
    OPTIONS.iter().find(|opt| opt.name == name)
}

/// What `serve` goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Serve {
    pub address: Option<String>,
    pub port: u16,
    pub unix_socket: Option<PathBuf>,
    /// Without slashes; empty is none.
    pub url_prefix: String,
    pub xheaders: bool,
    /// Certificates and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// `name:password`.
    pub basic_auth: Vec<String>,
    pub users: Option<PathBuf>,
    pub tokens: Option<PathBuf>,
    /// A password was asked for, whosever.
    pub auth: bool,
    pub login: Option<Login>,
    pub allow_weak_password: bool,
    /// Who has no password may use the API too.
    pub unauthenticated_api: bool,
    pub inspect_timeout: Duration,
    pub enable_events: bool,
    pub max_workers: usize,
    pub purge_offline_workers: Option<Duration>,
    /// Screens in browsers: how many, and how long without a key.
    pub max_terminals: usize,
    pub terminal_idle: Duration,
    /// Ascending.
    pub buckets: Vec<f64>,
    /// What other commands have too, where it was said by one of Flower's ways.
    pub read_only: Option<bool>,
    pub max_tasks: Option<u64>,
    pub broker_api: Option<String>,
    /// Options that were given and are of no use.
    pub unused: Vec<&'static str>,
}

/// Flower's own buckets: the Prometheus client's (0.22, `metrics.py`).
pub const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Opens the API without authentication; it has no option.
const OPEN: &str = "FLOWER_UNAUTHENTICATED_API";

/// A value and where it was said.
struct Said {
    text: String,
    by: String,
}

struct Values(BTreeMap<&'static str, Said>);

impl Values {
    fn put(&mut self, name: &str, text: &str, by: String) {
        if let Some(opt) = find(name) {
            self.0.insert(opt.name, Said { text: text.to_owned(), by });
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|said| said.text.clone()).filter(|text| !text.is_empty())
    }

    fn read<T>(&self, name: &str, takes: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(said) = self.0.get(name).filter(|said| !said.text.is_empty()) else { return Ok(None) };
        match read(said.text.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(Error(format!("{}: {name} takes {takes}, not {:?}", said.by, said.text))),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.read(name, "true or false", truth)
    }
}

/// A yes or no as Flower takes it.
pub fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Settles all options. `line` is what the command line said, `file` what `[serve]` says; `folder` is where Flower's own
/// config file is looked for.
pub fn resolve(
    line: &BTreeMap<String, String>,
    env: &Env,
    file: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<Serve, Error> {
    let mut values = Values(BTreeMap::new());
    for (name, text) in file {
        values.put(name, text, format!("config file, [serve] {name}"));
    }
    for opt in OPTIONS {
        let name = format!("FLOWER_{}", opt.name.to_ascii_uppercase());
        if let Some(text) = env.get(&name).filter(|text| !text.is_empty()) {
            values.put(opt.name, text, format!("environment {name}"));
        }
    }
    let named = line.get("conf").cloned().or_else(|| values.text("conf"));
    for (place, name, text) in conf::read(named.as_deref(), folder)? {
        values.put(&name, &text, place);
    }
    for (name, text) in line {
        values.put(name, text, format!("--{}", name.replace('_', "-")));
    }
    settle(&values, env)
}

fn settle(values: &Values, env: &Env) -> Result<Serve, Error> {
    let login = login::read(values)?;
    let tls = match (values.text("certfile"), values.text("keyfile")) {
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (None, None) => None,
        _ => return Err(Error("certfile and keyfile go together".into())),
    };
    let open = env.get(OPEN).filter(|text| !text.is_empty());
    let open = open.map(|text| truth(text).ok_or(Error(format!("{OPEN} takes true or false, not {text:?}"))));
    let auth = values.0.get("auth");
    let whole = |text: &str| text.parse::<u64>().ok();
    let few = |text: &str| text.parse().ok().filter(|n: &usize| *n <= 1_000);
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    Ok(Serve {
        address: values.text("address"),
        port: values.read("port", "a port", |t| t.parse().ok())?.unwrap_or(5555),
        unix_socket: values.text("unix_socket").map(PathBuf::from),
        url_prefix: values.text("url_prefix").unwrap_or_default().trim_matches('/').to_owned(),
        xheaders: values.flag("xheaders")?.unwrap_or(false),
        tls,
        basic_auth: split_users(&values.text("basic_auth").unwrap_or_default()),
        users: values.text("users").map(PathBuf::from),
        tokens: values.text("tokens").map(PathBuf::from),
        auth: login.is_none() && auth.is_some_and(|said| truth(&said.text) != Some(false)),
        allow_weak_password: values.flag("allow_weak_password")?.unwrap_or(false),
        unauthenticated_api: open.transpose()?.unwrap_or(false),
        inspect_timeout: values
            .read("inspect_timeout", "milliseconds", |t| {
                seconds(t).map(|ms| (ms / 1_000).clamp(Duration::from_millis(50), Duration::from_secs(30)))
            })?
            .unwrap_or(Duration::from_secs(1)),
        enable_events: values.flag("enable_events")?.unwrap_or(true),
        max_workers: values
            .read("max_workers", "a whole number", |t| t.parse().ok().filter(|n: &usize| *n > 0))?
            .unwrap_or(5_000),
        purge_offline_workers: values.read("purge_offline_workers", "seconds", seconds)?,
        max_terminals: values.read("max_terminals", "up to 1000", few)?.unwrap_or(20),
        terminal_idle: values.read("terminal_idle", "seconds", seconds)?.unwrap_or(Duration::from_secs(1_800)),
        buckets: values
            .read("task_runtime_metric_buckets", "seconds, ascending and separated by commas", buckets)?
            .unwrap_or_else(|| BUCKETS.to_vec()),
        read_only: values.flag("read_only")?,
        max_tasks: values.read("max_tasks", "a whole number", whole)?,
        broker_api: values.text("broker_api"),
        unused: OPTIONS
            .iter()
            .filter(|opt| opt.kind == Kind::Unused || login.is_none() && login::ITS_OWN.contains(&opt.name))
            .map(|opt| opt.name)
            .filter(|name| values.0.contains_key(name))
            .collect(),
        login,
    })
}

/// Hashes of argon2 have commas in them, and no colon: what has none belongs to the user before.
fn split_users(text: &str) -> Vec<String> {
    let mut users: Vec<String> = Vec::new();
    for piece in text.split(',') {
        match users.last_mut() {
            Some(last) if !piece.contains(':') => {
                last.push(',');
                last.push_str(piece);
            }
            _ if piece.trim().is_empty() => {}
            _ => users.push(piece.to_owned()),
        }
    }
    users
}

fn buckets(text: &str) -> Option<Vec<f64>> {
    let text = text.trim_matches(['[', ']', '(', ')']);
    let ends: Vec<f64> =
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| t.parse().ok()).collect::<Option<_>>()?;
    let ends: Vec<f64> = ends.into_iter().filter(|end| end.is_finite()).collect();
    (!ends.is_empty() && ends.len() <= 64 && ends.windows(2).all(|pair| pair[0] < pair[1])).then_some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_stronger_source_wins() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("c.py");
        std::fs::write(&file, "port = 3\naddress = 'conf'\n").expect("written");
        let conf = file.to_str().expect("text");
        let env = map(&[("FLOWER_PORT", "2"), ("FLOWER_ADDRESS", "env"), ("FLOWER_URL_PREFIX", "/flower/")]);
        let told = |line: &[(&str, &str)]| {
            let serve = resolve(&map(line), &env, &map(&[("port", "1"), ("max_workers", "7")]), folder.path());
            serve.map(|s| (s.port, s.address.unwrap_or_default(), s.url_prefix, s.max_workers))
        };
        assert_eq!(told(&[]), Ok((2, "env".into(), "flower".into(), 7)));
        assert_eq!(told(&[("conf", conf)]), Ok((3, "conf".into(), "flower".into(), 7)));
        assert_eq!(told(&[("conf", conf), ("port", "4")]), Ok((4, "conf".into(), "flower".into(), 7)));
        let wrong = told(&[("port", "many")]).expect_err("refused").0;
        assert_eq!(wrong, "--port: port takes a port, not \"many\"");
    }

    #[test]
    fn users_are_split_at_commas_but_not_their_hashes() {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
        assert_eq!(split_users(&format!("a:b,c:{hash},d:e")), ["a:b".to_owned(), format!("c:{hash}"), "d:e".into()]);
        assert!(split_users("").is_empty());
    }

    #[test]
    fn what_would_leave_the_door_open_is_refused() {
        let told = |line: &[(&str, &str)], env: &[(&str, &str)]| {
            resolve(&map(line), &map(env), &BTreeMap::new(), Path::new("/nowhere")).err().map(|e| e.0)
        };
        let github = ("auth_provider", "flower.views.auth.GithubLoginHandler");
        let (key, secret, back) =
            (("oauth2_key", "k"), ("oauth2_secret", "s"), ("oauth2_redirect_uri", "http://localhost:5555/login"));
        let all = [github, key, secret, back, ("auth", ".*@example.com")];
        assert_eq!(told(&all, &[]), None);
        for missing in 1..all.len() {
            let rest: Vec<(&str, &str)> = [&all[..missing], &all[missing + 1..]].concat();
            assert!(told(&rest, &[]).is_some_and(|why| why.contains(all[missing].0)), "{rest:?}");
        }
        let with = |name: &'static str, value: &'static str| told(&[&all[..], &[(name, value)]].concat(), &[]);
        assert!(with("auth", ".*@.*").is_some_and(|why| why.contains("one * only")));
        assert!(with("auth", "yes").is_some_and(|why| why.contains("has to be set")));
        assert!(with("cookie_secret", "short").is_some_and(|why| !why.contains("short:")));
        assert!(with("auth_provider", "mine").is_some_and(|why| why.contains("is unknown")));
        assert!(with("github_oauth_domain", "a/b").is_some() && with("oauth2_roles", "a@x.io").is_some());
        assert!(told(&[("auth", ".*@example.com")], &[]).is_some_and(|e| e.contains("auth_provider")));
        assert_eq!(told(&[("auth", "")], &[]), None);
        assert!(told(&[], &[(OPEN, "maybe")]).is_some());
        assert!(told(&[("certfile", "c.pem")], &[]).is_some());
    }
}
