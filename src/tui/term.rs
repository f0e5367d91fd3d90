//! The terminal itself: raw mode and the way back, whatever happens; and its input as bytes.

use std::io::{self, Read, Write};
use std::time::Duration;

use crossterm::{cursor, event, execute, terminal};
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
    let mut out = io::stdout();
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
}

impl Multiplexer {
    /// Which one, by what it puts into the environment.
    pub fn from_environment(tmux: Option<&str>, term: Option<&str>) -> Self {
        match (tmux, term) {
            (Some(socket), _) if !socket.is_empty() => Multiplexer::Tmux,
            (_, Some(term)) if term.starts_with("screen") => Multiplexer::Screen,
            _ => Multiplexer::None,
        }
    }
}

/// The sequence (OSC 52) that puts a text into the terminal's clipboard, wrapped so that it passes a multiplexer.
pub fn to_clipboard(text: &str, through: Multiplexer) -> String {
    use base64::Engine;
    let sequence = format!("\x1b]52;c;{}\x07", base64::engine::general_purpose::STANDARD.encode(text));
    match through {
        Multiplexer::None => sequence,
        Multiplexer::Tmux => format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
        Multiplexer::Screen => format!("\x1bP{sequence}\x1b\\"),
    }
}

/// Bytes typed at the terminal, read by a thread of their own that lives as long as the process.
pub fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut buffer = [0; READ];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => {
                    if sender.blocking_send(buffer[..n].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
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
        assert_eq!(to_clipboard("hi", Multiplexer::None), "\x1b]52;c;aGk=\x07");
        assert_eq!(to_clipboard("hi", Multiplexer::Tmux), "\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\");
        assert_eq!(Multiplexer::from_environment(Some("/tmp/tmux-0/default,1,0"), Some("screen")), Multiplexer::Tmux);
        assert_eq!(Multiplexer::from_environment(None, Some("screen.xterm")), Multiplexer::Screen);
        assert_eq!(Multiplexer::from_environment(None, Some("xterm")), Multiplexer::None);
    }
}
