//! What every command needs: settings, broker, audit log, clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::Global;
use super::exit::usage;
use super::log::Log;
use super::look::Look;
use crate::broker::{self, Broker, BrokerUrl};
use crate::clock::Clock;
use crate::config::{Flags, Settings, file, resolve};
use crate::history::aftermath;
use crate::history::audit::{Audit, Logged, Origin};
use crate::history::reader::Reader;
use crate::history::writer;
use crate::ops::{Course, Ops};
use crate::redact::Redactor;
use crate::results::{self, Backend, ResultUrl};
use crate::state::deeds::Deed;
use crate::state::{Limits, Store};

/// See the module.
pub struct Env {
    pub settings: Settings,
    /// What the settings make of the screen.
    pub look: Look,
    pub clock: Clock,
    /// Ends everything.
    pub stop: CancellationToken,
    log: Option<Log>,
    flags: Flags,
    environment: resolve::Env,
}

/// Variables that say which cluster is meant: they hold until a person chooses another.
const CLUSTER: [&str; 8] = [
    "FLOWER_TUI_BROKER",
    "CELERY_BROKER_URL",
    "FLOWER_TUI_BROKER_API",
    "FLOWER_BROKER_API",
    "FLOWER_TUI_RESULT_BACKEND",
    "CELERY_RESULT_BACKEND",
    "FLOWER_TUI_PROFILE",
    "FLOWER_TUI_HISTORY",
];

/// How long workers have to answer a command.
const ANSWER: Duration = Duration::from_secs(3);
/// Where a broker is looked for when nothing is said.
const USUAL: &str = "redis://localhost:6379/0";

impl Env {
    pub fn new(global: &Global) -> anyhow::Result<Self> {
        let flags = Flags {
            broker: global.broker.clone(),
            broker_file: global.broker_file.clone(),
            result_backend: global.result_backend.clone(),
            broker_api: global.broker_api.clone(),
            profile: global.profile.clone(),
            config: global.config.clone(),
            history: global.history.clone(),
            read_only: global.read_only,
            max_tasks: global.max_tasks,
            max_memory: global.max_memory.clone(),
            log_file: global.log_file.clone(),
            color: global.color.clone(),
            fps: global.fps,
            ascii: global.ascii,
            no_audit: global.no_audit,
        };
        let environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        let settings = Settings::resolve(&flags, &environment)?;
        let log = settings.log_file.value.as_deref().map(|path| log_to(Path::new(path), global.verbose)).transpose()?;
        if settings.exposed {
            let path = settings.config.as_deref().unwrap_or(Path::new("")).display();
            super::out::error(&format!("flower-tui: {path} holds a password and can be read by others: chmod 600 it"));
        }
        let look = Look::of(&settings)?;
        Ok(Self { settings, look, clock: Clock::system(), stop: CancellationToken::new(), log, flags, environment })
    }

    /// The same on another profile, which was chosen later than all that flags and environment say of the cluster.
    pub fn on_profile(&self, name: &str) -> anyhow::Result<Self> {
        let mut environment = self.environment.clone();
        environment.retain(|key, _| !CLUSTER.contains(&key.as_str()));
        let profile = Some(name.to_owned());
        let none = Flags {
            broker: None,
            broker_file: None,
            broker_api: None,
            result_backend: None,
            history: None,
            ..self.flags.clone()
        };
        let flags = Flags { profile, ..none };
        let settings = Settings::resolve(&flags, &environment)?;
        let look = Look::of(&settings)?;
        let (clock, stop, log) = (self.clock.clone(), self.stop.clone(), self.log.clone());
        Ok(Self { settings, look, clock, stop, log, flags, environment })
    }

    /// Opens the log file anew, which somebody may have moved away.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.log
            && let Err(why) = log.reopen()
        {
            super::out::error(&format!("flower-tui: the log file can't be opened anew, the old one goes on: {why}"));
        }
    }

    /// Variables of the environment.
    pub fn environment(&self) -> &resolve::Env {
        &self.environment
    }

    /// The broker's URL: what was said, else the usual place.
    pub fn url(&self) -> anyhow::Result<BrokerUrl> {
        Ok(match &self.settings.broker.value {
            Some(url) => url.clone(),
            None => BrokerUrl::parse(USUAL)?,
        })
    }

    /// The broker, not connected yet.
    pub fn broker(&self) -> anyhow::Result<Arc<dyn Broker>> {
        Ok(broker::open(&self.url()?, self.settings.transport_options.clone())?)
    }

    /// Where results are read, if there is such a place: what was said, else the broker's own Redis.
    pub fn results(&self, broker: &BrokerUrl) -> anyhow::Result<Option<Arc<dyn Backend>>> {
        let url = match (&self.settings.result_backend.value, broker) {
            (Some(url), _) => url.clone(),
            (None, BrokerUrl::Redis(_)) => ResultUrl::Redis(broker.clone()),
            #[allow(unreachable_patterns)]
            (None, _) => return Ok(None),
        };
        let mut options = self.settings.result_options.clone();
        // A place of its own that asks for TLS itself is not to be trusted as the broker is.
        let own = self.settings.result_backend.value.is_some();
        let apart = own && matches!(&url, ResultUrl::Redis(url) if url.has_tls());
        if options.transport.use_ssl.is_none() && !apart {
            options.transport.use_ssl = self.settings.transport_options.use_ssl.clone();
        }
        Ok(results::open(&url, &options)?)
    }

    /// The broker, found to answer.
    pub async fn connected(&self) -> anyhow::Result<Arc<dyn Broker>> {
        let broker = self.broker()?;
        broker.health().await.map_err(|error| {
            if self.settings.broker.value.is_none() {
                let text = format!("no broker was named, and the usual place did not answer: {error}. Name one with -b, or look around with: flower-tui demo");
                return super::exit::Failure { exit: super::exit::Exit::Unreachable, text }.into();
            }
            anyhow::Error::from(error)
        })?;
        Ok(broker)
    }

    /// An empty model within the limits asked for.
    pub fn store(&self) -> Store {
        self.store_of(Limits::default().workers)
    }

    /// The same with so many workers at most.
    pub fn store_of(&self, workers: usize) -> Store {
        let limits = Limits {
            workers,
            tasks: usize::try_from(self.settings.max_tasks.value).unwrap_or(usize::MAX).max(1),
            bytes: usize::try_from(self.settings.max_memory.value).unwrap_or(usize::MAX).max(1 << 20),
        };
        Store::in_zone(limits, jiff::tz::TimeZone::system()).redacting(self.redactor())
    }

    /// What takes secrets out of texts that are shown.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(&self.settings.redact.value)
    }

    /// The log of commands: in the history file, if there is one.
    pub fn audit(&self) -> Result<Audit, String> {
        if let Some(path) = &self.settings.history.value {
            return Audit::in_history(path).map_err(|e| e.to_string());
        }
        let path = own_log().ok_or("there is no home folder for the audit log")?;
        Audit::open(&path).map_err(|e| e.to_string())
    }

    /// What of the commands in the log still holds at a broker. A log that can't be read tells nothing.
    pub fn aftermath(&self, broker: &str) -> Vec<Deed> {
        let path = self.settings.history.value.clone().or_else(own_log).filter(|_| self.settings.audit.value);
        let read = path.map_or(Ok(Vec::new()), |path| aftermath::of_file(&path, broker));
        read.unwrap_or_else(|why| {
            tracing::warn!("what was done before is not known: {why}");
            Vec::new()
        })
    }

    /// A command in the log, by its row.
    pub fn logged(&self, row: i64) -> anyhow::Result<Option<Logged>> {
        let audit = self.audit().map_err(super::exit::not_so)?;
        Ok(audit.logged(row)?)
    }

    /// The history file; where none was named, the usual place.
    pub fn history_or_usual(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.settings.history.value {
            return Ok(path.clone());
        }
        let folder =
            file::state_folder().ok_or_else(|| usage("there is no home folder: name a file with --history"))?;
        Ok(folder.join("history.db"))
    }

    /// The history to look things up in, if one was named.
    pub fn reader(&self) -> anyhow::Result<Option<Reader>> {
        Ok(self.settings.history.value.as_deref().map(Reader::open).transpose()?)
    }

    /// How the history is written to a file.
    pub fn recording(&self, path: PathBuf) -> writer::Options {
        writer::Options {
            path,
            redactor: self.redactor(),
            keep: self.settings.keep.value.clone(),
            clock: self.clock.clone(),
        }
    }

    /// What carries commands out. The past and the simulated cluster leave nothing in the audit log.
    pub fn ops(&self, broker: Arc<dyn Broker>, store: Store, clock: Clock, via: &'static str, real: bool) -> Ops {
        let audit = match real && self.settings.audit.value {
            false => Ok(None),
            true => self.audit().map(Some),
        };
        // Without results arguments come from events alone.
        let results = self.url().and_then(|url| self.results(&url)).ok().flatten().filter(|_| real);
        Ops {
            results,
            history: self.settings.history.value.clone().filter(|_| real),
            broker,
            store,
            clock,
            audit: Arc::new(audit),
            origin: Origin::here(via),
            read_only: self.settings.read_only.value,
            role: None,
            answer: ANSWER,
            wait: Duration::from_secs(10),
            going: Course::default(),
        }
    }
}

/// Where the log is kept while there is no history file.
fn own_log() -> Option<PathBuf> {
    Some(file::state_folder()?.join("audit.db"))
}

fn log_to(path: &Path, verbose: u8) -> anyhow::Result<Log> {
    use anyhow::Context;
    let log = Log::to(path).with_context(|| format!("can't log to {}", path.display()))?;
    log.begin(match verbose {
        0 => tracing::Level::INFO,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    });
    Ok(log)
}
