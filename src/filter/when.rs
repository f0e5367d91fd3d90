//! Points in time as a person types them: `15m` ago, a clock time, a date, or the name of a mark.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::clock::Stamp;

/// A point in time that gets its meaning when somebody looks: relative to now, in a zone, or by a mark's name.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    text: String,
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq)]
enum Meaning {
    /// Seconds before now.
    Ago(f64),
    /// The last time the clock showed this.
    Clock(Time),
    At(DateTime),
    Mark,
}

impl When {
    /// Any text is one: what is no time is the name of a mark.
    pub fn parse(text: &str) -> Self {
        let meaning = if let Some(secs) = crate::human::parse_seconds(text) {
            Meaning::Ago(secs)
        } else if let Some(time) = clock(text) {
            Meaning::Clock(time)
        } else if let Ok(at) = text.parse::<DateTime>() {
            Meaning::At(at)
        } else if let Ok(date) = text.parse::<Date>() {
            Meaning::At(date.at(0, 0, 0, 0))
        } else {
            Meaning::Mark
        };
        Self { text: text.to_owned(), meaning }
    }

    /// The name of a mark, if it is one.
    pub fn mark(&self) -> Option<&str> {
        (self.meaning == Meaning::Mark).then_some(self.text.as_str())
    }

    /// Whether it moves along with the present.
    pub fn slides(&self) -> bool {
        matches!(self.meaning, Meaning::Ago(_))
    }

    /// The point itself; `None` for a mark that is not known.
    pub fn resolve(&self, now: Stamp, zone: &TimeZone, mark: impl Fn(&str) -> Option<Stamp>) -> Option<Stamp> {
        match &self.meaning {
            Meaning::Ago(secs) => Stamp::from_secs(now.secs() - secs),
            Meaning::Clock(time) => {
                let present = jiff::Timestamp::from_microsecond(now.micros()).ok()?.to_zoned(zone.clone());
                let today = at(present.date().to_datetime(*time), zone)?;
                // A time that is still to come was meant of yesterday.
                if today <= now { Some(today) } else { at(present.date().yesterday().ok()?.to_datetime(*time), zone) }
            }
            Meaning::At(moment) => at(*moment, zone),
            Meaning::Mark => mark(&self.text),
        }
    }
}

fn at(moment: DateTime, zone: &TimeZone) -> Option<Stamp> {
    Some(Stamp::from_micros(moment.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond()))
}

/// `14:03` or `14:03:27`.
fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Option<f64> {
        // 2026-11-24 14:03:27 UTC.
        let now = Stamp::from_micros(1_795_529_007_000_000);
        let mark = |name: &str| (name == "deploy").then_some(Stamp::EPOCH);
        When::parse(text).resolve(now, &TimeZone::UTC, mark).map(|at| at.since(Stamp::EPOCH).as_secs_f64().round())
    }

    #[test]
    fn durations_clock_times_dates_and_marks_are_understood() {
        let now = 1_795_529_007.0;
        assert_eq!(resolve("15m"), Some(now - 900.0));
        assert_eq!(resolve("14:00"), Some(now - 207.0));
        assert_eq!(resolve("14:03:20"), Some(now - 7.0));
        assert_eq!(resolve("15:00"), Some(now - 207.0 - 82_800.0), "what is still to come was yesterday");
        assert_eq!(resolve("2026-11-24"), Some(now - 50_607.0));
        assert_eq!(resolve("2026-11-24T14:00:00"), Some(now - 207.0));
        assert_eq!(resolve("deploy"), Some(0.0));
        assert_eq!(resolve("nothing"), None);
        assert!(When::parse("15m").slides() && !When::parse("14:00").slides());
        assert_eq!(When::parse("25:00").mark(), Some("25:00"));
    }
}
