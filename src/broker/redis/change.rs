//! Changing what waits (`protocol/README.md`, 3.3): each step is one script, so that it happens whole or not at all. A
//! message goes out at the right end of a list and in at the left one.

use redis::{FromRedisValue, Pipeline};

use super::RedisBroker;
use crate::broker::change::{Sift, Sifted};
use crate::broker::{Error, Result};
use crate::celery::message::Outgoing;
use crate::celery::original::{Original, redelivered, renamed, rerouted};
use crate::celery::queue::{Delivered, Waiting};

const TAKE: &str = include_str!("lua/take.lua");
const PUT: &str = include_str!("lua/put.lua");
const RENAME: &str = include_str!("lua/rename.lua");
const RENAME_BACK: &str = include_str!("lua/rename_back.lua");
const REQUEUE: &str = include_str!("lua/requeue.lua");
const PUBLISH: &str = include_str!("lua/publish.lua");

/// Messages looked at in one piece. The server does nothing else while a script runs.
const PIECE: usize = 250;
/// While workers take messages, others slide past what is being looked at: so often a list is gone through again.
const PASSES: usize = 3;
/// Seconds for which is remembered what was put already: what takes long may be gone on with the day after.
const REMEMBERED: u32 = 86_400;
/// Seconds for which is remembered that a task was sent: as long as somebody may try again who got no answer.
const SENT: u32 = 300;
/// Messages put back by one script.
const PUT_BACK: u64 = 1_000;

fn script(text: &str, keys: &[String]) -> Pipeline {
    let mut pipe = redis::pipe();
    pipe.cmd("EVAL").arg(text).arg(keys.len()).arg(keys);
    pipe
}

async fn run<T: FromRedisValue>(broker: &RedisBroker, pipe: &Pipeline) -> Result<T> {
    let (answer,): (T,) = broker.run("EVAL", pipe).await?;
    Ok(answer)
}

/// The number, from one, of a list among the keys of a script; it is put there once. So many other keys stand before.
fn number(keys: &mut Vec<String>, before: usize, list: String) -> usize {
    let known = keys.iter().skip(before).position(|key| *key == list);
    known.map_or_else(
        || {
            keys.push(list);
            keys.len() - before
        },
        |place| place + 1,
    )
}

/// See [`crate::broker::Broker::sift`].
pub(super) async fn sift(broker: &RedisBroker, queue: &str, sift: &mut dyn Sift, to: Option<&str>) -> Result<Sifted> {
    let mut sifted = Sifted::default();
    for step in broker.keys.steps().to_vec() {
        let lists = Lists {
            step,
            queue: queue.to_owned(),
            from: broker.keys.list(queue, step),
            to: to.map(|to| (to.to_owned(), broker.keys.list(to, step))),
        };
        for _ in 0..PASSES {
            let (before, more) = (end_of(broker, &lists.from).await?, pass(broker, &lists, sift, &mut sifted).await?);
            if !more {
                return Ok(sifted);
            }
            // Where nobody took any meanwhile, none slid by.
            let after = end_of(broker, &lists.from).await?;
            if after.is_none() || after == before {
                break;
            }
        }
    }
    Ok(sifted)
}

/// The list of one priority, and the one its messages go to.
struct Lists {
    step: u8,
    queue: String,
    from: String,
    to: Option<(String, String)>,
}

/// The message that goes out next.
async fn end_of(broker: &RedisBroker, list: &str) -> Result<Option<Vec<u8>>> {
    let (end,): (Option<Vec<u8>>,) = broker.run("LINDEX", redis::pipe().lindex(list, -1)).await?;
    Ok(end)
}

/// Goes once through what waits now. Says whether to go on.
async fn pass(broker: &RedisBroker, lists: &Lists, sift: &mut dyn Sift, sifted: &mut Sifted) -> Result<bool> {
    let (total,): (usize,) = broker.run("LLEN", redis::pipe().llen(&lists.from)).await?;
    let (mut place, mut looked) = (0, 0);
    while looked < total {
        let most = PIECE.min(total - looked);
        let index = |place: usize| -(i64::try_from(place).unwrap_or(i64::MAX - 1)) - 1;
        let mut pipe = redis::pipe();
        pipe.cmd("LRANGE").arg(&lists.from).arg(index(place + most - 1)).arg(index(place));
        let (found,): (Vec<Vec<u8>>,) = broker.run("LRANGE", &pipe).await?;
        if found.is_empty() {
            break;
        }
        let read = |(i, bytes): (usize, &Vec<u8>)| Waiting::read(place + i, lists.step, bytes);
        let messages: Vec<Waiting> = found.iter().rev().enumerate().map(read).collect();
        looked += messages.len();
        let chosen: Vec<&Waiting> = sift.choose(&messages).into_iter().filter_map(|i| messages.get(i)).collect();
        place += messages.len() - chosen.len();
        if chosen.is_empty() {
            sifted.count(messages.len(), &[]);
            continue;
        }
        let taken = take(broker, lists, &chosen, sift).await?;
        sifted.count(messages.len(), &taken);
        if !sift.taken(&taken) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn take(broker: &RedisBroker, lists: &Lists, chosen: &[&Waiting], sift: &mut dyn Sift) -> Result<Vec<bool>> {
    let originals: Vec<Original> = chosen.iter().filter_map(|waiting| waiting.original(&lists.queue)).collect();
    sift.keep(&originals).map_err(|what| Error::Unable { what })?;
    let keys: Vec<String> = [&lists.from].into_iter().chain(lists.to.iter().map(|(_, list)| list)).cloned().collect();
    let mut pipe = script(TAKE, &keys);
    // No message is the same as a new random word.
    pipe.arg(format!("flower-tui {}", crate::celery::TaskId::random()));
    for (waiting, original) in chosen.iter().zip(&originals) {
        let sent_on = match &lists.to {
            // What is no envelope can't say where it belongs: it goes on as it is.
            Some((to, _)) => {
                let bytes = rerouted(&original.bytes, to).unwrap_or_else(|_| original.bytes.to_vec());
                sift.task().and_then(|task| renamed(&bytes, task).ok()).unwrap_or(bytes)
            }
            None => Vec::new(),
        };
        pipe.arg(waiting.place).arg(&*original.bytes).arg(sent_on);
    }
    let taken: Vec<i64> = run(broker, &pipe).await?;
    Ok(taken.into_iter().map(|n| n == 1).collect())
}

/// See [`crate::broker::Broker::put`].
pub(super) async fn put(broker: &RedisBroker, messages: &[Original], name: &str, from: usize) -> Result<usize> {
    if messages.is_empty() {
        return Ok(0);
    }
    let mut keys = vec![broker.keys.own(&format!("flower-tui:put:{name}"))];
    let list = |message: &Original| broker.keys.list(&message.queue, message.priority);
    let lists: Vec<usize> = messages.iter().map(|message| number(&mut keys, 1, list(message))).collect();
    let mut pipe = script(PUT, &keys);
    pipe.arg(REMEMBERED).arg(from);
    for (message, list) in messages.iter().zip(lists) {
        pipe.arg(list).arg(&*message.bytes);
    }
    run(broker, &pipe).await
}

/// Puts a task into its queue; the same id only once.
pub(super) async fn publish(broker: &RedisBroker, message: &Outgoing) -> Result<()> {
    let marker = broker.keys.own(&format!("flower-tui:sent:{}", message.id));
    let list = broker.keys.list(&message.queue, message.priority);
    let mut pipe = script(PUBLISH, &[marker, list]);
    pipe.arg(SENT).arg(message.encode_redis());
    let _: i64 = run(broker, &pipe).await?;
    Ok(())
}

/// See [`crate::broker::Broker::rename`].
pub(super) async fn rename(broker: &RedisBroker, queue: &str, to: &str) -> Result<u64> {
    let lists = |name: &str| broker.keys.steps().iter().map(|step| broker.keys.list(name, *step)).collect::<Vec<_>>();
    let moved: i64 = run(broker, &script(RENAME, &[lists(queue), lists(to)].concat())).await?;
    u64::try_from(moved).map_err(|_| Error::Unable { what: format!("something waits in {} already", clean(to)) })
}

/// See [`crate::broker::Broker::rename_back`].
pub(super) async fn rename_back(broker: &RedisBroker, from: &str, queue: &str) -> Result<u64> {
    let mut moved = 0;
    for step in broker.keys.steps() {
        let keys = [broker.keys.list(from, *step), broker.keys.list(queue, *step)];
        loop {
            let mut pipe = script(RENAME_BACK, &keys);
            pipe.arg(PUT_BACK);
            let n: u64 = run(broker, &pipe).await?;
            moved += n;
            if n == 0 {
                break;
            }
        }
    }
    Ok(moved)
}

/// See [`crate::broker::Broker::requeue`].
pub(super) async fn requeue(broker: &RedisBroker, delivered: &[Delivered]) -> Result<Vec<bool>> {
    let mut done = Vec::with_capacity(delivered.len());
    // Each goes to the end that is consumed next: the one that was delivered first goes there last.
    let last_first: Vec<&Delivered> = delivered.iter().rev().collect();
    for piece in last_first.chunks(PIECE) {
        let mut keys = vec![broker.keys.unacked(), broker.keys.unacked_index()];
        let mut arguments: Vec<(Vec<u8>, usize, Vec<u8>)> = Vec::new();
        for entry in piece {
            let unreadable = || Error::Unable { what: format!("delivery {} can't be read", clean(&entry.tag)) };
            let (envelope, _, _): super::queues::Unacked<'_> =
                serde_json::from_slice(&entry.raw).map_err(|_| unreadable())?;
            let priority = entry.message.as_ref().ok().and_then(|m| m.priority).unwrap_or(0);
            let list = broker.keys.list(&entry.queue, u8::try_from(priority).unwrap_or(0));
            let list = number(&mut keys, 2, list);
            let again = redelivered(envelope.get().as_bytes()).map_err(|_| unreadable())?;
            arguments.push((entry.raw.to_vec(), list, again));
        }
        let mut pipe = script(REQUEUE, &keys);
        for (entry, (raw, list, again)) in piece.iter().zip(arguments) {
            pipe.arg(&entry.tag).arg(raw).arg(list).arg(again);
        }
        let answers: Vec<i64> = run(broker, &pipe).await?;
        done.extend(answers.into_iter().map(|n| n == 1));
    }
    done.reverse();
    Ok(done)
}

fn clean(text: &str) -> crate::text::Clean {
    crate::text::clean(text)
}
