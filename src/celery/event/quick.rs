//! The short road: what Celery's own serialiser writes, read where it lies. Whatever is unusual it leaves to the long one.

use super::fields::{Fields, Known, NAMES, Scalar};
use super::{Batch, Field, Text};
use crate::celery::pull::{Number, Pull, Raw, Token, unescape};
use crate::clock::Stamp;

/// Adds the events of a body. Where it says nothing, the batch has to be taken back to what it was.
pub(super) fn read(batch: &mut Batch, body: &[u8], received: Stamp) -> Option<()> {
    let mut pull = Pull::new(simdutf8::basic::from_utf8(body).ok()?);
    if !pull.eat(b'[') {
        event(&mut pull, batch, received)?;
    } else if !pull.eat(b']') {
        loop {
            event(&mut pull, batch, received)?;
            if !pull.more(b']')? {
                break;
            }
        }
    }
    pull.is_over().then_some(())
}

/// Which two fields came after which the last times: Celery writes those of one type of event always in the same order,
/// and to compare costs less than to read.
#[derive(Debug)]
pub(super) struct Order([[Known; 2]; NAMES + 1]);

impl Default for Order {
    fn default() -> Self {
        Self([[Known::Unknown; 2]; NAMES + 1])
    }
}

impl Order {
    fn key(&mut self, before: Known, pull: &mut Pull<'_>) -> Option<Known> {
        let expected = &mut self.0[before as usize];
        if let Some(key) = expected.iter().find(|key| **key != Known::Unknown && pull.word(key.written())) {
            return Some(*key);
        }
        let key = Known::of(pull.key()?);
        if key != Known::Unknown {
            *expected = [key, expected[0]];
        }
        Some(key)
    }
}

fn event(pull: &mut Pull<'_>, batch: &mut Batch, received: Stamp) -> Option<()> {
    let start = batch.text.len();
    let mut fields = Fields::default();
    if !pull.eat(b'{') {
        return None;
    }
    if !pull.eat(b'}') {
        let mut before = Known::Unknown;
        loop {
            let key = batch.order.key(before, pull)?;
            before = key;
            field(key, pull, &mut fields, batch)?;
            if !pull.more(b'}')? {
                break;
            }
        }
    }
    fields.size = batch.text.len() - start;
    batch.push_fields(fields, received);
    Some(())
}

fn field(key: Known, pull: &mut Pull<'_>, fields: &mut Fields, batch: &mut Batch) -> Option<()> {
    match key {
        Known::Unknown | Known::Utcoffset => pull.skip()?,
        Known::Id => {
            fields.has_id = true;
            pull.skip()?;
        }
        Known::Loadavg => fields.loadavg = loadavg(pull)?,
        key => {
            let scalar = match pull.token()? {
                Token::Null => Scalar::Null,
                Token::Bool(b) => Scalar::Bool(b),
                Token::Number(Number::Int(i)) => Scalar::Int(i),
                Token::Number(Number::Float(f)) => Scalar::Float(f),
                Token::Text(raw) => Scalar::Text(text(raw, batch)?),
            };
            fields.set(key, scalar, batch);
        }
    }
    Some(())
}

fn text(raw: Raw<'_>, batch: &mut Batch) -> Option<Text> {
    if !raw.escaped {
        return Some(batch.put(raw.text));
    }
    let start = batch.text.len();
    unescape(raw.text, &mut batch.text)?;
    Some(batch.since(start))
}

fn loadavg(pull: &mut Pull<'_>) -> Option<Field<[f64; 3]>> {
    let mut three = [0.0; 3];
    if !pull.eat(b'[') {
        return None;
    }
    for (i, value) in three.iter_mut().enumerate() {
        *value = match pull.token()? {
            Token::Number(Number::Int(i)) => i as f64,
            Token::Number(Number::Float(f)) => f,
            _ => return None,
        };
        if pull.more(b']')? != (i < 2) {
            return None;
        }
    }
    Some(Field::Value(three))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::envelope::{Format, Scratch};
    use crate::celery::json;

    const BODIES: [&str; 4] = [
        r#"[{"hostname": "celery@w", "utcoffset": 0, "pid": 7, "clock": 12, "uuid": "a260983f-bbd4-44e3-8315-f14a750c0275", "name": "a.b", "args": "(1, 'x')", "kwargs": "{}", "root_id": null, "retries": 0, "timestamp": 1795529.25, "type": "task-received"}, {"uuid": 5, "terminated": true, "signum": 15, "hostname": "w", "timestamp": 3, "type": "task-revoked"}]"#,
        r#"{"type": "worker-heartbeat", "hostname": "w@h", "freq": 2.0, "loadavg": [0.1, 2, 3.5], "active": -1, "sw_ver": "5.7", "id": {"a": [1]}, "timestamp": 9.5e-05}"#,
        r#"{"type": "task-failed", "uuid": "x", "hostname": "w", "traceback": "File \"a.py\"\n  \u00e9\ud83d\ude00", "timestamp": 1}"#,
        r#"{"type": "task-succeeded", "uuid": "é", "hostname": "w", "result": {"not": ["usual"]}, "timestamp": 1}"#,
    ];

    fn long(body: &[u8]) -> (Batch, bool) {
        use serde::de::DeserializeSeed;
        let mut batch = Batch::default();
        let value = json::parse(body);
        let read = value.and_then(|value| {
            let seed = super::super::any::BodySeed { batch: &mut batch, received: Stamp::EPOCH };
            seed.deserialize(value).map_err(|why| crate::celery::Error::Json(why.to_string()))
        });
        (batch, read.is_ok())
    }

    fn same(body: &[u8]) -> bool {
        let mut short = Batch::default();
        if read(&mut short, body, Stamp::EPOCH).is_none() {
            return false;
        }
        let (long, read) = long(body);
        let told = |batch: &Batch| (batch.text.clone(), format!("{:?} {:?}", batch.events, batch.undecodable));
        assert!(read, "only the short road reads {}", String::from_utf8_lossy(body));
        assert_eq!(told(&short), told(&long), "{}", String::from_utf8_lossy(body));
        true
    }

    #[test]
    fn what_the_short_road_reads_the_long_one_reads_as_well_and_the_same() {
        let usual = BODIES.map(|body| same(body.as_bytes()));
        assert_eq!(usual, [true, true, true, false], "the last is left to the long road");
        let mut read = 0;
        for body in BODIES {
            for at in 0..body.len() {
                for with in
                    ["", "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "0", "7", "-", "e", ".", "u", "null"]
                {
                    let mut bent = body.as_bytes().to_vec();
                    bent.splice(at..=at, with.bytes());
                    read += usize::from(same(&bent));
                }
                same(&body.as_bytes()[..at]);
            }
        }
        assert!(read > 5_000, "{read} of those that were bent are still read");
    }

    #[test]
    fn all_that_real_workers_sent_goes_the_short_road() {
        let mut scratch = Scratch::default();
        for line in include_str!("../../../fixtures/redis-events.jsonl").lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("a row");
            let message = row["data"].as_str().expect("a message");
            let (_, body) =
                scratch.body(message.as_bytes()).unwrap_or_else(|| panic!("an unusual envelope: {message}"));
            let mut batch = Batch::default();
            let usual = read(&mut batch, body, Stamp::EPOCH).is_some();
            assert!(usual, "an unusual body: {}", String::from_utf8_lossy(body));
            // Times may differ by a microsecond: `serde_json` rounds twice.
            let long = long(body).0;
            assert_eq!((&batch.text, batch.events.len()), (&long.text, long.events.len()));
        }
    }

    #[test]
    fn what_the_short_road_began_and_left_is_not_there_twice() {
        let mut batch = Batch::default();
        let body = format!("[{}, {}]", BODIES[2], BODIES[3]);
        batch.push_body(Format::Json, body.as_bytes(), Stamp::EPOCH).expect("readable");
        assert_eq!(batch.events.len(), 2);
    }
}
