//! `find TEXT`: tasks with a text, wherever they are.

use serde::Serialize;

use super::args::FindArgs;
use super::env::Env;
use super::exit::{Exit, usage};
use super::{gather, locate, out};
use crate::clock::Stamp;
use crate::human;
use crate::ops::locate::find::{Hit, Spot};

/// A task that was found.
#[derive(Serialize)]
struct Doc {
    id: String,
    name: Option<String>,
    /// `waiting`, `held`, `unacked`, `memory` or `history`.
    found_in: &'static str,
    /// The place in a word or two.
    place: String,
    queue: Option<String>,
    worker: Option<String>,
    args: String,
}

impl Doc {
    fn new(hit: &Hit, now: Stamp) -> Self {
        let zone = jiff::tz::TimeZone::system();
        let time = |at: Stamp| match now.since(at).as_secs() {
            0..86_400 => human::clock(at, &zone),
            _ => human::date(at, &zone),
        };
        let (found_in, queue, worker) = match &hit.spot {
            Spot::Waiting { queue, .. } => ("waiting", Some(queue), None),
            Spot::Held { worker, .. } => ("held", None, Some(worker)),
            Spot::Unacked { queue } => ("unacked", Some(queue), None),
            Spot::Memory { worker, .. } => ("memory", None, worker.as_ref()),
            Spot::History { .. } => ("history", None, None),
        };
        Self {
            id: hit.id.to_string(),
            name: hit.name.clone(),
            found_in,
            place: hit.spot.words(now, &time),
            queue: queue.cloned(),
            worker: worker.cloned(),
            args: hit.args.clone(),
        }
    }
}

pub async fn run(env: &Env, args: FindArgs) -> anyhow::Result<Exit> {
    if args.text.trim().is_empty() {
        return Err(usage("say what to look for: an id, an argument, or kwarg=value".to_owned()));
    }
    let cluster = gather::begin(env).await?;
    cluster.listen(env, args.listen).await;
    let finding = locate::locator(env, &cluster).find(&args.text, &|_| true).await;
    let now = env.clock.now();
    let docs: Vec<Doc> = finding.hits.iter().map(|hit| Doc::new(hit, now)).collect();
    out::rows(args.format, &docs, &["WHERE", "TASK", "ID", "ARGS"], |doc| {
        vec![doc.place.clone(), doc.name.clone().unwrap_or_else(|| "-".into()), doc.id.clone(), doc.args.clone()]
    })?;
    if !args.format.is_for_programs() {
        out::error(&format!("looked through {}", crate::text::clean(&finding.looked.join("; "))));
    }
    for line in &finding.unseen {
        out::error(&format!("not seen: {}", crate::text::clean(line)));
    }
    Ok(if docs.is_empty() { Exit::NotSo } else { Exit::Done })
}
