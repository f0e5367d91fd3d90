//! The audit log: who sent which command, when, to what, and what came of it. The row is there before the command is.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, params};

use crate::clock::Stamp;

/// Why nothing could be written down.
#[derive(Debug, thiserror::Error)]
#[error("can't write the audit log {path}: {why}")]
pub struct Error {
    path: String,
    why: String,
}

/// Who gives commands: found out once, at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    pub user: String,
    /// Address a person came from over SSH.
    pub ssh: String,
    pub sudo_user: String,
    /// `ui`, `cli`, `api` or `web`.
    pub via: &'static str,
}

impl Origin {
    /// From this process's environment.
    pub fn here(via: &'static str) -> Self {
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        let user = ["USER", "LOGNAME"].map(var).into_iter().find(|u| !u.is_empty());
        let user = user.unwrap_or_else(|| {
            let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            name_of(rustix::process::getuid().as_raw(), &users)
        });
        let ssh = var("SSH_CONNECTION").split(' ').next().unwrap_or_default().to_owned();
        Self { user, ssh, sudo_user: var("SUDO_USER"), via }
    }
}

/// The name of a user by its number, as a passwd file has it; where it has none, the number.
fn name_of(uid: u32, users: &str) -> String {
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

/// A command as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    pub command: &'static str,
    pub target: String,
    pub arguments: String,
    /// The command line that does the same.
    pub line: String,
}

/// A command as it stands in the log.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Logged {
    /// Its row.
    pub row: i64,
    pub asked: f64,
    pub answered: Option<f64>,
    pub user: String,
    pub ssh: String,
    pub sudo_user: String,
    pub via: String,
    pub broker: String,
    pub command: String,
    pub target: String,
    pub arguments: String,
    /// The command line that does the same.
    pub line: String,
    pub outcome: Option<String>,
    /// A JSON object: what each worker answered.
    pub replies: Option<String>,
}

/// Reads the log, the latest command first. A file in which nothing was ever logged has no table for it.
pub(super) fn read(db: &Connection, limit: usize, before: Option<i64>) -> rusqlite::Result<Vec<Logged>> {
    if !db.table_exists(None, "audit")? {
        return Ok(Vec::new());
    }
    let added = ADDED.map(|name| match db.column_exists(None, "audit", name) {
        Ok(true) => name,
        _ => "''",
    });
    let [arguments, line] = added;
    let select = format!(
        "SELECT id, asked, answered, user, ssh, sudo_user, via, broker, command, target, {arguments}, {line}, outcome, \
         replies FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"
    );
    let mut rows = db.prepare(&select)?;
    let rows = rows.query_map(params![before.unwrap_or(i64::MAX), limit.min(i64::MAX as usize) as i64], |row| {
        Ok(Logged {
            row: row.get(0)?,
            asked: row.get(1)?,
            answered: row.get(2)?,
            user: row.get(3)?,
            ssh: row.get(4)?,
            sudo_user: row.get(5)?,
            via: row.get(6)?,
            broker: row.get(7)?,
            command: row.get(8)?,
            target: row.get(9)?,
            arguments: row.get(10)?,
            line: row.get(11)?,
            outcome: row.get(12)?,
            replies: row.get(13)?,
        })
    })?;
    rows.collect()
}

/// The log in its file.
pub struct Audit {
    connection: Mutex<Connection>,
    path: PathBuf,
}

/// Of the file, for whoever reads it.
const VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY, asked REAL NOT NULL, answered REAL, user TEXT NOT NULL, ssh TEXT NOT NULL,
        sudo_user TEXT NOT NULL, via TEXT NOT NULL, broker TEXT NOT NULL, command TEXT NOT NULL, target TEXT NOT NULL,
        outcome TEXT, replies TEXT
    );";

/// Columns that came to the table since.
const ADDED: [&str; 2] = ["arguments", "line"];

/// Makes the table what it is today. An older program may open the file in between, and take it for its own: what
/// counts is which columns there are.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    super::originals::prepare(&transaction)?;
    super::bulk::prepare(&transaction)?;
    for column in ADDED {
        if !transaction.column_exists(None, "audit", column)? {
            transaction.execute_batch(&format!("ALTER TABLE audit ADD COLUMN {column} TEXT NOT NULL DEFAULT ''"))?;
        }
    }
    super::links::prepare(&transaction)?;
    let application: i64 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    // In a history file the version is that of the history.
    if application != super::schema::APPLICATION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

impl Audit {
    /// Opens the log, and makes file (0600) and folder (0700) where there are none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |why: String| Error { path: path.display().to_string(), why };
        make(path).map_err(|e| fail(e.to_string()))?;
        let open = || -> rusqlite::Result<Connection> {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(std::time::Duration::from_secs(2))?;
            prepare(&mut connection)?;
            Ok(connection)
        };
        let connection = open().map_err(|e| fail(e.to_string()))?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    /// The log in a history file, which is made where there is none.
    pub fn in_history(path: &Path) -> Result<Self, Error> {
        super::schema::open(path).map_err(|e| Error { path: e.path, why: e.why })?;
        Self::open(path)
    }

    /// Writes down that a command is about to be sent; the number is for [`Audit::answered`].
    pub fn asked(&self, at: Stamp, origin: &Origin, broker: &str, entry: &Entry) -> Result<i64, Error> {
        let connection = self.connection.lock();
        connection
            .execute(
                "INSERT INTO audit (asked, user, ssh, sudo_user, via, broker, command, target, arguments, line) \
                 VALUES (?,?,?,?,?,?,?,?,?,?)",
                params![
                    at.secs(),
                    origin.user,
                    origin.ssh,
                    origin.sudo_user,
                    origin.via,
                    broker,
                    entry.command,
                    entry.target,
                    entry.arguments,
                    entry.line
                ],
            )
            .map_err(|e| self.error(&e))?;
        Ok(connection.last_insert_rowid())
    }

    /// A command in the log, by its row.
    pub fn logged(&self, row: i64) -> Result<Option<Logged>, Error> {
        let found = read(&self.connection.lock(), 1, Some(row.saturating_add(1))).map_err(|e| self.error(&e))?;
        Ok(found.into_iter().next().filter(|logged| logged.row == row))
    }

    /// Writes down what came of it.
    pub fn answered(&self, row: i64, at: Stamp, outcome: &str, replies: &str) -> Result<(), Error> {
        self.connection
            .lock()
            .execute(
                "UPDATE audit SET answered = ?, outcome = ?, replies = ? WHERE id = ?",
                params![at.secs(), outcome, replies, row],
            )
            .map(|_| ())
            .map_err(|e| self.error(&e))
    }

    pub(super) fn connection(&self) -> parking_lot::MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    /// The latest commands, the last one first.
    pub fn latest(&self, limit: usize) -> Result<Vec<Logged>, Error> {
        read(&self.connection.lock(), limit, None).map_err(|e| self.error(&e))
    }

    pub(super) fn error(&self, error: &rusqlite::Error) -> Error {
        Error { path: self.path.display().to_string(), why: error.to_string() }
    }
}

/// Makes a file that only its owner may read, and its folder, where there are none.
pub(super) fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_command_is_written_down_before_and_after_and_only_for_its_owner() {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("new/audit.db");
        let audit = Audit::open(&path).expect("opens");
        let row = audit.asked(Stamp::EPOCH, &Origin::default(), "b", &Entry::default()).expect("written");
        audit.answered(row, Stamp::EPOCH, "confirmed", "{}").expect("written");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Audit::open(&path).expect("opens again");
        assert_eq!(again.asked(Stamp::EPOCH, &Origin::default(), "b", &Entry::default()).expect("written"), row + 1);
    }

    #[test]
    fn a_file_of_the_first_version_goes_on_with_what_it_holds() {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("audit.db");
        let old = Connection::open(&path).expect("opens");
        old.execute_batch(SCHEMA).expect("made");
        old.execute_batch(
            "PRAGMA user_version = 1; INSERT INTO audit (asked, user, ssh, sudo_user, via, broker, command, target) \
             VALUES (1, 'u', '', '', 'cli', 'b', 'grow', 'w@h: 2')",
        )
        .expect("written");
        for _ in 0..2 {
            let audit = Audit::open(&path).expect("opens");
            let entry = Entry { command: "grow", target: "w@h".into(), arguments: "2".into(), line: "x".into() };
            audit.asked(Stamp::EPOCH, &Origin::default(), "b", &entry).expect("written");
            old.execute_batch("PRAGMA user_version = 1").expect("an older program was here");
        }
        let rows: Vec<(String, String)> = old
            .prepare("SELECT target, arguments FROM audit ORDER BY id")
            .and_then(|mut rows| rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .expect("read");
        let pair = |target: &str, arguments: &str| (target.to_owned(), arguments.to_owned());
        assert_eq!(rows, [pair("w@h: 2", ""), pair("w@h", "2"), pair("w@h", "2")]);
    }

    #[test]
    fn a_user_without_a_name_is_told_by_the_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!((name_of(0, users), name_of(1000, users)), ("root".into(), "ann".into()));
        assert_eq!(name_of(7, users), "uid 7");
    }

    #[test]
    fn a_place_that_can_not_be_written_is_named() {
        let error = Audit::open(Path::new("/proc/nowhere/audit.db")).err().expect("impossible");
        assert!(error.to_string().contains("/proc/nowhere/audit.db"), "{error}");
    }
}
