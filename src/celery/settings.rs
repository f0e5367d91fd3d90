//! An application's settings as Celery prints them: `celery report`, `celery inspect conf` with or without `--json`, or a
//! worker's own answer (Celery 5.7.0, `app/utils.py`, `bin/control.py`). Whatever might be a secret is printed as
//! [`HIDDEN`].

use serde_json::{Map, Value};

use super::{json, repr};

/// What Celery writes in the place of secrets, and of everything whose name has `key` in it.
pub const HIDDEN: &str = "********";

/// Settings by their present names in small letters.
pub type Settings = Map<String, Value>;

/// Reads what was printed. `None` where no setting is in it.
pub fn read(text: &str) -> Option<Settings> {
    let begin = text.find('{').filter(|at| text[..*at].trim().is_empty() || text[..*at].contains("->"));
    let document = begin.and_then(|at| document(&text[at..]));
    match document {
        Some(document) => of_document(document),
        None => of_report(text),
    }
}

/// Reads one worker's answer, or the answers of all by name: then the first counts.
pub fn of_document(document: Value) -> Option<Settings> {
    let Value::Object(map) = document else { return None };
    let is_answers = map.iter().all(|(name, value)| name.contains('@') && value.is_object());
    let settings = if is_answers { map.into_iter().next().and_then(|(_, v)| v.as_object().cloned())? } else { map };
    let settings: Settings = settings.into_iter().map(|(name, value)| (present_name(&name), value)).collect();
    (!settings.is_empty()).then_some(settings)
}

/// The JSON that a text begins with; more may follow it.
fn document(text: &str) -> Option<Value> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(document)) => Some(document),
        // Python writes what JSON has no words for.
        _ => json::parse(text.trim().as_bytes()).ok(),
    }
}

/// Lines such as `name: value`, where a value goes on in lines that begin with a blank.
fn of_report(text: &str) -> Option<Settings> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        let name = line.split_once(':').filter(|(name, _)| is_name(name));
        match (name, found.last_mut()) {
            (Some((name, value)), _) => found.push((name, value.trim().to_owned())),
            (None, Some((_, value))) if line.starts_with(' ') => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => {}
        }
    }
    let settings: Settings =
        found.into_iter().filter_map(|(name, value)| Some((present_name(name), literal(&value)?))).collect();
    (!settings.is_empty()).then_some(settings)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Before Celery 4 settings had other names, and in Django they have a prefix.
fn present_name(name: &str) -> String {
    let small = name.to_ascii_lowercase();
    match small.strip_prefix("celery_").unwrap_or(&small) {
        "result_backend" => "result_backend".into(),
        rest if rest.starts_with("broker_") => rest.into(),
        _ => small,
    }
}

/// A value as `pprint` writes it. What is no literal has no value.
fn literal(text: &str) -> Option<Value> {
    let mut text = without_enums(text);
    // The brace that opens a table gets lost in Celery's own printing.
    if text.ends_with('}') && !text.starts_with('{') {
        text.insert(0, '{');
    }
    let written = repr::parse(&text).ok()?.to_json().ok()?;
    json::parse(written.as_bytes()).ok()
}

/// `<VerifyMode.CERT_REQUIRED: 2>` is written as `'CERT_REQUIRED'`.
fn without_enums(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find('<') {
        let inside = rest[begin + 1..].split_once('>');
        let member = inside.and_then(|(inside, after)| {
            let (path, _) = inside.split_once(": ")?;
            let (_, name) = path.split_once('.')?;
            is_name(name).then_some((name, after))
        });
        let Some((name, after)) = member else { break };
        out.push_str(&rest[..begin]);
        out.push_str(&format!("'{name}'"));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `celery -A app report` of Celery 5.7.0, as it was printed.
    const REPORT: &str = "
software -> celery:5.7.0 (collider) kombu:5.7.0 py:3.11.7
            billiard:4.3.2 redis:8.1.0
loader   -> celery.loaders.app.AppLoader
settings -> transport:sentinel results:redis://:********@h/1

broker_url: 'sentinel://ops:********@127.0.0.1:26379/2'
result_backend: 'redis://:********@h/1'
deprecated_settings: None
broker_transport_options: 
    'global_keyprefix': '********',
    'master_name': 'mymaster',
    'priority_steps': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    'sentinel_kwargs': {'password': '********'},
    'visibility_timeout': 43200}
broker_use_ssl: 
    'ssl_ca_certs': '/etc/ca.pem',
    'ssl_cert_reqs': <VerifyMode.CERT_REQUIRED: 2>,
    'ssl_keyfile': '********'}
control_exchange: 'mypidbox'
task_routes: (<function route at 0x7f>,)
";

    #[test]
    fn a_report_is_read() {
        let settings = read(REPORT).expect("settings");
        assert_eq!(settings["broker_url"], "sentinel://ops:********@127.0.0.1:26379/2");
        assert_eq!(settings["broker_transport_options"]["sentinel_kwargs"], json!({"password": HIDDEN}));
        assert_eq!(settings["broker_transport_options"]["visibility_timeout"], 43_200);
        assert_eq!(settings["broker_use_ssl"]["ssl_cert_reqs"], "CERT_REQUIRED");
        assert_eq!(settings["control_exchange"], "mypidbox");
        assert!(!settings.contains_key("task_routes"), "what is no literal has no value");
    }

    #[test]
    fn answers_of_workers_are_read() {
        let text =
            "->  w@x: OK\n    {\n        \"broker_url\": \"redis://h/2\",\n        \"n\": 1\n    }\n\n1 node online.\n";
        let json = r#"{"w@x": {"broker_url": "redis://h/2", "n": 1}, "w@y": {}}"#;
        let bare = r#"{"broker_url": "redis://h/2", "n": 1}"#;
        for text in [text, json, bare] {
            assert_eq!(Value::Object(read(text).expect(text)), json!({"broker_url": "redis://h/2", "n": 1}));
        }
    }

    #[test]
    fn old_names_and_djangos_are_known() {
        let settings = read("BROKER_URL: 'redis://a'\nCELERY_RESULT_BACKEND: 'redis://b'\n").expect("settings");
        assert_eq!((&settings["broker_url"], &settings["result_backend"]), (&json!("redis://a"), &json!("redis://b")));
        assert_eq!(read("CELERY_BROKER_URL: 'redis://c'").expect("settings")["broker_url"], "redis://c");
    }

    #[test]
    fn what_is_no_settings_is_none() {
        for text in ["", "hello\nworld", "[1, 2]", "{}", "-> w: OK\n {", "a: <b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
