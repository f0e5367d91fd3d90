//! Numbers, durations, sizes and times as a person reads them: one way each, everywhere.

use jiff::tz::TimeZone;

use crate::clock::Stamp;

/// A count in at most five columns: `0`, `9,999`, `12.3k`, `4.1M`, `999T` and above.
pub fn count(n: u64) -> String {
    match n {
        0..=9_999 => thousands(n),
        10_000..=999_949 => short(n as f64 / 1e3, "k"),
        999_950..=999_949_999 => short(n as f64 / 1e6, "M"),
        999_950_000..=999_949_999_999 => short(n as f64 / 1e9, "G"),
        _ => short((n as f64 / 1e12).min(999.0), "T"),
    }
}

fn short(value: f64, unit: &str) -> String {
    if value < 99.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

/// A count to the last digit, `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A duration in seconds: `12ms`, `1.20s`, `41.3s`, `2m 03s`, `3h 05m`, `3d 4h`.
pub fn seconds(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "-".into();
    }
    let whole = secs.round() as u64;
    if secs < 0.0095 {
        format!("{:.1}ms", secs * 1e3)
    } else if secs < 0.9995 {
        format!("{:.0}ms", secs * 1e3)
    } else if secs < 9.995 {
        format!("{secs:.2}s")
    } else if secs < 59.95 {
        format!("{secs:.1}s")
    } else {
        span(whole)
    }
}

/// A round duration, as axes have them: `200ms`, `2s`, `20s`, `5m`.
pub fn round_seconds(secs: f64) -> String {
    let trim = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    match secs {
        s if s < 1.0 => format!("{}ms", trim(format!("{:.2}", s * 1e3))),
        s if s < 60.0 => format!("{}s", trim(format!("{s:.1}"))),
        s if s < 3_600.0 => format!("{}m", trim(format!("{:.1}", s / 60.0))),
        s => format!("{}h", trim(format!("{:.1}", s / 3_600.0))),
    }
}

/// A duration that somebody set, to the last second: `200ms`, `2.5s`, `1m 1s`, `30m`, `1h 1m 40s`, `1d`.
pub fn exact(secs: f64) -> String {
    if secs < 60.0 {
        return round_seconds(secs);
    }
    let secs = secs.round() as u64;
    let units = [(secs / 86_400, 'd'), (secs % 86_400 / 3_600, 'h'), (secs % 3_600 / 60, 'm'), (secs % 60, 's')];
    let parts: Vec<String> = units.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    parts.join(" ")
}

/// A duration in whole seconds: `42s`, `2m 03s`, `3h 05m`, `3d 4h`.
pub fn span(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m {:02}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h {:02}m", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{}d {}h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// A duration whose seconds don't matter when there are many: `42s`, `2m 03s`, `59m`, `3h 05m`.
pub fn about(secs: u64) -> String {
    match secs {
        600..3_600 => format!("{}m", secs / 60),
        _ => span(secs),
    }
}

/// How long ago something was, in one unit: `7s`, `4m`, `3h`, `12d`.
pub fn age(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..86_400 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// `1 task`, `3 tasks`, `2 processes`: the count to the last digit.
pub fn plural(n: impl TryInto<u64>, word: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{} {}", thousands(n), noun(n, word))
}

/// The same with a count in at most five columns.
pub fn count_of(n: u64, word: &str) -> String {
    format!("{} {}", count(n), noun(n, word))
}

/// What so many of something are called.
pub fn noun(n: u64, word: &str) -> String {
    let ending = match (n, word.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{word}{ending}")
}

/// A rate per second: `0`, `0.4`, `41`, `1,284`.
pub fn rate(per_second: f64) -> String {
    if per_second < 0.05 {
        "0".into()
    } else if per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// A size in bytes: `512 B`, `1.1K`, `4.0G`.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "K", "M", "G"] {
        if value < 1023.5 {
            return match unit {
                "B" => format!("{n}B"),
                _ if value < 9.95 => format!("{value:.1}{unit}"),
                _ => format!("{value:.0}{unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1}T")
}

/// A share of one: `98.7%`, `100%`.
pub fn percent(share: f64) -> String {
    if share >= 0.99995 {
        "100%".into()
    } else {
        // Rounded down, so that one failure in a million is never shown as a hundred percent.
        format!("{:.1}%", (share * 1000.0).floor() / 10.0)
    }
}

/// The time of day in a zone, `14:03:27`.
pub fn clock(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%H:%M:%S")
}

/// The time of day to the millisecond, `14:03:27.802`.
pub fn clock_millis(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%H:%M:%S%.3f")
}

/// Date and time, `2026-11-24 14:03:27`.
pub fn date(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%Y-%m-%d %H:%M:%S")
}

/// Date and time as filters take it, `2026-11-24T14:03:27`.
pub fn iso(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%Y-%m-%dT%H:%M:%S")
}

/// Date, time and zone, for those who may sit in another: `2026-11-24 14:03:27 UTC`.
pub fn zoned(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// A moment as part of a file's name, `20261124-140327`.
pub fn in_a_name(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%Y%m%d-%H%M%S")
}

/// A span as filters take it: `15m`, `6h`, `90s`.
pub fn short_span(secs: u64) -> String {
    match secs {
        s if s > 0 && s.is_multiple_of(3_600) => format!("{}h", s / 3_600),
        s if s > 0 && s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// A day in at most seven columns: `03-20`, or with its year where that is another, `2027-03`.
pub fn day(at: Stamp, now: Stamp, zone: &TimeZone) -> String {
    match format(at, zone, "%Y") == format(now, zone, "%Y") {
        true => format(at, zone, "%m-%d"),
        false => format(at, zone, "%Y-%m"),
    }
}

/// Hour and minute, `14:03`.
pub fn minute(at: Stamp, zone: &TimeZone) -> String {
    format(at, zone, "%H:%M")
}

fn format(at: Stamp, zone: &TimeZone, how: &str) -> String {
    match jiff::Timestamp::from_microsecond(at.micros()) {
        Ok(timestamp) => timestamp.to_zoned(zone.clone()).strftime(how).to_string(),
        Err(_) => "-".into(),
    }
}

/// Reads a duration such as `500ms`, `2s`, `1.5m`, `3h`, `2d`; a bare number is seconds.
pub fn parse_seconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let value: f64 = text[..split].trim().parse().ok()?;
    let unit = match &text[split..] {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    (value.is_finite() && value >= 0.0).then_some(value * unit)
}

/// Reads a size such as `256M`, `1.5G`, `4096`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let value: f64 = text[..split].trim().parse().ok()?;
    let unit: u64 = match text[split..].trim_end_matches("iB").trim_end_matches('B') {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return None,
    };
    (value.is_finite() && value >= 0.0).then_some((value * unit as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short_and_exact_where_they_can_be() {
        for (n, want) in
            [(0, "0"), (999, "999"), (9_999, "9,999"), (12_345, "12.3k"), (182_004, "182k"), (4_100_000, "4.1M")]
        {
            assert_eq!(count(n), want);
        }
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn durations_keep_three_figures_then_two_units() {
        for (s, want) in [
            (0.0004, "0.4ms"),
            (0.012, "12ms"),
            (1.204, "1.20s"),
            (41.26, "41.3s"),
            (123.0, "2m 03s"),
            (11_100.0, "3h 05m"),
            (273_600.0, "3d 4h"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(seconds(s), want);
        }
    }

    #[test]
    fn one_is_singular_however_it_is_counted() {
        assert_eq!((plural(1, "task"), plural(1_200_u64, "process")), ("1 task".into(), "1,200 processes".into()));
        assert_eq!((count_of(1, "event"), count_of(12_345, "event")), ("1 event".into(), "12.3k events".into()));
    }

    #[test]
    fn what_somebody_set_is_not_rounded_to_something_else() {
        for (s, want) in [
            (0.2, "200ms"),
            (2.5, "2.5s"),
            (61.0, "1m 1s"),
            (100.0, "1m 40s"),
            (1_800.0, "30m"),
            (3_700.0, "1h 1m 40s"),
            (86_400.0, "1d"),
        ] {
            assert_eq!(exact(s), want);
        }
    }

    #[test]
    fn axes_have_short_labels() {
        for (s, want) in
            [(20.0, "20s"), (0.2, "200ms"), (0.005, "5ms"), (2.5, "2.5s"), (100.0, "1.7m"), (7_200.0, "2h")]
        {
            assert_eq!(round_seconds(s), want);
        }
    }

    #[test]
    fn about_a_quarter_of_an_hour_has_no_seconds() {
        assert_eq!([42, 123, 3_599, 11_100].map(about), ["42s", "2m 03s", "59m", "3h 05m"]);
    }

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(0.99994), "99.9%");
        assert_eq!(percent(1.0), "100%");
    }

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(
            (parse_bytes("256M"), parse_bytes("1.5GiB"), parse_bytes("x")),
            (Some(256 << 20), Some(3 << 29), None)
        );
        assert_eq!((parse_seconds("500ms"), parse_seconds("1.5m"), parse_seconds("5x")), (Some(0.5), Some(90.0), None));
        assert_eq!((bytes(512), bytes(1_181_116_006)), ("512B".into(), "1.1G".into()));
    }

    #[test]
    fn times_are_shown_in_the_zone_asked_for() {
        let at = Stamp::from_micros(1_795_481_430_330_580);
        assert_eq!(date(at, &TimeZone::UTC), "2026-11-24 00:50:30");
        assert_eq!(clock_millis(at, &TimeZone::UTC), "00:50:30.330");
    }
}
