//! Colours and attributes, and the shortest way to change them.

use std::fmt::{self, Write};

use arrayvec::ArrayString;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::cells::VISIBLE_ON_BLANK;

/// What the terminal writes with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pen {
    pub fg: Color,
    pub bg: Color,
    pub modifier: Modifier,
}

/// Attribute, what switches it on, what off.
const ATTRIBUTES: [(Modifier, u8, u8); 9] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

impl Pen {
    /// The pen a cell is written with.
    pub fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }
    }

    /// Whether a blank on this background comes out right.
    pub fn leaves_blank(self, bg: Color) -> bool {
        self.bg == bg && !self.modifier.intersects(VISIBLE_ON_BLANK)
    }

    /// This pen, changed so far that it leaves a blank on this background.
    pub fn for_blank(self, bg: Color) -> Self {
        Self { bg, modifier: self.modifier.difference(VISIBLE_ON_BLANK), ..self }
    }

    /// What changes this pen into another: nothing, or one sequence.
    pub fn change(self, to: Self) -> Sequence {
        if self == to {
            return Sequence::new();
        }
        if to == Self::default() {
            return sequence(format_args!("\x1b[m"));
        }
        let (mut step, mut anew) = (Sequence::new(), Sequence::new());
        self.step(to, &mut step);
        code(&mut anew, format_args!("0"));
        Self::default().step(to, &mut anew);
        let shorter = if step.len() <= anew.len() { step } else { anew };
        sequence(format_args!("\x1b[{shorter}m"))
    }

    fn step(self, to: Self, codes: &mut Sequence) {
        let mut had = self.modifier;
        for (attribute, _, off) in ATTRIBUTES {
            if had.contains(attribute) && !to.modifier.contains(attribute) {
                code(codes, format_args!("{off}"));
                // One code may switch off two.
                for (other, _, _) in ATTRIBUTES.iter().filter(|(_, _, o)| *o == off) {
                    had.remove(*other);
                }
            }
        }
        for (_, on, _) in ATTRIBUTES.iter().filter(|(attribute, ..)| to.modifier.difference(had).contains(*attribute)) {
            code(codes, format_args!("{on}"));
        }
        if self.fg != to.fg {
            color(codes, to.fg, 30);
        }
        if self.bg != to.bg {
            color(codes, to.bg, 40);
        }
    }
}

/// A sequence for the terminal. Made a thousand times for a frame, and therefore without asking for memory: all nine
/// attributes and two colours are shorter.
pub type Sequence = ArrayString<96>;

/// Writes a sequence.
pub fn sequence(text: fmt::Arguments<'_>) -> Sequence {
    let mut sequence = Sequence::new();
    // There is room for any.
    let _ = sequence.write_fmt(text);
    sequence
}

fn code(codes: &mut Sequence, text: fmt::Arguments<'_>) {
    let _ = codes.write_str(if codes.is_empty() { "" } else { ";" });
    let _ = codes.write_fmt(text);
}

/// A colour as the foreground (30) or background (40).
fn color(codes: &mut Sequence, color: Color, base: u8) {
    let (dark, light) = (base, base + 60);
    let n = match color {
        Color::Reset => dark + 9,
        Color::Black => dark,
        Color::Red => dark + 1,
        Color::Green => dark + 2,
        Color::Yellow => dark + 3,
        Color::Blue => dark + 4,
        Color::Magenta => dark + 5,
        Color::Cyan => dark + 6,
        Color::Gray => dark + 7,
        Color::DarkGray => light,
        Color::LightRed => light + 1,
        Color::LightGreen => light + 2,
        Color::LightYellow => light + 3,
        Color::LightBlue => light + 4,
        Color::LightMagenta => light + 5,
        Color::LightCyan => light + 6,
        Color::White => light + 7,
        Color::Indexed(n) => return code(codes, format_args!("{};5;{n}", base + 8)),
        Color::Rgb(r, g, b) => return code(codes, format_args!("{};2;{r};{g};{b}", base + 8)),
    };
    code(codes, format_args!("{n}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let text = Pen { fg: Color::Rgb(1, 2, 3), bg: Color::Reset, modifier: Modifier::BOLD };
        assert_eq!(&*text.change(text), "");
        assert_eq!(&*text.change(Pen::default()), "\x1b[m");
        assert_eq!(&*text.change(Pen { bg: Color::Red, ..text }), "\x1b[41m");
        assert_eq!(&*text.change(Pen { modifier: Modifier::empty(), ..text }), "\x1b[22m");
        assert_eq!(&*text.change(Pen { modifier: Modifier::DIM, ..text }), "\x1b[22;2m");
        assert_eq!(&*Pen::default().change(text), "\x1b[1;38;2;1;2;3m");
    }

    #[test]
    fn starting_anew_is_taken_where_it_is_shorter() {
        let many = Modifier::BOLD | Modifier::ITALIC | Modifier::UNDERLINED | Modifier::REVERSED;
        let from = Pen { modifier: many, ..Pen::default() };
        let to = Pen { fg: Color::Red, ..Pen::default() };
        assert_eq!(&*from.change(to), "\x1b[0;31m");
    }
}
