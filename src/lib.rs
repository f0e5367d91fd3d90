//! flower-tui: see ARCHITECTURE.md for the map.

pub mod celery;
pub mod clock;
pub mod filter;
pub mod human;
pub mod state;
pub mod text;
