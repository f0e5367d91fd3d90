//! Where a task is, as one of a fixed set of answers, drawn from the evidence alone: no I/O, so that each can be tested.
//!
//! What holds the task now comes before what was said of it earlier: a message in a queue will run, whatever an event of an
//! earlier run tells.

use super::evidence::{Evidence, Flow, Held, Hold, Place, Running, Seen, Workers};
use crate::clock::Stamp;
use crate::human;
use crate::state::State;
use crate::state::lost::Again;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Something that may hold it has not answered yet.
    Asking,
    Waiting {
        place: Place,
    },
    Delayed {
        queue: String,
        until: Option<Stamp>,
    },
    Running {
        worker: String,
        since: Option<Stamp>,
        late: Option<f64>,
    },
    Reserved {
        worker: String,
        behind: Option<Running>,
        /// What else runs there.
        others: usize,
    },
    Scheduled {
        worker: String,
        eta: Option<Stamp>,
    },
    RateLimited {
        worker: String,
        limit: String,
    },
    /// Revoked, and nobody has skipped it yet.
    Revoked {
        place: String,
    },
    /// Delivered and never acknowledged: given out again.
    Unacked {
        worker: Option<String>,
        again: Option<Stamp>,
    },
    Finished {
        state: String,
        at: Option<Stamp>,
        by: &'static str,
        /// What it failed with, where that is known.
        raised: Option<String>,
    },
    Lost {
        why: String,
        again: Again,
    },
    /// Seen once, and found nowhere now.
    Unsettled {
        state: String,
        worker: Option<String>,
        at: Option<Stamp>,
    },
    NoTrace,
}

impl Verdict {
    /// Draws the conclusion.
    pub fn of(evidence: &Evidence) -> Self {
        let seen = evidence.events.told().and_then(Option::as_deref);
        let queued = evidence.queues.told().and_then(|queues| queues.found.as_ref());
        let none = Workers::default();
        let workers = evidence.workers.told().unwrap_or(&none);
        if let Some(held) = &workers.held {
            return held_by(held, workers, seen, evidence);
        }
        if let Some(place) = queued {
            let revoked = !workers.revoked.is_empty() || seen.is_some_and(|seen| seen.revoke_asked.is_some());
            return match revoked {
                true => Verdict::Revoked { place: format!("it waits in {}", place.queue) },
                false => Verdict::Waiting { place: place.clone() },
            };
        }
        if let Some(place) = evidence.delayed.told().and_then(Option::as_ref) {
            return Verdict::Delayed { queue: place.queue.clone(), until: seen.and_then(|seen| seen.eta) };
        }
        if let Some(finished) = finished(evidence, seen) {
            return finished;
        }
        unheld(evidence, workers, seen).unwrap_or_else(|| match evidence.is_whole() {
            true => last_word(evidence, seen),
            false => Verdict::Asking,
        })
    }

    /// One word for scripts; it stays what it is.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Asking => "asking",
            Verdict::Waiting { .. } => "waiting",
            Verdict::Delayed { .. } => "delayed",
            Verdict::Running { .. } => "running",
            Verdict::Reserved { .. } => "reserved",
            Verdict::Scheduled { .. } => "scheduled",
            Verdict::RateLimited { .. } => "rate-limited",
            Verdict::Revoked { .. } => "revoked",
            Verdict::Unacked { .. } => "unacked",
            Verdict::Finished { .. } => "finished",
            Verdict::Lost { .. } => "lost",
            Verdict::Unsettled { .. } => "unsettled",
            Verdict::NoTrace => "no-trace",
        }
    }

    /// A sentence for a person; `time` says a time as the reader wants it.
    pub fn sentence(&self, now: Stamp, time: &dyn Fn(Stamp) -> String) -> String {
        let at = |at: &Option<Stamp>| at.map_or(String::new(), |at| format!(" {}", time(at)));
        let ago = |at: Stamp| human::span(now.since(at).as_secs());
        match self {
            Verdict::Asking => "asking …".into(),
            Verdict::Waiting { place } => waiting(place),
            Verdict::Delayed { queue, until } => {
                format!("the broker holds it back in {queue} until its time{}", at(until))
            }
            Verdict::Running { worker, since, late } => {
                let since = since.map_or(String::new(), |at| format!(" for {}, since {}", ago(at), time(at)));
                let late = late.map_or(String::new(), |p99| {
                    format!(": longer than 99 of 100 of its kind ({})", human::seconds(p99))
                });
                format!("runs on {worker}{since}{late}")
            }
            Verdict::Reserved { worker, behind: Some(first), others } => {
                let since = first.since.map_or(String::new(), |at| match now.since(at).as_secs() {
                    0 => ", which has just begun".to_owned(),
                    _ => format!(", which runs for {} already", ago(at)),
                });
                let others = if *others > 0 { format!(", and {others} more that run there") } else { String::new() };
                format!("reserved by {worker}, behind {}{since}{others}", first.name)
            }
            Verdict::Reserved { worker, behind: None, .. } => format!("reserved by {worker}, next in line"),
            Verdict::Scheduled { worker, eta } => format!("scheduled on {worker} for{}", at(eta)),
            Verdict::RateLimited { worker, limit } => {
                format!("held back on {worker} by the rate limit of its kind, {limit}")
            }
            Verdict::Revoked { place } => {
                format!("revoked, and not skipped yet: {place}, and whoever takes it will skip it")
            }
            Verdict::Unacked { worker, again } => {
                let who = worker.as_ref().map_or("a worker".into(), Clone::clone);
                let again = again.map_or(String::new(), |at| format!("; given out again {}", time(at)));
                format!("delivered to {who} and never acknowledged{again}")
            }
            Verdict::Finished { state, at: when, by, raised } => {
                let raised =
                    raised.as_ref().filter(|_| state == "FAILURE").map_or(String::new(), |e| format!(" with {e}"));
                format!("ended{}: {state}{raised}, says {by}", at(when))
            }
            Verdict::Lost { why, again } => lost(why, *again, time),
            Verdict::Unsettled { state, worker, at: when } => {
                let on = worker.as_ref().map_or(String::new(), |worker| format!(" on {worker}"));
                format!("last seen as {state}{on}{}, and found nowhere now", at(when))
            }
            Verdict::NoTrace => "no trace of it anywhere".into(),
        }
    }

    /// What that can mean, or what goes on around it.
    pub fn why(&self) -> Option<String> {
        match self {
            Verdict::Waiting { place: Place { flow: Flow { aside: Some(aside), .. }, .. } } => {
                let how = aside.words(&|at| human::date(at, &jiff::tz::TimeZone::system()));
                Some(format!("{how}: flower-tui undo {} puts it back, and so does U on tab 4", aside.row))
            }
            Verdict::Waiting { place } => flow(&place.queue, &place.flow),
            Verdict::Unsettled { .. } => Some(
                "a worker may have taken it just now, or gave no answer; or it ended and its event was missed".into(),
            ),
            Verdict::NoTrace => Some(
                "it may never have been sent, have ended before anybody looked and left no result, have been purged \
                 from its queue, or go to another broker"
                    .into(),
            ),
            Verdict::Revoked { .. } => {
                Some("workers remember revoked ids in memory: when they all restart, it runs after all".into())
            }
            _ => None,
        }
    }
}

/// What a worker says it has.
fn held_by(held: &Held, workers: &Workers, seen: Option<&Seen>, evidence: &Evidence) -> Verdict {
    let worker = held.worker.clone();
    // The answer is a moment old: an event may have told of the end since.
    if let Some(seen) = seen.filter(|seen| seen.state.is_ready() && seen.finished >= Some(evidence.now)) {
        return by_event(seen);
    }
    if held.hold == Hold::Active {
        let ran = held.started.map(|at| evidence.now.since(at).as_secs_f64());
        let late = evidence.p99.filter(|p99| ran.is_some_and(|ran| ran > *p99));
        return Verdict::Running { worker, since: held.started, late };
    }
    if workers.revoked.contains(&held.worker) {
        return Verdict::Revoked { place: format!("{} holds it", held.worker) };
    }
    if held.hold == Hold::Scheduled {
        return Verdict::Scheduled { worker, eta: held.eta.or(seen.and_then(|seen| seen.eta)) };
    }
    let full = workers.places.is_none_or(|places| workers.running.len() as u64 >= places);
    match &workers.rate_limit {
        Some(limit) if !full => Verdict::RateLimited { worker, limit: limit.clone() },
        _ => {
            let behind = workers.running.iter().min_by_key(|r| r.since).cloned();
            Verdict::Reserved { worker, behind, others: workers.running.len().saturating_sub(1) }
        }
    }
}

/// That it has ended, as an event told.
fn by_event(seen: &Seen) -> Verdict {
    let (state, raised) = (seen.state_name.clone(), seen.exception.clone());
    Verdict::Finished { state, at: seen.finished, by: "an event", raised }
}

/// That it has ended, by whoever knows that.
fn finished(evidence: &Evidence, seen: Option<&Seen>) -> Option<Verdict> {
    if let Some(seen) = seen.filter(|seen| seen.state.is_ready()) {
        return Some(by_event(seen));
    }
    let sources = [(&evidence.result, "the result backend"), (&evidence.history, "the history")];
    sources.into_iter().find_map(|(asked, by)| {
        let ended = asked.told()?.as_ref().filter(|ended| ended.ready)?;
        Some(Verdict::Finished { state: ended.state.clone(), at: ended.at, by, raised: None })
    })
}

/// What was delivered, and is in nobody's hands by the workers' own word.
fn unheld(evidence: &Evidence, workers: &Workers, seen: Option<&Seen>) -> Option<Verdict> {
    let unacked = evidence.unacked.told().and_then(Option::as_ref);
    let has = seen.and_then(|seen| seen.worker.clone());
    // A rate limit's tasks are in no list of Celery's (5.7.0, `worker/consumer/consumer.py`, `_limit_task`).
    if let (Some(worker), Some(limit), Some(seen)) = (&has, &workers.rate_limit, seen) {
        let holds = seen.state == State::Received && workers.answered.contains(worker);
        if holds && (unacked.is_some() || evidence.unacked.told().is_none()) {
            return Some(match workers.revoked.contains(worker) {
                true => Verdict::Revoked { place: format!("{worker} holds it back by a rate limit") },
                false => Verdict::RateLimited { worker: worker.clone(), limit: limit.clone() },
            });
        }
    }
    let silent = has.as_ref().is_some_and(|worker| workers.silent.contains(worker));
    if evidence.workers.told().is_some()
        && !silent
        && let Some(unacked) = unacked
    {
        return Some(Verdict::Unacked { worker: has, again: unacked.again });
    }
    let seen = seen?;
    if let Some((why, again)) = &seen.lost {
        // Whether it comes back is known better by who has just looked.
        let again = if evidence.unacked.told().is_some() { Again::NotHeld } else { *again };
        return evidence.is_whole().then(|| Verdict::Lost { why: why.clone(), again });
    }
    let in_hand = matches!(seen.state, State::Received | State::Started);
    let gone = in_hand && (!seen.worker_is_there || seen.worker_restarted) && !silent && evidence.is_whole();
    let what = if seen.worker_is_there { "has restarted since" } else { "is not there" };
    gone.then(|| Verdict::Lost {
        why: format!("{} {what}", seen.worker.as_deref().unwrap_or("its worker")),
        again: if evidence.unacked.told().is_some() { Again::NotHeld } else { Again::Unknown },
    })
}

/// Where nothing holds it, what was said of it last.
fn last_word(evidence: &Evidence, seen: Option<&Seen>) -> Verdict {
    if let Some(seen) = seen {
        let state = seen.state_name.clone();
        return Verdict::Unsettled { state, worker: seen.worker.clone(), at: seen.at };
    }
    let told = [&evidence.result, &evidence.history].into_iter().find_map(|asked| asked.told()?.clone());
    match told {
        Some(told) => Verdict::Unsettled { state: told.state, worker: told.worker, at: told.at },
        None => Verdict::NoTrace,
    }
}

fn waiting(place: &Place) -> String {
    let (n, of) = (human::thousands(place.place as u64), human::thousands(place.of as u64));
    let start = match &place.flow {
        Flow { aside: Some(_), .. } => "; nobody takes from there".to_owned(),
        Flow { consumers: Some(0), .. } => "; nobody consumes this queue".to_owned(),
        Flow { rates: Some((_, out)), .. } if *out > 0.0 => {
            let secs = place.place as f64 / out;
            format!("; at the present {}/s it starts in about {}", human::rate(*out), human::span(secs.ceil() as u64))
        }
        Flow { rates: Some(_), .. } => "; nothing is taken from it at present".to_owned(),
        Flow { rates: None, .. } => String::new(),
    };
    format!("waiting in queue {}, place {n} of {of}{start}", place.queue)
}

/// `payments grows: in 240/s, out 210/s; 3 consumers; all 24 processes busy`.
fn flow(queue: &str, flow: &Flow) -> Option<String> {
    let mut parts = Vec::new();
    if let Some((into, out)) = flow.rates {
        // What differs by less can't be read off the figures.
        let near = (into - out).abs() <= 0.02 * into.max(out) + 0.05;
        let way = match into > out {
            _ if near => "stays as it is",
            true => "grows",
            false => "shrinks",
        };
        parts.push(format!("{queue} {way}: in {}/s, out {}/s", human::rate(into), human::rate(out)));
    }
    parts.extend(flow.consumers.map(|n| human::plural(n, "consumer")));
    parts.extend(flow.busy.map(|(busy, places)| match busy >= places {
        true if places == 1 => "its one process is busy".into(),
        true => format!("all {places} processes busy"),
        false => format!("{busy} of {} busy", human::plural(places, "process")),
    }));
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn lost(why: &str, again: Again, time: &dyn Fn(Stamp) -> String) -> String {
    let again = match again {
        Again::Held(Some(at)) => format!("the broker gives it out again {}", time(at)),
        Again::Held(None) => "the broker gives it out again".into(),
        Again::NotHeld => "its message is gone too: it does not run again by itself".into(),
        Again::Unknown => "whether its message comes back can't be seen".into(),
    };
    format!("lost: {why}, and {again}")
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{Asked, Ended, Queues, Unacked};
    use super::*;

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros(secs * 1_000_000)
    }

    /// Everybody was asked, and nobody knows it.
    fn nothing() -> Evidence {
        Evidence {
            events: Asked::Told(None),
            queues: Asked::Told(Queues::default()),
            unacked: Asked::Told(None),
            delayed: Asked::Absent,
            workers: Asked::Told(Workers { answered: vec!["w@h".into()], ..Workers::default() }),
            result: Asked::Told(None),
            history: Asked::Unable("there is none".into()),
            ..Evidence::new(at(100))
        }
    }

    fn seen(state: State) -> Seen {
        Seen {
            name: Some("t".into()),
            state,
            state_name: state.name().into(),
            worker: (state != State::Pending).then(|| "w@h".into()),
            queue: Some("q".into()),
            at: Some(at(90)),
            started: None,
            finished: state.is_ready().then_some(at(90)),
            exception: (state == State::Failure).then(|| "E('no')".into()),
            eta: None,
            lost: None,
            revoke_asked: None,
            worker_is_there: true,
            worker_restarted: false,
        }
    }

    fn events(seen: Seen) -> Asked<Option<Box<Seen>>> {
        Asked::Told(Some(Box::new(seen)))
    }

    fn place() -> Place {
        Place {
            queue: "q".into(),
            place: 1_911,
            of: 3_201,
            priority: Some(0),
            redelivered: false,
            name: "t".into(),
            flow: Flow { rates: Some((240.0, 210.0)), consumers: Some(3), busy: Some((24, 24)), ..Flow::default() },
        }
    }

    fn held(hold: Hold) -> Workers {
        let held = Held {
            worker: "w@h".into(),
            hold,
            name: Some("t".into()),
            started: (hold == Hold::Active).then(|| at(40)),
            eta: (hold == Hold::Scheduled).then(|| at(500)),
            request: serde_json::Value::Null,
        };
        Workers { answered: vec!["w@h".into()], held: Some(held), places: Some(1), ..Workers::default() }
    }

    /// The word and the sentence.
    fn told(evidence: &Evidence) -> (&'static str, String) {
        let verdict = Verdict::of(evidence);
        (verdict.word(), verdict.sentence(evidence.now, &|at| format!("@{}", at.secs())))
    }

    fn assert_told(evidence: &Evidence, word: &str, sentence: &str) {
        let told = told(evidence);
        assert_eq!((told.0, told.1.as_str()), (word, sentence));
    }

    #[test]
    fn it_waits_in_a_queue_and_starts_as_fast_as_that_drains() {
        let queues = Queues { found: Some(place()), looked: 2_000, queues: 1, ..Queues::default() };
        let mut evidence = Evidence { queues: Asked::Told(queues), ..nothing() };
        let text = "waiting in queue q, place 1,911 of 3,201; at the present 210/s it starts in about 10s";
        assert_told(&evidence, "waiting", text);
        let why = Verdict::of(&evidence).why();
        assert_eq!(why.as_deref(), Some("q grows: in 240/s, out 210/s; 3 consumers; all 24 processes busy"));
        evidence.events = events(Seen { revoke_asked: Some(at(99)), ..seen(State::Pending) });
        assert_eq!(told(&evidence).0, "revoked");
        evidence.events = events(seen(State::Failure));
        assert_eq!(told(&evidence).0, "waiting", "what will run comes before what has run");
    }

    #[test]
    fn a_worker_has_it_and_says_how() {
        let mut evidence = Evidence { workers: Asked::Told(held(Hold::Active)), ..nothing() };
        assert_told(&evidence, "running", "runs on w@h for 1m 00s, since @40");
        evidence.p99 = Some(30.0);
        let text = "runs on w@h for 1m 00s, since @40: longer than 99 of 100 of its kind (30.0s)";
        assert_told(&evidence, "running", text);
        evidence.workers = Asked::Told(held(Hold::Scheduled));
        assert_told(&evidence, "scheduled", "scheduled on w@h for @500");
        let long = Running { name: "reports.train".into(), since: Some(at(10)) };
        evidence.workers = Asked::Told(Workers { running: vec![long.clone()], ..held(Hold::Reserved) });
        assert_told(&evidence, "reserved", "reserved by w@h, behind reports.train, which runs for 1m 30s already");
        let limited = Workers { rate_limit: Some("1/m".into()), ..held(Hold::Reserved) };
        evidence.workers = Asked::Told(limited.clone());
        assert_told(&evidence, "rate-limited", "held back on w@h by the rate limit of its kind, 1/m");
        evidence.workers = Asked::Told(Workers { running: vec![long], ..limited });
        assert_eq!(told(&evidence).0, "reserved", "its process is busy anyhow");
        evidence.workers = Asked::Told(Workers { revoked: vec!["w@h".into()], ..held(Hold::Reserved) });
        assert_eq!(told(&evidence).0, "revoked");
        evidence.workers = Asked::Told(held(Hold::Active));
        evidence.events = events(Seen { finished: Some(at(101)), ..seen(State::Success) });
        assert_eq!(told(&evidence).0, "finished", "its end was told while the workers were asked");
    }

    #[test]
    fn what_a_rate_limit_holds_back_is_in_no_list_of_its_worker() {
        let unacked = Unacked { queue: "q".into(), at: Some(at(80)), again: Some(at(3_680)), name: None };
        let limited = Workers { answered: vec!["w@h".into()], rate_limit: Some("1/m".into()), ..Workers::default() };
        let evidence = Evidence {
            events: events(seen(State::Received)),
            unacked: Asked::Told(Some(unacked.clone())),
            workers: Asked::Told(limited),
            ..nothing()
        };
        assert_eq!(told(&evidence).0, "rate-limited");
        let unlimited = Workers { answered: vec!["w@h".into()], ..Workers::default() };
        let evidence = Evidence { workers: Asked::Told(unlimited), ..evidence };
        assert_told(&evidence, "unacked", "delivered to w@h and never acknowledged; given out again @3680");
    }

    #[test]
    fn what_went_with_its_worker_is_lost_unless_the_broker_holds_it() {
        let gone = Seen {
            lost: Some(("w@h fell silent".into(), Again::Unknown)),
            worker_is_there: false,
            ..seen(State::Started)
        };
        let nobody = Asked::Told(Workers::default());
        let evidence = Evidence { events: events(gone), workers: nobody, ..nothing() };
        let text = "lost: w@h fell silent, and its message is gone too: it does not run again by itself";
        assert_told(&evidence, "lost", text);
        let unacked = Unacked { queue: "q".into(), at: Some(at(80)), again: Some(at(3_680)), name: None };
        let kept = Evidence { unacked: Asked::Told(Some(unacked)), ..evidence.clone() };
        assert_eq!(told(&kept).0, "unacked");
        let blind = Evidence { unacked: Asked::Unable("RabbitMQ can't tell".into()), ..evidence.clone() };
        assert_eq!(told(&blind).0, "lost");
        let anew = Seen { worker_restarted: true, ..seen(State::Started) };
        let evidence = Evidence { events: events(anew), ..nothing() };
        let text = "lost: w@h has restarted since, and its message is gone too: it does not run again by itself";
        assert_told(&evidence, "lost", text);
        let away = Seen { worker_is_there: false, ..seen(State::Started) };
        assert_eq!(told(&Evidence { events: events(away), ..evidence }).0, "lost", "nobody has heard of its worker");
    }

    #[test]
    fn it_ended_by_the_word_of_an_event_a_backend_or_the_history() {
        let evidence = Evidence { events: events(seen(State::Failure)), ..nothing() };
        assert_told(&evidence, "finished", "ended @90: FAILURE with E('no'), says an event");
        let ended = |ready, state: &str| {
            Asked::Told(Some(Ended { state: state.into(), ready, at: Some(at(50)), worker: None, name: None }))
        };
        let evidence = Evidence { result: ended(true, "SUCCESS"), ..nothing() };
        assert_told(&evidence, "finished", "ended @50: SUCCESS, says the result backend");
        let evidence = Evidence { history: ended(true, "REVOKED"), ..nothing() };
        assert_told(&evidence, "finished", "ended @50: REVOKED, says the history");
        let evidence = Evidence { result: ended(false, "STARTED"), ..nothing() };
        assert_told(&evidence, "unsettled", "last seen as STARTED @50, and found nowhere now");
    }

    #[test]
    fn where_nobody_knows_it_that_is_said_and_only_when_everybody_was_asked() {
        assert_told(&nothing(), "no-trace", "no trace of it anywhere");
        assert!(Verdict::NoTrace.why().is_some());
        let asking = Evidence { workers: Asked::Waiting, ..nothing() };
        assert_eq!(told(&asking).0, "asking");
        let silent = Workers { silent: vec!["w@h".into()], ..Workers::default() };
        let evidence = Evidence { events: events(seen(State::Started)), workers: Asked::Told(silent), ..nothing() };
        assert_eq!(told(&evidence).0, "unsettled", "a worker that gave no answer may have it");
    }

    #[test]
    fn what_the_broker_holds_back_waits_for_its_time() {
        let delayed = Place { queue: "celery_delayed_3".into(), ..place() };
        let later = Seen { eta: Some(at(900)), ..seen(State::Pending) };
        let evidence = Evidence { delayed: Asked::Told(Some(delayed)), events: events(later), ..nothing() };
        assert_told(&evidence, "delayed", "the broker holds it back in celery_delayed_3 until its time @900");
    }
}
