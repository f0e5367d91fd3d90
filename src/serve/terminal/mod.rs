//! The screen in a browser: each visitor has a [`Session`] of their own, on the model and the feed that are there anyhow.
//! How many, how long and how much is bounded; the visitor's role goes with every command.

mod handshake;
mod link;
mod outbox;

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use ratatui::layout::Size;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::Site;
use super::answer::{Said, bad};
use super::auth::{Role, Who};
use super::call::Call;
use super::control::ops_of;
use crate::human;
use crate::ops::locate::Locator;
use crate::text::clean;
use crate::tui::app::Options;
use crate::tui::session::{Session, Wiring};
use crate::tui::term::{self, Multiplexer};
use crate::tui::theme::Theme;
use crate::tui::view::Leave;

use link::{End, Link};
use outbox::Outbox;

/// The largest screen that is drawn.
const LARGEST: Size = Size { width: 400, height: 150 };
const USUAL: Size = Size { width: 80, height: 24 };
/// What a visitor typed and the session has not read yet, in messages.
const TYPED: usize = 16;

/// Why a session ended, as the page is told: the number says whether it should begin another one by itself.
const QUIT: u16 = 4000;
const IDLE: u16 = 4001;
const FULL: u16 = 4002;
/// The server goes, or who may do what is read anew: a new session is begun at once.
const RESTART: u16 = 1012;

/// Begins a session, over a WebSocket.
pub(super) async fn open(site: &Arc<Site>, call: &Call) -> Said {
    let accepted = handshake::accept(&call.headers, site.options.xheaders)?;
    let size = match call.text("size") {
        Some(text) => parse(text).ok_or_else(|| bad(format!("Invalid argument '{text}': COLUMNSxROWS is needed")))?,
        None => USUAL,
    };
    let visit = Visit {
        site: site.clone(),
        who: call.who.clone(),
        from: call.from,
        size,
        theme: if call.text("background") == Some("light") { Theme::light() } else { Theme::dark() },
        place: site.terminals.clone().try_acquire_owned().ok(),
    };
    Ok(accepted.then(|stream| async move { visit.run(Link::new(stream).await).await }.boxed()))
}

/// `120x40`, within what is drawn.
fn parse(text: &str) -> Option<Size> {
    let (width, height) = text.split_once('x')?;
    let (width, height): (u16, u16) = (width.parse().ok()?, height.parse().ok()?);
    Some(Size { width: width.clamp(1, LARGEST.width), height: height.clamp(1, LARGEST.height) })
}

/// Somebody in front of a browser.
struct Visit {
    site: Arc<Site>,
    who: Who,
    from: Option<IpAddr>,
    size: Size,
    theme: Theme,
    /// One of the places there are; none where all were taken.
    place: Option<OwnedSemaphorePermit>,
}

impl Visit {
    async fn run(self, mut link: Link) {
        if self.place.is_none() {
            let most = self.site.options.max_terminals;
            return link.close(FULL, &format!("all {most} terminals that may be open are: try again later")).await;
        }
        let (name, from) = (self.who.name.clone(), self.from.map(|ip| ip.to_string()).unwrap_or_default());
        tracing::info!("a terminal was opened by {name:?} from {from}, as {}", self.who.role.name());
        let stop = self.site.sittings.lock().child_token();
        let (typed, mut input) = mpsc::channel(TYPED);
        let (size, resized) = watch::channel(self.size);
        let outbox = Outbox::default();
        let wiring = Wiring { stop: stop.clone(), ..self.wiring(resized, outbox.untaken()) };
        let mut out = outbox.clone();
        let title = clean(&self.site.ops.broker.url());
        // It can't be full yet.
        let _ = term::begin(&mut out, true).and_then(|()| write!(out, "\x1b]2;flower-tui: {}\x07", title.as_str()));
        let mut session = Session::new(self.options(), out, wiring);
        let end = tokio::select! {
            left = session.run(&mut input) => match left {
                Ok(_) if stop.is_cancelled() => Some((RESTART, "the server ends, or has read its users anew".to_owned())),
                Ok(Leave::Idle) => {
                    let idle = human::seconds(self.site.options.terminal_idle.as_secs_f64());
                    Some((IDLE, format!("closed, because nothing was done for {idle}")))
                }
                Ok(_) => Some((QUIT, "the session has ended".to_owned())),
                Err(why) => {
                    tracing::warn!("a terminal of {name:?}: {why}");
                    Some((QUIT, "the session broke off".to_owned()))
                }
            },
            end = link.carry(&outbox, typed, |text| {
                let size = parse(text).map(|wanted| size.send_replace(wanted));
                size.map(drop)
            }) => match end {
                End::Gone => None,
                End::Wrong(why) => Some((1008, why.to_owned())),
            },
        };
        tracing::info!("a terminal of {name:?} was closed");
        if let Some((code, why)) = end {
            link.close(code, &why).await;
        }
    }

    fn wiring(&self, resized: watch::Receiver<Size>, untaken: watch::Receiver<usize>) -> Wiring {
        let site = &self.site;
        let mut ops = ops_of(site, &self.who, self.from);
        ops.origin.via = "web";
        let read_only = ops.read_only || self.who.role == Role::Viewer;
        Wiring {
            ops,
            locator: Locator { read_only, ..site.locator.clone() },
            feed: site.feed.another(),
            resized,
            stop: site.stop.clone(),
            true_color: true,
            multiplexer: Multiplexer::None,
            auto_theme: true,
            // There is no shell, no editor and no file for somebody who is elsewhere.
            terminal: None,
            keep: None,
            recorder: site.recorder.clone(),
            untaken,
            idle: Some(site.options.terminal_idle),
        }
    }

    fn options(&self) -> Options {
        let site = &self.site;
        Options {
            theme: self.theme,
            role: Some(self.who.role),
            read_only: site.ops.read_only,
            history: site.locator.history.clone(),
            // What is of this machine is not told.
            config: None,
            clusters: Vec::new(),
            offer: None,
            ..site.screen.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_never_larger_than_what_is_drawn() {
        assert_eq!(parse("120x40"), Some(Size { width: 120, height: 40 }));
        assert_eq!(parse("65535x0"), Some(Size { width: 400, height: 1 }));
        for wrong in ["", "x", "80", "80x-1", "80x24x1", "99999999x1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
