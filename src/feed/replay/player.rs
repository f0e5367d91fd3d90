//! Plays a source into a model, and moves the clock along. Going back is beginning anew: the model forgets everything,
//! and is fed up to the wished time as fast as it goes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Messages, Source};
use crate::broker::RawMessage;
use crate::celery::event::Batch;
use crate::clock::{Clock, Stamp};
use crate::feed::ingest::BATCH;
use crate::state::{Store, Update};

/// How often the clock moves while nothing comes.
const STEP: Duration = Duration::from_millis(100);
/// The model is told the time once in so long.
const TICK: Duration = Duration::from_secs(1);
/// Paces one can choose from.
const SPEEDS: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1_000.0];

/// How the playing goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub speed: f64,
    pub paused: bool,
    /// When the recording begins.
    pub begin: Stamp,
    /// What is being wound to, until it is reached.
    pub winding: Option<Stamp>,
    /// Nothing more comes.
    pub ended: bool,
    /// Why it ended before its end.
    pub trouble: Option<String>,
}

/// What a person and the player share.
struct Desk {
    status: Status,
    /// From this moment on, at this time of the recording, it was played at the present speed.
    since: (Instant, Stamp),
    /// Where to go next.
    seek: Option<Stamp>,
    stop: bool,
    /// The trouble was told to somebody.
    told: bool,
}

impl Desk {
    fn at(&self) -> Stamp {
        let (begun, from) = self.since;
        if self.status.paused || self.status.ended { from } else { from + begun.elapsed().mul_f64(self.status.speed) }
    }

    /// From here on, at what speed it may be.
    fn mark(&mut self, at: Stamp) {
        self.since = (Instant::now(), at);
    }
}

/// The knobs of a player. Cloning is cheap, and they are the same ones.
#[derive(Clone)]
pub struct Controls {
    shared: Arc<(Mutex<Desk>, Condvar)>,
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Controls({:?})", self.status())
    }
}

impl Controls {
    /// For a recording that begins at a time.
    pub fn new(begin: Stamp, speed: f64) -> Self {
        let status = Status { speed, paused: false, begin, winding: None, ended: false, trouble: None };
        let desk = Desk { status, since: (Instant::now(), begin), seek: None, stop: false, told: false };
        Self { shared: Arc::new((Mutex::new(desk), Condvar::new())) }
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        self.shared.0.lock().status.clone()
    }

    /// Why it ended before its end; told once, when one is there.
    pub fn trouble(&self) -> Option<String> {
        let mut desk = self.shared.0.lock();
        let fresh = desk.status.ended && !desk.told;
        let why = desk.status.trouble.clone().filter(|_| fresh);
        desk.told |= why.is_some();
        why
    }

    fn turn(&self, change: impl FnOnce(&mut Desk)) {
        let mut desk = self.shared.0.lock();
        // What was played until now was at the old speed.
        let at = desk.at();
        desk.mark(at);
        change(&mut desk);
        drop(desk);
        self.shared.1.notify_all();
    }

    /// Holds it, or lets it go on.
    pub fn toggle(&self) {
        self.turn(|desk| desk.status.paused = !desk.status.paused);
    }

    /// The next higher speed.
    pub fn faster(&self) {
        self.turn(|desk| {
            let now = desk.status.speed;
            desk.status.speed = SPEEDS.into_iter().find(|speed| *speed > now).unwrap_or(now);
        });
    }

    /// The next lower speed.
    pub fn slower(&self) {
        self.turn(|desk| {
            let now = desk.status.speed;
            desk.status.speed = SPEEDS.into_iter().rev().find(|speed| *speed < now).unwrap_or(now);
        });
    }

    /// Goes to a time, which is not before the beginning.
    pub fn seek(&self, to: Stamp) {
        self.turn(|desk| {
            let to = to.max(desk.status.begin);
            desk.seek = Some(to);
            desk.status.winding = Some(to);
        });
    }

    /// Goes so many seconds on, or back.
    pub fn seek_by(&self, secs: i64) {
        let desk = self.shared.0.lock();
        let from = desk.seek.or(desk.status.winding).unwrap_or_else(|| desk.at());
        drop(desk);
        let by = Duration::from_secs(secs.unsigned_abs());
        self.seek(if secs < 0 { from - by } else { from + by });
    }

    /// Ends the player.
    pub fn stop(&self) {
        self.turn(|desk| desk.stop = true);
    }
}

/// See the module.
pub struct Player {
    source: Source,
    store: Store,
    clock: Clock,
    controls: Controls,
    messages: Messages,
    next: Option<RawMessage>,
    /// The latest time that was played.
    played: Stamp,
    ticked: Option<Stamp>,
}

impl Player {
    /// Plays into a store. The clock is one that can be set.
    pub fn new(source: Source, store: Store, clock: Clock, controls: Controls) -> Self {
        // A session before may have stopped it.
        controls.turn(|desk| desk.stop = false);
        let (messages, played) = (source.messages(), controls.status().begin);
        Self { source, store, clock, controls, messages, next: None, played, ticked: None }
    }

    /// Plays until it is stopped. Blocks its thread.
    pub fn run(mut self) {
        self.begin();
        loop {
            let to = {
                let mut desk = self.controls.shared.0.lock();
                if desk.stop {
                    return;
                }
                match desk.seek.take() {
                    Some(to) => {
                        desk.status.winding = Some(to);
                        desk.status.ended = false;
                        to
                    }
                    None => desk.status.winding.unwrap_or_else(|| desk.at()),
                }
            };
            if to < self.played {
                self.begin_anew();
            }
            if !self.play(to) {
                self.wait(to);
            }
        }
    }

    fn begin(&mut self) {
        self.take_next();
        self.store.apply(&[Update::Link(self.played, true)]);
    }

    /// Back to the beginning, with a model that knows nothing.
    fn begin_anew(&mut self) {
        self.messages = self.source.messages();
        self.played = self.controls.status().begin;
        self.ticked = None;
        self.store.apply(&[Update::Forget]);
        self.begin();
    }

    fn take_next(&mut self) {
        self.next = match self.messages.next() {
            Some(Ok(message)) => Some(message),
            Some(Err(broken)) => {
                self.controls.shared.0.lock().status.trouble = Some(broken.to_string());
                None
            }
            None => None,
        };
    }

    /// Applies the next messages that came until then. False when there are none.
    fn play(&mut self, to: Stamp) -> bool {
        let mut batch = Batch::default();
        let mut last = self.played;
        let mut taken = 0;
        while taken < BATCH && self.next.as_ref().is_some_and(|message| message.received <= to) {
            if let Some(message) = self.next.take() {
                batch.push(&message.data, &message.coding, message.received);
                last = last.max(message.received);
                taken += 1;
            }
            self.take_next();
        }
        if taken == 0 {
            return false;
        }
        self.store.apply(&[Update::Events(Arc::new(batch))]);
        self.reach(last);
        true
    }

    fn reach(&mut self, at: Stamp) {
        self.played = self.played.max(at);
        self.clock.set(self.played);
        if self.ticked.is_none_or(|ticked| at.since(ticked) >= TICK) {
            self.ticked = Some(at);
            self.store.apply(&[Update::Tick(at)]);
        }
    }

    /// Everything until `to` is played: lets time pass.
    fn wait(&mut self, to: Stamp) {
        let over = self.next.is_none();
        // Where nothing more comes, time stands still.
        let at = if over { to.min(self.played) } else { to };
        self.reach(at);
        let next = self.next.as_ref().map(|message| message.received);
        let mut desk = self.controls.shared.0.lock();
        if desk.seek.is_some() || desk.stop {
            return;
        }
        if desk.status.winding.take().is_some() || (over && !desk.status.ended) {
            desk.status.ended = over;
            desk.mark(at);
        }
        let idle = desk.status.paused || desk.status.ended;
        let gap = next.map_or(STEP, |next| next.since(at).div_f64(desk.status.speed));
        let pause = if idle { TICK } else { gap.clamp(Duration::from_millis(1), STEP) };
        self.controls.shared.1.wait_for(&mut desk, pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::Coding;
    use crate::state::Limits;
    use crate::state::doc::{TaskDoc, WorkerDoc};
    use serde_json::{Value, json};

    fn at(secs: i64) -> Stamp {
        Stamp::from_micros((1_000_000 + secs) * 1_000_000)
    }

    /// An hour in which every second a task is received, and two seconds later succeeds.
    fn hour() -> Source {
        let message = |secs: i64| {
            let event = |kind: &str, n: i64| json!({"type": kind, "uuid": format!("t{n}"), "name": "t", "hostname": "w", "timestamp": at(secs).secs()});
            let events = json!([event("task-received", secs), event("task-succeeded", secs - 2)]);
            let coding = Coding::Body { content_type: "application/json".into(), compression: None };
            Ok(RawMessage { received: at(secs), channel: "c".into(), data: events.to_string().into(), coding })
        };
        Source::new("an hour".into(), move || Box::new((0..3_600).map(message)))
    }

    fn documents(store: &Store, now: Stamp) -> Value {
        store.read(|m| {
            let mut tasks: Vec<TaskDoc> = m.all_tasks().map(TaskDoc::from).collect();
            tasks.sort_by(|a, b| a.id.cmp(&b.id));
            let workers: Vec<WorkerDoc> = m.workers().into_iter().map(|(n, w)| WorkerDoc::new(n, w, now)).collect();
            json!({"tasks": tasks, "workers": workers, "seen": m.counters().seen})
        })
    }

    struct Stage {
        store: Store,
        clock: Clock,
        controls: Controls,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    impl Stage {
        fn new(speed: f64) -> Self {
            let (store, clock) = (Store::new(Limits::default()), Clock::manual(at(0)));
            let controls = Controls::new(at(0), speed);
            let player = Player::new(hour(), store.clone(), clock.clone(), controls.clone());
            Self { store, clock, controls, thread: Some(std::thread::spawn(move || player.run())) }
        }

        fn until(&self, what: impl Fn(&Self) -> bool) {
            for _ in 0..2_000 {
                if what(self) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            panic!("it never came: {:?} at {:?}", self.controls, self.clock.now());
        }

        /// Goes to a time, and waits until it is there.
        fn seek(&self, secs: i64) -> Value {
            self.controls.seek(at(secs));
            self.until(|stage| stage.controls.status().winding.is_none());
            documents(&self.store, at(secs))
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            self.controls.stop();
            if let Some(thread) = self.thread.take() {
                thread.join().expect("ended");
            }
        }
    }

    /// What a model knows that was fed all of it until then, and nothing else.
    fn straight(secs: i64) -> Value {
        let store = Store::new(Limits::default());
        let messages: Vec<RawMessage> = hour().messages().filter_map(Result::ok).collect();
        crate::feed::apply_messages(&store, messages.iter().filter(|m| m.received <= at(secs)));
        documents(&store, at(secs))
    }

    #[test]
    fn wherever_one_goes_the_model_is_that_of_playing_straight_to_there() {
        let stage = Stage::new(1.0);
        stage.controls.toggle();
        for secs in [1_800, 60, 0, 3_000, 2_999, 3_599] {
            assert_eq!(stage.seek(secs), straight(secs), "at {secs}");
            assert_eq!(stage.clock.now(), at(secs));
        }
        stage.controls.seek_by(-60);
        stage.until(|stage| stage.controls.status().winding.is_none());
        assert_eq!(stage.clock.now(), at(3_539));
        assert_eq!(stage.seek(-500), straight(0), "before the beginning there is nothing");
    }

    #[test]
    fn it_is_played_at_the_chosen_speed_held_and_let_go() {
        let stage = Stage::new(100.0);
        stage.until(|stage| stage.clock.now() > at(20));
        stage.controls.toggle();
        let held = |stage: &Stage| (stage.clock.now(), stage.store.read(|m| m.counters().seen));
        std::thread::sleep(Duration::from_millis(150));
        let before = held(&stage);
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(held(&stage), before);
        stage.controls.faster();
        assert_eq!(stage.controls.status().speed, 300.0);
        stage.controls.slower();
        stage.controls.slower();
        assert_eq!(stage.controls.status().speed, 30.0);
        stage.controls.toggle();
        stage.until(|stage| held(stage) > before);
    }

    #[test]
    fn at_its_end_time_stands_still_and_one_can_go_back() {
        let stage = Stage::new(1_000.0);
        stage.seek(3_590);
        stage.until(|stage| stage.controls.status().ended);
        assert_eq!(stage.clock.now(), at(3_599));
        stage.controls.toggle();
        assert_eq!(stage.seek(100), straight(100));
        assert!(!stage.controls.status().ended);
    }
}
