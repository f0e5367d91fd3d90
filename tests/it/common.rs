//! `%`: what chosen tasks have in common, and the others of their name and time not.

use flower_tui::tui::theme::Theme;

use crate::screens::{Stage, busy};

/// Finds what the screen waits for, as the session does beside it.
fn compare(stage: &mut Stage) {
    stage.draw();
    let wanted = stage.app.wanted_common();
    assert_eq!(wanted.len(), 1);
    for (place, chosen) in wanted {
        let common = stage.store.common(&chosen);
        stage.app.compared(place, common);
    }
}

#[test]
fn what_the_tasks_of_a_filter_have_in_common_leads_to_them() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.keys("%");
    assert!(stage.text().contains("mark some tasks first, or filter the list"), "{}", stage.text());
    stage.keys("/worker:app-2 task:mail<Enter>%");
    assert!(stage.text().contains("looking …"), "{}", stage.text());
    compare(&mut stage);
    insta::assert_snapshot!("in-common", stage.text());
    stage.keys("<Enter>");
    let text = stage.text();
    assert!(text.contains("filter  worker:app-2 task:mail worker:=celery@app-2"), "{text}");
    stage.keys("<Esc>-");
    assert!(stage.text().contains("worker:app-2 task:mail -worker:=celery@app-2"), "{}", stage.text());
    stage.keys("<Esc><Esc>");
    assert!(stage.text().contains("filter  worker:app-2 task:mail"), "{}", stage.text());
}

#[test]
fn where_nothing_stands_out_it_is_said() {
    for (width, height) in [(80, 24), (120, 36)] {
        let mut stage = Stage::new(&busy(), width, height, Theme::dark());
        stage.draw();
        stage.keys("/mail.send<Enter>jj jjj jjjjj jj <Esc>");
        stage.draw();
        stage.keys("%");
        compare(&mut stage);
        insta::assert_snapshot!(format!("in-common-nothing-{width}x{height}"), stage.text());
    }
}

#[test]
fn a_failure_group_is_compared_with_what_did_not_fail() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.keys("5");
    stage.draw();
    stage.keys("%");
    compare(&mut stage);
    insta::assert_snapshot!("in-common-group", stage.text());
}
