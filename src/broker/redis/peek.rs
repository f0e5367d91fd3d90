//! Looking at messages without taking them (`protocol/README.md`, 3.3): the right end of a list is next, the lists of a
//! queue are asked in the order of their priority steps.

use std::collections::HashMap;
use std::ops::Range;

use redis::RedisResult;

use super::RedisBroker;
use super::queues::Unacked;
use crate::broker::Result;
use crate::celery::queue::{Delivered, Waiting};
use crate::clock::Stamp;

/// Waiting messages in the order they will be taken.
pub(super) async fn waiting(broker: &RedisBroker, queue: &str, range: Range<usize>) -> Result<Vec<Waiting>> {
    let lists: Vec<(u8, String)> =
        broker.keys.steps().iter().map(|step| (*step, broker.keys.list(queue, *step))).collect();
    let mut lengths = redis::pipe();
    for (_, list) in &lists {
        lengths.llen(list);
    }
    let lengths: Vec<RedisResult<usize>> = broker.run("LLEN", lengths.ignore_errors()).await?;
    if let (Some(Err(error)), true) = (lengths.first(), lengths.iter().all(RedisResult::is_err)) {
        return Err(broker.error("LLEN", error));
    }
    // Of several lists, those that we may not read are passed over.
    let lengths: Vec<usize> = lengths.into_iter().map(|length| length.unwrap_or(0)).collect();
    let parts = parts(&lengths, &range);
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for part in &parts {
        if let Some((_, list)) = lists.get(part.list) {
            pipe.cmd("LRANGE").arg(list).arg(part.from).arg(part.to);
        }
    }
    let found: Vec<Vec<Vec<u8>>> = broker.run("LRANGE", &pipe).await?;
    let mut waiting = Vec::new();
    for (part, messages) in parts.iter().zip(found) {
        let step = lists.get(part.list).map_or(0, |(step, _)| *step);
        for (i, bytes) in messages.iter().rev().enumerate() {
            waiting.push(Waiting::read(part.place + i, step, bytes));
        }
    }
    Ok(waiting)
}

/// A stretch of one list.
#[derive(Debug, PartialEq)]
struct Part {
    list: usize,
    /// Indices as LRANGE counts from the right end.
    from: i64,
    to: i64,
    /// Place in the queue of what lies furthest right.
    place: usize,
}

/// Which stretches of lists of these lengths hold the places asked for.
fn parts(lengths: &[usize], range: &Range<usize>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut before = 0;
    for (list, length) in lengths.iter().enumerate() {
        let begin = range.start.clamp(before, before + length);
        let end = range.end.clamp(begin, before + length);
        if begin < end {
            // -1 is next in line, so places run against the indices.
            let index = |place: usize| -(i64::try_from(place - before).unwrap_or(i64::MAX - 1)) - 1;
            parts.push(Part { list, from: index(end - 1), to: index(begin), place: begin });
        }
        before += length;
    }
    parts
}

/// What was delivered and not acknowledged, oldest first.
pub(super) async fn unacked(broker: &RedisBroker, most: usize) -> Result<Vec<Delivered>> {
    let last = i64::try_from(most).unwrap_or(i64::MAX) - 1;
    let mut pipe = redis::pipe();
    pipe.hlen(broker.keys.unacked());
    pipe.cmd("ZRANGE").arg(broker.keys.unacked_index()).arg(0).arg(last).arg("WITHSCORES");
    let (held, index): (usize, Vec<(String, f64)>) = broker.run("ZRANGE", &pipe).await?;
    let mut times: HashMap<&str, f64> = index.iter().map(|(tag, at)| (tag.as_str(), *at)).collect();
    let mut entries: Vec<(String, Option<String>)> = if held <= most {
        // All of them, the ones whose time got lost too.
        let (all,): (Vec<(String, String)>,) =
            broker.run("HGETALL", redis::pipe().cmd("HGETALL").arg(broker.keys.unacked())).await?;
        all.into_iter().map(|(tag, value)| (tag, Some(value))).collect()
    } else {
        let tags: Vec<String> = index.iter().map(|(tag, _)| tag.clone()).collect();
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let (values,): (Vec<Option<String>>,) =
            broker.run("HMGET", redis::pipe().cmd("HMGET").arg(broker.keys.unacked()).arg(&tags)).await?;
        tags.into_iter().zip(values).collect()
    };
    let discovery = broker.discovery.lock().await;
    let mut delivered: Vec<Delivered> = entries
        .drain(..)
        .filter_map(|(tag, value)| {
            let value = value?;
            let at = times.remove(tag.as_str()).and_then(Stamp::from_secs);
            Some(match serde_json::from_str::<Unacked<'_>>(&value) {
                Ok((envelope, exchange, routing_key)) => {
                    let queue = discovery.queue_of(exchange, routing_key);
                    Delivered::read(tag, queue, at, envelope.get().as_bytes(), value.as_bytes())
                }
                Err(_) => Delivered::read(tag, String::new(), at, value.as_bytes(), value.as_bytes()),
            })
        })
        .collect();
    delivered.sort_by(|a, b| (a.at, &a.tag).cmp(&(b.at, &b.tag)));
    Ok(delivered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_run_from_the_right_end_of_the_most_urgent_list() {
        let part = |list, from, to, place| Part { list, from, to, place };
        assert_eq!(parts(&[3, 0, 2, 1], &(0..50)), [part(0, -3, -1, 0), part(2, -2, -1, 3), part(3, -1, -1, 5)]);
        assert_eq!(parts(&[3, 0, 2, 1], &(1..4)), [part(0, -3, -2, 1), part(2, -1, -1, 3)]);
        assert_eq!(parts(&[3, 0], &(5..9)), []);
        assert_eq!(parts(&[3, 4], &(3..5)), [part(1, -2, -1, 3)]);
    }
}
