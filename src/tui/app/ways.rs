//! Where one goes and how one comes back: tabs, the tasks that something opened, and the way that led here.

use super::{App, TASKS};
use crate::text::Clean;
use crate::tui::tabs::TABS;
use crate::tui::view::View;

/// Where one was when something opened its tasks.
pub(super) struct Return {
    tab: usize,
    layers: Vec<Box<dyn View>>,
    filter: String,
}

impl App {
    pub(super) fn go_to_tab(&mut self, tab: usize) {
        self.returns.clear();
        self.layers.clear();
        self.keymap.reset();
        self.going = false;
        self.tab = tab;
        self.unsynced = true;
    }

    /// Back to where tasks were opened from, if they were.
    pub(super) fn step_back(&mut self) -> bool {
        if !self.layers.is_empty() {
            return false;
        }
        let Some(back) = self.returns.pop() else { return false };
        self.tabs[TASKS].filter_by(&back.filter);
        self.tab = back.tab;
        self.layers = back.layers;
        self.unsynced = true;
        true
    }

    /// Shows the tasks a filter selects, and remembers the way back.
    pub(super) fn open_tasks(&mut self, filter: &str) {
        let before = self.tabs[TASKS].filtered_by();
        let mut layers = std::mem::take(&mut self.layers);
        // Menus and fields are done with; what was read stays.
        layers.retain(|layer| !layer.is_overlay());
        self.returns.push(Return { tab: self.tab, layers, filter: before });
        self.tab = TASKS;
        self.tabs[TASKS].filter_by(filter);
        self.unsynced = true;
    }

    /// The way that led here: where tasks were opened from, and the screens that lie on each other.
    pub(super) fn sync_crumbs(&mut self) {
        let mut way: Vec<String> = Vec::new();
        for back in &self.returns {
            way.push(TABS.get(back.tab).map_or("", |tab| tab.title).to_owned());
            way.extend(back.layers.iter().filter_map(|layer| layer.crumb()));
        }
        if !way.is_empty() {
            way.push(TABS.get(self.tab).map_or("", |tab| tab.title).to_owned());
        }
        way.extend(self.layers.iter().filter_map(|layer| layer.crumb()));
        self.crumbs = if way.is_empty() { Clean::default() } else { crate::clean!("› {}", way.join(" › ")) };
    }
}
