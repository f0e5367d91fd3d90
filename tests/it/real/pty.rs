//! Our binary in a pseudo-terminal, and the screen a person would see.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::cluster::wait_for;

/// See the module.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    state: Arc<Mutex<State>>,
}

struct State {
    parser: vt100::Parser,
    bytes: usize,
    ended: bool,
}

impl Screen {
    /// Starts a command that was made for an ordinary pipe.
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("pty");
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                builder.env(name, value);
            }
        }
        let child = pair.slave.spawn_command(builder).expect("spawned");
        drop(pair.slave);
        let state = State { parser: vt100::Parser::new(rows, columns, 0), bytes: 0, ended: false };
        let state = Arc::new(Mutex::new(state));
        let mut reader = pair.master.try_clone_reader().expect("reader");
        let shared = state.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => {
                        let mut state = shared.lock().expect("lock");
                        state.parser.process(&buffer[..n]);
                        state.bytes += n;
                    }
                }
            }
            shared.lock().expect("lock").ended = true;
        });
        let writer = pair.master.take_writer().expect("writer");
        Self { child, master: pair.master, writer, state }
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.state.lock().expect("lock").parser.screen().contents()
    }

    /// Bytes written to the terminal so far.
    pub fn bytes(&self) -> usize {
        self.state.lock().expect("lock").bytes
    }

    /// Types. `\r` is Enter, `\x1b` Esc.
    pub fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).expect("typed");
        self.writer.flush().expect("typed");
    }

    /// Waits until the screen shows a text.
    pub fn wait(&self, text: &str) -> String {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(text, || Some(self.text()).filter(|screen| screen.contains(text)))
        }));
        found.unwrap_or_else(|_| panic!("no {text:?} on the screen:\n{}", self.text()))
    }

    /// Says yes to a question as soon as that counts, and waits for what then appears.
    pub fn yes(&mut self, question: &str, then: &str) {
        self.wait(question);
        wait_for(then, || {
            // Behind the question a `y` means something else.
            if self.text().contains(question) {
                self.keys("y");
            }
            std::thread::sleep(std::time::Duration::from_millis(150));
            self.text().contains(then).then_some(())
        });
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.state.lock().expect("lock").parser.screen_mut().set_size(rows, columns);
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).expect("resized");
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.process_id().expect("pid").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    }

    /// Waits for the end; returns the exit status, and whether the terminal was given back as it was.
    pub fn end(&mut self) -> (u32, bool) {
        let status = wait_for("the end", || self.child.try_wait().expect("asked"));
        wait_for("the last output", || self.state.lock().expect("lock").ended.then_some(()));
        (status.exit_code(), self.is_restored())
    }

    /// Whether the terminal is as it was before the program.
    pub fn is_restored(&self) -> bool {
        let state = self.state.lock().expect("lock");
        let screen = state.parser.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
