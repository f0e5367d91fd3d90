//! Arguments and results over several lines, where they are Python literals.

use crate::celery::repr::{self, Py};
use crate::text::{Clean, clean, clean_lines};

/// Lines of at most about `width` columns. What can't be read is shown as it is.
pub fn pretty(text: &str, width: usize) -> Vec<Clean> {
    if text.len() <= width && !text.contains('\n') {
        return vec![clean(text)];
    }
    match repr::parse(text) {
        Ok(value) => {
            let mut lines = Vec::new();
            write(&value, 0, "", "", width, &mut lines);
            lines.iter().map(|line| clean(line)).collect()
        }
        Err(_) => clean_lines(text).into_iter().flat_map(|line| wrap(&line, width)).collect(),
    }
}

/// Breaks a line at `width` columns.
pub fn wrap(line: &Clean, width: usize) -> Vec<Clean> {
    use unicode_segmentation::UnicodeSegmentation;
    use unicode_width::UnicodeWidthStr;
    if line.width() <= width || width == 0 {
        return vec![line.clone()];
    }
    let (mut lines, mut current, mut used) = (Vec::new(), String::new(), 0);
    for grapheme in line.as_str().graphemes(true) {
        if used + grapheme.width() > width {
            lines.push(clean(&std::mem::take(&mut current)));
            used = 0;
        }
        used += grapheme.width();
        current.push_str(grapheme);
    }
    lines.push(clean(&current));
    lines
}

fn write(value: &Py, indent: usize, before: &str, after: &str, width: usize, lines: &mut Vec<String>) {
    let flat = flat(value);
    let pad = "  ".repeat(indent);
    let (open, close, parts): (_, _, Vec<(String, &Py)>) = match value {
        _ if pad.len() + before.len() + flat.len() + after.len() <= width => {
            lines.push(format!("{pad}{before}{flat}{after}"));
            return;
        }
        Py::Tuple(items) => ('(', ')', items.iter().map(|i| (String::new(), i)).collect()),
        Py::List(items) => ('[', ']', items.iter().map(|i| (String::new(), i)).collect()),
        Py::Set(items) => ('{', '}', items.iter().map(|i| (String::new(), i)).collect()),
        Py::Dict(pairs) => ('{', '}', pairs.iter().map(|(k, v)| (format!("{}: ", self::flat(k)), v)).collect()),
        _ => {
            for (i, line) in wrap(&clean(&flat), width.saturating_sub(pad.len()).max(8)).iter().enumerate() {
                lines.push(format!("{pad}{}{line}", if i == 0 { before } else { "" }));
            }
            return;
        }
    };
    lines.push(format!("{pad}{before}{open}"));
    for (key, part) in parts {
        write(part, indent + 1, &key, ",", width, lines);
    }
    lines.push(format!("{pad}{close}{after}"));
}

fn flat(value: &Py) -> String {
    let join = |items: &[Py]| items.iter().map(flat).collect::<Vec<_>>().join(", ");
    match value {
        Py::None => "None".into(),
        Py::Bool(b) => if *b { "True" } else { "False" }.into(),
        Py::Int(digits) => digits.clone(),
        Py::Float(f) => format!("{f:?}"),
        Py::Complex(re, im) => format!("({re:?}+{im:?}j)"),
        Py::Str(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")),
        Py::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii()),
        Py::Tuple(items) if items.len() == 1 => format!("({},)", join(items)),
        Py::Tuple(items) => format!("({})", join(items)),
        Py::List(items) => format!("[{}]", join(items)),
        Py::Set(items) if items.is_empty() => "set()".into(),
        Py::Set(items) => format!("{{{}}}", join(items)),
        Py::Dict(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{}: {}", flat(k), flat(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_literals_are_spread_over_lines() {
        let lines = pretty("{'tenant': 'acme', 'pages': [1, 2, 3], 'options': {'format': 'pdf', 'dpi': 300}}", 30);
        let lines: Vec<&str> = lines.iter().map(Clean::as_str).collect();
        assert_eq!(
            lines,
            [
                "{",
                "  'tenant': 'acme',",
                "  'pages': [1, 2, 3],",
                "  'options': {",
                "    'format': 'pdf',",
                "    'dpi': 300,",
                "  },",
                "}"
            ]
        );
        assert_eq!(pretty("<object at 0x1>", 8).len(), 2);
    }
}
