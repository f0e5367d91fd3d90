//! Takes published messages out of what Redis sends, before the library sees them: that makes a tree of each and hands it
//! on by itself, which costs as much as all we do with an event. They are cut from what was read, without a copy. The
//! rest, answers to what was asked, is passed on as it came.
//!
//! A message is `pmessage`, pattern, channel, payload; or `message`, channel, payload (RESP 2, "Pub/Sub").

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use super::resp::{self, Frame};
use crate::broker::RawMessage;
use crate::celery::envelope::Coding;
use crate::clock::Clock;

/// How long messages gather in the socket before they are read again: being woken costs more than reading. First where
/// many come, for which the socket has to have room, then where few do.
const GATHER: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(40));
/// What few are, in bytes.
const FEW: usize = 32 << 10;
/// Bytes there is room for at least whenever something is read, and how many are made room for at once.
const ROOM: Range<usize> = 8 << 10..64 << 10;
/// Bytes read before what came is handed over.
const TURN: usize = 1 << 20;
/// Bytes that may wait for whoever takes them, and only sets them aside. What is too much is counted as lost: Redis cuts
/// off who does not read.
const WAITING: usize = 32 << 20;
/// Channels whose names are held once.
const NAMES: usize = 16;

/// Where messages go.
pub(super) struct Messages {
    out: mpsc::UnboundedSender<Batch>,
    waiting: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
}

/// Where they come from. It ends with the connection.
pub(super) struct Taken {
    batches: mpsc::UnboundedReceiver<Batch>,
    waiting: Arc<AtomicUsize>,
}

struct Batch {
    bytes: usize,
    messages: Vec<RawMessage>,
}

impl Messages {
    /// `lost` counts those there was no room for.
    pub fn new(lost: Arc<AtomicU64>) -> (Self, Taken) {
        let ((out, batches), waiting) = (mpsc::unbounded_channel(), Arc::new(AtomicUsize::new(0)));
        (Self { out, waiting: waiting.clone(), lost }, Taken { batches, waiting })
    }

    fn put(&self, batch: Batch) {
        if self.waiting.load(Ordering::Relaxed) + batch.bytes > WAITING {
            self.lost.fetch_add(batch.messages.len() as u64, Ordering::Relaxed);
            return;
        }
        self.waiting.fetch_add(batch.bytes, Ordering::Relaxed);
        // Where nobody takes them any more, nobody misses them.
        let _ = self.out.send(batch);
    }
}

impl Taken {
    /// What has come together.
    pub async fn next(&mut self) -> Option<Vec<RawMessage>> {
        let batch = self.batches.recv().await?;
        self.waiting.fetch_sub(batch.bytes, Ordering::Relaxed);
        Some(batch.messages)
    }
}

/// What comes on a connection, without its messages.
pub(super) struct Tapped<R> {
    stream: R,
    tap: Tap,
    resting: Option<Pin<Box<Sleep>>>,
}

impl<R: AsyncRead + Unpin> Tapped<R> {
    pub fn new(stream: R, messages: Messages) -> Self {
        Self { stream, tap: Tap::new(messages), resting: None }
    }

    /// Reads until there is something to pass on. That there is nothing then is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tap.passed.is_empty() {
            if let Some(resting) = &mut self.resting {
                ready!(resting.as_mut().poll(cx));
                self.resting = None;
            }
            let mut read = 0;
            while read < TURN {
                match poll_read_buf(Pin::new(&mut self.stream), cx, self.tap.room()) {
                    // What has come before the end is passed on first: a refusal is often followed by it.
                    Poll::Ready(Ok(0) | Err(_)) | Poll::Pending if read > 0 => break,
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(n)) => read += n,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
                self.tap.sort();
            }
            // Answers are waited for, one after the other, until a subscription stands.
            if self.tap.hand_over() && read < TURN {
                let gather = if read < FEW { GATHER.1 } else { GATHER.0 };
                self.resting = Some(Box::pin(tokio::time::sleep(gather)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Tapped<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_fill(cx))?;
        let passed = &mut self.tap.passed;
        let n = passed.len().min(into.remaining());
        into.put_slice(&passed.split_to(n));
        Poll::Ready(Ok(()))
    }
}

struct Tap {
    buffer: BytesMut,
    /// For the library.
    passed: BytesMut,
    batch: Batch,
    messages: Messages,
    names: Vec<Arc<str>>,
    clock: Clock,
    /// What came is not Redis' protocol, and the library's affair.
    strange: bool,
}

impl Tap {
    fn new(messages: Messages) -> Self {
        Self {
            buffer: BytesMut::new(),
            passed: BytesMut::new(),
            batch: Batch { bytes: 0, messages: Vec::new() },
            messages,
            names: Vec::new(),
            clock: Clock::system(),
            strange: false,
        }
    }

    /// Where to read to.
    fn room(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < ROOM.start {
            // A payload longer than all this comes in ever larger pieces.
            self.buffer.reserve(ROOM.end.max(self.buffer.len()));
        }
        &mut self.buffer
    }

    /// Sorts what has come whole.
    fn sort(&mut self) {
        let (mut at, mut found) = (0, Vec::new());
        while !self.strange {
            match resp::frame(&self.buffer[at..]) {
                Ok(Some((Frame::Message { channel, data }, size))) => {
                    found.push((at + channel.start..at + channel.end, at + data.start..at + data.end));
                    at += size;
                }
                Ok(Some((Frame::Other, size))) => {
                    self.passed.extend_from_slice(&self.buffer[at..at + size]);
                    at += size;
                }
                Ok(None) => break,
                Err(resp::Strange) => {
                    self.strange = true;
                    self.passed.extend_from_slice(&self.buffer[at..]);
                    at = self.buffer.len();
                }
            }
        }
        if self.strange {
            self.passed.extend_from_slice(&self.buffer[at..]);
            at = self.buffer.len();
        }
        let (whole, received) = (self.buffer.split_to(at).freeze(), self.clock.now());
        for (channel, data) in found {
            let channel = self.name(&String::from_utf8_lossy(&whole[channel]));
            self.batch.bytes += data.len() + size_of::<RawMessage>();
            let data = whole.slice(data);
            self.batch.messages.push(RawMessage { received, channel, data, coding: Coding::Envelope });
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.iter().find(|known| ***known == *name) {
            return known.clone();
        }
        if self.names.len() == NAMES {
            self.names.clear();
        }
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        name
    }

    /// Says whether there were any messages.
    fn hand_over(&mut self) -> bool {
        if self.batch.messages.is_empty() {
            return false;
        }
        let next = Batch { bytes: 0, messages: Vec::new() };
        self.messages.put(std::mem::replace(&mut self.batch, next));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize) -> Vec<u8> {
        let data = format!("payload {n}\r\n");
        format!("*4\r\n$8\r\npmessage\r\n$2\r\n/*\r\n$3\r\n/c{}\r\n${}\r\n{data}\r\n", n % 3, data.len()).into_bytes()
    }

    const PONG: &[u8] = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n";

    #[test]
    fn messages_are_taken_and_the_rest_is_passed_on_wherever_it_is_cut() {
        let mut all = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+OK\r\n".to_vec();
        let want = [all.clone(), PONG.to_vec()].concat();
        for n in 0..20 {
            all.extend(message(n));
        }
        all.extend(PONG);
        for size in [1, 7, 100, all.len()] {
            let (messages, mut taken) = Messages::new(Arc::default());
            let mut tap = Tap::new(messages);
            for piece in all.chunks(size) {
                tap.room().extend_from_slice(piece);
                tap.sort();
            }
            tap.hand_over();
            assert_eq!(&tap.passed[..], want, "in pieces of {size}");
            let batch = taken.batches.try_recv().expect("handed over").messages;
            let found: Vec<_> = batch.iter().map(|m| (m.channel.to_string(), m.data.to_vec())).collect();
            let sent: Vec<_> = (0..20).map(|n| (format!("/c{}", n % 3), format!("payload {n}\r\n").into())).collect();
            assert_eq!(found, sent);
        }
    }

    /// Says something, and is cut off.
    struct CutOff(&'static [u8]);

    impl AsyncRead for CutOff {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            match std::mem::take(&mut self.0) {
                [] => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                said => {
                    into.put_slice(said);
                    Poll::Ready(Ok(()))
                }
            }
        }
    }

    #[tokio::test]
    async fn what_was_said_before_the_end_is_heard_before_it() {
        use tokio::io::AsyncReadExt;
        let refusal = b"-ERR max number of clients reached\r\n";
        let (messages, _taken) = Messages::new(Arc::default());
        let mut tapped = Tapped::new(CutOff(refusal), messages);
        let mut bytes = [0; 100];
        assert_eq!(tapped.read(&mut bytes).await.expect("said"), refusal.len());
        assert!(tapped.read(&mut bytes).await.is_err());
    }

    #[test]
    fn what_is_not_redis_protocol_is_left_to_the_library() {
        let (messages, mut taken) = Messages::new(Arc::default());
        let mut tap = Tap::new(messages);
        let strange = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tap.room().extend_from_slice(&[&message(1)[..], strange].concat());
        tap.sort();
        tap.room().extend_from_slice(&message(2));
        tap.sort();
        tap.hand_over();
        assert_eq!(&tap.passed[..], [&strange[..], &message(2)].concat());
        assert_eq!(taken.batches.try_recv().map(|batch| batch.messages.len()), Ok(1));
    }

    #[tokio::test]
    async fn what_nobody_has_room_for_is_counted() {
        let lost = Arc::new(AtomicU64::new(0));
        let (messages, mut taken) = Messages::new(lost.clone());
        let mut tap = Tap::new(messages);
        let big = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${}\r\n{}\r\n", 5 << 20, "x".repeat(5 << 20));
        let come = |tap: &mut Tap| {
            tap.room().extend_from_slice(big.as_bytes());
            tap.sort();
            tap.hand_over();
        };
        (0..8).for_each(|_| come(&mut tap));
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        taken.next().await;
        (0..2).for_each(|_| come(&mut tap));
        assert_eq!(lost.load(Ordering::Relaxed), 3, "what was taken makes room");
    }
}
