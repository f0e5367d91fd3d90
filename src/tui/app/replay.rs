//! A recording on the screen: where to go in it, and how fast.

use super::{App, World};
use crate::filter::When;
use crate::tui::action::Action;
use crate::tui::layers::Prompt;
use crate::tui::theme::Role;
use crate::tui::view::Answer;

/// Seconds of one step.
const STEP: i64 = 60;

impl App {
    /// Turns a knob of the player.
    pub(super) fn play(&mut self, action: Action) {
        let Some(controls) = &self.options.replay else { return };
        match action {
            Action::Pause => controls.toggle(),
            Action::ReplayBack => controls.seek_by(-STEP),
            Action::ReplayOn => controls.seek_by(STEP),
            Action::ReplayFaster => controls.faster(),
            Action::ReplaySlower => controls.slower(),
            _ => {}
        }
    }

    /// Asks for a time to go to.
    pub(super) fn ask_where(&mut self) {
        let check = |text: &str| match When::parse(text.trim()).mark() {
            None => Ok(()),
            Some(_) => Err("a time such as 14:03, 2026-11-24T14:03 or 15m (ago)".to_owned()),
        };
        let help = "14:03, 2026-11-24T14:03:27, or 15m for a quarter of an hour back";
        self.layers.push(Box::new(Prompt::framed("Go to which time?", "", help, check)));
        self.going = true;
    }

    /// Goes where was typed.
    pub(super) fn go_to(&mut self, answer: &Answer, world: &World<'_>) {
        let text = match answer {
            // It is still being typed.
            Answer::Text { done: false, .. } => return,
            Answer::Text { text, .. } => text.trim().to_owned(),
            _ => String::new(),
        };
        self.layers.pop();
        self.going = false;
        let Some(controls) = self.options.replay.as_ref().filter(|_| !text.is_empty()) else { return };
        let Some(mut to) = When::parse(&text).resolve(world.now, &self.options.zone, |_| None) else {
            return self.say("that is no time", Role::Warn, world.now);
        };
        // A clock time is meant within the recording: what lies before it was said of the day after.
        let begin = controls.status().begin;
        let day = std::time::Duration::from_secs(86_400);
        if to < begin && to + day >= begin && text.contains(':') && !text.contains('-') {
            to = to + day;
        }
        controls.seek(to);
    }
}
