//! flower-tui: see ARCHITECTURE.md for the map.

pub mod broker;
pub mod celery;
pub mod cli;
pub mod clock;
pub mod config;
pub mod export;
pub mod feed;
pub mod filter;
pub mod history;
pub mod human;
pub mod ops;
pub mod redact;
pub mod results;
pub mod schedule;
pub mod serve;
pub mod sim;
pub mod state;
pub mod text;
pub mod tui;
