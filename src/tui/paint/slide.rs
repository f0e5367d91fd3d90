//! Parts of lines that moved aside, as charts do when time passes: the terminal can move them itself.

use std::ops::Range;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

use super::cells::is_tail;
use super::pen::Pen;
use super::stylus::{Stylus, counted};

/// How far parts are looked for.
const FAR: usize = 2;
/// Bytes that moving a part has to spare: it takes about sixteen itself.
const WORTH: usize = 24;

/// A part `from..to` of the new line that stood `by` columns further right, or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slide {
    from: usize,
    to: usize,
    by: usize,
    left: bool,
}

/// Moves all such parts, on the terminal and in what is known of it.
pub fn apply(shown: &mut Buffer, next: &Buffer, stylus: &mut Stylus) {
    let columns = usize::from(next.area.width).max(1);
    let lines = shown.content.chunks_mut(columns).zip(next.content.chunks(columns));
    // The first of each line, then the second: going down a column is the shortest way.
    let mut rounds: Vec<Vec<(u16, Slide)>> = Vec::new();
    for (y, (old, new)) in lines.enumerate() {
        // Half of a wide symbol can't be moved.
        if old == new || old.iter().chain(new).any(is_tail) {
            continue;
        }
        for (round, slide) in find(0..columns, old, new).into_iter().enumerate() {
            slide.move_cells(old);
            if rounds.len() <= round {
                rounds.push(Vec::new());
            }
            rounds[round].push((y as u16, slide));
        }
    }
    // New columns come in the colour at hand.
    if !rounds.is_empty() && stylus.pen.bg != Color::Reset {
        stylus.set_pen(Pen { bg: Color::Reset, ..stylus.pen });
    }
    for round in rounds {
        // Columns are taken out on one side and put in on the other, so that the rest of the line stays where it is.
        for (y, slide) in &round {
            stylus.go(slide.taken_at() as u16, *y);
            stylus.bytes.extend_from_slice(counted(slide.by, 'P').as_bytes());
        }
        for (y, slide) in &round {
            stylus.go(slide.put_at() as u16, *y);
            stylus.bytes.extend_from_slice(counted(slide.by, '@').as_bytes());
        }
    }
}

/// The part most worth moving within some columns, and those on both sides of it.
fn find(within: Range<usize>, old: &[Cell], new: &[Cell]) -> Vec<Slide> {
    let distances = (1..=FAR).flat_map(|by| [(by, true), (by, false)]);
    let best =
        distances.filter_map(|(by, left)| part(within.clone(), old, new, by, left)).max_by_key(|(_, worth)| *worth);
    let Some((slide, _)) = best else { return Vec::new() };
    let touched = slide.touched();
    let mut slides = find(within.start..touched.start, old, new);
    slides.push(slide);
    slides.extend(find(touched.end..within.end, old, new));
    slides
}

/// The part most worth moving that moved so far, and the bytes it saves.
fn part(within: Range<usize>, old: &[Cell], new: &[Cell], by: usize, left: bool) -> Option<(Slide, usize)> {
    let mut best: Option<(Slide, usize)> = None;
    let (mut from, mut worth) = (within.start, 0);
    for x in within.clone() {
        let source = if left { Some(x + by) } else { x.checked_sub(by) };
        let stood = source.filter(|x| within.contains(x)).and_then(|x| old.get(x));
        let Some(cell) = new.get(x).filter(|cell| stood == Some(cell)) else {
            (from, worth) = (x + 1, 0);
            continue;
        };
        worth += if old.get(x) == Some(cell) { 0 } else { cell.symbol().len() };
        if worth >= WORTH && best.is_none_or(|(_, most)| worth > most) {
            best = Some((Slide { from, to: x + 1, by, left }, worth));
        }
    }
    best
}

impl Slide {
    /// The columns that change when it is moved.
    fn touched(self) -> Range<usize> {
        if self.left { self.from..self.to + self.by } else { self.from - self.by..self.to }
    }

    /// Where columns are taken out.
    fn taken_at(self) -> usize {
        if self.left { self.from } else { self.to - self.by }
    }

    /// Where columns are put in.
    fn put_at(self) -> usize {
        if self.left { self.to } else { self.from - self.by }
    }

    fn move_cells(self, line: &mut [Cell]) {
        let Some(part) = line.get_mut(self.touched()) else { return };
        if self.left {
            part.rotate_left(self.by);
            part.iter_mut().rev().take(self.by).for_each(|cell| *cell = Cell::EMPTY);
        } else {
            part.rotate_right(self.by);
            part.iter_mut().take(self.by).for_each(|cell| *cell = Cell::EMPTY);
        }
    }
}
