//! The long road: any JSON, and msgpack, through serde. What it can't read can't be read.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::fields::{Fields, Known, Scalar};
use super::{Batch, Field};
use crate::clock::Stamp;

/// Reads a body, of which nothing may be left over.
pub(super) fn read_all<'de, R: serde_json::de::Read<'de>>(
    seed: BodySeed<'_>,
    mut de: serde_json::Deserializer<R>,
) -> serde_json::Result<()> {
    seed.deserialize(&mut de)?;
    de.end()
}

/// A body: an event or a list of them.
pub(super) struct BodySeed<'b> {
    pub batch: &'b mut Batch,
    pub received: Stamp,
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event or a list of events")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let start = self.batch.text.len();
        let mut fields = Fields::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Known::Unknown | Known::Utcoffset => _ = map.next_value::<IgnoredAny>()?,
                Known::Id => {
                    fields.has_id = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Known::Loadavg => fields.loadavg = loadavg(&map.next_value::<Value>()?),
                key => {
                    let scalar = map.next_value_seed(ScalarSeed(self.batch))?;
                    fields.set(key, scalar, self.batch);
                }
            }
        }
        fields.size = self.batch.text.len() - start;
        self.batch.push_fields(fields, self.received);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(BodySeed { batch: self.batch, received: self.received })?.is_some() {}
        Ok(())
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Known;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Known, D::Error> {
        de.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Known;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, text: &str) -> Result<Known, E> {
        Ok(Known::of(text))
    }
}

fn loadavg(value: &Value) -> Field<[f64; 3]> {
    match value.as_array().map(Vec::as_slice) {
        Some([a, b, c]) => match (a.as_f64(), b.as_f64(), c.as_f64()) {
            (Some(a), Some(b), Some(c)) => Field::Value([a, b, c]),
            _ => Field::Null,
        },
        _ => Field::Null,
    }
}

/// Reads any value: texts go to the batch's buffer, lists and maps as the JSON they are.
struct ScalarSeed<'b>(&'b mut Batch);

impl<'de> DeserializeSeed<'de> for ScalarSeed<'_> {
    type Value = Scalar;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Scalar, D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed<'_> {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }
    fn visit_none<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(b))
    }
    fn visit_i64<E>(self, i: i64) -> Result<Scalar, E> {
        Ok(Scalar::Int(i))
    }
    fn visit_u64<E>(self, u: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(u).map_or(Scalar::Float(u as f64), Scalar::Int))
    }
    fn visit_f64<E>(self, f: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(f))
    }
    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(self.0.put(text)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Value>()? {
            items.push(item);
        }
        Ok(Scalar::Text(self.0.put(&Value::Array(items).to_string())))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            object.insert(key, value);
        }
        Ok(Scalar::Text(self.0.put(&Value::Object(object).to_string())))
    }
}
