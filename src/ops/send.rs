//! Sending a task that was never sent before.

use super::retry::{Refusal, origin, read_typed};
use super::run::Ops;
use crate::celery::TaskId;
use crate::celery::json;
use crate::celery::message::Outgoing;
use crate::celery::pidbox::{Method, Request};
use crate::clock::Stamp;
use crate::state::Model;

use super::command::Preview;

/// What a person wants sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    pub task: String,
    /// JSON or Python literals.
    pub args: String,
    pub kwargs: String,
    pub queue: String,
    pub priority: u8,
    /// ISO 8601.
    pub eta: Option<String>,
    pub expires: Option<String>,
}

/// The message for it.
pub fn message(wish: &Wish) -> Result<Outgoing, Refusal> {
    let name = wish.task.trim();
    if name.is_empty() {
        return Err(Refusal::NoName);
    }
    let (args, kwargs) = (read_typed(&wish.args, "args")?, read_typed(&wish.kwargs, "kwargs")?);
    let value = |text: &str| json::parse(text.as_bytes()).unwrap_or_default();
    Ok(Outgoing {
        id: TaskId::random(),
        name: name.to_owned(),
        argsrepr: json::to_python_args(&value(&args)),
        kwargsrepr: json::to_python(&value(&kwargs)),
        args,
        kwargs,
        queue: wish.queue.trim().to_owned(),
        route: None,
        priority: wish.priority,
        root_id: None,
        parent_id: None,
        origin: origin(),
        eta: wish.eta.clone(),
        expires: wish.expires.clone(),
        like: None,
    })
}

/// What a person is asked.
pub(super) fn preview(message: &Outgoing, model: &Model) -> Preview {
    let redactor = model.redactor();
    let mut lines = vec![
        format!("args    {}", redactor.text(&message.argsrepr)),
        format!("kwargs  {}", redactor.text(&message.kwargsrepr)),
        format!("queue   {}   priority {}", message.queue, message.priority),
        format!("id      {}", message.id),
    ];
    lines.extend(message.eta.as_ref().map(|eta| format!("eta     {eta}")));
    lines.extend(message.expires.as_ref().map(|at| format!("expires {at}")));
    let mut known = registered(model).peekable();
    if known.peek().is_some() && known.all(|name| name != message.name) {
        lines.push(format!("No worker told that it knows a task {}.", message.name));
    }
    Preview { title: format!("Send {}?", message.name), lines }
}

/// Names of the tasks that workers have registered, as far as they told.
pub fn registered(model: &Model) -> impl Iterator<Item = String> {
    let workers = model.workers().into_iter();
    workers.flat_map(|(_, worker)| worker.inspected.registered.iter().flatten().map(|task| task.name.clone()))
}

/// Reads when a task may start, or not start any more, in Celery's notation: a time from now on (`30s`) or a moment
/// (ISO 8601; without a zone it is this machine's). Nothing typed is nothing said.
pub fn time(text: &str, now: Stamp) -> Result<Option<String>, String> {
    match text.trim() {
        "" => Ok(None),
        text => match crate::human::parse_seconds(text) {
            Some(secs) => Ok(Some((now + std::time::Duration::from_secs_f64(secs.min(1e9))).iso())),
            None => {
                moment(text).map(|at| Some(at.iso())).ok_or_else(|| "a time such as 30s or 2026-11-25T14:00:00Z".into())
            }
        },
    }
}

/// Reads a moment: ISO 8601; without a zone it is this machine's.
pub fn moment(text: &str) -> Option<Stamp> {
    let zoned = text.parse::<jiff::Timestamp>();
    let local = || text.parse::<jiff::civil::DateTime>().and_then(|at| at.to_zoned(jiff::tz::TimeZone::system()));
    let at = zoned.or_else(|_| local().map(|at| at.timestamp())).ok()?;
    Some(Stamp::from_micros(at.as_microsecond()))
}

/// The command line that sends the same. It is written into the log, and arguments may hold secrets.
pub(super) fn words(message: &Outgoing) -> String {
    let quote = super::command::quote;
    format!("flower-tui send {} --args … --kwargs … --queue {}", quote(&message.name), quote(&message.queue))
}

impl Ops {
    /// Why no worker would run a task of this name, as far as workers say.
    pub async fn unknown(&self, name: &str) -> Option<String> {
        let everybody = self.online();
        let answers = self.control(&Request::to_all(Method::Registered), &everybody).await.ok()?;
        let known: Vec<String> = answers
            .iter()
            .flat_map(|answer| answer.value.as_array().into_iter().flatten())
            // A name may have its rate limit behind it.
            .filter_map(|value| Some(value.as_str()?.split(" [").next()?.to_owned()))
            .collect();
        if known.is_empty() || known.iter().any(|known| known == name) {
            return None;
        }
        let near = crate::text::nearest(name, known.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!(": did you mean {near}?"));
        Some(format!("no worker that answers knows a task {name}{near}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_sent_with_json_or_python_literals() {
        let wish = |args: &str, kwargs: &str| Wish {
            task: " t ".into(),
            args: args.into(),
            kwargs: kwargs.into(),
            queue: "q".into(),
            ..Wish::default()
        };
        let sent = message(&wish("(1, 'a')", "{'b': None}")).expect("reads");
        assert_eq!(
            (sent.name.as_str(), sent.args.as_str(), sent.kwargs.as_str()),
            ("t", "[1, \"a\"]", "{\"b\": null}")
        );
        assert_eq!((sent.argsrepr.as_str(), sent.kwargsrepr.as_str()), ("(1, 'a')", "{'b': None}"));
        let now = Stamp::from_micros(1_000_000);
        assert_eq!(time("30s", now), Ok(Some("1970-01-01T00:00:31.000000+00:00".into())));
        assert_eq!(time("1970-01-01T00:01:00Z", now), Ok(Some("1970-01-01T00:01:00.000000+00:00".into())));
        assert!(time(" ", now) == Ok(None) && time("soon", now).is_err());
        assert!(message(&wish("open('/etc/passwd')", "{}")).is_err());
        assert!(message(&wish("{}", "{}")).is_err() && message(&wish("[]", "[]")).is_err());
    }
}
