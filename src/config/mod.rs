//! Settings: what was asked for by flag, environment, profile and file, in this order, and where each value came from.

mod clusters;
pub mod file;
pub mod flower;
mod history;
pub mod keep;
pub mod resolve;
pub mod ui;

pub use clusters::Cluster;
pub use resolve::{Flags, Settings, Source};

/// The annotated default file.
pub const DEFAULT_FILE: &str = include_str!("../../config/flower-tui.toml");

/// Why the settings can't be used. The text names file, line, and the nearest valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);
