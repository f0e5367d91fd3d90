//! What works, what is unsafe, and what to do about it. First all is asked that can be without changing anything, then
//! each finding is drawn from the answers.

mod cluster;
mod safety;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::check::{Finding, Status};
use crate::broker::setup::Setup;
use crate::broker::{self, Broker, BrokerUrl, Health, TransportOptions};
use crate::celery::TaskId;
use crate::celery::pidbox::{Method, Request};
use crate::clock::{Clock, Stamp};
use crate::history::upkeep;
use crate::results::Backend;
use crate::state::{Store, Update};

/// Everything that is looked at.
pub struct Patient {
    pub broker: Arc<dyn Broker>,
    /// What was heard while listening.
    pub store: Store,
    pub clock: Clock,
    pub url: BrokerUrl,
    pub options: TransportOptions,
    /// Or why it can't be read; `None` where there is none.
    pub results: Result<Option<Arc<dyn Backend>>, String>,
    /// The config file holds a password, and others can read it.
    pub exposed: Option<PathBuf>,
    pub history: Option<PathBuf>,
}

/// How long each has to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long workers have to.
const WORKERS: Duration = Duration::from_secs(2);

/// What was answered.
struct Answers {
    now: Stamp,
    url: BrokerUrl,
    /// TLS is asked for by the settings, where not by the URL.
    tls: bool,
    health: Result<Health, broker::Error>,
    setup: Setup,
    /// Whether somebody gets in who knows no password; `None` where that was not tried, or can't be told.
    open: Option<bool>,
    /// Why results can't be read; `None` where there are none.
    results: Option<Result<String, String>>,
    exposed: Option<PathBuf>,
    history: Option<History>,
}

/// The history file.
struct History {
    path: PathBuf,
    /// Others than its owner can read it.
    open: bool,
    /// When it was last copied, or why that can't be told.
    copied: Result<Option<Stamp>, String>,
}

/// Looks at everything. A broker that can't be reached leaves what can be told without it.
pub async fn examine(patient: &Patient) -> Vec<Finding> {
    let answers = patient.ask().await;
    let mut findings = vec![cluster::connection(&answers)];
    if answers.health.is_ok() {
        findings.extend(patient.store.read(|model| cluster::all(&answers, model)));
    }
    findings.extend(safety::all(&answers));
    findings
}

/// Whether the broker was reached.
pub fn reached(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.check != cluster::CONNECTION || finding.status != Status::Critical)
}

impl Patient {
    async fn ask(&self) -> Answers {
        let health = timeout(ANSWER, self.broker.health()).await;
        let late = broker::Error::Timeout { url: self.broker.url(), command: "PING", secs: ANSWER.as_secs() };
        let mut health = health.unwrap_or(Err(late));
        let mut setup = Setup::default();
        if health.is_ok() {
            setup = timeout(ANSWER, self.broker.setup()).await.unwrap_or_default();
            self.ask_workers().await;
            // What is refused here is told with what the broker lacks.
            let _ = timeout(ANSWER, self.broker.unacked(1)).await;
            health = self.broker.health().await;
        }
        Answers {
            now: self.clock.now(),
            url: self.url.clone(),
            tls: self.url.has_tls() || self.options.use_ssl.is_some(),
            open: self.is_open(health.is_ok()).await,
            health,
            setup,
            results: self.ask_results().await,
            exposed: self.exposed.clone(),
            history: self.history.as_deref().map(|path| History {
                path: path.to_owned(),
                open: is_readable(path),
                copied: upkeep::backed_up(path).map_err(|error| error.to_string()),
            }),
        }
    }

    /// What workers run, hold until its time, and how they are set up.
    async fn ask_workers(&self) {
        let now = self.clock.now();
        let names: Vec<String> = self.store.read(|m| {
            m.workers().into_iter().filter(|(_, w)| w.is_online(now)).map(|(name, _)| name.to_owned()).collect()
        });
        for method in [Method::Conf, Method::Scheduled, Method::Active] {
            let name = method.name();
            // Who does not answer is not known.
            if let Ok(replies) = self.broker.control(&Request::to_all(method), &names, WORKERS).await {
                self.store.apply(&[Update::Inspected(self.clock.now(), name, replies)]);
            }
        }
    }

    /// Whether somebody gets in who knows no more than what is usual.
    async fn is_open(&self, reached: bool) -> Option<bool> {
        if !reached {
            return None;
        }
        let Some(stranger) = self.url.as_stranger() else { return Some(true) };
        let options = TransportOptions { broker_api: None, ..self.options.clone() };
        let stranger = broker::open(&stranger, options).ok()?;
        match timeout(ANSWER, stranger.health()).await.ok()? {
            Ok(_) => Some(true),
            Err(broker::Error::Refused { .. } | broker::Error::Denied { .. }) => Some(false),
            Err(_) => None,
        }
    }

    async fn ask_results(&self) -> Option<Result<String, String>> {
        let backend = match &self.results {
            Ok(None) => return None,
            Ok(Some(backend)) => backend,
            Err(why) => return Some(Err(why.clone())),
        };
        // Nobody's: what is asked is only whether it answers.
        let nobody = [TaskId::new("00000000-0000-0000-0000-000000000000")];
        Some(match timeout(ANSWER, backend.get(&nobody)).await {
            Ok(Ok(_)) => Ok(backend.url()),
            Ok(Err(why)) => Err(why.to_string()),
            Err(_) => Err(format!("{} gave no answer in time", backend.url())),
        })
    }
}

/// Whether others than its owner can read a file.
fn is_readable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

fn ok(check: &'static str, text: impl AsRef<str>) -> Finding {
    Finding::new(check, Status::Ok, text)
}

fn unknown(check: &'static str, text: impl AsRef<str>) -> Finding {
    Finding::new(check, Status::Unknown, text)
}

fn warning(check: &'static str, text: impl AsRef<str>, advice: impl AsRef<str>) -> Finding {
    Finding::new(check, Status::Warning, text).advise(advice)
}

fn critical(check: &'static str, text: impl AsRef<str>, advice: impl AsRef<str>) -> Finding {
    Finding::new(check, Status::Critical, text).advise(advice)
}

#[cfg(test)]
impl Answers {
    /// Of a broker that says nothing but that it is there.
    fn of(url: &str) -> Self {
        Self {
            now: Stamp::from_micros(1_795_529_007_000_000),
            url: BrokerUrl::parse(url).expect("valid"),
            tls: false,
            health: Ok(Health { kind: "redis".into(), visibility_timeout: Some(3_600), ..Health::default() }),
            setup: Setup::default(),
            open: Some(false),
            results: None,
            exposed: None,
            history: None,
        }
    }
}
