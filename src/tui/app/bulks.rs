//! Bulk actions that have not ended: the log of them is read elsewhere, and what came of that is shown here.

use super::{App, Do, World};
use crate::clock::Stamp;
use crate::history::bulk::{Bulk, Item};
use crate::ops::{Command, Error};
use crate::tui::layers::{Bulks, Confirm, bulks};
use crate::tui::theme::Role;
use crate::tui::view::{self, BulkWish};

/// What was found out or done for a [`BulkWish`].
#[derive(Debug)]
pub enum Bulked {
    Open(Vec<Bulk>),
    /// What goes on with it, once a person has agreed.
    Ask(Command),
    Stopped(i64),
    Items(i64, Vec<Item>),
}

impl App {
    pub(super) fn wish(&mut self, wish: BulkWish, world: &World<'_>) -> Vec<Do> {
        let sends = matches!(wish, BulkWish::Resume(_) | BulkWish::Stop(_));
        if sends && view::barred(&self.options, world.health).is_some() {
            self.not_sent("bulk", world);
            return Vec::new();
        }
        if matches!(wish, BulkWish::Resume(_)) {
            self.say("looking for what was sent meanwhile …", Role::Muted, world.now);
        }
        vec![Do::Bulk(wish)]
    }

    /// A wish was seen to.
    pub fn bulked(&mut self, bulked: Result<Bulked, Error>, now: Stamp) {
        self.toast = None;
        match bulked {
            Err(why) => self.say(&why.to_string(), Role::Warn, now),
            Ok(Bulked::Open(open)) if open.is_empty() => {
                self.say("no bulk action is open: each has sent all it was to send", Role::Muted, now);
            }
            Ok(Bulked::Open(open)) => self.layers.push(Box::new(Bulks::new(open))),
            Ok(Bulked::Ask(command)) => self.layers.push(Box::new(Confirm::new(command))),
            Ok(Bulked::Stopped(id)) => self.say(&format!("bulk {id} goes no further"), Role::Text, now),
            Ok(Bulked::Items(id, items)) => self.layers.push(Box::new(bulks::items(id, &items))),
        }
        self.unsynced = true;
    }
}
