//! Which cells have to be written, in runs of one pen.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

use super::cells::{is_blank, is_tail};
use super::pen::Pen;

/// What a run is written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    Pen(Pen),
    /// Blanks: any pen with this background that leaves no trace.
    Blank(Color),
}

impl Ink {
    fn of(cell: &Cell) -> Self {
        if is_blank(cell) { Self::Blank(cell.bg) } else { Self::Pen(Pen::of(cell)) }
    }

    /// What two neighbours can be written with, if there is such a thing.
    fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            _ if self == other => Some(self),
            (Self::Pen(pen), Self::Blank(bg)) | (Self::Blank(bg), Self::Pen(pen)) if pen.leaves_blank(bg) => {
                Some(Self::Pen(pen))
            }
            _ => None,
        }
    }
}

/// A run of cells in one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub y: u16,
    pub from: u16,
    /// The column after the last.
    pub to: u16,
    pub ink: Ink,
}

/// Bytes of unchanged cells that are rather written again than jumped over: a jump takes as many.
const JUMP: usize = 4;

/// The runs that differ, line by line.
pub fn between(shown: &Buffer, next: &Buffer) -> Vec<Span> {
    let columns = usize::from(next.area.width).max(1);
    let lines = shown.content.chunks(columns).zip(next.content.chunks(columns));
    let mut spans = Vec::new();
    for (y, (old, new)) in lines.enumerate() {
        if old != new {
            line(y as u16, old, new, &mut spans);
        }
    }
    spans
}

fn line(y: u16, old: &[Cell], new: &[Cell], spans: &mut Vec<Span>) {
    let mut open: Option<(Span, usize)> = None;
    for (x, (was, cell)) in old.iter().zip(new).enumerate() {
        if is_tail(cell) {
            // Written with its first half.
            if let Some((span, 0)) = &mut open {
                span.to = x as u16 + 1;
            }
            continue;
        }
        let changed = was != cell;
        let joined = open.and_then(|(span, gap)| Some((span, gap, span.ink.with(Ink::of(cell))?)));
        match joined {
            Some((span, _, ink)) if changed => open = Some((Span { to: x as u16 + 1, ink, ..span }, 0)),
            Some((span, gap, ink)) if ink == span.ink && gap + cell.symbol().len() <= JUMP => {
                open = Some((span, gap + cell.symbol().len()));
            }
            _ => {
                spans.extend(open.take().map(|(span, _)| span));
                if changed {
                    open = Some((Span { y, from: x as u16, to: x as u16 + 1, ink: Ink::of(cell) }, 0));
                }
            }
        }
    }
    spans.extend(open.map(|(span, _)| span));
}

/// The same runs, those of one pen after each other, the pen at hand first.
pub fn by_pen(spans: &[Span], at_hand: Pen) -> Vec<Span> {
    let mut pens = vec![at_hand];
    for span in spans {
        if let Ink::Pen(pen) = span.ink
            && !pens.contains(&pen)
        {
            pens.push(pen);
        }
    }
    let place = |span: &Span| match span.ink {
        Ink::Pen(pen) => pens.iter().position(|p| *p == pen),
        Ink::Blank(bg) => pens.iter().position(|p| p.leaves_blank(bg)),
    };
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| place(span).unwrap_or(usize::MAX));
    sorted
}
