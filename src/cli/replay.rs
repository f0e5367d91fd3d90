//! `replay FILE`, and `replay --from history`.

use serde_json::json;

use super::args::ReplayArgs;
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::{out, ui};
use crate::broker::RawMessage;
use crate::clock::Stamp;
use crate::feed::apply_messages;
use crate::feed::replay::{Broken, Source};
use crate::filter::When;
use crate::history::reader::Reader;
use crate::state::doc::{TaskDoc, WorkerDoc};

/// Messages applied together: what is in memory of a recording at a time.
const SLICE: usize = 4_096;

pub async fn run(env: Env, args: ReplayArgs) -> anyhow::Result<Exit> {
    let source = match &args.file {
        Some(file) => Source::file(file),
        None => past(&env, &args)?,
    };
    if args.json { at_once(&env, &source) } else { ui::replay(env, source, args.speed).await }
}

/// The stretch of history that was asked for.
fn past(env: &Env, args: &ReplayArgs) -> anyhow::Result<Source> {
    let (path, now) = (env.history_or_usual()?, env.clock.now());
    let reader = Reader::open(&path)?;
    let time = |text: &str| {
        let found = When::parse(text).resolve(now, &jiff::tz::TimeZone::system(), |name| reader.mark(name));
        found.ok_or_else(|| usage(format!("{} is no time and no mark of the history", crate::text::clean(text))))
    };
    let until = args.until.as_deref().map(time).transpose()?.unwrap_or(now);
    Ok(Source::history(&path, time(&args.since)?, until))
}

/// Applies everything, and prints what is known then. Of a recording that was cut off, as far as it goes.
fn at_once(env: &Env, source: &Source) -> anyhow::Result<Exit> {
    let store = env.store();
    let (mut end, mut cut_off) = (Stamp::EPOCH, None);
    let mut messages = source.messages();
    loop {
        let mut slice: Vec<RawMessage> = Vec::with_capacity(SLICE);
        for item in messages.by_ref().take(SLICE) {
            match item {
                Ok(message) => slice.push(message),
                Err(broken @ Broken::Unreadable(_)) => return Err(not_so(broken.to_string())),
                Err(Broken::CutOff(why)) => cut_off = Some(why),
            }
        }
        if slice.is_empty() {
            break;
        }
        end = slice.iter().map(|m| m.received).fold(end, Stamp::max);
        apply_messages(&store, &slice);
    }
    let document = store.read(|m| {
        let mut tasks: Vec<TaskDoc> = m.all_tasks().map(TaskDoc::from).collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        let workers: Vec<WorkerDoc> = m.workers().into_iter().map(|(n, w)| WorkerDoc::new(n, w, end)).collect();
        let counters = m.counters();
        json!({"tasks": tasks, "workers": workers, "events": {"seen": counters.seen, "undecodable": counters.undecodable}})
    });
    out::json(&document)?;
    match cut_off {
        Some(why) => Err(not_so(why)),
        None => Ok(Exit::Done),
    }
}
