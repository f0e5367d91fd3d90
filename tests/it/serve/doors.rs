//! Who may come in: every route without credentials, and with those of each role.

use flower_tui::serve::auth::{Area, Role, new_token};
use flower_tui::serve::routes::ROUTES;

use super::{Served, Stand, basic, options};

/// Every route with every method it takes, as a path that could be asked; but for the login, which leads nowhere without
/// a provider.
fn everything() -> Vec<(&'static str, String, Area, Role)> {
    let each = ROUTES.iter().filter(|route| route.path != "/login").flat_map(|route| {
        let path = route.path.trim_end_matches('*').to_owned();
        let path = if route.path.ends_with('*') { path + "w1@vm" } else { path };
        route.methods.iter().map(move |method| (*method, path.clone(), route.area, route.role))
    });
    each.collect()
}

async fn status(served: &Served, method: &str, path: &str, headers: &[(String, String)]) -> u16 {
    served.ask(method, path, headers, "").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_with_data_without_credentials() {
    let closed = Stand::new(options(&[("basic_auth", "a:tr0ub4dor and 3")], &[])).serve().await;
    let bare = Stand::new(options(&[], &[])).serve().await;
    let proxied = [("X-Forwarded-For".to_owned(), "203.0.113.9".to_owned())];
    let named = [("Host".to_owned(), "evil.example".to_owned())];
    for (n, (method, path, area, _)) in everything().into_iter().enumerate() {
        let told = status(&closed, method, &path, &[]).await;
        let wrong = status(&closed, method, &path, &[basic(&format!("b{n}"), "tr0ub4dor and 3")]).await;
        match area {
            Area::Open => assert_eq!((told, wrong), (200, 200), "{path}"),
            _ => assert_eq!((told, wrong), (401, 401), "{method} {path}"),
        }
        // Where nobody has a password, the API is closed, and pages are for this machine alone.
        for headers in [&proxied, &named] {
            let told = status(&bare, method, &path, headers).await;
            match area {
                Area::Open => assert_eq!(told, 200),
                Area::Api => assert_eq!(told, 401, "{path}"),
                Area::Page => assert_eq!(told, 403, "{path}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_what_it_may_and_nothing_else() {
    let folder = tempfile::tempdir().expect("temp");
    let (users, tokens) = (folder.path().join("users"), folder.path().join("tokens"));
    std::fs::write(&users, "v:look but no touch:viewer\no:revoke it now:operator\na:all of it mine\n")
        .expect("written");
    let (token, line) = new_token("ci:operator").expect("made");
    let (old, ended) = new_token("old:admin:2020-01-01").expect("made");
    std::fs::write(&tokens, format!("# tokens\n{line}\n{ended}\n")).expect("written");
    let line = [("users", users.to_str().expect("text")), ("tokens", tokens.to_str().expect("text"))];
    let served = Stand::new(options(&line, &[])).serve().await;
    let bearer = |token: &str| ("Authorization".to_owned(), format!("Bearer {token}"));
    let people = [
        (basic("v", "look but no touch"), Role::Viewer),
        (basic("o", "revoke it now"), Role::Operator),
        (bearer(&token), Role::Operator),
    ];
    for (method, path, area, role) in everything().into_iter().filter(|(_, path, _, _)| path != "/api/v1/events") {
        assert_eq!(status(&served, method, &path, &[bearer(&old)]).await == 401, area != Area::Open, "{path}");
        for (who, may) in &people {
            let told = status(&served, method, &path, std::slice::from_ref(who)).await;
            if role > *may {
                assert_eq!(told, 403, "{method} {path} as {may:?}");
            } else {
                assert!(told != 401 && told != 403, "{method} {path} as {may:?}: {told}");
            }
        }
    }
    let admin = [basic("a", "all of it mine")];
    assert_eq!(status(&served, "POST", "/api/worker/pool/grow/w1@vm", &admin).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_has_to_wait() {
    let served = Stand::new(options(&[("basic_auth", "a:tr0ub4dor and 3")], &[])).serve().await;
    for n in 0..10 {
        assert_eq!(status(&served, "GET", "/api/tasks", &[basic("a", &n.to_string())]).await, 401);
    }
    let late = served.ask("GET", "/api/tasks", &[basic("a", "tr0ub4dor and 3")], "").await;
    assert_eq!((late.status, late.headers.contains_key("retry-after")), (429, true));
    assert_eq!(status(&served, "GET", "/api/tasks", &[basic("b", "x")]).await, 401, "others have not guessed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_cluster_is_markup_in_a_page() {
    let hostile = "<script>alert(1)</script>";
    let task = serde_json::json!({
        "uuid": "evil/<b>", "name": hostile, "sent": 1_795_482_740.0, "received": 1_795_482_740.0, "worker": "w1@vm",
        "client": "gen1@vm", "args": "('</pre><img src=x onerror=alert(1)>',)", "kwargs": "{}", "routing_key": "q",
    });
    let mut stand = Stand::new(options(&[], &[]));
    stand.tasks = vec![task];
    let served = stand.serve().await;
    for path in [
        "/",
        "/tasks",
        "/task/evil/%3Cb%3E",
        "/task/%3Cscript%3E",
        "/worker/%3Cimg%3E",
        "/workers",
        "/failures",
        "/broker",
    ] {
        let page = served.get(path).await;
        assert!(
            !page.body.contains("<script") && !page.body.contains("<img") && !page.body.contains("<b>"),
            "{path}: {}",
            page.body
        );
        let policy = page.headers.get("content-security-policy").map_or("", String::as_str);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    }
    assert!(served.get("/tasks").await.body.contains("&lt;script&gt;alert(1)"), "it is shown all the same");
}
