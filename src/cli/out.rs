//! Printing: tables for people, JSON and CSV for programs. The only place that writes to standard output.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::args::Format;
use super::exit::Exit;
use crate::export;
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
    if format.jsonl || format.csv {
        let format = if format.jsonl { export::Format::Jsonl } else { export::Format::Csv };
        let mut lines = export::Rows::new(io::stdout().lock(), format);
        rows.iter().try_for_each(|row| lines.add(row))?;
        return Ok(());
    }
    table(headers, &rows.iter().map(cells).collect::<Vec<_>>())
}
