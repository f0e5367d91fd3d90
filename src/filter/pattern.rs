//! A text to look for: a part of the value, a glob with `*`, or with `=` in front the whole value. Case is ignored.

use std::fmt;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// In lower case, without the `=`.
    text: String,
    kind: Kind,
    /// Place of the byte that is seldom met: the search begins with it.
    rare: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Part,
    Glob,
    Whole,
}

impl Pattern {
    /// Any text is a pattern.
    pub fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        let (text, kind) = match text.strip_prefix('=') {
            Some(whole) => (whole.to_owned(), Kind::Whole),
            None if text.contains('*') => (text, Kind::Glob),
            None => (text, Kind::Part),
        };
        let bytes = text.as_bytes();
        let rare = (0..bytes.len()).max_by_key(|&i| rarity(bytes[i])).unwrap_or(0);
        Self { text, kind, rare }
    }

    /// Whether raw bytes of several values could have it: false is certain, true asks for a closer look.
    pub fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.kind != Kind::Part || !self.text.is_ascii() || contains_ascii(bytes, self.text.as_bytes(), self.rare)
    }

    /// Whether `value` has it.
    pub fn matches(&self, value: &str) -> bool {
        match self.kind {
            Kind::Part => contains(value, &self.text, self.rare),
            Kind::Whole => lower(value) == self.text,
            Kind::Glob => glob(self.text.as_bytes(), lower(value).as_bytes()),
        }
    }

    /// The text that the whole value has to be (in lower case), if it is such a pattern.
    pub fn whole(&self) -> Option<&str> {
        (self.kind == Kind::Whole).then_some(self.text.as_str())
    }

    /// Whether a UUID as Celery prints it could have it: most words hold letters that no UUID has.
    pub fn may_be_in_uuid(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'*')
    }

    /// The digits (dashes left out) that a UUID would have to begin with, if it can be read as the beginning of one: at
    /// least four, and no star but one at the end.
    pub fn beginning_of_uuid(&self) -> Option<String> {
        let text = match self.kind {
            Kind::Part | Kind::Whole => self.text.as_str(),
            Kind::Glob => self.text.strip_suffix('*')?,
        };
        let in_place = |(at, c): (usize, char)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        };
        let fits = text.len() <= 36 && text.chars().enumerate().all(in_place);
        Some(text.replace('-', "")).filter(|digits| fits && digits.len() >= 4)
    }

    /// Whether `value` begins with it (globs and `=` as in [`Pattern::matches`]): for states.
    pub fn begins(&self, value: &str) -> bool {
        match self.kind {
            Kind::Part => lower(value).starts_with(&self.text),
            _ => self.matches(value),
        }
    }
}

fn lower(value: &str) -> std::borrow::Cow<'_, str> {
    if value.is_ascii() && !value.bytes().any(|b| b.is_ascii_uppercase()) {
        value.into()
    } else {
        value.to_lowercase().into()
    }
}

/// Whether lower-case `part` is in `value`, without allocating where both are ASCII.
fn contains(value: &str, part: &str, rare: usize) -> bool {
    if part.is_ascii() && value.is_ascii() {
        return contains_ascii(value.as_bytes(), part.as_bytes(), rare);
    }
    value.to_lowercase().contains(part)
}

/// The search jumps from one place of the part's rarest byte to the next.
fn contains_ascii(value: &[u8], part: &[u8], rare: usize) -> bool {
    let Some(&lower) = part.get(rare) else { return true };
    let upper = lower.to_ascii_uppercase();
    let mut from = rare;
    while let Some(rest) = value.get(from..) {
        let found = if lower == upper { memchr::memchr(lower, rest) } else { memchr::memchr2(lower, upper, rest) };
        let Some(at) = found.map(|offset| from + offset) else { return false };
        let candidate = value.get(at - rare..at - rare + part.len());
        if candidate.is_some_and(|c| c.eq_ignore_ascii_case(part)) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// How seldom a byte is in arguments and results, roughly.
fn rarity(byte: u8) -> u8 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b' ' | b'\'' | b',' => 0,
        b'd' | b'l' | b'c' | b'm' | b'u' | b'p' | b'h' | b':' | b'(' | b')' | b'0' | b'1' => 1,
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => 2,
        _ => 3,
    }
}

fn glob(pattern: &[u8], value: &[u8]) -> bool {
    let (mut p, mut v) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while v < value.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, v));
            p += 1;
        } else if pattern.get(p) == Some(&value[v]) {
            p += 1;
            v += 1;
        } else if let Some((star_p, star_v)) = star {
            p = star_p + 1;
            v = star_v + 1;
            star = Some((star_p, star_v + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.kind == Kind::Whole { "=" } else { "" }, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_part_a_glob_or_the_whole() {
        for (pattern, value, want) in [
            ("charge", "billing.Charge_card", true),
            ("CHARGE", "billing.charge_card", true),
            ("refund", "billing.charge_card", false),
            ("billing.*", "billing.charge_card", true),
            ("billing.*", "my.billing.charge", false),
            ("*card", "billing.charge_card", true),
            ("b*g.*_*d", "billing.charge_card", true),
            ("=default", "default", true),
            ("=default", "default2", false),
            ("タスク", "日本語.タスク", true),
            ("", "x", true),
            ("*", "", true),
            ("longer than the value", "x", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(value), want, "{pattern} {value}");
        }
        let begins = |text| Pattern::new(text).beginning_of_uuid();
        assert_eq!(begins("3f9c1d2a-0b").as_deref(), Some("3f9c1d2a0b"));
        assert_eq!([begins("3f9c1d2a0b"), begins("3f9"), begins("*3f9c"), begins("name")], [None, None, None, None]);
        assert!(Pattern::new("fail").begins("FAILURE"));
        assert!(!Pattern::new("lure").begins("FAILURE"));
    }
}
