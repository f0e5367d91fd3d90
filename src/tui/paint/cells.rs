//! Cells brought into one form, so that two are equal exactly when they look equal.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// What shows on a blank.
pub const VISIBLE_ON_BLANK: Modifier = Modifier::UNDERLINED.union(Modifier::REVERSED).union(Modifier::CROSSED_OUT);

/// Columns a symbol takes.
pub fn width(symbol: &str) -> usize {
    match symbol.as_bytes() {
        [0x20..=0x7e] => 1,
        _ => symbol.width(),
    }
}

/// Whether nothing but its background is seen of a cell.
pub fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && cell.modifier.is_empty()
}

/// Whether a cell is the second half of the symbol on its left.
pub fn is_tail(cell: &Cell) -> bool {
    cell.symbol().is_empty()
}

/// Second halves of wide symbols become empty and look like the first; what doesn't fit or has no width becomes a
/// blank; blanks lose what isn't seen of them.
pub fn settle(buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width).max(1);
    for line in buffer.content.chunks_mut(columns) {
        let mut x = 0;
        while x < line.len() {
            let (before, after) = line.split_at_mut(x + 1);
            let (Some(cell), next) = (before.last_mut(), after.first_mut()) else { break };
            match (width(cell.symbol()), next) {
                (1, _) => {}
                (2, Some(tail)) => {
                    tail.clone_from(cell);
                    tail.set_symbol("");
                    x += 1;
                }
                _ => {
                    cell.set_symbol(" ");
                }
            }
            if cell.symbol() == " " && !cell.modifier.intersects(VISIBLE_ON_BLANK) {
                (cell.fg, cell.modifier) = (Color::Reset, Modifier::empty());
            }
            x += 1;
        }
    }
}
