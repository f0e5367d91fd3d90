//! What could stand where the cursor is: keys, and the values they take.

use super::words::{Edge, Measure, Trait, Word};

/// Where a filter line can be completed, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Byte at which the completed part begins.
    pub from: usize,
    /// What can stand there, each with a word on what it means.
    pub candidates: Vec<(String, String)>,
}

/// Completes the end of `line`. `values` gives the known values of a key, the most likely first; `marks` are the names
/// that points in time have.
pub fn complete(line: &str, values: impl Fn(Word) -> Vec<String>, marks: &[String]) -> Completion {
    // A quoted value may hold spaces; what stands behind an open quote is not completed.
    if line.matches('"').count() % 2 == 1 {
        return Completion::default();
    }
    let begin = line.rfind(char::is_whitespace).map_or(0, |i| i + line[i..].chars().next().map_or(1, char::len_utf8));
    let word = &line[begin..];
    let minus = usize::from(word.starts_with('-'));
    let Some(colon) = word.find(':') else {
        let typed = &word[minus..];
        // On an empty line everything is offered; behind a space what is already there must stay in sight.
        let candidates = if typed.is_empty() && !line.is_empty() { Vec::new() } else { keys(typed) };
        return Completion { from: begin + minus, candidates };
    };
    let key = &word[minus..colon];
    let value_at = word.rfind(',').filter(|c| *c > colon).unwrap_or(colon) + 1;
    let typed = word[value_at..].to_lowercase();
    let mut candidates: Vec<(String, String)> = Vec::new();
    if let Some(&of) = Word::ALL.iter().find(|w| w.key() == key) {
        let (mut begins, mut holds) = (Vec::new(), Vec::new());
        for value in values(of) {
            let lower = value.to_lowercase();
            if lower.starts_with(&typed) {
                begins.push(value);
            } else if lower.contains(&typed) {
                holds.push(value);
            }
        }
        candidates.extend(begins.into_iter().chain(holds).map(|v| (super::parse::quote(&v, false), String::new())));
    } else if Trait::ALL.iter().any(|t| t.key() == key) {
        candidates.extend(["yes", "no"].into_iter().filter(|v| v.starts_with(&typed)).map(own));
    } else if Edge::ALL.iter().any(|e| e.key() == key) {
        candidates.extend(["5m", "15m", "1h", "6h"].into_iter().filter(|v| v.starts_with(&typed)).map(own));
        let marks = marks.iter().filter(|mark| mark.to_lowercase().contains(&typed));
        candidates.extend(marks.map(|mark| (super::parse::quote(mark, false), "a mark".to_owned())));
    }
    Completion { from: begin + value_at, candidates }
}

/// The line without a last word that may be the beginning of a key.
pub fn without_begun_key(line: &str) -> &str {
    let begin = line.rfind(char::is_whitespace).map_or(0, |i| i + 1);
    let Some(word) = line.get(begin..).map(|word| word.trim_start_matches('-')) else { return line };
    let begun = !word.is_empty() && !word.contains(':') && !keys(word).is_empty();
    if begun { line.get(..begin).unwrap_or(line) } else { line }
}

fn own(text: &str) -> (String, String) {
    (text.to_owned(), String::new())
}

fn keys(typed: &str) -> Vec<(String, String)> {
    let words = Word::ALL.iter().map(|w| (w.key(), w.help()));
    let rest = Measure::ALL.iter().map(|m| (m.key(), m.help()));
    let edges = Edge::ALL.iter().map(|e| (e.key(), e.help()));
    let traits = Trait::ALL.iter().map(|t| (t.key(), t.help()));
    words
        .chain(rest)
        .chain(edges)
        .chain(traits)
        .filter(|(key, _)| key.starts_with(typed))
        .map(|(key, help)| (format!("{key}:"), help.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: Word) -> Vec<String> {
        let known: &[&str] = match of {
            Word::State => &["SUCCESS", "STARTED", "FAILURE"],
            Word::Task => &["mail.send", "billing.charge", "two words"],
            _ => &[],
        };
        known.iter().map(|v| (*v).to_owned()).collect()
    }

    fn offered(line: &str) -> (usize, Vec<String>) {
        let completion = complete(line, values, &["deploy: 3 workers started".to_owned()]);
        (completion.from, completion.candidates.into_iter().map(|(text, _)| text).collect())
    }

    #[test]
    fn a_key_that_is_being_typed_is_not_a_word_yet() {
        assert_eq!(without_begun_key("state:failure tas"), "state:failure ");
        assert_eq!(without_begun_key("-work"), "");
        assert_eq!(without_begun_key("state:failure charge"), "state:failure charge");
        assert_eq!(without_begun_key("state:"), "state:");
    }

    #[test]
    fn keys_and_their_values_are_offered() {
        assert_eq!(offered("st"), (0, vec!["state:".into()]));
        assert_eq!(offered("x -wor"), (3, vec!["worker:".into()]));
        assert_eq!(offered("state:s"), (6, vec!["SUCCESS".into(), "STARTED".into()]));
        assert_eq!(offered("state:failure,s"), (14, vec!["SUCCESS".into(), "STARTED".into()]));
        assert_eq!(offered("task:char"), (5, vec!["billing.charge".into()]), "a part of the name is enough");
        assert_eq!(offered("task:two"), (5, vec!["\"two words\"".into()]));
        assert_eq!(offered("open:"), (5, vec!["yes".into(), "no".into()]));
        assert_eq!(offered("since:depl"), (6, vec!["\"deploy: 3 workers started\"".into()]));
        assert_eq!(offered("until:1"), (6, vec!["15m".into(), "1h".into()]));
        assert_eq!(offered("plain ").1, Vec::<String>::new());
        assert!(offered("").1.len() > 10, "an empty line shows what there is");
        assert_eq!(offered("task:\"open quote").1, Vec::<String>::new());
    }
}
