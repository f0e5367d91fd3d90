//! A recording in the place of a broker: the past takes no commands.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;

use crate::broker::change::{Sift, Sifted};
use crate::broker::{Broker, Capabilities, Error, EventStream, Health, Result};
use crate::celery::message::Outgoing;
use crate::celery::original::Original;
use crate::celery::pidbox::{Reply, Request};
use crate::celery::queue::{Delivered, Depth, Waiting};

/// See the module. Its events come from a [`super::Player`].
pub struct ReplayBroker {
    name: String,
}

impl ReplayBroker {
    /// The broker of a recording with this name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    fn refusal(&self) -> Error {
        Error::Refused { url: self.url(), why: "a recording takes no commands".into() }
    }
}

fn unable() -> Error {
    Error::Unable { what: "a recording holds no messages, only events".into() }
}

#[async_trait]
impl Broker for ReplayBroker {
    fn url(&self) -> String {
        format!("replay: {}", self.name)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            priorities: false,
            unacked: false,
            peek: false,
            peek_marks: false,
            delivered: false,
            waits: true,
        }
    }

    async fn events(&self) -> Result<EventStream> {
        Ok(futures_util::stream::pending().boxed())
    }

    async fn control(&self, _: &Request, _: &[String], _: Duration) -> Result<Vec<Reply>> {
        Err(self.refusal())
    }

    async fn publish(&self, _: &Outgoing) -> Result<()> {
        Err(self.refusal())
    }

    async fn queues(&self, _: &[String]) -> Result<Vec<Depth>> {
        Ok(Vec::new())
    }

    async fn peek(&self, _: &str, _: Range<usize>) -> Result<Vec<Waiting>> {
        Err(unable())
    }

    async fn unacked(&self, _: usize) -> Result<Vec<Delivered>> {
        Err(unable())
    }

    async fn sift(&self, _: &str, _: &mut dyn Sift, _: Option<&str>) -> Result<Sifted> {
        Err(self.refusal())
    }

    async fn put(&self, _: &[Original], _: &str, _: usize) -> Result<usize> {
        Err(self.refusal())
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health { kind: "recording".into(), ..Health::default() })
    }
}
