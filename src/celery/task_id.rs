//! A task's id: nearly always a UUID, and then held as 16 bytes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

/// The id of a task. Held as a UUID only where that prints back the same text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskId {
    Uuid(Uuid),
    Text(Arc<str>),
}

impl TaskId {
    /// Any text is an id.
    pub fn new(text: &str) -> Self {
        match parse_hyphenated(text.as_bytes()) {
            Some(uuid) => TaskId::Uuid(uuid),
            None => TaskId::Text(text.into()),
        }
    }

    /// A new random id.
    pub fn random() -> Self {
        TaskId::Uuid(Uuid::new_v4())
    }

    /// The first eight characters, as lists show it. Not made safe for a terminal.
    pub fn short(&self) -> String {
        match self {
            TaskId::Uuid(uuid) => {
                let b = uuid.as_bytes();
                format!("{:02x}{:02x}{:02x}{:02x}", b[0], b[1], b[2], b[3])
            }
            TaskId::Text(text) => text.chars().take(8).collect(),
        }
    }
}

/// Where the pairs of digits stand.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/// What a byte is worth as a digit; what is none has the highest bit set.
const DIGITS: [u8; 256] = {
    let mut digits = [0x80; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Lower-case 8-4-4-4-12 only: every other spelling would print back differently. Done two or three times for each
/// event, and therefore without a branch for each digit.
fn parse_hyphenated(text: &[u8]) -> Option<Uuid> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let (mut bytes, mut seen) = ([0u8; 16], 0);
    for (byte, at) in bytes.iter_mut().zip(PAIRS) {
        let (high, low) = (DIGITS[usize::from(text[at])], DIGITS[usize::from(text[at + 1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    let dashes = [8, 13, 18, 23].iter().all(|at| text[*at] == b'-');
    (dashes && seen < 16).then(|| Uuid::from_bytes(bytes))
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskId::Uuid(uuid) => f.write_str(uuid.hyphenated().encode_lower(&mut [0; 36])),
            TaskId::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            TaskId::Uuid(uuid) => state.write(uuid.as_bytes()),
            TaskId::Text(text) => state.write(text.as_bytes()),
        }
    }
}

impl serde::Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_that_prints_back_the_same_is_held_as_one() {
        for text in [
            "a260983f-bbd4-44e3-8315-f14a750c0275",
            "A260983F-bbd4-44e3-8315-f14a750c0275",
            "a260983fbbd444e38315f14a750c0275",
            "a260983f-bbd4-44e3-8315_f14a750c0275",
            "nightly-report",
            "",
        ] {
            assert_eq!(TaskId::new(text).to_string(), text);
        }
        assert!(matches!(TaskId::new("a260983f-bbd4-44e3-8315-f14a750c0275"), TaskId::Uuid(_)));
        assert!(matches!(TaskId::new("a260983fbbd444e38315f14a750c0275"), TaskId::Text(_)));
        assert_eq!(size_of::<TaskId>(), 24);
    }

    #[test]
    fn a_short_id_is_its_first_eight_characters() {
        assert_eq!(TaskId::new("a260983f-bbd4-44e3-8315-f14a750c0275").short(), "a260983f");
        assert_eq!(TaskId::new("日本語のタスクです").short(), "日本語のタスクで");
    }
}
