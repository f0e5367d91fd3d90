//! Everything tested from outside, in one binary so that it links once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broker_tab;
mod bulk;
mod check;
mod clusters;
mod common;
mod contract;
mod fixtures;
mod history;
mod history_tab;
mod layers;
mod lists;
mod lost;
mod ops;
mod palette;
mod paths;
mod protocol;
mod real;
mod redact;
mod replay;
mod rolling;
mod schedule;
mod screens;
mod send;
mod serve;
mod state;
mod whereabouts;
mod workers;
