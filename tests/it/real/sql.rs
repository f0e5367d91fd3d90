//! A PostgreSQL and a MariaDB of our own, on free ports, in folders that go away with them. Each has a database `shop`,
//! and a user `joe` whose password is `hunter2`; over TCP they speak TLS as well, for the name `localhost`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::cluster::{free_port, wait_for};
use crate::contract::redis::Pki;

/// See the module.
pub struct Database {
    server: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
    pub pki: Pki,
}

impl Database {
    /// A PostgreSQL. It refuses to be run by root.
    pub fn postgres() -> Self {
        let (folder, port) = (tempfile::tempdir().expect("temp"), free_port());
        let pki = Pki::make(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("password"), "hunter2").expect("written");
        give(folder.path(), "postgres");
        let made = as_user("postgres", &postgres_program("initdb"))
            .args(["-D", &path("data"), "-U", "joe", "--pwfile", &path("password"), "-A", "scram-sha-256", "-N"])
            .output();
        assert_done(&made.expect("postgresql is installed by tests/run"));
        let port_text = port.to_string();
        let server = as_user("postgres", &postgres_program("postgres"))
            .args(["-D", &path("data"), "-p", &port_text, "-F", "-k", &folder.path().display().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"])
            .args(["-c", &format!("ssl_cert_file={}", pki.certificate), "-c", &format!("ssl_key_file={}", pki.key)])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).expect("log"))
            .spawn()
            .expect("postgresql is installed by tests/run");
        let database = Self { server, port, folder, pki };
        wait_for("PostgreSQL", || {
            let ready =
                Command::new(postgres_program("pg_isready")).args(["-h", "127.0.0.1", "-p", &port_text]).output();
            ready.expect("runs").status.success().then_some(())
        });
        database.psql("postgres", "CREATE DATABASE shop");
        database
    }

    /// A MariaDB.
    pub fn mariadb() -> Self {
        let (folder, port) = (tempfile::tempdir().expect("temp"), free_port());
        let pki = Pki::make(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let begin = "CREATE DATABASE shop; CREATE USER joe IDENTIFIED BY 'hunter2'; GRANT ALL ON *.* TO joe;";
        std::fs::write(path("begin.sql"), begin.replace("; ", ";\n")).expect("written");
        let user = user().to_owned();
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args([format!("--datadir={}", path("data")), format!("--user={user}")])
            .output();
        assert_done(&made.expect("mariadb-server is installed by tests/run"));
        let server = Command::new(in_sbin("mariadbd"))
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0"])
            .args([format!("--datadir={}", path("data")), format!("--user={user}"), format!("--port={port}")])
            .args([format!("--socket={}", path("socket")), format!("--pid-file={}", path("pid"))])
            .args([format!("--init-file={}", path("begin.sql"))])
            .args([format!("--ssl-cert={}", pki.certificate), format!("--ssl-key={}", pki.key)])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).expect("log"))
            .spawn()
            .expect("mariadb-server is installed by tests/run");
        wait_for("MariaDB", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { server, port, folder, pki }
    }

    /// Runs SQL in PostgreSQL.
    pub fn psql(&self, database: &str, sql: &str) {
        let run = Command::new(postgres_program("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "joe", "-d", database, "-c", sql])
            .env("PGPASSWORD", "hunter2")
            .output();
        assert_done(&run.expect("runs"));
    }

    /// Runs SQL in MariaDB.
    pub fn mysql(&self, sql: &str) {
        let run = Command::new("mariadb")
            .args(["--no-defaults", "-u", "joe", "-phunter2", "-e", sql])
            .arg(format!("--socket={}", self.folder.path().join("socket").display()))
            .output();
        assert_done(&run.expect("runs"));
    }

    /// Where it can be reached by this user, in this database.
    pub fn place(&self, login: &str, database: &str) -> String {
        format!("{login}@localhost:{}/{database}", self.port)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // With this signal both end at once, and take their processes and shared memory with them.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let ended = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            matches!(self.server.try_wait(), Ok(Some(_)))
        });
        if !ended {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }
}

fn assert_done(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stdout));
}

/// Debian keeps PostgreSQL's programs out of the path, a folder for each version.
fn postgres_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed by tests/run");
    let mut programs: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin").join(name)).collect();
    programs.sort();
    programs.pop().expect("a version of PostgreSQL")
}

fn in_sbin(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}

fn id(arguments: &[&str]) -> String {
    let output = Command::new("id").args(arguments).output().expect("runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Who we are.
fn user() -> &'static str {
    static USER: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    USER.get_or_init(|| id(&["-un"]))
}

/// Lets a user have a folder and what is in it, if we are root.
fn give(folder: &Path, name: &str) {
    if user() == "root" {
        assert_done(&Command::new("chown").arg("-R").arg(name).arg(folder).output().expect("runs"));
    }
    let key = folder.join("server.key");
    assert_done(&Command::new("chmod").arg("600").arg(key).output().expect("runs"));
}

/// A program run by this user, if we are root.
fn as_user(name: &str, program: &Path) -> Command {
    let mut command = Command::new(program);
    if user() == "root" {
        let number = |option: &str| id(&[option, name]).parse().expect("a user");
        command.uid(number("-u")).gid(number("-g")).current_dir("/");
    }
    command
}
