//! Results in databases, left there by a real Celery worker, read by the real binary.

use std::process::Command;

use serde_json::{Value, json};

use super::cluster::{Redis, flower, root, venv};
use super::sql::Database;

/// A Redis without results, and what our binary is told besides.
struct Reader {
    broker: Redis,
    home: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        Self { broker: Redis::start(&[]), home: tempfile::tempdir().expect("temp") }
    }

    fn run(&self, results: &str, arguments: &[&str]) -> String {
        let output = flower(arguments, self.home.path())
            .args(["-b", &self.broker.url(), "--for", "100ms", "--result-backend", results])
            .output()
            .expect("runs");
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8(both).expect("text")
    }

    fn task(&self, results: &str, id: &str) -> Value {
        let said = self.run(results, &["task", id, "--json"]);
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
    }

    /// What is said of a result that could not be read. No password stands in it.
    fn trouble(&self, results: &str) -> String {
        let said = self.run(results, &["task", "good"]);
        let line = said.lines().find_map(|l| l.trim().strip_prefix("the result backend was not asked: "));
        let line = line.unwrap_or_else(|| panic!("{said}")).to_owned();
        assert!(!said.contains("hunter2") && !line.contains("panicked"), "{said}");
        line
    }
}

/// Lets a worker leave its results.
fn write(settings: &Value, django: Option<&Value>) {
    let mut command = Command::new(venv("python"));
    command.arg(root().join("tests/it/real/results.py")).env("SETTINGS", settings.to_string());
    if let Some(django) = django {
        command.env("DJANGO", django.to_string());
    }
    let output = command.output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What every backend keeps of the two tasks.
fn assert_plain(reader: &Reader, results: &str) -> [Value; 2] {
    let (good, bad) = (reader.task(results, "good"), reader.task(results, "bad"));
    assert_eq!(
        (good["state"].as_str(), good["verdict"].as_str()),
        (Some("SUCCESS"), Some("SUCCESS, by the result backend"))
    );
    assert_eq!(good["result"], "{'count': [2, None], 'what': 'Äpfel'}", "{good}");
    assert!(good["date_done"].as_str().expect("a moment").starts_with("20"), "{good}");
    assert_eq!(
        (bad["state"].as_str(), bad["exception"].as_str()),
        (Some("FAILURE"), Some(r#"ValueError("no luck", 3)"#))
    );
    assert!(bad["traceback"].as_str().expect("a traceback").contains("raise ValueError"), "{bad}");
    let nothing = reader.task(results, "unknown");
    assert_eq!((nothing["verdict"].as_str(), nothing["state"].is_null()), (Some("no trace"), true), "{nothing}");
    [good, bad]
}

/// What is kept besides with `result_extended`.
fn assert_extended(good: &Value) {
    assert_eq!(
        (good["name"].as_str(), good["retries"].as_i64(), good["queue"].as_str()),
        (Some("shop.good"), Some(0), Some("celery"))
    );
    assert_eq!((good["args"].as_str(), good["kwargs"].as_str()), (Some("(2,)"), Some("{'what': 'Äpfel'}")), "{good}");
    assert!(good["worker"].as_str().expect("a worker").contains('@'), "{good}");
}

#[test]
fn results_in_sqlite_are_read() {
    let reader = Reader::new();
    let file = reader.home.path().join("r.db");
    let url = format!("db+sqlite:///{}", file.display());
    assert!(reader.trouble(&url).ends_with(&format!("there is no file {}", file.display())));
    write(&json!({"result_backend": url}), None);
    let [good, _] = assert_plain(&reader, &url);
    assert!(good["name"].is_null() && good["args"].is_null(), "{good}");

    let extended = format!("db+sqlite:///{}", reader.home.path().join("extended.db").display());
    write(&json!({"result_backend": extended, "result_extended": true}), None);
    assert_extended(&assert_plain(&reader, &extended)[0]);
}

#[test]
fn a_pickled_result_is_named_and_the_rest_is_read() {
    let reader = Reader::new();
    let url = format!("db+sqlite:///{}", reader.home.path().join("r.db").display());
    write(&json!({"result_backend": url, "result_extended": true, "result_serializer": "pickle"}), None);
    let good = reader.task(&url, "good");
    assert_eq!((good["state"].as_str(), good["name"].as_str()), (Some("SUCCESS"), Some("shop.good")), "{good}");
    assert_eq!(good["result_unread"]["why"], "it is pickled", "{good}");
    assert!(good["result"].is_null() && good["result_unread"]["bytes"].as_u64() > Some(20), "{good}");
    let bad = reader.task(&url, "bad");
    assert!(bad["traceback"].as_str().expect("a traceback").contains("raise ValueError"), "{bad}");
    let said = reader.run(&url, &["task", "good"]);
    assert!(said.contains("SUCCESS, by the result backend") && said.contains("B, not read: it is pickled"), "{said}");
}

#[test]
fn results_in_postgresql_are_read_over_tls_and_without() {
    let (reader, database) = (Reader::new(), Database::postgres());
    let url = format!("db+postgresql+psycopg://{}", database.place("joe:hunter2", "shop"));
    assert!(reader.trouble(&url).contains("has no table celery_taskmeta"));
    write(&json!({"result_backend": url, "result_extended": true}), None);
    let ca = &database.pki.ca;
    for query in [String::new(), "?sslmode=disable".into(), format!("?sslmode=verify-full&sslrootcert={ca}")] {
        assert_extended(&assert_plain(&reader, &format!("{url}{query}"))[0]);
    }
    let socket =
        format!("db+postgresql://joe:hunter2@/shop?host={}&port={}", database.folder.path().display(), database.port);
    assert_plain(&reader, &socket);

    let at = |login, name| format!("db+postgresql://{}", database.place(login, name));
    assert!(reader.trouble(&at("joe:wrong", "shop")).contains("password authentication failed"));
    assert!(reader.trouble(&at("joe", "shop")).contains("it wants a password, and the URL has none"));
    assert!(reader.trouble(&at("joe:hunter2", "nowhere")).contains("there is no database of that name"));
    assert!(reader.trouble(&format!("{url}?sslmode=verify-full")).starts_with("no TLS connection to "));
    let elsewhere = url.replace("localhost", "127.0.0.1") + "?sslmode=verify-full&sslrootcert=" + ca;
    assert!(reader.trouble(&elsewhere).contains("its certificate is for localhost, not for 127.0.0.1"));
    database.psql("shop", "CREATE USER ann PASSWORD 'hunter2'");
    assert!(
        reader.trouble(&at("ann:hunter2", "shop")).contains("may not read the table celery_taskmeta; grant it SELECT")
    );
    database.psql("shop", "GRANT SELECT ON celery_taskmeta TO ann");
    assert_plain(&reader, &at("ann:hunter2", "shop"));
}

#[test]
fn a_table_of_another_name_is_told_by_the_profile() {
    let (reader, database) = (Reader::new(), Database::postgres());
    let url = format!("db+postgresql+psycopg://{}", database.place("joe:hunter2", "shop"));
    database.psql("shop", "CREATE SCHEMA app");
    let tables = json!({"database_table_names": {"task": "Jobs"}, "database_table_schemas": {"task": "app"}});
    let mut settings = tables.clone();
    settings["result_backend"] = json!(url);
    write(&settings, None);
    let config = reader.home.path().join("c.toml");
    let profile = format!(
        "[profiles.p]\nresult_backend = \"{url}\"\ndatabase_table_names = {{ task = \"Jobs\" }}\n\
         database_table_schemas = {{ task = \"app\", group = \"app\" }}\n"
    );
    std::fs::write(&config, profile).expect("written");
    let output = flower(&["-c", config.to_str().expect("path"), "-P", "p", "task", "good"], reader.home.path())
        .args(["-b", &reader.broker.url(), "--for", "100ms"])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("SUCCESS, by the result backend"), "{said}");
}

#[test]
fn results_in_mariadb_are_read_over_tls_and_without() {
    let (reader, database) = (Reader::new(), Database::mariadb());
    let url = format!("db+mysql+pymysql://{}", database.place("joe:hunter2", "shop"));
    assert!(reader.trouble(&url).contains("has no table celery_taskmeta"));
    write(&json!({"result_backend": url, "result_extended": true}), None);
    for query in ["", "?ssl_mode=REQUIRED", &format!("?ssl_ca={}", database.pki.ca)] {
        assert_extended(&assert_plain(&reader, &format!("{url}{query}"))[0]);
    }
    let socket = database.folder.path().join("socket");
    assert_plain(&reader, &format!("db+mariadb://joe:hunter2@/shop?unix_socket={}", socket.display()));

    let at = |login, name| format!("db+mysql://{}", database.place(login, name));
    assert!(reader.trouble(&at("joe:wrong", "shop")).contains("refused us: Access denied for user 'joe'"));
    assert!(reader.trouble(&at("joe:hunter2", "nowhere")).contains("there is no database of that name"));
    assert!(reader.trouble(&format!("{url}?ssl_verify_cert=true")).starts_with("no TLS connection to "));
}

#[test]
fn djangos_results_are_read() {
    let (reader, database) = (Reader::new(), Database::postgres());
    let settings = json!({"result_backend": "django-db", "result_extended": true});
    let file = reader.home.path().join("django.db");
    write(&settings, Some(&json!({"ENGINE": "django.db.backends.sqlite3", "NAME": file})));
    let server = json!({"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "joe", "PASSWORD": "hunter2",
        "HOST": "127.0.0.1", "PORT": database.port});
    write(&settings, Some(&server));
    let in_file = format!("django-db+sqlite:///{}", file.display());
    let on_server = format!("django-db+postgresql://{}", database.place("joe:hunter2", "shop"));
    for url in [&in_file, &on_server] {
        let [good, _] = assert_plain(&reader, url);
        assert_eq!((good["name"].as_str(), good["args"].as_str()), (Some("shop.good"), Some("(2,)")), "{good}");
        assert_eq!(good["kwargs"], "{'what': 'Äpfel'}", "{good}");
    }
    assert!(reader.trouble("django-db").contains("name that as django-db+postgresql://user@host/name"));
    assert!(reader.trouble(&in_file.replace("django-db+", "db+")).contains("has no table celery_taskmeta"));
}

#[test]
fn what_is_no_database_is_told_apart() {
    let reader = Reader::new();
    let port = super::cluster::free_port();
    for scheme in ["db+postgresql", "db+mysql"] {
        let closed = reader.trouble(&format!("{scheme}://joe:hunter2@127.0.0.1:{port}/shop"));
        assert!(closed.starts_with("can't reach ") && closed.ends_with("connection refused"), "{closed}");
        let nowhere = reader.trouble(&format!("{scheme}://joe:hunter2@there.is.no.such.host.invalid/shop"));
        assert!(nowhere.ends_with("there is no host of that name"), "{nowhere}");
        // A Redis says nothing, or something else.
        let foreign = reader.trouble(&format!("{scheme}://joe:hunter2@127.0.0.1:{}/shop", reader.broker.port));
        assert!(foreign.contains("127.0.0.1"), "{foreign}");
    }
}
