//! What an exception and its traceback have in common with others of their kind: the type, the message without what
//! differs from call to call, and the frame that raised it.

/// Where an exception was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'t> {
    /// The file's name without its folders.
    pub file: &'t str,
    pub line: u32,
    pub function: &'t str,
    /// Line of the traceback, from zero, that names the frame.
    pub at: usize,
}

/// The innermost frame of a traceback: the last one, also where one exception followed another. Frames of Celery itself
/// are passed over: every `self.retry()` ends in the same one (Celery 5.7.0, `utils/serialization.py`).
pub fn raised_at(traceback: &str) -> Option<Frame<'_>> {
    let frames = || traceback.lines().enumerate().filter_map(|(at, line)| Some((frame(line, at)?, line)));
    frames().filter(|(_, line)| !line.contains("-packages/celery/")).last().or(frames().last()).map(|(frame, _)| frame)
}

/// Reads a line such as `  File "/srv/app/tasks.py", line 41, in charge`.
fn frame(line: &str, at: usize) -> Option<Frame<'_>> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (path, rest) = rest.split_once("\", line ")?;
    let (number, function) = match rest.split_once(", in ") {
        Some((number, function)) => (number, function),
        None => (rest, ""),
    };
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    Some(Frame { file, line: number.trim().parse().ok()?, function: function.trim(), at })
}

/// Type and message of an exception as events carry it, `ValueError('no')` or `ValueError: no`.
pub fn exception(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let kind = path.rsplit('.').find(|part| !part.is_empty()).unwrap_or(path);
    let rest = rest.trim();
    let inner = match rest.strip_prefix('(') {
        Some(inner) => inner.strip_suffix(')').unwrap_or(inner).trim_end_matches(','),
        None => rest.trim_start_matches(':').trim(),
    };
    (kind, unquote(inner))
}

/// An exception's text that says what failed. Where a pool's process died, billiard wraps what it knows into an exception
/// whose text is empty (4.2.4, `einfo.py`), and only the traceback's last line names it.
pub fn telling<'t>(exception: &'t str, traceback: Option<&'t str>) -> &'t str {
    if !exception.starts_with("ExceptionWithTraceback(") {
        return exception;
    }
    let last = traceback
        .and_then(|text| text.lines().rev().map(str::trim).find(|line| line.chars().any(char::is_alphanumeric)));
    let named = last.map(|line| line.trim_matches('"').trim()).filter(|line| {
        let (path, _) = line.split_once(':').unwrap_or((line, ""));
        !path.is_empty() && path.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    });
    named.unwrap_or(exception)
}

/// One pair of quotes that encloses the whole.
fn unquote(text: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote))
            && !inner.contains(quote)
        {
            return inner;
        }
    }
    text
}

/// Characters of a normalised message.
const LONGEST: usize = 160;

/// A message with placeholders for what differs from call to call: numbers, ids, hexadecimal, paths, quoted texts.
pub fn normalise(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(LONGEST) + 8);
    let mut rest = message;
    let mut before: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        let fresh = before.is_none_or(|b| !b.is_alphanumeric());
        let (taken, put): (usize, &str) = if matches!(c, '\'' | '"') && fresh && closing(rest, c).is_some() {
            (closing(rest, c).unwrap_or(1), "<text>")
        } else if c == '/' && fresh && rest[1..].starts_with(|n: char| n.is_alphanumeric() || n == '.') {
            (rest.find(|e: char| e.is_whitespace() || "'\",:;)>]".contains(e)).unwrap_or(rest.len()), "<path>")
        } else if c.is_alphanumeric() {
            let end = rest.find(|e: char| !(e.is_alphanumeric() || "-_.".contains(e))).unwrap_or(rest.len());
            let word = rest[..end].trim_end_matches(['.', '-']);
            let end = word.len();
            push_word(&mut out, word);
            before = word.chars().last();
            rest = &rest[end..];
            continue;
        } else {
            (c.len_utf8(), "")
        };
        if put.is_empty() {
            out.push(if c.is_control() { ' ' } else { c });
        } else {
            out.push_str(put);
        }
        before = Some(if put.is_empty() { c } else { '>' });
        rest = &rest[taken..];
    }
    out
}

/// Bytes up to and with the quote that closes the one `text` begins with.
fn closing(text: &str, quote: char) -> Option<usize> {
    let end = text[1..].find(quote)? + 2;
    // An apostrophe within a word closes nothing.
    (!text[end..].starts_with(char::is_alphanumeric)).then_some(end)
}

fn push_word(out: &mut String, word: &str) {
    let hex = |t: &str| t.bytes().all(|b| b.is_ascii_hexdigit());
    let digit = |t: &str| t.bytes().any(|b| b.is_ascii_digit());
    let uuid = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && hex(&word.replace('-', ""));
    if uuid {
        out.push_str("<id>");
    } else if word.strip_prefix("0x").is_some_and(hex)
        || (word.len() >= 8 && hex(word) && digit(word) && !word.bytes().all(|b| b.is_ascii_digit()))
    {
        out.push_str("<hex>");
    } else if word.bytes().all(|b| b.is_ascii_digit() || b"._-".contains(&b)) {
        out.push_str("<n>");
    } else {
        // `user42` and `user43` are of one kind.
        let mut in_number = false;
        for c in word.chars() {
            if !c.is_ascii_digit() {
                out.push(c);
            } else if !in_number {
                out.push_str("<n>");
            }
            in_number = c.is_ascii_digit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_died_with_its_process_is_named_by_the_traceback() {
        let traceback = "Traceback (most recent call last):\n  File \"/x/pool.py\", line 1265, in mark_as_worker_lost\n    \
            raise WorkerLostError(\nbilliard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 3.\n";
        let told = telling("ExceptionWithTraceback()", Some(traceback));
        assert_eq!(exception(told), ("WorkerLostError", "Worker exited prematurely: signal 9 (SIGKILL) Job: 3."));
        assert_eq!(telling("ExceptionWithTraceback()", None), "ExceptionWithTraceback()");
        assert_eq!(telling("ValueError('x')", Some(traceback)), "ValueError('x')");
    }

    #[test]
    fn what_differs_from_call_to_call_becomes_a_placeholder() {
        for (message, want) in [
            ("insufficient funds for card 8812", "insufficient funds for card <n>"),
            ("no row 4f1c9a2e-0000-4000-8000-00000000000a in users", "no row <id> in users"),
            ("can't open /srv/data/in.mov: 2", "can't open <path>: <n>"),
            ("bad value 'abc' for key \"k 1\"", "bad value <text> for key <text>"),
            ("object at 0x7f3a", "object at <hex>"),
            ("commit deadbeef01 failed.", "commit <hex> failed."),
            ("user42 has 1.5 of 3,000", "user<n> has <n> of <n>,<n>"),
            ("it's the worker's fault", "it's the worker's fault"),
            ("日本語 7", "日本語 <n>"),
            ("", ""),
        ] {
            assert_eq!(normalise(message), want);
        }
        assert!(normalise(&"x ".repeat(500)).chars().count() <= LONGEST + 1);
    }

    #[test]
    fn exceptions_are_read_as_events_and_as_tracebacks_write_them() {
        assert_eq!(exception("ValueError('no thing yet')"), ("ValueError", "no thing yet"));
        assert_eq!(exception("kombu.exceptions.OperationalError: x"), ("OperationalError", "x"));
        assert_eq!(exception("MemoryError()"), ("MemoryError", ""));
        assert_eq!(exception("CalledProcessError(137, ['a'])"), ("CalledProcessError", "137, ['a']"));
        assert_eq!(exception("<weird>"), ("", "<weird>"));
    }

    #[test]
    fn the_innermost_frame_raised_it() {
        let text = "Traceback (most recent call last):\n  File \"/a/trace.py\", line 5, in run\n    x()\n  File \"/srv/gateway.py\", line 88, in charge\n    raise E\nE: no\n";
        assert_eq!(raised_at(text), Some(Frame { file: "gateway.py", line: 88, function: "charge", at: 3 }));
        assert_eq!(raised_at("no traceback"), None);
        let retried = "  File \"/srv/app.py\", line 15, in charge\n    raise self.retry()\n  File \"/v/site-packages/celery/app/task.py\", line 942, in retry\n    raise_with_context(exc)\n";
        assert_eq!(raised_at(retried).map(|f| (f.file, f.at)), Some(("app.py", 0)), "not where Celery raises it again");
        let celery = "  File \"/v/site-packages/celery/app/trace.py\", line 5, in run\n";
        assert_eq!(raised_at(celery).map(|f| f.file), Some("trace.py"), "better than nothing");
    }

    proptest::proptest! {
        #[test]
        fn any_message_is_normalised_without_a_panic(message in ".{0,80}") {
            let once = normalise(&message);
            proptest::prop_assert!(!once.chars().any(char::is_control));
        }
    }
}
