//! Redis in each way that Celery users connect to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use flower_tui::broker::{self, Broker, BrokerUrl, TransportOptions};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::{Peer, Setup, suite};
use crate::real::cluster::{Redis, free_port, wait_for};

/// A broker's URL with transport options as a config file spells them.
pub fn open(url: &str, options: &str) -> Arc<dyn Broker> {
    let options: TransportOptions = toml::from_str(options).expect("options");
    broker::open(&BrokerUrl::parse(url).expect("url"), options).expect("opened")
}

/// One server.
struct One {
    redis: Redis,
    broker: Arc<dyn Broker>,
    peer: Peer,
    /// `redis-cli` with what it needs to get in.
    cli: Vec<String>,
}

impl Setup for One {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        Some(&mut self.peer)
    }

    fn kind(&self) -> &'static str {
        "redis"
    }

    fn interrupt(&mut self) {
        for kind in ["normal", "pubsub"] {
            let killed = Command::new("redis-cli")
                .args(&self.cli)
                .args(["-p", &self.redis.port.to_string(), "CLIENT", "KILL", "TYPE", kind])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(killed.expect("redis-cli runs").success());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    let redis = Redis::start(&[]);
    let (broker, peer) = (open(&redis.url(), ""), Peer::start(&json!({"broker_url": redis.url()})));
    suite(&mut One { redis, broker, peer, cli: Vec::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_with_a_prefix() {
    let redis = Redis::start(&[]);
    let url = format!("redis://127.0.0.1:{}/3", redis.port);
    let options =
        "global_keyprefix = \"shop:\"\npriority_steps = [0, 3, 9]\nsep = \":\"\nfanout_prefix = \"/x{db}.\"\n";
    let theirs = json!({
        "global_keyprefix": "shop:", "priority_steps": [0, 3, 9], "sep": ":", "fanout_prefix": "/x{db}.",
    });
    let peer = Peer::start(&json!({"broker_url": url, "broker_transport_options": theirs}));
    let broker = open(&url, options);
    suite(&mut One { redis, broker, peer, cli: Vec::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_on_a_socket_without_fanout_patterns() {
    let folder = tempfile::tempdir().expect("temp");
    let socket = folder.path().join("r.sock").display().to_string();
    let redis = Redis::start(&["--unixsocket", &socket]);
    let url = format!("redis+socket://{socket}?virtual_host=2");
    let broker = open(&url, "fanout_patterns = false\nfanout_prefix = false\n");
    let theirs = json!({"fanout_patterns": false, "fanout_prefix": false});
    let peer = Peer::start(&json!({"broker_url": url, "broker_transport_options": theirs}));
    suite(&mut One { redis, broker, peer, cli: Vec::new() }).await;
}

/// Commands that a monitor's user needs on Redis. README.md has the same list.
const PERMITTED: &str = "+ping +select +info +role +client|list +psubscribe +subscribe +publish +scan +smembers +llen \
                         +lindex +lrange +hlen +hvals +hgetall +hmget +zrange +lpush +brpop +rpush +del +expire +multi \
                         +exec +eval +lset +lrem +lpop +rename +get +set +hget +hdel +zrem +exists +mget +hset";

#[tokio::test(flavor = "multi_thread")]
async fn redis_over_tls_with_an_acl() {
    let folder = tempfile::tempdir().expect("temp");
    let pki = Pki::make(folder.path());
    let acl = folder.path().join("users.acl");
    let users =
        format!("user default off\nuser app on >hunter2 ~* &* +@all\nuser monitor on >hunter2 ~* &* {PERMITTED}\n");
    std::fs::write(&acl, users).expect("written");
    let redis = pki.redis(&["--tls-auth-clients", "yes", "--aclfile", acl.to_str().expect("path")]);
    let url = |user: &str| format!("rediss://{user}:hunter2@localhost:{}/0", redis.port);
    let ours = format!("{}?ssl_cert_reqs=CERT_REQUIRED&{}", url("monitor"), pki.query());
    let theirs = json!({
        "ssl_cert_reqs": "required", "ssl_ca_certs": pki.ca, "ssl_certfile": pki.certificate, "ssl_keyfile": pki.key,
    });
    let peer = Peer::start(&json!({"broker_url": url("app"), "broker_use_ssl": theirs}));
    let mut cli: Vec<String> = ["--tls", "--user", "app", "--pass", "hunter2"].map(str::to_owned).into();
    cli.extend(["--cacert".into(), pki.ca.clone(), "--cert".into(), pki.certificate.clone()]);
    cli.extend(["--key".into(), pki.key.clone()]);
    let broker = open(&ours, "");
    suite(&mut One { redis, broker, peer, cli }).await;
}

#[test]
fn the_readme_names_the_commands_that_a_monitor_needs() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README");
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&format!("~* &* {PERMITTED}")));
}

/// A CA of our own, and a certificate it signed for localhost.
pub struct Pki {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl Pki {
    pub fn make(folder: &Path) -> Self {
        Self::make_with(folder, &["localhost"], |_| {})
    }

    /// For these names, and with something else about the server's certificate.
    pub fn make_with(folder: &Path, names: &[&str], change: impl Fn(&mut CertificateParams)) -> Self {
        let write = |name: &str, text: String| {
            let path: PathBuf = folder.join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let params = |names: &[&str]| {
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("names")
        };
        let mut authority = params(&[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, folder.display().to_string());
        let ca_key = KeyPair::generate().expect("key");
        let ca = authority.self_signed(&ca_key).expect("signed");
        let mut server = params(names);
        change(&mut server);
        let key = KeyPair::generate().expect("key");
        let signed = server.signed_by(&key, &Issuer::new(authority, ca_key)).expect("signed");
        Self {
            ca: write("ca.pem", ca.pem()),
            certificate: write("server.pem", signed.pem()),
            key: write("server.key", key.serialize_pem()),
        }
    }

    /// A server that speaks TLS alone.
    pub fn redis(&self, arguments: &[&str]) -> Redis {
        let port = free_port().to_string();
        let tls = ["--port", "0", "--tls-port", &port, "--tls-ca-cert-file", &self.ca];
        let own = ["--tls-cert-file", &self.certificate, "--tls-key-file", &self.key];
        Redis::start_at(port.parse().expect("port"), &[&tls[..], &own, arguments].concat())
    }

    /// The query of a URL that names all files.
    pub fn query(&self) -> String {
        format!("ssl_ca_certs={}&ssl_certfile={}&ssl_keyfile={}", self.ca, self.certificate, self.key)
    }
}

/// Three sentinels and two servers.
pub struct Sentinels {
    nodes: Vec<Redis>,
    children: Vec<Child>,
    ports: Vec<u16>,
    _folder: tempfile::TempDir,
}

/// The servers' password, and the sentinels'.
const NODE: &str = "hunter2";
const SENTINEL: &str = "hunter2-sentinel";

impl Sentinels {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("temp");
        let login = ["--requirepass", NODE, "--masterauth", NODE];
        let master = Redis::start(&login);
        let port = master.port.to_string();
        let replica = Redis::start(&[&login[..], &["--replicaof", "127.0.0.1", &port]].concat());
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let children = ports.iter().map(|port| sentinel(folder.path(), *port, master.port)).collect();
        let sentinels = Self { nodes: vec![master, replica], children, ports, _folder: folder };
        for port in &sentinels.ports {
            wait_for("the sentinels to know each other and the replica", || {
                let said = sentinels.cli(*port, SENTINEL, &["SENTINEL", "CKQUORUM", "mymaster"]);
                let replicas = sentinels.cli(*port, SENTINEL, &["SENTINEL", "REPLICAS", "mymaster"]);
                (said.contains("OK 3 usable") && replicas.contains("flags")).then_some(())
            });
        }
        let replica = sentinels.nodes[1].port;
        wait_for("the replica to be up to date", || {
            sentinels.cli(replica, NODE, &["INFO", "replication"]).contains("master_link_status:up").then_some(())
        });
        sentinels
    }

    fn cli(&self, port: u16, password: &str, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "-a", password, "--no-auth-warning"])
            .args(words)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The URL as Celery users write it.
    pub fn url(&self) -> String {
        let urls: Vec<String> =
            self.ports.iter().map(|port| format!("sentinel://:{NODE}@127.0.0.1:{port}/1")).collect();
        urls.join(";")
    }

    pub fn options(&self) -> String {
        format!("master_name = \"mymaster\"\nsentinel_kwargs = {{ password = \"{SENTINEL}\" }}\n")
    }

    pub fn settings(&self) -> Value {
        json!({
            "broker_url": self.url(),
            "broker_transport_options": {"master_name": "mymaster", "sentinel_kwargs": {"password": SENTINEL}},
        })
    }

    /// Where the sentinels say the master is.
    pub fn master(&self) -> String {
        let said = self.cli(self.ports[0], SENTINEL, &["SENTINEL", "get-master-addr-by-name", "mymaster"]);
        said.lines().collect::<Vec<_>>().join(":")
    }

    /// The master is told to become a replica.
    pub fn swap(&self) {
        let before = self.master();
        let said = self.cli(self.ports[0], SENTINEL, &["SENTINEL", "FAILOVER", "mymaster"]);
        assert!(said.contains("OK"), "{said}");
        wait_for("another master", || (self.agreed().is_some_and(|now| now != before)).then_some(()));
    }

    /// The one master that all sentinels name.
    fn agreed(&self) -> Option<String> {
        let ask = |port: &u16| self.cli(*port, SENTINEL, &["SENTINEL", "get-master-addr-by-name", "mymaster"]);
        let said: std::collections::BTreeSet<String> = self.ports.iter().map(ask).collect();
        let said: Vec<String> = said.into_iter().collect();
        (said.len() == 1).then(|| said[0].lines().collect::<Vec<_>>().join(":"))
    }

    /// The master ends without a word. Returns when the other one has taken over.
    pub fn fail_over(&mut self) {
        let before = self.master();
        let master = self.nodes.iter_mut().find(|node| before.ends_with(&format!(":{}", node.port)));
        master.expect("one of ours").stop();
        wait_for("another master", || (self.master() != before).then_some(()));
    }
}

/// A sentinel that watches a master.
fn sentinel(folder: &Path, port: u16, master: u16) -> Child {
    let conf = folder.join(format!("{port}.conf"));
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {SENTINEL}\nsentinel sentinel-pass {SENTINEL}\n\
         sentinel monitor mymaster 127.0.0.1 {master} 2\nsentinel auth-pass mymaster {NODE}\n\
         sentinel down-after-milliseconds mymaster 700\nsentinel failover-timeout mymaster 1000\n",
        folder.display()
    );
    std::fs::write(&conf, text).expect("written");
    Command::new("redis-server")
        .arg(conf)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed by tests/run")
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Watched {
    sentinels: Sentinels,
    broker: Arc<dyn Broker>,
    peer: Peer,
}

impl Setup for Watched {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        Some(&mut self.peer)
    }

    fn kind(&self) -> &'static str {
        "redis"
    }

    fn interrupt(&mut self) {
        self.sentinels.fail_over();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_with_a_fail_over() {
    let sentinels = Sentinels::start();
    let (broker, peer) = (open(&sentinels.url(), &sentinels.options()), Peer::start(&sentinels.settings()));
    let first = sentinels.master();
    let mut watched = Watched { sentinels, broker: broker.clone(), peer };
    suite(&mut watched).await;
    let master = broker.health().await.expect("it answers").master.expect("known");
    assert_eq!(master, format!("mymaster → {}", watched.sentinels.master()));
    assert!(!master.contains(&first), "it was followed");
}
