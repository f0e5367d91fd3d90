//! Lines that moved up or down: the terminal can move what it shows itself.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use hashbrown::DefaultHashBuilder;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

use super::cells::is_blank;
use super::pen::Pen;
use super::stylus::{Stylus, counted};

/// Lines that have to be found again before moving them is tried.
const ENOUGH: usize = 3;

/// Lines that are moved by some.
struct Shift {
    band: Range<usize>,
    by: usize,
    up: bool,
}

/// Moves lines, on the terminal and in what is known of it, as most of the changed ones have moved.
pub fn apply(shown: &mut Buffer, next: &Buffer, stylus: &mut Stylus) {
    if let Some(shift) = find(shown, next) {
        shift.apply(shown, stylus);
    }
}

/// How most of the changed lines have moved, when enough of them have.
fn find(shown: &Buffer, next: &Buffer) -> Option<Shift> {
    let columns = usize::from(next.area.width).max(1);
    let lines = || shown.content.chunks(columns).zip(next.content.chunks(columns)).enumerate();
    let changed: Vec<usize> = lines().filter(|(_, (old, new))| old != new).map(|(y, _)| y).collect();
    if changed.len() < ENOUGH {
        return None;
    }
    let hasher = DefaultHashBuilder::default();
    let hashes = |buffer: &Buffer| -> Vec<(usize, u64)> {
        let line = |y: usize| buffer.content.get(y * columns..(y + 1) * columns);
        let text = |y: &usize| line(*y).filter(|l| !l.iter().all(is_blank)).map(|l| (*y, text(&hasher, l)));
        changed.iter().filter_map(text).collect()
    };
    let (old, new) = (hashes(shown), hashes(next));
    let mut moved: Vec<(isize, usize)> = Vec::new();
    for (to, hash) in &new {
        let same = old.iter().filter(|(from, h)| h == hash && from != to);
        moved.extend(same.map(|(from, _)| (*to as isize - *from as isize, *to)));
    }
    let votes = |by: isize| moved.iter().filter(|(other, _)| *other == by).count();
    let by = moved.iter().map(|(by, _)| *by).max_by_key(|by| votes(*by)).filter(|by| votes(*by) >= ENOUGH)?;
    let rows = || moved.iter().filter(|(other, _)| *other == by).map(|(_, to)| *to);
    let (first, last) = (rows().min()?, rows().max()?);
    let distance = by.unsigned_abs();
    let band = if by < 0 { first..last + 1 + distance } else { first.saturating_sub(distance)..last + 1 };
    Some(Shift { band, by: distance, up: by < 0 })
}

fn text(hasher: &DefaultHashBuilder, line: &[Cell]) -> u64 {
    let mut hash = hasher.build_hasher();
    for cell in line {
        hash.write(cell.symbol().as_bytes());
    }
    hash.finish()
}

impl Shift {
    /// Lines are taken out on one side and put in on the other, so that all others stay where they are.
    fn apply(&self, shown: &mut Buffer, stylus: &mut Stylus) {
        // New lines come in the colour at hand.
        if stylus.pen.bg != Color::Reset {
            stylus.set_pen(Pen { bg: Color::Reset, ..stylus.pen });
        }
        let columns = usize::from(shown.area.width);
        let below = self.band.end - self.by;
        let (out, into) = if self.up { (self.band.start, below) } else { (below, self.band.start) };
        stylus.go(0, out as u16);
        stylus.bytes.extend_from_slice(counted(self.by, 'M').as_bytes());
        stylus.go(0, into as u16);
        stylus.bytes.extend_from_slice(counted(self.by, 'L').as_bytes());
        let cells = self.band.start * columns..self.band.end * columns;
        let Some(band) = shown.content.get_mut(cells) else { return };
        let by = (self.by * columns).min(band.len());
        let blank = if self.up {
            band.rotate_left(by);
            band.len() - by..band.len()
        } else {
            band.rotate_right(by);
            0..by
        };
        band.get_mut(blank).unwrap_or_default().fill(Cell::EMPTY);
    }
}
