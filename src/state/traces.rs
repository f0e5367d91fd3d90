//! Tracebacks: whatever fails fails in the same place again and again, and says the same. Each text is held once.

use std::sync::Arc;

use hashbrown::HashSet;

/// See the module.
#[derive(Default)]
pub(super) struct Traces {
    held: HashSet<Arc<str>>,
    bytes: usize,
}

/// Bytes of a text with its counters and its place among the others.
fn size(text: &str) -> usize {
    text.len() + 2 * size_of::<usize>() + size_of::<Arc<str>>()
}

impl Traces {
    /// A text, the same where it is known. Who has it gives it back.
    pub fn hold(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.held.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.bytes += size(&text);
        self.held.insert(text.clone());
        text
    }

    /// Takes one back, and lets go of it where nobody else has it.
    pub fn give_back(&mut self, text: Option<Arc<str>>) {
        if let Some(text) = text.filter(|text| Arc::strong_count(text) == 2)
            && self.held.remove(&text)
        {
            self.bytes -= size(&text);
        }
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once_and_no_longer_than_somebody_has_it() {
        let mut traces = Traces::default();
        let (first, again) = (traces.hold("Traceback"), traces.hold("Traceback"));
        assert!(Arc::ptr_eq(&first, &again));
        let bytes = traces.bytes();
        let other = traces.hold("another");
        assert!(traces.bytes() > bytes);
        traces.give_back(Some(other));
        traces.give_back(Some(again));
        assert_eq!(traces.bytes(), bytes, "the first is still there");
        traces.give_back(Some(first));
        assert_eq!((traces.bytes(), traces.held.len()), (0, 0));
    }
}
