//! `config from-celery`: a profile made of an application's own settings. What is printed can be read as a config file;
//! what can't be taken stands in it as a comment.

use std::fmt::Write;
use std::io::Read;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::args::FromCelery;
use super::env::Env;
use super::exit::{Exit, not_so};
use super::out;
use crate::celery::pidbox::{Method, Request};
use crate::celery::settings::{self, HIDDEN, Settings};
use crate::config::file;
use crate::results::ResultUrl;
use crate::text::clean;

/// How long workers have to answer.
const ANSWER: Duration = Duration::from_secs(3);

pub async fn run(env: &Env, args: &FromCelery) -> anyhow::Result<Exit> {
    let settings = match &args.file {
        Some(path) => {
            let text = read(path)?;
            settings::read(&text)
                .ok_or_else(|| not_so("that is no output of `celery report` or `celery inspect conf`"))?
        }
        None => ask(env, args.worker.as_deref()).await?,
    };
    out::line(profile(&args.name, &settings).trim_end())?;
    Ok(Exit::Done)
}

fn read(path: &str) -> anyhow::Result<String> {
    use anyhow::Context;
    let mut bytes = Vec::new();
    match path {
        "-" => std::io::stdin().read_to_end(&mut bytes),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    }
    .with_context(|| format!("can't read {path}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Asks a worker, or the first that answers.
async fn ask(env: &Env, worker: Option<&str>) -> anyhow::Result<Settings> {
    let broker = env.connected().await?;
    let to = worker.map(|name| vec![name.to_owned()]);
    let request = Request { method: Method::Conf, to: to.clone() };
    let replies = broker.control(&request, &to.unwrap_or_default(), ANSWER).await?;
    let told = replies.into_iter().find_map(|reply| settings::of_document(reply.value));
    told.ok_or_else(|| match worker {
        Some(name) => not_so(format!("{} gave no answer", clean(name))),
        None => not_so("no worker gave an answer; `celery -A APP report | flower-tui config from-celery -` needs none"),
    })
}

/// The text of a profile.
fn profile(name: &str, settings: &Settings) -> String {
    let name = key(name);
    let mut text = Text { prefix: format!("[profiles.{name}]\n"), out: String::new() };
    text.line(&format!("[profiles.{name}]"));
    text.url(settings);
    text.results(settings);
    text.exchanges(settings);
    // What is no table stands before all tables.
    if let Some(on @ Value::Bool(_)) = settings.get("broker_use_ssl") {
        text.value("broker_use_ssl", on);
    }
    let tables = [
        ("transport_options", "broker_transport_options"),
        ("broker_use_ssl", "broker_use_ssl"),
        ("database_table_names", "database_table_names"),
        ("database_table_schemas", "database_table_schemas"),
    ];
    for (ours, theirs) in tables {
        if let Some(Value::Object(options)) = settings.get(theirs).filter(|options| **options != json!({})) {
            text.table(&name, ours, options);
        }
    }
    text.out
}

/// A config file that grows line by line and can be read at any time.
struct Text {
    /// The heading that the next settings stand below.
    prefix: String,
    out: String,
}

impl Text {
    fn line(&mut self, line: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.out, "{line}");
    }

    /// A comment, whatever stands in it.
    fn comment(&mut self, text: &str) {
        self.line(&format!("# {}", clean(text)));
    }

    fn url(&mut self, settings: &Settings) {
        match settings.get("broker_url").and_then(Value::as_str) {
            Some(url) => {
                if url.contains(HIDDEN) {
                    self.comment(
                        "Celery hides passwords, and writes ******** where there is none, too: fill it in, or keep",
                    );
                    self.comment("the whole URL in a file of its own and name that with broker_file.");
                    self.comment(&setting("broker", &Value::from(url)));
                } else {
                    self.value("broker", &Value::from(url));
                }
                if url.starts_with("sentinel://") {
                    self.comment(
                        "Celery shows the first sentinel alone: put the others behind it, after a semicolon each.",
                    );
                }
            }
            None => self.comment("broker = \"redis://…\"  is not among the settings"),
        }
    }

    fn results(&mut self, settings: &Settings) {
        let Some(url) = settings.get("result_backend").and_then(Value::as_str) else { return };
        if url.contains(HIDDEN) {
            self.comment(&setting("result_backend", &Value::from(url)));
            return;
        }
        // Which database it is stands in another setting, whose name hides its value.
        let prefix = match ResultUrl::parse(url) {
            Ok(ResultUrl::Nothing(_)) if url.starts_with("django") => "django-db+",
            Ok(ResultUrl::Nothing(_)) if url == "db" || url == "database" => "db+",
            _ => return self.value("result_backend", &Value::from(url)),
        };
        self.comment(&format!("result_backend is {url:?} there: which database that is has to be filled in."));
        self.comment(&setting("result_backend", &Value::from(format!("{prefix}postgresql://user:password@host/name"))));
    }

    /// Names that we take as Celery has them where nothing is said.
    fn exchanges(&mut self, settings: &Settings) {
        for (name, usual) in [("control_exchange", "celery"), ("event_exchange", "celeryev")] {
            let said = settings.get(name).and_then(Value::as_str).filter(|said| *said != usual);
            if let Some(said) = said {
                self.comment(&format!("{name} is {said:?} there; only {usual:?} is supported"));
            }
        }
    }

    fn table(&mut self, profile: &str, name: &str, options: &Map<String, Value>) {
        let heading = format!("[profiles.{profile}.{name}]");
        self.prefix = format!("{heading}\n");
        self.line("");
        self.line(&heading);
        for (name, value) in options {
            self.value(name, value);
        }
    }

    /// A setting, if our own config file knows it and takes the value.
    fn value(&mut self, name: &str, value: &Value) {
        if value.is_null() {
            return;
        }
        let (shown, hidden) = without_hidden(value);
        if let Some(shown) = shown {
            let line = setting(name, &shown);
            match file::parse(&format!("{}{line}\n", self.prefix), "it", None) {
                Ok(_) => self.line(&line),
                Err(why) => {
                    let why = why.0.rsplit_once("line 2: ").map_or(why.0.clone(), |(_, why)| why.to_owned());
                    self.comment(&format!("not taken: {line}   ({why})"));
                }
            }
        }
        for path in hidden {
            let what = [name, &path].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(".");
            self.comment(&format!("{what} is hidden by Celery: fill it in"));
        }
    }
}

/// `name = value` in TOML.
fn setting(name: &str, value: &Value) -> String {
    let value = toml::Value::try_from(value).map_or_else(|_| "\"?\"".to_owned(), |value| value.to_string());
    format!("{} = {value}", key(name))
}

/// A name in TOML, quoted where it has to be: the escapes are those of JSON.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { Value::from(name).to_string() }
}

/// What is not hidden in a value, and where the hidden parts were.
fn without_hidden(value: &Value) -> (Option<Value>, Vec<String>) {
    match value {
        Value::String(text) if text == HIDDEN => (None, vec![String::new()]),
        Value::Object(map) => {
            let (mut left, mut hidden) = (Map::new(), Vec::new());
            for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                let (shown, below) = without_hidden(value);
                left.extend(shown.map(|shown| (name.clone(), shown)));
                hidden.extend(
                    below.into_iter().map(|path| if path.is_empty() { name.clone() } else { format!("{name}.{path}") }),
                );
            }
            ((!left.is_empty() || hidden.is_empty()).then_some(Value::Object(left)), hidden)
        }
        other => (Some(other.clone()), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(settings: &Value) -> (String, file::Profile) {
        let settings = settings.as_object().expect("object").clone();
        let text = profile("shop", &settings);
        let file = file::parse(&text, "made", None).unwrap_or_else(|e| panic!("{e}\n{text}"));
        (text, file.profiles["shop"].clone())
    }

    #[test]
    fn what_is_made_is_read_back_as_it_was() {
        let (_, profile) = made(&json!({
            "broker_url": "redis://cache-1:6379/2",
            "broker_transport_options": {"visibility_timeout": 43200, "priority_steps": [0, 5], "sep": "\u{6}\u{16}",
                "master_name": "m", "retry_on_timeout": true, "health_check_interval": null},
            "broker_use_ssl": {"ssl_cert_reqs": "CERT_NONE", "ssl_ca_certs": "/etc/it's \"ca\".pem"},
        }));
        assert_eq!(profile.broker.as_deref(), Some("redis://cache-1:6379/2"));
        let options = profile.transport_options.expect("options");
        assert_eq!((options.visibility_timeout, options.priority_steps.as_slice()), (43_200, [0, 5].as_slice()));
        assert_eq!((options.sep.as_str(), options.unused()), ("\u{6}\u{16}", vec!["retry_on_timeout"]));
        let ca = profile.broker_use_ssl.expect("TLS").ssl_ca_certs.expect("a file");
        assert_eq!(ca.to_str(), Some("/etc/it's \"ca\".pem"));
    }

    #[test]
    fn what_is_hidden_or_unknown_becomes_a_comment() {
        let (text, profile) = made(&json!({
            "broker_url": "sentinel://:********@h:26379/0", "control_exchange": "other", "event_exchange": "celeryev",
            "broker_transport_options": {"global_keyprefix": "********", "sentinel_kwargs": {"password": "********"},
                "what\nis this": 1, "visibility_timeout": "long"},
            "broker_use_ssl": {"ssl_keyfile": "********"}, "result_backend": null,
        }));
        assert_eq!(profile.broker, None);
        for said in [
            "# broker = \"sentinel://:********@h:26379/0\"",
            "# Celery shows the first sentinel alone",
            "# global_keyprefix is hidden by Celery",
            "# sentinel_kwargs.password is hidden by Celery",
            "# ssl_keyfile is hidden by Celery",
            "# control_exchange is \"other\" there; only \"celery\" is supported",
            "# not taken: visibility_timeout = \"long\"   (visibility_timeout takes seconds, as a number)",
            "# not taken: \"what\\nis this\" = 1   (there is no setting",
        ] {
            assert!(text.contains(said), "{said} in\n{text}");
        }
        assert!(!text.contains("event_exchange"));
    }

    #[test]
    fn a_database_is_taken_with_its_tables_or_asked_for() {
        let (_, profile) = made(&json!({
            "broker_url": "redis://h", "result_backend": "db+sqlite:////var/r.db", "broker_use_ssl": false,
            "broker_transport_options": {"sep": "x"},
            "database_table_names": {"task": "jobs", "group": "groups"}, "database_table_schemas": {"task": "app"},
        }));
        assert_eq!(profile.result_backend.as_deref(), Some("db+sqlite:////var/r.db"));
        let tables = [profile.database_table_names.task, profile.database_table_schemas.task];
        assert_eq!(tables, [Some("jobs".into()), Some("app".into())]);
        for (backend, want) in [("django-db", "django-db+"), ("database", "db+"), ("db", "db+")] {
            let (text, profile) = made(&json!({"result_backend": backend, "database_url": HIDDEN}));
            let want = format!("# result_backend = \"{want}postgresql://user:password@host/name\"");
            assert!(text.contains(&want) && profile.result_backend.is_none(), "{text}");
        }
    }

    #[test]
    fn hostile_names_break_nothing() {
        let settings = json!({"broker_url": "x\"\n[ui]\ntheme = \"\u{1b}[2J", "broker_use_ssl": true});
        let text = profile("a\"]\n[ui", settings.as_object().expect("object"));
        file::parse(&text, "made", None).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(!text.contains('\u{1b}'));
    }
}
