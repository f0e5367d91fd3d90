//! A RabbitMQ of our own, on free ports, in a folder that goes away with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::cluster::{Server, free_port, wait_for};
use crate::contract::redis::Pki;

/// Where Debian puts what the wrappers in the path would run as another user.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// See the module. The port mapper is its own too, so that nothing is left behind.
pub struct Rabbit {
    folder: tempfile::TempDir,
    mapper: Child,
    server: Child,
    ports: Ports,
    management: bool,
}

struct Ports {
    amqp: u16,
    /// AMQP over TLS.
    amqps: u16,
    api: u16,
    mapper: u16,
    distribution: u16,
}

impl Rabbit {
    pub fn start(management: bool) -> Self {
        Self::start_with(management, None)
    }

    /// With TLS besides: the management API then has nothing else.
    pub fn start_with(management: bool, pki: Option<&Pki>) -> Self {
        let port = free_port;
        let ports = Ports { amqp: port(), amqps: port(), api: port(), mapper: port(), distribution: port() };
        let folder = tempfile::tempdir().expect("temp");
        let plugins = if management { "[rabbitmq_management]." } else { "[]." };
        std::fs::write(folder.path().join("plugins"), plugins).expect("written");
        std::fs::write(folder.path().join("rabbitmq.conf"), configuration(&ports, management, pki)).expect("written");
        let mapper = Command::new("epmd")
            .args(["-port", &ports.mapper.to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rabbitmq-server is installed by tests/run");
        let log = std::fs::File::create(folder.path().join("out.log")).expect("log");
        let server = command(folder.path(), &ports, "rabbitmq-server")
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("rabbitmq-server is installed by tests/run");
        let rabbit = Self { folder, mapper, server, ports, management };
        let mut listens = vec![rabbit.ports.amqp];
        listens.extend(management.then_some(rabbit.ports.api));
        for port in listens {
            wait_for("rabbitmq", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        }
        rabbit
    }

    /// Its URL for AMQP over TLS.
    pub fn tls_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}//", self.ports.amqps)
    }

    /// Where its management API is.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}/api/", self.ports.api)
    }

    /// Runs `rabbitmqctl`.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = command(self.folder.path(), &self.ports, "rabbitmqctl").args(arguments).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The names of all queues.
    pub fn queues(&self) -> Vec<String> {
        let listed = self.ctl(&["-q", "--formatter", "json", "list_queues", "name"]);
        let listed: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
        listed.iter().map(|queue| queue["name"].as_str().expect("name").to_owned()).collect()
    }
}

impl Server for Rabbit {
    fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}//", self.ports.amqp)
    }

    fn api(&self) -> Option<String> {
        self.management.then(|| self.api())
    }
}

/// No port besides those we chose, and statistics every second, so that nobody has to wait for them.
fn configuration(ports: &Ports, management: bool, pki: Option<&Pki>) -> String {
    let mut lines = vec![
        format!("listeners.tcp.1 = 127.0.0.1:{}", ports.amqp),
        "loopback_users = none".to_owned(),
        "collect_statistics_interval = 1000".to_owned(),
    ];
    let files = |prefix: &str, pki: &Pki| {
        let files = [("cacertfile", &pki.ca), ("certfile", &pki.certificate), ("keyfile", &pki.key)];
        files.map(|(name, file)| format!("{prefix}.{name} = {file}"))
    };
    if let Some(pki) = pki {
        lines.push(format!("listeners.ssl.1 = 127.0.0.1:{}", ports.amqps));
        lines.extend(files("ssl_options", pki));
    }
    if management {
        let listener = if pki.is_some() { "ssl" } else { "tcp" };
        lines.push(format!("management.{listener}.port = {}", ports.api));
        lines.push(format!("management.{listener}.ip = 127.0.0.1"));
        lines.extend(pki.into_iter().flat_map(|pki| files("management.ssl", pki)));
    }
    lines.join("\n") + "\n"
}

fn command(folder: &Path, ports: &Ports, program: &str) -> Command {
    let mut command = Command::new(format!("{PROGRAMS}/{program}"));
    command
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("flower{}@localhost", ports.distribution))
        .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .env("ERL_EPMD_PORT", ports.mapper.to_string())
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        // Two cores are enough for a test, and a spinning scheduler takes them from the others.
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false +S 2:2 +sbwt none")
        .stdin(Stdio::null());
    command
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // The script becomes the server itself, or its parent.
        let pid = self.server.id().to_string();
        let _ = Command::new("pkill").args(["-KILL", "-P", &pid]).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}
