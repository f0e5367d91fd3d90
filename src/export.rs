//! Tasks, workers and queues as CSV or JSON lines: what `--csv` and `--jsonl` print, and what a list writes to a file.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::celery::TaskId;
use crate::filter::Filter;
use crate::history::reader::{Query, Reader};
use crate::redact::Redactor;
use crate::state::doc::TaskDoc;
use crate::state::{Sort, Store};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    /// One JSON document on each line.
    Jsonl,
}

impl Format {
    /// By the end of a file's name: `.json` and `.jsonl` are JSON lines, all else is CSV.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|end| end.to_str()) {
            Some("json" | "jsonl" | "ndjson") => Format::Jsonl,
            _ => Format::Csv,
        }
    }
}

/// Writes rows one after the other. The first one names the columns of a CSV file.
pub struct Rows<W: Write> {
    out: W,
    format: Format,
    written: u64,
    /// The row as JSON, before it becomes another format.
    row: Vec<u8>,
}

impl<W: Write> Rows<W> {
    pub fn new(out: W, format: Format) -> Self {
        Self { out, format, written: 0, row: Vec::new() }
    }

    /// Writes what waits in a buffer.
    pub fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub fn add(&mut self, row: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Jsonl => {
                serde_json::to_writer(&mut self.out, row)?;
                writeln!(self.out)?;
            }
            Format::Csv => {
                self.row.clear();
                serde_json::to_writer(&mut self.row, row)?;
                let Ok(Fields(fields)) = serde_json::from_slice(&self.row) else { return Ok(()) };
                if self.written == 0 {
                    write_line(&mut self.out, fields.iter().map(|(name, _)| Cow::Borrowed(*name)))?;
                }
                write_line(&mut self.out, fields.iter().map(|(_, value)| csv(value)))?;
            }
        }
        self.written += 1;
        Ok(())
    }
}

fn write_line<'t>(out: &mut impl Write, cells: impl Iterator<Item = Cow<'t, str>>) -> io::Result<()> {
    for (i, cell) in cells.enumerate() {
        out.write_all(if i > 0 { b"," } else { b"" })?;
        out.write_all(cell.as_bytes())?;
    }
    out.write_all(b"\n")
}

/// The fields of a JSON object in their order, their values as they stand there.
struct Fields<'j>(Vec<(&'j str, &'j RawValue)>);

impl<'de: 'j, 'j> Deserialize<'de> for Fields<'j> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}

struct FieldsVisitor<'j>(PhantomData<&'j ()>);

impl<'de: 'j, 'j> Visitor<'de> for FieldsVisitor<'j> {
    type Value = Fields<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(32);
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

fn csv(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    let text: Cow<'_, str> = match json.as_bytes() {
        b"null" => return Cow::Borrowed(""),
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Cow::Borrowed(&json[1..json.len() - 1]),
        [b'"', ..] => serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), Cow::Owned),
        _ => Cow::Borrowed(json),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")).into() } else { text }
}

/// What is written to a file.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The tasks a filter selects.
    Selected(Filter, Sort),
    Tasks(Vec<TaskId>),
    /// The tasks a history file has of what is looked for.
    Recorded(PathBuf, Query),
    /// Other rows, as they were when it was asked for.
    Documents(Vec<Value>),
}

/// How far the writing of a file is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Going {
    /// Rows written.
    pub rows: u64,
    /// The share of all that has been gone through.
    pub share: f64,
}

/// An order to write a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    pub what: What,
    /// As it was typed: `~/` is the person's home.
    pub path: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: PathBuf,
    pub rows: u64,
    pub bytes: u64,
}

/// Tasks read at a time, so that the feed never waits for a disk.
const SLICE: usize = 2_000;

/// Writes the file, which only its owner may read, and tells now and then how far it is; where that is answered with
/// false, it stops. A file that exists is left alone; one that can't be finished is taken away.
pub fn run(store: &Store, export: &Export, progress: impl FnMut(Going) -> bool) -> Result<Written, String> {
    let path = resolve(&export.path);
    let shown = path.display().to_string();
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("there is a file {shown} already: nothing was written"),
        _ => format!("can't write {shown}: {error}"),
    })?;
    match write(store, &export.what, &file, Format::of(&path), progress) {
        Ok(rows) => {
            let bytes = std::fs::metadata(&path).map_or(0, |meta| meta.len());
            Ok(Written { path, rows, bytes })
        }
        Err(error) => {
            // What is half done is of no use, and would stand in the way of another try.
            let _ = std::fs::remove_file(&path);
            Err(match error.kind() {
                io::ErrorKind::Interrupted => format!("stopped: {shown} was not kept"),
                _ => format!("can't write {shown}: {error}"),
            })
        }
    }
}

fn resolve(typed: &str) -> PathBuf {
    let typed = typed.trim();
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let path = match typed.strip_prefix("~/").zip(home()) {
        Some((rest, home)) => home.join(rest),
        None => PathBuf::from(typed),
    };
    std::path::absolute(&path).unwrap_or(path)
}

fn write(
    store: &Store,
    what: &What,
    file: &File,
    format: Format,
    mut progress: impl FnMut(Going) -> bool,
) -> io::Result<u64> {
    let mut rows = Rows::new(BufWriter::new(file), format);
    match what {
        What::Documents(documents) => documents.iter().try_for_each(|document| rows.add(document))?,
        What::Tasks(ids) => tasks(store, ids, &mut rows, &mut progress)?,
        What::Selected(filter, sort) => tasks(store, &store.select_ids(filter, *sort), &mut rows, &mut progress)?,
        What::Recorded(path, query) => recorded(path, query.clone(), &store.redactor(), &mut rows, &mut progress)?,
    }
    rows.out.flush()?;
    file.sync_all()?;
    Ok(rows.written)
}

/// Somebody said that it is not wanted any more.
fn stopped() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

fn tasks(
    store: &Store,
    ids: &[TaskId],
    rows: &mut Rows<impl Write>,
    progress: &mut impl FnMut(Going) -> bool,
) -> io::Result<()> {
    for (i, slice) in ids.chunks(SLICE).enumerate() {
        let docs: Vec<TaskDoc> = store.read(|m| slice.iter().filter_map(|id| m.task(id)).map(TaskDoc::from).collect());
        docs.iter().try_for_each(|doc| rows.add(doc))?;
        let share = (i * SLICE + slice.len()) as f64 / ids.len() as f64;
        if !progress(Going { rows: rows.written, share }) {
            return Err(stopped());
        }
    }
    Ok(())
}

/// What was written down by somebody who hides less.
fn redact(doc: &mut TaskDoc, redactor: &Redactor) {
    for text in [&mut doc.args, &mut doc.kwargs, &mut doc.result, &mut doc.exception].into_iter().flatten() {
        if let Cow::Owned(redacted) = redactor.text(text) {
            *text = redacted;
        }
    }
    if let Some(Cow::Owned(redacted)) = doc.traceback.as_deref().map(|text| redactor.traceback(text)) {
        doc.traceback = Some(redacted);
    }
}

fn recorded(
    path: &Path,
    mut query: Query,
    redactor: &Redactor,
    rows: &mut Rows<impl Write>,
    progress: &mut impl FnMut(Going) -> bool,
) -> io::Result<()> {
    let failed = |error: crate::history::Error| io::Error::other(error.to_string());
    let mut reader = Reader::open(path).map_err(failed)?;
    query.limit = SLICE;
    let mut passed = 0;
    loop {
        let (mut looked, mut of, mut goes_on) = (0, 0, true);
        let page = reader.find(&query, &mut |p| {
            (looked, of) = (p.looked, p.of);
            let share = (passed + looked) as f64 / of.max(1) as f64;
            goes_on = progress(Going { rows: rows.written, share });
            goes_on
        });
        let mut page = page.map_err(failed)?;
        page.tasks.iter_mut().for_each(|(_, doc)| redact(doc, redactor));
        page.tasks.iter().try_for_each(|(_, doc)| rows.add(doc))?;
        passed += looked;
        goes_on &= progress(Going { rows: rows.written, share: passed as f64 / of.max(passed).max(1) as f64 });
        match page.next {
            _ if !goes_on => return Err(stopped()),
            None => return Ok(()),
            next => query.before = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::event::Batch;
    use crate::clock::Stamp;
    use crate::state::{Limits, Update};
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    #[test]
    fn csv_values_are_quoted_where_they_must_be() {
        let mut rows = Rows::new(Vec::new(), Format::Csv);
        let row =
            json!({"a": "a,\"b\"", "b": null, "c": 1.5, "d": "x", "e": "two\nlines", "f": "\u{e9}\\", "g": [1, 2]});
        rows.add(&row).expect("written");
        rows.add(&json!("no object")).expect("left out");
        let text = String::from_utf8(rows.out).expect("text");
        assert_eq!(text, "a,b,c,d,e,f,g\n\"a,\"\"b\"\"\",,1.5,x,\"two\nlines\",\u{e9}\\,\"[1,2]\"\n");
    }

    fn store(tasks: usize) -> Store {
        let store = Store::new(Limits::default());
        let event = |n: usize| {
            let kind = if n.is_multiple_of(2) { "task-succeeded" } else { "task-failed" };
            json!({"type": kind, "uuid": format!("t{n:05}"), "hostname": "w", "timestamp": 1_000 + n, "result": "a,b"})
        };
        let body = Value::Array((0..tasks).map(event).collect()).to_string();
        let mut batch = Batch::default();
        let format = crate::celery::envelope::Format::Json;
        assert!(batch.push_body(format, body.as_bytes(), Stamp::from_micros(1_000_000_000)).is_ok());
        store.apply(&[Update::Events(Arc::new(batch))]);
        store
    }

    #[test]
    fn what_a_filter_selects_is_written_in_its_order_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(5_000);
        let filter = crate::filter::parse("state:failure").unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let export = Export { what: What::Selected(filter, Sort::default()), path: path("x.csv") };
        let mut told = Vec::new();
        let written = run(&store, &export, |going| {
            told.push((going.rows, going.share));
            true
        });
        let written = written.unwrap();
        assert_eq!(told, [(2_000, 0.8), (2_500, 1.0)]);
        let text = std::fs::read_to_string(&written.path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((written.rows, written.bytes, lines.len()), (2_500, text.len() as u64, 2_501));
        assert!(lines[0].starts_with("id,name,state,worker,queue,args"), "{}", lines[0]);
        assert!(lines[1].starts_with("t04999,,FAILURE,w,"), "the latest first: {}", lines[1]);
        let mode = std::fs::metadata(&written.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(run(&store, &export, |_| true).unwrap_err().contains("already: nothing was written"));
        assert_eq!(std::fs::read_to_string(&written.path).unwrap(), text);
        let some = What::Tasks(vec![TaskId::new("t00002"), TaskId::new("gone")]);
        let written = run(&store, &Export { what: some, path: path("y.jsonl") }, |_| true).unwrap();
        let row: Value = serde_json::from_str(&std::fs::read_to_string(&written.path).unwrap()).unwrap();
        assert_eq!((row["id"].as_str(), row["state"].as_str()), (Some("t00002"), Some("SUCCESS")));
        let rows = What::Documents(vec![json!({"name": "q", "ready": 3})]);
        let written = run(&store, &Export { what: rows, path: path("z.csv") }, |_| true).unwrap();
        assert_eq!(std::fs::read_to_string(&written.path).unwrap(), "name,ready\nq,3\n");
    }

    #[test]
    fn what_is_stopped_leaves_no_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let what = What::Selected(Filter::default(), Sort::default());
        let export = Export { what, path: path.display().to_string() };
        let why = run(&store(5_000), &export, |going| going.share < 0.5).unwrap_err();
        assert!(why.starts_with("stopped: "), "{why}");
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let export = Export { what: What::Tasks(Vec::new()), path: "/nowhere/at/all.csv".into() };
        let why = run(&store(1), &export, |_| true).unwrap_err();
        assert!(why.starts_with("can't write /nowhere/at/all.csv: "), "{why}");
    }
}
