//! `record`: store everything until stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use super::env::Env;
use super::exit::{Exit, not_so};
use super::{notify, out, ui};
use crate::broker::LinkState;
use crate::feed::{Context, Feed, record, warm};
use crate::history::reader::Reader;
use crate::history::writer::{self, Recorder, Role};
use crate::human;
use crate::results::Backend;
use crate::state::{Limits, Store};

/// How often it is looked whether something is to be told.
const LOOK: Duration = Duration::from_millis(250);

pub async fn run(env: &Env) -> anyhow::Result<Exit> {
    let path = env.history_or_usual()?;
    let broker = env.broker()?;
    // Nobody looks at this model: it is only there to be asked which queues and workers there are.
    let store = Store::new(Limits { tasks: 1_000, ..Limits::default() });
    let (recorder, running) = writer::start(env.recording(path.clone()))?;
    let stop = env.stop.child_token();
    let tracker = TaskTracker::new();
    record::attach(&store, &recorder, None, &stop, &tracker);
    let results = env.url().and_then(|url| env.results(&url)).ok().flatten();
    let context =
        Context { broker: broker.clone(), store, clock: env.clock.clone(), stop: stop.clone(), results: None };
    let feed = Feed::start(&context, &tracker);
    tracker.spawn(settle(context.clone(), recorder.clone(), results.clone(), Duration::ZERO));
    // A log is rotated by it: it ends nothing here.
    let mut hangup = signal(SignalKind::hangup())?;
    let ended = ui::stopped_by([SignalKind::terminate(), SignalKind::interrupt()]);
    tokio::pin!(ended);
    let mut look = tokio::time::interval(LOOK);
    let mut alive = tokio::time::interval(notify::watchdog().unwrap_or(Duration::from_secs(3_600)));
    let (mut role, mut link) = (Role::Opening, String::new());
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = hangup.recv() => env.reopen_log(),
            _ = alive.tick() => notify::say("WATCHDOG=1"),
            _ = look.tick() => {}
        }
        let now = recorder.status().role;
        if now != role {
            tell(&now, &path.display().to_string(), &broker.url());
            role = now;
        }
        let state = match &*feed.link.borrow() {
            LinkState::Connecting => String::new(),
            LinkState::Live { .. } => "connected".to_owned(),
            LinkState::Down { why, .. } => format!("{why}; trying again until it is back"),
        };
        if state != link {
            // What ended while the link was down was announced to nobody.
            if feed.link.borrow().is_live() && !link.is_empty() {
                tracker.spawn(settle(context.clone(), recorder.clone(), results.clone(), AFTER));
            }
            out::error(&format!("flower-tui: {}: {state}", broker.url()));
            link = state;
        }
    }
    notify::say("STOPPING=1");
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    // Waiting for a disk is no work for this thread; there is nothing else left to do, though.
    tokio::task::block_in_place(|| running.finish());
    let status = recorder.status();
    let missed = context.store.read(|m| m.counters().missed);
    out::error(&format!(
        "flower-tui: recorded {}, {} not written, {} missed before they came to us",
        human::plural(status.events, "event"),
        human::thousands(status.missed),
        human::thousands(missed)
    ));
    match status.role {
        Role::Failing(why) => Err(not_so(why)),
        _ => Ok(Exit::Done),
    }
}

/// How far back it is looked for tasks whose end nobody saw.
const UNFINISHED: Duration = Duration::from_secs(86_400);

/// How long workers have, once the broker is back, to tell what happened meanwhile and to store results.
const AFTER: Duration = Duration::from_secs(10);

/// Looks up, a while from now, how tasks ended while nobody recorded.
async fn settle(context: Context, recorder: Recorder, results: Option<Arc<dyn Backend>>, after: Duration) {
    let Some(backend) = results else { return };
    tokio::select! {
        () = context.stop.cancelled() => return,
        () = tokio::time::sleep(after) => {}
    }
    let (path, since) = (recorder.path().to_owned(), context.clock.now() - UNFINISHED);
    let found = tokio::task::spawn_blocking(move || {
        let mut reader = Reader::open(&path)?;
        let (mut next, mut unfinished) = (Some(reader.begin(since, i64::MAX)?), Vec::new());
        while let Some(from) = next {
            let (mut some, more) = reader.unfinished(from)?;
            unfinished.append(&mut some);
            next = more;
        }
        Ok::<_, crate::history::Error>(unfinished)
    });
    match found.await {
        Ok(Ok(unfinished)) => warm::settle(&context.store, Some(&recorder), backend.as_ref(), &unfinished).await,
        Ok(Err(why)) => tracing::info!("{why}"),
        Err(_) => {}
    }
}

fn tell(role: &Role, path: &str, broker: &str) {
    match role {
        Role::Opening => {}
        Role::Writer => {
            notify::say(&format!("READY=1\nSTATUS=recording {broker} into {path}"));
            out::error(&format!("flower-tui: recording {broker} into {path}"));
        }
        Role::Reader => {
            notify::say(&format!("READY=1\nSTATUS=another process records into {path}"));
            out::error(&format!("flower-tui: another process records into {path}; waiting for it to end"));
        }
        Role::Failing(why) => {
            notify::say(&format!("STATUS={why}"));
            out::error(&format!("flower-tui: {why}"));
        }
    }
}
