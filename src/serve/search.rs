//! Flower's search syntax (2.2.0, `utils/search.py`): words joined by AND and OR, phrases, groups, and qualifiers.

use crate::celery::repr::{self, Py};
use crate::state::Task;

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Search {
    All(Vec<Search>),
    Any(Vec<Search>),
    Term(Term),
}

/// One word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// In small letters, in one of the texts.
    Anywhere(String),
    In(Place, String),
    State(String),
    /// A keyword argument with this value.
    Keyword(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Name,
    Worker,
    Args,
    Kwargs,
    Result,
}

const LONGEST: usize = 2_048;
const TOKENS: usize = 128;
const DEEPEST: usize = 5;
const SHORTEST: usize = 3;

/// Reads a search; nothing is one for everything.
pub(super) fn parse(text: &str) -> Result<Option<Search>, String> {
    if text.chars().count() > LONGEST {
        return Err(format!("Query exceeds {LONGEST} characters."));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    if tokens.len() > TOKENS {
        return Err(format!("Query exceeds {TOKENS} tokens."));
    }
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let search = parser.any()?;
    match parser.peek() {
        Some(token) if token.what == What::Close => at(token.at, "Unexpected ')'"),
        Some(token) => at(token.at, "Expected a search term"),
        None => Ok(Some(search)),
    }
}

fn at<T>(place: usize, why: &str) -> Result<T, String> {
    Err(format!("{why} at position {place}."))
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Open,
    Close,
    And,
    Or,
    /// A word, with the length of its qualifier up to the first colon outside of quotes.
    Word {
        text: String,
        colon: Option<usize>,
        quoted: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Token {
    at: usize,
    what: What,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut i) = (Vec::new(), 0);
    while let Some(&c) = chars.get(i) {
        let begin = i;
        let what = match c {
            c if c.is_whitespace() => {
                i += 1;
                continue;
            }
            '(' => What::Open,
            ')' => What::Close,
            _ => {
                let (word, end) = word(&chars, begin)?;
                i = end;
                tokens.push(Token { at: begin, what: word });
                continue;
            }
        };
        i += 1;
        tokens.push(Token { at: begin, what });
    }
    Ok(tokens)
}

/// A word from its first character on, and where it ends. Quotes may begin it, or stand within.
fn word(chars: &[char], begin: usize) -> Result<(What, usize), String> {
    let (mut text, mut i, mut colon, mut quoted) = (String::new(), begin, None, false);
    while let Some(&c) = chars.get(i) {
        match c {
            '"' => {
                quoted = true;
                let opened = i;
                i += 1;
                loop {
                    match (chars.get(i), chars.get(i + 1)) {
                        (None, _) => return at(opened, "Unterminated quoted phrase"),
                        (Some('"'), _) => break,
                        (Some('\\'), Some(&next @ ('"' | '\\'))) => {
                            text.push(next);
                            i += 1;
                        }
                        (Some(&c), _) => text.push(c),
                    }
                    i += 1;
                }
            }
            c if c.is_whitespace() || c == '(' || c == ')' => break,
            ':' if colon.is_none() && !quoted => {
                colon = Some(text.len());
                text.push(c);
            }
            c => text.push(c),
        }
        i += 1;
    }
    let bare = !quoted;
    match text.as_str() {
        "AND" if bare => return Ok((What::And, i)),
        "OR" if bare => return Ok((What::Or, i)),
        "NOT" if bare => return at(begin, "NOT is not supported"),
        _ => {}
    }
    if chars.get(begin) == Some(&'-') && text.len() > 1 {
        return at(begin, "Negation with '-' is not supported");
    }
    Ok((What::Word { text, colon, quoted }, i))
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn any(&mut self) -> Result<Search, String> {
        let mut parts = vec![self.all()?];
        while let Some(Token { at: place, what: What::Or }) = self.peek().cloned() {
            self.next += 1;
            match self.peek() {
                None | Some(Token { what: What::Or | What::And | What::Close, .. }) => {
                    return at(place, "OR must be followed by a search term");
                }
                Some(_) => parts.push(self.all()?),
            }
        }
        Ok(one_or(parts, Search::Any))
    }

    fn all(&mut self) -> Result<Search, String> {
        let mut parts = vec![self.one()?];
        loop {
            match self.peek().cloned() {
                Some(Token { at: place, what: What::And }) => {
                    self.next += 1;
                    match self.peek() {
                        None | Some(Token { what: What::Or | What::And | What::Close, .. }) => {
                            return at(place, "AND must be followed by a search term");
                        }
                        Some(_) => parts.push(self.one()?),
                    }
                }
                Some(Token { what: What::Word { .. } | What::Open, .. }) => parts.push(self.one()?),
                _ => return Ok(one_or(parts, Search::All)),
            }
        }
    }

    fn one(&mut self) -> Result<Search, String> {
        let Some(token) = self.peek().cloned() else { return at(0, "Expected a search term") };
        self.next += 1;
        match token.what {
            What::Word { text, colon, quoted } => term(&text, colon, quoted, token.at).map(Search::Term),
            What::Open => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return at(token.at, &format!("Query nesting exceeds {DEEPEST} levels"));
                }
                match self.peek() {
                    Some(Token { what: What::Close, .. }) => return at(token.at, "Empty group"),
                    None => return at(token.at, "Missing closing parenthesis"),
                    Some(_) => {}
                }
                let inner = self.any()?;
                if self.peek().map(|t| &t.what) != Some(&What::Close) {
                    return at(token.at, "Missing closing parenthesis");
                }
                self.next += 1;
                self.depth -= 1;
                Ok(inner)
            }
            What::Close => at(token.at, "Unexpected ')'"),
            What::And | What::Or => at(token.at, "Expected a search term"),
        }
    }
}

fn one_or(mut parts: Vec<Search>, many: fn(Vec<Search>) -> Search) -> Search {
    if parts.len() == 1 { parts.swap_remove(0) } else { many(parts) }
}

fn term(text: &str, colon: Option<usize>, quoted: bool, place: usize) -> Result<Term, String> {
    let qualified = colon.map(|colon| text.split_at(colon));
    let long = |value: &str| match value.chars().count() {
        n if n < SHORTEST => at(place, &format!("Substring search terms must contain at least {SHORTEST} characters")),
        _ => Ok(value.to_lowercase()),
    };
    if let Some((key, value)) = qualified {
        let (key, value) = (key.to_lowercase(), value.trim_start_matches(':'));
        let within = match key.as_str() {
            "name" => Some(Place::Name),
            "worker" => Some(Place::Worker),
            "args" => Some(Place::Args),
            "kwargs" => Some(Place::Kwargs),
            "result" => Some(Place::Result),
            _ => None,
        };
        if (within.is_some() || key == "state") && value.is_empty() {
            return at(place, "Search qualifier requires a value");
        }
        if key == "state" {
            return Ok(Term::State(value.to_uppercase()));
        }
        if let (Some(Place::Kwargs), Some((key, value))) = (within, value.split_once('='))
            && !key.is_empty()
        {
            return Ok(Term::Keyword(key.to_owned(), value.to_owned()));
        }
        if let Some(within) = within {
            return Ok(Term::In(within, long(value)?));
        }
    }
    if text.is_empty() && quoted {
        return at(place, "Empty search term");
    }
    Ok(Term::Anywhere(long(text)?))
}

impl Search {
    /// Whether a task is one that is looked for.
    pub fn finds(&self, task: &Task<'_>) -> bool {
        match self {
            Search::All(parts) => parts.iter().all(|part| part.finds(task)),
            Search::Any(parts) => parts.iter().any(|part| part.finds(task)),
            Search::Term(term) => term.finds(task),
        }
    }
}

impl Term {
    fn finds(&self, task: &Task<'_>) -> bool {
        let [args, kwargs, result] = task.raw_texts();
        let has = |text: Option<&str>, word: &str| text.is_some_and(|text| text.to_lowercase().contains(word));
        match self {
            Term::State(state) => task.state_name().eq_ignore_ascii_case(state),
            Term::In(Place::Name, word) => has(task.name(), word),
            Term::In(Place::Worker, word) => has(task.worker(), word),
            Term::In(Place::Args, word) => has(args, word),
            Term::In(Place::Kwargs, word) => has(kwargs, word),
            Term::In(Place::Result, word) => has(result, word),
            Term::Keyword(key, value) => kwargs.is_some_and(|kwargs| has_keyword(kwargs, key, value)),
            Term::Anywhere(word) => {
                let texts = [task.name(), Some(task.state_name()), task.worker(), args, kwargs, result];
                texts.into_iter().any(|text| has(text, word)) || has(Some(&task.id().to_string()), word)
            }
        }
    }
}

/// Whether keyword arguments, as Python printed them, hold a pair; the value is compared as `str` would print it.
fn has_keyword(printed: &str, key: &str, value: &str) -> bool {
    let Ok(Py::Dict(pairs)) = repr::parse_printed(printed) else { return false };
    pairs.iter().any(|(name, found)| match (name, found) {
        (Py::Str(name), found) if name == key => match found {
            Py::Str(text) => text == value,
            Py::Int(digits) => digits == value,
            Py::Bool(true) => value == "True",
            Py::Bool(false) => value == "False",
            Py::None => value == "None",
            Py::Float(number) => value.parse() == Ok(*number),
            _ => false,
        },
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_search_is_told_as_flower_tells_it() {
        for (text, want) in [
            ("ab", "Substring search terms must contain at least 3 characters at position 0."),
            ("NOT foo", "NOT is not supported at position 0."),
            ("-foo", "Negation with '-' is not supported at position 0."),
            ("(foo", "Missing closing parenthesis at position 0."),
            ("foo OR", "OR must be followed by a search term at position 4."),
            ("foo AND", "AND must be followed by a search term at position 4."),
            ("\"foo", "Unterminated quoted phrase at position 0."),
            ("result:", "Search qualifier requires a value at position 0."),
            ("()", "Empty group at position 0."),
            ("\"\"", "Empty search term at position 0."),
            ("foo)", "Unexpected ')' at position 3."),
            ("AND", "Expected a search term at position 0."),
            ("((((((foo))))))", "Query nesting exceeds 5 levels at position 5."),
        ] {
            assert_eq!(parse(text), Err(want.to_owned()), "{text}");
        }
        assert_eq!(parse(&"a".repeat(2_049)), Err("Query exceeds 2048 characters.".into()));
        assert_eq!(parse(&"abc ".repeat(129)), Err("Query exceeds 128 tokens.".into()));
    }

    #[test]
    fn and_binds_closer_than_or() {
        let word = |text: &str| Search::Term(Term::Anywhere(text.into()));
        assert_eq!(
            parse("Foo bar OR \"a \\\" b\""),
            Ok(Some(Search::Any(vec![Search::All(vec![word("foo"), word("bar")]), word("a \" b")])))
        );
        assert_eq!(parse("kwargs:a=\"3\""), Ok(Some(Search::Term(Term::Keyword("a".into(), "3".into())))));
        assert_eq!(parse("State:ok"), Ok(Some(Search::Term(Term::State("OK".into())))));
        assert_eq!(parse("and"), Ok(Some(word("and"))));
        assert_eq!(parse("http://x"), Ok(Some(word("http://x"))));
        assert_eq!(parse("  "), Ok(None));
    }

    #[test]
    fn a_keyword_is_compared_as_it_prints() {
        let printed = "{'customer': 3, 'name': 'a=b', 'on': True}";
        for (key, value, want) in
            [("customer", "3", true), ("customer", "30", false), ("name", "a=b", true), ("on", "True", true)]
        {
            assert_eq!(has_keyword(printed, key, value), want, "{key}");
        }
        assert!(!has_keyword("{'customer': 3, ...}", "customer", "3"), "cut short, it is not guessed at");
    }
}
