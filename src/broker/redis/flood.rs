//! Events by the hundred thousand a second: commands written out beforehand, sent in big pieces, and no replies.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::Dialer;
use super::keys::Keys;
use crate::broker::flood::{self, Message};
use crate::broker::url::RedisUrl;
use crate::broker::wire::{Stream, of_system};
use crate::broker::{Error, Result, TransportOptions};
use crate::celery::envelope::wrap_event;

/// See the module.
pub struct Flood {
    url: String,
    keys: Keys,
    stream: Stream,
    /// Commands, one behind the other.
    commands: Vec<u8>,
    /// Where each of those ends that were not sent yet.
    ends: std::vec::IntoIter<usize>,
    sent: usize,
}

impl Flood {
    /// Connects and logs in.
    pub async fn open(url: &RedisUrl, options: TransportOptions) -> Result<Self> {
        let stream = Dialer::new(url, &options)?.bytes().await?;
        let mut flood = Self {
            url: url.to_string(),
            keys: Keys::new(url.db, options),
            stream,
            commands: Vec::new(),
            ends: Vec::new().into_iter(),
            sent: 0,
        };
        if let Some(password) = &url.password {
            let login = [Some("AUTH"), url.user.as_deref(), Some(password.reveal())];
            flood.ask(&login.into_iter().flatten().collect::<Vec<_>>()).await?;
        }
        flood.ask(&["PING"]).await?;
        flood.write(&command(&[b"CLIENT", b"REPLY", b"OFF"])).await?;
        Ok(flood)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = self.stream.write_all(bytes).await;
        sent.map_err(|error| self.lost(&error))
    }

    async fn ask(&mut self, words: &[&str]) -> Result<()> {
        self.write(&command(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>())).await?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.stream.read_u8().await.map_err(|error| self.lost(&error))?);
        }
        match line.strip_prefix(b"-") {
            None => Ok(()),
            Some(why) => {
                let why = crate::text::clean(String::from_utf8_lossy(why).trim_end()).to_string();
                Err(Error::Refused { url: self.url.clone(), why })
            }
        }
    }

    fn lost(&self, error: &io::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), why: of_system(error) }
    }
}

#[async_trait]
impl flood::Flood for Flood {
    fn load(&mut self, messages: Vec<Message>) {
        self.commands.clear();
        let mut ends = Vec::with_capacity(messages.len());
        for message in messages {
            let channel = format!("{}/{}", self.keys.event_channel(), message.routing_key);
            let envelope = wrap_event(&message.body, &message.hostname, message.routing_key);
            write(&mut self.commands, &[b"PUBLISH", channel.as_bytes(), envelope.as_bytes()]);
            ends.push(self.commands.len());
        }
        (self.ends, self.sent) = (ends.into_iter(), 0);
    }

    async fn send(&mut self, count: usize) -> Result<()> {
        let end = self.ends.by_ref().take(count).last().unwrap_or(self.sent);
        let start = std::mem::replace(&mut self.sent, end);
        let sent = self.stream.write_all(&self.commands[start..end]).await;
        sent.map_err(|error| self.lost(&error))
    }

    /// Commands of a connection are carried out in turn: what is answered comes behind all the rest.
    async fn settle(&mut self) -> Result<()> {
        self.ask(&["CLIENT", "REPLY", "ON"]).await?;
        self.write(&command(&[b"CLIENT", b"REPLY", b"OFF"])).await
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, words);
    bytes
}

/// Writes a command as the server reads it.
fn write(bytes: &mut Vec<u8>, words: &[&[u8]]) {
    bytes.extend(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
}
