//! The exchanges recorded with Flower 2.2.0, played against us: status, content type, texts and the shape of JSON.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flower_tui::broker::LinkState;
use flower_tui::clock::Stamp;
use serde_json::{Value, json};

use super::{NOW, Reply, Served, Stand, basic, options};

/// What differs on purpose: the line in the file, our status, and why. `docs/flower.md` has the same list.
const ON_PURPOSE: &[(usize, u16, &str)] = &[
    (9, 200, "an empty sort_by is none, and no error of ours"),
    (52, 404, "a name is taken as it is written, and not HTML-escaped"),
    (53, 200, "a name is taken as it is written, and not HTML-escaped"),
    (54, 200, "a name is taken as it is written, and not HTML-escaped"),
    (77, 400, "the words for broken JSON are not Python's"),
    (78, 200, "no application is loaded, so the number of arguments is not known: the task is sent, and fails"),
    (87, 200, "no application is loaded, so the number of arguments is not known: the task is sent, and fails"),
    (92, 400, "wrong arguments are the client's mistake, and told"),
    (103, 400, "a signal that does not exist is refused"),
    (139, 200, "a pool that can't lose so many processes loses as many as it can, and that is told"),
    (140, 400, "a pool does not grow by less than one"),
    (272, 401, API),
    (277, 403, REFUSED),
    (278, 401, API),
    (279, 401, API),
    (281, 401, API),
    (286, 403, REFUSED),
    (287, 401, API),
    (288, 401, API),
    (290, 401, API),
    (295, 403, REFUSED),
    (296, 401, API),
    (297, 401, API),
    (299, 401, API),
    (304, 403, REFUSED),
    (305, 401, API),
    (306, 401, API),
    (307, 503, "why there is no result is told"),
    (308, 503, "why nothing can be aborted is told"),
    (309, 503, "without a result backend nothing is sent that would be waited for"),
    (313, 503, "a broker that is away is no error of ours, and told"),
    (314, 503, "a broker that is away is told at once"),
];

const API: &str = "an API without a session says so, and leads no program to a login page";
const REFUSED: &str = "who was refused by the provider is told so, and not sent there again";

/// All exchanges, in order.
pub fn exchanges() -> Vec<Value> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flower/exchanges.jsonl");
    let text = std::fs::read_to_string(file).expect("recorded");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The tasks that were there before any was sent through the API, as they were shown last.
fn tasks() -> Vec<Value> {
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for exchange in exchanges().iter().take(69).filter(|e| e["setup"] == "open") {
        let body = &exchange["body"];
        let listed = body.as_object().into_iter().flat_map(|map| map.values());
        for task in listed.chain([body]).filter(|task| task["uuid"].is_string()) {
            let mut task = task.clone();
            task["worker"] = task.get("worker").cloned().unwrap_or(Value::Null);
            found.insert(task["uuid"].as_str().expect("text").to_owned(), task);
        }
    }
    found.into_values().collect()
}

async fn stand(setup: &str) -> Served {
    let open = [("FLOWER_UNAUTHENTICATED_API", "true")];
    let two = [("basic_auth", "alice:secret,bob:pw2"), ("allow_weak_password", "true")];
    let one = [("basic_auth", "alice:secret"), ("allow_weak_password", "true")];
    let provider = |name: &'static str| {
        let ours =
            [("oauth2_key", "k"), ("oauth2_secret", "s"), ("oauth2_redirect_uri", "http://localhost:5555/login")];
        let line = [&ours[..], &[("auth_provider", name), ("auth", ".*@example.com")]].concat();
        options(&line, &[("FLOWER_OAUTH2_OKTA_BASE_URL", "https://okta.example.com/oauth2/default")])
    };
    let mut stand = Stand::new(match setup {
        "google" => provider("flower.views.auth.GoogleAuth2LoginHandler"),
        "github" => provider("flower.views.auth.GithubLoginHandler"),
        "gitlab" => provider("flower.views.auth.GitLabLoginHandler"),
        "okta" => provider("flower.views.auth.OktaLoginHandler"),
        "no auth" => options(&[], &[]),
        "basic" => options(&two, &[]),
        "basic-env" => options(&two[1..], &[("FLOWER_BASIC_AUTH", "alice:secret,bob:pw2")]),
        "basic+unauth" => options(&one, &open),
        "url_prefix" => options(&[("url_prefix", "flower")], &open),
        _ => options(&[], &open),
    });
    stand.read_only = setup == "read_only";
    stand.backend = setup != "no result backend";
    let known = ["open", "broker down", "no result backend"].contains(&setup);
    stand.tasks = if known { tasks() } else { Vec::new() };
    let served = stand.serve().await;
    if setup == "broker down" {
        let since = Stamp::from_micros(NOW);
        let down = LinkState::Down { since, why: "Connection refused".into(), hint: "", retry: since };
        served.link.send_replace(down);
        served.kept.away.store(true, Ordering::Relaxed);
    }
    served
}

/// Asks what was asked then. Tasks that were sent have other ids now.
async fn ask(served: &Served, exchange: &Value, ids: &HashMap<String, String>) -> Reply {
    let mut path = exchange["path"].as_str().expect("path").to_owned();
    for (then, now) in ids {
        path = path.replace(then, now);
    }
    let mut headers = Vec::new();
    for (name, value) in exchange["request_headers"].as_object().into_iter().flatten() {
        let mut value = value.as_str().expect("text").to_owned();
        if name == "If-None-Match" {
            value = served.get(&path).await.headers.get("etag").cloned().expect("a tag");
        }
        headers.push((name.clone(), value));
    }
    if let Some([name, password]) = exchange["auth"].as_array().map(Vec::as_slice) {
        headers.push(basic(name.as_str().expect("text"), password.as_str().expect("text")));
    }
    let body = match (exchange.get("request_json"), exchange["request_body"].as_str()) {
        (Some(body), _) => body.to_string(),
        (None, body) => body.unwrap_or_default().to_owned(),
    };
    served.ask(exchange["method"].as_str().expect("method"), &path, &headers, &body).await
}

/// What is not as it was.
fn differs(exchange: &Value, reply: &Reply) -> Option<String> {
    if exchange["status"] != json!(reply.status) {
        return Some(format!("status {} instead of {}", reply.status, exchange["status"]));
    }
    let kind = exchange["content_type"].as_str().unwrap_or_default();
    if kind != reply.kind() {
        return Some(format!("{:?} instead of {kind:?}", reply.kind()));
    }
    let path = exchange["path"].as_str().expect("path");
    if let Some(there) = exchange["headers"]["Location"].as_str() {
        return leads(there, reply.headers.get("location").map_or("", String::as_str));
    }
    match &exchange["body"] {
        // A page of another make, which ends in the same words.
        Value::String(text) if reply.status == 403 && text.starts_with("(HTML page") => {
            let words = text.rsplit_once("Source code ").map_or(text.as_str(), |(_, words)| words);
            (!reply.body.contains(words)).then(|| format!("{words:?} is missing"))
        }
        Value::String(text) if kind.starts_with("text/plain") && !path.ends_with("/metrics") => {
            // We say besides why.
            let reason =
                text.starts_with("Broker or result backend unavailable") && reply.body.starts_with(text.as_str());
            (*text != reply.body && !reason).then(|| format!("{:?} instead of {text:?}", reply.body))
        }
        Value::String(text) if reply.status == 403 => {
            (*text != reply.body).then(|| format!("{:?} instead of {text:?}", reply.body))
        }
        Value::String(_) | Value::Null => None,
        body => shape(body, &reply.json(), path, path.starts_with("/api/worker")),
    }
}

/// Whether two redirects differ: in where they lead, or in what they say there. We say more, and the state is new each time.
fn leads(there: &str, ours: &str) -> Option<String> {
    let (to, query) = there.split_once('?').expect("a query");
    let (our_to, our_query) = ours.split_once('?').unwrap_or_default();
    let pairs =
        |query: &str| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect::<BTreeMap<String, String>>();
    let (said, we_say) = (pairs(query), pairs(our_query));
    let same = |name: &String| name == "state" && we_say.contains_key(name) || said.get(name) == we_say.get(name);
    // Google alone knew this, and it was empty.
    let missing = said.keys().filter(|name| *name != "approval_prompt").find(|name| !same(name));
    (to != our_to || missing.is_some()).then(|| format!("{ours:?} instead of {there:?}"))
}

/// What of two documents is of another shape. Tasks have to be the same ones in the same order; a worker may tell more.
fn shape(want: &Value, have: &Value, place: &str, more: bool) -> Option<String> {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            let (a, b): (Vec<&String>, Vec<&String>) = (want.keys().collect(), have.keys().collect());
            let by_id = want.values().any(|v| v["uuid"].is_string());
            let missing = a.iter().find(|key| !b.contains(key));
            let extra = b.iter().find(|key| !a.contains(key)).filter(|_| !more);
            // Events of types that did not come then, or do not come now, are no difference.
            let told = |key: &&&String| !key.starts_with("task-") && !key.starts_with("worker-");
            let counts = want.contains_key("hostname");
            if let Some(key) = missing.filter(|key| !counts || told(key)).or(extra.filter(|key| !counts || told(key))) {
                return Some(format!("{place}: the key {key} is in one of them: {a:?} {b:?}"));
            }
            if by_id && a != b {
                return Some(format!("{place}: {b:?} instead of {a:?}"));
            }
            want.iter()
                .filter(|(key, _)| have.contains_key(*key))
                .find_map(|(key, value)| shape(value, &have[key], &format!("{place}.{key}"), more))
        }
        (Value::Array(want), Value::Array(have)) => {
            want.first().zip(have.first()).and_then(|(a, b)| shape(a, b, &format!("{place}[]"), more))
        }
        (Value::String(a), Value::String(b)) if place.ends_with(".message") || place.ends_with(".error") => {
            let ids = |text: &str| text.split('\'').nth(1).is_some_and(|id| id.len() == 36);
            (a != b && !ids(a)).then(|| format!("{place}: {b:?} instead of {a:?}"))
        }
        (Value::Null, _) | (_, Value::Null) => None,
        (a, b) => {
            let same = std::mem::discriminant(a) == std::mem::discriminant(b);
            (!same).then(|| format!("{place}: {b} instead of {a}"))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flower_was_asked_is_answered_as_flower_did() {
    let all = exchanges();
    assert_eq!(all.len(), 319);
    let mut wrong = Vec::new();
    let (mut setup, mut served, mut ids) = ("", None, HashMap::new());
    for (i, exchange) in all.iter().enumerate() {
        let name = exchange["setup"].as_str().expect("set-up");
        if name != setup {
            served = Some(stand(name).await);
            (setup, ids) = (name, HashMap::new());
        }
        let served = served.as_ref().expect("served");
        let begun = Instant::now();
        let reply = ask(served, exchange, &ids).await;
        if setup == "broker down" {
            assert!(begun.elapsed() < Duration::from_secs(1), "{exchange}");
        }
        let told = serde_json::from_str::<Value>(&reply.body).unwrap_or_default();
        if let (Some(then), Some(now)) = (exchange["body"]["task-id"].as_str(), told["task-id"].as_str()) {
            ids.insert(then.to_owned(), now.to_owned());
        }
        let differs = differs(exchange, &reply);
        let line = i + 1;
        match (ON_PURPOSE.iter().find(|(at, _, _)| *at == line), differs) {
            (None, None) => {}
            (Some((_, status, _)), Some(_)) if *status == reply.status => {}
            (Some(_), None) => wrong.push(format!("{line}: no difference any more")),
            (_, why) => {
                wrong.push(format!("{line}: {} {}: {why:?}: {}", exchange["method"], exchange["path"], reply.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_document_lists_what_differs() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/flower.md");
    let text = std::fs::read_to_string(file).expect("docs/flower.md");
    for (_, _, why) in ON_PURPOSE {
        assert!(text.contains(why), "docs/flower.md says nothing of: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_flower_s_names_types_and_labels() {
    let recorded = exchanges().into_iter().find(|e| e["path"] == "/metrics" && e["setup"] == "open").expect("recorded");
    let served = stand("open").await;
    let ours = served.get("/metrics").await.body;
    let kinds = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("# TYPE flower_") && !line.contains("flower_tui_"));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(kinds(&ours), kinds(recorded["body"].as_str().expect("text")));
    let labels = |text: &str| -> std::collections::BTreeSet<String> {
        let rows = text.lines().filter(|line| line.starts_with("flower_") && !line.starts_with("flower_tui_"));
        let rows = rows.filter_map(|line| line.split_once('{'));
        rows.map(|(name, rest)| {
            let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
            let names: Vec<&str> = labels.split("\",").filter_map(|pair| pair.split('=').next()).collect();
            format!("{name} {names:?}")
        })
        .collect()
    };
    assert_eq!(labels(&ours), labels(recorded["body"].as_str().expect("text")));
    for line in ["flower_worker_online{worker=\"w1@vm\"} 1.0", "flower_tui_broker_up 1.0"] {
        assert!(ours.lines().any(|l| l == line), "{line} in {ours}");
    }
    assert!(ours.contains("flower_events_total{task=\"tasks.add\",type=\"task-received\",worker=\"w2@vm\"}"), "{ours}");
}
