//! `serve` over real sockets, on a cluster that answers as the recorded one did.

mod cluster;
mod doors;
mod limits;
mod login;
mod provider;
mod replay;
mod terminal;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::LinkState;
use flower_tui::clock::{Clock, Stamp};
use flower_tui::config::flower::{Serve, resolve};
use flower_tui::feed::Feed;
use flower_tui::history::audit::{Audit, Origin};
use flower_tui::ops::locate::Locator;
use flower_tui::ops::{Course, Ops};
use flower_tui::results::Backend;
use flower_tui::serve::auth::Guard;
use flower_tui::serve::{self, Listener, Parts, Site};
use flower_tui::state::{Limits, Store};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use cluster::{Kept, Recorded};

/// When all of it happens: just behind the recorded tasks.
pub const NOW: i64 = 1_795_482_761_000_000;

/// A served site, until it is dropped.
pub struct Served {
    pub address: SocketAddr,
    pub kept: Arc<Kept>,
    pub link: watch::Sender<LinkState>,
    pub clock: Clock,
    pub site: Arc<Site>,
    stop: CancellationToken,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Options as a command line says them.
pub fn options(line: &[(&str, &str)], env: &[(&str, &str)]) -> Serve {
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    resolve(&map(line), &map(env), &BTreeMap::new(), Path::new("/nowhere")).expect("options")
}

/// What a site stands on.
pub struct Stand {
    pub options: Serve,
    pub read_only: bool,
    pub backend: bool,
    pub tasks: Vec<Value>,
    /// Where commands are written down.
    pub log: Option<PathBuf>,
}

impl Stand {
    pub fn new(options: Serve) -> Self {
        Self { options, read_only: false, backend: true, tasks: Vec::new(), log: None }
    }

    /// All that a site is made of, with what stands behind it.
    pub fn parts(self) -> (Parts, Arc<Kept>, watch::Sender<LinkState>) {
        let clock = Clock::manual(Stamp::from_micros(NOW));
        let store = Store::new(Limits::default());
        let kept = Arc::new(Kept::default());
        let broker = Arc::new(Recorded::new(store.clone(), kept.clone()));
        let results: Option<Arc<dyn Backend>> = self.backend.then(|| kept.clone() as Arc<dyn Backend>);
        let ops = Ops {
            broker: broker.clone(),
            store: store.clone(),
            clock: clock.clone(),
            results: results.clone(),
            history: None,
            audit: Arc::new(
                self.log.as_deref().map(|path| Audit::in_history(path).map_err(|e| e.to_string())).transpose(),
            ),
            origin: Origin::default(),
            read_only: self.read_only,
            role: None,
            answer: Duration::from_millis(300),
            wait: Duration::from_millis(300),
            going: Course::default(),
        };
        let locator = Locator {
            broker,
            store: store.clone(),
            clock: clock.clone(),
            results: results.ok_or_else(String::new),
            history: None,
            read_only: true,
        };
        let (link, link_seen) = watch::channel(LinkState::Live { since: clock.now() });
        let (_, health) = watch::channel(None);
        let (guard, _) = Guard::read(&self.options, clock).expect("credentials");
        let parts = Parts {
            ops,
            locator,
            feed: Feed::told(link_seen, health),
            screen: flower_tui::tui::app::Options::default(),
            recorder: None,
            options: self.options,
            guard,
            stop: CancellationToken::new(),
        };
        (parts, kept, link)
    }

    pub async fn serve(mut self) -> Served {
        let tasks = std::mem::take(&mut self.tasks);
        let (parts, kept, link) = self.parts();
        let (clock, store, stop) = (parts.ops.clock.clone(), parts.ops.store.clone(), parts.stop.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("address");
        let site = Site::new(parts, &TaskTracker::new());
        cluster::beat(&store);
        cluster::tell(&store, &tasks);
        let serving = tokio::spawn(serve::serve(site.clone(), Listener::Tcp(listener), None));
        let served = Served { address, kept, link, clock, site, stop, serving: Some(serving) };
        // Workers were asked once they were seen.
        if served.options_open().await {
            served.until("/api/workers", |body| body.contains("registered")).await;
        }
        served
    }
}

impl Served {
    async fn options_open(&self) -> bool {
        self.get("/api/task/types").await.status == 200
    }

    /// Waits until a path is answered with something.
    async fn until(&self, path: &str, is: impl Fn(&str) -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while !is(&self.get(path).await.body) {
            assert!(std::time::Instant::now() < end, "waited in vain for {path}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(String, String)], body: &str) -> Reply {
        let mut text =
            format!("{method} {} HTTP/1.1\r\nConnection: close\r\n", path.replace(' ', "%20").replace('"', "%22"));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.raw(text.into_bytes()).await
    }

    /// Sends bytes and reads until the end.
    pub async fn raw(&self, bytes: Vec<u8>) -> Reply {
        let address = self.address;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("connected");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("limit");
            // One that is refused may be answered before all of it is sent.
            let _ = stream.write_all(&bytes);
            let mut read = Vec::new();
            let _ = stream.read_to_end(&mut read);
            Reply::parse(&read)
        })
        .await
        .expect("asked")
    }

    /// Ends it, and waits for that.
    pub async fn end(&mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take() {
            serving.await.expect("ended");
        }
    }
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Self::default() };
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let said = headers.entry(name.to_lowercase()).or_default();
            // What is said several times has a line each.
            said.push_str(if said.is_empty() { "" } else { "\n" });
            said.push_str(value);
        }
        Self { status, headers, body: body.to_owned() }
    }

    pub fn kind(&self) -> &str {
        self.headers.get("content-type").map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}

/// `Authorization` for a name and a password.
pub fn basic(name: &str, password: &str) -> (String, String) {
    let code = base64_simd::STANDARD.encode_to_string(format!("{name}:{password}"));
    ("Authorization".into(), format!("Basic {code}"))
}
