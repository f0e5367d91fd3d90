//! The terminal itself: raw mode and the way back, whatever happens; and its input as bytes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::{cursor, event, execute, terminal};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Asks for the background's colour; the answer comes as input, if at all.
const ASK_BACKGROUND: &str = "\x1b]11;?\x1b\\";
/// Asks where the cursor is: an answer shows that everything before it has arrived.
pub const ASK_CURSOR: &str = "\x1b[6n";
/// What is drawn between these two appears at once.
pub const BEGIN_FRAME: &str = "\x1b[?2026h";
pub const END_FRAME: &str = "\x1b[?2026l";

/// Restores the terminal when it goes.
pub struct Guard(());

impl Guard {
    /// Takes the terminal over, and makes sure that a panic gives it back first.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            leave();
            hook(info);
        }));
        terminal::enable_raw_mode()?;
        let guard = Guard(());
        set_up(mouse)?;
        Ok(guard)
    }
}

fn set_up(mouse: bool) -> io::Result<()> {
    begin(&mut io::stdout(), mouse)
}

/// Tells a terminal what we are going to do with it, and asks it for its background.
pub fn begin(out: &mut impl Write, mouse: bool) -> io::Result<()> {
    execute!(out, terminal::EnterAlternateScreen, cursor::Hide, event::EnableBracketedPaste, event::EnableFocusChange)?;
    if mouse {
        execute!(out, event::EnableMouseCapture)?;
    }
    write!(out, "{ASK_BACKGROUND}")?;
    out.flush()
}

/// How long it takes at most until a stop asked for has happened.
const STOP: Duration = Duration::from_millis(200);

/// Gives the terminal back to the shell, and stops the process (and what it was started with) as ctrl-z does
/// elsewhere; takes the terminal again when the shell lets it go on.
pub async fn suspend(mouse: bool) -> io::Result<()> {
    let mut goes_on = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    leave();
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    // Where no shell could let it go on, the system doesn't stop it, and nothing comes.
    let _ = tokio::time::timeout(STOP, goes_on.recv()).await;
    terminal::enable_raw_mode()?;
    set_up(mouse)
}

/// Held by whoever reads what is typed: by the thread of [`input`], or by a program that was lent the terminal.
static KEYS: Mutex<()> = Mutex::new(());
/// Whether another program has the terminal.
static LENT: AtomicBool = AtomicBool::new(false);

/// Gives the terminal to another program while `run` runs, and takes it again.
pub fn lend<R>(mouse: bool, run: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let _keys = KEYS.lock();
    LENT.store(true, Ordering::Relaxed);
    leave();
    let done = run();
    LENT.store(false, Ordering::Relaxed);
    terminal::enable_raw_mode()?;
    set_up(mouse)?;
    done
}

/// Whether another program has the terminal: its ctrl-c reaches us too, and is not meant for us.
pub fn is_lent() -> bool {
    LENT.load(Ordering::Relaxed)
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back. Errors can't be told to anybody here.
fn leave() {
    let mut out = io::stdout();
    let _ = execute!(
        out,
        event::DisableMouseCapture,
        event::DisableFocusChange,
        event::DisableBracketedPaste,
        cursor::Show,
        terminal::LeaveAlternateScreen
    );
    let _ = terminal::disable_raw_mode();
}

/// A program between us and the terminal that keeps escape sequences it doesn't know to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplexer {
    None,
    Tmux,
    Screen,
    /// One that lets nothing through to a clipboard, or a terminal that has none.
    Closed,
}

impl Multiplexer {
    /// Which one, by what it puts into the environment.
    pub fn from_environment(tmux: Option<&str>, term: Option<&str>) -> Self {
        match (tmux, term) {
            (Some(socket), _) if !socket.is_empty() => Multiplexer::Tmux,
            (_, Some(term)) if term.starts_with("screen") => Multiplexer::Screen,
            (_, Some("linux" | "vt100" | "vt220")) => Multiplexer::Closed,
            _ => Multiplexer::None,
        }
    }
}

/// Whether tmux lets a text through to the clipboard, by the values of its options `set-clipboard` and
/// `allow-passthrough`. Before version 3.3 it had no second one and let everything through.
pub fn tmux_lets_through(options: &str) -> bool {
    let mut options = options.split_whitespace();
    options.next() == Some("on") || options.next().is_none_or(|allow| matches!(allow, "on" | "all" | "1" | "2"))
}

/// Bytes of a sequence that terminals take: xterm, and others after it, drop what is longer.
const LONGEST: usize = 74_994;
/// Bytes of a string that GNU screen passes on in one piece.
const PIECE: usize = 512;

/// The sequence (OSC 52) that puts a text into the terminal's clipboard, wrapped so that it passes a multiplexer; or why
/// there is none.
pub fn to_clipboard(text: &str, through: Multiplexer) -> Result<String, &'static str> {
    let encoded = base64_simd::STANDARD.encode_to_string(text);
    if encoded.len() > LONGEST {
        return Err("it is too long for a terminal's clipboard");
    }
    let sequence = format!("\x1b]52;c;{encoded}\x07");
    Ok(match through {
        Multiplexer::Closed => return Err("the clipboard can't be reached from here"),
        Multiplexer::None => sequence,
        // Which of both it takes depends on its options; twice the same text does no harm.
        Multiplexer::Tmux => format!("{sequence}\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
        Multiplexer::Screen => {
            let mut pieces = String::new();
            let mut rest = sequence.as_str();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(PIECE));
                pieces += &format!("\x1bP{piece}\x1b\\");
                rest = more;
            }
            pieces
        }
    })
}

/// Bytes typed at the terminal, read by a thread of their own that lives as long as the process.
pub fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut buffer = [0; READ];
        loop {
            match read(&mut buffer) {
                Ok(Some(0)) => return,
                Ok(Some(n)) => {
                    if sender.blocking_send(buffer[..n].to_vec()).is_err() {
                        return;
                    }
                }
                Ok(None) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    });
    receiver
}

/// Waits for something to be typed, and reads it; nothing, where it was typed for somebody else meanwhile.
fn read(buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    let stdin = io::stdin();
    let typed = |limit: Option<&Timespec>| poll(&mut [PollFd::new(&stdin, PollFlags::IN)], limit);
    typed(None)?;
    let _keys = KEYS.lock();
    if typed(Some(&Timespec::default()))? == 0 {
        return Ok(None);
    }
    rustix::io::read(&stdin, buffer).map(Some)
}

/// Bytes read at once; a read that fills them may have ended within a sequence.
pub const READ: usize = 4096;

/// Columns and rows of the terminal.
pub fn size() -> io::Result<ratatui::layout::Size> {
    let (width, height) = terminal::size()?;
    Ok(ratatui::layout::Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_is_reached_through_a_multiplexer_too() {
        let plain = "\x1b]52;c;aGk=\x07";
        assert_eq!(to_clipboard("hi", Multiplexer::None).as_deref(), Ok(plain));
        let tmux = format!("{plain}\x1bPtmux;\x1b{plain}\x1b\\");
        assert_eq!(to_clipboard("hi", Multiplexer::Tmux), Ok(tmux));
        let screen = to_clipboard(&"x".repeat(1_000), Multiplexer::Screen).unwrap();
        let pieces: Vec<&str> = screen.split_terminator("\x1b\\").map(|p| p.strip_prefix("\x1bP").unwrap()).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(Ok(pieces.concat()), to_clipboard(&"x".repeat(1_000), Multiplexer::None));
        assert_eq!(Multiplexer::from_environment(Some("/tmp/tmux-0/default,1,0"), Some("screen")), Multiplexer::Tmux);
        assert_eq!(Multiplexer::from_environment(None, Some("screen.xterm")), Multiplexer::Screen);
        assert_eq!(Multiplexer::from_environment(None, Some("xterm")), Multiplexer::None);
    }

    #[test]
    fn where_no_clipboard_can_be_reached_that_is_said() {
        assert_eq!(Multiplexer::from_environment(None, Some("linux")), Multiplexer::Closed);
        assert!(to_clipboard("hi", Multiplexer::Closed).is_err());
        assert!(to_clipboard(&"x".repeat(60_000), Multiplexer::None).is_err(), "terminals would drop it");
        assert!(tmux_lets_through("on 0\n") && tmux_lets_through("external 1\n"));
        assert!(tmux_lets_through("external \n"), "an old one");
        assert!(!tmux_lets_through("external 0\n") && !tmux_lets_through("off 0\n"));
    }
}
