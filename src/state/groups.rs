//! Which workers belong together: their names with the part removed that changes from start to start.

use regex_lite::Regex;

/// The letters and digits Kubernetes makes random names of: no vowels, nothing that looks like another.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The group of a node name: `celery@export-7d9f8b6c5-x2x9k` is one of `export-*`. A name in which nothing changes is
/// its own group. Celery's usual first half is left out, any other is kept. What the first of a person's own `rules` that
/// fits finds in a name is the part that changes.
pub fn group(node: &str, rules: &[Regex]) -> String {
    if let Some(rule) = rules.iter().find(|rule| rule.is_match(node)) {
        let general = rule.replace_all(node, "*");
        return general.strip_prefix("celery@").unwrap_or(&general).to_owned();
    }
    let (first, host) = node.split_once('@').unwrap_or(("", node));
    let (label, domain) = match host.find('.') {
        Some(_) if is_address(host) => (host, ""),
        Some(dot) if !is_number(&host[dot + 1..]) => host.split_at(dot),
        _ => (host, ""),
    };
    let host = format!("{}{domain}", general(label));
    match first {
        "" | "celery" => host,
        first => format!("{}@{host}", general(first)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `10.0.3.7`.
fn is_address(host: &str) -> bool {
    host.split('.').count() == 4 && host.split('.').all(is_number)
}

/// One half of a name with its changing end replaced.
fn general(label: &str) -> String {
    if is_address(label) {
        return "*".into();
    }
    let parts: Vec<&str> = label.split('-').collect();
    let kept = match parts[..] {
        // ip-10-0-3-7
        [.., a, b, c, d] if [a, b, c, d].into_iter().all(is_number) => parts.len() - 4,
        // A pod of a ReplicaSet: the template's hash, and five letters for the pod.
        [_, .., hash, pod] if is_hash(hash) && is_pod(pod) => parts.len() - 2,
        // A StatefulSet's ordinal, or a process id.
        [_, .., last] if is_number(last) => parts.len() - 1,
        _ => return without_pid(label),
    };
    match parts.get(..kept) {
        Some([]) | None => "*".into(),
        Some(kept) => format!("{}-*", kept.join("-")),
    }
}

fn is_hash(text: &str) -> bool {
    let hex = || text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let random = || text.chars().all(|c| RANDOM.contains(c));
    (6..=10).contains(&text.len()) && text.bytes().any(|b| b.is_ascii_digit()) && (hex() || random())
}

fn is_pod(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

/// `worker.4711` is `worker.*`.
fn without_pid(label: &str) -> String {
    match label.rsplit_once('.') {
        Some((name, pid)) if is_number(pid) && !name.is_empty() => format!("{name}.*"),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changing_part_of_a_name_is_removed() {
        for (node, want) in [
            ("celery@export-7d9f8b6c5-x2x9k", "export-*"),
            ("celery@mail-out-5fb96d7c4-zq8tw", "mail-out-*"),
            ("celery@app-1", "app-*"),
            ("celery@web-app-12", "web-app-*"),
            ("celery@10.0.3.7", "*"),
            ("celery@ip-10-0-3-7", "ip-*"),
            ("celery@ip-10-0-3-7.eu.internal", "ip-*.eu.internal"),
            ("celery@app-3.prod.example.com", "app-*.prod.example.com"),
            ("mail-4711@host", "mail-*@host"),
            ("mail.4711@host", "mail.*@host"),
            ("celery@host.4711", "host.*"),
            ("fast@app-2", "fast@app-*"),
        ] {
            assert_eq!(group(node, &[]), want, "{node}");
        }
    }

    #[test]
    fn a_name_in_which_nothing_changes_is_its_own_group() {
        for node in ["celery@host", "celery@db.example.com", "celery@payments-worker2-small", "celery@a-deadbeef-b"] {
            assert_eq!(group(node, &[]), node.trim_start_matches("celery@"));
        }
        assert_eq!(group("w1@host", &[]), "w1@host");
        assert_eq!(group("", &[]), "");
        assert_eq!(group("no-at-sign-5", &[]), "no-at-sign-*");
    }

    #[test]
    fn a_rule_of_ones_own_says_what_changes() {
        let rules = ["blue|green", "[0-9a-f]{6}$"].map(|rule| Regex::new(rule).expect("a rule"));
        assert_eq!(group("celery@shop-blue-db1", &rules), "shop-*-db1");
        assert_eq!(group("celery@shop_a1b2c3", &rules), "shop_*");
        assert_eq!(group("mail@shop_a1b2c3", &rules), "mail@shop_*");
        assert_eq!(group("celery@app-1", &rules), "app-*", "where none fits it goes as always");
    }
}
