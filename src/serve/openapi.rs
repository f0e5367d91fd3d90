//! The API's description, made of the table of routes.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Site;
use super::answer::{Answer, Said};
use super::auth::Area;
use super::call::Call;
use super::routes::{self, Route};

/// A star's name in the description.
fn variable(route: &Route) -> Option<&'static str> {
    route.path.ends_with('*').then(|| match route.path {
        path if path.contains("/worker") => "worker",
        path if ["/apply/", "/async-apply/", "/send-task/", "/timeout/", "/rate-limit/"]
            .iter()
            .any(|p| path.contains(p)) =>
        {
            "task"
        }
        _ => "id",
    })
}

fn operation(route: &Route) -> Value {
    let at = |place: &str, name: &str| json!({"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}});
    let path = variable(route).map(|name| at("path", name));
    let parameters: Vec<Value> = path.into_iter().chain(route.takes.iter().map(|name| at("query", name))).collect();
    let mut operation = json!({
        "summary": route.about, "parameters": parameters, "x-role": route.role.name(),
        "responses": {
            "200": {"description": "Done"}, "400": {"description": "Something asked for can't be"},
            "401": {"description": "Nobody, or somebody unknown, asks"}, "403": {"description": "Refused"},
            "404": {"description": "There is no such thing"}, "503": {"description": "The broker is away"},
        },
    });
    if route.path.contains("apply/") || route.path.contains("send-task/") {
        operation["requestBody"] = json!({"content": {"application/json": {"schema": {"type": "object", "properties": {
            "args": {"type": "array"}, "kwargs": {"type": "object"}, "queue": {"type": "string"},
            "countdown": {"type": "number"}, "eta": {"type": "string"}, "expires": {}, "priority": {"type": "integer"},
            "task_id": {"type": "string"}, "routing_key": {"type": "string"}, "exchange": {"type": "string"},
            "timeout": {"type": "number"},
        }}}}});
    }
    operation
}

pub(super) async fn document(site: &Arc<Site>, _: &Call) -> Said {
    let mut paths = Map::new();
    for route in routes::all().iter().filter(|route| route.area != Area::Page) {
        let begin = route.path.trim_end_matches('*');
        let path = format!("{begin}{}", variable(route).map_or_else(String::new, |name| format!("{{{name}}}")));
        let methods: Map<String, Value> =
            route.methods.iter().map(|method| (method.to_lowercase(), operation(route))).collect();
        paths.insert(path, Value::Object(methods));
    }
    Ok(Answer::json(&json!({
        "openapi": "3.0.3",
        "info": {"title": "flower-tui", "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": if site.prefix.is_empty() { "/" } else { site.prefix.as_str() }}],
        "components": {"securitySchemes": {
            "basic": {"type": "http", "scheme": "basic"}, "token": {"type": "http", "scheme": "bearer"},
        }},
        "security": [{"basic": []}, {"token": []}],
        "paths": paths,
    })))
}
