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
    /// By the byte they end with, in small letters or capitals: most keys are told from them by their last one.
    by_end: Vec<Vec<String>>,
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
        let mut by_end: Vec<Vec<String>> = vec![Vec::new(); 256];
        for name in names {
            let name = fold(name.as_ref());
            for last in [name.bytes().last(), name.to_uppercase().bytes().last()].into_iter().flatten() {
                let bucket = &mut by_end[usize::from(last)];
                if !bucket.contains(&name) {
                    bucket.push(name.clone());
                }
            }
        }
        Self { by_end }
    }

    pub fn is_empty(&self) -> bool {
        self.by_end.iter().all(Vec::is_empty)
    }

    /// Whether one of the names is the last word of a text, whatever joins its parts; `password2` is a password too.
    pub fn end(&self, text: &str) -> bool {
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let text = &text[..text.len() - digits];
        let Some(last) = text.as_bytes().last() else { return false };
        self.by_end[usize::from(*last)].iter().any(|name| ends_with(text, name))
    }
}

fn ends_with(text: &str, name: &str) -> bool {
    // The letter before the last tells nearly all others apart.
    if let ([.., a, _], [.., b, _]) = (text.as_bytes(), name.as_bytes())
        && a.is_ascii_alphanumeric()
        && b.is_ascii()
        && !a.eq_ignore_ascii_case(b)
    {
        return false;
    }
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
    // A comma is one between the two halves of a pair, and else separates no key from its value.
    if bytes[separator] == b',' && !matches!(bytes[..separator].last(), Some(b'\'' | b'"')) {
        return None;
    }
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
    (end > 0).then_some(Key { end, quote })
}
