//! Writes symbols where they belong: knows where the cursor stands and the pen at hand, and gets elsewhere by the
//! shortest way.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

use super::cells::{is_blank, width};
use super::pen::{Pen, Sequence, sequence};
use super::spans::{Ink, Span};

/// See the module.
#[derive(Clone)]
pub struct Stylus {
    pub bytes: Vec<u8>,
    pub pen: Pen,
    /// Where the cursor stands, unless terminals disagree on that.
    pub at: Option<(u16, u16)>,
    /// Columns of the screen.
    columns: u16,
}

/// Blanks from which on telling their number is shorter than writing them.
const MANY_BLANKS: usize = 6;

impl Stylus {
    pub fn new(pen: Pen, at: Option<(u16, u16)>, columns: u16) -> Self {
        Self { bytes: Vec::new(), pen, at, columns }
    }

    /// Writes runs of a frame.
    pub fn draw(&mut self, frame: &Buffer, spans: &[Span]) {
        for span in spans {
            let start = usize::from(span.y) * usize::from(self.columns);
            let line = frame.content.get(start..start + usize::from(self.columns)).unwrap_or_default();
            self.span(line, span);
        }
    }

    fn span(&mut self, line: &[Cell], span: &Span) {
        match span.ink {
            Ink::Pen(pen) => self.set_pen(pen),
            Ink::Blank(bg) if !self.pen.leaves_blank(bg) => self.set_pen(self.pen.for_blank(bg)),
            Ink::Blank(_) => {}
        }
        let to = usize::from(span.to);
        let mut x = usize::from(span.from);
        while x < to {
            let rest = line.get(x..).unwrap_or_default();
            let blanks = rest.iter().take_while(|c| is_blank(c) && c.bg == Color::Reset).count();
            let inside = blanks.min(to - x);
            self.go(x as u16, span.y);
            if blanks == rest.len() && inside > 3 {
                // Blank to the end of the line.
                self.bytes.extend_from_slice(b"\x1b[K");
                return;
            }
            if inside >= MANY_BLANKS && (x + inside == to || inside > 2 * MANY_BLANKS) {
                self.bytes.extend_from_slice(sequence(format_args!("\x1b[{inside}X")).as_bytes());
                x += inside;
                continue;
            }
            let plain = inside.max(1);
            for cell in rest.iter().take(plain) {
                self.put(cell.symbol());
            }
            x += plain;
        }
    }

    fn put(&mut self, symbol: &str) {
        // The second half of a wide symbol was written with the first.
        if symbol.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(symbol.as_bytes());
        // Terminals disagree on how wide anything but a plain letter is, and on what comes after the last column.
        let plain = width(symbol) == 1 && symbol.chars().nth(1).is_none();
        self.at = self.at.filter(|(x, _)| plain && x + 1 < self.columns).map(|(x, y)| (x + 1, y));
    }

    /// Changes colours and attributes.
    pub fn set_pen(&mut self, pen: Pen) {
        self.bytes.extend_from_slice(self.pen.change(pen).as_bytes());
        self.pen = pen;
    }

    /// Moves the cursor.
    pub fn go(&mut self, x: u16, y: u16) {
        let way = way(self.at, (x, y));
        self.bytes.extend_from_slice(way.as_bytes());
        self.at = Some((x, y));
    }
}

/// A sequence with a number that needn't be told when it is one.
pub fn counted(n: usize, letter: char) -> Sequence {
    if n == 1 { sequence(format_args!("\x1b[{letter}")) } else { sequence(format_args!("\x1b[{n}{letter}")) }
}

/// The shortest of the ways that lead there.
fn way(from: Option<(u16, u16)>, (x, y): (u16, u16)) -> Sequence {
    let absolute = match (x, y) {
        (0, 0) => sequence(format_args!("\x1b[H")),
        (0, _) => sequence(format_args!("\x1b[{}H", y + 1)),
        (_, 0) => sequence(format_args!("\x1b[;{}H", x + 1)),
        _ => sequence(format_args!("\x1b[{};{}H", y + 1, x + 1)),
    };
    let Some((from_x, from_y)) = from else { return absolute };
    let down = y.saturating_sub(from_y);
    let vertical = match from_y.saturating_sub(y) {
        // A line feed keeps the column: the terminal is in raw mode.
        0 if down < 4 => sequence(format_args!("{}", &"\n\n\n"[..usize::from(down)])),
        0 => counted(down.into(), 'B'),
        up => counted(up.into(), 'A'),
    };
    let aside = match (x.saturating_sub(from_x), from_x.saturating_sub(x)) {
        (0, 0) => Sequence::new(),
        (0, left) if left < 4 => sequence(format_args!("{}", &"\x08\x08\x08"[..usize::from(left)])),
        (0, left) => counted(left.into(), 'D'),
        (right, _) => counted(right.into(), 'C'),
    };
    let from_edge = match x {
        0 => sequence(format_args!("\r")),
        x => sequence(format_args!("\r{}", counted(x.into(), 'C'))),
    };
    let aside = if from_edge.len() < aside.len() { from_edge } else { aside };
    if vertical.len() + aside.len() < absolute.len() { sequence(format_args!("{vertical}{aside}")) } else { absolute }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_way_is_taken() {
        assert_eq!(&*way(None, (0, 0)), "\x1b[H");
        assert_eq!(&*way(None, (4, 0)), "\x1b[;5H");
        assert_eq!(&*way(Some((4, 7)), (4, 7)), "");
        assert_eq!(&*way(Some((4, 7)), (3, 7)), "\x08");
        assert_eq!(&*way(Some((4, 7)), (4, 8)), "\n");
        assert_eq!(&*way(Some((40, 7)), (0, 8)), "\n\r");
        assert_eq!(&*way(Some((110, 7)), (3, 7)), "\r\x1b[3C");
        assert_eq!(&*way(Some((40, 7)), (41, 7)), "\x1b[C");
        assert_eq!(&*way(Some((40, 7)), (40, 30)), "\x1b[23B");
        assert_eq!(&*way(Some((40, 7)), (100, 30)), "\x1b[31;101H");
        assert_eq!(&*way(Some((40, 7)), (40, 6)), "\x1b[A");
    }
}
