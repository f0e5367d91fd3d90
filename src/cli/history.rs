//! `history`: look things up in the file, write them out, keep it in order.

use std::fs::OpenOptions;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{Format, HistoryArgs, HistoryCommand};
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::{out, tasks};
use crate::clock::Stamp;
use crate::export::{self, Rows};
use crate::filter::{self, Filter};
use crate::history::reader::{Progress, Query, Reader};
use crate::history::upkeep;
use crate::human;
use crate::state::doc::TaskDoc;

pub async fn run(env: &Env, args: HistoryArgs) -> anyhow::Result<Exit> {
    let path = env.history_or_usual()?;
    // Nothing else is going on that the disk could keep waiting.
    tokio::task::block_in_place(|| match args.what {
        HistoryCommand::Query { filter, limit, format } => query(env, &path, &filter, limit, format),
        HistoryCommand::Export { file, filter } => export(env, &path, &file, &filter),
        HistoryCommand::Stats { json } => stats(env, &path, json),
        HistoryCommand::Prune => prune(env, &path),
        HistoryCommand::Backup { file } => {
            let bytes = upkeep::backup(&path, &file)?;
            if let Err(why) = upkeep::note_backup(&path, env.clock.now()) {
                tracing::warn!("the copy is there, and that it was made can't be noted: {why}");
            }
            out::line(&format!("copied {} into {}", human::bytes(bytes), file.display()))?;
            Ok(Exit::Done)
        }
        HistoryCommand::Check { mend } => check(&path, mend),
        HistoryCommand::Audit { limit, format } => audit(env, &path, limit, format),
        HistoryCommand::Merge { files } => merge(env, &path, &files),
    })
}

/// A query of everything a filter selects.
pub fn query_of(env: &Env, words: &[String], limit: usize) -> anyhow::Result<Query> {
    let filter: Filter =
        filter::parse(&words.join(" ")).map_err(|e| usage(format!("filter, character {}: {e}", e.at + 1)))?;
    Ok(Query { filter, now: env.clock.now(), zone: jiff::tz::TimeZone::system(), limit, before: None })
}

fn query(env: &Env, path: &Path, words: &[String], limit: usize, format: Format) -> anyhow::Result<Exit> {
    let query = query_of(env, words, limit)?;
    let mut reader = Reader::open(path)?;
    let page = reader.find(&query, &mut |_| true)?;
    let docs: Vec<TaskDoc> = page.tasks.into_iter().map(|(_, doc)| doc).collect();
    tasks::print(format, &docs)?;
    if page.next.is_some() && !format.is_for_programs() {
        out::error(&format!("flower-tui: the first {limit} of more; --limit asks for others"));
    }
    Ok(Exit::Done)
}

/// Rows read before they are written.
const SLICE: usize = 10_000;

fn export(env: &Env, path: &Path, file: &Path, words: &[String]) -> anyhow::Result<Exit> {
    let mut query = query_of(env, words, SLICE)?;
    let mut reader = Reader::open(path)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let made = made.map_err(|error| not_so(format!("can't write {}: {error}", file.display())))?;
    let result = write_out(&mut reader, &mut query, BufWriter::new(made), export::Format::of(file));
    match result {
        Ok(written) => {
            out::line(&format!("{} written to {}", human::plural(written, "task"), file.display()))?;
            Ok(Exit::Done)
        }
        Err(error) => {
            // What is half done is of no use, and would stand in the way of another try.
            let _ = std::fs::remove_file(file);
            Err(error)
        }
    }
}

fn write_out(reader: &mut Reader, query: &mut Query, out: impl Write, format: export::Format) -> anyhow::Result<u64> {
    let shown = std::io::stderr().is_terminal();
    let mut rows = Rows::new(out, format);
    let (mut written, mut passed, mut before) = (0, 0, 0);
    loop {
        let page = reader.find(query, &mut |progress: Progress| {
            passed = before + progress.looked;
            if shown {
                let share = passed.saturating_mul(100).checked_div(progress.of).unwrap_or(100);
                let _ = write!(
                    std::io::stderr(),
                    "\r{}, {}% passed ",
                    human::plural(written + progress.found, "task"),
                    share.min(100)
                );
            }
            true
        })?;
        before = passed;
        for (_, doc) in &page.tasks {
            rows.add(doc)?;
            written += 1;
        }
        query.before = page.next;
        if page.next.is_none() {
            if shown {
                out::error("");
            }
            rows.finish()?;
            return Ok(written);
        }
    }
}

fn stats(env: &Env, path: &Path, as_json: bool) -> anyhow::Result<Exit> {
    let mut reader = Reader::open(path)?;
    let totals = reader.totals(&query_of(env, &[], 0)?, &mut |_| true)?;
    let (span, sizes) = (reader.span()?, upkeep::sizes(path)?);
    let bytes: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let each = bytes.checked_div(totals.count());
    if as_json {
        let tables: serde_json::Map<_, _> = sizes.into_iter().map(|(name, n)| (name, json!(n))).collect();
        out::json(&json!({
            "path": path, "tasks": totals.count(), "states": totals.states,
            "since": span.map(|(first, _)| first.secs()), "until": span.map(|(_, last)| last.secs()),
            "bytes": bytes, "bytes_per_task": each, "tables": tables,
        }))?;
        return Ok(Exit::Done);
    }
    out::line(&format!("{}  {}", path.display(), human::bytes(bytes)))?;
    if let Some((first, last)) = span {
        let (zone, now) = (jiff::tz::TimeZone::system(), env.clock.now());
        let (first, last) = (human::day(first, now, &zone), human::day(last, now, &zone));
        let each = each.unwrap_or(0);
        let tasks = human::plural(totals.count(), "task");
        out::line(&format!("{tasks} from {first} to {last}, {} each", human::plural(each, "byte")))?;
    }
    let states: Vec<Vec<String>> =
        totals.states.iter().map(|(state, n)| vec![state.clone(), human::thousands(*n)]).collect();
    out::table(&["STATE", "TASKS"], &states)?;
    let sizes: Vec<Vec<String>> = sizes.into_iter().map(|(name, n)| vec![name, human::thousands(n)]).collect();
    out::table(&["TABLE", "BYTES"], &sizes)?;
    Ok(Exit::Done)
}

fn prune(env: &Env, path: &Path) -> anyhow::Result<Exit> {
    let keep = env.recording(path.to_owned()).keep;
    let before = Reader::open(path)?.tasks()?;
    upkeep::prune(path, &keep, env.clock.now())?;
    let after = Reader::open(path)?.tasks()?;
    out::line(&format!("{} taken away, {} left", human::plural(before - after, "task"), human::thousands(after)))?;
    Ok(Exit::Done)
}

fn check(path: &Path, mend: bool) -> anyhow::Result<Exit> {
    if mend {
        upkeep::mend(path)?;
    }
    let wrong = upkeep::check(path)?;
    for line in &wrong {
        out::line(crate::text::clean(line).as_str())?;
    }
    match wrong.is_empty() {
        true => out::line(&format!("{}: all of it holds together", path.display()))?,
        false => return Ok(Exit::NotSo),
    }
    Ok(Exit::Done)
}

fn audit(env: &Env, path: &Path, limit: usize, format: Format) -> anyhow::Result<Exit> {
    let rows = match &env.settings.history.value {
        Some(_) => Reader::open(path)?.audit(limit, None)?,
        // Without a history the log has a file of its own.
        None => env.audit().map_err(not_so)?.latest(limit)?,
    };
    let zone = jiff::tz::TimeZone::system();
    let headers = ["ROW", "ASKED", "USER", "FROM", "COMMAND", "TARGET", "ARGUMENTS", "OUTCOME"];
    out::rows(format, &rows, &headers, |row| {
        let asked = Stamp::from_secs(row.asked).map_or_else(String::new, |at| human::date(at, &zone));
        let user = match row.sudo_user.as_str() {
            "" => row.user.clone(),
            sudo => format!("{} (sudo of {sudo})", row.user),
        };
        let outcome = row.outcome.clone().unwrap_or_else(|| "no answer".into());
        let from = if row.ssh.is_empty() { row.via.clone() } else { format!("{} {}", row.via, row.ssh) };
        vec![
            row.row.to_string(),
            asked,
            user,
            from,
            row.command.clone(),
            row.target.clone(),
            row.arguments.clone(),
            outcome,
        ]
    })?;
    Ok(Exit::Done)
}

fn merge(env: &Env, path: &Path, files: &[PathBuf]) -> anyhow::Result<Exit> {
    for file in files {
        let merged = upkeep::merge(path, file, env.redactor(), env.clock.now())?;
        let (tasks, events) = (human::plural(merged.tasks, "task"), human::plural(merged.events, "event"));
        out::line(&format!("{}: new {tasks}, {events}", file.display()))?;
    }
    Ok(Exit::Done)
}
