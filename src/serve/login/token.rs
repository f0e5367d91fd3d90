//! An `id_token`: whose signature it has, and for whom, by whom and for when it was made (OpenID Connect Core 1.0,
//! 3.1.3.7). Pure.

use std::time::Duration;

use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::Stamp;

/// What clocks may differ by.
const LEEWAY: Duration = Duration::from_secs(60);

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub nonce: &'a str,
    pub now: Stamp,
}

/// The issuer's keys.
#[derive(Deserialize)]
pub(super) struct Keys {
    keys: Vec<Value>,
}

/// One of them (RFC 7517).
#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
}

pub(super) type Claims = Map<String, Value>;

/// The claims of a token that is as expected; else why it is not.
pub(super) fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Claims, &'static str> {
    const BROKEN: &str = "its token can't be read";
    let (signed, signature) = token.rsplit_once('.').ok_or(BROKEN)?;
    let (head, claims) = signed.split_once('.').ok_or(BROKEN)?;
    let head: Head = decoded(head).and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(BROKEN)?;
    let signature = decoded(signature).ok_or(BROKEN)?;
    if !matches!(head.alg.as_str(), "RS256" | "ES256") {
        return Err("its token is signed in another way than RS256 or ES256");
    }
    let fits = |key: &Key| {
        head.kid.as_ref().is_none_or(|kid| key.kid.as_ref() == Some(kid))
            && key.purpose.as_ref().is_none_or(|purpose| purpose == "sig")
            && key.alg.as_ref().is_none_or(|alg| *alg == head.alg)
    };
    // A key of a kind that we don't know is not ours to complain of.
    let known = keys.keys.iter().filter_map(|key| serde_json::from_value::<Key>(key.clone()).ok());
    if !known.filter(fits).any(|key| key.signed(&head.alg, signed.as_bytes(), &signature)) {
        return Err("its token is not signed with one of its keys");
    }
    let claims: Claims = decoded(claims).and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(BROKEN)?;
    judge(&claims, expected)?;
    Ok(claims)
}

impl Key {
    fn signed(&self, alg: &str, text: &[u8], signature: &[u8]) -> bool {
        let part = |part: &Option<String>| part.as_deref().and_then(decoded);
        match (alg, self.kty.as_str()) {
            ("RS256", "RSA") => {
                let (Some(n), Some(e)) = (part(&self.n), part(&self.e)) else { return false };
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
            }
            ("ES256", "EC") if self.crv.as_deref() == Some("P-256") => {
                let (Some(x), Some(y)) = (part(&self.x), part(&self.y)) else { return false };
                let point = [&[4], x.as_slice(), &y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn judge(claims: &Claims, expected: &Expected<'_>) -> Result<(), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(Value::as_f64).and_then(Stamp::from_secs);
    if text("iss") != Some(expected.issuer) {
        return Err("its token was made by somebody else");
    }
    let ours = |value: &Value| value.as_str() == Some(expected.audience);
    let (for_us, alone) = match claims.get("aud") {
        Some(Value::Array(list)) => (list.iter().any(ours), list.len() == 1),
        Some(value) => (ours(value), true),
        None => (false, true),
    };
    // With several it has to say which of them asked.
    let asked = text("azp").map_or(alone, |azp| azp == expected.audience);
    if !for_us || !asked {
        return Err("its token is for another client");
    }
    if time("exp").is_none_or(|until| expected.now >= until + LEEWAY) {
        return Err("its token has expired");
    }
    if [time("iat"), time("nbf")].into_iter().flatten().any(|from| from > expected.now + LEEWAY) {
        return Err("its token is from the future: one of the clocks is wrong");
    }
    if text("nonce") != Some(expected.nonce) {
        return Err("its token is of another login");
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err("its token names nobody");
    }
    Ok(())
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_judged_by_all_that_it_says() {
        let now = Stamp::from_micros(1_000_000_000_000_000);
        let expected = Expected { issuer: "https://id", audience: "us", nonce: "n", now };
        let good = json!({"iss": "https://id", "aud": "us", "exp": 1e9, "iat": 1e9, "nonce": "n", "sub": "1"});
        let told = |name: &str, value: Value| {
            let mut claims = good.as_object().expect("object").clone();
            claims.insert(name.to_owned(), value);
            judge(&claims, &expected).err().unwrap_or_default()
        };
        assert_eq!(told("more", json!(1)), "");
        assert_eq!(
            (told("exp", json!(1e9 - 59.0)), told("iat", json!(1e9 + 60.0))),
            ("", ""),
            "clocks differ a little"
        );
        assert!(told("exp", json!(1e9 - 60.0)).contains("expired") && told("exp", json!("soon")).contains("expired"));
        assert!(told("iat", json!(1e9 + 61.0)).contains("future") && told("nbf", json!(1e9 + 61.0)).contains("future"));
        assert!(told("iss", json!("https://id/")).contains("somebody else"));
        assert!(told("nonce", json!("m")).contains("another login") && told("nonce", Value::Null).contains("another"));
        assert_eq!(told("aud", json!(["us"])), "");
        for aud in [json!("them"), json!(["them"]), json!(["us", "them"]), json!([]), Value::Null] {
            assert!(told("aud", aud.clone()).contains("another client"), "{aud}");
        }
        assert!(told("azp", json!("them")).contains("another client"));
        assert!(told("sub", json!("")).contains("nobody"));
    }

    #[test]
    fn what_is_not_signed_is_not_read() {
        let keys: Keys = serde_json::from_value(json!({"keys": [{"kty": "oct", "k": "AA"}, 7]})).expect("keys");
        let expected = Expected { issuer: "", audience: "", nonce: "", now: Stamp::EPOCH };
        let of = |head: Value| {
            let coded = base64_simd::URL_SAFE_NO_PAD.encode_to_string(head.to_string());
            verify(&format!("{coded}.e30."), &keys, &expected).err().unwrap_or_default()
        };
        assert!(
            of(json!({"alg": "none"})).contains("another way") && of(json!({"alg": "HS256"})).contains("another way")
        );
        assert!(of(json!({"alg": "RS256"})).contains("not signed"));
        assert!(verify("", &keys, &expected).is_err() && verify("a.b", &keys, &expected).is_err());
    }

    #[test]
    fn rsa_signatures_are_verified() {
        let key: Key = serde_json::from_value(json!({"kty": "RSA", "e": "AQAB", "n": MODULUS})).expect("a key");
        let signature = decoded(SIGNATURE).expect("base64");
        assert!(key.signed("RS256", b"eyJhbGciOiJSUzI1NiJ9.e30", &signature));
        assert!(!key.signed("RS256", b"eyJhbGciOiJSUzI1NiJ9.e31", &signature));
        assert!(!key.signed("ES256", b"eyJhbGciOiJSUzI1NiJ9.e30", &signature), "the key says what it is for");
    }

    /// Made with OpenSSL 3.0.
    const MODULUS: &str = "6t587kfmVZHjXn3chMaGEMBrr4gZzvAMJQ09KZ2UYSVl1HrCkHSvytPUWPre7mhga8Zc3pVHriE7hIBUJp25N-_fbRE1-\
        ZnXm4arJUeQUDbhqazKh3rkMm8sKmc5X96ARK5eC7HQ3KGdVcSuWsagDzTSZRd8vmoaJoVH7QlixxIN2b9CLzPI9-yEC0KPY7RXnOgT2RplpCC9L0KS\
        ABsEZ3TqfW6TIv_ghqFupV1o7e5pkIwTpOLiuoHyZP7YiU60ifxTqRpEotTQYuOs83bfW26mboV_BShcq1bXULECIYc4QGm1TcgKEjwFMkE9TKDzTp7S\
        lAM9K2YhoJlEHRFzCw";
    const SIGNATURE: &str = "ua7gMN6523PuuqIfuOuih0ytowPJLGLS2DX2Zwwszhr8m55FEojBrhWJIe2BCLqA7RJOUpB5oAFgnnqLFET8w3m37QzaX\
        kVE7kVMG5CJuxEic8lDGjY8rPcTaWM12rSru7CzNBByQjjE8ANgn1S_-uLJIFm4hiOJtCGtztIksZi74WAuL-wJdHziA27Tfadwv4zisPj4JcJ_NAbE\
        Xx2Atfq1alsM62creMkU_rLOuSC4cYBFvqGQMr2cMGmQhBnJyCzaFsKi7JilNVkw_svKQF72yREdhME7xFbfPAUohUVaFzttNl5kvRshwEf-qmvAMdu\
        ocwDvK1m8xWc9OZJUfg";
}
