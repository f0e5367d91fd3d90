//! One file for each tab and full screen.

pub mod broker;
mod exporting;
pub mod failures;
pub mod find;
pub mod history;
pub mod list;
pub mod monitor;
mod report;
pub mod schedule;
pub mod task;
pub mod tasks;
pub mod welcome;
pub mod whereabouts;
pub mod workers;
pub mod workflow;
