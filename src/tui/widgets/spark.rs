//! Small pictures of numbers inside a line of text.

use crate::text::{Clean, clean};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars between zero and the greatest value; `None` is a blank.
pub fn bars(values: &[Option<f64>], top: Option<f64>) -> Clean {
    let top = top.unwrap_or_else(|| values.iter().flatten().fold(0.0, |a: f64, b| a.max(*b)));
    let text: String = values
        .iter()
        .map(|value| match value {
            None => ' ',
            Some(v) if top <= 0.0 || *v <= 0.0 => BARS[0],
            Some(v) => BARS[((v / top * 7.0).round() as usize).min(7)],
        })
        .collect();
    clean(&text)
}

/// A bar of `width` columns, filled to a share of one.
pub fn gauge(share: f64, width: usize) -> (Clean, Clean) {
    let filled = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    (Clean::repeated('▇', filled), Clean::repeated('▁', width - filled))
}

/// Makes `n` values out of more by taking the greatest of each stretch.
pub fn squeeze(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    if values.len() <= n || n == 0 {
        return values.to_vec();
    }
    (0..n)
        .map(|i| {
            let (from, to) = (i * values.len() / n, ((i + 1) * values.len() / n).max(i * values.len() / n + 1));
            values[from..to].iter().flatten().copied().fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_their_values_and_holes_stay_blank() {
        assert_eq!(bars(&[Some(0.0), Some(5.0), None, Some(10.0)], None).as_str(), "▁▅ █");
        assert_eq!(squeeze(&[Some(1.0), Some(3.0), None, None, Some(2.0), None], 3), [Some(3.0), None, Some(2.0)]);
        let (full, empty) = gauge(0.5, 4);
        assert_eq!((full.as_str(), empty.as_str()), ("▇▇", "▁▁"));
    }
}
