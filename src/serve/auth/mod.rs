//! Who asks, and what they may: users by name and password, tokens, and what holds where nobody was named.
//!
//! The rules are Flower's (2.2.0, `views/__init__.py`, `api/__init__.py`), but that pages without authentication are for
//! this machine alone. Metrics and health are open, as they are there.

mod credentials;
mod throttle;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use parking_lot::Mutex;
use ring::{digest, hmac};
use tokio::sync::Semaphore;

use super::answer::{Answer, TEXT};
use super::login::Login;
use crate::clock::{Clock, Stamp};
use crate::config::flower::Serve;
pub use crate::ops::Role;

pub(super) use credentials::random;
use credentials::{Credentials, User};
pub use credentials::{hash_password, new_token};
use throttle::Throttle;

/// Who a request is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Empty where nobody had to say.
    pub name: String,
    pub role: Role,
    /// Their browser says so by itself, on whosever behalf it asks.
    pub by_cookie: bool,
}

impl Who {
    /// Somebody who did not have to say who they are.
    pub fn nobody(role: Role) -> Self {
        Self::known("", role)
    }

    /// Somebody who proved it with this very request.
    fn known(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, by_cookie: false }
    }
}

/// Which rules hold for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// For everybody: metrics, health, the login itself.
    Open,
    /// For people.
    Page,
    /// For programs.
    Api,
}

/// Passwords that are found out at the same time at most: a hash is made to take long.
const AT_ONCE: usize = 2;
/// Credentials that were found right are remembered, so many of them.
const REMEMBERED: usize = 1_000;

/// See the module.
pub struct Guard {
    credentials: Credentials,
    login: Option<Arc<Login>>,
    /// The API is open to everybody, and so are the pages.
    open: bool,
    throttle: Mutex<Throttle>,
    /// What was found right, by its keyed hash.
    right: Mutex<HashMap<Vec<u8>, Who>>,
    key: hmac::Key,
    turns: Semaphore,
    clock: Clock,
}

/// What comes of reading the settings: the guard, and what a person is to be told.
pub type Read = Result<(Guard, Vec<String>), String>;

impl Guard {
    /// Reads users and tokens. Passwords that are easily guessed are refused.
    pub fn read(options: &Serve, clock: Clock) -> Read {
        let mut random = [0; 32];
        credentials::random(&mut random)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        let (credentials, told) = Credentials::read(options, &key)?;
        let guard = Self {
            credentials,
            login: Login::read(options, clock.clone())?,
            open: options.unauthenticated_api,
            throttle: Mutex::default(),
            right: Mutex::default(),
            key,
            turns: Semaphore::new(AT_ONCE),
            clock,
        };
        Ok((guard, told))
    }

    /// Whether anybody has to say who they are.
    pub fn is_set(&self) -> bool {
        self.has_credentials() || self.login.is_some()
    }

    /// Whether anybody can say so with a password or a token.
    pub fn has_credentials(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// The login by a provider, if there is one.
    pub(super) fn login(&self) -> Option<Arc<Login>> {
        self.login.clone()
    }

    /// Takes the place of another guard, with its login: cookies of a key that was made up stay good.
    pub(super) fn succeeding(self, other: &Guard) -> Self {
        Self { login: other.login.clone(), ..self }
    }

    /// Whether everybody may use the API.
    pub fn is_open(&self) -> bool {
        self.open && !self.is_set()
    }

    /// Lets a request in, or says why not.
    pub(super) async fn admit(
        self: &Arc<Self>,
        area: Area,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<Who, Box<Answer>> {
        match area {
            Area::Open => return Ok(Who::nobody(Role::Viewer)),
            _ if self.is_set() => {}
            _ if self.open => return Ok(Who::nobody(Role::Admin)),
            Area::Api => return Err(Box::new(Answer::text(401, CLOSED))),
            Area::Page if is_local(headers, from) => return Ok(Who::nobody(Role::Viewer)),
            Area::Page => return Err(Box::new(Answer::text(403, NOT_LOCAL))),
        }
        let given = headers.get(hyper::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // Where nobody has a password, the header is for a proxy.
        let Some(given) = given.filter(|_| self.has_credentials()) else {
            let who = self.login.as_ref().and_then(|login| login.who(headers));
            return who.ok_or_else(|| self.unknown());
        };
        let tag = hmac::sign(&self.key, given.as_bytes()).as_ref().to_vec();
        let now = self.clock.now();
        if let Some(who) = self.right.lock().get(&tag) {
            return Ok(who.clone());
        }
        let (name, password) = match Claim::read(given) {
            None => return Err(denied()),
            // A token's end has to be looked at each time. It is too long to be guessed.
            Some(Claim::Token(token)) => return self.token(&token, now).ok_or_else(denied),
            Some(Claim::Password { name, password }) => (name, password),
        };
        let account = (from, name.chars().take(64).collect::<String>());
        if let Some(secs) = self.throttle.lock().wait(&account, now) {
            let text = format!("Too many failed logins: try again in {secs} s");
            return Err(Box::new(Answer::new(429, TEXT, text).with("Retry-After", secs.to_string())));
        }
        let Ok(turn) = self.turns.acquire().await else { return Err(denied()) };
        let this = self.clone();
        let checked = tokio::task::spawn_blocking(move || this.password(&name, &password)).await;
        drop(turn);
        let found = checked.ok().flatten();
        let Some(who) = found else {
            self.throttle.lock().failed(account, now);
            return Err(denied());
        };
        let mut right = self.right.lock();
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(tag, who.clone());
        Ok(who)
    }

    /// What is said to somebody of whom nothing is known. Only where there are passwords a browser is to ask for one.
    fn unknown(&self) -> Box<Answer> {
        if self.has_credentials() { denied() } else { Box::new(Answer::plain(401, "Access denied")) }
    }

    fn token(&self, token: &str, now: Stamp) -> Option<Who> {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let tag = hmac::sign(&self.key, digest.as_ref());
        let mut found = None;
        for token in &self.credentials.tokens {
            // All are compared: how long it takes tells nothing.
            if hmac::verify(&self.key, &token.digest, tag.as_ref()).is_ok() {
                found = Some(token);
            }
        }
        let token = found.filter(|token| token.until.is_none_or(|until| now < until))?;
        Some(Who::known(&token.name, token.role))
    }

    fn password(&self, name: &str, password: &str) -> Option<Who> {
        let mut found = None;
        let mut hashed = false;
        for user in self.credentials.users.iter().filter(|user| !user.is_hashed() || user.name == name) {
            hashed |= user.is_hashed();
            if user.has_password(&self.key, name, password) {
                found = Some(user);
            }
        }
        // For a name without a hash one is tried all the same: how long it takes does not tell which names there are.
        if let Some(other) = self.credentials.users.iter().find(|user| user.is_hashed() && !hashed) {
            other.has_password(&self.key, name, password);
        }
        found.map(|user: &User| Who::known(&user.name, user.role))
    }

    /// Why a request that changes something does not come from one of our own pages, or a program.
    pub(super) fn foreign(&self, headers: &HeaderMap, who: &Who) -> Option<Box<Answer>> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // No page can make a browser send a token.
        let by_token = !who.by_cookie && text("authorization").is_some_and(|given| given.starts_with("Bearer "));
        if !self.is_set() || by_token {
            return None;
        }
        let site = text("sec-fetch-site");
        if site.is_some_and(|site| site != "same-origin") {
            return Some(Box::new(Answer::text(403, "Cross-site request forbidden")));
        }
        let origin = text("origin").map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
        if origin.is_some_and(|origin| Some(origin) != text("host")) {
            return Some(Box::new(Answer::text(403, "Cross-origin request forbidden")));
        }
        // A cookie comes by itself: that one of our own pages asks has to be shown, by what no other page can send.
        let shown = site.is_some() || origin.is_some() || OWN.iter().any(|name| text(name).is_some());
        (who.by_cookie && !shown).then(|| Box::new(Answer::text(403, UNSHOWN)))
    }
}

/// Headers that a page can't send to another site unasked.
const OWN: [&str; 2] = ["x-requested-with", "x-xsrftoken"];
const UNSHOWN: &str =
    "A request with a cookie has to show that it is no other site's: send the header X-Requested-With";
/// What Flower says where its API is closed.
const CLOSED: &str = "FLOWER_UNAUTHENTICATED_API environment variable is required to enable API without authentication";
const NOT_LOCAL: &str = "Without authentication pages are shown to this machine alone. Name users (basic_auth, users) or \
                         tokens, or set FLOWER_UNAUTHENTICATED_API to open everything to everybody";

fn denied() -> Box<Answer> {
    Box::new(Answer::plain(401, "Access denied").with("WWW-Authenticate", "Basic realm=\"flower\""))
}

/// Whether a request comes from this machine, and from nobody behind it: no proxy, and no page that had its own name lead
/// here.
fn is_local(headers: &HeaderMap, from: Option<IpAddr>) -> bool {
    let behind = ["x-forwarded-for", "x-real-ip", "forwarded", "via"].iter().any(|name| headers.contains_key(*name));
    let host = headers.get(hyper::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let named = name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    from.is_none_or(|from| from.to_canonical().is_loopback()) && !behind && named
}

/// What a request claims.
enum Claim {
    Token(String),
    Password { name: String, password: String },
}

impl Claim {
    fn read(given: &str) -> Option<Self> {
        let (scheme, value) = given.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Claim::Token(value.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = base64_simd::STANDARD.decode_to_vec(value.trim().as_bytes()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, password) = text.split_once(':')?;
        Some(Claim::Password { name: name.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().expect("name"), HeaderValue::from_str(v).expect("value"))).collect()
    }

    #[test]
    fn only_who_sits_at_this_machine_is_local() {
        let here = Some("127.0.0.1".parse().expect("address"));
        let there = Some("10.0.0.7".parse().expect("address"));
        assert!(is_local(&headers(&[("host", "localhost:5555")]), here));
        assert!(is_local(&headers(&[("host", "[::1]:5555")]), here) && is_local(&headers(&[]), None));
        assert!(!is_local(&headers(&[("host", "localhost:5555")]), there));
        assert!(!is_local(&headers(&[("host", "evil.example:5555")]), here), "its name was made to lead here");
        assert!(!is_local(&headers(&[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")]), here));
    }
}
