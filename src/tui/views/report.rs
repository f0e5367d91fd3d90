//! A thing of the cluster as a few lines of plain text, to send to others. No argument of a task stands in it.

use crate::clock::Stamp;
use crate::human;
use crate::text::clean;
use crate::tui::view::Cx;

/// A title, the facts there are, and of which cluster and moment they are.
pub fn text(title: &str, facts: &[(&str, Option<String>)], cx: &Cx<'_>) -> String {
    let mut lines = vec![clean(title).to_string()];
    let known = facts.iter().filter_map(|(label, fact)| Some((label, fact.as_ref()?)));
    lines.extend(known.map(|(label, fact)| format!("  {label:<10} {}", clean(fact))));
    let profile = &cx.options.profile;
    let whose = profile.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
    let cluster = clean(&format!("{whose}{}", profile.url)).to_string();
    lines.push(format!("  {:<10} {cluster}, seen {}", "cluster", time(cx.now, cx)));
    lines.join("\n")
}

/// Date and time with the zone: whoever reads it may sit elsewhere.
pub fn time(at: Stamp, cx: &Cx<'_>) -> String {
    human::zoned(at, cx.shown_zone())
}
