//! A command line that was written for Flower: `celery -A app flower --url_prefix=x` with another first word.

use std::ffi::OsString;

use clap::CommandFactory;

use super::args::Cli;

/// Celery's own options, which say nothing to us: with a value, and without.
const WITH_VALUE: [&str; 4] = ["-A", "--app", "--workdir", "--loader"];
const ALONE: [&str; 5] = ["-q", "--quiet", "-C", "--no-color", "--skip-checks"];
/// What we are called.
const NAMES: [&str; 2] = ["serve", "flower"];

/// The words as our own parser takes them, and what is to be told of those that were left out.
pub fn words(words: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let texts: Option<Vec<String>> = words.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    let Some(texts) = texts else { return (words, Vec::new()) };
    let Some(place) = command(&texts) else { return (words, Vec::new()) };
    let (mut kept, mut told) = (Vec::new(), Vec::new());
    let mut rest = texts.into_iter().enumerate();
    while let Some((i, word)) = rest.next() {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if i > 0 && WITH_VALUE.contains(&name) {
            let value = value.map(str::to_owned).or_else(|| rest.next().map(|(_, value)| value)).unwrap_or_default();
            told.push(format!("flower-tui: {name} {value} is ignored: no application is loaded"));
        } else if i > 0 && ALONE.contains(&name) {
            // Of no use to anybody here.
        } else if i > place && name.starts_with("--") {
            kept.extend(ours(name, value));
        } else {
            kept.push(word);
        }
    }
    (kept.into_iter().map(OsString::from).collect(), told)
}

/// The place of the command, if it is ours: whatever stands before it is an option or an option's value.
fn command(words: &[String]) -> Option<usize> {
    let options = Cli::command();
    let takes_value = |word: &str| {
        let found = options.get_arguments().find(|arg| {
            let long = arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
            long || arg.get_short().is_some_and(|short| word.strip_prefix('-') == Some(short.to_string().as_str()))
        });
        WITH_VALUE.contains(&word) || found.is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut i = 1;
    while let Some(word) = words.get(i) {
        if !word.starts_with('-') || word == "-" {
            return NAMES.contains(&word.as_str()).then_some(i);
        }
        i += if takes_value(word) { 2 } else { 1 };
    }
    None
}

/// An option behind the command: its words joined our way, and yes or no said as we say it.
fn ours(name: &str, value: Option<&str>) -> Option<String> {
    let name = name.replace('_', "-");
    match (name.as_str(), value.map(crate::config::flower::truth)) {
        ("--read-only", Some(Some(true))) => Some(name),
        ("--read-only", Some(Some(false))) => None,
        _ => Some(value.map_or(name.clone(), |value| format!("{name}={value}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (String, usize) {
        let (kept, told) = words(line.split(' ').map(OsString::from).collect());
        (kept.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" "), told.len())
    }

    #[test]
    fn a_line_of_flower_s_becomes_one_of_ours() {
        let line = "flower-tui -A proj --broker=redis://h flower --url_prefix=a_b --port 8888 --read_only=False --auth";
        let want = "flower-tui --broker=redis://h flower --url-prefix=a_b --port 8888 --auth";
        assert_eq!(read(line), (want.into(), 1));
        assert_eq!(
            read("flower-tui --workdir=/srv -b flower serve --xheaders=True").0,
            "flower-tui -b flower serve --xheaders=True"
        );
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for line in ["flower-tui send flower --args a_b", "flower-tui queue flower --peek=1", "flower-tui -A"] {
            assert_eq!(read(line), (line.into(), 0));
        }
    }
}
