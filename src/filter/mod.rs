//! The one-line language that selects tasks, on screen, on the command line and in the API.
//!
//! `state:failure task:billing.* -worker:app-7 runtime:>2s timeout`: all terms have to hold. This room parses and
//! prints; whoever holds tasks does the matching.

mod complete;
mod parse;
mod pattern;
mod when;
pub mod words;

use std::fmt;

pub use complete::{Completion, complete, without_begun_key};
pub use parse::{Error, parse};
pub use pattern::Pattern;
pub use when::When;
pub use words::{Edge, Measure, Trait, Word};

/// A parsed filter. Empty selects everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    pub terms: Vec<Term>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    pub negated: bool,
    pub test: Test,
}

/// What a term asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// A bare word: in id, name, arguments or result.
    Anywhere(Pattern),
    /// `key:value`, any of the alternatives.
    Text(Word, Vec<Pattern>),
    /// `key:>number`.
    Number(Measure, Comparison, f64),
    /// `since:` and `until:`.
    Time(Edge, When),
    /// `key:yes` or `key:no`.
    Is(Trait, bool),
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Above,
    Below,
    Equal,
}

impl Comparison {
    /// Whether `value` stands in this relation to `limit`.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Comparison::Above => value > limit,
            Comparison::Below => value < limit,
            Comparison::Equal => (value - limit).abs() < f64::EPSILON,
        }
    }
}

impl Filter {
    /// What has exactly one of these values.
    pub fn exactly<'a>(word: Word, values: impl IntoIterator<Item = &'a str>) -> Self {
        let patterns = values.into_iter().map(|value| Pattern::new(&format!("={value}"))).collect();
        Self { terms: vec![Term { negated: false, test: Test::Text(word, patterns) }] }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether what it selects changes by the mere passing of time.
    pub fn slides(&self) -> bool {
        self.terms.iter().any(|term| match &term.test {
            Test::Time(_, when) => when.slides(),
            Test::Number(measure, ..) => *measure == Measure::Eta,
            _ => false,
        })
    }

    /// Names of marks it asks for.
    pub fn marks(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| match &term.test {
            Test::Time(_, when) => when.mark(),
            _ => None,
        })
    }

    /// The point in time it begins at, if it says one.
    pub fn since(&self) -> Option<&When> {
        self.terms.iter().find_map(|term| match &term.test {
            Test::Time(Edge::Since, when) if !term.negated => Some(when),
            _ => None,
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            let minus = if term.negated { "-" } else { "" };
            write!(f, "{space}{minus}{}", term.test)?;
        }
        Ok(())
    }
}

/// A value as it has to stand behind `key:=` so that it is read back whole.
pub fn quoted(value: &str) -> String {
    parse::quote(value, false)
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Anywhere(pattern) => write!(f, "{}", parse::quote(&pattern.to_string(), true)),
            Test::Text(word, patterns) => {
                write!(f, "{}:", word.key())?;
                for (i, pattern) in patterns.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{}", parse::quote(&pattern.to_string(), false))?;
                }
                Ok(())
            }
            Test::Number(measure, comparison, limit) => {
                let sign = match comparison {
                    Comparison::Above => ">",
                    Comparison::Below => "<",
                    Comparison::Equal => "",
                };
                let unit = if measure.is_seconds() { "s" } else { "" };
                write!(f, "{}:{sign}{limit}{unit}", measure.key())
            }
            Test::Time(edge, when) => write!(f, "{}:{}", edge.key(), parse::quote(&when.to_string(), false)),
            Test::Is(what, yes) => write!(f, "{}:{}", what.key(), if *yes { "yes" } else { "no" }),
        }
    }
}
