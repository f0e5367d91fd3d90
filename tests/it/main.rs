//! Everything tested from outside, in one binary so that it links once.

mod fixtures;
mod protocol;
mod state;
