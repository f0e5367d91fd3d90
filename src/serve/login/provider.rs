//! What is asked of each provider: where people are sent, and who came back. Flower's four as Flower does it (2.2.0,
//! `views/auth.py`); an issuer of OpenID Connect by what it tells of itself.

use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::token::{self, Claims, Expected, Keys};
use super::web::{Fault, Web, named};
use crate::broker::Secret;
use crate::clock::Stamp;
use crate::config::flower::login::{Login, Provider, address};

/// For how long an issuer is believed what it tells of itself, and how long it is left alone when it does not.
const BELIEVED: Duration = Duration::from_secs(600);
const AGAIN: Duration = Duration::from_secs(2);

/// Where a provider is asked.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub authorize: Url,
    token: Url,
    /// Who somebody is.
    person: Option<Url>,
    /// For an issuer: its keys, and whether we log in there by a header.
    keys: Option<Url>,
    by_header: bool,
}

/// Who came back.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Person {
    /// Those that are theirs for sure, the main one first.
    pub emails: Vec<String>,
    pub groups: Vec<String>,
}

/// What a login is told by.
pub(super) struct Proof<'a> {
    pub code: &'a str,
    pub verifier: &'a str,
    pub nonce: &'a str,
    pub now: Stamp,
}

/// What was made of an issuer's description, and when.
type Described = Mutex<Option<(Instant, Result<Endpoints, String>)>>;

/// See the module.
pub(super) struct Asker {
    settings: Login,
    web: Web,
    described: Described,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Option<Secret>,
    id_token: Option<Secret>,
    /// GitHub says so with status 200.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Asker {
    pub fn new(settings: Login) -> Result<Self, String> {
        let web = Web::new(settings.ca_certs.clone())?;
        Ok(Self { settings, web, described: Mutex::default() })
    }

    /// What is asked for.
    pub fn scope(&self) -> &str {
        match &self.settings.provider {
            Provider::Google => "profile email",
            Provider::Github { .. } => "user:email",
            Provider::Gitlab { .. } => "read_api",
            Provider::Okta { .. } => "openid email",
            Provider::Oidc { scope, .. } => scope,
        }
    }

    pub async fn endpoints(&self) -> Result<Endpoints, Fault> {
        let fixed = |authorize: String, token: String, person: String| {
            let url = |text: String| Url::parse(&text).map_err(|_| Fault::Away(format!("{text} is no URL")));
            let (authorize, token, person) = (url(authorize)?, url(token)?, Some(url(person)?));
            Ok(Endpoints { authorize, token, person, keys: None, by_header: false })
        };
        match &self.settings.provider {
            Provider::Google => fixed(
                "https://accounts.google.com/o/oauth2/v2/auth".into(),
                "https://www.googleapis.com/oauth2/v4/token".into(),
                "https://www.googleapis.com/userinfo/v2/me".into(),
            ),
            Provider::Github { domain } => fixed(
                format!("https://{domain}/login/oauth/authorize"),
                format!("https://{domain}/login/oauth/access_token"),
                match domain.as_str() {
                    "github.com" => "https://api.github.com/user/emails".into(),
                    enterprise => format!("https://{enterprise}/api/v3/user/emails"),
                },
            ),
            Provider::Gitlab { domain, .. } => fixed(
                format!("https://{domain}/oauth/authorize"),
                format!("https://{domain}/oauth/token"),
                format!("https://{domain}/api/v4/user"),
            ),
            Provider::Okta { base } => {
                fixed(format!("{base}/v1/authorize"), format!("{base}/v1/token"), format!("{base}/v1/userinfo"))
            }
            Provider::Oidc { issuer, .. } => self.described(issuer).await,
        }
    }

    /// Asks an issuer once in a while; all others who want to know meanwhile wait for that.
    async fn described(&self, issuer: &str) -> Result<Endpoints, Fault> {
        let mut kept = self.described.lock().await;
        if let Some((at, said)) = &*kept
            && at.elapsed() < if said.is_ok() { BELIEVED } else { AGAIN }
        {
            return said.clone().map_err(Fault::Away);
        }
        let said = self.describe(issuer).await.map_err(|fault| match fault {
            Fault::Away(why) => why,
            refused => refused.to_string(),
        });
        *kept = Some((Instant::now(), said.clone()));
        said.map_err(Fault::Away)
    }

    async fn describe(&self, issuer: &str) -> Result<Endpoints, Fault> {
        let wrong = |what: &str| Fault::Away(format!("the issuer's description has {what}"));
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let place = address(&place).ok_or_else(|| wrong("no address"))?;
        let said: Description = self.web.get(&place, None).await?;
        if said.issuer != issuer {
            return Err(wrong("another issuer than oidc_issuer"));
        }
        let url = |text: &str| address(text).ok_or_else(|| wrong("an address that does not begin with https://"));
        // Where it says nothing it is the header (OpenID Connect Discovery 1.0, 3).
        let ways = said.token_endpoint_auth_methods_supported;
        Ok(Endpoints {
            authorize: url(&said.authorization_endpoint)?,
            token: url(&said.token_endpoint)?,
            person: said.userinfo_endpoint.as_deref().map(url).transpose()?,
            keys: Some(url(&said.jwks_uri)?),
            by_header: ways.is_none_or(|ways| !ways.iter().any(|way| way == "client_secret_post")),
        })
    }

    /// Who it is that came back with a code.
    pub async fn person(&self, proof: &Proof<'_>) -> Result<Person, Fault> {
        let at = self.endpoints().await?;
        let tokens = self.tokens(&at, proof).await?;
        let access = tokens.access_token.unwrap_or_default();
        match &self.settings.provider {
            Provider::Google => {
                let said: Value = self.ask(&at, &access).await?;
                Ok(Person { emails: email(&said, "verified_email", true), groups: Vec::new() })
            }
            Provider::Github { .. } => self.github(&at, &access).await,
            Provider::Gitlab { domain, groups, level } => self.gitlab(&at, &access, (domain, groups, *level)).await,
            Provider::Okta { .. } => {
                let said: Value = self.ask(&at, &access).await?;
                Ok(Person { emails: email(&said, "email_verified", false), groups: Vec::new() })
            }
            Provider::Oidc { issuer, groups, .. } => {
                let id = tokens.id_token.ok_or(Fault::Untrue("it gave no id_token"))?;
                let claims = self.claims(&at, issuer, id.reveal(), proof).await?;
                self.claimed(&at, claims, groups, &access).await
            }
        }
    }

    /// Gives the code back for tokens.
    async fn tokens(&self, at: &Endpoints, proof: &Proof<'_>) -> Result<Tokens, Fault> {
        let (key, secret) = (self.settings.key.as_str(), self.settings.secret.reveal());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", proof.code),
            ("redirect_uri", self.settings.redirect_uri.as_str()),
            ("code_verifier", proof.verifier),
        ];
        let coded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let by_header = at.by_header && !secret.is_empty();
        let header = by_header.then(|| {
            let both = format!("{}:{}", coded(key), coded(secret));
            format!("Basic {}", base64_simd::STANDARD.encode_to_string(both))
        });
        if !by_header {
            form.push(("client_id", key));
        }
        if !by_header && !secret.is_empty() {
            form.push(("client_secret", secret));
        }
        let tokens: Tokens = self.web.post(&at.token, header, &form).await?;
        match tokens.error {
            Some(error) => Err(Fault::Refused { status: 200, error: named(&error) }),
            None => Ok(tokens),
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, at: &Endpoints, access: &Secret) -> Result<T, Fault> {
        let place = at.person.as_ref().ok_or_else(|| Fault::Away("it does not tell who somebody is".into()))?;
        self.web.get(place, Some(format!("Bearer {}", access.reveal()))).await
    }

    async fn github(&self, at: &Endpoints, access: &Secret) -> Result<Person, Fault> {
        #[derive(Deserialize)]
        struct Address {
            email: String,
            verified: bool,
            #[serde(default)]
            primary: bool,
        }
        let mut said: Vec<Address> = self.ask(at, access).await?;
        said.sort_by_key(|address| !address.primary);
        let emails = said.into_iter().filter(|address| address.verified).map(|address| address.email).collect();
        Ok(Person { emails, groups: Vec::new() })
    }

    async fn gitlab(
        &self,
        at: &Endpoints,
        access: &Secret,
        (domain, allowed, level): (&str, &[String], u32),
    ) -> Result<Person, Fault> {
        #[derive(Deserialize)]
        struct Group {
            full_path: String,
        }
        let said: Value = self.ask(at, access).await?;
        let mut person = Person { emails: email(&said, "confirmed_at", true), groups: Vec::new() };
        if !allowed.is_empty() || super::names_groups(&self.settings) {
            let place = format!("https://{domain}/api/v4/groups?min_access_level={level}&per_page=100");
            let place = Url::parse(&place).map_err(|_| Fault::Away("its address can't be read".into()))?;
            let groups: Vec<Group> = self.web.get(&place, Some(format!("Bearer {}", access.reveal()))).await?;
            person.groups = groups.into_iter().map(|group| group.full_path).collect();
        }
        if !allowed.is_empty() && !person.groups.iter().any(|group| allowed.contains(group)) {
            person.emails.clear();
        }
        Ok(person)
    }

    async fn claims(&self, at: &Endpoints, issuer: &str, id: &str, proof: &Proof<'_>) -> Result<Claims, Fault> {
        let place = at.keys.as_ref().ok_or_else(|| Fault::Away("it tells no keys".into()))?;
        let keys: Keys = self.web.get(place, None).await?;
        let expected = Expected { issuer, audience: &self.settings.key, nonce: proof.nonce, now: proof.now };
        token::verify(id, &keys, &expected).map_err(Fault::Untrue)
    }

    /// What a verified token says, and where that is not enough, what the issuer tells besides.
    async fn claimed(
        &self,
        at: &Endpoints,
        mut claims: Claims,
        groups: &str,
        access: &Secret,
    ) -> Result<Person, Fault> {
        let lacks = !claims.contains_key("email")
            || !claims.contains_key("email_verified")
            || super::names_groups(&self.settings) && !claims.contains_key(groups);
        if lacks && at.person.is_some() && !access.reveal().is_empty() {
            let more: Claims = self.ask(at, access).await?;
            if more.get("sub") != claims.get("sub") {
                return Err(Fault::Untrue("it tells of somebody else than its token"));
            }
            // What is verified of an address goes with that address.
            if !claims.contains_key("email") {
                claims.remove("email_verified");
            }
            let other = claims.get("email").is_some_and(|email| more.get("email") != Some(email));
            for (name, value) in more.into_iter().filter(|(name, _)| !(other && name == "email_verified")) {
                claims.entry(name).or_insert(value);
            }
        }
        let listed = match claims.get(groups) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        Ok(Person { emails: email(&Value::Object(claims), "email_verified", false), groups: listed })
    }
}

/// The address of an account, if it is theirs for sure. `unsaid` is what holds where nothing is said of that.
fn email(said: &Value, verified: &str, unsaid: bool) -> Vec<String> {
    let sure = match said.get(verified) {
        None => unsaid,
        Some(Value::Bool(sure)) => *sure,
        Some(Value::String(text)) => !text.is_empty() && text != "false",
        Some(_) => false,
    };
    let email = said.get("email").and_then(Value::as_str).map(str::trim).filter(|email| !email.is_empty());
    email.filter(|_| sure).map(str::to_owned).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_that_was_not_verified_is_nobody_s() {
        let told = |said: Value, unsaid: bool| !email(&said, "email_verified", unsaid).is_empty();
        assert!(told(json!({"email": "a@x.io", "email_verified": true}), false));
        assert!(told(json!({"email": "a@x.io", "email_verified": "true"}), false));
        assert!(!told(json!({"email": "a@x.io", "email_verified": false}), true));
        assert!(!told(json!({"email": "a@x.io", "email_verified": null}), true));
        assert!(!told(json!({"email": "a@x.io"}), false) && told(json!({"email": "a@x.io"}), true));
        assert!(!told(json!({"email": " ", "email_verified": true}), true));
    }
}
