//! Headers of an AMQP message, made of JSON.

use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use serde_json::Value;

/// A table of an object's members. Names longer than AMQP allows are left out: none of Celery's are.
pub(super) fn to_table(value: &Value) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Ok(name) = ShortString::try_new(name.as_str()) {
            table.insert(name, to_value(value));
        }
    }
    table
}

/// Numbers are written as py-amqp does: whole ones in 32 bits where they fit.
fn to_value(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(b) => AMQPValue::Boolean(*b),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => i32::try_from(n).map_or(AMQPValue::LongLongInt(n), AMQPValue::LongInt),
            (None, n) => AMQPValue::Double(n.unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(items) => AMQPValue::FieldArray(FieldArray::from(items.iter().map(to_value).collect::<Vec<_>>())),
        Value::Object(_) => AMQPValue::FieldTable(to_table(value)),
    }
}

/// An object of a table's members. What JSON has no words for becomes the nearest it has.
pub(super) fn from_table(table: &FieldTable) -> Value {
    Value::Object(table.inner().iter().map(|(name, value)| (name.to_string(), from_value(value))).collect())
}

fn from_value(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(b) => Value::Bool(*b),
        AMQPValue::ShortShortInt(n) => Value::from(*n),
        AMQPValue::ShortShortUInt(n) => Value::from(*n),
        AMQPValue::ShortInt(n) => Value::from(*n),
        AMQPValue::ShortUInt(n) => Value::from(*n),
        AMQPValue::LongInt(n) => Value::from(*n),
        AMQPValue::LongUInt(n) => Value::from(*n),
        AMQPValue::LongLongInt(n) => Value::from(*n),
        AMQPValue::Timestamp(n) => Value::from(*n),
        AMQPValue::Float(f) => Value::from(*f),
        AMQPValue::Double(f) => Value::from(*f),
        AMQPValue::DecimalValue(d) => Value::from(f64::from(d.value) / 10f64.powi(i32::from(d.scale))),
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(text) => Value::from(text.to_string()),
        AMQPValue::ByteArray(bytes) => Value::from(String::from_utf8_lossy(bytes.as_slice()).into_owned()),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(from_value).collect(),
        AMQPValue::FieldTable(table) => from_table(table),
        AMQPValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_celery_puts_into_headers_comes_back_the_same() {
        let headers = json!({"id": "x", "eta": null, "n": 3, "timelimit": [null, 2], "stamps": {"a": true}, "f": 1.5});
        assert_eq!(from_table(&to_table(&headers)), headers);
    }

    #[test]
    fn headers_keep_their_types() {
        let table = to_table(&json!({
            "id": "x", "eta": null, "retries": 3, "big": 5_000_000_000_i64, "expires": 1.5, "timelimit": [null, 2],
            "stamps": {"a": true}, "n".repeat(300): 1,
        }));
        let get = |name: &str| table.inner().get(name).expect(name);
        assert_eq!(table.inner().len(), 7);
        assert_eq!((get("eta"), get("retries")), (&AMQPValue::Void, &AMQPValue::LongInt(3)));
        assert_eq!((get("big"), get("expires")), (&AMQPValue::LongLongInt(5_000_000_000), &AMQPValue::Double(1.5)));
        let AMQPValue::FieldArray(limits) = get("timelimit") else { panic!() };
        assert_eq!(limits.as_slice(), [AMQPValue::Void, AMQPValue::LongInt(2)]);
        assert!(matches!(get("stamps"), AMQPValue::FieldTable(stamps) if stamps.contains_key("a")));
    }
}
