//! Takes deliveries out of what the broker sends, before the library sees them: that reads each with some forty
//! allocations and wakes a thread for it, which is more than all we do with an event. The rest is passed on as it came.
//!
//! A frame is its kind, its channel, the size of its payload, the payload, and an end byte (AMQP 0-9-1, 4.2.3). A delivery
//! is three or more of them on one channel: a method, a header, and the body in pieces (4.2.6).

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lapin::protocol::basic::parse_properties;
use lapin::types::AMQPValue;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::broker::RawMessage;
use crate::celery::envelope::Coding;
use crate::clock::Clock;

/// How long deliveries that come one after the other may gather before they are read: less than a frame of the screen.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes read at once; a frame has to fit.
const BUFFER: usize = 256 << 10;
/// Bytes read before the library has its turn.
const TURN: usize = 1 << 20;
/// Batches that may wait for whoever reads them. When they are too many, the connection is not read, and what comes
/// stays with the broker.
pub(super) const BATCHES: usize = 64;

/// Where deliveries go.
#[derive(Clone)]
pub(super) struct Deliveries {
    /// As many together as have come.
    pub out: mpsc::Sender<Vec<RawMessage>>,
    /// How many there were so far.
    pub count: Arc<AtomicU64>,
}

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xCE;
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, END];
/// Class and method of `basic.deliver`.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// The flag of the first property.
const CONTENT_TYPE: u16 = 1 << 15;
const JSON: &str = "application/json";

/// See the module.
pub(super) struct Tap {
    buffer: Box<[u8]>,
    filled: usize,
    /// For the library.
    passed: Vec<u8>,
    delivery: Option<Delivery>,
    batch: Vec<RawMessage>,
    deliveries: Deliveries,
    clock: Clock,
    /// Whether something has just been taken.
    pausing: bool,
    /// What came is no AMQP, and the library's affair.
    strange: bool,
}

/// A delivery of which the first frames have come.
struct Delivery {
    channel: [u8; 2],
    routing_key: String,
    /// What the header says: bytes of the body, and how they are to be read.
    header: Option<(usize, Coding)>,
    data: Vec<u8>,
}

impl Tap {
    pub fn new(deliveries: Deliveries) -> Self {
        Self {
            buffer: vec![0; BUFFER].into(),
            filled: 0,
            passed: Vec::new(),
            delivery: None,
            batch: Vec::new(),
            deliveries,
            clock: Clock::system(),
            pausing: false,
            strange: false,
        }
    }

    /// Reads from the broker what the library is to see.
    pub fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.passed.is_empty() {
            ready!(self.poll_fill(stream, cx))?;
        }
        let n = self.passed.len().min(into.remaining());
        into.put_slice(&self.passed[..n]);
        self.passed.drain(..n);
        Poll::Ready(Ok(()))
    }

    /// Reads until there is something to pass on. That there is nothing then is the end.
    fn poll_fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.pausing) {
            // The library reads each connection in a thread of its own, which would only wait otherwise.
            std::thread::sleep(GATHER);
        }
        let mut read = 0;
        while self.hand_over() && read < TURN {
            let mut space = ReadBuf::new(&mut self.buffer[self.filled..]);
            let n = match Pin::new(&mut *stream).poll_read(cx, &mut space) {
                Poll::Ready(result) => result.map(|()| space.filled().len())?,
                Poll::Pending if read == 0 => return Poll::Pending,
                Poll::Pending => 0,
            };
            if n == 0 && read == 0 {
                return Poll::Ready(Ok(()));
            }
            if n == 0 {
                break;
            }
            read += n;
            self.filled += n;
            self.sort();
        }
        if self.passed.is_empty() {
            // What was taken shows that the broker lives, as its heartbeats do while it has nothing to send.
            self.passed.extend(HEARTBEAT);
            self.pausing = read < TURN;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives what was taken to whoever reads it, if there is room.
    fn hand_over(&mut self) -> bool {
        if !self.batch.is_empty()
            && let Err(TrySendError::Full(batch)) = self.deliveries.out.try_send(std::mem::take(&mut self.batch))
        {
            self.batch = batch;
            return false;
        }
        true
    }

    /// Sorts the frames that have come whole.
    fn sort(&mut self) {
        let mut at = 0;
        while !self.strange {
            let rest = &self.buffer[at..self.filled];
            let [kind, c0, c1, s0, s1, s2, s3, ..] = *rest else { break };
            let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
            if size > BUFFER - 8 {
                self.strange = true;
                break;
            }
            let Some(frame) = rest.get(..size + 8) else { break };
            match frame[7 + size] {
                END if take(&mut self.delivery, kind, [c0, c1], &frame[7..7 + size]) => {}
                END => self.passed.extend_from_slice(frame),
                _ => {
                    self.strange = true;
                    break;
                }
            }
            at += size + 8;
            if let Some(delivery) = self.delivery.take_if(|delivery| delivery.is_whole()) {
                self.deliveries.count.fetch_add(1, Ordering::Relaxed);
                self.batch.extend(delivery.message(&self.clock));
            }
        }
        if self.strange {
            self.passed.extend_from_slice(&self.buffer[at..self.filled]);
            at = self.filled;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
    }
}

/// Adds a frame to a delivery, if it is part of one.
fn take(slot: &mut Option<Delivery>, kind: u8, channel: [u8; 2], payload: &[u8]) -> bool {
    let Some(begun) = slot else {
        *slot = (kind == METHOD).then(|| Delivery::begin(channel, payload)).flatten();
        return slot.is_some();
    };
    match kind {
        _ if begun.channel != channel => return false,
        HEADER => match header(payload) {
            Some((size, coding)) => {
                begun.data.reserve_exact(size.min(BUFFER));
                begun.header = Some((size, coding));
            }
            None => {
                // The library gets it, and has a word for it.
                *slot = None;
                return false;
            }
        },
        BODY => begun.data.extend_from_slice(payload),
        _ => return false,
    }
    true
}

impl Delivery {
    fn begin(channel: [u8; 2], method: &[u8]) -> Option<Self> {
        let mut rest = Reader(method.strip_prefix(&DELIVER)?);
        let _consumer = rest.short()?;
        let _tag_and_redelivered = rest.take(9)?;
        let _exchange = rest.short()?;
        let routing_key = String::from_utf8_lossy(rest.short()?).into_owned();
        Some(Self { channel, routing_key, header: None, data: Vec::new() })
    }

    fn is_whole(&self) -> bool {
        self.header.as_ref().is_some_and(|(size, _)| self.data.len() >= *size)
    }

    fn message(self, clock: &Clock) -> Option<RawMessage> {
        let (_, coding) = self.header?;
        Some(RawMessage { received: clock.now(), channel: self.routing_key.into(), data: self.data.into(), coding })
    }
}

/// The size of the body, and how it is to be read.
fn header(payload: &[u8]) -> Option<(usize, Coding)> {
    let mut rest = Reader(payload);
    let _class_and_weight = rest.take(4)?;
    let size = u64::from_be_bytes(rest.take(8)?.try_into().ok()?);
    Some((usize::try_from(size).ok()?, coding(rest.0)?))
}

/// How a body is to be read, by the properties of its message. All but a few are plain JSON.
fn coding(properties: &[u8]) -> Option<Coding> {
    let mut rest = Reader(properties);
    let flags = u16::from_be_bytes(rest.take(2)?.try_into().ok()?);
    let content_type = if flags & CONTENT_TYPE == 0 { JSON.as_bytes() } else { rest.short()? };
    if content_type == JSON.as_bytes() && memchr::memmem::find(rest.0, b"compression").is_none() {
        return Some(Coding::Body { content_type: Cow::Borrowed(JSON), compression: None });
    }
    let (_, properties) = parse_properties(properties).ok()?;
    let compression = properties.headers().as_ref().and_then(|headers| match headers.inner().get("compression")? {
        AMQPValue::LongString(name) => Some(name.to_string()),
        AMQPValue::ShortString(name) => Some(name.to_string()),
        _ => None,
    });
    Some(Coding::Body { content_type: String::from_utf8_lossy(content_type).into_owned().into(), compression })
}

/// Bytes from front to back.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    /// A text of at most 255 bytes, behind its length.
    fn short(&mut self) -> Option<&'b [u8]> {
        let n = *self.take(1)?.first()?;
        self.take(n.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).expect("small").to_be_bytes();
        [&[kind, 0, channel][..], &size, payload, &[END]].concat()
    }

    fn short(text: &str) -> Vec<u8> {
        [&[u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat()
    }

    fn method(channel: u8, key: &str) -> Vec<u8> {
        let payload = [&DELIVER[..], &short("ctag"), &[0; 9], &short("celeryev"), &short(key)].concat();
        frame(METHOD, channel, &payload)
    }

    fn head(channel: u8, size: u64, properties: &[u8]) -> Vec<u8> {
        frame(HEADER, channel, &[&[0, 60, 0, 0][..], &size.to_be_bytes(), properties].concat())
    }

    /// Properties with a content type, and a table of one header.
    fn properties(content_type: &str, name: &str, value: &str) -> Vec<u8> {
        let entry =
            [short(name), vec![b'S', 0, 0, 0, u8::try_from(value.len()).expect("short")], value.into()].concat();
        let length = u32::try_from(entry.len()).expect("small").to_be_bytes();
        [&[0b1010_0000, 0][..], &short(content_type), &length, &entry].concat()
    }

    /// A stream whose reads give `step` bytes each.
    struct Steps(Vec<u8>, usize);

    impl AsyncRead for Steps {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let n = self.1.min(self.0.len()).min(into.remaining());
            into.put_slice(&self.0[..n]);
            self.0.drain(..n);
            Poll::Ready(Ok(()))
        }
    }

    struct Tapped(Tap, Steps);

    impl AsyncRead for Tapped {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let Tapped(tap, stream) = &mut *self;
            tap.poll_read(stream, cx, into)
        }
    }

    /// What is taken out of these bytes, and what the library sees.
    async fn sorted(bytes: &[u8], step: usize) -> (Vec<RawMessage>, Vec<u8>) {
        let (out, mut taken) = mpsc::channel(BATCHES);
        let (mut seen, mut messages) = (Vec::new(), Vec::new());
        let deliveries = Deliveries { out, count: Arc::default() };
        Tapped(Tap::new(deliveries), Steps(bytes.to_vec(), step)).read_to_end(&mut seen).await.expect("read");
        while let Ok(batch) = taken.try_recv() {
            messages.extend(batch);
        }
        (messages, seen)
    }

    #[tokio::test]
    async fn deliveries_are_taken_and_the_rest_passes_as_it_came_however_it_is_cut() {
        let open = frame(METHOD, 2, &[0, 20, 0, 11, 0, 0, 0, 0]);
        let other = [frame(HEADER, 2, b"of another channel"), frame(BODY, 2, b"so is this")].concat();
        let bytes = [
            open.clone(),
            method(1, "task.sent"),
            head(1, 6, &properties(JSON, "hostname", "w@h")),
            frame(BODY, 1, b"[1,"),
            other.clone(),
            frame(BODY, 1, b" 2]"),
            method(1, "worker.empty"),
            head(1, 0, &[0, 0]),
        ]
        .concat();
        for step in [1, 7, bytes.len()] {
            let (messages, seen) = sorted(&bytes, step).await;
            let messages: Vec<_> = messages.iter().map(|m| (&*m.channel, &m.data[..], &m.coding)).collect();
            let json = Coding::Body { content_type: JSON.into(), compression: None };
            assert_eq!(messages, [("task.sent", &b"[1, 2]"[..], &json), ("worker.empty", b"", &json)]);
            assert_eq!(seen, [open.clone(), other.clone()].concat());
        }
    }

    #[tokio::test]
    async fn properties_say_how_a_body_is_to_be_read() {
        let coding = async |properties: &[u8]| {
            let (messages, _) = sorted(&[method(1, "k"), head(1, 0, properties)].concat(), 999).await;
            messages[0].coding.clone()
        };
        let body = |content_type: &'static str, compression: Option<&str>| Coding::Body {
            content_type: content_type.into(),
            compression: compression.map(str::to_owned),
        };
        assert_eq!(
            coding(&properties(JSON, "compression", "application/zstd")).await,
            body(JSON, Some("application/zstd"))
        );
        assert_eq!(coding(&properties(JSON, "about", "compression")).await, body(JSON, None));
        assert_eq!(coding(&properties("application/x-msgpack", "a", "b")).await, body("application/x-msgpack", None));
    }

    #[tokio::test]
    async fn a_broker_that_only_delivers_shows_the_library_that_it_lives() {
        let (messages, seen) = sorted(&[method(1, "k"), head(1, 0, &[0, 0])].concat(), 999).await;
        assert_eq!((messages.len(), seen), (1, HEARTBEAT.to_vec()));
    }

    #[tokio::test]
    async fn what_is_no_amqp_passes_as_it_came() {
        let heartbeat = HEARTBEAT.to_vec();
        let unended = [&frame(METHOD, 1, b"abcd")[..11], b"!and so on"].concat();
        for strange in [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), b"AMQP\0\0\x09\x01".to_vec(), unended] {
            let bytes = [heartbeat.clone(), strange.clone()].concat();
            assert_eq!(sorted(&bytes, 3).await.1, bytes, "{strange:?}");
        }
        // A header that can't be read: the library will say so.
        let header = frame(HEADER, 1, &[0, 60]);
        assert_eq!(sorted(&[method(1, "k"), header.clone()].concat(), 999).await.1, header);
    }
}
