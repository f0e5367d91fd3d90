//! From a line to a [`Filter`].

use super::words::{Edge, Measure, Trait, Word};
use super::{Comparison, Filter, Pattern, Term, Test, When};

/// Why a filter can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// Character at which the trouble begins.
    pub at: usize,
    pub what: String,
}

/// Reads a filter line.
pub fn parse(line: &str) -> Result<Filter, Error> {
    let mut terms = Vec::new();
    for token in tokens(line)? {
        terms.push(term(&token)?);
    }
    Ok(Filter { terms })
}

/// A stretch without spaces, as (character, was it quoted).
struct Token {
    at: usize,
    chars: Vec<(char, bool)>,
}

impl Token {
    fn text(&self, from: usize) -> String {
        self.chars[from..].iter().map(|(c, _)| c).collect()
    }
}

fn tokens(line: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut current: Option<Token> = None;
    let mut quote: Option<usize> = None;
    let mut chars = line.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, quote.is_some()) {
            ('"', true) => quote = None,
            ('"', false) => {
                quote = Some(at);
                current.get_or_insert_with(|| Token { at, chars: Vec::new() });
            }
            ('\\', true) if matches!(chars.peek(), Some((_, '"' | '\\'))) => {
                if let (Some((_, next)), Some(token)) = (chars.next(), current.as_mut()) {
                    token.chars.push((next, true));
                }
            }
            (c, false) if c.is_whitespace() => tokens.extend(current.take()),
            (c, quoted) => {
                current.get_or_insert_with(|| Token { at, chars: Vec::new() }).chars.push((c, quoted));
            }
        }
    }
    if let Some(at) = quote {
        return Err(Error { at, what: "this quote is never closed".into() });
    }
    tokens.extend(current);
    Ok(tokens)
}

fn term(token: &Token) -> Result<Term, Error> {
    let negated = token.chars.first() == Some(&('-', false)) && token.chars.len() > 1;
    let start = usize::from(negated);
    let colon = token.chars.iter().position(|&c| c == (':', false)).filter(|&c| c > start);
    let Some(colon) = colon else {
        return Ok(Term { negated, test: Test::Anywhere(Pattern::new(&token.text(start))) });
    };
    let key: String = token.chars[start..colon].iter().map(|(c, _)| c).collect();
    let value_at = token.at + colon + 1;
    let test = if let Some(&word) = Word::ALL.iter().find(|w| w.key() == key) {
        Test::Text(word, patterns(token, colon + 1, value_at)?)
    } else if let Some(&measure) = Measure::ALL.iter().find(|m| m.key() == key) {
        number(measure, &token.text(colon + 1), value_at)?
    } else if let Some(&edge) = Edge::ALL.iter().find(|e| e.key() == key) {
        match token.text(colon + 1) {
            text if text.is_empty() => return Err(missing(value_at)),
            text => Test::Time(edge, When::parse(&text)),
        }
    } else if let Some(&what) = Trait::ALL.iter().find(|t| t.key() == key) {
        Test::Is(what, yes_or_no(what, &token.text(colon + 1), value_at)?)
    } else {
        return Err(Error { at: token.at + start, what: unknown(&key) });
    };
    Ok(Term { negated, test })
}

fn patterns(token: &Token, from: usize, at: usize) -> Result<Vec<Pattern>, Error> {
    let patterns: Vec<Pattern> = token.chars[from..]
        .split(|&c| c == (',', false))
        .map(|part| part.iter().map(|(c, _)| c).collect::<String>())
        .filter(|part| !part.is_empty())
        .map(|part| Pattern::new(&part))
        .collect();
    if patterns.is_empty() { Err(missing(at)) } else { Ok(patterns) }
}

fn missing(at: usize) -> Error {
    Error { at, what: "a value is missing behind the colon".into() }
}

fn yes_or_no(what: Trait, text: &str, at: usize) -> Result<bool, Error> {
    match text {
        "yes" | "y" => Ok(true),
        "no" | "n" => Ok(false),
        _ => Err(Error { at, what: format!("{} takes yes or no", what.key()) }),
    }
}

fn number(measure: Measure, text: &str, at: usize) -> Result<Test, Error> {
    let (comparison, rest) = match text.chars().next() {
        Some('>') => (Comparison::Above, &text[1..]),
        Some('<') => (Comparison::Below, &text[1..]),
        _ => (Comparison::Equal, text),
    };
    let value = if measure.is_seconds() { crate::human::parse_seconds(rest) } else { rest.parse().ok() };
    match value {
        Some(value) => Ok(Test::Number(measure, comparison, value)),
        None => {
            let example = if measure.is_seconds() { ">2s or <500ms" } else { ">1" };
            Err(Error { at, what: format!("{} takes a number such as {example}", measure.key()) })
        }
    }
}

fn unknown(key: &str) -> String {
    let words = Word::ALL.iter().map(|w| w.key()).chain(Measure::ALL.iter().map(|m| m.key()));
    let keys = words.chain(Edge::ALL.iter().map(|e| e.key())).chain(Trait::ALL.iter().map(|t| t.key()));
    match crate::text::nearest(key, keys) {
        Some(near) => format!("there is no {key}: here, did you mean {near}:? (a text with a colon goes in quotes)"),
        None => format!("there is no {key}: here (a text with a colon goes in quotes)"),
    }
}

/// Puts quotes around a value that would be read differently without.
pub(super) fn quote(value: &str, bare: bool) -> String {
    let special = |c: char| c.is_whitespace() || c == '"' || c == ',' || (bare && c == ':');
    if value.is_empty() || value.contains(special) || (bare && value.starts_with('-')) {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(line: &str) -> String {
        parse(line).map(|f| f.to_string()).unwrap_or_else(|e| format!("{}: {}", e.at, e.what))
    }

    #[test]
    fn filters_are_read_and_printed_back() {
        for (line, want) in [
            ("", ""),
            ("state:failure task:billing.*  timeout", "state:failure task:billing.* timeout"),
            ("-worker:app-7 \"two words\"", "-worker:app-7 \"two words\""),
            ("state:failure,retry", "state:failure,retry"),
            ("task:\"a,b\"", "task:\"a,b\""),
            ("runtime:>1500ms wait:<2m tries:>1", "runtime:>1.5s wait:<120s tries:>1"),
            ("-", "\"-\""),
            ("queue:=default", "queue:=default"),
            ("\"a:b\"", "\"a:b\""),
            ("since:15m until:14:00 -since:deploy", "since:15m until:14:00 -since:deploy"),
            ("open:y retried:no runs:>1 eta:<1h", "open:yes retried:no runs:>1 eta:<3600s"),
        ] {
            assert_eq!(round(line), want, "{line}");
        }
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        assert_eq!(
            round("x sate:failure"),
            "2: there is no sate: here, did you mean state:? (a text with a colon goes in quotes)"
        );
        assert_eq!(round("state:"), "6: a value is missing behind the colon");
        assert_eq!(round("runtime:>slow"), "8: runtime takes a number such as >2s or <500ms");
        assert_eq!(round("a \"b"), "2: this quote is never closed");
        assert_eq!(round("open:maybe"), "5: open takes yes or no");
        assert_eq!(round("since:"), "6: a value is missing behind the colon");
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(line in "[a-z*:\\-\", =>1s\\\\]{0,30}") {
            if let Ok(filter) = parse(&line) {
                proptest::prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
            }
        }

        #[test]
        fn any_line_is_read_or_refused_without_a_panic(line in ".{0,40}") {
            let _ = parse(&line);
        }
    }
}
