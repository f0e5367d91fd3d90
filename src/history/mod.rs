//! What is written down. So far: the audit log of every command.

pub mod audit;
