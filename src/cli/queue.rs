//! `queue NAME`: one queue, who consumes it, and what waits in it. Nothing is consumed.

use super::args::QueueArgs;
use super::env::Env;
use super::exit::{Exit, not_so};
use super::{gather, out};
use crate::celery::queue::Depth;
use crate::human;
use crate::state::Update;
use crate::state::doc::{QueueDoc, WaitingDoc};

/// Messages shown where nothing else is said.
const USUAL: usize = 10;
/// Seconds listened to before anything is printed.
const LISTEN: f64 = 0.3;

pub async fn run(env: &Env, args: QueueArgs) -> anyhow::Result<Exit> {
    let cluster = gather::begin(env).await?;
    cluster.listen(env, LISTEN).await;
    let mut depths = cluster.broker.queues(std::slice::from_ref(&args.name)).await?;
    cluster.broker.next_in_line(&mut depths).await?;
    // Asked about by name a queue may be told of, whether or not it exists; not asked, only if it does. A broker that
    // counts consumers tells of none that doesn't.
    let told = |depth: &Depth| depth.name == args.name && depth.consumers.is_some();
    let declared =
        depths.iter().any(told) || cluster.broker.queues(&[]).await?.iter().any(|depth| depth.name == args.name);
    cluster.store.apply(&[Update::Queues(env.clock.now(), depths)]);
    let can = cluster.broker.capabilities();
    let asked = args.peek.or((can.peek && !can.peek_marks).then_some(USUAL));
    let waiting = match asked {
        Some(n) => cluster.broker.peek(&args.name, 0..n).await?,
        None => Vec::new(),
    };
    let redactor = env.redactor();
    let waiting: Vec<WaitingDoc> = waiting.iter().map(|w| WaitingDoc::new(w, &redactor)).collect();
    let now = env.clock.now();
    let (doc, workers, oldest) = cluster.store.read(|m| {
        let doc = m.queue(&args.name).map(|queue| QueueDoc::new(&args.name, queue, m, now));
        let consumes = |queues: &Option<Vec<String>>| queues.iter().flatten().any(|q| *q == args.name);
        let workers = m.workers().into_iter().filter(|(_, w)| w.is_online(now) && consumes(&w.inspected.queues));
        // How long we have been watching is no age.
        let oldest = m.queue(&args.name).and_then(|queue| m.oldest(queue, now)).filter(|(_, at_least)| !at_least);
        (doc, workers.map(|(name, _)| name.to_owned()).collect::<Vec<_>>(), oldest.map(|(secs, _)| secs))
    });
    let known = declared || !waiting.is_empty() || !workers.is_empty();
    let Some(doc) = doc.filter(|doc| known || doc.ready > 0 || doc.unacked.is_some_and(|n| n > 0)) else {
        return Err(not_so(format!(
            "nobody declared a queue {:?}, and nothing waits in it; `flower-tui queues` lists those there are",
            crate::text::clean(&args.name).as_str()
        )));
    };
    if args.json {
        let mut document = serde_json::to_value(&doc)?;
        document["workers"] = serde_json::to_value(&workers)?;
        document["waiting"] = serde_json::to_value(&waiting)?;
        out::json(&document)?;
        return Ok(Exit::Done);
    }
    print(&doc, oldest, &workers, &waiting)?;
    if asked.is_none() && can.peek && doc.ready > 0 {
        out::line("")?;
        out::line("--peek N shows the first messages; RabbitMQ marks them as redelivered by it")?;
    }
    Ok(Exit::Done)
}

fn print(doc: &QueueDoc, oldest: Option<f64>, workers: &[String], waiting: &[WaitingDoc]) -> anyhow::Result<()> {
    let line = |label: &str, text: &str| {
        let text = crate::text::clean(text);
        out::line(&format!("{label:<10} {text}"))
    };
    line("queue", &doc.name)?;
    let priorities: Vec<String> =
        doc.by_priority.iter().filter(|(_, n)| n.as_u64() != Some(0)).map(|(p, n)| format!("{p}:{n}")).collect();
    let by = if priorities.len() > 1 { format!("   by priority {}", priorities.join(" ")) } else { String::new() };
    line("waiting", &format!("{}{by}", human::thousands(doc.ready)))?;
    line("unacked", &doc.unacked.map_or_else(|| "-".into(), human::thousands))?;
    if let Some(oldest) = oldest.filter(|_| doc.ready > 0) {
        line("oldest", &human::seconds(oldest))?;
    }
    let nobody = "no online worker says it consumes this queue".to_owned();
    line("consumers", &if workers.is_empty() { nobody } else { workers.join(" ") })?;
    if waiting.is_empty() {
        return Ok(());
    }
    out::line("")?;
    let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".into());
    let rows: Vec<Vec<String>> = waiting
        .iter()
        .map(|w| {
            let name = match (&w.name, &w.error) {
                (None, Some(why)) => format!("can't be read: {why}"),
                (name, _) => text(name),
            };
            let kwargs = w.kwargs.as_deref().filter(|k| *k != "{}").map_or_else(String::new, |k| format!(" {k}"));
            let args: String = format!("{}{kwargs}", text(&w.args)).chars().take(200).collect();
            let (size, eta) = (human::bytes(w.size as u64), text(&w.eta));
            vec![w.place.to_string(), name, text(&w.id), w.priority.to_string(), eta, size, text(&w.client), args]
        })
        .collect();
    out::table(&["#", "TASK", "ID", "PRIO", "ETA", "SIZE", "ORIGIN", "ARGS"], &rows)
}
