//! Looking things up in the history and in the cluster beside the screen, which stays as quick as it was.

use std::io::Write;

use super::Session;
use crate::history::lookup::{self, Found, Ticket};
use crate::state::Update;
use crate::tui::app::World;
use crate::tui::view::Leave;

impl<W: Write> Session<W> {
    /// Tasks that are to be acted on come into memory before the view goes on.
    pub(super) fn looked_up(&mut self, place: usize, ticket: &Ticket, found: Found) -> Option<Leave> {
        let store = self.wiring.ops.store.clone();
        match &found {
            Found::Recalled(batch, _) => store.apply(&[Update::Recalled(batch.clone())]),
            Found::Linked(links) => store.apply(&[Update::Linked(links.clone())]),
            _ => {}
        }
        let (link, health) = (self.wiring.feed.link.borrow().clone(), self.wiring.feed.health.borrow().clone());
        let world = World { now: self.wiring.ops.clock.now(), link: &link, health: health.as_ref(), size: self.size };
        self.key_dirty = true;
        let done = store.read(|m| self.app.looked_up((place, ticket), found, m, &world));
        done.into_iter().find_map(|what| self.carry_out(what))
    }

    /// Asks everybody in the cluster, beside the screen.
    pub(super) fn search(&mut self) {
        for (place, search) in self.app.wanted_searches() {
            let (locator, sender) = (self.wiring.locator.clone(), self.searches.0.clone());
            tokio::spawn(async move {
                let ticket = search.ticket;
                let tell = |answer| {
                    // Where the screen is slow, this progress is not worth waiting for: the next one has it too.
                    let _ = sender.try_send((place, ticket.clone(), answer));
                    !ticket.is_over()
                };
                let answer = locator.search(&search.what, &tell).await;
                // Nobody is there to be told when the session has ended.
                let _ = sender.send((place, ticket.clone(), answer)).await;
            });
        }
    }

    /// Looks things up beside the screen.
    pub(super) fn look_up(&mut self) {
        let Some(path) = self.app.options.history.clone() else { return };
        for (place, request) in self.app.wanted_lookups() {
            let (path, sender) = (path.clone(), self.lookups.0.clone());
            tokio::task::spawn_blocking(move || {
                // Nobody is there to be told when the session has ended.
                lookup::run(&path, &request, &mut |found| {
                    sender.blocking_send((place, request.ticket.clone(), found)).is_ok()
                });
            });
        }
    }
}
