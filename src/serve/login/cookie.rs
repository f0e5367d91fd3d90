//! Cookies that nobody else can have made: what they say, and a keyed hash of it and of their name.

use hyper::HeaderMap;
use hyper::header::COOKIE;
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;

use base64_simd::URL_SAFE_NO_PAD as BASE64;

/// A cookie's text.
pub(super) fn seal<T: Serialize>(key: &hmac::Key, name: &str, value: &T) -> String {
    let payload = BASE64.encode_to_string(serde_json::to_vec(value).unwrap_or_default());
    let tag = hmac::sign(key, format!("{name}.{payload}").as_bytes());
    format!("{payload}.{}", BASE64.encode_to_string(tag.as_ref()))
}

/// What the cookie of a name says; the first of that name that is ours.
pub(super) fn open<T: DeserializeOwned>(key: &hmac::Key, name: &str, headers: &HeaderMap) -> Option<T> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let named = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    named.filter(|(n, _)| *n == name).find_map(|(_, text)| opened(key, name, text))
}

fn opened<T: DeserializeOwned>(key: &hmac::Key, name: &str, text: &str) -> Option<T> {
    let (payload, tag) = text.split_once('.')?;
    let tag = BASE64.decode_to_vec(tag.as_bytes()).ok()?;
    hmac::verify(key, format!("{name}.{payload}").as_bytes(), &tag).ok()?;
    serde_json::from_slice(&BASE64.decode_to_vec(payload.as_bytes()).ok()?).ok()
}

/// The header that has a browser keep it, for so many seconds; for none it forgets it.
pub(super) fn header(name: &str, text: &str, secs: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={text}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_under_that_name_opens() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"one");
        let other = hmac::Key::new(hmac::HMAC_SHA256, b"two");
        let text = seal(&key, "user", &"a@x.io");
        let read = |key: &hmac::Key, name: &str, header: String| {
            let headers = [(COOKIE, header.parse().expect("header"))].into_iter().collect();
            open::<String>(key, name, &headers)
        };
        assert_eq!(read(&key, "user", format!("a=b; user={text}")), Some("a@x.io".into()));
        assert_eq!(read(&key, "user", format!("user=forged; user={text}")), Some("a@x.io".into()));
        assert_eq!(read(&key, "oauth_state", format!("oauth_state={text}")), None, "it is for another purpose");
        assert_eq!(read(&other, "user", format!("user={text}")), None);
        let payload = BASE64.encode_to_string("\"b@x.io\"");
        let tag = text.split_once('.').expect("two parts").1;
        assert_eq!(read(&key, "user", format!("user={payload}.{tag}")), None);
        assert_eq!(read(&key, "user", format!("user={payload}.; user=; user")), None);
    }
}
