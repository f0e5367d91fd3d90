//! Who may use whom: the arrows of ARCHITECTURE.md, read off the `use crate::` lines.

use std::path::Path;

/// Folder or file, and the rooms it may use. `text`, `human`, `clock` and `redact` are open to all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("human", &[]),
    ("clock", &[]),
    ("redact", &[]),
    ("celery", &[]),
    ("filter", &[]),
    ("config", &["broker", "celery", "history", "ops", "results"]),
    ("schedule", &["celery"]),
    ("broker", &["celery", "schedule"]),
    ("sim", &["broker", "celery"]),
    ("state", &["celery", "filter", "schedule"]),
    ("export", &["celery", "filter", "history", "state"]),
    ("history", &["celery", "filter", "state"]),
    ("ops", &["broker", "celery", "filter", "history", "results", "schedule", "state"]),
    ("results", &["broker", "celery"]),
    ("feed", &["broker", "celery", "history", "results", "state"]),
    ("serve", &["broker", "celery", "config", "feed", "filter", "history", "ops", "results", "state", "tui"]),
    ("tui", &["broker", "celery", "export", "feed", "filter", "history", "ops", "schedule", "state"]),
    (
        "cli",
        &[
            "broker", "celery", "config", "export", "feed", "filter", "history", "ops", "results", "schedule", "serve",
            "sim", "state", "tui",
        ],
    ),
];
const LEAVES: [&str; 5] = ["text", "human", "clock", "redact", "clean"];

/// Words that may stand in no file of a room.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("celery", &["tokio::", "Instant::now", "SystemTime"]),
    ("filter", &["tokio::"]),
    ("state", &["SystemTime", "Instant::now"]),
    ("tui/widgets", &["crate::state", "crate::ops", "crate::broker"]),
    ("tui/views", &["crate::feed::Feed", "dyn Broker", "mpsc::"]),
    ("tui", &["redis::", "dyn Broker", "println!"]),
    ("cli", &["redis::"]),
    ("serve", &["redis::", "lapin::", "println!"]),
    ("ops", &["redis::"]),
];

fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let name = path.strip_prefix(root).expect("below src").display().to_string();
            let text = std::fs::read_to_string(&path).expect("text");
            // Tests at the end of a file may use what they like.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            let code = code.lines().enumerate().filter(|(i, l)| *i == 0 || !l.trim_start().starts_with("//"));
            let code = code.map(|(_, l)| format!("{l}\n")).collect::<String>();
            found.push((name, code));
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

#[test]
fn every_arrow_goes_down() {
    for (name, code) in sources() {
        let room = name.split(['/', '.']).next().expect("room");
        let Some((_, may)) = MAY_USE.iter().find(|(r, _)| *r == room) else {
            assert!(matches!(room, "main" | "lib"), "{name} is in no room of the map");
            continue;
        };
        for (at, _) in code.match_indices("crate::") {
            let used: String = code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let own = used == room || LEAVES.contains(&used.as_str());
            assert!(own || may.contains(&used.as_str()), "{name} uses {used}: {room} may not");
        }
    }
}

#[test]
fn rooms_stay_what_they_are_for() {
    for (name, code) in sources() {
        for (room, words) in FORBIDDEN {
            if !name.starts_with(&format!("{room}/")) {
                continue;
            }
            for word in *words {
                let found = code.lines().find(|l| l.contains(word));
                assert!(found.is_none(), "{name} has {word}: {}", found.unwrap_or_default());
            }
        }
    }
}

#[test]
fn main_is_short_and_every_file_says_what_it_is_for() {
    for (name, code) in sources() {
        assert!(code.starts_with("//!"), "{name} begins without a word on what it is for");
        assert!(name != "main.rs" || code.lines().count() < 60);
    }
}
