//! The WebSocket between a session and a page. Binary messages are the bytes of a terminal, both ways; a text message
//! tells the terminal's size (`120x40`).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::outbox::Outbox;

/// Bytes of a message from the page: it sends what was typed in pieces.
const LONGEST: usize = 16 << 10;
/// How often the page is asked whether it is there, which also keeps proxies from closing what is quiet.
const PING: Duration = Duration::from_secs(25);
/// How long it may be silent.
const SILENT: Duration = Duration::from_secs(60);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Link(WebSocketStream<TokioIo<Upgraded>>);

/// Why a link carries no more.
pub(super) enum End {
    /// The page, or what was between.
    Gone,
    /// The page sent what it should not.
    Wrong(&'static str),
}

impl Link {
    pub async fn new(stream: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST))
            .read_buffer_size(LONGEST)
            .write_buffer_size(0);
        Self(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await)
    }

    /// Carries what is written out, and what is typed in, until the page goes. `resize` takes a new size.
    pub async fn carry(
        &mut self,
        outbox: &Outbox,
        typed: mpsc::Sender<Vec<u8>>,
        resize: impl Fn(&str) -> Option<()>,
    ) -> End {
        let (mut sink, mut stream) = (&mut self.0).split();
        let mut untaken = outbox.untaken();
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let heard = Mutex::new(Instant::now());
        let out = async {
            loop {
                let message = tokio::select! {
                    Ok(_) = untaken.wait_for(|bytes| *bytes > 0) => Message::binary(outbox.pick_up()),
                    _ = ping.tick() => Message::Ping(Default::default()),
                };
                if heard.lock().elapsed() > SILENT {
                    return End::Gone;
                }
                let frame = message.is_binary();
                if sink.send(message).await.is_err() {
                    return End::Gone;
                }
                if frame {
                    outbox.delivered();
                }
            }
        };
        let back = async {
            while let Some(Ok(message)) = stream.next().await {
                *heard.lock() = Instant::now();
                let open = match message {
                    Message::Binary(bytes) => typed.send(bytes.to_vec()).await.is_ok(),
                    Message::Text(text) if resize(&text).is_none() => return End::Wrong("that is no size"),
                    Message::Close(_) => false,
                    _ => true,
                };
                if !open {
                    break;
                }
            }
            End::Gone
        };
        tokio::select! {
            end = out => end,
            end = back => end,
        }
    }

    /// Says why it ends, and ends.
    pub async fn close(&mut self, code: u16, why: &str) {
        let frame = CloseFrame { code: code.into(), reason: why.into() };
        let goodbye = async {
            if self.0.close(Some(frame)).await.is_ok() {
                // The page answers; what it sent before that is of no use any more.
                while let Some(Ok(_)) = self.0.next().await {}
            }
        };
        // Who takes nothing is left.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}
