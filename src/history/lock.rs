//! Who writes: one process at a time holds a lock on a file beside the history.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Held as long as this lives, and by no process that has ended.
pub struct Lock {
    _file: File,
}

/// The lock file of a history.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl Lock {
    /// Takes the lock; `None` if another process has it.
    pub fn take(path: &Path) -> std::io::Result<Option<Self>> {
        let file = File::options().create(true).append(true).mode(0o600).open(beside(path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_waits_for_the_first_to_end() {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("h.db");
        let first = Lock::take(&path).expect("a file").expect("free");
        assert!(Lock::take(&path).expect("a file").is_none());
        drop(first);
        assert!(Lock::take(&path).expect("a file").is_some());
    }
}
