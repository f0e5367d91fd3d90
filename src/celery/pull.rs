//! JSON as Python's encoder writes it, read piece by piece where it lies: for the one road that every event takes. It
//! knows less than JSON allows. Of whatever it does not know, and of what is broken, it says nothing, and who asks takes
//! the long road through `serde_json`. What it does read, it reads as that would.

/// Lists and objects within each other that are skipped.
const DEEPEST: u8 = 16;
/// Digits that surely fit into 64 bits.
const DIGITS: usize = 18;
/// Whole numbers up to here are exact as floating point.
const EXACT: u64 = 1 << 53;
/// As are these; one divided by the other is then rounded once, as it should be.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A text before its escapes are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub text: &'a str,
    pub escaped: bool,
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Raw<'a>),
}

/// See the module. What every value of every event passes is set into the one place it is called from: handing a text on
/// through memory costs as much as reading it.
pub(super) struct Pull<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pull<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no space.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Goes behind this byte, if it is the next.
    #[inline(always)]
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Goes behind this word, if it is the next, after one space at most.
    #[inline(always)]
    pub fn word(&mut self, word: &str) -> bool {
        let bytes = self.text.as_bytes();
        let at = self.at + usize::from(bytes.get(self.at) == Some(&b' '));
        let end = at + word.len();
        let found = bytes.get(at..end).is_some_and(|next| same(next, word.as_bytes()));
        if found {
            self.at = end;
        }
        found
    }

    /// Whether there is nothing more.
    pub fn is_over(&mut self) -> bool {
        self.next().is_none()
    }

    /// Behind an item: whether another one follows, else the list or object ends here.
    #[inline(always)]
    pub fn more(&mut self, end: u8) -> Option<bool> {
        match self.next()? {
            b',' => {
                self.at += 1;
                Some(true)
            }
            byte if byte == end => {
                self.at += 1;
                Some(false)
            }
            _ => None,
        }
    }

    /// A name and its colon.
    pub fn key(&mut self) -> Option<&'a str> {
        if !self.eat(b'"') {
            return None;
        }
        let Raw { text, escaped: false } = self.string()? else { return None };
        self.eat(b':').then_some(text)
    }

    /// A text that has no escapes.
    pub fn plain(&mut self) -> Option<&'a str> {
        match self.token()? {
            Token::Text(Raw { text, escaped: false }) => Some(text),
            _ => None,
        }
    }

    /// Any value but a list or an object.
    #[inline(always)]
    pub fn token(&mut self) -> Option<Token<'a>> {
        match self.next()? {
            b'"' => {
                self.at += 1;
                self.string().map(Token::Text)
            }
            b'n' => self.word("null").then_some(Token::Null),
            b't' => self.word("true").then_some(Token::Bool(true)),
            b'f' => self.word("false").then_some(Token::Bool(false)),
            _ => self.number().map(Token::Number),
        }
    }

    /// Goes behind any value.
    pub fn skip(&mut self) -> Option<()> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, deep: u8) -> Option<()> {
        let (end, named) = match self.next()? {
            b'{' => (b'}', true),
            b'[' => (b']', false),
            _ => return self.token().map(|_| ()),
        };
        let deep = deep.checked_sub(1)?;
        self.at += 1;
        if self.eat(end) {
            return Some(());
        }
        loop {
            if named {
                self.key()?;
            }
            self.skip_within(deep)?;
            if !self.more(end)? {
                return Some(());
            }
        }
    }

    /// A text, behind its first quote.
    #[inline(always)]
    fn string(&mut self) -> Option<Raw<'a>> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut escaped = false;
        loop {
            self.at += run(&bytes[self.at..]);
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                // Not allowed within a text.
                _ => return None,
            }
            if self.at > bytes.len() {
                return None;
            }
        }
        let text = self.text.get(start..self.at)?;
        self.at += 1;
        Some(Raw { text, escaped })
    }

    #[inline(always)]
    fn digits(&mut self) -> (u64, usize) {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = bytes.get(self.at) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        (value, self.at - start)
    }

    #[inline(always)]
    fn number(&mut self) -> Option<Number> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let minus = bytes.get(start) == Some(&b'-');
        self.at += usize::from(minus);
        let leads_with_zero = bytes.get(self.at) == Some(&b'0');
        let (whole, size) = self.digits();
        if size == 0 || size > DIGITS || (leads_with_zero && size > 1) {
            return None;
        }
        match bytes.get(self.at) {
            Some(b'.') => {}
            Some(b'e' | b'E') => return self.power(start),
            // There is no negative zero among whole numbers.
            _ if minus && whole == 0 => return None,
            _ => {
                let value = whole as i64;
                return Some(Number::Int(if minus { -value } else { value }));
            }
        }
        self.at += 1;
        let (part, places) = self.digits();
        if places == 0 {
            return None;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            return self.power(start);
        }
        if size + places > DIGITS || places >= POWERS.len() {
            return self.parse(start);
        }
        let all = whole * 10u64.pow(places as u32) + part;
        if all > EXACT {
            return self.parse(start);
        }
        let value = all as f64 / POWERS[places];
        Some(Number::Float(if minus { -value } else { value }))
    }

    /// A number with a power of ten, from its `e` on.
    fn power(&mut self, start: usize) -> Option<Number> {
        self.at += 1;
        if matches!(self.text.as_bytes().get(self.at), Some(b'+' | b'-')) {
            self.at += 1;
        }
        if self.digits().1 == 0 {
            return None;
        }
        self.parse(start)
    }

    fn parse(&self, start: usize) -> Option<Number> {
        let value: f64 = self.text.get(start..self.at)?.parse().ok()?;
        value.is_finite().then_some(Number::Float(value))
    }
}

/// Whether two short texts of one length are the same, without the call that a comparison of any length costs.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    match (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>()) {
        // Where they are shorter than 16 both ends overlap.
        (Some(begin), Some(other), Some(end), Some(others)) if a.len() <= 16 => begin == other && end == others,
        _ => a == b,
    }
}

/// How many bytes a text goes on before a quote, an escape or a control character; eight at a time.
#[inline(always)]
fn run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
        let eight = u64::from_le_bytes(eight);
        // The lowest marked byte is right; one above it may be marked because of it.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let quote = zero(eight ^ (ONES * b'"' as u64));
        let escape = zero(eight ^ (ONES * b'\\' as u64));
        let control = eight.wrapping_sub(ONES * 0x20) & !eight;
        let found = (quote | escape | control) & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Undoes the escapes of a text. Half a surrogate pair is nothing that a text can hold.
pub(super) fn unescape(raw: &str, out: &mut String) -> Option<()> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..at)?);
        let bytes = rest.as_bytes();
        let (c, size) = match bytes.get(at + 1)? {
            b'"' => ('"', 2),
            b'\\' => ('\\', 2),
            b'/' => ('/', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => unit(bytes, at).and_then(|high| match high {
                0xD800..0xDC00 => {
                    let low = unit(bytes, at + 6).filter(|low| (0xDC00..0xE000).contains(low))?;
                    char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)).map(|c| (c, 12))
                }
                unit => char::from_u32(unit).map(|c| (c, 6)),
            })?,
            _ => return None,
        };
        out.push(c);
        rest = rest.get(at + size..)?;
    }
    out.push_str(rest);
    Some(())
}

/// The four digits of an escape that stands at this place.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Option<Token<'_>> {
        let mut pull = Pull::new(text);
        pull.token().filter(|_| pull.is_over())
    }

    #[test]
    fn numbers_are_read_as_the_long_road_reads_them_or_not_at_all() {
        for text in [
            "0",
            "7",
            "-7",
            "-0",
            "00",
            "01",
            "1.",
            ".5",
            "-",
            "1795529007.123456",
            "0.1",
            "-2.50",
            "9.5e-05",
            "1E+3",
            "1e",
            "1e400",
            "123456789012345678",
            "1234567890123456789",
            "0.30000000000000004",
            "123456789.1234567890123",
            "5.0000000000000001",
            "+1",
            "1x",
            "NaN",
            "1e5.5",
            "179552900712345.678901",
        ] {
            let Some(found) = token(text) else { continue };
            let long: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text} is read"));
            match found {
                Token::Number(Number::Int(i)) => assert_eq!(long.as_i64(), Some(i), "{text}"),
                // Rounded as it should be, which `serde_json` does not promise.
                Token::Number(Number::Float(f)) => assert_eq!(text.parse(), Ok(f), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["0", "-7", "1795529007.123456", "9.5e-05", "0.30000000000000004"] {
            assert!(token(text).is_some(), "{text} is usual");
        }
    }

    #[test]
    fn texts_end_where_they_end_however_long_they_are() {
        for length in 0..40 {
            let text = "x".repeat(length);
            assert_eq!(token(&format!("\"{text}\"")), Some(Token::Text(Raw { text: &text, escaped: false })));
            let escaped = format!("{text}\\\"é\\\\");
            assert_eq!(token(&format!("\"{escaped}\"")), Some(Token::Text(Raw { text: &escaped, escaped: true })));
            for broken in ["\n", "\u{1}", "\\"] {
                assert_eq!(token(&format!("\"{text}{broken}\"")), None);
            }
            assert_eq!(token(&format!("\"{text}")), None);
        }
    }

    #[test]
    fn escapes_are_undone_as_the_long_road_does_it() {
        for raw in [r"a\nb", r#"\"\\\/\b\f\n\r\t"#, r"\u00e9\u20ac", r"\ud83d\ude00!", "", "é"] {
            let mut out = String::new();
            unescape(raw, &mut out).unwrap_or_else(|| panic!("{raw} is read"));
            assert_eq!(serde_json::from_str::<String>(&format!("\"{raw}\"")).ok(), Some(out));
        }
        for raw in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\u0041", r"\u00g0", r"\u00", r"\x", "\\"] {
            assert_eq!(unescape(raw, &mut String::new()), None, "{raw}");
        }
    }

    #[test]
    fn whatever_is_within_each_other_is_skipped_down_to_a_depth() {
        let skipped = |text: &str| {
            let mut pull = Pull::new(text);
            pull.skip().filter(|()| pull.is_over())
        };
        for text in [r#"{"a": [1, {"b": null}, []], "c": {}}"#, "[ ]", "true", r#""x""#] {
            assert_eq!(skipped(text), Some(()), "{text}");
        }
        for text in ["[1,]", "{1: 2}", "[1 2]", "{\"a\" 1}", "[", "nul", &"[".repeat(40)] {
            assert_eq!(skipped(text), None, "{text}");
        }
        assert_eq!(skipped(&format!("{}{}", "[".repeat(20), "]".repeat(20))), None);
    }
}
