//! Where one goes and how one comes back: tabs, the tasks that something opened, and the way that led here.

use super::App;
use crate::text::Clean;
use crate::tui::view::View;

/// Where one was when something opened its tasks.
pub(super) struct Return {
    tab: usize,
    layers: Vec<Box<dyn View>>,
    /// The tab that was opened, and what it showed before.
    opened: usize,
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
        self.tabs[back.opened].filter_by(&back.filter);
        self.tab = back.tab;
        self.layers = back.layers;
        self.unsynced = true;
        true
    }

    /// Shows the tasks a filter selects in a tab, and remembers the way back.
    pub(super) fn open_filtered(&mut self, opened: usize, filter: &str) {
        let before = self.tabs[opened].filtered_by();
        let mut layers = std::mem::take(&mut self.layers);
        // Menus and fields are done with; what was read stays.
        layers.retain(|layer| !layer.is_overlay());
        self.returns.push(Return { tab: self.tab, layers, opened, filter: before });
        self.tab = opened;
        self.tabs[opened].filter_by(filter);
        self.unsynced = true;
    }

    /// The way that led here: where tasks were opened from, and the screens that lie on each other.
    pub(super) fn sync_crumbs(&mut self) {
        let mut way: Vec<String> = Vec::new();
        for back in &self.returns {
            way.push((*self.titles.get(back.tab).unwrap_or(&"")).to_owned());
            way.extend(back.layers.iter().filter_map(|layer| layer.crumb()));
        }
        if !way.is_empty() {
            way.push((*self.titles.get(self.tab).unwrap_or(&"")).to_owned());
        }
        way.extend(self.layers.iter().filter_map(|layer| layer.crumb()));
        self.crumbs = if way.is_empty() { Clean::default() } else { crate::clean!("› {}", way.join(" › ")) };
    }
}
