//! A number of processes for several workers together: who gets how many, and telling them.

use serde_json::{Value, json};

use super::Error;
use super::command::plural;
use super::control::Control;
use super::course::Course;
use super::receipt::Outcome;
use super::run::Ops;
use super::verdict::{NO_ANSWER, collect, judge};
use crate::celery::pidbox::{Method, Request};

/// How a total is spread over pools of these sizes: the smallest grow, the largest shrink, each keeps one.
pub fn spread(sizes: &[u32], total: u32) -> Vec<u32> {
    let mut spread = sizes.to_vec();
    let mut sum: u32 = spread.iter().sum();
    while sum != total {
        let grows = sum < total;
        let changed = match grows {
            true => spread.iter_mut().min(),
            false => spread.iter_mut().filter(|size| **size > 1).max(),
        };
        let Some(size) = changed else { break };
        if grows {
            *size += 1;
            sum += 1;
        } else {
            *size -= 1;
            sum -= 1;
        }
    }
    spread
}

impl Ops {
    /// Brings the pools of several workers to a total.
    pub(super) async fn reach_total(
        &self,
        workers: &[String],
        total: u32,
        course: &Course,
        replies: &mut Vec<(String, Value)>,
    ) -> Result<Outcome, Error> {
        let asked = self.able(&Control::Total(total), workers.to_vec(), replies);
        let request = Request { method: Method::Stats, to: Some(asked.clone()) };
        let answers = self.control(&request, &asked).await?;
        let mut sizes = Vec::new();
        for name in &asked {
            let stats = answers.iter().find(|reply| reply.worker == *name);
            match stats.and_then(|reply| reply.value["pool"]["processes"].as_array()) {
                Some(processes) => sizes.push((name.clone(), u32::try_from(processes.len()).unwrap_or(u32::MAX))),
                None => replies.push((name.clone(), json!({"silent": NO_ANSWER}))),
            }
        }
        if (total as usize) < sizes.len() {
            let keep = plural(sizes.len(), "worker");
            return Err(Error::Refused(format!("{keep} keep one process each: {total} are too few")));
        }
        let targets = spread(&sizes.iter().map(|(_, size)| *size).collect::<Vec<_>>(), total);
        let mut missing = 0;
        for ((name, size), target) in sizes.into_iter().zip(targets) {
            if course.goes_on().is_err() {
                replies.push((name, json!({"error": "stopped"})));
                continue;
            }
            let kept = self.resize(&name, size, target, replies).await?;
            missing += kept;
            // For whoever wants to know later by how much it was changed.
            if let Some((_, Value::Object(reply))) = replies.last_mut() {
                reply.extend([("from".to_owned(), json!(size)), ("to".to_owned(), json!(target + kept))]);
            }
            course.say(format!("{name}: {size} → {target}"));
        }
        Ok(match judge(replies) {
            Outcome::Confirmed if missing > 0 => {
                Outcome::Failed(format!("{} more than asked for are busy and stay", plural(missing, "process")))
            }
            outcome => outcome,
        })
    }

    /// Gives one pool another size. Says how many processes it kept that were to go.
    async fn resize(
        &self,
        name: &String,
        size: u32,
        target: u32,
        replies: &mut Vec<(String, Value)>,
    ) -> Result<u32, Error> {
        let worker = std::slice::from_ref(name);
        if target < size {
            return Ok(size - target - self.shrink(worker, size - target, replies).await?);
        }
        if target == size {
            replies.push((name.clone(), json!({"ok": format!("keeps its {}", plural(size, "process"))})));
            return Ok(0);
        }
        let request = Request { method: Method::PoolGrow { n: target - size }, to: Some(worker.to_vec()) };
        let answers = self.control(&request, worker).await?;
        collect(worker, answers, |_| None, replies);
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_grow_and_the_largest_shrink() {
        assert_eq!(spread(&[4, 1, 2], 10), [4, 3, 3]);
        assert_eq!(spread(&[4, 1, 2], 5), [2, 1, 2]);
        assert_eq!(spread(&[4, 1, 2], 7), [4, 1, 2]);
        assert_eq!(spread(&[1, 1], 1), [1, 1], "each keeps one");
        assert!(spread(&[], 5).is_empty());
    }
}
