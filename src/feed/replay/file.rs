//! A recording in a file: a JSON document on each line, plain or compressed. It is read line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::Broken;
use crate::broker::RawMessage;
use crate::celery::envelope::{self, Coding};
use crate::clock::Stamp;

/// One line of a recording.
#[derive(Deserialize)]
struct Line {
    recv: f64,
    #[serde(default)]
    channel: String,
    data: String,
}

/// Writes a message as a line of a recording, without the line break.
pub fn to_line(message: &RawMessage) -> String {
    let data = match &message.coding {
        Coding::Envelope => String::from_utf8_lossy(&message.data),
        // One shape for all brokers, so that a recording of any is played the same way.
        Coding::Body { content_type, compression } => {
            envelope::wrap(&message.data, content_type, compression.as_deref()).into()
        }
    };
    serde_json::json!({"recv": message.received.secs(), "channel": &*message.channel, "data": data}).to_string()
}

/// Bytes of the longest line that is read: no broker takes a message as long.
const LONGEST: u64 = 256 << 20;
/// Bytes read ahead.
const AHEAD: usize = 256 << 10;
/// Bytes uncompressed at a time: what of them stands before a damaged place is lost.
const PLAIN: usize = 8 << 10;

type Reader = Box<dyn BufRead + Send>;

/// The messages of a file.
pub(super) struct Lines {
    name: String,
    /// Nothing more comes when it is gone.
    reader: Option<Result<Reader, Broken>>,
    compressed: bool,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    pub fn open(path: &Path) -> Self {
        let name = path.display().to_string();
        let (reader, compressed) = match open(path) {
            Ok((reader, compressed)) => (Ok(reader), compressed),
            Err(error) => (Err(Broken::Unreadable(format!("can't read {name}: {error}"))), false),
        };
        Self { name, reader: Some(reader), compressed, number: 0, line: Vec::new() }
    }

    /// The next line that holds something; `None` at the end.
    fn read(&mut self, reader: &mut (dyn BufRead + Send)) -> Result<Option<RawMessage>, Broken> {
        loop {
            self.line.clear();
            let read = Read::take(&mut *reader, LONGEST).read_until(b'\n', &mut self.line);
            read.map_err(|error| self.cut_off(&format!("{error}")))?;
            if self.line.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let wrong = |why: String| format!("{}, line {}: {why}", self.name, self.number);
        let read = crate::celery::json::with_python_json(&self.line, |b| serde_json::from_slice::<Line>(b));
        let line = match read {
            Ok(line) => line,
            // Whoever wrote it was stopped in the middle of a line, or what was compressed comes out as something else.
            Err(_) if self.number > 1 && (self.compressed || !self.line.ends_with(b"\n")) => {
                self.number -= 1;
                return Err(self.cut_off("the next line is not whole"));
            }
            Err(error) => return Err(Broken::Unreadable(wrong(format!("no recorded event ({error})")))),
        };
        let received =
            Stamp::from_secs(line.recv).ok_or_else(|| Broken::Unreadable(wrong("recv is no time".to_owned())))?;
        let data = line.data.into_bytes();
        Ok(Some(RawMessage { received, channel: line.channel.into(), data: data.into(), coding: Coding::Envelope }))
    }

    fn cut_off(&self, why: &str) -> Broken {
        let lines = crate::human::plural(usize::try_from(self.number).unwrap_or(usize::MAX), "message");
        Broken::CutOff(format!("{} is cut off or damaged after {lines}: {why}", self.name))
    }
}

impl Iterator for Lines {
    type Item = Result<RawMessage, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.reader.take()? {
            Err(broken) => Some(Err(broken)),
            Ok(mut reader) => {
                let read = self.read(reader.as_mut()).transpose()?;
                if read.is_ok() {
                    self.reader = Some(Ok(reader));
                }
                Some(read)
            }
        }
    }
}

/// Opens a file, and takes the compression off that its first bytes tell of. Says whether there was one.
fn open(path: &Path) -> io::Result<(Reader, bool)> {
    let mut file = BufReader::with_capacity(AHEAD, File::open(path)?);
    let reader: Reader = match file.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(PLAIN, flate2::bufread::MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(BufReader::with_capacity(PLAIN, zstd::stream::read::Decoder::with_buffer(file)?))
        }
        _ => return Ok((Box::new(file), false)),
    };
    Ok((reader, true))
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use std::io::Write;

    fn recording(messages: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        let line = |n: usize| {
            let data = format!("{n} {}", random.u64(..)).into_bytes();
            let received = Stamp::from_micros(1_000_000_000 + n as i64);
            to_line(&RawMessage { received, channel: "c".into(), data: data.into(), coding: Coding::Envelope }) + "\n"
        };
        (0..messages).map(line).collect::<String>().into_bytes()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(plain).expect("written");
        out.finish().expect("finished")
    }

    /// What is read of a file with these bytes, and how it ends.
    fn played(bytes: &[u8]) -> (Vec<RawMessage>, Option<Broken>) {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("r.jsonl");
        std::fs::write(&path, bytes).expect("written");
        let (mut messages, mut end) = (Vec::new(), None);
        for item in Source::file(&path).messages() {
            assert!(end.is_none(), "nothing comes after the end");
            match item {
                Ok(message) => messages.push(message),
                Err(broken) => end = Some(broken),
            }
        }
        (messages, end)
    }

    #[test]
    fn a_compressed_recording_is_read_like_a_plain_one() {
        let plain = recording(500);
        let want = played(&plain);
        assert_eq!((want.0.len(), &want.1), (500, &None));
        let zst = zstd::stream::encode_all(&plain[..], 3).expect("compressed");
        // Files that were compressed one by one and put together are one recording.
        let (first, second) = plain.split_at(plain.len() / 2);
        for bytes in [gzip(&plain), zst, [gzip(first), gzip(second)].concat()] {
            assert_eq!(played(&bytes), want);
        }
    }

    #[test]
    fn what_was_cut_off_or_damaged_is_read_up_to_there() {
        let plain = recording(5_000);
        let zst = zstd::stream::encode_all(&plain[..], 3).expect("compressed");
        let mut damaged = gzip(&plain);
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0xff);
        let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
        // In the middle of a line: a file that ends with a whole line is not known to have been cut off.
        let line = plain.iter().skip(plain.len() / 2).position(|b| *b == b'\n').expect("a line ends");
        let plain_cut = plain[..plain.len() / 2 + line + 20].to_vec();
        for bytes in [half(&gzip(&plain)), half(&zst), damaged, plain_cut] {
            let (messages, end) = played(&bytes);
            assert!((100..5_000).contains(&messages.len()), "{}", messages.len());
            let Some(Broken::CutOff(why)) = end else { panic!("{end:?}") };
            let count = crate::human::plural(messages.len(), "message");
            assert!(why.contains(&format!("is cut off or damaged after {count}: ")), "{why}");
            assert_eq!(why.lines().count(), 1, "{why}");
        }
    }

    #[test]
    fn what_is_no_recording_is_told_with_its_line() {
        let (messages, end) = played(b"{\"recv\": 1.5, \"data\": \"x\"}\n\nnot json\n{\"recv\": 2, \"data\": \"y\"}\n");
        assert_eq!(messages.len(), 1);
        let Some(Broken::Unreadable(why)) = end else { panic!("{end:?}") };
        assert!(why.contains("r.jsonl, line 3: no recorded event"), "{why}");
        let missing = Source::file(Path::new("/nowhere/r")).messages().next();
        assert!(matches!(missing, Some(Err(Broken::Unreadable(why))) if why.starts_with("can't read /nowhere/r: ")));
    }
}
