//! What a message says of the workflow it belongs to: what runs after it, and with whom it forms a group
//! (`protocol/README.md`, 3.1: `embed` is `{callbacks, errbacks, chain, chord}`, the chain in reverse).

use serde_json::Value;

use super::TaskId;
use super::message::{Body, Message};

/// A task that has not been sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanvasStep {
    pub task: String,
    /// Known where the sender chose it already: in chains and chords.
    pub id: Option<TaskId>,
}

/// What comes after a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Canvas {
    /// Id of the group it is a member of.
    pub group: Option<String>,
    /// The rest of its chain, next one first.
    pub chain: Vec<CanvasStep>,
    /// What runs once all of its group are done.
    pub chord: Option<CanvasStep>,
    /// What runs when it succeeds.
    pub callbacks: Vec<CanvasStep>,
    /// What runs when it fails.
    pub errbacks: Vec<CanvasStep>,
}

impl Canvas {
    /// The canvas of a message; `None` for a task that stands alone.
    pub fn of(message: &Message) -> Option<Self> {
        let nothing = Value::Null;
        let embed = match &message.body {
            Body::Known { embed, .. } => embed,
            Body::Opaque(_) => &nothing,
        };
        let mut chain = steps(&embed["chain"]);
        chain.reverse();
        let canvas = Self {
            group: message.group.clone(),
            chain,
            chord: step(&embed["chord"]),
            callbacks: steps(&embed["callbacks"]),
            errbacks: steps(&embed["errbacks"]),
        };
        (canvas != Self::default()).then_some(canvas)
    }

    /// How many tasks it names.
    pub fn len(&self) -> usize {
        self.chain.len() + usize::from(self.chord.is_some()) + self.callbacks.len() + self.errbacks.len()
    }

    /// Whether it names no task: then only its group is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn steps(signatures: &Value) -> Vec<CanvasStep> {
    signatures.as_array().into_iter().flatten().filter_map(step).collect()
}

fn step(signature: &Value) -> Option<CanvasStep> {
    let task = signature["task"].as_str()?.to_owned();
    Some(CanvasStep { task, id: signature["options"]["task_id"].as_str().map(TaskId::new) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The canvases of the messages that real clients sent, with the name of each message's task.
    fn recorded() -> Vec<(String, Canvas)> {
        let lines = include_str!("../../fixtures/redis-queue-messages.jsonl").lines();
        lines
            .filter_map(|line| {
                let row: Value = serde_json::from_str(line).expect("fixture line");
                let message = Message::decode(row["data"].as_str().expect("data").as_bytes()).expect("readable");
                Some((message.id.to_string(), Canvas::of(&message)?))
            })
            .collect()
    }

    fn of(id: &str) -> Canvas {
        recorded().into_iter().find(|(i, _)| i.starts_with(id)).map(|(_, canvas)| canvas).expect("has a canvas")
    }

    #[test]
    fn a_chain_is_read_in_the_order_it_runs() {
        let ids: Vec<String> =
            of("ff406368").chain.iter().map(|s| s.id.as_ref().map_or_else(String::new, TaskId::short)).collect();
        assert_eq!(ids, ["2023bbc2", "621f74d3"]);
    }

    #[test]
    fn members_of_a_chord_name_its_body_and_their_group() {
        let (one, two) = (of("7613827c"), of("b7e7b584"));
        let body = one.chord.clone().expect("a chord");
        assert_eq!(
            (body.task.as_str(), body.id),
            ("capture.tsum", Some(TaskId::new("5f9a4092-3e16-433e-abea-044ece6638d8")))
        );
        assert_eq!((one.chord, one.group), (two.chord, two.group));
        let group = of("e16732e8");
        assert!(group.is_empty() && group.group.is_some(), "a plain group has no body");
    }

    #[test]
    fn callbacks_have_no_id_yet_and_lone_tasks_no_canvas() {
        let linked = of("9b5e0c83");
        assert_eq!(linked.callbacks, [CanvasStep { task: "capture.tsum".into(), id: None }]);
        assert_eq!(linked.errbacks, [CanvasStep { task: "capture.echo".into(), id: None }]);
        assert_eq!(linked.len(), 2);
        assert!(recorded().iter().all(|(id, _)| !id.starts_with("27e9fa25")));
    }
}
