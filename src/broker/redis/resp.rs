//! Where one reply of Redis ends, and whether it is a published message (RESP 2 and 3, as far as a subscription meets
//! them). Nothing is made of it.

use std::ops::Range;

use memchr::memchr;

/// Arrays within each other; Redis sends two.
const DEEPEST: u8 = 8;

/// One reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Where the channel's name and the payload are.
    Message {
        channel: Range<usize>,
        data: Range<usize>,
    },
    Other,
}

/// What is not this protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strange;

type Read<T> = Result<Option<T>, Strange>;

/// The first reply, and its bytes; nothing where it has not come whole.
pub(super) fn frame(bytes: &[u8]) -> Read<(Frame, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    if let Some(frame) = message(&mut reader)? {
        return Ok(Some((frame, reader.at)));
    }
    let mut reader = Reader { bytes, at: 0 };
    Ok(reader.skip(DEEPEST)?.map(|()| (Frame::Other, reader.at)))
}

/// A message, if it is one and there whole.
fn message(reader: &mut Reader<'_>) -> Read<Frame> {
    let Some((kind @ (b'*' | b'>'), parts)) = reader.head()? else { return Ok(None) };
    let by_pattern = match (kind, parts) {
        (_, Some(3)) => false,
        (_, Some(4)) => true,
        _ => return Ok(None),
    };
    let Some(name) = reader.bulk()? else { return Ok(None) };
    if &reader.bytes[name] != if by_pattern { &b"pmessage"[..] } else { b"message" } {
        return Ok(None);
    }
    if by_pattern && reader.bulk()?.is_none() {
        return Ok(None);
    }
    let Some(channel) = reader.bulk()? else { return Ok(None) };
    Ok(reader.bulk()?.map(|data| Frame::Message { channel, data }))
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    /// A reply's kind and the number behind it, where there is one.
    fn head(&mut self) -> Read<(u8, Option<usize>)> {
        let rest = &self.bytes[self.at..];
        let Some(end) = memchr(b'\n', rest) else { return Ok(None) };
        let Some((&kind, line)) = rest[..end].strip_suffix(b"\r").and_then(<[u8]>::split_first) else {
            return Err(Strange);
        };
        self.at += end + 1;
        let number = match line {
            [] => None,
            digits if digits.len() < 12 => digits.iter().try_fold(0, |n, digit| match digit {
                b'0'..=b'9' => Some(n * 10 + usize::from(digit - b'0')),
                _ => None,
            }),
            _ => None,
        };
        Ok(Some((kind, number)))
    }

    /// Where the bytes of a text are.
    fn bulk(&mut self) -> Read<Range<usize>> {
        match self.head()? {
            Some((b'$', Some(size))) => self.body(size),
            // Another kind is none of a message's parts.
            _ => Ok(None),
        }
    }

    fn body(&mut self, size: usize) -> Read<Range<usize>> {
        let place = self.at..self.at + size;
        match self.bytes.get(place.end..place.end + 2) {
            Some(b"\r\n") => {
                self.at = place.end + 2;
                Ok(Some(place))
            }
            Some(_) => Err(Strange),
            None => Ok(None),
        }
    }

    /// Goes behind a reply, whatever it is.
    fn skip(&mut self, deep: u8) -> Read<()> {
        let Some((kind, number)) = self.head()? else { return Ok(None) };
        let parts = match (kind, number) {
            (b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(', _) => 0,
            // Nothing, in either kind.
            (b'$' | b'*', None) => 0,
            (b'$' | b'=' | b'!', Some(size)) => return Ok(self.body(size)?.map(|_| ())),
            (b'*' | b'>' | b'~', Some(parts)) => parts,
            (b'%', Some(pairs)) => pairs * 2,
            _ => return Err(Strange),
        };
        if deep == 0 {
            return Err(Strange);
        }
        for _ in 0..parts {
            if self.skip(deep - 1)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reply_ends_where_it_ends() {
        for whole in [
            &b"+PONG\r\n"[..],
            b"-ERR no\r\n",
            b":1\r\n",
            b"$-1\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"*2\r\n$4\r\npong\r\n$0\r\n\r\n",
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
            b">3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n",
            b"%1\r\n+a\r\n*1\r\n:2\r\n",
            b"*-1\r\n",
        ] {
            let more = [whole, b"+OK\r\n"].concat();
            assert_eq!(frame(&more), Ok(Some((Frame::Other, whole.len()))), "{}", whole.escape_ascii());
            for cut in 0..whole.len() {
                assert_eq!(frame(&whole[..cut]), Ok(None), "{} up to {cut}", whole.escape_ascii());
            }
        }
    }

    #[test]
    fn a_message_is_found_in_both_forms() {
        let one = b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$4\r\nda\r\n\r\n";
        let Ok(Some((Frame::Message { channel, data }, size))) = frame(one) else { panic!("no message") };
        assert_eq!((&one[channel], &one[data], size), (&b"ch"[..], &b"da\r\n"[..], one.len()));
        let one = b">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$2\r\nch\r\n$0\r\n\r\n";
        let Ok(Some((Frame::Message { channel, data }, size))) = frame(one) else { panic!("no message") };
        assert_eq!((&one[channel], data.len(), size), (&b"ch"[..], 0, one.len()));
        for cut in 0..one.len() {
            assert_eq!(frame(&one[..cut]), Ok(None));
        }
    }

    #[test]
    fn anything_else_is_strange() {
        for strange in [&b"HTTP/1.1 400\r\n"[..], b"$3\r\nabcd\r\n", b"\n", b"*1\r\nx\r\n", &b"*1\r\n".repeat(20)] {
            assert_eq!(frame(strange), Err(Strange), "{}", strange.escape_ascii());
        }
    }
}
