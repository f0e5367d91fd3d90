//! What workers' answers come to: everybody asked has to answer, and nobody with an error.

use serde_json::{Value, json};

use super::command::NAMED;
use super::receipt::Outcome;
use crate::celery::pidbox::Reply;

/// What stands in the place of an answer that did not come.
pub(super) const NO_ANSWER: &str = "no answer";

/// Puts the answers of those that were asked in order, with a line for each that gave none. `pool` knows a worker's
/// kind of pool.
pub(super) fn collect(
    expected: &[String],
    answers: Vec<Reply>,
    pool: impl Fn(&str) -> Option<String>,
    replies: &mut Vec<(String, Value)>,
) {
    let silent = expected.iter().filter(|name| answers.iter().all(|r| r.worker != **name));
    let silent: Vec<_> = silent.map(|name| (name.clone(), json!({"silent": NO_ANSWER}))).collect();
    let mut answers: Vec<_> = answers
        .into_iter()
        .map(|reply| match reply.error() {
            Some(said) => {
                let why = plain(said, pool(&reply.worker).as_deref());
                let value = if why == said { reply.value } else { json!({"error": why, "said": said}) };
                (reply.worker, value)
            }
            None => (reply.worker, reply.value),
        })
        .collect();
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    replies.extend(answers);
    replies.extend(silent);
}

/// How a command ended, by what is known of each worker it was for.
pub(super) fn judge(replies: &[(String, Value)]) -> Outcome {
    let told = |key: &'static str| {
        replies.iter().filter_map(move |(name, value)| Some((name.as_str(), value.get(key)?.as_str().unwrap_or(""))))
    };
    let asked = replies.len() - told("left_out").count();
    let failed: Vec<String> = told("error").map(|(name, why)| format!("{name}: {why}")).collect();
    let (silent, doubtful): (Vec<_>, Vec<_>) = told("silent").partition(|(_, why)| *why == NO_ANSWER);
    let bad = failed.len() + silent.len() + doubtful.len();
    match (asked, bad) {
        (0, _) => return Outcome::Unconfirmed("no worker answered".into()),
        (_, 0) => return Outcome::Confirmed,
        _ => {}
    }
    let mut parts = Vec::new();
    if asked > 1 {
        parts.push(format!("{} of {asked} confirmed", asked - bad));
    }
    let is_failure = !failed.is_empty();
    parts.extend(some(failed, "; "));
    parts.extend(some(doubtful.iter().map(|(name, why)| format!("{name}: {why}")).collect(), "; "));
    let names = some(silent.iter().map(|(name, _)| (*name).to_owned()).collect(), ", ");
    parts.extend(names.map(|names| format!("no answer from {names}")));
    let why = parts.join("; ");
    if is_failure { Outcome::Failed(why) } else { Outcome::Unconfirmed(why) }
}

/// The first few, and how many more there are.
fn some(mut items: Vec<String>, between: &str) -> Option<String> {
    let more = items.len().saturating_sub(NAMED);
    items.truncate(NAMED);
    if more > 0 {
        items.push(format!("and {more} more"));
    }
    (!items.is_empty()).then(|| items.join(between))
}

/// A worker's error in a person's words: workers answer with Python's `repr` of what was raised (kombu 5.7.0,
/// `pidbox.py`, `dispatch`).
fn plain(error: &str, pool: Option<&str>) -> String {
    if ["grow", "shrink"].iter().any(|method| error.contains(&format!("has no attribute '{method}'"))) {
        return match pool.filter(|kind| !kind.is_empty()) {
            Some(kind) => format!("a {kind} pool can't change its size"),
            None => "its pool can't change its size".into(),
        };
    }
    if error.contains("Pool restarts not enabled") {
        return "worker_pool_restarts is off there".into();
    }
    if error.contains("Autoscale not enabled") {
        return "it was started without --autoscale".into();
    }
    // A key alone says nothing without the name of the error.
    let raised = error.split_once('(').filter(|(class, _)| class.ends_with("Error") && *class != "KeyError");
    let text = raised.and_then(|(_, rest)| rest.strip_suffix(')'));
    let quoted = |text: &str, quote: char| text.strip_prefix(quote)?.strip_suffix(quote).map(str::to_owned);
    text.and_then(|t| quoted(t, '\'').or_else(|| quoted(t, '"'))).unwrap_or_else(|| error.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(&str, Value)]) -> Outcome {
        judge(&lines.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Vec<_>>())
    }

    #[test]
    fn of_several_each_that_failed_or_kept_silent_is_named() {
        let (ok, bad) = (json!({"ok": "pong"}), json!({"error": "unknown task"}));
        let (silent, out) = (json!({"silent": NO_ANSWER}), json!({"left_out": "a solo pool"}));
        assert_eq!(said(&[("a", ok.clone()), ("b", ok.clone())]), Outcome::Confirmed);
        assert_eq!(said(&[("a", ok.clone()), ("b", out)]), Outcome::Confirmed, "who was left out was not asked");
        assert_eq!(said(&[("a", bad.clone())]), Outcome::Failed("a: unknown task".into()));
        assert_eq!(said(&[("a", silent.clone())]), Outcome::Unconfirmed("no answer from a".into()));
        assert_eq!(
            said(&[("a", ok), ("b", bad), ("c", silent)]),
            Outcome::Failed("1 of 3 confirmed; b: unknown task; no answer from c".into())
        );
        assert_eq!(said(&[]), Outcome::Unconfirmed("no worker answered".into()));
    }

    #[test]
    fn python_s_words_become_a_person_s() {
        let grow = "AttributeError(\"'TaskPool' object has no attribute 'grow'\")";
        assert_eq!(plain(grow, Some("threads")), "a threads pool can't change its size");
        assert_eq!(plain(grow, None), "its pool can't change its size");
        assert_eq!(plain("ValueError('Pool restarts not enabled')", None), "worker_pool_restarts is off there");
        assert_eq!(plain("ValueError(\"Can't shrink pool\")", None), "Can't shrink pool");
        assert_eq!(plain("KeyError('x')", None), "KeyError('x')");
        assert_eq!(plain("unknown task", None), "unknown task");
    }
}
