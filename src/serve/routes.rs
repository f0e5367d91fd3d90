//! Everything that can be asked, in one table: by which method, whose rules hold, and who may.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::answer::{Answer, HTML, Said};
use super::auth::{Area, Role};
use super::call::{self, Call};
use super::{
    Site, abort, apply, control, datatable, events, files, health, html, login, metrics, openapi, own, pages, queues,
    results, tasks, terminal, workers,
};

/// One route. A path ends in a star where something follows: `/*` at least a character, `/**` maybe none.
pub struct Route {
    pub methods: &'static [&'static str],
    pub path: &'static str,
    pub area: Area,
    /// Who may, at least.
    pub role: Role,
    /// One sentence, for the API's description.
    pub about: &'static str,
    /// Its parameters, for the same.
    pub takes: &'static [&'static str],
    run: for<'a> fn(&'a Arc<Site>, &'a Call) -> BoxFuture<'a, Said>,
}

impl Route {
    /// Whether it changes something: read-only mode keeps it shut.
    pub fn changes(&self) -> bool {
        self.role > Role::Viewer
    }

    /// What stands in the place of the star, as it was sent.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        if let Some(begin) = self.path.strip_suffix("**") {
            return path.strip_prefix(begin);
        }
        match self.path.strip_suffix('*') {
            Some(begin) => path.strip_prefix(begin).filter(|rest| !rest.is_empty()),
            None => (path == self.path).then_some(""),
        }
    }
}

macro_rules! routes {
    ($($method:literal $path:literal $area:ident $role:ident [$($takes:literal)*] $run:path, $about:literal;)*) => {
        &[$(Route {
            methods: if $method.len() > 4 { &["GET", "POST"] as &[&str] } else { &[$method] },
            path: $path, area: Area::$area, role: Role::$role, about: $about, takes: &[$($takes),*],
            run: |site, call| Box::pin($run(site, call)),
        }),*]
    };
}

/// The table. The first that fits a path is the one.
pub const ROUTES: &[Route] = routes! {
    "GET" "/healthcheck" Open Viewer ["broker"] health::check, "Says OK; with broker=1 only where the broker is connected";
    "GET" "/metrics" Open Viewer [] metrics::scrape, "Metrics for Prometheus";
    "GET" "/static/css/flower.css" Open Viewer [] files::style, "The pages' style sheet";

    "GET" "/api/tasks" Api Viewer ["limit" "offset" "sort_by" "workername" "taskname" "state" "received_start" "received_end" "search"] tasks::list, "Tasks by id";
    "GET" "/api/task/types" Api Viewer [] tasks::types, "Names of tasks seen";
    "GET" "/api/task/info/**" Api Viewer [] tasks::info, "One task";
    "GET" "/api/task/result/*" Api Viewer ["timeout"] results::result, "What the result backend keeps of a task";
    "POST" "/api/task/apply/*" Api Operator [] apply::apply, "Sends a task and waits for its result";
    "POST" "/api/task/async-apply/*" Api Operator [] apply::async_apply, "Sends a task that workers know";
    "POST" "/api/task/send-task/*" Api Operator [] apply::send_task, "Sends a task of any name";
    "POST" "/api/task/abort/*" Api Operator [] abort::abort, "Marks an AbortableTask as to be aborted";
    "POST" "/api/task/revoke/*" Api Operator ["terminate" "signal"] control::revoke, "Revokes a task";
    "POST" "/api/task/timeout/*" Api Operator ["workername" "soft" "hard"] control::time_limit, "Sets a task's time limits";
    "POST" "/api/task/rate-limit/*" Api Operator ["workername" "ratelimit"] control::rate_limit, "Sets a task's rate limit";
    "GET" "/api/queues/length" Api Viewer [] queues::length, "How much waits in the queues";

    "GET" "/api/workers" Api Viewer ["refresh" "status" "workername"] workers::list, "What workers said of themselves";
    "GET" "/api/worker/stats/*" Api Viewer [] workers::stats, "A worker's figures, asked anew";
    "POST" "/api/worker/shutdown/*" Api Admin [] control::shutdown, "Shuts a worker down";
    "POST" "/api/worker/pool/restart/*" Api Admin [] control::pool_restart, "Restarts a worker's pool";
    "POST" "/api/worker/pool/grow/*" Api Admin ["n"] control::pool_grow, "Adds processes to a pool";
    "POST" "/api/worker/pool/shrink/*" Api Admin ["n"] control::pool_shrink, "Takes processes from a pool";
    "POST" "/api/worker/pool/autoscale/*" Api Admin ["min" "max"] control::autoscale, "Sets the range a pool scales in";
    "POST" "/api/worker/queue/add-consumer/*" Api Admin ["queue"] control::add_consumer, "Lets a worker consume a queue";
    "POST" "/api/worker/queue/cancel-consumer/*" Api Admin ["queue"] control::cancel_consumer, "Lets a worker consume a queue no longer";

    "GET" "/api/openapi.json" Api Viewer [] openapi::document, "This API's description";
    "GET" "/api/v1/tasks" Api Viewer ["filter" "limit" "offset"] own::tasks, "Tasks that a filter selects, the newest first";
    "GET" "/api/v1/failures" Api Viewer [] own::failures, "Failures by what went wrong where";
    "GET" "/api/v1/where/*" Api Viewer [] own::locate, "Where a task is, and what that is drawn from";
    "GET" "/api/v1/queues" Api Viewer [] own::queues, "Queues with what waits in them";
    "GET" "/api/v1/events" Api Viewer [] events::stream, "Events of tasks as they come (text/event-stream)";

    "GET" "/workers" Page Viewer ["json" "refresh"] workers::page, "Workers";
    "GET" "/worker/*" Page Viewer [] pages::worker, "One worker";
    "GET" "/tasks" Page Viewer [] pages::tasks, "The latest tasks";
    "GET POST" "/tasks/datatable" Page Viewer ["draw" "start" "length" "search[value]"] datatable::rows, "Rows of the table of tasks";
    "GET" "/task/*" Page Viewer [] pages::task, "One task";
    "GET" "/failures" Page Viewer [] pages::failures, "Failures";
    "GET" "/broker" Page Viewer [] pages::broker, "Queues";
    "GET" "/login" Open Viewer ["next"] login::login, "Logs in by the provider, if there is one";
    "GET" "/logout" Open Viewer [] login::logout, "Logs out";
    "GET" "/static/*" Page Viewer [] files::file, "What the page is made of";
    "GET" "/terminal" Page Viewer ["size" "background"] terminal::open, "The screen, over a WebSocket";
    "GET" "/" Page Viewer [] files::front, "The screen";
};

/// The table, for those whom it names itself.
pub(super) fn all() -> &'static [Route] {
    ROUTES
}

/// The body of a request, read only for somebody who may ask what is asked.
pub(super) type Pending = BoxFuture<'static, Result<Vec<u8>, Box<Answer>>>;

/// Answers a request.
pub(super) async fn answer(site: &Arc<Site>, mut call: Call, body: Pending) -> Answer {
    let outside = || Answer::new(404, HTML, "<html><title>404: Not Found</title><body>404: Not Found</body></html>");
    let path = match call.path.strip_prefix(site.prefix.as_str()) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some("") if !site.prefix.is_empty() => return not_found(site),
        _ => return outside(),
    };
    call.path = path;
    let guard = site.guard();
    let found = ROUTES.iter().find_map(|route| Some((route, route.rest(&call.path)?.to_owned())));
    let Some((route, rest)) = found else { return not_found(site) };
    let allowed = cross_origin(&guard);
    let with = |answer: Answer| allowed.iter().fold(answer, |answer, (name, value)| answer.with(name, *value));
    // A browser asks without credentials whether it may ask.
    let preflight = call.method == "OPTIONS";
    if preflight && (guard.is_set() || route.area != Area::Api) {
        return Answer::empty(204);
    }
    match guard.admit(route.area, &call.headers, call.from).await {
        Ok(who) => call.who = who,
        Err(refused) if refused.status == 401 && guard.login().is_some() && login::wants_page(&call, route.area) => {
            return login::lead(site, &call);
        }
        Err(refused) => return *refused,
    }
    if preflight {
        return with(Answer::empty(204));
    }
    if !route.methods.contains(&call.method.as_str()) {
        return with(Answer::empty(405));
    }
    with(permitted(site, route, call, &rest, body).await.unwrap_or_else(|refused| *refused))
}

async fn permitted(site: &Arc<Site>, route: &Route, mut call: Call, rest: &str, body: Pending) -> Said {
    if call.method == "POST"
        && let Some(refused) = site.guard().foreign(&call.headers, &call.who)
    {
        return Err(refused);
    }
    if route.changes() && site.ops.read_only {
        return Err(Box::new(Answer::text(403, "Read only mode is enabled")));
    }
    if call.who.role < route.role {
        let text = format!("{} may not do this: it takes the role {}", call.who.name, route.role.name());
        return Err(Box::new(Answer::text(403, text)));
    }
    if call.method == "POST" {
        call.body = body.await?;
    }
    call.rest = call::decoded(rest).ok_or_else(|| super::answer::bad("the path is no UTF-8"))?;
    let form = call.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if form {
        let more = call::parameters(&String::from_utf8_lossy(&call.body));
        call.parameters.extend(more);
    }
    (route.run)(site, &call).await
}

/// What Flower lets pages of other sites do where its API is open to everybody.
fn cross_origin(guard: &super::Guard) -> &'static [(&'static str, &'static str)] {
    match guard.is_open() {
        false => &[],
        true => &[
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Headers", "x-requested-with,access-control-allow-origin,authorization,content-type"),
            ("Access-Control-Allow-Methods", "PUT, DELETE, OPTIONS, POST, GET, PATCH"),
        ],
    }
}

fn not_found(site: &Site) -> Answer {
    html::page(404, &site.prefix, "Flower", "<p>Error, page not found</p>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_exactly_and_a_name_may_hold_slashes() {
        fn of(path: &'static str) -> Option<(&'static str, &'static str)> {
            ROUTES.iter().find_map(|route| Some((route.path, route.rest(path)?)))
        }
        assert_eq!(of("/api/tasks"), Some(("/api/tasks", "")));
        assert_eq!(of("/api/tasks/"), None);
        assert_eq!(of("/api/task/info/"), Some(("/api/task/info/**", "")));
        assert_eq!(of("/api/task/result/"), None);
        assert_eq!(of("/api/task/revoke/a/b"), Some(("/api/task/revoke/*", "a/b")));
        assert_eq!(of("/tasks/datatable"), Some(("/tasks/datatable", "")));
    }

    #[test]
    fn what_is_posted_to_the_api_changes_something_and_nothing_else_does() {
        for route in ROUTES {
            let posts = route.area == Area::Api && route.methods.contains(&"POST");
            assert_eq!(route.changes(), posts, "{}", route.path);
        }
    }
}
