//! A recording on the screen: it says that it is the past, takes no commands, and can be wound.

use std::time::Duration;

use flower_tui::feed::replay::Controls;
use flower_tui::tui::app::{App, Do, Options};
use flower_tui::tui::theme::Theme;

use crate::screens::{Stage, busy};

fn stage() -> (Stage, Controls) {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    let controls = Controls::new(stage.now() - Duration::from_secs(7_200), 10.0);
    stage.app = App::new(Options { replay: Some(controls.clone()), ..stage.app.options.clone() });
    stage.draw();
    (stage, controls)
}

#[test]
fn the_header_says_that_this_is_the_past_and_how_fast_it_goes_by() {
    let (mut stage, controls) = stage();
    let header = |stage: &mut Stage| stage.text().lines().next().expect("a line").to_owned();
    assert!(header(&mut stage).contains("REPLAY 10x  2026-11-24 14:03:27"), "{}", header(&mut stage));
    insta::assert_snapshot!("replay", stage.text());
    stage.keys("p");
    assert!(header(&mut stage).contains("REPLAY held") && controls.status().paused);
    stage.keys("p<ctrl-up>");
    assert!(header(&mut stage).contains("REPLAY 30x"), "{}", header(&mut stage));
    stage.keys("<ctrl-down><ctrl-down>");
    assert_eq!(controls.status().speed, 5.0);
}

#[test]
fn one_goes_a_minute_on_and_back_and_to_a_time() {
    let (mut stage, controls) = stage();
    let to = |controls: &Controls| controls.status().winding.expect("under way");
    controls.toggle();
    stage.keys("<ctrl-right>");
    let there = to(&controls);
    assert!(there >= controls.status().begin + Duration::from_secs(60));
    stage.keys("<ctrl-right><ctrl-right><ctrl-left>");
    assert_eq!(to(&controls), there + Duration::from_secs(60));
    stage.keys("@13:30<Enter>");
    assert_eq!(to(&controls), stage.now() - Duration::from_secs(33 * 60 + 27));
    stage.keys("@nonsense<Enter>");
    assert!(stage.text().contains("Go to which time?"), "{}", stage.text());
    stage.keys("<Esc>");
    assert_eq!(to(&controls), stage.now() - Duration::from_secs(33 * 60 + 27));
    assert!(!stage.text().contains("Go to which time?"));
}

#[test]
fn nothing_can_be_sent_into_the_past() {
    let (mut stage, _) = stage();
    stage.keys("/state:failure<Enter>jr");
    let text = stage.text();
    assert!(text.contains("this is a recording, the past takes no commands: retry is not sent"), "{text}");
    stage.keys("2j+");
    assert!(!stage.done.iter().any(|d| matches!(d, Do::Run(_))), "{:?}", stage.done);
}
