//! A RabbitMQ of our own, on free ports, in a folder that goes away with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::cluster::{Server, free_port, wait_for};

/// Where Debian puts what the wrappers in the path would run as another user.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// See the module. The port mapper is its own too, so that nothing is left behind.
pub struct Rabbit {
    folder: tempfile::TempDir,
    mapper: Child,
    server: Child,
    pub port: u16,
    ports: [u16; 2],
}

impl Rabbit {
    /// Starts one, with more lines for its configuration.
    pub fn start(management: bool, configuration: &str) -> Self {
        let (port, api, ports) = (free_port(), free_port(), [free_port(), free_port()]);
        let folder = tempfile::tempdir().expect("temp");
        let plugins = if management { "[rabbitmq_management]." } else { "[]." };
        // Statistics every second, so that nobody has to wait for them; and no port besides those we chose.
        let settings = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nmanagement.tcp.port = {api}\nmanagement.tcp.ip = 127.0.0.1\n\
             collect_statistics_interval = 1000\nloopback_users = none\n{configuration}"
        );
        let settings = if management {
            settings
        } else {
            settings.lines().filter(|l| !l.starts_with("management")).map(|l| format!("{l}\n")).collect()
        };
        std::fs::write(folder.path().join("plugins"), plugins).expect("written");
        std::fs::write(folder.path().join("rabbitmq.conf"), settings).expect("written");
        let mapper = Command::new("epmd")
            .args(["-port", &ports[0].to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rabbitmq-server is installed by tests/run");
        let log = std::fs::File::create(folder.path().join("out.log")).expect("log");
        let server = command(folder.path(), ports, "rabbitmq-server")
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("rabbitmq-server is installed by tests/run");
        let rabbit = Self { folder, mapper, server, port, ports };
        wait_for("rabbitmq", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        if management {
            wait_for("the management API", || std::net::TcpStream::connect(("127.0.0.1", api)).ok());
        }
        rabbit
    }

    /// Runs `rabbitmqctl`.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = command(self.folder.path(), self.ports, "rabbitmqctl").args(arguments).output().expect("runs");
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
        format!("amqp://guest:guest@127.0.0.1:{}//", self.port)
    }
}

fn command(folder: &Path, [mapper, distribution]: [u16; 2], program: &str) -> Command {
    let mut command = Command::new(format!("{PROGRAMS}/{program}"));
    command
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("flower{distribution}@localhost"))
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_PORT", mapper.to_string())
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
