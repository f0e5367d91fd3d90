//! The front page: the screen, where this program was built with it (feature `web`), else where to go instead.

use std::sync::Arc;

use super::answer::{self, Answer, Said};
use super::call::Call;
use super::html::{link, page, shown, table};
use super::{Site, html};
use crate::human;

/// What the page is made of: each with its name and its type.
#[cfg(feature = "web")]
const FILES: [(&str, &str, &[u8]); 6] = [
    ("index.html", answer::HTML, include_bytes!("../../web/dist/index.html")), // not there? run web/build, which needs npm
    ("page.css", answer::CSS, include_bytes!("../../web/dist/page.css")),
    ("page.js", answer::SCRIPT, include_bytes!("../../web/dist/page.js")),
    ("xterm.css", answer::CSS, include_bytes!("../../web/dist/xterm.css")),
    ("xterm.mjs", answer::SCRIPT, include_bytes!("../../web/dist/xterm.mjs")),
    ("addon-fit.mjs", answer::SCRIPT, include_bytes!("../../web/dist/addon-fit.mjs")),
];
#[cfg(not(feature = "web"))]
const FILES: [(&str, &str, &[u8]); 0] = [];

/// What the page may do: run its own scripts and styles, and talk to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

fn of(name: &str) -> Option<Answer> {
    let (_, kind, bytes) = FILES.into_iter().find(|(known, _, _)| *known == name)?;
    Some(Answer::new(200, kind, bytes).with("Content-Security-Policy", POLICY).with("Referrer-Policy", "no-referrer"))
}

pub(super) async fn style(_: &Arc<Site>, _: &Call) -> Said {
    Ok(Answer::new(200, answer::CSS, html::STYLE))
}

pub(super) async fn file(site: &Arc<Site>, call: &Call) -> Said {
    of(&call.rest).ok_or_else(|| Box::new(page(404, &site.prefix, "Flower", "<p>Error, page not found</p>")))
}

pub(super) async fn front(site: &Arc<Site>, _: &Call) -> Said {
    Ok(of("index.html").unwrap_or_else(|| plain(site)))
}

/// Where to go, for a browser that gets no screen.
fn plain(site: &Site) -> Answer {
    let broker = match site.broker_away() {
        Some(why) => format!("not connected: {why}"),
        None => "connected".to_owned(),
    };
    let now = site.ops.clock.now();
    let (tasks, (online, known)) = site.ops.store.read(|m| (m.task_count(), m.online(now)));
    let main = format!(
        "<p>flower-tui serves Flower's API, metrics and these plain pages. This one was built without the screen for \
         browsers (feature <code>web</code>): run flower-tui in a terminal for it.</p>\n{}",
        table(
            &[],
            [
                vec!["broker".into(), format!("{} {}", shown(&site.ops.broker.url()), shown(&broker))],
                vec!["workers".into(), format!("{online} of {known} online")],
                vec!["tasks".into(), human::thousands(tasks as u64)],
                vec![
                    "API".into(),
                    link(&site.prefix, "/api/", "openapi.json").replace("openapi%2Ejson", "openapi.json")
                ],
            ]
        )
    );
    page(200, &site.prefix, "Flower", &main)
}
