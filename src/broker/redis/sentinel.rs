//! Asking sentinels which server is the master (kombu 5.7.0, `SentinelChannel`). kombu insists on `master_name`; where
//! the sentinels watch one master alone, we take that.

use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use redis::RedisConnectionInfo;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::dial::{login, multiplexed, tcp};
use super::fault;
use crate::broker::tls::{self, Tls};
use crate::broker::url::place;
use crate::broker::{Error, Result, TransportOptions};
use crate::text::clean;

/// Where the sentinels are, and how they are spoken to.
pub(super) struct Sentinels {
    hosts: Vec<(String, u16)>,
    name: Option<String>,
    tls: Option<Tls>,
    login: RedisConnectionInfo,
}

/// A master's name, and where it is.
type Master = (String, (String, u16));

/// Why one sentinel leads to no master.
pub(super) enum Fault {
    /// It watches these, and none by the name that was asked for.
    Unknown { name: Option<String>, watches: Vec<String> },
    /// It does not let us in.
    Refused(String),
    /// It can't be asked.
    Silent(String),
}

impl Sentinels {
    pub fn new(hosts: Vec<(String, u16)>, options: &TransportOptions) -> Result<Self> {
        let theirs = &options.sentinel_kwargs;
        let password = theirs.password.as_ref().map(|password| password.reveal());
        Ok(Self {
            hosts,
            name: options.master_name.clone(),
            tls: theirs.tls().as_ref().map(Tls::new).transpose()?,
            login: login(theirs.username.as_deref(), password).set_skip_set_lib_name(),
        })
    }

    /// Asks all of them at once. Each may take so long.
    pub fn ask(&self, limit: Duration) -> impl Stream<Item = std::result::Result<Master, Fault>> + Unpin {
        let asked: FuturesUnordered<_> = self
            .hosts
            .iter()
            .map(|host| async move {
                let silent = |why: String| Fault::Silent(format!("{} {why}", place(&host.0, host.1)));
                match timeout(limit, self.ask_one(host)).await {
                    Ok(answer) => answer.map_err(|fault| match fault {
                        Fault::Silent(why) => silent(why),
                        Fault::Refused(why) => Fault::Refused(format!("{} refused us: {why}", place(&host.0, host.1))),
                        unknown => unknown,
                    }),
                    Err(_) => Err(silent("gave no answer in time".into())),
                }
            })
            .collect();
        asked
    }

    async fn ask_one(&self, host: &(String, u16)) -> std::result::Result<Master, Fault> {
        let stream = tcp(host, self.tls.as_ref())
            .await
            .map_err(|e| Fault::Silent(tls::explain(&e).unwrap_or_else(|| fault::of_system(&e))))?;
        let mut sentinel = multiplexed(&self.login, stream, None).await.map_err(|e| fault_of(&e))?;
        let watches = match &self.name {
            Some(name) => {
                let mut ask = redis::cmd("SENTINEL");
                ask.arg("get-master-addr-by-name").arg(name);
                let found: Option<(String, u16)> = ask.query_async(&mut sentinel).await.map_err(|e| fault_of(&e))?;
                if let Some(server) = found {
                    return Ok((name.clone(), server));
                }
                watched(&mut sentinel).await.unwrap_or_default()
            }
            None => watched(&mut sentinel).await?,
        };
        match watches.as_slice() {
            [only] if self.name.is_none() => Ok(only.clone()),
            _ => {
                let watches = watches.into_iter().map(|(name, _)| name).collect();
                Err(Fault::Unknown { name: self.name.clone(), watches })
            }
        }
    }
}

/// All masters a sentinel watches.
async fn watched(sentinel: &mut MultiplexedConnection) -> std::result::Result<Vec<Master>, Fault> {
    let mut ask = redis::cmd("SENTINEL");
    let masters: Vec<std::collections::HashMap<String, String>> =
        ask.arg("masters").query_async(sentinel).await.map_err(|e| fault_of(&e))?;
    let master = |fields: &std::collections::HashMap<String, String>| {
        let port = fields.get("port")?.parse().ok()?;
        Some((fields.get("name")?.clone(), (fields.get("ip")?.clone(), port)))
    };
    Ok(masters.iter().filter_map(master).collect())
}

fn fault_of(error: &redis::RedisError) -> Fault {
    match fault::error("", fault::CONNECT, 0, error) {
        Error::Refused { why, .. } | Error::Denied { why, .. } => Fault::Refused(why),
        Error::NotRedis { .. } => Fault::Silent("does not speak Redis".into()),
        Error::Unreachable { why, .. } if why.contains("unknown command") => Fault::Silent("is no sentinel".into()),
        other => Fault::Silent(other.reason()),
    }
}

/// One sentence for what all of them said.
pub(super) fn explain(url: &str, faults: Vec<Fault>) -> Error {
    let url = url.to_owned();
    let (mut refused, mut silent, count) = (None, Vec::new(), faults.len());
    for fault in faults {
        match fault {
            Fault::Unknown { name, watches } => return Error::Sentinel { url, why: unknown(name, &watches) },
            Fault::Refused(why) => refused = refused.or(Some(why)),
            Fault::Silent(why) => silent.push(why),
        }
    }
    if let Some(why) = refused {
        return Error::Sentinel { url, why: format!("the sentinel {why}") };
    }
    let why = match count {
        1 => format!("the sentinel {}", silent.concat()),
        _ => format!("none of the {count} sentinels leads on: {}", silent.join(", ")),
    };
    Error::Unreachable { url, why }
}

fn unknown(name: Option<String>, watches: &[String]) -> String {
    let watches = match watches {
        [] => "none at all".into(),
        names => names.iter().map(|name| clean(name).to_string()).collect::<Vec<_>>().join(", "),
    };
    match name {
        Some(name) => format!("the sentinels know no master {}, they watch {watches}", clean(&name)),
        None => format!("master_name has to say which master is meant; the sentinels watch {watches}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_tells_what_all_sentinels_said() {
        let silent = || Fault::Silent("h1:26379 connection refused".into());
        let unknown = |watches: &[&str]| Fault::Unknown {
            name: Some("m".into()),
            watches: watches.iter().map(|w| (*w).to_owned()).collect(),
        };
        for (faults, want) in [
            (vec![silent()], "can't reach u: the sentinel h1:26379 connection refused"),
            (
                vec![silent(), silent()],
                "can't reach u: none of the 2 sentinels leads on: h1:26379 connection refused, h1:26379 connection refused",
            ),
            (vec![silent(), unknown(&["a", "b"])], "u: the sentinels know no master m, they watch a, b"),
            (
                vec![Fault::Refused("h1:26379 refused us: WRONGPASS".into()), silent()],
                "u: the sentinel h1:26379 refused us: WRONGPASS",
            ),
        ] {
            assert_eq!(explain("u", faults).to_string(), want);
        }
    }
}
