//! Where the value behind a key begins and ends.

use std::ops::Range;

use memchr::{memchr, memchr2_iter};

use super::keys::{Key, Quote, escapes};

/// A value: what stands between its quotes, or all of it.
#[derive(Debug, PartialEq)]
pub enum Found {
    InQuotes(Range<usize>),
    Bare(Range<usize>),
}

/// Bytes that are looked through to settle a doubt: where that is not enough, more goes, and a hostile text costs no more
/// time than another.
const FAR: usize = 4 << 10;

/// Words before credentials in a header (RFC 9110, 11.1).
const SCHEMES: [&str; 5] = ["bearer ", "basic ", "token ", "digest ", "negotiate "];

/// The value of a key, if this separator stands between the two. In code only a literal is one.
pub fn behind(text: &str, separator: usize, key: &Key, code: bool) -> Option<Found> {
    let bytes = text.as_bytes();
    let mut at = separator + 1;
    match bytes[separator] {
        // `==`, and `=>` of other languages.
        b'=' if matches!(bytes.get(at), Some(b'=' | b'>')) => at += 1,
        b',' if !is_pair(bytes, key) => return None,
        b':' if key.quote.is_none() && !is_field(text, separator, key) => return None,
        _ => {}
    }
    let gap = |b: &u8| if key.quote.is_some() { b.is_ascii_whitespace() } else { *b == b' ' };
    while bytes.get(at).is_some_and(gap) {
        at += 1;
    }
    let (found, end) = match string(bytes, at) {
        Some(None) => return None,
        Some(Some((content, end))) => (Found::InQuotes(content), end),
        None if code && !bytes.get(at).is_some_and(u8::is_ascii_digit) => return None,
        None => {
            let end = bare(bytes, at, bytes[separator], key);
            (Found::Bare(at..end), end)
        }
    };
    // A longer row is no pair.
    let closed = |b: Option<&u8>| b.is_none_or(|b| matches!(b, b')' | b']'));
    (bytes[separator] != b',' || end - at > FAR || closed(bytes.get(end))).then_some(found)
}

/// Whether the key stands alone at the beginning of a pair which is itself one of several: `[('password', 'x')]`. The
/// first of a task's arguments is no key.
fn is_pair(bytes: &[u8], key: &Key) -> bool {
    let Some(quote) = key.quote else { return false };
    let word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b' ' | b'.');
    let begin = key.end - bytes[..key.end].iter().rev().take_while(word).count();
    let Some(open) = begin.checked_sub(quote.escapes + 1) else { return false };
    if bytes[begin - 1] != quote.byte || escapes(bytes, begin - 1) != quote.escapes {
        return false;
    }
    let mut before = bytes[..open].iter().rev().skip_while(|b| b"bu".contains(b));
    matches!(before.next(), Some(b'(' | b'['))
        && matches!(before.find(|b| **b != b' '), Some(b'[' | b'(' | b'{' | b','))
}

/// Whether `key: value` without quotes is meant as that, and is not the middle of a sentence.
fn is_field(text: &str, separator: usize, key: &Key) -> bool {
    let rest = text[separator + 1..].trim_start_matches(' ');
    if SCHEMES.iter().any(|s| rest.get(..s.len()).is_some_and(|word| word.eq_ignore_ascii_case(s))) {
        return true;
    }
    if !text[separator + 1..].starts_with([' ', '\'', '"', '{', '[']) {
        return false;
    }
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = text[..key.end].trim_end_matches(word);
    // The first letter belongs to a line break that was escaped.
    if name.ends_with('\\') && text[name.len()..].starts_with(['n', 'r', 't']) {
        return true;
    }
    let before = name.trim_end_matches(' ');
    before.is_empty() || before.ends_with(['{', ',', '(', '[', ';', '\n', '\'', '"'])
}

fn is_word(b: Option<&u8>) -> bool {
    b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80)
}

/// Whether a quote can begin a text: an apostrophe within a word does not, one behind `b` or `rb` does.
fn opens(bytes: &[u8], quote: usize, escapes: usize) -> bool {
    let before = &bytes[..quote - escapes];
    let prefix = before.iter().rev().take(2).take_while(|b| b"bBrRuUfF".contains(b)).count();
    (0..=prefix).any(|n| !is_word(before[..before.len() - n].last()))
}

/// A text in quotes that begins at a place: its content, and where it ends. Nothing is in it where the quote is the end
/// of a text around: `'/reset?token='`.
#[allow(clippy::option_option)]
fn string(bytes: &[u8], at: usize) -> Option<Option<(Range<usize>, usize)>> {
    let rest = bytes.get(at..)?;
    let prefix = rest.iter().take(2).take_while(|b| b"bBrRuUfF".contains(b)).count();
    let escapes = rest[prefix..].iter().take_while(|b| **b == b'\\').count();
    let place = at + prefix + escapes;
    let byte = *bytes.get(place).filter(|b| matches!(b, b'\'' | b'"'))?;
    let quote = Quote { byte, escapes };
    let mut from = place + 1;
    let doubtful = bytes.get(from).is_none_or(|b| b.is_ascii_whitespace() || b",)}];:&".contains(b));
    if prefix == 0 && doubtful && open_at(bytes, place, escapes) == Some(byte) {
        return Some(None);
    }
    if bytes[from..].starts_with(&[byte, byte]) && escapes == 0 {
        // Three of them enclose a text in code.
        from += 2;
    }
    let end = closing(bytes, from, quote);
    Some(Some((from..end, (end + escapes + 1).min(bytes.len()))))
}

/// Where the content of a text ends that begins at `from`. A quote with more backslashes belongs to it; one with fewer
/// ends the text around, which was cut off.
fn closing(bytes: &[u8], from: usize, quote: Quote) -> usize {
    let mut at = from;
    while let Some(found) = memchr(quote.byte, &bytes[at..]) {
        let place = at + found;
        let escapes = escapes(&bytes[from..], place - from);
        if escapes < quote.escapes || (escapes == quote.escapes && !is_word(bytes.get(place + 1))) {
            return place - escapes;
        }
        at = place + 1;
    }
    bytes.len()
}

/// The quote of the text that is open at a place, looking at those with so many backslashes.
fn open_at(bytes: &[u8], place: usize, depth: usize) -> Option<u8> {
    let mut open = None;
    if place > FAR {
        return None;
    }
    for at in memchr2_iter(b'\'', b'"', &bytes[..place]) {
        if escapes(bytes, at) != depth {
            continue;
        }
        match open {
            None if opens(bytes, at, depth) => open = Some(bytes[at]),
            Some(byte) if byte == bytes[at] && !is_word(bytes.get(at + 1)) => open = None,
            _ => {}
        }
    }
    open
}

/// Where a value without quotes ends.
fn bare(bytes: &[u8], from: usize, separator: u8, key: &Key) -> usize {
    let depth = key.quote.map_or(0, |quote| quote.escapes);
    let in_line = separator == b'=' && key.quote.is_none();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'(' | b'[' | b'{' => {
                at = group(bytes, at, depth);
                continue;
            }
            b'<' if at == from => {
                at = group(bytes, at, depth);
                continue;
            }
            b',' | b')' | b']' | b'}' | b'\n' | b'\r' => break,
            b' ' | b'\t' | b'&' | b';' | b'>' if in_line => break,
            b'\'' | b'"' if !is_word(bytes.get(at + 1)) => {
                at -= escapes(&bytes[from..], at - from);
                break;
            }
            _ => at += 1,
        }
    }
    let blank = bytes[from..at].iter().rev().take_while(|b| b.is_ascii_whitespace()).count();
    at - blank
}

/// Where brackets end that open at a place. What is in quotes in them counts for nothing.
fn group(bytes: &[u8], from: usize, depth: usize) -> usize {
    let angles = bytes[from] == b'<';
    let (mut open, mut at) = (0usize, from);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b'<' if angles => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'>' if angles => open = open.saturating_sub(1),
            b'\'' | b'"' => {
                let escapes = escapes(&bytes[from..], at - 1 - from);
                if escapes < depth {
                    // The text around was cut off in the middle of this.
                    return at - 1 - escapes;
                }
                if opens(bytes, at - 1, escapes) {
                    let end = closing(bytes, at, Quote { byte, escapes });
                    at = (end + escapes + 1).min(bytes.len());
                }
            }
            _ => {}
        }
        if open == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The password in `redis://user:password@host`, where the part behind `://` begins at a place. Of a URL that was cut
/// off before its host, what can't be a port.
pub fn password_of_url(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    // What ends it is ASCII, and so is a place to cut at, or the end.
    let end = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'\'' | b'"' | b'\\');
    let most = rest
        .bytes()
        .take(FAR)
        .position(|b| end(&b))
        .unwrap_or_else(|| (0..=FAR.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0));
    let whole = &rest[..most];
    let host = whole.find(['/', '?', '#']).unwrap_or(whole.len());
    let colon = whole[..host].find(':')?;
    let begin = colon + 1;
    let is_port = |part: &str| part.len() <= 5 && part.bytes().all(|b| b.is_ascii_digit());
    let end = match whole[..host].rfind('@') {
        Some(at) if at < colon => return None,
        Some(at) => at,
        None if whole.starts_with('[') => return None,
        // A slash in a password should have been escaped, and was not.
        None if colon > 0 && is_port(whole[begin..host].trim_end_matches('.')) => return None,
        None => match whole.rfind('@') {
            Some(at) => at,
            None if host == whole.len() && (host == rest.len() || whole.ends_with("...")) => host,
            None => return None,
        },
    };
    (begin < end).then_some(from + begin..from + end)
}
