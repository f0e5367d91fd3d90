//! `check`: the monitoring checklist, as monitoring plugins tell it: a line that says how it is, then one for each check.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::args::{CheckArgs, Command};
use super::env::Env;
use super::exit::{Exit, Failure};
use super::gather::{self, Gathered};
use super::out;
use crate::broker;
use crate::clock::Stamp;
use crate::feed::warm;
use crate::history::reader::Reader;
use crate::history::seen::Seen;
use crate::history::{self, lock};
use crate::ops::check::{self, Evidence, Figure, Finding, Recorder, Status};
use crate::text::clean;

/// Seconds listened to: without a history all figures are of this time.
const LISTEN: f64 = 5.0;
const LISTEN_WITH_HISTORY: f64 = 2.0;
/// Checks that need nobody to be listened to.
const AT_ONCE: [&str; 4] = ["broker", "broker-memory", "recorder", "own-memory"];
/// How far back it is looked for workers that are gone.
const SEEN: Duration = Duration::from_secs(3_600);
/// How long the broker has to say how it is.
const ANSWER: Duration = Duration::from_secs(5);

pub async fn run(env: &Env, args: CheckArgs) -> anyhow::Result<Exit> {
    let (findings, listened) = match gather::begin(env).await {
        Ok(cluster) => look(env, &cluster, &args).await,
        Err(error) => (check::unreachable(&unreachable(error)?, "Is the broker running, and is the URL right?"), 0.0),
    };
    let findings: Vec<Finding> = findings.into_iter().filter(|f| is_wanted(&args, f.check)).collect();
    let worst = check::worst(&findings);
    if args.json {
        let broker = env.url().map(|url| url.to_string()).unwrap_or_default();
        out::json(&json!({"status": worst, "broker": broker, "listened": listened, "checks": findings}))?;
        return Ok(Exit::Check(worst));
    }
    out::line(&summary(worst, &findings, !std::io::stdout().is_terminal()))?;
    for finding in &findings {
        out::line(&format!("{:8} {:13} {}", finding.status.word(), finding.check, plain(&finding.text)))?;
    }
    Ok(Exit::Check(worst))
}

fn is_wanted(args: &CheckArgs, check: &str) -> bool {
    args.only.is_empty() || args.only.iter().any(|only| only == check) || check == "broker"
}

/// What a broker that can't be reached says; another trouble is none of the cluster's.
fn unreachable(error: anyhow::Error) -> anyhow::Result<String> {
    let text = format!("{error:#}");
    match (error.downcast_ref::<broker::Error>(), error.downcast_ref::<Failure>()) {
        (Some(broker::Error::Url { .. } | broker::Error::Setting { .. }), _) => Err(error),
        (Some(_), _) => Ok(text),
        (_, Some(failure)) if failure.exit == Exit::Unreachable => Ok(text),
        _ => Err(error),
    }
}

async fn look(env: &Env, cluster: &Gathered, args: &CheckArgs) -> (Vec<Finding>, f64) {
    let now = env.clock.now();
    let file = env.settings.history.value.clone();
    let at_once = !args.only.is_empty() && args.only.iter().all(|check| AT_ONCE.contains(&check.as_str()));
    let past = match file.clone().filter(|_| !at_once) {
        Some(path) => Some(recall(env, cluster, path, now).await),
        None => None,
    };
    let usual = if past.is_some() { LISTEN_WITH_HISTORY } else { LISTEN };
    if !at_once {
        cluster.listen(env, args.listen.unwrap_or(usual)).await;
        // Where there is nobody there is nothing to wait for.
        if cluster.store.read(|m| !m.workers().is_empty()) {
            cluster.hear_heartbeats(env).await;
            cluster.ask_running(env).await;
        }
        cluster.ask_depths(env).await;
    }
    let health = tokio::time::timeout(ANSWER, cluster.broker.health()).await;
    let health = match health {
        Ok(health) => health.map_err(|error| error.to_string()),
        Err(_) => Err(format!("{} gave no answer", cluster.broker.url())),
    };
    let recorder = match (&past, file.as_deref().map(lock::holder)) {
        (Some(Err(why)), _) => Recorder::Unreadable(why.to_string()),
        (_, None) => Recorder::None,
        (_, Some(None)) => Recorder::Stopped,
        (_, Some(Some(pid))) => Recorder::Runs(pid.and_then(|pid| memory_of(&pid.to_string()))),
    };
    let now = env.clock.now();
    let live = cluster.feed.link.borrow().is_live();
    let findings = cluster.store.read(|model| {
        let health = health.as_ref().map_err(Clone::clone);
        let past = past.as_ref().and_then(|past| past.as_deref().ok()).unwrap_or_default();
        let evidence = Evidence { model, health, live, now, past, recorder, own_memory: memory_of("self") };
        check::judge(&evidence, &env.settings.alerts)
    });
    (findings, if at_once { 0.0 } else { args.listen.unwrap_or(usual) })
}

/// Fills the model with what the history has of the last hour, and says which workers said no goodbye in it.
async fn recall(env: &Env, cluster: &Gathered, path: PathBuf, now: Stamp) -> Result<Vec<Seen>, history::Error> {
    warm::fill(cluster.store.clone(), path.clone(), now, env.stop.clone()).await?;
    tokio::task::block_in_place(|| Reader::open(&path)?.workers_since(now - SEEN))
}

/// Bytes of memory that a process of ours takes.
fn memory_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // The number may be another process's by now, or one of another container.
    let ours = field("Name:")?.starts_with("flower-tui");
    let kilobytes: u64 = field("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok()?;
    ours.then_some(kilobytes << 10)
}

/// The first line, which is what a monitoring system shows, with figures for it where nobody looks at a terminal.
fn summary(worst: Status, findings: &[Finding], figures: bool) -> String {
    let mut bad: Vec<&Finding> = findings.iter().filter(|finding| finding.status != Status::Ok).collect();
    bad.sort_by_key(|finding| std::cmp::Reverse(finding.status));
    let bad: Vec<String> =
        bad.into_iter().map(|finding| format!("{}: {}", finding.check, plain(&finding.text))).collect();
    let text = match bad.is_empty() {
        true => format!("{} checks are fine", findings.len()),
        false => bad.join("; "),
    };
    let data: Vec<String> = findings.iter().flat_map(|finding| &finding.figures).map(figure).collect();
    let line = format!("{}: {text}", worst.word());
    if figures && !data.is_empty() { format!("{line} | {}", data.join(" ")) } else { line }
}

/// `'queue_celery'=3;100;1000`. What is the worse the less it is has a colon behind its bounds.
fn figure(figure: &Figure) -> String {
    let label = figure.label.replace(['\'', '=', '|'], "_");
    let bound = |bound: Option<f64>| {
        let colon = if figure.least { ":" } else { "" };
        bound.map_or_else(String::new, |bound| format!("{bound}{colon}"))
    };
    // Six places are enough for a time, and a plain number has none.
    let value = (figure.value * 1e6).round() / 1e6;
    format!("'{label}'={value}{};{};{}", figure.unit, bound(figure.warning), bound(figure.critical))
}

/// Without what would begin the figures.
fn plain(text: &str) -> String {
    text.replace('|', "/")
}

/// Whether a command line that can't be read asks for this: then bad usage is no critical state.
pub fn is_asked(arguments: &[String]) -> bool {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    has("check") && !has("history")
}

/// The same of one that can.
pub fn is(command: Option<&Command>) -> bool {
    matches!(command, Some(Command::Check(_)))
}

/// It could not be checked.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    let text = clean(&format!("{error:#}"));
    // Nobody is left to tell when this fails.
    let _ = out::line(&format!("UNKNOWN: {}", plain(text.as_str())));
    ExitCode::from(Exit::Check(Status::Unknown).code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_plugins_write_them() {
        let one = Figure {
            label: "queue_it's".into(),
            value: 3.0,
            unit: "",
            warning: Some(100.0),
            critical: Some(1_000.0),
            least: false,
        };
        assert_eq!(figure(&one), "'queue_it_s'=3;100;1000");
        let least = Figure { label: "success".into(), value: 99.25, unit: "%", critical: None, least: true, ..one };
        assert_eq!(figure(&least), "'success'=99.25%;100:;");
    }

    #[test]
    fn memory_is_told_of_processes_of_ours_alone() {
        assert_eq!(memory_of("1234567890"), None);
        // Tests run under another name.
        assert_eq!(memory_of("self"), None);
    }

    #[test]
    fn bad_usage_of_the_check_is_told_apart_from_that_of_other_commands() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_asked(&words("-b redis://h check --fro 5s")));
        assert!(!is_asked(&words("history check --mnd")) && !is_asked(&words("status --check")));
    }
}
