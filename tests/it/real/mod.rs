//! End to end: the real binary, driven through a pseudo-terminal and by command line, against a real Redis and a real
//! Celery worker. What came of a command is asked of Celery itself.

mod alarm;
mod check;
pub mod cluster;
mod command_line;
mod connect;
mod control;
mod databases;
mod history;
mod operate;
mod peek;
mod profiles;
pub mod pty;
pub mod queues;
pub mod rabbit;
mod rabbitmq;
mod reconnect;
mod refusals;
mod rolling;
mod schedule;
mod serve;
mod sql;
mod suspend;
mod whereabouts;
mod workers;

pub use cluster::flower;
