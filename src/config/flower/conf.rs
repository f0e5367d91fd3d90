//! Flower's config file is Python, and is not run: simple assignments are read, and anything else is refused by its line.

use std::path::Path;

use crate::celery::repr::{self, Py};
use crate::config::Error;

/// What the file is called that is read without being asked for.
const USUAL: &str = "flowerconfig.py";
/// A longer file is none of this kind.
const LONGEST: u64 = 1 << 20;

/// The assignments of a file, each with its place, name and value; a file that nobody named may be missing.
pub(super) fn read(named: Option<&str>, folder: &Path) -> Result<Vec<(String, String, String)>, Error> {
    let path = folder.join(named.unwrap_or(USUAL));
    let name = path.display().to_string();
    let size = match std::fs::metadata(&path) {
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error(format!("can't read {name}: {error}"))),
        Ok(metadata) => metadata.len(),
    };
    if size > LONGEST {
        return Err(Error(format!("{name} is too long for a config file")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| Error(format!("can't read {name}: {error}")))?;
    parse(&text, &name)
}

fn parse(text: &str, name: &str) -> Result<Vec<(String, String, String)>, Error> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let number = number + 1;
        let place = format!("{name}, line {number}");
        let line = without_comment(line);
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |why: &str| Error(format!("{place}: {why}; only lines such as port = 5555 are read"));
        if line.starts_with([' ', '\t']) {
            return Err(wrong("it is indented"));
        }
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("it is no assignment"))?;
        let key = key.trim();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || value.starts_with('=') {
            return Err(wrong("it is no assignment"));
        }
        let mut value = value.trim().to_owned();
        // A list may go on over several lines.
        while opens(&value) > 0 {
            let Some((_, more)) = lines.next() else { return Err(wrong("its bracket is never closed")) };
            value.push(' ');
            value.push_str(without_comment(more).trim());
        }
        let literal = repr::parse(&value).map_err(|_| wrong("its value is no literal"))?;
        let text =
            plain(&literal).ok_or_else(|| wrong("its value is neither text, number, truth nor a list of them"))?;
        found.push((place, key.to_owned(), text));
    }
    Ok(found)
}

/// The line up to a `#` that stands outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') => return line.get(..at).unwrap_or(line),
            _ => {}
        }
    }
    line
}

fn opens(text: &str) -> i64 {
    let count = |chars: [char; 2]| text.chars().filter(|c| chars.contains(c)).count() as i64;
    count(['[', '(']) - count([']', ')'])
}

fn plain(value: &Py) -> Option<String> {
    Some(match value {
        Py::None => String::new(),
        Py::Bool(yes) => yes.to_string(),
        Py::Int(digits) => digits.clone(),
        Py::Float(number) => number.to_string(),
        Py::Str(text) => text.clone(),
        Py::Tuple(items) | Py::List(items) => items.iter().map(plain).collect::<Option<Vec<_>>>()?.join(","),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_assignments_are_read_and_the_rest_is_refused_by_its_line() {
        let text = "# Flower\nport = 8888  # ours\nbasic_auth = [\n  'a:b#1',\n  \"c:d\",\n]\nnatural_time = False\n";
        let read = parse(text, "f.py").expect("reads");
        let pairs: Vec<(&str, &str)> = read.iter().map(|(_, k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("port", "8888"), ("basic_auth", "a:b#1,c:d"), ("natural_time", "false")]);
        for (text, want) in [
            ("import os\n", "f.py, line 1: it is no assignment"),
            ("port = 1\nauth = os.environ['X']\n", "f.py, line 2: its value is no literal"),
            ("if True:\n", "f.py, line 1: it is no assignment"),
            ("x = [1,\n", "f.py, line 1: its bracket is never closed"),
        ] {
            let why = parse(text, "f.py").expect_err("refused").0;
            assert!(why.starts_with(want), "{why}");
        }
    }
}
