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
    /// Labels of the top, the middle and the bottom of the axis.
    pub labels: [Clean; 3],
    /// Value at the top.
    pub top: f64,
    /// A value that should not be passed: a faint line.
    pub target: Option<f64>,
    /// Labels of the left and the right end of time.
    pub times: (Clean, Clean),
    /// Moments with a name, by the share of time that has passed until then.
    pub marks: Vec<(f64, Clean)>,
    /// Where the reading cursor stands, as a share of time.
    pub cursor: Option<f64>,
}

/// Columns of the axis labels.
pub const LABELS: u16 = 7;

impl Chart {
    /// How many columns of so many are left for the lines; each shows two values.
    pub fn columns(width: u16) -> u16 {
        width.saturating_sub(LABELS)
    }

    /// Where the lines are, within the area of the whole chart.
    pub fn plot_area(area: Rect) -> Rect {
        Rect {
            x: area.x + LABELS.min(area.width),
            width: area.width.saturating_sub(LABELS),
            height: area.height.saturating_sub(1),
            ..area
        }
    }

    /// Paints axis, lines and times.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        if area.width <= LABELS || area.height < 2 {
            return;
        }
        let plot = Self::plot_area(area);
        let rows = [plot.y, plot.y + (plot.height - 1) / 2, plot.y + plot.height - 1];
        for (i, (label, y)) in self.labels.iter().zip(rows).enumerate() {
            // On a low chart the middle would crowd the ends.
            if i != 1 || plot.height >= 5 {
                page.put_right(area.x, y, LABELS - 1, label, Role::Faint);
            }
        }
        let axis = Rect { y: plot.y + plot.height, height: 1, ..plot };
        time_axis(page, axis, &self.times, &self.marks);
        self.draw_target(page, plot);
        if let Some(share) = self.cursor {
            let x = plot.x + column(share, plot.width);
            for y in plot.y..plot.y + plot.height {
                page.put(x, y, 1, Clean::own("│"), Role::Faint);
            }
        }
        self.draw_lines(page, plot);
    }

    fn draw_target(&self, page: &mut Page<'_>, plot: Rect) {
        let Some(target) = self.target.filter(|_| self.top > 0.0) else { return };
        let row = ((1.0 - (target / self.top).clamp(0.0, 1.0)) * f64::from(plot.height - 1)).round() as u16;
        page.put(plot.x, plot.y + row, plot.width, Clean::repeated('┄', usize::from(plot.width)), Role::Border);
    }

    fn draw_lines(&self, page: &mut Page<'_>, plot: Rect) {
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
        let values = fit(&series.values, columns);
        let height = |v: f64| {
            let share = if self.top > 0.0 { (v / self.top).clamp(0.0, 1.0) } else { 0.0 };
            (share * (rows - 1) as f64).round() as usize
        };
        let mut before: Option<usize> = None;
        for (x, value) in values.into_iter().enumerate() {
            let Some(level) = value.map(height) else {
                before = None;
                continue;
            };
            // The line is closed between neighbours, so that a steep rise is not a cloud of dots.
            let from = before.unwrap_or(level);
            for y in from.min(level)..=from.max(level) {
                dot(cells, plot.width, x, rows - 1 - y, series.role);
            }
            before = Some(level);
        }
    }
}

/// A line of time: where it begins and ends, and moments with a name, by the share of time that has passed until then.
pub fn time_axis(page: &mut Page<'_>, line: Rect, times: &(Clean, Clean), marks: &[(f64, Clean)]) {
    let Rect { x: begin, y, width, .. } = line;
    let left = page.put(begin, y, width, &times.0, Role::Faint);
    page.put_right(begin, y, width, &times.1, Role::Faint);
    let (mut free, end) = (left + 1, width.saturating_sub(times.1.width() as u16 + 1));
    for (share, text) in marks {
        let x = column(*share, width);
        if x < free {
            continue;
        }
        // What has just happened stands where "now" does: its name goes to the left of it.
        if x >= end {
            let room = x.saturating_sub(free + 1).min(18);
            page.put(begin + x, y, width - x, Clean::repeated(' ', usize::from(width - x)), Role::Text);
            page.put_right(begin + x - room, y, room, text, Role::Muted);
            page.put(begin + x, y, 1, Clean::own("▾"), Role::Accent);
            break;
        }
        let room = (end - x - 1).min(18);
        page.put(begin + x, y, 1, Clean::own("▾"), Role::Accent);
        let used = if room >= 6 { page.put(begin + x + 1, y, room, text, Role::Muted) } else { 0 };
        free = x + used + 2;
    }
}

/// The column of a share of time.
fn column(share: f64, width: u16) -> u16 {
    ((share.clamp(0.0, 1.0) * f64::from(width)) as u16).min(width.saturating_sub(1))
}

/// Values for so many dots: the greatest of each stretch where there are more, repeated where there are fewer.
fn fit(values: &[Option<f64>], dots: usize) -> Vec<Option<f64>> {
    if values.len() > dots {
        return super::spark::squeeze(values, dots);
    }
    if values.is_empty() {
        return Vec::new();
    }
    (0..dots).map(|i| values[i * values.len() / dots]).collect()
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

    #[test]
    fn values_are_fitted_to_the_dots_and_holes_stay() {
        let values = [Some(1.0), None, Some(3.0)];
        assert_eq!(fit(&values, 6), [Some(1.0), Some(1.0), None, None, Some(3.0), Some(3.0)]);
        assert_eq!(fit(&values, 2), [Some(1.0), Some(3.0)]);
        assert_eq!(fit(&[], 4), []);
    }
}
