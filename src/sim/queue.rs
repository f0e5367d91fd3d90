//! What lies in the simulated queues, as the bytes a real client would have put there.

use std::collections::VecDeque;
use std::ops::Range;

use crate::celery::TaskId;
use crate::celery::message::Outgoing;
use crate::celery::queue::{Delivered, Waiting};
use crate::celery::repr;

use super::worker::{Call, Worker};
use super::workload::Kind;

/// Priorities that have a list of their own.
const STEPS: [u8; 4] = [0, 3, 6, 9];

fn step(call: &Call, kinds: &[Kind]) -> u8 {
    kinds.get(call.kind).map_or(0, |kind| STEPS.into_iter().rfind(|s| *s <= kind.priority).unwrap_or(0))
}

/// Place of the call that is taken next: of the most urgent ones the oldest.
pub fn next(calls: &VecDeque<Call>, kinds: &[Kind]) -> Option<usize> {
    let mut best: Option<(u8, usize)> = None;
    for (i, call) in calls.iter().enumerate().rev() {
        let step = step(call, kinds);
        if best.is_none_or(|(least, _)| step < least) {
            best = Some((step, i));
        }
        if step == 0 {
            break;
        }
    }
    best.map(|(_, i)| i)
}

/// At each priority that waits the message that is next.
pub fn next_at_each(calls: &VecDeque<Call>, kinds: &[Kind]) -> Vec<TaskId> {
    let next = |at: u8| calls.iter().rev().find(|call| step(call, kinds) == at).map(|call| call.id.clone());
    STEPS.into_iter().filter_map(next).collect()
}

/// Waiting messages in the order they will be taken.
pub fn waiting(calls: &VecDeque<Call>, kinds: &[Kind], range: Range<usize>) -> Vec<Waiting> {
    let mut order: Vec<(u8, &Call)> = calls.iter().rev().map(|call| (step(call, kinds), call)).collect();
    order.sort_by_key(|(step, _)| *step);
    let asked_for = order.into_iter().enumerate().skip(range.start).take(range.len());
    asked_for.map(|(place, (step, call))| Waiting::read(place, step, message(call, kinds).as_bytes())).collect()
}

/// What workers hold and have not acknowledged, oldest first.
pub fn delivered(workers: &[Worker], kinds: &[Kind], most: usize) -> Vec<Delivered> {
    let mut held: Vec<&Call> = workers.iter().flat_map(|worker| &worker.reserved).collect();
    held.sort_by_key(|call| (call.taken, call.id.clone()));
    let read = |call: &Call| {
        let queue = kinds.get(call.kind).map_or("", |kind| kind.queue);
        let bytes = message(call, kinds);
        Delivered::read(call.id.to_string(), queue.to_owned(), call.taken, bytes.as_bytes(), bytes.as_bytes())
    };
    held.into_iter().take(most).map(read).collect()
}

/// A call on the wire. Arguments that are no literals are left out, as their `repr` still stands in the header.
fn message(call: &Call, kinds: &[Kind]) -> String {
    let json = |text: &str, nothing: &str| {
        repr::parse(text).ok().and_then(|value| value.to_json().ok()).unwrap_or_else(|| nothing.to_owned())
    };
    let kind = kinds.get(call.kind);
    let outgoing = Outgoing {
        id: call.id.clone(),
        name: kind.map_or_else(String::new, |kind| kind.name.to_owned()),
        args: json(&call.args, "[]"),
        kwargs: json(&call.kwargs, "{}"),
        argsrepr: call.args.clone(),
        kwargsrepr: call.kwargs.clone(),
        queue: kind.map_or_else(String::new, |kind| kind.queue.to_owned()),
        route: None,
        priority: kind.map_or(0, |kind| kind.priority),
        root_id: call.root.as_ref().map(ToString::to_string),
        parent_id: call.parent.as_ref().map(ToString::to_string),
        origin: call.client.clone(),
        eta: None,
        expires: None,
        like: None,
    };
    outgoing.encode_redis()
}
