//! Results in Redis (Celery 5.7.0, `backends/redis.py`, `backends/base.py`): one key for each task.

use async_trait::async_trait;

use super::{Backend, Error};
use crate::broker::TransportOptions;
use crate::broker::redis::Reader;
use crate::broker::url::RedisUrl;
use crate::celery::TaskId;
use crate::celery::result::{Stored, redis_key};
use crate::clock::Stamp;

/// How long a mark is kept: Celery's usual `result_expires`.
const KEPT: std::time::Duration = std::time::Duration::from_secs(86_400);
/// Results read in one go.
const AT_ONCE: usize = 200;

/// See the module.
pub(super) struct RedisResults {
    reader: Reader,
    url: String,
    prefix: String,
}

impl RedisResults {
    pub fn open(url: &RedisUrl, options: &TransportOptions) -> Result<Self, Error> {
        let reader = Reader::open(url, options).map_err(|e| Error(e.to_string()))?;
        Ok(Self { reader, url: url.to_string(), prefix: prefix(&options.global_keyprefix) })
    }
}

/// The result backend's own rule for its prefix: an underscore is put between (Celery 5.7.0, `backends/base.py`,
/// `_add_global_keyprefix`).
fn prefix(global: &str) -> String {
    match global.chars().last() {
        None | Some(':' | '_' | '-' | '.') => global.to_owned(),
        Some(_) => format!("{global}_"),
    }
}

#[async_trait]
impl Backend for RedisResults {
    fn url(&self) -> String {
        self.url.clone()
    }

    async fn get(&self, ids: &[TaskId]) -> Result<Vec<(TaskId, Stored)>, Error> {
        let mut found = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let keys: Vec<String> = ids.iter().map(|id| format!("{}{}", self.prefix, redis_key(id))).collect();
            let values = self.reader.read(&keys).await.map_err(|e| Error(e.to_string()))?;
            let kept = ids.iter().zip(values).filter_map(|(id, value)| Some((id.clone(), Stored::read(&value?))));
            found.extend(kept);
        }
        Ok(found)
    }

    async fn abort(&self, id: &TaskId, now: Stamp) -> Result<(), Error> {
        let before = self.get(std::slice::from_ref(id)).await?;
        let done = |stored: &Stored| stored.result().is_some_and(|result| result.status == "SUCCESS");
        if before.iter().any(|(_, stored)| done(stored)) {
            return Ok(());
        }
        // As an application's own `abort` writes it (Celery 5.7.0, `backends/base.py`, `_get_result_meta`).
        let document = serde_json::json!({
            "status": "ABORTED", "result": null, "traceback": null, "children": [], "date_done": now.iso(),
            "task_id": id,
        });
        let key = format!("{}{}", self.prefix, redis_key(id));
        self.reader.store(&key, &document.to_string(), KEPT).await.map_err(|e| Error(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_set_off_from_the_key() {
        assert_eq!(["", "shop:", "shop"].map(prefix), ["", "shop:", "shop_"]);
    }
}
