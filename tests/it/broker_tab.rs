//! The Broker tab and the screen of a queue, on the simulated cluster and on messages that real clients sent.

use std::sync::Arc;

use flower_tui::broker::Broker;
use flower_tui::celery::queue::Waiting;
use flower_tui::clock::Stamp;
use flower_tui::feed::{self, Context};
use flower_tui::ops::queue::Undoable;
use flower_tui::ops::{Command, Outcome, Receipt};
use flower_tui::sim::{Options, Scenario};
use flower_tui::state::Update;
use flower_tui::state::deeds::{Aside, Deed};
use flower_tui::state::peek::{Found, Look, Peeked};
use flower_tui::state::queue::Depth;
use flower_tui::tui::theme::Theme;
use ratatui::layout::Size;

use crate::fixtures::rows;
use crate::screens::Stage;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];

/// More comes in than is worked off.
fn backlog() -> Options {
    Options { scenario: Scenario::Backlog, tasks: 12_000, rate: 14.0, ..Options::default() }
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(what)
}

/// Looks into the queue that is on screen, as the feed would.
fn look(stage: &mut Stage) {
    stage.draw();
    let Some(wanted) = stage.app.interest().queue else { return };
    let (broker, stop) = (Arc::new(stage.sim.clone()), Default::default());
    let context = Context { broker, store: stage.store.clone(), clock: stage.clock.clone(), stop, results: None };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
    assert!(run(feed::look(&context, &wanted, &|| true, &sender)), "to its end");
    drop(sender);
    while let Some(update) = run(receiver.recv()) {
        stage.store.apply(&[update]);
    }
}

/// The tab with the cursor on the queue `payments`, some time after the start.
fn payments(options: &Options, width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(options, width, height, Theme::dark());
    stage.keys("4");
    stage.draw();
    for _ in 0..6 {
        stage.pass(10);
    }
    stage.draw();
    while !stage.text().lines().any(|line| line.contains('▌') && line.contains("payments")) {
        stage.keys("j");
    }
    stage
}

#[test]
fn every_pane_of_a_queue_at_three_sizes() {
    for (width, height) in SIZES {
        let mut stage = payments(&backlog(), width, height);
        for pane in ["waiting", "groups", "unacked", "consumers", "producers"] {
            look(&mut stage);
            insta::assert_snapshot!(format!("pane-{pane}-{width}x{height}"), stage.text());
            stage.keys("]");
        }
        assert!(stage.text().contains("ARGS"), "round and round");
        stage.keys("[");
        assert!(stage.text().contains("LAST SENT"));
    }
}

#[test]
fn a_queue_on_its_own_screen_has_a_cursor_and_a_filter() {
    let mut stage = payments(&backlog(), 120, 36);
    look(&mut stage);
    stage.keys("<Enter>");
    look(&mut stage);
    stage.keys("jjj");
    insta::assert_snapshot!("queue-screen", stage.text());
    stage.keys("/reminder<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  reminder") && !text.contains("billing.charge_card"), "{text}");
    stage.keys("<Esc>");
    assert!(!stage.text().contains("filter  reminder"));
    stage.keys("<Enter>");
    assert!(stage.text().contains("PENDING  billing."), "a task in memory opens as a task: {}", stage.text());
    stage.keys("<Esc><Esc>");
    assert!(stage.text().contains("TREND"), "one step back at a time");
}

#[test]
fn marked_messages_that_have_left_the_list_are_still_meant() {
    let mut stage = payments(&backlog(), 120, 36);
    look(&mut stage);
    stage.keys("<Enter>");
    look(&mut stage);
    stage.keys("  ");
    stage.draw();
    assert!(stage.text().contains("2 marked"), "{}", stage.text());
    let peeked = |m: &flower_tui::state::Model| match m.peeked("payments", Look::Waiting).map(|p| p.found.clone()) {
        Some(Ok(Found::Waiting(waiting))) => waiting,
        other => panic!("{other:?}"),
    };
    let mut waiting = stage.store.read(peeked);
    let marked: Vec<_> = waiting.drain(..2).map(|w| w.message.expect("readable").id).collect();
    let found = Ok(Found::Waiting(waiting));
    let at = stage.now();
    let peeked = Peeked { queue: "payments".into(), look: Look::Waiting, at, found, canvases: Vec::new() };
    stage.store.apply(&[Update::Peeked(Arc::new(peeked))]);
    stage.draw();
    assert!(stage.text().contains("2 marked, 2 of them not listed"), "{}", stage.text());
    stage.keys("D");
    let text = stage.text();
    assert!(text.contains("Delete 2 messages from payments?"), "{text}");
    assert!(marked.iter().all(|id| text.contains(&id.to_string()[..8])), "{text}");
    stage.keys("n<Esc>");
    assert!(!stage.text().contains("marked"), "{}", stage.text());
}

#[test]
fn groups_go_round_and_open_their_tasks() {
    let mut stage = payments(&backlog(), 120, 36);
    stage.keys("o");
    stage.draw();
    assert!(stage.text().contains("asking the broker …"), "{}", stage.text());
    look(&mut stage);
    assert!(stage.text().contains("by task") && stage.text().contains("billing.charge_card"), "{}", stage.text());
    for by in ["by origin", "by priority", "by age", "by args[0]"] {
        stage.keys("o");
        assert!(stage.text().contains(by), "{by}: {}", stage.text());
    }
    let mut others = 0;
    while !stage.text().contains("by task") {
        stage.keys("o");
        others += 1;
        assert!(others < 10, "round and round: {}", stage.text());
    }
    stage.keys("<Enter>");
    stage.draw();
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  state:pending task:=billing.invoices.send_reminder queue:=payments"), "{text}");
}

/// What real clients sent, as if it waited in `payments`.
fn recorded(at: Stamp) -> Update {
    let rows = rows("redis-queue-messages.jsonl");
    let data = |row: &serde_json::Value| row["data"].as_str().expect("data").to_owned();
    let mut waiting: Vec<Waiting> = vec![Waiting::read(0, 0, b"\x80 no json at all")];
    waiting.extend(rows.iter().rev().enumerate().map(|(i, row)| Waiting::read(i + 1, 0, data(row).as_bytes())));
    let found = Ok(Found::Waiting(waiting));
    Update::Peeked(Arc::new(Peeked { queue: "payments".into(), look: Look::Waiting, at, found, canvases: Vec::new() }))
}

#[test]
fn messages_of_all_kinds_are_read_and_open_whole() {
    let mut stage = payments(&backlog(), 120, 48);
    stage.store.apply(&[recorded(stage.now())]);
    stage.keys("<Enter>");
    stage.draw();
    insta::assert_snapshot!("queue-recorded", stage.text());
    stage.keys("<Enter>");
    insta::assert_snapshot!("message-unreadable", stage.text());
    stage.keys("<Esc>/9b5e0c83<Enter>");
    stage.draw();
    stage.keys("<Enter>");
    insta::assert_snapshot!("message-linked", stage.text());
    stage.keys("<Esc><Esc>/ff406368<Enter>");
    stage.draw();
    stage.keys("<Enter>");
    let text = stage.text();
    let (next, last) = (text.find("2023bbc2"), text.find("621f74d3"));
    assert!(next.is_some() && next < last, "a chain in the order it runs: {text}");
}

#[test]
fn what_is_not_there_yet_or_not_allowed_or_old_is_said() {
    let mut stage = payments(&backlog(), 100, 30);
    assert!(stage.text().contains("asking the broker …"), "{}", stage.text());
    let refused = Err("redis://cache-1:6379/0 refused us: NOPERM this user has no permissions".to_owned());
    let at = stage.now();
    let peeked = Peeked { queue: "payments".into(), look: Look::Waiting, at, found: refused, canvases: Vec::new() };
    stage.store.apply(&[Update::Peeked(Arc::new(peeked))]);
    let text = stage.text();
    assert!(text.contains("✖ redis://cache-1:6379/0 refused us: NOPERM") && text.contains("needs the right"), "{text}");
    look(&mut stage);
    assert!(stage.text().contains("nothing is consumed"), "{}", stage.text());
    stage.pass(60);
    assert!(stage.text().contains("stale: as of 14:04:27"), "{}", stage.text());
    let mut quiet = payments(&Options { tasks: 10, rate: 0.0, ..Options::default() }, 100, 30);
    look(&mut quiet);
    assert!(quiet.text().contains("Nothing waits in this queue."), "{}", quiet.text());
    quiet.keys("]]");
    look(&mut quiet);
    assert!(quiet.text().contains("Nothing is delivered and unacknowledged."), "{}", quiet.text());
}

#[test]
fn queues_are_sorted_by_a_click_on_a_column() {
    let mut stage = payments(&backlog(), 120, 36);
    let first = |stage: &mut Stage| {
        let text = stage.text();
        text.lines().skip_while(|l| !l.contains("QUEUE")).nth(1).expect("a row").to_owned()
    };
    assert!(stage.text().contains("READY▼"));
    let most = first(&mut stage);
    assert!(most.contains("payments"), "the longest comes first where nobody chose");
    stage.click("READY");
    assert!(stage.text().contains("READY▲") && first(&mut stage) != most);
    stage.click("READY");
    assert!(first(&mut stage) == most);
    stage.keys("sj<Enter>");
    assert!(stage.text().contains("UNACKED▼"), "{}", stage.text());
}

#[test]
fn the_simulated_queues_are_seen_in_one_order_whatever_the_stretches() {
    let stage = payments(&backlog(), 80, 24);
    run(async {
        for depth in stage.sim.queues(&[]).await.expect("depths") {
            let all = stage.sim.peek(&depth.name, 0..100_000).await.expect("peeked");
            assert_eq!(all.len() as u64, depth.ready);
            let ids = |waiting: &[Waiting]| -> Vec<_> {
                waiting.iter().map(|w| (w.place, w.message.as_ref().expect("readable").id.clone())).collect()
            };
            let mut parts = Vec::new();
            for from in (0..all.len()).step_by(7) {
                parts.extend(stage.sim.peek(&depth.name, from..from + 7).await.expect("peeked"));
            }
            assert_eq!(ids(&parts), ids(&all));
            assert!(all.windows(2).all(|pair| pair[0].priority <= pair[1].priority), "most urgent first");
            let firsts = all.chunk_by(|a, b| a.priority == b.priority).map(|same| &same[0]);
            let firsts: Vec<_> = firsts.map(|w| w.message.as_ref().expect("readable").id.clone()).collect();
            assert_eq!(depth.next, firsts, "the next one of each priority");
        }
        let held = stage.sim.unacked(10_000).await.expect("seen");
        assert!(held.windows(2).all(|pair| pair[0].at <= pair[1].at), "oldest first");
        assert_eq!(stage.sim.unacked(3).await.expect("seen").len(), held.len().min(3));
    });
}

#[test]
fn any_keys_at_any_size_leave_it_standing() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut stage = payments(&backlog(), 40, 12);
    let keys = ["j", "k", "]", "[", "o", "<Enter>", "<Esc>", "<Tab>", "G", "g", "/x", "<Enter>", " ", "v", "*", "."];
    for step in 0..600 {
        if rng.u32(0..12) == 0 {
            stage.size = Size { width: rng.u16(1..210), height: rng.u16(1..64) };
        }
        stage.keys(keys[rng.usize(0..keys.len())]);
        if rng.u32(0..6) == 0 {
            look(&mut stage);
        }
        if step % 50 == 0 {
            stage.store.apply(&[recorded(stage.now())]);
            stage.keys("4");
        }
        stage.draw();
    }
    assert_eq!(stage.done, []);
}

#[test]
fn the_tasks_with_one_value_of_an_argument_are_opened() {
    let mut stage = payments(&backlog(), 120, 36);
    stage.keys("o");
    look(&mut stage);
    for _ in 0..12 {
        if stage.text().contains("by kwargs.tenant") {
            break;
        }
        stage.keys("o");
    }
    stage.keys("<Enter>");
    stage.draw();
    look(&mut stage);
    assert!(stage.text().contains("'globex'"), "{}", stage.text());
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("kwargs:\"'tenant': 'globex'\""), "{text}");
}

#[test]
fn what_lies_aside_is_a_row_that_says_who_did_it_and_is_put_back_from_there() {
    let mut stage = payments(&Options::default(), 120, 36);
    let name = "payments.aside-1".to_owned();
    let (queue, by, at) = ("payments".to_owned(), "bob".to_owned(), stage.now());
    let aside = Aside { row: 7, queue, name: name.clone(), at, by, messages: 24_000 };
    let depth = Depth { name, ready: 24_000, ..Depth::default() };
    stage.store.apply(&[Update::Deeds(vec![Deed::Aside(aside)]), Update::Queues(at, vec![depth])]);
    stage.keys("gg");
    let text = stage.text();
    assert!(text.lines().any(|line| line.contains("payments.aside-1") && line.contains("aside ")), "{text}");
    assert!(text.contains("24,000 messages set aside from payments by bob"), "{text}");
    stage.keys("U");
    let text = stage.text();
    assert!(text.contains("Put the 24,000 messages set aside back into payments?"), "{text}");
}

#[test]
fn a_held_queue_that_somebody_consumes_all_the_same_can_be_held_again() {
    let mut stage = payments(&Options::default(), 120, 36);
    stage.store.apply(&[Update::Held("payments".into(), vec!["celery@gone".into()])]);
    stage.keys("H");
    let text = stage.text();
    assert!(text.contains("payments is held") && text.contains("hold it again"), "{text}");
    stage.keys("j<Enter>");
    assert!(stage.text().contains("Hold payments?"), "{}", stage.text());
}

#[test]
fn the_log_offers_to_take_back_only_what_nobody_has_taken_back_yet() {
    let mut stage = payments(&Options::default(), 120, 36);
    let now = stage.now();
    let receipt = |row: i64, n: u64| Receipt {
        verb: "delete",
        words: format!("flower-tui queue q{row} delete x"),
        asked: now,
        answered: now,
        outcome: Outcome::Confirmed,
        replies: vec![("q".into(), serde_json::json!({"ok": "done", "messages": n}))],
        next: None,
        again: Vec::new(),
        undo: Some(Box::new(Command::Undo {
            row,
            what: Undoable::Taken { queue: format!("q{row}"), messages: Some(n) },
        })),
    };
    for row in 1..=3 {
        stage.app.done(receipt(row, 5), now);
    }
    stage.store.apply(&[Update::Deeds(vec![Deed::Undone(3)])]);
    stage.keys("Lu");
    let text = stage.text();
    assert!(text.contains("q2 delete x  (5 messages)") && !text.contains("q3 delete x  (5"), "{text}");
    stage.keys("<Esc>");
    stage.store.apply(&[Update::Deeds(vec![Deed::Undone(1)])]);
    stage.keys("u");
    assert!(stage.text().contains("Put back the 5 messages taken out of q2?"), "{}", stage.text());
}
