//! Text that is safe to print. Whatever came from the broker is hostile until it went through [`clean`].

use std::borrow::Cow;
use std::fmt;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// One line that can't do anything to a terminal but be seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Clean(Cow<'static, str>);

impl Clean {
    /// A text of our own.
    pub const fn own(text: &'static str) -> Self {
        Clean(Cow::Borrowed(text))
    }

    /// Something formatted; made safe like all else.
    pub fn format(args: fmt::Arguments<'_>) -> Self {
        match args.as_str() {
            Some(text) => clean(text),
            None => clean(&args.to_string()),
        }
    }

    /// The same character so many times.
    pub fn repeated(c: char, n: usize) -> Self {
        clean(&c.to_string().repeat(n))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Columns it takes.
    pub fn width(&self) -> usize {
        self.0.width()
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AsRef<Clean> for Clean {
    fn as_ref(&self) -> &Clean {
        self
    }
}

/// Like `format!`, and safe to print.
#[macro_export]
macro_rules! clean {
    ($($arg:tt)*) => { $crate::text::Clean::format(format_args!($($arg)*)) };
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Makes a text safe: controls, escapes, bidirectional overrides and invisible characters become visible escapes,
/// line breaks `⏎`. The result is one line.
pub fn clean(text: &str) -> Clean {
    Clean(Cow::Owned(sanitise(text).into_owned()))
}

fn sanitise(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push('⏎'),
            '\t' => out.push(' '),
            '\r' => {}
            c if is_hostile(c) => out.extend(c.escape_unicode().filter(|c| !matches!(c, '{' | '}'))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Controls, and what changes the direction or place of other text, or hides.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}'
            | '\u{180e}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The lines of a text, each safe; tabs become four spaces.
pub fn clean_lines(text: &str) -> Vec<Clean> {
    text.lines().map(|line| clean(&line.replace('\t', "    "))).collect()
}

/// Cuts the end so that it fits `width` columns.
pub fn cut_end(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut out = take_width(text, width.saturating_sub(1));
    if width > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// Cuts the middle so that it fits `width` columns: of `billing.invoices.send_reminder` both the package and the
/// function stay readable.
pub fn cut_middle(text: &str, width: usize) -> Cow<'_, str> {
    let whole = text.width();
    if whole <= width {
        return Cow::Borrowed(text);
    }
    if width < 4 {
        return cut_end(text, width);
    }
    let tail = (width - 1).div_ceil(2);
    let mut out = take_width(text, width - 1 - tail);
    out.push('…');
    let mut end = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true).rev() {
        used += grapheme.width();
        if used > tail {
            break;
        }
        end.insert_str(0, grapheme);
    }
    out.push_str(&end);
    Cow::Owned(out)
}

/// Words side by side, two columns apart, in lines of at most `width` columns; a longer word has its own line.
pub fn pack<'a>(words: impl IntoIterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.width() + 2 + word.width() <= width => {
                line.push_str("  ");
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn take_width(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > width {
            break;
        }
        out.push_str(grapheme);
    }
    out
}

/// The candidate that is spelled most like `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().map(|c| (distance(word, c), c)).min()?;
    (near.0 <= (word.chars().count() / 2).clamp(1, 3)).then_some(near.1)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = if ca == *cb { diagonal } else { diagonal + 1 };
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_gets_through() {
        assert_eq!(clean("a\x1b[31mb\x07").as_str(), "a\\u1b[31mb\\u7");
        assert_eq!(clean("x\u{202e}y\u{9b}z\u{feff}").as_str(), "x\\u202ey\\u9bz\\ufeff");
        assert_eq!(clean("two\r\nlines\t.").as_str(), "two⏎lines .");
        assert_eq!(clean("日本語 é").as_str(), "日本語 é");
    }

    #[test]
    fn a_cut_name_keeps_its_package_and_its_function() {
        assert_eq!(cut_middle("billing.invoices.send_reminder", 20), "billing.i…d_reminder");
        assert_eq!(cut_middle("short", 20), "short");
        assert_eq!(cut_end("abcdef", 4), "abc…");
        assert_eq!(cut_end("abc", 0), "");
    }

    #[test]
    fn words_are_packed_into_lines_and_none_is_lost() {
        assert_eq!(pack(["ab", "cd", "a long word", "e"], 7), ["ab  cd", "a long word", "e"]);
        let names: Vec<String> = (0..40).map(|n| format!("celery@export-{n}")).collect();
        let lines = pack(names.iter().map(String::as_str), 90);
        assert!(lines.len() < 12 && lines.iter().all(|l| l.width() <= 90));
        assert_eq!(lines.join("  "), names.join("  "));
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("brokr", ["broker", "color"]), Some("broker"));
        assert_eq!(nearest("zzzzzz", ["broker", "color"]), None);
    }

    proptest::proptest! {
        #[test]
        fn a_cut_text_is_never_wider_than_asked(text in "\\PC{0,40}", width in 0usize..50) {
            proptest::prop_assert!(cut_middle(&text, width).width() <= width);
            proptest::prop_assert!(cut_end(&text, width).width() <= width);
        }

        #[test]
        fn clean_text_has_no_controls(text in ".{0,60}") {
            let clean = clean(&text);
            proptest::prop_assert!(!clean.as_str().chars().any(|c| c.is_control() || is_hostile(c)));
        }
    }
}
