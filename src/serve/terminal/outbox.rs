//! What a session wrote and the browser has not taken yet. The session draws its next frame once all is taken: so a slow
//! link makes frames fewer, and never this longer.

use std::io::{Error, ErrorKind, Result, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Bytes that are kept at most: the largest frame there can be is smaller.
const MOST: usize = 4 << 20;

/// See the module.
#[derive(Clone)]
pub(super) struct Outbox {
    bytes: Arc<Mutex<Vec<u8>>>,
    untaken: watch::Sender<usize>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { bytes: Arc::default(), untaken: watch::Sender::new(0) }
    }
}

impl Outbox {
    /// How many bytes were written and not taken.
    pub fn untaken(&self) -> watch::Receiver<usize> {
        self.untaken.subscribe()
    }

    /// Everything there is.
    pub fn pick_up(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock())
    }

    /// What was picked up has gone out.
    pub fn delivered(&self) {
        let left = self.bytes.lock().len();
        self.untaken.send_replace(left);
    }
}

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut kept = self.bytes.lock();
        if kept.len() + bytes.len() > MOST {
            return Err(Error::new(ErrorKind::WouldBlock, "the browser takes too little of what is sent"));
        }
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        let left = self.bytes.lock().len();
        self.untaken.send_replace(left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_untaken_and_too_much_is_refused() {
        let mut outbox = Outbox::default();
        let untaken = outbox.untaken();
        outbox.write_all(b"frame").expect("room");
        outbox.flush().expect("told");
        assert_eq!((outbox.pick_up(), *untaken.borrow()), (b"frame".to_vec(), 5));
        outbox.delivered();
        assert_eq!(*untaken.borrow(), 0);
        assert!(outbox.write_all(&vec![0; MOST + 1]).is_err());
    }
}
