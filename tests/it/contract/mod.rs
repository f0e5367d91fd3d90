//! What every broker has to do, tried on each way to connect to one. Celery and kombu are on the other side (`peer.py`).
//!
//! A new set-up is an `impl Setup` and one test that runs [`suite`] on it.

mod peer;
mod rabbit;
pub mod redis;
mod sim;

use std::sync::Arc;
use std::time::Duration;

use flower_tui::broker::change::Sift;
use flower_tui::broker::{Broker, EventStream};
use flower_tui::celery::TaskId;
use flower_tui::celery::message::Outgoing;
use flower_tui::celery::original::Original;
use flower_tui::celery::pidbox::{Method, Request};
use flower_tui::celery::queue::Waiting;
use flower_tui::feed::apply_messages;
use flower_tui::state::{Limits, Store};
use futures_util::StreamExt;
use serde_json::json;
use tokio::task::JoinHandle;

pub use peer::Peer;

/// One broker, set up in one way.
pub trait Setup {
    /// Our side.
    fn broker(&self) -> Arc<dyn Broker>;

    /// The other side, where it is not simulated.
    fn peer(&mut self) -> Option<&mut Peer>;

    /// What the broker says it is.
    fn kind(&self) -> &'static str;

    /// Breaks our connections, as happens to them in the world. Returns when the broker can be reached again.
    fn interrupt(&mut self) {}
}

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long workers have to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// The worker that the peer plays.
const WORKER: &str = "contract@peer";

/// The whole contract.
pub async fn suite(setup: &mut dyn Setup) {
    let broker = setup.broker();
    let health = broker.health().await.expect("it answers");
    assert_eq!(health.kind, setup.kind());
    assert_eq!(health.lacks, [], "nothing is refused");
    let events = events_come_through(setup, &*broker).await;
    commands_are_answered(setup, &*broker).await;
    what_we_publish_is_taken(setup, &*broker).await;
    what_waits_is_seen_and_stays(setup, &*broker).await;
    what_was_delivered_is_seen(setup, &*broker).await;
    what_waits_can_be_taken_and_put_back(setup, &*broker).await;
    errors_poison_nothing(&*broker).await;
    it_comes_back(setup, &*broker, events).await;
    let health = broker.health().await.expect("it answers");
    assert_eq!(health.lacks, [], "nothing was refused");
    assert!(!broker.url().contains("hunter2"), "{}", broker.url());
}

/// Waits for what a future gives, as long as that may take.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// What goes on after that is heard by somebody, until the connection ends.
async fn events_come_through(setup: &mut dyn Setup, broker: &dyn Broker) -> JoinHandle<()> {
    let mut stream = soon("the subscription", broker.events()).await.expect("subscribed");
    hear(setup, &mut stream).await;
    tokio::spawn(stream.for_each(|_| async {}))
}

/// Lets three events happen and hears them, decoded.
async fn hear(setup: &mut dyn Setup, stream: &mut EventStream) {
    if let Some(peer) = setup.peer() {
        peer.ask(&json!({"do": "events", "count": 3}));
    }
    let store = Store::new(Limits::default());
    let seen = || store.read(|m| m.counters().task_events);
    while seen() < 3 {
        let messages = soon("an event", stream.next()).await.expect("the stream goes on");
        apply_messages(&store, &messages);
    }
    assert_eq!(store.read(|m| m.counters().undecodable), 0);
}

async fn commands_are_answered(setup: &mut dyn Setup, broker: &dyn Broker) {
    let expected: Vec<String> = setup.peer().map(|_| WORKER.to_owned()).into_iter().collect();
    let ask = async {
        loop {
            // The peer may not listen yet, or listen to a broker that is away.
            let replies = broker.control(&Request::to_all(Method::Ping), &expected, ANSWER).await;
            if let Some(replies) = replies.ok().filter(|replies| !replies.is_empty()) {
                return replies;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let replies = soon("a reply", ask).await;
    assert!(replies.iter().all(|reply| reply.ok() == Some("pong")), "{replies:?}");
    assert!(expected.iter().all(|name| replies.iter().any(|reply| reply.worker == *name)), "{replies:?}");
    let request = Request { method: Method::Ping, to: Some(vec!["nobody@here".into()]) };
    let nobody = broker.control(&request, &[], Duration::from_millis(300)).await.expect("asked");
    assert_eq!(nobody, []);
}

fn task(queue: &str) -> Outgoing {
    Outgoing {
        id: TaskId::random(),
        name: "contract.task".into(),
        args: "[1, 1.0]".into(),
        kwargs: "{\"what\": \"it's\"}".into(),
        argsrepr: "(1, 1.0)".into(),
        kwargsrepr: "{}".into(),
        queue: queue.into(),
        route: None,
        priority: 0,
        root_id: None,
        parent_id: None,
        origin: "gen1@contract".into(),
        eta: None,
        expires: None,
        like: None,
    }
}

async fn what_we_publish_is_taken(setup: &mut dyn Setup, broker: &dyn Broker) {
    let task = task("ours");
    let Some(peer) = setup.peer() else {
        return broker.publish(&task).await.expect("published");
    };
    // The queue is there before somebody publishes to it.
    assert_eq!(peer.ask(&json!({"do": "take", "queue": "ours"})), json!(null));
    broker.publish(&task).await.expect("published");
    let taken = peer.ask(&json!({"do": "take", "queue": "ours"}));
    assert_eq!((taken["id"].as_str(), taken["task"].as_str()), (Some(&*task.id.to_string()), Some("contract.task")));
    assert_eq!(taken["body"].as_array().expect("body")[..2], [json!([1, 1.0]), json!({"what": "it's"})]);
}

async fn what_waits_is_seen_and_stays(setup: &mut dyn Setup, broker: &dyn Broker) {
    let can = broker.capabilities();
    let Some(peer) = setup.peer() else {
        let all = broker.queues(&[]).await.expect("depths");
        assert!(!all.is_empty());
        return;
    };
    let sent: Vec<String> = (0..4).map(|n| format!("waiting-{n}")).collect();
    for (n, id) in sent.iter().enumerate() {
        let priority = if can.priorities { [9, 0, 3, 0][n] } else { 0 };
        peer.ask(&json!({"do": "publish", "queue": "waits", "id": id, "priority": priority}));
    }
    let counted = async {
        loop {
            // Some brokers count every few seconds only.
            let depths = broker.queues(&["waits".into()]).await.expect("depths");
            let depth = depths.into_iter().find(|depth| depth.name == "waits");
            if let Some(depth) = depth.filter(|depth| depth.ready == 4) {
                return depth;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let depth = soon("four messages in the queue", counted).await;
    if can.priorities {
        let waiting: Vec<(u8, u64)> = depth.by_priority.iter().copied().filter(|(_, n)| *n > 0).collect();
        assert_eq!(waiting, [(0, 2), (3, 1), (9, 1)]);
    }
    if can.peek {
        let first = broker.peek("waits", 0..10).await.expect("peeked");
        let ids: Vec<String> = first.iter().map(|w| w.message.as_ref().expect("readable").id.to_string()).collect();
        if !can.peek_marks {
            assert_eq!(first, broker.peek("waits", 0..10).await.expect("peeked"), "looking changes nothing");
            assert_eq!(broker.peek("waits", 1..2).await.expect("peeked")[..], first[1..2]);
        }
        let taken: Vec<String> = (0..4).map(|_| peer.take("waits")).collect();
        assert_eq!(taken, ids, "in the order they are taken");
        let order: &[usize] = if can.priorities { &[1, 3, 2, 0] } else { &[0, 1, 2, 3] };
        assert_eq!(taken, order.iter().map(|i| sent[*i].clone()).collect::<Vec<_>>());
    }
}

/// Takes those of some ids, and remembers what they were.
struct Take {
    ids: Vec<String>,
    kept: Vec<Original>,
}

impl Sift for Take {
    fn choose(&mut self, messages: &[Waiting]) -> Vec<usize> {
        let wanted = |w: &Waiting| w.message.as_ref().is_ok_and(|m| self.ids.contains(&m.id.to_string()));
        (0..messages.len()).filter(|i| wanted(&messages[*i])).collect()
    }

    fn keep(&mut self, messages: &[Original]) -> Result<(), String> {
        self.kept.extend_from_slice(messages);
        Ok(())
    }

    fn taken(&mut self, _: &[bool]) -> bool {
        true
    }
}

async fn what_waits_can_be_taken_and_put_back(setup: &mut dyn Setup, broker: &dyn Broker) {
    let Some(peer) = setup.peer() else { return };
    for n in 0..4 {
        peer.ask(&json!({"do": "publish", "queue": "sifted", "id": format!("sifted-{n}"), "priority": 0}));
    }
    let mut one = Take { ids: vec!["sifted-1".into()], kept: Vec::new() };
    let sifted = soon("one to be taken", broker.sift("sifted", &mut one, None)).await.expect("sifted");
    assert_eq!((sifted.taken, sifted.gone, one.kept.len()), (1, 0, 1));
    let mut moved = Take { ids: vec!["sifted-2".into(), "sifted-0".into()], kept: Vec::new() };
    let sifted = soon("two to be moved", broker.sift("sifted", &mut moved, Some("beside"))).await.expect("sifted");
    assert_eq!(sifted.taken, 2);
    assert_eq!((peer.take("beside"), peer.take("beside")), ("sifted-0".into(), "sifted-2".into()), "in their order");
    for _ in 0..2 {
        // The second time it is known where the broker remembers it.
        broker.put(&one.kept, "contract", 0).await.expect("put");
    }
    assert_eq!((peer.take("sifted"), peer.take("sifted")), ("sifted-3".into(), "sifted-1".into()), "behind the others");
    let again = peer.ask(&json!({"do": "take", "queue": "sifted"}));
    assert_eq!(again.is_null(), broker.capabilities().priorities, "only Redis remembers: {again}");
    // Of one name pieces may be left out: the next one is put all the same.
    broker.put(&one.kept, "contract", 5).await.expect("put");
    assert_eq!(peer.take("sifted"), "sifted-1");
}

async fn what_was_delivered_is_seen(setup: &mut dyn Setup, broker: &dyn Broker) {
    if !broker.capabilities().delivered {
        return;
    }
    let Some(peer) = setup.peer() else {
        broker.unacked(10).await.expect("asked");
        return;
    };
    peer.ask(&json!({"do": "publish", "queue": "held", "id": "held-1", "priority": 0}));
    assert_eq!(peer.ask(&json!({"do": "hold", "queue": "held"})), "held-1");
    let delivered = broker.unacked(10).await.expect("asked");
    let held: Vec<(&str, String)> = delivered
        .iter()
        .map(|entry| (entry.queue.as_str(), entry.message.as_ref().expect("readable").id.to_string()))
        .collect();
    assert_eq!(held, [("held", "held-1".to_owned())]);
}

async fn errors_poison_nothing(broker: &dyn Broker) {
    // Whether that is an error or nothing is the broker's affair.
    let _ = broker.peek("there is no such queue", 0..5).await;
    let _ = broker.queues(&["there is no such queue".into()]).await;
    broker.health().await.expect("it answers");
    let replies = broker.control(&Request::to_all(Method::Ping), &[], Duration::from_millis(500)).await;
    assert!(!replies.expect("asked").is_empty());
}

/// Our connections break. The stream ends, and everything works again.
async fn it_comes_back(setup: &mut dyn Setup, broker: &dyn Broker, stream: JoinHandle<()>) {
    if setup.peer().is_none() {
        return;
    }
    setup.interrupt();
    soon("the stream's end", stream).await.expect("ended");
    let again = async {
        loop {
            match broker.events().await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let mut stream = soon("a new subscription", again).await;
    hear(setup, &mut stream).await;
    commands_are_answered(setup, broker).await;
    what_we_publish_is_taken(setup, broker).await;
}
