//! What RedBeat keeps on the same Redis. Its keys have a prefix of their own, and not that of the queues.

use redis::RedisResult;

use super::RedisBroker;
use crate::broker::Result;
use crate::schedule::redbeat::{Document, Documents};

/// Entries that are read.
const MOST: isize = 1_000;

/// Puts a definition in the place of another, unless somebody else did meanwhile.
const REPLACE: &str = "if redis.call('HGET', KEYS[1], 'definition') ~= ARGV[1] then return 0 end \
                       redis.call('HSET', KEYS[1], 'definition', ARGV[2]) return 1";

pub(super) async fn entries(broker: &RedisBroker) -> Result<Documents> {
    let prefix = broker.keys.redbeat_prefix();
    let mut pipe = redis::pipe();
    pipe.zrange_withscores(format!("{prefix}:schedule"), 0, MOST - 1);
    pipe.smembers(format!("{prefix}:statics"));
    pipe.exists(format!("{prefix}:lock"));
    let (due, fixed, locked): (Vec<(String, f64)>, Vec<String>, bool) = broker.run("ZRANGE", &pipe).await?;
    if due.is_empty() {
        return Ok(Documents { documents: Vec::new(), locked });
    }
    let mut pipe = redis::pipe();
    for (key, _) in &due {
        pipe.cmd("HMGET").arg(key).arg("definition").arg("meta");
    }
    let found: Vec<RedisResult<(Option<String>, Option<String>)>> = broker.run("HMGET", pipe.ignore_errors()).await?;
    let documents = due.into_iter().zip(found).filter_map(|((key, due), found)| {
        // One that was deleted meanwhile is none.
        let (Some(definition), meta) = found.ok()? else { return None };
        let fixed = key.strip_prefix(prefix).is_some_and(|name| fixed.iter().any(|other| other == name));
        Some(Document { definition, meta, due: Some(due as i64), fixed, key })
    });
    Ok(Documents { documents: documents.collect(), locked })
}

pub(super) async fn replace(broker: &RedisBroker, key: &str, old: &str, new: &str) -> Result<bool> {
    let mut pipe = redis::pipe();
    pipe.cmd("EVAL").arg(REPLACE).arg(1).arg(key).arg(old).arg(new);
    let (done,): (bool,) = broker.run("EVAL", &pipe).await?;
    Ok(done)
}
