//! `mark TEXT`: gives this moment a name, in the history.

use super::env::Env;
use super::exit::{Exit, not_so, usage};
use super::out;
use crate::history::marks;
use crate::human;
use crate::text::clean;

pub fn run(env: &Env, words: &[String]) -> anyhow::Result<Exit> {
    let text = words.join(" ");
    let text = text.trim();
    if text.is_empty() {
        return Err(usage("name the moment, such as: flower-tui mark v412"));
    }
    let path = env.history_or_usual()?;
    if !path.exists() {
        let path = path.display();
        return Err(not_so(format!("there is no history to keep it in at {path}: `flower-tui record` begins one")));
    }
    let now = env.clock.now();
    tokio::task::block_in_place(|| marks::set(&path, now, text))?;
    let time = human::clock(now, &jiff::tz::TimeZone::system());
    out::line(&format!("marked {time}  {}; in a filter: since:{}", clean(text), clean(&crate::filter::quoted(text))))?;
    Ok(Exit::Done)
}
