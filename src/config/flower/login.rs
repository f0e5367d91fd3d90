//! Options of a login by OAuth or OpenID Connect: Flower's providers by the names it has for them (Flower 2.2.0,
//! `views/auth.py`), and any issuer. Who may come in is said as there (`utils/authentication.py`).

use std::path::PathBuf;

use url::Url;

use super::{Values, truth};
use crate::broker::Secret;
use crate::config::Error;

/// Who is asked who somebody is, and what comes of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    pub provider: Provider,
    /// What the provider calls us.
    pub key: String,
    /// Empty where the provider gave none.
    pub secret: Secret,
    /// Where the provider sends people back to.
    pub redirect_uri: Url,
    /// Who may come in.
    pub auth: Emails,
    /// Whom, and the name of a role.
    pub roles: Vec<(Whom, String)>,
    /// Signs cookies; without it sessions end with the process.
    pub cookie_secret: Option<Secret>,
    /// Who may have signed the provider's certificate, if not those whom the system trusts.
    pub ca_certs: Option<PathBuf>,
}

/// Whose account is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Provider {
    Google,
    Github {
        domain: String,
    },
    /// With `groups`, who is in one of them at `level` or above.
    Gitlab {
        domain: String,
        groups: Vec<String>,
        level: u32,
    },
    Okta {
        base: String,
    },
    /// Whatever tells its addresses at `/.well-known/openid-configuration`.
    Oidc {
        issuer: String,
        scope: String,
        /// The claim that lists somebody's groups.
        groups: String,
    },
}

/// Whom a role is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    Emails(Emails),
    Group(String),
}

/// Options that mean something only with a provider.
pub(super) const ITS_OWN: [&str; 12] = [
    "oauth2_key",
    "oauth2_secret",
    "oauth2_redirect_uri",
    "oauth2_ca_certs",
    "oauth2_roles",
    "oauth2_okta_base_url",
    "github_oauth_domain",
    "gitlab_oauth_domain",
    "gitlab_auth_allowed_groups",
    "gitlab_min_access_level",
    "oidc_scope",
    "oidc_groups_claim",
];

/// A secret that is shorter is found out by trying.
const SHORTEST: usize = 16;

/// Reads them; `None` where neither a provider nor an issuer is named.
pub(super) fn read(values: &Values) -> Result<Option<Login>, Error> {
    let pattern = values.text("auth").filter(|text| truth(text).is_none());
    let Some(provider) = provider(values)? else {
        return match pattern {
            None => Ok(None),
            Some(pattern) => Err(Error(format!(
                "auth={pattern:?} chooses e-mail addresses of a login by OAuth: name the auth_provider too (or \
                 oidc_issuer), or users (basic_auth, users) or tokens instead"
            ))),
        };
    };
    let Some(pattern) = pattern else {
        return Err(Error(
            "auth says which e-mail addresses may log in by the auth_provider, such as .*@example.com; it has to be set"
                .into(),
        ));
    };
    let needed = |name: &str, what: &str| values.text(name).ok_or_else(|| Error(format!("{name} is missing: {what}")));
    let key = needed("oauth2_key", "the client id that the provider gave")?;
    let secret = match &provider {
        Provider::Oidc { .. } => values.text("oauth2_secret").unwrap_or_default(),
        _ => needed("oauth2_secret", "the client secret that the provider gave")?,
    };
    let back = "where the provider sends people back to, such as https://HOST/login, as it is registered there";
    let redirect_uri = needed("oauth2_redirect_uri", back)?;
    let redirect_uri = Url::parse(&redirect_uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let cookie_secret = values.text("cookie_secret");
    if cookie_secret.as_ref().is_some_and(|secret| secret.len() < SHORTEST) {
        return Err(Error(format!("cookie_secret signs who is logged in: take one of {SHORTEST} characters or more")));
    }
    Ok(Some(Login {
        provider,
        key,
        secret: Secret::new(secret),
        redirect_uri: redirect_uri.ok_or_else(|| Error(format!("oauth2_redirect_uri takes a URL: {back}")))?,
        auth: Emails::parse(&pattern).map_err(|why| Error(format!("auth={pattern:?}: {why}")))?,
        roles: roles(&values.text("oauth2_roles").unwrap_or_default())?,
        cookie_secret: cookie_secret.map(Secret::new),
        ca_certs: values.text("oauth2_ca_certs").map(PathBuf::from),
    }))
}

fn provider(values: &Values) -> Result<Option<Provider>, Error> {
    let issuer = values.text("oidc_issuer");
    let named = match (values.text("auth_provider"), &issuer) {
        (None, None) => return Ok(None),
        (None, Some(_)) => "oidc".to_owned(),
        (Some(named), _) => named,
    };
    let short = named.strip_prefix("flower.views.auth.").unwrap_or(&named);
    if issuer.is_some() && short != "oidc" {
        return Err(Error(format!("oidc_issuer goes with auth_provider oidc, not {named:?}")));
    }
    let domain = |name: &str, usual: &str| {
        let domain = values.text(name).unwrap_or_else(|| usual.to_owned());
        match address(&format!("https://{domain}")) {
            Some(url) if url.path() == "/" => Ok(domain),
            _ => Err(Error(format!("{name} takes a host, not {domain:?}"))),
        }
    };
    Ok(Some(match short {
        "GoogleAuth2LoginHandler" | "google" => Provider::Google,
        "GithubLoginHandler" | "github" => Provider::Github { domain: domain("github_oauth_domain", "github.com")? },
        "GitLabLoginHandler" | "gitlab" => {
            let groups = values.text("gitlab_auth_allowed_groups").unwrap_or_default();
            let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
            Provider::Gitlab {
                domain: domain("gitlab_oauth_domain", "gitlab.com")?,
                groups: groups.map(str::to_owned).collect(),
                level: values.read("gitlab_min_access_level", "a number", |t| t.parse().ok())?.unwrap_or(20),
            }
        }
        "OktaLoginHandler" | "okta" => {
            let base = values.text("oauth2_okta_base_url").unwrap_or_default();
            if address(&base).is_none() {
                let why = "takes a URL such as https://NAME.okta.com/oauth2/default";
                return Err(Error(format!("oauth2_okta_base_url (FLOWER_OAUTH2_OKTA_BASE_URL) {why}")));
            }
            Provider::Okta { base: base.trim_end_matches('/').to_owned() }
        }
        "oidc" => {
            let issuer = issuer.unwrap_or_default();
            if address(&issuer).is_none() {
                return Err(Error("oidc_issuer takes the issuer's URL, which begins with https://".into()));
            }
            Provider::Oidc {
                issuer,
                scope: values.text("oidc_scope").unwrap_or_else(|| "openid email profile".into()),
                groups: values.text("oidc_groups_claim").unwrap_or_else(|| "groups".into()),
            }
        }
        _ => {
            let names = "GoogleAuth2LoginHandler, GithubLoginHandler, GitLabLoginHandler, OktaLoginHandler";
            return Err(Error(format!(
                "auth_provider {named:?} is unknown: there are flower.views.auth.{{{names}}}, and oidc with an oidc_issuer"
            )));
        }
    }))
}

/// A URL that secrets may be sent to: with TLS, or on this machine.
pub fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let here = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    let bare = url.username().is_empty() && url.password().is_none();
    (bare && (url.scheme() == "https" || url.scheme() == "http" && here)).then_some(url)
}

fn roles(text: &str) -> Result<Vec<(Whom, String)>, Error> {
    let each = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
    each.map(|piece| {
        let wrong = |why: &str| Error(format!("oauth2_roles, {piece:?}: {why}"));
        let (whom, role) = piece.rsplit_once('=').ok_or_else(|| wrong("it takes WHOM=ROLE, separated by commas"))?;
        let whom = match whom.trim().strip_prefix("group:") {
            Some(group) => Whom::Group(group.trim().to_owned()),
            None => Whom::Emails(Emails::parse(whom.trim()).map_err(wrong)?),
        };
        Ok((whom, role.trim().to_owned()))
    })
    .collect()
}

/// E-mail addresses, as Flower's `auth` chooses them: one, several with `|` between them, or `.*` for what stands before
/// the `@`. It is no regular expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Emails(Choice);

#[derive(Debug, Clone, PartialEq)]
enum Choice {
    These(Vec<String>),
    /// What stands before and behind whatever there is.
    Between(String, String),
}

impl Emails {
    /// Reads a choice; what Flower refuses is refused.
    pub fn parse(pattern: &str) -> Result<Self, &'static str> {
        if pattern.matches('*').count() > 1 {
            return Err("it may have one * only");
        }
        if pattern.contains('*') && pattern.contains('|') {
            return Err("it has either | or *");
        }
        if pattern.rsplit('@').next().is_some_and(|domain| domain.contains('*')) {
            return Err("* stands before the @ only: the domain has to be named");
        }
        Ok(Self(match pattern.split_once(".*") {
            Some((before, behind)) => Choice::Between(before.to_owned(), behind.to_owned()),
            None => Choice::These(pattern.split('|').map(str::to_owned).collect()),
        }))
    }

    /// Whether an address is among them.
    pub fn take(&self, email: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        !email.is_empty()
            && match &self.0 {
                Choice::These(these) => these.iter().any(|one| one == email),
                Choice::Between(before, behind) => email
                    .strip_prefix(before.as_str())
                    .and_then(|rest| rest.strip_suffix(behind.as_str()))
                    .is_some_and(|between| between.chars().all(plain)),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_chosen_as_flower_does() {
        let takes = |pattern: &str, email: &str| Emails::parse(pattern).expect("valid").take(email);
        assert!(takes("a@x.io", "a@x.io") && !takes("a@x.io", "A@x.io") && !takes("a@x.io", "a@xxio"));
        assert!(takes("a@x.io|b@x.io", "b@x.io") && !takes("a@x.io|b@x.io", "b@x.iox"));
        assert!(!takes("a@x.io|", ""), "an account without an address is nobody");
        assert!(takes(".*@x.io", "any.one+1@x.io") && takes("ops-.*@x.io", "ops-1@x.io"));
        assert!(!takes(".*@x.io", "a@b@x.io") && !takes(".*@x.io", "a@evil.io") && !takes(".*@x.io", "ä@x.io"));
        assert!(!takes(".*@x.io", "a@x.io\n") && !takes("aa.*a@x.io", "aa@x.io"));
        assert!(takes("a*@x.io", "a*@x.io") && !takes("a*@x.io", "ab@x.io"), "a star alone is itself");
        for refused in [".*@.*", "*.x@*.io", "a@x.*", ".*", ".*@x.io|b@x.io", "a@*.x.io"] {
            assert!(Emails::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn secrets_go_nowhere_in_the_clear_but_within_this_machine() {
        for taken in ["https://id.example.com/x", "http://127.0.0.1:8080", "http://localhost/", "http://[::1]:1/"] {
            assert!(address(taken).is_some(), "{taken}");
        }
        for refused in ["http://id.example.com", "ftp://localhost", "https://a:b@example.com", "id.example.com", ""] {
            assert!(address(refused).is_none(), "{refused}");
        }
    }
}
