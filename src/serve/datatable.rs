//! The rows that Flower's table of tasks asks for, in the protocol of DataTables.

use std::sync::Arc;

use serde_json::json;

use super::answer::{Answer, JSON, Said};
use super::call::Call;
use super::tasks::{Key, Order, Wanted, aside, find, write};
use super::{Site, json as python, search};

/// What may be asked for at once.
const MOST: i64 = 10_000;

fn key(name: &str) -> Key {
    match name {
        "uuid" => Key::Uuid,
        "name" => Key::Name,
        "state" => Key::State,
        "worker" => Key::Worker,
        "received" => Key::Received,
        "sent" => Key::Sent,
        "started" => Key::Started,
        "succeeded" => Key::Succeeded,
        "runtime" => Key::Runtime,
        "retries" => Key::Retries,
        "args" => Key::Args,
        "kwargs" => Key::Kwargs,
        "result" => Key::Result,
        "exception" => Key::Exception,
        _ => Key::Newest,
    }
}

/// Here Flower's refusals name no character set.
fn plain(mut refusal: Box<Answer>) -> Box<Answer> {
    refusal.kind = "text/plain";
    refusal
}

pub(super) async fn rows(site: &Arc<Site>, call: &Call) -> Said {
    let whole = |name: &str| {
        call.needed(name).map_err(plain)?;
        Ok::<_, Box<Answer>>(call.int(name).map_err(plain)?.unwrap_or(0))
    };
    let (draw, start, length) = (whole("draw")?, whole("start")?, whole("length")?);
    let column = call.int("order[0][column]")?.unwrap_or(0);
    let order = Order {
        key: key(call.text(&format!("columns[{column}][data]")).unwrap_or_default()),
        descending: call.text("order[0][dir]").is_some_and(|dir| dir == "desc"),
    };
    let total = site.ops.store.read(|m| m.task_count());
    let wanted = match search::parse(call.text("search[value]").unwrap_or_default()) {
        Ok(search) => Wanted::searching(search),
        Err(why) => {
            return Ok(Answer::json(&json!({
                "draw": draw, "data": [], "recordsTotal": total, "recordsFiltered": 0, "searchError": why,
            })));
        }
    };
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    // DataTables asks for all by a negative length.
    let length = if length < 0 { MOST } else { length.min(MOST) };
    let store = site.ops.store.clone();
    aside(move || {
        let found = store.read(|m| find(m, |task| wanted.takes(task), order, size(start), size(length)));
        let mut out = format!("{{\"draw\": {draw}, \"data\": [").into_bytes();
        let begin = out.len();
        write(&store, &found.page, &mut out, false, |_, out| {
            out.extend_from_slice(if out.len() > begin { b", " } else { b"" });
        });
        out.extend_from_slice(b"], \"recordsTotal\": ");
        python::write(&total, &mut out);
        out.extend_from_slice(format!(", \"recordsFiltered\": {}}}", found.all).as_bytes());
        Answer::new(200, JSON, out)
    })
    .await
}
