//! A line chart in braille dots: two across and four down in each cell.

use ratatui::layout::Rect;

use crate::text::Clean;
use crate::tui::page::Page;
use crate::tui::theme::Role;

/// One line of a chart, oldest value first; `None` leaves a hole.
#[derive(Clone, Debug)]
pub struct Series {
    pub values: Vec<Option<f64>>,
    pub role: Role,
}

/// A chart ready to be painted.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    pub series: Vec<Series>,
    /// Labels of the top and the bottom of the axis.
    pub labels: (Clean, Clean),
    /// Value at the top.
    pub top: f64,
    /// Labels of the left and the right end of time.
    pub times: (Clean, Clean),
}

/// Columns of the axis labels.
pub const LABELS: u16 = 7;

impl Chart {
    /// How many values fit into so many columns.
    pub fn points(width: u16) -> usize {
        usize::from(width.saturating_sub(LABELS)) * 2
    }

    /// Paints axis, lines and times.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        if area.width <= LABELS || area.height < 2 {
            return;
        }
        let plot = Rect { x: area.x + LABELS, width: area.width - LABELS, height: area.height - 1, ..area };
        page.put_right(area.x, plot.y, LABELS - 1, &self.labels.0, Role::Faint);
        page.put_right(area.x, plot.y + plot.height - 1, LABELS - 1, &self.labels.1, Role::Faint);
        page.put(plot.x, area.y + area.height - 1, plot.width, &self.times.0, Role::Faint);
        page.put_right(plot.x, area.y + area.height - 1, plot.width, &self.times.1, Role::Faint);
        let mut cells: Vec<(u8, Role)> = vec![(0, Role::Faint); usize::from(plot.width) * usize::from(plot.height)];
        // The first series is the most important: it is painted last, and its colour wins.
        for series in self.series.iter().rev() {
            self.plot(series, plot, &mut cells);
        }
        for (i, (dots, role)) in cells.into_iter().enumerate() {
            if dots == 0 {
                continue;
            }
            let sign = char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ');
            let (x, y) = (i as u16 % plot.width, i as u16 / plot.width);
            page.put(plot.x + x, plot.y + y, 1, Clean::repeated(sign, 1), role);
        }
    }

    fn plot(&self, series: &Series, plot: Rect, cells: &mut [(u8, Role)]) {
        let (columns, rows) = (usize::from(plot.width) * 2, usize::from(plot.height) * 4);
        let skip = series.values.len().saturating_sub(columns);
        let offset = columns - (series.values.len() - skip);
        let height = |v: f64| {
            let share = if self.top > 0.0 { (v / self.top).clamp(0.0, 1.0) } else { 0.0 };
            (share * (rows - 1) as f64).round() as usize
        };
        let mut before: Option<usize> = None;
        for (i, value) in series.values.iter().skip(skip).enumerate() {
            let Some(level) = value.map(height) else {
                before = None;
                continue;
            };
            // The line is closed between neighbours, so that a steep rise is not a cloud of dots.
            let from = before.unwrap_or(level);
            for y in from.min(level)..=from.max(level) {
                dot(cells, plot.width, i + offset, rows - 1 - y, series.role);
            }
            before = Some(level);
        }
    }
}

fn dot(cells: &mut [(u8, Role)], width: u16, x: usize, y: usize, role: Role) {
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    if let Some(cell) = cells.get_mut(y / 4 * usize::from(width) + x / 2) {
        cell.0 |= BITS[y % 4][x % 2];
        cell.1 = role;
    }
}

/// The next round number from `value` up: 1, 2 or 5 times a power of ten.
pub fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|top| *top >= value * 0.999_999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, want) in [(0.0, 1.0), (1.0, 1.0), (3.2, 5.0), (51.0, 100.0), (0.07, 0.1), (200.0, 200.0)] {
            assert!((round_up(value) - want).abs() < 1e-9, "{value} {}", round_up(value));
        }
    }
}
