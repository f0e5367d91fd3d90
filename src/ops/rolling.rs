//! Draining workers and restarting them one after the other. A worker that drains consumes no more, finishes what it
//! took, and is shut down; after a restart's shutdown its replacement is waited for, which something else has to start.
//! Whatever halts it, a worker that was only being drained consumes its queues again.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Error;
use super::command::plural;
use super::control::Control;
use super::course::{Course, Halt};
use super::receipt::{Outcome, Receipt};
use super::run::Ops;
use super::verdict::judge;
use crate::celery::pidbox::{Method, Reply, Request};
use crate::human;
use crate::state::groups::group;

/// How long those have to answer that may not be there.
const PROBE: Duration = Duration::from_secs(1);
/// So often in a row a worker has to hold nothing: a message may have been on its way.
const QUIET: u32 = 2;

impl Ops {
    /// Carries an order of several steps out.
    pub(super) async fn step_by_step(
        &self,
        workers: &[String],
        what: &Control,
        course: &Course,
        replies: &mut Vec<(String, Value)>,
    ) -> Result<Outcome, Error> {
        // An empty list would reach every worker there is.
        if workers.is_empty() {
            return Err(Error::Refused("no worker is online".into()));
        }
        match what {
            Control::Total(total) => return self.reach_total(workers, *total, course, replies).await,
            Control::RollingRestart => replies.extend(self.restart_in_turn(workers, course).await),
            _ => {
                let drained = workers.iter().map(|name| async {
                    let mut walk = Walk { ops: self, course, name, of: String::new(), steps: Vec::new() };
                    let went = walk.leave().await.map(|_| "drained and gone".to_owned());
                    walk.reply(went)
                });
                replies.extend(futures_util::future::join_all(drained).await);
            }
        }
        let begun = replies.iter().any(|(_, value)| value["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
        Ok(match judge(replies) {
            Outcome::Failed(why) if !begun => return Err(Error::Refused(why)),
            outcome => outcome,
        })
    }

    async fn restart_in_turn(&self, workers: &[String], course: &Course) -> Vec<(String, Value)> {
        // Who is known now, or has replaced one already, replaces no other.
        let mut known: BTreeSet<String> =
            self.store.read(|m| m.workers().into_iter().map(|(name, _)| name.to_owned()).collect());
        let mut replies: Vec<(String, Value)> = Vec::new();
        for (place, name) in workers.iter().enumerate() {
            let of = format!("{} of {}, ", place + 1, workers.len());
            let mut walk = Walk { ops: self, course, name, of, steps: Vec::new() };
            let went = walk.restart(&mut known).await;
            let halted = went.is_err();
            replies.push(walk.reply(went));
            if halted {
                let rest = workers.iter().skip(place + 1);
                replies.extend(rest.map(|name| (name.clone(), json!({"left_out": "not begun: it halted before"}))));
                break;
            }
        }
        replies
    }
}

/// A worker that has gone.
struct Gone {
    pid: Option<i64>,
    queues: Vec<String>,
}

/// One worker's way through the steps, with what came of each.
struct Walk<'a> {
    ops: &'a Ops,
    course: &'a Course,
    name: &'a str,
    /// Which of how many it is, where they go one after the other.
    of: String,
    steps: Vec<Value>,
}

impl Walk<'_> {
    fn say(&self, text: &str) {
        self.course.say(format!("{}{}: {text}", self.of, self.name));
    }

    /// A step that was taken.
    fn step(&mut self, text: &str, reply: &Value) {
        self.say(text);
        self.steps.push(json!({"step": text, "reply": reply}));
    }

    fn reply(self, went: Result<String, Halt>) -> (String, Value) {
        let mut value = match went {
            Ok(text) => json!({"ok": text}),
            Err(Halt::Stopped) => json!({"error": "stopped"}),
            Err(Halt::Failed(why)) => json!({"error": why}),
            Err(Halt::Late(why)) => json!({"silent": why}),
        };
        self.say(&Receipt::reply_text(&value));
        value["steps"] = Value::Array(self.steps);
        (self.name.to_owned(), value)
    }

    /// What the worker answers, if it does.
    async fn ask(&self, method: Method) -> Result<Option<Value>, Halt> {
        let request = Request { method, to: Some(vec![self.name.to_owned()]) };
        let expected = [self.name.to_owned()];
        let answers = self.ops.control(&request, &expected).await.map_err(|e| Halt::Failed(e.to_string()))?;
        let answer = answers.into_iter().find(|reply| reply.worker == self.name);
        match answer.as_ref().and_then(Reply::error) {
            Some(why) => Err(Halt::Failed(why.to_owned())),
            None => Ok(answer.map(|reply| reply.value)),
        }
    }

    async fn queues(&self) -> Result<Vec<String>, Halt> {
        match self.ask(Method::ActiveQueues).await? {
            Some(value) => Ok(names(&value)),
            None => Err(Halt::Failed("gave no answer when asked for its queues: nothing was changed".into())),
        }
    }

    /// Drains it and shuts it down.
    async fn leave(&mut self) -> Result<Gone, Halt> {
        self.course.goes_on()?;
        let queues = self.queues().await?;
        let pid = self.ask(Method::Stats).await?.and_then(|stats| stats["pid"].as_i64());
        if let Err(halt) = self.drain(&queues).await {
            return Err(self.give_back(&queues, halt).await);
        }
        let mut replies = Vec::new();
        let outcome = self.ops.shut_down(&[self.name.to_owned()], &mut replies).await;
        let outcome = outcome.map_err(|e| Halt::Failed(e.to_string()))?;
        let said = replies.pop().map_or(Value::Null, |(_, value)| value);
        self.step("shut down", &said);
        match outcome {
            Outcome::Confirmed => Ok(Gone { pid, queues }),
            other => Err(Halt::Late(other.why().unwrap_or_else(|| "not confirmed to be gone".into()))),
        }
    }

    async fn drain(&mut self, queues: &[String]) -> Result<(), Halt> {
        for queue in queues {
            let reply = self.ask(Method::CancelConsumer { queue: queue.clone() }).await?;
            let Some(reply) = reply else {
                return Err(Halt::Late(format!("gave no answer when told to consume {queue} no more")));
            };
            self.step(&format!("consumes {queue} no more"), &reply);
        }
        self.until_idle().await
    }

    /// Waits until it holds no task. What waits in it for a time of its own goes back to the queue when it ends.
    async fn until_idle(&mut self) -> Result<(), Halt> {
        let (begun, mut quiet, mut told) = (Instant::now(), 0, None);
        loop {
            // In this order a task that goes from the one list to the other meanwhile is seen twice, never missed.
            let reserved = count(self.ask(Method::Reserved).await?.as_ref());
            let active = count(self.ask(Method::Active).await?.as_ref());
            let held = active.zip(reserved);
            quiet = if held == Some((0, 0)) { quiet + 1 } else { 0 };
            if quiet == QUIET {
                let took = human::seconds(begun.elapsed().as_secs_f64());
                self.step(&format!("is idle after {took}"), &Value::Null);
                return Ok(());
            }
            if quiet == 0 && told != Some(held) {
                self.say(&match held {
                    Some((active, reserved)) => format!("runs {}, {reserved} wait in it", plural(active, "task")),
                    None => "gives no answer, perhaps because it runs a task".into(),
                });
                told = Some(held);
            }
            let limit = human::exact(self.course.limit.as_secs_f64());
            let late = || match held {
                Some((active, reserved)) => format!("not idle after {limit}: {}", plural(active + reserved, "task")),
                None => format!("gave no answer for {limit}"),
            };
            self.course.pause(begun, late).await?;
        }
    }

    /// It was not shut down: it consumes again what it did before.
    async fn give_back(&mut self, queues: &[String], halt: Halt) -> Halt {
        let mut lost = Vec::new();
        for queue in queues {
            match self.ask(Method::AddConsumer { queue: queue.clone() }).await {
                Ok(Some(reply)) => self.step(&format!("consumes {queue} again"), &reply),
                Ok(None) | Err(_) => lost.push(queue.clone()),
            }
        }
        let after = match lost.len() {
            0 => "it consumes its queues again".to_owned(),
            _ => format!("it was told to consume {} again and did not confirm it", lost.join(" ")),
        };
        match halt {
            Halt::Stopped => Halt::Failed(format!("stopped; {after}")),
            Halt::Late(why) => Halt::Late(format!("{why}; {after}")),
            Halt::Failed(why) => Halt::Failed(format!("{why}; {after}")),
        }
    }

    async fn restart(&mut self, known: &mut BTreeSet<String>) -> Result<String, Halt> {
        let gone = self.leave().await?;
        let begun = Instant::now();
        loop {
            if let Some((name, pid)) = self.replacement(&gone, known).await? {
                known.insert(name.clone());
                let took = human::seconds(begun.elapsed().as_secs_f64());
                let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                let text = format!("replaced by {name}{pid} after {took}");
                return Ok(text);
            }
            let limit = human::exact(self.course.limit.as_secs_f64());
            let late = || format!("gone, and no replacement came within {limit}");
            self.course.pause(begun, late).await.map_err(|halt| match halt {
                Halt::Stopped => Halt::Failed("stopped; gone, and its replacement was not waited for".into()),
                other => other,
            })?;
        }
    }

    /// Who has taken its place, if somebody has: the same name with another process, or a new name of its group.
    async fn replacement(&self, gone: &Gone, known: &BTreeSet<String>) -> Result<Option<(String, Option<i64>)>, Halt> {
        let (own, now) = (group(self.name, &[]), self.ops.clock.now());
        let mut asked: Vec<String> = self.ops.store.read(|m| {
            let new = |name: &str| !known.contains(name) && group(name, &[]) == own;
            let online = m.workers().into_iter().filter(|(name, w)| w.is_online(now) && new(name));
            online.map(|(name, _)| name.to_owned()).collect()
        });
        asked.push(self.name.to_owned());
        let mut answers = Vec::new();
        for method in [Method::Stats, Method::ActiveQueues] {
            let request = Request { method, to: Some(asked.clone()) };
            let replies = self.ops.broker.control(&request, &asked, PROBE).await;
            answers.push(replies.map_err(|e| Halt::Failed(e.to_string()))?);
        }
        let of = |i: usize, name: &String| answers[i].iter().find(|r| r.worker == *name).map(|r| &r.value);
        Ok(asked.into_iter().find_map(|name| {
            let (pid, queues) = (of(0, &name)?["pid"].as_i64(), names(of(1, &name)?));
            let takes_over = match name == self.name {
                true => pid != gone.pid && !queues.is_empty(),
                false => gone.queues.iter().all(|queue| queues.contains(queue)),
            };
            takes_over.then_some((name, pid))
        }))
    }
}

fn count(list: Option<&Value>) -> Option<usize> {
    list.and_then(Value::as_array).map(Vec::len)
}

/// The names of the queues in an answer to `active_queues`.
fn names(queues: &Value) -> Vec<String> {
    queues.as_array().into_iter().flatten().filter_map(|queue| Some(queue["name"].as_str()?.to_owned())).collect()
}
