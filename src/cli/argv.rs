//! Passwords out of the command line: whoever can list processes could read them there as long as we run.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

/// Overwrites the passwords of URLs in our own arguments, where the system allows it. Linux shows a process's memory
/// as a file; nothing in this program refers to the arguments any more once they are parsed.
pub fn hide_passwords() {
    if let Err(error) = hide() {
        tracing::debug!("the command line stays as it is: {error}");
    }
}

fn hide() -> std::io::Result<()> {
    let words = fs::read("/proc/self/cmdline")?;
    let places = passwords(&words);
    if places.is_empty() {
        return Ok(());
    }
    let Some(begin) = arguments_begin(&fs::read_to_string("/proc/self/stat")?) else { return Ok(()) };
    let mut memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    for place in places {
        memory.seek(SeekFrom::Start(begin + place.start as u64))?;
        memory.write_all(&vec![b'*'; place.len()])?;
    }
    Ok(())
}

/// Where passwords stand in arguments that end in a zero byte each: `scheme://user:PASSWORD@host`, and all that an option
/// of Flower's names users by, or signs with.
fn passwords(words: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut begin = 0;
    let mut places = Vec::new();
    let mut before: &[u8] = b"";
    for word in words.split(|byte| *byte == 0) {
        if USERS.contains(&before) {
            places.push(begin..begin + word.len());
        }
        for option in USERS {
            if word.starts_with(option) && word.get(option.len()) == Some(&b'=') {
                places.push(begin + option.len() + 1..begin + word.len());
            }
        }
        before = word;
        let place = || {
            let login = word.windows(3).position(|w| w == b"://")? + 3;
            let end = word.iter().rposition(|byte| *byte == b'@').filter(|end| *end > login)?;
            let colon = word.get(login..end)?.iter().position(|byte| *byte == b':')?;
            Some(begin + login + colon + 1..begin + end)
        };
        places.extend(place());
        begin += word.len() + 1;
    }
    places.retain(|place| !place.is_empty());
    places
}

const USERS: [&[u8]; 6] =
    [b"--basic_auth", b"--basic-auth", b"--oauth2_secret", b"--oauth2-secret", b"--cookie_secret", b"--cookie-secret"];

/// The address of the arguments, field 48 (`proc_pid_stat(5)`). The name in field 2 may hold spaces and parentheses.
fn arguments_begin(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(48 - 3)?.parse().ok().filter(|at| *at != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passwords_are_overwritten() {
        let hidden = |line: &str| {
            let mut bytes = line.replace(' ', "\0").into_bytes();
            for place in passwords(&bytes.clone()) {
                bytes[place].fill(b'*');
            }
            String::from_utf8(bytes).expect("text").replace('\0', " ")
        };
        assert_eq!(hidden("f -b redis://:pw@h:1/0 status"), "f -b redis://:**@h:1/0 status");
        assert_eq!(hidden("f --broker=redis://u:p@w@h"), "f --broker=redis://u:***@h");
        assert_eq!(hidden("f -b redis://h:6379/0 w@h"), "f -b redis://h:6379/0 w@h");
        assert_eq!(hidden("f worker solo@box ping"), "f worker solo@box ping");
        assert_eq!(hidden("f serve --basic_auth=a:b,c:d"), "f serve --basic_auth=*******");
        assert_eq!(hidden("f serve --basic-auth a:b -v"), "f serve --basic-auth *** -v");
        assert_eq!(hidden("f serve --oauth2_secret=abc"), "f serve --oauth2_secret=***");
    }

    #[test]
    fn the_place_of_the_arguments_is_found() {
        let stat = format!("1 (a) b) S {}", (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        assert_eq!(arguments_begin(&stat), Some(48));
        assert_eq!(arguments_begin("1 (a) S 2"), None);
    }
}
