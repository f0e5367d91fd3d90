//! What views want done elsewhere, because it takes long: scans of the model, looking things up in the history, and
//! asking everybody in the cluster.

use super::{App, Do, World};
use crate::history::lookup::{Found, Request, Ticket};
use crate::history::writer;
use crate::ops::locate::{Answer, Search};
use crate::state::common::{Chosen, Common};
use crate::state::{Fill, Model, ScanRequest};
use crate::tui::view::View;

impl App {
    /// The view at a place: tabs first, then layers.
    pub(super) fn at(&mut self, place: usize) -> Option<&mut (dyn View + 'static)> {
        self.tabs.iter_mut().chain(self.layers.iter_mut()).nth(place).map(AsMut::as_mut)
    }

    /// Scans the views want done, each with the place of its view: tabs first, then layers.
    pub fn wanted_scans(&mut self) -> Vec<(usize, ScanRequest)> {
        let views = self.tabs.iter_mut().chain(self.layers.iter_mut()).enumerate();
        views.filter_map(|(i, view)| view.wants_scan().map(|request| (i, request))).collect()
    }

    /// Whose common traits have to be found, each with the place of its view.
    pub fn wanted_common(&mut self) -> Vec<(usize, Chosen)> {
        let views = self.tabs.iter_mut().chain(self.layers.iter_mut()).enumerate();
        views.filter_map(|(i, view)| view.wants_common().map(|chosen| (i, chosen))).collect()
    }

    /// They were found.
    pub fn compared(&mut self, place: usize, common: Common) {
        if let Some(view) = self.at(place) {
            view.compared(common);
        }
        self.unsynced = true;
    }

    /// What has to be looked up in the history, each with the place of its view.
    pub fn wanted_lookups(&mut self) -> Vec<(usize, Request)> {
        let views = self.tabs.iter_mut().chain(self.layers.iter_mut()).enumerate();
        views.flat_map(|(i, view)| view.wants_lookups().into_iter().map(move |request| (i, request))).collect()
    }

    /// What has to be looked for in the whole cluster, each with the place of its view.
    pub fn wanted_searches(&mut self) -> Vec<(usize, Search)> {
        let views = self.tabs.iter_mut().chain(self.layers.iter_mut()).enumerate();
        views.filter_map(|(i, view)| view.wants_search().map(|search| (i, search))).collect()
    }

    /// Something was looked for. A view knows by the ticket whether it still waits for it.
    pub fn searched(&mut self, place: usize, ticket: &Ticket, answer: Answer) {
        if let Some(view) = self.at(place) {
            view.searched(ticket, answer);
        }
        self.unsynced = true;
    }

    /// Something was looked up. A view knows by the ticket whether it still waits for it.
    pub fn looked_up(
        &mut self,
        (place, ticket): (usize, &Ticket),
        found: Found,
        model: &Model,
        world: &World<'_>,
    ) -> Vec<Do> {
        let outcome = self.with_cx_at(Some(place), model, world, |view, cx| view.looked_up(ticket, found, cx));
        self.unsynced = true;
        // Who has gone elsewhere meanwhile is not interrupted.
        let seen = match self.layers.len() {
            0 => self.tab,
            n => self.tabs.len() + n - 1,
        };
        if seen == place { self.outcome(outcome, None, model, world) } else { Vec::new() }
    }

    /// How writing the history goes.
    pub fn set_recording(&mut self, recording: Option<writer::Status>) {
        self.recording = recording;
    }

    /// A scan is done. A layer may have gone meanwhile; what came of it knows which question it answers. What is not
    /// needed any more is given back, for somebody else to let go of.
    pub fn scanned(&mut self, place: usize, fill: Fill) -> Option<Fill> {
        match self.at(place) {
            Some(view) => view.scanned(fill),
            None => Some(fill),
        }
    }

    /// Lets the view that is seen take in what has changed, without showing it yet.
    pub fn keep_up(&mut self, model: &Model) {
        if self.is_paused() {
            return;
        }
        let seen = match self.layers.last_mut() {
            Some(layer) => Some(layer),
            None => self.tabs.get_mut(self.tab),
        };
        if let Some(view) = seen {
            view.keep_up(model);
        }
    }
}
