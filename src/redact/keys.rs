//! Which keys have secrets behind them, and how a key is found in front of its separator.

/// Keys whose values are secrets where nothing else is said. `token` is any key that ends with this word.
pub const USUAL: [&str; 35] = [
    "password",
    "passwords",
    "password_confirm",
    "password_confirmation",
    "password_hash",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "auth_token",
    "id_token",
    "csrf_token",
    "jwt",
    "otp",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "signing_key",
    "encryption_key",
    "authorization",
    "auth",
    "credential",
    "credentials",
    "cookie",
    "session_id",
    "session_key",
    "card_number",
    "cvv",
];

/// Names in the form they are compared in.
#[derive(Debug, PartialEq)]
pub struct Keys {
    names: Vec<String>,
    /// Which bytes the names end with: most keys are told from them by their last one.
    ends: [bool; 256],
}

/// A name as it is compared: in small letters, without what joins its words.
pub fn fold(name: &str) -> String {
    name.chars().filter(|c| !joins(*c)).flat_map(char::to_lowercase).collect()
}

fn joins(c: char) -> bool {
    matches!(c, '-' | '_' | ' ' | '.')
}

impl Keys {
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(|n| fold(n.as_ref())).filter(|n| !n.is_empty()).collect();
        let mut ends = [false; 256];
        for name in &names {
            for last in [name.as_bytes().last(), name.to_uppercase().as_bytes().last()].into_iter().flatten() {
                ends[usize::from(*last)] = true;
            }
        }
        Self { names, ends }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether one of the names is the last word of a text, whatever joins its parts; `password2` is a password too.
    pub fn end(&self, text: &str) -> bool {
        let text = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let Some(last) = text.as_bytes().last() else { return false };
        self.ends[usize::from(*last)] && self.names.iter().any(|name| ends_with(text, name))
    }
}

fn ends_with(text: &str, name: &str) -> bool {
    let mut wanted = name.chars().rev().peekable();
    let mut begin = text.len();
    for (at, c) in text.char_indices().rev() {
        let Some(want) = wanted.peek() else { break };
        if joins(c) && begin < text.len() {
            continue;
        }
        if c.to_lowercase().next() != Some(*want) {
            return false;
        }
        begin = at;
        wanted.next();
    }
    wanted.peek().is_none() && begins_word(text, begin)
}

/// Whether a word begins here: behind anything that is no letter, or in the middle of `accessToken` and `APIToken`.
fn begins_word(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    let Some(last) = before.next() else { return true };
    if !last.is_alphabetic() {
        return true;
    }
    // A line break that was escaped by a `repr` is no letter.
    if matches!(last, 'n' | 'r' | 't') && before.next() == Some('\\') {
        return true;
    }
    let mut own = text[at..].chars();
    let (first, second) = (own.next(), own.next());
    first.is_some_and(char::is_uppercase) && (last.is_lowercase() || second.is_some_and(char::is_lowercase))
}

/// A quote with the backslashes before it: there are the more of them, the deeper texts lie within texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    pub byte: u8,
    pub escapes: usize,
}

/// What may be a key in front of a separator.
#[derive(Debug)]
pub struct Key {
    /// Where its name ends.
    pub end: usize,
    /// The quotes it stands in.
    pub quote: Option<Quote>,
}

impl Key {
    /// Its quotes as they are written.
    pub fn quote_text<'t>(&self, text: &'t str) -> &'t str {
        self.quote.map_or("", |quote| &text[self.end..self.end + quote.escapes + 1])
    }
}

/// How many backslashes stand before a place.
pub fn escapes(bytes: &[u8], place: usize) -> usize {
    bytes[..place].iter().rev().take_while(|b| **b == b'\\').count()
}

/// What stands in front of a separator, if it ends like a key: `password=`, `'password':`, `d["password"] =`.
pub fn before(text: &str, separator: usize) -> Option<Key> {
    let bytes = text.as_bytes();
    let mut end = separator;
    while end > 0 && bytes[end - 1] == b' ' {
        end -= 1;
    }
    if end > 0 && bytes[end - 1] == b']' {
        end -= 1;
    }
    let mut quote = None;
    if end > 0 && matches!(bytes[end - 1], b'\'' | b'"') {
        end -= 1;
        let escapes = escapes(bytes, end);
        quote = Some(Quote { byte: bytes[end], escapes });
        end -= escapes;
    }
    // A comma is one between the two halves of a pair, and else separates no key from its value.
    if bytes[separator] == b',' && (quote.is_none() || end + quote.map_or(0, |q| q.escapes) + 1 != separator) {
        return None;
    }
    (end > 0).then_some(Key { end, quote })
}
