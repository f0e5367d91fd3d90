//! `:send`: a task that was never sent before, from the screen.

use flower_tui::ops::Command;
use flower_tui::tui::app::Do;
use flower_tui::tui::theme::Theme;

use crate::screens::{Stage, busy};

fn form() -> Stage {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.draw();
    stage.keys(":send a task<Enter>");
    stage.draw();
    stage
}

#[test]
fn a_task_is_sent_from_a_form_once_its_message_was_seen() {
    let mut stage = form();
    assert!(stage.app.interest().registered, "workers are asked what they know");
    stage.keys("charge_c<Tab>");
    insta::assert_snapshot!("send-form", stage.text());
    stage.keys("<Tab>(8812, 'EUR'<Enter>");
    assert_eq!(stage.done, [], "what can't be read is not sent");
    stage.keys(")<Tab>{'tenant': 'acme'}<Tab>payments<Tab>7<Tab>30s<Enter>");
    stage.draw();
    let text = stage.text();
    for part in ["Send billing.charge_card?", "(8812, 'EUR')", "{'tenant': 'acme'}", "payments   priority 7", "eta "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    stage.wait(1);
    stage.keys("y");
    let [Do::Run(Command::Send(message))] = &stage.done[..] else { panic!("{:?}", stage.done) };
    assert_eq!((message.name.as_str(), message.args.as_str()), ("billing.charge_card", r#"[8812, "EUR"]"#));
    assert_eq!((message.queue.as_str(), message.priority, message.eta.is_some()), ("payments", 7, true));
}

#[test]
fn nothing_is_sent_where_nothing_may_be() {
    let mut stage = Stage::new(&busy(), 120, 36, Theme::dark());
    stage.app.options.read_only = true;
    stage.draw();
    stage.keys(":send a task<Enter>");
    let text = stage.text();
    assert!(text.trim_end().trim_matches('"').trim_end().ends_with("read-only"), "the palette says why: {text}");
    assert!(text.contains("do or go") && stage.done.is_empty(), "{text}");
}
