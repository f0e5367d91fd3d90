//! Pages for people: plain HTML without scripts, in which nothing of the cluster is ever markup.

use std::borrow::Cow;

use super::answer::{Answer, HTML};

/// A text that means nothing but itself.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A text of the cluster as it is shown: control characters as signs, and escaped.
pub(super) fn shown(text: &str) -> String {
    escape(crate::text::clean(text).as_str()).into_owned()
}

/// A text of several lines.
pub(super) fn shown_lines(text: &str) -> String {
    let lines: Vec<String> = crate::text::clean_lines(text).iter().map(|l| escape(l.as_str()).into_owned()).collect();
    lines.join("\n")
}

/// A link within the site; `to` is what stands behind the prefix, such as `/task/`, and `name` one more part of it.
pub(super) fn link(prefix: &str, to: &str, name: &str) -> String {
    let coded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("<a href=\"{}{to}{coded}\">{}</a>", escape(prefix), shown(name))
}

/// A whole page. `title` is a text, `main` is markup.
pub(super) fn page(status: u16, prefix: &str, title: &str, main: &str) -> Answer {
    let prefix = escape(prefix);
    let title = shown(title);
    let places = [
        ("/", "Flower"),
        ("/workers", "Workers"),
        ("/tasks", "Tasks"),
        ("/failures", "Failures"),
        ("/broker", "Broker"),
    ];
    let places: String = places.iter().map(|(to, name)| format!("<a href=\"{prefix}{to}\">{name}</a> ")).collect();
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"stylesheet\" href=\"{prefix}/static/css/flower.css\"></head>\n\
         <body><nav>{places}</nav>\n<h1>{title}</h1>\n{main}\n</body></html>\n"
    );
    Answer::new(status, HTML, body)
        .with(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        .with("Referrer-Policy", "no-referrer")
}

/// A table; cells are markup.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: String = head.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect();
    let rows: String = rows
        .into_iter()
        .map(|row| format!("<tr>{}</tr>\n", row.iter().map(|cell| format!("<td>{cell}</td>")).collect::<String>()))
        .collect();
    format!("<table><tr>{head}</tr>\n{rows}</table>")
}

/// The one style sheet.
pub(super) const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:1em;color-scheme:light dark}\
nav a{margin-right:1em}table{border-collapse:collapse}td,th{text-align:left;padding:.1em .8em .1em 0;\
vertical-align:top}pre,td{white-space:pre-wrap;overflow-wrap:anywhere}h1{font-size:1.3em}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cluster_says_is_never_markup() {
        assert_eq!(shown("<script>alert('x')</script>"), "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;");
        assert_eq!(link("/p", "/task/", "a/\"b"), "<a href=\"/p/task/a%2F%22b\">a/&quot;b</a>");
        assert!(!shown("\u{1b}[31mred").contains('\u{1b}'));
    }
}
