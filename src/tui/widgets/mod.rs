//! Pieces views are made of. They know ratatui and plain data, nothing of Celery and nothing of the model.

pub mod chart;
pub mod field;
pub mod literal;
pub mod outline;
pub mod spark;
pub mod table;
pub mod tabs;
