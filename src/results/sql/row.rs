//! Rows of the tables that results lie in, and what they say of a task. Columns are taken by name: which there are goes
//! by the version of Celery and by `result_extended`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::celery::json;
use crate::celery::result::{Opaque, Stored, TaskResult};
use crate::text::clean;

/// Whose table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Celery's own (Celery 5.7.0, `backends/database/models.py`): texts, and bytes made by the result serializer.
    /// Before 5.7 the result was pickled whatever the serializer.
    Celery,
    /// That of django-celery-results (2.6.0, `models.py`): texts, with their type beside them.
    Django,
}

/// A value, as far as we have a use for it. Texts are bytes: some drivers don't tell them apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Null,
    Number(i64),
    Bytes(Vec<u8>),
}

/// A row: its columns by name.
pub(super) struct Row(pub Vec<(String, Field)>);

impl Row {
    fn take(&mut self, name: &str) -> Option<Field> {
        let (_, field) = self.0.iter_mut().find(|(known, _)| known == name)?;
        Some(std::mem::replace(field, Field::Null))
    }

    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        match self.take(name)? {
            Field::Bytes(bytes) => Some(bytes),
            Field::Null | Field::Number(_) => None,
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.bytes(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn number(&mut self, name: &str) -> Option<i64> {
        match self.take(name)? {
            Field::Number(n) => Some(n),
            Field::Null | Field::Bytes(_) => None,
        }
    }

    fn length(&self) -> usize {
        let length = |field: &Field| if let Field::Bytes(bytes) = field { bytes.len() } else { 8 };
        self.0.iter().map(|(_, field)| length(field)).sum()
    }
}

impl Layout {
    /// The task of a row, and what is kept of it.
    pub(super) fn read(self, mut row: Row) -> Option<(String, Stored)> {
        let (id, length) = (row.text("task_id")?, row.length());
        let Some(status) = row.text("status") else {
            return Some((id, Stored::Opaque(Opaque { size: length, why: "its row has no status".into() })));
        };
        let (result, unread) = match self.result(&mut row) {
            Ok(value) => (value, None),
            Err(opaque) => (Value::Null, Some(opaque)),
        };
        let [name, args, kwargs] = match self {
            Layout::Celery => ["name", "args", "kwargs"],
            Layout::Django => ["task_name", "task_args", "task_kwargs"],
        };
        // What can't be read has no value, as what is not there.
        let mut value = |name| row.bytes(name).and_then(|bytes| json::parse(&bytes).ok()).filter(|v| !v.is_null());
        let (args, kwargs) = (value(args), value(kwargs));
        let mut kept = TaskResult {
            status,
            result,
            unread,
            name: row.text(name),
            args,
            kwargs,
            traceback: row.text("traceback"),
            // SQLite and Django put a blank where ISO 8601 has a T.
            date_done: row.text("date_done").map(|text| text.replacen(' ', "T", 1)),
            worker: row.text("worker"),
            retries: row.number("retries"),
            queue: row.text("queue"),
            length,
            ..TaskResult::default()
        };
        // Django stamps every change of a row.
        if !kept.is_ready() {
            kept.date_done = None;
        }
        Some((id, Stored::Result(Box::new(kept))))
    }

    fn result(self, row: &mut Row) -> Result<Value, Opaque> {
        let Some(bytes) = row.bytes("result") else { return Ok(Value::Null) };
        if self == Layout::Celery {
            return Opaque::or_value(&bytes);
        }
        let (coding, kind) = (row.text("content_encoding"), row.text("content_type").unwrap_or_default());
        // Bytes are written as text (django-celery-results 2.6.0, `backends/database.py`, `encode_content`).
        let bytes = match coding.as_deref() {
            Some("binary") => STANDARD.decode(&bytes).unwrap_or(bytes),
            _ => bytes,
        };
        match kind.as_str() {
            "" | "application/json" => Opaque::or_value(&bytes),
            "application/x-python-serialize" => Err(Opaque { size: bytes.len(), why: Opaque::PICKLED.into() }),
            other => Err(Opaque { size: bytes.len(), why: format!("it is {}", clean(other)) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(layout: Layout, fields: &[(&str, &str)]) -> TaskResult {
        let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), Field::Bytes(text.as_bytes().to_vec())));
        let row = Row(fields.chain([("retries".into(), Field::Number(2)), ("queue".into(), Field::Null)]).collect());
        match layout.read(row) {
            Some((id, Stored::Result(result))) if id == "x" => *result,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn celerys_columns_are_taken_by_their_names() {
        let result = read(
            Layout::Celery,
            &[
                ("task_id", "x"),
                ("status", "SUCCESS"),
                ("result", r#"{"a": 1}"#),
                ("date_done", "2026-01-02 03:04:05.5"),
                ("name", "shop.buy"),
                ("args", "[1]"),
                ("kwargs", "\u{1}"),
                ("children", "null"),
            ],
        );
        assert_eq!(result.value().as_deref(), Some("{'a': 1}"));
        assert_eq!((result.date_done.as_deref(), result.retries), (Some("2026-01-02T03:04:05.5"), Some(2)));
        assert_eq!((result.args_text().as_deref(), result.kwargs_text()), (Some("(1,)"), None));
    }

    #[test]
    fn a_pickle_leaves_the_rest_of_its_row_readable() {
        let mut row = Row(vec![
            ("task_id".into(), Field::Bytes(b"x".to_vec())),
            ("status".into(), Field::Bytes(b"FAILURE".to_vec())),
            ("traceback".into(), Field::Bytes(b"Traceback".to_vec())),
            ("result".into(), Field::Bytes(b"\x80\x04K\x01.".to_vec())),
        ]);
        let pickled = Opaque { size: 5, why: "it is pickled".into() };
        assert_eq!(Layout::Celery.result(&mut row), Err(pickled.clone()));
        row.0[3].1 = Field::Bytes(b"\x80\x04K\x01.".to_vec());
        let Some((_, Stored::Result(result))) = Layout::Celery.read(row) else { panic!("not readable") };
        assert_eq!((result.status.as_str(), result.traceback.as_deref()), ("FAILURE", Some("Traceback")));
        assert_eq!((result.unread.as_ref(), result.value(), result.exception()), (Some(&pickled), None, None));
    }

    #[test]
    fn djangos_texts_go_by_the_type_beside_them() {
        let said = |kind: &str, coding: &str, text: &str| {
            let fields = [
                ("task_id", "x"),
                ("status", "SUCCESS"),
                ("result", text),
                ("content_type", kind),
                ("content_encoding", coding),
                ("task_args", r#""(1, <Thing>)""#),
            ];
            let result = read(Layout::Django, &fields);
            assert_eq!(result.args_text().as_deref(), Some("(1, <Thing>)"));
            result.value().unwrap_or_else(|| result.unread.map(|unread| unread.to_string()).unwrap_or_default())
        };
        assert_eq!(said("application/json", "utf-8", "[true]"), "[True]");
        assert_eq!(said("application/x-python-serialize", "binary", "gARLAS4="), "5B, not read: it is pickled");
        assert_eq!(said("application/json", "binary", "gARLAS4="), "5B, not read: it is pickled");
        assert_eq!(said("application/x-yaml", "utf-8", "a: 1"), "4B, not read: it is application/x-yaml");
    }

    #[test]
    fn a_task_that_runs_is_not_done() {
        let fields = [("task_id", "x"), ("status", "STARTED"), ("date_done", "2026-01-02 03:04:05")];
        assert_eq!(read(Layout::Django, &fields).date_done, None);
    }
}
