//! What lies on top of a tab: questions, menus, fields, help, the log. A layer takes all keys while it is there.

pub mod again;
pub mod bulks;
pub mod choose;
pub mod common;
pub mod confirm;
pub mod form;
pub mod help;
pub mod keep;
pub mod log;
pub mod overrides;
pub mod palette;
pub mod pick;
pub mod prompt;
pub mod scroll;
pub mod send;
pub mod shown;
pub mod twice;

pub use again::Again;
pub use bulks::Bulks;
pub use choose::Choose;
pub use common::InCommon;
pub use confirm::Confirm;
pub use form::Form;
pub use help::Help;
pub use keep::Keep;
pub use overrides::Overrides;
pub use palette::Palette;
pub use pick::Pick;
pub use prompt::Prompt;
pub use send::Send;
pub use shown::Shown;
pub use twice::Twice;
