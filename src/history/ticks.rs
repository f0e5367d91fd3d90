//! Times as the history file holds them: units of 10 microseconds since 2020, which fit into six bytes.

use crate::clock::Stamp;

/// 2020-01-01T00:00:00Z in microseconds since 1970.
const BEGIN: i64 = 1_577_836_800_000_000;
/// Ticks in a second.
pub const SECOND: i64 = 100_000;

/// A time in ticks.
pub fn of(at: Stamp) -> i64 {
    (at.micros() - BEGIN + 5).div_euclid(10)
}

/// The time of a number of ticks.
pub fn stamp(ticks: i64) -> Stamp {
    Stamp::from_micros(ticks.saturating_mul(10).saturating_add(BEGIN))
}

/// Seconds since 1970.
pub fn secs(ticks: i64) -> f64 {
    stamp(ticks).secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_to_ten_microseconds_and_fits_six_bytes() {
        let at = Stamp::from_micros(1_795_529_007_123_456);
        assert!((stamp(of(at)).micros() - at.micros()).abs() <= 5);
        assert!(of(at) < 1 << 47);
        assert_eq!(of(stamp(-7)), -7);
    }
}
