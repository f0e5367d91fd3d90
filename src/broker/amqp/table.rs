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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
