//! Which queues there are and how much waits in them, at few commands: a list that does not exist is empty, and one EXISTS
//! tells that of all lists that nothing lay in lately. So a poll of a broker where nothing waits costs two commands,
//! however many queues there are, and one more for each list that something waits in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use redis::RedisResult;

use super::RedisBroker;
use crate::broker::{Error, Health, Result, Right};
use crate::celery::message::Message;
use crate::celery::queue::{Depth, is_internal};

/// What was found out about exchanges and unacknowledged messages, kept between polls.
#[derive(Default)]
pub(super) struct Discovery {
    /// By exchange and routing key.
    bindings: HashMap<(String, String), String>,
    queues: BTreeSet<String>,
    cursor: u64,
    complete_at: Option<Instant>,
    unacked: Option<(Instant, BTreeMap<String, u64>)>,
    /// Lists that something lay in lately, and when: they are asked for their lengths at once.
    filled: HashMap<String, Instant>,
}

/// How often bindings are looked for again.
const REDISCOVER: Duration = Duration::from_secs(60);
/// Steps of SCAN in one poll: a database full of results must not be walked in one go.
const SCAN_STEPS: usize = 20;
/// How long a list that is empty again is still asked for its length: it may soon be filled again.
const FILLED_AGE: Duration = Duration::from_secs(60);
/// Up to how many unacknowledged messages are looked into to tell their queue.
const UNACKED_LIMIT: u64 = 1_000;
/// How long the answer is kept.
const UNACKED_AGE: Duration = Duration::from_secs(10);

pub(super) async fn depths(broker: &RedisBroker, names: &[String]) -> Result<Vec<Depth>> {
    let mut discovery = broker.discovery.lock().await;
    discover(broker, &mut discovery).await?;
    let mut all = discovery.queues.clone();
    all.extend(names.iter().filter(|n| !is_internal(n)).cloned());
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let steps = broker.keys.steps().to_vec();
    let lists: Vec<String> =
        all.iter().flat_map(|name| steps.iter().map(|step| broker.keys.list(name, *step))).collect();
    let (lengths, total_unacked) = lengths(broker, &mut discovery, &lists).await?;
    unacked(broker, &mut discovery, total_unacked).await?;
    let depths = all
        .iter()
        .zip(lists.chunks(steps.len().max(1)))
        .map(|(name, lists)| (name, lists.iter().map(|list| lengths.get(list)).collect::<Vec<_>>()))
        // What we may not read is not empty: it is left out.
        .filter(|(_, lengths)| lengths.iter().any(|n| n.is_some_and(RedisResult::is_ok)))
        .map(|(name, lengths)| {
            let length = |n: &Option<&RedisResult<u64>>| n.and_then(|n| n.as_ref().ok()).copied().unwrap_or(0);
            let by_priority: Vec<(u8, u64)> = steps.iter().copied().zip(lengths.iter().map(length)).collect();
            Depth {
                name: name.clone(),
                ready: by_priority.iter().map(|(_, n)| n).sum(),
                by_priority,
                unacked: discovery.unacked.as_ref().map(|(_, by_queue)| by_queue.get(name).copied().unwrap_or(0)),
                consumers: None,
                next: Vec::new(),
                ..Depth::default()
            }
        })
        .collect();
    note_unreadable(broker, &lists, &lengths);
    Ok(depths)
}

/// The first list that could not be read for want of permission stands for all.
fn note_unreadable(broker: &RedisBroker, lists: &[String], lengths: &HashMap<String, RedisResult<u64>>) {
    let denied = lists.iter().find_map(|list| {
        let why = super::fault::no_permission(lengths.get(list)?.as_ref().err()?)?;
        Some(Error::Denied { url: String::new(), what: format!("LLEN {}", crate::text::clean(list)), why })
    });
    match denied {
        Some(denied) => broker.rights.note::<()>(Right::Queues, &Err(denied)),
        None => broker.rights.note(Right::Queues, &Ok(())),
    }
}

/// The length of each list, or why it can't be told; and how many messages are not acknowledged.
async fn lengths(
    broker: &RedisBroker,
    discovery: &mut Discovery,
    lists: &[String],
) -> Result<(HashMap<String, RedisResult<u64>>, Option<u64>)> {
    let known: HashSet<&String> = lists.iter().collect();
    discovery.filled.retain(|list, at| at.elapsed() < FILLED_AGE && known.contains(list));
    let (filled, empty): (Vec<&String>, Vec<&String>) =
        lists.iter().partition(|list| discovery.filled.contains_key(*list));
    let mut pipe = redis::pipe();
    pipe.hlen(broker.keys.unacked());
    for list in &filled {
        pipe.llen(*list);
    }
    if !empty.is_empty() {
        pipe.cmd("EXISTS").arg(&empty);
    }
    let mut answers: Vec<RedisResult<u64>> = broker.run("LLEN", pipe.ignore_errors()).await?;
    // Who may not ask whether a list exists is told its length.
    let exist = if empty.is_empty() { Some(0) } else { answers.pop().and_then(RedisResult::ok) };
    let mut answers = answers.into_iter();
    let unacked = answers.next().and_then(RedisResult::ok);
    let mut found: HashMap<String, RedisResult<u64>> = filled.into_iter().cloned().zip(answers).collect();
    if exist == Some(0) {
        found.extend(empty.into_iter().map(|list| (list.clone(), Ok(0))));
    } else {
        let mut pipe = redis::pipe();
        for list in &empty {
            pipe.llen(*list);
        }
        let answers: Vec<RedisResult<u64>> = broker.run("LLEN", pipe.ignore_errors()).await?;
        found.extend(empty.into_iter().cloned().zip(answers));
    }
    let full = found.iter().filter(|(_, n)| n.as_ref().is_ok_and(|n| *n > 0));
    discovery.filled.extend(full.map(|(list, _)| (list.clone(), Instant::now())));
    Ok((found, unacked))
}

impl Discovery {
    /// The queue that an exchange and a routing key lead to: where nothing is bound, the one named like the key.
    pub fn queue_of(&self, exchange: Option<String>, routing_key: Option<String>) -> String {
        let key = (exchange.unwrap_or_default(), routing_key.unwrap_or_default());
        self.bindings.get(&key).cloned().unwrap_or(key.1)
    }
}

/// What a value of the hash `unacked` holds: envelope, exchange, routing key.
pub(super) type Unacked<'a> = (&'a serde_json::value::RawValue, Option<String>, Option<String>);

/// Walks the key space a little further in search of bindings.
async fn discover(broker: &RedisBroker, discovery: &mut Discovery) -> Result<()> {
    if discovery.cursor == 0 && discovery.complete_at.is_some_and(|at| at.elapsed() < REDISCOVER) {
        return Ok(());
    }
    for _ in 0..SCAN_STEPS {
        let mut pipe = redis::pipe();
        pipe.cmd("SCAN").arg(discovery.cursor).arg("MATCH").arg(broker.keys.bindings_pattern()).arg("COUNT").arg(1_000);
        let scanned: Result<((u64, Vec<String>),)> = broker.run("SCAN", &pipe).await;
        // Queues are known from events and workers too.
        let Some(((cursor, keys),)) = broker.rights.permitted(Right::Discovery, scanned)? else {
            discovery.complete_at = Some(Instant::now());
            break;
        };
        for key in keys {
            let Some(exchange) = broker.keys.exchange(&key) else { continue };
            if is_internal(exchange) {
                continue;
            }
            let members: Result<(Vec<String>,)> = broker.run("SMEMBERS", redis::pipe().smembers(&key)).await;
            let Some((members,)) = broker.rights.permitted(Right::Discovery, members)? else { continue };
            for member in &members {
                if let Some((routing_key, queue)) = broker.keys.binding(member) {
                    discovery.queues.insert(queue.to_owned());
                    discovery.bindings.insert((exchange.to_owned(), routing_key.to_owned()), queue.to_owned());
                }
            }
        }
        discovery.cursor = cursor;
        if cursor == 0 {
            discovery.complete_at = Some(Instant::now());
            break;
        }
    }
    discovery.queues.retain(|name| !is_internal(name));
    Ok(())
}

/// Counts unacknowledged messages by queue, if they are few enough to look at.
async fn unacked(broker: &RedisBroker, discovery: &mut Discovery, total: Option<u64>) -> Result<()> {
    match total {
        Some(0) => discovery.unacked = Some((Instant::now(), BTreeMap::new())),
        Some(n) if n <= UNACKED_LIMIT => {
            if discovery.unacked.as_ref().is_some_and(|(at, _)| at.elapsed() < UNACKED_AGE) {
                return Ok(());
            }
            let values: Result<(Vec<String>,)> =
                broker.run("HVALS", redis::pipe().cmd("HVALS").arg(broker.keys.unacked())).await;
            let Some((values,)) = broker.rights.permitted(Right::Unacked, values)? else {
                discovery.unacked = None;
                return Ok(());
            };
            let mut by_queue = BTreeMap::new();
            for value in &values {
                // The envelope is not looked into.
                let Ok((_, exchange, routing_key)) = serde_json::from_str::<Unacked<'_>>(value) else { continue };
                *by_queue.entry(discovery.queue_of(exchange, routing_key)).or_insert(0) += 1;
            }
            discovery.unacked = Some((Instant::now(), by_queue));
        }
        _ => discovery.unacked = None,
    }
    Ok(())
}

/// Looks at the message each queue gives out next at each priority: the right end of that list.
pub(super) async fn next_in_line(broker: &RedisBroker, depths: &mut [Depth]) -> Result<()> {
    let waiting: Vec<(usize, String)> = depths
        .iter()
        .enumerate()
        .flat_map(|(i, depth)| {
            let steps = depth.by_priority.iter().filter(|(_, n)| *n > 0);
            steps.map(move |(step, _)| (i, broker.keys.list(&depth.name, *step)))
        })
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let mut pipe = redis::pipe();
    for (_, key) in &waiting {
        pipe.lindex(key, -1);
    }
    let next: Vec<RedisResult<Option<Vec<u8>>>> = broker.run("LINDEX", pipe.ignore_errors()).await?;
    for ((i, _), bytes) in waiting.iter().zip(next) {
        depths[*i].next.extend(bytes.ok().flatten().and_then(|b| Message::decode(&b).ok()).map(|m| m.id));
    }
    Ok(())
}

/// Reads the answer to INFO.
pub(super) fn read_info(info: &str) -> Health {
    let field = |key: &str| {
        info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(|v| v.trim().to_owned())
    };
    let number = |key: &str| field(key).and_then(|v| v.parse::<u64>().ok());
    let told = [("valkey", "valkey_version"), ("dragonfly", "dragonfly_version")];
    let (kind, version) = match told.into_iter().find_map(|(kind, key)| Some((kind, field(key)?))) {
        Some(told) => told,
        // KeyDB gives no name; these two are its own (KeyDB, `server.cpp`, `genRedisInfoString`).
        None if field("mvcc_depth").or(field("server_threads")).is_some() => {
            ("keydb", field("redis_version").unwrap_or_default())
        }
        None => ("redis", field("redis_version").unwrap_or_default()),
    };
    Health {
        kind: kind.into(),
        version: crate::text::clean(&version).to_string(),
        uptime: number("uptime_in_seconds"),
        memory_used: number("used_memory"),
        memory_max: number("maxmemory").filter(|n| *n > 0),
        clients: number("connected_clients"),
        evicted: number("evicted_keys"),
        commands: field("instantaneous_ops_per_sec").and_then(|v| v.parse().ok()),
        ..Health::default()
    }
}

/// Commands of all clients since the server started, from the answer to INFO.
pub(super) fn commands(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")?.trim().parse().ok())
}

/// Bytes held back for slow subscribers, from the answer to CLIENT LIST.
pub(super) fn backlog(clients: &str) -> u64 {
    let held = |word: &str| word.strip_prefix("omem=")?.parse::<u64>().ok();
    clients.split_whitespace().filter_map(held).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_account_is_read() {
        let health = read_info(
            "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:99\r\nused_memory:1024\r\nmaxmemory:0\r\n",
        );
        assert_eq!((health.kind.as_str(), health.version.as_str()), ("redis", "7.0.15"));
        assert_eq!((health.uptime, health.memory_used, health.memory_max), (Some(99), Some(1024), None));
        assert_eq!(commands("a:1\r\ntotal_commands_processed:54\r\n"), Some(54));
        assert_eq!(backlog("id=3 addr=1.2.3.4:5 obl=0 oll=2 omem=20504 cmd=psubscribe\nid=4 omem=0 cmd=x\n"), 20_504);
        for (info, kind, version) in [
            ("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n", "valkey", "8.0.1"),
            ("redis_version:6.3.4\r\nserver_threads:2\r\nmvcc_depth:0\r\n", "keydb", "6.3.4"),
            ("redis_version:7.4.0\r\ndragonfly_version:df-v1.25\r\n", "dragonfly", "df-v1.25"),
        ] {
            let health = read_info(info);
            assert_eq!((health.kind.as_str(), health.version.as_str()), (kind, version));
        }
    }
}
