//! Users and tokens as they are written down: in options, and in files with one of them a line.

use std::path::Path;

use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

use super::Role;
use crate::clock::Stamp;
use crate::config::flower::Serve;

/// A user with the password as it was written.
pub(super) struct User {
    pub name: String,
    pub role: Role,
    password: Password,
}

enum Password {
    /// The keyed hash of it: it need not lie in memory.
    Plain(Vec<u8>),
    Argon2(String),
    Bcrypt(String),
}

/// A token, of which only the hash is known.
pub(super) struct Token {
    pub name: String,
    pub digest: Vec<u8>,
    pub role: Role,
    pub until: Option<Stamp>,
}

/// Everybody who may come in.
#[derive(Default)]
pub(super) struct Credentials {
    pub users: Vec<User>,
    pub tokens: Vec<Token>,
}

/// Passwords shorter than this are guessed.
const SHORTEST: usize = 8;
/// What is tried first.
const USUAL: [&str; 14] = [
    "admin",
    "admin123",
    "password",
    "passwort",
    "password1",
    "12345678",
    "123456789",
    "qwertyui",
    "changeme",
    "flower",
    "celery",
    "letmein1",
    "secret12",
    "welcome1",
];
/// A longer file is none of this kind.
const LONGEST: u64 = 1 << 20;

impl Credentials {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// Reads all there are, with what a person is to be told.
    pub fn read(options: &Serve, key: &hmac::Key) -> Result<(Self, Vec<String>), String> {
        let (mut read, mut told) = (Self::default(), Vec::new());
        for user in &options.basic_auth {
            // The text stands in no message: most of it is a password.
            let (name, password) = user.split_once(':').ok_or("basic_auth takes name:password, separated by commas")?;
            read.users.push(user_of(name, password, Role::Admin, key, options.allow_weak_password)?);
        }
        if let Some(path) = &options.users {
            for (place, line) in lines(path, &mut told)? {
                let user = read_user(&line, key, options.allow_weak_password);
                read.users.push(user.map_err(|why| format!("{place}: {why}"))?);
            }
        }
        if let Some(path) = &options.tokens {
            for (place, line) in lines(path, &mut told)? {
                read.tokens.push(read_token(&line).map_err(|why| format!("{place}: {why}"))?);
            }
        }
        if options.auth && read.is_empty() {
            let mut bytes = [0; 15];
            random(&mut bytes)?;
            let password = base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
            read.users.push(user_of("admin", &password, Role::Admin, key, true)?);
            told.push(format!("user admin, password {password} (made up for this run; name users to choose your own)"));
        }
        Ok((read, told))
    }
}

/// The lines of a file that say something, each with its place.
fn lines(path: &Path, told: &mut Vec<String>) -> Result<Vec<(String, String)>, String> {
    use std::os::unix::fs::PermissionsExt;
    let name = path.display();
    let broken = |error: std::io::Error| format!("can't read {name}: {error}");
    let metadata = std::fs::metadata(path).map_err(broken)?;
    if metadata.len() > LONGEST {
        return Err(format!("{name} is too long for a list of users or tokens"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        told.push(format!("{name} can be read by others: chmod 600 it"));
    }
    let text = std::fs::read_to_string(path).map_err(broken)?;
    let lines = text.lines().enumerate().map(|(i, line)| (format!("{name}, line {}", i + 1), line.trim().to_owned()));
    Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
}

/// `name:password[:role]`; neither kind of hash has a colon in it.
fn read_user(line: &str, key: &hmac::Key, weak: bool) -> Result<User, String> {
    let (name, rest) = line.split_once(':').ok_or("a line is name:password[:role]")?;
    let roled = rest.rsplit_once(':').and_then(|(password, role)| Some((password, Role::parse(role)?)));
    let (password, role) = roled.unwrap_or((rest, Role::Admin));
    user_of(name, password, role, key, weak)
}

fn user_of(name: &str, password: &str, role: Role, key: &hmac::Key, weak: bool) -> Result<User, String> {
    let name = name.trim();
    if name.is_empty() || password.is_empty() {
        return Err("a user has a name and a password".into());
    }
    let password = if password.starts_with("$argon2") {
        PasswordHash::new(password).map_err(|why| format!("the hash of {name} can't be read: {why}"))?;
        Password::Argon2(password.to_owned())
    } else if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|begin| password.starts_with(begin)) {
        password.parse::<bcrypt::HashParts>().map_err(|why| format!("the hash of {name} can't be read: {why}"))?;
        Password::Bcrypt(password.to_owned())
    } else {
        if !weak && is_weak(name, password) {
            return Err(format!(
                "the password of {name} is easily guessed: take another of {SHORTEST} characters or more \
                 (--allow-weak-password takes it all the same)"
            ));
        }
        Password::Plain(hmac::sign(key, password.as_bytes()).as_ref().to_vec())
    };
    Ok(User { name: name.to_owned(), role, password })
}

fn is_weak(name: &str, password: &str) -> bool {
    let small = password.to_lowercase();
    let letters = small.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!');
    let one = small.chars().next();
    password.chars().count() < SHORTEST
        || USUAL.contains(&small.as_str())
        || letters == name.to_lowercase()
        || small.chars().all(|c| Some(c) == one)
}

/// `name digest role [until]`.
fn read_token(line: &str) -> Result<Token, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, digest, role, until) = match words[..] {
        [name, digest, role] => (name, digest, role, None),
        [name, digest, role, until] => (name, digest, role, Some(until)),
        _ => return Err("a line is: name, hash, role, and the day it ends".into()),
    };
    let bytes = hex(digest).filter(|bytes| bytes.len() == digest::SHA256_OUTPUT_LEN);
    let until = until.map(|day| {
        let whole = if day.contains('T') { day.to_owned() } else { format!("{day}T00:00:00") };
        crate::state::task::parse_iso(&whole).ok_or(format!("{day} is no day such as 2027-01-31"))
    });
    Ok(Token {
        name: name.to_owned(),
        digest: bytes.ok_or("a token's hash has 64 hexadecimal digits, as --new-token prints it")?,
        role: Role::parse(role).ok_or(format!("there is no role {role}: there are viewer, operator, admin"))?,
        until: until.transpose()?,
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = |i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digits).collect()
}

impl User {
    pub fn is_hashed(&self) -> bool {
        !matches!(self.password, Password::Plain(_))
    }

    /// Whether name and password are this user's; how long that takes does not depend on where they differ.
    pub fn has_password(&self, key: &hmac::Key, name: &str, password: &str) -> bool {
        let right = match &self.password {
            Password::Plain(tag) => hmac::verify(key, password.as_bytes(), tag).is_ok(),
            Password::Argon2(hash) => PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            Password::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
        };
        right && self.name == name
    }
}

/// Fills bytes at random.
pub(in crate::serve) fn random(bytes: &mut [u8]) -> Result<(), String> {
    SystemRandom::new().fill(bytes).map_err(|_| "the system gives no random numbers".to_owned())
}

/// A new token, and the line for the file that lets it in. `wish` is `NAME:ROLE`, or `NAME:ROLE:DAY` for one that ends.
pub fn new_token(wish: &str) -> Result<(String, String), String> {
    let words: Vec<&str> = wish.split(':').collect();
    let (name, role, until) = match words[..] {
        [name] => (name, "viewer", ""),
        [name, role] => (name, role, ""),
        [name, role, until] => (name, role, until),
        _ => return Err("--new-token takes NAME, NAME:ROLE or NAME:ROLE:DAY".into()),
    };
    let mut bytes = [0; 32];
    random(&mut bytes)?;
    let token = format!("ft_{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes));
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("{name} {digest} {role} {until}").trim_end().to_owned();
    read_token(&line)?;
    Ok((token, line))
}

/// A password's hash, for the file of users.
pub fn hash_password(password: &str) -> Result<String, String> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    let salt = SaltString::encode_b64(&bytes).map_err(|why| why.to_string())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|why| why.to_string())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, b"test")
    }

    #[test]
    fn a_password_is_taken_plain_and_as_either_hash() {
        let bcrypt = bcrypt::hash("correct horse", 4).expect("hashed");
        for written in ["correct horse".to_owned(), hash_password("correct horse").expect("hashed"), bcrypt] {
            let user = read_user(&format!("a:{written}:viewer"), &key(), false).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(user.role, Role::Viewer);
            assert!(user.has_password(&key(), "a", "correct horse"), "{written}");
            assert!(
                !user.has_password(&key(), "a", "correct horsf") && !user.has_password(&key(), "b", "correct horse")
            );
        }
    }

    #[test]
    fn what_is_easily_guessed_is_refused_unless_it_is_wanted() {
        for line in ["admin:admin123", "bob:bob12345", "a:short", "a:aaaaaaaaaa"] {
            assert!(read_user(line, &key(), false).is_err_and(|why| why.contains("easily guessed")), "{line}");
            assert!(read_user(line, &key(), true).is_ok());
        }
        assert!(read_user("a:tr0ub4dor and 3", &key(), false).is_ok());
    }

    #[test]
    fn a_new_token_is_let_in_by_its_line() {
        let (token, line) = new_token("ci:operator:2099-01-31").expect("made");
        let read = read_token(&line).expect("reads");
        assert_eq!(read.digest, digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        assert_eq!((read.name.as_str(), read.role, read.until.is_some()), ("ci", Role::Operator, true));
        assert!(new_token("ci:boss").is_err() && new_token("ci:admin:soon").is_err());
    }
}
