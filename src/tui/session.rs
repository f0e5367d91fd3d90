//! One person at one terminal: an [`App`], where its keys come from, and where its frames go. Several can run in one
//! process.

mod bulks;
mod lookups;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::layout::Size;
use ratatui::style::Color;
use rustix::time::{ClockId, clock_gettime};
use termina::escape::csi::{Csi, Cursor};
use termina::escape::osc::Osc;
use termina::event::{KeyEventKind, MouseButton, MouseEventKind};
use termina::{Event, Parser};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Key;
use super::app::{App, Bulked, Do, Options, Prepared, Told, Wanted, World};
use super::editor;
use super::pace::Pace;
use super::paint::Painter;
use super::term::{self, ASK_CURSOR, BEGIN_FRAME, END_FRAME, Multiplexer, READ};
use super::theme::{Role, Theme};
use super::view::Leave;
use crate::export::{self, Export};
use crate::feed::Feed;
use crate::history::audit::Logged;
use crate::history::lookup::{Found, Ticket};
use crate::history::writer::Recorder;
use crate::human;
use crate::ops::locate::{Answer, Locator};
use crate::ops::{Course, Error, Ops, Receipt};
use crate::state::Fill;
use crate::state::common::Common;

/// Both ends of a bounded channel.
type Channel<T> = (mpsc::Sender<T>, mpsc::Receiver<T>);

/// What a session is connected to.
pub struct Wiring {
    pub ops: Ops,
    /// Everybody who can be asked where a task is.
    pub locator: Locator,
    pub feed: Feed,
    pub resized: watch::Receiver<Size>,
    pub stop: CancellationToken,
    /// The terminal shows 16 million colours; else 256 are used.
    pub true_color: bool,
    /// What stands between us and the terminal.
    pub multiplexer: Multiplexer,
    /// The theme follows the terminal's background once that is known.
    pub auto_theme: bool,
    /// The process's own terminal: the session can be suspended with it.
    pub terminal: Option<Own>,
    /// Keeps the broker one is on under a name, and says what came of it. Slow: it writes a file.
    pub keep: Option<Keeper>,
    /// Writes the history down, where this process does.
    pub recorder: Option<Recorder>,
    /// Bytes that were written and not taken yet: until they are, the next frame waits, and shows what is newest then.
    pub untaken: watch::Receiver<usize>,
    /// Ends where nobody does anything for so long.
    pub idle: Option<Duration>,
}

/// See [`Wiring::keep`].
pub type Keeper = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// How the process's own terminal was set up.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    pub mouse: bool,
}

/// See the module.
pub struct Session<W: Write> {
    app: App,
    out: W,
    painter: Painter,
    parser: Parser,
    size: Size,
    pace: Pace,
    wiring: Wiring,
    receipts: Channel<Receipt>,
    /// Tasks to be sent again, looked up.
    prepared: Channel<Prepared>,
    /// What was found out about bulk actions.
    bulks: Channel<Result<Bulked, Error>>,
    /// Finished scans, with the tab that wanted them.
    scans: Channel<(usize, Fill)>,
    /// What chosen tasks have in common, with the view that asked.
    commons: Channel<(usize, Common)>,
    /// What was found in the history, with the view that asked for it.
    lookups: Channel<(usize, Ticket, Found)>,
    /// The audit log, where it was asked for.
    logs: Channel<Result<Vec<Logged>, String>>,
    /// Steps of commands that take several.
    steps: Channel<String>,
    /// Stops those that are under way.
    stop_steps: CancellationToken,
    /// What was looked for in the whole cluster, with the view that asked for it.
    searches: Channel<(usize, Ticket, Answer)>,
    /// What came of files that were written, and whether of an export.
    told: Channel<(Told, bool)>,
    /// Set when the file that is being written is not wanted any more.
    stop_export: Arc<AtomicBool>,
    /// A key was pressed since the last frame.
    key_dirty: bool,
    /// Something else changed.
    data_dirty: bool,
    /// Asked to go back to the shell for a while.
    suspending: bool,
    /// A text that is to be edited in an editor.
    editing: Option<String>,
    /// When somebody did something.
    touched: Instant,
}

/// Bytes that appear at once without being marked as one frame.
const AT_ONCE: usize = 256;
/// Commands after which processes come and go for a while.
const POOL_VERBS: [&str; 5] = ["grow", "shrink", "total", "autoscale", "restart-pool"];
/// How long a pool takes to have the size it was told.
const SETTLES: Duration = Duration::from_secs(2);
/// How often the progress of a file is told.
const PROGRESS: Duration = Duration::from_millis(500);
/// A second of the header's clock.
const SECOND: Duration = Duration::from_secs(1);
/// CPU of a frame of which the log tells: half of what there is for one.
const LONG: Duration = Duration::from_millis(8);

impl<W: Write> Session<W> {
    /// A session on a terminal of the size the wiring tells.
    pub fn new(options: Options, out: W, wiring: Wiring) -> Self {
        let size = *wiring.resized.borrow();
        let pace = Pace::new(options.fps, options.refresh);
        Self {
            app: App::new(options),
            out,
            painter: Painter::new(size),
            parser: Parser::default(),
            size,
            pace,
            wiring,
            receipts: mpsc::channel(256),
            prepared: mpsc::channel(4),
            bulks: mpsc::channel(4),
            scans: mpsc::channel(16),
            commons: mpsc::channel(4),
            // Who looks things up waits for the screen to show them.
            lookups: mpsc::channel(4),
            logs: mpsc::channel(4),
            steps: mpsc::channel(256),
            stop_steps: CancellationToken::new(),
            searches: mpsc::channel(16),
            told: mpsc::channel(16),
            stop_export: Arc::default(),
            key_dirty: true,
            data_dirty: true,
            suspending: false,
            editing: None,
            touched: Instant::now(),
        }
    }

    /// The theme in force, which may have followed the terminal's background.
    pub fn theme(&self) -> Theme {
        self.app.options.theme
    }

    /// Runs until the person leaves or the process is told to end.
    pub async fn run(&mut self, input: &mut mpsc::Receiver<Vec<u8>>) -> io::Result<Leave> {
        let mut seen = 0;
        let store = self.wiring.ops.store.clone();
        let stop = self.wiring.stop.clone();
        let (mut link, mut health) = (self.wiring.feed.link.clone(), self.wiring.feed.health.clone());
        let mut known = link.borrow_and_update().clone();
        let mut resized = self.wiring.resized.clone();
        let mut untaken = self.wiring.untaken.clone();
        let mut clock = tokio::time::interval(SECOND);
        self.draw(false)?;
        loop {
            self.wiring.feed.set_interest(self.app.interest());
            let due = self.due();
            let may_draw = *untaken.borrow_and_update() == 0 && (self.key_dirty || self.data_dirty);
            let over = self.wiring.idle.map(|idle| self.touched + idle);
            let leave = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Leave::Quit),
                bytes = input.recv() => match bytes {
                    Some(bytes) => self.take(&bytes),
                    // The terminal is gone.
                    None => return Ok(Leave::Quit),
                },
                Some(receipt) = self.receipts.1.recv() => {
                    self.ask_again(&receipt);
                    self.app.done(receipt, self.wiring.ops.clock.now());
                    if self.app.shows_overrides() {
                        self.read_log();
                    }
                    self.key_dirty = true;
                    None
                }
                Some(log) = self.logs.1.recv() => {
                    self.app.overrides(log);
                    self.key_dirty = true;
                    None
                }
                Some(step) = self.steps.1.recv() => {
                    self.app.stepped(step, self.wiring.ops.clock.now());
                    self.key_dirty = true;
                    None
                }
                Some(prepared) = self.prepared.1.recv() => {
                    let (store, now) = (self.wiring.ops.store.clone(), self.wiring.ops.clock.now());
                    store.read(|m| self.app.prepared(prepared, m, now));
                    self.key_dirty = true;
                    None
                }
                Some(bulked) = self.bulks.1.recv() => {
                    self.app.bulked(bulked, self.wiring.ops.clock.now());
                    self.key_dirty = true;
                    None
                }
                Some((tab, fill)) = self.scans.1.recv() => {
                    let before = self.app.scanned(tab, fill);
                    tokio::task::spawn_blocking(move || drop(before));
                    self.key_dirty = true;
                    None
                }
                Some((place, common)) = self.commons.1.recv() => {
                    self.app.compared(place, common);
                    self.key_dirty = true;
                    None
                }
                Some((place, ticket, found)) = self.lookups.1.recv() => self.looked_up(place, &ticket, found),
                Some((place, ticket, answer)) = self.searches.1.recv() => {
                    self.app.searched(place, &ticket, answer);
                    self.key_dirty = true;
                    None
                }
                Some((told, export)) = self.told.1.recv() => {
                    let now = self.wiring.ops.clock.now();
                    if export { self.app.exported(&told, now) } else { self.app.told(&told, now) }
                    self.key_dirty = true;
                    None
                }
                Ok(()) = resized.changed() => {
                    self.resize(*resized.borrow_and_update());
                    None
                }
                () = tokio::time::sleep_until(due.into()), if may_draw => {
                    let data_only = !self.key_dirty;
                    self.draw(data_only)?;
                    None
                }
                Ok(()) = untaken.changed() => None,
                () = tokio::time::sleep_until(over.unwrap_or(due).into()), if over.is_some() => Some(Leave::Idle),
                version = store.changed(seen) => {
                    seen = version;
                    self.data_dirty = true;
                    store.read(|m| self.app.keep_up(m));
                    None
                }
                Ok(()) = link.changed() => {
                    let now = link.borrow_and_update().clone();
                    // When the next try comes is counted down by the clock.
                    self.key_dirty |= now.is_news(&known);
                    known = now;
                    None
                }
                Ok(()) = health.changed() => {
                    health.borrow_and_update();
                    self.data_dirty = true;
                    None
                }
                _ = clock.tick() => {
                    self.data_dirty = true;
                    None
                }
            };
            if let Some(leave) = leave {
                return Ok(leave);
            }
            if std::mem::take(&mut self.suspending) {
                self.suspend().await?;
            }
            if let Some(text) = self.editing.take() {
                self.edit(text).await?;
            }
        }
    }

    /// What a command changed is seen at once, not with the next round of questions.
    fn ask_again(&self, receipt: &Receipt) {
        self.wiring.feed.refresh();
        if POOL_VERBS.contains(&receipt.verb) {
            let (feed, stop) = (self.wiring.feed.clone(), self.wiring.stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(SETTLES) => feed.refresh(),
                }
            });
        }
    }

    /// Stops with the process, and draws everything anew when it goes on.
    async fn suspend(&mut self) -> io::Result<()> {
        let Some(own) = self.wiring.terminal else { return Ok(()) };
        term::suspend(own.mouse).await?;
        self.pace.watched(true);
        // A change of size in the meantime was told to the shell only.
        self.resize(term::size()?);
        Ok(())
    }

    /// Gives the terminal to an editor, and draws everything anew when it has ended.
    async fn edit(&mut self, text: String) -> io::Result<()> {
        let edited = match self.wiring.terminal {
            None => Err("there is no terminal to run an editor in".to_owned()),
            Some(own) => {
                let stop = self.wiring.stop.clone();
                let work = move || editor::edit(&text, own.mouse, &|| stop.is_cancelled());
                let edited = tokio::task::spawn_blocking(work).await;
                self.pace.watched(true);
                self.resize(term::size()?);
                edited.unwrap_or_else(|why| Err(why.to_string()))
            }
        };
        self.app.edited(edited, self.wiring.ops.clock.now());
        self.key_dirty = true;
        Ok(())
    }

    fn due(&self) -> Instant {
        if self.key_dirty {
            return self.pace.key_frame();
        }
        let wished = if self.app.is_paused() { SECOND } else { self.app.pause_between() };
        self.pace.data_frame(wished)
    }

    fn resize(&mut self, size: Size) {
        self.size = size;
        self.painter.resize(size);
        self.key_dirty = true;
    }

    /// Takes what was typed.
    fn take(&mut self, bytes: &[u8]) -> Option<Leave> {
        self.parser.parse(bytes, bytes.len() == READ);
        while let Some(event) = self.parser.pop() {
            let done = self.event(event);
            for what in done {
                if let Some(leave) = self.carry_out(what) {
                    return Some(leave);
                }
            }
        }
        None
    }

    fn event(&mut self, event: Event) -> Vec<Do> {
        let store = self.wiring.ops.store.clone();
        let (link, health) = (self.wiring.feed.link.borrow().clone(), self.wiring.feed.health.borrow().clone());
        let world = World { now: self.wiring.ops.clock.now(), link: &link, health: health.as_ref(), size: self.size };
        if matches!(event, Event::Key(_) | Event::Paste(_) | Event::Mouse(_)) {
            self.touched = Instant::now();
        }
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let Some(key) = Key::from_event(&key) else { return Vec::new() };
                self.key_dirty = true;
                store.read(|m| self.app.key(&key, m, &world))
            }
            Event::Paste(text) => {
                self.key_dirty = true;
                store.read(|m| self.app.paste(&text, m, &world))
            }
            Event::Mouse(mouse) => {
                self.key_dirty |= !matches!(mouse.kind, MouseEventKind::Moved);
                match mouse.kind {
                    MouseEventKind::Down(MouseButton::Left) => {
                        store.read(|m| self.app.click(mouse.column, mouse.row, m, &world))
                    }
                    MouseEventKind::Drag(MouseButton::Left) => {
                        self.app.drag(mouse.column, mouse.row, self.size);
                        Vec::new()
                    }
                    MouseEventKind::ScrollDown => store.read(|m| self.app.wheel(true, m, &world)),
                    MouseEventKind::ScrollUp => store.read(|m| self.app.wheel(false, m, &world)),
                    _ => Vec::new(),
                }
            }
            Event::Csi(Csi::Cursor(Cursor::ActivePositionReport { .. })) => {
                self.pace.answered();
                self.app.set_round_trip(self.pace.round_trip());
                Vec::new()
            }
            Event::FocusIn | Event::FocusOut => {
                let watched = event == Event::FocusIn;
                self.pace.watched(watched);
                self.key_dirty |= watched;
                Vec::new()
            }
            Event::Osc(osc) => {
                self.background(&osc);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The terminal told its background: the theme follows, unless one was asked for.
    fn background(&mut self, osc: &Osc<'_>) {
        if let (true, Some(brightness)) = (self.wiring.auto_theme, brightness(&osc.to_string())) {
            self.app.options.theme = Theme::for_background(brightness);
            self.key_dirty = true;
        }
    }

    fn carry_out(&mut self, what: Do) -> Option<Leave> {
        match what {
            Do::Run(command) => {
                let (ops, sender, steps) = (self.wiring.ops.clone(), self.receipts.0.clone(), self.steps.0.clone());
                // Where the screen is slow, a step that is not shown is still in the receipt.
                let tell = move |step| drop(steps.try_send(step));
                let mut course = Course::telling(tell);
                course.stop = self.stop_steps.clone();
                tokio::spawn(async move {
                    let receipt = ops.run_along(&command, &course).await;
                    // Nobody is there to be told when the session has ended.
                    let _ = sender.send(receipt).await;
                });
            }
            Do::ReadLog => self.read_log(),
            Do::StopSteps => std::mem::take(&mut self.stop_steps).cancel(),
            Do::Refresh => self.wiring.feed.refresh(),
            Do::Copy(text) => self.copy(text),
            Do::Export(export) => self.export(export),
            Do::Prepare(wanted) => self.prepare(wanted),
            Do::Bulk(wish) => self.bulk(wish),
            Do::StopExport => self.stop_export.store(true, Ordering::Relaxed),
            Do::Keep(name) => self.keep(name),
            Do::Redraw => {
                self.painter.forget();
                self.key_dirty = true;
            }
            Do::Edit(text) => self.editing = Some(text),
            Do::Suspend if self.wiring.terminal.is_some() => self.suspending = true,
            Do::Suspend => {
                let now = self.wiring.ops.clock.now();
                self.app.say("there is no shell to go back to", Role::Warn, now);
            }
            Do::Leave(leave) if leave != Leave::Quit && self.wiring.terminal.is_none() => {
                let now = self.wiring.ops.clock.now();
                self.app.say("other clusters are not reached from here", Role::Warn, now);
            }
            Do::Leave(leave) => return Some(leave),
        }
        None
    }

    /// Looks up what tasks were sent with.
    fn prepare(&self, wanted: Wanted) {
        let (ops, sender) = (self.wiring.ops.clone(), self.prepared.0.clone());
        tokio::spawn(async move {
            let found = ops.prepare(&wanted.ids, &wanted.options).await;
            // The session may have ended meanwhile.
            let _ = sender.send(Prepared { found, refused: wanted.refused }).await;
        });
    }

    /// Over SSH the clipboard is the one of the terminal at the person's end: it is told by an escape sequence.
    fn copy(&mut self, text: String) {
        let sequence = match term::to_clipboard(&text, self.wiring.multiplexer) {
            Ok(sequence) => sequence,
            Err(why) => return self.app.show_text(text, why),
        };
        let sent = self.out.write_all(sequence.as_bytes()).and_then(|()| self.out.flush());
        if let Err(error) = sent {
            self.app.say(&format!("can't copy: {error}"), Role::Fail, self.wiring.ops.clock.now());
        }
    }

    fn read_log(&self) {
        let (ops, sender) = (self.wiring.ops.clone(), self.logs.0.clone());
        // Nobody is there to be told when the session has ended.
        tokio::task::spawn_blocking(move || drop(sender.blocking_send(ops.logged())));
    }

    /// Writes a file beside the screen, which stays as quick as it was.
    fn export(&mut self, export: Export) {
        let sender = self.told.0.clone();
        if self.wiring.terminal.is_none() {
            // Whoever looks through a browser has no files here.
            let told = Told::Failed("files are written only where flower-tui runs in a terminal".into());
            self.app.exported(&told, self.wiring.ops.clock.now());
            return;
        }
        let store = self.wiring.ops.store.clone();
        let stop = Arc::new(AtomicBool::new(false));
        self.stop_export = stop.clone();
        tokio::task::spawn_blocking(move || {
            let mut said = Instant::now();
            let written = export::run(&store, &export, |going| {
                if said.elapsed() >= PROGRESS {
                    said = Instant::now();
                    let (rows, percent) = (human::plural(going.rows, "row"), (going.share * 100.0) as u64);
                    // Where the screen is slow, this progress is not worth waiting for.
                    let _ = sender.try_send((Told::Going(format!("{percent} % done, {rows} …")), true));
                }
                !stop.load(Ordering::Relaxed)
            });
            let told = match written {
                Ok(written) => Told::Done(format!(
                    "wrote {} ({}) to {}",
                    human::plural(written.rows, "row"),
                    human::bytes(written.bytes),
                    written.path.display()
                )),
                Err(why) => Told::Failed(why),
            };
            // Nobody is there to be told when the session has ended.
            let _ = sender.blocking_send((told, true));
        });
    }

    fn keep(&mut self, name: String) {
        let (Some(keep), sender) = (self.wiring.keep.clone(), self.told.0.clone()) else { return };
        tokio::task::spawn_blocking(move || {
            let told = match keep(&name) {
                Ok(text) => Told::Done(text),
                Err(why) => Told::Failed(why),
            };
            let _ = sender.blocking_send((told, false));
        });
    }

    fn draw(&mut self, data_only: bool) -> io::Result<()> {
        let (spent, store) = (cpu(), self.wiring.ops.store.clone());
        let (link, health) = (self.wiring.feed.link.borrow().clone(), self.wiring.feed.health.borrow().clone());
        let now = self.wiring.ops.clock.now();
        let world = World { now, link: &link, health: health.as_ref(), size: self.size };
        self.app.set_recording(self.wiring.recorder.as_ref().map(Recorder::status));
        store.read(|m| self.app.sync(m, &world));
        for (tab, request) in self.app.wanted_scans() {
            let (store, sender) = (store.clone(), self.scans.0.clone());
            tokio::task::spawn_blocking(move || {
                let scan = store.scan(&request);
                // The session may have ended meanwhile.
                let _ = sender.blocking_send((tab, scan));
            });
        }
        for (place, chosen) in self.app.wanted_common() {
            let (store, sender) = (store.clone(), self.commons.0.clone());
            tokio::task::spawn_blocking(move || drop(sender.blocking_send((place, store.common(&chosen)))));
        }
        self.look_up();
        self.search();
        let frame = self.painter.frame();
        let cursor = self.app.draw(frame, now);
        if !self.wiring.true_color {
            reduce_colors(frame);
        }
        let drawn = self.painter.paint(cursor);
        let asks = data_only && !drawn.is_empty() && self.pace.wants_answer(drawn.len());
        let begun = Instant::now();
        self.flush(&drawn, asks)?;
        self.pace.drew(begun.elapsed(), asks);
        self.key_dirty = false;
        self.data_dirty = false;
        let spent = cpu().saturating_sub(spent);
        if spent > LONG {
            tracing::warn!("a frame took {:.1} ms of CPU", spent.as_secs_f64() * 1e3);
        }
        Ok(())
    }

    /// Writes a frame, if anything changed on it.
    fn flush(&mut self, drawn: &[u8], asks: bool) -> io::Result<()> {
        if drawn.is_empty() {
            return Ok(());
        }
        let whole = drawn.len() > AT_ONCE;
        let mut bytes = Vec::with_capacity(drawn.len() + 24);
        bytes.extend_from_slice(if whole { BEGIN_FRAME.as_bytes() } else { b"" });
        bytes.extend_from_slice(drawn);
        bytes.extend_from_slice(if whole { END_FRAME.as_bytes() } else { b"" });
        if asks {
            bytes.extend_from_slice(ASK_CURSOR.as_bytes());
        }
        self.out.write_all(&bytes)?;
        self.out.flush()
    }
}

/// What this thread has spent so far.
fn cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// The brightness in an answer such as `]11;rgb:1e1e/2020/2626`, from 0 to 1.
fn brightness(osc: &str) -> Option<f32> {
    let (_, rest) = osc.split_once("11;rgb:")?;
    let channels: Vec<f32> = rest
        .split('/')
        .take(3)
        .filter_map(|part| {
            let hex: String = part.chars().take_while(char::is_ascii_hexdigit).take(4).collect();
            let top = 16u32.pow(hex.len() as u32) - 1;
            Some(u32::from_str_radix(&hex, 16).ok()? as f32 / top.max(1) as f32)
        })
        .collect();
    match channels[..] {
        [r, g, b] => Some(0.299 * r + 0.587 * g + 0.114 * b),
        _ => None,
    }
}

/// Colours of the 256 that every terminal knows, nearest to those asked for.
fn reduce_colors(buffer: &mut ratatui::buffer::Buffer) {
    let reduce = |color: Color| match color {
        Color::Rgb(r, g, b) => Color::Indexed(nearest_indexed(r, g, b)),
        other => other,
    };
    for cell in &mut buffer.content {
        cell.fg = reduce(cell.fg);
        cell.bg = reduce(cell.bg);
    }
}

fn nearest_indexed(r: u8, g: u8, b: u8) -> u8 {
    let (low, high) = (r.min(g).min(b), r.max(g).max(b));
    if high - low < 16 {
        let gray = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
        return 232 + (gray.saturating_sub(8) / 10).min(23) as u8;
    }
    let level = |c: u8| match c {
        0..48 => 0,
        48..115 => 1,
        _ => (c - 35) / 40,
    };
    16 + 36 * level(r) + 6 * level(g) + level(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_is_read_from_any_spelling() {
        assert!(brightness("\x1b]11;rgb:ffff/ffff/ffff\x1b\\").is_some_and(|b| b > 0.99));
        assert!(brightness("]11;rgb:1e/20/26").is_some_and(|b| b < 0.2));
        assert_eq!(brightness("]11;?"), None);
    }

    #[test]
    fn grays_stay_gray_in_256_colours() {
        assert!((232..=255).contains(&nearest_indexed(0x8b, 0x94, 0x9e)) || nearest_indexed(0x8b, 0x94, 0x9e) < 232);
        assert_eq!(nearest_indexed(255, 0, 0), 196);
    }
}
