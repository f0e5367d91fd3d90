//! The screen: on a broker, on the simulated cluster, or on a recording.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Size;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::look;
use crate::broker::{self, Broker, BrokerUrl};
use crate::clock::Clock;
use crate::config::{file, keep};
use crate::feed::replay::{Controls, ReplayBroker, Source};
use crate::feed::{self, Context, Feed, warm};
use crate::history::aftermath;
use crate::history::audit::Audit;
use crate::history::writer::{self, Recorder, Running};
use crate::ops::locate::Locator;
use crate::results::Backend;
use crate::sim::{self, SimBroker};
use crate::tui::app::{Options, Profile};
use crate::tui::options::Offer;
use crate::tui::session::{Keeper, Own, Session, Wiring};
use crate::tui::term::{self, Multiplexer};
use crate::tui::theme::Theme;
use crate::tui::view::Leave;

/// Which cluster a session is on.
struct Cluster {
    broker: Arc<dyn Broker>,
    clock: Clock,
    results: Option<Arc<dyn Backend>>,
    /// It is the one that the profile in force is of.
    of_profile: bool,
    /// Commands reach somebody: they are written to the audit log, and a missing broker is explained.
    real: bool,
    /// It is the past: what is played, and the knobs for it.
    played: Option<(Source, Controls)>,
}

/// Opens the screen.
pub async fn run(env: Env, demo: Option<sim::Options>) -> anyhow::Result<Exit> {
    let clock = env.clock.clone();
    let cluster = match demo {
        Some(options) => simulated(&options, clock),
        None => connect(&env)?,
    };
    screen(env, cluster).await
}

/// Opens the screen on a recording.
pub async fn replay(env: Env, source: Source, speed: f64) -> anyhow::Result<Exit> {
    // What can't be read at all is told before the screen is.
    let begin = match source.messages().next() {
        Some(Ok(first)) => first.received,
        Some(Err(broken)) => return Err(not_so(broken.to_string())),
        None => return Err(not_so(format!("nothing was recorded in {}", source.name()))),
    };
    let broker = Arc::new(ReplayBroker::new(source.name()));
    let played = Some((source, Controls::new(begin, speed)));
    screen(env, Cluster { broker, clock: Clock::manual(begin), results: None, of_profile: false, real: false, played })
        .await
}

/// The cluster that the settings name.
fn connect(env: &Env) -> anyhow::Result<Cluster> {
    let (broker, results) = (env.broker()?, env.results(&env.url()?)?);
    Ok(Cluster { broker, clock: env.clock.clone(), results, of_profile: true, real: true, played: None })
}

/// A cluster whose broker somebody typed.
fn typed(env: &Env, text: &str) -> anyhow::Result<Cluster> {
    let url = BrokerUrl::parse(text)?;
    let broker = broker::open(&url, env.settings.transport_options.clone())?;
    Ok(Cluster {
        broker,
        clock: env.clock.clone(),
        results: env.results(&url)?,
        of_profile: false,
        real: true,
        played: None,
    })
}

fn simulated(options: &sim::Options, clock: Clock) -> Cluster {
    let broker = Arc::new(SimBroker::new(options, clock.clone()));
    Cluster { broker, clock, results: None, of_profile: false, real: false, played: None }
}

async fn screen(mut env: Env, mut cluster: Cluster) -> anyhow::Result<Exit> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if dumb || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(usage("the screen needs a terminal; for text there is: flower-tui status"));
    }
    let size = watch::Sender::new(term::size()?);
    let resized = size.subscribe();
    let stop = env.stop.clone();
    tokio::spawn(watch_size(size));
    tokio::spawn(async move {
        stopped_unless(ENDING, |kind| kind == SignalKind::interrupt() && term::is_lent()).await;
        stop.cancel();
    });
    let _guard = term::Guard::enter(env.settings.mouse.value)?;
    let mut input = term::input();
    let mut begin = Begin::default();
    loop {
        match session(&env, &cluster, &resized, &mut input, &mut begin).await? {
            Leave::Quit | Leave::Idle => return Ok(Exit::Done),
            Leave::Demo => cluster = simulated(&sim::Options::default(), env.clock.clone()),
            Leave::Broker(text) => match typed(&env, &text) {
                Ok(chosen) => {
                    begin.typed = Some(text);
                    cluster = chosen;
                }
                Err(why) => begin.notice = Some(format!("{why:#}")),
            },
            Leave::Profile(name) => match env.on_profile(&name).and_then(|chosen| Ok((connect(&chosen)?, chosen))) {
                Ok((chosen_cluster, chosen)) => {
                    cluster = chosen_cluster;
                    env = chosen;
                }
                Err(why) => begin.notice = Some(format!("{name}: {why:#}")),
            },
        }
    }
}

/// What one session leaves to the next.
#[derive(Default)]
struct Begin {
    /// The theme that went by the terminal's background.
    theme: Option<Theme>,
    notice: Option<String>,
    /// A broker that was typed and could be kept.
    typed: Option<String>,
}

async fn session(
    env: &Env,
    cluster: &Cluster,
    resized: &watch::Receiver<Size>,
    input: &mut mpsc::Receiver<Vec<u8>>,
    begin: &mut Begin,
) -> anyhow::Result<Leave> {
    let store = env.store();
    let stop = env.stop.child_token();
    let context = Context {
        broker: cluster.broker.clone(),
        store: store.clone(),
        clock: cluster.clock.clone(),
        stop: stop.clone(),
        results: cluster.results.clone(),
    };
    let tracker = TaskTracker::new();
    let history = history(env, cluster);
    let recording = history.as_ref().map(|path| record(env, path, &context, &tracker)).transpose()?;
    let feed = match &cluster.played {
        Some((source, controls)) => Feed::play(&context, source.clone(), controls, &tracker),
        None => Feed::start(&context, &tracker),
    };
    let locator = Locator {
        broker: cluster.broker.clone(),
        store: store.clone(),
        clock: cluster.clock.clone(),
        results: cluster.results.clone().ok_or_else(|| "there is no result backend that could be asked".to_owned()),
        history: history.clone(),
        read_only: env.settings.read_only.value,
    };
    let ops = env.ops(cluster.broker.clone(), store, cluster.clock.clone(), "ui", cluster.real);
    let mut place = aftermath::Place::default();
    tokio::task::block_in_place(|| ops.recall(&mut place));
    tracker.spawn(ops.clone().keep_recalling(place, stop.clone()));
    let settings = &env.settings;
    let file = settings.config.clone().or_else(file::default_path);
    let kept = begin.typed.take().zip(file);
    let colorfgbg = std::env::var("COLORFGBG").ok();
    let background = colorfgbg.as_deref().and_then(Theme::from_colorfgbg);
    let options = Options {
        profile: Profile {
            name: settings.profile.value.clone().filter(|_| cluster.of_profile),
            color: look::color(settings.color.as_deref()).filter(|_| cluster.of_profile),
            url: cluster.broker.url(),
        },
        welcome: cluster.real,
        replay: cluster.played.as_ref().map(|(_, controls)| controls.clone()),
        history,
        notice: begin.notice.take(),
        offer: kept.as_ref().map(|(_, file)| Offer { url: cluster.broker.url(), file: file.display().to_string() }),
        ..env.look.options(settings, begin.theme.or(background).unwrap_or_else(Theme::dark))
    };
    let color = std::env::var("COLORTERM").unwrap_or_default();
    let wiring = Wiring {
        ops,
        locator,
        feed,
        resized: resized.clone(),
        stop: stop.clone(),
        true_color: color.contains("truecolor") || color.contains("24bit"),
        multiplexer: multiplexer().await,
        keep: kept.map(|(url, file)| keeper(url, file)),
        auto_theme: env.look.is_auto() && background.is_none(),
        terminal: Some(Own { mouse: settings.mouse.value }),
        recorder: recording.as_ref().map(|(recorder, _)| recorder.clone()),
        // Whoever writes to a terminal waits for it.
        untaken: watch::channel(0).1,
        idle: None,
    };
    let mut session = Session::new(options, std::io::stdout(), wiring);
    let leave = session.run(input).await;
    begin.theme = Some(session.theme());
    stop.cancel();
    tracker.close();
    if let Some((_, running)) = recording {
        // Whoever waits for a result backend is not waited for.
        let _ = tokio::time::timeout(SETTLE, tracker.wait()).await;
        tokio::task::block_in_place(|| running.finish());
    }
    Ok(leave?)
}

/// How long tasks of a session have to end.
const SETTLE: Duration = Duration::from_millis(400);

/// The history file of a cluster. What is simulated goes into one only where the command line asks for it: a setting is
/// meant for the real one.
fn history(env: &Env, cluster: &Cluster) -> Option<PathBuf> {
    let history = &env.settings.history;
    let simulated = !cluster.real && cluster.played.is_none() && history.source == crate::config::Source::Flag;
    history.value.clone().filter(|_| simulated || (cluster.real && cluster.of_profile))
}

/// Records what happens, and begins with what the history has.
pub fn record(env: &Env, path: &Path, context: &Context, tracker: &TaskTracker) -> anyhow::Result<(Recorder, Running)> {
    let (recorder, running) = writer::start(env.recording(path.to_owned()))?;
    let (seen, looks) = mpsc::channel(4);
    feed::record::attach(&context.store, &recorder, Some(seen), &context.stop, tracker);
    match Audit::in_history(path) {
        Ok(audit) => _ = tokio::spawn(feed::record::keep_seen(audit, context.broker.url(), looks)),
        // The recorder tells what is wrong with the file.
        Err(why) => tracing::warn!("{why}"),
    }
    let (context, path, offered) = (context.clone(), path.to_owned(), recorder.clone());
    tracker.spawn(async move {
        let Context { store, clock, stop, results, .. } = context;
        match warm::fill(store.clone(), path, clock.now(), stop).await {
            Ok(unfinished) => {
                if let Some(backend) = results {
                    warm::settle(&store, Some(&offered), backend.as_ref(), &unfinished).await;
                }
            }
            // A file that is only being made has no past.
            Err(why) => tracing::info!("{why}"),
        }
    });
    Ok((recorder, running))
}

/// Writes the broker that was typed into the settings.
fn keeper(url: String, file: PathBuf) -> Keeper {
    Arc::new(move |name| {
        let usual = keep::profile(&file, name, &url).map_err(|error| error.to_string())?;
        let how = if usual { "flower-tui".to_owned() } else { format!("flower-tui -P {name}") };
        Ok(format!("kept in {}: `{how}` opens it", file.display()))
    })
}

/// What stands between us and the terminal's clipboard.
async fn multiplexer() -> Multiplexer {
    let var = |name| std::env::var(name).ok();
    let found = Multiplexer::from_environment(var("TMUX").as_deref(), var("TERM").as_deref());
    if found != Multiplexer::Tmux {
        return found;
    }
    let options = ["display-message", "-p", "#{set-clipboard} #{allow-passthrough}"];
    let asked = tokio::process::Command::new("tmux").args(options).output();
    match tokio::time::timeout(TMUX, asked).await {
        Ok(Ok(answer)) if !term::tmux_lets_through(&String::from_utf8_lossy(&answer.stdout)) => Multiplexer::Closed,
        _ => Multiplexer::Tmux,
    }
}

/// How long tmux has to say what it lets through.
const TMUX: Duration = Duration::from_millis(300);

async fn watch_size(size: watch::Sender<Size>) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    while changes.recv().await.is_some() {
        if let Ok(now) = term::size() {
            size.send_replace(now);
        }
    }
}

/// What ends a process that has a terminal.
const ENDING: [SignalKind; 3] = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];

/// Ends when the process is told to: SIGTERM, SIGINT or SIGHUP.
pub async fn stopped_by_signal() {
    stopped_by(ENDING).await;
}

/// Ends at one of these signals.
pub async fn stopped_by<const N: usize>(kinds: [SignalKind; N]) {
    stopped_unless(kinds, |_| false).await;
}

/// The same, but for signals that are not meant for us.
async fn stopped_unless<const N: usize>(kinds: [SignalKind; N], others: fn(SignalKind) -> bool) {
    let mut waiting: Vec<_> = kinds.into_iter().filter_map(|kind| Some((kind, signal(kind).ok()?))).collect();
    loop {
        let each = waiting.iter_mut().map(|(kind, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *kind
            })
        });
        if !others(futures_util::future::select_all(each).await.0) {
            return;
        }
    }
}
