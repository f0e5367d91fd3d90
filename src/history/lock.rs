//! Who writes: one process at a time holds a lock on a file beside the history, and writes its number into it.

use std::fs::File;
use std::io::Write;
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
            Ok(()) => {
                file.set_len(0)?;
                writeln!(&file, "{}", std::process::id())?;
                Ok(Some(Self { _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The process that writes a history, if one does: its number, where it can be read. Nothing is written by asking.
pub fn holder(path: &Path) -> Option<Option<u32>> {
    let file = File::open(beside(path)).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Some(std::io::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()))
        }
        _ => None,
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
        assert_eq!(holder(&path), Some(Some(std::process::id())));
        drop(first);
        assert_eq!(holder(&path), None);
        assert!(Lock::take(&path).expect("a file").is_some());
    }
}
