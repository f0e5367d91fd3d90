//! RedBeat's documents (celery-redbeat 2.4, `schedulers.py`, `decoder.py`): a hash for each entry with `definition` and
//! `meta`, a sorted set of when each is due, a set of the names that stand in `beat_schedule`, and a lock.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Entry, Source};
use crate::clock::Stamp;

/// Put before every key, unless `redbeat_key_prefix` says otherwise.
pub const PREFIX: &str = "redbeat:";

/// An entry as it lies on Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub key: String,
    pub definition: String,
    pub meta: Option<String>,
    /// Seconds since 1970; below zero is never again.
    pub due: Option<i64>,
    /// Its name stands in `beat_schedule`.
    pub fixed: bool,
}

/// What RedBeat has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Documents {
    pub documents: Vec<Document>,
    /// Somebody holds the lock: a beat runs.
    pub locked: bool,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    task: String,
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    options: Option<Map<String, Value>>,
    schedule: Value,
    enabled: Option<bool>,
}

/// Reads an entry.
pub fn entry(document: &Document) -> Result<Entry, String> {
    let definition: Definition =
        serde_json::from_str(&document.definition).map_err(|e| format!("{}: {e}", document.key))?;
    let meta: Value = document.meta.as_deref().and_then(|meta| serde_json::from_str(meta).ok()).unwrap_or_default();
    let json = |value: Option<Box<RawValue>>, empty: &str| match value {
        Some(value) if value.get() != "null" => value.get().to_owned(),
        _ => empty.to_owned(),
    };
    let option = |key: &str| definition.options.as_ref()?.get(key)?.as_str().map(str::to_owned);
    let every = definition.schedule["every"].as_f64();
    Ok(Entry {
        queue: option("queue").or_else(|| option("routing_key")),
        when: words(&definition.schedule),
        name: definition.name,
        task: definition.task,
        args: json(definition.args, "[]"),
        kwargs: json(definition.kwargs, "{}"),
        every,
        enabled: definition.enabled.unwrap_or(true),
        last: stamp(&meta["last_run_at"]),
        next: document.due.filter(|due| *due >= 0).and_then(|due| Stamp::from_secs(due as f64)),
        runs: meta["total_run_count"].as_u64(),
        read: None,
        source: Source::RedBeat {
            key: document.key.clone(),
            definition: document.definition.clone(),
            fixed: document.fixed,
        },
    })
}

/// The same definition, on or off; everything else to the letter.
pub fn switched(definition: &str, on: bool) -> Result<String, String> {
    let mut fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(definition).map_err(|e| format!("its definition can't be read: {e}"))?;
    let value = RawValue::from_string(on.to_string()).map_err(|e| e.to_string())?;
    fields.insert("enabled".into(), value);
    serde_json::to_string(&fields).map_err(|e| e.to_string())
}

/// `{"__type__": "datetime", "year": …, "timezone": "UTC"}`; the zone may be seconds too.
fn stamp(value: &Value) -> Option<Stamp> {
    let part = |key: &str| value[key].as_i64();
    let (hour, minute, second) = (part("hour")?, part("minute")?, part("second")?);
    let micros = part("microsecond").unwrap_or(0);
    let civil = DateTime::new(
        i16::try_from(part("year")?).ok()?,
        i8::try_from(part("month")?).ok()?,
        i8::try_from(part("day")?).ok()?,
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        i32::try_from(micros * 1_000).ok()?,
    )
    .ok()?;
    let zone = match &value["timezone"] {
        Value::String(name) => TimeZone::get(name).ok()?,
        Value::Number(secs) => Offset::from_seconds(secs.as_f64()? as i32).ok()?.to_time_zone(),
        _ => TimeZone::UTC,
    };
    Some(Stamp::from_micros(civil.to_zoned(zone).ok()?.timestamp().as_microsecond()))
}

/// When it runs.
fn words(schedule: &Value) -> String {
    match schedule["__type__"].as_str() {
        Some("interval") => super::every(schedule["every"].as_f64().unwrap_or(0.0)),
        Some("crontab") => crontab(schedule),
        Some("rrule") => {
            const FREQUENCIES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "minutes", "seconds"];
            let frequency = schedule["freq"].as_u64().and_then(|n| FREQUENCIES.get(n as usize)).unwrap_or(&"(rule)");
            format!("every {} {frequency} (rrule)", schedule["interval"].as_u64().unwrap_or(1))
        }
        _ => "by a schedule of the application's own".into(),
    }
}

fn crontab(schedule: &Value) -> String {
    let field = |key: &str| match &schedule[key] {
        Value::String(text) => text.clone(),
        Value::Null => "*".into(),
        other => other.to_string(),
    };
    let fields = ["minute", "hour", "day_of_month", "month_of_year", "day_of_week"].map(field);
    let [minute, hour, day, month, weekday] = fields.each_ref().map(String::as_str);
    let number = |text: &str| text.parse::<u8>().ok();
    match (number(minute), number(hour), day, month, weekday) {
        (None, None, "*", "*", "*") if hour == "*" && minute == "*" => "every minute".into(),
        (None, None, "*", "*", "*") if hour == "*" && minute.strip_prefix("*/").and_then(number).is_some() => {
            match &minute[2..] {
                "1" => "every minute".into(),
                n => format!("every {n} minutes"),
            }
        }
        (Some(minute), None, "*", "*", "*") if hour == "*" => format!("every hour at :{minute:02}"),
        (Some(minute), Some(hour), "*", "*", "*") => format!("every day at {hour:02}:{minute:02}"),
        (Some(minute), Some(hour), "*", "*", days) => format!("at {hour:02}:{minute:02}, day of week {days}"),
        _ => format!("crontab {}", fields.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEFINITION: &str = r#"{"name": "digest", "task": "mail.digest", "args": [12345678901234567890123, "a"],
        "kwargs": {"tenant": "acme"}, "options": {"queue": "mail"},
        "schedule": {"__type__": "crontab", "minute": "*/5", "hour": "*", "day_of_week": "*", "day_of_month": "*",
        "month_of_year": "*"}, "enabled": true}"#;
    const META: &str = r#"{"last_run_at": {"__type__": "datetime", "year": 2026, "month": 11, "day": 24, "hour": 14,
        "minute": 0, "second": 0, "microsecond": 500000, "timezone": 3600.0}, "total_run_count": 7}"#;

    fn document() -> Document {
        let (key, definition) = ("redbeat:digest".into(), DEFINITION.into());
        Document { key, definition, meta: Some(META.into()), due: Some(1_795_528_800), fixed: false }
    }

    #[test]
    fn an_entry_is_read_whole() {
        let entry = entry(&document()).expect("readable");
        assert_eq!((entry.name.as_str(), entry.when.as_str()), ("digest", "every 5 minutes"));
        assert_eq!(entry.args, r#"[12345678901234567890123, "a"]"#, "to the letter");
        assert_eq!((entry.queue.as_deref(), entry.runs, entry.enabled), (Some("mail"), Some(7), true));
        // 14:00 in a zone an hour ahead.
        assert_eq!(entry.last.map(|at| at.micros()), Some(1_795_525_200_500_000));
        assert_eq!(entry.next.map(|at| at.micros()), Some(1_795_528_800_000_000));
        let bad = Document { definition: "{".into(), ..document() };
        assert!(super::entry(&bad).is_err_and(|why| why.contains("redbeat:digest")));
    }

    #[test]
    fn switching_off_changes_nothing_else() {
        let off = switched(DEFINITION, false).expect("readable");
        let again = entry(&Document { definition: off.clone(), ..document() }).expect("readable");
        assert!(!again.enabled);
        assert_eq!(again.args, r#"[12345678901234567890123, "a"]"#);
        assert_eq!(
            serde_json::from_str::<Value>(&switched(&off, true).expect("read")).ok(),
            serde_json::from_str(DEFINITION).ok()
        );
        assert!(switched("[]", true).is_err());
    }

    #[test]
    fn schedules_are_told_in_words() {
        let cron = |minute: Value, hour: Value, day: &str| {
            words(&json!({"__type__": "crontab", "minute": minute, "hour": hour, "day_of_week": day,
                "day_of_month": "*", "month_of_year": "*"}))
        };
        assert_eq!(cron(json!("*"), json!("*"), "*"), "every minute");
        assert_eq!(cron(json!(15), json!("*"), "*"), "every hour at :15");
        assert_eq!(cron(json!("0"), json!(3), "*"), "every day at 03:00");
        assert_eq!(cron(json!("0"), json!("3"), "mon-fri"), "at 03:00, day of week mon-fri");
        assert_eq!(cron(json!("0"), json!("*/2"), "*"), "crontab 0 */2 * * *");
        assert_eq!(words(&json!({"__type__": "interval", "every": 30.0, "relative": false})), "every 30s");
        assert_eq!(words(&json!({"__type__": "rrule", "freq": 3, "interval": 2})), "every 2 days (rrule)");
    }
}
