//! Making connections: to a host with TLS or without, to a unix socket, or to whichever server is the master now.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult, Value};
use tokio::net::UnixStream;

use super::fault::{self, CONNECT};
use super::sentinel::{self, Sentinels};
use super::tap::{Messages, Tapped};
use crate::broker::tls::{self, SslOptions, Tls};
use crate::broker::url::{Address, RedisUrl, place};
use crate::broker::wire::{Server, Stream, of_system, reach};
use crate::broker::{Error, Result, TransportOptions};

/// How long connecting may take where nothing else is said.
const CONNECTING: Duration = Duration::from_secs(3);
/// How long an answer may take where nothing else is said.
const ANSWERING: Duration = Duration::from_secs(5);
/// How long it may take at most: a connection on which nothing comes back has to be found out.
const PATIENCE: Duration = Duration::from_secs(10);

enum Target {
    Tcp(Server),
    Unix(PathBuf),
    Sentinels(Sentinels),
}

/// See the module.
pub(super) struct Dialer {
    target: Target,
    tls: Option<Tls>,
    login: RedisConnectionInfo,
    url: String,
    /// How long connecting may take.
    connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// The master that was found last, with the name the sentinels have for it.
    master: Mutex<Option<(String, Server)>>,
}

impl Dialer {
    /// Reads the files that the options name; connects to nothing yet.
    pub fn new(url: &RedisUrl, options: &TransportOptions) -> Result<Self> {
        let target = match &url.address {
            Address::Tcp { host, port } => Target::Tcp((host.clone(), *port)),
            Address::Unix { path } => Target::Unix(path.clone()),
            Address::Sentinels(hosts) => Target::Sentinels(Sentinels::new(hosts.clone(), options)?),
        };
        let tls = SslOptions::of(url.ssl.as_ref(), options.use_ssl.as_ref()).as_ref().map(Tls::new).transpose()?;
        let password = url.password.as_ref().map(|password| password.reveal());
        let limit = |secs: Option<f64>, usual: Duration| {
            let asked = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
            asked.map_or(usual, |asked| asked.clamp(Duration::from_millis(100), PATIENCE))
        };
        Ok(Self {
            target,
            tls,
            login: login(url.user.as_deref(), password).set_db(i64::from(url.db)),
            url: url.to_string(),
            connect: limit(options.socket_connect_timeout, CONNECTING),
            answer: limit(options.socket_timeout, ANSWERING),
            master: Mutex::new(None),
        })
    }

    /// Which of several servers is in use.
    pub fn master(&self) -> Option<String> {
        self.master.lock().as_ref().map(|(name, (host, port))| format!("{name} → {}", place(host, *port)))
    }

    /// A connection for commands. `answer` limits each, where anything does.
    pub async fn commands(&self, answer: Option<Duration>) -> Result<MultiplexedConnection> {
        match self.server().await? {
            Some(server) => self.commands_at(&server, answer).await,
            None => {
                let stream = self.stream().await?;
                self.in_time(multiplexed(&self.login, stream, answer)).await?.map_err(|e| self.error(&e))
            }
        }
    }

    /// A connection on which nobody has logged in.
    pub async fn bytes(&self) -> Result<Stream> {
        match self.server().await? {
            Some(server) => self.stream_to(&server).await,
            None => self.stream().await,
        }
    }

    /// A connection for a subscription, of which the messages go elsewhere.
    pub async fn subscription(&self, messages: Messages) -> Result<PubSub> {
        let (read, write) = tokio::io::split(self.bytes().await?);
        let stream = tokio::io::join(Tapped::new(read, messages), write);
        self.in_time(PubSub::new(&self.login, stream)).await?.map_err(|e| self.error(&e))
    }

    /// Whether another server than the one in use is the master by now.
    pub async fn has_moved(&self) -> bool {
        let Target::Sentinels(sentinels) = &self.target else { return false };
        let before = self.master.lock().clone();
        match self.find_master(sentinels).await {
            Ok(now) => before.is_some_and(|before| before != now),
            Err(_) => false,
        }
    }

    /// The master to connect to, where there is something to choose from.
    async fn server(&self) -> Result<Option<Server>> {
        let Target::Sentinels(sentinels) = &self.target else { return Ok(None) };
        let found = self.find_master(sentinels).await?;
        let server = found.1.clone();
        *self.master.lock() = Some(found);
        Ok(Some(server))
    }

    /// Asks all sentinels at once and takes the first server that says of itself that it is the master: a sentinel that
    /// was cut off may know an old one.
    async fn find_master(&self, sentinels: &Sentinels) -> Result<(String, Server)> {
        let mut answers = sentinels.ask(self.connect);
        let (mut tried, mut faults, mut trouble) = (BTreeSet::new(), Vec::new(), None);
        while let Some(answer) = answers.next().await {
            let (name, server) = match answer {
                Ok(found) => found,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            if !tried.insert(server.clone()) {
                continue;
            }
            match self.is_master(&server).await {
                Ok(true) => return Ok((name, server)),
                Ok(false) => {
                    let why =
                        format!("{} is no master any more; the sentinels have not agreed yet", at(&name, &server));
                    trouble = Some(Error::Sentinel { url: self.url.clone(), why });
                }
                Err(Error::Unreachable { url, why }) => {
                    trouble = Some(Error::Unreachable { url, why: format!("{}: {why}", at(&name, &server)) });
                }
                Err(other) => trouble = Some(other),
            }
        }
        Err(trouble.unwrap_or_else(|| sentinel::explain(&self.url, faults)))
    }

    async fn is_master(&self, server: &Server) -> Result<bool> {
        let mut connection = self.commands_at(server, Some(self.answer)).await?;
        let role: RedisResult<Value> = redis::cmd("ROLE").query_async(&mut connection).await;
        match role {
            Ok(Value::Array(parts)) => Ok(matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master")),
            Ok(_) => Ok(true),
            // Whoever may not ask has to believe the sentinels.
            Err(error) if fault::no_permission(&error).is_some() => Ok(true),
            Err(error) => Err(self.error(&error)),
        }
    }

    async fn commands_at(&self, server: &Server, answer: Option<Duration>) -> Result<MultiplexedConnection> {
        let stream = self.stream_to(server).await?;
        self.in_time(multiplexed(&self.login, stream, answer)).await?.map_err(|e| self.error(&e))
    }

    async fn stream(&self) -> Result<Stream> {
        match &self.target {
            Target::Tcp(server) => self.stream_to(server).await,
            Target::Unix(path) => match self.in_time(UnixStream::connect(path)).await? {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(self.unreachable(&error)),
            },
            Target::Sentinels(_) => Err(Error::Sentinel { url: self.url.clone(), why: "no master is known".into() }),
        }
    }

    async fn stream_to(&self, server: &Server) -> Result<Stream> {
        let stream = self.in_time(reach(server)).await?.map_err(|e| self.unreachable(&e))?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let failed = |why| Error::Tls { url: self.url.clone(), why };
        match tokio::time::timeout(self.connect, tls.connect(&server.0, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(failed(tls::explain(&error).unwrap_or_else(|| of_system(&error)))),
            // Redis without TLS waits for what it takes to be the rest of a command.
            Err(_) => Err(failed("it does not answer to a handshake; does it speak TLS?".into())),
        }
    }

    fn unreachable(&self, error: &io::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), why: of_system(error) }
    }

    /// What came of the first words on a connection.
    fn error(&self, error: &RedisError) -> Error {
        if self.tls.is_none() && error.is_connection_dropped() {
            let why = "it closed the connection at once; does it want TLS (rediss:// or broker_use_ssl)?".into();
            return Error::Unreachable { url: self.url.clone(), why };
        }
        fault::error(&self.url, CONNECT, self.answer.as_secs(), error)
    }

    async fn in_time<T>(&self, what: impl Future<Output = T>) -> Result<T> {
        let late = |_| Error::Unreachable { url: self.url.clone(), why: "no answer in time".into() };
        tokio::time::timeout(self.connect, what).await.map_err(late)
    }
}

fn at(name: &str, (host, port): &Server) -> String {
    format!("the master {} at {}", crate::text::clean(name), place(host, *port))
}

/// What a connection begins with.
pub(super) fn login(user: Option<&str>, password: Option<&str>) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_lib_name("flower-tui", env!("CARGO_PKG_VERSION"));
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    login
}

/// Logs in on a connection that stands.
pub(super) async fn multiplexed(
    login: &RedisConnectionInfo,
    stream: Stream,
    answer: Option<Duration>,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(answer);
    let (connection, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    // Ends with the last copy of the connection.
    tokio::spawn(driver);
    Ok(connection)
}
