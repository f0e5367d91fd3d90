//! Logging in by OAuth or OpenID Connect: the authorization code flow with state, nonce and PKCE, and the session in a
//! signed cookie that comes of it.
//!
//! Nothing is kept here of who is under way or logged in: the browser keeps it, signed. `provider` asks, `token` and
//! `cookie` believe only what is signed.

mod cookie;
mod provider;
mod token;
mod web;

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::Site;
use super::answer::{Answer, HTML, Said};
use super::auth::{Area, Role, Who, random};
use super::call::Call;
use super::html::{self, escape, shown};
use crate::clock::{Clock, Stamp};
use crate::config::flower::Serve;
use crate::config::flower::login::{Login as Settings, Whom};
use provider::{Asker, Person, Proof};
use web::Fault;

use base64_simd::URL_SAFE_NO_PAD as BASE64;

/// Flower's names of its cookies.
const SESSION: &str = "user";
const UNDER_WAY: &str = "oauth_state";
/// How long somebody is logged in, and how long logging in may take.
const LASTS: Duration = Duration::from_secs(24 * 3_600);
const TAKES: Duration = Duration::from_secs(600);
/// A longer page to come back to is not remembered, and a longer address is nobody's.
const LONGEST: usize = 1_024;

/// See the module.
pub struct Login {
    settings: Settings,
    asker: Asker,
    roles: Vec<(Whom, Role)>,
    key: hmac::Key,
    clock: Clock,
}

/// Somebody who is logged in.
#[derive(Serialize, Deserialize)]
struct Session {
    email: String,
    /// Those of their groups that a role is for.
    groups: Vec<String>,
    /// Seconds since the epoch.
    until: i64,
}

/// Somebody who was sent to the provider.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    state: String,
    /// The page that was asked for.
    next: String,
    until: i64,
}

/// Why a login came to nothing, and the status that goes with it.
struct Failed(u16, String);

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        let status = if matches!(fault, Fault::Away(_)) { 502 } else { 403 };
        Failed(status, format!("OAuth authenticator error: {fault}. Please try logging in again."))
    }
}

/// Whether a role is for a group; only then groups are asked for.
fn names_groups(settings: &Settings) -> bool {
    settings.roles.iter().any(|(whom, _)| matches!(whom, Whom::Group(_)))
}

impl Login {
    /// What the options say; `None` where there is no such login.
    pub fn read(options: &Serve, clock: Clock) -> Result<Option<Arc<Self>>, String> {
        let Some(settings) = options.login.clone() else { return Ok(None) };
        let mut secret = vec![0; 32];
        match &settings.cookie_secret {
            Some(said) => secret = said.reveal().as_bytes().to_vec(),
            None => random(&mut secret)?,
        }
        let role = |name: &str| {
            let wrong = || format!("oauth2_roles: there is no role {name:?}: there are viewer, operator, admin");
            Role::parse(name).ok_or_else(wrong)
        };
        let roles = settings.roles.iter().map(|(whom, name)| Ok((whom.clone(), role(name)?)));
        Ok(Some(Arc::new(Self {
            roles: roles.collect::<Result<_, String>>()?,
            asker: Asker::new(settings.clone())?,
            settings,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            clock,
        })))
    }

    /// Who a request is from, by its cookie. That they may come in is looked at each time.
    pub fn who(&self, headers: &HeaderMap) -> Option<Who> {
        let session: Session = cookie::open(&self.key, SESSION, headers)?;
        let stands = self.clock.now() < at(session.until) && self.settings.auth.take(&session.email);
        let role = self.role(&session);
        stands.then_some(Who { name: session.email, role, by_cookie: true })
    }

    /// The most that is said of them. Where no roles are named everybody may do everything, as in Flower.
    fn role(&self, session: &Session) -> Role {
        if self.roles.is_empty() {
            return Role::Admin;
        }
        let theirs = self.roles.iter().filter(|(whom, _)| match whom {
            Whom::Emails(emails) => emails.take(&session.email),
            Whom::Group(group) => session.groups.contains(group),
        });
        theirs.map(|(_, role)| *role).max().unwrap_or(Role::Viewer)
    }

    /// Something that follows from a state, and that nobody else can know.
    fn derived(&self, what: &str, state: &str) -> String {
        BASE64.encode_to_string(hmac::sign(&self.key, format!("{what}.{state}").as_bytes()).as_ref())
    }

    fn until(&self, lasts: Duration) -> i64 {
        (self.clock.now() + lasts).micros() / 1_000_000
    }

    /// Sends somebody to the provider.
    async fn begin(&self, next: String, secure: bool) -> Result<Answer, Failed> {
        let mut bytes = [0; 24];
        random(&mut bytes).map_err(|why| Failed(500, why))?;
        let state = BASE64.encode_to_string(bytes);
        let mut to = self.asker.endpoints().await?.authorize;
        let challenge = digest::digest(&digest::SHA256, self.derived("verifier", &state).as_bytes());
        to.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", self.settings.redirect_uri.as_str())
            .append_pair("client_id", &self.settings.key)
            .append_pair("state", &state)
            .append_pair("scope", self.asker.scope())
            .append_pair("nonce", &self.derived("nonce", &state))
            .append_pair("code_challenge", &BASE64.encode_to_string(challenge.as_ref()))
            .append_pair("code_challenge_method", "S256");
        let under_way = UnderWay { state, next, until: self.until(TAKES) };
        let text = cookie::seal(&self.key, UNDER_WAY, &under_way);
        Ok(redirect(to.as_str()).with("Set-Cookie", cookie::header(UNDER_WAY, &text, TAKES.as_secs(), secure)))
    }

    /// Takes somebody back from the provider: who they are, and the page they asked for.
    async fn finish(&self, call: &Call) -> Result<(Session, String), Failed> {
        let wrong = || {
            let text = "OAuth authenticator error: State tokens do not match. Please try logging in again.";
            Failed(403, text.into())
        };
        let under_way: UnderWay = cookie::open(&self.key, UNDER_WAY, &call.headers).ok_or_else(wrong)?;
        let now = self.clock.now();
        if call.text("state") != Some(under_way.state.as_str()) || now >= at(under_way.until) {
            return Err(wrong());
        }
        let Some(code) = call.text("code") else {
            let error = web::named(call.text("error").unwrap_or_default());
            let said = || Failed(403, format!("OAuth authenticator error: the provider answered {error}."));
            return Err(if error.is_empty() { wrong() } else { said() });
        };
        let (verifier, nonce) = (self.derived("verifier", &under_way.state), self.derived("nonce", &under_way.state));
        let person = self.asker.person(&Proof { code, verifier: &verifier, nonce: &nonce, now }).await?;
        let session = self.session(person).ok_or_else(|| Failed(403, DENIED.into()))?;
        Ok((session, under_way.next))
    }

    /// A session for whoever may come in.
    fn session(&self, person: Person) -> Option<Session> {
        let mut emails = person.emails.into_iter().filter(|email| email.len() <= LONGEST);
        let email = emails.find(|email| self.settings.auth.take(email))?;
        let counts =
            |group: &String| self.roles.iter().any(|(whom, _)| matches!(whom, Whom::Group(named) if named == group));
        let groups = person.groups.into_iter().filter(counts).collect();
        Some(Session { email, groups, until: self.until(LASTS) })
    }
}

const DENIED: &str = "Access denied. Please use another account or ask your admin to add your email to flower --auth.";

fn at(secs: i64) -> Stamp {
    Stamp::from_micros(secs.saturating_mul(1_000_000))
}

fn redirect(to: &str) -> Answer {
    Answer::new(302, HTML, Vec::new()).with("Location", to).with("Cache-Control", "no-store")
}

/// Whether the browser came by TLS, as far as we can see.
fn secure(site: &Site, login: &Login, call: &Call) -> bool {
    let proxied = |name: &str| call.header(name).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    site.options.tls.is_some()
        || site.options.xheaders && (proxied("x-scheme") || proxied("x-forwarded-proto"))
        || login.settings.redirect_uri.scheme() == "https"
}

/// `/login`: to the provider, and back from it.
pub(super) async fn login(site: &Arc<Site>, call: &Call) -> Said {
    let Some(login) = site.guard().login() else {
        return Ok(html::page(404, &site.prefix, "Flower", "<p>Error, page not found</p>"));
    };
    let secure = secure(site, &login, call);
    if ["code", "error", "state"].iter().all(|name| call.text(name).is_none()) {
        let next = next_of(site, call.text("next").unwrap_or_default());
        return Ok(login.begin(next, secure).await.unwrap_or_else(|failed| failure(site, failed)));
    }
    let forget = cookie::header(UNDER_WAY, "", 0, secure);
    let answer = match login.finish(call).await {
        Ok((session, next)) => {
            tracing::info!("{} logged in", crate::text::clean(&session.email));
            let text = cookie::seal(&login.key, SESSION, &session);
            redirect(&next).with("Set-Cookie", cookie::header(SESSION, &text, LASTS.as_secs(), secure))
        }
        Err(failed) => failure(site, failed),
    };
    Ok(answer.with("Set-Cookie", forget))
}

/// `/logout`.
pub(super) async fn logout(site: &Arc<Site>, call: &Call) -> Said {
    let Some(login) = site.guard().login() else {
        let text = "<p>A browser forgets name and password when it is closed.</p>";
        return Ok(html::page(200, &site.prefix, "Log out", text));
    };
    let text = format!("<p>You are logged out here. <a href=\"{}/login\">Log in</a></p>", escape(&site.prefix));
    let forget = cookie::header(SESSION, "", 0, secure(site, &login, call));
    Ok(html::page(200, &site.prefix, "Log out", &text).with("Set-Cookie", forget).with("Cache-Control", "no-store"))
}

fn failure(site: &Site, Failed(status, text): Failed) -> Answer {
    tracing::warn!("a login failed: {text}");
    let again = format!("<p><a href=\"{}/login\">Log in again</a></p>", escape(&site.prefix));
    html::page(status, &site.prefix, "Flower", &format!("<p>{}</p>{again}", shown(&text)))
        .with("Cache-Control", "no-store")
}

/// Whether somebody without a session is a person who can be sent to the login, and no program.
pub(super) fn wants_page(call: &Call, area: Area) -> bool {
    let reads = call.header("accept").is_some_and(|kinds| kinds.contains("text/html"));
    call.method == "GET" && (area == Area::Page || reads) && call.header("authorization").is_none()
}

/// Leads there, with the page to come back to.
pub(super) fn lead(site: &Site, call: &Call) -> Answer {
    let coded =
        |pairs: &[(String, String)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut next = format!("{}{}", site.prefix, call.path);
    if !call.parameters.is_empty() {
        next = format!("{next}?{}", coded(&call.parameters));
    }
    redirect(&format!("{}/login?{}", site.prefix, coded(&[("next".to_owned(), next)])))
}

/// The page to come back to: within this site, whatever was asked for.
fn next_of(site: &Site, wish: &str) -> String {
    local(wish).filter(|path| *path != format!("{}/login", site.prefix)).unwrap_or_else(|| format!("{}/", site.prefix))
}

/// A path of this site, as a browser would take it; `None` for what leads elsewhere.
fn local(wish: &str) -> Option<String> {
    // What browsers drop or turn round could make another host of it.
    let odd = |c: char| c == '\\' || c.is_control() || c == ' ';
    if wish.len() > LONGEST || !wish.starts_with('/') || wish.starts_with("//") || wish.contains(odd) {
        return None;
    }
    let here = Url::parse("http://here.invalid").ok()?;
    let url = here.join(wish).ok().filter(|url| url.origin() == here.origin())?;
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    (!path.starts_with("//")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_back_to_this_site_alone() {
        for (wish, path) in [("/", "/"), ("/tasks?a=b%20c", "/tasks?a=b%20c"), ("/task/ä", "/task/%C3%A4")] {
            assert_eq!(local(wish).as_deref(), Some(path));
        }
        for elsewhere in [
            "",
            "tasks",
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "/\t/evil.example/",
            "/a/..//evil.example",
            "/.//evil.example",
            "\\\\evil.example",
            "javascript:alert(1)",
            "/\r\nSet-Cookie: a=b",
        ] {
            assert_eq!(local(elsewhere), None, "{elsewhere:?}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(LONGEST))), None);
    }
}
