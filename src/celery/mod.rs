//! Celery's wire formats, pure: bytes in, types out. No I/O, no clock, no tokio in here.
//!
//! The facts come from Celery and kombu 5.7.0 (checked against captures from real workers in `fixtures/`),
//! with differences back to 4.4 where they are known.

pub mod canvas;
pub mod envelope;
pub mod event;
pub mod json;
pub mod message;
pub mod original;
pub mod pidbox;
mod pull;
pub mod queue;
pub mod repr;
pub mod result;
pub mod settings;
pub mod task_id;
pub mod traceback;

pub use task_id::TaskId;

/// Why bytes from the broker could not be read. Such a message is data, not a failure: it is counted and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("body is not base64")]
    Base64,
    #[error("body can't be decompressed as {0}")]
    Compression(String),
    #[error("body grows beyond {0} bytes when decompressed")]
    TooLarge(usize),
    #[error("content type {0} is not read here")]
    ContentType(String),
    #[error("pickle is never executed")]
    Pickle,
    #[error("no {0} in it")]
    Missing(&'static str),
    #[error("{0}")]
    Shape(&'static str),
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;
