//! Results in databases, left there by a real Celery worker, read by the real binary.

use std::process::Command;

use flower_tui::celery::TaskId;
use flower_tui::celery::result::TaskResult;
use flower_tui::redact::Redactor;
use flower_tui::results::{self, Options, ResultUrl};
use serde_json::{Value, json};

use super::cluster::{Redis, flower, free_port, root, venv};
use super::sql::Database;

/// What is kept of some tasks.
fn look(url: &str, ids: &[&str]) -> Result<Vec<Option<TaskResult>>, String> {
    let url = ResultUrl::parse(url).map_err(|e| e.to_string())?;
    let backend = results::open(&url, &Options::default()).map_err(|e| e.to_string())?.expect("something to read");
    let ids: Vec<TaskId> = ids.iter().map(|id| TaskId::new(id)).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let found = runtime.block_on(backend.get(&ids)).map_err(|e| e.to_string())?;
    let of = |id| found.iter().find(|(known, _)| known == id).and_then(|(_, stored)| stored.result().cloned());
    Ok(ids.iter().map(of).collect())
}

/// Why nothing can be read. No password stands in it.
fn trouble(url: &str) -> String {
    let why = look(url, &["good"]).expect_err(url);
    assert!(!why.contains("hunter2"), "{why}");
    why
}

/// A Redis without results, and what our binary is told besides.
struct Reader {
    broker: Redis,
    home: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        Self { broker: Redis::start(&[]), home: tempfile::tempdir().expect("temp") }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = flower(arguments, self.home.path())
            .args(["-b", &self.broker.url(), "--for", "100ms"])
            .output()
            .expect("runs");
        String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
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

/// What every backend keeps of the two tasks: this is the one that did well.
fn assert_plain(url: &str) -> TaskResult {
    let [Some(good), Some(bad), None] = &look(url, &["good", "bad", "unknown"]).expect(url)[..] else {
        panic!("others than the two are known to {url}");
    };
    assert_eq!((good.status.as_str(), bad.status.as_str()), ("SUCCESS", "FAILURE"));
    assert_eq!(good.value(&Redactor::off()).as_deref(), Some("{'count': [2, None], 'what': 'Äpfel'}"));
    assert!(good.date_done.as_deref().is_some_and(|at| at.starts_with("20") && at.contains('T')), "{good:?}");
    assert_eq!(bad.exception(&Redactor::off()).as_deref(), Some(r#"ValueError("no luck", 3)"#));
    assert!(bad.traceback.as_deref().is_some_and(|text| text.contains("raise ValueError")), "{bad:?}");
    good.clone()
}

/// And what is kept besides with `result_extended`.
fn assert_extended(url: &str) {
    let good = assert_plain(url);
    assert_eq!(
        (good.name.as_deref(), good.queue.as_deref(), good.retries),
        (Some("shop.good"), Some("celery"), Some(0))
    );
    assert_eq!(
        (good.args_text(&Redactor::off()).as_deref(), good.kwargs_text(&Redactor::off()).as_deref()),
        (Some("(2,)"), Some("{'what': 'Äpfel'}"))
    );
    assert!(good.worker.is_some());
}

#[test]
fn results_in_sqlite_are_read() {
    let folder = tempfile::tempdir().expect("temp");
    let url = format!("db+sqlite:///{}", folder.path().join("r.db").display());
    assert!(trouble(&url).contains("there is no file "));
    write(&json!({"result_backend": url}), None);
    let good = assert_plain(&url);
    assert_eq!((good.name, good.args), (None, None));

    let extended = format!("db+sqlite:///{}", folder.path().join("extended.db").display());
    write(&json!({"result_backend": extended, "result_extended": true}), None);
    assert_extended(&extended);
}

#[test]
fn a_pickled_result_is_named_and_the_rest_is_read() {
    let reader = Reader::new();
    let url = format!("db+sqlite:///{}", reader.home.path().join("r.db").display());
    write(&json!({"result_backend": url, "result_extended": true, "result_serializer": "pickle"}), None);
    let good: Value =
        serde_json::from_str(&reader.run(&["--result-backend", &url, "task", "good", "--json"])).expect("JSON");
    assert_eq!((good["state"].as_str(), good["name"].as_str()), (Some("SUCCESS"), Some("shop.good")), "{good}");
    assert_eq!(good["result_unread"]["why"], "it is pickled", "{good}");
    assert!(good["result"].is_null() && good["result_unread"]["bytes"].as_u64() > Some(20), "{good}");
    let said = reader.run(&["--result-backend", &url, "task", "bad"]);
    assert!(said.contains("FAILURE, says the result backend") && said.contains("B, not read: it is pickled"), "{said}");
}

#[test]
fn results_in_postgresql_are_read_over_tls_and_without() {
    let database = Database::postgres();
    let url = format!("db+postgresql+psycopg://{}", database.place("joe:hunter2", "shop"));
    assert!(trouble(&url).contains("has no table celery_taskmeta"));
    write(&json!({"result_backend": url, "result_extended": true}), None);
    let ca = &database.pki.ca;
    for query in ["", "?sslmode=disable", &format!("?sslmode=verify-full&sslrootcert={ca}")] {
        assert_extended(&format!("{url}{query}"));
    }
    let folder = database.folder.path().display();
    assert_extended(&format!("db+postgresql://joe:hunter2@/shop?host={folder}&port={}", database.port));

    let at = |login, name| format!("db+postgresql://{}", database.place(login, name));
    assert!(trouble(&at("joe:wrong", "shop")).contains("password authentication failed"));
    assert!(trouble(&at("joe", "shop")).contains("it wants a password, and the URL has none"));
    assert!(trouble(&at("joe:hunter2", "nowhere")).contains("there is no database of that name"));
    let by_address = url.replace("localhost", "127.0.0.1") + "?sslmode=verify-full&sslrootcert=" + ca;
    assert!(trouble(&by_address).ends_with("its certificate is for localhost, not for 127.0.0.1"));
    assert_extended(&by_address.replace("verify-full", "verify-ca"));
    database.psql("shop", "CREATE USER ann PASSWORD 'hunter2'");
    let ann = at("ann:hunter2", "shop");
    assert!(trouble(&ann).contains("may not read the table celery_taskmeta; grant it SELECT"));
    database.psql("shop", "GRANT SELECT ON celery_taskmeta TO ann");
    assert_extended(&ann);
}

#[tokio::test]
async fn a_connection_that_broke_is_replaced_and_nothing_stays_set_on_it() {
    let database = Database::postgres();
    let (mut url, table) = ("db+postgresql://".to_owned(), "CREATE TABLE celery_taskmeta (task_id text, status text)");
    url += &database.place("joe:hunter2", "shop");
    database.psql("shop", table);
    database.psql("shop", "INSERT INTO celery_taskmeta VALUES ('x', 'RETRY')");
    let url = ResultUrl::parse(&url).expect("a URL");
    let backend = results::open(&url, &Options::default()).expect("opens").expect("something to read");
    let ours = "application_name = 'flower-tui'";
    for _ in 0..2 {
        assert_eq!(backend.get(&[TaskId::new("x")]).await.expect("read").len(), 1);
        let idle = format!("SELECT 1 / count(*) FROM pg_stat_activity WHERE {ours} AND state = 'idle'");
        database.psql("shop", &idle);
        database.psql("shop", &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"));
    }
}

#[test]
fn a_query_that_takes_too_long_is_given_up_by_the_server() {
    let (postgres, mariadb) = (Database::postgres(), Database::mariadb());
    postgres.psql("shop", "CREATE VIEW celery_taskmeta AS SELECT 'good' AS task_id, pg_sleep(60)::text");
    mariadb.mysql("CREATE VIEW shop.celery_taskmeta AS SELECT 'good' AS task_id, sleep(60) AS s");
    for (scheme, database) in [("postgresql", &postgres), ("mysql", &mariadb)] {
        let begin = std::time::Instant::now();
        let why = trouble(&format!("db+{scheme}://{}", database.place("joe:hunter2", "shop")));
        assert!(why.contains("gave no answer within 5s"), "{why}");
        // We ourselves would wait longer.
        assert!(begin.elapsed().as_secs_f32() < 8.5, "{scheme}");
    }
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
    let said = reader.run(&["-c", config.to_str().expect("path"), "-P", "p", "task", "good"]);
    assert!(said.contains("SUCCESS, says the result backend"), "{said}");
}

#[test]
fn results_in_mariadb_are_read_over_tls_and_without() {
    let database = Database::mariadb();
    let url = format!("db+mysql+pymysql://{}", database.place("joe:hunter2", "shop"));
    assert!(trouble(&url).contains("has no table celery_taskmeta"));
    write(&json!({"result_backend": url, "result_extended": true}), None);
    for query in ["", "?ssl_mode=REQUIRED", &format!("?ssl_ca={}", database.pki.ca)] {
        assert_extended(&format!("{url}{query}"));
    }
    let socket = database.folder.path().join("socket");
    assert_extended(&format!("db+mariadb://joe:hunter2@/shop?unix_socket={}", socket.display()));

    let at = |login, name| format!("db+mysql://{}", database.place(login, name));
    assert!(trouble(&at("joe:wrong", "shop")).contains("refused us: Access denied for user 'joe'"));
    assert!(trouble(&at("joe:hunter2", "nowhere")).contains("there is no database of that name"));
    database.mysql("SET GLOBAL require_secure_transport = ON");
    let plain = trouble(&url);
    assert!(plain.contains("put ?ssl_mode=REQUIRED behind the URL"), "{plain}");
    assert_extended(&format!("{url}?ssl_mode=REQUIRED"));
    let by_address = url.replace("localhost", "127.0.0.1") + "?ssl_ca=" + &database.pki.ca;
    assert!(trouble(&by_address).ends_with("its certificate is for localhost, not for 127.0.0.1"));
    assert_extended(&format!("{by_address}&ssl_check_hostname=false"));
    assert!(trouble(&format!("{url}?ssl_mode=VERIFY_CA")).starts_with("no TLS connection to "), "no CA that is known");
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
        let good = assert_plain(url);
        assert_eq!(
            (good.name.as_deref(), good.args_text(&Redactor::off()).as_deref()),
            (Some("shop.good"), Some("(2,)"))
        );
        assert_eq!(good.kwargs_text(&Redactor::off()).as_deref(), Some("{'what': 'Äpfel'}"));
    }
    assert!(trouble(&in_file.replace("django-db+", "db+")).contains("has no table celery_taskmeta"));
    let said = reader.run(&["--result-backend", "django-db", "task", "good"]);
    assert!(said.contains("not asked: it lies in Django's database; name that as django-db+postgresql://"), "{said}");
}

#[test]
fn what_is_no_database_is_told_apart() {
    let (redis, port) = (Redis::start(&[]), free_port());
    for scheme in ["db+postgresql", "db+mysql"] {
        let closed = trouble(&format!("{scheme}://joe:hunter2@127.0.0.1:{port}/shop"));
        assert!(closed.starts_with("can't reach ") && closed.ends_with("connection refused"), "{closed}");
        let nowhere = trouble(&format!("{scheme}://joe:hunter2@there.is.no.such.host.invalid/shop"));
        assert!(nowhere.ends_with("there is no host of that name"), "{nowhere}");
        // A Redis ends the connection, or waits for more.
        let foreign = trouble(&format!("{scheme}://joe:hunter2@127.0.0.1:{}/shop", redis.port));
        assert!(foreign.starts_with("can't reach "), "{foreign}");
    }
}
