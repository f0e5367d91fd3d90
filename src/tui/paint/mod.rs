//! From a frame to the fewest bytes that turn what the terminal shows into it: over SSH every byte counts.
//!
//! The painter remembers what the terminal shows, where its cursor stands and with which pen it writes, also from one
//! frame to the next. A frame is encoded in every way that is known here, and the shortest is sent.

mod cells;
mod pen;
mod scroll;
mod slide;
mod spans;
mod stylus;

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};

use pen::Pen;
use stylus::Stylus;

/// Plain pen, cursor at the top left, nothing on the screen.
const CLEAR: &[u8] = b"\x1b[m\x1b[H\x1b[2J";
const SHOW_CURSOR: &[u8] = b"\x1b[?25h";
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";

/// Bytes from which on it is worth looking for what moved.
const LONG: usize = 64;

/// See the module.
pub struct Painter {
    /// What the terminal shows, unless it was forgotten.
    shown: Buffer,
    /// The frame being made.
    next: Buffer,
    pen: Pen,
    at: Option<(u16, u16)>,
    cursor_shown: bool,
    forgotten: bool,
}

impl Painter {
    /// A painter for a terminal of which nothing is known but its size.
    pub fn new(size: Size) -> Self {
        let empty = Buffer::empty(Rect::new(0, 0, size.width, size.height));
        Self { shown: empty.clone(), next: empty, pen: Pen::default(), at: None, cursor_shown: false, forgotten: true }
    }

    /// The terminal has another size now.
    pub fn resize(&mut self, size: Size) {
        *self = Self::new(size);
    }

    /// Somebody else wrote to the terminal: the next frame is painted from nothing.
    pub fn forget(&mut self) {
        self.forgotten = true;
    }

    /// The next frame, empty.
    pub fn frame(&mut self) -> &mut Buffer {
        self.next.reset();
        &mut self.next
    }

    /// What has to be written so that the terminal shows the frame, and the cursor where a field is open. Nothing when
    /// it does already.
    pub fn paint(&mut self, cursor: Option<(u16, u16)>) -> Vec<u8> {
        cells::settle(&mut self.next);
        let mut bytes = Vec::new();
        if std::mem::take(&mut self.forgotten) {
            bytes.extend_from_slice(CLEAR);
            bytes.extend_from_slice(HIDE_CURSOR);
            self.shown.reset();
            (self.pen, self.at, self.cursor_shown) = (Pen::default(), Some((0, 0)), false);
        }
        let mut drawn = self.shortest();
        if let Some((x, y)) = cursor {
            drawn.go(x, y);
        }
        bytes.append(&mut drawn.bytes);
        (self.pen, self.at) = (drawn.pen, drawn.at);
        if cursor.is_some() != self.cursor_shown {
            bytes.extend_from_slice(if cursor.is_some() { SHOW_CURSOR } else { HIDE_CURSOR });
            self.cursor_shown = cursor.is_some();
        }
        std::mem::swap(&mut self.shown, &mut self.next);
        bytes
    }

    fn stylus(&self) -> Stylus {
        Stylus::new(self.pen, self.at, self.next.area.width)
    }

    /// The frame with what moved moved first and without, in each order: the shortest of them.
    fn shortest(&self) -> Stylus {
        let mut best = self.either_order(&self.stylus(), &self.shown);
        if best.bytes.len() < LONG {
            return best;
        }
        let (mut scrolled, mut slid) = ((self.shown.clone(), self.stylus()), (self.shown.clone(), self.stylus()));
        scroll::apply(&mut scrolled.0, &self.next, &mut scrolled.1);
        slide::apply(&mut slid.0, &self.next, &mut slid.1);
        for (shown, stylus) in [scrolled, slid].into_iter().filter(|(_, stylus)| !stylus.bytes.is_empty()) {
            let tried = self.either_order(&stylus, &shown);
            if tried.bytes.len() < best.bytes.len() {
                best = tried;
            }
        }
        best
    }

    /// Line by line, or colour by colour: a move of the cursor is shorter than a change of colour.
    fn either_order(&self, from: &Stylus, shown: &Buffer) -> Stylus {
        let spans = spans::between(shown, &self.next);
        let mut lines = from.clone();
        lines.draw(&self.next, &spans);
        let mut colors = from.clone();
        colors.draw(&self.next, &spans::by_pen(&spans, from.pen));
        if colors.bytes.len() < lines.bytes.len() { colors } else { lines }
    }
}

#[cfg(test)]
mod tests;
