//! `serve`: Flower's API until stopped.

use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use super::args::ServeArgs;
use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::{look, notify, out, ui};
use crate::broker::LinkState;
use crate::broker::url::ApiUrl;
use crate::config::flower::{self, Serve};
use crate::config::resolve::{From, Source};
use crate::feed::{Context, Feed};
use crate::ops::locate::Locator;
use crate::serve::auth::{self, Guard};
use crate::serve::{self, Listener, Parts, Site, Tls};
use crate::tui::app::{Options, Profile};
use crate::tui::theme::Theme;

/// How long all that runs beside has to end.
const LAST: Duration = Duration::from_millis(200);
/// Where everybody can connect to, and where only this machine can.
const EVERYWHERE: &str = "::";
const HERE: &str = "127.0.0.1";

pub async fn run(mut env: Env, args: ServeArgs) -> anyhow::Result<Exit> {
    if let Some(wish) = &args.new_token {
        let (token, line) = auth::new_token(wish).map_err(usage)?;
        out::line(&format!("{token}\n{line}"))?;
        return Ok(Exit::Done);
    }
    if args.hash_password {
        let mut password = String::new();
        std::io::stdin().take(4_096).read_to_string(&mut password)?;
        out::line(&auth::hash_password(password.trim_end_matches(['\r', '\n'])).map_err(not_so)?)?;
        return Ok(Exit::Done);
    }
    let folder = std::env::current_dir()?;
    let options = flower::resolve(&args.said, env.environment(), &env.settings.serve, &folder)?;
    told_by_flower(&mut env, &options)?;
    for name in &options.unused {
        say(&format!("{name} is of no use here, and ignored"));
    }
    let (guard, told) = Guard::read(&options, env.clock.clone()).map_err(usage)?;
    told.iter().for_each(|note| say(note));
    warn(&options, &guard);
    let tls = options.tls.as_ref().map(|(cert, key)| Tls::read(cert, key).map(Arc::new));
    let tls = tls.transpose().map_err(usage)?;
    let (listener, place) = listen(&options, &guard, tls.is_some()).await?;
    answer(&env, options, guard, listener, tls, &place).await
}

/// What Flower's options say of the whole program.
fn told_by_flower(env: &mut Env, options: &Serve) -> anyhow::Result<()> {
    let settings = &mut env.settings;
    if let Some(most) = options.max_tasks.filter(|_| settings.max_tasks.source != Source::Flag) {
        settings.max_tasks = From { value: most, source: Source::File };
    }
    if options.read_only == Some(true) {
        settings.read_only = From { value: true, source: Source::File };
    }
    if let Some(text) = options.broker_api.as_ref().filter(|_| settings.broker_api.source == Source::Default) {
        let api = ApiUrl::parse(text).map_err(|why| usage(format!("broker_api: {why}")))?;
        settings.transport_options.broker_api = Some(api);
    }
    Ok(())
}

/// What a person should know of who may come in.
fn warn(options: &Serve, guard: &Guard) {
    if guard.is_open() {
        say("FLOWER_UNAUTHENTICATED_API is set: everybody who can connect may do everything");
    } else if !guard.is_set() {
        say("no users are named: pages can be read on this machine, and the API is closed");
    } else if options.tls.is_none() && options.unix_socket.is_none() && !options.xheaders {
        say(
            "passwords and sessions cross the network in the clear: set certfile and keyfile, or put a proxy with TLS in front",
        );
    }
}

fn say(text: &str) {
    out::error(&format!("flower-tui: {text}"));
}

async fn listen(options: &Serve, guard: &Guard, tls: bool) -> anyhow::Result<(Listener, String)> {
    if let Some(path) = &options.unix_socket {
        let listener = listen_at(path).map_err(|why| not_so(format!("can't listen at {}: {why}", path.display())))?;
        return Ok((Listener::Unix(listener), format!("unix:{}", path.display())));
    }
    let usual = if guard.is_set() || guard.is_open() { EVERYWHERE } else { HERE };
    let address = options.address.as_deref().unwrap_or(usual);
    let bound = match TcpListener::bind((address, options.port)).await {
        // A machine without IPv6 has no such address.
        Err(_) if options.address.is_none() && address == EVERYWHERE => {
            TcpListener::bind(("0.0.0.0", options.port)).await
        }
        bound => bound,
    };
    let listener = bound.map_err(|why| not_so(format!("can't listen on {address}, port {}: {why}", options.port)))?;
    let place = format!("http{}://{}", if tls { "s" } else { "" }, listener.local_addr()?);
    Ok((Listener::Tcp(listener), place))
}

/// A socket of ours in the file system; one that an earlier process left is taken away, anything else is not.
fn listen_at(path: &Path) -> std::io::Result<UnixListener> {
    if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(std::io::Error::other("somebody listens there"));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

async fn answer(
    env: &Env,
    options: Serve,
    guard: Guard,
    listener: Listener,
    tls: Option<Arc<Tls>>,
    place: &str,
) -> anyhow::Result<Exit> {
    let (broker, stop, tracker) = (env.broker()?, env.stop.child_token(), TaskTracker::new());
    let store = env.store_of(options.max_workers);
    let results = env.results(&env.url()?)?;
    let context = Context {
        broker: broker.clone(),
        store: store.clone(),
        clock: env.clock.clone(),
        stop: stop.clone(),
        results: results.clone(),
    };
    let recording = env.settings.history.value.as_ref();
    let recording = recording.map(|path| ui::record(env, path, &context, &tracker)).transpose()?;
    let mut ops = env.ops(broker.clone(), store.clone(), env.clock.clone(), "api", true);
    ops.answer = options.inspect_timeout;
    let locator = Locator {
        broker: broker.clone(),
        store,
        clock: env.clock.clone(),
        results: results.ok_or_else(|| "there is no result backend that could be asked".to_owned()),
        history: env.settings.history.value.clone(),
        // Looking must not leave marks on messages: nobody was asked.
        read_only: true,
    };
    let prefix = options.url_prefix.clone();
    let again = options.clone();
    let feed = Feed::start(&context, &tracker);
    let settings = &env.settings;
    let screen = Options {
        profile: Profile {
            name: settings.profile.value.clone(),
            color: look::color(settings.color.as_deref()),
            url: broker.url(),
        },
        ..env.look.options(settings, Theme::dark())
    };
    let parts = Parts {
        ops,
        locator,
        feed: feed.clone(),
        screen,
        recorder: recording.as_ref().map(|(recorder, _)| recorder.clone()),
        options,
        guard,
        stop: stop.clone(),
    };
    let site = Site::new(parts, &tracker);
    let serving = tokio::spawn(serve::serve(site.clone(), listener, tls.clone()));
    say(&format!("listening on {place}/{prefix}, for {}", broker.url()));
    notify::say(&format!("READY=1\nSTATUS=listening on {place}"));
    let mut link = feed.link.clone();
    wait(&mut link, || reread(env, &again, &site, tls.as_deref())).await?;
    notify::say("STOPPING=1");
    stop.cancel();
    // It ends within a moment by itself.
    let _ = serving.await;
    tracker.close();
    let _ = tokio::time::timeout(LAST, tracker.wait()).await;
    if let Some((_, running)) = recording {
        tokio::task::block_in_place(|| running.finish());
    }
    Ok(Exit::Done)
}

/// Until we are told to end. A person is told when the broker goes and comes.
async fn wait(link: &mut tokio::sync::watch::Receiver<LinkState>, again: impl Fn()) -> anyhow::Result<()> {
    let (mut term, mut int, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let mut alive = tokio::time::interval(notify::watchdog().unwrap_or(Duration::from_secs(3_600)));
    let mut told = String::new();
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hangup.recv() => again(),
            _ = alive.tick() => notify::say("WATCHDOG=1"),
            Ok(()) = link.changed() => {
                let state = match &*link.borrow_and_update() {
                    LinkState::Connecting => continue,
                    LinkState::Live { .. } => "connected to the broker".to_owned(),
                    LinkState::Down { why, .. } => format!("the broker is away: {why}; trying again until it is back"),
                };
                if state != told {
                    say(&state);
                    told = state;
                }
            }
        }
    }
}

/// Opens the log file and reads users, tokens and certificates anew. What can't be read leaves all as it was.
fn reread(env: &Env, options: &Serve, site: &Site, tls: Option<&Tls>) {
    env.reopen_log();
    // A password that was made up stays: it would be another one.
    let made_up = options.basic_auth.is_empty() && options.users.is_none() && options.tokens.is_none();
    if !made_up {
        match Guard::read(options, env.clock.clone()) {
            Ok((guard, told)) => {
                told.iter().for_each(|note| say(note));
                site.set_guard(guard);
            }
            Err(why) => say(&format!("users and tokens stay as they are: {why}")),
        }
    }
    if let Some(Err(why)) = tls.map(Tls::reload) {
        say(&format!("certificates stay as they are: {why}"));
    }
}
