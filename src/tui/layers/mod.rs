//! What lies on top of a tab: questions, menus, fields, help, the log. A layer takes all keys while it is there.

pub mod choose;
pub mod confirm;
pub mod log;
pub mod pick;
pub mod prompt;
pub mod scroll;

pub use choose::Choose;
pub use confirm::Confirm;
pub use pick::Pick;
pub use prompt::Prompt;
