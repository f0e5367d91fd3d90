//! "Where is it?" and "Find anywhere" on the simulated cluster: what the screens show while answers come, and afterwards.

use std::sync::Arc;

use flower_tui::ops::locate::Locator;
use flower_tui::sim::{Options as SimOptions, Scenario};
use flower_tui::tui::theme::Theme;

use super::screens::Stage;

/// Answers what the screen wants looked for.
fn answer(stage: &mut Stage) {
    let locator = Locator {
        broker: Arc::new(stage.sim.clone()),
        store: stage.store.clone(),
        clock: stage.clock.clone(),
        results: Err("there is no result backend that could be asked".into()),
        history: None,
        read_only: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    for (place, search) in stage.app.wanted_searches() {
        let answer = runtime.block_on(locator.search(&search.what, &|_| true));
        stage.app.searched(place, &search.ticket, answer);
    }
}

/// A cluster with more to do than it can, so that much waits.
fn stage(width: u16, height: u16) -> Stage {
    let busy = SimOptions { tasks: 12_000, rate: 14.0, scenario: Scenario::Backlog, ..SimOptions::default() };
    let mut stage = Stage::new(&busy, width, height, Theme::dark());
    stage.pass(2);
    stage
}

#[test]
fn a_task_that_waits_and_one_that_runs_say_where() {
    let mut stage = stage(120, 24);
    stage.keys("/state:pending<Enter>w");
    insta::assert_snapshot!("where_asked", stage.draw().backend());
    answer(&mut stage);
    insta::assert_snapshot!("where_waiting", stage.draw().backend());
    stage.keys("<Esc><Esc>/state:started<Enter>w");
    stage.draw();
    answer(&mut stage);
    insta::assert_snapshot!("where_running", stage.draw().backend());
}

#[test]
fn whatever_the_width_the_verdict_is_read_whole() {
    for (width, height) in [(60, 20), (80, 24), (200, 50)] {
        let mut stage = stage(width, height);
        stage.keys("/state:pending<Enter>w");
        stage.draw();
        answer(&mut stage);
        let text = stage.text();
        let words = text.replace(['\n', '"'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("verdict waiting in queue") && words.contains("not asked"), "{text}");
    }
}

#[test]
fn find_lists_each_task_once_with_its_place_and_opens_where_it_is() {
    let mut stage = stage(120, 30);
    stage.keys("F");
    insta::assert_snapshot!("find_asks", stage.draw().backend());
    stage.keys("acme<Enter>");
    stage.draw();
    answer(&mut stage);
    insta::assert_snapshot!("find_found", stage.draw().backend());
    stage.keys("j<Enter>");
    stage.draw();
    answer(&mut stage);
    assert!(stage.text().contains("verdict"), "{}", stage.text());
    stage.keys("<Esc>/no-such-thing-anywhere<Enter>");
    stage.draw();
    answer(&mut stage);
    insta::assert_snapshot!("find_nothing", stage.draw().backend());
    stage.keys("<Esc>");
    assert!(stage.text().contains("filter"), "{}", stage.text());
}
