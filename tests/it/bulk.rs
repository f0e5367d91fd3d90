//! Bulk actions: going on with one sends nothing that was sent meanwhile, and a person is asked with all that is known.

use std::sync::Arc;

use flower_tui::celery::TaskId;
use flower_tui::history::audit::Audit;
use flower_tui::ops::bulk::Resume;
use flower_tui::ops::retry::{Known, Options, Retry};
use flower_tui::ops::{Bulk, Command, Course, Ops, Outcome, Receipt};
use flower_tui::state::{State, Update};
use flower_tui::tui::app::{Bulked, Do};
use flower_tui::tui::theme::Theme;
use flower_tui::tui::view::BulkWish;
use tokio_util::sync::CancellationToken;

use crate::ops::ops;
use crate::screens::{Stage, busy};

/// Tasks that failed, ready to be sent again.
fn failures(ops: &Ops, n: usize) -> Vec<Retry> {
    ops.store.read(|m| {
        let failed = m.all_tasks().filter(|task| task.state() == State::Failure).map(|task| task.id().clone());
        let ids: Vec<TaskId> = failed.collect();
        let prepared = ids.iter().filter_map(|id| Retry::prepare(m, id, &Known::default(), &Options::default()).ok());
        prepared.take(n).collect()
    })
}

fn new(tasks: Vec<Retry>, canary: usize) -> Command {
    Command::Bulk(Bulk::New { tasks, refused: vec![], rate: 1_000.0, canary, filter: None })
}

/// Waits for something, where the stage has a runtime of its own.
fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(future)
}

/// Runs it until its canary was sent: on a cluster whose time stands still, nothing becomes of that.
async fn canary(ops: &Ops, tasks: Vec<Retry>, n: usize) -> Receipt {
    let stop = CancellationToken::new();
    let sent = stop.clone();
    let tell = move |step: String| {
        if step.contains("the canary runs") {
            sent.cancel();
        }
    };
    let mut course = Course::telling(tell);
    course.stop = stop;
    ops.run_along(&new(tasks, n), &course).await
}

/// On a simulated cluster, with a log in a folder that goes with it.
async fn logged() -> (Ops, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("temp");
    let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
    let (ops, _) = ops(Ok(Some(audit))).await;
    (ops, folder)
}

#[tokio::test]
async fn going_on_leaves_out_and_names_what_was_sent_meanwhile() {
    let (ops, _folder) = logged().await;
    let tasks = failures(&ops, 6);
    let receipt = canary(&ops, tasks.clone(), 2).await;
    let Outcome::Paused(why) = &receipt.outcome else { panic!("{receipt:?}") };
    assert!(why.starts_with("canary of 2: "), "{why}");
    assert_eq!(receipt.again.len(), 6, "none of them is to be chosen once more");
    let other = ops.run(&Command::Retry { tasks: tasks[3..5].to_vec(), refused: vec![] }).await;
    assert_eq!((other.outcome, other.again.len()), (Outcome::Confirmed, 2));

    let command = ops.to_resume(1).await.expect("open");
    let Command::Bulk(Bulk::Resume(resume)) = &command else { panic!("{command:?}") };
    assert_eq!((resume.left, resume.left_out.len()), (2, 2));
    let sent = tasks[3].original.to_string();
    assert!(resume.left_out[0].starts_with(&sent) && resume.left_out[0].ends_with("sent again by command 2"));
    let preview = ops.store.read(|m| command.preview(m));
    assert!(preview.lines.contains(&format!("C{}.", &why[1..])), "{:?}", preview.lines);
    assert!(preview.lines.iter().any(|line| line.starts_with(&sent)), "{:?}", preview.lines);

    let went = ops.run(&command).await;
    assert_eq!(went.outcome, Outcome::Confirmed, "{went:?}");
    let reply = |who: &str| went.replies.iter().find(|(name, _)| name == who).map(|(_, value)| value.clone());
    assert_eq!(reply("bulk 1").expect("told")["ok"], "4 of 6 sent");
    assert_eq!(reply(&sent).expect("named")["left_out"], "sent again by command 2");
    let items = ops.bulk_items(1, 9).expect("read");
    let went: Vec<bool> = items.iter().map(|item| item.sent.is_some()).collect();
    assert_eq!(went, [true, true, true, false, false, true]);
    assert!(ops.open_bulks().expect("read").is_empty());
    assert!(ops.to_resume(1).await.is_err_and(|why| why.to_string().contains("nothing of bulk 1 is left")));
}

#[tokio::test]
async fn what_succeeded_since_is_not_sent_again() {
    let (ops, _folder) = logged().await;
    let tasks = failures(&ops, 3);
    canary(&ops, tasks.clone(), 1).await;
    let id = &tasks[1].original;
    let event = serde_json::json!([{"type": "task-succeeded", "uuid": id, "hostname": "celery@app-1", "result": "1",
        "timestamp": ops.clock.now().secs()}]);
    let mut batch = flower_tui::celery::event::Batch::default();
    let format = flower_tui::celery::envelope::Format::Json;
    batch.push_body(format, event.to_string().as_bytes(), ops.clock.now()).expect("an event");
    ops.store.apply(&[Update::Events(Arc::new(batch))]);
    let Ok(Command::Bulk(Bulk::Resume(resume))) = ops.to_resume(1).await else { panic!("open") };
    assert_eq!((resume.left, resume.left_out), (1, vec![format!("{id}  has succeeded since")]));
}

#[tokio::test]
async fn one_that_waits_is_stopped_once_and_not_in_read_only_mode() {
    let (mut ops, _folder) = logged().await;
    canary(&ops, failures(&ops, 3), 1).await;
    ops.read_only = true;
    assert!(ops.stop_bulk(1).is_err());
    ops.read_only = false;
    ops.stop_bulk(1).expect("stopped");
    assert!(ops.stop_bulk(1).is_err_and(|why| why.to_string() == "bulk 1 is stopped already"));
}

#[test]
fn by_keys_a_bulk_is_gone_on_with_stopped_and_shown() {
    let (ops, _folder) = block(logged());
    let receipt = block(canary(&ops, failures(&ops, 6), 2));
    for (width, height) in [(80, 24), (120, 36)] {
        let mut stage = Stage::new(&busy(), width, height, Theme::dark());
        stage.draw();
        let now = stage.now();
        stage.keys(":bulk actions<Enter>");
        assert_eq!(stage.done.pop(), Some(Do::Bulk(BulkWish::List)));
        let open = || Ok(Bulked::Open(ops.open_bulks().expect("read")));
        stage.app.bulked(open(), now);
        let text = stage.text();
        assert!(text.contains("1  retry  2 of 6 sent · paused · canary of 2: "), "{text}");
        stage.keys("<Enter>");
        assert!(stage.text().contains("go on: 4 left"), "{}", stage.text());
        stage.keys("<Enter>");
        assert_eq!(stage.done.pop(), Some(Do::Bulk(BulkWish::Resume(1))));
        stage.app.bulked(Ok(Bulked::Ask((**receipt.next.as_ref().expect("next")).clone())), now);
        let text = stage.text();
        assert!(text.contains("Go on with bulk 1?") && text.contains("Canary of 2: "), "{text}");
        assert!(text.contains("have not ended."), "whole at {width}: {text}");
        stage.keys("<Enter>");
        stage.app.bulked(open(), now);
        stage.keys("<Enter>j<Enter>");
        assert_eq!(stage.done.pop(), Some(Do::Bulk(BulkWish::Stop(1))));
        stage.app.bulked(open(), now);
        stage.keys("<Enter>jj<Enter>");
        assert_eq!(stage.done.pop(), Some(Do::Bulk(BulkWish::Show(1))));
        stage.app.bulked(Ok(Bulked::Items(1, ops.bulk_items(1, 9).expect("read"))), now);
        assert!(stage.text().contains("still to go"));
    }
}

#[test]
fn from_the_log_one_goes_on_with_what_waits() {
    let (ops, _folder) = block(logged());
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    let receipt = block(canary(&ops, failures(&ops, 6), 2));
    let now = stage.now();
    stage.app.done(receipt, now);
    let text = stage.text();
    assert!(text.contains("Canary of 2: ") && text.contains("4 tasks are left to be sent."), "{text}");
    stage.keys("<Enter>L");
    assert!(stage.text().contains("paused"), "{}", stage.text());
    stage.keys("<Enter>");
    assert_eq!(stage.done.pop(), Some(Do::Bulk(BulkWish::List)));
}

#[test]
fn what_was_sent_again_is_counted_and_no_longer_marked() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.keys("/state:failure<Enter>");
    stage.draw();
    stage.keys("   r");
    stage.draw();
    stage.pass(1);
    stage.keys("y");
    let Some(Do::Run(command)) = stage.done.pop() else { panic!("not asked for") };
    let (ops, _folder) = block(logged());
    assert!(stage.text().contains("3 marked"));
    let receipt = block(ops.run(&command));
    let now = stage.now();
    stage.app.done(receipt, now);
    let text = stage.text();
    assert!(text.contains("3 sent again") && !text.contains("3 marked"), "{text}");
}

#[test]
fn the_form_for_many_is_whole_on_a_small_screen_and_its_line_can_be_run_or_is_not_shown() {
    for width in [80, 120] {
        let mut stage = Stage::new(&busy(), width, 24, Theme::dark());
        stage.draw();
        stage.keys("/state:failure<Enter>");
        stage.draw();
        stage.keys("*r");
        let text = stage.text();
        assert!(text.contains("can be retried exactly"), "{text}");
        let bare = text.replace(['│', '"'], " ");
        let words: Vec<&str> = bare.split_whitespace().collect();
        assert!(words.join(" ").contains("then you are asked; 0 is none"), "{text}");
        stage.keys("<Enter>");
        assert!(!stage.text().contains("= flower-tui"), "{}", stage.text());
    }
    let (ops, _folder) = block(logged());
    let Command::Bulk(Bulk::New { tasks, refused, rate, canary, .. }) = new(failures(&ops, 30), 5) else { panic!() };
    let of = Some("state:failure task:=a.b".to_owned());
    let filtered = Command::Bulk(Bulk::New { tasks, refused, rate, canary, filter: of });
    assert_eq!(filtered.words(), "flower-tui retry --filter 'state:failure task:=a.b' --rate 1000/s --canary 5");
    let few = new(failures(&ops, 2), 0);
    let ids: Vec<String> = failures(&ops, 2).iter().map(|task| task.original.to_string()).collect();
    assert_eq!(few.words(), format!("flower-tui retry {} --rate 1000/s --canary 0", ids.join(" ")));
    assert_eq!(Command::Bulk(Bulk::Resume(Resume { id: 7, ..Resume::default() })).words(), "flower-tui bulk resume 7");
}
