//! `tasks`, `revoke`.

use serde_json::{Value, json};

use super::args::{Format, RevokeArgs, TasksArgs};
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::gather::{self, Gathered};
use super::out;
use crate::celery::TaskId;
use crate::celery::pidbox::Signal;
use crate::filter;
use crate::history::reader::Reader;
use crate::human;
use crate::ops::{Bulk, Command, Receipt};
use crate::state::doc::TaskDoc;
use crate::state::lost::LOST;
use crate::state::{Sort, Store, Update, no_state};
use crate::text::clean;

/// Makes tasks that workers hold, and whose events were never seen, part of the model: through the same door as all else.
fn adopt_held(store: &Store, env: &Env) {
    use crate::celery::event::Batch;
    let held: Vec<Value> = store.read(|m| {
        m.workers()
            .into_iter()
            .flat_map(|(worker, w)| {
                let found = &w.inspected;
                let lists = [
                    (&found.active, "task-started"),
                    (&found.reserved, "task-received"),
                    (&found.scheduled, "task-received"),
                ];
                lists.into_iter().flat_map(move |(list, kind)| list.iter().flatten().map(move |h| (worker, kind, h)))
            })
            .filter(|(_, _, h)| m.task(&h.id).is_none())
            .map(|(worker, kind, h)| {
                let mut event = json!({
                    "type": kind, "uuid": h.id, "name": h.name, "args": h.raw_args(), "hostname": worker,
                    "timestamp": h.started.unwrap_or(env.clock.now()).secs(),
                });
                if let Some(queue) = &h.queue {
                    event["queue"] = json!(queue);
                }
                event
            })
            .collect()
    });
    let mut batch = Batch::default();
    let body = Value::Array(held).to_string();
    if batch.push_body(crate::celery::envelope::Format::Json, body.as_bytes(), env.clock.now()).is_ok() {
        store.apply(&[Update::Events(std::sync::Arc::new(batch))]);
    }
}

pub async fn list(env: &Env, args: TasksArgs) -> anyhow::Result<Exit> {
    let filter =
        filter::parse(&args.filter.join(" ")).map_err(|e| usage(format!("filter, character {}: {e}", e.at + 1)))?;
    let mut docs = match env.reader()? {
        Some(mut reader) => stored(env, &mut reader, &args)?,
        None => Vec::new(),
    };
    let with_history = env.settings.history.value.is_some();
    match gather::begin(env).await {
        Ok(cluster) => {
            cluster.listen(env, args.listen.unwrap_or(if with_history { 0.0 } else { LISTEN })).await;
            adopt_held(&cluster.store, env);
            let live = cluster.store.read(|m| {
                m.select(&filter, Sort::default(), usize::MAX).into_iter().map(TaskDoc::from).collect::<Vec<_>>()
            });
            docs.retain(|doc| !live.iter().any(|other| other.id == doc.id));
            docs.splice(0..0, live);
        }
        Err(error) if with_history => out::error(&format!("flower-tui: {error:#}; this is what the history has")),
        Err(error) => return Err(error),
    }
    // A state of the application's own may be called anything: only where nothing was found it was a slip.
    if let Some(word) = no_state(&filter).filter(|_| docs.is_empty()) {
        out::error(&format!("flower-tui: no state begins with {}", clean(&word)));
    }
    print(args.format, &docs)?;
    Ok(Exit::Done)
}

/// Prints tasks in the format asked for.
pub fn print(format: Format, docs: &[TaskDoc]) -> anyhow::Result<()> {
    let headers = ["STATE", "TASK", "ID", "WORKER", "QUEUE", "RUNTIME", "ARGS"];
    out::rows(format, docs, &headers, |t| {
        let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".into());
        let runtime = t.runtime.map_or_else(|| "-".into(), human::seconds);
        let state = if t.lost.is_some() { LOST.to_owned() } else { t.state.clone() };
        vec![state, text(&t.name), t.id.clone(), text(&t.worker), text(&t.queue), runtime, text(&t.args)]
    })
}

/// Seconds to listen where nothing else tells of tasks.
pub const LISTEN: f64 = 2.0;

/// What the history has.
fn stored(env: &Env, reader: &mut Reader, args: &TasksArgs) -> anyhow::Result<Vec<TaskDoc>> {
    let query = super::history::query_of(env, &args.filter, args.limit)?;
    let page = tokio::task::block_in_place(|| reader.find(&query, &mut |_| true))?;
    if page.next.is_some() {
        out::error(&format!("flower-tui: the newest {} of more in the history; --limit asks for others", args.limit));
    }
    Ok(page.tasks.into_iter().map(|(_, doc)| doc).collect())
}

/// Makes tasks that the history knows part of the model; says which, with their events.
pub fn recall(store: &Store, env: &Env, ids: &[TaskId]) -> anyhow::Result<Vec<Vec<Value>>> {
    let Some(mut reader) = env.reader()? else { return Ok(Vec::new()) };
    let mut known = Vec::new();
    for id in ids {
        if let Some((n, doc)) = tokio::task::block_in_place(|| reader.task(id))? {
            let events = reader.events(n, &doc)?;
            let batch = crate::history::batch_in_time(events.clone());
            store.apply(&[Update::Recalled(std::sync::Arc::new(batch))]);
            known.push(events);
        }
    }
    Ok(known)
}

/// The tasks that a filter selects: of the history, where there is one, and of those seen while listening.
pub async fn selected(env: &Env, cluster: &Gathered, text: &str, listen: Option<f64>) -> anyhow::Result<Vec<TaskId>> {
    let filter = filter::parse(text).map_err(|e| usage(format!("filter, character {}: {e}", e.at + 1)))?;
    let mut ids: Vec<TaskId> = Vec::new();
    if let Some(mut reader) = env.reader()? {
        let query = super::history::query_of(env, &[text.to_owned()], usize::MAX)?;
        let page = tokio::task::block_in_place(|| reader.find(&query, &mut |_| true))?;
        ids.extend(page.tasks.into_iter().map(|(_, doc)| TaskId::new(&doc.id)));
        recall(&cluster.store, env, &ids)?;
    }
    let with_history = env.settings.history.value.is_some();
    cluster.listen(env, listen.unwrap_or(if with_history { 0.3 } else { LISTEN })).await;
    adopt_held(&cluster.store, env);
    let mut seen: std::collections::HashSet<TaskId> = ids.iter().cloned().collect();
    let live = cluster.store.select_ids(&filter, Sort::default());
    ids.extend(live.into_iter().filter(|id| seen.insert(id.clone())));
    Ok(ids)
}

/// Prints what came of a command, and says what to exit with.
pub fn print_receipt(receipt: &Receipt, as_json: bool) -> anyhow::Result<Exit> {
    if as_json {
        out::json(&receipt.document())?;
    } else {
        let rows: Vec<Vec<String>> =
            receipt.replies.iter().map(|(who, value)| vec![who.clone(), Receipt::reply_text(value)]).collect();
        for row in &rows {
            out::line(&format!("{}: {}", clean(&row[0]), clean(&row[1])))?;
        }
    }
    if let Some(why) = receipt.outcome.why() {
        let why = clean(&why);
        out::error(&format!("flower-tui: {} {}: {why}", receipt.verb, receipt.outcome.word()));
    }
    Ok(Exit::of(receipt))
}

pub async fn revoke(env: &Env, args: RevokeArgs) -> anyhow::Result<Exit> {
    let terminate = match args.terminate {
        true => Some(Signal::parse(&args.signal).ok_or_else(|| {
            let known = Signal::ALL.map(Signal::name).join(", ");
            usage(format!("there is no signal {}: take one of {known}", clean(&args.signal)))
        })?),
        false => None,
    };
    let cluster = gather::begin(env).await?;
    let ids = match &args.filter {
        Some(filter) => selected(env, &cluster, filter, None).await?,
        None => {
            cluster.listen(env, 0.3).await;
            args.ids.iter().map(|id| TaskId::new(id.trim())).collect()
        }
    };
    let open = |id: &TaskId| cluster.store.read(|m| m.task(id).is_none_or(|task| !task.state().is_ready()));
    let ids: Vec<TaskId> = ids.into_iter().filter(|id| args.filter.is_none() || open(id)).collect();
    if ids.is_empty() {
        return Err(not_so("no task that has not ended is selected"));
    }
    let command = match args.rate {
        Some(rate) => Command::Bulk(Bulk::Revoke { ids, terminate, rate }),
        None => Command::revoke(ids, terminate),
    };
    let asks = args.filter.is_some() || args.rate.is_some();
    if asks && !args.yes && !super::change::agreed(&cluster, &command)? {
        return Err(not_so("nothing was sent"));
    }
    super::change::run(env, &cluster, &command, args.json).await
}

pub async fn run(env: &Env, cluster: &Gathered, command: &Command) -> Receipt {
    env.ops(cluster.broker.clone(), cluster.store.clone(), env.clock.clone(), "cli", true).run(command).await
}
