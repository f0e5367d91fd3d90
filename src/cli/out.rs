//! Printing: tables for people, JSON and CSV for programs. The only place that writes to standard output.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use super::args::Format;
use super::exit::Exit;
use crate::text::{Clean, clean};

/// Writes a line to standard error.
pub fn error(text: &str) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes a line to standard output.
pub fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

/// Writes what `make` puts into a buffer.
pub fn bytes(make: impl FnOnce(&mut Vec<u8>)) -> anyhow::Result<Exit> {
    let mut buffer = Vec::new();
    make(&mut buffer);
    io::stdout().write_all(&buffer)?;
    Ok(Exit::Done)
}

/// Writes one JSON document.
pub fn json(document: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, document)?;
    writeln!(out)?;
    Ok(())
}

/// A table for people: aligned, cleaned, its last column as long as it likes.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let rows: Vec<Vec<Clean>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let widths: Vec<usize> = (0..headers.len())
        .map(|i| rows.iter().filter_map(|r| r.get(i)).map(Clean::width).max().unwrap_or(0).max(headers[i].len()))
        .collect();
    let mut out = io::stdout().lock();
    let mut print = |cells: &[Clean]| -> io::Result<()> {
        let mut line = String::new();
        for (i, cell) in cells.iter().enumerate() {
            line.push_str(cell.as_str());
            if i + 1 < cells.len() {
                line.push_str(&" ".repeat(widths[i].saturating_sub(cell.width()) + 2));
            }
        }
        writeln!(out, "{}", line.trim_end())
    };
    if io::stdout().is_terminal() || !rows.is_empty() {
        print(&headers.iter().map(|h| clean(h)).collect::<Vec<_>>())?;
    }
    for row in &rows {
        print(row)?;
    }
    Ok(())
}

/// Rows in the format asked for. `cells` makes a person's row out of a document.
pub fn rows<T: Serialize>(
    format: Format,
    rows: &[T],
    headers: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    if format.json {
        return json(&rows);
    }
    let mut out = io::stdout().lock();
    if format.jsonl {
        for row in rows {
            serde_json::to_writer(&mut out, row)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    if format.csv {
        for (i, row) in rows.iter().enumerate() {
            let Value::Object(map) = serde_json::to_value(row)? else { continue };
            if i == 0 {
                writeln!(out, "{}", map.keys().cloned().collect::<Vec<_>>().join(","))?;
            }
            writeln!(out, "{}", map.values().map(csv).collect::<Vec<_>>().join(","))?;
        }
        return Ok(());
    }
    drop(out);
    table(headers, &rows.iter().map(cells).collect::<Vec<_>>())
}

fn csv(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn csv_values_are_quoted_where_they_must_be() {
        assert_eq!(csv(&json!("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!((csv(&Value::Null), csv(&json!(1.5)), csv(&json!("x"))), (String::new(), "1.5".into(), "x".into()));
    }
}
