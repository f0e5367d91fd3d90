//! What is found by its name instead of its key: the palette, the searchable help, and keys of one's own.

use flower_tui::tui::app::Do;
use flower_tui::tui::keys::{Binding, Keys};
use flower_tui::tui::options::SavedFilter;
use flower_tui::tui::theme::Theme;
use ratatui::layout::Size;

use crate::screens::{Stage, busy};

fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(&busy(), width, height, Theme::dark());
    let saved = SavedFilter { name: "slow".into(), filter: "runtime:>2s".into(), key: Some("F6".into()) };
    stage.app.options.filters = vec![saved];
    stage.draw();
    stage
}

#[test]
fn the_palette_at_three_sizes() {
    for (width, height) in [(40, 12), (80, 24), (120, 36)] {
        let mut stage = stage(width, height);
        stage.keys(":");
        insta::assert_snapshot!(format!("palette-{width}x{height}"), stage.text());
        stage.keys("cel");
        insta::assert_snapshot!(format!("palette-typed-{width}x{height}"), stage.text());
    }
}

#[test]
fn the_palette_does_an_action_on_the_view_below() {
    let mut stage = stage(120, 36);
    stage.keys("/state:failure<Enter>:xyzzy");
    let first = |stage: &mut Stage| stage.text().lines().find(|l| l.contains("│▌")).map(str::to_owned);
    assert!(first(&mut stage).is_none(), "nothing is called so");
    stage.keys("<Esc>:mark the row<Enter>");
    assert!(stage.text().contains("1 marked"), "{}", stage.text());
    stage.keys(":send it again");
    assert!(first(&mut stage).is_some_and(|l| l.contains("retry: send it again with the same arguments")));
    stage.keys("<Enter>");
    assert!(stage.text().contains("do it"), "it asks as the key does");
    assert_eq!(stage.done, []);
}

#[test]
fn the_palette_goes_to_tabs_tasks_workers_queues_and_filters() {
    let mut stage = stage(120, 36);
    stage.keys(":tab work<Enter>");
    assert!(stage.text().contains("LOADAVG"), "{}", stage.text());
    for (typed, filter) in [
        ("worker app-2", "worker:=celery@app-2"),
        ("tasks named charge", "task:=billing.charge_card"),
        ("queue payments", "queue:=payments"),
        ("filter slow", "runtime:>2s"),
    ] {
        stage.keys(&format!("2:{typed}<Enter>"));
        let text = stage.text();
        assert!(text.contains(&format!("filter  {filter}")), "{typed}: {text}");
        assert!(text.contains("RECEIVED"), "the list of tasks is open");
    }
}

#[test]
fn what_is_refused_is_listed_with_its_reason_and_not_done() {
    let mut stage = stage(120, 36);
    stage.keys("/state:success<Enter>:terminate");
    let text = stage.text();
    assert!(text.contains("(it has ended already)"), "{text}");
    stage.keys("<Enter>");
    assert!(stage.text().contains("it has ended already"));
    assert_eq!(stage.done, []);
}

#[test]
fn a_click_in_the_palette_does_the_line() {
    let mut stage = stage(120, 36);
    stage.keys(":tab");
    stage.click("tab: Broker");
    assert!(stage.text().contains("UNACKED"), "{}", stage.text());
}

#[test]
fn help_is_searched_and_runs_a_line() {
    let mut stage = stage(120, 36);
    stage.keys("?/sort");
    insta::assert_snapshot!("help-searched", stage.text());
    stage.keys("<Enter><Enter>");
    assert!(stage.text().contains("sort by"), "{}", stage.text());
    stage.keys("<Esc>?/zzz");
    assert!(stage.text().contains("no line has this"));
    stage.keys("<Esc>");
    assert!(stage.text().contains("send it again"), "the search is left first");
    stage.keys("<Esc>");
    assert!(!stage.text().contains("send it again with"));
}

#[test]
fn help_moves_over_lines_and_says_what_cannot_be_done() {
    let mut stage = stage(120, 36);
    stage.keys("/state:success<Enter>?");
    assert!(stage.text().contains("(it has ended already)"), "{}", stage.text());
    let line =
        |stage: &mut Stage| stage.text().lines().find(|l| l.contains("│▌")).map(str::to_owned).unwrap_or_default();
    let before = line(&mut stage);
    stage.keys("j");
    assert_ne!(line(&mut stage), before);
    stage.keys("Gk");
    assert!(line(&mut stage).contains("quit"), "{}", stage.text());
    stage.keys("<Enter>");
    assert_eq!(stage.done, [Do::Leave(flower_tui::tui::view::Leave::Quit)]);
}

#[test]
fn keys_of_ones_own_work_and_are_shown_everywhere() {
    let mut stage = stage(120, 36);
    let bind = |action: &str, key: &str| Binding { action: action.into(), keys: vec![key.into()], at: 0 };
    let keys = Keys::with(&[bind("task_retry", "F5"), bind("menu", "m"), bind("yes", "j"), bind("top", "z z")]);
    stage.app.options.keys = keys.unwrap();
    stage.keys("/state:failure<Enter>r");
    assert!(!stage.text().contains("do it"), "the usual key does nothing any more");
    assert!(stage.text().lines().last().is_some_and(|l| l.contains("F5 retry")), "{}", stage.text());
    stage.keys("m");
    assert!(stage.text().contains("F5    send it again"), "{}", stage.text());
    stage.keys("<Esc>?");
    assert!(stage.text().contains("F5                send it again"), "{}", stage.text());
    stage.keys("<Esc>jj");
    stage.keys("zz<F5>");
    assert!(stage.text().contains("j do it"), "{}", stage.text());
    stage.pass(1);
    stage.draw();
    stage.keys("j");
    assert!(matches!(stage.done[..], [Do::Run(_)]), "{:?}", stage.done);
    stage.key("ctrl-c");
    stage.key("ctrl-c");
    assert!(stage.done.contains(&Do::Leave(flower_tui::tui::view::Leave::Quit)));
}

#[test]
fn a_saved_filter_is_set_by_its_key_or_from_help() {
    let mut stage = stage(120, 36);
    stage.keys("<F6>");
    assert!(stage.text().contains("filter  runtime:>2s"), "{}", stage.text());
    stage.keys("<Esc>2<F6>");
    assert!(stage.text().contains("LOADAVG"), "only where tasks are listed");
    stage.keys("1?/slow");
    assert!(stage.text().contains("F6                slow: runtime:>2s"), "{}", stage.text());
    stage.keys("<Enter><Enter>");
    assert!(stage.text().contains("filter  runtime:>2s"), "{}", stage.text());
}

#[test]
fn ctrl_z_goes_back_to_the_shell() {
    let mut stage = stage(80, 24);
    stage.key("ctrl-z");
    assert_eq!(stage.done, [Do::Suspend]);
}

#[test]
fn a_theme_with_a_background_of_its_own_covers_everything() {
    let mut stage = Stage::new(&busy(), 80, 24, Theme::named("high-contrast").unwrap());
    for keys in ["1", "2", "3", "4", "?", "<Esc>:", "<Esc>1."] {
        stage.keys(keys);
        let terminal = stage.draw();
        let content = terminal.backend().buffer().content();
        let bare = content.iter().position(|cell| cell.bg == ratatui::style::Color::Reset);
        assert_eq!(bare, None, "after {keys}");
    }
    stage.size = Size { width: 40, height: 12 };
    stage.draw();
}
