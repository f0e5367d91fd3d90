//! Logging in by a provider that runs here, with all that may go wrong on the way.

use flower_tui::serve::auth::{Area, Role};
use flower_tui::serve::routes::ROUTES;
use serde_json::{Value, json};

use super::provider::{KEY, Provider, SECRET, holds_no_secret};
use super::{Reply, Served, Stand, options};
use crate::contract::redis::Pki;

const BACK: (&str, &str) = ("oauth2_redirect_uri", "http://localhost:5555/login");
const OURS: [(&str, &str); 3] = [("oauth2_key", KEY), ("oauth2_secret", SECRET), BACK];

/// A site whose people are known to an issuer.
async fn site(provider: &Provider, more: &[(&str, &str)]) -> Served {
    let issuer = provider.issuer();
    let line = [&OURS[..], &[("oidc_issuer", issuer.as_str()), ("auth", ".*@example.com")], more].concat();
    Stand::new(options(&line, &[])).serve().await
}

fn cookie(text: &str) -> (String, String) {
    ("Cookie".into(), text.to_owned())
}

/// What a browser keeps of a cookie that was set.
fn kept(reply: &Reply, name: &str) -> Option<String> {
    let set = reply.headers.get("set-cookie")?;
    let line = set.lines().find(|line| line.starts_with(&format!("{name}=")))?;
    assert!(line.contains("; HttpOnly; SameSite=Lax") && line.contains("; Path=/;"), "{line}");
    Some(line.split(';').next()?.to_owned()).filter(|text| !text.ends_with('='))
}

/// Where somebody is sent who asks for a page, and what they have to come back with.
async fn begin(served: &Served, path: &str) -> (String, String) {
    let reply = served.get(path).await;
    assert_eq!(reply.status, 302, "{reply:?}");
    (reply.headers["location"].clone(), kept(&reply, "oauth_state").expect("a cookie"))
}

async fn back(served: &Served, query: &str, state: &str) -> Reply {
    let reply = served.ask("GET", &format!("/login?{query}"), &[cookie(state)], "").await;
    holds_no_secret(&reply.body);
    reply
}

/// All the way.
async fn log_in(served: &Served, provider: &Provider) -> Reply {
    let (to, state) = begin(served, "/login?next=%2Ftasks%3Fa%3Db").await;
    back(served, &provider.consent(&to), &state).await
}

async fn session(served: &Served, provider: &Provider) -> String {
    let reply = log_in(served, provider).await;
    assert_eq!(reply.status, 302, "{reply:?}");
    kept(&reply, "user").expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_led_to_the_provider_and_back_to_the_page_they_asked_for() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[]).await;
    let first = served.get("/task/abc?x=1%262").await;
    assert_eq!((first.status, first.headers["location"].as_str()), (302, "/login?next=%2Ftask%2Fabc%3Fx%3D1%25262"));
    let (to, state) = begin(&served, &first.headers["location"]).await;
    assert!(to.starts_with(&format!("http://{}/authorize?tenant=1&response_type=code&", provider.address)), "{to}");
    for part in ["scope=openid+email+profile", "code_challenge_method=S256", "nonce=", "state="] {
        assert!(to.contains(part), "{part} in {to}");
    }
    let reply = back(&served, &provider.consent(&to), &state).await;
    assert_eq!((reply.status, reply.headers["location"].as_str()), (302, "/task/abc?x=1%262"), "{reply:?}");
    let user = kept(&reply, "user").expect("a session");
    assert!(reply.headers["set-cookie"].contains("oauth_state=; Path=/; Max-Age=0"), "{reply:?}");
    assert!(!reply.headers["set-cookie"].contains("Secure"), "this came without TLS");
    for path in ["/tasks", "/api/tasks", "/api/workers"] {
        assert_eq!(served.ask("GET", path, &[cookie(&user)], "").await.status, 200, "{path}");
        let program = served.get(path).await.status;
        assert_eq!(program, if path.starts_with("/api") { 401 } else { 302 }, "{path}");
    }
    let out = served.ask("GET", "/logout", &[cookie(&user)], "").await;
    assert!(out.status == 200 && out.headers["set-cookie"].starts_with("user=; Path=/; Max-Age=0"), "{out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_should_be_lets_nobody_in() {
    let now = super::NOW / 1_000_000;
    let cases: [(&str, Value, &str); 10] = [
        ("nonce", json!("of another login"), "of another login"),
        ("nonce", Value::Null, "of another login"),
        ("exp", json!(now - 61), "has expired"),
        ("iat", json!(now + 90), "from the future"),
        ("iss", json!("https://id.example.com"), "made by somebody else"),
        ("aud", json!(["other", "another"]), "for another client"),
        ("email", json!("alice@example.org"), "Access denied"),
        ("email", json!("alice@example.com|mallory"), "Access denied"),
        ("email_verified", json!(false), "Access denied"),
        ("sub", Value::Null, "names nobody"),
    ];
    for (name, value, why) in cases {
        let provider = Provider::start(None).await;
        let served = site(&provider, &[]).await;
        provider.claim(name, value.clone());
        let reply = log_in(&served, &provider).await;
        assert!(reply.status == 403 && reply.body.contains(why), "{name} {value}: {reply:?}");
        assert_eq!(kept(&reply, "user"), None);
    }
    let provider = Provider::start(None).await;
    let served = site(&provider, &[]).await;
    provider.forge();
    let reply = log_in(&served, &provider).await;
    assert!(reply.status == 403 && reply.body.contains("not signed with one of its keys"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_for_the_browser_it_was_given_to() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[]).await;
    let (to, state) = begin(&served, "/login").await;
    let good = provider.consent(&to);
    let other = begin(&served, "/login").await.1;
    let user = session(&served, &provider).await;
    let before = provider.redeemed();
    let as_state = user.replace("user=", "oauth_state=");
    for (query, cookie) in [
        ("code=code-1&state=zz", state.as_str()),
        ("code=code-1", state.as_str()),
        (good.as_str(), other.as_str()),
        (good.as_str(), "oauth_state=forged"),
        (good.as_str(), as_state.as_str()),
        (good.as_str(), ""),
    ] {
        let reply = back(&served, query, cookie).await;
        let why = "OAuth authenticator error: State tokens do not match. Please try logging in again.";
        assert!(reply.status == 403 && reply.body.contains(why), "{query} {cookie}: {reply:?}");
    }
    assert_eq!(provider.redeemed(), before, "the provider was not asked");
    // PKCE and nonce go with the state: the provider sees that it is another login.
    let reply = back(&served, &good, &state).await;
    assert!(reply.status == 403 && reply.body.contains("the provider answered 400: invalid_grant"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_the_provider_does_not_help_stands_in_the_page() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[]).await;
    let (to, state) = begin(&served, "/login").await;
    let good = provider.consent(&to);
    let wrong = back(&served, &good.replace("code-1", "code-2"), &state).await;
    assert!(wrong.status == 403 && wrong.body.contains("the provider answered 400: invalid_grant"), "{wrong:?}");
    let state_of = good.split_once('&').expect("two").1;
    let refused = back(&served, &format!("error=access_denied%3Cb%3E&{state_of}"), &state).await;
    assert!(refused.status == 403 && refused.body.contains("the provider answered access_denied."), "{refused:?}");

    let line = [&OURS[..], &[("oidc_issuer", "http://127.0.0.1:1"), ("auth", ".*@example.com")]].concat();
    let served = Stand::new(options(&line, &[])).serve().await;
    let away = served.get("/login").await;
    assert!(away.status == 502 && away.body.contains("connection refused"), "{away:?}");
    assert_eq!(served.get("/metrics").await.status, 200, "all else goes on");

    let liar = Provider::start(None).await;
    let document = json!({
        "issuer": "https://id.example.com", "authorization_endpoint": "https://id.example.com/a",
        "token_endpoint": "https://id.example.com/t", "jwks_uri": "https://id.example.com/k",
    });
    liar.document("/.well-known/openid-configuration", document);
    let reply = site(&liar, &[]).await.get("/login").await;
    assert!(reply.status == 502 && reply.body.contains("another issuer"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_what_we_signed_and_for_as_long_as_it_says() {
    let provider = Provider::start(None).await;
    let secret = ("cookie_secret", "0123456789abcdef");
    let served = site(&provider, &[secret]).await;
    let user = session(&served, &provider).await;
    let status = async |served: &Served, text: &str| served.ask("GET", "/api/tasks", &[cookie(text)], "").await.status;
    assert_eq!(status(&served, &user).await, 200);
    let (payload, tag) = user.trim_start_matches("user=").split_once('.').expect("two parts");
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload.as_bytes()).expect("base64");
    let text = String::from_utf8(bytes).expect("text").replace("alice", "mallory");
    let forged = format!("user={}.{tag}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(text));
    for wrong in
        [forged.as_str(), &format!("user={payload}."), "user=forged", "user=", &format!("other={payload}.{tag}")]
    {
        assert_eq!(status(&served, wrong).await, 401, "{wrong}");
    }
    let again = site(&provider, &[secret]).await;
    assert_eq!(status(&again, &user).await, 200, "the secret is the same, as after a restart");
    let other = site(&provider, &[("cookie_secret", "fedcba9876543210")]).await;
    assert_eq!(status(&other, &user).await, 401);
    assert_eq!(status(&site(&provider, &[]).await, &user).await, 401);
    let fewer = site(&provider, &[secret, ("auth", "bob@example.com")]).await;
    assert_eq!(status(&fewer, &user).await, 401, "who may come in is looked at each time");
    served.clock.set(flower_tui::clock::Stamp::from_micros(super::NOW + 23 * 3_600_000_000));
    assert_eq!(status(&served, &user).await, 200);
    served.clock.set(flower_tui::clock::Stamp::from_micros(super::NOW + 24 * 3_600_000_000));
    assert_eq!(status(&served, &user).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_to_another_site() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[]).await;
    for next in ["https://evil.example/", "//evil.example", "/%5Cevil.example", "/%09/evil.example", "javascript:1", ""]
    {
        let (to, state) = begin(&served, &format!("/login?next={next}")).await;
        let reply = back(&served, &provider.consent(&to), &state).await;
        assert_eq!((reply.status, reply.headers["location"].as_str()), (302, "/"), "{next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_of_a_login_does_what_it_may() {
    let roles = ("oauth2_roles", "bob@example.com=admin, group:ops=operator, .*@example.com=viewer");
    let provider = Provider::start(None).await;
    provider.document("/userinfo", json!({"sub": "subject-1", "groups": ["ops"]}));
    let served = site(&provider, &[roles]).await;
    let operator = session(&served, &provider).await;
    provider.claim("groups", json!(["other"]));
    let viewer = session(&served, &provider).await;
    provider.claim("email", json!("bob@example.com"));
    let admin = session(&served, &provider).await;
    let shown = ("Sec-Fetch-Site".to_owned(), "same-origin".to_owned());
    for route in ROUTES.iter().filter(|route| route.area == Area::Api && route.path != "/api/v1/events") {
        let path = if route.path.ends_with('*') {
            route.path.trim_end_matches('*').to_owned() + "w1@vm"
        } else {
            route.path.into()
        };
        for (user, may) in [(&viewer, Role::Viewer), (&operator, Role::Operator), (&admin, Role::Admin)] {
            let told = served.ask(route.methods[0], &path, &[cookie(user), shown.clone()], "").await;
            if route.role > may {
                assert!(told.status == 403 && told.body.contains("may not do this"), "{path} as {may:?}: {told:?}");
            } else {
                assert!(told.status != 401 && !told.body.contains("may not do this"), "{path} as {may:?}: {told:?}");
            }
        }
    }
    let all = site(&provider, &[]).await;
    let user = session(&all, &provider).await;
    let told = all.ask("POST", "/api/worker/pool/grow/w1@vm", &[cookie(&user), shown], "").await;
    assert_eq!(told.status, 200, "without roles everybody may do everything, as in Flower: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_s_page_changes_nothing_with_a_session() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[]).await;
    let user = session(&served, &provider).await;
    let revoke = async |headers: &[(&str, &str)]| {
        let mut all = vec![cookie(&user)];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        served.ask("POST", "/api/task/revoke/abc", &all, "").await.status
    };
    for foreign in [
        &[("Sec-Fetch-Site", "cross-site")][..],
        &[("Sec-Fetch-Site", "same-site"), ("X-Requested-With", "x")],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "http://localhost.evil.example"), ("X-Requested-With", "x")],
        &[],
        &[("Content-Type", "text/plain")],
    ] {
        assert_eq!(revoke(foreign).await, 403, "{foreign:?}");
    }
    for own in [
        &[("Sec-Fetch-Site", "same-origin")][..],
        &[("Origin", "http://localhost")],
        &[("X-Requested-With", "XMLHttpRequest")],
        &[("X-XSRFToken", "any")],
    ] {
        assert_eq!(revoke(own).await, 200, "{own:?}");
    }
    // A token that nobody looks at does not lift this.
    assert_eq!(revoke(&[("Authorization", "Bearer x"), ("Sec-Fetch-Site", "cross-site")]).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn flower_s_own_providers_are_asked_as_flower_does() {
    let folder = tempfile::tempdir().expect("temp");
    let pki = Pki::make(folder.path());
    let provider = Provider::start(Some(&pki)).await;
    let domain = provider.domain();
    let base = format!("https://{domain}/oauth2/default");
    let email = |address: &str, verified: bool| json!({"email": address, "verified": verified, "primary": false});
    provider.document(
        "/api/v3/user/emails",
        json!([email("alice@example.com", false), email("a@else.example", true), email("al@example.com", true)]),
    );
    provider.document("/api/v4/user", json!({"email": "alice@example.com", "confirmed_at": "2026-01-01"}));
    provider.document("/api/v4/groups?min_access_level=30&per_page=100", json!([{"id": 1, "full_path": "team/ops"}]));
    provider.document("/oauth2/default/v1/userinfo", json!({"email": "alice@example.com", "email_verified": true}));
    let ca = ("oauth2_ca_certs", pki.ca.as_str());
    let start = async |handler: &str, env: &[(&str, &str)], auth: &str| {
        let handler = format!("flower.views.auth.{handler}");
        let line = [&OURS[..], &[("auth_provider", handler.as_str()), ("auth", auth), ca]].concat();
        let options = options(&line, env);
        Stand::new(options).serve().await
    };
    let github = [("FLOWER_GITHUB_OAUTH_DOMAIN", domain.as_str())];
    let gitlab = [
        ("FLOWER_GITLAB_OAUTH_DOMAIN", domain.as_str()),
        ("FLOWER_GITLAB_AUTH_ALLOWED_GROUPS", "team/dev, team/ops"),
        ("FLOWER_GITLAB_MIN_ACCESS_LEVEL", "30"),
    ];
    let okta = [("FLOWER_OAUTH2_OKTA_BASE_URL", base.as_str())];
    for (handler, env, path) in [
        ("GithubLoginHandler", &github[..], "/login/oauth/authorize"),
        ("GitLabLoginHandler", &gitlab[..], "/oauth/authorize"),
        ("OktaLoginHandler", &okta[..], "/oauth2/default/v1/authorize"),
    ] {
        let served = start(handler, env, ".*@example.com").await;
        let (to, state) = begin(&served, "/login").await;
        assert!(to.starts_with(&format!("https://{domain}{path}?")), "{to}");
        let reply = back(&served, &provider.consent(&to), &state).await;
        let user = kept(&reply, "user").unwrap_or_else(|| panic!("{handler}: {reply:?}"));
        assert_eq!(served.ask("GET", "/api/tasks", &[cookie(&user)], "").await.status, 200, "{handler}");
        let strict = start(handler, env, "root@example.com").await;
        let denied = log_in(&strict, &provider).await;
        assert!(denied.status == 403 && denied.body.contains("Access denied"), "{handler}: {denied:?}");
    }
    let elsewhere = [gitlab[0], ("FLOWER_GITLAB_AUTH_ALLOWED_GROUPS", "team/dev"), gitlab[2]];
    let served = start("GitLabLoginHandler", &elsewhere, ".*@example.com").await;
    assert_eq!(log_in(&served, &provider).await.status, 403, "none of the groups");

    let mut line = [&OURS[..], &[("auth_provider", "github"), ("auth", ".*@example.com")]].concat();
    line.push(("github_oauth_domain", domain.as_str()));
    let stranger = Stand::new(options(&line, &[])).serve().await;
    let reply = log_in(&stranger, &provider).await;
    assert!(reply.status == 502 && reply.body.contains("can&#x27;t be asked"), "nobody knows who signed: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_its_secret_the_way_the_issuer_wants_it() {
    let provider = Provider::start(None).await;
    provider.document("post", json!(true));
    session(&site(&provider, &[]).await, &provider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_a_site_with_tls_is_for_tls_alone_and_a_prefix_leads() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[("xheaders", "true"), ("url_prefix", "flower")]).await;
    let first = served.get("/flower/tasks").await;
    assert_eq!(first.headers["location"], "/flower/login?next=%2Fflower%2Ftasks");
    let proxied = ("X-Forwarded-Proto".to_owned(), "https".to_owned());
    let sent = served.ask("GET", &first.headers["location"], std::slice::from_ref(&proxied), "").await;
    assert!(sent.headers["set-cookie"].ends_with("; Secure"), "{sent:?}");
    let state = kept(&sent, "oauth_state").expect("a cookie");
    let query = provider.consent(&sent.headers["location"]);
    let reply = served.ask("GET", &format!("/flower/login?{query}"), &[proxied, cookie(&state)], "").await;
    assert_eq!(reply.headers["location"], "/flower/tasks", "{reply:?}");
    assert!(reply.headers["set-cookie"].lines().all(|line| line.ends_with("; Secure")), "{reply:?}");
    let https = site(&provider, &[("oauth2_redirect_uri", "https://flower.example.com/login")]).await;
    assert!(https.get("/login").await.headers["set-cookie"].ends_with("; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_tokens_go_on_beside_a_login() {
    let provider = Provider::start(None).await;
    let served = site(&provider, &[("basic_auth", "a:tr0ub4dor and 3")]).await;
    let right = [super::basic("a", "tr0ub4dor and 3")];
    assert_eq!(served.ask("GET", "/api/tasks", &right, "").await.status, 200);
    assert_eq!(served.ask("POST", "/api/task/revoke/abc", &right, "").await.status, 200);
    let wrong = served.ask("GET", "/tasks", &[super::basic("a", "x")], "").await;
    assert_eq!((wrong.status, wrong.headers.contains_key("www-authenticate")), (401, true));
    assert_eq!(served.get("/tasks").await.status, 302);
    let user = session(&served, &provider).await;
    assert_eq!(served.ask("GET", "/tasks", &[cookie(&user)], "").await.status, 200);
}
