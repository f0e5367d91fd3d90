//! Arguments and results over several lines, where they are Python literals or JSON.

use crate::celery::repr::{self, Py};
use crate::text::{Clean, clean, clean_lines};
use crate::tui::theme::Role;
use crate::tui::widgets::outline::Item;

/// A value as it is shown: its text in one line, and its parts if it has some.
struct Node {
    flat: String,
    parts: Option<Parts>,
}

struct Parts {
    open: char,
    close: char,
    /// What stands before each part (`'key': `), and the part.
    inner: Vec<(String, Node)>,
}

impl Node {
    fn leaf(flat: String) -> Self {
        Self { flat, parts: None }
    }

    fn of(open: char, close: char, inner: Vec<(String, Node)>, lone_comma: bool) -> Self {
        let texts: Vec<String> = inner.iter().map(|(key, node)| format!("{key}{}", node.flat)).collect();
        let comma = if lone_comma && inner.len() == 1 { "," } else { "" };
        let flat = format!("{open}{}{comma}{close}", texts.join(", "));
        Self { flat, parts: (!inner.is_empty()).then_some(Parts { open, close, inner }) }
    }

    fn python(value: &Py) -> Self {
        let list = |items: &[Py]| items.iter().map(|i| (String::new(), Node::python(i))).collect();
        match value {
            Py::Tuple(items) => Node::of('(', ')', list(items), true),
            Py::List(items) => Node::of('[', ']', list(items), false),
            Py::Set(items) if items.is_empty() => Node::leaf("set()".into()),
            Py::Set(items) => Node::of('{', '}', list(items), false),
            Py::Dict(pairs) => {
                let inner = pairs.iter().map(|(k, v)| (format!("{}: ", Node::python(k).flat), Node::python(v)));
                Node::of('{', '}', inner.collect(), false)
            }
            Py::None => Node::leaf("None".into()),
            Py::Bool(b) => Node::leaf(if *b { "True" } else { "False" }.into()),
            Py::Int(digits) => Node::leaf(digits.clone()),
            Py::Float(f) => Node::leaf(format!("{f:?}")),
            Py::Complex(re, im) => Node::leaf(format!("({re:?}+{im:?}j)")),
            Py::Str(text) => {
                let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
                Node::leaf(format!("'{text}'"))
            }
            Py::Bytes(bytes) => Node::leaf(format!("b'{}'", bytes.escape_ascii())),
        }
    }

    fn json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Array(items) => {
                Node::of('[', ']', items.iter().map(|i| (String::new(), Node::json(i))).collect(), false)
            }
            Value::Object(map) => {
                let inner = map.iter().map(|(k, v)| (format!("{}: ", Value::from(k.as_str())), Node::json(v)));
                Node::of('{', '}', inner.collect(), false)
            }
            leaf => Node::leaf(leaf.to_string()),
        }
    }
}

/// How a text was understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Python,
    /// A text that holds a JSON document.
    Json,
    /// Shown as it is.
    Text,
}

fn read(text: &str) -> (Option<Node>, Kind) {
    let json =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).ok().filter(|v| v.is_object() || v.is_array());
    match repr::parse(text) {
        Ok(Py::Str(inner)) => match json(&inner) {
            Some(value) => (Some(Node::json(&value)), Kind::Json),
            None => (None, Kind::Text),
        },
        Ok(value) => (Some(Node::python(&value)), Kind::Python),
        Err(_) => match json(text) {
            Some(value) => (Some(Node::json(&value)), Kind::Json),
            None => (None, Kind::Text),
        },
    }
}

/// Lines of at most about `width` columns that can be folded. `path` names the folds.
pub fn outline(text: &str, path: &str, depth: u16, width: usize) -> (Vec<Item>, Kind) {
    let (node, kind) = read(text);
    let mut items = Vec::new();
    match node {
        Some(node) => write(&node, "", "", path, depth, width, &mut items),
        None => {
            let lines = clean_lines(text).into_iter().flat_map(|line| wrap(&line, width));
            items.extend(lines.map(|line| Item::line(depth, vec![(line, Role::Text)])));
        }
    }
    (items, kind)
}

/// The same without folds.
pub fn pretty(text: &str, width: usize) -> Vec<Clean> {
    if text.len() <= width && !text.contains('\n') {
        return vec![clean(text)];
    }
    let (items, _) = outline(text, "", 0, width);
    items
        .into_iter()
        .map(|item| {
            let text: String = item.pieces.iter().map(|(text, _)| text.as_str()).collect();
            crate::clean!("{}{text}", "  ".repeat(usize::from(item.shown_depth())))
        })
        .collect()
}

/// Breaks a line into some of at most `width` columns: at blanks where there are some, else anywhere.
pub fn wrap(line: &Clean, width: usize) -> Vec<Clean> {
    use unicode_segmentation::UnicodeSegmentation;
    use unicode_width::UnicodeWidthStr;
    if line.width() <= width || width == 0 {
        return vec![line.clone()];
    }
    let (mut lines, mut current, mut used) = (Vec::new(), String::new(), 0);
    // Bytes up to the last blank that stands behind something.
    let mut blank: Option<usize> = None;
    for grapheme in line.as_str().graphemes(true) {
        if used + grapheme.width() > width && !current.is_empty() {
            let rest = match blank.take() {
                _ if grapheme == " " => String::new(),
                Some(at) => current.split_off(at).trim_start().to_owned(),
                None => String::new(),
            };
            lines.push(clean(current.trim_end()));
            used = rest.width();
            current = rest;
            if grapheme == " " && current.is_empty() {
                continue;
            }
        }
        if grapheme == " " && !current.trim_start().is_empty() {
            blank = Some(current.len());
        }
        used += grapheme.width();
        current.push_str(grapheme);
    }
    lines.push(clean(&current));
    lines
}

fn write(node: &Node, before: &str, after: &str, path: &str, depth: u16, width: usize, items: &mut Vec<Item>) {
    let pad = usize::from(depth) * 2;
    let plain = |text: &str| vec![(clean(text), Role::Text)];
    let fits = pad + before.len() + node.flat.len() + after.len() <= width;
    let Some(parts) = node.parts.as_ref().filter(|_| !fits) else {
        let text = format!("{before}{}{after}", node.flat);
        let room = width.saturating_sub(pad).max(8);
        items.extend(wrap(&clean(&text), room).into_iter().map(|line| Item::line(depth, vec![(line, Role::Text)])));
        return;
    };
    let folded = format!("{before}{} … {}{after}  {}", parts.open, parts.close, count(parts.inner.len()));
    items.push(Item {
        depth,
        pieces: plain(&format!("{before}{}", parts.open)),
        fold: Some(path.to_owned()),
        folded: plain(&folded),
        closes: false,
    });
    for (i, (key, part)) in parts.inner.iter().enumerate() {
        write(part, key, ",", &format!("{path}/{i}"), depth + 1, width, items);
    }
    items.push(Item { closes: true, ..Item::line(depth + 1, plain(&format!("{}{after}", parts.close))) });
}

fn count(n: usize) -> String {
    format!("{n} {}", if n == 1 { "item" } else { "items" })
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

    #[test]
    fn lines_are_broken_at_blanks_where_there_are_some() {
        let wrapped = |text: &str, width| -> Vec<String> {
            wrap(&clean(text), width).iter().map(|line| line.as_str().to_owned()).collect()
        };
        assert_eq!(wrapped("unexpected end at character 1", 14), ["unexpected end", "at character 1"]);
        assert_eq!(wrapped("unexpected end at character 1", 16), ["unexpected end", "at character 1"]);
        assert_eq!(wrapped("    raise ValueErrorOfALongName", 12), ["    raise", "ValueErrorOf", "ALongName"]);
    }

    proptest::proptest! {
        #[test]
        fn wrapped_lines_are_never_too_wide_and_lose_blanks_only(text in "[a-z é語 ]{0,60}", width in 2usize..20) {
            let line = clean(&text);
            let lines = wrap(&line, width);
            let solid = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            let joined: String = lines.iter().map(|l| solid(l.as_str())).collect();
            proptest::prop_assert_eq!(joined, solid(line.as_str()));
            proptest::prop_assert!(lines.iter().all(|l| l.width() <= width));
        }
    }

    #[test]
    fn json_within_a_text_is_shown_as_json() {
        let (items, kind) = outline("'{\"a\": [1, 2], \"b\": null}'", "result", 0, 80);
        assert_eq!((items.len(), kind), (1, Kind::Json));
        assert_eq!(outline("'plain'", "x", 0, 80).1, Kind::Text);
        assert_eq!(outline("(1,)", "x", 0, 80).1, Kind::Python);
    }
}
