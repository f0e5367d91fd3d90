//! The two lines at the top: which cluster, how it is, and where one is.

use ratatui::layout::Rect;

use super::page::{Page, Target};
use super::theme::Role;
use super::view::Cx;
use crate::broker::LinkState;
use crate::clock::Stamp;
use crate::feed::replay::Status;
use crate::human;
use crate::text::{Clean, clean};

/// Whose cluster this is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub name: Option<String>,
    /// Nobody should shut down the wrong cluster.
    pub color: Option<Role>,
    pub url: String,
}

/// A part of the first line, and how soon it goes when there is no room: the highest number first.
#[derive(Clone)]
struct Part {
    text: Clean,
    role: Role,
    goes: u8,
    /// What it can be cut down to before others go for it.
    short: Option<Clean>,
}

impl Part {
    fn new(text: Clean, role: Role, goes: u8) -> Self {
        Self { text, role, goes, short: None }
    }
}

/// What tells one broker from another: host, port and database of its URL.
fn place(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    rest.rsplit_once('@').map_or(rest, |(_, place)| place)
}

/// How long a miss makes figures of the last minute doubtful.
const FRESH: std::time::Duration = std::time::Duration::from_secs(60);

/// What the first line says.
#[derive(Default)]
pub struct Header {
    parts: Vec<Part>,
    clock: Clean,
    /// What is said of a link that is down, since when it is, and in which second that was said.
    down: Option<(Stamp, i64, Part)>,
}

impl Header {
    /// Copies what is shown.
    pub fn sync(&mut self, profile: &Profile, round_trip: Option<std::time::Duration>, cx: &Cx<'_>) {
        let mut parts = vec![Part::new(Clean::own("flower-tui"), Role::Faint, 9)];
        // Which cluster it is stays to the last: its name, or where it is when it has none.
        let mut url = Part::new(clean(&profile.url), Role::Muted, 7);
        // Of several servers the one in use says more than where the way to it begins.
        if let Some(master) = cx.health.and_then(|health| health.master.as_deref()) {
            url = Part { text: crate::clean!("sentinel {master}"), short: Some(clean(master)), ..url };
        }
        match &profile.name {
            Some(name) => {
                parts.push(Part::new(clean(name), profile.color.unwrap_or(Role::Accent), 1));
            }
            None => {
                let short = url.short.take().unwrap_or_else(|| clean(place(&profile.url)));
                url = Part { role: Role::Text, goes: 1, short: Some(short), ..url };
            }
        }
        parts.push(url);
        // What speaks Redis and is another server.
        let kind = cx.health.map(|health| health.kind.as_str());
        if let Some(kind) = kind.filter(|kind| ["valkey", "keydb", "dragonfly"].contains(kind)) {
            parts.push(Part::new(clean(kind), Role::Muted, 8));
        }
        parts.push(match &cx.options.replay {
            Some(controls) => past(&controls.status(), cx),
            None => self.link(cx),
        });
        if let Some(slow) = round_trip.filter(|rtt| rtt.as_millis() >= 150) {
            parts.push(Part::new(crate::clean!("link {} ms", slow.as_millis()), Role::Muted, 4));
        }
        self.numbers(&mut parts, cx);
        self.parts = parts;
        self.clock = clean(&human::clock(cx.now, cx.shown_zone()));
    }

    fn link(&mut self, cx: &Cx<'_>) -> Part {
        match cx.link {
            LinkState::Connecting => Part::new(Clean::own("○ connecting"), Role::Muted, 0),
            LinkState::Live { .. } => Part::new(Clean::own("● live"), Role::Ok, 0),
            LinkState::Down { since, retry, .. } => {
                // Said anew with each second of the clock, and not in between: tries may come faster.
                let second = cx.now.micros() / 1_000_000;
                let said = self.down.take().filter(|(at, when, _)| (*at, *when) == (*since, second));
                let (.., part) =
                    self.down.insert(said.unwrap_or_else(|| (*since, second, down(*since, *retry, cx.now))));
                part.clone()
            }
        }
    }

    fn numbers(&self, parts: &mut Vec<Part>, cx: &Cx<'_>) {
        // Who is silent because the link is down is not said to be gone.
        let heard = cx.last_heard().now;
        let series = cx.model.series();
        let events = cx.model.rate(&series.seconds, 5, cx.now, |n| {
            f64::from(n.sent + n.received + n.started + n.succeeded + n.failed + n.retried + n.revoked)
        });
        // Of what was missed just now nothing is known: counts are too low, and shares may be wrong.
        let short = cx.model.missed_since(cx.now - FRESH);
        let (least, about) = if short { ("≥", "~") } else { ("", "") };
        parts.push(Part::new(crate::clean!("{least}{} ev/s", human::rate(events.unwrap_or(0.0))), Role::Muted, 6));
        let (online, known) = cx.model.online(heard);
        let text = crate::clean!("{online}/{known} workers");
        parts.push(Part::new(text, if online < known { Role::Warn } else { Role::Text }, 2));
        // Who said goodbye is not missing.
        if cx.model.stopped() > 0 {
            parts.push(Part::new(crate::clean!("{} stopped", cx.model.stopped()), Role::Muted, 5));
        }
        let queued: u64 = cx.model.queues().iter().map(|(_, q)| q.depth.ready).sum();
        let grows = cx.model.queues().iter().filter_map(|(_, q)| q.slope(cx.now)).sum::<f64>() * 300.0 > 10.0;
        let text = crate::clean!("{} queued{}", human::count(queued), if grows && queued > 0 { " ▲" } else { "" });
        parts.push(Part::new(text, if grows && queued > 0 { Role::Warn } else { Role::Text }, 2));
        if let Some(ok) = series.recent(60, cx.now).success() {
            let role = if ok < 0.95 { Role::Fail } else { Role::Text };
            parts.push(Part::new(crate::clean!("{about}{} ok", human::percent(ok)), role, 3));
        }
        let p = series.runtimes.recent.percentiles();
        if p.samples > 0 {
            let text = crate::clean!("p95 {about}{}", human::seconds(f64::from(p.p95)));
            parts.push(Part::new(text, Role::Muted, 8));
        }
        if cx.model.lost() > 0 {
            parts.push(Part::new(crate::clean!("? {} lost", human::count(cx.model.lost() as u64)), Role::Lost, 3));
        }
        let (missed, counted) = (cx.model.counters().missed, cx.model.missed_by_count());
        if missed == 0 && counted > 0 {
            parts.push(Part::new(crate::clean!("~{} unseen", human::count(counted)), Role::Warn, 3));
        }
        if missed > 0 {
            parts.push(Part::new(crate::clean!("{} missed", human::count(missed)), Role::Warn, 3));
        }
    }

    /// Paints the first line. Parts go in a fixed order where there is no room; it never wraps.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let clock = if area.width >= 70 { self.clock.width() as u16 + 3 } else { 0 };
        let room = area.width.saturating_sub(clock + 1);
        let mut shown: Vec<(&Part, &Clean)> = self.parts.iter().map(|part| (part, &part.text)).collect();
        let wide = |shown: &[(&Part, &Clean)]| {
            shown.iter().map(|(_, text)| text.width() as u16 + 3).sum::<u16>().saturating_sub(2) > room
        };
        // First what stands elsewhere too is shortened, then the least important goes; what the link says of itself is
        // shortened only when nothing else is left to give way.
        while shown.len() > 1 && wide(&shown) {
            let least = shown.iter().map(|(part, _)| part.goes).max().unwrap_or(0);
            let shorten = |(part, text): &(&Part, &Clean)| {
                part.short.as_ref().is_some_and(|short| short != *text) && (part.goes > 0 || least < 3)
            };
            if let Some(entry) = shown.iter_mut().find(|entry| shorten(entry)) {
                entry.1 = entry.0.short.as_ref().unwrap_or(entry.1);
                continue;
            }
            let Some(last) = shown.iter().enumerate().max_by_key(|(i, (p, _))| (p.goes, *i)).map(|(i, _)| i) else {
                break;
            };
            shown.remove(last);
        }
        let mut x = area.x + 1;
        for (part, text) in shown {
            x += page.put(x, area.y, (area.x + area.width).saturating_sub(x), text, part.role) + 3;
        }
        if clock > 0 {
            page.put_right(area.x, area.y, area.width - 1, &self.clock, Role::Muted);
        }
    }
}

/// What is shown is the past: how fast it goes by, and when it was.
fn past(status: &Status, cx: &Cx<'_>) -> Part {
    let state = match (status.winding, &status.trouble) {
        (Some(to), _) => format!("going to {}", human::clock(to, cx.shown_zone())),
        (None, Some(_)) if status.ended => "cut off here".into(),
        (None, None) if status.ended => "at its end".into(),
        _ if status.paused => "held".into(),
        _ => format!("{}x", status.speed),
    };
    let short = Some(crate::clean!("REPLAY {state}"));
    let text = crate::clean!("REPLAY {state}  {}", human::date(cx.now, cx.shown_zone()));
    Part { short, ..Part::new(text, Role::Warn, 0) }
}

/// When the next try comes. Rounded up, so that what is still to come is not said to be under way.
pub fn next_try(retry: Stamp, now: Stamp) -> String {
    match retry.since(now).as_secs_f64().ceil() as u64 {
        0 => "now".into(),
        secs => format!("in {}", human::span(secs)),
    }
}

fn down(since: Stamp, retry: Stamp, now: Stamp) -> Part {
    let (down, next) = (human::span(now.since(since).as_secs()), next_try(retry, now));
    let short = Some(crate::clean!("○ down {down}, next {next}"));
    Part { short, ..Part::new(crate::clean!("○ down {down}, trying again {next}"), Role::Fail, 0) }
}

/// Paints the second line: the tabs, and what holds for the whole screen.
pub fn tabs(
    page: &mut Page<'_>,
    area: Rect,
    (tabs, current): (&[&'static str], usize),
    crumbs: &Clean,
    notes: &[(Clean, Role)],
) {
    let width: u16 = notes.iter().map(|(t, _)| t.width() as u16 + 2).sum();
    let mut x = area.x + 1;
    let right = (area.x + area.width).saturating_sub(width);
    // Where not all titles fit, the numbers stay and say how many tabs there are.
    let titles: u16 = tabs.iter().map(|title| title.len() as u16 + 5).sum();
    // So they do where the way that led here would have no room behind them.
    let way = (crumbs.width() as u16).min(area.width / 3);
    let all = x + titles + way <= right + 3;
    for (i, title) in tabs.iter().enumerate() {
        let active = i == current;
        let title = if all || active { crate::clean!("{} {title}", i + 1) } else { crate::clean!("{}", i + 1) };
        let room = right.saturating_sub(x);
        let used = page.put(x, area.y, room, &title, if active { Role::Accent } else { Role::Muted });
        let place = Rect { x, y: area.y, width: used, height: 1 };
        if active {
            page.buffer.set_style(
                place,
                ratatui::style::Style::new()
                    .add_modifier(ratatui::style::Modifier::BOLD | ratatui::style::Modifier::UNDERLINED),
            );
        }
        page.clickable(place, Target::Tab(i));
        x += used + 3;
    }
    page.put(x, area.y, right.saturating_sub(x + 2), crumbs, Role::Muted);
    let mut x = right;
    for (text, role) in notes {
        x += page.put(x, area.y, (area.x + area.width).saturating_sub(x), text, *role) + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_try_is_counted_down_to_the_moment_it_comes() {
        let at = |millis: i64| Stamp::from_micros(millis * 1_000);
        assert_eq!([200, 1_000, 75_000].map(|retry| next_try(at(retry), at(0))), ["in 1s", "in 1s", "in 1m 15s"]);
        assert_eq!(next_try(at(200), at(300)), "now");
    }

    #[test]
    fn a_broker_is_told_from_another_by_host_port_and_database() {
        assert_eq!(place("rediss://ops:***@queue.example:6380/2?ssl_cert_reqs=none"), "queue.example:6380/2");
        assert_eq!(place("redis://localhost:6379/0"), "localhost:6379/0");
        assert_eq!(place("demo: simulated"), "demo: simulated");
    }
}
