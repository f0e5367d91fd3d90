//! The log file, which can be opened anew when somebody has moved it away: that is how logs are rotated.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

/// See the module. Cloning refers to the same file.
#[derive(Clone)]
pub struct Log {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(0o600).open(path)
}

impl Log {
    /// Opens the file, which is its owner's alone.
    pub fn to(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(open(path)?)) })
    }

    /// Opens what lies at the path by now. Where that fails the old file goes on.
    pub fn reopen(&self) -> io::Result<()> {
        *self.file.lock() = open(&self.path)?;
        Ok(())
    }

    /// Takes all that is logged from now on.
    pub fn begin(&self, level: tracing::Level) {
        let log = self.clone();
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(move || log.clone()).init();
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_away_is_left_alone_and_a_new_file_begun() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let mut log = Log::to(&path).unwrap();
        log.write_all(b"one\n").unwrap();
        std::fs::rename(&path, &old).unwrap();
        log.write_all(b"two\n").unwrap();
        log.reopen().unwrap();
        log.write_all(b"three\n").unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&old).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
    }
}
