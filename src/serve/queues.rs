//! How much waits in the queues, asked of the broker.

use std::sync::Arc;

use serde_json::json;

use super::Site;
use super::answer::{Answer, Said, away};
use super::call::Call;

/// The queue of an application that names none.
pub(super) const USUAL: &str = "celery";

pub(super) async fn length(site: &Arc<Site>, _: &Call) -> Said {
    let mut names = site.inspections.queues();
    if names.is_empty() {
        names.insert(default(site));
    }
    let names: Vec<String> = names.into_iter().collect();
    let depths = site.with_broker(site.ops.broker.queues(&names)).await?.map_err(|error| away(&error.to_string()))?;
    let ready = |name: &str| depths.iter().find(|depth| depth.name == name).map_or(0, |depth| depth.ready);
    let rows: Vec<_> = names.iter().map(|name| json!({"name": name, "messages": ready(name)})).collect();
    Ok(Answer::json(&json!({"active_queues": rows})))
}

/// Where the application sends what it routes nowhere else, as far as workers tell.
pub(super) fn default(site: &Site) -> String {
    let told = site.inspections.setting("task_default_queue");
    told.and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_else(|| USUAL.to_owned())
}
