//! The tabs. A new one is a row here and a file in `views`.

use super::view::View;
use super::views;

/// A tab's title and how it is made.
pub struct Tab {
    pub title: &'static str,
    pub make: fn() -> Box<dyn View>,
}

/// The tabs in the order of their number keys.
pub const TABS: &[Tab] = &[
    Tab { title: "Tasks", make: || Box::<views::tasks::Tasks>::default() },
    Tab { title: "Workers", make: || Box::<views::workers::Workers>::default() },
    Tab { title: "Monitor", make: || Box::<views::monitor::Monitor>::default() },
    Tab { title: "Broker", make: || Box::<views::broker::BrokerView>::default() },
    Tab { title: "Failures", make: || Box::<views::failures::Failures>::default() },
];
