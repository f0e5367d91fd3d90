//! `report`: an incident as Markdown, out of the history. What stands in it has no secrets, as the history has none.

use std::collections::BTreeMap;

use serde_json::Value;

use super::args::ReportArgs;
use super::env::Env;
use super::exit::{Exit, usage};
use super::history::query_of;
use super::out;
use crate::clock::Stamp;
use crate::filter::{When, quoted};
use crate::history::audit::Logged;
use crate::history::reader::{Bucket, Reader};
use crate::human;
use crate::ops::Receipt;
use crate::redact::Redactor;
use crate::state::doc::TaskDoc;
use crate::state::failure::{GroupId, group_of};
use crate::text::{clean, clean_lines};

/// Failures looked at, groups told with their traceback, and open tasks listed.
const FAILURES: usize = 100_000;
const GROUPS: usize = 20;
const OPEN: usize = 50;
/// Commands looked at.
const COMMANDS: usize = 10_000;
/// Lines of a traceback.
const TRACEBACK: usize = 60;

/// What a report is about.
struct Incident {
    from: Stamp,
    to: Stamp,
    zone: jiff::tz::TimeZone,
    redactor: Redactor,
}

/// Failures that are one.
struct Group {
    count: usize,
    first: TaskDoc,
    last: f64,
}

pub fn run(env: &Env, args: &ReportArgs) -> anyhow::Result<Exit> {
    let path = env.history_or_usual()?;
    let (mut reader, now) = (Reader::open(&path)?, env.clock.now());
    let zone = jiff::tz::TimeZone::system();
    let time = |text: &str, reader: &Reader| {
        let found = When::parse(text).resolve(now, &zone, |name| reader.mark(name));
        found.ok_or_else(|| usage(format!("{} is no time and no mark of the history", clean(text))))
    };
    let from = time(&args.since, &reader)?;
    let to = args.until.as_deref().map(|text| time(text, &reader)).transpose()?.unwrap_or(now);
    if to <= from {
        return Err(usage("--until has to be later than --since"));
    }
    let mut span = format!("since:{}", quoted(&args.since));
    if let Some(until) = &args.until {
        span += &format!(" until:{}", quoted(until));
    }
    let incident = Incident { from, to, zone: zone.clone(), redactor: env.redactor() };
    tokio::task::block_in_place(|| {
        let mut lines = vec![format!("# Incident, {} to {}", incident.date(from), incident.date(to)), String::new()];
        lines.extend(incident.summary(env, &mut reader, &span)?);
        lines.extend(incident.marks(&reader)?);
        lines.extend(incident.peaks(&reader.minutes(&query_of(env, std::slice::from_ref(&span), 0)?, 1)?));
        lines.extend(incident.failures(env, &mut reader, &span)?);
        lines.extend(incident.commands(&reader)?);
        lines.extend(incident.open(env, &mut reader, &span)?);
        lines.iter().try_for_each(|line| out::line(line))
    })?;
    Ok(Exit::Done)
}

/// A text between backquotes. One of its own would end it.
fn code(text: &str) -> String {
    format!("`{}`", clean(text).as_str().replace('`', "'"))
}

/// Lines between fences that none of them can close.
fn block(text: &str) -> Vec<String> {
    let lines = clean_lines(text.trim_end());
    let longest = lines.iter().map(|line| line.as_str().chars().take_while(|c| *c == '`').count()).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let cut = lines.len().saturating_sub(TRACEBACK);
    let mut out = vec![fence.clone()];
    if cut > 0 {
        out.push(format!("… {} before", human::plural(cut, "line")));
    }
    // The end of a traceback says most.
    out.extend(lines.iter().skip(cut).map(ToString::to_string));
    out.push(fence);
    out
}

impl Incident {
    fn date(&self, at: Stamp) -> String {
        human::zoned(at, &self.zone)
    }

    fn at(&self, secs: f64) -> String {
        Stamp::from_secs(secs).map_or_else(|| "-".into(), |at| human::date(at, &self.zone))
    }

    fn summary(&self, env: &Env, reader: &mut Reader, span: &str) -> anyhow::Result<Vec<String>> {
        let totals = reader.totals(&query_of(env, &[span.to_owned()], 0)?, &mut |_| true)?;
        let states: Vec<String> =
            totals.states.iter().map(|(state, n)| format!("{} {}", human::thousands(*n), clean(state))).collect();
        let tasks = human::plural(usize::try_from(totals.count()).unwrap_or(usize::MAX), "task");
        let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
        Ok(vec![format!(
            "{tasks} first heard of in this time{states}. From {}.",
            code(&reader.path().display().to_string())
        )])
    }

    fn marks(&self, reader: &Reader) -> anyhow::Result<Vec<String>> {
        let mut lines = vec![String::new(), "## Marks".into(), String::new()];
        let marks = reader.marks(self.from, self.to)?;
        lines.extend(marks.iter().map(|(at, text)| format!("- {}  {}", human::date(*at, &self.zone), clean(text))));
        if marks.is_empty() {
            lines.push("None.".into());
        }
        Ok(lines)
    }

    fn peaks(&self, buckets: &[Bucket]) -> Vec<String> {
        let mut lines = vec![String::new(), "## Peaks".into(), String::new()];
        let sums: Vec<_> = buckets.iter().map(|bucket| (bucket.minute, bucket.sum())).collect();
        let kinds = [("tasks received", 1), ("tasks succeeded", 3), ("tasks failed", 4), ("retries", 5)];
        for (what, place) in kinds {
            let peak = sums.iter().max_by_key(|(_, tally)| tally.counts[place]);
            if let Some((minute, tally)) = peak.filter(|(_, tally)| tally.counts[place] > 0) {
                let n = human::thousands(tally.counts[place]);
                let at = self.at(*minute as f64 * 60.0);
                lines.push(format!("- most {what} in a minute: {n}, at {at}"));
            }
        }
        if lines.len() == 3 {
            lines.push("Nothing happened.".into());
        }
        lines
    }

    fn failures(&self, env: &Env, reader: &mut Reader, span: &str) -> anyhow::Result<Vec<String>> {
        let query = query_of(env, &["state:failure".into(), span.to_owned()], FAILURES)?;
        let page = reader.find(&query, &mut |_| true)?;
        let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
        for (_, doc) in page.tasks {
            let Some(id) = group_of(&doc) else { continue };
            let at = doc.failed.or(doc.timestamp).unwrap_or_default();
            match groups.get_mut(&id) {
                Some(group) => {
                    group.count += 1;
                    group.last = group.last.max(at);
                    if at < group.first.failed.unwrap_or_default() {
                        group.first = doc;
                    }
                }
                None => drop(groups.insert(id, Group { count: 1, last: at, first: doc })),
            }
        }
        let mut groups: Vec<(GroupId, Group)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
        let mut lines = vec![String::new(), "## Failures".into(), String::new()];
        if page.next.is_some() {
            lines.extend([format!("Of the last {} failures only.", human::thousands(FAILURES as u64)), String::new()]);
        }
        if groups.is_empty() {
            lines.push("None.".into());
        }
        for (id, group) in groups.iter().take(GROUPS) {
            lines.extend(self.group(*id, group));
        }
        if groups.len() > GROUPS {
            lines.push(format!("And {} more.", human::plural(groups.len() - GROUPS, "kind")));
        }
        Ok(lines)
    }

    fn group(&self, id: GroupId, group: &Group) -> Vec<String> {
        let doc = &group.first;
        let text = |text: &Option<String>| self.redactor.text(text.as_deref().unwrap_or_default()).into_owned();
        let exception = crate::text::cut_end(clean(&text(&doc.exception)).as_str(), 160).into_owned();
        let mut lines = vec![
            format!("### {} × {}", human::thousands(group.count as u64), code(doc.name.as_deref().unwrap_or("?"))),
            String::new(),
            format!(
                "{}, from {} to {}",
                code(&exception),
                self.at(doc.failed.unwrap_or_default()),
                self.at(group.last)
            ),
            format!(
                "First {} on {}; filter {}.",
                code(&doc.id),
                code(doc.worker.as_deref().unwrap_or("-")),
                code(&format!("group:{id}"))
            ),
            String::new(),
        ];
        if let Some(traceback) = &doc.traceback {
            lines.extend(block(&self.redactor.traceback(traceback)));
            lines.push(String::new());
        }
        lines
    }

    fn commands(&self, reader: &Reader) -> anyhow::Result<Vec<String>> {
        let mut lines = vec![String::new(), "## Commands".into(), String::new()];
        let inside = |row: &Logged| row.asked >= self.from.secs() && row.asked <= self.to.secs();
        let mut rows: Vec<Logged> = reader.audit(COMMANDS, None)?.into_iter().filter(inside).collect();
        rows.reverse();
        if rows.is_empty() {
            lines.push("None were given by flower-tui.".into());
        }
        for row in rows {
            let outcome = row.outcome.as_deref().unwrap_or("no answer");
            let line = code(&self.redactor.text(&row.line));
            lines.push(format!("- {}  {}: {line}, {}", self.at(row.asked), clean(&row.user), clean(outcome)));
            let replies: Value = row.replies.as_deref().and_then(|r| serde_json::from_str(r).ok()).unwrap_or_default();
            for (who, reply) in replies.as_object().into_iter().flatten() {
                let said = self.redactor.text(&Receipt::reply_text(reply)).into_owned();
                lines.push(format!("  - {}: {}", code(who), clean(&said)));
            }
        }
        Ok(lines)
    }

    fn open(&self, env: &Env, reader: &mut Reader, span: &str) -> anyhow::Result<Vec<String>> {
        let mut lines = vec![String::new(), "## Still open".into(), String::new()];
        for (title, filter) in
            [("failed, and not sent again since", "open:yes"), ("not ended", "state:pending,received,started,retry")]
        {
            let page = reader.find(&query_of(env, &[filter.to_owned(), span.to_owned()], FAILURES)?, &mut |_| true)?;
            let mut names: BTreeMap<&str, Vec<&TaskDoc>> = BTreeMap::new();
            for (_, doc) in &page.tasks {
                names.entry(doc.name.as_deref().unwrap_or("(name not known)")).or_default().push(doc);
            }
            let more = if page.next.is_some() { "at least " } else { "" };
            lines.push(format!("- {title}: {more}{}", human::plural(page.tasks.len(), "task")));
            let mut listed = 0;
            for (name, docs) in names {
                let ids = docs.iter().take(OPEN.saturating_sub(listed).min(10)).map(|doc| code(&doc.id));
                let ids: Vec<String> = ids.collect();
                listed += ids.len();
                let more = if docs.len() > ids.len() {
                    format!(" and {} more", docs.len() - ids.len())
                } else {
                    String::new()
                };
                lines.push(format!("  - {} × {}: {}{more}", docs.len(), code(name), ids.join(" ")));
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_fence_or_the_code_it_stands_in() {
        assert_eq!(code("a `b` c"), "`a 'b' c`");
        let lines = block("Traceback\n```\n````x\n");
        assert_eq!(lines.first().map(String::as_str), Some("`````"));
        assert_eq!(lines.last().map(String::as_str), Some("`````"));
        let long = vec!["x"; 100].join("\n");
        assert_eq!(block(&long)[1], "… 40 lines before");
    }
}
