//! The tabs. A new one is a row here and a file in `views`.

use super::options::Options;
use super::view::View;
use super::views;

/// A tab's title and how it is made.
pub struct Tab {
    pub title: &'static str,
    pub make: fn() -> Box<dyn View>,
    /// Whether it is there at all.
    pub there: fn(&Options) -> bool,
}

fn always(_: &Options) -> bool {
    true
}

/// The tabs in the order of their number keys. Behind one that isn't there the others move up.
pub const TABS: &[Tab] = &[
    Tab { title: "Tasks", make: || Box::<views::tasks::Tasks>::default(), there: always },
    Tab { title: "Workers", make: || Box::<views::workers::Workers>::default(), there: always },
    Tab { title: "Monitor", make: || Box::<views::monitor::Monitor>::default(), there: always },
    Tab { title: "Broker", make: || Box::<views::broker::BrokerView>::default(), there: always },
    Tab { title: "Failures", make: || Box::<views::failures::Failures>::default(), there: always },
    Tab {
        title: "History",
        make: || Box::<views::history::History>::default(),
        there: |options| options.history.is_some(),
    },
    Tab { title: "Schedule", make: || Box::<views::schedule::Schedule>::default(), there: always },
];

/// The tabs of a session, in the order of their number keys.
pub fn there(options: &Options) -> impl Iterator<Item = &'static Tab> {
    TABS.iter().filter(|tab| (tab.there)(options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::action::TOGETHER;

    /// Clashes of keys are looked for in these sets of scopes.
    #[test]
    fn the_scopes_of_each_tab_are_known_to_live_together() {
        for tab in TABS {
            let scopes = (tab.make)().scopes();
            let known = TOGETHER.iter().any(|set| scopes.iter().all(|scope| set.contains(scope)));
            assert!(known, "{}: {scopes:?} are in no row of TOGETHER", tab.title);
        }
    }
}
